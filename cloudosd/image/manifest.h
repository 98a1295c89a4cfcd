/* SPDX-License-Identifier: MIT */
/*
 * The JSON of images, of the OCI's specification and of docker's: indexes, manifests,
 * configurations, and the list in a docker archive.  HOST.  No files: texts in, structs out.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/image/digest.h"
#include "lib/err.h"
#include "lib/span.h"

/* Something that is elsewhere. */
struct descriptor {
	char media_type[128];
	struct digest digest;
	uint64_t size;
	char os[32], architecture[32], variant[32]; /* "": it does not say */
	char name[256]; /* org.opencontainers.image.ref.name */
};

struct descriptors {
	struct descriptor *at;
	size_t count;
};
void descriptors_done(struct descriptors *d);

/* An index: manifests, and other indexes. */
int index_parse(struct co_span text, struct descriptors *out, struct co_err *err);

bool descriptor_is_index(const struct descriptor *d);
bool descriptor_is_manifest(const struct descriptor *d);

struct manifest {
	struct descriptor config;
	struct descriptors layers; /* the lowest first */
};
/* Refuses what is no image (other kinds of artifacts). */
int manifest_parse(struct co_span text, struct manifest *out, struct co_err *err);
void manifest_done(struct manifest *m);

struct image_config {
	char os[32], architecture[32], variant[32];
	uint64_t created_ms;  /* 0: it does not say */
	struct digest *diffs; /* the lowest first */
	size_t diff_count;
	struct co_span
		config; /* the member "config", "{}" without; inside of the text */
};
int image_config_parse(struct co_span text, struct image_config *out,
		       struct co_err *err);
void image_config_done(struct image_config *c);

/* manifest.json of a docker archive: images, and names of files in the archive. */
struct docker_image {
	char *config;
	char **tags, **layers; /* NULL behind the last */
	size_t tag_count, layer_count;
};
struct docker_list {
	struct docker_image *at;
	size_t count;
};
int docker_list_parse(struct co_span text, struct docker_list *out, struct co_err *err);
void docker_list_done(struct docker_list *l);

/* Does a program for that platform run here?  want: "linux/amd64" or "linux/arm/v7". */
bool platform_is(const char *want, const char *os, const char *architecture,
		 const char *variant);

#endif
