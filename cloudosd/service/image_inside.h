/* SPDX-License-Identifier: MIT */
/* Shared by the files of image.h.  HOST. */
#ifndef CO_SERVICE_IMAGE_INSIDE_H
#define CO_SERVICE_IMAGE_INSIDE_H

#include <uthash.h>

#include "cloudosd/service/image.h"
#include "lib/image_index.h"

/* A record of the index, ready for use. */
struct image_entry {
	struct image image;
	char **lists[6]; /* what image's lists are */
	char *texts[3];
	struct co_buf json;
	bool leaving; /* a request that removes it has begun: it is not found any more */
};

struct image_use {
	char id[CO_IMAGE_ID_SIZE];
	unsigned count;
	UT_hash_handle hh;
};

enum image_kind {
	IMAGE_IMPORT,
	IMAGE_COMMIT,
	IMAGE_TAG,
	IMAGE_REMOVE,
	IMAGE_PRUNE,
	IMAGE_EXPORT
};

enum { IMAGE_ARGUMENTS = 24 };

struct images_request {
	struct images *images;
	enum image_kind kind;
	char *argv[IMAGE_ARGUMENTS]; /* behind --store FOLDER */
	size_t argc;
	char *name, *tag; /* for events */
	struct images_listener listener;
	bool forgotten, ended;
	struct co_buf line, result;
	int status;
	char reason[512];
	struct images_request *next;
};

struct images {
	struct images_options options;
	char *program, *folder;
	struct co_image_index index;
	struct image_entry *entries; /* one for each record, in that order */
	struct image_use *uses;
	struct images_request *queue; /* the first one is under way */
	size_t queued;
	struct spawned *running;
	char **in_use; /* what its arguments are made of */
	bool loaded;
};

/* Begins the first of the queue if none is under way. */
void images_next_request(struct images *images);

#endif
