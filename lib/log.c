/* SPDX-License-Identifier: MIT */
/* The log: formatting, rate limit, levels.  HOST; only programs call it. */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/escape.h"

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const char *const subsystem_names[] = {
#define SUBSYSTEM(name, what) #name,
#include "lib/log.def"
#undef SUBSYSTEM
};

atomic_uchar co_log_level_of[CO_LOG_SUBSYSTEMS] = {
#define SUBSYSTEM(name, what) CO_LOG_INFO,
#include "lib/log.def"
#undef SUBSYSTEM
};

static struct {
	pthread_mutex_t lock;      /* guards the counters of sites and their list */
	struct co_log_site *sites; /* that have suppressed something */
	atomic_int fd;
	atomic_bool journal;
	atomic_uint_fast64_t lost; /* lines that could not be written */
	void (*sink)(void *ctx, const struct co_log_line *line);
	void *sink_ctx;
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO };

static _Thread_local bool in_sink;

const char *co_log_level_name(enum co_log_level level)
{
	return level_names[level];
}

const char *co_log_subsystem_name(enum co_log_subsystem subsystem)
{
	return subsystem_names[subsystem];
}

/* ---- one line ---- */

/* lost: how many lines before this one it tells about. */
static void write_line(const char *line, size_t n, uint64_t lost)
{
	int fd = atomic_load(&logger.fd);
	ssize_t done;

	do
		done = write(fd, line, n);
	while (done < 0 && errno == EINTR);
	if (done != (ssize_t) n)
		atomic_fetch_add(&logger.lost, lost + 1);
}

static size_t put(char *to, size_t size, size_t at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Appends at `at`, as far as there is room; returns the new end. */
static size_t put(char *to, size_t size, size_t at, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to + at, size - at, format, ap);
	va_end(ap);
	if (n < 0)
		return at;
	return at + (size_t) n < size ? at + (size_t) n : size - 1;
}

static size_t put_time(char *to, size_t size, size_t at, const struct timespec *now)
{
	struct tm tm;

	if (!gmtime_r(&now->tv_sec, &tm))
		return put(to, size, at, "%lld", (long long) now->tv_sec);
	return put(to, size, at, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
		   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		   tm.tm_sec, now->tv_nsec / 1000000);
}

/* Writes one entry to the descriptor and to the sink.  message is already escaped. */
static void emit(struct co_log_line *entry, uint32_t suppressed)
{
	static const int priority[] = { 3, 4, 6, 7 };
	char line[CO_LOG_PART + 256];
	uint64_t lost = atomic_exchange(&logger.lost, 0);
	struct timespec now;
	size_t at = 0;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	entry->at_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
	if (atomic_load(&logger.journal))
		at = put(line, sizeof(line), at, "<%d>", priority[entry->level]);
	at = put_time(line, sizeof(line), at, &now);
	at = put(line, sizeof(line), at, " %s %s", level_names[entry->level],
		 subsystem_names[entry->subsystem]);
	if (entry->session)
		at = put(line, sizeof(line), at, " session=%" PRIu64, entry->session);
	if (entry->tid)
		at = put(line, sizeof(line), at, " tid=%" PRId32, entry->tid);
	if (suppressed)
		at = put(line, sizeof(line), at, " suppressed=%" PRIu32, suppressed);
	if (lost)
		at = put(line, sizeof(line), at, " lost=%" PRIu64, lost);
	at = put(line, sizeof(line), at, " message=\"%s\"\n", entry->message);
	write_line(line, at, lost);
	if (logger.sink && !in_sink) {
		in_sink = true;
		logger.sink(logger.sink_ctx, entry);
		in_sink = false;
	}
}

/* ---- rate limit ---- */

/* May this entry be written?  If so, how many before it were not. */
static bool admit(struct co_log_site *site, uint32_t *out_suppressed)
{
	struct timespec now;
	bool pass;

	*out_suppressed = 0;
	if (site->level == CO_LOG_DEBUG)
		return true;
	(void) clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* cannot fail */
	(void) pthread_mutex_lock(
		&logger.lock); /* never fails: not recursive, not robust */
	if (site->second != (uint64_t) now.tv_sec) {
		site->second = (uint64_t) now.tv_sec;
		site->count = 0;
	}
	pass = site->count < CO_LOG_BURST;
	if (pass) {
		site->count++;
		*out_suppressed = site->suppressed;
		site->suppressed = 0;
	} else {
		site->suppressed++;
		if (!site->listed) {
			site->listed = true;
			site->next = logger.sites;
			logger.sites = site;
		}
	}
	(void) pthread_mutex_unlock(&logger.lock);
	return pass;
}

void co_log_write(struct co_log_site *site, uint64_t session, int32_t tid,
		  const char *format, ...)
{
	struct co_log_line entry = { .session = session,
				     .tid = tid,
				     .level = site->level,
				     .subsystem = site->subsystem };
	char raw[CO_LOG_PART + 1], message[CO_LOG_PART + 1];
	uint32_t suppressed;
	int saved = errno; /* callers log and then return what errno says */
	va_list ap;
	int n;

	if (admit(site, &suppressed)) {
		errno = saved; /* for %m */
		va_start(ap, format);
		n = vsnprintf(raw, sizeof(raw), format, ap);
		va_end(ap);
		if (n < 0)
			n = 0;
		if ((size_t) n >= sizeof(raw))
			n = sizeof(raw); /* its NUL makes co_escape say "..." */
		(void) co_escape(message, sizeof(message), raw, (size_t) n);
		entry.message = message;
		emit(&entry, suppressed);
	}
	errno = saved;
}

void co_log_flush(void)
{
	struct co_log_site *site;

	(void) pthread_mutex_lock(&logger.lock);
	site = logger.sites;
	(void) pthread_mutex_unlock(&logger.lock);
	/* sites are static and never leave the list: walking it needs no lock */
	for (; site; site = site->next) {
		struct co_log_line entry = { .level = site->level,
					     .subsystem = site->subsystem,
					     .message =
						     "entries like earlier ones were "
						     "not written" };
		uint32_t suppressed;

		(void) pthread_mutex_lock(&logger.lock);
		suppressed = site->suppressed;
		site->suppressed = 0;
		(void) pthread_mutex_unlock(&logger.lock);
		if (suppressed)
			emit(&entry, suppressed);
	}
}

/* ---- setting up ---- */

static int find(const char *const *names, size_t n, const char *word, size_t length)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
			return (int) i;
	return -1;
}

static int no_such(struct co_err *err, const char *kind, const char *word,
		   size_t length, const char *const *names, size_t n)
{
	char quoted[64], known[128] = "";
	size_t at = 0;

	(void) co_escape(quoted, sizeof(quoted), word, length);
	for (size_t i = 0; i < n; i++)
		at = put(known, sizeof(known), at, "%s%s", i ? ", " : "", names[i]);
	return co_fail(err, CO_INVALID,
		       "\"%s\" is not a %s of the log; there are %s (as in "
		       "\"info,notify=debug\")",
		       quoted, kind, known);
}

/* Reads one item; fills out[] if it is of the wanted sort. */
static int parse_item(struct co_log_levels *out, const char *item, size_t length,
		      bool wanted_subsystem, struct co_err *err)
{
	const char *equals = memchr(item, '=', length);
	const char *word = equals ? equals + 1 : item;
	size_t word_length = (size_t) (item + length - word);
	int level = find(level_names, co_countof(level_names), word, word_length);
	int subsystem = -1;

	if (equals) {
		subsystem = find(subsystem_names, CO_LOG_SUBSYSTEMS, item,
				 (size_t) (equals - item));
		if (subsystem < 0)
			return no_such(err, "subsystem", item, (size_t) (equals - item),
				       subsystem_names, CO_LOG_SUBSYSTEMS);
	}
	if (level < 0)
		return no_such(err, "level", word, word_length, level_names,
			       co_countof(level_names));
	if (equals && wanted_subsystem)
		out->of[subsystem] = (unsigned char) level;
	else if (!equals && !wanted_subsystem)
		memset(out->of, level, sizeof(out->of));
	return 0;
}

int co_log_parse(struct co_log_levels *out, const char *text, struct co_err *err)
{
	struct co_log_levels levels;

	memset(levels.of, CO_LOG_INFO, sizeof(levels.of));
	/* the level for all first, so that the order of items does not matter */
	for (int pass = 0; pass < 2; pass++) {
		const char *p = text ? text : "";

		while (*p) {
			size_t length = strcspn(p, ", ");
			int rc = length ? parse_item(&levels, p, length, pass == 1, err)
					: 0;

			if (rc < 0)
				return rc;
			p += length;
			p += strspn(p, ", ");
		}
	}
	*out = levels;
	return 0;
}

void co_log_apply(const struct co_log_levels *levels)
{
	for (size_t i = 0; i < CO_LOG_SUBSYSTEMS; i++)
		atomic_store(&co_log_level_of[i], levels->of[i]);
}

/* Is fd what systemd says it gave us as the journal's stream? */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int co_log_to(int fd, struct co_err *err)
{
	int own = atomic_load(&logger.fd);
	int rc;

	/* other threads may be writing: the number stays, the file behind it changes */
	if (own == STDERR_FILENO)
		rc = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	else
		rc = dup3(fd, own, O_CLOEXEC);
	if (rc < 0)
		return co_fail_errno(err, errno, "cannot send the log to descriptor %d",
				     fd);
	atomic_store(&logger.journal, is_journal(fd));
	atomic_store(&logger.fd, rc);
	return 0;
}

void co_log_sink(void (*sink)(void *ctx, const struct co_log_line *line), void *ctx)
{
	logger.sink = sink;
	logger.sink_ctx = ctx;
}
