/* SPDX-License-Identifier: MIT */
/*
 * A program of Anos that finds a channel by name, sends a page with a text there and prints
 * the page that comes back.  Who answers may be a program of Anos (echo.c) or a service of
 * CloudOS (examples/interop).  When there is no answer the page says why.
 *
 *	anos-ask.elf [NAME [TEXT]]
 */
#include "anos.h"

static char page[4096] __attribute__((aligned(4096)));

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "echo";
	const char *text = argc > 2 ? argv[2] : "hello from Anos";
	uint64_t channel = find_named_channel(name).value, size = 0;
	struct result answer;

	if (!channel) {
		kprint("ask: nobody has that name\n");
		return 1;
	}
	while (size < sizeof(page) - 1 && text[size]) {
		page[size] = text[size];
		size++;
	}
	answer = send_message(channel, 7, size + 1, page);
	page[sizeof(page) - 1] = 0;
	kprint(answer.type == OK ? "ask: answer: " : "ask: failed: ");
	kprint(page);
	kprint("\n");
	return answer.type != OK;
}
