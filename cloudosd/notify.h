/* SPDX-License-Identifier: MIT */
/*
 * Notify threads: they receive calls, copy guest memory and send answers.  HOST.
 *
 * Anything here may be held up by a guest for as long as it likes, so a session holds at
 * most CO_LIMIT_SESSION_THREADS of them at a time, and a thread that sees nobody idle
 * starts another, up to CO_LIMIT_CALL_THREADS.  A session that owes too many answers is
 * not listened to until it owes fewer: the kernel keeps its calls for us.  Too many are
 * CO_LIMIT_SESSION_CALLS, or more than half of the slots that others leave to it and to
 * all sessions of its container.
 */
#ifndef CO_NOTIFY_H
#define CO_NOTIFY_H

#include <co/wire.h>
#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/table.h"
#include "lib/err.h"

struct daemon;
struct notify;
struct session;
struct co_call;

int notify_new(struct notify **out, struct daemon *d, struct co_err *err);

/* Lets what runs come to its end and joins the threads; what is owed stays owed. */
struct notify *notify_free(struct notify *n);

/* Listens to a session from now on (nothing to do under ptrace). */
int notify_add(struct session *s, struct co_err *err);

/* A session has ended: never again. */
void notify_remove(struct session *s);

/* Tells the calls that a dead predecessor owed from those that come now.  Before any
 * session is restored. */
void notify_inherit(struct daemon *d);

/* Takes them over.  After the sessions are restored, with the store open. */
void notify_take_over(struct daemon *d);

/* Under ptrace: the launcher's calls and cancellations.  Loop thread, core lock. */
void notify_call(struct session *s, const struct wire_call_note *note);
void notify_cancel(struct session *s, uint64_t id);
void notify_resent(struct session *s, const struct wire_resend_calls_note *note);
void notify_performed(struct session *s, uint64_t id, int64_t raw);

/*
 * Under trap: a guest's call; `again` is the slot that was kept for it, if it is said
 * again.  A reference, NULL when there is no room.  Loop thread, core lock.
 */
struct co_call *notify_begin(struct session *s, const struct wire_call_note *note,
			     int32_t tid, struct table_call *again);

/* A slot is kept in that phase and owed no more; a kept one is free again. */
void notify_keep(struct daemon *d, struct table_call *slot, enum table_phase phase);
void notify_forget(struct daemon *d, struct table_call *slot);

/* Queues a call that has been answered; a thread will finish it.  Core lock. */
void notify_finish(struct co_call *call);

/* The slot of an answered call is free again unless it is kept; its session owes one
 * less. */
void notify_answered(struct co_call *call, bool over);

/* Is that notification still waiting?  True under ptrace and trap. */
int notify_still_there(const struct co_call *call);

/* Calls that wait for an answer, and threads. */
void notify_numbers(struct notify *n, uint64_t *out_owed, uint32_t *out_threads);

#endif
