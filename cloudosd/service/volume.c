/* SPDX-License-Identifier: MIT */
/* Volumes: records by name, folders by the runtime.  HOST. */
#include "cloudosd/service/volume.h"

#include <co/limits.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define PREFIX "/volume/"

enum { LAYOUT = 1, PAGE = 256, KEY = VOLUME_NAME + 16 };

struct volume {
	char name[VOLUME_NAME];
	char *inside; /* where its container has it; NULL: it was not made for one */
	uint32_t owner;
	uint64_t created_ns;
	bool removing;
	UT_hash_handle hh;
};

struct volumes {
	const struct co_host *host;
	struct store *store;
	struct volumes_options options;
	struct volume *by_name;
	volumes_done *load_done;
	void *load_arg;
};

/* ---- one ---- */

static void key_of(const char *name, char out[KEY])
{
	(void) snprintf(out, KEY, PREFIX "%s", name); /* fits */
}

static struct volume *find(const struct volumes *all, struct co_span name)
{
	struct volume *v = NULL;

	if (name.size)
		HASH_FIND(hh, all->by_name, name.data, name.size, v);
	return v;
}

static int by_name(const struct volume *a, const struct volume *b)
{
	return strcmp(a->name, b->name);
}

static struct volume *add(struct volumes *all, const char *name, uint32_t owner,
			  const char *inside)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	(void) snprintf(v->name, sizeof(v->name), "%s", name); /* fits */
	v->owner = owner;
	v->inside = inside ? strdup(inside) : NULL;
	v->created_ns = all->host->wall_ns(all->host->ctx);
	if (inside && !v->inside) {
		free(v);
		return NULL;
	}
	HASH_ADD_INORDER(hh, all->by_name, name[0], strlen(v->name), v, by_name);
	return v;
}

static void forget(struct volumes *all, struct volume *v)
{
	HASH_DELETE(hh, all->by_name, v);
	free(v->inside);
	free(v);
}

static void encode(const struct volume *v, struct co_buf *out)
{
	co_buf_format(out, "{\"layout\":%d,\"created\":%" PRIu64, LAYOUT,
		      v->created_ns);
	if (v->owner)
		co_buf_format(out, ",\"container\":%" PRIu32, v->owner);
	if (v->inside) {
		co_buf_text(out, ",\"inside\":");
		co_buf_json_text(out, co_span(v->inside));
	}
	co_buf_char(out, '}');
}

static void users_of(const struct volumes *all, const struct volume *v,
		     struct co_buf *out)
{
	all->options.users(all->options.arg, v->name, v->owner, out);
}

static void show(const struct volumes *all, const struct volume *v, struct co_buf *out)
{
	autobuf struct co_buf path = { 0 };

	co_buf_text(out, "{\"name\":");
	co_buf_json_text(out, co_span(v->name));
	co_buf_text(out, ",\"created\":");
	co_buf_json_time(out, v->created_ns / 1000000);
	co_buf_format(out, ",\"anonymous\":%s", v->owner ? "true" : "false");
	if (v->owner)
		co_buf_format(out, ",\"container\":%" PRIu32, v->owner);
	if (v->inside) {
		co_buf_text(out, ",\"inside\":");
		co_buf_json_text(out, co_span(v->inside));
	}
	co_buf_format(&path, "%s/%s", all->options.folder, v->name);
	co_buf_text(out, ",\"path\":");
	co_buf_json_text(out, co_span(path.failed ? "" : path.data));
	co_buf_text(out, ",\"usedBy\":[");
	users_of(all, v, out);
	co_buf_text(out, "]}");
}

static void answer(const struct container_asker *asker, int status, const char *reason,
		   const struct co_buf *json)
{
	struct container_answer a = { .status = status, .reason = reason };

	if (json)
		a.json = (struct co_span){ json->data, json->size };
	if (json && json->failed)
		a = (struct container_answer){ .status = CO_NO_MEMORY,
					       .reason = "no memory for the answer" };
	if (asker->done)
		asker->done(asker->arg, &a);
}

static void refuse(const struct container_asker *asker, int status, const char *format,
		   ...) __attribute__((format(printf, 3, 4)));

static void refuse(const struct container_asker *asker, int status, const char *format,
		   ...)
{
	char reason[768];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(reason, sizeof(reason), format, args); /* cut */
	va_end(args);
	answer(asker, status, reason, NULL);
}

static void emit(const struct volumes *all, const char *event,
		 const struct co_buf *json)
{
	if (!json->failed)
		all->options.emit(all->options.arg, event,
				  (struct co_span){ json->data, json->size });
}

static void say(const struct volumes *all, const char *name, const char *what,
		const char *reason)
{
	char line[768];

	(void) snprintf(line, sizeof(line), "volume %s %s: %s", name, what,
			reason); /* cut */
	all->options.log(all->options.arg, line);
}

/* ---- the life of all ---- */

struct volumes *volumes_new(const struct co_host *host, struct store *store,
			    const struct volumes_options *options)
{
	struct volumes *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->host = host;
	all->store = store;
	all->options = *options;
	return all;
}

struct volumes *volumes_free(struct volumes *all)
{
	struct volume *v, *next;

	if (!all)
		return NULL;
	HASH_ITER (hh, all->by_name, v, next)
		forget(all, v);
	free(all);
	return NULL;
}

/* ---- records that are made ---- */

struct making {
	struct volumes *all;
	size_t left;
	int status;
	char reason[256];
	volumes_done *done;
	void *arg;
};

struct record {
	struct making *making;
	char name[VOLUME_NAME];
};

static void making_end(struct making *m)
{
	if (--m->left)
		return;
	if (m->done)
		m->done(m->arg, m->status, m->reason);
	free(m);
}

static void made(struct record *r, int status, const char *reason)
{
	struct making *m = r->making;
	struct volume *v = find(m->all, co_span(r->name));
	autobuf struct co_buf json = { 0 };

	if (status && v && !v->removing)
		forget(m->all, v);
	if (status) {
		m->status = status;
		(void) snprintf(m->reason, sizeof(m->reason), "%s", reason); /* cut */
	} else if (v) {
		show(m->all, v, &json);
		emit(m->all, "volume:created", &json);
	}
	free(r);
	making_end(m);
}

static void on_recorded(void *arg, const struct store_result *result)
{
	made(arg, result->status, result->reason);
}

static int write_one(const struct volumes *all, const struct store_op *op,
		     store_done *done, void *arg)
{
	const struct store_txn txn = { .then = op, .nthen = 1 };

	return store_txn(all->store, &txn, done, arg);
}

static void record(struct making *m, const struct volume *v)
{
	struct record *r = calloc(1, sizeof(*r));
	autobuf struct co_buf text = { 0 };
	char key[KEY];
	struct store_op put = { .kind = STORE_PUT, .key = key };
	int status = CO_NO_MEMORY;

	m->left++;
	encode(v, &text);
	key_of(v->name, key);
	put.value = text.data;
	put.size = text.size;
	if (!r) {
		m->status = status;
		making_end(m);
		return;
	}
	r->making = m;
	(void) snprintf(r->name, sizeof(r->name), "%s", v->name); /* fits */
	if (!text.failed)
		status = write_one(m->all, &put, on_recorded, r);
	if (status)
		made(r, status, "the store takes no requests");
}

static struct making *making_new(struct volumes *all, volumes_done *done, void *arg)
{
	struct making *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->all = all;
	m->left = 1; /* until all are begun */
	m->done = done;
	m->arg = arg;
	return m;
}

static bool is_anonymous(struct co_span name)
{
	return name.size >= strlen(VOLUME_ANONYMOUS) &&
	       memcmp(name.data, VOLUME_ANONYMOUS, strlen(VOLUME_ANONYMOUS)) == 0;
}

/* How many are missing; or a sentence. */
static int look_at(const struct volumes *all, const struct volume_need *needs, size_t n,
		   struct co_err *err)
{
	int missing = 0;

	for (size_t i = 0; i < n; i++) {
		const struct volume *v = find(all, co_span(needs[i].name));

		if (v && v->removing)
			return co_fail(err, CO_BUSY, "volume %s is being removed",
				       v->name);
		if (!v && !needs[i].anonymous && is_anonymous(co_span(needs[i].name)))
			return co_fail(err, CO_NOT_FOUND,
				       "there is no volume %s; names that begin with "
				       "\"" VOLUME_ANONYMOUS "\" are for volumes that "
				       "images ask for",
				       needs[i].name);
		missing += !v;
	}
	if (HASH_COUNT(all->by_name) + (unsigned) missing > CO_LIMIT_VOLUMES)
		return co_fail(err, CO_TABLE_FULL,
			       "there are %u volumes, and there may be %d; remove some "
			       "(cloudosctl volume prune)",
			       HASH_COUNT(all->by_name), CO_LIMIT_VOLUMES);
	return missing;
}

int volumes_need(struct volumes *all, uint32_t container,
		 const struct volume_need *needs, size_t n, volumes_done *done,
		 void *arg, struct co_err *err)
{
	int missing = look_at(all, needs, n, err);
	struct making *m;

	if (missing <= 0)
		return missing;
	m = making_new(all, done, arg);
	if (!m)
		return co_fail(err, CO_NO_MEMORY, "no memory for a volume");
	for (size_t i = 0; i < n; i++) {
		const struct volume_need *need = &needs[i];
		const struct volume *v;

		if (find(all, co_span(need->name)))
			continue; /* two mounts of one, too */
		v = add(all, need->name, need->anonymous ? container : 0,
			need->anonymous ? need->inside : NULL);
		if (v)
			record(m, v);
		else
			m->status = CO_NO_MEMORY;
	}
	making_end(m);
	return 1;
}

/* ---- create ---- */

struct asking {
	struct volumes *all;
	struct container_asker asker;
	char name[VOLUME_NAME];
};

static struct asking *asking_new(struct volumes *all,
				 const struct container_asker *asker,
				 struct co_span name)
{
	struct asking *a = calloc(1, sizeof(*a));

	if (!a) {
		refuse(asker, CO_NO_MEMORY, "no memory for a request");
		return NULL;
	}
	a->all = all;
	a->asker = *asker;
	memcpy(a->name, name.data, name.size);
	return a;
}

static void created(void *arg, int status, const char *reason)
{
	struct asking *a = arg;
	const struct volume *v = find(a->all, co_span(a->name));
	autobuf struct co_buf json = { 0 };

	if (status || !v) {
		refuse(&a->asker, status ? status : CO_NOT_FOUND,
		       "volume %s could not be made: %s", a->name,
		       status ? reason : "it has been removed meanwhile");
	} else {
		show(a->all, v, &json);
		answer(&a->asker, 0, "", &json);
	}
	free(a);
}

static void folder_made(void *arg, const struct container_report *report)
{
	struct asking *a = arg;
	struct volume_need need = { .inside = NULL };
	struct co_err err = { 0 };
	int rc = report->status;

	memcpy(need.name, a->name, sizeof(need.name));
	if (rc)
		(void) co_fail(&err, rc, "%s", report->reason);
	else
		rc = volumes_need(a->all, 0, &need, 1, created, a, &err);
	if (rc <= 0)
		created(a, rc, err.message);
}

void volumes_create(struct volumes *all, struct co_span name,
		    const struct container_asker *asker)
{
	const struct container_runtime *runtime = all->options.runtime;
	struct asking *a;

	if (!container_name_is_good(name) || is_anonymous(name)) {
		refuse(asker, CO_INVALID,
		       "name is letters, digits, \"_\", \".\" and \"-\", at most %d, the "
		       "first no sign, not only digits, and does not begin with "
		       "\"" VOLUME_ANONYMOUS "\"",
		       VOLUME_NAME - 1);
		return;
	}
	if (find(all, name)) {
		refuse(asker, CO_EXISTS, "there is a volume %.*s already",
		       (int) name.size, name.data);
		return;
	}
	a = asking_new(all, asker, name);
	if (a)
		runtime->volume(runtime->ctx, CONTAINER_VOLUME_MAKE, a->name,
				folder_made, a);
}

/* ---- looking ---- */

void volumes_list(const struct volumes *all, struct co_buf *out)
{
	const struct volume *v;
	const char *comma = "";

	co_buf_text(out, "{\"volumes\":[");
	for (v = all->by_name; v; v = v->hh.next) {
		if (v->removing)
			continue;
		co_buf_text(out, comma);
		show(all, v, out);
		comma = ",";
	}
	co_buf_text(out, "]}");
}

static void not_there(const struct container_asker *asker, struct co_span name)
{
	refuse(asker, CO_NOT_FOUND, "there is no volume %.*s",
	       (int) (name.size < VOLUME_NAME ? name.size : VOLUME_NAME),
	       name.data ? name.data : "");
}

void volumes_inspect(const struct volumes *all, struct co_span name,
		     const struct container_asker *asker)
{
	const struct volume *v = find(all, name);
	autobuf struct co_buf json = { 0 };

	if (!v || v->removing) {
		not_there(asker, name);
		return;
	}
	show(all, v, &json);
	answer(asker, 0, "", &json);
}

/* ---- removing: the folder, then its record ---- */

static void not_removed(struct asking *a, int status, const char *reason)
{
	struct volume *v = find(a->all, co_span(a->name));

	if (v)
		v->removing = false;
	say(a->all, a->name, "could not be removed", reason);
	refuse(&a->asker, status, "volume %s could not be removed: %s", a->name,
	       reason);
	free(a);
}

static void on_erased(void *arg, const struct store_result *result)
{
	struct asking *a = arg;
	struct volume *v = find(a->all, co_span(a->name));
	autobuf struct co_buf json = { 0 };

	if (result->status || !v) {
		not_removed(a, result->status ? result->status : CO_NOT_FOUND,
			    result->reason);
		return;
	}
	show(a->all, v, &json);
	forget(a->all, v);
	emit(a->all, "volume:removed", &json);
	answer(&a->asker, 0, "", &json);
	free(a);
}

static void folder_gone(void *arg, const struct container_report *report)
{
	struct asking *a = arg;
	char key[KEY];
	const struct store_op erase = { .kind = STORE_DELETE, .key = key };
	int rc;

	if (report->status) {
		not_removed(a, report->status, report->reason);
		return;
	}
	key_of(a->name, key);
	rc = write_one(a->all, &erase, on_erased, a);
	if (rc)
		not_removed(a, rc, "the store takes no requests");
}

static void remove_one(struct volumes *all, struct volume *v,
		       const struct container_asker *asker)
{
	const struct container_runtime *runtime = all->options.runtime;
	struct asking *a = asking_new(all, asker, co_span(v->name));

	if (!a)
		return;
	v->removing = true;
	runtime->volume(runtime->ctx, CONTAINER_VOLUME_REMOVE, a->name, folder_gone, a);
}

/* The names alone: "web, db". */
static void as_words(const struct co_buf *names, struct co_buf *out)
{
	for (size_t i = 0; i < names->size; i++) {
		if (names->data[i] == ',')
			co_buf_text(out, ", ");
		else if (names->data[i] != '"')
			co_buf_char(out, names->data[i]);
	}
}

void volumes_remove(struct volumes *all, struct co_span name,
		    const struct container_asker *asker)
{
	struct volume *v = find(all, name);
	autobuf struct co_buf names = { 0 }, words = { 0 };

	if (!v || v->removing) {
		not_there(asker, name);
		return;
	}
	users_of(all, v, &names);
	if (!names.size && !names.failed) {
		remove_one(all, v, asker);
		return;
	}
	as_words(&names, &words);
	refuse(asker, CO_BUSY,
	       "volume %s belongs to %s; remove what has it first (cloudosctl "
	       "container rm)",
	       v->name, words.size && !words.failed ? words.data : "a container");
}

/* ---- several ---- */

struct removing {
	struct container_asker asker; /* done NULL: it is for a container */
	volumes_done *done;
	void *arg;
	size_t left;
	int status;
	char reason[512];
	struct co_buf text;
};

static void removing_end(struct removing *r)
{
	if (--r->left)
		return;
	co_buf_text(&r->text, "]}");
	if (r->done)
		r->done(r->arg, r->status, r->reason);
	else if (r->status)
		answer(&r->asker, r->status, r->reason, NULL);
	else
		answer(&r->asker, 0, "", &r->text);
	co_buf_done(&r->text);
	free(r);
}

static void one_removed(void *arg, const struct container_answer *a)
{
	struct removing *r = arg;
	struct co_span name;

	if (a->status) {
		r->status = a->status;
		(void) snprintf(r->reason, sizeof(r->reason), "%s",
				a->reason); /* cut */
	} else if (co_json_member(a->json, "name", &name)) {
		if (r->text.size && r->text.data[r->text.size - 1] != '[')
			co_buf_char(&r->text, ',');
		co_buf_span(&r->text, name);
	}
	removing_end(r);
}

static struct removing *removing_new(void)
{
	struct removing *r = calloc(1, sizeof(*r));

	if (r) {
		r->left = 1; /* until all are asked */
		co_buf_text(&r->text, "{\"removed\":[");
	}
	return r;
}

static void remove_too(struct volumes *all, struct volume *v, struct removing *r)
{
	struct container_asker each = { .done = one_removed, .arg = r };

	r->left++;
	remove_one(all, v, &each);
}

static bool is_used(const struct volumes *all, const struct volume *v)
{
	autobuf struct co_buf names = { 0 };

	users_of(all, v, &names);
	return names.size || names.failed;
}

void volumes_prune(struct volumes *all, bool named, const struct container_asker *asker)
{
	struct removing *r = removing_new();
	struct volume *v, *next;

	if (!r) {
		refuse(asker, CO_NO_MEMORY, "no memory for a request");
		return;
	}
	r->asker = *asker;
	HASH_ITER (hh, all->by_name, v, next)
		if (!v->removing && (v->owner || named) && !is_used(all, v))
			remove_too(all, v, r);
	removing_end(r);
}

/* Has a container that it was not made for named it? */
static bool has_others(const struct volumes *all, const struct volume *v)
{
	autobuf struct co_buf names = { 0 };

	all->options.users(all->options.arg, v->name, 0, &names);
	return names.size || names.failed;
}

int volumes_remove_of(struct volumes *all, uint32_t container, volumes_done *done,
		      void *arg)
{
	struct removing *r = NULL;
	struct volume *v, *next;

	HASH_ITER (hh, all->by_name, v, next) {
		if (v->owner != container || v->removing || has_others(all, v))
			continue;
		r = r ? r : removing_new();
		if (!r)
			return 0; /* prune has them then */
		r->done = done;
		r->arg = arg;
		remove_too(all, v, r);
	}
	if (!r)
		return 0;
	removing_end(r);
	return 1;
}

/* ---- reading them back ---- */

static bool decode(struct volumes *all, const char *name, struct co_span text)
{
	autobuf struct co_buf inside = { 0 };
	struct co_span object, value;
	struct co_json_fault fault;
	int64_t layout, created = 0, owner = 0;
	struct volume *v;

	if (co_json_check(text, &object, &fault) < 0 ||
	    !co_json_member(object, "layout", &value) ||
	    !co_json_whole(value, &layout) || layout != LAYOUT ||
	    !container_name_is_good(co_span(name)))
		return false;
	if (co_json_member(object, "created", &value))
		(void) co_json_whole(value, &created); /* otherwise it is not known */
	if (co_json_member(object, "container", &value) &&
	    (!co_json_whole(value, &owner) || owner < 0 ||
	     owner > CO_LIMIT_CONTAINER_ID))
		return false;
	if (co_json_member(object, "inside", &value) &&
	    co_json_unescape(value, &inside) < 0)
		return false;
	v = add(all, name, (uint32_t) owner, inside.size ? inside.data : NULL);
	if (v)
		v->created_ns = created > 0 ? (uint64_t) created : 0;
	return v != NULL;
}

static void load_end(struct volumes *all, int status, const char *reason)
{
	all->load_done(all->load_arg, status, reason);
}

static void on_given_records(void *arg, int status, const char *reason)
{
	struct volumes *all = arg;

	if (status)
		say(all, "", "without a record is left as it is", reason);
}

/* Folders that have no record: of a daemon that knew none, or of a lost store. */
static void on_folders(void *arg, const struct container_report *report)
{
	struct volumes *all = arg;
	autofree char *names = NULL;
	char *rest, *name;
	struct making *m = making_new(all, on_given_records, all);

	if (report->status)
		all->options.log(all->options.arg, report->reason);
	names = report->text.data ? strndup(report->text.data, report->text.size)
				  : NULL;
	rest = names;
	while (m && (name = strsep(&rest, "\n"))) {
		uint32_t owner = 0;
		const struct volume *v;

		if (!container_name_is_good(co_span(name)) ||
		    find(all, co_span(name)) ||
		    HASH_COUNT(all->by_name) >= CO_LIMIT_VOLUMES)
			continue;
		if (is_anonymous(co_span(name)))
			owner = (uint32_t) strtoul(name + strlen(VOLUME_ANONYMOUS),
						   NULL, 10);
		v = add(all, name, owner, NULL);
		if (v)
			record(m, v);
	}
	if (m)
		making_end(m);
	load_end(all, 0, "");
}

static void on_page(void *arg, const struct store_list *list)
{
	struct volumes *all = arg;
	const struct container_runtime *runtime = all->options.runtime;
	int r = 0;

	if (list->status < 0) {
		load_end(all, list->status, list->reason);
		return;
	}
	for (size_t i = 0; i < list->nitems; i++) {
		const char *name = list->items[i].key + strlen(PREFIX);

		if (!decode(all, name,
			    (struct co_span){ list->items[i].value,
					      list->items[i].size }))
			say(all, name, "has a damaged record", "it is left alone");
	}
	if (list->more)
		r = store_list(all->store, PREFIX, list->items[list->nitems - 1].key,
			       PAGE, list->rev, on_page, all);
	else
		runtime->volume(runtime->ctx, CONTAINER_VOLUME_LIST, "", on_folders,
				all);
	if (r < 0)
		load_end(all, r, "the store takes no requests");
}

int volumes_load(struct volumes *all, volumes_done *done, void *arg)
{
	all->load_done = done;
	all->load_arg = arg;
	return store_list(all->store, PREFIX, NULL, PAGE, 0, on_page, all);
}
