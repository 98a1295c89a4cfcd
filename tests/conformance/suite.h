/* SPDX-License-Identifier: MIT */
/* What the files of the conformance suite share.  HOST. */
#ifndef CO_TESTS_SUITE_H
#define CO_TESTS_SUITE_H

#include "tests/conformance/client.h"

#include <check.h>

/* A fresh store, two answers and a watcher for each test. */
extern struct store *s;
extern struct answer a, b;
extern struct watched w;

/* Closes the store and opens the same data again. */
void conformance_reopen(void);
/* Moves the clock; the store looks at it with the request that follows. */
void conformance_pass_ms(uint64_t ms);

TCase *conformance_keys(void);
TCase *conformance_txns(void);
TCase *conformance_leases(void);
TCase *conformance_watches(void);

#endif
