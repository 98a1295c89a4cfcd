/* SPDX-License-Identifier: MIT */
/* cloudosctl daemon ...  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/ctl.h"
#include "cli/start.h"
#include "lib/cleanup.h"

enum { BUSY_ATTEMPTS = 8, BUSY_EVERY_US = 20000 };

#define STOP_TIMEOUT_MS 15000

/* ---- start and stop ---- */

static int tell_running(struct ctl *ctl, bool started)
{
	const struct co_client *c = ctl->client;
	struct co_json json;

	if (ctl->style.format != CO_FORMAT_JSON)
		return ctl_say(ctl, "cloudosd %d is running in %s", c->daemon_pid,
			       c->folder);
	co_json_init(&json, ctl->style.out);
	co_json_open(&json, '{');
	co_json_key(&json, "pid");
	co_json_i64(&json, c->daemon_pid);
	co_json_key(&json, "folder");
	co_json_text(&json, c->folder);
	co_json_key(&json, "started");
	co_json_bool(&json, started);
	co_json_close(&json);
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_daemon_start(struct ctl *ctl)
{
	int rc = co_client_open(&ctl->paths, CTL_PROGRAM, &ctl->client, &ctl->err);
	bool started = rc == CO_GONE;

	if (started)
		rc = co_start_daemon(&ctl->paths, NULL, CTL_PROGRAM, &ctl->client,
				     &ctl->err);
	if (rc < 0)
		return rc == CO_NOT_FOUND ? (ctl->err.code = CO_IO) : rc;
	return tell_running(ctl, started);
}

/* Until the daemon has closed the connection and its keeper the lock, or, if programs are
 * left that it stays for, the socket. */
static int wait_stopped(struct ctl *ctl, bool left)
{
	const char *held = left ? ctl->paths.socket : ctl->paths.lock;
	struct timespec pause = { .tv_nsec = 5000000L };
	int rc;

	ctl->client->timeout_ms = STOP_TIMEOUT_MS;
	do
		rc = co_client_next(ctl->client, &ctl->err);
	while (rc >= 0);
	if (rc != CO_GONE)
		return rc;
	for (int i = 0; i < STOP_TIMEOUT_MS / 5; i++) {
		if (!co_start_lock_held(&ctl->paths) ||
		    (left && access(ctl->paths.socket, F_OK) < 0))
			return 0;
		(void) nanosleep(&pause, NULL); /* shorter when interrupted: harmless */
	}
	return co_fail(&ctl->err, CO_TIMED_OUT,
		       "the daemon has ended, but %s is still held after %d seconds",
		       held, STOP_TIMEOUT_MS / 1000);
}

int cmd_daemon_stop(struct ctl *ctl)
{
	struct wire_stop_req *req;
	uint32_t left;
	int rc;

	if (!ctl_request(ctl, WIRE_status_req))
		return ctl->err.code;
	rc = ctl_call(ctl, NULL, 0);
	if (rc < 0)
		return rc;
	left = ((const struct wire_status_rep *) (const void *) ctl->client->in->bytes)
		       ->sessions;
	/* the daemon needs a moment to see that a program that has just ended left nobody */
	for (int i = 0; rc == CO_BUSY || i == 0; i++) {
		if (i > 0)
			(void) usleep(BUSY_EVERY_US); /* shorter: asked once more */
		req = ctl_request(ctl, WIRE_stop_req);
		if (!req)
			return ctl->err.code;
		req->force = ctl_option(ctl, "force") != NULL;
		rc = ctl_call(ctl, NULL, 0);
		if (i == BUSY_ATTEMPTS)
			break;
	}
	/* it may be gone before its answer is on the way */
	if (rc == 0)
		rc = wait_stopped(ctl, left > 0);
	if (rc < 0)
		return rc;
	if (left)
		return ctl_say(ctl,
			       "cloudosd %d has stopped; calls of %u program%s wait for "
			       "the next one: cloudosctl daemon start",
			       ctl->client->daemon_pid, left, left == 1 ? "" : "s");
	return ctl_say(ctl, "cloudosd %d has stopped", ctl->client->daemon_pid);
}

int cmd_daemon_status(struct ctl *ctl)
{
	int rc;

	if (!ctl_request(ctl, WIRE_status_req))
		return ctl->err.code;
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc : ctl_record(ctl);
}

int cmd_daemon_reload(struct ctl *ctl)
{
	int rc;

	if (!ctl_request(ctl, WIRE_reload_req))
		return ctl->err.code;
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc
		      : ctl_say(ctl, "cloudosd %d has read its configuration",
				ctl->client->daemon_pid);
}

/* ---- logs ---- */

struct follow {
	int fd, notify;
	off_t at;
	char line[65536]; /* what has no line end yet */
	size_t used;
};

/* One line of the log, without its end. */
static void put_line(struct ctl *ctl, const char *line, size_t n)
{
	struct co_json json;

	if (ctl->style.format != CO_FORMAT_JSON) {
		(void) co_print_escaped(ctl->style.out, line, n); /* width unneeded */
		(void) fputc('\n', ctl->style.out); /* its failure is asked by flush */
		return;
	}
	co_json_init(&json, ctl->style.out);
	co_json_open(&json, '{');
	co_json_key(&json, "line");
	co_json_bytes(&json, line, n);
	co_json_close(&json);
}

/* Prints what the file has beyond f->at. */
static int put_rest(struct ctl *ctl, struct follow *f)
{
	for (;;) {
		ssize_t n = pread(f->fd, f->line + f->used, sizeof(f->line) - f->used,
				  f->at);
		char *start = f->line, *end;

		if (n < 0)
			return co_fail_errno(&ctl->err, errno, "cannot read %s",
					     ctl->paths.log);
		if (n == 0)
			return ctl_printed(ctl, co_print_flush(ctl->style.out));
		f->at += n;
		f->used += (size_t) n;
		while ((end = memchr(start, '\n', f->used))) {
			put_line(ctl, start, (size_t) (end - start));
			f->used -= (size_t) (end - start) + 1;
			start = end + 1;
		}
		if (f->used == sizeof(f->line)) {
			put_line(ctl, start, f->used); /* no line is that long */
			f->used = 0;
		}
		memmove(f->line, start, f->used);
	}
}

/* Where the last `lines` lines begin. */
static int find_tail(struct ctl *ctl, struct follow *f, uint64_t lines)
{
	char block[8192];
	off_t end = lseek(f->fd, 0, SEEK_END), at = end;
	uint64_t seen = 0;

	while (at > 0) {
		size_t want = at < (off_t) sizeof(block) ? (size_t) at : sizeof(block);
		ssize_t n = pread(f->fd, block, want, at - (off_t) want);

		if (n <= 0)
			return co_fail_errno(&ctl->err, n ? errno : EIO,
					     "cannot read %s", ctl->paths.log);
		for (; want; want--, at--)
			if (block[want - 1] == '\n' && at != end && ++seen == lines)
				break;
		if (want)
			break;
	}
	f->at = lines ? at : end;
	return 0;
}

static int log_open(struct ctl *ctl, struct follow *f)
{
	f->fd = open(ctl->paths.log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd >= 0)
		return 0;
	if (errno == ENOENT)
		return co_fail(&ctl->err, CO_NOT_FOUND,
			       "there is no log %s yet: no daemon has run here",
			       ctl->paths.log);
	return co_fail_errno(&ctl->err, errno, "cannot open %s", ctl->paths.log);
}

/* A log that was cut short or replaced is read from its new beginning. */
static int follow_file(struct ctl *ctl, struct follow *f)
{
	struct stat here, there;

	if (fstat(f->fd, &here) == 0 && here.st_size < f->at)
		f->at = 0;
	if (stat(ctl->paths.log, &there) == 0 && there.st_ino != here.st_ino) {
		int rc = put_rest(ctl, f);

		if (rc < 0)
			return rc;
		(void) close(f->fd); /* only read */
		f->at = 0;
		rc = log_open(ctl, f);
		if (rc < 0)
			return rc;
	}
	return put_rest(ctl, f);
}

static int follow(struct ctl *ctl, struct follow *f)
{
	char events[4096];
	int rc = 0;

	f->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->notify < 0 || inotify_add_watch(f->notify, ctl->paths.state,
					       IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return co_fail_errno(&ctl->err, errno, "cannot watch %s",
				     ctl->paths.state);
	do {
		struct pollfd p[2] = { { .fd = f->notify, .events = POLLIN },
				       { .fd = fileno(ctl->style.out) } };

		rc = follow_file(ctl, f); /* first: what came before the watch */
		if (rc == 0 && poll(p, 2, -1) < 0 && errno != EINTR)
			rc = co_fail_errno(&ctl->err, errno, "cannot wait");
		if (rc == 0 && p[1].revents)
			rc = ctl_printed(ctl, CO_GONE);
		while (read(f->notify, events, sizeof(events)) > 0)
			; /* which file it was does not matter */
	} while (rc == 0);
	return rc;
}

int cmd_daemon_logs(struct ctl *ctl)
{
	autofree struct follow *f = calloc(1, sizeof(*f));
	uint64_t lines = 50;
	int rc = ctl_option_number(ctl, "lines", 0, 1000000000, &lines);

	if (rc < 0)
		return rc;
	if (!f)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	f->notify = -1;
	rc = log_open(ctl, f);
	if (rc < 0)
		return rc;
	rc = find_tail(ctl, f, lines);
	if (rc == 0)
		rc = ctl_option(ctl, "follow") ? follow(ctl, f) : put_rest(ctl, f);
	if (f->fd >= 0)
		(void) close(f->fd); /* only read */
	if (f->notify >= 0)
		(void) close(f->notify);
	return rc;
}
