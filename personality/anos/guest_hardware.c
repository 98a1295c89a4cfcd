/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls of Anos about hardware, on a machine that has none beside processor and
 * memory: no firmware tables, no interrupts, no memory that devices could reach.  At
 * physical addresses nobody answers, and all bits of what is read there are set, as on a
 * bus: a driver that looks for devices finds none.
 *
 * The framebuffer, where the launcher gives one, is a file that others can look at.
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

static struct {
	int32_t fd;
	uint32_t width, height, pitch;
} screen; /* fd -1: there is none */

void anos_hardware_init(const struct co_anos_start *start)
{
	screen.fd = start->framebuffer;
	screen.width = start->width;
	screen.height = start->height;
	screen.pitch = start->pitch;
}

/* Is all of that in the framebuffer? */
static bool on_screen(uint64_t physical, uint64_t size)
{
	uint64_t all = anos_page_up((uint64_t) screen.pitch * screen.height);

	return screen.fd >= 0 && physical >= CO_ANOS_FRAMEBUFFER &&
	       physical - CO_ANOS_FRAMEBUFFER < all &&
	       size <= all - (physical - CO_ANOS_FRAMEBUFFER);
}

enum shim_verdict anos_get_framebuffer_phys(struct shim_call *call)
{
	struct co_anos_framebuffer info = { .physical = CO_ANOS_FRAMEBUFFER,
					    .width = screen.width,
					    .height = screen.height,
					    .pitch = screen.pitch,
					    .bits = 32 };
	/* it ends with the reserved words */
	size_t size = offsetof(struct co_anos_framebuffer, padding);

	if (!anos_is_user(call->args[0]))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (screen.fd < 0)
		return anos_result(call, CO_ANOS_FAILURE, 0);
	return anos_result(call,
			   anos_write(call->args[0], &info, size)
				   ? CO_ANOS_BAD_ARGUMENTS
				   : CO_ANOS_OK,
			   0);
}

static long map_screen(uint64_t start, uint64_t size, uint64_t physical, int prot)
{
	long r = shim_syscall(__NR_mmap, (long) start, (long) size, prot,
			      MAP_SHARED | MAP_FIXED, screen.fd,
			      (long) (physical - CO_ANOS_FRAMEBUFFER));

	return r == (long) start ? 0 : r;
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
	int prot = PROT_READ | (call->args[3] & WRITE ? PROT_WRITE : 0);
	long r;

	if (!anos_is_user(start) || (start | physical | size) % PAGE ||
	    !anos_is_user(start + size - 1))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (size == 0)
		return anos_result(call, CO_ANOS_OK, 0);
	anos_space_lock();
	r = anos_map(start, start + size, PROT_READ); /* all of it, or nothing */
	if (r == 0)
		r = on_screen(physical, size) ? map_screen(start, size, physical, prot)
					      : map_bus(start, start + size, prot);
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
