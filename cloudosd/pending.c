/* SPDX-License-Identifier: MIT */
/* Calls that wait.  HOST. */
#include "cloudosd/pending.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/call.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/member.h"
#include "cloudosd/notify.h"
#include "lib/cleanup.h"

enum { EVERY_MS = 20 };

struct pending {
	struct daemon *daemon;
	struct co_timer *timer;
	struct co_call *calls;
	bool looking;
};

struct look { /* one round: what is looked at without the core lock */
	struct pending *pending;
	size_t count;
	struct {
		struct co_call *call;
		bool end;
	} calls[];
};

static uint64_t mask(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? strtoull(line + strlen(name), NULL, 16) : 0;
}

#define BIT(signal) (1ULL << ((signal) -1))

/*
 * Would a native system call of that thread return now?  Signals that are ignored, by
 * choice or by default, are kept pending for a traced process but interrupt nothing.
 */
static bool signalled(int32_t tid)
{
	char path[64], status[4096];
	autoclose int fd = -1;
	uint64_t idle;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; /* it is dead */
	n = read(fd, status, sizeof(status) - 1);
	if (n <= 0)
		return true;
	status[n] = 0;
	idle = BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT);
	return (mask(status, "\nSigPnd:") | mask(status, "\nShdPnd:")) &
	       ~mask(status, "\nSigBlk:") & ~mask(status, "\nSigIgn:") &
	       ~(idle & ~mask(status, "\nSigCgt:"));
}

static void look_work(void *arg)
{
	struct look *look = arg;

	for (size_t i = 0; i < look->count; i++) {
		struct co_call *call = look->calls[i].call;

		/* a guest under trap says itself that a signal has come */
		look->calls[i].end =
			call->session->engine == CO_ENGINE_TRAP
				? member_abandoned(call)
				: signalled(call->tid) || notify_still_there(call);
	}
}

static void look_done(void *arg)
{
	struct look *look = arg;
	struct pending *p = look->pending;

	for (size_t i = 0; i < look->count; i++) {
		if (look->calls[i].end)
			call_interrupt(look->calls[i].call);
		(void) call_unref(look->calls[i].call);
	}
	p->looking = false;
	if (p->calls)
		p->daemon->host->timer_start(p->timer, EVERY_MS);
	free(look);
}

static void look_at(void *arg)
{
	struct pending *p = arg;
	const struct co_host *host = p->daemon->host;
	struct co_call *call;
	struct look *look;
	size_t count = 0;

	DL_COUNT2(p->calls, call, count, pending_next);
	if (!count || p->looking)
		return;
	look = calloc(1, sizeof(*look) + count * sizeof(look->calls[0]));
	if (look) {
		look->pending = p;
		DL_FOREACH2(p->calls, call, pending_next)
		look->calls[look->count++].call = call_ref(call);
		p->looking = true;
		if (host->offload(host->ctx, look_work, look_done, look) == 0)
			return;
		p->looking = false;
		for (size_t i = 0; i < look->count; i++)
			(void) call_unref(look->calls[i].call);
		free(look);
	}
	host->timer_start(p->timer, EVERY_MS);
}

void pending_add(struct pending *p, struct co_call *call)
{
	core_assert_locked();
	if (!p->calls && !p->looking)
		p->daemon->host->timer_start(p->timer, EVERY_MS);
	(void) call_ref(call);
	DL_APPEND2(p->calls, call, pending_prev, pending_next);
}

void pending_remove(struct pending *p, struct co_call *call)
{
	core_assert_locked();
	DL_DELETE2(p->calls, call, pending_prev, pending_next);
	call->pending_prev = NULL;
	call->pending_next = NULL;
	(void) call_unref(call);
}

struct co_call *pending_find(struct pending *p, uint64_t session, uint64_t id)
{
	struct co_call *call;

	DL_FOREACH2(p->calls, call, pending_next)
	if (call->id == id && call->session->id == session)
		return call;
	return NULL;
}

void pending_session_end(struct pending *p, uint64_t session)
{
	struct co_call *call, *next;

	DL_FOREACH_SAFE2(p->calls, call, next, pending_next)
	if (call->session->id == session)
		call_interrupt(call);
}

int pending_new(struct pending **out, struct daemon *d, struct co_err *err)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p) {
		p->daemon = d;
		p->timer = d->host->timer_new(d->host->ctx, look_at, p);
	}
	if (!p || !p->timer) {
		free(p);
		return co_fail(err, CO_NO_MEMORY, "no memory for waiting calls");
	}
	*out = p;
	return 0;
}

struct pending *pending_free(struct pending *p)
{
	if (!p)
		return NULL;
	while (p->calls)
		pending_remove(p, p->calls);
	p->daemon->host->timer_free(p->timer);
	free(p);
	return NULL;
}
