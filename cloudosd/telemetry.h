/* SPDX-License-Identifier: MIT */
/* Logs, metrics and events of this daemon: starting them, and its own share.  HOST. */
#ifndef CO_TELEMETRY_H
#define CO_TELEMETRY_H

#include "lib/err.h"

struct co_log_line;
struct co_call;
struct daemon;

/* When there is a store and a registry; with the core lock. */
int telemetry_start(struct daemon *d, struct co_err *err);

/* The configuration has been read, again. */
void telemetry_configure(struct daemon *d);

/* A line of the daemon's log becomes one of service "cloudosd".  Any thread. */
void telemetry_log(struct daemon *d, const struct co_log_line *line);

#endif
