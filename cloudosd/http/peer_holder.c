/* SPDX-License-Identifier: MIT */
/*
 * Which process has the socket at the other end, and is it one of ours?  HOST.
 *
 * A container or a confined program with the network of this machine has, without root, the
 * daemon's own user id: the kernel tells the same user for its sockets.  What such a process
 * cannot have is the daemon's pid name space.  So /proc is searched for who has the socket;
 * nobody found is nobody to be trusted.  (Another user name space alone is no sign: the
 * programs of services have one, for the names of the others.)
 *
 * Those who were it lately are looked at at once.  Otherwise a thread looks at all processes,
 * the newest first, for all who wait together, and answers by the loop; what it has searched
 * in vain it rests for, so that nobody keeps a CPU busy by hiding his socket.
 */
#include "cloudosd/http/peer_holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/service/host.h"
#include "lib/cleanup.h"

enum {
	TOGETHER = 128,     /* sockets searched for in one go */
	PROCESSES = 32768,  /* looked at, at most */
	LINKS = 1 << 17,    /* descriptors of them */
	LATELY = 4,         /* processes looked at at once ... */
	LATELY_LINKS = 128, /* ... and descriptors of each */
	NEWEST = 32,        /* numbers looked at before all processes are listed */
	REST = 3,           /* times as long as it was searched in vain */
};

struct search {
	int proc;
	struct stat own; /* pid name space */
	bool has;
	int links;
	unsigned long wanted[TOGETHER];
	bool found[TOGETHER], ours[TOGETHER];
	size_t count, missing;
};

struct peer_ask {
	unsigned long inode;
	void (*told)(void *arg, bool own);
	void *arg;
	enum { WAITING, SEARCHED, FOUND_OUT } state;
	bool own;
	struct peer_ask *prev, *next;
};

/* All under the core lock. */
static struct {
	const struct co_host *host;
	struct peer_ask *asks;
	pid_t lately[LATELY];
	unsigned turn;
	bool runs; /* the thread */
	sem_t work;
} holders;

/* ---- one process ---- */

static bool lives_with_us(const struct search *s, int process)
{
	struct stat st;

	return !s->has || (fstatat(process, "ns/pid", &st, 0) == 0 &&
			   st.st_ino == s->own.st_ino && st.st_dev == s->own.st_dev);
}

/* The one of those searched for that a link "socket:[123]" is; -1: none. */
static long which(const struct search *s, const char *link)
{
	static const char prefix[] = "socket:[";
	unsigned long inode;

	if (strncmp(link, prefix, strlen(prefix)) != 0)
		return -1;
	inode = strtoul(link + strlen(prefix), NULL, 10);
	for (size_t i = 0; i < s->count; i++)
		if (s->wanted[i] == inode && !s->found[i])
			return (long) i;
	return -1;
}

/* Whether it has any of them. */
static bool look_at_descriptors(struct search *s, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char link[64];
	bool any = false, ours = false;

	if (!dir && fd >= 0)
		(void) close(fd); /* a folder */
	while (dir && s->missing && s->links > 0 && (entry = readdir(dir))) {
		ssize_t n =
			entry->d_name[0] == '.'
				? 0
				: readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
		long at;

		s->links--;
		link[n > 0 ? n : 0] = '\0';
		at = which(s, link);
		if (at < 0)
			continue;
		ours = any ? ours : lives_with_us(s, process);
		any = s->found[at] = true;
		s->ours[at] = ours;
		s->missing--;
	}
	if (dir)
		(void) closedir(dir); /* read only */
	return any;
}

/* All is looked at below one descriptor: of one process, whoever gets its number. */
static bool look_at(struct search *s, pid_t pid)
{
	autoclose int process = -1;
	struct stat st;
	char name[16];

	/* what clients hand to the daemon or the keeper is not ours by that */
	if (pid == getpid() || pid == getppid())
		return false;
	(void) snprintf(name, sizeof(name), "%d", (int) pid);
	process = openat(s->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return process >= 0 && fstat(process, &st) == 0 && st.st_uid == geteuid() &&
	       look_at_descriptors(s, process);
}

static bool search_begin(struct search *s)
{
	s->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* a kernel without such name spaces has nobody in another one */
	s->has = s->proc >= 0 && fstatat(s->proc, "self/ns/pid", &s->own, 0) == 0;
	if (!s->has && errno != ENOENT)
		return false;
	s->missing = s->count;
	return s->proc >= 0;
}

static void search_end(struct search *s)
{
	if (s->proc >= 0)
		(void) close(s->proc); /* a folder */
}

/* ---- all processes ---- */

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

static void remember(pid_t pid)
{
	core_lock();
	holders.lately[holders.turn++ % LATELY] = pid;
	core_unlock();
}

/* The process that was made last, as /proc/loadavg has it; 0: unknown. */
static pid_t newest(int proc)
{
	autoclose int fd = openat(proc, "loadavg", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *last;

	text[n > 0 ? n : 0] = '\0';
	last = strrchr(text, ' ');
	return last ? (pid_t) strtol(last, NULL, 10) : 0;
}

static void look_and_remember(struct search *s, pid_t pid)
{
	if (pid > 0 && look_at(s, pid))
		remember(pid);
}

static void search_all(struct search *s)
{
	autofree pid_t *pids = NULL;
	size_t n, from = 0;
	pid_t last;

	s->links = LINKS;
	if (!search_begin(s))
		return;
	last = newest(s->proc);
	for (pid_t i = 0; i < NEWEST && s->missing; i++)
		look_and_remember(s, last - i);
	if (!s->missing)
		return;
	/* numbers are given in turn, and then from the lowest again */
	n = list_processes(s->proc, &pids);
	while (from < n && pids[from] <= last)
		from++;
	for (size_t i = 0; i < n && s->missing && s->links > 0; i++)
		look_and_remember(s, pids[(from + n - 1 - i) % n]);
}

/* ---- the thread ---- */

static struct peer_ask *found_out(void)
{
	struct peer_ask *a;

	DL_SEARCH_SCALAR(holders.asks, a, state, FOUND_OUT);
	return a;
}

static void tell(void *unused)
{
	struct peer_ask *a;

	(void) unused;
	while ((a = found_out())) { /* who was told may have dropped others */
		DL_DELETE(holders.asks, a);
		a->told(a->arg, a->own);
		free(a);
	}
}

static bool take_asks(struct search *s)
{
	struct peer_ask *a;

	*s = (struct search){ .proc = -1 };
	core_lock();
	DL_FOREACH (holders.asks, a) {
		if (a->state != WAITING || s->count == TOGETHER)
			continue;
		a->state = SEARCHED;
		s->wanted[s->count++] = a->inode;
	}
	core_unlock();
	return s->count > 0;
}

static void give_answers(const struct search *s)
{
	struct peer_ask *a;

	core_lock();
	DL_FOREACH (holders.asks, a)
		for (size_t i = 0; i < s->count && a->state == SEARCHED; i++)
			if (s->wanted[i] == a->inode) {
				a->own = s->ours[i];
				a->state = FOUND_OUT;
			}
	holders.host->post(holders.host->ctx, tell, NULL);
	core_unlock();
}

static void rest(const struct timespec *begun)
{
	struct timespec now, pause;
	int64_t ns;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (now.tv_sec - begun->tv_sec) * INT64_C(1000000000) + now.tv_nsec -
	     begun->tv_nsec;
	ns *= REST;
	pause = (struct timespec){ ns / 1000000000, ns % 1000000000 };
	(void) nanosleep(&pause, NULL);
}

static void *run(void *unused)
{
	static struct search s; /* large */

	(void) unused;
	for (;;) {
		struct timespec begun;

		while (sem_wait(&holders.work) < 0)
			;
		while (take_asks(&s)) {
			(void) clock_gettime(CLOCK_MONOTONIC, &begun);
			search_all(&s);
			search_end(&s);
			give_answers(&s);
			if (s.missing)
				rest(&begun);
		}
	}
	return NULL;
}

static bool start(const struct co_host *host)
{
	sigset_t all, old;
	pthread_t thread;

	if (holders.runs)
		return true;
	holders.host = host;
	if (sem_init(&holders.work, 0, 0) < 0)
		return false;
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &old);
	holders.runs = pthread_create(&thread, NULL, run, NULL) == 0;
	(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (holders.runs)
		(void) pthread_detach(thread); /* it lives as long as the daemon */
	return holders.runs;
}

/* ---- for others ---- */

static bool lately_ours(unsigned long inode, bool *out_own)
{
	struct search s = { .proc = -1, .wanted = { inode }, .count = 1 };

	if (search_begin(&s))
		for (unsigned i = 0; i < LATELY && s.missing; i++) {
			s.links = LATELY_LINKS;
			if (holders.lately[i])
				(void) look_at(&s, holders.lately[i]);
		}
	search_end(&s);
	*out_own = s.ours[0];
	return s.found[0];
}

struct peer_ask *peer_holder_ask(const struct co_host *host, unsigned long inode,
				 bool *out_own, void (*told)(void *arg, bool own),
				 void *arg)
{
	struct peer_ask *a;

	core_assert_locked();
	if (lately_ours(inode, out_own))
		return NULL;
	*out_own = false;
	a = start(host) ? calloc(1, sizeof(*a)) : NULL;
	if (!a)
		return NULL;
	*a = (struct peer_ask){ .inode = inode, .told = told, .arg = arg };
	DL_APPEND(holders.asks, a);
	(void) sem_post(&holders.work);
	return a;
}

struct peer_ask *peer_ask_drop(struct peer_ask *a)
{
	if (!a)
		return NULL;
	core_assert_locked();
	DL_DELETE(holders.asks, a);
	free(a);
	return NULL;
}
