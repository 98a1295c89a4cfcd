/* SPDX-License-Identifier: MIT */
/* Images: the index in memory, and who uses what.  HOST. */
#include "cloudosd/service/image.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/service/image_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { LIST_MAX = 1024, INDEX_MAX = 268435456 };

static const char *const no_texts[] = { NULL };

/* ---- a record, ready for use ---- */

static char **texts_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
	return NULL;
}

static char *text_of(struct co_span value)
{
	struct co_buf text = { 0 };
	size_t size;

	if (co_json_unescape(value, &text)) {
		co_buf_done(&text);
		return NULL;
	}
	return co_buf_take(&text, &size);
}

/* The strings of an array, or the names of an object's members; NULL: no memory.  What is
 * no text is left out. */
static char **texts_of(struct co_span config, const char *member)
{
	struct co_span list, name, value;
	struct co_json_walk walk;
	char **texts = calloc(LIST_MAX + 1, sizeof(char *)), **fit;
	size_t n = 0;

	if (texts && co_json_member(config, member, &list) &&
	    (co_json_kind(list) == CO_JSON_ARRAY ||
	     co_json_kind(list) == CO_JSON_OBJECT)) {
		walk = co_json_walk(list);
		while (n < LIST_MAX && co_json_next(&walk, &name, &value)) {
			texts[n] = text_of(name.data ? name : value);
			n += texts[n] != NULL;
		}
	}
	fit = texts ? realloc(texts, (n + 1) * sizeof(char *)) : NULL;
	return fit ? fit : texts;
}

static char *text_member(struct co_span config, const char *member)
{
	struct co_span value;
	char *text = co_json_member(config, member, &value) ? text_of(value) : NULL;

	return text ? text : strdup("");
}

static struct co_span object_member(struct co_span config, const char *member)
{
	struct co_span value;

	return co_json_member(config, member, &value) &&
			       co_json_kind(value) == CO_JSON_OBJECT
		       ? value
		       : (struct co_span){ NULL, 0 };
}

static char **layers_of(const struct images *images, const struct co_image_record *r)
{
	char **paths = calloc(r->layer_count + 1, sizeof(char *));

	for (size_t i = 0; paths && i < r->layer_count; i++)
		if (asprintf(&paths[i], "%s/layers/%s/fs", images->folder,
			     r->layers[r->layer_count - 1 - i].chain) < 0) {
			paths[i] = NULL;
			return texts_free(paths);
		}
	return paths;
}

static void entry_done(struct image_entry *e)
{
	for (size_t i = 0; i < co_countof(e->lists); i++)
		e->lists[i] = texts_free(e->lists[i]);
	for (size_t i = 0; i < co_countof(e->texts); i++)
		free(e->texts[i]);
	co_buf_done(&e->json);
}

static const char *const *listed(char *const *list)
{
	return (const char *const *) list;
}

/* false: no memory. */
static bool entry_make(const struct images *images, const struct co_image_record *r,
		       struct image_entry *e)
{
	static const char *const lists[] = { "Env", "Entrypoint", "Cmd", "Volumes",
					     "ExposedPorts" };
	static const char *const texts[] = { "WorkingDir", "User", "StopSignal" };
	struct co_span config = co_span(r->config);
	struct image *i = &e->image;
	bool good = true;

	for (size_t k = 0; k < co_countof(lists); k++)
		good = (e->lists[k] = texts_of(config, lists[k])) != NULL && good;
	for (size_t k = 0; k < co_countof(texts); k++)
		good = (e->texts[k] = text_member(config, texts[k])) != NULL && good;
	e->lists[5] = layers_of(images, r);
	co_image_record_json(r, &e->json);
	*i = (struct image){ .id = r->id,
			     .names = r->names ? listed(r->names) : no_texts,
			     .layers = listed(e->lists[5]),
			     .nlayers = r->layer_count,
			     .raw_config = config,
			     .json = { e->json.data, e->json.size },
			     .size = r->size,
			     .created_ms = r->created_ms,
			     .imported_ms = r->imported_ms,
			     .squashed = r->squashed };
	i->config = (struct image_config){
		.env = listed(e->lists[0]),
		.entrypoint = listed(e->lists[1]),
		.command = listed(e->lists[2]),
		.volumes = listed(e->lists[3]),
		.ports = listed(e->lists[4]),
		.working_dir = e->texts[0],
		.user = e->texts[1],
		.stop_signal = e->texts[2],
		.labels = object_member(config, "Labels"),
		.healthcheck = object_member(config, "Healthcheck"),
	};
	return good && e->lists[5] && !e->json.failed;
}

static void entries_free(struct images *images)
{
	for (size_t i = 0; images->entries && i < images->index.count; i++)
		entry_done(&images->entries[i]);
	free(images->entries);
	images->entries = NULL;
	co_image_index_done(&images->index);
}

/* ---- reading the index ---- */

struct loading {
	struct images *images;
	char path[4096];
	char *text;
	size_t size;
	int failed; /* errno */
	void (*done)(void *arg, int status, const char *reason);
	void *arg;
};

/* On a worker's thread. */
static void load_work(void *arg)
{
	struct loading *l = arg;
	autoclose int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0) {
		l->failed = errno == ENOENT ? 0 : errno;
		return;
	}
	if (fstat(fd, &st) || st.st_size > INDEX_MAX) {
		l->failed = EFBIG;
		return;
	}
	l->text = malloc((size_t) st.st_size + 1);
	n = l->text ? pread(fd, l->text, (size_t) st.st_size, 0) : -1;
	if (n != st.st_size)
		l->failed = n < 0 ? errno : EIO;
	else
		l->size = (size_t) n;
}

static int take_index(struct images *images, struct co_span text, struct co_err *err)
{
	struct co_image_index index;
	int r = co_image_index_parse(text, &index, err);

	if (r)
		return r;
	entries_free(images);
	images->index = index;
	images->entries = calloc(index.count + 1, sizeof(*images->entries));
	for (size_t i = 0; images->entries && i < index.count; i++)
		if (!entry_make(images, &index.at[i], &images->entries[i])) {
			entries_free(images);
			break;
		}
	return images->entries ? 0
			       : co_fail(err, CO_NO_MEMORY,
					 "no memory for the index of images");
}

static void load_done(void *arg)
{
	struct loading *l = arg;
	struct co_err err = { 0 };
	int r;

	if (l->failed)
		r = co_fail_errno(&err, l->failed, "cannot read %s", l->path);
	else
		r = take_index(l->images, (struct co_span){ l->text, l->size }, &err);
	l->images->loaded = true;
	l->done(l->arg, r, err.message);
	free(l->text);
	free(l);
}

int images_load(struct images *images,
		void (*done)(void *arg, int status, const char *reason), void *arg)
{
	const struct co_host *host = images->options.host;
	struct loading *l = calloc(1, sizeof(*l));
	int r = CO_NO_MEMORY;

	if (l) {
		l->images = images;
		l->done = done;
		l->arg = arg;
		(void) snprintf(l->path, sizeof(l->path), "%s/index.json",
				images->folder);
		r = host->offload(host->ctx, load_work, load_done, l);
	}
	if (r)
		free(l);
	return r;
}

/* ---- looking up ---- */

int images_find(const struct images *images, struct co_span name,
		const struct image **out, struct co_err *err)
{
	size_t at = 0;
	int r;

	if (!images->loaded)
		return co_fail(err, CO_BUSY, "the index of images is still being read");
	r = co_image_index_find(&images->index, name, &at, err);
	if (r)
		return r;
	if (images->entries[at].leaving)
		return co_fail(err, CO_NOT_FOUND, "the image %.*s is being removed",
			       (int) name.size, name.data);
	*out = &images->entries[at].image;
	return 0;
}

const struct image *images_next(const struct images *images, size_t *cursor)
{
	return *cursor < images->index.count ? &images->entries[(*cursor)++].image
					     : NULL;
}

/* ---- who uses what ---- */

int images_use(struct images *images, const char *id)
{
	struct image_use *u;

	HASH_FIND_STR(images->uses, id, u);
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u)
			return CO_NO_MEMORY;
		(void) snprintf(u->id, sizeof(u->id), "%s", id);
		HASH_ADD_STR(images->uses, id, u);
	}
	u->count++;
	return 0;
}

void images_unuse(struct images *images, const char *id)
{
	struct image_use *u;

	HASH_FIND_STR(images->uses, id, u);
	if (!u || --u->count)
		return;
	HASH_DEL(images->uses, u);
	free(u);
}

bool images_used(const struct images *images, const char *id)
{
	struct image_use *u;

	HASH_FIND_STR(images->uses, id, u);
	return u != NULL;
}

/* ---- life ---- */

struct images *images_new(const struct images_options *options)
{
	struct images *images = calloc(1, sizeof(*images));

	if (!images)
		return NULL;
	images->options = *options;
	images->program = strdup(options->program ? options->program : "");
	images->folder = strdup(options->folder);
	if (!images->program || !images->folder)
		return images_free(images);
	return images;
}

struct images *images_free(struct images *images)
{
	struct image_use *u, *next;

	if (!images)
		return NULL;
	HASH_ITER (hh, images->uses, u, next) {
		HASH_DEL(images->uses, u);
		free(u);
	}
	entries_free(images);
	free(images->program);
	free(images->folder);
	free(images);
	return NULL;
}

bool images_busy(const struct images *images)
{
	return images->queue != NULL;
}
