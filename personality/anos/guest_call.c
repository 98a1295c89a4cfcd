/* SPDX-License-Identifier: MIT */
/* GUEST.  Calls of Anos that are short: the console, memory statistics, sleep. */
#include <personality/anos/guest.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>

enum { CONSOLE = 1, PIECE = 512, TICK_NS = 10000000, SECOND_NS = 1000000000 };

/* ---- the console ---- */

static void wait_writable(void)
{
	struct pollfd p = { .fd = CONSOLE, .events = POLLOUT };

	(void) shim_syscall(__NR_poll, (long) &p, 1, -1, 0, 0, 0); /* write tells */
}

void anos_print(const char *text, size_t size)
{
	anos_log(text, size);
	while (size) {
		long n = shim_syscall(__NR_write, CONSOLE, (long) text, (long) size, 0,
				      0, 0);

		if (n == -EAGAIN)
			wait_writable();
		else if (n < 0 && n != -EINTR)
			return; /* nobody listens, and Anos knows no such error */
		else if (n > 0) {
			text += n;
			size -= (size_t) n;
		}
	}
}

/* Up to the text's end, or to where its memory ends. */
enum shim_verdict anos_kprint(struct shim_call *call)
{
	uint64_t at = call->args[0];
	char piece[PIECE];

	while (anos_is_user(at)) {
		size_t size = PIECE - at % PIECE, length = 0; /* within a page */

		if (shim_peek(piece, at, size))
			break;
		while (length < size && piece[length])
			length++;
		anos_print(piece, length);
		if (length < size)
			break;
		at += size;
	}
	return anos_result(call, CO_ANOS_OK, 0);
}

enum shim_verdict anos_kputchar(struct shim_call *call)
{
	char c = (char) call->args[0];

	anos_print(&c, 1);
	return anos_result(call, CO_ANOS_OK, 0);
}

/* ---- statistics ---- */

enum shim_verdict anos_get_mem_info(struct shim_call *call)
{
	struct {
		uint64_t total, available;
	} memory;
	struct sysinfo info;

	if (!anos_is_user(call->args[0]))
		return anos_result(call, CO_ANOS_OK, 0); /* and nothing is written */
	(void) shim_syscall(__NR_sysinfo, (long) &info, 0, 0, 0, 0,
			    0); /* cannot fail */
	memory.total = info.totalram * info.mem_unit;
	memory.available = info.freeram * info.mem_unit;
	if (anos_write(call->args[0], &memory, sizeof(memory)))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	return anos_result(call, CO_ANOS_OK, 0);
}

/* ---- sleep ---- */

/* Less than a tick of Anos only lets others run. */
enum shim_verdict anos_sleep(struct shim_call *call)
{
	uint64_t ns = call->args[0];
	struct __kernel_timespec time = { (long) (ns / SECOND_NS),
					  (long) (ns % SECOND_NS) };

	if (ns < TICK_NS)
		(void) shim_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
	else
		while (shim_syscall(__NR_nanosleep, (long) &time, (long) &time, 0, 0, 0,
				    0) == -EINTR)
			; /* the rest */
	return anos_result(call, CO_ANOS_OK, 0);
}
