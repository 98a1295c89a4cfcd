/* SPDX-License-Identifier: MIT */
/*
 * Calls that wait for an answer, and the signals that end their waiting.  HOST.
 *
 * Once the daemon has received a notification the kernel holds back every signal that
 * does not kill (WAIT_KILLABLE_RECV).  So while calls wait, their threads are looked at
 * every 20 ms on a worker thread: one with a pending signal that it does not block gets
 * EINTR, one that is dead is forgotten.  Under trap the guest says that a signal has come.
 */
#ifndef CO_PENDING_H
#define CO_PENDING_H

#include <stdint.h>

#include "lib/err.h"

struct daemon;
struct pending;
struct co_call;

int pending_new(struct pending **out, struct daemon *d, struct co_err *err);
struct pending *pending_free(struct pending *p);

/* Under the core lock; holds a reference while the call is in. */
void pending_add(struct pending *p, struct co_call *call);
void pending_remove(struct pending *p, struct co_call *call);

/* The waiting call of a session with that id; NULL if there is none. */
struct co_call *pending_find(struct pending *p, uint64_t session, uint64_t id);

/* Drops the waiting calls of a session that has ended. */
void pending_session_end(struct pending *p, uint64_t session);

#endif
