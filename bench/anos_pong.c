/* SPDX-License-Identifier: MIT */
/*
 * bench-anos-pong.elf: an Anos program that answers each message of the channel "PONG"; one
 * with tag 0 ends it.  GUEST.
 */
#include <examples/anos/anos.h>

static unsigned char page[4096] __attribute__((aligned(4096)));

int main(void)
{
	struct result channel = create_channel();
	uint64_t tag, size;

	if (channel.type != OK ||
	    register_channel_name(channel.value, "PONG").type != OK) {
		kprint("no channel\n");
		return 1;
	}
	for (;;) {
		struct result message = recv_message(channel.value, &tag, &size, page);

		if (message.type != OK) {
			kprint("no message\n");
			continue;
		}
		if (size)
			page[1]++;
		reply_message(message.value, tag + 1);
		if (tag == 0)
			break;
	}
	destroy_channel(channel.value);
	return 0;
}
