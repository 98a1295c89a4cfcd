/* SPDX-License-Identifier: MIT */
/* container_restart: another process, the same files. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_restart, WORD(id));
}

int main(void)
{
	uint32_t pid;

	id = make("restart",
		  "sh -c 'echo run >>/tmp/runs; while read line; do echo \"$line\"; "
		  "done </tmp/runs; echo up; exec sleep 1000'");
	check_number(RAW(container_restart, WORD(id)), 0,
		     "one that never ran is started");
	check(says(id, "up"), "and runs");
	pid = status_of(id).pid;
	refuses_strangers(by_stranger);
	check_number(cloudos_container_restart(id), 0, "it is restarted");
	check_number(others_see_state(id), CONTAINER_RUNNING,
		     "others see that it runs");
	check(status_of(id).pid != pid, "as another process");
	check(says(id, "run\n") && says(id, "up"),
	      "with the files that it has written");
	check_number(status_of(id).restarts, 0, "which is none of its policy's doing");
	check_refused(RAW(container_restart, 1000000), CLOUDOS_ENOENT,
		      "there is no such container");
	return done_containers();
}
