/* SPDX-License-Identifier: MIT */
/*
 * anos-process: create_process.  Each process makes the next one and says what it sees; the
 * parent ends first, or nobody could tell in which order lines appear.
 */
#include "check.h"

enum { KPRINT = 1, KPUTCHAR = 2, SLEEP = 5, CREATE = 6, KILL = 16, PAGE = 4096 };

#define CODE    0x2000000UL
#define DATA    0x44000000UL
#define STACK   0x30000000UL
#define NOWHERE 0x18000000UL
#define PRIVATE 0x19000000UL

extern char _bss_end[];
void _start(void);

static volatile uint64_t shared_once; /* the child has a copy of it */
static uint64_t kept[128];

static struct range ranges[17];
static struct process p = { .entry = _start, .stack = STACK, .stack_size = 8 * PAGE };
static uint64_t values[64];

static uint64_t page_up(uint64_t address)
{
	return (address + PAGE - 1) & ~(PAGE - 1UL);
}

static void set_ranges(void)
{
	ranges[0] = (struct range){ DATA, page_up((uint64_t) _bss_end) - DATA };
	ranges[1] = (struct range){ CODE, 4 * PAGE };
	p.regions = ranges;
	p.nregions = 2;
}

/* As the initial stack is, the first value highest: three tokens, no arguments. */
static void set_values(uint64_t stage)
{
	static const uint64_t ids[] = { KPRINT, KPUTCHAR, KILL, CREATE };
	uint64_t top = STACK + 8 * PAGE, n = 0, count = stage < 3 ? 4 : 3;

	for (uint64_t i = 0; i < count; i++) {
		values[n++] = kept[ids[i]];
		values[n++] = ids[i];
	}
	values[n++] = 0;     /* argv */
	values[n++] = stage; /* argc: which process it is */
	values[n] = top - n * 8 + 16;
	n++;
	values[n++] = count;
	p.nvalues = (uint16_t) n;
	p.values = values;
}

static struct result create_with(uint64_t token)
{
	register uint64_t r9 __asm__("r9") = token;
	struct result r;

	__asm__ volatile("syscall"
			 : "=a"(r.type), "=d"(r.value), "+r"(r9)
			 : "D"(&p)
			 : "rcx", "r8", "r10", "r11", "memory");
	return r;
}

/* The child copies this process's memory, so its tokens are put where the child has none:
 * into registers and on this stack. */
static struct result make(uint64_t stage)
{
	uint64_t own[128];
	struct result r;

	set_ranges();
	set_values(stage);
	for (int i = 0; i < 128; i++) {
		own[i] = kept[i];
		kept[i] = tokens[i] = 0;
	}
	r = create_with(own[CREATE]);
	for (int i = 0; i < 128; i++)
		tokens[i] = kept[i] = own[i];
	return r;
}

static void keep(void)
{
	for (int i = 0; i < 128; i++)
		kept[i] = tokens[i];
}

static void errors(void)
{
	is("create_process from a kernel address",
	   create_process((struct process *) KERNEL), BAD_ARGUMENTS, 0);
	is("from where nothing is", create_process((struct process *) NOWHERE),
	   BAD_ARGUMENTS, 0);
	set_ranges();
	p.stack = KERNEL;
	is("with a stack in the kernel", create_process(&p), BAD_ARGUMENTS, 0);
	p.stack = STACK;
	p.stack_size = KERNEL;
	is("with a stack into the kernel", create_process(&p), BAD_ARGUMENTS, 0);
	p.stack_size = 8 * PAGE;
	p.nregions = 17;
	is("with 17 regions", create_process(&p), BAD_ARGUMENTS, 0);
	set_ranges();
	ranges[0].start++;
	is("with an unaligned region", create_process(&p), BAD_ARGUMENTS, 0);
	set_ranges();
	ranges[1].length++;
	is("with an unaligned length", create_process(&p), BAD_ARGUMENTS, 0);
	set_ranges();
	p.class = 4;
	is("with class 4", create_process(&p), BAD_ARGUMENTS, 0);
	p.class = NORMAL;
	p.regions = (struct range *) NOWHERE;
	is("with regions that are nowhere", create_process(&p), BAD_ARGUMENTS, 0);
	set_ranges();
	p.values = (uint64_t *) NOWHERE;
	p.nvalues = 4;
	is("with values that are nowhere", create_process(&p), BAD_ARGUMENTS, 0);
	p.nvalues = 16385;
	p.stack_size = 64 * PAGE;
	is("with 16385 values", create_process(&p), BAD_ARGUMENTS, 0);
	p.values = values;
	p.stack_size = PAGE;
	p.nvalues = (PAGE - 1024) / 8 + 1;
	is("with values that leave no room", create_process(&p), BAD_ARGUMENTS, 0);
	p.stack_size = 8 * PAGE;
	p.stack = 0x700100000000;
	p.nvalues = 0;
	is("with a stack where cloudos lies", create_process(&p), FAILURE, 0);
	p.stack = STACK;
}

static void first(void)
{
	struct result r;

	shared_once = 1;
	errors();
	check("there is memory of this process only",
	      map_virtual(PAGE, PRIVATE, READ | WRITE).type == OK);
	*(volatile uint64_t *) PRIVATE = 1;
	shared_once = 2;
	say("first: ", "makes the second");
	r = make(1);
	shared_once = 3;
	/* printed by nobody if it is so: the second prints meanwhile */
	if (r.type != OK || r.value == 0)
		is("create_process", r, OK, 1);
}

static void second(void)
{
	check("the second has the first's memory as it was", shared_once == 2);
	check("its stack is where it was wanted",
	      (uint64_t) __builtin_frame_address(0) > STACK &&
		      (uint64_t) __builtin_frame_address(0) < STACK + 8 * PAGE);
	check("it has no other tokens",
	      tokens[SLEEP] == 0 && tokens[3] == 0 && tokens[KPRINT] && tokens[KILL]);
	is("what is withheld it cannot do", task_sleep_current(0), INCAPABLE, 0);
	is("nor with the token of something else",
	   (tokens[SLEEP] = tokens[KPRINT], task_sleep_current((uint64_t) "")), OK, 0);
	tokens[SLEEP] = 0;
	for (int i = 0; i < 50; i++)
		(void) kprint("");
	keep();
	shared_once = 4;
	say("second: ", "makes the third");
	if (make(2).type != OK)
		check("the second makes the third", 0);
	shared_once = 5;
}

static void third(void)
{
	check("the third has the second's memory as it was", shared_once == 4);
	keep();
	say("third: ", "makes the fourth");
	if (make(3).type != OK)
		check("the third makes the fourth", 0);
}

static void fourth(void)
{
	is("the fourth cannot make a fifth", create_process(&p), INCAPABLE, 0);
	say("fourth: ", "what was not named is not there");
	*(volatile uint64_t *) PRIVATE = 1;
	check("it is there", 0);
}

int main(int argc, char **argv)
{
	if (argv) {
		keep();
		first();
	} else if (argc == 1) {
		second();
	} else if (argc == 2) {
		third();
	} else {
		fourth();
	}
	return 0;
}
