/* SPDX-License-Identifier: MIT */
/* The log's writer and the process that writes for it.  HOST. */
#ifndef CTR_LOG_INSIDE_H
#define CTR_LOG_INSIDE_H

#include <time.h>

#include "cloudosd/ctr/log.h"

/* Writes lines that came at that time; never to the queue. */
void ctr_log_lines(struct ctr_log *l, enum ctr_stream stream, const struct timespec *at,
		   const char *data, size_t size);

/* That much is missing: counted and told in the log. */
void ctr_log_lost(struct ctr_log *l, uint64_t bytes);

/* Is that one of its descriptors? */
bool ctr_log_owns(const struct ctr_log *l, int fd);

int64_t ctr_log_clock(void); /* monotonic, ms */

/* ---- log_queue.c: a process that owns the file ---- */

struct ctr_log_queue;

/* Starts it; it uses l, which the caller's process does not write with any more. */
int ctr_log_queue_open(struct ctr_log *l, struct ctr_log_queue **out,
		       struct co_err *err);

/* Never waits; returns how much was lost because too much waits already. */
uint64_t ctr_log_queue_put(struct ctr_log_queue *q, enum ctr_stream stream,
			   const struct timespec *at, const char *data, size_t size);

int ctr_log_queue_reopen(struct ctr_log_queue *q, struct co_err *err);

/* The process writes out what waits and ends by itself.  NULL is allowed. */
void ctr_log_queue_close(struct ctr_log_queue *q);

#endif
