/* SPDX-License-Identifier: MIT */
/*
 * Sessions: one per cloudos-exec that is running something.  HOST.
 *
 * A session owns the notify listener and the channel to its launcher (link.h).  It ends
 * when the kernel says that nobody uses the filter any more (notify), the launcher is
 * gone (ptrace), or the launcher and the last process are (trap, leftover.h); a guest
 * under trap that was overlooked finds it again by its number.  Its row in the shared table and the
 * keeper's copies of the descriptors let the next daemon continue it.
 *
 * Locking: the list and everything not marked otherwise is under the core lock; flow of
 * calls (struct session_flow) is under its own mutex, taken alone.
 */
#ifndef CO_SESSION_H
#define CO_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

#include "cloudosd/table.h"
#include "lib/engine.h"
#include "lib/err.h"
#include "personality/host.h"

struct daemon;
struct housed;
struct link;
struct co_call;

/* Under ptrace after a restart: the launcher says again what it waits for. */
enum session_resend { RESEND_DONE, RESEND_ASKED, RESEND_COMING };

/* Of a session, or of all in one container of the daemon. */
struct session_share {
	atomic_uint refs, owed; /* calls received and not answered */
};

struct session_flow {
	pthread_mutex_t mutex;
	unsigned holding; /* notify threads copying for this session now */
	atomic_uint owed; /* calls received and not answered; without the mutex too */
	bool armed;       /* the listener is in the epoll set and may fire */
	bool receiving;   /* one thread is: of two for one call, the kernel keeps one */
	bool ended;
	bool starved; /* will be listened to again when somebody is answered */
	struct co_call *waiting; /* ptrace: received, no thread may be held yet */
};

struct session {
	struct daemon *daemon;
	atomic_uint refs;
	uint64_t id;
	uint32_t index; /* in the table */
	enum co_engine engine;
	const struct co_personality *personality;
	const struct co_personality_host *host; /* trap: NULL if it has no calls */
	int listener;                           /* -1 unless the engine is notify */
	struct link *link;     /* NULL under trap when the launcher was gone before */
	int pidfd;             /* of the first process, -1 if it was gone */
	char service[64];      /* it was started as; "" */
	struct housed *housed; /* in a container's own network; NULL: it is not */
	bool ended;            /* a service, of which only how it ended is waited for */
	bool stop_told;        /* that it has stopped */
	bool output_lost;
	int launcher_fd; /* a service's: pidfd of its launcher, -1 */
	struct co_watch *launcher_watch;
	int32_t first_pid;
	uint64_t mounts; /* its mount name space, where that is its own; 0 */
	bool traced;     /* lines go to the launcher; the row may end first */
	enum session_resend resend;  /* loop thread */
	atomic_bool launcher_copies; /* the daemon itself may not read the guest */
	bool launcher_gone;          /* trap */
	bool looking;                /* trap: for processes left behind (leftover.h) */
	struct co_watch *leftover;   /* of one that was found */
	int leftover_fd;             /* its pidfd, -1 */
	unsigned guests;             /* trap: connections of the program's processes */
	atomic_uint tracers;
	atomic_ullong calls, failed;
	struct session_flow flow;
	struct session_share *share;
	UT_hash_handle hh;
};

struct session_spec {
	enum co_engine engine;
	uint32_t personality, trace;
	int32_t pid, launcher_pid;
	const char *name, *command, *service;
	bool contained;        /* it was begun by a program in a container */
	uint32_t container;    /* of the daemon, in which it runs; 0 */
	int link_fd, listener; /* taken, also on failure; listener -1 but for notify */
	int user_ns, net_ns;   /* likewise: of a service in a container; -1 */
};

/* New session; it receives calls from now on. */
int session_attach(struct daemon *d, const struct session_spec *spec,
		   struct session **out, struct co_err *err);

/* Continues the session of a table row with the keeper's descriptors (taken); link_fd -1
 * for one whose launcher is gone. */
int session_restore(struct daemon *d, uint32_t index, int link_fd, int listener,
		    struct co_err *err);

/* Under trap: a session that had ended goes on with a process of it that was not known. */
int session_revive(struct daemon *d, uint64_t id, uint32_t personality, int32_t pid,
		   struct session **out, struct co_err *err);

/* The program and all its children are gone: forgets everything about it. */
void session_end(struct session *s, const char *why);

/* By id, or by name if id is 0 (newest of that name); NULL if there is none. */
struct session *session_find(struct daemon *d, uint64_t id, const char *name);

struct session *session_ref(struct session *s);
struct session *session_unref(struct session *s);

struct table_session *session_row(const struct session *s);

/* The name of the daemon's container that it runs in, or ""; of the core lock's owner. */
const char *session_container(const struct session *s);

#endif
