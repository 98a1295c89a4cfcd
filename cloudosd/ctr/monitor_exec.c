/* SPDX-License-Identifier: MIT */
/* Processes that a client has run inside, with their end and the end of their output:
 * health checks.  HOST. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/monitor_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum {
	ARGS = 256,
	TREE = 256,
	PATIENCE_MS = 3000, /* nobody is served meanwhile */
};

/* ---- its output: the last bytes ---- */

static void keep(struct exec *e, const char *data, size_t size)
{
	size_t room = sizeof(e->output), old;

	if (size >= room) {
		memcpy(e->output, data + size - room, room);
		e->size = room;
		return;
	}
	old = e->size + size > room ? room - size : e->size;
	memmove(e->output, e->output + e->size - old, old);
	memcpy(e->output + old, data, size);
	e->size = old + size;
}

/* false: there is no more now. */
static bool read_some(struct monitor *m, struct exec *e)
{
	char data[CO_LIMIT_CTR_EXEC_OUTPUT];
	ssize_t n;

	do {
		n = read(e->source.fd, data, sizeof(data));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		keep(e, data, (size_t) n);
	else if (n == 0 || errno != EAGAIN)
		monitor_close(m, &e->source);
	return n > 0;
}

static void exec_ready(struct monitor *m, struct source *s, uint32_t events)
{
	(void) events;
	(void) read_some(m, (struct exec *) s); /* the loop comes again for more */
}

/* ---- ending ---- */

/* Whether that number is still of a child of `parent`. */
static bool is_child_of(pid_t pid, pid_t parent)
{
	char path[64], text[512];
	autoclose int fd = -1;
	const char *at;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	at = strrchr(text, ')'); /* the name may have any */
	return at && strlen(at) > 4 && strtol(at + 4, NULL, 10) == parent;
}

/* Those that it has started, as descriptors: a number may be somebody else's before it is
 * killed.  The process was stopped. */
static size_t hold_children(pid_t pid, pid_t pids[], int fds[], size_t room)
{
	char path[64], text[4096], *at = text;
	autoclose int fd = -1;
	size_t count = 0;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) pid,
			(int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	while (count < room) {
		long child = strtol(at, &at, 10);
		int held;

		if (child <= 0)
			break;
		held = (int) syscall(SYS_pidfd_open, (pid_t) child, 0);
		if (held < 0)
			continue;
		if (!is_child_of((pid_t) child, pid)) {
			(void) close(held); /* only a handle */
			continue;
		}
		pids[count] = (pid_t) child;
		fds[count++] = held;
	}
	return count;
}

/* A process and what it has started; those must not stay behind when a check is cut off. */
static void kill_tree(pid_t pid)
{
	pid_t pids[TREE] = { pid };
	int fds[TREE] = {
		-1
	}; /* the first is our child, and nobody has waited for it */
	size_t count = 1;

	for (size_t i = 0; i < count; i++) {
		/* it may be gone */
		if (fds[i] < 0)
			(void) kill(pids[i], SIGSTOP);
		else
			(void) syscall(SYS_pidfd_send_signal, fds[i], SIGSTOP, NULL, 0);
		count +=
			hold_children(pids[i], pids + count, fds + count, TREE - count);
	}
	for (size_t i = 0; i < count; i++)
		if (fds[i] < 0) {
			(void) kill(pids[i], SIGKILL);
		} else {
			(void) syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
			(void) close(fds[i]); /* only a handle */
		}
}

static void answer(struct monitor *m, struct exec *e, int status)
{
	autobuf struct co_buf text = { 0 };
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	co_buf_format(&text,
		      ",\"exitCode\":%d,\"signal\":%d,\"timedOut\":%s,\"output\":",
		      signal ? 128 + signal : WEXITSTATUS(status), signal,
		      e->timed_out ? "true" : "false");
	co_buf_json_text(&text, (struct co_span){ e->output, e->size });
	if (e->client && !text.failed)
		monitor_reply(m, e->client, e->tag, text.data);
}

static void forget(struct monitor *m, struct exec *e)
{
	struct exec **at = &m->execs;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	m->exec_count--;
	monitor_close(m, &e->source);
	monitor_calls_forget(m, e->call_sources);
	e->calls = ctr_calls_free(e->calls);
	e->next = m->ended_execs; /* the loop may be about to look at it */
	m->ended_execs = e;
}

void monitor_execs_sweep(struct monitor *m)
{
	while (m->ended_execs) {
		struct exec *e = m->ended_execs;

		m->ended_execs = e->next;
		free(e);
	}
}

bool monitor_exec_ended(struct monitor *m, pid_t pid, int status)
{
	struct exec *e = m->execs;

	while (e && e->pid != pid)
		e = e->next;
	if (!e)
		return false;
	/* a pipe full of it; what others print into it for ever is not waited for */
	for (int i = 0; i < 16 && e->source.fd >= 0 && read_some(m, e); i++)
		continue;
	answer(m, e, status);
	forget(m, e);
	return true;
}

void monitor_exec_forget(struct monitor *m, const struct client *c)
{
	for (struct exec *e = m->execs; e; e = e->next)
		if (e->client == c) {
			e->client = NULL; /* who asked does not want to know any more */
			kill_tree(e->pid);
		}
}

void monitor_exec_end_all(struct monitor *m)
{
	while (m->execs) {
		struct exec *e = m->execs;
		int status = SIGKILL;

		kill_tree(e->pid);
		(void) waitpid(e->pid, &status, 0); /* died with the container */
		answer(m, e, status);
		forget(m, e);
	}
}

int monitor_exec_due(const struct monitor *m)
{
	int64_t due = -1;

	for (const struct exec *e = m->execs; e; e = e->next)
		if (e->deadline_ms >= 0 && !e->timed_out &&
		    (due < 0 || e->deadline_ms < due))
			due = e->deadline_ms;
	if (due < 0)
		return -1;
	due -= monitor_clock();
	return due < 0 ? 0 : due > 3600000 ? 3600000 : (int) due;
}

void monitor_exec_tick(struct monitor *m)
{
	int64_t now = monitor_clock();

	for (struct exec *e = m->execs; e; e = e->next)
		if (e->deadline_ms >= 0 && !e->timed_out && now >= e->deadline_ms) {
			e->timed_out = true;
			kill_tree(e->pid); /* its end is told by waitpid */
		}
}

/* ---- beginning ---- */

static int read_args(struct co_span json, struct ctr_texts *out, struct co_err *err)
{
	struct co_span list, name, value;
	struct co_json_walk w;

	if (!co_json_member(json, "args", &list) || co_json_kind(list) != CO_JSON_ARRAY)
		return co_fail(err, CO_INVALID, "the request needs a list \"args\"");
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &value)) {
		autobuf struct co_buf text = { 0 };

		co_buf_text(&text, "");
		if (out->count == ARGS)
			return co_fail(err, CO_TOO_BIG,
				       "at most %d arguments are possible", ARGS);
		if (co_json_unescape(value, &text) < 0)
			return co_fail(err, CO_INVALID, "an argument is not a string");
		out->at[out->count] =
			text.size ? co_buf_take(&text, &(size_t){ 0 }) : strdup("");
		if (!out->at[out->count])
			return co_fail(err, CO_NO_MEMORY, "no memory for arguments");
		out->count++;
	}
	return out->count ? 0 : co_fail(err, CO_INVALID, "there are no arguments");
}

/* A session of its own, and none before it calls: most never do. */
static int open_calls(struct monitor *m, struct exec *e, struct ctr_exec *how,
		      struct co_err *err)
{
	int rc = ctr_calls_new(&(struct ctr_calls_spec){ .config = m->config,
							 .process = how->process,
							 .id = m->options->id,
							 .lazy = true },
			       &e->calls, err);

	if (rc < 0)
		return rc;
	how->become = ctr_calls_become;
	how->become_arg = e->calls;
	how->keep[0] = ctr_calls_keep(e->calls);
	return 0;
}

static int run(struct monitor *m, struct exec *e, const struct ctr_texts *args,
	       struct co_err *err)
{
	struct ctr_process_spec p = m->config->process;
	struct ctr_exec how = { .pid = m->container.pid,
				.pidfd = m->container.pidfd,
				.config = m->config,
				.process = &p,
				.cgroup = m->cgroup,
				.console_socket = -1,
				.patience_ms = PATIENCE_MS,
				.keep = { -1, -1, -1, -1 } };
	struct ctr_container made;
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int write_end = -1;
	int ends[2], rc;

	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot make a pipe");
	write_end = ends[1];
	e->source.fd = ends[0];
	(void) fcntl(ends[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
	p.args = *args;
	p.terminal = false;
	how.stdio[0] = null;
	how.stdio[1] = how.stdio[2] = write_end;
	rc = m->calls ? open_calls(m, e, &how, err) : 0;
	if (rc == 0)
		rc = ctr_exec(&how, &made, err);
	if (rc < 0)
		return rc;
	e->pid = made.pid;
	if (made.pidfd >= 0)
		(void) close(made.pidfd); /* it is our child */
	if (e->calls)
		ctr_calls_begin(e->calls, e->pid);
	return 0;
}

static int begin(struct monitor *m, struct exec *e, struct co_span json,
		 struct co_err *err)
{
	char *at[ARGS + 1] = { NULL };
	struct ctr_texts args = { .at = at, .count = 0 };
	int rc = read_args(json, &args, err);

	if (rc == 0)
		rc = run(m, e, &args, err);
	for (size_t i = 0; i < args.count; i++)
		free(at[i]);
	return rc;
}

int monitor_exec(struct monitor *m, struct client *c, uint64_t tag, struct co_span json,
		 struct co_err *err)
{
	struct exec *e;
	struct co_span value;
	int64_t timeout;
	int rc;

	if (m->exec_count >= CO_LIMIT_CTR_EXECS)
		return co_fail(err, CO_BUSY,
			       "%u processes for clients run in the container already",
			       m->exec_count);
	e = calloc(1, sizeof(*e));
	if (!e)
		return co_fail(err, CO_NO_MEMORY, "no memory for a process");
	e->source = (struct source){ .fd = -1, .ready = exec_ready };
	e->client = c;
	e->tag = tag;
	e->deadline_ms = -1;
	for (size_t i = 0; i < CTR_CALLS_FDS; i++)
		e->call_sources[i].fd = -1;
	if (co_json_member(json, "timeoutMs", &value) &&
	    co_json_whole(value, &timeout) && timeout > 0)
		e->deadline_ms = monitor_clock() + timeout;
	rc = begin(m, e, json, err);
	if (rc < 0) {
		if (e->source.fd >= 0)
			(void) close(e->source.fd); /* read end */
		(void) ctr_calls_free(e->calls);
		free(e);
		return rc;
	}
	e->next = m->execs;
	m->execs = e;
	m->exec_count++;
	monitor_look(m, &e->source, EPOLLIN);
	return 0;
}
