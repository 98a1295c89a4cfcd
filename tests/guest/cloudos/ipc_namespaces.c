/* SPDX-License-Identifier: MIT */
/* Messages into a pid name space and out of it: every pid is the reader's own. */
#include "message.h"

#include <sched.h>

/* Pid 1 of a new name space: asks itself, is asked by somebody it cannot see. */
static int first_of_its_own(int ready)
{
	uint32_t stranger;

	if (getpid() != 1)
		return 1;
	if (send_text(0, MSG_NOTIFICATION, 1, "self") != 0 || receive() != 0 ||
	    got.sender != 1 || got.u.m.receiver_pid != 1)
		return 2;
	if (write(ready, "x", 1) != 1) /* what comes now comes from outside */
		return 8;
	if (receive() != 0 || got.u.m.id != 2 || got.u.m.receiver_pid != 1)
		return 3;
	stranger = got.sender;
	if (stranger < 0x80000000u || got.u.m.sender_pid != stranger)
		return 4;
	if (reply_text(stranger, MSG_RESPONSE, 2, "answer") != 0)
		return 5;
	if (send_text(stranger, MSG_REQUEST, 3, "question") != 0)
		return 6;
	if (receive() != 0 || got.u.m.type != MSG_RESPONSE || got.u.m.id != 3 ||
	    got.sender != stranger)
		return 7;
	return 0;
}

int main(void)
{
	int status = 0, ready[2];
	char byte;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0) {
		printf("no new pid name space here: %s\n", strerror(errno));
		return 77;
	}
	if (pipe(ready) < 0)
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(first_of_its_own(ready[1]));
	close(ready[1]);
	check_number(read(ready[0], &byte, 1), 1,
		     "the first process of a pid name space writes to itself");
	check_number(send_text((uint32_t) pid, MSG_REQUEST, 2, "ask"), 0,
		     "a request to a process in another pid name space");
	check_received(pid, MSG_RESPONSE, 2, "answer",
		       "is answered by the number that it has here");
	check_received(pid, MSG_REQUEST, 3, "question",
		       "and so are its own requests, to a number it was given");
	check_number(reply_text((uint32_t) pid, MSG_RESPONSE, 3, "so"), 0,
		     "which are answered");
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status),
	      "the other has come to its end");
	check_number(WEXITSTATUS(status), 0, "and has seen what it should");
	return done();
}
