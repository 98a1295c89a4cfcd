/* SPDX-License-Identifier: MIT */
/* Layers: from a blob to a folder that can lie in an overlay.  HOST. */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include "cloudosd/image/depot.h"

struct layer_options {
	uint64_t most_bytes, most_entries; /* of one layer */
	bool drop_setuid;
};

struct layer_want {
	const struct digest *blob;
	const char *media_type;
	const struct digest
		*diff; /* what it has to be decompressed; NULL: nobody knows */
	const struct co_image_layer *below; /* those it lies upon, the lowest first */
	size_t below_count;
	bool plain; /* a root file system: names that begin with .wh. are names */
};

/*
 * Unpacks the blob unless that layer is there, verifies it, and says all about it.
 * CO_CORRUPT if it is not what it is said to be.
 */
int layer_take(struct depot *d, const struct layer_want *want,
	       const struct layer_options *options, struct co_image_layer *out,
	       struct co_err *err);

/* Decompresses the blob into fd (-1: nowhere); its digest and size then. */
int layer_plain(struct depot *d, const struct digest *blob, int fd, uint64_t most_bytes,
		struct digest *out_diff, uint64_t *out_size, struct co_err *err);

/* "DEPOT/layers/CHAIN/fs" */
int layer_path(const struct depot *d, const char *chain, char out[PATH_MAX],
	       struct co_err *err);

#endif
