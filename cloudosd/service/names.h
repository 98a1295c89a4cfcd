/* SPDX-License-Identifier: MIT */
/*
 * The registry of names: which services there are, how they are called and which of this
 * machine's loopback addresses they have.  HOST.
 *
 *	core    blackroad-os-core    http://blackroad-os-core.railway.internal:8000 ...
 *
 * Each has two addresses in the block 127.77.D.0/24 of its domain: the front, where
 * everybody finds it and the gateway listens, and the back, where its program does.  The
 * list comes from files (cloudosd/names.c), the block and the places of before from the
 * state folder (cloudosd/addresses.c).  A name keeps its place as long as it is known.
 */
#ifndef CO_NAMES_H
#define CO_NAMES_H

#include <co/limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/span.h"

#define NAME_WORD 64 /* of a name, with its NUL: a name is also one of registry.h */
#define NAME_URL  256

/* Where what a program writes to standard error belongs. */
#define NAME_STDERR_DEFAULT "error"

struct name {
	char word[NAME_WORD]; /* "core": its key in the file, and what people type */
	char name[NAME_WORD]; /* "blackroad-os-core" */
	char role[NAME_WORD];
	uint32_t port;
	char cloudflare[NAME_URL]; /* URLs, "" where it has none */
	char railway[NAME_URL], railway_development[NAME_URL];
	char internal[NAME_URL];
	char health[NAME_URL]; /* a path */
	char stderr_level
		[8]; /* debug to fatal: what its standard error is in the log */

	uint32_t place; /* the last byte of its front address, 1 to CO_LIMIT_NAMES */
};

struct names;

struct names *names_new(void);
struct names *names_free(struct names *n);

/*
 * Takes over that list; the names that stay keep their places, the others get free ones.
 * 0; CO_INVALID: two have one name or host, CO_TABLE_FULL, CO_NO_MEMORY, and nothing has
 * changed.  Whoever watches is told.
 */
int names_set(struct names *n, const struct name *list, size_t count,
	      struct co_err *err);

/* D of 127.77.D.0/24; without one there are no addresses. */
void names_set_block(struct names *n, uint32_t block);
bool names_block(const struct names *n, uint32_t *out);

/* A place that a name had before; to be said before names_set. */
void names_had_place(struct names *n, const char *name, uint32_t place);

/* By name, word, or host of one of its URLs, with a port or without; NULL. */
const struct name *names_find(const struct names *n, struct co_span text);

/* By front or back address, in network order; NULL. */
const struct name *names_by_address(const struct names *n, struct in_addr address,
				    bool *out_back);

/* In the order of the file. */
size_t names_count(const struct names *n);
const struct name *names_at(const struct names *n, size_t i);

/* In network order; 0.0.0.0 without a block. */
struct in_addr names_front(const struct names *n, const struct name *name);
struct in_addr names_back(const struct names *n, const struct name *name);

/* The host of a URL: where it begins, without user, port and path; empty if it has none. */
struct co_span names_host(const char *url);

/* Does its program listen on the back address, at its registry port?  Said by whoever
 * does a program's bind (cloudosd/serving.c). */
void names_set_serving(struct names *n, const char *name, bool serving);
bool names_serving(const struct names *n, const struct name *name);

/* changed(arg) after the list, the block or a name's program has changed.  A few. */
int names_watch(struct names *n, void (*changed)(void *arg), void *arg);

#endif
