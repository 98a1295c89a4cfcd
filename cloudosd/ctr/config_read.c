/* SPDX-License-Identifier: MIT */
/* Members of a JSON text into members of a struct, by tables.  HOST. */
#include "cloudosd/ctr/config_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- the heap ---- */

struct ctr_piece {
	struct ctr_piece *before;
	_Alignas(16) char bytes[];
};

void *ctr_heap_get(struct ctr_heap *h, size_t count, size_t size)
{
	struct ctr_piece *p;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	p = calloc(1, sizeof(*p) + bytes + 1);
	if (!p)
		return NULL;
	p->before = h->last;
	h->last = p;
	return p->bytes;
}

char *ctr_heap_text(struct ctr_heap *h, const char *text, size_t size)
{
	char *copy = ctr_heap_get(h, size + 1, 1);

	if (copy && size)
		memcpy(copy, text, size);
	return copy;
}

void ctr_heap_done(struct ctr_heap *h)
{
	while (h->last) {
		struct ctr_piece *p = h->last;

		h->last = p->before;
		free(p);
	}
}

/* ---- paths and failures ---- */

int ctr_read_fail(struct ctr_read *r, const char *what)
{
	return co_fail(r->err, CO_INVALID, "%s %s",
		       r->length ? r->path : "the configuration", what);
}

static int no_memory(struct ctr_read *r)
{
	return co_fail(r->err, CO_NO_MEMORY, "%s: out of memory", r->path);
}

size_t ctr_read_enter(struct ctr_read *r, const char *name, size_t index)
{
	size_t before = r->length, room = sizeof(r->path) - before;
	int n;

	if (name)
		n = snprintf(r->path + before, room, "%s%s", before ? "." : "", name);
	else
		n = snprintf(r->path + before, room, "[%zu]", index);
	if (n > 0)
		r->length = before + ((size_t) n < room ? (size_t) n : room - 1);
	return before;
}

void ctr_read_leave(struct ctr_read *r, size_t before)
{
	r->length = before;
	r->path[before] = '\0';
}

/* ---- objects and lists ---- */

int ctr_read_object(struct ctr_read *r, struct co_span value,
		    const struct ctr_field *fields, size_t count, void *out)
{
	if (co_json_kind(value) != CO_JSON_OBJECT)
		return ctr_read_fail(r, "is not an object");
	for (size_t i = 0; i < count; i++) {
		struct co_span member;
		size_t before;
		int rc;

		if (!co_json_member(value, fields[i].name, &member) ||
		    co_json_kind(member) == CO_JSON_NULL)
			continue;
		before = ctr_read_enter(r, fields[i].name, 0);
		rc = fields[i].read(r, member, (char *) out + fields[i].offset);
		if (rc < 0)
			return rc;
		ctr_read_leave(r, before);
	}
	return 0;
}

static size_t list_length(struct co_span value)
{
	struct co_json_walk w = co_json_walk(value);
	struct co_span name, element;
	size_t n = 0;

	while (co_json_next(&w, &name, &element))
		n++;
	return n;
}

int ctr_read_list(struct ctr_read *r, struct co_span value, size_t size,
		  ctr_read_fn read, struct ctr_list *out)
{
	struct co_json_walk w;
	struct co_span name, element;
	char *at;
	size_t i = 0;

	if (co_json_kind(value) != CO_JSON_ARRAY)
		return ctr_read_fail(r, "is not an array");
	at = ctr_heap_get(r->heap, list_length(value) + 1, size);
	if (!at)
		return no_memory(r);
	w = co_json_walk(value);
	while (co_json_next(&w, &name, &element)) {
		size_t before = ctr_read_enter(r, NULL, i);
		int rc = read(r, element, at + i * size);

		if (rc < 0)
			return rc;
		ctr_read_leave(r, before);
		i++;
	}
	out->at = at;
	out->count = i;
	return 0;
}

/* ---- values ---- */

int ctr_read_text(struct ctr_read *r, struct co_span value, void *out)
{
	autobuf struct co_buf text = { 0 };
	int rc;

	if (co_json_kind(value) != CO_JSON_STRING)
		return ctr_read_fail(r, "is not a string");
	rc = co_json_unescape(value, &text);
	if (rc == CO_INVALID)
		return ctr_read_fail(r, "has a NUL or half of a surrogate pair in it");
	if (rc < 0 || text.failed)
		return no_memory(r);
	*(char **) out = ctr_heap_text(r->heap, text.data, text.size);
	return *(char **) out ? 0 : no_memory(r);
}

int ctr_read_bool(struct ctr_read *r, struct co_span value, void *out)
{
	if (co_json_kind(value) != CO_JSON_BOOL)
		return ctr_read_fail(r, "is neither true nor false");
	*(bool *) out = value.data[0] == 't';
	return 0;
}

static int whole(struct ctr_read *r, struct co_span value, int64_t low, int64_t high,
		 int64_t *out)
{
	int64_t n;

	if (co_json_kind(value) != CO_JSON_NUMBER || !co_json_whole(value, &n))
		return ctr_read_fail(r, "is not a whole number");
	if (n < low || n > high)
		return co_fail(r->err, CO_INVALID, "%s is not between %lld and %lld",
			       r->path, (long long) low, (long long) high);
	*out = n;
	return 0;
}

int ctr_read_i64(struct ctr_read *r, struct co_span value, void *out)
{
	return whole(r, value, INT64_MIN + 1, INT64_MAX, out);
}

/* Up to 2^64-1, which RLIM_INFINITY is. */
int ctr_read_u64(struct ctr_read *r, struct co_span value, void *out)
{
	uint64_t n = 0;
	int64_t small;
	int rc;

	if (value.size >= 19 && value.size <= 20 &&
	    co_json_kind(value) == CO_JSON_NUMBER) {
		size_t i = 0;

		for (; i < value.size; i++) {
			unsigned int digit = (unsigned int) (value.data[i] - '0');

			if (digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
			    __builtin_add_overflow(n, digit, &n))
				break;
		}
		if (i == value.size) {
			*(uint64_t *) out = n;
			return 0;
		}
	}
	rc = whole(r, value, 0, INT64_MAX, &small);
	if (rc == 0)
		*(uint64_t *) out = (uint64_t) small;
	return rc;
}

int ctr_read_u32(struct ctr_read *r, struct co_span value, void *out)
{
	int64_t n;
	int rc = whole(r, value, 0, UINT32_MAX, &n);

	if (rc == 0)
		*(uint32_t *) out = (uint32_t) n;
	return rc;
}

int ctr_read_u16(struct ctr_read *r, struct co_span value, void *out)
{
	int64_t n;
	int rc = whole(r, value, 0, UINT16_MAX, &n);

	if (rc == 0)
		*(uint16_t *) out = (uint16_t) n;
	return rc;
}

int ctr_read_int(struct ctr_read *r, struct co_span value, void *out)
{
	int64_t n;
	int rc = whole(r, value, INT32_MIN, INT32_MAX, &n);

	if (rc == 0)
		*(int *) out = (int) n;
	return rc;
}

int ctr_read_texts(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_texts *texts = out;
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(char *), ctr_read_text, &list);

	if (rc == 0)
		*texts = (struct ctr_texts){ .at = list.at, .count = list.count };
	return rc;
}

static int read_pair(struct ctr_read *r, struct co_span name, struct co_span value,
		     struct ctr_pair *out)
{
	size_t before;
	int rc = ctr_read_text(r, name, &out->name);

	if (rc < 0)
		return rc;
	before = ctr_read_enter(r, out->name, 0);
	rc = ctr_read_text(r, value, &out->value);
	if (rc == 0)
		ctr_read_leave(r, before);
	return rc;
}

int ctr_read_pairs(struct ctr_read *r, struct co_span value, void *out)
{
	struct co_json_walk w;
	struct co_span name, element;
	struct ctr_pairs *pairs = out;
	struct ctr_pair *at;
	size_t n = 0;

	if (co_json_kind(value) != CO_JSON_OBJECT)
		return ctr_read_fail(r, "is not an object");
	at = ctr_heap_get(r->heap, list_length(value) + 1, sizeof(*at));
	if (!at)
		return no_memory(r);
	w = co_json_walk(value);
	while (co_json_next(&w, &name, &element)) {
		int rc = read_pair(r, name, element, &at[n++]);

		if (rc < 0)
			return rc;
	}
	*pairs = (struct ctr_pairs){ .at = at, .count = n };
	return 0;
}

int ctr_read_raw(struct ctr_read *r, struct co_span value, void *out)
{
	if (co_json_kind(value) != CO_JSON_OBJECT)
		return ctr_read_fail(r, "is not an object");
	*(struct co_span *) out = value;
	return 0;
}

int ctr_read_word(struct ctr_read *r, struct co_span value,
		  const struct ctr_word *words, size_t count, int *out)
{
	if (co_json_kind(value) != CO_JSON_STRING)
		return ctr_read_fail(r, "is not a string");
	for (size_t i = 0; i < count; i++)
		if (co_json_string_is(value, words[i].name)) {
			*out = words[i].value;
			return 0;
		}
	return co_fail(r->err, CO_INVALID, "%s is %.*s, which is none of its words",
		       r->path, (int) (value.size < 60 ? value.size : 60), value.data);
}
