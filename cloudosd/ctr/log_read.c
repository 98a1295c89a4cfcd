/* SPDX-License-Identifier: MIT */
/*
 * Reading a container's log while it is written and turned over.  HOST.
 *
 * A file keeps its inode when it is renamed: all files that exist at the beginning are
 * opened at once, and the file behind one that was turned over is found by looking where
 * that inode stands now.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <co/limits.h>

#include "cloudosd/ctr/log.h"
#include "lib/cleanup.h"
#include "lib/time.h"

enum {
	FILES = CO_LIMIT_CTR_LOG_FILES,
	TIME = 30, /* "2026-11-20T12:00:00.123456789Z" */
	FLAG = 38, /* where F or P stands */
	HEAD = 40, /* in front of the text */
	BUFFER = 4 * CO_LIMIT_CTR_LOG_LINE,
};

struct ctr_log_reader {
	char *path;
	int files
		[FILES]; /* newest first; the last of `count` is the one that is read */
	size_t count;
	int notify;
	bool follow;
	uint64_t since_ns;
	uint64_t skip; /* that many whole lines more are not wanted */
	char *buffer;
	size_t at, size; /* what of it has not been told yet */
	off_t offset;    /* in the file, behind the buffer */
};

static void forget_file(struct ctr_log_reader *r)
{
	(void) close(r->files[--r->count]); /* read only */
	r->offset = 0;
	r->at = r->size = 0;
}

static int open_nth(const struct ctr_log_reader *r, unsigned n)
{
	char path[4200];

	if (n)
		(void) snprintf(path, sizeof(path), "%s.%u", r->path, n);
	else
		(void) snprintf(path, sizeof(path), "%s", r->path);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 &&
	       one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/* Newest first: what is turned over meanwhile is met again, not missed. */
static void open_files(struct ctr_log_reader *r)
{
	for (unsigned n = 0; n < FILES && r->count < FILES; n++) {
		int fd = open_nth(r, n);

		if (fd < 0 && n == 0)
			continue; /* in the middle of being turned over, or none yet */
		if (fd < 0)
			break;
		if (r->count && same_file(fd, r->files[r->count - 1]))
			(void) close(fd); /* read only */
		else
			r->files[r->count++] = fd;
	}
}

/* ---- lines ---- */

/* false: the buffer has no whole line and the file has no more now. */
static bool fill(struct ctr_log_reader *r, char **out_end)
{
	for (;;) {
		char *from = r->buffer + r->at;
		char *end = memchr(from, '\n', r->size - r->at);
		ssize_t n;

		if (end) {
			*out_end = end;
			return true;
		}
		if (r->at) {
			memmove(r->buffer, from, r->size - r->at);
			r->size -= r->at;
			r->at = 0;
		}
		if (r->size == BUFFER)
			r->size = 0; /* no line of ours */
		n = pread(r->files[r->count - 1], r->buffer + r->size, BUFFER - r->size,
			  r->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		r->size += (size_t) n;
		r->offset += n;
	}
}

static bool parse(struct co_span line, struct ctr_log_line *out)
{
	uint64_t ms, nanos = 0;

	if (line.size < HEAD || line.data[TIME] != ' ' || line.data[FLAG - 1] != ' ' ||
	    line.data[HEAD - 1] != ' ' ||
	    (line.data[FLAG] != 'F' && line.data[FLAG] != 'P') ||
	    !co_time_parse((struct co_span){ line.data, TIME }, &ms))
		return false;
	for (int i = 23; i < 29; i++) /* what is finer than a millisecond */
		nanos = nanos * 10 + (uint64_t) (line.data[i] - '0');
	out->stream = memcmp(line.data + TIME + 1, "stderr", 6) == 0 ? CTR_STDERR
								     : CTR_STDOUT;
	out->at_ns = ms * 1000000 + nanos;
	out->time = (struct co_span){ line.data, TIME };
	out->whole = line.data[FLAG] == 'F';
	out->text = (struct co_span){ line.data + HEAD, line.size - HEAD };
	return true;
}

/* Of the file that is read now.  false: no more there. */
static bool next_of_file(struct ctr_log_reader *r, struct ctr_log_line *out)
{
	char *end;

	while (fill(r, &end)) {
		struct co_span line = { r->buffer + r->at,
					(size_t) (end - r->buffer) - r->at };

		r->at += line.size + 1;
		if (parse(line, out))
			return true;
	}
	return false;
}

/* ---- --tail ---- */

static uint64_t count_lines(struct ctr_log_reader *r)
{
	struct ctr_log_line line;
	uint64_t n = 0;

	r->at = r->size = 0;
	r->offset = 0;
	while (next_of_file(r, &line))
		n += line.whole;
	r->at = r->size = 0;
	r->offset = 0;
	return n;
}

/* Forgets files before the last `tail` lines, and counts what is to be skipped. */
static void find_tail(struct ctr_log_reader *r, uint64_t tail)
{
	size_t all = r->count, used = 0;
	uint64_t lines = 0;

	while (used < all && (lines < tail || used == 0)) {
		r->count = ++used; /* count_lines reads the last of them */
		lines += count_lines(r);
	}
	for (size_t i = used; i < all; i++)
		(void) close(r->files[i]); /* read only */
	r->count = used;
	r->skip = lines > tail ? lines - tail : 0;
}

/* ---- from file to file ---- */

/* Where the file that is read stands now: 0 "log", 1 "log.1"; FILES: nowhere. */
static unsigned find_place(const struct ctr_log_reader *r, unsigned *out_files)
{
	unsigned place = FILES, n;

	for (n = 0; n < FILES; n++) {
		autoclose int fd = open_nth(r, n);

		if (fd < 0 && n > 0)
			break;
		if (fd >= 0 && place == FILES && same_file(fd, r->files[r->count - 1]))
			place = n;
	}
	*out_files = n;
	return place;
}

/* The file was turned over: opens its successor.  false: there is none (yet). */
static bool open_next(struct ctr_log_reader *r)
{
	for (int attempt = 0; attempt < 100; attempt++) {
		unsigned files, place = find_place(r, &files);
		int fd;

		if (place == 0 || files == 0)
			return false;
		/* one that is gone altogether: the oldest that is there */
		fd = open_nth(r, place == FILES ? files - 1 : place - 1);
		if (fd < 0)
			return false; /* between two renames */
		if (find_place(r, &files) == place || place == FILES) {
			forget_file(r);
			r->files[r->count++] = fd;
			return true;
		}
		(void) close(fd); /* turned over meanwhile */
	}
	return false;
}

/* false: there is no more (now).  *got: the old file had one more. */
static bool next_file(struct ctr_log_reader *r, struct ctr_log_line *out, bool *got)
{
	unsigned files;

	if (r->count > 1) {
		forget_file(r);
		return true;
	}
	if (!r->follow)
		return false;
	if (r->count == 0) {
		int fd = open_nth(r, 0);

		if (fd >= 0)
			r->files[r->count++] = fd;
		return fd >= 0;
	}
	if (find_place(r, &files) == 0)
		return false;
	/* it is not written any more, but may have been since we last looked */
	if (next_of_file(r, out)) {
		*got = true;
		return true;
	}
	return open_next(r);
}

static void drain_notices(const struct ctr_log_reader *r)
{
	char notices[4096];

	while (r->notify >= 0 && read(r->notify, notices, sizeof(notices)) > 0)
		continue;
}

int ctr_log_reader_next(struct ctr_log_reader *r, struct ctr_log_line *out)
{
	bool drained = false;

	for (;;) {
		bool got = r->count && next_of_file(r, out);

		if (!got && !drained) {
			drain_notices(r); /* those of what is looked at only now */
			drained = true;
			continue;
		}
		if (!got && !next_file(r, out, &got))
			return 1;
		if (!got)
			continue;
		if (r->skip) {
			r->skip -= out->whole;
			continue;
		}
		if (out->at_ns >= r->since_ns)
			return 0;
	}
}

/* ---- opening and waiting ---- */

static void watch(struct ctr_log_reader *r)
{
	autofree char *folder = strdup(r->path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder)
		return;
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	r->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->notify >= 0 &&
	    inotify_add_watch(r->notify, slash ? folder : ".",
			      IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
		(void) close(r->notify);
		r->notify = -1; /* _wait sleeps in short pieces instead */
	}
}

int ctr_log_reader_open(const struct ctr_log_from *from, struct ctr_log_reader **out,
			struct co_err *err)
{
	struct ctr_log_reader *r = calloc(1, sizeof(*r));

	if (r) {
		r->notify = -1;
		r->path = strdup(from->path);
		r->buffer = malloc(BUFFER);
	}
	if (!r || !r->path || !r->buffer) {
		ctr_log_reader_close(r);
		return co_fail(err, CO_NO_MEMORY, "no memory to read a log");
	}
	if (strlen(from->path) > 4096) {
		ctr_log_reader_close(r);
		return co_fail(err, CO_NAME_TOO_LONG,
			       "the path of the log is too long");
	}
	r->since_ns = from->since_ns;
	r->follow = from->follow;
	if (r->follow)
		watch(r);
	open_files(r);
	if (from->tail >= 0)
		find_tail(r, (uint64_t) from->tail);
	*out = r;
	return 0;
}

void ctr_log_reader_close(struct ctr_log_reader *r)
{
	if (!r)
		return;
	while (r->count)
		forget_file(r);
	if (r->notify >= 0)
		(void) close(r->notify); /* only watches */
	free(r->path);
	free(r->buffer);
	free(r);
}

int ctr_log_reader_fd(const struct ctr_log_reader *r)
{
	return r->notify;
}

int ctr_log_reader_wait(struct ctr_log_reader *r, int timeout_ms)
{
	struct pollfd p = { .fd = r->notify, .events = POLLIN };
	int most = timeout_ms;

	if (r->notify < 0 && (most < 0 || most > 100))
		most = 100;
	if (poll(&p, 1, most) > 0 || (r->notify < 0 && most != timeout_ms))
		return 0;
	return CO_TIMED_OUT;
}
