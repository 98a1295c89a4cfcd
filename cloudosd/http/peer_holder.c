/* SPDX-License-Identifier: MIT */
/*
 * Which process has the socket at the other end, and is it one of ours?  HOST.
 *
 * A container or a confined program with the network of this machine has, without root, the
 * daemon's own user id: the kernel tells the same user for its sockets.  What such a process
 * cannot have is the daemon's user name space and pid name space.  So /proc is searched for who
 * has the socket; nobody found is nobody to be trusted.  (A daemon of root: likewise, its
 * containers with `userns: host` are in another pid name space.)
 *
 * The newest processes come first, before them those that were it lately: clients are either
 * just begun, or come again.  What is searched in vain takes no more than a part of the time,
 * however often somebody tries.  Only the loop's thread comes here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/http/inside.h"
#include "lib/cleanup.h"

enum {
	PROCESSES = 32768, /* looked at, at most */
	LINKS = 65536,     /* descriptors of them */
	FEW = 16,          /* processes, when much was searched in vain */
	LATELY = 8,
	REST = 10, /* as much longer than what was searched in vain */
};

static const char *const spaces[] = { "ns/user", "ns/pid" };

struct search {
	int proc;
	char wanted[48];
	struct stat own[co_countof(spaces)];
	bool has[co_countof(spaces)];
	int links;
};

enum found { NOWHERE, OURS, STRANGERS };

static pid_t lately[LATELY];
static unsigned turn;
static uint64_t rest_until_us;

static uint64_t now_us(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static bool in_our_spaces(const struct search *s, int process)
{
	struct stat st;

	for (size_t i = 0; i < co_countof(spaces); i++)
		if (s->has[i] &&
		    (fstatat(process, spaces[i], &st, 0) < 0 ||
		     st.st_ino != s->own[i].st_ino || st.st_dev != s->own[i].st_dev))
			return false;
	return true;
}

static bool has_socket(struct search *s, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char link[64];
	bool found = false;

	if (!dir) {
		if (fd >= 0)
			(void) close(fd); /* a folder */
		return false;
	}
	while (!found && s->links > 0 && (entry = readdir(dir))) {
		ssize_t n =
			entry->d_name[0] == '.'
				? 0
				: readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		s->links--;
		if (n <= 0)
			continue;
		link[n] = '\0';
		found = strcmp(link, s->wanted) == 0;
	}
	(void) closedir(dir); /* read only */
	return found;
}

/* All is looked at below one descriptor: of one process, whoever gets its number. */
static enum found look_at(struct search *s, pid_t pid)
{
	autoclose int process = -1;
	struct stat st;
	char name[16];

	/* what clients hand to the daemon or the keeper is not ours by that */
	if (pid == getpid() || pid == getppid())
		return NOWHERE;
	(void) snprintf(name, sizeof(name), "%d", (int) pid);
	process = openat(s->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0 || fstat(process, &st) < 0 || st.st_uid != geteuid() ||
	    !has_socket(s, process))
		return NOWHERE;
	return in_our_spaces(s, process) ? OURS : STRANGERS;
}

static size_t list_processes(int proc, pid_t **out)
{
	int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0;

	*out = calloc(PROCESSES, sizeof(**out));
	if (!dir && fd >= 0)
		(void) close(fd); /* a folder */
	while (dir && *out && n < PROCESSES && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			(*out)[n++] = (pid_t) strtol(entry->d_name, NULL, 10);
	if (dir)
		(void) closedir(dir); /* read only */
	return n;
}

static enum found look_at_all(struct search *s)
{
	uint64_t begun = now_us();
	bool rests = begun < rest_until_us;
	autofree pid_t *pids = NULL;
	size_t n = list_processes(s->proc, &pids),
	       last = rests && n > FEW ? n - FEW : 0;
	enum found found = NOWHERE;

	while (found == NOWHERE && n > last && s->links > 0) {
		found = look_at(s, pids[--n]);
		if (found != NOWHERE)
			lately[turn++ % LATELY] = pids[n];
	}
	if (found == NOWHERE && !rests)
		rest_until_us = now_us() + (now_us() - begun) * REST;
	return found;
}

bool peer_holder_is_ours(unsigned long inode)
{
	autoclose int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct search s = { .proc = proc, .links = LINKS };
	enum found found = NOWHERE;

	if (proc < 0)
		return false;
	(void) snprintf(s.wanted, sizeof(s.wanted), "socket:[%lu]", inode);
	for (size_t i = 0; i < co_countof(spaces); i++) {
		char path[32];

		/* a kernel without such name spaces has nobody in another one */
		(void) snprintf(path, sizeof(path), "self/%s", spaces[i]);
		s.has[i] = fstatat(proc, path, &s.own[i], 0) == 0;
		if (!s.has[i] && errno != ENOENT)
			return false;
	}
	for (size_t i = 0; i < LATELY && found == NOWHERE; i++)
		if (lately[i])
			found = look_at(&s, lately[i]);
	if (found == NOWHERE)
		found = look_at_all(&s);
	return found == OURS;
}
