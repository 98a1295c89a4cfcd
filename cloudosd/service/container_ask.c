/* SPDX-License-Identifier: MIT */
/* What others ask of containers, on its way to the queues.  HOST. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- create ---- */

/* CONFIG with the name that goes before its own. */
static int config_named(struct co_span text, struct co_span name,
			struct container_settings **out, struct co_err *err)
{
	autobuf struct co_buf with = { 0 }, merged = { 0 };
	bool live_only;
	int r = container_config_parse(text, out, err);

	if (r || !name.size)
		return r;
	co_buf_text(&with, "{\"name\":");
	co_buf_json_text(&with, name);
	co_buf_char(&with, '}');
	r = with.failed
		    ? co_fail(err, CO_NO_MEMORY, "no memory for a container")
		    : container_config_merge(*out,
					     (struct co_span){ with.data, with.size },
					     &merged, &live_only, err);
	*out = container_config_free(*out);
	return r ? r
		 : container_config_parse((struct co_span){ merged.data, merged.size },
					  out, err);
}

static bool name_for(const struct containers *all,
		     const struct container_settings *config, char out[CONTAINER_NAME])
{
	uint64_t n = all->next_id;

	if (config->name) {
		(void) snprintf(out, CONTAINER_NAME, "%s", config->name); /* fits */
		return !container_find(all, co_span(out));
	}
	do
		(void) snprintf(out, CONTAINER_NAME, "container-%" PRIu64, n++);
	while (container_find(all, co_span(out)));
	return true;
}

static void create_with(struct containers *all, struct container_settings *config,
			const struct container_asker *asker)
{
	struct container_image image;
	char name[CONTAINER_NAME];
	struct container_op *op;
	struct co_err err = { 0 };
	struct container *c;

	if (!name_for(all, config, name)) {
		container_refuse(asker, CO_EXISTS,
				 "there is a container called %s already; remove it or "
				 "choose another name",
				 name);
		(void) container_config_free(config); /* NULL */
		return;
	}
	c = container_new(all, (uint32_t) all->next_id, name, config);
	if (!c || !container_users_take(all, UINT32_MAX, &c->users)) {
		if (c)
			container_free(c);
		container_refuse(asker, CO_NO_MEMORY, "no memory for a container");
		return;
	}
	all->next_id++;
	c->making = true;
	c->created_ns = container_now(all);
	if (container_defaults_of(c, &image, &err)) {
		container_free(c);
		container_refuse(asker, err.code, "%s", err.message);
		return;
	}
	op = container_op_new(CONTAINER_CREATE, asker);
	if (op)
		container_op_queue(c, op);
	else
		container_free(c);
}

void containers_create(struct containers *all, struct co_span config,
		       struct co_span name, const struct container_asker *asker)
{
	struct container_settings *parsed;
	struct co_err err = { 0 };

	if (all->count >= CO_LIMIT_CONTAINERS || all->next_id > CO_LIMIT_CONTAINER_ID) {
		container_refuse(asker, CO_TABLE_FULL,
				 "there are %d containers, as many as there may be; "
				 "remove some (cloudosctl container prune)",
				 CO_LIMIT_CONTAINERS);
		return;
	}
	if (!all->loaded || all->stopping) {
		container_refuse(asker, CO_BUSY, "cloudosd %s",
				 all->stopping ? "is stopping" : "has just started");
		return;
	}
	if (config_named(config, name, &parsed, &err)) {
		container_refuse(asker, err.code, "%s", err.message);
		return;
	}
	create_with(all, parsed, asker);
}

/* ---- kill and stats, at once ---- */

struct asking {
	struct container_asker asker;
	struct container *container;
	int signal;
};

static void on_stats(void *arg, const struct container_report *report)
{
	struct asking *a = arg;

	if (report->status)
		container_refuse(&a->asker, report->status, "%s", report->reason);
	else
		container_answer(&a->asker, 0, "", report->text, a->container->id);
	free(a);
}

static void on_killed(void *arg, const struct container_report *report)
{
	struct asking *a = arg;
	struct container *c = a->container;
	autobuf struct co_buf json = { 0 };

	if (report->status) {
		container_refuse(&a->asker, report->status, "%s", report->reason);
	} else {
		container_json(&json, c);
		container_answer(&a->asker, json.failed ? CO_NO_MEMORY : 0, "no memory",
				 (struct co_span){ json.data, json.size }, c->id);
	}
	free(a);
}

static bool ends_for_good(const struct container *c, int signal)
{
	return signal == SIGKILL ||
	       signal == (c->config->stop_signal    ? c->config->stop_signal
			  : c->defaults.stop_signal ? c->defaults.stop_signal
						    : SIGTERM);
}

void container_now_do(struct container *c, int verb, int signal,
		      const struct container_asker *asker)
{
	const struct container_runtime *runtime = c->all->options.runtime;
	struct container_act act = { .kind = verb == CONTAINER_KILL
						     ? CONTAINER_ACT_KILL
						     : CONTAINER_ACT_USAGE,
				     .signal = signal ? signal : SIGKILL };
	struct asking *a;

	if (!container_lives(c)) {
		container_refuse(asker, CO_BUSY,
				 "container %s is %s: only one that runs "
				 "can be asked for that",
				 c->name, container_state_name(c->state));
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		container_refuse(asker, CO_NO_MEMORY, "no memory for a request");
		return;
	}
	a->asker = *asker;
	a->asker.journal = NULL;
	a->container = c;
	if (verb == CONTAINER_KILL && c->wanted && ends_for_good(c, act.signal)) {
		c->wanted = false;
		container_save(c, NULL, "");
	}
	runtime->act(runtime->ctx, c->id, &act,
		     verb == CONTAINER_KILL ? on_killed : on_stats, a);
}

/* ---- what it printed, whatever else happens to it ---- */

struct reading {
	struct container_asker asker;
	uint32_t id;
};

static void on_logs(void *arg, const struct container_report *report)
{
	struct reading *r = arg;

	if (report->status)
		container_refuse(&r->asker, report->status, "%s", report->reason);
	else
		container_answer(&r->asker, 0, "", report->text, r->id);
	free(r);
}

static void read_logs(const struct container *c, uint32_t lines,
		      const struct container_asker *asker)
{
	const struct container_runtime *runtime = c->all->options.runtime;
	struct reading *r = malloc(sizeof(*r));

	if (!r) {
		container_refuse(asker, CO_NO_MEMORY, "no memory for a request");
		return;
	}
	*r = (struct reading){ .asker = *asker, .id = c->id };
	r->asker.journal = NULL;
	if (!lines || lines > CO_LIMIT_CONTAINER_LOG_LINES)
		lines = lines ? CO_LIMIT_CONTAINER_LOG_LINES : 100;
	runtime->logs(runtime->ctx, c->id, lines, on_logs, r);
}

/* ---- the others ---- */

static void wait_for(struct container *c, const struct container_asker *asker)
{
	struct container_op *op = container_op_new(CONTAINER_WAIT, asker);

	if (!op)
		return;
	op->container = c;
	c->nwaits++;
	DL_APPEND(c->waits, op);
	if (!container_lives(c) && c->state != CONTAINER_IS_RESTARTING &&
	    c->state != CONTAINER_IS_CREATED && !c->op)
		container_waits_answer(c);
}

static void tell(const struct container *c, const struct container_asker *asker)
{
	autobuf struct co_buf json = { 0 };

	container_json(&json, c);
	container_answer(asker, json.failed ? CO_NO_MEMORY : 0, "no memory",
			 (struct co_span){ json.data, json.size }, c->id);
}

/* Is it stopped just now, and that takes too long? */
static void hurry(struct container *c)
{
	if (c->op && container_lives(c) &&
	    (c->op->verb == CONTAINER_STOP || c->op->verb == CONTAINER_RESTART))
		c->all->host->timer_start(c->timer, 0);
}

static void queue(struct container *c, const struct container_request *request,
		  const struct container_asker *asker)
{
	struct container_op *op = container_op_new((int) request->verb, asker);

	if (!op)
		return;
	op->has_timeout = request->has_timeout;
	op->timeout_s = request->timeout_s;
	op->signal = request->signal;
	op->force = request->force;
	op->volumes = request->volumes;
	if (request->verb == CONTAINER_UPDATE) {
		op->part = strndup(request->config.data, request->config.size);
		if (!op->part) {
			container_op_free(op);
			container_refuse(asker, CO_NO_MEMORY,
					 "no memory for a request");
			return;
		}
	}
	if (request->verb == CONTAINER_REMOVE && request->force)
		hurry(c);
	container_op_queue(c, op);
}

void containers_ask(struct containers *all, const struct container_request *request,
		    const struct container_asker *asker)
{
	struct container *c = container_find(all, request->which);
	bool at_once =
		request->verb == CONTAINER_KILL || request->verb == CONTAINER_STATS;
	/* of one that is being looked for nobody knows anything yet */
	bool known = !(c && c->op && c->op->verb == CONTAINER_ADOPT);

	if (!c || c->making) {
		container_refuse(
			asker, CO_NOT_FOUND, "there is no container %.*s",
			(int) (request->which.size < 256 ? request->which.size : 256),
			request->which.data ? request->which.data : "");
	} else if (request->verb == CONTAINER_INSPECT && known) {
		tell(c, asker);
	} else if (request->verb == CONTAINER_LOGS) {
		read_logs(c, request->lines, asker);
	} else if (c->nqueued + c->nwaits >= CO_LIMIT_CONTAINER_WAITS) {
		container_refuse(asker, CO_BUSY,
				 "%d requests wait for container %s already",
				 CO_LIMIT_CONTAINER_WAITS, c->name);
	} else if (request->verb == CONTAINER_WAIT) {
		wait_for(c, asker);
	} else if (at_once && known) {
		container_now_do(c, (int) request->verb, request->signal, asker);
	} else {
		queue(c, request, asker);
	}
}

void containers_forget(struct containers *all, void *arg)
{
	struct container_op *op, *next;
	struct container *c;

	DL_FOREACH (all->list, c)
		DL_FOREACH_SAFE (c->waits, op, next) {
			if (op->asker.arg != arg)
				continue;
			DL_DELETE(c->waits, op);
			c->nwaits--;
			container_op_free(op);
		}
}

/* ---- prune ---- */

struct pruning {
	struct container_asker asker;
	struct co_buf text;
	size_t left;
};

static void prune_end(struct pruning *p)
{
	if (p->left)
		return;
	co_buf_text(&p->text, "]}");
	container_answer(&p->asker, p->text.failed ? CO_NO_MEMORY : 0, "no memory",
			 (struct co_span){ p->text.data, p->text.size }, 0);
	co_buf_done(&p->text);
	free(p);
}

static void pruned(void *arg, const struct container_answer *answer)
{
	struct pruning *p = arg;
	struct co_span name;

	p->left--;
	if (answer->status == 0 && co_json_member(answer->json, "name", &name)) {
		if (p->text.size && p->text.data[p->text.size - 1] != '[')
			co_buf_char(&p->text, ',');
		co_buf_span(&p->text, name);
	}
	prune_end(p);
}

void containers_prune(struct containers *all, const struct container_asker *asker)
{
	struct pruning *p = calloc(1, sizeof(*p));
	struct container *c, *next;

	if (!p) {
		container_refuse(asker, CO_NO_MEMORY, "no memory for a request");
		return;
	}
	p->asker = *asker;
	p->left = 1; /* until all are asked */
	co_buf_text(&p->text, "{\"removed\":[");
	DL_FOREACH_SAFE (all->list, c, next) {
		struct container_asker each = { .done = pruned, .arg = p };
		struct container_op *op;

		if (c->making || c->op || c->queue ||
		    (c->state != CONTAINER_IS_EXITED && c->state != CONTAINER_IS_DEAD &&
		     c->state != CONTAINER_IS_CREATED))
			continue;
		p->left++;
		op = container_op_new(CONTAINER_REMOVE, &each);
		if (op)
			container_op_queue(c, op);
	}
	p->left--;
	prune_end(p);
}
