/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the guest part of each personality (personality/NAME/guest.c) offers to
 * the rest of the guest code.
 */
#ifndef SHIM_GUEST_H
#define SHIM_GUEST_H

#include <co/op.h>
#include <shim/shim.h>

/*
 * A personality in the guest.  A call goes: plane(number); CO_PLANE_KERNEL means that it
 * is a Linux call (which may have a handler of the shim's own), anything else is
 * dispatch's.
 */
struct shim_personality {
	const char *name; /* as in personalities.def */

	/* Who answers that number?  Only 32 bits of it are looked at, as the kernel does. */
	enum co_plane (*plane)(uint32_t number);

	/* Answers what is not the kernel's.  NULL where everything is. */
	shim_handler *dispatch;

	/* The same for a number of a 32-bit program's int 0x80: its dispatch then finds ebx,
	 * ecx, edx, esi, edi, ebp in args.  NULL: numbers are Linux's for i386, and above
	 * those what `plane` says. */
	enum co_plane (*plane_i386)(uint32_t number);

	/* What the guest gets in rax for that co_status, where the daemon cannot say it
	 * itself.  NULL where nothing comes from the daemon. */
	long (*raw_error)(int status);

	/* Numbers outside of [first, end) are on CO_PLANE_KERNEL for certain. */
	uint32_t first, end;

	/* The filter: Linux calls without a handler of the shim's go through by number,
	 * from wherever they are made, and are never seen here. */
	bool allow_by_number;

	/* The filter: rax is no number of the kernel's.  Nothing is refused by it, x32
	 * included, and nothing is allowed by it. */
	bool number_blind;
};

extern const struct shim_personality linux_guest, cloudos_guest;

/* The one of that place in personalities.def; NULL if none of its programs run here. */
const struct shim_personality *shim_personality_find(uint32_t index);

/*
 * Who answers that system call of a CloudOS program?  CO_PLANE_KERNEL for everything
 * that its table does not name: the kernel refuses what it does not know either.
 */
enum co_plane cloudos_guest_plane(uint32_t number);

/* ---- the connection to the daemon (shim/daemon.c) ---- */

/*
 * A handler: cloudosd answers the call as it is.  It may wait for as long as the daemon
 * does; a signal ends it with -EINTR.
 */
shim_handler shim_daemon_call;

/* A connected socket that never waits, close-on-exec, for one message; or an error. */
long shim_daemon_socket(void);

#endif
