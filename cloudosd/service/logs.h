/* SPDX-License-Identifier: MIT */
/*
 * Logs of services: what programs log over HTTP, what they print, and the daemon's own
 * lines as those of "cloudosd".  HOST.
 */
#ifndef CO_SERVICE_LOGS_H
#define CO_SERVICE_LOGS_H

#include "cloudosd/service/feed.h"

struct logs;

struct log_entry {
	const char *service;    /* whose log */
	struct co_span source;  /* who says it; {NULL, 0}: the service itself */
	struct co_span level;   /* debug, info, warn, error or fatal */
	struct co_span message; /* UTF-8; what is not becomes U+FFFD when it is read */
	struct co_span meta;    /* checked JSON, kept byte by byte; {NULL, 0}: none */
};

typedef void logs_done(void *arg, int status, const char *reason, const char *id,
		       uint64_t at_ms);

/* Copies the entry.  As events_emit. */
int logs_add(struct logs *logs, const struct log_entry *entry, logs_done *done,
	     void *arg);
const char *logs_reason(const struct logs *logs);

/*
 * What a program printed: each line of `text` becomes an entry (a stretch without a line
 * end too; long ones are cut into several, CO_LIMIT_TELEMETRY_LINE), of level info on standard output and warn on
 * standard error, with meta {"stream":...,"pid":...}.  Lines that are JSON objects with a
 * "level" and a "message" are taken at their word.  CO_BUSY: nothing was taken, offer it
 * again soon; otherwise as logs_add.  done runs once, after the last of them.
 */
struct log_output {
	const char *service;
	int32_t pid;
	bool standard_error;
	const char *error_level; /* of standard error; NULL: warn */
	struct co_span text;
};

int logs_add_output(struct logs *logs, const struct log_output *output, logs_done *done,
		    void *arg);

/* A line of the daemon's own log.  Any thread, without the core lock; counted when there
 * is no room. */
struct co_log_line;
void logs_add_own(struct logs *logs, const struct co_log_line *line);

bool log_level_known(struct co_span level);

/* row->name is the level, row->text the message, row->json meta. */
struct feed *logs_feed(struct logs *logs);
/* {"id","timestamp","level","message","service","meta"} */
void logs_json(struct co_buf *out, const struct store_row *row);

struct logs *logs_new(const struct co_host *host, struct store *store);
struct logs *logs_free(struct logs *logs); /* returns NULL */

#endif
