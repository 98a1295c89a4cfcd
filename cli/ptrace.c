/* SPDX-License-Identifier: MIT */
/*
 * The tracer of the ptrace engine.  HOST.
 *
 * With the guest's own filter only private calls stop (PTRACE_EVENT_SECCOMP); without,
 * every call stops twice and the others are let through.  A stopped call is sent to the
 * daemon; its answer is written into the registers and the kernel skips the call.
 */
#include "cli/ptrace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

#include "launch/channel.h"
#include "lib/cleanup.h"

#define OPTIONS                                                                        \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |            \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP |            \
	 PTRACE_O_EXITKILL)

enum state {
	RUNNING,
	CALLING,   /* stopped before the call; the daemon has it */
	SKIPPING,  /* answered before the call; the result goes in behind it */
	REPLACING, /* runs a Linux call that the daemon chose */
	REPLACED   /* stopped behind that; the daemon has its result */
};

struct tracee {
	pid_t tid;
	enum state state;
	uint64_t id; /* of its call */
	int64_t result;
	int gift;                     /* a descriptor that it opens meanwhile, -1 */
	struct user_regs_struct regs; /* before the call */
	UT_hash_handle hh;
};

struct tracer {
	const struct co_personality *personality;
	bool every_call, lost;
	struct channel channel;
	int signals;
	uint64_t
		next_id; /* from a random number on, as the kernel's are under notify */
	struct tracee *tracees;
};

/* ---- tracees ---- */

static struct tracee *tracee_get(struct tracer *t, pid_t tid)
{
	struct tracee *e;

	HASH_FIND(hh, t->tracees, &tid, sizeof(tid), e);
	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		_exit(1); /* EXITKILL ends what could not be answered any more */
	e->tid = tid;
	e->gift = -1;
	HASH_ADD(hh, t->tracees, tid, sizeof(e->tid), e);
	return e;
}

static struct tracee *tracee_calling(struct tracer *t, uint64_t id)
{
	struct tracee *e, *next;

	HASH_ITER (hh, t->tracees, e, next)
		if (e->id == id && e->state != RUNNING)
			return e;
	return NULL;
}

static void resume(struct tracer *t, struct tracee *e, int signal)
{
	bool stop_behind =
		t->every_call || e->state == SKIPPING || e->state == REPLACING;

	/* ESRCH: it was killed meanwhile; waiting will tell */
	(void) ptrace(stop_behind ? PTRACE_SYSCALL : PTRACE_CONT, e->tid, 0, signal);
}

/* ---- the daemon ---- */

static int send_note(struct tracer *t)
{
	int r = t->lost ? CO_GONE : co_msg_send(t->channel.out, t->channel.fd, NULL, 0);

	if (r)
		t->lost = true;
	return r;
}

static int send_call(struct tracer *t, const struct tracee *e)
{
	struct wire_call_note *note = co_msg_start(t->channel.out, WIRE_call_note, 0);

	note->id = e->id;
	note->tid = e->tid;
	note->number = (int32_t) e->regs.orig_rax;
	note->a0 = e->regs.rdi;
	note->a1 = e->regs.rsi;
	note->a2 = e->regs.rdx;
	note->a3 = e->regs.r10;
	note->a4 = e->regs.r8;
	note->a5 = e->regs.r9;
	return send_note(t);
}

static void send_performed(struct tracer *t, const struct tracee *e)
{
	struct wire_call_performed_note *note =
		co_msg_start(t->channel.out, WIRE_call_performed_note, 0);

	note->id = e->id;
	note->raw = e->result;
	(void) send_note(t); /* if it is lost, everybody is answered below */
}

/* Puts the result where the guest looks and lets it go. */
static void answer(struct tracer *t, struct tracee *e, int64_t result)
{
	struct user_regs_struct regs = e->regs;
	bool before = e->state == CALLING;

	e->result = result;
	regs.rax = (uint64_t) result;
	if (before)
		regs.orig_rax = ~0ULL; /* the kernel skips it */
	/* without a filter of the guest's the result is put in at the second stop */
	e->state = before && t->every_call ? SKIPPING : RUNNING;
	(void) ptrace(PTRACE_SETREGS, e->tid, 0, &regs);
	resume(t, e, 0);
}

static void begin(struct tracer *t, struct tracee *e)
{
	if (ptrace(PTRACE_GETREGS, e->tid, 0, &e->regs) < 0)
		return; /* killed */
	if (!co_op_by_number(t->personality, (uint32_t) e->regs.orig_rax)) {
		resume(t, e, 0);
		return;
	}
	e->state = CALLING;
	e->id = ++t->next_id;
	if (send_call(t, e))
		answer(t, e, -ENOSYS);
}

/* It performs that call instead of its own. */
static void replace(struct tracer *t, struct tracee *e, uint64_t number,
		    const uint64_t words[6])
{
	struct user_regs_struct regs = e->regs;

	regs.orig_rax = number;
	regs.rdi = words[0];
	regs.rsi = words[1];
	regs.rdx = words[2];
	regs.r10 = words[3];
	regs.r8 = words[4];
	regs.r9 = words[5];
	e->state = REPLACING;
	(void) ptrace(PTRACE_SETREGS, e->tid, 0, &regs);
	resume(t, e, 0);
}

static void gift_end(struct tracee *e)
{
	if (e->gift >= 0)
		(void) close(e->gift); /* a borrowed copy */
	e->gift = -1;
}

/*
 * A descriptor of ours becomes one of the tracee's: it opens it by our /proc, with a name
 * that is put below the part of its stack that may be in use.
 */
static void give(struct tracer *t, struct tracee *e,
		 const struct wire_descriptor_give_note *note, int fd)
{
	enum { RED_ZONE = 128 };
	uint64_t at = (e->regs.rsp - RED_ZONE - 64) & ~15ULL;
	uint64_t words[6] = { (uint64_t) AT_FDCWD, at, note->flags | O_CLOEXEC };
	char path[64];
	struct iovec here = { path, sizeof(path) };
	struct iovec there = { (void *) (uintptr_t) at, sizeof(path) };

	if (e->state == REPLACED) {
		send_performed(t, e); /* to a new daemon: it has one already */
		(void) close(fd);
		return;
	}
	if (e->state != CALLING) {
		(void) close(fd);
		return;
	}
	memset(path, 0, sizeof(path));
	(void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	gift_end(e);
	e->gift = fd;
	if (process_vm_writev(e->tid, &here, 1, &there, 1, 0) != sizeof(path)) {
		e->result = -EFAULT;
		send_performed(t, e);
		return;
	}
	replace(t, e, SYS_openat, words);
}

static void perform(struct tracer *t, struct tracee *e,
		    const struct wire_call_perform_note *note)
{
	uint64_t words[6] = {
		note->a0, note->a1, note->a2, note->a3, note->a4, note->a5
	};

	if (e->state == REPLACED) /* a new daemon asks again: once is enough */
		send_performed(t, e);
	else if (e->state == CALLING)
		replace(t, e, (unsigned) note->number, words);
}

static void send_round(struct tracer *t, uint32_t round, bool over)
{
	struct wire_resend_calls_note *note =
		co_msg_start(t->channel.out, WIRE_resend_calls_note, 0);

	note->round = round;
	note->over = over;
	(void) send_note(t); /* lost: answered by the loop, and so below */
}

/* A new daemon asks what it owes; the marks tell it from what was said to the old one. */
static void resend(struct tracer *t, uint32_t round)
{
	struct tracee *e, *next;

	send_round(t, round, false);
	HASH_ITER (hh, t->tracees, e, next)
		if (e->state == CALLING || e->state == REPLACED)
			(void) send_call(t, e);
	send_round(t, round, true);
}

static void note_received(void *ctx, const struct co_msg *in)
{
	struct tracer *t = ctx;
	const struct wire_call_result_note *result = (const void *) in->bytes;
	struct tracee *e;

	switch (in->header->type) {
	case WIRE_call_result_note:
		e = tracee_calling(t, result->id);
		if (e && (e->state == CALLING || e->state == REPLACED))
			answer(t, e, result->result);
		break;
	case WIRE_call_perform_note:
		e = tracee_calling(t, result->id);
		if (e)
			perform(t, e, (const void *) in->bytes);
		break;
	case WIRE_descriptor_give_note:
		e = tracee_calling(t, result->id);
		if (e && in->nfds == 1)
			give(t, e, (const void *) in->bytes,
			     fcntl(in->fds[0], F_DUPFD_CLOEXEC, 0));
		break;
	case WIRE_resend_calls_note:
		resend(t, ((const struct wire_resend_calls_note *) (const void *)
				   in->bytes)
				  ->round);
		break;
	default:
		break;
	}
}

/* The daemon and its keeper are gone: nobody must hang. */
static void answer_all(struct tracer *t)
{
	struct tracee *e, *next;

	HASH_ITER (hh, t->tracees, e, next)
		if (e->state == CALLING || e->state == REPLACED)
			answer(t, e, -ENOSYS);
}

/* ---- stops ---- */

static void behind_call(struct tracer *t, struct tracee *e)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, e->tid, 0, &regs) < 0)
		return;
	if (e->state == SKIPPING) {
		regs.rax = (uint64_t) e->result;
		e->state = RUNNING;
		(void) ptrace(PTRACE_SETREGS, e->tid, 0, &regs);
		resume(t, e, 0);
		return;
	}
	e->state = REPLACED;
	e->result = (int64_t) regs.rax;
	gift_end(e);
	/* from here on the registers are the guest's own again */
	regs.rdi = e->regs.rdi;
	regs.rsi = e->regs.rsi;
	regs.rdx = e->regs.rdx;
	regs.r10 = e->regs.r10;
	regs.r8 = e->regs.r8;
	regs.r9 = e->regs.r9;
	regs.orig_rax = e->regs.orig_rax;
	e->regs = regs;
	send_performed(t, e);
}

static void syscall_stop(struct tracer *t, struct tracee *e)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, e->tid, sizeof(info), &info) <= 0)
		return; /* killed */
	if (info.op == PTRACE_SYSCALL_INFO_EXIT &&
	    (e->state == SKIPPING || e->state == REPLACING))
		behind_call(t, e);
	else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && t->every_call &&
		 e->state == RUNNING)
		begin(t, e);
	else
		resume(t, e, 0);
}

static bool stops_job(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
	       signal == SIGTTOU;
}

static void stopped(struct tracer *t, struct tracee *e, int status)
{
	int signal = WSTOPSIG(status);
	int event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP)
		begin(t, e);
	else if (event == PTRACE_EVENT_STOP && stops_job(signal))
		(void) ptrace(PTRACE_LISTEN, e->tid, 0,
			      0); /* stays stopped, as natively */
	else if (event)
		resume(t, e, 0); /* born, or another program now */
	else if (signal == (SIGTRAP | 0x80))
		syscall_stop(t, e);
	else
		resume(t, e, signal);
}

static void ended(struct tracer *t, struct tracee *e)
{
	if (e->state == CALLING || e->state == REPLACED) {
		struct wire_call_cancel_note *note =
			co_msg_start(t->channel.out, WIRE_call_cancel_note, 0);

		note->id = e->id;
		(void) send_note(t); /* the daemon looks for dead callers itself too */
	}
	HASH_DEL(t->tracees, e);
	gift_end(e);
	free(e);
}

/* False when nobody is left. */
static bool wait_all(struct tracer *t)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);

		if (tid < 0)
			return errno == EINTR;
		if (tid == 0)
			return true;
		if (WIFSTOPPED(status))
			stopped(t, tracee_get(t, tid), status);
		else
			ended(t, tracee_get(t, tid));
	}
}

static void run(struct tracer *t)
{
	while (wait_all(t)) {
		struct pollfd p[2] = { { .fd = t->signals, .events = POLLIN },
				       { .fd = t->lost ? -1 : t->channel.fd,
					 .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(p, 2, -1) < 0)
			continue;
		while (read(t->signals, &info, sizeof(info)) == sizeof(info))
			continue; /* only wakes us */
		if (p[1].revents && channel_serve(&t->channel)) {
			t->lost = true;
			answer_all(t);
			if (!t->channel.ended)
				(void) fprintf(
					stderr,
					"cloudos-exec: the daemon and its keeper are "
					"gone; CloudOS calls of the program fail from "
					"here on\n");
		}
	}
}

/* ---- starting ---- */

static void tracer_main(pid_t pid, int link, int trace_fd,
			const struct co_personality *p, bool every_call, int report)
{
	static struct tracer t;
	sigset_t mask;
	int errnum = 0;

	t.personality = p;
	t.every_call = every_call;
	(void) !getrandom(&t.next_id, sizeof(t.next_id), 0); /* fails nowhere */
	/* not of the job: the terminal's signals are for the guest */
	(void) setpgid(0, 0);
	(void) sigfillset(&mask);
	(void) sigprocmask(SIG_SETMASK, &mask, NULL);
	(void) signal(SIGCHLD, SIG_DFL);
	(void) sigemptyset(&mask);
	(void) sigaddset(&mask, SIGCHLD);
	t.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	(void) prctl(PR_SET_NAME, "cloudos-tracer");
	if (channel_init(&t.channel, link, trace_fd))
		errnum = ENOMEM;
	t.channel.other = note_received;
	t.channel.ctx = &t;
	if (!errnum && ptrace(PTRACE_SEIZE, pid, 0, OPTIONS) < 0)
		errnum = errno;
	/* with every_call the first stop must be asked for */
	if (!errnum && every_call && ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		errnum = errno;
	(void) !write(report, &errnum, sizeof(errnum)); /* the launcher waits for it */
	(void) close(report);
	if (!errnum)
		run(&t);
	_exit(0);
}

int ptrace_start(pid_t pid, int link, int trace_fd, const struct co_personality *p,
		 bool every_call, struct co_err *err)
{
	int pipes[2], errnum = ECHILD;
	pid_t tracer;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot start a tracer");
	tracer = fork();
	if (tracer == 0) {
		int keep[] = { link, trace_fd, pipes[1], 2 };

		/* nothing of the launcher's may stay open here: a pipe would never end */
		channel_close_others(keep, co_countof(keep));
		tracer_main(pid, link, trace_fd, p, every_call, pipes[1]);
	}
	(void) close(pipes[1]);
	if (tracer < 0)
		errnum = errno;
	else if (read(pipes[0], &errnum, sizeof(errnum)) != sizeof(errnum))
		errnum = ECHILD;
	(void) close(pipes[0]);
	if (errnum)
		return co_fail_errno(
			err, errnum,
			"ptrace is not permitted here (cloudosctl doctor says why)");
	return 0;
}
