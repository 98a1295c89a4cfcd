/* SPDX-License-Identifier: MIT */
/* container_pause: nothing in it goes on. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_pause, WORD(id));
}

static uint64_t log_size(void)
{
	struct stat st;
	char path[600];

	(void) snprintf(path, sizeof(path), "%s/state/containers/%d/log",
			getenv("CLOUDOS_DIR"), id);
	return stat(path, &st) == 0 ? (uint64_t) st.st_size : 0;
}

int main(void)
{
	uint64_t size, until;

	id = make("pause", "sh -c 'while :; do echo tick; sleep 0.01; done'");
	check_refused(RAW(container_pause, WORD(id)), CLOUDOS_EBUSY,
		      "one that does not run cannot be paused");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	check(says(id, "tick"), "and runs");
	refuses_strangers(by_stranger);
	check_number(RAW(container_pause, WORD(id)), 0, "it is paused");
	check_number(others_see_state(id), CONTAINER_PAUSED, "others see it");
	/* what it wrote before may still be on its way to the log */
	for (until = now_ms() + 300; now_ms() < until;)
		breathe();
	size = log_size();
	for (until = now_ms() + 300; now_ms() < until;)
		breathe();
	check_number((long) log_size(), (long) size, "it writes nothing");
	check_number(cloudos_container_pause(id), CLOUDOS_EBUSY,
		     "one that is paused cannot be paused");
	check_number(RAW(container_stop, WORD(id), 0), 0, "but be stopped");
	check_number(others_see_state(id), CONTAINER_STOPPED, "as others see");
	check_refused(RAW(container_pause, 1000000), CLOUDOS_ENOENT,
		      "there is no such container");
	return done_containers();
}
