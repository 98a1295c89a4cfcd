/* SPDX-License-Identifier: MIT */
/*
 * The insides of containers.  HOST.
 *
 * Memory goes first and the store follows: whoever asked is answered after the commit, and
 * what could not be written is written again until it is.  What is done with a container
 * waits in its queue; `op` is what is being done now.
 */
#ifndef CO_SERVICE_CONTAINER_INSIDE_H
#define CO_SERVICE_CONTAINER_INSIDE_H

#include <co/limits.h>
#include <uthash.h>
#include <utlist.h>

#include "cloudosd/service/container.h"
#include "cloudosd/service/container_image.h"

#define CONTAINER_BACKOFF_MS   100   /* before it is begun again the first time */
#define CONTAINER_SLOWEST_MS   60000 /* and the longest */
#define CONTAINER_STEADY_MS    10000 /* after which the first is good again */
#define CONTAINER_UNWRITTEN_MS 500   /* before a failed write is tried again */
#define CONTAINER_UNSEEN_MS    1000 /* before a monitor that says nothing is asked again */
#define CONTAINER_UNSEEN_TIMES 30
#define CONTAINER_ERROR        512
#define CONTAINER_KEY          32

/* Beyond enum container_verb. */
enum {
	CONTAINER_CREATE = CONTAINER_INSPECT + 1,
	CONTAINER_ADOPT, /* after the daemon's own start */
	CONTAINER_AGAIN  /* as the restart policy says */
};

struct container_op {
	int verb;
	struct container *container;  /* NULL: it is gone */
	struct container_asker asker; /* done NULL: nobody waits */
	struct store_journal journal;
	bool has_journal, has_timeout, force, program, volumes;
	uint32_t timeout_s;
	int signal;
	char *part;                        /* UPDATE: of CONFIG */
	struct container_settings *config; /* and what becomes of it */
	unsigned tries;
	/* when its write is there; NULL: container_op_done */
	void (*saved)(struct container_op *op, int status, const char *reason);
	struct container_op *prev, *next;
};

/* A write under way. */
struct container_save {
	struct containers *all; /* NULL: they are gone */
	uint32_t id;
	struct container_op *op; /* answered when it is there; or NULL */
	char event[16];          /* "started"; "" */
	struct co_buf data;      /* of the event */
	bool erase;
	struct container_save *prev, *next;
};

struct container {
	struct containers *all;
	uint32_t id, users;
	char name[CONTAINER_NAME];
	struct container_settings *config;
	char *image_id;                     /* "" with a rootfs */
	struct container_defaults defaults; /* of its image */
	/* the record */
	enum container_stage state;
	bool making;      /* was never told to anybody */
	bool wanted;      /* begun, and nobody has stopped it since */
	bool volumes_too; /* those of its image go when it does */
	char boot[40];
	int exit_code, signal;
	bool oom_killed;
	char error[CONTAINER_ERROR];
	uint32_t restarts;
	uint64_t created_ns, started_ns, finished_ns;
	char *facts; /* of the monitor: ,"network":{...} or "" */
	/* what is */
	bool made; /* has a monitor */
	bool starting, rewrite;
	uint64_t session; /* that answers its calls; 0 */
	int32_t pid;
	uint64_t begun_ms, backoff_ms;
	struct co_timer
		*timer; /* the end of a stop, or of a pause before the next try */
	/* health */
	enum container_health health;
	struct co_timer *pulse;
	bool probing;
	uint32_t failing;
	/* requests */
	struct container_op *op, *queue, *waits;
	uint32_t nqueued, nwaits;
	bool wants_make;
	void (*after_make)(struct container *c, int status, const char *reason);
	void (*after_drop)(struct container *c);
	UT_hash_handle by_id, by_name;
	struct container *prev, *next;
};

struct containers {
	const struct co_host *host;
	struct store *store;
	struct containers_options options;
	struct container *by_id, *by_name, *list; /* the list by id */
	struct container_save *saves;
	struct co_timer *rewrite;
	uint64_t next_id;
	uint32_t count, making;
	bool loaded, stopping, kept_alive;
	void (*load_done)(void *arg, int status, const char *reason);
	void *load_arg;
	uint8_t *users; /* a bit for each block of ids that is taken */
};

/* ---- container.c ---- */

struct container *container_new(struct containers *all, uint32_t id, const char *name,
				struct container_settings *config);
void container_free(struct container *c); /* out of all lists */
struct container *container_find(const struct containers *all, struct co_span which);
void container_named(struct container *c, const char *name); /* renames */
bool container_users_take(struct containers *all, uint32_t wanted, uint32_t *out);
void containers_changed(struct containers *all);
void container_image_is(struct container *c, char *id); /* taken; NULL is allowed */
uint64_t container_now(const struct containers *all);
void container_log(const struct containers *all, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline bool container_lives(const struct container *c)
{
	return c->state == CONTAINER_IS_RUNNING || c->state == CONTAINER_IS_PAUSED;
}

/* ---- container_record.c ---- */

void container_encode(struct co_buf *out, const struct container *c);
/* In the lists; NULL: it is none of ours. */
struct container *container_decode(struct containers *all, struct co_span text);
void container_json(struct co_buf *out, const struct container *c);
void container_key(char out[CONTAINER_KEY], uint32_t id);
/* {"id":7,"name":"x","image":"y" -- without its end. */
void container_event_begin(struct co_buf *out, const struct container *c);

/* ---- container_save.c ---- */

/* Writes it; then tells the event, and answers op, which is the container's `op`. */
void container_save(struct container *c, struct container_op *op, const char *event);
/* The same with more members of the event: ,"exitCode":1 */
void container_save_with(struct container *c, struct container_op *op,
			 const char *event, const char *members);
void container_erase(struct container *c, struct container_op *op, const char *event);
void container_saves_forget(struct containers *all);

/* ---- container_op.c ---- */

/* Behind all that waits; NULL asker: nobody does. */
struct container_op *container_op_new(int verb, const struct container_asker *asker);
void container_op_free(struct container_op *op);
void container_op_queue(struct container *c, struct container_op *op);
void container_op_first(struct container *c, struct container_op *op);
void container_op_next(struct container *c);
/* Answers it with the container, or with a failure, and goes on with the next. */
void container_op_done(struct container_op *op, int status, const char *reason);
void container_answer(const struct container_asker *asker, int status,
		      const char *reason, struct co_span json, uint32_t id);
void container_refuse(const struct container_asker *asker, int status,
		      const char *format, ...) __attribute__((format(printf, 3, 4)));
void container_act(struct container *c, enum container_act_kind kind, int signal,
		   container_reported *done);
void container_stop_ended(
	struct container *c); /* the op that waited for its end goes on */

/* ---- container_ask.c ---- */

/* KILL and STATS, which do not wait for their turn. */
void container_now_do(struct container *c, int verb, int signal,
		      const struct container_asker *asker);

/* ---- container_make.c ---- */

/* Removes the volumes that were made for it, if they are to go; then `then`. */
void container_volumes_drop(struct container *c, void (*then)(struct container *c));

/* Makes it if it has no monitor, then runs `then(c, status, reason)`. */
void container_make(struct container *c,
		    void (*then)(struct container *c, int status, const char *reason));
void container_create_begin(struct container *c);
/* What the runtime says of it ("network":..): copied. */
void container_take_facts(struct container *c, struct co_span facts);
void container_start_begin(struct container *c);

/* What the runtime says of it, "network":{...}: copied. */
void container_take_facts(struct container *c, struct co_span facts);
int container_defaults_of(struct container *c, struct container_image *out,
			  struct co_err *err);

/* ---- container_life.c ---- */

void container_ended(struct container *c, const struct container_end *end);
void container_over(struct container *c, const struct container_end *end);
void container_begun(struct container *c, const struct container_report *report);
void container_adopt_begin(struct container *c);
void container_pulse_start(struct container *c);
void container_pulse_stop(struct container *c);
void container_waits_answer(struct container *c);
void container_timer(void *arg); /* c->timer */
void container_pulse(void *arg); /* c->pulse */
const struct container_health_spec *container_check(const struct container *c);

#endif
