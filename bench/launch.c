/* SPDX-License-Identifier: MIT */
/*
 * bench-launch COUNT PROGRAM ...: starts the program COUNT times, one after the other, with
 * its output thrown away, and prints the median of wall clock and CPU time.  CPU time is
 * that of the program and of all it waited for.  HOST; bench/run starts it.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

enum { COUNT_MAX = 10000 };

static double seconds(const struct timeval *time)
{
	return (double) time->tv_sec + (double) time->tv_usec / 1e6;
}

static double now(void)
{
	struct timespec at;

	(void) clock_gettime(CLOCK_MONOTONIC, &at); /* always exists */
	return (double) at.tv_sec + (double) at.tv_nsec / 1e9;
}

/* One start; an exit status of its own, or one above 128 for a signal. */
static int launch(posix_spawn_file_actions_t *quiet, char **argv, double *out_wall,
		  double *out_cpu)
{
	double start = now();
	struct rusage used;
	int status = 0;
	pid_t pid;

	errno = posix_spawnp(&pid, argv[0], quiet, NULL, argv, environ);
	if (errno != 0)
		return -1;
	while (wait4(pid, &status, 0, &used) < 0) {
		if (errno != EINTR)
			return -1;
	}
	*out_wall = (now() - start) * 1e3;
	*out_cpu = (seconds(&used.ru_utime) + seconds(&used.ru_stime)) * 1e3;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t quiet;
	static double wall[COUNT_MAX];
	static double cpu[COUNT_MAX];
	int count = argc > 2 ? atoi(argv[1]) : 0;

	if (count < 1 || count > COUNT_MAX) {
		fputs("usage: bench-launch COUNT PROGRAM [ARGUMENT]...\n", stderr);
		return 2;
	}
	if (posix_spawn_file_actions_init(&quiet) != 0 ||
	    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0) !=
		    0) {
		fputs("bench-launch: out of memory\n", stderr);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		int status = launch(&quiet, argv + 2, &wall[i], &cpu[i]);

		if (status != 0) {
			fprintf(stderr, "bench-launch: %s: %s %d\n", argv[2],
				status < 0 ? strerror(errno) : "status", status);
			return 1;
		}
	}
	printf("{\"wall_ms\": %.4f, \"cpu_ms\": %.4f}\n", loop_median(wall, count),
	       loop_median(cpu, count));
	return posix_spawn_file_actions_destroy(&quiet);
}
