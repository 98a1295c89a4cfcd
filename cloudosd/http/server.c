/* SPDX-License-Identifier: MIT */
/* The HTTP server as a whole: its life, its clock, its end.  HOST. */
#include "cloudosd/http/server.h"

#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"
#include "cloudosd/service/handler.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { SWEEP_MIN_MS = 10, SWEEP_MAX_MS = 1000, DATE_MS = 200 };

uint64_t http_now(const struct http_server *s)
{
	return uv_now(&s->daemon->uv);
}

/* Made now and then; clients and caches compare it by the second. */
const char *http_date(struct http_server *s)
{
	const struct co_host *host = s->services->host;
	struct tm tm;
	time_t at;

	if (*s->date && http_now(s) - s->date_at_ms < DATE_MS)
		return s->date;
	s->date_at_ms = http_now(s);
	at = (time_t) (host->wall_ns(host->ctx) / 1000000000);
	if (!gmtime_r(&at, &tm) ||
	    !strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm))
		s->date[0] = '\0';
	return s->date;
}

/* ---- deadlines ---- */

static uint64_t allowed_ms(const struct http_server *s, enum wait wait)
{
	const struct config *config = &s->daemon->config;

	switch (wait) {
	case WAIT_HEAD:
		return config->http_head_deadline;
	case WAIT_BODY:
		return config->http_body_deadline;
	case WAIT_LINGER:
		return HTTP_LINGER_MS;
	default:
		return config->http_idle;
	}
}

static void on_sweep(uv_timer_t *timer);

static void sweep_start(struct http_server *s)
{
	uint64_t every = SWEEP_MAX_MS;

	for (enum wait w = 0; w < WAITS; w++)
		if (allowed_ms(s, w) / 4 < every)
			every = allowed_ms(s, w) / 4;
	if (every < SWEEP_MIN_MS)
		every = SWEEP_MIN_MS;
	s->sweeping = true;
	(void) uv_timer_start(&s->sweep, on_sweep, every,
			      every); /* fails closed only */
}

void http_wait(struct connection *c, enum wait wait)
{
	struct http_server *s = c->server;

	if (c->wait != WAIT_NONE)
		DL_DELETE(s->waiting[c->wait], c);
	c->wait = wait;
	if (wait == WAIT_NONE)
		return;
	c->deadline = http_now(s) + allowed_ms(s, wait);
	DL_APPEND(s->waiting[wait], c);
	if (!s->sweeping)
		sweep_start(s);
}

/* A body may take as long as it comes at the slowest rate that is allowed. */
static bool too_slow(const struct connection *c, uint64_t now)
{
	uint64_t more = c->wait == WAIT_BODY && c->call
				? c->call->body.size * 1000 /
					  c->server->daemon->config.http_body_rate
				: 0;

	return c->deadline + more <= now;
}

static void time_out(struct connection *c)
{
	if (c->wait == WAIT_HEAD || c->wait == WAIT_BODY) {
		bool head = c->wait == WAIT_HEAD;

		c->last = true;
		c->server->numbers.refused++;
		answer_fault(c->call, 408, "REQUEST_TIMEOUT",
			     head ? "the head of the request took too long"
				  : "the body of the request took too long");
	} else {
		connection_close(c);
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct http_server *s = timer->data;
	struct connection *c, *next;
	uint64_t now = http_now(s);
	bool any = false;

	core_lock();
	for (enum wait w = 0; w < WAITS; w++) {
		DL_FOREACH_SAFE (s->waiting[w], c, next) {
			if (too_slow(c, now))
				time_out(c);
			else if (w != WAIT_BODY)
				break; /* those behind it have come later */
		}
		any = any || s->waiting[w];
	}
	output_flush(s);
	if (!any) {
		s->sweeping = false;
		(void) uv_timer_stop(timer); /* always 0 */
	}
	core_unlock();
}

/* ---- life ---- */

static void on_wake(uv_async_t *wake)
{
	struct http_server *s = wake->data;

	core_lock();
	output_flush(s);
	core_unlock();
}

void http_server_configure(struct http_server *s)
{
	s->limits = (struct co_http_limits){ .head = CO_LIMIT_HTTP_HEAD,
					     .target = CO_LIMIT_HTTP_TARGET,
					     .body = s->daemon->config.http_body };
	s->sweeping = false; /* with the new deadlines, from the next wait on */
}

int http_server_new(struct http_server **out, struct daemon *d,
		    void (*handler)(struct http_call *call), struct co_err *err)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return co_fail(err, CO_NO_MEMORY, "no memory for the HTTP server");
	s->daemon = d;
	s->services = &d->services;
	s->handler = handler;
	s->wake.data = s->sweep.data = s->drain.data = s;
	if (uv_async_init(&d->uv, &s->wake, on_wake) < 0 ||
	    uv_timer_init(&d->uv, &s->sweep) < 0 ||
	    uv_timer_init(&d->uv, &s->drain) < 0) {
		free(s);
		return co_fail(err, CO_NO_MEMORY, "cannot set up the HTTP server");
	}
	http_server_configure(s);
	s->used_ms = http_now(s);
	r = access_new(s, err);
	if (!r)
		r = listen_all(s, err);
	if (r)
		return r; /* the daemon ends */
	*out = s;
	return 0;
}

/* ---- the end ---- */

void http_drained(struct http_server *s)
{
	void (*stopped)(void *arg) = s->stopped;
	struct connection *c;

	if (!stopped || s->calls_pending)
		return;
	DL_FOREACH2(s->all, c, all_next)
	if (!c->closing && (c->out || c->writing || c->ask || c->early))
		return;
	s->stopped = NULL;
	(void) uv_timer_stop(&s->drain); /* always 0 */
	stopped(s->stopped_arg);
}

static void on_drain(uv_timer_t *timer)
{
	struct http_server *s = timer->data;
	struct connection *c, *next;

	core_lock();
	handlers_close(s->services->handlers);
	output_flush(s); /* what is left is told that it will not be answered */
	DL_FOREACH_SAFE2(s->all, c, next, all_next)
	connection_close(c);
	s->calls_pending = 0;
	http_drained(s);
	core_unlock();
}

/* On the loop: whoever is idle or reads a stream is let go. */
static void let_go(void *arg)
{
	struct http_server *s = arg;
	struct connection *c, *next;

	DL_FOREACH_SAFE2(s->all, c, next, all_next)
	/* who answers calls is let go when these are over */
	if (c->wait == WAIT_IDLE || (c->stream && !c->stream->data))
		connection_close(c);
	listen_stop(s);
	(void) uv_timer_start(&s->drain, on_drain, HTTP_DRAIN_MS,
			      0); /* fails closed only */
	output_flush(s);
	http_drained(s);
}

void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg)
{
	const struct co_host *host = s->services->host;

	if (s->stopping)
		return;
	s->stopping = true;
	s->stopped = done;
	s->stopped_arg = arg;
	host->post(host->ctx, let_go, s);
}

bool http_server_busy(const struct http_server *s)
{
	return s->calls_pending || s->numbers.streams;
}

uint64_t http_server_used_ms(const struct http_server *s)
{
	return s->used_ms;
}

struct http_numbers http_server_numbers(const struct http_server *s)
{
	return s->numbers;
}
