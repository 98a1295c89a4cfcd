/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Where things are put in the guest's address space: files with code below a pool,
 * so that short jumps reach it; nothing of the guest inside pools, where its system calls
 * would go through unseen.  Called by dispatch.c and start.c.
 */
#include <shim/elf.h>
#include <shim/i386.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/site.h>
#include <shim/start.h>

enum { PAGE = 4096, SPREAD_PAGES = 2048, ONE_FILE = 0x04000000 };
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

SHIM_HOT static uint64_t used; /* bytes given away, over all windows */

void shim_place_seed(uint64_t random)
{
	used = random % SPREAD_PAGES * PAGE;
}

/*
 * Downwards from each pool, window after window, and around again: a hint only, so what is
 * taken costs nothing but the hint.
 */
uint64_t shim_place(uint64_t size)
{
	uint64_t all = (uint64_t) CO_TRAP_WINDOWS * CO_TRAP_CODE_SIZE, at, window;

	size = (size + PAGE - 1) & ~(uint64_t) (PAGE - 1);
	if (size == 0 || size > ONE_FILE)
		return 0;
	do {
		at = __atomic_fetch_add(&used, size, __ATOMIC_RELAXED) % all;
		window = at / CO_TRAP_CODE_SIZE;
		at = at % CO_TRAP_CODE_SIZE + size;
	} while (at > CO_TRAP_CODE_SIZE - PAGE); /* would stick out below: the next window */
	/* the page under the first pool is the loader's own */
	return CO_TRAP_POOL(window) - PAGE - at;
}

static bool overlap(uint64_t start, uint64_t end, uint64_t first, uint64_t last)
{
	return start < last && end > first;
}

/* Code there could make system calls that nobody sees. */
static bool touches_pools(uint64_t start, uint64_t size)
{
	uint64_t end = start + size;

	for (uint32_t i = 0; i < CO_TRAP_WINDOWS; i++)
		if (overlap(start, end, CO_TRAP_POOL(i),
			    CO_TRAP_POOL(i) + CO_TRAP_POOL_SIZE))
			return true;
	if (!shim.low)
		return false;
#define TOUCHES(first, last)                                                           \
	if (overlap(start, end, first, last))                                          \
		return true;
	CO_TRAP_LOW_POOLS(TOUCHES)
#undef TOUCHES
	return false;
}

/* What is ours there.  The rest of a pool may be the guest's data: its heap, for one. */
static bool touches_engine(uint64_t start, uint64_t size)
{
	uint64_t end = start + size;

	/* the loader with the page below it, statistics, records */
	return overlap(start, end, CO_TRAP_BASE - PAGE, CO_TRAP_BASE + CO_TRAP_OWN_SIZE) ||
	       overlap(start, end, shim_slots - SHIM_SLOT_SIZE, shim_slots_end + PAGE) ||
	       (shim.i386 && overlap(start, end, I386_VDSO, I386_END)) ||
	       shim_pool_touches(start, end);
}

/* What lies there goes.  Is it the program, whose path nobody has asked for yet? */
static void forget(uint64_t start, uint64_t size)
{
	shim_forget_pages();
	if (overlap(start, start + size, shim.program, shim.program + PAGE))
		(void) shim_own_path();
}

/* Must that be refused, with that protection? */
static bool refused(uint64_t start, uint64_t size, uint64_t prot)
{
	return touches_engine(start, size) ||
	       (prot & PROT_EXEC && touches_pools(start, size));
}

static bool is_elf(long fd)
{
	uint32_t magic = 0;

	return shim_syscall(__NR_pread64, fd, (long) &magic, sizeof(magic), 0, 0, 0) ==
		       sizeof(magic) &&
	       magic == 0x464c457f;
}

static long map(const struct shim_call *call, uint64_t at)
{
	long prot = (long) call->args[2], flags = (long) call->args[3];

	if (!(flags & MAP_ANONYMOUS) && (flags & MAP_TYPE) == MAP_PRIVATE)
		flags |= SHIM_TEXT_FLAGS(prot);
	return shim_syscall(__NR_mmap, (long) at, (long) call->args[1], prot, flags,
			    (long) call->args[4], (long) call->args[5]);
}

enum shim_verdict shim_on_mmap(struct shim_call *call)
{
	uint64_t at = call->args[0], size = call->args[1], prot = call->args[2],
		 flags = call->args[3], offset = call->args[5];
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	bool file = !(flags & MAP_ANONYMOUS) && (flags & MAP_TYPE) == MAP_PRIVATE;
	bool elf = false;
	long result;

	if (fixed && size && refused(at, size, prot))
		return shim_answer(call, -ENOMEM);
	if (!fixed && at && touches_pools(at, size))
		at = 0;
	if (file && at == 0 && offset == 0 && !(flags & MAP_32BIT)) {
		elf = is_elf((long) (int) call->args[4]);
		if (elf)
			at = shim_place(size);
	}
	if (fixed)
		forget(at, size);
	result = map(call, at);
	if (result < 0 && result > -PAGE)
		return shim_answer(call, result);
	if (elf || prot & PROT_EXEC || (flags & MAP_FIXED && shim_image_of(at) >= 0)) {
		shim_lock();
		shim_text_remove((uint64_t) result, (uint64_t) result + size);
		if (elf)
			(void) shim_image_open((uint64_t) result,
					       (uint64_t) result + size,
					       (long) (int) call->args[4]);
		if (file && (prot & (PROT_EXEC | PROT_READ | PROT_WRITE)) ==
				    (PROT_EXEC | PROT_READ))
			shim_text_add((uint64_t) result, (uint64_t) result + size, offset,
				      shim_image_of((uint64_t) result));
		shim_unlock();
	}
	return shim_answer(call, result);
}

/* Text that becomes writable is not text any more. */
enum shim_verdict shim_on_mprotect(struct shim_call *call)
{
	if (refused(call->args[0], call->args[1], call->args[2]))
		return shim_answer(call, -ENOMEM);
	if ((call->args[2] & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
		shim_forget_pages();
	if (call->args[2] & PROT_WRITE) {
		shim_lock();
		shim_text_remove(call->args[0], call->args[0] + call->args[1]);
		shim_unlock();
	}
	return SHIM_KERNEL;
}

enum shim_verdict shim_on_mremap(struct shim_call *call)
{
	if (touches_engine(call->args[0], call->args[1]))
		return shim_answer(call, -EFAULT);
	forget(call->args[0], call->args[1]);
	if (call->args[3] & MREMAP_FIXED) {
		if (refused(call->args[4], call->args[2], PROT_EXEC))
			return shim_answer(call, -ENOMEM);
		shim_lock();
		shim_text_remove(call->args[4], call->args[4] + call->args[2]);
		shim_unlock();
	}
	return SHIM_KERNEL;
}

enum shim_verdict shim_on_munmap(struct shim_call *call)
{
	if (touches_engine(call->args[0], call->args[1]))
		return shim_answer(call, -ENOMEM);
	forget(call->args[0], call->args[1]);
	shim_lock();
	shim_text_remove(call->args[0], call->args[0] + call->args[1]);
	shim_unlock();
	return SHIM_KERNEL;
}

/* Also a way to lose what is in it. */
enum shim_verdict shim_on_madvise(struct shim_call *call)
{
	return touches_engine(call->args[0], call->args[1])
		       ? shim_answer(call, -ENOMEM)
		       : SHIM_KERNEL;
}

/* Memory may go; shmdt, too. */
enum shim_verdict shim_on_brk(struct shim_call *call)
{
	(void) call;
	shim_forget_pages();
	return SHIM_KERNEL;
}
