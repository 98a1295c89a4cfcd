/* SPDX-License-Identifier: MIT */
/* Taking images in: from archives of docker, OCI layouts, root file systems.  HOST. */
#ifndef IMAGE_IMPORT_H
#define IMAGE_IMPORT_H

#include "cloudosd/image/depot.h"
#include "cloudosd/image/layer.h"
#include "cloudosd/image/manifest.h"
#include "cloudosd/image/source.h"

struct import {
	struct depot *depot;
	const char *path;     /* of the file or folder, as it was given */
	const char *name;     /* asked for; NULL: what the file says */
	const char *platform; /* "linux/amd64" */
	struct layer_options layers;
	struct co_buf result; /* records, with commas between them */
	size_t images;
};

/* Whatever it is.  Afterwards the index has the images and is on the disk. */
int import_any(struct import *i, struct co_err *err);

int import_docker(struct import *i, struct source *s, struct co_err *err);
int import_oci(struct import *i, struct source *s, struct co_err *err);

/* An archive of a root file system; filter: how it is compressed. */
int import_rootfs_archive(struct import *i, int fd, const char *filter,
			  struct co_err *err);
int import_rootfs_folder(struct import *i, struct co_err *err);

/* ---- for those ---- */

/* Puts an image into the index (in memory).  names may be empty: it has none then. */
struct import_image {
	const struct digest *id;
	const struct image_config *config;
	const struct co_image_layer *layers;
	size_t layer_count;
	const char *const *names; /* in full */
	size_t name_count;
};
int import_add(struct import *i, const struct import_image *image, struct co_err *err);

/*
 * One unpacked layer becomes an image with a configuration of ours.  config: JSON object of
 * "config"; made_by: for its history; created_ms 0: it does not say.
 */
struct import_single {
	const struct co_image_layer *layers; /* the lowest first */
	size_t layer_count;
	const char *config, *made_by, *name;
	uint64_t created_ms;
};
int import_make(struct import *i, const struct import_single *single,
		struct co_err *err);

/* A name from that of the file: "dir/debian-12.tar.xz" is "debian-12". */
int import_name_of_path(const struct import *i, char out[CO_IMAGE_NAME_SIZE],
			struct co_err *err);

/* The name asked for, or that of the file. */
int import_name(const struct import *i, char out[CO_IMAGE_NAME_SIZE],
		struct co_err *err);

/* Is it for this machine?  CO_UNSUPPORTED and a sentence. */
int import_check_platform(const struct import *i, const struct image_config *c,
			  struct co_err *err);

extern const char import_default_config[];

#endif
