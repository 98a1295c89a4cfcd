/* SPDX-License-Identifier: MIT */
/* The messages of wire.def in words, from their layouts.  HOST; tests and documents. */
#ifndef CO_TESTS_WIRE_DESCRIBE_H
#define CO_TESTS_WIRE_DESCRIBE_H

#include <stdio.h>

#include "lib/wire.h"

/* tests/wire/layout.txt: version, then every message, field and offset. */
void describe_layout(FILE *to);

/* docs/wire.md. */
void describe_markdown(FILE *to);

/*
 * A message of this layout with every field filled: numbers count up from `base`, texts
 * and bytes hold the name of their field.
 */
void describe_fill(struct co_msg *m, const struct co_layout *layout, uint64_t tag,
		   unsigned base);

#endif
