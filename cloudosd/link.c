/* SPDX-License-Identifier: MIT */
/* The channel to a launcher or to a guest.  HOST. */
#include "cloudosd/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/member.h"
#include "cloudosd/notify.h"
#include "cloudosd/serving.h"
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
	atomic_uint refs;
	struct session *session;
	struct member *member; /* NULL: the launcher's */
	int fd;
	struct co_watch *watch;  /* under the core lock */
	struct co_msg *received; /* of the loop thread; the member's is borrowed */
	pthread_mutex_t mutex;   /* of everything below */
	pthread_cond_t answered;
	struct co_msg *sending; /* NULL for a member that never needed one */
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
	if (s->ended) {
		serving_launcher_gone(s); /* which may be the last to know it */
		return;
	}
	/* under notify the filter's users may live on without their launcher */
	if (s->engine == CO_ENGINE_PTRACE) {
		session_end(s, "its launcher is gone"); /* nobody else may have it */
	} else if (s->engine == CO_ENGINE_TRAP) {
		s->launcher_gone = true;
		members_check(s);
	}
}

static void received(void *arg);

static void member_message(struct link *l)
{
	struct co_err err = { 0 };
	int r = co_msg_receive(l->received, l->fd, &err);

	if (r == CO_BUSY || r == CO_INTERRUPTED)
		return;
	if (!r && l->received->header->type >> 24 == WIRE_REPLY &&
	    member_is_sender(l->member, l->received))
		reply_received(l);
	else if (!r)
		r = member_received(l->member, l->received, &err);
	if (r)
		member_end(l->member, r == CO_GONE ? NULL : err.message);
}

void link_read(struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	(void) link_ref(l); /* the session may end over it */
	while (l->watch && poll(&p, 1, 0) > 0)
		received(l);
	(void) link_unref(l);
}

static void received(void *arg)
{
	struct link *l = arg;
	struct co_err err = { 0 };
	int r;

	if (l->member) {
		member_message(l);
		return;
	}
	r = co_msg_receive(l->received, l->fd, &err);
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
	case WIRE_service_output_note: {
		const struct wire_service_output_note *note =
			(const void *) l->received->bytes;

		serving_output(l->session, note->stream,
			       (struct co_span){ co_msg_get(l->received, note->text),
						 note->text.length });
		break;
	}
	case WIRE_service_exit_note:
		serving_exited(l->session,
			       ((const struct wire_service_exit_note *) (void *)
					l->received->bytes)
				       ->status);
		break;
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

/* A note is built on the stack: a guest has many connections and each sends little. */
union note {
	struct wire_header header;
	struct wire_call_perform_note perform; /* the longest */
	struct wire_call_result_note result;
	struct wire_resend_calls_note resend;
	struct wire_session_ended_note ended;
	struct wire_descriptor_give_note give;
};

static struct co_msg note_in(union note *n, uint32_t type)
{
	struct co_msg m = { .header = &n->header };

	(void) co_msg_start(&m, type, 0);
	return m;
}

/*
 * Under l->mutex.  A guest owns the other end and always has room for what it asked: one
 * that does not read is not waited for.
 */
static int send_now(struct link *l, const struct co_msg *m, int wait_ms)
{
	for (;;) {
		struct pollfd p = { .fd = l->fd, .events = POLLOUT };
		int r = l->gone ? CO_GONE : co_msg_send(m, l->fd, NULL, 0);

		if (r != CO_BUSY || wait_ms <= 0 || l->member)
			return r;
		(void) poll(&p, 1, wait_ms); /* whatever it says, one more attempt */
		wait_ms = 0;
	}
}

/* The answer of a launcher is waited for with a limit.  A guest copies for itself and may
 * be stopped meanwhile; it holds up nobody else. */
static void wait_answered(struct link *l, struct waiter *w)
{
	struct timespec until;

	(void) clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	while (!w->done && l->member)
		(void) pthread_cond_wait(&l->answered, &l->mutex); /* cannot fail */
	while (!w->done)
		if (pthread_cond_timedwait(&l->answered, &l->mutex, &until) ==
			    ETIMEDOUT &&
		    !w->done)
			answer(l, w, CO_TIMED_OUT);
}

static int request(struct link *l, struct waiter *w)
{
	int r;

	l->sending->header->tag = w->tag = ++l->next_tag;
	DL_APPEND(l->waiters, w);
	r = send_now(l, l->sending, TRACE_WAIT_MS);
	if (r) {
		DL_DELETE(l->waiters, w);
		return r;
	}
	wait_answered(l, w);
	return w->status;
}

/* Under l->mutex: begins a request. */
static void *request_start(struct link *l, uint32_t type)
{
	if (!l->sending)
		l->sending = co_msg_new();
	return l->sending ? co_msg_start(l->sending, type, 0) : NULL;
}

int link_memory_read(struct link *l, int32_t tid, struct co_guest_ptr from, void *out,
		     size_t n)
{
	struct waiter w = { .out = out, .n = n };
	struct wire_memory_read_req *req;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	req = request_start(l, WIRE_memory_read_req);
	r = CO_NO_MEMORY;
	if (req) {
		req->tid = tid;
		req->address = from.addr;
		req->length = (uint32_t) n;
		r = request(l, &w);
	}
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
	req = request_start(l, WIRE_memory_write_req);
	r = CO_NO_MEMORY;
	if (req) {
		req->tid = tid;
		req->address = to.addr;
		(void) co_msg_bytes(l->sending, &req->data, data,
				    n); /* overflow fails the send */
		r = request(l, &w);
	}
	(void) pthread_mutex_unlock(&l->mutex);
	return r;
}

int link_descriptor_get(struct link *l, int32_t tid, int fd, int *out_fd)
{
	struct waiter w = { .fd = -1 };
	struct wire_descriptor_get_req *req;
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	req = request_start(l, WIRE_descriptor_get_req);
	r = CO_NO_MEMORY;
	if (req) {
		req->tid = tid;
		req->fd = fd;
		r = request(l, &w);
	}
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
	if (send_now(l, l->sending, TRACE_WAIT_MS)) {
		l->lost++;
		atomic_fetch_add(&l->session->daemon->notes_lost, 1);
	} else {
		l->lost = 0;
	}
	(void) pthread_mutex_unlock(&l->mutex);
}

static int send_note(struct link *l, const struct co_msg *m, int wait_ms)
{
	int r;

	(void) pthread_mutex_lock(&l->mutex);
	r = send_now(l, m, wait_ms);
	(void) pthread_mutex_unlock(&l->mutex);
	return r;
}

int link_result(struct link *l, uint64_t call, int64_t result)
{
	union note n;
	struct co_msg m = note_in(&n, WIRE_call_result_note);
	int r;

	n.result.id = call;
	n.result.result = result;
	/* the launcher keeps at most one call per thread outstanding: there is room, and
	 * if there is none it asks again after it noticed */
	r = send_note(l, &m, WAIT_S * 1000);
	if (r && r != CO_GONE)
		co_log_session(session, ERROR, l->session->id, 0,
			       "cannot answer call %llu: the %s does not read",
			       (unsigned long long) call,
			       l->member ? "program" : "launcher");
	return r;
}

void link_perform(struct link *l, uint64_t call, int32_t number,
		  const uint64_t words[6])
{
	union note n;
	struct co_msg m = note_in(&n, WIRE_call_perform_note);

	n.perform.id = call;
	n.perform.number = number;
	memcpy(&n.perform.a0, words, 6 * sizeof(words[0]));
	/* a tracer that is gone takes its guests along, a guest asks again */
	(void) send_note(l, &m, 0);
}

/* A guest receives it with the call that it is asked to perform, a launcher opens it anew
 * in the guest. */
void link_give(struct link *l, uint64_t call, int fd)
{
	union note n, first;
	struct co_msg asks = note_in(&first, WIRE_call_perform_note); /* zeroed */
	struct co_msg gives;
	int r = 0;

	first.perform.id = call;
	first.perform.number = SYS_recvmsg;
	gives = note_in(&n, WIRE_descriptor_give_note);
	n.give.id = call;
	n.give.flags = (uint32_t) fcntl(fd, F_GETFL) & O_ACCMODE;
	(void) pthread_mutex_lock(&l->mutex); /* nothing may come between the two */
	if (l->member)
		r = send_now(l, &asks, 0);
	if (!r && !l->gone)
		(void) co_msg_send(&gives, l->fd, &fd, 1); /* as link_perform */
	(void) pthread_mutex_unlock(&l->mutex);
}

void link_resend(struct link *l, uint32_t round)
{
	union note n;
	struct co_msg m = note_in(&n, WIRE_resend_calls_note);

	n.resend.round = round;
	/* a launcher that is gone is noticed elsewhere */
	(void) send_note(l, &m, TRACE_WAIT_MS);
}

void link_say_ended(struct link *l)
{
	union note n;
	struct co_msg m = note_in(&n, WIRE_session_ended_note);

	/* most launchers are gone by then, and that is fine */
	(void) send_note(l, &m, 0);
}

size_t link_chunk(const struct link *l)
{
	return l->member ? CO_WIRE_GUEST_MAX - sizeof(struct wire_memory_write_req)
			 : 32768;
}

int link_fd(const struct link *l)
{
	return l->fd;
}

/* ---- life ---- */

static int channel_open(struct link *l, struct co_err *err)
{
	const struct co_host *host = l->session->daemon->host;
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	    type == SOCK_SEQPACKET &&
	    fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK) == 0)
		l->watch = host->watch_new(host->ctx, l->fd, false, received, l);
	return l->watch ? 0
			: co_fail(err, CO_INVALID,
				  "the channel to the launcher is no socket that "
				  "keeps messages apart");
}

static struct link *link_alloc(struct session *s, int fd)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l) {
		(void) close(fd);
		return NULL;
	}
	atomic_init(&l->refs, 1);
	l->session = s;
	l->fd = fd;
	(void) pthread_mutex_init(&l->mutex, NULL);
	(void) pthread_cond_init(&l->answered, NULL);
	return l;
}

int link_new(struct link **out, struct session *s, int fd, struct co_err *err)
{
	struct link *l = link_alloc(s, fd);
	int r;

	if (l) {
		l->received = co_msg_new();
		l->sending = co_msg_new();
	}
	r = l && l->received && l->sending
		    ? channel_open(l, err)
		    : co_fail(err, CO_NO_MEMORY, "no memory for one more session");
	if (r) {
		(void) link_unref(l);
		return r;
	}
	*out = l;
	return 0;
}

int link_new_member(struct link **out, struct member *m, struct session *s, int fd,
		    struct co_msg *received_in, struct co_err *err)
{
	struct link *l = link_alloc(s, fd);
	int r;

	if (!l)
		return co_fail(err, CO_NO_MEMORY, "no memory for one more connection");
	l->member = m;
	l->received = received_in;
	r = channel_open(l, err);
	if (r) {
		(void) link_unref(l);
		return r;
	}
	*out = l;
	return 0;
}

struct link *link_ref(struct link *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

struct link *link_unref(struct link *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return NULL;
	(void) close(l->fd);
	(void) pthread_mutex_destroy(&l->mutex);
	(void) pthread_cond_destroy(&l->answered);
	if (!l->member)
		(void) co_msg_free(l->received);
	(void) co_msg_free(l->sending);
	free(l);
	return NULL;
}
