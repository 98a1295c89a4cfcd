/* SPDX-License-Identifier: MIT */
/*
 * Containers that another OCI runtime makes (crun, runc, a path), under our monitor.  HOST.
 *
 * The monitor goes into a mount name space of its own and puts the root file system
 * together at BUNDLE/rootfs, after the check that keeps an image from leading the runtime
 * out of it; nothing of that is seen elsewhere, and it ends with the monitor.  The runtime's
 * process is ours, as we are the subreaper.  Its groups are ours, too; its own record is
 * below ROOT/ID.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/id_maps.h"
#include "cloudosd/ctr/monitor_inside.h"
#include "cloudosd/ctr/rootfs.h"
#include "lib/cleanup.h"

#define HYBRID "/sys/fs/cgroup/unified"

#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif

enum { WORDS = 400 };

/* ---- running it ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static _Noreturn void become(char *const argv[], const int stdio[3])
{
	sigset_t none;

	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) signal(SIGPIPE, SIG_DFL);
	/* crun refuses boxes with controllers on both hierarchies; most have no such folder */
	if (strcmp(base_name(argv[0]), "crun") == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0)
		(void) umount2(HYBRID, MNT_DETACH);
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			(void) dup2(stdio[i], i); /* both are open */
	(void) execvp(argv[0], argv);
	_exit(127);
}

/* What it wrote to its log, for a sentence. */
static void last_words(const char *log, char out[WORDS])
{
	autobuf struct co_buf text = { 0 };
	const char *from;

	out[0] = 0;
	if (ctr_file_read(log, 65536, &text, NULL) < 0 || text.size == 0)
		return;
	while (text.size && text.data[text.size - 1] == '\n')
		text.data[--text.size] = 0;
	from = strrchr(text.data, '\n');
	(void) snprintf(out, WORDS, "%s", from ? from + 1 : text.data);
}

/* `runtime --root R [--log F] words...`; its status is 0. */
static int run(const char *runtime, const char *folder, char *const words[],
	       const int stdio[3], struct co_err *err)
{
	static const int quiet[3] = { -1, -1, -1 };
	autofree char *state = monitor_path(folder, "runtime", NULL);
	autofree char *log = monitor_path(folder, "runtime.log", NULL);
	char *argv[16] = { (char *) (uintptr_t) runtime, "--root", state, "--log",
			   log };
	char said[WORDS];
	size_t n = 5;
	int status = 0;
	pid_t pid;

	if (!state || !log)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	if (strcmp(base_name(runtime), "crun") == 0)
		argv[n++] = "--cgroup-manager=disabled";
	for (size_t i = 0; words[i] && n < co_countof(argv) - 1; i++)
		argv[n++] = words[i];
	(void) unlink(log); /* of the last time; or none */
	pid = fork();
	if (pid == 0)
		become(argv, stdio ? stdio : quiet);
	if (pid < 0)
		return co_fail_errno(err, errno, "no process for %s", runtime);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_words(log, said);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !said[0])
		return co_fail(err, CO_NOT_FOUND, "the runtime %s cannot be executed",
			       runtime);
	return co_fail(err, strstr(said, "not found") ? CO_NOT_FOUND : CO_IO,
		       "%s %s failed: %s", runtime, words[0],
		       said[0] ? said : "it does not say why");
}

/* ---- its root file system ---- */

/* A user name space with the container's maps, for layers that are shown with its ids. */
static int make_user_ns(const struct ctr_config *config, struct co_err *err)
{
	char path[64], byte;
	int ready[2], fd = -1, rc = 0;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) == 0 && write(ready[1], "", 1) == 1)
			(void) pause();
		_exit(1);
	}
	(void) close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		rc = co_fail_errno(err, errno, "no user name space can be made");
	(void) close(ready[0]);
	if (rc == 0)
		rc = ctr_id_maps_write(pid, &config->uids, &config->gids, err);
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	if (rc == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (pid > 0) {
		(void) kill(pid, SIGKILL); /* our child */
		(void) waitpid(pid, NULL, 0);
	}
	if (rc == 0 && fd < 0)
		rc = co_fail_errno(err, errno, "a user name space cannot be held");
	return rc < 0 ? rc : fd;
}

static int mount_root(struct monitor *m, int user_ns, struct co_err *err)
{
	struct ctr_rootfs files = { .count = 0 };
	int rc = ctr_rootfs_gather(m->config, user_ns, &files, err);

	if (rc == 0 && files.count && files.fds[0] >= 0 &&
	    syscall(SYS_move_mount, files.fds[0], "", AT_FDCWD, m->config->root,
		    MOVE_MOUNT_F_EMPTY_PATH) < 0)
		rc = co_fail_errno(err, errno, "the root cannot be mounted at %s",
				   m->config->root);
	else if (rc == 0 && (!files.count || files.fds[0] < 0))
		rc = co_fail(
			err, CO_UNSUPPORTED,
			"layers can be mounted for another runtime by root only; use "
			"the builtin one");
	ctr_rootfs_done(&files);
	return rc;
}

static int prepare_root(struct monitor *m, struct co_err *err)
{
	autoclose int user_ns = -1;
	int rc = 0;

	if (geteuid() != 0 && m->config->cloudos.layers.count)
		return co_fail(
			err, CO_UNSUPPORTED,
			"layers can be mounted for another runtime by root only; use "
			"the builtin one");
	if (geteuid() != 0)
		return ctr_rootfs_check(m->config->root, m->config, err);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return co_fail_errno(err, errno, "no mount name space can be made");
	if (m->config->cloudos.layers.count) {
		if (ctr_config_namespace(m->config, CLONE_NEWUSER))
			user_ns = make_user_ns(m->config, err);
		if (user_ns < -1)
			return user_ns;
		rc = mount_root(m, user_ns, err);
	}
	if (rc == 0)
		rc = ctr_rootfs_check(m->config->root, m->config, err);
	return rc;
}

/* ---- the container ---- */

static int read_pid(const char *path, pid_t *out, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	int rc = ctr_file_read(path, 64, &text, err);

	if (rc < 0)
		return rc;
	co_buf_char(&text, 0);
	*out = text.failed ? 0 : (pid_t) strtol(text.data, NULL, 10);
	return *out > 1 ? 0 : co_fail(err, CO_PROTOCOL, "%s has no pid", path);
}

int monitor_runtime_create(struct monitor *m, const int stdio[3], struct co_err *err)
{
	autofree char *file = monitor_path(m->folder, "runtime.pid", NULL);
	char *words[] = {
		"create",     "--bundle", (char *) (uintptr_t) m->options->bundle,
		"--pid-file", file,       (char *) (uintptr_t) m->options->id,
		NULL
	};
	int rc;

	if (!file)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	if (m->terminal)
		return co_fail(err, CO_UNSUPPORTED,
			       "a terminal needs the builtin runtime; leave out -t or "
			       "`runtime`");
	rc = prepare_root(m, err);
	if (rc == 0)
		rc = run(m->options->runtime, m->folder, words, stdio, err);
	if (rc == 0)
		rc = read_pid(file, &m->container.pid, err);
	(void) unlink(file);
	if (rc < 0)
		return rc;
	m->container.pidfd = (int) syscall(SYS_pidfd_open, m->container.pid, 0);
	if (m->container.pidfd < 0)
		return co_fail_errno(err, errno, "process %d cannot be held",
				     (int) m->container.pid);
	rc = ctr_joined_check(m->config, err);
	return rc < 0 ? rc : ctr_cgroup_add(m->cgroup, m->container.pid, err);
}

int monitor_runtime_start(struct monitor *m, struct co_err *err)
{
	char *words[] = { "start", (char *) (uintptr_t) m->options->id, NULL };

	return run(m->options->runtime, m->folder, words, NULL, err);
}

void monitor_runtime_delete(const char *runtime, const char *folder, const char *id)
{
	autofree char *state = monitor_path(folder, "runtime", NULL);
	autofree char *log = monitor_path(folder, "runtime.log", NULL);
	char *words[] = { "delete", "--force", (char *) (uintptr_t) id, NULL };

	(void) run(runtime, folder, words, NULL, NULL); /* often gone already */
	if (log)
		(void) unlink(log);
	if (state)
		(void) rmdir(
			state); /* something of the runtime's own stays, and is told */
}
