/* SPDX-License-Identifier: MIT */
/* The index of images.  HOST. */
#include "lib/image_index.h"

#include <co/limits.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- freeing and copying ---- */

void co_image_record_done(struct co_image_record *r)
{
	for (size_t i = 0; i < r->name_count; i++)
		free(r->names[i]);
	free(r->names);
	free(r->layers);
	free(r->config);
	*r = (struct co_image_record){ 0 };
}

void co_image_index_done(struct co_image_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		co_image_record_done(&index->at[i]);
	free(index->at);
	*index = (struct co_image_index){ 0 };
}

static int add_name(struct co_image_record *r, char *name)
{
	char **names =
		name ? realloc(r->names, (r->name_count + 2) * sizeof(char *)) : NULL;

	if (!names) {
		free(name);
		return CO_NO_MEMORY;
	}
	r->names = names;
	names[r->name_count++] = name;
	names[r->name_count] = NULL;
	return 0;
}

int co_image_record_copy(const struct co_image_record *from,
			 struct co_image_record *out)
{
	*out = *from;
	out->names = calloc(1, sizeof(char *));
	out->name_count = 0;
	out->layers = calloc(from->layer_count + 1, sizeof(*out->layers));
	out->config = strdup(from->config ? from->config : "{}");
	for (size_t i = 0; out->names && i < from->name_count; i++)
		if (add_name(out, strdup(from->names[i])))
			break;
	if (!out->names || !out->layers || !out->config ||
	    out->name_count < from->name_count) {
		co_image_record_done(out);
		return CO_NO_MEMORY;
	}
	if (from->layer_count)
		memcpy(out->layers, from->layers,
		       from->layer_count * sizeof(*out->layers));
	return 0;
}

/* ---- reading ---- */

static int corrupt(struct co_err *err, const char *what)
{
	return co_fail(err, CO_CORRUPT,
		       "the index of images is damaged: %s; move index.json away and "
		       "import the images again",
		       what);
}

static bool text_into(struct co_span object, const char *name, char *out, size_t room)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	if (!co_json_member(object, name, &value) || co_json_unescape(value, &text) ||
	    text.failed || text.size >= room)
		return false;
	if (text.size)
		memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return true;
}

static bool number_into(struct co_span object, const char *name, uint64_t *out)
{
	struct co_span value;
	int64_t number;

	if (!co_json_member(object, name, &value) || !co_json_whole(value, &number) ||
	    number < 0)
		return false;
	*out = (uint64_t) number;
	return true;
}

static bool read_layer(struct co_span json, struct co_image_layer *out)
{
	struct co_span digits;

	return text_into(json, "chain", out->chain, sizeof(out->chain)) &&
	       strlen(out->chain) == 64 &&
	       co_image_id_digits(co_span(out->chain), &digits) &&
	       text_into(json, "diff", out->diff, sizeof(out->diff)) &&
	       co_image_is_digest(co_span(out->diff)) &&
	       text_into(json, "digest", out->digest, sizeof(out->digest)) &&
	       co_image_is_digest(co_span(out->digest)) &&
	       text_into(json, "mediaType", out->media_type, sizeof(out->media_type)) &&
	       number_into(json, "blobSize", &out->blob_size) &&
	       number_into(json, "size", &out->size);
}

static bool read_layers(struct co_span json, struct co_image_record *out)
{
	struct co_span array, value, name;
	struct co_json_walk walk;
	size_t n = 0;

	if (!co_json_member(json, "layers", &array) ||
	    co_json_kind(array) != CO_JSON_ARRAY)
		return false;
	walk = co_json_walk(array);
	while (co_json_next(&walk, &name, &value))
		n++;
	if (n > CO_LIMIT_IMAGE_LAYERS)
		return false;
	out->layers = calloc(n + 1, sizeof(*out->layers));
	walk = co_json_walk(array);
	while (out->layers && co_json_next(&walk, &name, &value))
		if (!read_layer(value, &out->layers[out->layer_count++]))
			return false;
	return out->layers != NULL;
}

static bool read_names(struct co_span json, struct co_image_record *out)
{
	struct co_span array, value, name;
	struct co_json_walk walk;

	out->names = calloc(1, sizeof(char *));
	if (!out->names || !co_json_member(json, "names", &array) ||
	    co_json_kind(array) != CO_JSON_ARRAY)
		return false;
	walk = co_json_walk(array);
	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf text = { 0 };
		char full[CO_IMAGE_NAME_SIZE];

		if (co_json_unescape(value, &text) || text.failed ||
		    co_image_name((struct co_span){ text.data, text.size }, full,
				  NULL) ||
		    add_name(out, strdup(full)))
			return false;
	}
	return true;
}

static bool read_record(struct co_span json, struct co_image_record *out)
{
	struct co_span value;

	if (!text_into(json, "id", out->id, sizeof(out->id)) ||
	    !co_image_is_digest(co_span(out->id)) || !read_names(json, out) ||
	    !text_into(json, "os", out->os, sizeof(out->os)) ||
	    !text_into(json, "architecture", out->architecture,
		       sizeof(out->architecture)) ||
	    !number_into(json, "created", &out->created_ms) ||
	    !number_into(json, "imported", &out->imported_ms) ||
	    !number_into(json, "size", &out->size) || !read_layers(json, out) ||
	    !co_json_member(json, "config", &value) ||
	    co_json_kind(value) != CO_JSON_OBJECT)
		return false;
	out->config = strndup(value.data, value.size);
	out->squashed =
		co_json_member(json, "squashed", &value) && co_span_is(value, "true");
	return out->config != NULL;
}

int co_image_index_parse(struct co_span text, struct co_image_index *out,
			 struct co_err *err)
{
	struct co_image_index index = { 0 };
	struct co_span root, images, value, name;
	struct co_json_fault fault;
	struct co_json_walk walk;
	size_t n = 0;

	*out = index;
	if (!text.size)
		return 0;
	if (co_json_check(text, &root, &fault))
		return corrupt(err, fault.what);
	if (!co_json_member(root, "images", &images) ||
	    co_json_kind(images) != CO_JSON_ARRAY)
		return corrupt(err, "it has no images");
	walk = co_json_walk(images);
	while (co_json_next(&walk, &name, &value))
		n++;
	if (n > CO_LIMIT_IMAGES)
		return corrupt(err, "it has too many images");
	index.at = calloc(n + 1, sizeof(*index.at));
	if (!index.at)
		return co_fail(err, CO_NO_MEMORY, "no memory for the index of images");
	walk = co_json_walk(images);
	while (co_json_next(&walk, &name, &value))
		if (!read_record(value, &index.at[index.count++])) {
			co_image_index_done(&index);
			return corrupt(err, "a record is not complete");
		}
	*out = index;
	return 0;
}

/* ---- writing ---- */

static void write_layers(const struct co_image_record *r, struct co_buf *out)
{
	co_buf_text(out, ",\"layers\":[");
	for (size_t i = 0; i < r->layer_count; i++) {
		const struct co_image_layer *l = &r->layers[i];

		co_buf_format(out, "%s{\"chain\":\"%s\",\"diff\":\"%s\",", i ? "," : "",
			      l->chain, l->diff);
		co_buf_format(out, "\"digest\":\"%s\",\"mediaType\":", l->digest);
		co_buf_json_text(out, co_span(l->media_type));
		co_buf_format(out, ",\"blobSize\":%llu,\"size\":%llu}",
			      (unsigned long long) l->blob_size,
			      (unsigned long long) l->size);
	}
	co_buf_char(out, ']');
}

static void write_time(struct co_buf *out, uint64_t ms, bool as_text)
{
	if (as_text)
		co_buf_json_time(out, ms);
	else
		co_buf_u64(out, ms);
}

static void write_record(const struct co_image_record *r, bool as_text,
			 struct co_buf *out)
{
	co_buf_format(out, "{\"id\":\"%s\",\"names\":[", r->id);
	for (size_t i = 0; i < r->name_count; i++) {
		if (i)
			co_buf_char(out, ',');
		co_buf_json_text(out, co_span(r->names[i]));
	}
	co_buf_text(out, "],\"os\":");
	co_buf_json_text(out, co_span(r->os));
	co_buf_text(out, ",\"architecture\":");
	co_buf_json_text(out, co_span(r->architecture));
	co_buf_text(out, ",\"created\":");
	write_time(out, r->created_ms, as_text);
	co_buf_text(out, ",\"imported\":");
	write_time(out, r->imported_ms, as_text);
	co_buf_format(out, ",\"size\":%llu,\"squashed\":%s",
		      (unsigned long long) r->size, r->squashed ? "true" : "false");
	write_layers(r, out);
	co_buf_text(out, ",\"config\":");
	co_buf_text(out, r->config ? r->config : "{}");
	co_buf_char(out, '}');
}

void co_image_record_json(const struct co_image_record *record, struct co_buf *out)
{
	write_record(record, true, out);
}

void co_image_index_write(const struct co_image_index *index, struct co_buf *out)
{
	co_buf_text(out, "{\"version\":1,\"images\":[");
	for (size_t i = 0; i < index->count; i++) {
		co_buf_text(out, i ? ",\n" : "\n");
		write_record(&index->at[i], false, out);
	}
	co_buf_text(out, "]}\n");
}

/* ---- looking and changing ---- */

static bool has_name(const struct co_image_record *r, const char *name)
{
	for (size_t i = 0; i < r->name_count; i++)
		if (strcmp(r->names[i], name) == 0)
			return true;
	return false;
}

static int find_by_id(const struct co_image_index *index, struct co_span digits,
		      size_t *out, struct co_err *err)
{
	size_t found = 0;

	for (size_t i = 0; i < index->count; i++)
		if (strncmp(index->at[i].id + strlen("sha256:"), digits.data,
			    digits.size) == 0) {
			found++;
			*out = i;
		}
	if (found > 1)
		return co_fail(err, CO_INVALID,
			       "%zu images have ids that begin with %.*s: say more of "
			       "it",
			       found, (int) digits.size, digits.data);
	return found ? 0 : CO_NOT_FOUND;
}

int co_image_index_find(const struct co_image_index *index, struct co_span text,
			size_t *out, struct co_err *err)
{
	char name[CO_IMAGE_NAME_SIZE];
	struct co_span digits;
	int r = co_image_is_digest(text) ? 0 : co_image_name(text, name, err);

	if (r)
		return r;
	for (size_t i = 0; !co_image_is_digest(text) && i < index->count; i++)
		if (has_name(&index->at[i], name)) {
			*out = i;
			return 0;
		}
	r = co_image_id_digits(text, &digits) ? find_by_id(index, digits, out, err)
					      : CO_NOT_FOUND;
	if (r == CO_NOT_FOUND)
		return co_fail(err, CO_NOT_FOUND,
			       "there is no image %.*s; `cloudosctl image import FILE` "
			       "adds images, `cloudosctl image create-busybox` makes a "
			       "small one",
			       (int) text.size, text.data);
	return r;
}

void co_image_index_unname(struct co_image_index *index, const char *name)
{
	for (size_t i = 0; i < index->count; i++) {
		struct co_image_record *r = &index->at[i];
		size_t kept = 0;

		for (size_t k = 0; k < r->name_count; k++)
			if (strcmp(r->names[k], name) == 0)
				free(r->names[k]);
			else
				r->names[kept++] = r->names[k];
		r->name_count = kept;
		if (r->names)
			r->names[kept] = NULL;
	}
}

int co_image_index_name(struct co_image_index *index, size_t at, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return CO_NO_MEMORY;
	co_image_index_unname(index, name);
	return add_name(&index->at[at], copy);
}

int co_image_index_add(struct co_image_index *index,
		       const struct co_image_record *record, struct co_err *err)
{
	struct co_image_record copy, *at;
	int r;

	for (size_t i = 0; i < record->name_count; i++)
		co_image_index_unname(index, record->names[i]);
	for (size_t i = 0; i < index->count; i++) {
		if (strcmp(index->at[i].id, record->id) != 0)
			continue;
		for (size_t k = 0; k < record->name_count; k++)
			if (add_name(&index->at[i], strdup(record->names[k])))
				return co_fail(err, CO_NO_MEMORY,
					       "no memory for a name");
		return 0;
	}
	if (index->count >= CO_LIMIT_IMAGES)
		return co_fail(err, CO_TABLE_FULL,
			       "there are %zu images already: remove some",
			       index->count);
	r = co_image_record_copy(record, &copy);
	at = r ? NULL : realloc(index->at, (index->count + 1) * sizeof(*at));
	if (!at) {
		if (!r)
			co_image_record_done(&copy);
		return co_fail(err, CO_NO_MEMORY, "no memory for the index of images");
	}
	index->at = at;
	at[index->count++] = copy;
	return 0;
}

void co_image_index_remove(struct co_image_index *index, size_t at)
{
	co_image_record_done(&index->at[at]);
	memmove(&index->at[at], &index->at[at + 1],
		(index->count - at - 1) * sizeof(*index->at));
	index->count--;
}
