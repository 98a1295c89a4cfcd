/* SPDX-License-Identifier: MIT */
/* The JSON of images.  HOST. */
#include "cloudosd/image/manifest.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/time.h"

static const char *const index_types[] = {
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", NULL
};
static const char *const manifest_types[] = {
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", NULL
};
static const char *const config_types[] = {
	"application/vnd.oci.image.config.v1+json",
	"application/vnd.docker.container.image.v1+json", NULL
};
static const char *const layer_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
	"application/vnd.docker.image.rootfs.diff.tar.zst",
	NULL
};

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

bool descriptor_is_index(const struct descriptor *d)
{
	return is_one_of(d->media_type, index_types);
}

bool descriptor_is_manifest(const struct descriptor *d)
{
	return is_one_of(d->media_type, manifest_types);
}

/* ---- pieces ---- */

static int check(struct co_span text, const char *what, struct co_span *out,
		 struct co_err *err)
{
	struct co_json_fault fault;

	if (text.size > CO_LIMIT_IMAGE_JSON)
		return co_fail(err, CO_TOO_BIG, "%s has more than %d bytes: not taken",
			       what, CO_LIMIT_IMAGE_JSON);
	if (co_json_check(text, out, &fault))
		return co_fail(err, CO_INVALID, "%s is no JSON: %s at byte %zu", what,
			       fault.what, fault.at);
	if (co_json_kind(*out) != CO_JSON_OBJECT && co_json_kind(*out) != CO_JSON_ARRAY)
		return co_fail(err, CO_INVALID, "%s is no object", what);
	return 0;
}

/* false: it is there and is no text, or too long a one. */
static bool text_member(struct co_span object, const char *name, char *out, size_t room)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	*out = '\0';
	if (!co_json_member(object, name, &value) ||
	    co_json_kind(value) == CO_JSON_NULL)
		return true;
	if (co_json_unescape(value, &text) || text.failed || text.size >= room)
		return false;
	if (text.size)
		memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return true;
}

static size_t count_of(struct co_span array)
{
	struct co_json_walk walk = co_json_walk(array);
	struct co_span name, value;
	size_t n = 0;

	while (co_json_next(&walk, &name, &value))
		n++;
	return n;
}

static bool array_member(struct co_span object, const char *name, struct co_span *out)
{
	return co_json_member(object, name, out) && co_json_kind(*out) == CO_JSON_ARRAY;
}

static int wrong(struct co_err *err, const char *what, const char *member)
{
	return co_fail(err, CO_INVALID, "%s: %s is missing or not what it has to be",
		       what, member);
}

/* ---- descriptors ---- */

static int descriptor_read(struct co_span json, const char *what,
			   struct descriptor *out, struct co_err *err)
{
	char digest[160];
	struct co_span value;
	int64_t size;

	*out = (struct descriptor){ 0 };
	if (co_json_kind(json) != CO_JSON_OBJECT ||
	    !text_member(json, "mediaType", out->media_type, sizeof(out->media_type)))
		return wrong(err, what, "mediaType");
	if (!text_member(json, "digest", digest, sizeof(digest)))
		return wrong(err, what, "digest");
	if (!co_json_member(json, "size", &value) || !co_json_whole(value, &size) ||
	    size < 0)
		return wrong(err, what, "size");
	out->size = (uint64_t) size;
	if (co_json_member(json, "platform", &value) &&
	    (!text_member(value, "os", out->os, sizeof(out->os)) ||
	     !text_member(value, "architecture", out->architecture,
			  sizeof(out->architecture)) ||
	     !text_member(value, "variant", out->variant, sizeof(out->variant))))
		return wrong(err, what, "platform");
	if (co_json_member(json, "annotations", &value) &&
	    !text_member(value, "org.opencontainers.image.ref.name", out->name,
			 sizeof(out->name)))
		return wrong(err, what, "org.opencontainers.image.ref.name");
	return digest_parse(co_span(digest), &out->digest, err);
}

void descriptors_done(struct descriptors *d)
{
	free(d->at);
	*d = (struct descriptors){ 0 };
}

static int descriptors_read(struct co_span array, const char *what, size_t most,
			    struct descriptors *out, struct co_err *err)
{
	struct co_json_walk walk = co_json_walk(array);
	struct co_span name, value;
	size_t n = count_of(array);
	int r = 0;

	if (n > most)
		return co_fail(err, CO_TOO_BIG, "%s has %zu parts, more than %zu", what,
			       n, most);
	out->at = calloc(n + 1, sizeof(*out->at));
	if (!out->at)
		return co_fail(err, CO_NO_MEMORY, "no memory for %s", what);
	while (!r && co_json_next(&walk, &name, &value))
		r = descriptor_read(value, what, &out->at[out->count++], err);
	if (r)
		descriptors_done(out);
	return r;
}

int index_parse(struct co_span text, struct descriptors *out, struct co_err *err)
{
	struct co_span json, array;
	int r = check(text, "the index", &json, err);

	*out = (struct descriptors){ 0 };
	if (r)
		return r;
	if (!array_member(json, "manifests", &array))
		return wrong(err, "the index", "manifests");
	return descriptors_read(array, "the index", 1024, out, err);
}

/* ---- manifests ---- */

void manifest_done(struct manifest *m)
{
	descriptors_done(&m->layers);
}

static int check_layers(const struct descriptors *layers, struct co_err *err)
{
	for (size_t i = 0; i < layers->count; i++) {
		const struct descriptor *d = &layers->at[i];

		if (!is_one_of(d->media_type, layer_types))
			return co_fail(err, CO_UNSUPPORTED,
				       "layer %zu is of type \"%s\", which is no layer "
				       "of an image: not taken",
				       i + 1, d->media_type);
	}
	return 0;
}

int manifest_parse(struct co_span text, struct manifest *out, struct co_err *err)
{
	struct co_span json, value;
	char type[128];
	int r = check(text, "the manifest", &json, err);

	*out = (struct manifest){ 0 };
	if (r)
		return r;
	if (!text_member(json, "mediaType", type, sizeof(type)) ||
	    (*type && !is_one_of(type, manifest_types)))
		return co_fail(err, CO_UNSUPPORTED,
			       "the manifest is of type \"%s\", which is no image",
			       type);
	if (!co_json_member(json, "config", &value))
		return wrong(err, "the manifest", "config");
	r = descriptor_read(value, "config of the manifest", &out->config, err);
	if (r)
		return r;
	if (!is_one_of(out->config.media_type, config_types))
		return co_fail(err, CO_UNSUPPORTED,
			       "this is no image for containers but something of type "
			       "\"%s\"",
			       out->config.media_type);
	if (!array_member(json, "layers", &value))
		return wrong(err, "the manifest", "layers");
	r = descriptors_read(value, "the manifest", CO_LIMIT_IMAGE_LAYERS, &out->layers,
			     err);
	if (!r)
		r = check_layers(&out->layers, err);
	if (r)
		manifest_done(out);
	return r;
}

/* ---- configurations ---- */

void image_config_done(struct image_config *c)
{
	free(c->diffs);
	*c = (struct image_config){ 0 };
}

static int read_diffs(struct co_span json, struct image_config *out, struct co_err *err)
{
	struct co_span rootfs, array, name, value;
	struct co_json_walk walk;

	if (!co_json_member(json, "rootfs", &rootfs) ||
	    !array_member(rootfs, "diff_ids", &array))
		return wrong(err, "the configuration", "rootfs.diff_ids");
	if (count_of(array) > CO_LIMIT_IMAGE_LAYERS)
		return co_fail(err, CO_TOO_BIG, "the image has more than %d layers",
			       CO_LIMIT_IMAGE_LAYERS);
	out->diffs = calloc(count_of(array) + 1, sizeof(*out->diffs));
	if (!out->diffs)
		return co_fail(err, CO_NO_MEMORY, "no memory for a configuration");
	walk = co_json_walk(array);
	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf text = { 0 };
		int r;

		if (co_json_unescape(value, &text) || text.failed)
			return wrong(err, "the configuration", "rootfs.diff_ids");
		r = digest_parse((struct co_span){ text.data, text.size },
				 &out->diffs[out->diff_count++], err);
		if (r)
			return r;
	}
	return 0;
}

int image_config_parse(struct co_span text, struct image_config *out,
		       struct co_err *err)
{
	struct co_span json;
	char created[64];
	int r = check(text, "the configuration", &json, err);

	*out = (struct image_config){ .config = co_span("{}") };
	if (r)
		return r;
	if (!text_member(json, "os", out->os, sizeof(out->os)) ||
	    !text_member(json, "architecture", out->architecture,
			 sizeof(out->architecture)) ||
	    !text_member(json, "variant", out->variant, sizeof(out->variant)))
		return wrong(err, "the configuration", "os or architecture");
	if (!text_member(json, "created", created, sizeof(created)))
		*created = '\0';
	if (*created && !co_time_parse(co_span(created), &out->created_ms))
		out->created_ms = 0; /* before 1970, as some builders say */
	if (co_json_member(json, "config", &out->config) &&
	    co_json_kind(out->config) != CO_JSON_OBJECT)
		out->config = co_span("{}");
	if (out->config.size > CO_LIMIT_IMAGE_CONFIG)
		return co_fail(err, CO_TOO_BIG,
			       "\"config\" of the configuration has more than %d bytes",
			       CO_LIMIT_IMAGE_CONFIG);
	r = read_diffs(json, out, err);
	if (r)
		image_config_done(out);
	return r;
}

/* ---- docker archives ---- */

static char **texts_free(char **texts)
{
	for (char **p = texts; p && *p; p++)
		free(*p);
	free(texts);
	return NULL;
}

void docker_list_done(struct docker_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->at[i].config);
		(void) texts_free(l->at[i].tags); /* is NULL */
		(void) texts_free(l->at[i].layers);
	}
	free(l->at);
	*l = (struct docker_list){ 0 };
}

static char *text_of(struct co_span value)
{
	struct co_buf text = { 0 };
	size_t size;

	if (co_json_unescape(value, &text) || text.failed || !text.size ||
	    text.size > CO_LIMIT_IMAGE_PATH) {
		co_buf_done(&text);
		return NULL;
	}
	return co_buf_take(&text, &size);
}

/* null and an absent one are empty; NULL: it is something else, or too long. */
static char **texts_of(struct co_span object, const char *name, size_t most,
		       size_t *out_count)
{
	struct co_span array, none, value;
	struct co_json_walk walk;
	char **texts;
	size_t n;

	*out_count = 0;
	if (!co_json_member(object, name, &array) ||
	    co_json_kind(array) == CO_JSON_NULL)
		return calloc(1, sizeof(char *));
	n = co_json_kind(array) == CO_JSON_ARRAY ? count_of(array) : most + 1;
	texts = n <= most ? calloc(n + 1, sizeof(char *)) : NULL;
	if (!texts)
		return NULL;
	walk = co_json_walk(array);
	while (co_json_next(&walk, &none, &value)) {
		texts[*out_count] = text_of(value);
		if (!texts[(*out_count)++])
			return texts_free(texts);
	}
	return texts;
}

int docker_list_parse(struct co_span text, struct docker_list *out, struct co_err *err)
{
	struct co_span json, name, value, config;
	struct co_json_walk walk;
	size_t n;
	int r = check(text, "manifest.json", &json, err);

	*out = (struct docker_list){ 0 };
	if (r)
		return r;
	n = co_json_kind(json) == CO_JSON_ARRAY ? count_of(json) : 0;
	if (!n || n > 256)
		return co_fail(err, CO_INVALID,
			       "manifest.json has no image, or more than 256");
	out->at = calloc(n, sizeof(*out->at));
	if (!out->at)
		return co_fail(err, CO_NO_MEMORY, "no memory for manifest.json");
	walk = co_json_walk(json);
	while (!r && co_json_next(&walk, &name, &value)) {
		struct docker_image *i = &out->at[out->count++];

		if (co_json_member(value, "Config", &config))
			i->config = text_of(config);
		i->tags = texts_of(value, "RepoTags", 256, &i->tag_count);
		i->layers = texts_of(value, "Layers", CO_LIMIT_IMAGE_LAYERS,
				     &i->layer_count);
		if (!i->config || !i->tags || !i->layers)
			r = wrong(err, "manifest.json", "Config, RepoTags or Layers");
	}
	if (r)
		docker_list_done(out);
	return r;
}

/* ---- platforms ---- */

bool platform_is(const char *want, const char *os, const char *architecture,
		 const char *variant)
{
	size_t n = strlen(os), m = strlen(architecture);

	if (strncmp(want, os, n) != 0 || want[n] != '/' ||
	    strncmp(want + n + 1, architecture, m) != 0)
		return false;
	want += n + 1 + m;
	return !*want || (*want == '/' && strcmp(want + 1, variant) == 0);
}
