/* SPDX-License-Identifier: MIT */
/*
 * A process that starts another one and withholds a capability from it.  What the other has
 * not been given it cannot do, and what it makes up is worth nothing.
 */
#include "system.h"

PAGE_HERE;

static const char *const types[] = {
	"OK", "FAILURE", "BAD_NUMBER", "NOT_IMPLEMENTED", "BAD_ARGUMENTS", "BAD_NAME"
};

static void tell(const char *what, struct result result)
{
	kprint(what);
	kprint(": ");
	kprint(result.type == INCAPABLE ? "INCAPABLE" : types[-result.type]);
	kprint("\n");
}

static int child(void)
{
	uint64_t parent = find_named_channel("delegate::parent").value;

	tell("child, kprint", kprint("child, printing\n"));
	tell("child, create_channel", create_channel());
	tokens[11] = 0x1234567890abcdef; /* a guess */
	tell("child, create_channel with a guessed token", create_channel());
	/* whom it was told, it may ask: the token comes back in the message */
	if (send_message(parent, 1, 8, page).type == OK)
		copy(&tokens[11], page, 8);
	tell("child, create_channel with a delegated token", create_channel());
	send_message(parent, 2, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const uint64_t calls[] = { 1, 8, 15, 16 };
	static const char *const words[] = { "boot:/delegate.elf", "child" };
	uint64_t channel, tag = 0, size;

	(void) argv;
	if (argc > 1)
		return child();
	channel = create_channel().value;
	register_channel_name(channel, "delegate::parent");
	tell("parent, create_channel", create_channel());
	if (spawn(2, words, 4, calls) <= 0) {
		kprint("cannot start boot:/delegate.elf\n");
		return 1;
	}
	while (tag != 2) {
		struct result message = recv_message(channel, &tag, &size, page);

		if (tag == 1)
			copy(page, &tokens[11], 8);
		reply_message(message.value, 1);
	}
	kprint("parent, done\n");
	return 0;
}
