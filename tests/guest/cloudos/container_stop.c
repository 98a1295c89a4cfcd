/* SPDX-License-Identifier: MIT */
/* container_stop: asked first, killed when the time is over. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_stop, WORD(id), 1);
}

int main(void)
{
	pid_t pid;

	id = make("stop.good", "sh -c 'trap \"echo asked; exit 3\" TERM; echo up; "
			       "while :; do sleep 0.1; done'");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	check(says(id, "up"), "and runs");
	pid = (pid_t) status_of(id).pid;
	refuses_strangers(by_stranger);
	check_refused(RAW(container_stop, WORD(id), WORD(-2)), CLOUDOS_EINVAL,
		      "a timeout below -1 is refused");
	check_refused(RAW(container_stop, WORD(id), 86401), CLOUDOS_EINVAL,
		      "as is one of more than a day");
	check_number(RAW(container_stop, WORD(id), 60), 0, "it is stopped");
	check_number(others_see_state(id), CONTAINER_STOPPED, "others see it");
	check(says(id, "asked"), "it was asked");
	check_number(status_of(id).exit_status, 3 << 8, "and ended by itself");
	check(kill(pid, 0) < 0, "its process is gone");
	check(status_of(id).finished > 0, "when is known");
	check_number(cloudos_container_stop(id, 1), 0, "what is stopped stays so");
	id = make("stop.deaf",
		  "sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'");
	check_number(RAW(container_start, WORD(id)), 0, "one that does not listen");
	check(says(id, "up"), "runs");
	check_number(RAW(container_stop, WORD(id), 1), 0, "is killed");
	check_number(status_of(id).exit_status, SIGKILL, "after its time");
	check_refused(RAW(container_stop, WORD(-1), 1), CLOUDOS_ENOENT,
		      "there is no container -1");
	return done_containers();
}
