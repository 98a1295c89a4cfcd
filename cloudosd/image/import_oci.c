/* SPDX-License-Identifier: MIT */
/* OCI layouts, as folders and as archives.  HOST. */
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/image/import.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"

enum { DEEPEST = 4, OTHERS = 200 };

/* What is being gone through. */
struct walk {
	struct import *import;
	struct source *source;
	size_t manifests;    /* of all platforms */
	size_t named;        /* for this one */
	char others[OTHERS]; /* platforms that were left out */
};

static void blob_name(const struct digest *d, char out[128])
{
	(void) snprintf(out, 128, "blobs/sha256/%s", digest_hex(d));
}

/* A document, held against its descriptor. */
static int document(struct source *s, const struct descriptor *d, struct co_buf *out,
		    struct co_err *err)
{
	struct digest is;
	char name[128];
	int r;

	blob_name(&d->digest, name);
	r = source_text(s, name, out, err);
	if (r)
		return r;
	digest_of(out->data, out->size, &is);
	if (out->size != d->size || !digest_equal(&is, &d->digest))
		return co_fail(err, CO_CORRUPT,
			       "%s of %.200s is not what it is said to be: %zu bytes "
			       "with the digest %s",
			       name, s->what, out->size, is.text);
	return 0;
}

static int take_layers(struct walk *w, const struct manifest *m,
		       const struct image_config *config, struct co_image_layer *out,
		       struct co_err *err)
{
	for (size_t k = 0; k < m->layers.count; k++) {
		const struct descriptor *d = &m->layers.at[k];
		struct layer_want want = { .blob = &d->digest,
					   .media_type = d->media_type,
					   .diff = &config->diffs[k],

					   .below = out,
					   .below_count = k };
		struct digest blob;
		char name[128];
		bool known;
		int r;

		blob_name(&d->digest, name);
		r = source_blob(w->source, name, &d->digest, &d->size, &blob, &known,
				err);
		if (!r)
			r = layer_take(w->import->depot, &want, &w->import->layers,
				       &out[k], err);
		if (r)
			return r;
	}
	return 0;
}

/* The name of an image whose index calls it `ref`, which is a tag, or all of a name. */
static int name_of(const struct walk *w, const char *ref, char out[CO_IMAGE_NAME_SIZE],
		   struct co_err *err)
{
	char base[CO_IMAGE_NAME_SIZE], text[CO_IMAGE_NAME_SIZE + 256];
	int r;

	if (!*ref || (w->import->name && w->named == 1))
		return import_name(w->import, out, err);
	if (!w->import->name && strpbrk(ref, "/:"))
		return co_image_name(co_span(ref), out, err);
	r = import_name(w->import, base, err);
	if (r)
		return r;
	*strrchr(base, ':') = '\0';
	(void) snprintf(text, sizeof(text), "%s:%s", base, ref);
	return co_image_name(co_span(text), out, err);
}

static int add(struct walk *w, const struct descriptor *d, struct import_image *image,
	       struct co_err *err)
{
	char name[CO_IMAGE_NAME_SIZE];
	const char *const names[] = { name };
	int r = name_of(w, d->name, name, err);

	image->names = names;
	image->name_count = 1;
	return r ? r : import_add(w->import, image, err);
}

static int take_config(struct walk *w, const struct descriptor *d,
		       const struct manifest *m, struct co_err *err)
{
	autofree struct co_image_layer *layers =
		calloc(m->layers.count + 1, sizeof(*layers));
	autobuf struct co_buf text = { 0 };
	struct image_config config;
	struct digest id;
	int r = document(w->source, &m->config, &text, err);

	if (!r)
		r = image_config_parse((struct co_span){ text.data, text.size },
				       &config, err);
	if (r || !layers)
		return r ? r : CO_NO_MEMORY;
	if (config.diff_count != m->layers.count)
		r = co_fail(err, CO_INVALID,
			    "the manifest has %zu layers and the configuration %zu",
			    m->layers.count, config.diff_count);
	if (!r)
		r = import_check_platform(w->import, &config, err);
	if (!r)
		r = take_layers(w, m, &config, layers, err);
	if (!r)
		r = depot_blob_write(w->import->depot, text.data, text.size, &id, err);
	if (!r)
		r = add(w, d,
			&(struct import_image){ .id = &id,
						.config = &config,
						.layers = layers,
						.layer_count = m->layers.count },
			err);
	image_config_done(&config);
	return r;
}

static int take_manifest(struct walk *w, const struct descriptor *d, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	struct manifest manifest;
	int r = document(w->source, d, &text, err);

	if (!r)
		r = manifest_parse((struct co_span){ text.data, text.size }, &manifest,
				   err);
	if (r)
		return r;
	r = take_config(w, d, &manifest, err);
	manifest_done(&manifest);
	return r;
}

static void leave_out(struct walk *w, const struct descriptor *d)
{
	size_t n = strlen(w->others);

	(void) snprintf(w->others + n, sizeof(w->others) - n, "%s%s/%s%s%s",
			n ? ", " : "", d->os, d->architecture, *d->variant ? "/" : "",
			d->variant);
}

static int take_index(struct walk *w, struct co_span text, const char *name, int depth,
		      struct co_err *err);

static int take_inner(struct walk *w, const struct descriptor *d, int depth,
		      struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	int r;

	if (depth >= DEEPEST)
		return co_fail(err, CO_INVALID,
			       "%s has indexes within indexes, more than %d deep",
			       w->source->what, DEEPEST);
	r = document(w->source, d, &text, err);
	return r ? r
		 : take_index(w, (struct co_span){ text.data, text.size }, d->name,
			      depth + 1, err);
}

/* Signatures and other things that lie beside images have no platform that there is. */
static bool wanted(const struct walk *w, const struct descriptor *d)
{
	return !*d->os ||
	       platform_is(w->import->platform, d->os, d->architecture, d->variant);
}

static int take_index(struct walk *w, struct co_span text, const char *name, int depth,
		      struct co_err *err)
{
	struct descriptors list;
	int r = index_parse(text, &list, err);

	if (r)
		return r;
	for (size_t k = 0; k < list.count; k++)
		w->named +=
			descriptor_is_index(&list.at[k]) ||
			(descriptor_is_manifest(&list.at[k]) && wanted(w, &list.at[k]));
	if (depth)
		w->named--; /* the index itself was counted */
	for (size_t k = 0; !r && k < list.count; k++) {
		struct descriptor *d = &list.at[k];

		if (!*d->name)
			(void) snprintf(d->name, sizeof(d->name), "%s", name);
		if (descriptor_is_index(d)) {
			r = take_inner(w, d, depth, err);
		} else if (!descriptor_is_manifest(d)) {
			report_note("something of type \"%s\" was passed over",
				    d->media_type);
		} else {
			w->manifests++;
			if (wanted(w, d))
				r = take_manifest(w, d, err);
			else
				leave_out(w, d);
		}
	}
	descriptors_done(&list);
	return r;
}

int import_oci(struct import *i, struct source *s, struct co_err *err)
{
	struct walk w = { .import = i, .source = s };
	autobuf struct co_buf text = { 0 };
	size_t before = i->images;
	int r = source_text(s, "index.json", &text, err);

	if (!r)
		r = take_index(&w, (struct co_span){ text.data, text.size }, "", 0,
			       err);
	if (r)
		return r;
	if (i->images == before && *w.others)
		return co_fail(err, CO_UNSUPPORTED,
			       "%s has images for %s and none for %s; --platform "
			       "chooses another",
			       i->path, w.others, i->platform);
	if (i->images == before)
		return co_fail(err, CO_INVALID, "%s has no image in it", i->path);
	if (*w.others)
		report_note("images for %s were left out", w.others);
	return 0;
}
