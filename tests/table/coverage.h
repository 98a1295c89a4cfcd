/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the seed-coverage test share.  HOST, tests only.  Each part reads one
 * specification and demands a row for every interface that it names.
 */
#ifndef TEST_COVERAGE_H
#define TEST_COVERAGE_H

#include "seed.h"

#include <check.h>
#include <personality/personality.h>

/* The row of that name or that key; fails the test when there is none. */
const struct co_op *row_of_name(const char *personality, const char *name);
const struct co_op *row_of_key(const char *personality, const char *key);

TCase *cloudos_coverage(void);
TCase *blackroad_coverage(void);
TCase *clankeros_coverage(void);
TCase *playsys_coverage(void);
TCase *anos_coverage(void);

#endif
