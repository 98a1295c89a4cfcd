/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The kernel log: what programs print goes to SYSTEM as well, over a socket that the
 * loader inherits; SYSTEM keeps it, and whoever may read it asks there.  And debug calls,
 * which SYSTEM makes.
 */
#include <personality/anos/guest_ipc.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>

enum { LOG_READ = 2, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000 };

static int32_t log_socket; /* plus one; 0: there is none */

void anos_log_init(const struct co_anos_start *start)
{
	log_socket = start->log + 1;
}

/* Never waits: the log is for reading along, and it forgets anyway. */
void anos_log(const char *text, size_t size)
{
	if (log_socket && size)
		(void) shim_syscall(__NR_sendto, log_socket - 1, (long) text,
				    (long) size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

/* Waits until there is something. */
enum shim_verdict anos_read_kernel_log(struct shim_call *call)
{
	static const uint8_t name[] = "cloudos::kernel";
	uint64_t size = call->args[1], read = 0;

	if (!anos_is_user(call->args[0]))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (!size)
		return anos_result(call, CO_ANOS_OK, 0);
	if (size > CO_ANOS_PAGE)
		size = CO_ANOS_PAGE;
	if (!ipc_ask(name, sizeof(name) - 1, LOG_READ, (uint32_t) size, call->args[0],
		     &read))
		return anos_result(call, CO_ANOS_FAILURE, 0);
	return anos_result(call, CO_ANOS_OK, read < size ? read : size);
}

/* The token tells SYSTEM which call it is, and that it may be made. */
enum shim_verdict anos_debug(struct shim_call *call)
{
	static const uint8_t name[] = CO_ANOS_DEBUG_CHANNEL;
	uint64_t value = 0;

	if (!ipc_ask(name, sizeof(name) - 1, call->args[5], 0, 0, &value) || !value)
		return anos_result(call, CO_ANOS_FAILURE, 0);
	return anos_result(call, CO_ANOS_OK, value - 1);
}
