/* SPDX-License-Identifier: MIT */
/*
 * What the conformance suite must know of an engine.  HOST.
 *
 * A second engine adds a `struct store_engine` and a main() that calls store_conformance
 * with it; the suite itself sees store.h only.
 */
#ifndef CO_TESTS_ENGINE_H
#define CO_TESTS_ENGINE_H

#include "store/store.h"

struct store_engine {
	const char *name;
	/* A fresh, empty store; `options` carries clock and delivery, nothing else. */
	struct store *(*open)(const struct store_options *options);
	/* Closes and opens the same data again. */
	struct store *(*reopen)(struct store *s, const struct store_options *options);
	/* Closes and removes the data. */
	void (*destroy)(struct store *s);
};

/* Runs everything; the number of failures. */
int store_conformance(const struct store_engine *engine);

#endif
