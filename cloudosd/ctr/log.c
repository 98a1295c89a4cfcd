/* SPDX-License-Identifier: MIT */
/*
 * Writing a container's log.  HOST.
 *
 * Lines are not copied: each is two parts of a writev, the words in front of it (the same
 * for all that came with one read) and its bytes where they lie.
 */
#include "cloudosd/ctr/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <co/limits.h>

#include "cloudosd/ctr/log_inside.h"
#include "lib/cleanup.h"
#include "lib/time.h"

enum {
	LINE = CO_LIMIT_CTR_LOG_LINE,
	PARTS = 1024, /* IOV_MAX */
	HELD_MS = 250,
};

/* What stands in front of a line: time, stream, F or P. */
enum { HEAD = 41 };

struct stream {
	char *held; /* LINE bytes once something was; the beginning of a line */
	size_t size;
	int64_t since_ms;        /* monotonic */
	char head[2][HEAD + 16]; /* P, F; with what a compiler thinks time may need */
};

struct ctr_log {
	int folder, fd;
	uint64_t max_bytes, size;
	unsigned max_files;
	struct stream streams[2];
	struct iovec *parts; /* PARTS of them */
	size_t part_count;
	uint64_t parts_bytes, parts_text; /* in them; of them the program's own */
	struct ctr_log_counts counts;
	uint64_t unsaid; /* of counts.lost, not yet told in the log */
	int64_t day_second;
	char second[32];             /* "2026-11-20T12:00:00." */
	struct ctr_log_queue *queue; /* non-blocking: that writes, not we */
};

/* ---- the file ---- */

static void file_name(unsigned n, char out[16])
{
	if (n)
		(void) snprintf(out, 16, "log.%u", n);
	else
		(void) snprintf(out, 16, "log");
}

static int open_file(struct ctr_log *l)
{
	struct stat st;
	char last = '\n';
	int fd = openat(l->folder, "log",
			O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
			0600);

	if (fd < 0)
		return -1;
	l->size = 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		l->size = (uint64_t) st.st_size;
	/* a monitor that was killed in the middle of a line */
	if (l->size && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
	    write(fd, "\n", 1) == 1)
		l->size++;
	if (l->fd >= 0)
		(void) close(l->fd); /* appended only: nothing to lose */
	l->fd = fd;
	return 0;
}

static void turn_over(struct ctr_log *l)
{
	char from[16], to[16];

	for (unsigned n = l->max_files - 1; n > 0; n--) {
		file_name(n - 1, from);
		file_name(n, to);
		(void) renameat(l->folder, from, l->folder,
				to); /* the first times: none */
	}
	if (l->max_files == 1)
		(void) unlinkat(l->folder, "log", 0); /* open_file tells */
	if (open_file(l) < 0)
		l->size =
			0; /* the old file grows on; tried again when it is full again */
}

/* ---- time ---- */

int64_t ctr_log_clock(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with that clock */
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void print_second(struct ctr_log *l, int64_t second)
{
	struct co_date date = co_date_of_days(second / 86400);
	unsigned rest = (unsigned) (second % 86400);

	(void) snprintf(l->second, sizeof(l->second), "%04u-%02u-%02uT%02u:%02u:%02u.",
			(unsigned) date.year % 10000, date.month % 100, date.day % 100,
			rest / 3600, rest / 60 % 60, rest % 60);
	l->day_second = second;
}

/* "2026-11-20T12:00:00.123456789Z stdout F " */
static void print_heads(struct ctr_log *l, enum ctr_stream stream,
			const struct timespec *at)
{
	struct stream *s = &l->streams[stream];

	if (l->day_second != at->tv_sec)
		print_second(l, at->tv_sec);
	for (int whole = 0; whole < 2; whole++)
		(void) snprintf(
			s->head[whole], sizeof(s->head[whole]), "%.20s%09ldZ %s %c ",
			l->second, at->tv_nsec % 1000000000,
			stream == CTR_STDOUT ? "stdout" : "stderr", whole ? 'F' : 'P');
}

/* ---- what is written at once ---- */

static void lose(struct ctr_log *l, uint64_t bytes)
{
	l->counts.lost += bytes;
	l->unsaid += bytes;
}

static bool write_all(int fd, struct iovec *parts, size_t count)
{
	while (count) {
		ssize_t n = writev(fd, parts, (int) count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		while (count && (size_t) n >= parts->iov_len) {
			n -= (ssize_t) parts->iov_len;
			parts++;
			count--;
		}
		if (count) {
			parts->iov_base = (char *) parts->iov_base + n;
			parts->iov_len -= (size_t) n;
		}
	}
	return true;
}

/* Back to the last whole line, when the disk took a part of one. */
static void cut_back(struct ctr_log *l)
{
	struct stat st;

	if (fstat(l->fd, &st) < 0 || (uint64_t) st.st_size <= l->size)
		return;
	if (ftruncate(l->fd, (off_t) l->size) < 0)
		l->size = (uint64_t) st.st_size; /* the half line stays, then */
}

static void say_lost(struct ctr_log *l)
{
	char line[HEAD + 100];
	struct timespec now;
	int n;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with that clock */
	print_heads(l, CTR_STDERR,
		    &now); /* lines that wait get a later time, no harm */
	n = snprintf(line, sizeof(line), "%scloudos: %llu bytes of output were lost\n",
		     l->streams[CTR_STDERR].head[1], (unsigned long long) l->unsaid);
	if (n > 0 && write(l->fd, line, (size_t) n) == n) {
		l->size += (uint64_t) n;
		l->unsaid = 0;
	} else {
		cut_back(l);
	}
}

static void flush(struct ctr_log *l)
{
	if (l->part_count == 0)
		return;
	if (l->unsaid)
		say_lost(l);
	if (write_all(l->fd, l->parts, l->part_count)) {
		l->size += l->parts_bytes;
	} else {
		lose(l, l->parts_text);
		cut_back(l);
	}
	l->part_count = 0;
	l->parts_bytes = l->parts_text = 0;
}

static void add_part(struct ctr_log *l, const char *data, size_t size)
{
	if (size == 0)
		return;
	l->parts[l->part_count++] =
		(struct iovec){ .iov_base = (void *) (uintptr_t) data,
				.iov_len = size };
	l->parts_bytes += size;
}

/* One line of the log: first and second are the program's, one after the other. */
static void add_line(struct ctr_log *l, struct stream *s, bool whole,
		     struct co_span first, struct co_span second)
{
	size_t bytes = HEAD - 1 + first.size + second.size + 1;
	bool ended = second.size && second.data[second.size - 1] == '\n';

	if (l->size + l->parts_bytes + bytes > l->max_bytes &&
	    l->size + l->parts_bytes > 0) {
		flush(l);
		turn_over(l);
	}
	if (l->part_count + 4 > PARTS)
		flush(l);
	add_part(l, s->head[whole], HEAD - 1);
	add_part(l, first.data, first.size);
	add_part(l, second.data, second.size);
	if (!ended)
		add_part(l, "\n", 1);
	l->parts_text += first.size + second.size;
	l->counts.lines += whole;
}

/* ---- lines ---- */

static void hold(struct ctr_log *l, struct stream *s, const char *data, size_t size)
{
	if (size == 0)
		return;
	if (!s->held)
		s->held = malloc(LINE);
	if (!s->held) {
		lose(l, size);
		return;
	}
	if (s->size == 0)
		s->since_ms = ctr_log_clock();
	memcpy(s->held + s->size, data, size);
	s->size += size;
}

/* Ends, if it can, the line whose beginning is held back; how much of data that took. */
static size_t end_held(struct ctr_log *l, struct stream *s, const char *data,
		       size_t size)
{
	size_t room = LINE - s->size, take = size < room ? size : room;
	const char *end = memchr(data, '\n', take);

	if (!end && take == size && size < room) {
		hold(l, s, data, size);
		return size;
	}
	if (end)
		take = (size_t) (end - data) + 1;
	add_line(l, s, end, (struct co_span){ s->held, s->size },
		 (struct co_span){ data, take });
	s->size = 0; /* its bytes stay where they are until flush */
	return take;
}

void ctr_log_lines(struct ctr_log *l, enum ctr_stream stream, const struct timespec *at,
		   const char *data, size_t size)
{
	struct stream *s = &l->streams[stream];

	print_heads(l, stream, at);
	if (s->size) {
		size_t taken = end_held(l, s, data, size);

		data += taken;
		size -= taken;
	}
	while (size) {
		size_t most = size < LINE ? size : LINE;
		const char *end = memchr(data, '\n', most);

		if (!end && most < LINE)
			break;
		if (end)
			most = (size_t) (end - data) + 1;
		add_line(l, s, end, (struct co_span){ NULL, 0 },
			 (struct co_span){ data, most });
		data += most;
		size -= most;
	}
	flush(l);
	hold(l, s, data, size);
}

void ctr_log_write(struct ctr_log *l, enum ctr_stream stream, const char *data,
		   size_t size)
{
	struct timespec now;

	l->counts.bytes += size;
	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with that clock */
	if (!l->queue) {
		ctr_log_lines(l, stream, &now, data, size);
		return;
	}
	for (const char *at = data;
	     (at = memchr(at, '\n', size - (size_t) (at - data))); at++)
		l->counts.lines++;
	l->counts.lost += ctr_log_queue_put(l->queue, stream, &now, data, size);
}

static void let_go(struct ctr_log *l, enum ctr_stream stream, bool whole)
{
	struct stream *s = &l->streams[stream];
	struct timespec now;

	if (s->size == 0)
		return;
	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with that clock */
	print_heads(l, stream, &now);
	add_line(l, s, whole, (struct co_span){ s->held, s->size },
		 (struct co_span){ NULL, 0 });
	flush(l);
	s->size = 0;
}

int ctr_log_due(const struct ctr_log *l)
{
	int64_t due = -1, now = -1;

	for (int i = 0; i < 2; i++) {
		int64_t left;

		if (l->streams[i].size == 0)
			continue;
		if (now < 0)
			now = ctr_log_clock();
		left = l->streams[i].since_ms + HELD_MS - now;
		if (left < 0)
			left = 0;
		if (due < 0 || left < due)
			due = left;
	}
	return (int) due;
}

void ctr_log_tick(struct ctr_log *l)
{
	int64_t now = ctr_log_clock();

	for (int i = 0; i < 2; i++)
		if (l->streams[i].size && now - l->streams[i].since_ms >= HELD_MS)
			let_go(l, (enum ctr_stream) i, false);
}

void ctr_log_end(struct ctr_log *l, enum ctr_stream stream)
{
	if (!l->queue)
		let_go(l, stream, true);
}

/* ---- opening and closing ---- */

int ctr_log_reopen(struct ctr_log *l, struct co_err *err)
{
	if (l->queue)
		return ctr_log_queue_reopen(l->queue, err);
	if (open_file(l) < 0)
		return co_fail_errno(err, errno, "cannot open the container's log");
	return 0;
}

int ctr_log_open(const struct ctr_log_options *o, struct ctr_log **out,
		 struct co_err *err)
{
	struct ctr_log *l = calloc(1, sizeof(*l));
	int rc = 0;

	if (!l)
		return co_fail(err, CO_NO_MEMORY, "no memory for a container's log");
	l->fd = -1;
	l->day_second = -1;
	l->max_bytes = o->max_bytes ? o->max_bytes : 10 << 20;
	l->max_files = o->max_files ? o->max_files : 5;
	if (l->max_files > CO_LIMIT_CTR_LOG_FILES)
		l->max_files = CO_LIMIT_CTR_LOG_FILES;
	l->folder = open(o->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	l->parts = malloc(PARTS * sizeof(l->parts[0]));
	if (!l->parts)
		rc = co_fail(err, CO_NO_MEMORY, "no memory for a container's log");
	else if (l->folder < 0 || open_file(l) < 0)
		rc = co_fail_errno(err, errno, "cannot open %s/log", o->folder);
	else if (o->non_blocking)
		rc = ctr_log_queue_open(l, &l->queue, err);
	if (rc < 0) {
		ctr_log_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

void ctr_log_close(struct ctr_log *l)
{
	if (!l)
		return;
	for (int i = 0; l->parts && l->fd >= 0 && !l->queue && i < 2; i++)
		let_go(l, (enum ctr_stream) i, true);
	if (l->unsaid && l->fd >= 0 && !l->queue)
		say_lost(l);
	ctr_log_queue_close(l->queue);
	for (int i = 0; i < 2; i++)
		free(l->streams[i].held);
	if (l->fd >= 0)
		(void) close(l->fd); /* what could not be written is counted */
	if (l->folder >= 0)
		(void) close(l->folder); /* O_PATH */
	free(l->parts);
	free(l);
}

void ctr_log_lost(struct ctr_log *l, uint64_t bytes)
{
	lose(l, bytes);
}

bool ctr_log_owns(const struct ctr_log *l, int fd)
{
	return fd == l->folder || fd == l->fd;
}

void ctr_log_counts(const struct ctr_log *l, struct ctr_log_counts *out)
{
	*out = l->counts;
}
