/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Threads of an Anos program.  Each has a place of its own: a stack for the signals
 * that the engine works with, since the program's may be one page.  A thread and a forked
 * process begin on that stack, and leave it for the program's.
 */
#include <co/limits.h>
#include <personality/anos/guest.h>
#include <personality/anos/guest_guard.h>
#include <personality/anos/guest_task.h>
#include <shim/gate.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/start.h>
#include <shim/sud.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define PLACES_AT (CO_TRAP_BASE + 0x30000000UL)

enum { PLACE_SIZE = 65536, PLACES = CO_LIMIT_ANOS_THREADS, TAKEN = 1 };
enum { IDLE, NORMAL, HIGH, REALTIME, CLASSES };
enum { HIGH_NICE = -5, SCHED_RR_ = 2, SCHED_IDLE_ = 5, ARCH_SET_GS_ = 0x1001 };

struct place {
	unsigned char stack[PLACE_SIZE - 64];
	struct anos_self self; /* gs points here */
	struct anos_begin begin;
	uint32_t thread;  /* 0: free; the kernel clears it when the thread is gone */
	uint32_t stepped; /* the last time that it was asked */
	uint32_t reserved[2];
};
_Static_assert(sizeof(struct place) == PLACE_SIZE, "");

static struct place *const places = (struct place *) PLACES_AT;

/* Signals come here from now on. */
static void settle(struct place *p)
{
	stack_t stack = { .ss_sp = p->stack, .ss_size = sizeof(p->stack) };
	uint64_t none = 0;

	p->self = (struct anos_self){
		.thread = (uint32_t) shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0),
		.class = NORMAL,
	};
	(void) shim_syscall(__NR_arch_prctl, ARCH_SET_GS_, (long) &p->self, 0, 0, 0, 0);
	(void) shim_syscall(__NR_sigaltstack, (long) &stack, 0, 0, 0, 0, 0);
	(void) shim_syscall(__NR_rt_sigprocmask, SIG_SETMASK, (long) &none, 0,
			    sizeof(none), 0, 0);
}

static struct place *claim(void)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (!shim_load_acquire(&places[i].thread) &&
		    shim_replace(&places[i].thread, 0, TAKEN))
			return &places[i];
	return NULL;
}

void anos_tasks_alone(const struct anos_begin *begin)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (&places[i].begin == begin)
			settle(&places[i]);
		else if (places[i].thread)
			places[i].thread = 0;
}

void anos_arm_again(void)
{
	long r = shim.config.flags & CO_TRAP_SUD ? shim_sud_arm() : 0;

	if (r < 0)
		shim_die("the kernel refuses syscall user dispatch to a new thread "
			 "(error %); --trap=seccomp does without",
			 (uint64_t) -r);
}

long anos_spawn(uint64_t flags, const struct anos_begin *begin)
{
	struct place *p = claim();
	long child;

	if (!p)
		return -EAGAIN;
	p->begin = *begin;
	child = anos_clone(flags | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
			   p->stack + sizeof(p->stack), &p->thread, &p->begin);
	if (child < 0 || !(flags & CLONE_VM)) /* who has it is somewhere else */
		shim_store_release(&p->thread, 0);
	return child;
}

/* ---- stepping aside ---- */

/* One that is never refused for want of room, and that means nothing by itself. */
enum { ASIDE = SIGURG };

static uint32_t asked; /* under the space lock */

static struct place *own_place(const void *on_its_stack)
{
	return (struct place *) ((uint64_t) on_its_stack &
				 ~(uint64_t) (PLACE_SIZE - 1));
}

static void aside(int number, const struct siginfo *info, struct ucontext *uc)
{
	(void) number;
	(void) info;
	anos_leave_trampoline(&uc->uc_mcontext);
	shim_store_release(&own_place(__builtin_frame_address(0))->stepped,
			   shim_load_acquire(&asked));
}

static void ask(struct place *p, uint32_t self)
{
	uint32_t thread = shim_load_acquire(&p->thread);

	/* one that is being made has not been anywhere */
	if (thread <= TAKEN || thread == self ||
	    shim_syscall(__NR_tgkill, shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0),
			 thread, ASIDE, 0, 0, 0))
		return;
	while (shim_load_acquire(&p->stepped) != asked &&
	       shim_load_acquire(&p->thread) == thread)
		(void) shim_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
}

void anos_step_aside(void)
{
	uint32_t self = (uint32_t) shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);

	(void) shim_add(&asked, 1);
	for (uint32_t i = 0; i < PLACES; i++)
		ask(&places[i], self);
}

static void handle_aside(void)
{
	struct sigaction action = {
		.sa_handler = (__sighandler_t) (uint64_t) aside,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER,
		.sa_restorer = (__sigrestore_t) (uint64_t) shim_restorer,
	};

	(void) shim_syscall(__NR_rt_sigaction, ASIDE, (long) &action, 0,
			    sizeof(uint64_t), 0, 0);
}

void anos_tasks_init(void)
{
	if (shim_syscall(__NR_mmap, PLACES_AT, sizeof(struct place) * PLACES,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				 MAP_FIXED_NOREPLACE,
			 -1, 0) != (long) PLACES_AT)
		shim_die(
			"there is no memory for what cloudos keeps in a program (ulimit "
			"-v?)",
			0);
	places[0].thread = (uint32_t) shim_syscall(
		__NR_set_tid_address, (long) &places[0].thread, 0, 0, 0, 0, 0);
	settle(&places[0]);
	handle_aside();
}

/* ---- create_thread ---- */

/* As far as Linux lets this user: what is refused stays as it was. */
static void set_class(uint32_t class)
{
	int priority = class == REALTIME ? 1 : 0;

	if (class == IDLE || class == REALTIME)
		(void) shim_syscall(__NR_sched_setscheduler, 0,
				    class == IDLE ? SCHED_IDLE_ : SCHED_RR_,
				    (long) &priority, 0, 0, 0);
	if (class == HIGH)
		(void) shim_syscall(__NR_setpriority, 0, 0, HIGH_NICE, 0, 0, 0);
}

static void begin_thread(const struct anos_begin *begin)
{
	uint64_t entry = begin->entry, stack = begin->stack;

	settle(own_place(begin));
	anos_arm_again();
	set_class(begin->class);
	own_place(begin)->self.class = begin->class;
	shim_enter(entry, stack);
}

enum shim_verdict anos_create_thread(struct shim_call *call)
{
	struct anos_begin begin = { .run = begin_thread,
				    .entry = call->args[0],
				    .stack = call->args[1],
				    .class = (uint32_t) call->args[2] };
	long thread;

	if (call->args[2] >= CLASSES || !anos_is_user(begin.entry))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	shim_forget_pages();
	shim.threads = true;
	thread = anos_spawn(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM,
			    &begin);
	if (thread < 0)
		return anos_result(call, CO_ANOS_FAILURE, 0);
	return anos_result(call, CO_ANOS_OK, (uint64_t) thread);
}

/* ---- kill_current_task ---- */

enum shim_verdict anos_kill_current_task(struct shim_call *call)
{
	anos_exit(shim_slot_of((uint64_t) call) ? &call->busy : NULL);
}
