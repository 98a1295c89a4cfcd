/* SPDX-License-Identifier: MIT */
/*
 * Patterns of names: "job:done", "job:done,job:failed", "job:*", "*".  HOST.
 *
 * A comma separates alternatives, each a name or the beginning of names with a * behind
 * it; there is no escape.  White space around an alternative is not part of it.
 */
#ifndef CO_PATTERN_H
#define CO_PATTERN_H

#include <stdbool.h>

#include "lib/span.h"

/* Does the name match one of the alternatives?  {NULL, 0} and "" match every name. */
bool co_pattern_match(struct co_span pattern, struct co_span name);

/* Is it one plain name? */
bool co_pattern_is_name(struct co_span pattern);

#endif
