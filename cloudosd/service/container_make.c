/* SPDX-License-Identifier: MIT */
/* Making containers and beginning them.  HOST. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "cloudosd/service/volume.h"
#include "lib/cleanup.h"

/* ---- its image ---- */

int container_defaults_of(struct container *c, struct container_image *out,
			  struct co_err *err)
{
	const struct containers_options *o = &c->all->options;
	struct container_defaults defaults;
	int r = 0;

	*out = (struct container_image){ .id = "" };
	if (c->config->image && !o->image)
		return co_fail(err, CO_NOT_FOUND, "there are no images here");
	if (c->config->image)
		r = o->image(o->arg, *c->image_id ? c->image_id : c->config->image, out,
			     err);
	if (r)
		return r;
	if (strcmp(c->image_id, out->id) != 0) {
		char *id = strdup(out->id);

		if (!id)
			return co_fail(err, CO_NO_MEMORY, "no memory for a container");
		container_image_is(c, id);
	}
	if (container_defaults_read(out->config, &defaults))
		return co_fail(err, CO_NO_MEMORY, "no memory for a container");
	container_defaults_done(&c->defaults);
	c->defaults = defaults;
	return 0;
}

/* ---- making ---- */

static void make_now(struct container *c);

static void make_next(struct containers *all)
{
	struct container *c;

	DL_FOREACH (all->list, c)
		if (c->wants_make) {
			make_now(c);
			return;
		}
}

void container_take_facts(struct container *c, struct co_span facts)
{
	char *text = facts.data ? strndup(facts.data, facts.size) : strdup("");

	if (!text)
		return;
	free(c->facts);
	c->facts = text;
}

static void on_made(void *arg, const struct container_report *report)
{
	struct container *c = arg;
	struct containers *all = c->all;

	all->making--;
	c->made = report->status == 0;
	if (c->made) {
		c->pid = report->pid;
		container_take_facts(c, report->facts);
	}
	c->after_make(c, report->status, report->reason);
	make_next(all); /* c may be gone */
}

/* networkMode container:NAME is the network name space of that one's first process. */
static int find_network(const struct container *c, uint32_t *out, struct co_err *err)
{
	const char *mode = c->config->network;
	const struct container *other;

	if (!mode || strncmp(mode, "container:", 10) != 0)
		return 0;
	other = container_find(c->all, co_span(mode + 10));
	if (!other || other == c || other->making)
		return co_fail(
			err, CO_NOT_FOUND,
			"there is no container %.255s whose network could be used",
			mode + 10);
	if (!other->pid)
		return co_fail(err, CO_BUSY,
			       "container %s has no network to be used: start it first",
			       other->name);
	*out = other->id;
	return 0;
}

/* Whoever may make containers may be any service: it is a grant of theirs. */
static int find_service(const struct container *c, struct container_service *space,
			const struct container_service **out, struct co_err *err)
{
	const struct containers_options *o = &c->all->options;
	int r;

	if (!c->config->service)
		return 0;
	if (!o->service)
		return co_fail(err, CO_NOT_FOUND, "there are no services here");
	r = o->service(o->arg, c->config->service, space, err);
	if (!r)
		*out = space;
	return r;
}

static void on_volumes(void *arg, int status, const char *reason)
{
	struct container *c = arg;
	struct containers *all = c->all;

	all->making--;
	if (status)
		c->after_make(c, status, reason);
	else
		make_now(c);
	make_next(all); /* c may be gone */
}

/* The volumes that it has.  0: they are there; 1: on_volumes; or a sentence. */
static int find_volumes(struct container *c, struct co_err *err)
{
	const struct container_settings *k = c->config;
	const struct container_texts *image = &c->defaults.volumes;
	autofree struct volume_need *needs = NULL;
	size_t n = 0;
	int r;

	if (!c->all->options.volumes || k->nvolumes + image->count == 0)
		return 0;
	needs = calloc(k->nvolumes + image->count, sizeof(*needs));
	if (!needs)
		return co_fail(err, CO_NO_MEMORY, "no memory for a container");
	for (size_t i = 0; i < image->count; i++) {
		if (!container_image_volume(&c->defaults, k, i))
			continue;
		container_image_volume_name(needs[n].name, c->id, i);
		needs[n].inside = image->at[i];
		needs[n++].anonymous = true;
	}
	for (size_t i = 0; i < k->nvolumes; i++)
		if (k->volumes[i].named)
			(void) snprintf(needs[n++].name, sizeof(needs->name), "%s",
					k->volumes[i].source); /* fits */
	c->all->making++;
	r = volumes_need(c->all->options.volumes, c->id, needs, n, on_volumes, c, err);
	if (r <= 0)
		c->all->making--;
	return r;
}

static void make_now(struct container *c)
{
	const struct container_runtime *runtime = c->all->options.runtime;
	struct container_make make = { .id = c->id,
				       .name = c->name,
				       .config = c->config->json,
				       .users = c->users,
				       .fresh = c->making };
	struct container_service service = { .hosts = NULL };
	struct co_err err = { 0 };
	int r;

	c->wants_make = false;
	r = find_network(c, &make.network_of, &err);
	if (r == 0)
		r = find_service(c, &service, &make.service, &err);
	if (r == 0)
		r = container_defaults_of(c, &make.image, &err);
	if (r == 0)
		r = find_volumes(c, &err);
	if (r)
		free(service.hosts);
	if (r > 0)
		return; /* and here again */
	if (r < 0) {
		c->after_make(c, err.code, err.message);
		return;
	}
	c->all->making++;
	runtime->make(runtime->ctx, &make, on_made, c);
	free(service.hosts);
}

void container_make(struct container *c,
		    void (*then)(struct container *c, int status, const char *reason))
{
	if (c->made) {
		then(c, 0, "");
		return;
	}
	c->after_make = then;
	c->wants_make = true;
	if (c->all->making < CO_LIMIT_CONTAINER_MAKING)
		make_now(c);
}

/* ---- volumes that go with it ---- */

static void on_dropped(void *arg, int status, const char *reason)
{
	struct container *c = arg;

	if (status)
		container_log(c->all, "a volume of container %s stays: %s", c->name,
			      reason);
	c->after_drop(c);
}

void container_volumes_drop(struct container *c, void (*then)(struct container *c))
{
	bool drop = c->volumes_too || c->config->rm || c->making;

	c->after_drop = then;
	if (!drop || !c->all->options.volumes ||
	    volumes_remove_of(c->all->options.volumes, c->id, on_dropped, c) == 0)
		then(c);
}

/* ---- creating ---- */

static void no_matter(void *arg, const struct container_report *report)
{
	(void) arg; /* a monitor that cannot be told ends, which is told */
	(void) report;
}

/* Nobody has heard of it yet: all of it goes. */
static void create_undone(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;
	struct containers *all = c->all;

	(void) status; /* what is left in the store is removed by the next daemon */
	(void) reason;
	container_refuse(&op->asker, op->signal, "%s", c->error);
	c->op = NULL;
	container_op_free(op);
	container_free(c);
	containers_changed(all);
}

static void undo_record(struct container *c)
{
	c->op->saved = create_undone;
	c->op->has_journal = false;
	container_erase(c, c->op, "");
}

static void on_unmade(void *arg, const struct container_report *report)
{
	struct container *c = arg;

	if (report->status)
		container_log(c->all, "what was made of container %s stays: %s",
			      c->name, report->reason);
	container_volumes_drop(c, undo_record);
}

static void create_undo(struct container *c, int status, const char *reason)
{
	const struct container_runtime *runtime = c->all->options.runtime;

	c->op->signal = status; /* which it has no other use for */
	(void) snprintf(c->error, sizeof(c->error), "%s", reason); /* cut */
	c->making = true;
	runtime->unmake(runtime->ctx, c->id, true, on_unmade, c);
}

static void create_committed(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;

	if (status) {
		create_undo(c, status, reason);
		return;
	}
	if (c->made)
		container_act(c, CONTAINER_ACT_COMMIT, 0, no_matter);
	container_op_done(op, 0, "");
}

static void create_made(struct container *c, int status, const char *reason)
{
	if (status) {
		create_undo(c, status, reason);
		return;
	}
	c->making = false;
	c->op->has_journal = c->op->journal.session != 0;
	if (c->op->has_journal)
		c->op->journal.result = c->id;
	c->op->saved = create_committed;
	container_save(c, c->op, "created");
}

static void create_recorded(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;

	if (status)
		create_undo(c, status, reason);
	else
		container_make(c, create_made);
}

void container_create_begin(struct container *c)
{
	c->op->has_journal = false; /* with the second write */
	c->op->saved = create_recorded;
	container_save(c, c->op, "");
}

/* ---- starting ---- */

static void start_failed(struct container *c, int status, const char *reason)
{
	struct container_op *op = c->op;
	struct container_end end = { .exit_code = status == CO_NOT_FOUND ? 127 : 126,
				     .finished_ns = container_now(c->all),
				     .error = reason };
	char kept[CONTAINER_ERROR];

	(void) snprintf(kept, sizeof(kept), "%s", reason); /* cut */
	end.error = kept;
	c->starting = false;
	if (op->verb != CONTAINER_AGAIN)
		c->wanted = false;
	container_over(c, &end);
	container_op_done(op, status, kept);
}

static void on_cleared(void *arg, const struct container_report *report)
{
	struct container *c = arg;

	(void) report; /* what is left is told when it is removed */
	c->made = false;
	start_failed(c, c->op->signal, c->error);
}

static void on_started(void *arg, const struct container_report *report)
{
	const struct container_runtime *runtime;
	struct container *c = arg;

	if (report->status == 0) {
		c->starting = false;
		container_begun(c, report);
		container_save(c, c->op, "started");
		return;
	}
	runtime = c->all->options.runtime;
	c->op->program = report->status != CO_GONE && report->status != CO_BUSY &&
			 report->status != CO_NO_MEMORY &&
			 report->status != CO_TIMED_OUT;
	c->op->signal = report->status; /* which it has no other use for */
	(void) snprintf(c->error, sizeof(c->error), "%s", report->reason); /* cut */
	runtime->unmake(runtime->ctx, c->id, false, on_cleared, c);
}

static void start_made(struct container *c, int status, const char *reason)
{
	if (status) {
		start_failed(c, status, reason);
		return;
	}
	c->starting = true;
	container_act(c, CONTAINER_ACT_COMMIT, 0, no_matter);
	container_act(c, CONTAINER_ACT_START, 0, on_started);
}

void container_start_begin(struct container *c)
{
	struct container_op *op = c->op;

	if (container_lives(c) ||
	    (op->verb == CONTAINER_AGAIN &&
	     (c->state != CONTAINER_IS_RESTARTING || c->all->stopping))) {
		container_op_done(op, 0, "");
		return;
	}
	c->all->host->timer_stop(c->timer);
	if (op->verb != CONTAINER_AGAIN) {
		c->wanted = true;
		c->backoff_ms = 0;
		c->restarts = 0;
	}
	container_make(c, start_made);
}
