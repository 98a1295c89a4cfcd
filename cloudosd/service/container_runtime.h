/* SPDX-License-Identifier: MIT */
/*
 * What makes containers and looks after their processes.  HOST.  Implemented by
 * cloudosd/containers.c; beside struct co_host.
 *
 * All is asked and answered under the core lock; answers come from the loop, once, never
 * inside of the function that asks.  One container is asked for one thing at a time, but
 * for ACT_KILL, ACT_USAGE and ACT_EXEC.
 */
#ifndef CO_SERVICE_CONTAINER_RUNTIME_H
#define CO_SERVICE_CONTAINER_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

/* An image as a container needs it.  Borrowed for the call that gets it. */
struct container_image {
	const char *id;            /* "sha256:..."; "" with a rootfs */
	const char *const *layers; /* folders, the uppermost first; NULL ends it */
	struct co_span
		config; /* the member "config" of its configuration; may be empty */
};

/* The service of BlackRoad OS that its program is to be. */
struct container_service {
	char name[64], role[64];
	uint32_t port;
	char *hosts; /* lines for /etc/hosts; malloc */
};

struct container_make {
	uint32_t id;
	const char *name;
	struct co_span config;        /* CONFIG; copied */
	struct container_image image; /* copied */
	uint32_t users;               /* which block of 65536 outside ids is its own */
	bool fresh; /* it never was: what is there of that id is none of it */
	uint32_t
		network_of; /* whose network it is in: another, which lives; 0: its own */
	const struct container_service *service; /* NULL: none; copied */
};

/* Of a container as its monitor sees it. */
enum container_seen {
	CONTAINER_SEEN_NOTHING, /* there is no monitor and no record of an end */
	CONTAINER_SEEN_CREATED,
	CONTAINER_SEEN_RUNNING,
	CONTAINER_SEEN_PAUSED,
	CONTAINER_SEEN_ENDED
};

/* Its end, out of the record that its monitor has left. */
struct container_end {
	int exit_code, signal; /* signal 0: it has ended by itself; 128+n otherwise */
	bool oom_killed;
	bool lost; /* the monitor was killed: nobody knows how it has ended */
	uint64_t finished_ns;
	const char *error; /* what kept it from beginning, or "" */
};

/* Valid during the callback. */
struct container_report {
	int status;         /* 0, or a co_status */
	const char *reason; /* a sentence if status is not 0 */
	enum container_seen seen;
	int32_t pid;
	uint64_t started_ns;
	struct container_end end;
	/* ACT_USAGE: an object; ACT_EXEC: its last output */
	struct co_span text;
	int exit_code; /* ACT_EXEC */
	bool timed_out;
	/* "network":{...},"unenforced":[...] of what was made; {NULL, 0}: not known */
	struct co_span facts;
};

typedef void container_reported(void *arg, const struct container_report *report);

enum container_act_kind {
	CONTAINER_ACT_START, /* seen, pid */
	CONTAINER_ACT_KILL,  /* signal, to its first process; SIGKILL to all of it */
	CONTAINER_ACT_PAUSE,
	CONTAINER_ACT_RESUME,
	CONTAINER_ACT_UPDATE, /* limits, out of config */
	CONTAINER_ACT_USAGE,
	CONTAINER_ACT_EXEC,  /* argv, timeout_ms: a process of its own inside */
	CONTAINER_ACT_COMMIT /* from now on it stays when the daemon goes away */
};

struct container_act {
	enum container_act_kind kind;
	int signal;
	struct co_span config; /* CONFIG */
	const char *const *argv;
	uint32_t timeout_ms;
};

enum container_volume_act {
	CONTAINER_VOLUME_MAKE,   /* its folder, unless it is there */
	CONTAINER_VOLUME_REMOVE, /* with all in it; that it is not there is no failure */
	CONTAINER_VOLUME_LIST    /* text: the names of all, each on a line */
};

struct container_runtime {
	void *ctx;

	/* Writes what it needs and starts its monitor: it is parked just before its program.
	 * What it was before but for its files is gone. */
	void (*make)(void *ctx, const struct container_make *make,
		     container_reported *done, void *arg);

	/* CO_GONE: it has no monitor. */
	void (*act)(void *ctx, uint32_t id, const struct container_act *act,
		    container_reported *done, void *arg);

	/* Looks for the monitor that an earlier daemon has started. */
	void (*adopt)(void *ctx, uint32_t id, container_reported *done, void *arg);

	/* Ends the monitor and all processes; with `files` removes every file.  What else has
	 * been asked of it is answered before, as it is before `ended` is told. */
	void (*unmake)(void *ctx, uint32_t id, bool files, container_reported *done,
		       void *arg);

	/* Removes what has an id below that one and belongs to no container of those; nothing
	 * waits for it. */
	void (*sweep)(void *ctx, const uint32_t *ids, size_t n, uint32_t below);

	/* The folder of a volume; the name is copied. */
	void (*volume)(void *ctx, enum container_volume_act act, const char *name,
		       container_reported *done, void *arg);

	/* text: {"lines":[...]}, the last lines of what it printed; also of one that has
	 * ended, and of none: no lines. */
	void (*logs)(void *ctx, uint32_t id, uint32_t lines, container_reported *done,
		     void *arg);

	/* Adds ,"bundle":"...","runFolder":"...","log":"..." */
	void (*describe)(void *ctx, uint32_t id, struct co_buf *out);

	/* Whom to tell; set by containers_new.  What ended has no monitor any more. */
	void (*listen)(void *ctx,
		       void (*ended)(void *arg, uint32_t id,
				     const struct container_end *end),
		       void (*oom)(void *arg, uint32_t id), void *arg);
};

#endif
