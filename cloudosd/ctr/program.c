/* SPDX-License-Identifier: MIT */
/* From a process of ours to the program: limits, folder, execution.  HOST. */
#include "cloudosd/ctr/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/process.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- limits ---- */

static void write_oom_score(const char *path, int score)
{
	char text[16];
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%d", score);

	/* lowering it takes CAP_SYS_RESOURCE, which even root may lack */
	if (fd >= 0 && write(fd, text, (size_t) n) < 0)
		return;
}

void ctr_program_raise(pid_t pid, const struct ctr_process_spec *p)
{
	char path[64];

	for (size_t i = 0; i < p->rlimit_count; i++) {
		struct rlimit now, wanted;
		int resource = p->rlimits[i].resource;

		if (prlimit(pid, (__rlimit_resource_t) resource, NULL, &now) < 0)
			continue;
		wanted = (struct rlimit){ .rlim_cur = now.rlim_cur,
					  .rlim_max = p->rlimits[i].hard };
		if (wanted.rlim_max > now.rlim_max)
			(void) prlimit(pid, (__rlimit_resource_t) resource, &wanted,
				       NULL); /* otherwise it is clamped */
	}
	if (p->has_oom_score_adj) {
		(void) snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
		write_oom_score(path, p->oom_score_adj);
	}
}

static int set_limits(const struct ctr_process_spec *p, struct co_err *err)
{
	for (size_t i = 0; i < p->rlimit_count; i++) {
		__rlimit_resource_t resource =
			(__rlimit_resource_t) p->rlimits[i].resource;
		struct rlimit wanted = { .rlim_cur = p->rlimits[i].soft,
					 .rlim_max = p->rlimits[i].hard };
		struct rlimit now;

		if (setrlimit(resource, &wanted) == 0)
			continue;
		if (errno != EPERM || getrlimit(resource, &now) < 0)
			return co_fail_errno(err, errno, "limit %d cannot be set",
					     p->rlimits[i].resource);
		if (wanted.rlim_max > now.rlim_max)
			wanted.rlim_max = now.rlim_max;
		if (wanted.rlim_cur > now.rlim_max)
			wanted.rlim_cur = now.rlim_max;
		if (setrlimit(resource, &wanted) < 0)
			return co_fail_errno(err, errno, "limit %d cannot be set",
					     p->rlimits[i].resource);
	}
	return 0;
}

static const struct {
	const char *name;
	uint32_t number;
} policies[] = {
	{ "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },
	{ "SCHED_BATCH", 3 }, { "SCHED_IDLE", 5 }, { "SCHED_DEADLINE", 6 },
};

static const struct {
	const char *name;
	uint64_t flag;
} scheduler_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", 0x01 },  { "SCHED_FLAG_RECLAIM", 0x02 },
	{ "SCHED_FLAG_DL_OVERRUN", 0x04 },     { "SCHED_FLAG_KEEP_POLICY", 0x08 },
	{ "SCHED_FLAG_KEEP_PARAMS", 0x10 },    { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 },
};

/* Of sched_setattr(2), which libc does not have. */
struct scheduler_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int64_t scheduler_number(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t n;

	if (!co_json_member(object, name, &value) || !co_json_whole(value, &n))
		return 0;
	return n;
}

static int read_scheduler(struct co_span json, struct scheduler_attributes *a,
			  struct co_err *err)
{
	struct co_span value, name, flag;

	if (!co_json_member(json, "policy", &value))
		return co_fail(err, CO_INVALID, "process.scheduler has no policy");
	a->policy = UINT32_MAX;
	for (size_t i = 0; i < co_countof(policies); i++)
		if (co_json_string_is(value, policies[i].name))
			a->policy = policies[i].number;
	if (a->policy == UINT32_MAX)
		return co_fail(err, CO_INVALID,
			       "process.scheduler.policy is none that we know");
	a->nice = (int32_t) scheduler_number(json, "nice");
	a->priority = (uint32_t) scheduler_number(json, "priority");
	a->runtime = (uint64_t) scheduler_number(json, "runtime");
	a->deadline = (uint64_t) scheduler_number(json, "deadline");
	a->period = (uint64_t) scheduler_number(json, "period");
	if (co_json_member(json, "flags", &value) &&
	    co_json_kind(value) == CO_JSON_ARRAY) {
		struct co_json_walk w = co_json_walk(value);

		while (co_json_next(&w, &name, &flag))
			for (size_t i = 0; i < co_countof(scheduler_flags); i++)
				if (co_json_string_is(flag, scheduler_flags[i].name))
					a->flags |= scheduler_flags[i].flag;
	}
	return 0;
}

static int set_scheduler(const struct ctr_process_spec *p, struct co_err *err)
{
	struct scheduler_attributes a = { .size = sizeof(a) };
	int rc = read_scheduler(p->scheduler, &a, err);

	if (rc < 0)
		return rc;
	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return co_fail_errno(err, errno, "the scheduler cannot be set");
	return 0;
}

int ctr_program_limits(const struct ctr_process_spec *p, uint64_t personality_bits,
		       struct co_err *err)
{
	int rc = set_limits(p, err);

	if (rc < 0)
		return rc;
	if (p->has_scheduler) {
		rc = set_scheduler(p, err);
		if (rc < 0)
			return rc;
	}
	if (p->io_class >= 0 && syscall(SYS_ioprio_set, 1, 0,
					(p->io_class << 13) | (p->io_priority & 7)) < 0)
		return co_fail_errno(err, errno, "the priority of I/O cannot be set");
	if (personality_bits != UINT64_MAX && personality(personality_bits) < 0)
		return co_fail_errno(err, errno, "the personality cannot be set");
	return 0;
}

/* ---- folder ---- */

static int make_folders(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* The kernel says "(unreachable)..." of a folder that is not below our root. */
static int check_below_root(const char *cwd, struct co_err *err)
{
	char now[PATH_MAX];
	long n = syscall(SYS_getcwd, now, sizeof(now));

	if (n < 0)
		return co_fail_errno(err, errno, "the folder %s cannot be verified",
				     cwd);
	if (now[0] != '/')
		return co_fail(err, CO_ACCESS,
			       "the folder %s lies outside of the container", cwd);
	return 0;
}

int ctr_program_folder(const struct ctr_process_spec *p, bool make, struct co_err *err)
{
	const char *cwd = p->cwd && p->cwd[0] ? p->cwd : "/";

	if (chdir(cwd) < 0) {
		int rc;

		if (errno == ENOENT && !make)
			return co_fail(err, CO_INVALID,
				       "the folder %s is not there in the container",
				       cwd);
		if (errno == ENOENT && (rc = make_folders(cwd)) < 0)
			return co_fail_errno(err, -rc, "the folder %s cannot be made",
					     cwd);
		if (errno == ENOENT && chdir(cwd) < 0)
			return co_fail_errno(err, errno, "chdir to %s", cwd);
		if (errno != ENOENT && errno != EEXIST)
			return co_fail_errno(err, errno, "chdir to %s", cwd);
	}
	return check_below_root(cwd, err);
}

static bool home_of(char *line, uint32_t uid, char *out, size_t size)
{
	char *field[6], *end;

	for (size_t i = 0; i < 6; i++)
		field[i] = line ? strsep(&line, ":") : NULL;
	if (!field[5] || strtoul(field[2], &end, 10) != uid || end == field[2] || *end)
		return false;
	return field[5][0] == '/' &&
	       (size_t) snprintf(out, size, "%s", field[5]) < size;
}

/* The file is the image's: whatever it is, it is read to its end or 1 MiB. */
void ctr_program_home(uint32_t uid, char *out, size_t size)
{
	autobuf struct co_buf text = { 0 };
	struct co_err quiet;
	char *at, *line;

	if (ctr_file_read("/etc/passwd", 1 << 20, &text, &quiet) == 0 && text.data) {
		at = text.data;
		while ((line = strsep(&at, "\n")))
			if (home_of(line, uid, out, size))
				return;
	}
	(void) snprintf(out, size, "/");
}

/* ---- labels ---- */

static int open_label(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC);
}

int ctr_program_labels_open(const struct ctr_process_spec *p, int out_fds[2],
			    struct co_err *err)
{
	out_fds[0] = out_fds[1] = -1;
	if (p->apparmor_profile && p->apparmor_profile[0] &&
	    access("/sys/kernel/security/apparmor", F_OK) == 0) {
		out_fds[0] = open_label("/proc/self/attr/apparmor/exec");
		if (out_fds[0] < 0)
			out_fds[0] = open_label("/proc/self/attr/exec");
		if (out_fds[0] < 0)
			return co_fail_errno(err, errno,
					     "the AppArmor profile cannot be set");
	}
	if (p->selinux_label && p->selinux_label[0] &&
	    access("/sys/fs/selinux/status", F_OK) == 0) {
		out_fds[1] = open_label("/proc/self/attr/exec");
		if (out_fds[1] < 0)
			return co_fail_errno(err, errno,
					     "the SELinux label cannot be set");
	}
	return 0;
}

int ctr_program_labels(const struct ctr_process_spec *p, const int fds[2],
		       struct co_err *err)
{
	if (fds[0] >= 0) {
		char text[512];
		int n = snprintf(text, sizeof(text), "exec %s", p->apparmor_profile);

		if (write(fds[0], text, (size_t) n) < 0)
			return co_fail_errno(err, errno,
					     "the AppArmor profile %s cannot be set",
					     p->apparmor_profile);
	}
	if (fds[1] >= 0 &&
	    write(fds[1], p->selinux_label, strlen(p->selinux_label)) < 0)
		return co_fail_errno(err, errno, "the SELinux label %s cannot be set",
				     p->selinux_label);
	return 0;
}

/* ---- execution ---- */

void ctr_program_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void) signal(s, SIG_DFL); /* those that cannot be set need not be */
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

int ctr_program_descriptors(unsigned int first, struct co_err *err)
{
	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	if (errno != ENOSYS && errno != EINVAL)
		return co_fail_errno(err, errno, "descriptors cannot be marked");
	for (int fd = (int) first; fd < 4096; fd++)
		(void) fcntl(fd, F_SETFD, FD_CLOEXEC); /* not open: nothing to mark */
	return 0;
}

static int by_number(const void *a, const void *b)
{
	int x = *(const int *) a, y = *(const int *) b;

	return (x > y) - (x < y);
}

void ctr_close_others(const int *keep, size_t count)
{
	int sorted[64];
	size_t n = 0;
	unsigned int from = 3;

	for (size_t i = 0; i < count && n < co_countof(sorted); i++)
		if (keep[i] >= 3)
			sorted[n++] = keep[i];
	qsort(sorted, n, sizeof(int), by_number);
	for (size_t i = 0; i <= n; i++) {
		unsigned int to = i < n ? (unsigned int) sorted[i] : ~0U;

		if (i < n && to < from)
			continue;
		if (i == n || to > from)
			(void) syscall(SYS_close_range, from, i < n ? to - 1 : to, 0);
		from = to + 1;
	}
}

static const char *path_of(const struct ctr_process_spec *p)
{
	for (size_t i = 0; i < p->env.count; i++)
		if (strncmp(p->env.at[i], "PATH=", 5) == 0)
			return p->env.at[i] + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int usable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int find_in(const char *list, const char *name, char *out, size_t size)
{
	int worst = -ENOENT;

	while (*list) {
		size_t n = strcspn(list, ":");
		int rc;

		rc = snprintf(out, size, "%.*s%s%s", (int) n, list, n ? "/" : "", name);
		list += n + (list[n] == ':');
		if (rc < 0 || (size_t) rc >= size)
			continue;
		rc = usable(out);
		if (rc == 0)
			return 0;
		if (rc != -ENOENT && rc != -ENOTDIR)
			worst = rc;
	}
	return worst;
}

int ctr_find_program(const struct ctr_process_spec *p, char *out, size_t size,
		     struct co_err *err)
{
	const char *name = p->args.count ? p->args.at[0] : "";
	int rc;

	if (!name[0])
		return co_fail(err, CO_INVALID, "there is no program to execute");
	if (!strchr(name, '/')) {
		rc = find_in(path_of(p), name, out, size);
		if (rc == -ENOENT)
			return co_fail(
				err, CO_NOT_FOUND,
				"executable file `%s` not found in $PATH: No such "
				"file or directory",
				name);
	} else {
		if ((size_t) snprintf(out, size, "%s", name) >= size)
			return co_fail(err, CO_NAME_TOO_LONG, "%.60s...: path too long",
				       name);
		rc = usable(name);
	}
	if (rc < 0)
		return co_fail_errno(err, -rc, "%s cannot be executed", name);
	return 0;
}

int ctr_program_execute(const char *path, const struct ctr_process_spec *p,
			struct co_err *err)
{
	(void) execve(path, p->args.at, p->env.at);
	if (errno == ENOEXEC)
		return co_fail(
			err, CO_INVALID,
			"%s cannot be executed: exec format error (no program of "
			"this machine, and no #! line)",
			path);
	return co_fail_errno(err, errno, "%s cannot be executed", path);
}

int ctr_process_exec(const struct ctr_process_spec *p, struct co_err *err)
{
	char path[PATH_MAX];
	int rc = ctr_find_program(p, path, sizeof(path), err);

	return rc < 0 ? rc : ctr_program_execute(path, p, err);
}
