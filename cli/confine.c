/* SPDX-License-Identifier: MIT */
/* --confine: options, and the process.  HOST. */
#include "cli/confine.h"

#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/confine_inside.h"
#include "cloudosd/ctr/init.h"
#include "cloudosd/ctr/landlock.h"
#include "cloudosd/ctr/note.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

enum { END_MS = 2000, THOUSAND = 1000 };
#define PIDS_MAX 4194304ULL

/* ---- options ---- */

/* "512M", with K, M, G or T behind a whole number. */
static bool size_of(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	unsigned shift = 0;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (end == text || errno || *text == '-')
		return false;
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || end[1])
			return false;
		shift = 10U * (unsigned) (unit - units + 1);
	}
	if (!*out || *out > UINT64_MAX >> shift >> 1)
		return false;
	*out <<= shift;
	return true;
}

/* "1.5" in thousandths. */
static bool cpus_of(const char *text, uint64_t *out)
{
	unsigned whole = 0, part = 0, scale = THOUSAND;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && whole < 10000; p++)
		whole = whole * 10 + (unsigned) (*p - '0');
	if (p == text)
		return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9' && scale > 1; p++) {
			scale /= 10;
			part += (unsigned) (*p - '0') * scale;
		}
	*out = (uint64_t) whole * THOUSAND + part;
	return !*p && *out;
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

int confine_grant(struct confine *c, const char *value, bool read_only,
		  struct co_err *err)
{
	static const char *const never[] = { "/proc", "/sys" };
	autofree char *real = realpath(value, NULL);
	struct confine_grant *more;

	if (!real)
		return co_fail_errno(err, errno, "cannot allow %s", value);
	if (!strcmp(real, "/"))
		return co_fail(err, CO_INVALID,
			       "--allow=/ would confine nothing; name the folders that "
			       "the program is to have");
	for (size_t i = 0; i < co_countof(never); i++)
		if (is_below(real, never[i]))
			return co_fail(err, CO_INVALID,
				       "--allow=%s: a confined program has a /proc of "
				       "its own and no /sys",
				       value);
	if (c->ngrants == CONFINE_GRANTS)
		return co_fail(err, CO_TOO_BIG, "more than %d --allow", CONFINE_GRANTS);
	more = realloc(c->grants, (c->ngrants + 1) * sizeof(*more));
	if (!more)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	c->grants = more;
	(void) snprintf(more[c->ngrants].path, sizeof(more->path), "%s",
			real); /* realpath gives PATH_MAX at most */
	more[c->ngrants++].read_only = read_only;
	return 0;
}

static int grant(struct confine *c, const char *value, struct co_err *err)
{
	size_t n = strlen(value);
	bool read_only = n > 3 && !strcmp(value + n - 3, ":ro");
	autofree char *named = strndup(value, read_only ? n - 3 : n);

	return named ? confine_grant(c, named, read_only, err)
		     : co_fail(err, CO_NO_MEMORY, "out of memory");
}

int confine_word(struct confine *c, const char *option, const char *value,
		 struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	size_t size;

	if (c->nwords + 1 == CONFINE_WORDS)
		return co_fail(err, CO_TOO_BIG, "too many options");
	co_buf_text(&b, option);
	if (value)
		co_buf_text(&b, value);
	c->words[c->nwords] = co_buf_take(&b, &size);
	return c->words[c->nwords++] ? 0 : co_fail(err, CO_NO_MEMORY, "out of memory");
}

static int limit(struct confine *c, enum confine_option option, const char *value,
		 struct co_err *err)
{
	bool good;

	if (option == CONFINE_MEMORY) {
		good = size_of(value, &c->memory);
		return good ? 0
			    : co_fail(err, CO_INVALID,
				      "--memory is a size such as 512M or 2G, not "
				      "\"%s\"",
				      value);
	}
	if (option == CONFINE_CPUS) {
		good = cpus_of(value, &c->cpus);
		return good ? 0
			    : co_fail(err, CO_INVALID,
				      "--cpus is a number such as 1.5, not \"%s\"",
				      value);
	}
	good = size_of(value, &c->pids) && c->pids <= PIDS_MAX;
	return good ? 0
		    : co_fail(err, CO_INVALID,
			      "--pids is how many processes and threads there may be, "
			      "not \"%s\"",
			      value);
}

int confine_option(struct confine *c, enum confine_option option, const char *value,
		   struct co_err *err)
{
	if (option == CONFINE_ON) {
		c->asked = true;
		return 0;
	}
	c->needs = true;
	if (option == CONFINE_ALLOW)
		return grant(c, value, err);
	if (option != CONFINE_NET)
		return limit(c, option, value, err);
	c->net_host = !strcmp(value, "host");
	if (!c->net_host && strcmp(value, "none") != 0)
		return co_fail(err, CO_INVALID, "--net is none or host, not \"%s\"",
			       value);
	return 0;
}

/* ---- the process ---- */

/* Does the kernel count the processes of a user name space by themselves (Linux 5.14)?  Tried:
 * with room for two, one that is alone there can make another. */
static bool counts_apart(void)
{
	const struct rlimit two = { 2, 2 };
	int status = 1;
	pid_t pid = fork(), second;

	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0 || setrlimit(RLIMIT_NPROC, &two) < 0)
			_exit(1);
		second = fork();
		if (second == 0)
			_exit(0);
		_exit(second < 0 || waitpid(second, NULL, 0) < 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int make_cgroup(struct confine *c, struct co_err *err)
{
	char id[64];
	struct ctr_cgroup_spec spec = { .id = id,
					.path = NULL,
					.resources = &c->config->resources,
					.rootless = geteuid() != 0 };

	if (!c->memory && !c->cpus && !c->pids)
		return 0;
	(void) snprintf(id, sizeof(id), "exec-%d", getpid());
	if (!ctr_cgroup_create(&spec, &c->cgroup, err))
		return 0;
	if (!c->memory && !c->cpus && counts_apart())
		return 0; /* RLIMIT_NPROC does as well */
	return co_context(err, "the limits cannot be set");
}

int confine_prepare(struct confine *c, const struct confine_program *p,
		    struct co_err *err)
{
	int r = confine_describe(c, p, err);

	if (!r)
		r = ctr_filter_strict(c->trap ? CTR_STRICT_TRAP : 0, &c->strict, err);
	return r ? r : make_cgroup(c, err);
}

/* The program's pid 1 is a small program of its own; without it, a copy of this one. */
static void offer_init(void)
{
	char path[CO_PATH_SIZE];
	int fd;

	if (ctr_init_fd() >= 0 ||
	    co_program_path("cloudos-ctr", path, sizeof(path), NULL))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		ctr_init_offer(fd);
}

int confine_start(struct confine *c,
		  int (*become)(void *arg, const struct ctr_process_spec *p,
				struct co_err *err),
		  void *arg, const int keep[4], struct co_err *err)
{
	struct ctr_create how = { .id = "confined",
				  .config = c->config,
				  .cgroup = c->cgroup,
				  .stdio = { -1, -1, -1 },
				  .console_socket = -1,
				  .start_listener = -1,
				  .die_with_parent = true,
				  .become = become,
				  .become_arg = arg };

	memcpy(how.keep, keep, sizeof(how.keep));
	memcpy(how.stdio, c->stdio, sizeof(how.stdio));
	offer_init();
	if (ctr_create(&how, &c->made, err))
		return co_context(err, "the program cannot be confined");
	return 0;
}

int confine_let_go(struct confine *c, struct co_err *err)
{
	if (ctr_say(c->made.start, CTR_SAID_START, 0))
		return co_fail(err, CO_GONE, "the program ended before it began");
	return 0;
}

int confine_seal(const struct confine *c)
{
	struct co_err err = { 0 };
	int listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	if (ctr_landlock_apply(c->writable, c->nwritable, &err) ||
	    ctr_filter_install(&c->strict, &listener, &err))
		return errno ? errno : EPERM;
	return 0;
}

int confine_become(const struct confine *c, const char *path, char **argv)
{
	extern char **environ;
	static char self[] = CO_CONTAINED "/bin/cloudos-exec", dashes[] = "--";
	size_t n = 0, count = 0;
	char **words;

	while (argv[count])
		count++;
	words = calloc(count + c->nwords + 3, sizeof(*words));
	if (!words || setenv("CLOUDOS_DIR", CO_CONTAINED, 1) ||
	    setenv("CLOUDOS_LIBEXECDIR", CO_CONTAINED "/libexec", 1))
		return ENOMEM;
	words[n++] = self;
	for (size_t i = 0; i < c->nwords; i++)
		words[n++] = c->words[i];
	words[n++] = dashes;
	words[n++] = (char *) path;
	memcpy(words + n, argv + 1, (count - 1) * sizeof(*words));
	(void) execve(self, words, environ);
	return errno;
}

void confine_end(struct confine *c)
{
	/* what it has left behind ended with its name space; the group may still say so */
	if (c->cgroup) {
		(void) ctr_cgroup_kill(c->cgroup, SIGKILL, NULL);
		(void) ctr_cgroup_remove(c->cgroup, END_MS, NULL);
		ctr_cgroup_free(c->cgroup);
		c->cgroup = NULL;
	}
	ctr_config_free(c->config);
	c->config = NULL;
	ctr_filter_done(&c->strict);
	for (size_t i = 0; i < c->nwords; i++)
		free(c->words[i]);
	c->nwords = 0;
	free(c->grants);
	c->grants = NULL;
	c->ngrants = 0;
}
