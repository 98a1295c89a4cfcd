/* SPDX-License-Identifier: MIT */
/* cloudos-ctr create, start, run.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/hooks.h"
#include "cloudosd/ctr/seal.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

struct creation {
	const char *id, *bundle, *config_file, *console_socket, *pid_file;
	int64_t preserve_fds;
	bool no_pivot, no_new_keyring, detach, no_subreaper, keep;
	struct ctr_config *config;
	struct ctr_cgroup *cgroup;
	struct ctr_calls *calls; /* of run in the foreground */
	struct ctr_container made;
	struct ctr_state state;
	char created[40];
	int listener;
	struct cli_notify notify;
	char **env, listen_fds[32], listen_pid[16]; /* socket activation */
};

/* ---- sockets in the folder of the state ---- */

/* A path of any length, through its folder. */
static int address(const char *path, struct sockaddr_un *out, int *out_folder,
		   struct co_err *err)
{
	const char *name = strrchr(path, '/');
	char folder[PATH_MAX];
	int n;

	*out_folder = -1;
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof(out->sun_path)) {
		memcpy(out->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (!name || strlen(name) > 60)
		return co_fail(err, CO_NAME_TOO_LONG, "%.60s...: path too long", path);
	n = snprintf(folder, sizeof(folder), "%.*s", (int) (name - path), path);
	if (n < 0 || (size_t) n >= sizeof(folder))
		return co_fail(err, CO_NAME_TOO_LONG, "%.60s...: path too long", path);
	*out_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*out_folder < 0)
		return co_fail_errno(err, errno, "%s cannot be opened", folder);
	(void) snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d%s",
			*out_folder, name);
	return 0;
}

static int connect_as(const char *path, int type, struct co_err *err)
{
	autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	autoclose int folder = -1;
	struct sockaddr_un to;
	int rc = address(path, &to, &folder, err);

	if (rc < 0)
		return rc;
	if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
		return co_fail_errno(err, errno, "%s cannot be connected to", path);
	return take_fd(fd);
}

int cli_connect(const char *path, struct co_err *err)
{
	return connect_as(path, SOCK_STREAM, err);
}

static int start_path(const struct cli *cli, const char *id, char out[PATH_MAX],
		      struct co_err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s/start.sock", cli->root, id);

	if (n < 0 || n >= PATH_MAX)
		return co_fail(err, CO_NAME_TOO_LONG, "the path of --root is too long");
	return 0;
}

static int listen_for_start(struct cli *cli, const char *id)
{
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	autoclose int folder = -1;
	struct sockaddr_un at;
	char path[PATH_MAX];
	int rc = start_path(cli, id, path, &cli->err);

	if (rc == 0)
		rc = address(path, &at, &folder, &cli->err);
	if (rc < 0)
		return rc;
	if (fd < 0 || bind(fd, (struct sockaddr *) &at, sizeof(at)) < 0 ||
	    listen(fd, 4) < 0)
		return co_fail_errno(&cli->err, errno, "%s cannot be made", path);
	return take_fd(fd);
}

/* ---- create ---- */

static int load(struct cli *cli, struct creation *c)
{
	autofree char *bundle = realpath(c->bundle, NULL);
	int rc;

	if (!bundle)
		return co_fail_errno(&cli->err, errno, "the bundle %s cannot be opened",
				     c->bundle);
	if (c->config_file)
		rc = ctr_config_load_file(c->config_file, bundle, &c->config,
					  &cli->err);
	else
		rc = ctr_config_load(bundle, &c->config, &cli->err);
	if (rc < 0)
		return rc;
	if (!c->config->root)
		return co_fail(&cli->err, CO_INVALID, "config.json has no root");
	if (c->config->has_process && c->config->process.args.count == 0)
		return co_fail(&cli->err, CO_INVALID, "process.args is empty");
	if (c->config->has_process && !c->config->process.cwd)
		return co_fail(&cli->err, CO_INVALID, "process has no cwd");
	return 0;
}

static int make_cgroup(struct cli *cli, struct creation *c)
{
	const struct ctr_config *config = c->config;
	char path[PATH_MAX];
	struct ctr_cgroup_spec spec = {
		.id = c->id,
		.path = config->cgroups_path,
		.resources = &config->resources,
		.rootless = ctr_rootless(),
		.accounted = config->cgroups_path != NULL,
		.allow_unenforced = config->cloudos.allow_unenforced_limits,
		.disabled = cli->no_cgroup,
	};

	if (config->cloudos.cgroup_parent) {
		(void) snprintf(path, sizeof(path), "%s/%s",
				config->cloudos.cgroup_parent, c->id);
		spec.path = path;
	}
	return ctr_cgroup_create(&spec, &c->cgroup, &cli->err);
}

static void remark(void *arg, const char *sentence)
{
	cli_remark(arg, sentence);
}

static int make(struct cli *cli, struct creation *c)
{
	autoclose int console = -1;
	struct ctr_create how = {
		.id = c->id,
		.config = c->config,
		.cgroup = c->cgroup,
		.stdio = { -1, -1, -1 },
		.console_socket = -1,
		.preserve_fds = (int) c->preserve_fds,
		.no_pivot = c->no_pivot,
		.no_new_keyring = c->no_new_keyring,
		.start_listener = c->listener,
		.keep = { -1, -1, -1, -1 },
		.remark = remark,
		.arg = cli,
	};

	if (c->calls) {
		how.become = ctr_calls_become;
		how.become_arg = c->calls;
		how.keep[0] = ctr_calls_keep(c->calls);
	}
	if (c->console_socket) {
		console = cli_connect(c->console_socket, &cli->err);
		if (console < 0)
			return console;
		how.console_socket = console;
	}
	return ctr_create(&how, &c->made, &cli->err);
}

static int save_cgroup(struct cli *cli, struct creation *c, struct co_buf *out)
{
	if (!c->cgroup)
		return 0;
	ctr_cgroup_save(c->cgroup, out);
	if (out->failed)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	c->state.cgroup = (struct co_span){ out->data, out->size };
	return 0;
}

static int save(struct cli *cli, struct creation *c, bool started)
{
	autobuf struct co_buf group = { 0 };
	uint64_t start = c->state.pid_start; /* it may have ended since we looked */
	int rc;

	ctr_state_fill(&c->state, c->id, c->config, c->created);
	(void) co_json_member(c->config->json, "annotations", &c->state.annotations);
	c->state.pid = c->made.pid;
	c->state.pid_start = start ? start : ctr_pid_start(c->made.pid);
	c->state.started = started;
	rc = save_cgroup(cli, c, &group);
	if (rc == 0)
		rc = ctr_state_write(cli->root, &c->state, &cli->err);
	return rc;
}

/* Sockets that were given to us are the container's. */
static int pass_listen_fds(struct cli *cli, struct creation *c)
{
	const char *text = getenv("LISTEN_FDS");
	long n = text ? strtol(text, NULL, 10) : 0;
	struct ctr_texts *env = &c->config->process.env;

	if (n <= 0 || n > 1000)
		return 0;
	c->preserve_fds += n;
	c->env = calloc(env->count + 3, sizeof(char *));
	if (!c->env)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	memcpy(c->env, env->at, env->count * sizeof(char *));
	(void) snprintf(c->listen_fds, sizeof(c->listen_fds), "LISTEN_FDS=%ld", n);
	(void) snprintf(c->listen_pid, sizeof(c->listen_pid), "LISTEN_PID=1");
	c->env[env->count] = c->listen_fds;
	c->env[env->count + 1] = c->listen_pid;
	*env = (struct ctr_texts){ .at = c->env, .count = env->count + 2 };
	return 0;
}

/* Where its standard streams lead, in the file and the form in which crun keeps it: who
 * debugs a container, or saves it, looks there. */
static int save_streams(struct cli *cli, const struct creation *c)
{
	autobuf struct co_buf list = { 0 };
	autobuf struct co_buf text = { 0 };

	co_buf_char(&list, '[');
	for (int fd = 0; fd < 3; fd++) {
		char path[64], target[PATH_MAX];
		ssize_t n;

		(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target));
		co_buf_text(&list, fd ? "," : "");
		co_buf_json_text(&list,
				 (struct co_span){ target, n > 0 ? (size_t) n : 0 });
	}
	co_buf_char(&list, ']');
	co_buf_format(&text, "{\"pid\":%d,\"external_descriptors\":", c->made.pid);
	co_buf_json_text(&text, (struct co_span){ list.data, list.size });
	co_buf_text(&text, "}\n");
	if (list.failed || text.failed)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	return ctr_state_write_file(cli->root, c->id, "status",
				    (struct co_span){ text.data, text.size },
				    &cli->err);
}

static int check(struct cli *cli, struct creation *c)
{
	bool terminal = c->config->has_process && c->config->process.terminal;

	if (c->preserve_fds < 0 || c->preserve_fds > 1000)
		return co_fail(&cli->err, CO_INVALID,
			       "--preserve-fds is not between 0 and 1000");
	if (terminal && c->detach && !c->console_socket)
		return co_fail(
			&cli->err, CO_INVALID,
			"the program wants a terminal: use --console-socket to name "
			"who gets it");
	if (!terminal && c->console_socket)
		return co_fail(&cli->err, CO_INVALID,
			       "--console-socket without process.terminal");
	return 0;
}

static void undo(struct cli *cli, struct creation *c)
{
	struct co_err quiet;

	if (c->made.pid > 0) {
		(void) kill(c->made.pid, SIGKILL); /* our child: still there */
		(void) waitpid(c->made.pid, NULL, 0);
	}
	if (c->cgroup) {
		(void) ctr_cgroup_kill(c->cgroup, SIGKILL, &quiet);
		(void) ctr_cgroup_remove(c->cgroup, 2000, &quiet);
	}
	(void) ctr_state_remove(cli->root, c->id,
				&quiet); /* its reason is told already */
}

static void run_poststart(struct cli *cli, const struct ctr_config *config,
			  const char *id, pid_t pid)
{
	autobuf struct co_buf state = { 0 };
	struct co_err err = { 0 };

	ctr_state_json(config, id, "running", pid, &state);
	if (ctr_hooks_run(&config->poststart, "poststart", &state, &err) < 0)
		cli_remark(cli, err.message);
}

/* A failure leaves nothing. */
static int create(struct cli *cli, struct creation *c)
{
	int rc = load(cli, c);

	if (rc == 0)
		rc = pass_listen_fds(cli, c);
	if (rc == 0)
		rc = check(cli, c);
	if (rc == 0)
		rc = ctr_state_reserve(cli->root, c->id, &cli->err);
	if (rc < 0)
		return rc;
	if (c->detach) {
		c->listener = listen_for_start(cli, c->id);
		rc = c->listener < 0 ? c->listener : 0;
	}
	if (rc == 0)
		rc = ctr_state_write_file(cli->root, c->id, "config.json",
					  c->config->json, &cli->err);
	if (rc == 0)
		rc = cli_notify_prepare(cli, c->id, c->config, &c->notify);
	if (rc == 0)
		rc = save(cli, c, false);
	if (rc == 0)
		rc = make_cgroup(cli, c);
	if (rc == 0 && !c->detach && c->config->has_process)
		rc = cli_calls(cli,
			       &(struct ctr_calls_spec){ .config = c->config,
							 .made = c->config,
							 .process = &c->config->process,
							 .id = c->id },
			       &c->calls);
	if (rc == 0)
		rc = make(cli, c);
	if (rc == 0 && c->detach)
		rc = save_streams(cli, c);
	if (rc == 0)
		rc = save(cli, c, false);
	if (rc == 0 && c->pid_file)
		rc = cli_write_pid(cli, c->pid_file, c->made.pid);
	if (rc < 0)
		undo(cli, c);
	return rc;
}

static void creation_done(struct creation *c)
{
	ctr_cgroup_free(c->cgroup);
	c->calls = ctr_calls_free(c->calls);
	ctr_config_free(c->config);
	free(c->env);
	cli_notify_done(&c->notify);
	co_cleanup_close(&c->listener);
	co_cleanup_close(&c->made.pidfd);
	co_cleanup_close(&c->made.start);
	co_cleanup_close(&c->made.console);
}

static int read_creation(struct cli *cli, int argc, char *argv[], struct creation *c)
{
	const struct cli_option options[] = {
		{ "bundle", 'b', CLI_TEXT, &c->bundle },
		{ "config", 'f', CLI_TEXT, &c->config_file },
		{ "console-socket", 0, CLI_TEXT, &c->console_socket },
		{ "pid-file", 0, CLI_TEXT, &c->pid_file },
		{ "preserve-fds", 0, CLI_NUMBER, &c->preserve_fds },
		{ "no-pivot", 0, CLI_FLAG, &c->no_pivot },
		{ "no-new-keyring", 0, CLI_FLAG, &c->no_new_keyring },
		{ "no-subreaper", 0, CLI_FLAG, &c->no_subreaper },
		{ "detach", 'd', CLI_FLAG, &c->detach },
		{ "keep", 0, CLI_FLAG, &c->keep },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	int rc = cli_one_id(cli, argc, argv, at, &c->id);

	if (rc < 0)
		return rc;
	return ctr_seal_self(cli->argv, &cli->err);
}

static const struct creation nothing = {
	.bundle = ".",
	.listener = -1,
	.made = { .pidfd = -1, .start = -1, .console = -1 },
};

int cli_create(struct cli *cli, int argc, char *argv[])
{
	struct creation c = nothing;
	int rc = read_creation(cli, argc, argv, &c);

	c.detach = true;
	if (rc == 0)
		rc = create(cli, &c);
	creation_done(&c);
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- start ---- */

static int start_it(struct cli *cli, const char *id)
{
	struct cli_opened o;
	struct ctr_config *config = NULL;
	struct ctr_container c = { .pidfd = -1, .start = -1, .console = -1 };
	char path[PATH_MAX];
	int rc = cli_open(cli, id, &o);

	if (rc < 0)
		return rc;
	if (strcmp(ctr_state_status(&o.state), "created") != 0)
		rc = co_fail(&cli->err, CO_BUSY,
			     "container `%s` is %s: only a created one can be started",
			     id, ctr_state_status(&o.state));
	if (rc == 0)
		rc = start_path(cli, id, path, &cli->err);
	if (rc == 0)
		rc = cli_config(cli, &o.state, &config);
	if (rc == 0) {
		rc = connect_as(path, SOCK_SEQPACKET, &cli->err);
		c.start = rc;
	}
	if (rc >= 0)
		rc = cli_notify_listen(cli, id, (pid_t) o.state.pid);
	if (rc >= 0)
		rc = ctr_start(&c, &cli->err);
	co_cleanup_close(&c.start);
	if (rc == 0) {
		(void) unlink(path); /* gone already: no matter */
		o.state.started = true;
		rc = ctr_state_write(cli->root, &o.state, &cli->err);
	}
	if (rc == 0)
		run_poststart(cli, config, id, (pid_t) o.state.pid);
	ctr_config_free(config);
	cli_close(&o);
	return rc;
}

int cli_start(struct cli *cli, int argc, char *argv[])
{
	const char *id;
	int at = cli_options(cli, argc, argv, NULL, 0, false);
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0)
		rc = start_it(cli, id);
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- run ---- */

static int run(struct cli *cli, struct creation *c)
{
	int status, rc;

	if (c->detach) {
		rc = create(cli, c);
		if (rc == 0)
			rc = start_it(cli, c->id);
		if (rc < 0 && c->made.pid > 0)
			undo(cli, c);
		return rc;
	}
	/* whatever it leaves becomes ours */
	if (!c->no_subreaper)
		(void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	rc = create(cli, c);
	if (rc < 0)
		return rc;
	rc = cli_notify_listen(cli, c->id, c->made.pid);
	if (rc == 0)
		rc = ctr_start(&c->made, &cli->err);
	if (rc == 0)
		rc = save(cli, c, true);
	if (rc < 0) {
		undo(cli, c);
		return rc;
	}
	run_poststart(cli, c->config, c->id, c->made.pid);
	status = cli_attend(cli, &c->made, c->calls);
	if (!c->keep && cli_delete_one(cli, c->id, true) < 0)
		(void) cli_failed(cli);
	return status;
}

int cli_run(struct cli *cli, int argc, char *argv[])
{
	struct creation c = nothing;
	int rc = read_creation(cli, argc, argv, &c);

	if (rc == 0)
		rc = run(cli, &c);
	creation_done(&c);
	if (rc < 0) {
		int code = rc;

		(void) cli_failed(cli);
		return code == CO_NOT_FOUND ? 127 : code == CO_ACCESS ? 126 : 1;
	}
	return rc;
}
