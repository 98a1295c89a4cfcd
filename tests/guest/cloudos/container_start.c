/* SPDX-License-Identifier: MIT */
/* container_start: the program runs when it returns. */
#include "container.h"

static int id;

static long by_stranger(void)
{
	return RAW(container_start, WORD(id));
}

int main(void)
{
	container_status_t s;

	id = make("container.start", "sleep 1000");
	refuses_strangers(by_stranger);
	check_number(others_see_state(id), CONTAINER_CREATED, "it does not run yet");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	check_number(others_see_state(id), CONTAINER_RUNNING,
		     "others see that it runs");
	s = status_of(id);
	check(s.pid > 0 && kill((pid_t) s.pid, 0) == 0, "its first process is there");
	check_number(cloudos_container_start(id), 0, "one that runs is left as it is");
	check_number((long) status_of(id).pid, (long) s.pid, "with its process");
	check_refused(RAW(container_start, WORD(-1)), CLOUDOS_ENOENT,
		      "there is no container -1");
	check_refused(RAW(container_start, 1000000), CLOUDOS_ENOENT, "or a million");
	id = make("container.none", "/bin/none");
	check_refused(RAW(container_start, WORD(id)), CLOUDOS_ENOENT,
		      "a program that is not there");
	check_number(others_see_state(id), CONTAINER_STOPPED, "does not run");
	check_number(status_of(id).exit_status, 127 << 8, "and ended with 127");
	check(status_of(id).error[0] != '\0', "for a reason that is kept");
	id = make("container.text", "/bin/text");
	check_refused(RAW(container_start, WORD(id)), CLOUDOS_EACCES,
		      "a file that is no program is refused");
	return done_containers();
}
