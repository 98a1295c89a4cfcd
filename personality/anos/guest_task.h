/* SPDX-License-Identifier: MIT */
/* GUEST.  Threads and processes that begin; guest_task.c, guest_process.c, guest_clone.S. */
#ifndef ANOS_GUEST_TASK_H
#define ANOS_GUEST_TASK_H

#include <stdint.h>

/* What a child is to do.  The child has a copy, on the place that is its own. */
struct anos_begin {
	void (*run)(const struct anos_begin *begin); /* never returns */
	uint64_t entry, stack;
	uint32_t class;
	int32_t fd;
};

/*
 * A child of those flags of clone, on the signal stack of a place of its own: its number, or
 * an error.  With CLONE_VM it is a thread.
 */
long anos_spawn(uint64_t flags, const struct anos_begin *begin);

/* In a forked child: all other places are free, and this one is settled on. */
void anos_tasks_alone(const struct anos_begin *begin);

/* In a child: its calls are caught, too. */
void anos_arm_again(void);

/* guest_clone.S: clone; the child calls begin->run(begin) on that stack. */
long anos_clone(uint64_t flags, void *stack, uint32_t *thread,
		const struct anos_begin *begin);

#endif
