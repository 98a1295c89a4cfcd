/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls of Anos about hardware, on a machine that has none beside processor and
 * memory: no firmware tables, no interrupts, no memory that devices could reach.  At
 * physical addresses nobody answers, and all bits of what is read there are set, as on a
 * bus: a driver that looks for devices finds none.
 */
#include <personality/anos/guest.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

#define PAGE CO_ANOS_PAGE

enum { WRITE = 2, PIECE = 0x200000, CLOEXEC = 1 /* of memfd_create */ };

enum shim_verdict anos_map_firmware_tables(struct shim_call *call)
{
	return anos_result(call,
			   anos_is_user(call->args[0]) ? CO_ANOS_FAILURE
						       : CO_ANOS_BAD_ARGUMENTS,
			   0);
}

/* The file that is mapped again and again; or an error. */
static long open_bus(void)
{
	long fd =
		shim_syscall(__NR_memfd_create, (long) "anos bus", CLOEXEC, 0, 0, 0, 0);
	long at;

	if (fd < 0)
		return fd;
	if (shim_syscall(__NR_ftruncate, fd, PIECE, 0, 0, 0, 0) == 0) {
		at = shim_syscall(__NR_mmap, 0, PIECE, PROT_READ | PROT_WRITE,
				  MAP_SHARED, fd, 0);
		if (at > 0) {
			memset((void *) at, 0xff, PIECE);
			(void) shim_syscall(__NR_munmap, at, PIECE, 0, 0, 0, 0);
			return fd;
		}
	}
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	return -ENOMEM;
}

static long map_bus(uint64_t start, uint64_t end, int prot)
{
	long fd = open_bus(), r = fd < 0 ? fd : 0;

	for (uint64_t at = start; at < end && r == 0; at += PIECE) {
		uint64_t size = end - at < PIECE ? end - at : PIECE;

		/* what is written there nobody else sees */
		r = shim_syscall(__NR_mmap, (long) at, (long) size, prot,
				 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, 0);
		r = r == (long) at ? 0 : r;
	}
	if (fd >= 0)
		(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	return r;
}

enum shim_verdict anos_map_physical(struct shim_call *call)
{
	uint64_t physical = call->args[0], start = call->args[1], size = call->args[2];
	uint64_t flags = call->args[3];
	long r;

	if (!anos_is_user(start) || (start | physical | size) % PAGE ||
	    !anos_is_user(start + size - 1))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (size == 0)
		return anos_result(call, CO_ANOS_OK, 0);
	anos_space_lock();
	r = anos_map(start, start + size, PROT_READ); /* all of it, or nothing */
	if (r == 0)
		r = map_bus(start, start + size,
			    PROT_READ | (flags & WRITE ? PROT_WRITE : 0));
	anos_space_unlock();
	return anos_result(call, r ? CO_ANOS_FAILURE : CO_ANOS_OK, 0);
}

enum shim_verdict anos_alloc_physical_pages(struct shim_call *call)
{
	uint64_t size = call->args[0];

	return anos_result(
		call,
		size == 0 || size % PAGE ? CO_ANOS_BAD_ARGUMENTS : CO_ANOS_FAILURE, 0);
}

enum shim_verdict anos_alloc_interrupt_vector(struct shim_call *call)
{
	bool good = anos_is_user(call->args[1]) && anos_is_user(call->args[2]);

	return anos_result(call, good ? CO_ANOS_FAILURE : CO_ANOS_BAD_ARGUMENTS, 0);
}

/* Nobody has a vector, and waiting for one that is not one's own fails. */
enum shim_verdict anos_wait_interrupt(struct shim_call *call)
{
	return anos_result(call,
			   anos_is_user(call->args[1]) ? CO_ANOS_FAILURE
						       : CO_ANOS_BAD_ARGUMENTS,
			   0);
}
