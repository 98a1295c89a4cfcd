/* SPDX-License-Identifier: MIT */
/*
 * One https request, through libcurl loaded at run time.  HOST.  Who calls it: probe.c.
 * The daemon does not link libcurl, so that it needs no TLS library when nobody asks.
 */
#ifndef CO_SERVICE_HTTPS_H
#define CO_SERVICE_HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Loads libcurl at the first call (a few milliseconds); CO_UNSUPPORTED with a sentence
 * that names the package.  Not thread-safe. */
int https_load(struct co_err *err);

/* Another library than libcurl.so.4, before the first https_load, or to undo one. */
void https_library(const char *name);

/* Blocking, on any thread, after https_load: GET with verification; true for 2xx and 3xx.
 * ca_file "" is the system's certificates. */
bool https_get(const char *url, uint32_t timeout_ms, const char *ca_file,
	       char *out_reason, size_t size);

#endif
