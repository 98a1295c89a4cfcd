/* SPDX-License-Identifier: MIT */
/* The ids of a user name space.  HOST. */
#include "cloudosd/ctr/id_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/buf.h"
#include "lib/cleanup.h"

enum { MAPS_MAX = 340 }; /* the kernel's */

static int write_file(pid_t pid, const char *file, const char *text, size_t size)
{
	char path[64];
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, size) != (ssize_t) size)
		return -errno;
	return 0;
}

static _Noreturn void become_helper(const char *tool, pid_t pid,
				    const struct ctr_id_maps *maps, char *argv[])
{
	static char numbers[MAPS_MAX * 3 + 2][12];
	static char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	size_t n = 0;

	argv[n++] = (char *) (uintptr_t) tool;
	(void) snprintf(numbers[n], sizeof(numbers[n]), "%d", pid);
	argv[n] = numbers[n];
	n++;
	for (size_t i = 0; i < maps->count; i++) {
		uint32_t row[] = { maps->at[i].inside, maps->at[i].outside,
				   maps->at[i].count };

		for (size_t j = 0; j < 3; j++, n++) {
			(void) snprintf(numbers[n], sizeof(numbers[n]), "%u", row[j]);
			argv[n] = numbers[n];
		}
	}
	argv[n] = NULL;
	(void) execvpe(tool, argv, env);
	_exit(127);
}

static int by_helper(const char *tool, pid_t pid, const struct ctr_id_maps *maps,
		     struct co_err *err)
{
	static char *argv[MAPS_MAX * 3 + 3];
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		return co_fail_errno(err, errno, "no process for %s", tool);
	if (child == 0)
		become_helper(tool, pid, maps, argv);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return co_fail(
			err, CO_ACCESS,
			"the ids of the container are not ours to map, and there "
			"is no %s: apt install uidmap, or map one id only",
			tool);
	return co_fail(err, CO_ACCESS,
		       "%s refused the ids of the container: %s has no entry that "
		       "allows them",
		       tool, tool[3] == 'u' ? "/etc/subuid" : "/etc/subgid");
}

static int one_map(pid_t pid, bool groups, const struct ctr_id_maps *maps,
		   struct co_err *err)
{
	struct ctr_id_map own = { .inside = 0, .count = 1 };
	struct ctr_id_maps alone = { .at = &own, .count = 1 };
	autobuf struct co_buf text = { 0 };
	int rc;

	if (maps->count == 0) {
		own.outside = groups ? getegid() : geteuid();
		maps = &alone;
	}
	if (maps->count > MAPS_MAX)
		return co_fail(err, CO_INVALID, "more than %d rows of id mappings",
			       MAPS_MAX);
	for (size_t i = 0; i < maps->count; i++)
		co_buf_format(&text, "%u %u %u\n", maps->at[i].inside,
			      maps->at[i].outside, maps->at[i].count);
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	rc = write_file(pid, groups ? "gid_map" : "uid_map", text.data, text.size);
	if (rc == -EPERM && geteuid() != 0 && maps->count == 1 &&
	    maps->at[0].count == 1 && groups) {
		/* who maps only himself gives up changing groups */
		if (write_file(pid, "setgroups", "deny", 4) == 0)
			rc = write_file(pid, "gid_map", text.data, text.size);
	}
	if (rc == -EPERM && geteuid() != 0)
		return by_helper(groups ? "newgidmap" : "newuidmap", pid, maps, err);
	if (rc < 0)
		return co_fail_errno(err, -rc,
				     "the %s ids of the container cannot be mapped",
				     groups ? "group" : "user");
	return 0;
}

int ctr_id_maps_write(pid_t pid, const struct ctr_id_maps *uids,
		      const struct ctr_id_maps *gids, struct co_err *err)
{
	int rc = one_map(pid, false, uids, err);

	return rc == 0 ? one_map(pid, true, gids, err) : rc;
}
