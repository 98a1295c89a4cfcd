/* SPDX-License-Identifier: MIT */
/* Detached mounts: new ones, copies of old ones, their options and ids.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

int rootfs_tree_open(const char *path, bool recursive)
{
	return open_tree(AT_FDCWD, path,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				 (recursive ? AT_RECURSIVE : 0u));
}

int rootfs_tree_set(int tree, const struct rootfs_options *o, const char *name,
		    struct co_err *err)
{
	struct mount_attr all = { .attr_set = o->set_all,
				  .attr_clr = o->clear_all,
				  /* a copy of a shared mount would stay its peer */
				  .propagation = MS_PRIVATE };
	struct mount_attr one = { .attr_set = o->set, .attr_clr = o->clear };

	if (o->propagation && o->propagation_all)
		all.propagation = o->propagation;
	else
		one.propagation = o->propagation;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)) <
	    0)
		return co_fail_errno(err, errno,
				     "cannot set the options of %s and below", name);
	if (!one.attr_set && !one.attr_clr && !one.propagation)
		return 0;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &one, sizeof(one)) < 0)
		return co_fail_errno(err, errno, "cannot set the options of %s", name);
	return 0;
}

int rootfs_tree_idmap(int tree, bool recursive, int user_ns, const char *name,
		      struct co_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
				   .userns_fd = (unsigned int) user_ns };

	if (mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
			  &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == EPERM)
		return co_fail(err, CO_ACCESS,
			       "cannot map the ids of %s: only root may, and no mount "
			       "that is mapped already",
			       name);
	return co_fail_errno(err, errno,
			     "cannot map the ids of %s, its file system does not know "
			     "how",
			     name);
}

/* Waits to be killed: all that is wanted of it is its name space. */
static pid_t sleeper(void)
{
	pid_t pid = (pid_t) syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		for (;;)
			(void) pause(); /* killed */
	}
	return pid;
}

static int write_map(pid_t pid, const char *which, const struct ctr_id_maps *maps)
{
	char path[64], text[4096];
	size_t used = 0;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%d/%s_map", (int) pid,
			which); /* fits */
	for (size_t i = 0; i < maps->count && used < sizeof(text); i++)
		used += (size_t) snprintf(text + used, sizeof(text) - used,
					  "%u %u %u\n", maps->at[i].inside,
					  maps->at[i].outside, maps->at[i].count);
	if (used >= sizeof(text))
		return -E2BIG;
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = write(fd, text, used);
	return n < 0 ? -errno : 0;
}

int rootfs_user_ns(const struct ctr_id_maps *uids, const struct ctr_id_maps *gids,
		   int *out, struct co_err *err)
{
	pid_t pid = sleeper();
	char path[64];
	int status, fd = -1;

	if (pid < 0)
		return co_fail_errno(err, errno,
				     "cannot make a user name space for a mount's ids");
	status = write_map(pid, "uid", uids);
	if (status == 0)
		status = write_map(pid, "gid", gids);
	if (status == 0) {
		(void) snprintf(path, sizeof(path), "/proc/%d/ns/user",
				(int) pid); /* fits */
		fd = open(path, O_RDONLY | O_CLOEXEC);
		status = fd < 0 ? -errno : 0;
	}
	(void) kill(pid, SIGKILL); /* ours, and not reaped yet */
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	if (status < 0)
		return co_fail_errno(err, -status, "cannot write a mount's id maps");
	*out = fd;
	return 0;
}

/* What the kernel has to say about a file system that it did not make. */
static void reason(int fs, char out[256])
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	out[0] = 0;
	if (n <= 2)
		return;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	(void) snprintf(out, 256, "%s", text + 2); /* behind "e " */
}

static int configure(int fs, const struct ctr_texts *data)
{
	for (size_t i = 0; data && i < data->count; i++) {
		const char *word = data->at[i], *is = strchr(word, '=');
		char key[256];
		int done;

		if (rootfs_option_known(word) || !*word)
			continue;
		if (!is) {
			done = fsconfig(fs, FSCONFIG_SET_FLAG, word, NULL, 0);
		} else {
			if ((size_t) (is - word) >= sizeof(key))
				return -EINVAL;
			memcpy(key, word, (size_t) (is - word));
			key[is - word] = 0;
			done = fsconfig(fs, FSCONFIG_SET_STRING, key, is + 1, 0);
		}
		if (done < 0)
			return -errno;
	}
	return 0;
}

int rootfs_fs_new(const struct rootfs_new *what, int *out, char out_reason[256])
{
	autoclose int fs = fsopen(what->type, FSOPEN_CLOEXEC);
	int status, mount;

	out_reason[0] = 0;
	if (fs < 0)
		return -errno;
	status = configure(fs, what->data);
	if (status == 0 && what->source &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "source", what->source, 0) < 0)
		status = -errno;
	if (status == 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		status = -errno;
	if (status < 0) {
		reason(fs, out_reason);
		return status;
	}
	mount = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int) what->attributes);
	if (mount < 0)
		return -errno;
	*out = mount;
	return 0;
}

int rootfs_tree_move(int tree, int target, const char *name, struct co_err *err)
{
	if (move_mount(tree, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
		return 0;
	return co_fail_errno(err, errno, "cannot mount %s in the container", name);
}
