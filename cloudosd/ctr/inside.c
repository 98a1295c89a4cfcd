/* SPDX-License-Identifier: MIT */
/* The container's first process, from clone to the program.  HOST. */
#include "cloudosd/ctr/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/hooks.h"
#include "cloudosd/ctr/init.h"
#include "cloudosd/ctr/program.h"
#include "lib/cleanup.h"

static _Noreturn void give_up(struct ctr_inside *in, const struct co_err *err)
{
	ctr_say_failed(in->link, err);
	_exit(1);
}

/* ---- what a new process needs, whichever it becomes ---- */

static int take_stdio(const struct ctr_inside *in, struct co_err *err)
{
	int moved[3];

	if (in->process && in->process->terminal)
		return 0; /* the terminal comes later */
	for (int i = 0; i < 3; i++) {
		moved[i] = in->stdio[i];
		if (moved[i] >= 0 && moved[i] < 3 && moved[i] != i)
			moved[i] = fcntl(moved[i], F_DUPFD_CLOEXEC, 3);
	}
	for (int i = 0; i < 3; i++) {
		if (moved[i] < 0)
			continue;
		if (moved[i] == i)
			(void) fcntl(i, F_SETFD, 0); /* an open descriptor */
		else if (dup2(moved[i], i) < 0)
			return co_fail_errno(err, errno,
					     "standard streams cannot be set");
	}
	return 0;
}

/* Moves it behind those that the program is to keep. */
static int out_of_the_way(const struct ctr_inside *in, int fd)
{
	int moved;

	if (fd < 0 || fd >= 3 + in->preserve_fds)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3 + in->preserve_fds);
	return moved < 0 ? fd : moved;
}

static void close_foreign(struct ctr_inside *in)
{
	int keep[48] = { in->root };
	size_t n = 1;

	in->link = out_of_the_way(in, in->link);
	in->start = out_of_the_way(in, in->start);
	keep[n++] = in->link;
	keep[n++] = in->start;
	keep[n++] = ctr_init_fd();
	for (size_t i = 0; i < co_countof(in->keep) && in->keep[i] >= 0; i++)
		keep[n++] = in->keep[i];
	for (int i = 0; i < in->preserve_fds && n < co_countof(keep); i++)
		keep[n++] = 3 + i;
	ctr_close_others(keep, n);
}

static int become_root(const struct ctr_inside *in, struct co_err *err)
{
	if (in->own_user) {
		bool keep = in->process && in->process->user.keep_groups;

		/* denied where one maps only himself; and id 0 need not be mapped: the
		 * capabilities are there all the same */
		if (!keep)
			(void) syscall(SYS_setgroups, 0, NULL);
		if ((syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL) ||
		    (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL))
			return co_fail_errno(err, errno,
					     "root of the container cannot be had");
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return co_fail_errno(err, errno, "the process cannot be hidden");
	return 0;
}

/* ---- name spaces ---- */

static int loopback_up(struct co_err *err)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0)
		return 0; /* a kernel without IPv4 has no such loopback */
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return co_fail_errno(err, errno, "the loopback interface is not there");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return co_fail_errno(err, errno, "the loopback interface stays down");
	return 0;
}

static int furnish(const struct ctr_inside *in, struct co_err *err)
{
	const struct ctr_config *c = in->config;
	char name[64];

	if (in->own_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return co_fail_errno(err, errno, "no cgroup name space");
	if (setsid() < 0 && errno != EPERM)
		return co_fail_errno(err, errno, "no session");
	if (in->new_keyring) {
		(void) snprintf(name, sizeof(name), "cloudos-%.40s", in->id);
		/* without keys in the kernel, or with all used up, there is none to
		 * keep from the container */
		(void) syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
	}
	if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
		return co_fail_errno(err, errno, "the host name %s cannot be set",
				     c->hostname);
	if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) < 0)
		return co_fail_errno(err, errno, "the domain name %s cannot be set",
				     c->domainname);
	if (in->own_net) {
		int rc = loopback_up(err);

		if (rc < 0)
			return rc;
	}
	return ctr_rootfs_sysctl(c, err);
}

/* ---- files ---- */

static int hooks(const struct ctr_inside *in, const struct ctr_hooks *list,
		 const char *name, const char *status, struct co_err *err)
{
	autobuf struct co_buf state = { 0 };

	if (list->count == 0)
		return 0;
	ctr_state_json(in->config, in->id, status, in->pid, &state);
	return ctr_hooks_run(list, name, &state, err);
}

static int before_pivot(void *arg, struct co_err *err)
{
	struct ctr_inside *in = arg;
	int rc = 0;

	/* most have none: no need to wait for the creator */
	if (in->config->prestart.count || in->config->create_runtime.count) {
		if (ctr_say(in->link, CTR_SAID_BUILT, 0) < 0)
			return co_fail(err, CO_GONE, "the creator is gone");
		rc = ctr_await(in->link, CTR_SAID_HOOKED, NULL, err);
	}
	if (rc < 0)
		return rc;
	return hooks(in, &in->config->create_container, "createContainer", "created",
		     err);
}

static void remark(void *arg, const char *sentence)
{
	struct ctr_inside *in = arg;
	struct ctr_note n = { .what = CTR_SAID_REMARK };

	(void) snprintf(n.text, sizeof(n.text), "%s", sentence);
	(void) ctr_note_send(in->link, &n, NULL, 0); /* a remark, no more */
}

static int await_go(struct ctr_inside *in, struct ctr_rootfs *files, struct co_err *err)
{
	int fds[CTR_ROOTFS_FDS];
	size_t count = co_countof(fds), taken = 0;
	struct ctr_note go;
	int rc = ctr_note_receive(in->link, &go, fds, &count, err);

	if (rc < 0)
		return rc;
	if (go.what != CTR_SAID_GO || go.code < 0 || go.code > CTR_ROOTFS_FDS)
		return co_fail(err, CO_PROTOCOL, "note %d came instead of the files",
			       go.what);
	in->pid = (pid_t) go.number;
	files->count = (size_t) go.code;
	for (size_t i = 0; i < files->count; i++)
		files->fds[i] = go.text[i] && taken < count ? fds[taken++] : -1;
	return 0;
}

static int build(struct ctr_inside *in, struct ctr_rootfs *files, struct co_err *err)
{
	struct ctr_rootfs_inside inside = {
		.from_outside = files,
		.console = -1,
		.out_terminal = in->terminal,
		.own_user = in->own_user,
		.rootless = in->rootless,
		.before_pivot = before_pivot,
		.arg = in,
		.no_pivot = in->no_pivot,
		.note = remark,
	};
	static const struct ctr_process_spec none;
	int rc = ctr_program_labels_open(in->process ? in->process : &none, in->labels,
					 err);

	if (rc == 0)
		rc = ctr_rootfs_enter(in->config, &inside, err);
	ctr_rootfs_done(files);
	return rc;
}

/* ---- the program ---- */

/* A program without HOME gets that of its user. */
static int add_home(struct ctr_inside *in, struct co_err *err)
{
	const struct ctr_texts *env = &in->process->env;
	char **with;

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->at[i], "HOME=", 5) == 0)
			return 0;
	with = calloc(env->count + 2, sizeof(*with)); /* lives until exec */
	if (!with)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	memcpy(with, env->at, env->count * sizeof(*with));
	memcpy(in->home, "HOME=", 5);
	ctr_program_home(in->process->user.uid, in->home + 5, sizeof(in->home) - 5);
	with[env->count] = in->home;
	in->with_home = *in->process;
	in->with_home.env = (struct ctr_texts){ .at = with, .count = env->count + 1 };
	in->process = &in->with_home;
	return 0;
}

/* A filter that somebody answers is loaded here: he gets its descriptor before we say that
 * we are ready. */
static int load_answered(struct ctr_inside *in, struct co_err *err)
{
	int listener = -1;
	int rc = ctr_filter_install(in->filter, &listener, err);

	in->filter = NULL;
	if (rc < 0 || listener < 0)
		return rc;
	rc = ctr_say_with(in->link, CTR_SAID_LISTENER, listener);
	(void) close(listener);
	if (rc < 0)
		return co_fail(err, rc, "the creator is gone");
	return ctr_await(in->link, CTR_SAID_RECEIVED, NULL, err);
}

/* Until nothing but the program is missing. */
static int prepare_program(struct ctr_inside *in, struct co_err *err)
{
	const struct ctr_process_spec *p = in->process;
	int rc = ctr_program_folder(p, in->start >= 0, err);

	if (rc == 0 && p->terminal && in->terminal[0] < 0)
		rc = ctr_terminal_open(in->terminal, err);
	if (rc == 0 && p->terminal)
		rc = ctr_terminal_give(in, err);
	if (rc == 0)
		rc = ctr_program_limits(p, in->config->personality, err);
	if (rc == 0)
		rc = ctr_program_user(p, in->filter != NULL, err);
	if (rc == 0)
		rc = add_home(in, err);
	if (rc == 0 && !in->become && !in->late_program)
		rc = ctr_find_program(in->process, in->path, sizeof(in->path), err);
	if (rc == 0)
		rc = ctr_program_labels(p, in->labels, err);
	if (rc == 0 && in->filter && in->filter->notifies)
		rc = load_answered(in, err);
	if (rc == 0 && in->die_with_parent)
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* cannot fail */
	return rc;
}

/* Failures go to `link`, which exec closes. */
static _Noreturn void run_program(struct ctr_inside *in, int link)
{
	struct co_err err = { 0 };
	int rc = 0, listener = -1;

	ctr_program_signals();
	if (in->slave >= 0)
		rc = ctr_terminal_take(in->slave, &err);
	if (rc == 0)
		rc = ctr_program_descriptors(3 + (unsigned int) in->preserve_fds, &err);
	if (rc == 0 && !in->become && in->late_program)
		rc = ctr_find_program(in->process, in->path, sizeof(in->path), &err);
	if (rc == 0)
		(void) ctr_say(link, CTR_SAID_EXECUTING,
			       0); /* nobody there: no matter */
	if (rc == 0 && in->become)
		rc = in->become(in->become_arg, in->process, &err);
	else if (rc == 0 && in->filter)
		rc = ctr_filter_install(in->filter, &listener, &err);
	if (rc == 0 && !in->become)
		rc = ctr_program_execute(in->path, in->process, &err);
	ctr_say_failed(link, &err);
	_exit(err.code == CO_NOT_FOUND ? 127 : 126);
}

/*
 * Pid 1 becomes our init, and returns as its child, which is the program in the end: so init
 * is there long before anybody starts it.  It could be traced until it has hidden itself;
 * in->hidden tells.
 */
static int leave_to_init(struct ctr_inside *in, struct co_err *err)
{
	sigset_t all;
	pid_t child = -1;
	int hidden[2];

	(void) sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, NULL); /* init takes them up one by one */
	if (pipe2(hidden, O_CLOEXEC) == 0)
		child = fork();
	if (child < 0)
		return co_fail_errno(err, errno, "no process for the program");
	if (child > 0) {
		(void) close(hidden[0]);
		if (in->filter && ctr_program_drop(in->process, err) < 0)
			_exit(126); /* which ends the child as well */
		ctr_init_become(child, hidden[1], in->die_with_parent);
	}
	(void) close(hidden[1]);
	in->hidden = hidden[0];
	return 0;
}

/* Nothing of the container is executed before. */
static void await_init(struct ctr_inside *in)
{
	char byte;

	if (in->hidden < 0)
		return;
	if (read(in->hidden, &byte, 1) != 1)
		_exit(126); /* init is gone */
	(void) close(in->hidden);
	(void) setsid(); /* a leader of nothing: cannot fail */
}

/* Our own profile lets through what is still to be done: it is installed while the creator
 * has not said more, and takes nothing of the start. */
static int install_early(struct ctr_inside *in, struct co_err *err)
{
	int listener, rc;

	if (in->become || !in->process || !in->filter || !in->filter->is_default ||
	    in->config->start_container.count > 0)
		return 0;
	rc = ctr_filter_install(in->filter, &listener, err);
	in->filter = NULL;
	return rc;
}

/* Parked until somebody starts it; returns the connection that wants to know of exec. */
static int await_start(struct ctr_inside *in)
{
	struct co_err err = { 0 };

	if (!in->listens)
		return ctr_await(in->start, CTR_SAID_START, NULL, &err) == 0 ? in->start
									     : -1;
	for (;;) {
		int link = accept4(in->start, NULL, NULL, SOCK_CLOEXEC);

		if (link < 0 && errno != EINTR && errno != ECONNABORTED)
			return -1;
		if (link >= 0 && ctr_await(link, CTR_SAID_START, NULL, &err) == 0) {
			(void) close(in->start);
			return out_of_the_way(in, link);
		}
		if (link >= 0)
			(void) close(link);
	}
}

/* It can be created, looked at and deleted. */
static _Noreturn void without_program(int link)
{
	struct co_err err = { 0 };

	(void) co_fail(&err, CO_INVALID,
		       "the configuration has no `process`: there is nothing to start");
	ctr_say_failed(link, &err);
	_exit(1);
}

static int set_up(struct ctr_inside *in, struct co_err *err)
{
	struct ctr_rootfs files = { .count = 0 };
	int rc;

	rc = take_stdio(in, err);
	close_foreign(in);
	if (rc == 0 && in->late_net && unshare(CLONE_NEWNET) < 0)
		rc = co_fail_errno(err, errno, "no network name space");
	if (rc == 0)
		rc = await_go(in, &files, err);
	if (rc == 0)
		rc = become_root(in, err);
	if (rc == 0)
		rc = furnish(in, err);
	if (rc == 0)
		rc = build(in, &files, err);
	if (rc == 0 && in->process)
		rc = prepare_program(in, err);
	if (rc == 0 && in->process && in->config->cloudos.init)
		rc = leave_to_init(in, err);
	return rc;
}

_Noreturn void ctr_inside_create(struct ctr_inside *in)
{
	struct co_err err = { 0 };
	int link, early;

	in->slave = in->terminal[0] = in->terminal[1] = in->hidden = -1;
	if (set_up(in, &err) < 0)
		give_up(in, &err);
	(void) ctr_say(in->link, CTR_SAID_READY, 0); /* a dead creator is seen below */
	(void) close(in->link);
	in->link = -1;
	early = install_early(in, &err);
	link = await_start(in);
	if (link < 0)
		_exit(1);
	if (early < 0) {
		ctr_say_failed(link, &err);
		_exit(126);
	}
	if (!in->process)
		without_program(link);
	await_init(in);
	if (hooks(in, &in->config->start_container, "startContainer", "created", &err) <
	    0) {
		ctr_say_failed(link, &err);
		_exit(1);
	}
	run_program(in, link);
}

/* ---- exec ---- */

_Noreturn void ctr_inside_exec(struct ctr_inside *in)
{
	struct co_err err = { 0 };
	int rc;

	in->slave = in->terminal[0] = in->terminal[1] = -1;
	rc = take_stdio(in, &err);
	close_foreign(in);
	if (rc == 0)
		rc = ctr_await(in->link, CTR_SAID_GO, NULL, &err);
	if (rc == 0)
		rc = ctr_program_labels_open(in->process, in->labels, &err);
	if (rc == 0 && in->root >= 0 && (fchdir(in->root) < 0 || chroot(".") < 0))
		rc = co_fail_errno(&err, errno,
				   "the container's root cannot be entered");
	if (rc == 0)
		rc = become_root(in, &err);
	if (rc == 0)
		rc = prepare_program(in, &err);
	if (rc < 0)
		give_up(in, &err);
	(void) setsid();
	run_program(in, in->link);
}
