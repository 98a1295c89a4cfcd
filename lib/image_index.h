/* SPDX-License-Identifier: MIT */
/*
 * The index of images: one file beside their layers, index.json.  HOST.
 * Written by cloudos-image, read by it and by the service of images.
 *
 *	{"version":1,"images":[{"id":"sha256:...","names":["busybox:latest"],"os":"linux",
 *	 "architecture":"amd64","created":ms,"imported":ms,"size":bytes,"squashed":false,
 *	 "layers":[{"chain":HEX,"diff":"sha256:...","digest":"sha256:...","mediaType":"...",
 *	 "blobSize":bytes,"size":bytes}],"config":{...}}]}
 *
 * Layers are in the order in which they lie upon each other, the lowest first.
 */
#ifndef CO_IMAGE_INDEX_H
#define CO_IMAGE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/image_name.h"
#include "lib/span.h"

struct co_image_layer {
	char chain[65];                /* the name of its folder: layers/CHAIN/fs */
	char diff[CO_IMAGE_ID_SIZE];   /* digest of the tar archive itself */
	char digest[CO_IMAGE_ID_SIZE]; /* of the blob, which may be compressed */
	char media_type[96];
	uint64_t blob_size, size;
};

struct co_image_record {
	char id[CO_IMAGE_ID_SIZE]; /* digest of the configuration, a blob */
	char **names;              /* NULL behind the last */
	size_t name_count;
	char os[32], architecture[32];
	uint64_t created_ms, imported_ms, size;
	bool squashed;
	struct co_image_layer *layers;
	size_t layer_count;
	char *config; /* JSON object: "config" of the configuration */
};

struct co_image_index {
	struct co_image_record *at;
	size_t count;
};

/* CO_CORRUPT and what is wrong; an empty text is an empty index. */
int co_image_index_parse(struct co_span text, struct co_image_index *out,
			 struct co_err *err);
void co_image_index_done(struct co_image_index *index);

void co_image_index_write(const struct co_image_index *index, struct co_buf *out);

/* A record as users see it: the members of the file, times as text. */
void co_image_record_json(const struct co_image_record *record, struct co_buf *out);

/* Deep copy; CO_NO_MEMORY: out is empty. */
int co_image_record_copy(const struct co_image_record *from,
			 struct co_image_record *out);
void co_image_record_done(struct co_image_record *record);

/*
 * By name, id, or a beginning of an id that is the only one.  CO_NOT_FOUND, CO_INVALID and a
 * sentence.
 */
int co_image_index_find(const struct co_image_index *index, struct co_span text,
			size_t *out, struct co_err *err);

/*
 * Adds the record (copied), or, if its id is there, its names to that one.  A name belongs
 * to the image that got it last.  CO_NO_MEMORY, CO_TABLE_FULL.
 */
int co_image_index_add(struct co_image_index *index,
		       const struct co_image_record *record, struct co_err *err);

/* Gives a name (in full) to the image; CO_NO_MEMORY. */
int co_image_index_name(struct co_image_index *index, size_t at, const char *name);

/* Takes it away from whoever has it. */
void co_image_index_unname(struct co_image_index *index, const char *name);

void co_image_index_remove(struct co_image_index *index, size_t at);

#endif
