/* SPDX-License-Identifier: MIT */
/* One more process in a container, seen from outside.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "cloudosd/ctr/clone.h"
#include "cloudosd/ctr/process.h"
#include "cloudosd/ctr/program.h"
#include "lib/cleanup.h"

struct entering {
	const struct ctr_exec *how;
	struct ctr_inside inside;
	struct ctr_filter filter;
	int pidfd, kinds, link[2];
	struct ctr_container made;
};

/* Those name spaces of the container that are not ours already. */
static int foreign_kinds(pid_t pid, int *out, struct co_err *err)
{
	static const struct {
		const char *file;
		int kind;
	} all[] = {
		{ "user", CLONE_NEWUSER },     { "mnt", CLONE_NEWNS },
		{ "pid", CLONE_NEWPID },       { "net", CLONE_NEWNET },
		{ "ipc", CLONE_NEWIPC },       { "uts", CLONE_NEWUTS },
		{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },
	};

	*out = 0;
	for (size_t i = 0; i < co_countof(all); i++) {
		struct stat ours, theirs;
		char path[64];

		(void) snprintf(path, sizeof(path), "/proc/self/ns/%s", all[i].file);
		if (stat(path, &ours) < 0)
			continue;
		(void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, all[i].file);
		if (stat(path, &theirs) < 0)
			return co_fail_errno(err, errno, "%s cannot be opened", path);
		if (ours.st_ino != theirs.st_ino)
			*out |= all[i].kind;
	}
	return 0;
}

static int plan(struct entering *e, struct co_err *err)
{
	const struct ctr_exec *how = e->how;
	struct timeval patience = { how->patience_ms / 1000,
				    how->patience_ms % 1000 * 1000 };
	int rc = foreign_kinds(how->pid, &e->kinds, err);
	char path[64];

	if (rc == 0 && !how->become)
		rc = ctr_filter_for(how->config, &e->filter, err);
	if (rc < 0)
		return rc;
	e->pidfd = how->pidfd >= 0 ? fcntl(how->pidfd, F_DUPFD_CLOEXEC, 3)
				   : (int) syscall(SYS_pidfd_open, how->pid, 0);
	if (e->pidfd < 0)
		return co_fail_errno(err, errno, "process %d cannot be held", how->pid);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->link) < 0)
		return co_fail_errno(err, errno, "no sockets");
	/* fails for no time that is one */
	(void) setsockopt(e->link[0], SOL_SOCKET, SO_RCVTIMEO, &patience,
			  sizeof(patience));
	e->inside = (struct ctr_inside){
		.config = how->config,
		.process = how->process,
		.filter = e->filter.program.len ? &e->filter : NULL,
		.link = e->link[1],
		.start = -1,
		.preserve_fds = how->preserve_fds,
		.become = how->become,
		.become_arg = how->become_arg,
		.own_user = (e->kinds & CLONE_NEWUSER) != 0,
		.rootless = geteuid() != 0,
		.root = -1,
	};
	memcpy(e->inside.stdio, how->stdio, sizeof(how->stdio));
	memcpy(e->inside.keep, how->keep, sizeof(how->keep));
	if (!(e->kinds & CLONE_NEWNS)) {
		(void) snprintf(path, sizeof(path), "/proc/%d/root", how->pid);
		e->inside.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (e->inside.root < 0)
			return co_fail_errno(err, errno, "%s cannot be opened", path);
	}
	return 0;
}

static _Noreturn void join_and_clone(struct entering *e)
{
	struct co_err err = { 0 };
	int group = e->how->cgroup ? ctr_cgroup_clone_fd(e->how->cgroup) : -1;
	pid_t pid;

	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before anybody inside sees us */
	if (e->kinds && setns(e->pidfd, e->kinds) < 0) {
		(void) co_fail_errno(&err, errno, "the container cannot be entered");
		ctr_say_failed(e->link[1], &err);
		_exit(1);
	}
	pid = ctr_clone(CLONE_PARENT, group, NULL);
	if (pid == 0)
		ctr_inside_exec(&e->inside);
	if (pid < 0) {
		(void) co_fail_errno(&err, errno, "the process cannot be made");
		ctr_say_failed(e->link[1], &err);
		_exit(1);
	}
	_exit(ctr_say(e->link[1], CTR_SAID_CLONED, pid) == 0 ? 0 : 1);
}

/* Until it has executed its program. */
static int attend(struct entering *e, struct co_err *err)
{
	bool executing = false;

	for (;;) {
		struct ctr_note n;
		int fd = -1, rc;
		size_t count = 1;

		rc = ctr_note_receive(e->link[0], &n, &fd, &count, err);
		if (rc == CO_GONE && executing)
			return 0;
		if (rc == CO_GONE)
			return co_fail(
				err, CO_GONE,
				"the process ended before it executed its program");
		if (rc < 0)
			return rc;
		if (n.what == CTR_SAID_EXECUTING) {
			executing = true;
			continue;
		}
		if (n.what == CTR_SAID_CONSOLE) {
			rc = ctr_take_console(fd, e->how->console_socket, &e->made,
					      err);
		} else if (n.what == CTR_SAID_LISTENER) {
			rc = ctr_filter_hand_over(&e->filter, co_span("{}"),
						  e->made.pid, fd, err);
			(void) close(fd);
		} else {
			rc = co_fail(err, CO_PROTOCOL, "note %d was not expected",
				     n.what);
		}
		if (rc == 0)
			rc = ctr_say(e->link[0], CTR_SAID_RECEIVED, 0);
		if (rc < 0)
			return rc;
	}
}

static int enter(struct entering *e, struct co_err *err)
{
	pid_t between;
	int rc = plan(e, err);

	if (rc < 0)
		return rc;
	between = ctr_clone(0, -1, NULL);
	if (between == 0)
		join_and_clone(e);
	if (between < 0)
		return co_fail_errno(err, errno, "no process");
	(void) close(take_fd(e->link[1]));
	rc = ctr_await_cloned(between, e->link[0], &e->made, err);
	if (rc == 0 && e->how->cgroup)
		rc = ctr_cgroup_add(e->how->cgroup, e->made.pid, err);
	if (rc < 0)
		return rc;
	ctr_program_raise(e->made.pid, e->how->process);
	rc = ctr_say(e->link[0], CTR_SAID_GO, e->made.pid);
	return rc < 0 ? co_fail(err, rc, "the process is gone") : attend(e, err);
}

int ctr_exec(const struct ctr_exec *how, struct ctr_container *out, struct co_err *err)
{
	struct entering *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	e->how = how;
	e->pidfd = e->link[0] = e->link[1] = e->inside.root = -1;
	e->made = (struct ctr_container){ .pidfd = -1, .start = -1, .console = -1 };
	rc = enter(e, err);
	if (rc < 0) {
		if (e->made.pid > 0) {
			(void) kill(e->made.pid, SIGKILL); /* our child: still there */
			while (waitpid(e->made.pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
		co_cleanup_close(&e->made.pidfd);
		co_cleanup_close(&e->made.console);
	} else {
		*out = e->made;
	}
	co_cleanup_close(&e->pidfd);
	co_cleanup_close(&e->link[0]);
	co_cleanup_close(&e->link[1]);
	co_cleanup_close(&e->inside.root);
	ctr_filter_done(&e->filter);
	free(e);
	return rc;
}
