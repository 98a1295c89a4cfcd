/* SPDX-License-Identifier: MIT */
/*
 * HOST helper of tests/containers/calls.py: calls-run BUNDLE ID runs a container in the
 * foreground with calls of CloudOS, as a monitor would, and ends as it ends; calls-run
 * BUNDLE ID PID executes the file's program in the container of that process.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/calls.h"
#include "cloudosd/ctr/init.h"

static _Noreturn void fail(const struct co_err *err)
{
	(void) fprintf(stderr, "calls-run: %s\n", err->message);
	_exit(125);
}

static int serve(struct ctr_calls *calls, const struct ctr_container *c)
{
	int status;

	for (;;) {
		struct pollfd p[1 + CTR_CALLS_FDS] = { { .fd = c->pidfd,
							 .events = POLLIN } };
		size_t n = 1 + ctr_calls_poll(calls, p + 1);

		if (poll(p, n, ctr_calls_timeout(calls)) < 0 && errno != EINTR)
			return 124;
		if (p[0].revents)
			break;
		ctr_calls_run(calls);
	}
	if (waitpid(c->pid, &status, 0) < 0)
		return 124;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct co_err err = { 0 };
	struct ctr_config *config;
	struct ctr_calls *calls;
	struct ctr_container c = { 0 };
	struct ctr_calls_spec spec = { 0 };
	const char *why;
	int status;

	if (!strcmp(argv[0], CTR_INIT_NAME))
		return ctr_init_main(argc, argv);
	ctr_init_offer(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	if (argc < 3 || ctr_config_load(argv[1], &config, &err))
		fail(&err);
	(void) prctl(PR_SET_PDEATHSIG, SIGTERM);
	spec = (struct ctr_calls_spec){ .config = config,
					.made = argc == 3 ? config : NULL,
					.process = &config->process,
					.id = argv[2] };
	if (ctr_calls_new(&spec, &calls, &err))
		fail(&err);
	if (argc == 3) {
		struct ctr_create how = { .id = argv[2],
					  .config = config,
					  .stdio = { -1, -1, -1 },
					  .console_socket = -1,
					  .start_listener = -1,
					  .die_with_parent = true,
					  .become = ctr_calls_become,
					  .become_arg = calls,
					  .keep = { ctr_calls_keep(calls), -1 } };

		if (ctr_create(&how, &c, &err) || ctr_start(&c, &err))
			fail(&err);
	} else {
		struct ctr_exec how = { .pid = (pid_t) strtol(argv[3], NULL, 10),
					.pidfd = -1,
					.config = config,
					.process = &config->process,
					.stdio = { -1, -1, -1 },
					.console_socket = -1,
					.become = ctr_calls_become,
					.become_arg = calls,
					.keep = { ctr_calls_keep(calls), -1 } };

		if (ctr_exec(&how, &c, &err))
			fail(&err);
	}
	ctr_calls_begin(calls, c.pid);
	if (argc == 3) /* its init, for one who executes something in it */
		(void) fprintf(stderr, "pid %d\n", c.pid);
	status = serve(calls, &c);
	(void) ctr_calls_served(calls, &why);
	if (*why && status)
		(void) fprintf(stderr, "calls-run: %s\n", why);
	(void) ctr_calls_free(calls);
	ctr_config_free(config);
	return status;
}
