/* SPDX-License-Identifier: MIT */
/* sys_container_stop: as container_stop, with the container's own time. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(sys_container_stop, WORD(id));
}

int main(void)
{
	id = make("sys.stop", "sh -c 'trap \"exit 4\" TERM; echo up; "
			      "while :; do sleep 0.1; done'");
	check_number(RAW(sys_container_start, WORD(id)), 0, "it is started");
	check(says(id, "up"), "and runs");
	refuses_strangers(by_stranger);
	check_number(RAW(sys_container_stop, WORD(id)), 0, "it is stopped");
	check_number(others_see_state(id), CONTAINER_STOPPED, "others see it");
	check_number(status_of(id).exit_status, 4 << 8, "it ended by itself");
	check_number(cloudos_sys_container_stop(id), 0, "what is stopped stays so");
	check_refused(RAW(sys_container_stop, 1000000), CLOUDOS_ENOENT,
		      "there is no such container");
	return done_containers();
}
