/* SPDX-License-Identifier: MIT */
/* Requests about images: cloudos-image, one after the other.  HOST. */
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/image_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { LINE_BYTES = 33554432 };

/* ---- their ends ---- */

static void request_free(struct images_request *r)
{
	for (size_t i = 0; i < r->argc; i++)
		free(r->argv[i]);
	free(r->name);
	free(r->tag);
	co_buf_done(&r->line);
	co_buf_done(&r->result);
	free(r);
}

static void emit(const struct images *images, const char *event,
		 const struct co_buf *data)
{
	if (images->options.emit && !data->failed)
		images->options.emit(images->options.arg, event,
				     (struct co_span){ data->data, data->size });
}

/* One for each element of an array of the result. */
static void emit_each(const struct images_request *r, const char *event,
		      const char *member, const char *data_member)
{
	struct co_span json = { r->result.data, r->result.size }, list, name, value;
	struct co_json_walk walk;

	if (!co_json_member(json, member, &list) || co_json_kind(list) != CO_JSON_ARRAY)
		return;
	walk = co_json_walk(list);
	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf data = { 0 };
		struct co_span id = value, names;

		(void) co_json_member(value, "id", &id); /* or it is the id itself */
		co_buf_format(&data, "{\"%s\":", data_member);
		co_buf_span(&data, id);
		if (co_json_member(value, "names", &names)) {
			co_buf_text(&data, ",\"names\":");
			co_buf_span(&data, names);
		}
		co_buf_char(&data, '}');
		emit(r->images, event, &data);
	}
}

static void tell_events(const struct images_request *r)
{
	autobuf struct co_buf data = { 0 };

	switch (r->kind) {
	case IMAGE_IMPORT:
	case IMAGE_COMMIT:
		emit_each(r, "image:imported", "images", "id");
		break;
	case IMAGE_TAG:
		co_buf_text(&data, "{\"name\":");
		co_buf_json_text(&data, co_span(r->name));
		co_buf_text(&data, ",\"tag\":");
		co_buf_json_text(&data, co_span(r->tag));
		co_buf_char(&data, '}');
		emit(r->images, "image:tagged", &data);
		break;
	case IMAGE_REMOVE:
		co_buf_text(&data, "{\"name\":");
		co_buf_json_text(&data, co_span(r->name));
		co_buf_char(&data, '}');
		emit(r->images, "image:removed", &data);
		break;
	case IMAGE_PRUNE:
		emit_each(r, "image:removed", "removed", "id");
		break;
	case IMAGE_EXPORT:
		break;
	}
}

static void answer(struct images_request *r)
{
	struct images *images = r->images;
	struct images_answer a = { .status = r->status, .reason = r->reason };

	if (!r->status)
		a.json = (struct co_span){ r->result.data, r->result.size };
	images->queue = r->next;
	images->queued--;
	if (!r->status)
		tell_events(r);
	if (!r->forgotten)
		r->listener.done(r->listener.arg, &a);
	request_free(r);
	images_next_request(images);
	if (!images->queue && images->options.changed)
		images->options.changed(images->options.arg);
}

static void reloaded(void *arg, int status, const char *reason)
{
	struct images_request *r = arg;

	if (status && !r->status) {
		r->status = status;
		(void) snprintf(r->reason, sizeof(r->reason), "%s", reason);
	}
	answer(r);
}

static void answer_later(void *arg)
{
	answer(arg);
}

/* ---- what cloudos-image says ---- */

static int status_of(struct co_span name)
{
	for (int status = -1; status > -64; status--)
		if (co_json_string_is(name, co_status_name(status)))
			return status;
	return CO_IO;
}

static void fail(struct images_request *r, int status, const char *reason)
{
	if (r->status)
		return;
	r->status = status;
	(void) snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void take_failure(struct images_request *r, struct co_span json)
{
	autobuf struct co_buf reason = { 0 };
	struct co_span status, message;

	if (co_json_member(json, "message", &message))
		(void) co_json_unescape(message, &reason); /* or there is none */
	fail(r, co_json_member(json, "status", &status) ? status_of(status) : CO_IO,
	     reason.data ? reason.data : "cloudos-image has failed");
}

static void take_line(struct images_request *r, struct co_span text)
{
	struct co_span json, event;
	struct co_json_fault fault;

	if (co_json_check(text, &json, &fault) ||
	    !co_json_member(json, "event", &event)) {
		fail(r, CO_PROTOCOL, "cloudos-image says what nobody understands");
	} else if (co_json_string_is(event, "failed")) {
		take_failure(r, json);
	} else if (co_json_string_is(event, "done")) {
		r->ended = true;
		co_buf_span(&r->result, json);
	} else if (!r->forgotten && r->listener.progress) {
		r->listener.progress(r->listener.arg, json);
	}
}

static void printed(void *arg, struct co_span text)
{
	struct images_request *r = arg;
	size_t from = 0;
	char *end;

	co_buf_span(&r->line, text);
	if (r->line.failed || r->line.size > LINE_BYTES) {
		fail(r, CO_TOO_BIG, "cloudos-image says too much");
		co_buf_done(&r->line);
		return;
	}
	while ((end = memchr(r->line.data + from, '\n', r->line.size - from))) {
		take_line(r, (struct co_span){ r->line.data + from,
					       (size_t) (end - r->line.data) - from });
		from = (size_t) (end + 1 - r->line.data);
	}
	memmove(r->line.data, r->line.data + from, r->line.size - from);
	r->line.size -= from;
}

static void ended(void *arg, const struct spawn_end *end)
{
	struct images_request *r = arg;
	struct images *images = r->images;
	char reason[256];

	images->running = NULL;
	if (end->error) {
		fail(r, end->error, end->reason);
	} else if (end->signal) {
		(void) snprintf(reason, sizeof(reason),
				"cloudos-image was ended by signal %d", end->signal);
		fail(r, CO_IO, reason);
	} else if (end->exit || !r->ended || r->result.failed) {
		(void) snprintf(
			reason, sizeof(reason),
			"cloudos-image has ended with code %d: %.*s", end->exit,
			(int) (end->last_words.size > 160 ? 160 : end->last_words.size),
			end->last_words.data);
		fail(r, CO_IO, reason);
	}
	/* also after a failure: what is being removed is there again */
	if (images_load(images, reloaded, r))
		reloaded(r, CO_NO_MEMORY, "no memory to read the index of images");
}

/* ---- beginning ---- */

static void free_texts(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

/* All that is used, as arguments; NULL: no memory. */
static char **arguments(const struct images *images, const struct images_request *r)
{
	bool removes = r->kind == IMAGE_REMOVE || r->kind == IMAGE_PRUNE;
	size_t n = 0, uses = removes ? HASH_COUNT(images->uses) : 0;
	char **argv = calloc(3 + 2 * uses + r->argc + 1, sizeof(char *));
	bool good = argv != NULL;

	if (!good)
		return NULL;
	good = (argv[n++] = strdup(images->program)) != NULL;
	good = good && (argv[n++] = strdup("--store")) != NULL;
	good = good && (argv[n++] = strdup(images->folder)) != NULL;
	for (struct image_use *u = images->uses; good && removes && u; u = u->hh.next) {
		good = (argv[n++] = strdup("--in-use")) != NULL;
		good = good && (argv[n++] = strdup(u->id)) != NULL;
	}
	for (size_t i = 0; good && i < r->argc; i++)
		good = (argv[n++] = strdup(r->argv[i])) != NULL;
	if (!good) {
		free_texts(argv);
		return NULL;
	}
	return argv;
}

/* What it is going to remove is nobody's from now on. */
static void mark_leaving(struct images *images, const struct images_request *r)
{
	size_t at;

	if (r->kind == IMAGE_REMOVE &&
	    !co_image_index_find(&images->index, co_span(r->name), &at, NULL) &&
	    (images->index.at[at].name_count < 2 ||
	     co_image_is_digest(co_span(r->name))))
		images->entries[at].leaving = true;
	for (size_t i = 0; r->kind == IMAGE_PRUNE && i < images->index.count; i++)
		if (!images->index.at[i].name_count &&
		    !images_used(images, images->index.at[i].id))
			images->entries[i].leaving = true;
}

void images_next_request(struct images *images)
{
	const struct co_spawner *spawner = images->options.spawner;
	struct images_request *r = images->queue;
	struct spawn_listener listener = { .done = ended,
					   .printed = printed,
					   .arg = r };
	struct spawn_spec spec = { .max_output = LINE_BYTES };
	char **argv;
	int status;

	if (!r || images->running || r->status)
		return;
	argv = arguments(images, r);
	spec.argv = (const char *const *) argv;
	status = argv ? spawner->begin(spawner->ctx, &spec, &listener, &images->running)
		      : CO_NO_MEMORY;
	free_texts(argv);
	if (!status) {
		mark_leaving(images, r);
		return;
	}
	fail(r, status, "cloudos-image cannot be started now: too much is going on");
	images->options.host->post(images->options.host->ctx, answer_later, r);
}

static bool add(struct images_request *r, const char *text, size_t n)
{
	if (r->argc + 1 >= IMAGE_ARGUMENTS)
		return false;
	r->argv[r->argc] = strndup(text, n);
	return r->argv[r->argc] != NULL && ++r->argc;
}

static bool add_text(struct images_request *r, const char *text)
{
	return add(r, text, strlen(text));
}

static bool add_span(struct images_request *r, struct co_span text)
{
	return add(r, text.data ? text.data : "", text.size);
}

/* An option with its value, if it has one. */
static bool add_option(struct images_request *r, const char *option,
		       struct co_span value)
{
	return !value.data || (add_text(r, option) && add_span(r, value));
}

static struct images_request *request_new(struct images *images, enum image_kind kind,
					  const struct images_listener *listener,
					  struct co_err *err)
{
	struct images_request *r;

	if (!*images->program) {
		(void) co_fail(err, CO_UNSUPPORTED,
			       "the program cloudos-image is not installed"); /* NULL */
		return NULL;
	}
	if (images->queued >= CO_LIMIT_IMAGE_REQUESTS) {
		(void) co_fail(err, CO_BUSY, "%zu requests about images are waiting",
			       images->queued); /* NULL says it */
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		(void) co_fail(err, CO_NO_MEMORY, "no memory for a request"); /* NULL */
		return NULL;
	}
	r->images = images;
	r->kind = kind;
	r->listener = *listener;
	return r;
}

static int submit(struct images_request *r, bool good, struct images_request **out,
		  struct co_err *err)
{
	struct images *images = r->images;
	struct images_request **last = &images->queue;

	if (!good) {
		request_free(r);
		return co_fail(err, CO_NO_MEMORY, "no memory for a request");
	}
	while (*last)
		last = &(*last)->next;
	*last = r;
	images->queued++;
	*out = r;
	images_next_request(images);
	if (images->options.changed)
		images->options.changed(images->options.arg);
	return 0;
}

void images_forget(struct images_request *request)
{
	request->forgotten = true;
}

static int check_name(struct co_span name, struct co_err *err)
{
	char full[CO_IMAGE_NAME_SIZE];

	return name.data ? co_image_name(name, full, err) : 0;
}

static int check_path(struct co_span path, struct co_err *err)
{
	if (path.size && *path.data == '/' && path.size < 4096 &&
	    !memchr(path.data, '\0', path.size))
		return 0;
	return co_fail(err, CO_INVALID, "a path has to begin at the root");
}

/* ---- requests ---- */

int images_import(struct images *images, struct co_span path, struct co_span name,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err)
{
	int r = check_path(path, err);
	struct images_request *q;

	if (!r)
		r = check_name(name, err);
	if (r)
		return r;
	q = request_new(images, IMAGE_IMPORT, listener, err);
	if (!q)
		return err ? err->code : CO_BUSY;
	return submit(q,
		      add_option(q, "--name", name) && add_text(q, "import") &&
			      add_span(q, path),
		      out, err);
}

int images_busybox(struct images *images, struct co_span name,
		   const struct images_listener *listener, struct images_request **out,
		   struct co_err *err)
{
	int r = check_name(name, err);
	struct images_request *q =
		r ? NULL : request_new(images, IMAGE_IMPORT, listener, err);

	if (!q)
		return r ? r : err ? err->code : CO_BUSY;
	return submit(q, add_option(q, "--name", name) && add_text(q, "create-busybox"),
		      out, err);
}

int images_tag(struct images *images, struct co_span name, struct co_span tag,
	       const struct images_listener *listener, struct images_request **out,
	       struct co_err *err)
{
	const struct image *image;
	struct images_request *q;
	int r = images_find(images, name, &image, err);

	if (!r)
		r = check_name(tag, err);
	if (r)
		return r;
	q = request_new(images, IMAGE_TAG, listener, err);
	if (!q)
		return err ? err->code : CO_BUSY;
	q->name = strndup(name.data, name.size);
	q->tag = strndup(tag.data, tag.size);
	return submit(q,
		      q->name && q->tag && add_text(q, "tag") && add_span(q, name) &&
			      add_span(q, tag),
		      out, err);
}

static bool has_name(const struct image *image, struct co_span text)
{
	char name[CO_IMAGE_NAME_SIZE];

	if (co_image_is_digest(text) || co_image_name(text, name, NULL))
		return false;
	for (const char *const *p = image->names; *p; p++)
		if (strcmp(*p, name) == 0)
			return true;
	return false;
}

int images_remove(struct images *images, struct co_span name,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err)
{
	const struct image *image;
	struct images_request *q;
	int r = images_find(images, name, &image, err);
	bool all;

	if (r)
		return r;
	/* by an id, also by the beginning of one, all of its names go */
	all = !has_name(image, name);
	if ((all || !image->names[1]) && images_used(images, image->id))
		return co_fail(err, CO_BUSY,
			       "the image %.*s is used by a container: remove that "
			       "first (`cloudosctl container ps -a`)",
			       (int) name.size, name.data);
	q = request_new(images, IMAGE_REMOVE, listener, err);
	if (!q)
		return err ? err->code : CO_BUSY;
	q->name = all ? strdup(image->id) : strndup(name.data, name.size);
	return submit(q, q->name && add_text(q, "rm") && add_text(q, q->name), out,
		      err);
}

int images_prune(struct images *images, const struct images_listener *listener,
		 struct images_request **out, struct co_err *err)
{
	struct images_request *q = request_new(images, IMAGE_PRUNE, listener, err);

	return q     ? submit(q, add_text(q, "prune"), out, err)
	       : err ? err->code
		     : CO_BUSY;
}

int images_export(struct images *images, struct co_span name, struct co_span path,
		  struct co_span format, const struct images_listener *listener,
		  struct images_request **out, struct co_err *err)
{
	const struct image *image;
	struct images_request *q;
	int r = images_find(images, name, &image, err);

	if (!r)
		r = check_path(path, err);
	if (r)
		return r;
	q = request_new(images, IMAGE_EXPORT, listener, err);
	if (!q)
		return err ? err->code : CO_BUSY;
	return submit(q,
		      add_option(q, "--format", format) && add_text(q, "export") &&
			      add_span(q, name) && add_span(q, path),
		      out, err);
}

int images_commit(struct images *images, const struct images_commit *commit,
		  const struct images_listener *listener, struct images_request **out,
		  struct co_err *err)
{
	const struct image *image;
	struct images_request *q;
	char shift[16];
	int r = images_find(images, commit->image, &image, err);

	if (!r)
		r = check_path(commit->upper, err);
	if (!r)
		r = check_name(commit->name, err);
	if (r)
		return r;
	q = request_new(images, IMAGE_COMMIT, listener, err);
	if (!q)
		return err ? err->code : CO_BUSY;
	(void) snprintf(shift, sizeof(shift), "%u", commit->id_shift);
	return submit(q,
		      add_option(q, "--config", commit->config) &&
			      add_option(q, "--id-shift", co_span(shift)) &&
			      add_text(q, "commit") && add_text(q, image->id) &&
			      add_span(q, commit->upper) && add_span(q, commit->name),
		      out, err);
}
