/* SPDX-License-Identifier: MIT */
/* container_unpause: it goes on where it was. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_unpause, WORD(id));
}

int main(void)
{
	uint32_t pid;

	id = make("unpause",
		  "sh -c 'echo up; read x </dev/null; i=0; while :; do sleep 0.05; "
		  "i=$((i+1)); echo \"step $i\"; done'");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	check(says(id, "step 1"), "and runs");
	check_refused(RAW(container_unpause, WORD(id)), CLOUDOS_EBUSY,
		      "one that runs cannot go on");
	pid = status_of(id).pid;
	check_number(RAW(container_pause, WORD(id)), 0, "it is paused");
	refuses_strangers(by_stranger);
	check_number(RAW(container_unpause, WORD(id)), 0, "it goes on");
	check_number(others_see_state(id), CONTAINER_RUNNING, "others see it");
	check(says(id, "step 20"), "it does what it did");
	check_number((long) status_of(id).pid, (long) pid, "as the same process");
	check_number(cloudos_container_unpause(1000000), CLOUDOS_ENOENT,
		     "there is no such container");
	return done_containers();
}
