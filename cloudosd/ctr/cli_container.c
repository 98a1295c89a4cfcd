/* SPDX-License-Identifier: MIT */
/* cloudos-ctr: what commands on an existing container share, and delete.  HOST. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/hooks.h"
#include "lib/cleanup.h"

int cli_open(struct cli *cli, const char *id, struct cli_opened *out)
{
	int rc;

	*out = (struct cli_opened){ .cgroup = NULL };
	rc = ctr_state_read(cli->root, id, &out->state, &cli->err);
	if (rc == 0 && out->state.pid <= 0) {
		ctr_state_done(&out->state);
		return co_fail(
			&cli->err, CO_NOT_FOUND,
			"container `%s` does not exist (yet: it is being created)", id);
	}
	if (rc == 0 && out->state.cgroup.data) {
		rc = ctr_cgroup_open(out->state.cgroup, &out->cgroup, &cli->err);
		if (rc < 0)
			ctr_state_done(&out->state);
	}
	return rc;
}

void cli_close(struct cli_opened *o)
{
	ctr_cgroup_free(o->cgroup);
	ctr_state_done(&o->state);
	o->cgroup = NULL;
}

int cli_config(struct cli *cli, const struct ctr_state *s, struct ctr_config **out)
{
	char path[PATH_MAX];
	struct co_err quiet;
	int n = snprintf(path, sizeof(path), "%s/%s/config.json", cli->root, s->id);

	if (n > 0 && (size_t) n < sizeof(path) &&
	    ctr_config_load_file(path, s->bundle, out, &quiet) == 0)
		return 0;
	return ctr_config_load(s->bundle, out, &cli->err); /* of a monitor */
}

int cli_write_pid(struct cli *cli, const char *path, pid_t pid)
{
	char fresh[PATH_MAX], text[16];
	autoclose int fd = -1;
	int n = snprintf(fresh, sizeof(fresh), "%s.%d", path, getpid());

	if (n < 0 || (size_t) n >= sizeof(fresh))
		return co_fail(&cli->err, CO_NAME_TOO_LONG, "--pid-file is too long");
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	n = snprintf(text, sizeof(text), "%d", pid);
	if (fd < 0 || write(fd, text, (size_t) n) != n || rename(fresh, path) < 0) {
		int errnum = errno;

		(void) unlink(fresh);
		return co_fail_errno(&cli->err, errnum, "%s cannot be written", path);
	}
	return 0;
}

/* ---- all of --root ---- */

int cli_each(struct cli *cli, int (*each)(struct cli *, const char *id, void *arg),
	     void *arg)
{
	DIR *folder = opendir(cli->root);
	struct dirent *e;
	int rc = 0;

	if (!folder && errno == ENOENT)
		return 0; /* nothing was ever created there */
	if (!folder)
		return co_fail_errno(&cli->err, errno, "%s cannot be opened",
				     cli->root);
	while (rc == 0 && (e = readdir(folder))) {
		char path[PATH_MAX];
		struct co_err quiet;
		int n = snprintf(path, sizeof(path), "%s/%s/state.json", cli->root,
				 e->d_name);

		if (n > 0 && (size_t) n < sizeof(path) && e->d_name[0] != '.' &&
		    ctr_state_check_id(e->d_name, &quiet) == 0 &&
		    access(path, F_OK) == 0)
			rc = each(cli, e->d_name, arg);
	}
	(void) closedir(folder); /* only read */
	return rc;
}

struct match {
	regex_t expression;
	int (*each)(struct cli *, const char *id, void *arg);
	void *arg;
};

static int each_match(struct cli *cli, const char *id, void *arg)
{
	struct match *m = arg;

	return regexec(&m->expression, id, 0, NULL, 0) == 0 ? m->each(cli, id, m->arg)
							    : 0;
}

int cli_each_match(struct cli *cli, const char *expression,
		   int (*each)(struct cli *, const char *id, void *arg), void *arg)
{
	struct match m = { .each = each, .arg = arg };
	int rc;

	if (regcomp(&m.expression, expression, REG_EXTENDED | REG_NOSUB) != 0)
		return co_fail(&cli->err, CO_INVALID, "%s is no regular expression",
			       expression);
	rc = cli_each(cli, each_match, &m);
	regfree(&m.expression);
	return rc;
}

/* ---- delete ---- */

static void await_end(const struct ctr_state *s, int timeout_ms)
{
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, (pid_t) s->pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0 && ctr_state_alive(s))
		(void) poll(&p, 1, timeout_ms); /* seen by who looks afterwards */
}

/* Somebody may have put it into a freezer of cgroup v1 that is none of ours, where SIGKILL
 * waits: whoever is moved to the top is thawed. */
static void leave_foreign_freezer(const struct ctr_state *s)
{
	char number[16];
	autoclose int fd =
		open("/sys/fs/cgroup/freezer/cgroup.procs", O_WRONLY | O_CLOEXEC);
	int n = snprintf(number, sizeof(number), "%d", (int) s->pid);

	if (fd >= 0 && write(fd, number, (size_t) n) < 0)
		return; /* then it is told that it does not end */
}

static int stop(struct cli *cli, struct cli_opened *o)
{
	if (o->cgroup && ctr_cgroup_kill(o->cgroup, SIGKILL, &cli->err) < 0 &&
	    !ctr_state_alive(&o->state))
		return 0; /* what is left, if anything, cgroup_remove tells */
	if (ctr_state_alive(&o->state))
		(void) kill((pid_t) o->state.pid, SIGKILL); /* just gone: fine */
	await_end(&o->state, 500);
	if (ctr_state_alive(&o->state)) {
		leave_foreign_freezer(&o->state);
		await_end(&o->state, 10000);
	}
	if (ctr_state_alive(&o->state))
		return co_fail(&cli->err, CO_TIMED_OUT,
			       "process %d of container `%s` does not end",
			       (int) o->state.pid, o->state.id);
	return 0;
}

static void poststop(struct cli *cli, const struct ctr_state *s)
{
	struct ctr_config *config;
	struct co_err err = { 0 };
	autobuf struct co_buf state = { 0 };

	if (cli_config(cli, s, &config) < 0)
		return;
	ctr_state_json(config, s->id, "stopped", 0, &state);
	if (ctr_hooks_run(&config->poststop, "poststop", &state, &err) < 0)
		cli_remark(cli, err.message);
	ctr_config_free(config);
}

static int delete_opened(struct cli *cli, struct cli_opened *o, bool force)
{
	const char *status = ctr_state_status(&o->state);
	int rc = 0;

	if (!force && strcmp(status, "stopped") != 0 && strcmp(status, "created") != 0)
		return co_fail(&cli->err, CO_BUSY,
			       "container `%s` is %s: kill it first, or use --force",
			       o->state.id, status);
	rc = stop(cli, o);
	if (rc == 0 && o->cgroup)
		rc = ctr_cgroup_remove(o->cgroup, 5000, &cli->err);
	if (rc < 0)
		return rc;
	poststop(cli, &o->state);
	return ctr_state_remove(cli->root, o->state.id, &cli->err);
}

int cli_delete_one(struct cli *cli, const char *id, bool force)
{
	struct cli_opened o;
	int rc = cli_open(cli, id, &o);

	if (rc == CO_NOT_FOUND && force)
		return ctr_state_remove(cli->root, id, &cli->err); /* half of one */
	if (rc == 0) {
		rc = delete_opened(cli, &o, force);
		cli_close(&o);
	}
	return rc;
}

static int delete_match(struct cli *cli, const char *id, void *arg)
{
	return cli_delete_one(cli, id, *(bool *) arg);
}

int cli_delete(struct cli *cli, int argc, char *argv[])
{
	bool force = false, regex = false;
	const struct cli_option options[] = {
		{ "force", 'f', CLI_FLAG, &force },
		{ "regex", 'r', CLI_FLAG, &regex },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	const char *id;
	int rc;

	if (regex && at >= 0 && argc - at == 1)
		rc = cli_each_match(cli, argv[at], delete_match, &force);
	else
		rc = cli_one_id(cli, argc, argv, at, &id);
	if (rc == 0 && !regex)
		rc = cli_delete_one(cli, id, force);
	return rc < 0 ? cli_failed(cli) : 0;
}
