/* SPDX-License-Identifier: MIT */
/* Making a container's first process, seen from outside.  HOST. */
#include "cloudosd/ctr/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cloudosd/ctr/clone.h"
#include "cloudosd/ctr/hooks.h"
#include "cloudosd/ctr/id_maps.h"
#include "cloudosd/ctr/inside.h"
#include "cloudosd/ctr/program.h"
#include "cloudosd/ctr/state.h"
#include "lib/cleanup.h"

/* ---- cloning ---- */

pid_t ctr_clone(uint64_t flags, int cgroup, int *out_pidfd)
{
	struct clone_args args = {
		.flags = (__u64) flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : (__u64) SIGCHLD,
	};
	long pid;

	if (out_pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (__u64) (uintptr_t) out_pidfd;
	}
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (__u64) cgroup;
		pid = syscall(SYS_clone3, &args, sizeof(args));
		/* it may be an old kernel, or not ours to put processes into: then it
		 * is moved there afterwards */
		if (pid >= 0 ||
		    (errno != EACCES && errno != EPERM && errno != EINVAL &&
		     errno != EOPNOTSUPP && errno != EBUSY && errno != E2BIG))
			return (pid_t) pid;
		args.flags &= ~(__u64) CLONE_INTO_CGROUP;
		args.cgroup = 0;
	}
	pid = syscall(SYS_clone3, &args,
		      args.cgroup ? sizeof(args) : (size_t) CLONE_ARGS_SIZE_VER0);
	return (pid_t) pid;
}

int ctr_join_all(struct ctr_join *joins, size_t count, struct co_err *err)
{
	bool entered_user = false, left;

	/* A name space that belongs to the user name space to be joined wants that first;
	 * one of the host's cannot be joined afterwards. */
	for (int round = 0; round < 2; round++) {
		left = false;
		for (size_t i = 0; i < count; i++) {
			struct ctr_join *j = &joins[i];

			if (j->fd < 0 || j->kind == CLONE_NEWUSER)
				continue;
			if (setns(j->fd, j->kind) == 0) {
				(void) close(j->fd);
				j->fd = -1;
				continue;
			}
			left = true;
			if (round > 0 || (errno != EPERM && errno != EACCES))
				return co_fail_errno(err, errno,
						     "a %s name space cannot be joined",
						     ctr_kind_name(j->kind));
		}
		for (size_t i = 0; i < count && !entered_user; i++) {
			if (joins[i].kind != CLONE_NEWUSER || joins[i].fd < 0)
				continue;
			if (setns(joins[i].fd, CLONE_NEWUSER) < 0)
				return co_fail_errno(
					err, errno,
					"a user name space cannot be joined");
			entered_user = true;
		}
		if (!left)
			break;
	}
	return 0;
}

const char *ctr_kind_name(int kind)
{
	switch (kind) {
	case CLONE_NEWUSER:
		return "user";
	case CLONE_NEWNS:
		return "mount";
	case CLONE_NEWPID:
		return "pid";
	case CLONE_NEWNET:
		return "network";
	case CLONE_NEWIPC:
		return "ipc";
	case CLONE_NEWUTS:
		return "uts";
	case CLONE_NEWCGROUP:
		return "cgroup";
	default:
		return "time";
	}
}

/* ---- what is to be made ---- */

struct making {
	const struct ctr_create *how;
	const struct ctr_config *config;
	struct ctr_inside inside;
	struct ctr_filter filter;
	struct ctr_join joins[CTR_JOINS];
	size_t join_count;
	uint64_t flags;
	int link[2], start[2]; /* [0] stays here */
	struct ctr_container made;
};

static int plan_join(struct making *m, const struct ctr_namespace *n,
		     struct co_err *err)
{
	int fd = open(n->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return co_fail_errno(err, errno,
				     "the %s name space %s cannot be opened",
				     ctr_kind_name(n->kind), n->path);
	if (m->join_count == CTR_JOINS) {
		(void) close(fd);
		return co_fail(err, CO_TOO_BIG, "too many name spaces");
	}
	m->joins[m->join_count++] = (struct ctr_join){ n->kind, fd };
	/* the kernel tells what it is; joining it as something else would fail late */
	if (ioctl(fd, 0xb703 /* NS_GET_NSTYPE */) != n->kind)
		return co_fail(err, CO_INVALID, "%s is no %s name space", n->path,
			       ctr_kind_name(n->kind));
	return 0;
}

/* After they were opened: as long as that process lives, nobody else has had its number. */
int ctr_joined_check(const struct ctr_config *c, struct co_err *err)
{
	const struct ctr_extension *x = &c->cloudos;

	if (!x->joined_start || ctr_pid_start((pid_t) x->joined_pid) == x->joined_start)
		return 0;
	return co_fail(err, CO_GONE,
		       "the container whose name spaces it was to be in has ended; "
		       "start that one first");
}

static int plan_namespaces(struct making *m, struct co_err *err)
{
	const struct ctr_config *c = m->config;
	int rc;

	for (size_t i = 0; i < c->namespace_count; i++) {
		const struct ctr_namespace *n = &c->namespaces[i];

		if (!n->path) {
			if (n->kind == CLONE_NEWTIME)
				return co_fail(
					err, CO_UNSUPPORTED,
					"a new time name space is not supported");
			m->flags |= (uint64_t) n->kind;
			continue;
		}
		rc = plan_join(m, n, err);
		if (rc < 0)
			return rc;
	}
	rc = ctr_joined_check(c, err);
	if (rc < 0)
		return rc;
	if (geteuid() != 0 && !ctr_config_namespace(c, CLONE_NEWUSER))
		m->flags |= CLONE_NEWUSER; /* nothing else is possible */
	return 0;
}

static void plan_inside(struct making *m)
{
	const struct ctr_create *how = m->how;
	struct ctr_inside *in = &m->inside;
	uint64_t flags = m->flags;

	*in = (struct ctr_inside){
		.config = m->config,
		.process = m->config->has_process ? &m->config->process : NULL,
		.id = how->id,
		.filter = m->filter.program.len ? &m->filter : NULL,
		.link = m->link[1],
		.start = how->start_listener >= 0 ? how->start_listener : m->start[1],
		.listens = how->start_listener >= 0,
		.die_with_parent = how->die_with_parent,
		.late_program = how->late_program,
		.no_pivot = how->no_pivot,
		.new_keyring = !how->no_new_keyring,
		.preserve_fds = how->preserve_fds,
		.become = how->become,
		.become_arg = how->become_arg,
		.own_user = flags & CLONE_NEWUSER ||
			    ctr_config_namespace(m->config, CLONE_NEWUSER),
		.own_net = (flags & CLONE_NEWNET) != 0,
		.own_cgroup = (flags & CLONE_NEWCGROUP) != 0,
		.rootless = geteuid() != 0,
		.root = -1,
	};
	memcpy(in->stdio, how->stdio, sizeof(in->stdio));
	memcpy(in->keep, how->keep, sizeof(in->keep));
	m->flags &= ~(uint64_t) CLONE_NEWCGROUP; /* when it is in its cgroup */
	/* the dearest of them, made while the creator does what it does before the files */
	in->late_net = in->own_net && !how->prepared;
	if (in->late_net)
		m->flags &= ~(uint64_t) CLONE_NEWNET;
}

static int plan(struct making *m, struct co_err *err)
{
	int rc = plan_namespaces(m, err);

	if (rc == 0 && !m->how->become)
		rc = ctr_filter_for(m->config, &m->filter, err);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, m->link) < 0)
		return co_fail_errno(err, errno, "no sockets");
	if (m->how->start_listener < 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, m->start) < 0)
		return co_fail_errno(err, errno, "no sockets");
	plan_inside(m);
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
}

static void making_done(struct making *m)
{
	for (size_t i = 0; i < m->join_count; i++)
		close_one(&m->joins[i].fd);
	for (int i = 0; i < 2; i++) {
		close_one(&m->link[i]);
		close_one(&m->start[i]);
	}
	ctr_filter_done(&m->filter);
}

/* ---- the process ---- */

static int group_fd(const struct ctr_create *how)
{
	return how->cgroup ? ctr_cgroup_clone_fd(how->cgroup) : -1;
}

/* In a process between: joins what is to be joined, and clones from there. */
static _Noreturn void join_and_clone(struct making *m)
{
	struct co_err err = { 0 };
	pid_t pid;

	/* whoever is in a pid name space that is joined must not trace what comes; where a
	 * user name space is made he could not, and its maps want to be written */
	if (!(m->flags & CLONE_NEWUSER))
		(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail */
	if (ctr_join_all(m->joins, m->join_count, &err) < 0) {
		ctr_say_failed(m->link[1], &err);
		_exit(1);
	}
	pid = ctr_clone(m->flags | CLONE_PARENT, group_fd(m->how), NULL);
	if (pid == 0) {
		ctr_inside_create(&m->inside);
	}
	if (pid < 0) {
		(void) co_fail_errno(&err, errno,
				     "the container's process cannot be made");
		ctr_say_failed(m->link[1], &err);
		_exit(1);
	}
	_exit(ctr_say(m->link[1], CTR_SAID_CLONED, pid) == 0 ? 0 : 1);
}

int ctr_await_cloned(pid_t between, int link, struct ctr_container *out,
		     struct co_err *err)
{
	struct ctr_note n;
	int rc = ctr_await(link, CTR_SAID_CLONED, &n, err);

	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		return rc;
	out->pid = (pid_t) n.number;
	out->pidfd = (int) syscall(SYS_pidfd_open, out->pid, 0);
	if (out->pidfd < 0)
		return co_fail_errno(err, errno, "process %d cannot be held", out->pid);
	return 0;
}

static int clone_it(struct making *m, struct co_err *err)
{
	pid_t pid;

	if (m->join_count == 0) {
		pid = ctr_clone(m->flags, group_fd(m->how), &m->made.pidfd);
		if (pid == 0)
			ctr_inside_create(&m->inside);
		if (pid < 0)
			return co_fail_errno(
				err, errno, "the container's process cannot be made%s",
				errno == EPERM || errno == ENOSPC
					? " (name spaces may be forbidden here: "
					  "user.max_*_namespaces, AppArmor)"
					: "");
		m->made.pid = pid;
		close_one(&m->link[1]);
		return 0;
	}
	pid = ctr_clone(0, -1, NULL);
	if (pid == 0)
		join_and_clone(m);
	if (pid < 0)
		return co_fail_errno(err, errno, "no process");
	close_one(&m->link[1]);
	return ctr_await_cloned(pid, m->link[0], &m->made, err);
}

static int send_files(struct making *m, const struct ctr_rootfs *files,
		      struct co_err *err)
{
	struct ctr_note go = { .what = CTR_SAID_GO,
			       .code = (int32_t) files->count,
			       .number = m->made.pid };
	int fds[CTR_ROOTFS_FDS];
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < files->count; i++) {
		go.text[i] = files->fds[i] >= 0;
		if (files->fds[i] >= 0)
			fds[n++] = files->fds[i];
	}
	rc = ctr_note_send(m->link[0], &go, fds, n);
	if (rc < 0)
		return co_fail(err, rc, "the container's process is gone");
	return 0;
}

/* The one that is joined need not be looked up at a process that hides itself. */
static int open_user_ns(const struct making *m)
{
	char path[64];

	for (size_t i = 0; i < m->join_count; i++)
		if (m->joins[i].kind == CLONE_NEWUSER)
			return fcntl(m->joins[i].fd, F_DUPFD_CLOEXEC, 3);
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", m->made.pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* All that only the outside may do, before the process builds its files. */
static int equip(struct making *m, struct co_err *err)
{
	const struct ctr_create *how = m->how;
	struct ctr_rootfs files = { .count = 0 };
	autoclose int user_ns = -1;
	int rc = 0;

	if (m->flags & CLONE_NEWUSER)
		rc = ctr_id_maps_write(m->made.pid, &m->config->uids, &m->config->gids,
				       err);
	if (rc == 0 && how->cgroup)
		rc = ctr_cgroup_add(how->cgroup, m->made.pid, err);
	if (rc < 0)
		return rc;
	if (m->config->has_process)
		ctr_program_raise(m->made.pid, &m->config->process);
	if (m->inside.own_user && (user_ns = open_user_ns(m)) < 0)
		return co_fail_errno(err, errno,
				     "the container's user name space cannot be held");
	if (how->prepared)
		rc = how->prepared(how->arg, m->made.pid, err);
	if (rc == 0)
		rc = ctr_rootfs_gather(m->config, user_ns, &files, err);
	if (rc == 0 && files.note[0] && how->remark)
		how->remark(how->arg, files.note);
	if (rc == 0)
		rc = send_files(m, &files, err);
	if (rc == 0 && how->meanwhile)
		rc = how->meanwhile(how->arg, m->made.pid, err);
	ctr_rootfs_done(&files);
	return rc;
}

/* ---- its progress ---- */

static int run_hooks(struct making *m, struct co_err *err)
{
	const struct ctr_config *c = m->config;
	autobuf struct co_buf state = { 0 };
	int rc;

	/* behind step 2 of the life cycle, where "creating" ends */
	ctr_state_json(c, m->how->id, "created", m->made.pid, &state);
	rc = ctr_hooks_run(&c->prestart, "prestart", &state, err);
	if (rc == 0)
		rc = ctr_hooks_run(&c->create_runtime, "createRuntime", &state, err);
	if (rc == 0)
		rc = ctr_say(m->link[0], CTR_SAID_HOOKED, 0);
	return rc;
}

int ctr_take_console(int fd, int console_socket, struct ctr_container *out,
		     struct co_err *err)
{
	int rc = 0;

	if (fd < 0)
		return co_fail(err, CO_PROTOCOL, "no terminal came");
	if (console_socket >= 0) {
		rc = ctr_terminal_send(console_socket, fd, err);
		(void) close(fd);
	} else {
		out->console = fd;
	}
	return rc;
}

static int hand_over_listener(struct making *m, int fd, struct co_err *err)
{
	autobuf struct co_buf state = { 0 };
	autoclose int listener = fd;

	ctr_state_json(m->config, m->how->id, "creating", m->made.pid, &state);
	if (state.failed)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	return ctr_filter_hand_over(&m->filter,
				    (struct co_span){ state.data, state.size },
				    m->made.pid, listener, err);
}

/* 1: it is parked. */
static int attend_note(struct making *m, struct co_err *err)
{
	struct ctr_note n;
	int fd = -1;
	size_t count = 1;
	int rc = ctr_note_receive(m->link[0], &n, &fd, &count, err);

	if (rc < 0)
		return rc;
	switch (n.what) {
	case CTR_SAID_BUILT:
		return run_hooks(m, err);
	case CTR_SAID_CONSOLE:
		rc = ctr_take_console(fd, m->how->console_socket, &m->made, err);
		break;
	case CTR_SAID_LISTENER:
		rc = hand_over_listener(m, fd, err);
		break;
	case CTR_SAID_REMARK:
		if (m->how->remark)
			m->how->remark(m->how->arg, n.text);
		return 0;
	case CTR_SAID_READY:
		return 1;
	default:
		return co_fail(err, CO_PROTOCOL, "note %d was not expected", n.what);
	}
	return rc < 0 ? rc : ctr_say(m->link[0], CTR_SAID_RECEIVED, 0);
}

/* How a process that said nothing ended. */
static void explain_end(struct making *m, struct co_err *err)
{
	int status = 0;

	if (waitpid(m->made.pid, &status, 0) != m->made.pid)
		return;
	m->made.pid = 0;
	if (WIFSIGNALED(status))
		(void) co_fail(err, CO_IO,
			       "the container's first process was killed by signal %d "
			       "while it was set up",
			       WTERMSIG(status));
	else
		(void) co_fail(
			err, CO_IO,
			"the container's first process ended with %d while it was "
			"set up",
			WEXITSTATUS(status));
}

static void destroy(struct making *m)
{
	if (m->made.pid > 0) {
		(void) kill(m->made.pid, SIGKILL); /* it is our child: still there */
		while (waitpid(m->made.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_one(&m->made.pidfd);
	close_one(&m->made.console);
}

static int make(struct making *m, struct co_err *err)
{
	int rc = plan(m, err);

	if (rc == 0)
		rc = clone_it(m, err);
	if (rc == 0)
		rc = equip(m, err);
	while (rc == 0)
		rc = attend_note(m, err);
	return rc < 0 ? rc : 0;
}

int ctr_create(const struct ctr_create *how, struct ctr_container *out,
	       struct co_err *err)
{
	struct making *m = calloc(1, sizeof(*m));
	struct co_err own = { 0 };
	int rc;

	if (!err)
		err = &own; /* we look at it */
	if (!m)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	m->how = how;
	m->config = how->config;
	m->link[0] = m->link[1] = m->start[0] = m->start[1] = -1;
	m->made = (struct ctr_container){ .pidfd = -1, .start = -1, .console = -1 };
	rc = make(m, err);
	if (rc < 0) {
		if (rc == CO_GONE && m->made.pid > 0)
			explain_end(m, err);
		destroy(m);
	} else {
		m->made.start = take_fd(m->start[0]);
		*out = m->made;
	}
	making_done(m);
	free(m);
	return rc;
}

/* ---- start ---- */

int ctr_let_go(struct ctr_container *c, struct co_err *err)
{
	if (ctr_say(c->start, CTR_SAID_START, 0) < 0)
		return co_fail(err, CO_GONE,
			       "the container's first process is gone, or was started");
	return 0;
}

int ctr_start(struct ctr_container *c, struct co_err *err)
{
	int rc = ctr_let_go(c, err);

	return rc < 0 ? rc : ctr_await_exec(c, err);
}

int ctr_await_exec(struct ctr_container *c, struct co_err *err)
{
	bool executing = false;

	for (;;) {
		struct co_err quiet = { 0 };
		struct ctr_note n;
		int rc;

		rc = ctr_note_receive(c->start, &n, NULL, NULL, &quiet);
		if (rc == 0 && n.what == CTR_SAID_EXECUTING) {
			executing = true;
			continue;
		}
		if (rc == CO_GONE && executing)
			return 0;
		if (rc == CO_GONE)
			return co_fail(err, CO_GONE,
				       "the container's first process ended before it "
				       "executed its program");
		if (rc < 0)
			return co_fail(err, rc, "%s", quiet.message);
		return co_fail(err, CO_PROTOCOL, "note %d was not expected", n.what);
	}
}
