/* SPDX-License-Identifier: MIT */
/* Containers: the lists, names, ids, reading them back, looking.  HOST. */
#include "cloudosd/service/container.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define NEXT_KEY "/container-next"

enum { USERS_MAX = CO_LIMIT_CONTAINERS, USERS_TURN = USERS_MAX - 96 };

/* ---- one ---- */

uint64_t container_now(const struct containers *all)
{
	return all->host->wall_ns(all->host->ctx);
}

void container_log(const struct containers *all, const char *format, ...)
{
	char line[768];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(line, sizeof(line), format, args); /* cut */
	va_end(args);
	all->options.log(all->options.arg, line);
}

static uint32_t free_users(const struct containers *all, uint32_t from, uint32_t to)
{
	while (from < to && all->users[from])
		from++;
	return from < to ? from : USERS_MAX;
}

/* A block of outside ids: the one that it has had, or another that is free.  In turn, so that
 * what a container has left behind (files in a folder of the host, shared memory) does not
 * belong to the next one at once.  The last blocks have no address on the smallest bridge. */
bool container_users_take(struct containers *all, uint32_t wanted, uint32_t *out)
{
	uint32_t turn = (uint32_t) ((all->next_id - 1) % USERS_TURN);

	if (wanted >= USERS_MAX || all->users[wanted])
		wanted = free_users(all, turn, USERS_TURN);
	if (wanted == USERS_MAX)
		wanted = free_users(all, 0, USERS_MAX);
	if (wanted == USERS_MAX)
		return false;
	all->users[wanted] = 1;
	*out = wanted;
	return true;
}

static int by_id(const struct container *a, const struct container *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

struct container *container_new(struct containers *all, uint32_t id, const char *name,
				struct container_settings *config)
{
	const struct co_host *host = all->host;
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		(void) container_config_free(config); /* NULL */
		return NULL;
	}
	c->all = all;
	c->id = id;
	c->users = UINT32_MAX;
	c->config = config;
	(void) snprintf(c->name, sizeof(c->name), "%s", name);
	HASH_ADD(by_id, all->by_id, id, sizeof(c->id), c);
	HASH_ADD(by_name, all->by_name, name[0], strlen(c->name), c);
	DL_INSERT_INORDER(all->list, c, by_id);
	all->count++;
	c->image_id = strdup("");
	c->facts = strdup("");
	c->timer = host->timer_new(host->ctx, container_timer, c);
	c->pulse = host->timer_new(host->ctx, container_pulse, c);
	if (c->image_id && c->facts && c->timer && c->pulse)
		return c;
	container_free(c);
	return NULL;
}

void container_image_is(struct container *c, char *id)
{
	const struct containers_options *o = &c->all->options;

	if (o->use && c->image_id && *c->image_id)
		o->use(o->arg, c->image_id, false);
	free(c->image_id);
	c->image_id = id;
	if (o->use && id && *id)
		o->use(o->arg, id, true);
}

void container_named(struct container *c, const char *name)
{
	HASH_DELETE(by_name, c->all->by_name, c);
	(void) snprintf(c->name, sizeof(c->name), "%s", name);
	HASH_ADD(by_name, c->all->by_name, name[0], strlen(c->name), c);
}

static void ops_free(struct container_op *list)
{
	struct container_op *op, *next;

	DL_FOREACH_SAFE (list, op, next)
		container_op_free(op);
}

void container_free(struct container *c)
{
	struct containers *all = c->all;

	HASH_DELETE(by_id, all->by_id, c);
	HASH_DELETE(by_name, all->by_name, c);
	DL_DELETE(all->list, c);
	all->count--;
	if (c->users < USERS_MAX)
		all->users[c->users] = 0;
	if (c->timer)
		all->host->timer_free(c->timer);
	if (c->pulse)
		all->host->timer_free(c->pulse);
	if (c->op)
		container_op_free(c->op);
	ops_free(c->queue);
	ops_free(c->waits);
	(void) container_config_free(c->config); /* NULL */
	container_defaults_done(&c->defaults);
	container_image_is(c, NULL);
	free(c->facts);
	free(c);
}

struct container *container_find(const struct containers *all, struct co_span which)
{
	struct container *c = NULL;
	char text[CONTAINER_NAME];
	unsigned long number;
	uint32_t id;
	char *end;

	if (!which.size || which.size >= sizeof(text))
		return NULL;
	HASH_FIND(by_name, all->by_name, which.data, which.size, c);
	if (c)
		return c;
	memcpy(text, which.data, which.size);
	text[which.size] = '\0';
	number = strtoul(text, &end, 10);
	if (*end || *text < '0' || *text > '9' || number > CO_LIMIT_CONTAINER_ID)
		return NULL;
	id = (uint32_t) number;
	HASH_FIND(by_id, all->by_id, &id, sizeof(id), c);
	return c;
}

/* ---- all ---- */

static bool keeps_alive(const struct container *c)
{
	return container_lives(c) || c->state == CONTAINER_IS_RESTARTING ||
	       c->state == CONTAINER_IS_REMOVING || c->making || c->op ||
	       (c->state == CONTAINER_IS_CREATED && c->made);
}

bool containers_keep_alive(const struct containers *all)
{
	const struct container *c;

	if (!all)
		return false;
	DL_FOREACH (all->list, c)
		if (keeps_alive(c))
			return true;
	return false;
}

void containers_changed(struct containers *all)
{
	bool now = containers_keep_alive(all);

	if (now == all->kept_alive)
		return;
	all->kept_alive = now;
	if (all->options.changed)
		all->options.changed(all->options.arg);
}

static void on_end(void *arg, uint32_t id, const struct container_end *end)
{
	struct containers *all = arg;
	struct container *c = NULL;

	HASH_FIND(by_id, all->by_id, &id, sizeof(id), c);
	if (c)
		container_ended(c, end);
}

static void on_oom(void *arg, uint32_t id)
{
	struct containers *all = arg;
	autobuf struct co_buf data = { 0 };
	struct container *c = NULL;

	HASH_FIND(by_id, all->by_id, &id, sizeof(id), c);
	if (!c)
		return;
	c->oom_killed = true;
	container_event_begin(&data, c);
	co_buf_char(&data, '}');
	if (!data.failed)
		all->options.emit(all->options.arg, "container:oom",
				  (struct co_span){ data.data, data.size });
}

static void rewrite(void *arg)
{
	struct containers *all = arg;
	struct container *c;

	DL_FOREACH (all->list, c) {
		if (!c->rewrite)
			continue;
		c->rewrite = false;
		container_save(c, NULL, "");
	}
}

struct containers *containers_new(const struct co_host *host, struct store *store,
				  const struct containers_options *options)
{
	struct containers *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->host = host;
	all->store = store;
	all->options = *options;
	all->next_id = 1;
	all->users = calloc(USERS_MAX, 1);
	all->rewrite = host->timer_new(host->ctx, rewrite, all);
	if (!all->users || !all->rewrite) {
		if (all->rewrite)
			host->timer_free(all->rewrite);
		free(all->users);
		free(all);
		return NULL;
	}
	options->runtime->listen(options->runtime->ctx, on_end, on_oom, all);
	return all;
}

struct containers *containers_free(struct containers *all)
{
	struct container *c, *next;

	if (!all)
		return NULL;
	all->options.runtime->listen(all->options.runtime->ctx, NULL, NULL, NULL);
	container_saves_forget(all);
	DL_FOREACH_SAFE (all->list, c, next)
		container_free(c);
	all->host->timer_free(all->rewrite);
	free(all->users);
	free(all);
	return NULL;
}

static void no_matter(void *arg, const struct container_report *report)
{
	(void) arg; /* the daemon ends */
	(void) report;
}

void containers_stop(struct containers *all, bool end)
{
	struct container *c;

	if (!all)
		return;
	all->stopping = true;
	if (!end)
		return;
	DL_FOREACH (all->list, c)
		if (c->made)
			container_act(c, CONTAINER_ACT_KILL, SIGKILL, no_matter);
}

bool containers_use_image(const struct containers *all, const char *image_id,
			  const char **out_name)
{
	const struct container *c;

	if (!all || !*image_id)
		return false;
	DL_FOREACH (all->list, c)
		if (strcmp(c->image_id, image_id) == 0) {
			*out_name = c->name;
			return true;
		}
	return false;
}

static bool names_volume(const struct container *c, const char *name)
{
	for (size_t i = 0; i < c->config->nvolumes; i++)
		if (c->config->volumes[i].named &&
		    strcmp(c->config->volumes[i].source, name) == 0)
			return true;
	return false;
}

void containers_volume_users(const struct containers *all, const char *name,
			     uint32_t owner, struct co_buf *out)
{
	const struct container *c;
	const char *comma = "";

	if (!all)
		return;
	DL_FOREACH (all->list, c) {
		if (c->id != owner && !names_volume(c, name))
			continue;
		co_buf_text(out, comma);
		co_buf_json_text(out, co_span(c->name));
		comma = ",";
	}
}

/* ---- reading them back ---- */

static void load_end(struct containers *all, int status, const char *reason)
{
	autofree uint32_t *ids = calloc(all->count + 1, sizeof(*ids));
	const struct container_runtime *runtime = all->options.runtime;
	struct container *c, *next;
	size_t n = 0;

	if (status) {
		all->load_done(all->load_arg, status, reason);
		return;
	}
	all->loaded = true;
	DL_FOREACH (all->list, c)
		if (ids)
			ids[n++] = c->id;
	if (ids)
		runtime->sweep(runtime->ctx, ids, n, (uint32_t) all->next_id);
	DL_FOREACH_SAFE (all->list, c, next)
		container_adopt_begin(c);
	containers_changed(all);
	all->load_done(all->load_arg, 0, "");
}

static void on_next_id(void *arg, const struct store_result *result)
{
	struct containers *all = arg;
	const struct container *c;
	char digits[32] = "";

	if (result->status < 0) {
		load_end(all, result->status, result->reason);
		return;
	}
	if (result->nresults && result->results[0].found &&
	    result->results[0].item.size < sizeof(digits))
		memcpy(digits, result->results[0].item.value,
		       result->results[0].item.size);
	all->next_id = strtoull(digits, NULL, 10);
	DL_FOREACH (all->list, c)
		if (all->next_id <= c->id)
			all->next_id = c->id + 1ULL;
	if (!all->next_id)
		all->next_id = 1;
	load_end(all, 0, "");
}

static void on_page(void *arg, const struct store_list *list)
{
	const struct store_op get = { .kind = STORE_GET, .key = NEXT_KEY };
	const struct store_txn next = { .then = &get, .nthen = 1 };
	struct containers *all = arg;
	int r;

	if (list->status < 0) {
		load_end(all, list->status, list->reason);
		return;
	}
	for (size_t i = 0; i < list->nitems; i++)
		if (!container_decode(all, (struct co_span){ list->items[i].value,
							     list->items[i].size }))
			container_log(all,
				      "the record %s of a container is damaged; "
				      "it is left alone",
				      list->items[i].key);
	r = list->more ? store_list(all->store, "/container/",
				    list->items[list->nitems - 1].key, 256, list->rev,
				    on_page, all)
		       : store_txn(all->store, &next, on_next_id, all);
	if (r < 0)
		load_end(all, r, "the store takes no requests");
}

int containers_load(struct containers *all,
		    void (*done)(void *arg, int status, const char *reason), void *arg)
{
	all->load_done = done;
	all->load_arg = arg;
	return store_list(all->store, "/container/", NULL, 256, 0, on_page, all);
}

/* ---- its calls ---- */

static struct container *numbered(const struct containers *all, uint32_t id)
{
	struct container *c = NULL;

	if (all)
		HASH_FIND(by_id, all->by_id, &id, sizeof(id), c);
	return c;
}

/* Sessions count upwards, and come in any order after the daemon has started anew. */
void containers_session_begins(struct containers *all, uint32_t id, uint64_t session)
{
	struct container *c = numbered(all, id);

	if (c && (!c->session || session < c->session))
		c->session = session;
}

void containers_session_ends(struct containers *all, uint32_t id, uint64_t session)
{
	struct container *c = numbered(all, id);

	if (c && c->session == session)
		c->session = 0;
}

/* ---- looking ---- */

/* The member ip of "network":{...} among its facts. */
static void read_ip(const struct container *c, char *out, size_t size)
{
	autobuf struct co_buf facts = { 0 }, ip = { 0 };
	struct co_json_fault fault;
	struct co_span object, value;

	if (!*c->facts)
		return;
	co_buf_format(&facts, "{%s}", c->facts);
	if (facts.failed ||
	    co_json_check((struct co_span){ facts.data, facts.size }, &object, &fault) <
		    0 ||
	    !co_json_member(object, "network", &value) ||
	    !co_json_member(value, "ip", &value) || co_json_unescape(value, &ip) < 0)
		return;
	(void) snprintf(out, size, "%s", ip.data ? ip.data : "");
}

static void look_at(const struct container *c, struct container_look *out)
{
	*out = (struct container_look){ .id = c->id,
					.name = c->name,
					.image = c->config->image ? c->config->image
								  : "",
					.error = c->error,
					.state = c->state,
					.health = c->health,
					.pid = c->pid,
					.exit_code = c->exit_code,
					.signal = c->signal,
					.oom_killed = c->oom_killed,
					.restarts = c->restarts,
					.created_ns = c->created_ns,
					.started_ns = c->started_ns,
					.finished_ns = c->finished_ns,
					.config = c->config,
					.image_id = c->image_id,
					.session = c->session };
	read_ip(c, out->ip, sizeof(out->ip));
}

bool containers_look(const struct containers *all, struct co_span which,
		     struct container_look *out)
{
	const struct container *c = container_find(all, which);

	if (!c || c->making)
		return false;
	look_at(c, out);
	return true;
}

void containers_each(const struct containers *all,
		     void (*each)(void *arg, const struct container_look *look),
		     void *arg)
{
	struct container_look look;
	const struct container *c;

	DL_FOREACH (all->list, c) {
		if (c->making)
			continue;
		look_at(c, &look);
		each(arg, &look);
	}
}

void containers_list(const struct containers *all, bool every, struct co_buf *out)
{
	const struct container *c;
	const char *comma = "";

	co_buf_text(out, "{\"containers\":[");
	DL_FOREACH (all->list, c) {
		if (c->making || (!every && !container_lives(c) &&
				  c->state != CONTAINER_IS_RESTARTING))
			continue;
		co_buf_text(out, comma);
		container_json(out, c);
		comma = ",";
	}
	co_buf_text(out, "]}");
}
