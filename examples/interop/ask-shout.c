/* SPDX-License-Identifier: MIT */
/*
 * A program of Anos that finds a channel by name and sends it a text.  Who answers may be a
 * program of Anos or, as here, example-shout, a service of CloudOS: then the value is 2^32
 * and the number of bytes of the answer, which are in the page.  When there is no answer the
 * page says why.
 *
 *	anos-ask-shout.elf [NAME [TEXT]]
 */
#include "anos.h"

static char page[4096] __attribute__((aligned(4096)));

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "shout";
	const char *text = argc > 2 ? argv[2] : "hello from Anos";
	uint64_t channel = find_named_channel(name).value, size = 0;
	struct result answer;

	if (!channel) {
		kprint("ask-shout: nobody has that name\n");
		return 1;
	}
	while (size < sizeof(page) - 1 && text[size]) {
		page[size] = text[size];
		size++;
	}
	answer = send_message(channel, 7, size + 1, page);
	page[sizeof(page) - 1] = 0;
	kprint(answer.type == OK ? "ask-shout: answer: " : "ask-shout: failed: ");
	kprint(page);
	kprint("\n");
	return answer.type != OK;
}
