/* SPDX-License-Identifier: MIT */
/* Messages of a guest test: building, sending and receiving them by raw calls. */
#ifndef TESTS_GUEST_MESSAGE_H
#define TESTS_GUEST_MESSAGE_H

#include "guest.h"

#define ROOM ((size_t) 1 << 20)

/* A message in memory of its own, with a sender that is a lie. */
__attribute__((unused)) static message_t *a_message(message_type_t type, uint32_t id,
						    const void *data, size_t size)
{
	message_t *m = calloc(1, sizeof(*m) + size);

	if (!m)
		die("calloc");
	m->sender_pid = 1;
	m->receiver_pid = 2;
	m->type = type;
	m->id = id;
	m->size = (uint32_t) size;
	if (size)
		memcpy(m->data, data, size);
	return m;
}

__attribute__((unused)) static long
send_bytes(uint32_t to, message_type_t type, uint32_t id, const void *data, size_t size)
{
	message_t *m = a_message(type, id, data, size);
	long r = RAW(ipc_send, to, WORD(m));

	free(m);
	return r;
}

__attribute__((unused)) static long send_text(uint32_t to, message_type_t type,
					      uint32_t id, const char *text)
{
	return send_bytes(to, type, id, text, strlen(text) + 1);
}

__attribute__((unused)) static long reply_text(uint32_t to, message_type_t type,
					       uint32_t id, const char *text)
{
	message_t *m = a_message(type, id, text, strlen(text) + 1);
	long r = RAW(ipc_reply, to, WORD(m));

	free(m);
	return r;
}

/* The last message that was received. */
static struct {
	uint32_t sender;
	union {
		message_t m;
		unsigned char bytes[sizeof(message_t) + (1 << 20)];
	} u;
} got;

__attribute__((unused)) static const char *got_text(void)
{
	return (const char *) got.u.bytes + sizeof(message_t);
}

__attribute__((unused)) static long receive_up_to(size_t max_size)
{
	memset(&got, 0x5a, sizeof(got.sender) + sizeof(message_t));
	return RAW(ipc_receive, WORD(&got.sender), WORD(&got.u), max_size);
}

__attribute__((unused)) static long receive(void)
{
	return receive_up_to(sizeof(got.u));
}

/* Receives and compares; the sender is whom the kernel says. */
__attribute__((unused)) static bool check_received(pid_t from, message_type_t type,
						   uint32_t id, const char *text,
						   const char *sentence)
{
	long r = receive();
	const message_t *m = &got.u.m;
	bool good = r == 0 && got.sender == (uint32_t) from &&
		    m->sender_pid == (uint32_t) from &&
		    m->receiver_pid == (uint32_t) getpid() && m->type == type &&
		    m->id == id && m->size == strlen(text) + 1 &&
		    memcmp(got_text(), text, m->size) == 0;

	check(good, "%s", sentence);
	if (!good)
		printf("# got %ld: sender %u/%u receiver %u type %d id %u size %u; "
		       "wanted sender %d type %d id %u \"%s\"\n",
		       r, got.sender, m->sender_pid, m->receiver_pid, (int) m->type,
		       m->id, m->size, (int) from, (int) type, id, text);
	return good;
}

/* Is there nothing to receive?  What comes next is what this sends itself. */
__attribute__((unused)) static bool is_empty(void)
{
	uint32_t self = (uint32_t) getpid();
	bool empty;

	if (send_text(0, MSG_NOTIFICATION, 0xe0e0, "the end") != 0)
		return false;
	empty = receive() == 0 && got.u.m.id == 0xe0e0 && got.sender == self;
	if (!empty)
		printf("# id %u of %u\n", got.u.m.id, got.sender);
	return empty;
}

/* Is that process in a system call of that number?  Under trap it is one of the shim's,
 * which waits for the daemon's answer. */
__attribute__((unused)) static bool waits_in(pid_t pid, long number)
{
	char path[64], text[64];
	FILE *file;
	bool found;

	(void) snprintf(path, sizeof(path), "/proc/%d/syscall", (int) pid);
	file = fopen(path, "r");
	if (!file)
		return true; /* not allowed to look: take it as it is */
	found = fgets(text, sizeof(text), file) &&
		(atol(text) == number || atol(text) == SYS_recvfrom ||
		 atol(text) == SYS_poll);
	(void) fclose(file); /* only read */
	return found;
}

#endif
