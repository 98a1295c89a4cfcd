/* SPDX-License-Identifier: MIT */
/*
 * Sizes, times and shares as people write them, on the command line and in cloudos.yaml.
 * HOST.  Each is false for anything else, and then *out is as it was.
 */
#ifndef CO_CLI_UNITS_H
#define CO_CLI_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* "64m", "1.5g", "512MiB", "67108864" (bytes): in MiB, rounded up. */
bool units_mib(const char *text, uint64_t *out);

/* "90", "90s", "1m30s", "2h": whole seconds. */
bool units_seconds(const char *text, uint64_t *out);

/* "0.5", "2": processors, in percent of one; at least one percent. */
bool units_percent(const char *text, uint64_t *out);

#endif
