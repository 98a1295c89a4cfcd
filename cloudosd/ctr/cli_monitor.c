/* SPDX-License-Identifier: MIT */
/* The commands `monitor` and `reap` of cloudos-ctr.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/init.h"
#include "cloudosd/ctr/monitor.h"
#include "cloudosd/ctr/program.h"
#include "cloudosd/ctr/seal.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

static int complain(struct cli *cli, const char *what)
{
	(void) co_fail(&cli->err, CO_INVALID, "%s", what);
	(void) cli_failed(cli);
	return 2;
}

static bool number(const char *text, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out <= most;
}

/* ---- monitor ---- */

enum { BUNDLE = 256, CONTROL, STDIN, CALLS, LOG_SIZE, LOG_FILES, LOG_MODE, RUNTIME };

static const struct option options[] = {
	{ "bundle", required_argument, NULL, BUNDLE },
	{ "control-fd", required_argument, NULL, CONTROL },
	{ "stdin", no_argument, NULL, STDIN },
	{ "calls", no_argument, NULL, CALLS },
	{ "log-size", required_argument, NULL, LOG_SIZE },
	{ "log-files", required_argument, NULL, LOG_FILES },
	{ "log-mode", required_argument, NULL, LOG_MODE },
	{ "runtime", required_argument, NULL, RUNTIME },
	{ 0 },
};

static bool take_option(struct ctr_monitor_options *o, int option, const char *value)
{
	uint64_t n = 0;

	switch (option) {
	case BUNDLE:
		o->bundle = value;
		return value[0] == '/';
	case CONTROL:
		if (!number(value, INT_MAX, &n) || fcntl((int) n, F_GETFD) < 0)
			return false;
		o->control = (int) n;
		return true;
	case STDIN:
		return o->stdin_open = true;
	case CALLS:
		return o->calls = true;
	case LOG_SIZE:
		return number(value, UINT64_MAX, &o->log_bytes);
	case LOG_FILES:
		if (!number(value, UINT_MAX, &n))
			return false;
		o->log_files = (unsigned) n;
		return true;
	case RUNTIME:
		o->runtime = strcmp(value, "builtin") == 0 ? NULL : value;
		return value[0] != 0;
	case LOG_MODE:
		o->log_non_blocking = strcmp(value, "non-blocking") == 0;
		return o->log_non_blocking || strcmp(value, "blocking") == 0;
	default:
		return false;
	}
}

/* A session of its own, nothing of the daemon's but the connection. */
static int leave(struct ctr_monitor_options *o)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = null < 0 ? -1 : fork();

	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	ctr_close_others((int[]){ o->control, ctr_init_fd() }, 2);
	(void) fcntl(o->control, F_SETFD, FD_CLOEXEC); /* it is open: see CONTROL */
	(void) fcntl(o->control, F_SETFL, O_NONBLOCK);
	(void) umask(077);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) signal(SIGHUP, SIG_IGN);
	return setsid() < 0 || chdir("/") < 0 ? -1 : 0;
}

static int read_command(struct cli *cli, int argc, char *argv[],
			struct ctr_monitor_options *o)
{
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		if (!take_option(o, option, optarg))
			return complain(cli, "an option is unknown or its value wrong");
	if (optind != argc - 1 || !o->bundle || o->control < 3 || cli->root[0] != '/')
		return complain(cli,
				"usage: cloudos-ctr --root /R monitor --bundle /B "
				"--control-fd N [--stdin] [--calls] [--log-size BYTES] "
				"[--log-files N] [--log-mode blocking|non-blocking] "
				"[--runtime NAME|PATH] ID");
	o->id = argv[optind];
	return ctr_state_check_id(o->id, &cli->err) < 0 ? cli_failed(cli) : 0;
}

int cli_monitor(struct cli *cli, int argc, char *argv[])
{
	struct ctr_monitor_options o = { .root = cli->root, .control = -1 };
	int rc = read_command(cli, argc, argv, &o);

	if (rc != 0)
		return rc;
	if (ctr_seal_self(cli->argv, &cli->err) < 0)
		return cli_failed(cli);
	if (leave(&o) < 0)
		return complain(cli, "cannot leave the caller's session");
	(void) co_fault_arm_from_environment(NULL); /* none is armed then */
	return ctr_monitor_run(&o) < 0 ? 1 : 0;
}

/* ---- reap ---- */

int cli_reap(struct cli *cli, int argc, char *argv[])
{
	bool force = argc > 1 && strcmp(argv[1], "--force") == 0;
	int first = force ? 2 : 1;
	size_t reaped = 0;
	int rc = 0;

	if (force && argc < 3)
		return complain(cli, "--force needs the ids of containers");
	if (argc < 2)
		rc = ctr_reap(cli->root, &reaped, &cli->err);
	for (int i = first; rc >= 0 && i < argc; i++) {
		rc = ctr_state_check_id(argv[i], &cli->err);
		if (rc == 0)
			rc = force ? ctr_reap_force(cli->root, argv[i], &cli->err)
				   : ctr_reap_one(cli->root, argv[i], &cli->err);
		reaped += rc == 0;
	}
	if (rc < 0)
		return cli_failed(cli);
	(void) printf("%zu\n", reaped);
	return 0;
}
