/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 as a client.  HOST.
 *
 * A backend has connections (struct link); one has at most one exchange, and a kept one
 * none.  An exchange that ends lets go of its link first, so that its events may do what
 * they like.  Deadlines are looked at ten times a second.
 */
#include "cloudosd/http/client.h"

#include <co/limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/http/client_inside.h"
#include "lib/cleanup.h"

enum {
	SWEEP_MS = 100,
	KEPT_MS = 4000, /* Node's servers close after 5 s, often without a word */
	HEAD_MS = 10000,
	INTERIM = 16 /* answers of 1xx in front of the answer */
};

static const struct http_wire_ops link_ops;

/* ---- links ---- */

static void unkeep(struct link *l)
{
	if (!l->kept)
		return;
	l->kept = false;
	DL_DELETE(l->backend->kept, l);
	l->backend->nkept--;
	l->client->numbers.kept--;
}

static void link_close(struct link *l)
{
	unkeep(l);
	l->x = NULL;
	http_wire_close(&l->wire);
}

static void on_link_closed(struct http_wire *w)
{
	struct link *l = container_of(w, struct link, wire);

	l->client->numbers.connections--;
	l->backend->links--;
	client_backend_drop(l->client, l->backend);
	l->message = co_http_free(l->message);
	free(l);
}

__attribute__((format(printf, 3, 4))) static void
fail(struct http_exchange *x, int error, const char *format, ...);

static void on_body(void *arg, const char *data, size_t n)
{
	struct link *l = arg;
	struct http_exchange *x = l->x;

	if (!x)
		return;
	if (n > x->spec.max_body - x->received) {
		fail(x, CO_TOO_BIG, "answers with more than %llu bytes",
		     (unsigned long long) x->spec.max_body);
		return;
	}
	x->received += n;
	x->spec.events->body(x->spec.arg, data, n);
}

static void on_connected(uv_connect_t *request, int status);

/* To this process itself; connected at once. */
static int link_inside(struct link *l)
{
	struct http_client *k = l->client;
	int fd = k->inside ? k->inside(k->inside_arg, client_backend_inside(l->backend))
			   : -1;

	if (fd < 0)
		return -1;
	if (uv_pipe_open(&l->wire.uv.pipe, fd) < 0) {
		(void) close(fd); /* nobody has used it */
		return -1;
	}
	http_wire_open(&l->wire);
	return 0;
}

static int link_connect(struct link *l)
{
	const struct backend *b = l->backend;

	if (client_backend_inside(b))
		return link_inside(l);
	if (b->address.any.sa_family == AF_UNIX) {
		uv_pipe_connect(&l->connect, &l->wire.uv.pipe, b->address.un.sun_path,
				on_connected);
		return 0;
	}
	(void) uv_tcp_nodelay(&l->wire.uv.tcp, 1); /* only makes it faster */
	return uv_tcp_connect(&l->connect, &l->wire.uv.tcp, &b->address.any,
			      on_connected);
}

static struct link *link_new(struct http_client *k, struct backend *b)
{
	struct link *l = calloc(1, sizeof(*l));
	struct co_http_limits limits = { .head = CO_LIMIT_HTTP_HEAD,
					 .target = CO_LIMIT_HTTP_TARGET,
					 .body = UINT64_MAX,
					 .written = true };
	bool is_unix = b->address.any.sa_family == AF_UNIX;

	if (!l)
		return NULL;
	l->client = k;
	l->backend = b;
	l->message = co_http_new(CO_HTTP_RESPONSE, &limits, on_body, l);
	if (!l->message || (is_unix ? http_wire_init_pipe : http_wire_init_tcp)(
				   &l->wire, k->loop, &link_ops) < 0) {
		l->message = co_http_free(l->message);
		free(l);
		return NULL;
	}
	b->links++;
	k->numbers.connections++;
	k->numbers.connects++;
	if (link_connect(l) < 0) {
		link_close(l);
		return NULL;
	}
	return l;
}

/* Has the other side closed it, or said something that nobody had asked for? */
static bool is_alive(struct link *l)
{
	uv_os_fd_t fd;
	char byte;

	return uv_fileno(&l->wire.uv.handle, &fd) == 0 &&
	       recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static struct link *link_get(struct http_client *k, struct backend *b, bool peek)
{
	struct link *l;

	while ((l = b->kept)) {
		unkeep(l);
		if (!peek || is_alive(l)) {
			l->used = true;
			return l;
		}
		link_close(l);
	}
	return link_new(k, b);
}

static void link_keep(struct link *l)
{
	struct http_client *k = l->client;

	if (k->stopped || l->wire.broken || l->wire.has_ended ||
	    http_wire_queued(&l->wire) || l->backend->nkept >= CO_LIMIT_HTTP_KEPT) {
		link_close(l);
		return;
	}
	co_http_reset(l->message, NULL);
	http_wire_read(&l->wire, true);
	l->kept = true;
	l->kept_at = uv_now(k->loop);
	DL_PREPEND(l->backend->kept, l);
	l->backend->nkept++;
	k->numbers.kept++;
}

/* ---- the end of an exchange ---- */

/* It has no link, or that is somebody else's affair. */
static void exchange_free(struct http_exchange *x)
{
	DL_DELETE(x->client->exchanges, x);
	x->client->numbers.exchanges--;
	co_buf_done(&x->again);
	free(x);
}

__attribute__((format(printf, 3, 4))) static void
fail(struct http_exchange *x, int error, const char *format, ...)
{
	struct link *l = x->link;
	struct http_exchange_spec spec = x->spec;
	char sentence[320], reason[160];
	struct http_failure failure = { .error = error, .reason = sentence };
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	(void) snprintf(sentence, sizeof(sentence), "%s %s", l->backend->name, reason);
	failure.connected = l->wire.open;
	failure.maybe = l->wire.open;
	link_close(l);
	exchange_free(x);
	spec.events->failed(spec.arg, &failure);
}

static void complete(struct http_exchange *x, bool reusable)
{
	struct link *l = x->link;
	struct http_exchange_spec spec = x->spec;

	l->x = NULL;
	if (reusable && x->ended && !x->tunnel)
		link_keep(l);
	else
		link_close(l);
	exchange_free(x);
	spec.events->done(spec.arg);
}

struct http_exchange *http_exchange_cancel(struct http_exchange *x)
{
	if (!x)
		return NULL;
	link_close(x->link);
	exchange_free(x);
	return NULL;
}

/* ---- what comes ---- */

static void give_head(struct http_exchange *x)
{
	x->spec.events->head(x->spec.arg, co_http_head(x->link->message));
}

/* The head is there.  false: the exchange has ended, or is a tunnel. */
static bool on_head(struct link *l, size_t rest)
{
	struct http_exchange *x = l->x;
	const struct co_http_head *head = co_http_head(l->message);
	bool keep = head->keep_alive;

	x->answer_at = 0;
	if (head->status == 101) {
		x->tunnel = x->head = true;
		x->total_at = 0;
		give_head(x);
		return false;
	}
	if (head->status < 200) {
		if (++x->interim > INTERIM) {
			fail(x, CO_PROTOCOL, "says 1xx again and again");
			return false;
		}
		give_head(x);
		if (l->x != x)
			return false;
		co_http_reset(l->message, NULL);
		return true;
	}
	if (x->spec.is_head)
		co_http_no_body(l->message);
	if (head->has_length && head->length > x->spec.max_body && head->has_body) {
		fail(x, CO_TOO_BIG, "answers with more than %llu bytes",
		     (unsigned long long) x->spec.max_body);
		return false;
	}
	x->head = true;
	give_head(x);
	if (l->x != x)
		return false;
	if (!head->has_body || (head->has_length && !head->length)) {
		complete(x, keep && !rest);
		return false;
	}
	return true;
}

static void on_bad(struct http_exchange *x)
{
	struct co_http_fault fault = co_http_fault(x->link->message);

	if (fault.status == 413)
		fail(x, CO_TOO_BIG, "answers with too much");
	else if (fault.status == 500)
		fail(x, CO_NO_MEMORY, "answers, and there is no memory for it");
	else
		fail(x, CO_PROTOCOL, "does not keep to HTTP: %s", fault.what);
}

static void on_rest(struct link *l, const char *data, size_t n)
{
	struct http_exchange *x = l->x;

	if (x && x->tunnel && n)
		x->spec.events->body(x->spec.arg, data, n);
	if (x && l->x == x && x->spec.events->told)
		x->spec.events->told(x->spec.arg);
}

static void on_input(struct http_wire *w, const char *data, size_t n)
{
	struct link *l = container_of(w, struct link, wire);
	struct http_exchange *x = l->x;
	size_t used;

	if (!x) {
		link_close(l); /* nobody has asked for anything */
		return;
	}
	if (!x->begun) {
		x->begun = true;
		x->answer_at = uv_now(l->client->loop) + HEAD_MS;
	}
	while (l->x == x && n && !x->tunnel) {
		enum co_http_progress progress =
			co_http_feed(l->message, data, n, &used);

		if (l->x != x)
			return; /* what came of the body ended it */
		data += used;
		n -= used;
		switch (progress) {
		case CO_HTTP_MORE:
			break;
		case CO_HTTP_HEAD:
			if (!on_head(l, n) && l->x != x)
				return;
			break;
		case CO_HTTP_DONE:
			complete(x, co_http_head(l->message)->keep_alive && !n);
			return;
		case CO_HTTP_BAD:
			on_bad(x);
			return;
		}
	}
	on_rest(l, data, n);
}

/* A kept connection that had died: is another one allowed?  Then it is under way. */
static bool try_again(struct http_exchange *x)
{
	struct link *old = x->link, *l;

	if (!old->used || x->begun || !x->spec.again)
		return false;
	l = link_new(x->client, old->backend);
	if (!l)
		return false;
	link_close(old);
	x->client->numbers.retries++;
	x->link = l;
	l->x = x;
	http_wire_add(&l->wire, x->again.data, x->again.size);
	x->connect_at =
		x->spec.connect_ms ? uv_now(x->client->loop) + x->spec.connect_ms : 0;
	return true;
}

static void on_ended(struct http_wire *w, int error)
{
	struct link *l = container_of(w, struct link, wire);
	struct http_exchange *x = l->x;

	if (!x)
		link_close(l);
	else if (x->tunnel || co_http_finish(l->message))
		complete(x, false);
	else if (try_again(x))
		return;
	else if (x->head)
		fail(x, CO_GONE,
		     "closed the connection in the middle of its answer%s%s",
		     error ? ": " : "", error ? uv_strerror(error) : "");
	else if (x->begun)
		fail(x, CO_PROTOCOL,
		     "closed the connection in the middle of its answer's head");
	else
		fail(x, CO_GONE, "closed the connection without an answer%s%s",
		     error ? ": " : "", error ? uv_strerror(error) : "");
}

static void on_sent(struct http_wire *w)
{
	struct link *l = container_of(w, struct link, wire);

	if (l->x)
		l->x->spec.events->room(l->x->spec.arg);
}

static const struct http_wire_ops link_ops = {
	.input = on_input, .ended = on_ended, .sent = on_sent, .closed = on_link_closed
};

/* With nobody listening on an ephemeral port, a connection can meet itself. */
static bool met_itself(const struct link *l)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	int na = sizeof(a), nb = sizeof(b);

	return l->backend->address.any.sa_family != AF_UNIX &&
	       uv_tcp_getsockname(&l->wire.uv.tcp, (struct sockaddr *) &a, &na) == 0 &&
	       uv_tcp_getpeername(&l->wire.uv.tcp, (struct sockaddr *) &b, &nb) == 0 &&
	       na == nb && memcmp(&a, &b, (size_t) na) == 0;
}

static void on_connected(uv_connect_t *request, int status)
{
	struct link *l = container_of(request, struct link, connect);

	core_lock();
	if (!status && !l->wire.closing && met_itself(l))
		status = UV_ECONNREFUSED;
	if (l->wire.closing) {
		/* given up meanwhile */
	} else if (!l->x) {
		link_close(l);
	} else if (status < 0) {
		fail(l->x, CO_GONE, "cannot be connected: %s", uv_strerror(status));
	} else {
		l->x->connect_at = 0;
		http_wire_open(&l->wire);
		l->x->spec.events->room(l->x->spec.arg);
	}
	core_unlock();
}

/* ---- deadlines ---- */

/* Does it take what it is sent? */
static bool is_stuck(struct http_exchange *x, uint64_t now)
{
	size_t queued = http_wire_queued(&x->link->wire);

	if (!queued || !x->link->wire.open || queued != x->queued ||
	    !x->spec.begin_ms) {
		x->queued = queued;
		x->moved_at = now;
		return false;
	}
	return now - x->moved_at > x->spec.begin_ms;
}

static void look_at(struct http_exchange *x, uint64_t now)
{
	if (x->connect_at && now >= x->connect_at)
		fail(x, CO_TIMED_OUT, "did not accept a connection within %u ms",
		     x->spec.connect_ms);
	else if (x->total_at && now >= x->total_at)
		fail(x, CO_TIMED_OUT, "did not answer within %u ms", x->spec.total_ms);
	else if (x->answer_at && now >= x->answer_at && !x->begun)
		fail(x, CO_TIMED_OUT, "did not answer within %u ms", x->spec.begin_ms);
	else if (x->answer_at && now >= x->answer_at && !x->head)
		fail(x, CO_TIMED_OUT,
		     "did not finish the head of its answer within %d ms", HEAD_MS);
	else if (is_stuck(x, now) && !x->tunnel)
		fail(x, CO_TIMED_OUT, "has not read the request for %u ms",
		     x->spec.begin_ms);
}

static void on_sweep(uv_timer_t *timer)
{
	struct http_client *k = container_of(timer, struct http_client, sweep);
	struct http_exchange *x, *next;
	struct backend *b, *other;
	uint64_t now;

	core_lock();
	now = uv_now(k->loop);
	/* one that fails may end or begin any others: from the start again */
	for (x = k->exchanges; x; x = next) {
		unsigned before = k->numbers.exchanges;

		next = x->next;
		if (x->looked_at == now)
			continue;
		x->looked_at = now;
		look_at(x, now);
		if (k->numbers.exchanges != before)
			next = k->exchanges;
	}
	HASH_ITER (hh, k->backends, b, other)
		while (b->kept && b->kept->prev->kept_at + KEPT_MS <= now)
			link_close(b->kept->prev);
	if (!k->exchanges && !k->numbers.kept) {
		k->sweeping = false;
		(void) uv_timer_stop(timer); /* cannot fail */
	}
	core_unlock();
}

static void sweep(struct http_client *k)
{
	if (k->sweeping)
		return;
	k->sweeping = true;
	/* fails only without a callback */
	(void) uv_timer_start(&k->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

/* ---- requests ---- */

int http_exchange_begin(struct http_client *k, const struct http_exchange_spec *spec,
			struct http_exchange **out, struct co_err *err)
{
	struct backend *b = NULL;
	struct http_exchange *x;
	uint64_t now = uv_now(k->loop);
	int r = client_backend_get(k, spec->backend, &b, err);

	if (r)
		return r;
	if (k->numbers.exchanges >= CO_LIMIT_HTTP_EXCHANGES) {
		client_backend_drop(k, b);
		return co_fail(err, CO_BUSY, "too many requests to backends at a time");
	}
	x = calloc(1, sizeof(*x));
	if (x)
		x->link = link_get(k, b, spec->peek);
	if (!x || !x->link) {
		free(x);
		client_backend_drop(k, b);
		return co_fail(err, CO_NO_MEMORY, "no connection can be made to %s",
			       spec->backend);
	}
	x->client = k;
	x->spec = *spec;
	x->started = x->moved_at = now;
	if (!x->link->wire.open && spec->connect_ms)
		x->connect_at = now + spec->connect_ms;
	if (spec->total_ms)
		x->total_at = now + spec->total_ms;
	x->link->x = x;
	if (x->link->used && spec->again)
		co_buf_span(&x->again, spec->head);
	if (x->again.failed)
		x->spec.again = false;
	http_wire_add(&x->link->wire, spec->head.data, spec->head.size);
	DL_APPEND(k->exchanges, x);
	k->numbers.exchanges++;
	k->numbers.requests++;
	sweep(k);
	*out = x;
	return 0;
}

void http_exchange_write(struct http_exchange *x, const void *data, size_t n)
{
	struct http_wire *w = &x->link->wire;
	char size[24];

	if (!n)
		return;
	if (!x->spec.chunked || x->tunnel) {
		http_wire_add(w, data, n);
		return;
	}
	http_wire_add(w, size, (size_t) snprintf(size, sizeof(size), "%zx\r\n", n));
	http_wire_add(w, data, n);
	http_wire_add(w, "\r\n", 2);
}

void http_exchange_end(struct http_exchange *x)
{
	if (x->tunnel) {
		http_wire_finish(&x->link->wire);
		return;
	}
	if (x->ended)
		return;
	x->ended = true;
	if (x->spec.chunked)
		http_wire_add(&x->link->wire, "0\r\n\r\n", 5);
	if (x->spec.begin_ms && !x->begun)
		x->answer_at = uv_now(x->client->loop) + x->spec.begin_ms;
}

void http_exchange_flush(struct http_exchange *x)
{
	http_wire_flush(&x->link->wire);
}

size_t http_exchange_queued(const struct http_exchange *x)
{
	return http_wire_queued(&x->link->wire);
}

void http_exchange_pause(struct http_exchange *x, bool paused)
{
	http_wire_read(&x->link->wire, !paused);
}

/* ---- life ---- */

struct http_client *http_client_new(uv_loop_t *loop)
{
	struct http_client *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->loop = loop;
	(void) uv_timer_init(loop, &k->sweep); /* cannot fail */
	return k;
}

static void close_kept(struct http_client *k)
{
	struct backend *b, *other;

	HASH_ITER (hh, k->backends, b, other)
		while (b->kept)
			link_close(b->kept);
}

void http_client_stop(struct http_client *k)
{
	k->stopped = true;
	close_kept(k);
	if (!uv_is_closing((uv_handle_t *) &k->sweep) && !k->exchanges)
		uv_close((uv_handle_t *) &k->sweep, NULL);
}

struct http_client *http_client_free(struct http_client *k)
{
	free(k);
	return NULL;
}

void http_client_inside(struct http_client *k,
			int (*connect)(void *arg, const char *name), void *arg)
{
	k->inside = connect;
	k->inside_arg = arg;
}

uint64_t http_client_now(const struct http_client *k)
{
	return uv_now(k->loop);
}

struct http_client_numbers http_client_numbers(const struct http_client *k)
{
	return k->numbers;
}
