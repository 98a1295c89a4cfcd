/* SPDX-License-Identifier: MIT */
/*
 * The main function of the behaviour programs.  GUEST.
 */
#include "behaviour.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 300 };

const char *behaviour_self;

static int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

int behaviour_child(int (*run)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(argument));
	return pid < 0 ? -1 : wait_for(pid);
}

static int run_case(const struct behaviour *behaviour)
{
	int report[2];
	int line = 0;
	int status;
	pid_t pid;

	if (pipe(report) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void) setrlimit(RLIMIT_CORE, &none); /* lowering always works */
		(void) setpgid(0, 0);  /* what it leaves is ended below */
		(void) alarm(SECONDS); /* never fails */
		line = behaviour->holds();
		_exit(write(report[1], &line, sizeof(line)) == sizeof(line) ? 0 : 1);
	}
	(void) close(report[1]);
	status = pid < 0 ? -1 : wait_for(pid);
	if (pid > 0)
		(void) kill(-pid, SIGKILL); /* mostly nothing is left */
	if (read(report[0], &line, sizeof(line)) != sizeof(line))
		line = -1;
	(void) close(report[0]);
	if (status == 0 && line == 0)
		printf("ok: %s\n", behaviour->name);
	else if (status == 0)
		printf("not ok: %s: line %d\n", behaviour->name, line);
	else
		printf("not ok: %s: %s %d\n", behaviour->name,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return status == 0 && line == 0 ? 0 : 1;
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(name, argv[i]) != NULL)
			return 1;
	}
	return argc < 2;
}

int behaviour_main(int argc, char **argv, const struct behaviour *cases, size_t count)
{
	int list = argc == 2 && strcmp(argv[1], "list") == 0;
	int failed = 0;

	behaviour_self = argv[0];
	(void) setvbuf(stdout, NULL, _IONBF,
		       0); /* nothing is printed twice by a fork */
	for (size_t i = 0; i < count; i++) {
		if (list)
			puts(cases[i].name);
		else if (wanted(cases[i].name, argc, argv))
			failed |= run_case(&cases[i]);
	}
	return failed;
}
