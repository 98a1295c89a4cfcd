/* SPDX-License-Identifier: MIT */
/*
 * The state of services: small JSON values by key, each with a version, kept in the store.
 * HOST.
 *
 * Every service has keys of its own.  A value is kept byte by byte as it was given.  Its
 * version is 1 when the key is created and goes up by one with each put; a key that was
 * deleted or has expired begins at 1 again.  Reads see everything acknowledged before;
 * answers to changes come after the commit.
 */
#ifndef CO_SERVICE_STATE_H
#define CO_SERVICE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "lib/span.h"

struct expiry;
struct states;
struct store;

enum state_kind {
	STATE_PUT,
	STATE_DELETE, /* deleting nothing is no error */
	STATE_CHECK   /* only its condition */
};

enum state_if {
	STATE_IF_ANY,
	STATE_IF_VERSION, /* it has that version or does not exist; 0: does not exist */
	STATE_IF_EXACTLY, /* it exists with that version; 0: does not exist */
	STATE_IF_EXISTS,
	STATE_IF_ABSENT
};

struct state_op {
	enum state_kind kind;
	struct co_span key;      /* UTF-8 without NUL, 1 to CO_LIMIT_STATE_KEY bytes */
	struct co_span value;    /* PUT: checked JSON */
	enum state_if condition; /* looked at before anything of the change is done */
	uint64_t version;
	bool has_ttl;    /* PUT; otherwise the key expires when it would have */
	uint64_t ttl_ms; /* 0: it does not expire any more */
};

struct state_entry {
	struct co_span key,
		value;       /* no value: as it was deleted, or is only known of */
	uint64_t version;    /* 0: there is none */
	uint64_t updated_ms; /* since the epoch */
	uint64_t expires_ms; /* the same; 0: never */
};

struct state_result {
	int status; /* 0; CO_CONFLICT: a condition does not hold; CO_TABLE_FULL: the service
		     * has as many keys as it may; what the store says */
	const char *reason; /* a sentence if status < 0 */
	/* One per operation: what was put, what was deleted, what was checked. */
	const struct state_entry *entries;
	size_t nentries;
	/* CO_CONFLICT: whose condition, and what is there. */
	size_t failed;
	uint64_t version;
};

typedef void state_done(void *arg, const struct state_result *result);

/*
 * Changes the state of `service` in one step: everything is done or nothing.  Everything
 * is copied.  0, or `done` does not run and state_reason() says why: CO_INVALID (a key; two
 * puts to one key), CO_TOO_BIG (CO_LIMIT_STATE_OPS operations), CO_BUSY, CO_TABLE_FULL
 * (services), CO_NO_MEMORY, CO_GONE.
 */
int state_change(struct states *s, const char *service, const struct state_op *ops,
		 size_t nops, state_done *done, void *arg);

struct state_list {
	int status; /* 0; CO_CORRUPT; what the store says */
	const char *reason;
	const struct state_entry *entries; /* sorted by key, bytewise */
	size_t nentries;
	bool more; /* there are others behind the last one */
};

typedef void state_listed(void *arg, const struct state_list *list);

/* One entry, or none. */
int state_get(struct states *s, const char *service, struct co_span key,
	      state_listed *done, void *arg);

struct state_query {
	const char *service;
	struct co_span prefix; /* {NULL, 0}: all keys */
	struct co_span after;  /* only keys that sort behind it; {NULL, 0}: all */
	size_t limit;          /* 0: as many as a page has room for */
};

/* One page; a page is of one moment, the next one is of a later moment. */
int state_list(struct states *s, const struct state_query *query, state_listed *done,
	       void *arg);

/* The sentence of the last call that returned a failure. */
const char *state_reason(const struct states *s);

enum state_what { STATE_WAS_PUT, STATE_WAS_DELETED, STATE_HAS_EXPIRED };

struct state_change {
	const char *service;
	struct co_span key;
	uint64_t version; /* as it is, or was last */
	enum state_what what;
};

struct state_options {
	/* Of one service; 0: CO_LIMIT_STATE_KEYS.  They are counted with its first change:
	 * what is asked before that has been answered is not held to it. */
	size_t keys_max;
	/* After the commit, before its `done`; NULL: nobody. */
	void (*changed)(void *arg, const struct state_change *change);
	void *arg;
};

/* NULL: no memory.  All are borrowed. */
struct states *state_new(const struct co_host *host, struct store *store,
			 struct expiry *expiry, const struct state_options *options);

/* The store must be closed.  Returns NULL. */
struct states *state_free(struct states *s);

#endif
