/* SPDX-License-Identifier: MIT */
/* Commands about images that are there: names, lists, removal, verification.  HOST. */
#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/import.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

int command_import(struct depot *d, const struct options *o, char **argv, int argc,
		   struct co_err *err)
{
	struct import i = { .depot = d,
			    .path = argv[0],
			    .name = o->name,
			    .platform = o->platform,
			    .layers = o->layers };
	char full[CO_IMAGE_NAME_SIZE];
	autobuf struct co_buf members = { 0 };
	int r = o->name ? co_image_name(co_span(o->name), full, err) : 0;

	(void) argc;
	if (!r)
		r = import_any(&i, err);
	if (!r) {
		co_buf_text(&members, "\"images\":[");
		co_buf_add(&members, i.result.data, i.result.size);
		co_buf_char(&members, ']');
		r = report_done(&members);
	}
	co_buf_done(&i.result);
	return r;
}

/* ---- lists ---- */

int command_ls(struct depot *d, const struct options *o, char **argv, int argc,
	       struct co_err *err)
{
	autobuf struct co_buf members = { 0 };

	(void) o;
	(void) argv;
	(void) argc;
	(void) err;
	co_buf_text(&members, "\"images\":[");
	for (size_t i = 0; i < d->index.count; i++) {
		if (i)
			co_buf_char(&members, ',');
		co_image_record_json(&d->index.at[i], &members);
	}
	co_buf_char(&members, ']');
	return report_done(&members);
}

static int add_configuration(struct depot *d, const struct co_image_record *r,
			     struct co_buf *out, struct co_err *err)
{
	autoclose int fd = -1;
	struct digest id;
	struct stat st;
	char *room;
	int status = digest_parse(co_span(r->id), &id, err);

	if (!status)
		status = depot_blob_open(d, &id, &fd, err);
	if (status)
		return status;
	if (fstat(fd, &st) || st.st_size > CO_LIMIT_IMAGE_JSON)
		return co_fail(err, CO_CORRUPT, "the configuration %s is damaged",
			       id.text);
	room = co_buf_room(out, (size_t) st.st_size);
	if (!room || read(fd, room, (size_t) st.st_size) != st.st_size)
		return co_fail(err, CO_IO, "cannot read the configuration %s", id.text);
	/* it may have lines, and what is said is one */
	for (off_t i = 0; i < st.st_size; i++)
		if (room[i] == '\n' || room[i] == '\r')
			room[i] = ' ';
	co_buf_wrote(out, (size_t) st.st_size);
	return 0;
}

static int add_layers(struct depot *d, const struct co_image_record *r,
		      struct co_buf *out, struct co_err *err)
{
	int status = 0;

	for (size_t i = 0; !status && i < r->layer_count; i++) {
		struct layer_facts f;

		status = depot_layer_facts(d, r->layers[i].chain, &f, err);
		co_buf_format(out, "%s{\"path\":", i ? "," : "");
		if (!status) {
			char path[PATH_MAX];

			status = layer_path(d, r->layers[i].chain, path, err);
			co_buf_json_text(out, co_span(path));
		}
		co_buf_format(
			out,
			",\"bytes\":%llu,\"entries\":%llu,\"devicesLeftOut\":%llu,"
			"\"setuid\":%llu,\"attributesLeftOut\":%llu}",
			(unsigned long long) f.bytes, (unsigned long long) f.entries,
			(unsigned long long) f.devices, (unsigned long long) f.setuid,
			(unsigned long long) f.attributes);
	}
	return status;
}

int command_inspect(struct depot *d, const struct options *o, char **argv, int argc,
		    struct co_err *err)
{
	autobuf struct co_buf members = { 0 };
	size_t at;
	int r = co_image_index_find(&d->index, co_span(argv[0]), &at, err);

	(void) o;
	(void) argc;
	if (r)
		return r;
	co_buf_text(&members, "\"image\":");
	co_image_record_json(&d->index.at[at], &members);
	co_buf_text(&members, ",\"unpacked\":[");
	r = add_layers(d, &d->index.at[at], &members, err);
	co_buf_text(&members, "],\"configuration\":");
	if (!r)
		r = add_configuration(d, &d->index.at[at], &members, err);
	return r ? r : report_done(&members);
}

/* ---- names ---- */

int command_tag(struct depot *d, const struct options *o, char **argv, int argc,
		struct co_err *err)
{
	autobuf struct co_buf members = { 0 };
	char name[CO_IMAGE_NAME_SIZE];
	size_t at;
	int r = co_image_index_find(&d->index, co_span(argv[0]), &at, err);

	(void) o;
	(void) argc;
	if (!r)
		r = co_image_name(co_span(argv[1]), name, err);
	if (!r)
		r = co_image_index_name(&d->index, at, name);
	if (!r)
		r = depot_save(d, err);
	if (r)
		return r;
	co_buf_text(&members, "\"image\":");
	co_image_record_json(&d->index.at[at], &members);
	return report_done(&members);
}

/* ---- removal ---- */

static bool in_use(const struct options *o, const char *id)
{
	for (const char *const *k = o->kept; *k; k++)
		if (strcmp(*k, id) == 0)
			return true;
	return false;
}

/* By a name: that name; by an id: all of them. */
static int remove_one(struct depot *d, const struct options *o, const char *text,
		      struct co_buf *removed, struct co_err *err)
{
	char name[CO_IMAGE_NAME_SIZE];
	struct co_image_record *record;
	bool by_name = false;
	size_t at;
	int r = co_image_index_find(&d->index, co_span(text), &at, err);

	if (r)
		return r;
	record = &d->index.at[at];
	if (!co_image_is_digest(co_span(text)) &&
	    !co_image_name(co_span(text), name, NULL))
		for (size_t i = 0; i < record->name_count; i++)
			by_name = by_name || strcmp(record->names[i], name) == 0;
	if (by_name && record->name_count > 1) {
		co_image_index_unname(&d->index, name);
		return 0;
	}
	if (in_use(o, record->id))
		return co_fail(err, CO_BUSY,
			       "the image %s is used by a container: remove that first",
			       text);
	co_buf_format(removed, "%s\"%s\"", removed->size ? "," : "", record->id);
	co_image_index_remove(&d->index, at);
	return 0;
}

static int sweep_and_tell(struct depot *d, const struct co_buf *removed,
			  struct co_err *err)
{
	autobuf struct co_buf members = { 0 };
	uint64_t freed = 0;
	/* what is not in the index any more is nothing: only now may it go */
	int r = depot_save(d, err);

	if (!r)
		r = depot_sweep(d, &freed, err);
	if (r)
		return r;
	co_buf_text(&members, "\"removed\":[");
	co_buf_add(&members, removed->data, removed->size);
	co_buf_format(&members, "],\"freed\":%llu", (unsigned long long) freed);
	return report_done(&members);
}

int command_rm(struct depot *d, const struct options *o, char **argv, int argc,
	       struct co_err *err)
{
	autobuf struct co_buf removed = { 0 };
	int r = 0;

	for (int i = 0; !r && i < argc; i++)
		r = remove_one(d, o, argv[i], &removed, err);
	return r ? r : sweep_and_tell(d, &removed, err);
}

int command_prune(struct depot *d, const struct options *o, char **argv, int argc,
		  struct co_err *err)
{
	autobuf struct co_buf removed = { 0 };

	(void) argv;
	(void) argc;
	for (size_t i = d->index.count; i > 0; i--) {
		const struct co_image_record *r = &d->index.at[i - 1];

		if (r->name_count || in_use(o, r->id))
			continue;
		co_buf_format(&removed, "%s\"%s\"", removed.size ? "," : "", r->id);
		co_image_index_remove(&d->index, i - 1);
	}
	return sweep_and_tell(d, &removed, err);
}

/* ---- verification ---- */

static int verify_blob(struct depot *d, const char *text, bool *out_good,
		       struct co_err *err)
{
	struct digest want, is;
	autoclose int fd = -1;
	uint64_t size;
	int r = digest_parse(co_span(text), &want, err);

	*out_good = false;
	if (r)
		return r;
	if (depot_blob_open(d, &want, &fd, NULL))
		return 0;
	r = digest_stream(fd, -1, UINT64_MAX, text, &is, &size, err);
	*out_good = !r && digest_equal(&want, &is);
	return r == CO_IO ? 0 : r;
}

static void bad(struct co_buf *out, const char *what)
{
	co_buf_format(out, "%s\"%s\"", out->size ? "," : "", what);
}

int command_verify(struct depot *d, const struct options *o, char **argv, int argc,
		   struct co_err *err)
{
	autobuf struct co_buf damaged = { 0 };
	autobuf struct co_buf members = { 0 };
	uint64_t blobs = 0;
	bool good;
	int r = 0;

	(void) o;
	(void) argv;
	(void) argc;
	for (size_t i = 0; !r && i < d->index.count; i++) {
		const struct co_image_record *image = &d->index.at[i];

		r = verify_blob(d, image->id, &good, err);
		blobs++;
		if (!good)
			bad(&damaged, image->id);
		for (size_t k = 0; !r && k < image->layer_count; k++, blobs++) {
			r = verify_blob(d, image->layers[k].digest, &good, err);
			if (!good)
				bad(&damaged, image->layers[k].digest);
			if (!depot_has_layer(d, image->layers[k].chain))
				bad(&damaged, image->layers[k].chain);
		}
	}
	if (r)
		return r;
	co_buf_format(&members, "\"blobs\":%llu,\"damaged\":[",
		      (unsigned long long) blobs);
	co_buf_add(&members, damaged.data, damaged.size);
	co_buf_char(&members, ']');
	r = report_done(&members);
	return damaged.size
		       ? co_fail(err, CO_CORRUPT,
				 "damaged or missing: remove these images and import "
				 "them again")
		       : r;
}
