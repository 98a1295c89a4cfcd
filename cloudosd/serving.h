/* SPDX-License-Identifier: MIT */
/*
 * Sessions that are services (cloudos-exec --service): what they write goes into the logs,
 * their beginning and end are events, and the registry of names knows whether their program
 * listens.  HOST.  Everything under the core lock.
 */
#ifndef CO_SERVING_H
#define CO_SERVING_H

#include "cloudosd/daemon.h"
#include "lib/span.h"

/*
 * The mount name space that its launcher has made for that process, in which nobody else
 * is; 0 if it is in the launcher's, or in this daemon's, or if that cannot be told.
 */
uint64_t serving_mounts(int32_t pid, int32_t launcher_pid);

/* A session is there, a new one or one of before, and is there no more.  Nothing for one
 * that is no service. */
void serving_begin(struct session *s);
void serving_end(struct session *s);

/* A new one has begun. */
void serving_started(struct session *s);

/*
 * A session has ended: is its launcher yet to say how?  Then the session is kept until it
 * does, or is gone.
 */
bool serving_waits(struct session *s);

/* From its launcher: what it wrote (stream 1 or 2), and its wait status. */
void serving_output(struct session *s, uint32_t stream, struct co_span text);
void serving_exited(struct session *s, int32_t status);

/*
 * The launcher is gone.  If it did not say how the program ended it was killed, and then
 * nothing of the program goes on.  May be the end of the session.
 */
void serving_launcher_gone(struct session *s);

/* For registry_watch, and once when the registry is loaded: whose program listens? */
void serving_event(void *daemon, const struct registry_event *event);
void serving_look(struct daemon *d);

#endif
