/* SPDX-License-Identifier: MIT */
/*
 * A server of Anos: registers the name "echo", or its first argument, and answers each
 * message with its own page.  It knows of no other system; ask.c is a program of Anos that
 * calls it, and one of CloudOS is in examples/interop.  A text that begins with "hold" is kept without an answer.
 */
#include "anos.h"

static char page[4096] __attribute__((aligned(4096)));

static int begins(const char *text, const char *with)
{
	while (*with)
		if (*text++ != *with++)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "echo";
	uint64_t tag, size, channel = create_channel().value;

	if (!channel || register_channel_name(channel, name).type != OK) {
		kprint("echo: the name is taken\n");
		return 1;
	}
	kprint("echo: registered\n");
	for (;;) {
		struct result message = recv_message(channel, &tag, &size, page);

		if (message.type != OK)
			return 1;
		page[sizeof(page) - 1] = 0;
		kprint("echo: asked: ");
		kprint(size ? page : "nothing");
		kprint("\n");
		if (!size || !begins(page, "hold")) /* 0 would be a failure */
			reply_message(message.value, size + 1);
	}
}
