/* SPDX-License-Identifier: MIT */
/*
 * What a container printed: BUNDLE/log, log.1 (older), log.2...  HOST.
 *
 *	2026-11-20T12:00:00.123456789Z stdout F a line
 *	2026-11-20T12:00:00.123456789Z stderr P the beginning of a line that was
 *	2026-11-20T12:00:00.123456790Z stderr F  too long, or slow
 *
 * Who calls it: the monitor writes, cloudosctl reads while it is written and turned over.
 */
#ifndef CTR_LOG_H
#define CTR_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/span.h"

enum ctr_stream { CTR_STDOUT, CTR_STDERR };

/* ---- writing ---- */

struct ctr_log;

struct ctr_log_options {
	const char *folder; /* of the file "log" */
	uint64_t max_bytes; /* of one file; 0: 10 MiB */
	unsigned max_files; /* in all; 0: 5; at most CO_LIMIT_CTR_LOG_FILES */
	/* What the disk takes too slowly is lost and counted instead of stopping the program:
	 * a process of its own writes, and what waits for it is bounded. */
	bool non_blocking;
};

/*
 * What cannot be written (a full disk) is lost and counted, and a line of the log says how
 * much once it can be written again: it never stops the program.
 */
int ctr_log_open(const struct ctr_log_options *options, struct ctr_log **out,
		 struct co_err *err);

/* Writes out what is held back.  NULL is allowed. */
void ctr_log_close(struct ctr_log *log);

void ctr_log_write(struct ctr_log *log, enum ctr_stream stream, const char *data,
		   size_t size);

/* A line without its end is held back until then or until it is a quarter of a second old:
 * the milliseconds until ctr_log_tick is to be called, -1: nothing is held back. */
int ctr_log_due(const struct ctr_log *log);
void ctr_log_tick(struct ctr_log *log);

/* No more will come from there: what is held back is written as a line. */
void ctr_log_end(struct ctr_log *log, enum ctr_stream stream);

/* Opens the file anew, after somebody moved it. */
int ctr_log_reopen(struct ctr_log *log, struct co_err *err);

struct ctr_log_counts {
	uint64_t bytes, lines; /* of the program's output, taken */
	uint64_t lost;         /* bytes of it that are not in the file */
};
void ctr_log_counts(const struct ctr_log *log, struct ctr_log_counts *out);

/* ---- reading ---- */

struct ctr_log_reader;

struct ctr_log_from {
	const char *path;  /* of the file "log" */
	uint64_t since_ns; /* lines from then on (since the epoch); 0: all */
	int64_t tail;      /* that many lines from the end; -1: all */
	bool follow;       /* ctr_log_reader_wait will be called */
};

struct ctr_log_line {
	uint64_t at_ns;
	struct co_span time; /* as it is written */
	enum ctr_stream stream;
	bool whole;          /* the line ends here */
	struct co_span text; /* without its end; valid until the next call */
};

/* A log that does not exist yet is empty. */
int ctr_log_reader_open(const struct ctr_log_from *from, struct ctr_log_reader **out,
			struct co_err *err);
void ctr_log_reader_close(struct ctr_log_reader *reader); /* NULL is allowed */

/* The next line, across files that were turned over in the meantime.  0; 1: there is none
 * (now).  Lines that are damaged are passed over. */
int ctr_log_reader_next(struct ctr_log_reader *reader, struct ctr_log_line *out);

/* Readable when there may be more, for poll; -1: ask every now and then. */
int ctr_log_reader_fd(const struct ctr_log_reader *reader);

/* Waits for it.  0; CO_TIMED_OUT. */
int ctr_log_reader_wait(struct ctr_log_reader *reader, int timeout_ms);

#endif
