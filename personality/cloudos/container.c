/* SPDX-License-Identifier: MIT */
/*
 * Containers.  HOST.  Specification: "CloudOS-Specific Extensions", "Container Runtime API".
 *
 * Whoever may make containers can do what the daemon's user can: so only processes of that
 * user may, as the kernel names it, and none in a container or confined: it would get out by
 * a container of the host's files.  Memory limits are MiB, CPU limits percent of one CPU.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/service/container.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "personality/cloudos/cloudos.h"

enum { ENV_BYTES = 4096, PAGE = 4096 };

/* ---- who ---- */

/* Negative: it was refused.  0 and the caller's uid otherwise. */
static int64_t may(struct co_call *call, uint32_t *out_uid)
{
	bool contained;
	uint32_t uid;
	int gone;

	if (!call_services(call)->containers)
		return call_fail(
			call, CO_ACCESS,
			"%s: there are no containers here: cloudos-ctr was not "
			"found when cloudosd started",
			call_op(call)->name);
	call_blocking_begin(call);
	gone = process_user(call_tid(call), &uid);
	contained = gone || process_is_contained(call_tid(call));
	call_blocking_end(call);
	if (gone)
		return call_fail(call, CO_ACCESS, "the calling process is gone");
	if (contained)
		return call_fail(
			call, CO_ACCESS,
			"%s: programs in containers and confined programs have no "
			"part in containers; run it outside",
			call_op(call)->name);
	if (uid != geteuid() && uid != 0)
		return call_fail(
			call, CO_ACCESS,
			"%s: containers belong to user %u, whose daemon this is; "
			"user %u has no part in them",
			call_op(call)->name, geteuid(), uid);
	*out_uid = uid;
	return 0;
}

/* ---- answers ---- */

static void forget(struct co_call *call, void *arg)
{
	(void) call; /* the effect goes on without the caller */
	(void) arg;
}

static int64_t refuse(struct co_call *call, const struct container_answer *a)
{
	/* one that ended meanwhile is in the wrong state, and no more */
	int status = a->status == CO_GONE ? CO_BUSY : a->status;

	return call_fail(call, status, "%s: %s", call_op(call)->name, a->reason);
}

static void answered(void *arg, const struct container_answer *a)
{
	struct co_call *call = arg;
	bool creates = strstr(call_op(call)->name, "container_create") != NULL;

	if (a->status)
		call_reply(call, refuse(call, a));
	else
		call_reply(call, creates ? (int64_t) a->id : 0);
	(void) call_release(call);
}

static int64_t ask(struct co_call *call, int32_t id, struct container_request *request)
{
	struct store_journal journal = call_journal(call, 0);
	struct container_asker asker = { .done = answered, .journal = &journal };
	char which[16];
	uint32_t uid;
	int64_t r = may(call, &uid);

	if (r)
		return r;
	(void) snprintf(which, sizeof(which), "%" PRId32, id); /* fits */
	request->which = co_span(which);
	asker.arg = call_retain(call);
	r = call_pend(call, forget, NULL);
	containers_ask(call_services(call)->containers, request, &asker);
	return r;
}

static int64_t ask_simply(struct co_call *call, int32_t id, enum container_verb verb)
{
	return ask(call, id, &(struct container_request){ .verb = verb });
}

/* ---- create ---- */

/* One string of the guest's: page by page, so that it may end with its mapping. */
static int read_string(struct co_call *call, uint64_t address, struct co_buf *out)
{
	char chunk[PAGE];
	size_t total = 0;

	while (total < ENV_BYTES) {
		size_t n = PAGE - (size_t) (address & (PAGE - 1)), length;
		int r;

		if (n > ENV_BYTES - total)
			n = ENV_BYTES - total;
		r = call_guest_bytes(call, address, chunk, n);
		if (r)
			return r;
		length = strnlen(chunk, n);
		co_buf_add(out, chunk, length);
		if (length < n)
			return out->failed ? CO_NO_MEMORY : 0;
		total += n;
		address += n;
	}
	return CO_TOO_BIG;
}

/* ,"env":[...] out of the guest's pointers.  Without the core lock. */
static int64_t read_env(struct co_call *call, const container_config_t *config,
			struct co_buf *out)
{
	co_buf_text(out, ",\"env\":[");
	for (size_t i = 0; i < co_countof(config->env) && config->env[i]; i++) {
		autobuf struct co_buf entry = { 0 };
		int r = read_string(call, (uint64_t) (uintptr_t) config->env[i],
				    &entry);

		if (r)
			return call_fail(call, r == CO_ACCESS ? CO_FAULT : r,
					 "%s: env[%zu] %s", call_op(call)->name, i,
					 r == CO_TOO_BIG
						 ? "has more than 4095 bytes"
						 : "points to what cannot be read");
		if (i)
			co_buf_char(out, ',');
		co_buf_json_text(out, (struct co_span){ entry.data ? entry.data : "",
							entry.size });
	}
	co_buf_char(out, ']');
	return 0;
}

static int64_t add_text(struct co_call *call, struct co_buf *out, const char *name,
			const char *member, const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		return call_fail(call, CO_INVALID,
				 "%s: %s has no NUL inside its %zu bytes",
				 call_op(call)->name, member, size);
	if (!*text)
		return 0;
	co_buf_format(out, "%s\"%s\":", out->size > 1 ? "," : "", name);
	co_buf_json_text(out, co_span(text));
	return 0;
}

static int64_t describe(struct co_call *call, const container_config_t *c,
			struct co_buf *out)
{
	int64_t r;

	co_buf_char(out, '{');
	if ((r = add_text(call, out, "name", "name", c->name, sizeof(c->name))) ||
	    (r = add_text(call, out, *c->image == '/' ? "rootfs" : "image", "image",
			  c->image, sizeof(c->image))) ||
	    (r = add_text(call, out, "command", "command", c->command,
			  sizeof(c->command))) ||
	    (r = add_text(call, out, "workingDir", "working_dir", c->working_dir,
			  sizeof(c->working_dir))) ||
	    (r = add_text(call, out, "networkMode", "network_mode", c->network_mode,
			  sizeof(c->network_mode))))
		return r;
	if (out->size == 1)
		return call_fail(call, CO_INVALID, "%s: image is empty",
				 call_op(call)->name);
	co_buf_format(out,
		      ",\"memoryLimit\":%" PRIu32 ",\"cpuLimit\":%" PRIu32
		      ",\"privileged\":%s",
		      c->memory_limit, c->cpu_limit, c->privileged ? "true" : "false");
	call_blocking_begin(call);
	r = read_env(call, c, out);
	call_blocking_end(call);
	co_buf_char(out, '}');
	if (!r && out->failed)
		r = call_fail(call, CO_NO_MEMORY, "%s: out of memory",
			      call_op(call)->name);
	return r;
}

static int64_t create(struct co_call *call, const char *name,
		      const container_config_t *config)
{
	struct store_journal journal = call_journal(call, 0);
	struct container_asker asker = { .done = answered, .journal = &journal };
	autobuf struct co_buf text = { 0 };
	uint32_t uid;
	int64_t r = may(call, &uid);

	if (!r && config->privileged && (uid != 0 || geteuid() != 0))
		r = call_fail(call, CO_ACCESS,
			      "%s: privileged containers are made by root, of a daemon "
			      "of root",
			      call_op(call)->name);
	if (!r)
		r = describe(call, config, &text);
	if (r)
		return r;
	asker.arg = call_retain(call);
	r = call_pend(call, forget, NULL);
	containers_create(call_services(call)->containers,
			  (struct co_span){ text.data, text.size }, co_span(name),
			  &asker);
	return r;
}

int64_t
cloudos_on_sys_container_create(struct co_call *call,
				const struct cloudos_sys_container_create_args *a)
{
	return create(call, a->name, a->config);
}

int64_t cloudos_on_container_create(struct co_call *call,
				    const struct cloudos_container_create_args *a)
{
	return create(call, "", a->config);
}

/* ---- what is done with one ---- */

int64_t cloudos_on_sys_container_start(struct co_call *call,
				       const struct cloudos_sys_container_start_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_START);
}

int64_t cloudos_on_container_start(struct co_call *call,
				   const struct cloudos_container_start_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_START);
}

int64_t cloudos_on_sys_container_stop(struct co_call *call,
				      const struct cloudos_sys_container_stop_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_STOP);
}

int64_t cloudos_on_container_stop(struct co_call *call,
				  const struct cloudos_container_stop_args *a)
{
	struct container_request request = { .verb = CONTAINER_STOP,
					     .has_timeout = a->timeout >= 0,
					     .timeout_s = (uint32_t) a->timeout };

	if (a->timeout < -1 || a->timeout > 86400)
		return call_fail(
			call, CO_INVALID,
			"container_stop: timeout is %d; it is seconds, from 0 to "
			"86400, or -1",
			a->timeout);
	return ask(call, a->container_id, &request);
}

int64_t cloudos_on_container_restart(struct co_call *call,
				     const struct cloudos_container_restart_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_RESTART);
}

int64_t cloudos_on_container_pause(struct co_call *call,
				   const struct cloudos_container_pause_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_PAUSE);
}

int64_t cloudos_on_container_unpause(struct co_call *call,
				     const struct cloudos_container_unpause_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_UNPAUSE);
}

int64_t
cloudos_on_sys_container_destroy(struct co_call *call,
				 const struct cloudos_sys_container_destroy_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_REMOVE);
}

int64_t cloudos_on_container_destroy(struct co_call *call,
				     const struct cloudos_container_destroy_args *a)
{
	return ask_simply(call, a->container_id, CONTAINER_REMOVE);
}

/* ---- status ---- */

static uint32_t state_of(enum container_stage stage)
{
	switch (stage) {
	case CONTAINER_IS_CREATED:
		return CONTAINER_CREATED;
	case CONTAINER_IS_RUNNING:
		return CONTAINER_RUNNING;
	case CONTAINER_IS_PAUSED:
		return CONTAINER_PAUSED;
	default:
		return CONTAINER_STOPPED;
	}
}

/* As wait(2) tells it. */
static int32_t wait_status(const struct container_look *look)
{
	return look->signal ? look->signal : (look->exit_code & 255) << 8;
}

static void fill(struct co_call *call, container_status_t *out,
		 const struct container_look *look)
{
	bool lives = look->state == CONTAINER_IS_RUNNING ||
		     look->state == CONTAINER_IS_PAUSED;

	out->state = state_of(look->state);
	out->exit_status = lives ? 0 : wait_status(look);
	if (look->pid && process_pid_seen_by(look->pid, call_tid(call), &out->pid))
		out->pid = 0; /* the caller cannot see it */
	out->started = look->started_ns;
	out->restarts = look->restarts;
	out->health = (uint32_t) look->health;
	out->oom_killed = look->oom_killed;
	out->created = look->created_ns;
	out->finished = look->finished_ns;
	out->memory_limit = look->config->memory_mib << 20;
	out->cpu_limit = (uint32_t) look->config->cpu_percent;
	out->id = (int32_t) look->id;
	(void) snprintf(out->ip, sizeof(out->ip), "%s", look->ip); /* all are cut */
	(void) snprintf(out->image, sizeof(out->image), "%s",
			*look->image ? look->image : look->config->rootfs);
	(void) snprintf(out->error, sizeof(out->error), "%s", look->error);
}

static uint64_t number_in(struct co_span json, const char *object, const char *member)
{
	struct co_span inner, value;
	int64_t number;

	return co_json_member(json, object, &inner) &&
			       co_json_member(inner, member, &value) &&
			       co_json_whole(value, &number) && number > 0
		       ? (uint64_t) number
		       : 0;
}

/* What its monitor has measured; one that has just ended uses nothing. */
static void measured(void *arg, const struct container_answer *a)
{
	struct co_call *call = arg;
	const struct cloudos_container_get_status_args *with = call_arguments(call);

	if (a->status == 0) {
		with->status->cpu_time = number_in(a->json, "cpu", "total");
		with->status->memory_bytes = number_in(a->json, "memory", "used");
		with->status->processes = (uint32_t) number_in(a->json, "pids", "used");
	}
	call_reply(call, 0);
	(void) call_release(call);
}

int64_t
cloudos_on_container_get_status(struct co_call *call,
				const struct cloudos_container_get_status_args *a)
{
	struct containers *containers = call_services(call)->containers;
	struct container_asker asker = { .done = measured };
	struct container_request request = { .verb = CONTAINER_STATS };
	struct container_look look;
	char which[16];
	uint32_t uid;
	int64_t r = may(call, &uid);

	if (r)
		return r;
	(void) snprintf(which, sizeof(which), "%" PRId32, a->container_id); /* fits */
	if (!containers_look(containers, co_span(which), &look))
		return call_fail(call, CO_NOT_FOUND,
				 "container_get_status: there is no container %s",
				 which);
	fill(call, a->status, &look);
	if (a->status->state != CONTAINER_RUNNING &&
	    a->status->state != CONTAINER_PAUSED)
		return 0;
	request.which = co_span(which);
	asker.arg = call_retain(call);
	r = call_pend(call, forget, NULL);
	containers_ask(containers, &request, &asker);
	return r;
}
