/* SPDX-License-Identifier: MIT */
/* ipc_reply: answers find their requests, once; and what happens when a side dies. */
#include "message.h"

/* ---- a server ---- */

/* Answers what it is asked: "die" by ending, "keep" not at all, anything else with itself. */
static int serve(void *arg)
{
	(void) arg;
	for (;;) {
		char text[64];
		uint32_t id, from;

		if (receive() != 0)
			return 1;
		id = got.u.m.id;
		from = got.sender;
		if (strcmp(got_text(), "die") == 0)
			_exit(3);
		if (strcmp(got_text(), "keep") == 0)
			continue;
		(void) snprintf(text, sizeof(text), "re: %.50s", got_text());
		if (reply_text(from, id == 13 ? MSG_ERROR : MSG_RESPONSE, id, text) !=
		    0)
			return 2;
	}
}

static pid_t start_server(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(serve(NULL));
	return pid;
}

static void end_server(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
}

static void a_request_is_answered(pid_t server)
{
	check_number(send_text((uint32_t) server, MSG_REQUEST, 41, "ping"), 0,
		     "a request");
	check_received(server, MSG_RESPONSE, 41, "re: ping",
		       "is answered by whom it was sent to");
	check_number(send_text((uint32_t) server, MSG_REQUEST, 13, "bad"), 0,
		     "a request that fails");
	check_received(server, MSG_ERROR, 13, "re: bad", "is answered with an error");
}

static void many_requests(pid_t server)
{
	int sent = 0, wrong = 0;
	long r;

	while ((r = send_text((uint32_t) server, MSG_REQUEST, 5, "keep")) == 0)
		sent++;
	check_number(r, RAW_CODE(CLOUDOS_EBUSY), "requests that nobody answers");
	check_number(sent, 1024, "end at the limit of their sender");
	end_server(server);
	for (int i = 0; i < sent; i++)
		wrong += receive() != 0 || got.u.m.type != MSG_ERROR ||
			 got.u.m.id != 5 || got.sender != (uint32_t) server;
	check_number(wrong, 0, "each of them is told of the end of the server");
	check(is_empty(), "once");
}

/* ---- ends ---- */

static void a_server_that_ends(void)
{
	pid_t server = start_server();
	char want[96];
	int status;

	(void) snprintf(want, sizeof(want),
			"process %d has ended without answering request 52", server);
	check_number(send_text((uint32_t) server, MSG_REQUEST, 52, "die"), 0,
		     "a request that its server dies of");
	check_received(server, MSG_ERROR, 52, want,
		       "is answered by the system, with a sentence");
	if (waitpid(server, &status, 0) != server)
		die("waitpid");
	server = start_server();
	kill(server, SIGSTOP);
	check_number(send_text((uint32_t) server, MSG_REQUEST, 53, "never read"), 0,
		     "a request that waits");
	check_number(send_text((uint32_t) server, MSG_NOTIFICATION, 54, "nor this"), 0,
		     "and a notification");
	end_server(server);
	check(receive() == 0 && got.u.m.type == MSG_ERROR && got.u.m.id == 53,
	      "when its receiver ends the requester is told");
	check(is_empty(), "of the request only");
}

static int child_asks_and_ends(void *to)
{
	return send_text(*(uint32_t *) to, MSG_REQUEST, 61, "bye") == 0 ? 0 : 1;
}

static void a_requester_that_ends(void)
{
	uint32_t self = (uint32_t) getpid();

	check_number(in_child(child_asks_and_ends, &self), 0, "a requester ends");
	check(receive() == 0 && got.u.m.id == 61, "its request is received");
	check_refused(reply_text(got.sender, MSG_RESPONSE, 61, "to nobody"),
		      CLOUDOS_ENOENT, "the answer is refused: there is nobody");
}

/* ---- what is no answer ---- */

static int child_answers(void *from)
{
	return reply_text(*(uint32_t *) from, MSG_RESPONSE, 71, "forged") ==
			       RAW_CODE(CLOUDOS_ENOENT)
		       ? 0
		       : 1;
}

static void only_the_receiver_answers_once(void)
{
	uint32_t self = (uint32_t) getpid();

	check_number(send_text(self, MSG_REQUEST, 71, "a"), 0, "a request waits");
	check_refused(reply_text(self, MSG_RESPONSE, 71, "early"), CLOUDOS_ENOENT,
		      "it cannot be answered before it is received");
	check_number(send_text(self, MSG_REQUEST, 72, "b"), 0, "another one");
	check_received(getpid(), MSG_REQUEST, 71, "a", "both");
	check_received(getpid(), MSG_REQUEST, 72, "b", "are received");
	check_number(in_child(child_answers, &self), 0, "somebody else cannot answer");
	check_refused(reply_text(self, MSG_RESPONSE, 73, "?"), CLOUDOS_ENOENT,
		      "nor can an id that was not asked");
	check_refused(reply_text(self, MSG_REQUEST, 71, "?"), CLOUDOS_EINVAL,
		      "a request is no answer");
	check_refused(reply_text(self, MSG_NOTIFICATION, 71, "?"), CLOUDOS_EINVAL,
		      "nor is a notification");
	check_number(reply_text(self, MSG_RESPONSE, 72, "B"), 0,
		     "the second is answered first");
	check_number(reply_text(self, MSG_RESPONSE, 71, "A"), 0, "then the first");
	check_refused(reply_text(self, MSG_RESPONSE, 71, "again"), CLOUDOS_ENOENT,
		      "a second answer is refused");
	check_received(getpid(), MSG_RESPONSE, 72, "B", "each answer");
	check_received(getpid(), MSG_RESPONSE, 71, "A", "has its request's id");
	check_refused(reply_text(0x7ffffff0, MSG_RESPONSE, 71, "?"), CLOUDOS_ENOENT,
		      "a process that never was has asked nothing");
	check_number(send_text(self, MSG_NOTIFICATION, 74, "no question"), 0,
		     "a notification");
	check(receive() == 0, "is received");
	check_refused(reply_text(self, MSG_RESPONSE, 74, "?"), CLOUDOS_ENOENT,
		      "and wants no answer");
}

static void answers_are_checked(void)
{
	uint32_t self = (uint32_t) getpid();
	message_t *big = a_message(MSG_RESPONSE, 81, got.u.bytes, ROOM + 1);

	check_number(send_text(self, MSG_REQUEST, 81, "more"), 0, "a request");
	check(receive() == 0, "is received");
	check_refused(RAW(ipc_reply, self, WORD(big)), CLOUDOS_EFBIG,
		      "an answer of more than 1 MiB is refused");
	check_refused(RAW(ipc_reply, self, 0), CLOUDOS_EFAULT, "so is NULL");
	check_refused(RAW(ipc_reply, self, WORD(unmapped())), CLOUDOS_EFAULT,
		      "or nothing");
	big->size = ROOM;
	check_number(cloudos_ipc_reply(self, big), 0, "one of 1 MiB is not");
	check(receive() == 0 && got.u.m.size == ROOM, "and arrives");
	free(big);
}

int main(void)
{
	pid_t server = start_server();

	a_request_is_answered(server);
	many_requests(server);
	a_server_that_ends();
	a_requester_that_ends();
	only_the_receiver_answers_once();
	answers_are_checked();
	return done();
}
