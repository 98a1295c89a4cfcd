/* SPDX-License-Identifier: MIT */
/*
 * bench-notify-call linux|private: what one call costs where this program runs: getppid,
 * or the private interface_version.  GUEST; bench/run starts it natively and under
 * cloudos-exec, in turn.
 */
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum {
	NR_INTERFACE_VERSION = 21900,
	SYSCALL_INTERFACE = 1, /* its argument: the first row of versions.def */
	LINUX_CALLS = 20000,
	PRIVATE_CALLS = 2000
};

int main(int argc, char **argv)
{
	struct loop_times times;
	int failed;

	if (argc != 2) {
		fputs("usage: bench-notify-call linux|private\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "private") == 0)
		failed = loop_run(NR_INTERFACE_VERSION, SYSCALL_INTERFACE,
				  PRIVATE_CALLS, &times);
	else
		failed = loop_run(SYS_getppid, 0, LINUX_CALLS, &times);
	if (failed) {
		fprintf(stderr, "bench-notify-call: the %s call failed: %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	loop_print(&times);
	return 0;
}
