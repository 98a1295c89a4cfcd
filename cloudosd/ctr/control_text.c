/* SPDX-License-Identifier: MIT */
/* What a monitor says about its container, as JSON and in exit.json; detach keys.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/ctr/control.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define EXIT_NAME "exit.json"
#define EXIT_NEW  ".exit.json.new"

static const char *const state_names[] = { "created", "running", "paused", "exited" };

const char *ctr_state_name(enum ctr_run_state state)
{
	return state_names[state];
}

/* ---- members ---- */

static int64_t number(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t out = 0;

	return co_json_member(object, name, &value) && co_json_whole(value, &out) ? out
										  : 0;
}

static uint64_t count(struct co_span object, const char *name)
{
	int64_t n = number(object, name);

	return n > 0 ? (uint64_t) n : 0;
}

static bool truth(struct co_span object, const char *name)
{
	struct co_span value;

	return co_json_member(object, name, &value) && co_span_is(value, "true");
}

bool ctr_exit_parse(struct co_span object, struct ctr_exit *out)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;
	int64_t code;

	memset(out, 0, sizeof(*out));
	if (!co_json_member(object, "exitCode", &value) || !co_json_whole(value, &code))
		return false;
	out->code = (int) code;
	out->signal = (int) number(object, "signal");
	out->oom_killed = truth(object, "oomKilled");
	out->started = count(object, "started");
	out->finished = count(object, "finished");
	if (co_json_member(object, "error", &value) &&
	    co_json_unescape(value, &text) == 0 && text.data)
		(void) snprintf(out->error, sizeof(out->error), "%s", text.data);
	return true;
}

void ctr_exit_print(const struct ctr_exit *e, struct co_buf *out)
{
	co_buf_format(
		out,
		"{\"exitCode\":%d,\"signal\":%d,\"oomKilled\":%s,\"started\":%llu,"
		"\"finished\":%llu,\"error\":",
		e->code, e->signal, e->oom_killed ? "true" : "false",
		(unsigned long long) e->started, (unsigned long long) e->finished);
	co_buf_json_text(out, co_span(e->error));
	co_buf_char(out, '}');
}

bool ctr_status_parse(struct co_span reply, struct ctr_status *out)
{
	struct co_span value;

	memset(out, 0, sizeof(*out));
	if (!co_json_member(reply, "state", &value))
		return false;
	for (size_t i = 0;; i++) {
		if (i == co_countof(state_names))
			return false;
		out->state = (enum ctr_run_state) i;
		if (co_json_string_is(value, state_names[i]))
			break;
	}
	out->pid = (pid_t) number(reply, "pid");
	out->created = count(reply, "created");
	out->started = count(reply, "started");
	out->oom_killed = truth(reply, "oomKilled");
	out->terminal = truth(reply, "terminal");
	out->stdin_open = truth(reply, "stdin");
	if (co_json_member(reply, "log", &value)) {
		out->log_bytes = count(value, "bytes");
		out->log_lines = count(value, "lines");
		out->log_lost = count(value, "lost");
	}
	if (out->state != CTR_EXITED)
		return true;
	return co_json_member(reply, "exit", &value) &&
	       ctr_exit_parse(value, &out->exit);
}

/* ---- exit.json ---- */

enum { RESERVED = 512 /* one sector: written or not */ };

static int write_all(int fd, struct co_span text)
{
	while (text.size) {
		ssize_t n = write(fd, text.data, text.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text.data += n;
		text.size -= (size_t) n;
	}
	return 0;
}

static int write_record(int dir, struct co_span text)
{
	autoclose int fd =
		openat(dir, EXIT_NEW,
		       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 || write_all(fd, text) < 0 ? -1 : fdatasync(fd);
}

int ctr_exit_save(const char *bundle, const struct ctr_exit *e, struct co_err *err)
{
	autoclose int dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autobuf struct co_buf text = { 0 };
	int failed;

	ctr_exit_print(e, &text);
	co_buf_char(&text, '\n');
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for the exit record");
	if (dir >= 0 &&
	    write_record(dir, (struct co_span){ text.data, text.size }) == 0 &&
	    renameat(dir, EXIT_NEW, dir, EXIT_NAME) == 0 && fsync(dir) == 0)
		return 0;
	failed = errno;
	if (dir >= 0)
		(void) unlinkat(dir, EXIT_NEW, 0); /* may not be there */
	return co_fail_errno(err, failed, "cannot write %s/" EXIT_NAME, bundle);
}

int ctr_exit_reserve(const char *bundle, int *out_fd, struct co_err *err)
{
	autoclose int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;
	char blanks[RESERVED];

	*out_fd = -1;
	if (dir < 0 || (unlinkat(dir, EXIT_NAME, 0) < 0 && errno != ENOENT))
		return co_fail_errno(err, errno, "cannot remove %s/" EXIT_NAME, bundle);
	memset(blanks, ' ', sizeof(blanks));
	fd = openat(dir, EXIT_NEW,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && write_all(fd, (struct co_span){ blanks, sizeof(blanks) }) == 0 &&
	    fsync(fd) == 0)
		*out_fd = take_fd(fd); /* otherwise it is saved as a new file */
	return 0;
}

void ctr_exit_unreserve(const char *bundle, int *fd)
{
	autoclose int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		(void) unlinkat(dir, EXIT_NEW, 0); /* may not be there */
	if (fd && *fd >= 0)
		(void) close(*fd); /* nothing of worth was written */
	if (fd)
		*fd = -1;
}

int ctr_exit_write(const char *bundle, int fd, const struct ctr_exit *e)
{
	autoclose int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autobuf struct co_buf text = { 0 };

	ctr_exit_print(e, &text);
	while (text.size < RESERVED - 1 && !text.failed)
		co_buf_char(&text, ' ');
	co_buf_char(&text, '\n');
	if (text.failed || dir < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    write_all(fd, (struct co_span){ text.data, text.size }) < 0 ||
	    renameat(dir, EXIT_NEW, dir, EXIT_NAME) < 0)
		return -1;
	/* on its way to the disk until somebody waits for that; not everywhere */
	(void) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int open_record(const char *bundle, const char *name, struct co_err *err)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", bundle, name) >= (int) sizeof(path))
		return co_fail(err, CO_NAME_TOO_LONG, "the path of %s is too long",
			       bundle);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return co_fail_errno(err, errno, "cannot read %s", path);
	return fd < 0 ? CO_NOT_FOUND : fd;
}

int ctr_exit_load(const char *bundle, struct ctr_exit *out, struct co_err *err)
{
	autoclose int fd = open_record(bundle, EXIT_NAME, err);
	char text[4096];
	struct co_span value;
	struct co_json_fault fault;
	bool renamed = fd != CO_NOT_FOUND;
	ssize_t n;

	/* the machine ended before the new name was on the disk; or it is blank */
	if (!renamed)
		fd = open_record(bundle, EXIT_NEW, err);
	if (fd < 0)
		return fd == CO_NOT_FOUND ? 1 : fd;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return co_fail_errno(err, errno, "cannot read %s/" EXIT_NAME, bundle);
	if (co_json_check((struct co_span){ text, (size_t) n }, &value, &fault) == 0 &&
	    ctr_exit_parse(value, out))
		return 0;
	return renamed ? co_fail(err, CO_CORRUPT,
				 "%s/" EXIT_NAME " is not an exit record", bundle)
		       : 1;
}

/* ---- detach keys ---- */

/* One key of the list: "ctrl-p", "ctrl-@", "d". */
static bool one_key(const char *text, size_t size, unsigned char *out)
{
	if (size == 1) {
		*out = (unsigned char) text[0];
		return true;
	}
	if (size != 6 || strncmp(text, "ctrl-", 5) != 0)
		return false;
	if (text[5] >= 'a' && text[5] <= 'z')
		*out = (unsigned char) (text[5] - 'a' + 1);
	else if (text[5] >= '@' && text[5] <= '_')
		*out = (unsigned char) (text[5] - '@');
	else
		return false;
	return true;
}

int ctr_detach_init(struct ctr_detach *d, const char *keys, struct co_err *err)
{
	memset(d, 0, sizeof(*d));
	while (keys[0]) {
		size_t size = strcspn(keys + 1, ",") + 1; /* "," itself may be a key */

		if (d->count == CTR_DETACH_KEYS)
			return co_fail(err, CO_TOO_BIG,
				       "at most %d detach keys are possible",
				       CTR_DETACH_KEYS);
		if (!one_key(keys, size, &d->keys[d->count]))
			return co_fail(
				err, CO_INVALID,
				"%.20s is no detach key; write them as ctrl-p,ctrl-q or "
				"ctrl-a,d",
				keys);
		d->count++;
		keys += size;
		if (keys[0] == ',')
			keys++;
	}
	return 0;
}

/*
 * What was held back and turned out not to be the sequence: its first byte is for the
 * program, the rest may be a beginning itself.
 */
static void give_back(struct ctr_detach *d, struct co_buf *out)
{
	size_t shift = 1;

	while (shift < d->matched &&
	       memcmp(d->keys, d->keys + shift, d->matched - shift) != 0)
		shift++;
	co_buf_add(out, d->keys, shift);
	d->matched -= shift;
}

bool ctr_detach_feed(struct ctr_detach *d, const char *data, size_t size,
		     struct co_buf *out)
{
	if (d->count == 0) {
		co_buf_add(out, data, size);
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char) data[i];

		while (d->matched && d->keys[d->matched] != c)
			give_back(d, out);
		if (d->keys[d->matched] != c)
			co_buf_char(out, data[i]);
		else if (++d->matched == d->count)
			return true;
	}
	return false;
}
