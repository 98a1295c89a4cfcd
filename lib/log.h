/* SPDX-License-Identifier: MIT */
/*
 * The log: one line per entry, levels per subsystem of log.def.  HOST.
 *
 *	co_log(control, WARN, "client %d sent %zu bytes too many", pid, n);
 *	co_log_session(notify, INFO, session->id, tid, "...");
 *
 *	2026-11-20T12:00:00.123Z info notify session=12 tid=345 message="..."
 *
 * Only programs log (cloudosd, cloudos-keeper); folders below them return a co_err.
 * Any thread may log.  An entry that is switched off costs one relaxed load.
 */
#ifndef CO_LOG_H
#define CO_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define CO_LOG_PART 1024 /* bytes of a message as written, escapes included */

enum co_log_level { CO_LOG_ERROR, CO_LOG_WARN, CO_LOG_INFO, CO_LOG_DEBUG };

enum co_log_subsystem {
#define SUBSYSTEM(name, what) CO_LOG_##name,
#include "lib/log.def"
#undef SUBSYSTEM
	CO_LOG_SUBSYSTEMS
};

/* ---- writing ---- */

/*
 * More than CO_LOG_BURST entries of one call site in a second are counted instead of
 * written, the next one that is written says `suppressed=N`.  Debug entries are exempt:
 * who switches them on wants them all.
 */
#define CO_LOG_BURST 20

/* clang-format off */
#define co_log(subsystem, level, ...) \
	CO_LOG_ENTRY(CO_LOG_##subsystem, CO_LOG_##level, 0, 0, __VA_ARGS__)
/* session and tid are left out of the line when they are 0 */
#define co_log_session(subsystem, level, session, tid, ...) \
	CO_LOG_ENTRY(CO_LOG_##subsystem, CO_LOG_##level, session, tid, __VA_ARGS__)

#define CO_LOG_ENTRY(subsystem, level, session, tid, ...) do { \
	if (co_log_on(subsystem, level)) { \
		static struct co_log_site site_ = { (subsystem), (level), 0, 0, 0, 0, 0 }; \
		co_log_write(&site_, session, tid, __VA_ARGS__); \
	} } while (0)
/* clang-format on */

struct co_log_site { /* one co_log in the source; everything behind level is log.c's */
	enum co_log_subsystem subsystem;
	enum co_log_level level;
	uint64_t second; /* that `count` is about */
	uint32_t count;
	uint32_t suppressed;
	bool listed;              /* has ever suppressed something, is in the list */
	struct co_log_site *next; /* of that list */
};

extern atomic_uchar co_log_level_of[CO_LOG_SUBSYSTEMS];

/* Would such an entry be written? */
static inline bool co_log_on(enum co_log_subsystem subsystem, enum co_log_level level)
{
	return atomic_load_explicit(&co_log_level_of[subsystem],
				    memory_order_relaxed) >= (unsigned) level;
}

void co_log_write(struct co_log_site *site, uint64_t session, int32_t tid,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Writes the counts of suppressed entries that no later entry has told.  For a timer
 * and for the end of the program. */
void co_log_flush(void);

/* ---- setting up ---- */

struct co_log_levels {
	unsigned char of[CO_LOG_SUBSYSTEMS]; /* enum co_log_level */
};

/*
 * Reads "info,notify=debug": a level for all (info when none is named) and levels of
 * subsystems, which win wherever they stand.  NULL and "" are "info".
 * 0 or CO_INVALID with a sentence that lists what is known.
 */
int co_log_parse(struct co_log_levels *out, const char *text, struct co_err *err);
void co_log_apply(const struct co_log_levels *levels);

/*
 * Sends lines to fd from now on, standard error until then.  fd is borrowed for the call
 * only: the log keeps a duplicate.  May be called again at any time, for a rotated file.
 * When fd is the journal's stream (JOURNAL_STREAM), lines get its <priority>.
 */
int co_log_to(int fd, struct co_err *err);

struct co_log_line {
	uint64_t at_us; /* since the epoch */
	uint64_t session;
	int32_t tid;
	enum co_log_level level;
	enum co_log_subsystem subsystem;
	const char *message; /* escaped as in the line, without quotes */
};

/*
 * Besides being written every line is given to sink(ctx, line), on the thread that logs
 * and without any lock of the log.  What the sink itself logs is not given to it again.
 * NULL for none.  To be set before threads start.
 */
void co_log_sink(void (*sink)(void *ctx, const struct co_log_line *line), void *ctx);

const char *co_log_level_name(enum co_log_level level);
const char *co_log_subsystem_name(enum co_log_subsystem subsystem);

#endif
