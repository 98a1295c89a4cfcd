/* SPDX-License-Identifier: MIT */
/*
 * What a hostile program inside a container tries, printed a line each.  HOST, static.
 *
 *	intruder fds            descriptors besides 0, 1 and 2, as "fd N TARGET"
 *	intruder up PATH        climbs from the current folder, then looks for PATH below:
 *	                        "found" or "not found"
 *	intruder exe FILE       holds the program of every process that comes, until FILE
 *	                        exists; tries to open it for writing when the process has
 *	                        gone, and what could be is "writable DEV INO"
 *	intruder pause          lives for a moment
 *	intruder nothing
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 256 };

struct held {
	int pid, fd;
	ino_t program;
};

static int list_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *e;

	if (!folder)
		return 1;
	while ((e = readdir(folder))) {
		int fd = (int) strtol(e->d_name, NULL, 10);
		char target[4096];
		ssize_t n;

		if (fd < 3 || fd == dirfd(folder))
			continue;
		n = readlinkat(dirfd(folder), e->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		printf("fd %d %s\n", fd, target);
	}
	(void) closedir(folder); /* nothing was written */
	return 0;
}

static int climb(const char *path)
{
	char up[4096];
	size_t n = 0;

	/* from a folder outside, /.. does not stop at our root */
	for (int i = 0; i < 64; i++)
		n += (size_t) snprintf(up + n, sizeof(up) - n, "../");
	(void) snprintf(up + n, sizeof(up) - n, "%s", path + 1); /* cut is not found */
	printf(access(up, F_OK) == 0 ? "found\n" : "not found\n");
	return 0;
}

/* One that is gone: can what it ran be opened for writing?  Nothing is written. */
static void try_to_write(const struct held *h)
{
	char path[64];
	struct stat st;
	int fd;

	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd); /* fits */
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0)
		printf("writable %lu %lu\n", (unsigned long) st.st_dev,
		       (unsigned long) st.st_ino);
	if (fd >= 0)
		(void) close(fd); /* nothing was written */
}

/* A process may become another program: each of them is held. */
static int hold(struct held *held, int count, int pid)
{
	char path[64];
	struct stat st;
	int fd;

	(void) snprintf(path, sizeof(path), "/proc/%d/exe", pid); /* fits */
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || count == HELD)
		st.st_ino = 0;
	for (int i = 0; st.st_ino && i < count; i++)
		if (held[i].pid == pid && held[i].program == st.st_ino)
			st.st_ino = 0;
	if (!st.st_ino) {
		(void) close(fd); /* O_PATH */
		return 0;
	}
	held[count] = (struct held){ .pid = pid, .fd = fd, .program = st.st_ino };
	return 1;
}

static int hold_programs(const char *end)
{
	struct timespec pause = { .tv_nsec = 50000 };
	struct held held[HELD];
	int count = 0;

	printf("ready\n");
	(void) fflush(stdout); /* the test waits for it */
	while (access(end, F_OK) < 0) {
		DIR *folder = opendir("/proc");
		const struct dirent *e;

		while (folder && (e = readdir(folder))) {
			int pid = (int) strtol(e->d_name, NULL, 10);

			if (pid > 0 && pid != getpid())
				count += hold(held, count, pid);
		}
		if (folder)
			(void) closedir(folder); /* nothing was written */
		for (int i = 0; i < count;) {
			if (kill(held[i].pid, 0) == 0 || errno != ESRCH) {
				i++;
				continue;
			}
			try_to_write(&held[i]);
			(void) close(held[i].fd); /* O_PATH */
			held[i] = held[--count];
		}
		(void) fflush(stdout);          /* the test reads it meanwhile */
		(void) nanosleep(&pause, NULL); /* the others want to run too */
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "fds") == 0)
		return list_descriptors();
	if (argc > 2 && strcmp(argv[1], "up") == 0)
		return climb(argv[2]);
	if (argc > 2 && strcmp(argv[1], "exe") == 0)
		return hold_programs(argv[2]);
	if (argc > 1 && strcmp(argv[1], "pause") == 0)
		return nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL) < 0;
	return 0;
}
