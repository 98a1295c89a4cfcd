/* SPDX-License-Identifier: MIT */
/*
 * anos-debug: the debug calls, by a process that has their capability and by one that has
 * not.  Messages go over a channel of its own; what is traced is looked for in the log.
 */
#include "check.h"
#include "system.h"

enum { DONE = 2, TRIES_NS = 20000000 };

PAGE_HERE;
static uint8_t stack[4096] __attribute__((aligned(4096)));
static uint8_t received[4096] __attribute__((aligned(4096)));
static char text[4097];
static uint64_t channel;
static volatile int done;

static void serve(void)
{
	for (;;) {
		uint64_t tag, size;
		struct result message = recv_message(channel, &tag, &size, received);

		if (message.type != OK)
			kill_current_task();
		reply_message(message.value, size + 1);
		done |= tag == DONE;
	}
}

static int child(void)
{
	is("child, list channels", debug_list_channels(), INCAPABLE, 0);
	is("child, channel statistics", debug_show_channel_stats(), INCAPABLE, 0);
	is("child, trace messages", debug_trace_ipc_messages(), INCAPABLE, 0);
	send_message(find_named_channel("debug::echo").value, DONE, 0, 0);
	return 0;
}

static int has(const char *where, const char *what)
{
	for (; *where; where++) {
		uint64_t n = 0;

		while (what[n] && where[n] == what[n])
			n++;
		if (!what[n])
			return 1;
	}
	return 0;
}

/* The log never ends while something is printed before each look. */
static void until_traced(void)
{
	do {
		struct result read;

		copy(page, "hello", 5);
		send_message(channel, 77, 5, page);
		task_sleep_current(TRIES_NS);
		kputchar('.');
		read = read_kernel_log(text, sizeof(text) - 1, 0);
		text[read.value] = 0;
	} while (!has(text, "tag 77, size 5: hello"));
	kputchar('\n');
}

int main(int argc, char **argv)
{
	static const uint64_t calls[] = { 1, 2, 8, 15, 16 };
	static const char *const words[] = { "boot:/debug.elf", "child" };
	struct result listed;

	(void) argv;
	if (argc > 1)
		return child();
	channel = create_channel().value;
	register_channel_name(channel, "debug::echo \"\1");
	register_channel_name(channel, "debug::echo");
	create_thread(serve, stack + sizeof(stack), NORMAL);
	for (int i = 0; i < 3; i++)
		is("a message", send_message(channel, 1, 9, page), OK, 10);
	listed = debug_list_channels();
	check("channels are listed", listed.type == OK && listed.value >= 5);
	is("statistics are shown", debug_show_channel_stats(), OK, listed.value);
	if (spawn(2, words, 5, calls) <= 0)
		check("a process is started", 0);
	while (!done)
		task_sleep_current(TRIES_NS);
	is("messages are traced", debug_trace_ipc_messages(), OK, 0);
	is("and once more", debug_trace_ipc_messages(), OK, 0);
	until_traced();
	destroy_channel(channel);
	kprint("the end\n");
	return 0;
}
