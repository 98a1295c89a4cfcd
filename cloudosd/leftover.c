/* SPDX-License-Identifier: MIT */
/* Processes that a program under trap has left behind.  HOST. */
#include "cloudosd/leftover.h"

#include <co/trap.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/member.h"
#include "cloudosd/session.h"
#include "lib/cleanup.h"

#define LOADER "cloudos-loader"

/* Of one between exec and its mark: 1, 2, 4 ms and so on, half a second in all. */
enum { PATIENCE_US = 1000, ATTEMPTS = 10 };

struct look_waiter {
	void (*then)(void *);
	void *arg;
	struct look_waiter *next;
};

struct look { /* on a worker thread, without the core lock */
	struct session *session;
	char mark[32]; /* how its line in maps begins */
	int pidfd;     /* of one that was found; -1 */
	bool starting; /* one was between exec and its mark */
};

static bool is_loader(const char *pid)
{
	char path[64], exe[CO_PATH_SIZE];
	const char *slash;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = 0;
	slash = strrchr(exe, '/');
	return slash && !strncmp(slash + 1, LOADER, strlen(LOADER));
}

/* Is a process of that program ours?  Any mark at all says that it has begun. */
static bool has_mark(struct look *l, const char *pid)
{
	char path[64], line[512];
	autofclose FILE *f = NULL;
	bool begun = false;

	(void) snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long at = strtoul(line, NULL, 16);

		if (!strncmp(line, l->mark, strlen(l->mark)))
			return true;
		begun |= at >= CO_TRAP_MARKS && at < CO_TRAP_MARKS_END;
	}
	l->starting |= f && !begun;
	return false;
}

static void look_once(struct look *l)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && l->pidfd < 0 && (entry = readdir(folder))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !is_loader(entry->d_name))
			continue;
		if (has_mark(l, entry->d_name))
			l->pidfd = (int) syscall(SYS_pidfd_open,
						 strtol(entry->d_name, NULL, 10), 0);
	}
	if (folder)
		(void) closedir(folder);
}

static void work(void *arg)
{
	struct look *l = arg;

	for (int i = 0; i < ATTEMPTS && l->pidfd < 0; i++) {
		if (i && !l->starting)
			return;
		if (i) /* shorter: one look less */
			(void) usleep((useconds_t) PATIENCE_US << (i - 1));
		l->starting = false;
		look_once(l);
	}
}

static void ended(void *arg)
{
	struct session *s = arg;

	leftover_forget(s);
	members_check(s); /* somebody else may have been left */
}

static void known(struct daemon *d)
{
	struct look_waiter *waiters = d->look_waiters, *w;

	if (d->looks)
		return;
	d->look_waiters = NULL;
	while ((w = waiters)) {
		LL_DELETE(waiters, w);
		w->then(w->arg);
		free(w);
	}
}

void leftover_when_known(struct daemon *d, void (*then)(void *), void *arg)
{
	struct look_waiter *w = d->looks ? malloc(sizeof(*w)) : NULL;

	core_assert_locked();
	if (!w) { /* out of memory: as far as it is known */
		then(arg);
		return;
	}
	*w = (struct look_waiter){ then, arg, NULL };
	LL_APPEND(d->look_waiters, w);
}

static void done(void *arg)
{
	struct look *l = arg;
	struct session *s = l->session;
	struct daemon *d = s->daemon;
	const struct co_host *host = d->host;

	s->looking = false;
	d->looks--;
	if (session_find(d, s->id, NULL) == s && l->pidfd >= 0) {
		s->leftover_fd = l->pidfd;
		s->leftover = host->watch_new(host->ctx, l->pidfd, false, ended, s);
		l->pidfd = -1;
		if (!s->leftover)
			leftover_forget(s);
	} else if (!s->guests) {
		session_end(s, "its launcher and its last process are gone");
	}
	if (l->pidfd >= 0)
		(void) close(l->pidfd);
	(void) session_unref(s);
	free(l);
	known(d);
}

void leftover_look(struct session *s)
{
	struct daemon *d = s->daemon;
	const struct co_host *host = d->host;
	struct look *l;

	core_assert_locked();
	if (s->looking || s->leftover)
		return;
	l = calloc(1, sizeof(*l));
	if (l) {
		l->session = session_ref(s);
		l->pidfd = -1;
		(void) snprintf(l->mark, sizeof(l->mark), "%llx-",
				(unsigned long long) co_trap_mark(
					session_row(s)->contained ? CO_CONTAINED_FOLDER
								  : d->paths.run,
					s->id));
		s->looking = true;
		d->looks++;
		if (host->offload(host->ctx, work, done, l) == 0)
			return;
		s->looking = false;
		d->looks--;
		(void) session_unref(s);
		free(l);
	}
	session_end(s, "its launcher is gone"); /* revived by whoever calls again */
}

void leftover_forget(struct session *s)
{
	core_assert_locked();
	if (!s->leftover && s->leftover_fd < 0)
		return;
	s->daemon->host->watch_free(s->leftover);
	s->leftover = NULL;
	(void) close(s->leftover_fd);
	s->leftover_fd = -1;
}
