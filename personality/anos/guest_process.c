/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  create_process: a forked child in which nothing of the program is left but the
 * regions that were named, and a new stack.  Copies on write are what fork makes anyway.
 *
 * The child has no token but those that the caller put on its stack, and those that lie in
 * the regions; what the parent has presented is forgotten.
 */
#include <personality/anos/guest.h>
#include <personality/anos/guest_task.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/start.h>

#define PAGE CO_ANOS_PAGE

enum { REGIONS = 16, VALUES = 16384, HEADROOM = 1024, CLASSES = 4 };

struct parameters {
	uint64_t entry, stack, stack_size;
	uint8_t nregions, class;
	uint8_t reserved[6];
	uint64_t regions;
	uint16_t nvalues;
	uint8_t reserved2[6];
	uint64_t values;
	uint8_t reserved3[8];
};
_Static_assert(sizeof(struct parameters) == 64, "");

/* For the child, which is a copy of this process at that moment: under the space lock. */
static struct anos_range keep[REGIONS];
static uint32_t nkeep;
static uint64_t values[VALUES];
static uint32_t nvalues;
static struct anos_range stack; /* pages */

/* Sorted, so that what lies between can go. */
static void insert(struct anos_range range)
{
	uint32_t i = nkeep++;

	for (; i > 0 && keep[i - 1].start > range.start; i--)
		keep[i] = keep[i - 1];
	keep[i] = range;
}

static bool read_regions(const struct parameters *p)
{
	nkeep = 0;
	for (uint64_t i = 0; i < p->nregions; i++) {
		struct {
			uint64_t start, length;
		} r;

		if (shim_read(&r, p->regions + i * sizeof(r), sizeof(r)) ||
		    r.start % PAGE || r.length % PAGE || r.start > CO_ANOS_USER_END ||
		    r.length > CO_ANOS_USER_END - r.start)
			return false;
		if (r.length && r.start < CO_ANOS_GUEST_END)
			insert((struct anos_range){ r.start, r.start + r.length });
	}
	return true;
}

static bool read_parameters(uint64_t from, struct parameters *p)
{
	if (!anos_is_user(from) || shim_read(p, from, sizeof(*p)))
		return false;
	if (p->stack >= CO_ANOS_USER_END ||
	    p->stack_size >= CO_ANOS_USER_END - p->stack || p->nvalues > VALUES ||
	    p->nvalues * 8UL > p->stack_size - HEADROOM ||
	    p->nvalues * 8UL > p->stack_size || p->nregions > REGIONS ||
	    p->class >= CLASSES)
		return false;
	nvalues = p->nvalues;
	stack = (struct anos_range){ p->stack & ~(PAGE - 1),
				     anos_page_up(p->stack + p->stack_size) };
	return shim_read(values, p->values, nvalues * 8UL) == 0 && read_regions(p);
}

/* The first value is the highest word, as if they had been pushed. */
static void begin_process(const struct anos_begin *begin)
{
	uint64_t entry = begin->entry, at = begin->stack + nvalues * 8UL;
	int32_t fd = begin->fd;

	shim.threads = false;
	anos_tasks_alone(begin);
	anos_arm_again();
	anos_tokens_forget();
	anos_ipc_forget();
	anos_regions_forget();
	anos_unmap_others(keep, nkeep);
	if (anos_map(stack.start, stack.end, PROT_READ | PROT_WRITE))
		anos_exit(NULL);
	for (uint32_t i = 0; i < nvalues; i++)
		((uint64_t *) at)[-1L - (long) i] = values[i];
	memset(values, 0, nvalues * 8UL);
	anos_space_unlock();
	(void) shim_syscall(__NR_write, fd, (long) "", 1, 0, 0, 0); /* it began */
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	shim_enter(entry, at - nvalues * 8UL);
}

static long make(const struct parameters *p)
{
	struct anos_begin begin = { .run = begin_process, .entry = p->entry };
	int32_t pipe[2];
	char byte;
	long child, n;

	begin.stack = p->stack + p->stack_size - nvalues * 8UL;
	if (shim_syscall(__NR_pipe2, (long) pipe, O_CLOEXEC, 0, 0, 0, 0))
		return -EMFILE;
	begin.fd = pipe[1];
	child = anos_spawn(SIGCHLD, &begin);
	(void) shim_syscall(__NR_close, pipe[1], 0, 0, 0, 0, 0);
	do
		n = shim_syscall(__NR_read, pipe[0], (long) &byte, 1, 0, 0, 0);
	while (n == -EINTR);
	(void) shim_syscall(__NR_close, pipe[0], 0, 0, 0, 0, 0);
	return n == 1 ? child : -ENOMEM;
}

enum shim_verdict anos_create_process(struct shim_call *call)
{
	struct parameters p;
	long child = -EINVAL;
	bool good;

	anos_space_lock();
	good = read_parameters(call->args[0], &p);
	if (good)
		child = make(&p);
	memset(values, 0, nvalues * 8UL);
	anos_space_unlock();
	if (!good)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (child < 0)
		return anos_result(call, CO_ANOS_FAILURE, 0);
	return anos_result(call, CO_ANOS_OK, (uint64_t) child);
}
