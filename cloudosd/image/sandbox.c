/* SPDX-License-Identifier: MIT */
/* A process of its own for what reads foreign bytes.  HOST. */
#include "cloudosd/image/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/image/sandbox_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { LINE_MAX_ = 131072 };

static const char *const wall_names[] = {
	[WALLS_USER] = "user", [WALLS_MOUNT] = "mount", [WALLS_NONE] = "none"
};
static enum walls last_walls;

const char *sandbox_walls(void)
{
	return wall_names[last_walls];
}

/* ---- in the process ---- */

static void say_end(FILE *out, int status, const struct co_err *err)
{
	autobuf struct co_buf line = { 0 };

	co_buf_format(&line, "{\"end\":%d,\"message\":", status);
	co_buf_json_text(&line, co_span(status ? err->message : ""));
	co_buf_text(&line, "}\n");
	(void) fwrite(line.data, 1, line.size, out); /* no end is an end, too */
	(void) fflush(out);
}

__attribute__((noreturn)) static void inside(const struct sandbox *s, enum walls walls,
					     int link, int lines, pid_t parent)
{
	struct co_err err = { 0 };
	FILE *out = fdopen(lines, "w");
	int root = -1;
	int r = out ? sandbox_enter(s,
				    &(struct sandbox_way){ walls, link, lines, parent },
				    &root, &err)
		    : CO_NO_MEMORY;

	if (r) {
		if (out)
			say_end(out, r, &err);
		_exit(SANDBOX_NO_WALLS);
	}
	r = s->job(s->arg, root, out, &err);
	say_end(out, r, &err);
	_exit(0);
}

/* ---- outside ---- */

struct reader {
	const struct sandbox *s;
	struct co_buf buffer;
	bool ended, walled;
	int end;
	struct co_err *err;
};

static int take_line(struct reader *r, struct co_span text)
{
	struct co_span json, value;
	struct co_json_fault fault;
	int64_t end;

	if (r->ended || co_json_check(text, &json, &fault))
		return co_fail(r->err, CO_PROTOCOL,
			       "the process that reads the image talks nonsense");
	if (!co_json_member(json, "end", &value))
		return r->s->line ? r->s->line(r->s->arg, json, r->err) : 0;
	r->ended = true;
	if (!co_json_whole(value, &end) || end > 0 || end < -1000)
		return co_fail(r->err, CO_PROTOCOL,
			       "the process that reads the image talks nonsense");
	r->end = (int) end;
	if (end && co_json_member(json, "message", &value)) {
		autobuf struct co_buf sentence = { 0 };

		(void) co_json_unescape(value, &sentence); /* or there is none */
		return co_fail(r->err, r->end, "%s",
			       sentence.data ? sentence.data : "it has failed");
	}
	return 0;
}

static int take_lines(struct reader *r)
{
	size_t from = 0;
	int status = 0;

	while (!status) {
		const char *start = r->buffer.data + from;
		const char *line = memchr(start, '\n', r->buffer.size - from);

		if (!line)
			break;
		status = take_line(r,
				   (struct co_span){ start, (size_t) (line - start) });
		from = (size_t) (line + 1 - r->buffer.data);
	}
	memmove(r->buffer.data, r->buffer.data + from, r->buffer.size - from);
	r->buffer.size -= from;
	return status;
}

static int read_lines(struct reader *r, int fd)
{
	for (;;) {
		char *room = co_buf_room(&r->buffer, 16384);
		ssize_t n = room ? read(fd, room, 16384) : -1;
		int status;

		if (!room)
			return co_fail(r->err, CO_NO_MEMORY, "no memory for an image");
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		co_buf_wrote(&r->buffer, (size_t) n);
		status = take_lines(r);
		if (status)
			return status;
		if (r->buffer.size > LINE_MAX_)
			return co_fail(r->err, CO_PROTOCOL,
				       "the process that reads the image talks "
				       "nonsense");
	}
}

/* The process has its own user name space and waits: says what it is called outside.  Or
 * it has its walls, and no word of it brings it to a process with fewer from then on. */
static int answer_link(int link, pid_t pid, bool *out_walled)
{
	char c;

	while (recv(link, &c, 1, 0) == 1) {
		char answer;

		if (c == 'w') {
			*out_walled = true;
			continue;
		}
		answer = sandbox_map(pid) ? 'n' : 'y';
		if (send(link, &answer, 1, MSG_NOSIGNAL) != 1)
			return -errno;
	}
	return 0;
}

static int reap(pid_t pid, int status_of_lines, struct reader *r)
{
	int status = 0;

	if (status_of_lines && !r->ended)
		(void) kill(pid, SIGKILL); /* it may have ended */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SANDBOX_NO_WALLS && !r->walled)
		return SANDBOX_NO_WALLS;
	if (status_of_lines || r->ended)
		return status_of_lines;
	if (WIFSIGNALED(status))
		return co_fail(r->err, CO_CORRUPT,
			       "the process that reads the image was ended by signal "
			       "%d (%s): the image is broken or hostile, or there was "
			       "not enough memory",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return co_fail(r->err, CO_CORRUPT,
		       "the process that reads the image has ended early");
}

static int run_once(const struct sandbox *s, enum walls walls, struct co_err *err)
{
	struct reader reader = { .s = s, .err = err };
	int lines[2], link[2], r;
	pid_t parent = getpid(), pid;

	if (pipe2(lines, O_CLOEXEC))
		return co_fail_errno(err, errno, "cannot make a pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link)) {
		r = co_fail_errno(err, errno, "cannot make a socket");
		(void) close(lines[0]); /* a pipe */
		(void) close(lines[1]); /* a pipe */
		return r;
	}
	(void) fflush(NULL); /* nothing of it twice */
	pid = fork();
	if (pid == 0) {
		(void) close(lines[0]); /* a pipe */
		(void) close(link[0]);  /* a socket */
		inside(s, walls, link[1], lines[1], parent);
	}
	(void) close(lines[1]); /* a pipe */
	(void) close(link[1]);  /* a socket */
	if (pid < 0) {
		r = co_fail_errno(err, errno, "cannot start a process");
	} else {
		r = answer_link(link[0], pid, &reader.walled);
		if (!r)
			r = read_lines(&reader, lines[0]);
		r = reap(pid, r, &reader);
	}
	(void) close(lines[0]); /* a pipe */
	(void) close(link[0]);  /* a socket */
	co_buf_done(&reader.buffer);
	return r;
}

/* CO_IMAGE_WALLS=mount makes a test begin with the second choice. */
static enum walls first_walls(void)
{
	const char *forced = getenv("CO_IMAGE_WALLS");

	for (size_t i = 0; forced && i < co_countof(wall_names); i++)
		if (strcmp(forced, wall_names[i]) == 0)
			return (enum walls) i;
	return last_walls;
}

int sandbox_run(const struct sandbox *s, struct co_err *err)
{
	for (enum walls w = first_walls(); w <= WALLS_NONE; w++) {
		int r;

		if (w == WALLS_MOUNT && geteuid() != 0)
			continue;
		r = run_once(s, w, err);
		if (r != SANDBOX_NO_WALLS) {
			last_walls = w;
			return r;
		}
		if (s->live) /* it has the walls that it has */
			break;
	}
	return err && err->code ? err->code
				: co_fail(err, CO_ACCESS,
					  "cannot confine the process that reads an "
					  "image");
}
