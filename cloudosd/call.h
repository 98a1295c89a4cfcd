/* SPDX-License-Identifier: MIT */
/*
 * One call of a guest on its way through the daemon.  HOST.
 *
 *	received   by a notify thread from the kernel, or in a note (ptrace, trap)
 *	prepared   arguments copied (marshal.h), still on that thread, no lock held
 *	run        the handler, under the core lock
 *	pending    maybe; answered by call_reply or cancelled
 *	finished   on a notify thread: results copied out, traced, answered, forgotten
 *
 * A call is counted by references; the table slot it owns is freed when it is answered.
 */
#ifndef CO_DAEMON_CALL_H
#define CO_DAEMON_CALL_H

#include <co/guest.h>
#include <stdatomic.h>

#include "cloudosd/session.h"
#include "cloudosd/table.h"
#include "personality/call.h"

enum call_state { CALL_RUNNING, CALL_PENDING, CALL_ANSWERED };

struct member;

struct call_buffer {
	void *data;
	struct co_guest_ptr guest; /* where it goes to; 0: nothing to copy out */
	bool copied; /* data is what the guest has there, or of a size that it gave */
	size_t size; /* bytes to copy out */
};

struct co_call {
	atomic_uint refs;
	struct session *session;
	struct table_call *slot;
	const struct co_op *op; /* never NULL once prepared */
	int32_t tid;
	uint64_t id;
	uint64_t begun_ns; /* call_clock_ns; 0 if nobody traces */
	bool taken_over;   /* a predecessor of this daemon had received it */

	uint64_t args[CO_WORDS_MAX]; /* what the handler gets: words or our pointers */
	struct call_buffer buffers[CO_WORDS_MAX];
	struct process_id process;
	uint64_t thread_start;

	/* under the core lock until finished */
	enum call_state state;
	bool interrupted; /* answer is the kernel's -EINTR, or nobody waits */
	void (*cancel)(struct co_call *call, void *arg);
	void *cancel_arg;
	int64_t result; /* value or negative status */
	int return_fd;
	bool giving; /* return_fd is given by what it performs */
	bool continued; /* the kernel makes it as it is */
	void (*on_end)(void *arg, bool delivered);
	void *on_end_arg;
	void (*performed)(struct co_call *call, int64_t raw);
	int32_t perform_number; /* what it was asked to perform */
	uint64_t perform_words[CO_WORDS_MAX];
	struct co_call *pending_prev, *pending_next; /* pending.c */

	/* under trap */
	struct member *member; /* whom the answer goes to; core lock */
	struct co_call *member_prev, *member_next;
	atomic_bool cancelled; /* a signal waits for its end */

	struct co_call *prev, *next; /* in a queue of notify.c or of its session */

	char reason[256]; /* last: only its first byte is cleared for a new call */
};

/*
 * The way of a call that needs nothing but the daemon.  Functions on it lie together, so
 * that a switch from the guest touches few pages.
 */
#define CALL_PATH __attribute__((hot))

/* A notify thread keeps one finished call for its next; to be said at its end. */
void call_thread_begin(void);
void call_thread_end(void);

/* A received call around a filled slot.  NULL: no memory. */
struct co_call *call_new(struct session *s, struct table_call *slot);
struct co_call *call_ref(struct co_call *call);
struct co_call *call_unref(struct co_call *call);

uint64_t call_clock_ns(void);

/* Does it have pointers that the daemon follows?  Then a guest can hold it up. */
bool call_copies_memory(const struct co_call *call);

/* Prepares and runs it; finishes it if it needs no waiting.  On a notify thread. */
void call_run(struct co_call *call);

/* The last part of its way.  On a notify thread, no lock held. */
void call_finish(struct co_call *call);

/* Nobody waits any more: a signal, a dead thread.  Under the core lock. */
void call_interrupt(struct co_call *call);

#endif
