/* SPDX-License-Identifier: MIT */
/* Makes time zones for tests, so that they need no tzdata.  HOST. */
#ifndef CO_TESTS_TZIF_H
#define CO_TESTS_TZIF_H

#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/zone.h"

struct tzif_change {
	int64_t at;
	int32_t offset;
};

/* The file of a zone: `first`, then n changes (at most 64), then `footer`.  Returns its
 * size; there are TZIF_SIZE bytes of room. */
#define TZIF_SIZE 4096
size_t tzif_file(uint8_t *out, int32_t first, const struct tzif_change *changes,
		 size_t n, const char *footer);

/* Zones that such files make. */
struct zone *tzif_zone(const char *footer);
struct zone *tzif_changes(int32_t first, const struct tzif_change *changes, size_t n);

#endif
