/* SPDX-License-Identifier: MIT */
/* container_destroy: with its files, and once. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_destroy, WORD(id));
}

int main(void)
{
	char path[600];

	id = make("container.destroy", "sleep 1000");
	(void) snprintf(path, sizeof(path), "%s/state/containers/%d",
			getenv("CLOUDOS_DIR"), id);
	check(access(path, F_OK) == 0, "it has files");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	refuses_strangers(by_stranger);
	check_refused(RAW(container_destroy, WORD(id)), CLOUDOS_EBUSY,
		      "one that runs is not destroyed");
	check_number(others_see_state(id), CONTAINER_RUNNING, "and goes on");
	check_number(RAW(container_stop, WORD(id), 0), 0, "it is stopped");
	check_number(RAW(container_destroy, WORD(id)), 0, "it is destroyed");
	check_number(others_see_state(id), 0, "others do not see it any more");
	check(access(path, F_OK) < 0, "its files are gone");
	check_refused(RAW(container_destroy, WORD(id)), CLOUDOS_ENOENT,
		      "a second time there is none");
	id = make("container.destroy", "sleep 1000");
	check_number(cloudos_container_destroy(id), 0,
		     "one that never ran is destroyed, and its name is free again");
	return done_containers();
}
