/* SPDX-License-Identifier: MIT */
/*
 * Containers: what they are to be, what they are, and what is done with them.  HOST.
 *
 * A container is a record in the store and, while it has been made, a monitor that owns its
 * processes and outlives the daemon (container_runtime.h).  What is promised:
 *
 *	answered is committed: what `done` has told survives whatever ends the daemon
 *	one thing at a time is done with a container, in the order asked; kill, wait and
 *	looking do not wait for their turn
 *	an id is never given twice; a name belongs to one container
 *	a container that ended is begun again as its policy says, after 100 ms, then twice as
 *	long each time up to a minute, until it has run for ten seconds
 *
 * Keys in the store: /container/ID the record, /container-next the next id.
 */
#ifndef CO_SERVICE_CONTAINER_H
#define CO_SERVICE_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/container_config.h"
#include "cloudosd/service/container_runtime.h"
#include "cloudosd/service/host.h"
#include "store/store.h"

struct containers;
struct volumes;

enum container_stage {
	CONTAINER_IS_CREATED,
	CONTAINER_IS_RUNNING,
	CONTAINER_IS_PAUSED,
	CONTAINER_IS_RESTARTING, /* it has ended and will be begun again */
	CONTAINER_IS_EXITED,
	CONTAINER_IS_DEAD, /* could not be removed; its files are still there */
	CONTAINER_IS_REMOVING
};

const char *container_state_name(enum container_stage state);

enum container_health {
	CONTAINER_HEALTH_NONE,
	CONTAINER_HEALTH_STARTING,
	CONTAINER_HEALTH_HEALTHY,
	CONTAINER_HEALTH_UNHEALTHY
};

struct containers_options {
	const struct container_runtime *runtime;
	struct volumes *volumes; /* NULL: there are none */
	char boot[40];           /* of this boot of the machine */
	/* An image by its name: 0; or a status and a sentence.  NULL: there are none. */
	int (*image)(void *arg, const char *name, struct container_image *out,
		     struct co_err *err);
	/* The service of that name: 0; CO_NOT_FOUND and a sentence.  NULL: there are none. */
	int (*service)(void *arg, const char *name, struct container_service *out,
		       struct co_err *err);
	/* A container more, or less, stands on that image (its id).  NULL: nobody counts. */
	void (*use)(void *arg, const char *image_id, bool used);
	/* "container:started" and so on, after the commit; data is a JSON object. */
	void (*emit)(void *arg, const char *event, struct co_span data);
	void (*log)(void *arg, const char *sentence);
	/* There is something to stay alive for now, or nothing any more. */
	void (*changed)(void *arg);
	void *arg;
};

/* Nothing is done before containers_load.  NULL: no memory. */
struct containers *containers_new(const struct co_host *host, struct store *store,
				  const struct containers_options *options);

/* Containers go on; who waits is not answered.  The store must be closed.  Returns NULL. */
struct containers *containers_free(struct containers *all);

/* Reads the records and finds their monitors again.  Once; done when requests may come. */
int containers_load(struct containers *all,
		    void (*done)(void *arg, int status, const char *reason), void *arg);

/* Nothing is begun again any more; with `end` all of them are killed, because their files
 * will go.  NULL is allowed. */
void containers_stop(struct containers *all, bool end);

/* Is there a container that is made, runs or is to be begun again?  NULL: no. */
bool containers_keep_alive(const struct containers *all);

/* Does a container stand on that image (its id)?  Its name in out. */
bool containers_use_image(const struct containers *all, const char *image_id,
			  const char **out_name);

/* Adds the names of the containers that have the volume, as JSON texts with commas between:
 * those that name it, and the one it was made for (owner; 0: none). */
void containers_volume_users(const struct containers *all, const char *name,
			     uint32_t owner, struct co_buf *out);

/* ---- requests ---- */

/* How a request has ended.  Valid during `done`. */
struct container_answer {
	int status; /* 0; CO_NOT_FOUND, CO_EXISTS, CO_BUSY, CO_INVALID, CO_ACCESS ... */
	const char *reason;  /* a sentence if status is not 0 */
	bool program;        /* it is the program that is not there, or cannot be run */
	struct co_span json; /* the container, or what the request is for */
	uint32_t id;
};

/* Once, perhaps before the function returns. */
typedef void containers_done(void *arg, const struct container_answer *answer);

/* Who is told, and what makes the effect happen once; see store_txn. */
struct container_asker {
	containers_done *done;
	void *arg;
	const struct store_journal
		*journal; /* NULL, or written with the effect; a result
					      * of 0 becomes the id for containers_create */
};

/* `config` is CONFIG; name, if not {NULL, 0}, goes before the one in it. */
void containers_create(struct containers *all, struct co_span config,
		       struct co_span name, const struct container_asker *asker);

enum container_verb {
	CONTAINER_START,
	CONTAINER_STOP, /* one that does not run is stopped already */
	CONTAINER_RESTART,
	CONTAINER_PAUSE,
	CONTAINER_UNPAUSE,
	CONTAINER_KILL, /* a signal */
	CONTAINER_UPDATE,
	CONTAINER_REMOVE,
	CONTAINER_WAIT,  /* for its end: {"exitCode","oomKilled","signal"} */
	CONTAINER_STATS, /* what its monitor measures */
	CONTAINER_LOGS,  /* {"lines":[{"time","stream","line"}]}, the last ones */
	CONTAINER_INSPECT
};

struct container_request {
	enum container_verb verb;
	struct co_span which; /* the id or the name */
	bool has_timeout;
	uint32_t timeout_s;    /* STOP, RESTART: before it is killed */
	int signal;            /* KILL; 0: SIGKILL */
	bool force;            /* REMOVE: also one that runs */
	bool volumes;          /* REMOVE: those of its image, too */
	uint32_t lines;        /* LOGS: so many; 0: 100 */
	struct co_span config; /* UPDATE: checked JSON, a part of CONFIG */
};

void containers_ask(struct containers *all, const struct container_request *request,
		    const struct container_asker *asker);

/* Whoever asked with that arg does not want the answer of a WAIT any more. */
void containers_forget(struct containers *all, void *arg);

/* {"containers":[...]}; without `every`, those that run, are paused or begin again. */
void containers_list(const struct containers *all, bool every, struct co_buf *out);

/* Removes what has ended and what was never begun before; {"removed":[...]}. */
void containers_prune(struct containers *all, const struct container_asker *asker);

/* ---- its calls ---- */

/* A session that answers calls in it is there, or no more.  Of several the first is told:
 * the others are of further programs that were run in it.  `all` NULL is nothing. */
void containers_session_begins(struct containers *all, uint32_t id, uint64_t session);
void containers_session_ends(struct containers *all, uint32_t id, uint64_t session);

/* ---- as others look at one ---- */

struct container_look {
	uint32_t id;
	const char *name, *image, *error;
	char ip[48]; /* "": none of its own */
	enum container_stage state;
	enum container_health health;
	int32_t pid; /* of the first process; 0 */
	int exit_code, signal;
	bool oom_killed;
	uint32_t restarts;
	uint64_t created_ns, started_ns, finished_ns; /* since the epoch; 0: never */
	const struct container_settings *config;
	const char *image_id; /* "" */
	uint64_t session;     /* that answers its calls; 0 */
};

/* false: there is none.  Valid until the core lock is left. */
bool containers_look(const struct containers *all, struct co_span which,
		     struct container_look *out);
void containers_each(const struct containers *all,
		     void (*each)(void *arg, const struct container_look *look),
		     void *arg);

#endif
