/* SPDX-License-Identifier: MIT */
/*
 * A process makes another and gives it two of its capabilities: that one may print and
 * end, but not sleep.  The new process has a copy of the code and of nothing else, so the
 * tokens of its parent are nowhere in it.
 */
#include "anos.h"

enum { KPRINT = 1, KILL = 16, SLEEP = 5, PAGE = 4096 };

#define CODE  0x2000000UL
#define STACK 0x30000000UL

extern char __code_end[];

struct pair {
	uint64_t id, token;
};

/* All that it knows is on its stack: how many pairs, where they are. */
__asm__(".text\n.globl child\nchild:\n"
	"	popq %rdi\n"
	"	popq %rsi\n"
	"	andq $-16, %rsp\n"
	"	call child_main\n"
	"	ud2\n");
void child(void);

static struct result call(uint64_t token, uint64_t argument)
{
	register uint64_t r9 __asm__("r9") = token;
	struct result r;

	__asm__ volatile("syscall"
			 : "=a"(r.type), "=d"(r.value), "+r"(r9)
			 : "D"(argument)
			 : "rcx", "r8", "r10", "r11", "memory");
	return r;
}

__attribute__((used)) void child_main(uint64_t n, const struct pair *pairs)
{
	uint64_t print = 0, sleep = 0, kill = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t id = pairs[i].id;

		*(id == KPRINT  ? &print
		  : id == SLEEP ? &sleep
				: &kill) = pairs[i].token;
	}
	call(print, (uint64_t) "the new process prints\n");
	if (call(sleep, 0).type == INCAPABLE)
		call(print, (uint64_t) "it is not able to sleep\n");
	call(kill, 0);
}

int main(void)
{
	uint64_t top = STACK + 4 * PAGE;
	/* pushed in this order: the first is the highest word */
	const uint64_t values[] = { tokens[KPRINT], KPRINT,   tokens[KILL],
				    KILL,           top - 32, 2 };
	const struct range code = { CODE, ((uint64_t) __code_end - CODE + PAGE - 1) &
						  -4096UL };
	const struct process process = { .entry = child,
					 .stack = STACK,
					 .stack_size = 4 * PAGE,
					 .nregions = 1,
					 .class = NORMAL,
					 .regions = &code,
					 .nvalues = 6,
					 .values = values };

	kprint("the first process makes another\n");
	if (create_process(&process).type != OK)
		kprint("but cannot\n");
	return 0;
}
