/* SPDX-License-Identifier: MIT */
/*
 * Control groups of containers, on whatever this box has.  HOST.
 *
 * What it has not is skipped with a line that says so.  Every test ends by looking for
 * folders that were left.
 */
#include "cloudosd/ctr/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "cloudosd/ctr/cgroup_inside.h"
#include "tests/run.h"

enum { WAIT_MS = 30000 };

static struct ctr_cgroup_probe box;

static struct ctr_resources nothing_asked(void)
{
	struct ctr_resources r = { 0 };

	r.memory = r.memory_reservation = r.memory_swap = r.memory_swappiness =
		CTR_UNSET;
	r.cpu_shares = r.cpu_quota = r.cpu_period = r.cpu_burst = r.cpu_rt_runtime =
		r.cpu_rt_period = r.cpu_idle = CTR_UNSET;
	r.pids = r.io_weight = r.net_classid = CTR_UNSET;
	return r;
}

/* True, and a line about it, when the box cannot do what the test is about. */
static bool lacks(const char *controller, const char *test)
{
	if (controller ? group_word(box.controllers, controller) : box.v1 || box.v2)
		return false;
	(void) fprintf(stderr, "skipped: %s: %s: %s\n", test,
		       controller ? controller : "groups", box.sentence);
	return true;
}

static const char *own_id(void)
{
	static char id[64];
	static int n;

	(void) snprintf(id, sizeof(id), "unit-%d-%d", (int) getpid(), n++);
	return id;
}

static struct ctr_cgroup *make(const struct ctr_resources *r)
{
	struct ctr_cgroup *g = NULL;
	struct co_err err = { 0 };
	int rc = ctr_cgroup_create(
		&(struct ctr_cgroup_spec){
			.id = own_id(), .resources = r, .rootless = geteuid() != 0 },
		&g, &err);

	ck_assert_msg(rc == 0, "%s", err.message);
	return g;
}

static void check(int rc, const struct co_err *err)
{
	ck_assert_msg(rc == 0, "%s", err->message);
}

/* A process in g that runs `run`. */
static pid_t start(struct ctr_cgroup *g, void (*run)(void *arg), void *arg)
{
	struct co_err err = { 0 };
	int go[2];
	struct clone_args args = { .exit_signal = SIGCHLD };
	long pid;
	char c = 0;

	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	if (ctr_cgroup_clone_fd(g) >= 0 && box.clone_into) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (unsigned) ctr_cgroup_clone_fd(g);
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ck_assert_msg(pid >= 0, "clone3: %s", strerror(errno));
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void) close(go[1]);
		if (read(go[0], &c, 1) == 1)
			run(arg);
		_exit(99);
	}
	check(ctr_cgroup_add(g, (pid_t) pid, &err), &err);
	ck_assert_int_eq(write(go[1], &c, 1), 1);
	(void) close(go[0]);
	(void) close(go[1]);
	return (pid_t) pid;
}

static void finish(struct ctr_cgroup *g)
{
	char *v2 = g->v2.path ? strdup(g->v2.path) : NULL, *v1[GROUP_V1];
	size_t n = g->v1_count;
	struct co_err err = { 0 };

	for (size_t i = 0; i < n; i++)
		v1[i] = strdup(g->v1[i].path);
	check(ctr_cgroup_kill(g, SIGKILL, &err), &err);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	check(ctr_cgroup_remove(g, WAIT_MS, &err), &err);
	ck_assert(!v2 || access(v2, F_OK) < 0);
	free(v2);
	for (size_t i = 0; i < n; i++) {
		ck_assert_msg(access(v1[i], F_OK) < 0, "%s is left", v1[i]);
		free(v1[i]);
	}
	ctr_cgroup_free(g);
}

static void await(bool (*is)(void *arg), void *arg, const char *what)
{
	int64_t end = group_now() + WAIT_MS;

	while (!is(arg)) {
		ck_assert_msg(group_now() < end, "waited in vain: %s", what);
		group_pause(1000);
	}
}

static void sleeps(void *arg)
{
	(void) arg;
	for (;;)
		(void) pause();
}

/* ---- what a container has ---- */

START_TEST(a_process_is_in_its_group_and_nothing_is_left_of_it)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = make(&r);
	struct co_err err = { 0 };
	pid_t *pids, pid = start(g, sleeps, NULL);
	size_t count = 0;

	check(ctr_cgroup_pids(g, &pids, &count, &err), &err);
	ck_assert_int_eq((int) count, 1);
	ck_assert_int_eq(pids[0], pid);
	free(pids);
	finish(g);
}
END_TEST

START_TEST(two_containers_do_not_take_each_others_folder_away)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *a = make(&r), *b = make(&r);
	pid_t pid = start(b, sleeps, NULL);

	ck_assert_int_eq(ctr_cgroup_remove(a, WAIT_MS, NULL), 0);
	ctr_cgroup_free(a);
	ck_assert_int_eq(kill(pid, 0), 0);
	finish(b);
}
END_TEST

START_TEST(a_group_with_processes_is_not_made_a_second_time)
{
	struct ctr_resources r = nothing_asked();
	char path[64];
	struct ctr_cgroup *a = NULL, *b = NULL;
	struct co_err err = { 0 };

	if (lacks(NULL, "taken"))
		return;
	(void) snprintf(path, sizeof(path), "/cloudos-unit-%d/x", (int) getpid());
	if (geteuid() != 0)
		return;
	check(ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = "x",
							   .path = path,
							   .resources = &r },
				&a, &err),
	      &err);
	(void) start(a, sleeps, NULL);
	ck_assert_int_eq(ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = "x",
								      .path = path,
								      .resources = &r },
					   &b, &err),
			 CO_BUSY);
	finish(a);
}
END_TEST

START_TEST(what_a_killed_monitor_left_is_found_and_removed)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup_spec spec = { .id = own_id(), .resources = &r };
	struct ctr_cgroup *g = NULL, *found = NULL;
	struct co_err err = { 0 };

	if (lacks(NULL, "leftover"))
		return;
	r.pids = group_word(box.controllers, "pids") ? 10 : CTR_UNSET;
	check(ctr_cgroup_create(&spec, &g, &err), &err);
	(void) start(g, sleeps, NULL);
	ctr_cgroup_free(g);
	spec.leftover = true;
	check(ctr_cgroup_create(&spec, &found, &err), &err);
	finish(found);
}
END_TEST

START_TEST(what_was_saved_is_opened)
{
	struct ctr_resources r = nothing_asked();
	autobuf struct co_buf json = { 0 }, again = { 0 };
	struct ctr_cgroup *g, *opened = NULL;
	struct co_err err = { 0 };

	r.pids = group_word(box.controllers, "pids") ? 10 : CTR_UNSET;
	g = make(&r);
	(void) start(g, sleeps, NULL);
	ctr_cgroup_save(g, &json);
	check(ctr_cgroup_open(co_span(json.data), &opened, &err), &err);
	ctr_cgroup_save(opened, &again);
	ck_assert_str_eq(json.data, again.data);
	ck_assert_int_eq(ctr_cgroup_clone_fd(opened) >= 0, ctr_cgroup_clone_fd(g) >= 0);
	ctr_cgroup_free(g);
	finish(opened);
}
END_TEST

START_TEST(damaged_state_is_refused)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"wish\":\"a\",\"v2\":{\"path\":\"a/b\"}}",
		"{\"wish\":\"a\",\"v2\":{\"path\":\"/a/../b\"}}",
		"{\"wish\":\"a\",\"v2\":{\"path\":\"/a\",\"base\":3}}",
		"{\"wish\":\"a\",\"v2\":{\"path\":\"/a\",\"keep\":-1}}",
	};

	for (size_t i = 0; i < co_countof(texts); i++) {
		struct ctr_cgroup *g = NULL;

		ck_assert_msg(ctr_cgroup_open(co_span(texts[i]), &g, NULL) ==
				      CO_CORRUPT,
			      "%s", texts[i]);
	}
}
END_TEST

START_TEST(paths_are_made_as_oci_and_systemd_write_them)
{
	static const struct {
		const char *wish, *path;
	} cases[] = {
		{ "machine.slice:libpod:abc", "/machine.slice/libpod-abc.scope" },
		{ "user-1000.slice:p:n", "/user.slice/user-1000.slice/p-n.scope" },
		{ ":p:n", "/system.slice/p-n.scope" },
		{ "a.slice::b.slice", "/a.slice/b.slice" },
		{ "one/two", "/cloudos/one/two" },
		{ "/one/two/", "/one/two" },
	};
	struct ctr_resources r = nothing_asked();

	if (geteuid() != 0 || lacks(NULL, "paths"))
		return;
	for (size_t i = 0; i < co_countof(cases); i++) {
		struct ctr_cgroup *g = NULL;
		struct co_err err = { 0 };

		check(ctr_cgroup_create(
			      &(struct ctr_cgroup_spec){ .id = "x",
							 .path = cases[i].wish,
							 .resources = &r },
			      &g, &err),
		      &err);
		ck_assert_str_eq(ctr_cgroup_path(g) + strlen(ctr_cgroup_path(g)) -
					 strlen(cases[i].path),
				 cases[i].path);
		finish(g);
	}
}
END_TEST

START_TEST(a_path_that_leads_out_is_refused)
{
	static const char *const paths[] = { "/../a", "a/../../b", "/", "a/./b",
					     "/a\nb" };
	struct ctr_resources r = nothing_asked();

	for (size_t i = 0; i < co_countof(paths); i++) {
		struct ctr_cgroup *g = NULL;

		ck_assert_int_eq(
			ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = "x",
								     .path = paths[i],
								     .resources = &r },
					  &g, NULL),
			CO_INVALID);
	}
}
END_TEST

START_TEST(groups_that_the_container_made_inside_go_with_it)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = make(&r);
	char path[GROUP_PATH + 32];
	pid_t *pids;
	size_t count;
	struct co_err err = { 0 };
	pid_t pid;

	if (!lacks(NULL, "inner groups")) {
		(void) snprintf(path, sizeof(path), "%s/inner", group_tracker(g));
		ck_assert_int_eq(mkdir(path, 0755), 0);
		pid = start(g, sleeps, NULL);
		check(group_write_i64(path, "cgroup.procs", pid, &err), &err);
		check(ctr_cgroup_pids(g, &pids, &count, &err), &err);
		ck_assert_int_eq((int) count, 1);
		free(pids);
	}
	finish(g);
}
END_TEST

/* ---- freezing and killing ---- */

static void counts(void *arg)
{
	volatile unsigned *n = arg;

	for (;;)
		++*n;
}

static bool has_counted(void *arg)
{
	return *(volatile unsigned *) arg != 0;
}

static unsigned *shared(void)
{
	unsigned *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(n, MAP_FAILED);
	return n;
}

/* Frozen processes do nothing; whether time passes meanwhile does not matter. */
static void freeze_and_kill(struct ctr_cgroup *g)
{
	unsigned *n = shared(), before;
	struct co_err err = { 0 };

	(void) start(g, counts, n);
	await(has_counted, n, "the process runs");
	check(ctr_cgroup_freeze(g, true, &err), &err);
	ck_assert(ctr_cgroup_frozen(g));
	before = *n;
	group_pause(20000);
	ck_assert_uint_eq(before, *n);
	check(ctr_cgroup_freeze(g, false, &err), &err);
	ck_assert(!ctr_cgroup_frozen(g));
	*n = 0;
	await(has_counted, n, "the thawed process runs");
	check(ctr_cgroup_freeze(g, true, &err), &err);
	finish(g); /* killed while frozen */
}

START_TEST(a_frozen_group_stands_still_and_can_be_killed)
{
	struct ctr_resources r = nothing_asked();

	freeze_and_kill(make(&r));
}
END_TEST

/* Hides what is mounted there from this process, so that the rest of the box is used. */
static bool hide_v2(void)
{
	if (!box.v2 || !box.v1 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    umount2(box.v2_root, MNT_DETACH) < 0) {
		(void) fprintf(stderr,
			       "skipped: version 1 alone: it cannot be had here\n");
		return false;
	}
	ctr_cgroup_look(&box);
	ck_assert(!box.v2 && box.v1);
	return true;
}

START_TEST(on_version_1_alone_a_frozen_group_can_be_killed)
{
	struct ctr_resources r = nothing_asked();

	if (hide_v2())
		freeze_and_kill(make(&r));
}
END_TEST

START_TEST(without_groups_a_container_is_stopped_and_killed_by_its_first_process)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = NULL;
	struct co_err err = { 0 };

	check(ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = "x",
							   .resources = &r,
							   .disabled = true },
				&g, &err),
	      &err);
	ck_assert_str_eq(ctr_cgroup_path(g), "");
	freeze_and_kill(g);
}
END_TEST

static void bomb(void *arg)
{
	unsigned *n = arg;

	(void) signal(SIGCHLD, SIG_IGN);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0 && (__atomic_add_fetch(n, 1, __ATOMIC_RELAXED) & 3))
			_exit(0);
	}
}

static bool has_forked(void *arg)
{
	return __atomic_load_n((unsigned *) arg, __ATOMIC_RELAXED) > 200;
}

/* Bounded by a limit of pids where there is one, else by its own user's. */
static void explode(bool frozen)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g;
	unsigned *n = shared();
	struct co_err err = { 0 };
	pid_t *pids;
	size_t count = 1;

	if (lacks("pids", "fork bomb"))
		return;
	r.pids = 60;
	g = make(&r);
	(void) start(g, bomb, n);
	await(has_forked, n, "the bomb goes off");
	if (frozen)
		check(ctr_cgroup_freeze(g, true, &err), &err);
	check(ctr_cgroup_pids(g, &pids, &count, &err), &err);
	free(pids);
	ck_assert_uint_le(count, 60);
	check(ctr_cgroup_kill(g, SIGKILL, &err), &err);
	finish(g);
}

START_TEST(a_fork_bomb_is_bounded_and_killed)
{
	explode(false);
	explode(true);
}
END_TEST

START_TEST(on_version_1_alone_a_fork_bomb_is_killed)
{
	if (hide_v2()) {
		explode(false);
		explode(true);
	}
}
END_TEST

static volatile sig_atomic_t got;

static void on_signal(int signal)
{
	got = signal;
}

static void waits_for_signal(void *arg)
{
	unsigned *n = arg;

	(void) signal(SIGUSR1, on_signal);
	*n = 1;
	while (!got)
		(void) usleep(1000);
	_exit(7);
}

START_TEST(other_signals_reach_every_process)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = make(&r);
	unsigned *n = shared();
	struct co_err err = { 0 };
	int status = 0;
	pid_t pid = start(g, waits_for_signal, n);

	await(has_counted, n, "the handler is there");
	check(ctr_cgroup_kill(g, SIGUSR1, &err), &err);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	finish(g);
}
END_TEST

/* ---- limits ---- */

static void eats(void *arg)
{
	size_t n = 128 << 20;
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	(void) arg;
	for (size_t i = 0; i < n; i += 4096)
		((volatile char *) p)[i] = 1;
	_exit(0);
}

START_TEST(who_eats_too_much_is_killed_and_that_is_told)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g;
	struct ctr_usage u;
	struct pollfd p = { .events = POLLIN };
	int status = 0;
	pid_t pid;

	if (lacks("memory", "out of memory"))
		return;
	r.memory = r.memory_swap = 32 << 20;
	g = make(&r);
	p.fd = ctr_cgroup_oom_fd(g);
	ck_assert_int_ge(p.fd, 0);
	ctr_cgroup_usage(g, &u);
	ck_assert_uint_eq(u.oom_kills, 0);
	ck_assert_uint_eq(u.memory_limit, 32 << 20);
	pid = start(g, eats, NULL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	ctr_cgroup_usage(g, &u);
	ck_assert_uint_ge(u.oom_kills, 1);
	(void) close(p.fd);
	finish(g);
}
END_TEST

static uint64_t value_of(const struct ctr_cgroup *g, unsigned controller,
			 const char *v2, const char *v1)
{
	bool is_v2;
	const char *folder = group_of(g, controller, &is_v2);
	uint64_t value = 0;

	ck_assert_ptr_nonnull(folder);
	ck_assert(group_read_u64(folder, is_v2 ? v2 : v1, &value));
	return value;
}

START_TEST(limits_are_set_and_updated_while_it_runs)
{
	struct ctr_resources r = nothing_asked(), more = nothing_asked();
	struct ctr_cgroup *g;
	struct ctr_usage u;
	struct co_err err = { 0 };

	if (lacks("memory", "limits") || lacks("pids", "limits") ||
	    lacks("cpu", "limits"))
		return;
	r.pids = 10;
	g = make(&r);
	(void) start(g, sleeps, NULL);
	ctr_cgroup_usage(g, &u);
	ck_assert(u.has_pids && u.pids == 1 && u.pids_limit == 10);
	more.memory = 64 << 20;
	more.memory_swap = 64 << 20;
	more.cpu_quota = 20000;
	more.cpu_period = 100000;
	more.pids = -1;
	check(ctr_cgroup_update(g, &more, &err), &err);
	ctr_cgroup_usage(g, &u);
	ck_assert(u.has_memory && u.memory_limit == 64 << 20 && !u.pids_limit);
	ck_assert_uint_eq(value_of(g, GROUP_CPU, "cpu.max", "cpu.cfs_quota_us"), 20000);
	/* it was running before those controllers were asked for */
	ck_assert_uint_gt(value_of(g, GROUP_MEMORY, "cgroup.procs", "cgroup.procs"), 0);
	more.memory = 128 << 20;
	more.memory_swap = 128 << 20;
	check(ctr_cgroup_update(g, &more, &err), &err);
	more.memory = more.memory_swap = 32 << 20;
	check(ctr_cgroup_update(g, &more, &err), &err);
	more.memory = more.memory_swap = -1;
	check(ctr_cgroup_update(g, &more, &err), &err);
	ctr_cgroup_usage(g, &u);
	ck_assert_uint_eq(u.memory_limit, 0);
	finish(g);
}
END_TEST

START_TEST(processors_are_chosen)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g;

	if (lacks("cpuset", "processors"))
		return;
	r.cpus = (char *) "0";
	g = make(&r);
	(void) start(g, sleeps, NULL);
	finish(g);
}
END_TEST

START_TEST(a_limit_that_cannot_be_had_is_refused_or_named)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = NULL;
	struct co_err err = { 0 };
	struct ctr_pair pair = { (char *) "no.such", (char *) "1" };

	r.unified = (struct ctr_pairs){ &pair, 1 };
	ck_assert_int_eq(ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = own_id(),
								      .resources = &r },
					   &g, &err),
			 CO_ACCESS);
	ck_assert_ptr_nonnull(strstr(err.message, "no.such"));
	r.memory = 1 << 20;
	r.unified.count = 0;
	check(ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = own_id(),
							   .resources = &r,
							   .disabled = true },
				&g, &err),
	      &err);
	ck_assert_str_eq(ctr_cgroup_unenforced(g), "memory");
	finish(g);
}
END_TEST

static const struct {
	const char *file, *text;
} written_v2[] = {
	{ "memory.max", "1048576" },   { "memory.swap.max", "524288" },
	{ "memory.low", "4096" },      { "memory.oom.group", "1" },
	{ "cpu.weight", "39" },        { "cpu.max", "5000 10000" },
	{ "cpu.idle", "1" },           { "cpuset.cpus", "0-1" },
	{ "pids.max", "77" },          { "io.weight", "4546" },
	{ "io.max", "8:0 rbps=1000" }, { "hugetlb.2MB.max", "4194304" },
	{ "memory.high", "max" },
};

/* The kernel's own files take what is meant in other words as well: these are plain ones. */
START_TEST(version_2_gets_limits_in_its_own_units)
{
	char folder[] = "/tmp/cloudos-unit-XXXXXX";
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup g = { .clone_fd = -1 };
	struct ctr_io_rate rate = { 8, 0, 1000 };
	struct ctr_hugepage_limit huge = { (char *) "2MB", 4 << 20 };
	struct ctr_pair pair = { (char *) "memory.high", (char *) "max" };
	struct co_err err = { 0 };

	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (size_t i = 0; i < co_countof(written_v2); i++) {
		char path[128];

		(void) snprintf(path, sizeof(path), "%s/%s", folder,
				written_v2[i].file);
		(void) close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	g.v2 = (struct group_folder){ .path = folder, .controllers = ~0U };
	r.memory = 1 << 20;
	r.memory_swap = 1536 << 10;
	r.memory_reservation = 4096;
	r.cpu_shares = 1024;
	r.cpu_quota = 5000;
	r.cpu_period = 10000;
	r.cpu_idle = 1;
	r.cpus = (char *) "0-1";
	r.pids = 77;
	r.io_weight = 460;
	r.read_bps = (struct ctr_io_rates){ &rate, 1 };
	r.hugepages = &huge;
	r.hugepage_count = 1;
	r.unified = (struct ctr_pairs){ &pair, 1 };
	check(group_set_all(&(struct group_limits){
		      .g = &g, .r = &r, .err = &err, .fresh = true }),
	      &err);
	for (size_t i = 0; i < co_countof(written_v2); i++) {
		autobuf struct co_buf b = { 0 };
		char path[128];

		ck_assert_int_eq(group_read(folder, written_v2[i].file, &b), 0);
		ck_assert_msg(strcmp(b.data, written_v2[i].text) == 0, "%s: %s",
			      written_v2[i].file, b.data);
		(void) snprintf(path, sizeof(path), "%s/%s", folder,
				written_v2[i].file);
		(void) unlink(path);
	}
	r.memory_swap = 4096; /* less than memory */
	ck_assert_int_eq(group_set_memory(&(struct group_limits){
				 .g = &g, .r = &r, .err = &err }),
			 CO_NOT_FOUND); /* the files are gone */
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* ---- devices ---- */

struct attempt {
	const char *path;
	int flags, error;
};

static void opens(void *arg)
{
	struct attempt *a = arg;
	int fd = open(a->path, a->flags | O_CLOEXEC | O_NONBLOCK);

	_exit(fd < 0 ? errno : 0);
}

static void devices(void)
{
	static const char path[] = "/dev/kmsg";
	struct ctr_device_rule rules[] = { { false, 'a', -1, -1, "rwm" },
					   { true, 'c', 1, 11, "rw" },
					   { false, 'c', 1, 11, "w" } };
	static const struct attempt tries[] = { { "/dev/null", O_RDWR, 0 },
						{ path, O_RDONLY, 0 },
						{ path, O_WRONLY, EPERM },
						{ path, O_RDWR, EPERM } };
	struct ctr_resources r = nothing_asked();
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (geteuid() != 0 || fd < 0 || fstat(fd, &st) < 0 ||
	    st.st_rdev != makedev(1, 11) || lacks("devices", "devices"))
		return;
	(void) close(fd);
	r.device_rules = rules;
	for (size_t i = 0; i < co_countof(tries); i++) {
		struct ctr_cgroup *g;
		struct attempt a = tries[i];
		int status = 0;
		pid_t pid;

		r.device_rule_count = 3;
		g = make(&r);
		pid = start(g, opens, &a);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status));
		ck_assert_msg(WEXITSTATUS(status) == a.error, "%s with %d: %s", a.path,
			      a.flags, strerror(WEXITSTATUS(status)));
		finish(g);
	}
}

START_TEST(devices_are_used_as_the_last_rule_says)
{
	devices();
}
END_TEST

START_TEST(on_version_1_alone_devices_are_used_as_the_last_rule_says)
{
	if (hide_v2())
		devices();
}
END_TEST

/* ---- who may do less ---- */

START_TEST(a_user_without_groups_gets_containers_but_no_limits)
{
	struct ctr_resources r = nothing_asked();
	struct ctr_cgroup *g = NULL;
	struct co_err err = { 0 };

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	     setresuid(65534, 65534, 65534) < 0))
		return;
	ctr_cgroup_look(&box);
	if (box.v1 || box.v2)
		return; /* they are this user's */
	ck_assert_str_ne(box.sentence, "");
	r.pids = 10;
	ck_assert_int_eq(
		ctr_cgroup_create(&(struct ctr_cgroup_spec){ .id = own_id(),
							     .resources = &r,
							     .rootless = true },
				  &g, &err),
		CO_ACCESS);
	r.pids = CTR_UNSET;
	freeze_and_kill(make(&r));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("cgroup");

	ctr_cgroup_look(&box);
	(void) fprintf(stderr, "v2 \"%s\", v1 %d, controllers \"%s\", %s\n",
		       box.v2_root, box.v1, box.controllers, box.sentence);
	tcase_add_test(tcase, a_process_is_in_its_group_and_nothing_is_left_of_it);
	tcase_add_test(tcase, two_containers_do_not_take_each_others_folder_away);
	tcase_add_test(tcase, a_group_with_processes_is_not_made_a_second_time);
	tcase_add_test(tcase, what_a_killed_monitor_left_is_found_and_removed);
	tcase_add_test(tcase, what_was_saved_is_opened);
	tcase_add_test(tcase, damaged_state_is_refused);
	tcase_add_test(tcase, paths_are_made_as_oci_and_systemd_write_them);
	tcase_add_test(tcase, a_path_that_leads_out_is_refused);
	tcase_add_test(tcase, groups_that_the_container_made_inside_go_with_it);
	tcase_add_test(tcase, a_frozen_group_stands_still_and_can_be_killed);
	tcase_add_test(tcase, on_version_1_alone_a_frozen_group_can_be_killed);
	tcase_add_test(
		tcase,
		without_groups_a_container_is_stopped_and_killed_by_its_first_process);
	tcase_add_test(tcase, a_fork_bomb_is_bounded_and_killed);
	tcase_add_test(tcase, on_version_1_alone_a_fork_bomb_is_killed);
	tcase_add_test(tcase, other_signals_reach_every_process);
	tcase_add_test(tcase, who_eats_too_much_is_killed_and_that_is_told);
	tcase_add_test(tcase, limits_are_set_and_updated_while_it_runs);
	tcase_add_test(tcase, processors_are_chosen);
	tcase_add_test(tcase, a_limit_that_cannot_be_had_is_refused_or_named);
	tcase_add_test(tcase, version_2_gets_limits_in_its_own_units);
	tcase_add_test(tcase, devices_are_used_as_the_last_rule_says);
	tcase_add_test(tcase,
		       on_version_1_alone_devices_are_used_as_the_last_rule_says);
	tcase_add_test(tcase, a_user_without_groups_gets_containers_but_no_limits);
	return run_tests(tcase);
}
