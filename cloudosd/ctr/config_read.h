/* SPDX-License-Identifier: MIT */
/*
 * Members of a JSON text into members of a struct, by tables.  HOST.
 *
 * Everything that is read is kept in one heap of pieces, so that what was read halfway can
 * be thrown away without knowing how far it came.  Whatever does not fit is refused with
 * the path of the member ("linux.resources.pids.limit is not a whole number").
 */
#ifndef CTR_CONFIG_READ_H
#define CTR_CONFIG_READ_H

#include "cloudosd/ctr/config.h"

struct ctr_piece;

struct ctr_heap {
	struct ctr_piece *last;
};

/* Zeroed; NULL: no memory.  Freed all together. */
void *ctr_heap_get(struct ctr_heap *h, size_t count, size_t size);
char *ctr_heap_text(struct ctr_heap *h, const char *text, size_t size);
void ctr_heap_done(struct ctr_heap *h);

struct ctr_read {
	struct ctr_heap *heap;
	struct co_err *err;
	char path[160]; /* of the member that is being read */
	size_t length;
};

/* Stores the value in *out, of the type that its table names.  Not called for null. */
typedef int (*ctr_read_fn)(struct ctr_read *r, struct co_span value, void *out);

struct ctr_field {
	const char *name;
	ctr_read_fn read;
	size_t offset;
};

#define CTR_FIELD(type, name, read, member)                                            \
	{                                                                              \
		(name), (read), offsetof(type, member)                                 \
	}

/* CO_INVALID: "<path> <what>". */
int ctr_read_fail(struct ctr_read *r, const char *what);

/* Enters the member `name` of the path, or [index]; leave with what enter returned. */
size_t ctr_read_enter(struct ctr_read *r, const char *name, size_t index);
void ctr_read_leave(struct ctr_read *r, size_t before);

int ctr_read_object(struct ctr_read *r, struct co_span value,
		    const struct ctr_field *fields, size_t count, void *out);
#define CTR_READ_OBJECT(r, value, fields, out)                                         \
	ctr_read_object(r, value, fields, co_countof(fields), out)

/* An array of things of `size` bytes, each read by `read`. */
struct ctr_list {
	void *at;
	size_t count;
};
int ctr_read_list(struct ctr_read *r, struct co_span value, size_t size,
		  ctr_read_fn read, struct ctr_list *out);

int ctr_read_text(struct ctr_read *r, struct co_span value, void *out);  /* char * */
int ctr_read_bool(struct ctr_read *r, struct co_span value, void *out);  /* bool */
int ctr_read_i64(struct ctr_read *r, struct co_span value, void *out);   /* int64_t */
int ctr_read_u64(struct ctr_read *r, struct co_span value, void *out);   /* uint64_t */
int ctr_read_u32(struct ctr_read *r, struct co_span value, void *out);   /* uint32_t */
int ctr_read_u16(struct ctr_read *r, struct co_span value, void *out);   /* uint16_t */
int ctr_read_int(struct ctr_read *r, struct co_span value, void *out);   /* int */
int ctr_read_texts(struct ctr_read *r, struct co_span value, void *out); /* ctr_texts */
int ctr_read_pairs(struct ctr_read *r, struct co_span value, void *out); /* ctr_pairs */
int ctr_read_raw(struct ctr_read *r, struct co_span value, void *out);   /* co_span */

/* A word of a list: its number. */
struct ctr_word {
	const char *name;
	int value;
};
int ctr_read_word(struct ctr_read *r, struct co_span value,
		  const struct ctr_word *words, size_t count, int *out);

/* The parts of config.json that have files of their own. */
int ctr_read_process(struct ctr_read *r, struct co_span value, void *out);
int ctr_read_linux(struct ctr_read *r, struct co_span value, void *out);
int ctr_read_id_maps(struct ctr_read *r, struct co_span value, void *out);
void ctr_resources_unset(struct ctr_resources *r);

#endif
