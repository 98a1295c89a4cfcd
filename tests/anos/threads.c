/* SPDX-License-Identifier: MIT */
/* anos-threads: threads on stacks of one page. */
#include "check.h"

enum { THREADS = 8, TURNS = 2000, SHORT_LIVES = 1000, PAGE = 4096 };

static unsigned char stacks[THREADS][PAGE] __attribute__((aligned(4096)));
static volatile int done, wrong, go_on;
static volatile uint64_t rsp_seen, rest_seen;

/* An entry that is no function: nothing is on the stack, not even a return address. */
__asm__(".text\n.globl look\n"
	"look:	movq %rsp, rsp_seen(%rip)\n"
	"	orq %rdi, %rax\n"
	"	orq %rsi, %rax\n"
	"	orq %rbp, %rax\n"
	"	movq %rax, rest_seen(%rip)\n"
	"	lock incl done(%rip)\n"
	"	call kill_current_task\n"
	"	ud2\n");
void look(void);

static void wait_for(int n)
{
	while (done < n)
		(void) task_sleep_current(0);
}

static void *top_of(int i)
{
	return stacks[i] + PAGE - 8; /* as if it had been called */
}

static void errors(void)
{
	is("create_thread of class 4", create_thread(look, top_of(0), 4), BAD_ARGUMENTS,
	   0);
	is("of a class that is huge", create_thread(look, top_of(0), ~0UL),
	   BAD_ARGUMENTS, 0);
	is("in the kernel", create_thread((void (*)(void)) KERNEL, top_of(0), NORMAL),
	   BAD_ARGUMENTS, 0);
}

static void beginning(void)
{
	uint64_t last = 0;
	int differ = 1;

	for (uint64_t class = IDLE; class <= REALTIME; class ++) {
		struct result r = create_thread(look, stacks[0] + 2000, class);

		wait_for((int) class + 1);
		differ &= r.type == OK && r.value != last && r.value != 0;
		last = r.value;
	}
	check("a thread of each class, with a number of its own", differ);
	check("its rsp is what was given", rsp_seen == (uint64_t) stacks[0] + 2000);
	check("nothing is in its registers", rest_seen == 0);
}

static void work(void)
{
	for (int i = 0; i < TURNS; i++) {
		struct memory m = { 0, 0 };

		if (get_mem_info(&m).type != OK || m.total == 0 ||
		    kprint("").type != OK)
			wrong = 1;
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void at_once(void)
{
	done = 0;
	for (int i = 0; i < THREADS; i++)
		if (create_thread(work, top_of(i), NORMAL).type != OK)
			wrong = 1;
	wait_for(THREADS);
	check("8 threads on one page each make 32000 calls", !wrong);
}

static void short_lives(void)
{
	done = 0;
	for (int i = 0; i < SHORT_LIVES; i++) {
		if (create_thread(look, top_of(0), NORMAL).type != OK)
			wrong = 1;
		wait_for(i + 1);
	}
	check("1000 threads one after the other", !wrong);
}

/* ---- memory changes while others make calls ---- */

static void call_on(void)
{
	while (!go_on) {
		struct memory m = { 0, 0 };

		if (get_mem_info(&m).type != OK || m.total == 0)
			wrong = 1;
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

__asm__(".text\n.globl word_in_code\nword_in_code: .quad 0\n");
extern volatile uint64_t word_in_code;

static void changes(void)
{
	volatile uint64_t *memory = (uint64_t *) 0x7000000;

	done = go_on = 0;
	for (int i = 0; i < 4; i++)
		if (create_thread(call_on, top_of(i), NORMAL).type != OK)
			wrong = 1;
	for (int i = 0; i < 200; i++)
		(void) kprint(""); /* patched by now, if ever */
	for (uint64_t i = 1; i <= 50; i++) {
		word_in_code = i;
		if (map_virtual(0x200000, 0x7000000, READ | WRITE).type != OK ||
		    memory[0xf0000 / 8] != 0 || word_in_code != i)
			wrong = 1;
		memory[0xf0000 / 8] = i;
		(void) kprint("");
		if (memory[0xf0000 / 8] != i ||
		    unmap_virtual(0x200000, 0x7000000).type != OK)
			wrong = 1;
	}
	go_on = 1;
	wait_for(4);
	check("memory above the code comes and goes while 4 threads make calls",
	      !wrong);
}

static void last(void)
{
	/* the first thread has ended, or is about to; nothing depends on which */
	for (int i = 0; i < 100; i++)
		(void) task_sleep_current(0);
	(void) task_sleep_current(20000000);
	say("ok: ", "the program goes on when its first thread has ended");
	(void) kill_current_task();
}

int main(void)
{
	errors();
	beginning();
	at_once();
	short_lives();
	changes();
	(void) create_thread(last, top_of(1), NORMAL);
	return 0;
}
