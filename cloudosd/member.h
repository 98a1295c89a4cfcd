/* SPDX-License-Identifier: MIT */
/*
 * Guests under trap, which ask for themselves.  HOST.
 *
 * A guest has one connection for each call that it makes at the same time, opened when it
 * needs one and opened again whenever it is lost.  It begins with `join`; then calls come
 * and results go, one at a time.  The kernel says who sent each message; the thread that
 * a call names must be of that process; nothing else that a guest says is believed.
 *
 * A connection that is lost does not end its call.  The guest says the same call, by its
 * id, on another connection, to this daemon or to the next.  Until it does, or is dead, or
 * its thread makes another call, the table keeps what is known of it (TABLE_KEPT), so that
 * a call has one effect however often it is said.  Who makes another call on a connection
 * has its last answer; until then a call with an effect is kept, too (TABLE_ANSWERED).
 *
 * Everything is under the core lock unless it says otherwise.
 */
#ifndef CO_MEMBER_H
#define CO_MEMBER_H

#include <co/wire.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct client;
struct co_call;
struct co_msg;
struct daemon;
struct link;
struct member;
struct members;
struct session;

int members_new(struct members **out, struct daemon *d, struct co_err *err);

/* The session that a `join` of that process leads to: 0, or why not. */
int member_session(struct daemon *d, const struct wire_join_req *req, int32_t pid,
		   struct session **out, struct co_err *err);

/* A connection of that session from now on; fd is taken, also on failure. */
int member_new(struct session *s, int fd, int32_t pid, struct co_err *err);

/* From link.c: a message; one that is not acceptable; the end.  `why` NULL: it closed. */
bool member_is_sender(const struct member *m, const struct co_msg *in);
int member_received(struct member *m, const struct co_msg *in, struct co_err *err);
void member_end(struct member *m, const char *why);

/* Ends a session of this engine if nobody of it is left. */
void members_check(struct session *s);

/* The same for all of them now; what takes a look is known when leftover_when_known says. */
void members_look(struct daemon *d);

/* After a restart: sessions whose launchers were gone before are continued.  And then, when
 * notify_take_over has sorted them: what predecessors owed waits to be said again. */
void members_restore(struct daemon *d);
void members_take_over(struct daemon *d);

/* The table is full: gives back a slot whose answer was read for certain or nearly so. */
bool members_forget(struct daemon *d);

/* The guest is to perform what call->perform_number says. */
void member_perform(struct co_call *call);

/* Any thread, without the core lock: the answer goes to whoever waits for it; false if the
 * table keeps the call. */
bool member_answer(struct co_call *call, int64_t raw);

/* Any thread, without the core lock: a reference to the way to the guest, NULL if there is
 * none now. */
struct link *member_link(struct co_call *call);

/* Any thread: does nobody wait any more, for a signal or because of death? */
bool member_abandoned(const struct co_call *call);

#endif
