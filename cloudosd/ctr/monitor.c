/* SPDX-License-Identifier: MIT */
/*
 * The life of a container as its monitor sees it.  HOST.
 *
 * One process, one loop, no threads.  It is the parent of the container's first process,
 * which dies with it.  Nothing is acknowledged before it is so: "created" comes when the
 * program is parked just before exec, "exited" when the record is on the disk and nothing of
 * the container is left.
 */
#include "cloudosd/ctr/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/hooks.h"
#include "cloudosd/ctr/monitor_inside.h"
#include "cloudosd/ctr/state.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

enum {
	EVENTS = 16,
	/* how long a client that the program waits for may take nothing after the end */
	LINGER_MS = 30000,
	HELD_LOOK_MS = 100, /* whether a service's program still waits */
};

/* ---- time and descriptors ---- */

int64_t monitor_clock(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with that clock */
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t monitor_now(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with that clock */
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void monitor_look(struct monitor *m, struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };
	int op = events == 0      ? EPOLL_CTL_DEL
		 : s->events == 0 ? EPOLL_CTL_ADD
				  : EPOLL_CTL_MOD;

	if (s->fd < 0 || events == s->events)
		return;
	if (epoll_ctl(m->epoll, op, s->fd, &e) == 0)
		s->events = events;
}

void monitor_close(struct monitor *m, struct source *s)
{
	if (s->fd < 0)
		return;
	monitor_look(m, s, 0);
	(void) close(s->fd); /* sockets and pipes: nothing to lose */
	s->fd = -1;
}

/* ---- starting ---- */

int monitor_kill_all(struct monitor *m, int signal, struct co_err *err)
{
	int rc = ctr_cgroup_kill(m->cgroup, signal, err);

	/* where there are no groups: everything dies with the first process */
	if (rc < 0 && signal == SIGKILL && kill(m->container.pid, signal) == 0)
		rc = 0;
	return rc;
}

static void run_poststart(const struct monitor *m)
{
	autobuf struct co_buf state = { 0 };

	if (m->config->poststart.count == 0)
		return;
	ctr_state_json(m->config, m->options->id, "running", m->container.pid, &state);
	/* the specification: a failure changes nothing */
	(void) ctr_hooks_run(&m->config->poststart, "poststart", &state, NULL);
}

/* A service begins when its addresses are there; nobody is served here meanwhile. */
static int start_held(struct monitor *m, struct co_err *err)
{
	int rc = ctr_let_go(&m->container, err);

	if (rc < 0)
		return rc;
	ctr_calls_begin(m->calls, m->container.pid);
	while (ctr_calls_waits(m->calls)) {
		struct pollfd fds[CTR_CALLS_FDS];
		size_t n = ctr_calls_poll(m->calls, fds);
		int due = ctr_calls_timeout(m->calls);

		(void) poll(fds, n, due < 0 || due > HELD_LOOK_MS ? HELD_LOOK_MS : due);
		ctr_calls_run(m->calls);
	}
	return ctr_await_exec(&m->container, err);
}

int monitor_start(struct monitor *m, struct co_err *err)
{
	int rc;

	if (m->state != CTR_CREATED)
		return co_fail(err, CO_CONFLICT, "the container is %s, not created",
			       ctr_state_name(m->state));
	m->exit.started = monitor_now();
	bool held = m->calls && ctr_calls_are_of_service(m->calls);

	rc = m->options->runtime ? monitor_runtime_start(m, err)
	     : held              ? start_held(m, err)
				 : ctr_start(&m->container, err);
	(void) co_fault("monitor.started");
	if (rc < 0) {
		m->exit.code = rc == CO_NOT_FOUND ? 127 : 126;
		(void) snprintf(m->exit.error, sizeof(m->exit.error), "%s",
				err->message);
		(void) kill(m->container.pid, SIGKILL); /* it ends by itself anyway */
		return rc;
	}
	m->state = CTR_RUNNING;
	if (m->calls && !held)
		ctr_calls_begin(m->calls, m->container.pid);
	(void) monitor_note(m,
			    NULL); /* `reap` would not know when; no more than that */
	(void) monitor_state(m, NULL); /* `list` would call it created */
	if (!m->options->runtime)
		run_poststart(m); /* another one does it itself */
	monitor_event(m, "started", "");
	return 0;
}

/* ---- ending ---- */

static void look_for_oom(struct monitor *m)
{
	struct ctr_usage usage = { 0 };
	char members[64];

	if (m->oom.fd < 0)
		return; /* it cannot be told */
	ctr_cgroup_usage(m->cgroup, &usage);
	if (usage.oom_kills <= m->oom_kills)
		return;
	m->oom_kills = usage.oom_kills;
	(void) snprintf(members, sizeof(members), ",\"kills\":%llu",
			(unsigned long long) m->oom_kills);
	monitor_event(m, "oom", members);
}

static void oom_ready(struct monitor *m, struct source *s, uint32_t events)
{
	char notices[4096];

	(void) events;
	if (read(s->fd, notices, sizeof(notices)) <= 0 && errno != EAGAIN)
		monitor_look(m, s, 0);
	look_for_oom(m);
}

static void say_ended(struct monitor *m, int status)
{
	m->exit.finished = monitor_now();
	if (m->exit.error[0])
		return; /* never was the program; the code says so */
	if (WIFSIGNALED(status)) {
		m->exit.signal = WTERMSIG(status);
		m->exit.code = 128 + m->exit.signal;
	} else {
		m->exit.code = WEXITSTATUS(status);
	}
	look_for_oom(m); /* the notice may come after the death */
	m->exit.oom_killed = m->oom_kills > 0;
}

/* A disk that is full of the container's own log takes its record all the same. */
static void save_exit(struct monitor *m)
{
	const struct ctr_monitor_options *o = m->options;
	char name[16];

	if (m->record >= 0 && ctr_exit_write(o->bundle, m->record, &m->exit) == 0)
		return;
	for (unsigned n = CO_LIMIT_CTR_LOG_FILES; n > 0; n--) {
		autofree char *path = NULL;

		if (ctr_exit_save(o->bundle, &m->exit, NULL) == 0)
			return;
		(void) snprintf(name, sizeof(name), "log.%u", n);
		path = monitor_path(o->bundle, name, NULL);
		if (path)
			(void) unlink(path); /* most are not there */
	}
}

static void finish(struct monitor *m, int status)
{
	m->state = CTR_EXITED;
	say_ended(m, status);
	monitor_stdio_drain(m);
	if (m->calls)
		ctr_calls_ended(m->calls, status);
	monitor_exec_end_all(m);
	monitor_close(m, &m->input);
	monitor_close(m, &m->oom);
	monitor_close(m, &m->carrier);
	if (m->log)
		ctr_log_close(m->log);
	m->log = NULL;
	(void) co_fault("monitor.ended");
	if (m->undone)
		ctr_exit_unreserve(m->options->bundle, &m->record);
	else
		save_exit(m);
	(void) co_fault("monitor.recorded");
	monitor_clean(m);
	if (m->record >= 0)
		(void) fdatasync(m->record); /* nobody is left to tell */
	(void) co_fault("monitor.cleaned");
	m->over = true;
	monitor_tell_exit(m);
	for (struct client *c = m->clients; c; c = c->next)
		if (!c->first)
			monitor_client_end(m, c);
}

static void reap_children(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->container.pid)
			finish(m, status);
		else
			(void) monitor_exec_ended(m, pid, status); /* or an orphan */
}

static void signals_ready(struct monitor *m, struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	(void) events;
	while (read(s->fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
		if (info.ssi_signo != SIGCHLD && !m->over) /* the machine goes down */
			(void) monitor_kill_all(m, SIGKILL,
						NULL); /* tried again then */
	if (!m->over)
		reap_children(m);
}

/* ---- creating ---- */

void monitor_group_spec(const struct ctr_config *config, const char *id,
			struct ctr_cgroup_spec *out)
{
	*out = (struct ctr_cgroup_spec){
		.id = id,
		.path = config->cgroups_path,
		.resources = &config->resources,
		.rootless = ctr_rootless(),
		.allow_unenforced = config->cloudos.allow_unenforced_limits,
	};
}

static int open_signals(struct monitor *m, struct co_err *err)
{
	sigset_t ours;

	(void) sigemptyset(&ours);
	(void) sigaddset(&ours, SIGCHLD);
	(void) sigaddset(&ours, SIGTERM);
	(void) sigaddset(&ours, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &ours, NULL); /* cannot fail with that set */
	m->signals.fd = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signals.fd < 0)
		return co_fail_errno(err, errno, "cannot wait for signals");
	m->signals.ready = signals_ready;
	monitor_look(m, &m->signals, EPOLLIN);
	return 0;
}

static int open_group(struct monitor *m, struct co_err *err)
{
	struct ctr_cgroup_spec spec;
	int rc;

	monitor_group_spec(m->config, m->options->id, &spec);
	rc = ctr_cgroup_create(&spec, &m->cgroup, err);
	if (rc < 0)
		return rc;
	m->oom.fd = ctr_cgroup_oom_fd(m->cgroup);
	m->oom.ready = oom_ready;
	monitor_look(m, &m->oom, EPOLLIN);
	return 0;
}

static int open_log(struct monitor *m, struct co_err *err)
{
	const struct ctr_monitor_options *o = m->options;

	return ctr_log_open(
		&(struct ctr_log_options){ .folder = o->bundle,
					   .max_bytes = o->log_bytes,
					   .max_files = o->log_files,
					   .non_blocking = o->log_non_blocking },
		&m->log, err);
}

static void carrier_ready(struct monitor *m, struct source *s, uint32_t events)
{
	(void) events;
	monitor_look(m, s, 0);
	monitor_event(m, "network", ",\"ended\":true"); /* status says so, too */
	m->network_ended = true;
}

/* ctr_create calls it when the name spaces stand. */
static int open_network(void *arg, pid_t pid, struct co_err *err)
{
	struct monitor *m = arg;
	const char *wanted = m->config->cloudos.network;
	int rc;

	if (!wanted)
		return 0;
	rc = ctr_network_create(m->options->id, co_span(wanted), pid, &m->network, err);
	if (rc < 0)
		return rc;
	/* borrowed; the loop looks at a descriptor of its own */
	m->carrier.fd = ctr_network_ended_fd(m->network);
	if (m->carrier.fd >= 0)
		m->carrier.fd = fcntl(m->carrier.fd, F_DUPFD_CLOEXEC, 3);
	m->carrier.ready = carrier_ready;
	monitor_look(m, &m->carrier, EPOLLIN);
	return 0;
}

static int open_calls(struct monitor *m, struct ctr_create *how, struct co_err *err)
{
	int rc = ctr_calls_new(&(struct ctr_calls_spec){ .config = m->config,
							 .made = m->config,
							 .process = &m->config->process,
							 .id = m->options->id,
							 .serves = true },
			       &m->calls, err);

	if (rc < 0)
		return rc;
	how->become = ctr_calls_become;
	how->become_arg = m->calls;
	how->keep[0] = ctr_calls_keep(m->calls);
	return 0;
}

/* All that has to be on the disk, while the process builds its files. */
static int open_folder(void *arg, pid_t pid, struct co_err *err)
{
	struct monitor *m = arg;
	int rc;

	(void) co_fault("monitor.made");
	m->container.pid = pid;
	m->created_ms = monitor_now();
	rc = monitor_note(m, err);
	if (rc == 0)
		rc = open_log(m, err);
	if (rc == 0)
		rc = monitor_state(m, err);
	if (rc == 0)
		rc = monitor_clients_open(m, err);
	if (rc == 0)
		rc = ctr_exit_reserve(m->options->bundle, &m->record, err);
	return rc;
}

/* By another runtime: in the same order as ctr_create does it. */
static int create_elsewhere(struct monitor *m, const struct ctr_create *how,
			    struct co_err *err)
{
	int rc = monitor_runtime_create(m, how->stdio, err);

	if (rc == 0)
		rc = open_network(m, m->container.pid, err);
	if (rc == 0)
		rc = open_folder(m, m->container.pid, err);
	return rc;
}

static int make_process(struct monitor *m, struct co_err *err)
{
	struct ctr_create how = { .id = m->options->id,
				  .config = m->config,
				  .cgroup = m->cgroup,
				  .console_socket = -1,
				  .start_listener = -1,
				  .keep = { -1, -1, -1, -1 },
				  .die_with_parent = true,
				  .late_program = true,
				  .prepared = m->config->cloudos.network ? open_network
									 : NULL,
				  .meanwhile = open_folder,
				  .arg = m };
	int rc = monitor_stdio_make(m, how.stdio, err);

	if (rc == 0 && m->config->cloudos.calls && !m->options->runtime)
		rc = open_calls(m, &how, err);
	if (rc == 0)
		rc = m->options->runtime ? create_elsewhere(m, &how, err)
					 : ctr_create(&how, &m->container, err);
	for (int i = 0; i < 3; i++)
		if (how.stdio[i] >= 0)
			(void) close(how.stdio[i]); /* the container has them now */
	if (rc < 0) {
		m->container.pid = 0; /* nothing is left of it */
		return rc;
	}
	(void) co_fault("monitor.parked");
	if (m->terminal)
		monitor_stdio_console(m, m->container.console);
	monitor_stdio_arm(m);
	return 0;
}

static int create(struct monitor *m, struct co_err *err)
{
	int rc = monitor_claim(m, err);

	(void) co_fault("monitor.claimed");
	if (rc == 0)
		rc = ctr_config_load(m->options->bundle, &m->config, err);
	if (rc == 0)
		m->config->cloudos.calls |= m->options->calls;
	if (rc == 0)
		rc = monitor_note(m, err);
	if (rc == 0)
		rc = open_group(m, err);
	(void) co_fault("monitor.grouped");
	if (rc == 0)
		rc = monitor_note(m, err);
	if (rc == 0)
		rc = make_process(m, err);
	return rc;
}

static void give_up(struct monitor *m, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	if (m->container.pid > 0) {
		(void) kill(m->container.pid, SIGKILL); /* waited for below */
		(void) waitpid(m->container.pid, NULL, 0);
	}
	if (m->record >= 0)
		ctr_exit_unreserve(m->options->bundle, &m->record);
	if (m->lock >= 0)
		monitor_clean(m);
	if (m->log)
		ctr_log_close(m->log);
	co_buf_format(&text,
		      ",\"code\":\"%s\",\"message\":", co_status_name(err->code));
	co_buf_json_text(&text, co_span(err->message));
	monitor_event(m, "failed", text.failed ? "" : text.data);
}

/* ---- the loop ---- */

static int sooner(int a, int b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* After the end: those that have to get something still. */
static bool lingers(struct monitor *m)
{
	for (struct client *c = m->clients; c; c = c->next)
		if (!c->first || monitor_clock() - c->moved_ms > LINGER_MS)
			monitor_client_end(m, c);
	monitor_clients_sweep(m);
	return m->clients;
}

static void run_calls(struct monitor *m)
{
	if (m->calls)
		ctr_calls_run(m->calls);
	for (struct exec *e = m->execs; e; e = e->next)
		if (e->calls)
			ctr_calls_run(e->calls);
}

static void calls_ready(struct monitor *m, struct source *s, uint32_t events)
{
	(void) s; /* one of few; the others have nothing to do */
	(void) events;
	run_calls(m);
}

void monitor_calls_forget(struct monitor *m, struct source sources[CTR_CALLS_FDS])
{
	for (size_t i = 0; i < CTR_CALLS_FDS; i++) {
		monitor_look(m, &sources[i], 0);
		sources[i] = (struct source){ .fd = -1 };
	}
}

/* Which descriptors those are may change at each turn, and one may be closed and come
 * again as another: so they are looked at anew. */
static int look_at(struct monitor *m, const struct ctr_calls *calls,
		   struct source sources[CTR_CALLS_FDS])
{
	struct pollfd fds[CTR_CALLS_FDS];
	size_t n = ctr_calls_poll(calls, fds);

	monitor_calls_forget(m, sources);
	for (size_t i = 0; i < n; i++) {
		sources[i] = (struct source){ .fd = fds[i].fd, .ready = calls_ready };
		/* EPOLLIN and EPOLLOUT have the values of POLLIN and POLLOUT */
		monitor_look(m, &sources[i], (uint32_t) fds[i].events);
	}
	return ctr_calls_timeout(calls);
}

static int look_at_calls(struct monitor *m)
{
	int due = -1;

	if (m->state == CTR_CREATED || m->over)
		return -1;
	if (m->calls)
		due = look_at(m, m->calls, m->call_sources);
	for (struct exec *e = m->execs; e; e = e->next)
		if (e->calls)
			due = sooner(due, look_at(m, e->calls, e->call_sources));
	return due;
}

static void turn(struct monitor *m)
{
	struct epoll_event events[EVENTS];
	int due = sooner(monitor_stdio_due(m), monitor_exec_due(m));
	int calls = look_at_calls(m);
	int n;

	due = sooner(due, calls);

	if (m->undone && !m->over) {
		(void) monitor_kill_all(m, SIGKILL,
					NULL); /* tried again at each turn */
		due = sooner(due, 100);
	}
	n = epoll_wait(m->epoll, events, EVENTS, m->over ? 1000 : due);
	for (int i = 0; i < n; i++) {
		struct source *s = events[i].data.ptr;

		if (s->fd >= 0 && s->events)
			s->ready(m, s, events[i].events);
	}
	if (m->undone && !m->over)
		(void) monitor_kill_all(m, SIGKILL,
					NULL); /* tried again at each turn */
	if (n == 0 && calls >= 0)
		run_calls(m); /* their time has come */
	monitor_stdio_tick(m);
	monitor_exec_tick(m);
	monitor_execs_sweep(m);
}

static int open_loop(struct monitor *m, struct co_err *err)
{
	struct client *creator;

	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll < 0)
		return co_fail_errno(err, errno, "cannot make a loop");
	creator = monitor_client_add(m, m->options->control);
	if (!creator)
		return co_fail(err, CO_NO_MEMORY, "no memory for a monitor");
	creator->creator = creator->watches = true;
	return open_signals(m, err);
}

static void say_created(struct monitor *m)
{
	char text[160]; /* the words are ours and few */

	(void) snprintf(text, sizeof(text), ",\"pid\":%d,\"unenforced\":\"%.100s\"",
			(int) m->container.pid,
			m->cgroup ? ctr_cgroup_unenforced(m->cgroup) : "");
	monitor_event(m, "created", text);
}

int ctr_monitor_run(const struct ctr_monitor_options *options)
{
	static struct monitor m;
	struct co_err err = { 0 };
	int rc;

	m.options = options;
	m.lock = m.epoll = m.record = -1;
	m.container.pidfd = m.container.start = m.container.console = -1;
	m.listener.fd = m.signals.fd = m.oom.fd = m.carrier.fd = -1;
	for (int i = 0; i < CTR_CALLS_FDS; i++)
		m.call_sources[i].fd = -1;
	monitor_stdio_init(&m);
	m.folder = monitor_path(options->root, options->id, NULL);
	m.buffer = malloc(MONITOR_CHUNK);
	if (!m.folder || !m.buffer)
		return co_fail(&err, CO_NO_MEMORY, "no memory for a monitor");
	(void) prctl(PR_SET_CHILD_SUBREAPER, 1); /* old kernels only lack it */
	rc = open_loop(&m, &err);
	if (rc == 0)
		rc = create(&m, &err);
	if (rc < 0) {
		give_up(&m, &err);
		return rc;
	}
	(void) co_fault("monitor.listening");
	say_created(&m);
	while (!m.over) {
		turn(&m);
		monitor_clients_sweep(&m);
	}
	while (lingers(&m))
		turn(&m);
	return 0;
}
