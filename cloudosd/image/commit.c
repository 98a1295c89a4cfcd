/* SPDX-License-Identifier: MIT */
/* commit: an image, and upon its layers one of what a container has changed.  HOST. */
#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/import.h"
#include "cloudosd/image/pack.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* The upper folder as a blob. */
static int pack_upper(struct depot *d, const struct options *o, const char *upper,
		      struct digest *out, struct co_err *err)
{
	autoclose int root = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pack pack = {
		.what = upper, .gzip = true, .marks = true, .id_shift = o->id_shift
	};
	autoclose int fd = -1;
	uint64_t size;
	char temp[64];
	int r;

	if (root < 0)
		return co_fail_errno(err, errno, "cannot open %s", upper);
	r = depot_temp_file(d, temp, &fd, err);
	pack.fd = fd;
	if (!r)
		r = pack_folder(&pack, root, NULL, err);
	if (!r && lseek(fd, 0, SEEK_SET) < 0)
		r = co_fail_errno(err, errno, "cannot read what was packed");
	if (!r)
		r = digest_stream(fd, -1, o->layers.most_bytes, upper, out, &size, err);
	return r ? r : depot_blob_keep(d, temp, fd, out, err);
}

/* The members of `over` in place of those of `under`; both are objects. */
static int merge(struct co_span under, struct co_span over, struct co_buf *out)
{
	struct co_json_walk walk = co_json_walk(under);
	struct co_span name, value, other;
	bool first = true;

	co_buf_char(out, '{');
	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf plain = { 0 };

		if (co_json_unescape(name, &plain) || plain.failed || !plain.data)
			continue; /* no name that means anything */
		if (co_json_member(over, plain.data, &other))
			continue;
		co_buf_text(out, first ? "" : ",");
		co_buf_span(out, name);
		co_buf_char(out, ':');
		co_buf_span(out, value);
		first = false;
	}
	walk = co_json_walk(over);
	while (co_json_next(&walk, &name, &value)) {
		if (co_json_kind(value) == CO_JSON_NULL)
			continue; /* taken away */
		co_buf_text(out, first ? "" : ",");
		co_buf_span(out, name);
		co_buf_char(out, ':');
		co_buf_span(out, value);
		first = false;
	}
	co_buf_char(out, '}');
	return out->failed ? CO_NO_MEMORY : 0;
}

static int make_config(const struct options *o, const char *under, struct co_buf *out,
		       struct co_err *err)
{
	struct co_span over = co_span("{}");
	struct co_json_fault fault;

	if (o->config && (co_json_check(co_span(o->config), &over, &fault) ||
			  co_json_kind(over) != CO_JSON_OBJECT))
		return co_fail(err, CO_INVALID, "--config is no JSON object");
	return merge(co_span(under), over, out);
}

static int add_layer(struct depot *d, const struct options *o, const char *upper,
		     struct co_image_layer *layers, size_t n, struct co_err *err)
{
	struct layer_want want = {
		.media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
		.below = layers,
		.below_count = n
	};
	struct digest blob;
	int r = pack_upper(d, o, upper, &blob, err);

	want.blob = &blob;
	return r ? r : layer_take(d, &want, &o->layers, &layers[n], err);
}

static int commit(struct depot *d, const struct options *o, char **argv,
		  struct import *i, struct co_err *err)
{
	autobuf struct co_buf config = { 0 };
	autofree struct co_image_layer *layers = NULL;
	struct import_single single = { .made_by = "cloudos-image commit" };
	char name[CO_IMAGE_NAME_SIZE];
	const struct co_image_record *base;
	size_t at, n;
	int r = co_image_index_find(&d->index, co_span(argv[0]), &at, err);

	if (!r)
		r = co_image_name(co_span(argv[2]), name, err);
	if (r)
		return r;
	base = &d->index.at[at];
	n = base->layer_count;
	if (n >= CO_LIMIT_IMAGE_LAYERS)
		return co_fail(err, CO_TOO_BIG, "%s has %zu layers already", argv[0],
			       n);
	layers = calloc(n + 1, sizeof(*layers));
	if (!layers)
		return co_fail(err, CO_NO_MEMORY, "no memory for an image");
	memcpy(layers, base->layers, n * sizeof(*layers));
	r = make_config(o, base->config, &config, err);
	if (!r)
		r = add_layer(d, o, argv[1], layers, n, err);
	if (r)
		return r;
	single.layers = layers;
	single.layer_count = n + 1;
	single.config = config.data;
	single.name = name;
	single.created_ms = (uint64_t) time(NULL) * 1000;
	return import_make(i, &single, err);
}

int command_commit(struct depot *d, const struct options *o, char **argv, int argc,
		   struct co_err *err)
{
	struct import i = { .depot = d, .path = argv[0], .platform = o->platform };
	autobuf struct co_buf members = { 0 };
	int r = commit(d, o, argv, &i, err);

	(void) argc;
	if (!r)
		r = depot_save(d, err);
	if (!r) {
		co_buf_text(&members, "\"images\":[");
		co_buf_add(&members, i.result.data, i.result.size);
		co_buf_char(&members, ']');
		r = report_done(&members);
	}
	co_buf_done(&i.result);
	return r;
}
