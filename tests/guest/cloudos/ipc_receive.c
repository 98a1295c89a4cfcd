/* SPDX-License-Identifier: MIT */
/* ipc_receive: waiting, too little room, bad memory, signals, threads. */
#include "message.h"

#include <pthread.h>

static int child_receives_one(void *arg)
{
	(void) arg;
	return receive() == 0 && got.u.m.id == 11 && strcmp(got_text(), "late") == 0
		       ? 0
		       : 1;
}

static pid_t start_waiting(void)
{
	uint64_t deadline = now_ms() + 20000;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(child_receives_one(NULL));
	while (!waits_in(pid, CLOUDOS_SYS_ipc_receive) && now_ms() < deadline)
		breathe();
	return pid;
}

static void a_process_waits_for_a_message(void)
{
	pid_t pid = start_waiting();
	int status = 0;

	check_number(waitpid(pid, &status, WNOHANG), 0,
		     "a process that has no message waits");
	check_number(send_text((uint32_t) pid, MSG_NOTIFICATION, 11, "late"), 0,
		     "a message is sent to it");
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		      WEXITSTATUS(status) == 0,
	      "and it goes on with it");
	pid = start_waiting();
	kill(pid, SIGKILL);
	check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status),
	      "one that waits can be killed");
	check_refused(send_text((uint32_t) pid, MSG_NOTIFICATION, 1, ""),
		      CLOUDOS_ENOENT, "and receives no more");
}

static void what_does_not_fit_stays(void)
{
	error_info_t info;

	check_number(send_text(0, MSG_NOTIFICATION, 1, "twelve bytes"), 0,
		     "a message of 13 bytes");
	check_refused(receive_up_to(sizeof(message_t) + 12), CLOUDOS_EFBIG,
		      "does not fit into 12");
	info = last_error();
	check(strstr(info.message, "13 bytes") != NULL, "the reason says how many");
	check_number(got.u.m.id, 0x5a5a5a5a, "nothing has been written");
	check_refused(receive_up_to(sizeof(message_t)), CLOUDOS_EFBIG, "nor into none");
	check_refused(receive_up_to(sizeof(message_t) - 1), CLOUDOS_EINVAL,
		      "less than a header is refused");
	check_refused(receive_up_to(0), CLOUDOS_EINVAL, "as is nothing");
	check_number(receive_up_to(sizeof(message_t) + 13), 0, "it fits into 13");
	check_text(got_text(), "twelve bytes", "and is what it was");
	check_number(send_text(0, MSG_NOTIFICATION, 2, "more"), 0, "another one");
	check_number(receive_up_to(SIZE_MAX), 0, "any larger room is good");
	check_number(got.u.m.id, 2, "for it");
}

/* A message that cannot be written stays, in its place. */
static void what_cannot_be_written_stays(void)
{
	uint32_t sender;

	check_number(send_text(0, MSG_REQUEST, 21, "first"), 0, "two messages wait");
	check_number(send_text(0, MSG_NOTIFICATION, 22, "second"), 0, "for this");
	check_refused(RAW(ipc_receive, 0, WORD(&got.u), 4096), CLOUDOS_EFAULT,
		      "a sender that goes to NULL is refused");
	check_refused(RAW(ipc_receive, WORD(unmapped()), WORD(&got.u), 4096),
		      CLOUDOS_EFAULT, "or nowhere");
	check_refused(RAW(ipc_receive, WORD(read_only()), WORD(&got.u), 4096),
		      CLOUDOS_EFAULT, "or where it cannot be written");
	check_refused(RAW(ipc_receive, WORD(&sender), 0, 4096), CLOUDOS_EFAULT,
		      "a message that goes to NULL is refused");
	check_refused(RAW(ipc_receive, WORD(&sender), WORD(unmapped()), 4096),
		      CLOUDOS_EFAULT, "or nowhere");
	check_refused(RAW(ipc_receive, WORD(&sender), WORD(read_only()), 4096),
		      CLOUDOS_EFAULT, "or where it cannot be written");
	check_refused(
		RAW(ipc_receive, WORD(&sender), WORD(end_of_mapping() - 22), 4096),
		CLOUDOS_EFAULT, "or where only its header fits");
	check_received(getpid(), MSG_REQUEST, 21, "first", "the first is still there");
	check_received(getpid(), MSG_NOTIFICATION, 22, "second", "before the second");
	check_number(reply_text((uint32_t) getpid(), MSG_RESPONSE, 21, "so"), 0,
		     "and can be answered");
	check_received(getpid(), MSG_RESPONSE, 21, "so", "as any other");
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signo)
{
	(void) signo;
	alarms++;
}

static void signals_end_the_waiting(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	uint32_t sender;
	long result;

	sigaction(SIGALRM, &action, NULL);
	ualarm(50000, 50000); /* often, so that none is too early */
	result = receive();
	ualarm(0, 0);
	check_number(result, -EINTR, "a signal ends the waiting with EINTR");
	check(alarms > 0, "its handler has run");
	ualarm(50000, 50000);
	result = cloudos_ipc_receive(&sender, &got.u.m, 4096);
	ualarm(0, 0);
	check_number(result, CLOUDOS_EBUSY, "libcloudos says that it was interrupted");
	check_number(send_text(0, MSG_NOTIFICATION, 31, "after"), 0,
		     "what is sent then");
	check_number(cloudos_ipc_receive(&sender, &got.u.m, 4096), 0,
		     "goes to who asks next");
	check_number(got.u.m.id, 31, "and to nobody who has given up");
}

static void *thread_receives(void *result)
{
	union {
		message_t m;
		char bytes[sizeof(message_t) + 64];
	} room;
	uint32_t sender;
	long r = RAW(ipc_receive, WORD(&sender), WORD(&room), sizeof(room));

	*(long *) result = r ? r : (long) room.m.id;
	return NULL;
}

static void threads_share_a_queue(void)
{
	pthread_t threads[4];
	long results[4] = { 0 };
	unsigned seen = 0;

	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, thread_receives, &results[i]))
			die("no thread");
	for (uint32_t i = 1; i <= 4; i++)
		(void) send_text(0, MSG_NOTIFICATION, i, "one each");
	for (int i = 0; i < 4; i++) {
		if (pthread_join(threads[i], NULL))
			die("no thread");
		if (results[i] >= 1 && results[i] <= 4)
			seen |= 1u << results[i];
	}
	check_number(seen, 0x1e, "four waiting threads get one of four messages each");
	check(is_empty(), "and no more");
}

int main(void)
{
	a_process_waits_for_a_message();
	what_does_not_fit_stays();
	what_cannot_be_written_stays();
	signals_end_the_waiting();
	threads_share_a_queue();
	return done();
}
