/* SPDX-License-Identifier: MIT */
/* ipc_send: what arrives, in which order, from whom; and what is refused. */
#include "message.h"

static char *own_path;

/* ---- what arrives ---- */

static int child_says_hello(void *to)
{
	return send_text(*(uint32_t *) to, MSG_NOTIFICATION, 7, "hello") == 0 ? 0 : 1;
}

static void a_message_arrives_whole(void)
{
	uint32_t self = (uint32_t) getpid();
	struct helper child = helper_start(child_says_hello, &self);

	check_number(child.result, 0, "another process sends a message");
	check_received(child.pid, MSG_NOTIFICATION, 7, "hello",
		       "which arrives with its real sender, not the one it names");
	helper_end(&child, 0);
	check_number(in_child(child_says_hello, &self), 0, "one sends and ends");
	check(receive() == 0 && strcmp(got_text(), "hello") == 0,
	      "what it has said is received after its death");
	check(is_empty(), "and nothing else is");
}

static void every_size_arrives(void)
{
	static const uint32_t sizes[] = { 0, 1, 511, 512, 513, 4096, 65536, 1 << 20 };
	unsigned char *data = malloc(ROOM);
	int wrong = 0;

	if (!data)
		die("malloc");
	for (size_t i = 0; i < ROOM; i++)
		data[i] = (unsigned char) (i * 31 + i / 509);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		wrong += send_bytes(0, MSG_NOTIFICATION, sizes[i], data, sizes[i]) != 0;
		wrong += receive() != 0 || got.u.m.size != sizes[i] ||
			 got.u.m.id != sizes[i] ||
			 memcmp(got_text(), data, sizes[i]) != 0;
	}
	check_number(wrong, 0, "data of 0 bytes to 1 MiB arrives as it was");
	free(data);
}

static int child_counts_to_fifty(void *to)
{
	for (uint32_t i = 1; i <= 50; i++)
		if (send_text(*(uint32_t *) to, MSG_REQUEST, i, "count") != 0)
			return 1;
	return 0;
}

static void the_oldest_is_first(void)
{
	uint32_t self = (uint32_t) getpid();
	uint32_t next[2] = { 1, 1 };
	struct helper a = helper_start(child_counts_to_fifty, &self);
	struct helper b = helper_start(child_counts_to_fifty, &self);
	int wrong = a.result + b.result;

	for (int i = 0; i < 100; i++) {
		int who;

		wrong += receive() != 0 || got.u.m.type != MSG_REQUEST;
		who = got.sender == (uint32_t) b.pid;
		wrong += got.u.m.id != next[who]++;
		/* a was done before b began */
		wrong += who != (i >= 50);
	}
	check_number(wrong, 0, "messages of two processes arrive oldest first");
	helper_end(&a, 0);
	helper_end(&b, 0);
}

/* ---- whose they are ---- */

static int child_has_none(void *arg)
{
	(void) arg;
	return is_empty() ? 0 : 1;
}

static int child_sends_and_executes(void *arg)
{
	(void) arg;
	if (send_text((uint32_t) getpid(), MSG_NOTIFICATION, 9, "kept") != 0)
		return 1;
	execl(own_path, own_path, "receive", (char *) NULL);
	return 99;
}

static int after_exec(void)
{
	return receive() == 0 && got.u.m.id == 9 && got.sender == (uint32_t) getpid()
		       ? 0
		       : 2;
}

static void a_queue_is_a_process(void)
{
	check_number(send_text(0, MSG_NOTIFICATION, 3, "self"), 0,
		     "0 is the calling process");
	check_number(in_child(child_has_none, NULL), 0,
		     "a child of fork has none of its parent's messages");
	check_received(getpid(), MSG_NOTIFICATION, 3, "self", "which still has it");
	check_number(in_child(child_sends_and_executes, NULL), 0,
		     "what waits is kept over exec");
}

/* ---- refusals ---- */

static void kinds_are_checked(void)
{
	check_refused(send_text(0, (message_type_t) 0, 1, ""), CLOUDOS_EINVAL,
		      "type 0 is refused");
	check_refused(send_text(0, (message_type_t) 99, 1, ""), CLOUDOS_EINVAL,
		      "type 99 is refused");
	check_refused(send_text(0, MSG_RESPONSE, 1, ""), CLOUDOS_EINVAL,
		      "a response is refused: nobody may answer unasked");
	check_refused(send_text(0, MSG_ERROR, 1, ""), CLOUDOS_EINVAL,
		      "and so is an error");
}

static void receivers_are_checked(void)
{
	struct helper gone = helper_start(child_has_none, NULL);

	helper_end(&gone, SIGKILL);
	check_refused(send_text((uint32_t) gone.pid, MSG_NOTIFICATION, 1, "late"),
		      CLOUDOS_ENOENT, "a process that has ended is not there");
	check_refused(send_text(0x7ffffff0, MSG_NOTIFICATION, 1, "nobody"),
		      CLOUDOS_ENOENT, "nor is one that never was");
	check_refused(send_text(0x80000001u, MSG_NOTIFICATION, 1, "nobody"),
		      CLOUDOS_ENOENT, "nor is an opaque number that nobody has");
	check_refused(send_text(0xc0000001u, MSG_NOTIFICATION, 1, "nobody"),
		      CLOUDOS_ENOENT, "of either kind");
}

static void memory_is_checked(void)
{
	message_t *m = (message_t *) (void *) (end_of_mapping() - sizeof(*m) - 100);
	static message_t huge = { .type = MSG_NOTIFICATION };

	memset(m, 0, sizeof(*m) + 100);
	m->type = MSG_NOTIFICATION;
	m->size = 101;
	check_refused(RAW(ipc_send, 0, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(ipc_send, 0, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a message that is nowhere is refused");
	check_refused(RAW(ipc_send, 0, WORD(m)), CLOUDOS_EFAULT,
		      "data that ends before its size is refused");
	m->size = 100;
	check_number(RAW(ipc_send, 0, WORD(m)), 0,
		     "data that ends with its mapping is not");
	check(receive() == 0 && got.u.m.size == 100, "and arrives");
	huge.size = (1 << 20) + 1;
	check(RAW(ipc_send, 0, WORD(&huge)) < 0, "more than is there cannot be sent");
	check_refused(send_bytes(0, MSG_NOTIFICATION, 1, got.u.bytes, ROOM + 1),
		      CLOUDOS_EFBIG, "more than 1 MiB of data is refused");
	huge.size = UINT32_MAX;
	check_refused(RAW(ipc_send, 0, WORD(&huge)), CLOUDOS_EFBIG,
		      "as are 4 GiB, before anybody looks for them");
	check(is_empty(), "nothing of that has arrived");
}

static int child_fills(void *to)
{
	uint32_t n = 0;
	long r;

	while ((r = send_text(*(uint32_t *) to, MSG_NOTIFICATION, n, "")) == 0)
		n++;
	return r == RAW_CODE(CLOUDOS_EBUSY) ? (int) n : -1;
}

static void who_floods_pays(void)
{
	uint32_t self = (uint32_t) getpid();
	struct helper flood = helper_start(child_fills, &self);
	int wrong = 0;

	check_number(flood.result, 1024, "a process can have 1024 messages waiting");
	check_number(in_child(child_says_hello, &self), 0,
		     "which keeps nobody else from sending");
	for (int i = 0; i < 1024; i++)
		wrong += receive() != 0 || got.sender != (uint32_t) flood.pid;
	check_number(wrong, 0, "all of them are received");
	check(receive() == 0 && got.u.m.id == 7, "and then the other's");
	helper_end(&flood, 0);
	for (int i = 0; i < 4; i++)
		wrong += send_bytes(0, MSG_NOTIFICATION, 1, got.u.bytes, ROOM) != 0;
	check_number(wrong, 0, "or four of 1 MiB");
	check_refused(send_bytes(0, MSG_NOTIFICATION, 1, "x", 1), CLOUDOS_EBUSY,
		      "one byte more is too much");
	check_number(receive(), 0, "when one has been received");
	check_number(send_bytes(0, MSG_NOTIFICATION, 1, "x", 1), 0, "there is room");
	for (int i = 0; i < 4; i++)
		wrong += receive() != 0;
	check_number(wrong, 0, "which is how it ends");
}

static int child_of_another_user_sends(void *to)
{
	if (RAW(domain) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 9;
	return (int) -(send_text(*(uint32_t *) to, MSG_NOTIFICATION, 7, "x") + 2000);
}

static void users_are_apart(void)
{
	uint32_t self = (uint32_t) getpid();

	if (getuid() != 0) {
		printf("# not root: no process of another user to try\n");
		return;
	}
	check_number(in_child(child_of_another_user_sends, &self), -CLOUDOS_EACCES,
		     "a process of another user is refused");
	check(is_empty(), "and nothing of it arrives");
}

int main(int argc, char **argv)
{
	message_t *m;

	if (argc > 1)
		return after_exec();
	own_path = argv[0];
	a_message_arrives_whole();
	every_size_arrives();
	the_oldest_is_first();
	a_queue_is_a_process();
	kinds_are_checked();
	receivers_are_checked();
	memory_is_checked();
	who_floods_pays();
	users_are_apart();
	m = a_message(MSG_NOTIFICATION, 5, "lib", 4);
	check_number(cloudos_ipc_send((uint32_t) getpid(), m), 0,
		     "libcloudos sends, too");
	check_received(getpid(), MSG_NOTIFICATION, 5, "lib", "and it arrives");
	m->type = MSG_RESPONSE;
	check_number(cloudos_ipc_send((uint32_t) getpid(), m), CLOUDOS_EINVAL,
		     "and says what is wrong");
	free(m);
	return done();
}
