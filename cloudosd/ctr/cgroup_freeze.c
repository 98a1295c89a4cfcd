/* SPDX-License-Identifier: MIT */
/*
 * Stopping and killing everything in a container.  HOST.
 *
 * v2: cgroup.freeze and cgroup.kill, which also works while frozen.  v1: a signal does
 * nothing to a frozen process, so it is sent while they cannot fork and then they are thawed.
 * Without groups: SIGSTOP for each, until nobody new turns up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "cloudosd/ctr/cgroup_inside.h"

enum { FREEZE_MS = 10000, KILL_ROUNDS = 1000 };

static const char *freezer_of(const struct ctr_cgroup *g)
{
	for (size_t i = 0; i < g->v1_count; i++)
		if (g->v1[i].controllers & GROUP_FREEZER)
			return g->v1[i].path;
	return NULL;
}

static int timed_out(const char *folder, bool frozen, struct co_err *err)
{
	return co_fail(err, CO_TIMED_OUT,
		       "the processes in %s did not all %s within %d s", folder,
		       frozen ? "freeze" : "thaw", FREEZE_MS / 1000);
}

/* ---- v2 ---- */

/* cgroup.events says when all are; poll wakes whoever waits for a change of it. */
static int await_v2(const char *folder, bool frozen, struct co_err *err)
{
	char path[GROUP_PATH + 32];
	autoclose int fd = -1;
	int64_t end = group_now() + FREEZE_MS;

	(void) snprintf(path, sizeof(path), "%s/cgroup.events", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		uint64_t is = 0;
		char text[256];
		int64_t left = end - group_now();

		/* reading through this descriptor is what arms the poll */
		if (pread(fd, text, sizeof(text), 0) < 0)
			return co_fail_errno(err, errno, "cannot read %s", path);
		if (group_read_named(folder, "cgroup.events", "frozen", &is) &&
		    (is != 0) == frozen)
			return 0;
		if (left <= 0)
			return timed_out(folder, frozen, err);
		(void) poll(&p, 1, (int) left); /* looked at again anyway */
	}
}

static int freeze_v2(const char *folder, bool frozen, struct co_err *err)
{
	int rc = group_write(folder, "cgroup.freeze", frozen ? "1" : "0", err);

	if (rc == 0)
		rc = await_v2(folder, frozen, err);
	if (rc < 0 && frozen)
		(void) group_write(folder, "cgroup.freeze", "0", NULL); /* as it was */
	return rc;
}

/* ---- v1 ---- */

static bool v1_is(const char *folder, const char *state)
{
	autobuf struct co_buf b = { 0 };

	return group_read(folder, "freezer.state", &b) == 0 &&
	       strncmp(b.data, state, strlen(state)) == 0;
}

/* It may hang in FREEZING while processes fork; thawing for a moment lets it go on. */
static int freeze_v1(const char *folder, bool frozen, struct co_err *err)
{
	const char *state = frozen ? "FROZEN" : "THAWED";
	int64_t end = group_now() + FREEZE_MS;

	for (int i = 0; group_now() < end; i++) {
		int rc = group_write(folder, "freezer.state", state, err);

		if (rc < 0)
			return rc;
		for (int j = 0; j < 50; j++) {
			if (v1_is(folder, state))
				return 0;
			/* it freezes what it finds when it is asked: no event */
			group_pause(j < 10 ? 100 : 1000);
		}
		if (frozen && i % 4 == 3)
			(void) group_write(folder, "freezer.state", "THAWED", NULL);
	}
	if (frozen)
		(void) group_write(folder, "freezer.state", "THAWED", NULL);
	return timed_out(folder, frozen, err);
}

/* ---- without groups ---- */

static bool is_stopped(pid_t pid)
{
	char folder[32], *at;
	autobuf struct co_buf b = { 0 };

	(void) snprintf(folder, sizeof(folder), "/proc/%d", (int) pid); /* it fits */
	if (group_read(folder, "stat", &b) < 0)
		return true; /* gone */
	at = strrchr(b.data, ')');
	return at && at[1] && strchr("TtZX", at[2]);
}

static int stop_tracked(const struct ctr_cgroup *g, bool frozen, struct co_err *err)
{
	int64_t end = group_now() + FREEZE_MS;
	bool again = true;

	if (!group_first_alive(g))
		return co_fail(err, CO_NOT_FOUND,
			       "the container's first process is gone");
	while (again && group_now() < end) {
		struct group_pids pids = { 0 };

		again = false;
		group_pids_tracked(g, &pids);
		for (size_t i = 0; i < pids.count; i++) {
			if (is_stopped(pids.at[i]) == frozen)
				continue;
			again = frozen; /* one that it has forked meanwhile */
			(void) kill(pids.at[i], frozen ? SIGSTOP : SIGCONT); /* gone */
		}
		free(pids.at);
		if (again) /* stopping is told to parents only */
			group_pause(200);
	}
	return again ? timed_out("the container", frozen, err) : 0;
}

int ctr_cgroup_freeze(struct ctr_cgroup *g, bool frozen, struct co_err *err)
{
	const char *v1 = freezer_of(g);

	if (g->v2.path && group_has(g->v2.path, "cgroup.freeze"))
		return freeze_v2(g->v2.path, frozen, err);
	if (v1)
		return freeze_v1(v1, frozen, err);
	return stop_tracked(g, frozen, err);
}

bool ctr_cgroup_frozen(const struct ctr_cgroup *g)
{
	const char *v1 = freezer_of(g);
	struct group_pids pids = { 0 };
	bool stopped;
	uint64_t is = 0;

	if (g->v2.path && group_has(g->v2.path, "cgroup.freeze"))
		return group_read_u64(g->v2.path, "cgroup.freeze", &is) && is &&
		       group_read_named(g->v2.path, "cgroup.events", "frozen", &is) &&
		       is;
	if (v1)
		return v1_is(v1, "FROZEN");
	group_pids_tracked(g, &pids);
	stopped = pids.count > 0;
	for (size_t i = 0; i < pids.count; i++)
		stopped &= is_stopped(pids.at[i]);
	free(pids.at);
	return stopped;
}

/* ---- signals ---- */

static int signal_each(struct ctr_cgroup *g, int signal, size_t *out_count,
		       struct co_err *err)
{
	autofree pid_t *pids = NULL;
	size_t count = 0;
	int rc = ctr_cgroup_pids(g, &pids, &count, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		if (kill(pids[i], signal) < 0 && errno != ESRCH)
			return co_fail_errno(err, errno, "cannot send signal %d to %d",
					     signal, (int) pids[i]);
	*out_count = count;
	return 0;
}

static bool only_zombies(struct ctr_cgroup *g)
{
	autofree pid_t *pids = NULL;
	size_t count = 0;

	if (ctr_cgroup_pids(g, &pids, &count, NULL) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!is_stopped(pids[i]))
			return false;
	return true;
}

/* v1: nobody forks while frozen, so one round reaches all. */
static int kill_v1(struct ctr_cgroup *g, const char *freezer, int signal,
		   struct co_err *err)
{
	bool was = v1_is(freezer, "FROZEN");
	size_t count = 0;
	int rc = 0, sent;

	if (!was)
		rc = freeze_v1(freezer, true, err);
	if (rc < 0)
		(void) group_write(freezer, "freezer.state", "THAWED", NULL);
	sent = signal_each(g, signal, &count, err);
	if (!was || signal == SIGKILL)
		rc = freeze_v1(freezer, false, err);
	return sent < 0 ? sent : rc;
}

int ctr_cgroup_kill(struct ctr_cgroup *g, int signal, struct co_err *err)
{
	const char *freezer = freezer_of(g);
	bool init = !g->v2.path && group_first_is_init(g);
	size_t count = 1;
	int rc = 0;

	if (signal == SIGKILL && g->v2.path && group_has(g->v2.path, "cgroup.kill"))
		return group_write(g->v2.path, "cgroup.kill", "1", err);
	if (!g->v2.path && freezer)
		return kill_v1(g, freezer, signal, err);
	if (signal != SIGKILL)
		return signal_each(g, signal, &count, err);
	/* the first of a pid name space takes all others with it */
	if (!g->v2.path && group_first_alive(g))
		(void) kill(g->first, SIGKILL); /* gone */
	for (int i = 0; i < KILL_ROUNDS; i++) {
		rc = signal_each(g, SIGKILL, &count, err);
		if (rc < 0)
			return rc;
		if (g->v2.path) /* before cgroup.kill came, in Linux 5.14 */
			(void) group_write(g->v2.path, "cgroup.freeze", "0", NULL);
		/* an init waits for all of its own to be waited for, and one of them may be
		 * a child of ours, who is here */
		if (init || !count || only_zombies(g))
			break;
		group_pause(200); /* who forks meanwhile is told to nobody */
	}
	return 0;
}
