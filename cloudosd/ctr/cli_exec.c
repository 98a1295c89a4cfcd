/* SPDX-License-Identifier: MIT */
/* cloudos-ctr exec.  HOST. */
#include <co/limits.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/seal.h"
#include "cloudosd/ctr/users.h"
#include "lib/capability.h"
#include "lib/cleanup.h"

struct execution {
	const char *id, *process_file, *console_socket, *pid_file, *user, *cwd;
	const char *apparmor, *label;
	struct cli_texts env, caps, gids;
	int64_t preserve_fds, failed_status;
	bool detach, terminal, no_new_privs;
	struct ctr_process_spec process, from_file;
	struct ctr_account account; /* of --user */
	char home[sizeof("HOME=") + 256];
	char **env_list;
};

/* The last of one name counts. */
static int join_env(struct cli *cli, struct execution *e, const struct ctr_texts *base)
{
	size_t n = 0;

	e->env_list = calloc(base->count + e->env.count + 1, sizeof(char *));
	if (!e->env_list)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < base->count; i++) {
		size_t name = strcspn(base->at[i], "=") + 1;
		bool replaced = false;

		for (size_t j = 0; j < e->env.count; j++)
			replaced |= strncmp(base->at[i], e->env.at[j], name) == 0;
		if (!replaced)
			e->env_list[n++] = base->at[i];
	}
	for (size_t j = 0; j < e->env.count; j++)
		e->env_list[n++] = e->env.at[j];
	e->process.env = (struct ctr_texts){ .at = e->env_list, .count = n };
	return 0;
}

/* Names are those of the container's own files. */
static int find_account(const char *who, pid_t pid, struct ctr_account *out,
			struct co_err *err)
{
	char path[32];
	autoclose int root = -1, passwd_fd = -1, group_fd = -1;
	autofree char *passwd = NULL, *group = NULL;

	(void) snprintf(path, sizeof(path), "/proc/%d/root", (int) pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0) {
		passwd_fd = ctr_users_open(root, "etc/passwd");
		group_fd = ctr_users_open(root, "etc/group");
	}
	passwd = ctr_users_read(passwd_fd);
	group = ctr_users_read(group_fd);
	if (!passwd || !group)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the container's users");
	return ctr_users_find(who, passwd, group, out, err);
}

/* The user's own, unless --env says another. */
static void take_home(struct execution *e)
{
	for (size_t i = 0; i < e->env.count; i++)
		if (strncmp(e->env.at[i], "HOME=", 5) == 0)
			return;
	(void) snprintf(e->home, sizeof(e->home), "HOME=%s",
			*e->account.home ? e->account.home : "/");
	if (e->env.count < CLI_TEXTS_MAX)
		e->env.at[e->env.count++] = e->home;
}

static int take_user(struct cli *cli, struct execution *e, pid_t pid)
{
	struct ctr_user *u = &e->process.user;
	int rc;

	if (!e->user)
		return 0;
	rc = find_account(e->user, pid, &e->account, &cli->err);
	if (rc < 0)
		return rc;
	u->uid = e->account.uid;
	u->gid = e->account.gid;
	u->groups = e->account.groups;
	u->group_count = e->account.ngroups;
	take_home(e);
	/* as execve would do with another user: what was root's is gone */
	if (u->uid != 0) {
		e->process.capabilities.effective = 0;
		e->process.capabilities.permitted = 0;
		e->process.capabilities.ambient = 0;
		e->process.capabilities.inheritable = 0;
	}
	return 0;
}

static int take_capabilities(struct cli *cli, struct execution *e)
{
	struct ctr_capabilities *c = &e->process.capabilities;

	for (size_t i = 0; i < e->caps.count; i++) {
		int n = co_capability_number(e->caps.at[i]);

		if (n < 0) {
			cli_remark(cli, "an unknown capability was passed over");
			continue;
		}
		c->bounding |= 1ULL << n;
		c->permitted |= 1ULL << n;
		c->effective |= 1ULL << n;
		if (e->process.user.uid == 0)
			continue;
		/* who is not root keeps it over exec only like this */
		c->inheritable |= 1ULL << n;
		c->ambient |= 1ULL << n;
	}
	return 0;
}

static int from_file(struct cli *cli, struct execution *e)
{
	autobuf struct co_buf text = { 0 };
	int rc = ctr_file_read(e->process_file, CO_LIMIT_CTR_CONFIG, &text, &cli->err);

	if (rc == 0)
		rc = ctr_process_parse(
			(struct co_span){ text.data ? text.data : "", text.size },
			&e->from_file, &cli->err);
	if (rc < 0)
		return co_context(&cli->err, "%s", e->process_file);
	e->process = e->from_file;
	e->terminal = e->process.terminal;
	return 0;
}

static int describe(struct cli *cli, struct execution *e, pid_t pid,
		    const struct ctr_config *config, struct ctr_texts args)
{
	int rc;

	if (e->process_file) {
		rc = from_file(cli, e);
	} else {
		e->process = config->process;
		e->process.args = args;
		e->process.terminal = e->terminal;
		rc = take_user(cli, e, pid);
		if (rc == 0)
			rc = join_env(cli, e, &config->process.env);
		if (rc == 0)
			rc = take_capabilities(cli, e);
		if (e->cwd)
			e->process.cwd = (char *) (uintptr_t) e->cwd;
		if (e->no_new_privs)
			e->process.no_new_privileges = true;
		if (e->apparmor)
			e->process.apparmor_profile = (char *) (uintptr_t) e->apparmor;
		if (e->label)
			e->process.selinux_label = (char *) (uintptr_t) e->label;
	}
	if (rc == 0 && e->process.args.count == 0)
		return co_fail(&cli->err, CO_INVALID,
			       "exec wants a program to execute");
	if (rc == 0 && e->process.cwd && e->process.cwd[0] != '/')
		return co_fail(&cli->err, CO_INVALID, "--cwd is not absolute");
	return rc;
}

static int enter(struct cli *cli, struct execution *e, const struct cli_opened *o,
		 const struct ctr_config *config)
{
	autoclose int console = -1;
	/* held before it is compared: later its number may be somebody else's */
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, (pid_t) o->state.pid, 0);
	struct ctr_calls *calls = NULL;
	struct ctr_container made = { .pidfd = -1, .start = -1, .console = -1 };
	struct ctr_exec how = {
		.pid = (pid_t) o->state.pid,
		.pidfd = pidfd,
		.config = config,
		.process = &e->process,
		.cgroup = o->cgroup,
		.stdio = { -1, -1, -1 },
		.console_socket = -1,
		.preserve_fds = (int) e->preserve_fds,
		.keep = { -1, -1, -1, -1 },
	};
	int rc;

	if (pidfd < 0 || !ctr_state_alive(&o->state))
		return co_fail(&cli->err, CO_GONE, "the container `%s` has ended",
			       e->id);
	if (e->console_socket) {
		console = cli_connect(e->console_socket, &cli->err);
		if (console < 0)
			return console;
		how.console_socket = console;
	}
	/* somebody has to stay for its calls */
	rc = e->detach ? 0
		       : cli_calls(cli,
				   &(struct ctr_calls_spec){ .config = config,
							     .process = &e->process,
							     .id = e->id },
				   &calls);
	if (rc == 0 && calls) {
		how.become = ctr_calls_become;
		how.become_arg = calls;
		how.keep[0] = ctr_calls_keep(calls);
	}
	if (rc == 0)
		rc = ctr_exec(&how, &made, &cli->err);
	if (rc == 0 && e->pid_file)
		rc = cli_write_pid(cli, e->pid_file, made.pid);
	if (rc == 0 && !e->detach)
		rc = cli_attend(cli, &made, calls);
	(void) ctr_calls_free(calls);
	co_cleanup_close(&made.pidfd);
	co_cleanup_close(&made.console);
	return rc;
}

static int execute(struct cli *cli, struct execution *e, int argc, char *argv[], int at)
{
	struct cli_opened o;
	struct ctr_config *config = NULL;
	const char *status;
	int rc = cli_open(cli, e->id, &o);

	if (rc < 0)
		return rc;
	status = ctr_state_status(&o.state);
	if (strcmp(status, "running") != 0 && strcmp(status, "created") != 0)
		rc = co_fail(&cli->err, CO_BUSY,
			     "the container `%s` is not running, it is %s", e->id,
			     status);
	if (rc == 0)
		rc = cli_config(cli, &o.state, &config);
	if (rc == 0)
		rc = describe(cli, e, (pid_t) o.state.pid, config,
			      (struct ctr_texts){ .at = argv + at,
						  .count = (size_t) (argc - at) });
	if (rc == 0 && e->terminal && e->detach && !e->console_socket)
		rc = co_fail(
			&cli->err, CO_INVALID,
			"a detached program with a terminal wants --console-socket");
	if (rc == 0)
		rc = enter(cli, e, &o, config);
	ctr_config_free(config);
	cli_close(&o);
	return rc;
}

int cli_exec(struct cli *cli, int argc, char *argv[])
{
	struct execution e = { .failed_status = 1 };
	const struct cli_option options[] = {
		{ "process", 'p', CLI_TEXT, &e.process_file },
		{ "console-socket", 0, CLI_TEXT, &e.console_socket },
		{ "pid-file", 0, CLI_TEXT, &e.pid_file },
		{ "preserve-fds", 0, CLI_NUMBER, &e.preserve_fds },
		{ "failed-status", 0, CLI_NUMBER, &e.failed_status },
		{ "detach", 'd', CLI_FLAG, &e.detach },
		{ "tty", 't', CLI_FLAG, &e.terminal },
		{ "user", 'u', CLI_TEXT, &e.user },
		{ "cwd", 0, CLI_TEXT, &e.cwd },
		{ "env", 'e', CLI_TEXTS, &e.env },
		{ "cap", 'c', CLI_TEXTS, &e.caps },
		{ "no-new-privs", 0, CLI_FLAG, &e.no_new_privs },
		{ "apparmor", 0, CLI_TEXT, &e.apparmor },
		{ "process-label", 0, CLI_TEXT, &e.label },
		{ "cgroup", 0, CLI_TEXT, NULL },
		{ "no-subreaper", 0, CLI_FLAG, NULL },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), true);
	int rc = at < 0 ? at : 0;

	if (rc == 0 && at == argc)
		rc = co_fail(&cli->err, CO_INVALID, "exec wants the id of a container");
	if (rc == 0) {
		e.id = argv[at];
		rc = ctr_seal_self(cli->argv, &cli->err);
	}
	if (rc == 0)
		rc = execute(cli, &e, argc, argv, at + 1);
	ctr_process_done(&e.from_file);
	free(e.env_list);
	if (rc >= 0)
		return rc;
	(void) cli_failed(cli);
	return rc == CO_NOT_FOUND                   ? 127
	       : rc == CO_ACCESS || rc == CO_IS_DIR ? 126
						    : (int) e.failed_status;
}
