/* SPDX-License-Identifier: MIT */
/* One call on its way.  HOST. */
#include "cloudosd/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/housed.h"
#include "cloudosd/link.h"
#include "cloudosd/marshal.h"
#include "cloudosd/member.h"
#include "cloudosd/memory.h"
#include "cloudosd/notify.h"
#include "cloudosd/pending.h"
#include "cloudosd/trace.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"

/* ---- life ---- */

uint64_t call_clock_ns(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

static _Thread_local struct {
	bool keeps;
	struct co_call *call;
} spare;

void call_thread_begin(void)
{
	spare.keeps = true;
}

void call_thread_end(void)
{
	free(spare.call);
	spare.call = NULL;
	spare.keeps = false;
}

CALL_PATH struct co_call *call_new(struct session *s, struct table_call *slot)
{
	/* a number in the range that no row has (another version's) */
	static const struct co_op unknown = { .name = "unknown",
					      .plane = CO_PLANE_NONE,
					      .support = CO_SUPPORT_ABSENT,
					      .note = "this version does not know that "
						      "number" };
	struct co_call *call = spare.call ? spare.call : malloc(sizeof(*call));

	if (!call)
		return NULL;
	spare.call = NULL;
	memset(call, 0, offsetof(struct co_call, reason) + 1);
	atomic_init(&call->refs, 1);
	call->session = session_ref(s);
	call->slot = slot;
	call->tid = (int32_t) slot->notif.pid;
	call->id = slot->notif.id;
	call->begun_ns = trace_on(s) ? call_clock_ns() : 0;
	call->return_fd = -1;
	call->op = co_op_by_number(s->personality, (uint32_t) slot->notif.data.nr);
	if (!call->op)
		call->op = &unknown;
	return call;
}

CALL_PATH struct co_call *call_ref(struct co_call *call)
{
	atomic_fetch_add(&call->refs, 1);
	return call;
}

CALL_PATH struct co_call *call_unref(struct co_call *call)
{
	if (!call || atomic_fetch_sub(&call->refs, 1) != 1)
		return NULL;
	marshal_free(call);
	if (call->return_fd >= 0)
		(void) close(call->return_fd);
	(void) session_unref(call->session);
	if (spare.keeps && !spare.call)
		spare.call = call;
	else
		free(call);
	return NULL;
}

bool call_copies_memory(const struct co_call *call)
{
	for (uint32_t i = 0; i < call->op->nargs; i++)
		if (call->op->args[i].kind >= CO_ARG_CSTR)
			return true;
	return false;
}

/* ---- its way ---- */

/* Who calls; costs a read of /proc, so only rows of the daemon pay it. */
static int identify(struct co_call *call)
{
	int32_t pid;

	if (process_of_thread(call->tid, &pid) ||
	    process_read(pid, &call->process, NULL))
		return CO_GONE;
	return 0;
}

CALL_PATH static int prepare(struct co_call *call)
{
	int r = 0;

	if (call->op->support == CO_SUPPORT_ABSENT)
		return 0; /* its arguments are nobody's business */
	if (call->op->nargs) {
		r = marshal_in(call);
		if (!r && call->session->listener >= 0)
			r = notify_still_there(
				call); /* the copy was of the right process */
	}
	return r;
}

/* Answered by a predecessor of this daemon that did not live to say so? */
CALL_PATH static bool journalled(struct co_call *call)
{
	struct session *s = call->session;
	uint32_t slot = (uint32_t) (call->slot - s->daemon->table->calls);

	return call->taken_over && store_journal_find(s->daemon->store, slot, s->id,
						      call->id, &call->result) == 1;
}

CALL_PATH void call_run(struct co_call *call)
{
	struct session *s = call->session;
	int64_t result;

	atomic_fetch_add(&s->calls, 1);
	atomic_fetch_add(&s->daemon->calls, 1);
	if (journalled(call)) {
		co_log_session(notify, INFO, s->id, call->tid,
			       "%s had its effect before the restart; answering it",
			       call->op->name);
		call->state = CALL_ANSWERED;
		call_finish(call);
		(void) call_unref(call);
		return;
	}
	result = prepare(call);
	(void) co_fault("call.journalled");
	if (result == 0) {
		core_lock();
		result = s->host->dispatch(call, call->op, call->args);
		core_unlock();
	}
	if (result != CO_PENDING) {
		call->state = CALL_ANSWERED;
		call->result = result;
		call_finish(call);
	}
	(void) call_unref(call);
}

/* Gives the guest its new descriptor and the answer in one step. */
static int answer_with_fd(struct co_call *call)
{
	struct seccomp_notif_addfd add = { .id = call->id,
					   .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .srcfd = (uint32_t) call->return_fd,
					   .newfd_flags = O_CLOEXEC };
	int fd = ioctl(call->session->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	if (fd >= 0) {
		call->result = fd;
		return 0;
	}
	if (errno == ENOENT)
		return CO_GONE;
	return (int) call_fail(call, co_status_from_errno(errno),
			       "%s: the program cannot take one more descriptor: %s",
			       call->op->name, strerror(errno));
}

/* False if the table has to keep the call, which only guests under trap want. */
CALL_PATH static bool answer(struct co_call *call, int64_t raw)
{
	struct session *s = call->session;
	struct seccomp_notif_resp resp = { .id = call->id, .val = raw };

	if (s->engine == CO_ENGINE_TRAP)
		return member_answer(call, raw);
	if (call->continued && call->result >= 0)
		resp = (struct seccomp_notif_resp){
			.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE
		};
	if (s->listener < 0) {
		/* a launcher that is gone takes its guests along */
		(void) link_result(s->link, call->id, raw);
		return true;
	}
	/* ENOENT: the guest was killed meanwhile; nothing is owed any more */
	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno != ENOENT)
		co_log_session(notify, ERROR, s->id, call->tid, "cannot answer %s: %s",
			       call->op->name, strerror(errno));
	return true;
}

/* The value of the guest's result register; records the reason of a failure. */
CALL_PATH static int64_t raw_result(struct co_call *call)
{
	struct session *s = call->session;

	if (call->interrupted)
		return -EINTR;
	if (call->result >= 0)
		return call->result;
	atomic_fetch_add(&s->failed, 1);
	atomic_fetch_add(&s->daemon->calls_failed, 1);
	(void) call_process(call); /* read now, not under the lock */
	(void) call_thread_start(call);
	core_lock();
	s->host->failed(call, (int) call->result,
			call->reason[0] ? call->reason
					: co_status_text((int) call->result));
	core_unlock();
	return s->host->raw_error((int) call->result);
}

CALL_PATH void call_finish(struct co_call *call)
{
	bool answered = false, over = true;
	int64_t raw;

	if (call->result >= 0 && !call->interrupted) {
		/* who has waited may be dead, and the number another's by now */
		int r = call->cancel ? notify_still_there(call) : 0;

		if (!r)
			r = marshal_out(call);

		if (!r && call->return_fd >= 0 && !call->giving) {
			r = answer_with_fd(call);
			answered = r == 0;
		}
		if (r)
			call->result = r;
	}
	if (call->on_end)
		call->on_end(call->on_end_arg, call->result >= 0 && !call->interrupted);
	(void) co_fault("call.answering");
	raw = raw_result(call);
	if (!call->continued)
		trace_call(call, raw);
	if (!answered)
		over = answer(call, raw);
	(void) co_fault("call.answered");
	notify_answered(call, over);
}

void call_interrupt(struct co_call *call)
{
	core_assert_locked();
	if (call->state != CALL_PENDING)
		return;
	call->state = CALL_ANSWERED;
	call->interrupted = true;
	call->cancel(call, call->cancel_arg);
	notify_finish(call);
	pending_remove(call->session->daemon->pending, call);
}

/* ---- for handlers: personality/call.h ---- */

const struct co_services *call_services(struct co_call *call)
{
	return &call->session->daemon->services;
}

uint64_t call_session(const struct co_call *call)
{
	return call->session->id;
}

int32_t call_tid(const struct co_call *call)
{
	return call->tid;
}

const struct co_op *call_op(const struct co_call *call)
{
	return call->op;
}

const struct process_id *call_process(struct co_call *call)
{
	if (!call->process.pid)
		(void) identify(call); /* a dead caller stays nobody, pid 0 */
	return &call->process;
}

uint64_t call_thread_start(struct co_call *call)
{
	if (!call->thread_start)
		(void) process_thread_start(call->tid,
					    &call->thread_start); /* 0: dead */
	return call->thread_start;
}

int64_t call_fail(struct co_call *call, int status, const char *format, ...)
{
	va_list ap;

	if (call->reason[0])
		return status;
	va_start(ap, format);
	(void) vsnprintf(call->reason, sizeof(call->reason), format, ap);
	va_end(ap);
	return status;
}

int64_t call_pend(struct co_call *call, void (*cancel)(struct co_call *call, void *arg),
		  void *arg)
{
	call->state = CALL_PENDING;
	call->cancel = cancel;
	call->cancel_arg = arg;
	pending_add(call->session->daemon->pending, call);
	return CO_PENDING;
}

void call_reply(struct co_call *call, int64_t result)
{
	core_assert_locked();
	if (call->state != CALL_PENDING)
		return; /* it was interrupted; the effect stands, as with any signal */
	call->state = CALL_ANSWERED;
	call->result = result;
	notify_finish(call);
	pending_remove(call->session->daemon->pending, call);
}

const void *call_arguments(const struct co_call *call)
{
	return call->args;
}

struct co_call *call_retain(struct co_call *call)
{
	return call_ref(call);
}

struct co_call *call_release(struct co_call *call)
{
	return call_unref(call);
}

struct store_journal call_journal(const struct co_call *call, int64_t result)
{
	const struct session *s = call->session;

	call->slot->effect = 1;
	return (struct store_journal){
		.slot = (uint32_t) (call->slot - s->daemon->table->calls),
		.session = s->id,
		.call = call->id,
		.result = result,
	};
}

void call_blocking_begin(struct co_call *call)
{
	(void) call; /* there is one lock for all of them */
	core_unlock();
}

void call_blocking_end(struct co_call *call)
{
	(void) call; /* see above */
	core_lock();
}

bool call_gives_fds(const struct co_call *call)
{
	return call->session->listener >= 0;
}

const uint64_t *call_words(const struct co_call *call)
{
	return (const uint64_t *) call->slot->notif.data.args;
}

/* The tracer or the guest itself does it; a signal that ends it natively ends it here too. */
static void forget_performing(struct co_call *call, void *arg)
{
	(void) arg;
	call->performed = NULL;
}

int64_t call_perform(struct co_call *call, int32_t number, const uint64_t words[6],
		     void (*performed)(struct co_call *call, int64_t raw))
{
	call->performed = performed;
	call->perform_number = number;
	memcpy(call->perform_words, words, sizeof(call->perform_words));
	if (call->session->engine == CO_ENGINE_TRAP)
		member_perform(call);
	else
		link_perform(call->session->link, call->id, number, words);
	return call_pend(call, forget_performing, NULL);
}

/* The guest has taken it, or why not. */
static void given(struct co_call *call, int64_t raw)
{
	if (raw < 0)
		raw = call_fail(call, co_status_from_errno((int) -raw),
				"%s: the program cannot take one more descriptor: %s",
				call->op->name, strerror((int) -raw));
	call_reply(call, raw);
}

int64_t call_return_fd(struct co_call *call, int fd)
{
	call->return_fd = fd;
	if (call_gives_fds(call))
		return 0;
	call->giving = true;
	call->performed = given;
	if (call->session->engine == CO_ENGINE_TRAP)
		member_perform(call);
	else
		link_give(call->session->link, call->id, fd);
	return call_pend(call, forget_performing, NULL);
}

void call_on_end(struct co_call *call, void (*finish)(void *arg, bool delivered),
		 void *arg)
{
	call->on_end = finish;
	call->on_end_arg = arg;
}

void call_lock(struct co_call *call)
{
	(void) call; /* there is one lock for all of them */
	core_lock();
}

void call_unlock(struct co_call *call)
{
	(void) call; /* see above */
	core_unlock();
}

void call_output(struct co_call *call, uint32_t argument, void *data, size_t size)
{
	struct call_buffer *b = &call->buffers[argument];

	free(b->data);
	b->data = data;
	b->size = size;
}

bool call_again(const struct co_call *call)
{
	return call->taken_over;
}

int call_guest_fd(struct co_call *call, int guest_fd)
{
	const struct process_id *process = call_process(call);
	autoclose int pidfd = -1;
	struct link *link;
	int fd, r;

	if (process_open(process, &pidfd, NULL))
		return (int) call_fail(call, CO_GONE, "the calling process is gone");
	fd = (int) syscall(SYS_pidfd_getfd, pidfd, guest_fd, 0);
	if (fd >= 0)
		return fd;
	if (errno == EBADF)
		return (int) call_fail(call, CO_INVALID,
				       "%s: descriptor %d is not open", call->op->name,
				       guest_fd);
	if (errno != EPERM)
		return (int) call_fail(call, co_status_from_errno(errno),
				       "%s: cannot reach descriptor %d: %s",
				       call->op->name, guest_fd, strerror(errno));
	link = call->session->engine == CO_ENGINE_TRAP ? member_link(call)
						       : link_ref(call->session->link);
	r = link ? link_descriptor_get(link, process->pid, guest_fd, &fd) : CO_GONE;
	(void) link_unref(link);
	if (r)
		return (int) call_fail(
			call, r,
			"%s: neither the daemon nor cloudos-exec may reach "
			"descriptor %d of process %d",
			call->op->name, guest_fd, process->pid);
	return fd;
}

int call_still_there(struct co_call *call)
{
	return notify_still_there(call);
}

/* ---- Linux's own calls ---- */

enum { ERRNO_BASE = -1000000 };

int call_errno(int errnum)
{
	return ERRNO_BASE - errnum;
}

int call_errno_of(int64_t status)
{
	return status < ERRNO_BASE && status > ERRNO_BASE - 4096
		       ? (int) (ERRNO_BASE - status)
		       : 0;
}

static void continued(struct co_call *call, int64_t raw)
{
	call_reply(call, raw < 0 && raw > -4096 ? call_errno((int) -raw) : raw);
}

int64_t call_continue(struct co_call *call)
{
	call->continued = true;
	if (call->session->listener >= 0)
		return 0;
	return call_perform(call, call->slot->notif.data.nr, call_words(call),
			    continued);
}

int call_guest_bytes(struct co_call *call, uint64_t address, void *out, size_t n)
{
	int r = memory_read(call, (struct co_guest_ptr){ address }, out, n);

	return r ? r : notify_still_there(call);
}

const char *call_service(const struct co_call *call)
{
	return call->session->service;
}

bool call_is_housed(const struct co_call *call)
{
	return housed_by_itself(call->session);
}

int call_share_port(struct co_call *call, uint16_t port, int fd)
{
	return housed_by_itself(call->session) && housed_shares(call->session, port)
		       ? housed_share(call->session, fd)
		       : 0;
}

int call_carry(struct co_call *call, const struct sockaddr_in *from,
	       const struct sockaddr_in *to, struct co_err *err)
{
	return housed_by_itself(call->session)
		       ? housed_carry(call->session, from, to, err)
		       : co_fail(err, CO_GONE, "the container has ended");
}
