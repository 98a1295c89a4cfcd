/* SPDX-License-Identifier: MIT */
/* What launchers have left behind.  HOST. */
#include "cloudosd/left.h"

#include <co/trap.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/member.h"
#include "lib/cleanup.h"

#define LOADER "/cloudos-loader"

/* A process may slip through one look: its child is behind us when its parent has ended.  And
 * one that nothing is known of does not keep others' sessions for long. */
enum { EVERY_MS = 200, EMPTY = 2, DOUBTS = 10 };

struct left {
	struct daemon *daemon;
	struct co_timer *timer;
	bool looking, again;
};

struct look {
	struct left *left;
	const char *folder;
	bool unknown; /* somebody is there who could be of any session */
	size_t count;
	struct {
		uint64_t id;
		bool lives;
	} sessions[];
};

/* ---- on a worker thread ---- */

static bool is_loader(int32_t pid)
{
	char path[64], program[CO_PATH_SIZE];
	ssize_t n;
	char *end;

	(void) snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = 0;
	end = strstr(program, " (deleted)"); /* another version is installed by now */
	if (end)
		*end = 0;
	end = strrchr(program, '/');
	return end && !strcmp(end, LOADER);
}

static bool copy(int32_t pid, uint64_t from, void *out, size_t n)
{
	struct iovec here = { out, n }, there = { (void *) from, n };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t) n;
}

static void look_into(struct look *look, int32_t pid)
{
	char folder[CO_PATH_SIZE];
	size_t length = strlen(look->folder) + 1;
	struct co_trap_stats stats;

	if (!copy(pid, CO_TRAP_STATS, &stats, sizeof(stats)) ||
	    stats.mark != CO_TRAP_STATS_MARK) {
		look->unknown =
			true; /* it has only just begun, or may not be looked into */
		return;
	}
	if (!copy(pid, stats.folder, folder, length) ||
	    memcmp(folder, look->folder, length) != 0)
		return; /* of another domain */
	for (size_t i = 0; i < look->count; i++)
		look->sessions[i].lives |= look->sessions[i].id == stats.session;
}

static void look_work(void *arg)
{
	struct look *look = arg;
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int32_t pid = (int32_t) strtol(entry->d_name, NULL, 10);

		if (pid > 0 && is_loader(pid))
			look_into(look, pid);
	}
	for (size_t i = 0; !dir && i < look->count; i++)
		look->sessions[i].lives = true; /* who knows */
	if (dir)
		(void) closedir(dir); /* was only read */
}

/* ---- under the core lock ---- */

static void look_done(void *arg)
{
	struct look *look = arg;
	struct left *l = look->left;
	bool more = false;

	l->looking = false;
	for (size_t i = 0; i < look->count; i++) {
		struct session *s = session_find(l->daemon, look->sessions[i].id, NULL);

		if (!s || !members_none(s))
			continue;
		more = true;
		if (look->sessions[i].lives)
			s->empty = s->doubts = 0;
		else if (look->unknown && s->doubts < DOUBTS)
			s->doubts++;
		else if (++s->empty < EMPTY)
			l->again = true;
		else
			session_end(s, "its launcher and its last process are gone");
	}
	free(look);
	if (l->again)
		left_look(l);
	else if (more)
		l->daemon->host->timer_start(l->timer, EVERY_MS);
}

void left_look(struct left *l)
{
	struct daemon *d = l->daemon;
	struct session *s, *next;
	struct look *look;

	core_assert_locked();
	l->again = l->looking;
	if (l->looking)
		return;
	look = calloc(1, sizeof(*look) +
				 HASH_COUNT(d->sessions) * sizeof(look->sessions[0]));
	if (look) {
		look->left = l;
		look->folder = d->paths.run;
		HASH_ITER (hh, d->sessions, s, next)
			if (members_none(s))
				look->sessions[look->count++].id = s->id;
		l->looking = true;
		if (look->count &&
		    d->host->offload(d->host->ctx, look_work, look_done, look) == 0)
			return;
		l->looking = false;
	}
	if (!look || look->count) /* no memory, or too much to do: later */
		d->host->timer_start(l->timer, EVERY_MS);
	free(look);
}

static void fire(void *arg)
{
	left_look(arg);
}

int left_new(struct left **out, struct daemon *d, struct co_err *err)
{
	struct left *l = calloc(1, sizeof(*l));

	if (l) {
		l->daemon = d;
		l->timer = d->host->timer_new(d->host->ctx, fire, l);
	}
	if (!l || !l->timer) {
		free(l);
		return co_fail(err, CO_NO_MEMORY, "no memory for sessions");
	}
	*out = l;
	return 0;
}
