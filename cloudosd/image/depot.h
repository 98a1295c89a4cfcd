/* SPDX-License-Identifier: MIT */
/*
 * The folder where images lie.  HOST.
 *
 *	index.json            names and layers (lib/image_index.h), replaced as a whole
 *	lock                  held shared by who reads layers, alone by who changes anything
 *	blobs/sha256/HEX      layers as they came, configurations
 *	layers/CHAIN/fs       an unpacked layer;  layers/CHAIN/layer.json  what it has
 *	tmp/                  what is not finished; whoever has the lock alone empties it
 *
 * What has a final name is complete and on the disk: everything is made under tmp/, synced
 * and renamed.  So whatever ends this program leaves nothing but names in tmp/, and blobs
 * and layers that no image refers to, which prune removes.
 */
#ifndef IMAGE_DEPOT_H
#define IMAGE_DEPOT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/image/digest.h"
#include "lib/err.h"
#include "lib/image_index.h"

struct depot {
	char path[PATH_MAX]; /* from the root */
	int fd, lock;
	unsigned temps;
	bool changes; /* the lock is ours alone */
	struct co_image_index index;
};

enum depot_use { DEPOT_READ, DEPOT_CHANGE };

/* Makes the folder if it changes something; waits for the lock; reads the index. */
int depot_open(struct depot *d, const char *path, enum depot_use use,
	       struct co_err *err);
void depot_close(struct depot *d);

/* Writes the index. */
int depot_save(struct depot *d, struct co_err *err);

/* A new empty file or folder below tmp/; out_name is its name there. */
int depot_temp_file(struct depot *d, char out_name[64], int *out_fd,
		    struct co_err *err);
int depot_temp_folder(struct depot *d, char out_name[64], struct co_err *err);

/* Removes it with all that is in it; failing that it stays until the next one looks. */
void depot_temp_remove(struct depot *d, const char *name);

/* ---- blobs ---- */

bool depot_blob_size(const struct depot *d, const struct digest *digest,
		     uint64_t *out_size);
int depot_blob_open(const struct depot *d, const struct digest *digest, int *out_fd,
		    struct co_err *err);

/* A finished file of tmp/ becomes that blob; it is synced.  The caller has computed it. */
int depot_blob_keep(struct depot *d, const char *temp, int fd,
		    const struct digest *digest, struct co_err *err);

/* Bytes that are at hand. */
int depot_blob_write(struct depot *d, const void *data, size_t n, struct digest *out,
		     struct co_err *err);

/* ---- layers ---- */

bool depot_has_layer(const struct depot *d, const char *chain);

/* A finished folder of tmp/ becomes that layer. */
int depot_layer_keep(struct depot *d, const char *temp, const char *chain,
		     struct co_err *err);

/* What layer.json has. */
struct layer_facts {
	uint64_t bytes, entries, devices, setuid, attributes;
	bool squashed;
};
int depot_layer_facts(const struct depot *d, const char *chain, struct layer_facts *out,
		      struct co_err *err);

/* ---- tidying ---- */

/* Removes blobs and layers that no image of the index refers to. */
int depot_sweep(struct depot *d, uint64_t *out_freed, struct co_err *err);

/* "DEPOT/NAME", for who needs a path. */
int depot_path(const struct depot *d, const char *name, char out[PATH_MAX],
	       struct co_err *err);

#endif
