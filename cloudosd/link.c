/* SPDX-License-Identifier: MIT */
/* The channel to a launcher.  HOST. */
#include "cloudosd/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/notify.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/wire.h"

enum { WAIT_S = 5, TRACE_WAIT_MS = 1000 };

struct waiter { /* a request of ours, on its notify thread's stack */
	uint64_t tag;
	bool done;
	int status;
	void *out; /* memory_read: n bytes */
	size_t n;
	int fd;
	struct waiter *prev, *next;
};

struct link {
	struct session *session;
	int fd;
	struct co_watch *watch;  /* under the core lock */
	struct co_msg *received; /* of the loop thread */
	pthread_mutex_t mutex;   /* of everything below */
	pthread_cond_t answered;
	struct co_msg *sending;
	struct waiter *waiters;
	uint64_t next_tag;
	bool gone;
	uint64_t lost; /* trace lines */
};

/* ---- from the launcher ---- */

static void answer(struct link *l, struct waiter *w, int status)
{
	DL_DELETE(l->waiters, w);
	w->status = status;
	w->done = true;
	(void) pthread_cond_broadcast(&l->answered); /* cannot fail */
}

static void reply_received(struct link *l)
{
	const struct co_msg *m = l->received;
	const struct wire_memory_read_rep *read_rep = (const void *) m->bytes;
	struct waiter *w;

	(void) pthread_mutex_lock(&l->mutex);
	DL_FOREACH (l->waiters, w)
		if (w->tag == m->header->tag)
			break;
	if (w && read_rep->r.status < 0) {
		answer(l, w, read_rep->r.status);
	} else if (w && m->header->type == WIRE_memory_read_rep && w->out) {
		if (read_rep->data.length == w->n) {
			memcpy(w->out, co_msg_get(m, read_rep->data), w->n);
			answer(l, w, 0);
		} else {
			answer(l, w, CO_PROTOCOL);
		}
	} else if (w && m->header->type == WIRE_memory_write_rep && !w->out) {
		answer(l, w, 0);
	} else if (w && m->header->type == WIRE_descriptor_get_rep && m->nfds == 1) {
		w->fd = co_msg_take_fd(l->received, 0);
		answer(l, w, 0);
	} else if (w) {
		answer(l, w, CO_PROTOCOL);
	}
	(void) pthread_mutex_unlock(&l->mutex);
}

void link_close(struct link *l)
{
	(void) pthread_mutex_lock(&l->mutex);
	l->gone = true;
	while (l->waiters)
		answer(l, l->waiters, CO_GONE);
	(void) pthread_mutex_unlock(&l->mutex);
	l->session->daemon->host->watch_free(l->watch);
	l->watch = NULL;
}

static void gone(struct link *l)
{
	struct session *s = l->session;

	link_close(l);
	/* under notify the filter's users may live on without their launcher */
	if (s->engine != CO_ENGINE_NOTIFY)
		session_end(s, "its launcher is gone");
}

static void received(void *arg)
{
	struct link *l = arg;
	struct co_err err = { 0 };
	int r = co_msg_receive(l->received, l->fd, &err);

	if (r == CO_BUSY || r == CO_INTERRUPTED)
		return;
	if (r == CO_PROTOCOL)
		co_log_session(session, WARN, l->session->id, 0,
			       "the launcher does not keep to the protocol: %s",
			       err.message);
	if (r) {
		gone(l);
		return;
	}
	switch (l->received->header->type) {
	case WIRE_call_note:
		if (l->session->engine == CO_ENGINE_PTRACE)
			notify_call(l->session, (const void *) l->received->bytes);
		break;
	case WIRE_resend_calls_note:
		notify_resent(l->session, (const void *) l->received->bytes);
		break;
	case WIRE_call_performed_note: {
		const struct wire_call_performed_note *note =
			(const void *) l->received->bytes;

		notify_performed(l->session, note->id, note->raw);
		break;
	}
	case WIRE_call_cancel_note:
		notify_cancel(l->session,
			      ((const struct wire_call_cancel_note *) (void *)
				       l->received->bytes)
				      ->id);
		break;
	default:
		reply_received(l);
	}
}

/* ---- to the launcher ---- */

/* Under l->mutex. */
static int send_now(struct link *l, int wait_ms)
{
	for (;;) {
		struct pollfd p = { .fd = l->fd, .events = POLLOUT };
		int r = l->gone ? CO_GONE : co_msg_send(l->sending, l->fd, NULL, 0);

		if (r != CO_BUSY || wait_ms <= 0)
			return r;
		(void) poll(&p, 1, wait_ms); /* whatever it says, one more attempt */
		wait_ms = 0;
	}
}

static int request(struct link *l, struct waiter *w)
{
	struct timespec until;
	int r;

	(void) clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	l->sending->header->tag = w->tag = ++l->next_tag;
	r = send_now(l, TRACE_WAIT_MS);
	if (r)
		return r;
	DL_APPEND(l->waiters, w);
	while (!w->done)
		if (pthread_cond_timedwait(&l->answered, &l->mutex, &until) ==
			    ETIMEDOUT &&
		    !w->done)
			answer(l, w, CO_TIMED_OUT);
	return w->status;
}

int link_memory_read(struct link *l, int32_t tid, struct co_guest_ptr from, void *out,
		     size_t n)
{
	struct waiter w = { .out = out, .n = n };
	struct wire_memory_read_req *req;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	req = co_msg_start(l->sending, WIRE_memory_read_req, 0);
	req->tid = tid;
	req->address = from.addr;
	req->length = (uint32_t) n;
	r = request(l, &w);
	(void) pthread_mutex_unlock(&l->mutex);
	return r;
}

int link_memory_write(struct link *l, int32_t tid, struct co_guest_ptr to,
		      const void *data, size_t n)
{
	struct waiter w = { 0 };
	struct wire_memory_write_req *req;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	req = co_msg_start(l->sending, WIRE_memory_write_req, 0);
	req->tid = tid;
	req->address = to.addr;
	(void) co_msg_bytes(l->sending, &req->data, data,
			    n); /* overflow fails the send */
	r = request(l, &w);
	(void) pthread_mutex_unlock(&l->mutex);
	return r;
}

int link_descriptor_get(struct link *l, int32_t tid, int fd, int *out_fd)
{
	struct waiter w = { .fd = -1 };
	struct wire_descriptor_get_req *req;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	req = co_msg_start(l->sending, WIRE_descriptor_get_req, 0);
	req->tid = tid;
	req->fd = fd;
	r = request(l, &w);
	(void) pthread_mutex_unlock(&l->mutex);
	if (!r)
		*out_fd = w.fd;
	return r;
}

void link_trace(struct link *l, const char *line)
{
	struct wire_trace_line_note *note;

	(void) pthread_mutex_lock(&l->mutex);
	note = co_msg_start(l->sending, WIRE_trace_line_note, 0);
	if (l->lost) {
		char told[CO_LIMIT_TRACE_LINE + 64];

		(void) snprintf(told, sizeof(told), "(%llu lines lost)\n%s",
				(unsigned long long) l->lost, line);
		co_msg_text(l->sending, &note->line, told);
	} else {
		co_msg_text(l->sending, &note->line, line);
	}
	if (send_now(l, TRACE_WAIT_MS)) {
		l->lost++;
		atomic_fetch_add(&l->session->daemon->notes_lost, 1);
	} else {
		l->lost = 0;
	}
	(void) pthread_mutex_unlock(&l->mutex);
}

void link_result(struct link *l, uint64_t call, int64_t result)
{
	struct wire_call_result_note *note;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	note = co_msg_start(l->sending, WIRE_call_result_note, 0);
	note->id = call;
	note->result = result;
	/* the launcher keeps at most one call per thread outstanding: there is room, and
	 * if there is none it asks again after it noticed */
	r = send_now(l, WAIT_S * 1000);
	(void) pthread_mutex_unlock(&l->mutex);
	if (r && r != CO_GONE)
		co_log_session(session, ERROR, l->session->id, 0,
			       "cannot answer call %llu: the launcher does not read",
			       (unsigned long long) call);
}

void link_perform(struct link *l, uint64_t call, int32_t number,
		  const uint64_t words[6])
{
	struct wire_call_perform_note *note;

	(void) pthread_mutex_lock(&l->mutex);
	note = co_msg_start(l->sending, WIRE_call_perform_note, 0);
	note->id = call;
	note->number = number;
	memcpy(&note->a0, words, 6 * sizeof(words[0]));
	(void) send_now(l, 0); /* a tracer that is gone takes its guests along */
	(void) pthread_mutex_unlock(&l->mutex);
}

void link_resend(struct link *l, uint32_t round)
{
	struct wire_resend_calls_note *note;

	(void) pthread_mutex_lock(&l->mutex);
	note = co_msg_start(l->sending, WIRE_resend_calls_note, 0);
	note->round = round;
	(void) send_now(
		l, TRACE_WAIT_MS); /* a launcher that is gone is noticed elsewhere */
	(void) pthread_mutex_unlock(&l->mutex);
}

void link_say_ended(struct link *l)
{
	(void) pthread_mutex_lock(&l->mutex);
	(void) co_msg_start(l->sending, WIRE_session_ended_note, 0);
	(void) send_now(l, 0); /* most launchers are gone by then, and that is fine */
	(void) pthread_mutex_unlock(&l->mutex);
}

int link_fd(const struct link *l)
{
	return l->fd;
}

/* ---- life ---- */

int link_new(struct link **out, struct session *s, int fd, struct co_err *err)
{
	struct link *l = calloc(1, sizeof(*l));
	const struct co_host *host = s->daemon->host;
	int type = 0;
	socklen_t size = sizeof(type);

	if (!l) {
		(void) close(fd);
		return co_fail(err, CO_NO_MEMORY, "no memory for one more session");
	}
	l->session = s;
	l->fd = fd;
	(void) pthread_mutex_init(&l->mutex, NULL);
	(void) pthread_cond_init(&l->answered, NULL);
	l->received = co_msg_new();
	l->sending = co_msg_new();
	if (l->received && l->sending &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	    type == SOCK_SEQPACKET &&
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
		l->watch = host->watch_new(host->ctx, fd, false, received, l);
	if (!l->watch) {
		(void) link_free(l);
		return co_fail(err, CO_INVALID,
			       "the channel to the launcher is no socket that keeps messages apart");
	}
	*out = l;
	return 0;
}

struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	(void) close(l->fd);
	(void) pthread_mutex_destroy(&l->mutex);
	(void) pthread_cond_destroy(&l->answered);
	(void) co_msg_free(l->received);
	(void) co_msg_free(l->sending);
	free(l);
	return NULL;
}
