/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What happens when a signal comes.  Called by wrapper.S instead of the guest's
 * handler, and by sigsys.c.
 *
 * A guest interrupted in its own code: its handler runs.  In a pool, but not yet or no more
 * in C code: it is first put back to its own code, so that neither the handler, nor an
 * unwinder, nor a thread's cancellation see that we exist.  In C code, on a slot: the signal
 * is held with all that came with it, and all others stay blocked, until the guest goes on
 * (the flush of gate.S).
 */
#include <shim/gate.h>
#include <shim/i386.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>
#include <shim/site.h>
#include <shim/sud.h>

#define FAULTS                                                                         \
	(SHIM_SIGSET_BIT(SIGSEGV) | SHIM_SIGSET_BIT(SIGBUS) |                          \
	 SHIM_SIGSET_BIT(SIGILL) | SHIM_SIGSET_BIT(SIGFPE) | SHIM_SIGSET_BIT(SIGTRAP))

#define ARITHMETIC 0xd5UL /* of ah: SF ZF AF PF CF */
#define OVERFLOW   0x800UL

static long ask(long number)
{
	return shim_syscall(number, 0, 0, 0, 0, 0, 0);
}

/* ---- back to the guest's own code ---- */

static bool between(uint64_t rip, const char *first, const char *end)
{
	return rip >= (uint64_t) first && rip < (uint64_t) end;
}

static bool in_pool(uint64_t rip)
{
	if ((rip >> 32 & CO_TRAP_HIGH_MASK) == CO_TRAP_HIGH_VALUE)
		return true;
#define IN(first, end)                                                                 \
	if (rip >= (first) && rip < (end))                                             \
		return true;
	CO_TRAP_LOW_POOLS(IN)
#undef IN
	return false;
}

/* ax: the flags of lahf and seto */
static uint64_t flags_of(uint64_t eflags, uint64_t ax)
{
	eflags &= ~(ARITHMETIC | OVERFLOW);
	return eflags | (ax >> 8 & ARITHMETIC) | (ax & 1 ? OVERFLOW : 0);
}

static void release(struct shim_call *call)
{
	__atomic_store_n(&call->busy, 0, __ATOMIC_RELEASE);
}

/* On the way in, C code not begun: the registers as they were at the site. */
static void undo_gate(struct sigcontext *m)
{
	uint64_t id;

	if (m->rip < (uint64_t) shim_gate_swapped) {
		id = m->rcx;
	} else if (m->rip < (uint64_t) shim_gate_packed) {
		id = m->r11 >> 32 ? __builtin_bswap64(m->r11) : m->r11;
	} else {
		id = __builtin_bswap32((uint32_t) (m->rcx >> 32));
		if (m->rip >= (uint64_t) shim_gate_flags)
			m->eflags = flags_of(m->eflags, m->rax);
		m->rax = (uint32_t) m->rcx;
	}
	m->rip = shim_sites[shim_site_of_id(id)].address;
	if ((uint32_t) m->rax == SHIM_SUD_ARM && shim.config.flags & CO_TRAP_SUD)
		shim_sud_armed_late(m);
}

/* The slot may be claimed already. */
static void undo_claim(struct sigcontext *m)
{
	if (between(m->rip, shim_gate_claimed, shim_gate_stack) ||
	    (m->rip == (uint64_t) shim_gate_tried && !(m->eflags & 1)))
		release((struct shim_call *) m->r11);
	undo_gate(m);
}

/* With all held signals blocked: about to ask the SIGSYS handler to let them in. */
static bool in_flush(const struct sigcontext *m)
{
	return between(m->rip, shim_gate_flush, shim_gate_down) ||
	       m->rip == (uint64_t) shim_outside_flush - 2;
}

/* A sigreturn that was not made yet: its frame says again what we have remembered. */
static void soil_frame(const struct sigcontext *m)
{
	uint64_t at = m->rsp + offsetof(struct ucontext, uc_sigmask), mask;

	if (shim_read(&mask, at, sizeof(mask)))
		return;
	mask |= SHIM_SIGSYS;
	(void) shim_write(at, &mask, sizeof(mask));
}

/* The slot's stack is left, the slot perhaps not yet: to where the guest goes on. */
static void leave_gate(struct sigcontext *m)
{
	if (!between(m->rip, shim_gate_left, shim_gate_end))
		return;
	if (m->rip == (uint64_t) shim_gate_left)
		release((struct shim_call *) m->r11);
	m->rip = m->rcx;
}

/* True if the guest is in its own code now; false if it is in C code. */
static bool put_back(struct sigcontext *m)
{
	uint64_t restart, after;

	leave_gate(m);
	if (shim_slot_of(m->rsp)) {
		return false;
	} else if (between(m->rip, shim_gate, shim_gate_stack) ||
		   between(m->rip, shim_gate_next, shim_gate_flush)) {
		undo_claim(m);
	}
	/* and from where the gate, or the SIGSYS handler, has sent it */
	if (between(m->rip, shim_forks, shim_forks_end)) {
		shim_fork_back(m);
	} else if (between(m->rip, shim_tails_begin, shim_tails_end)) {
		shim_tail_back(m);
	} else if (between(m->rip, shim_wrapper_unmasked, shim_wrapper_end)) {
		m->rip = m->r14;
		m->rdi = (uint32_t) m->rbx;
		m->rsi = m->rbp;
		m->rdx = m->r12;
		m->rsp = m->r13;
		m->rax = 0;
	} else if (between(m->rip, shim_sigreturn_stub, shim_sigreturn_end)) {
		m->rip = m->rcx;
		if (shim_sigsys_blocked()) /* it is cleaned out again */
			soil_frame(m);
	} else if (shim_site_of_trampoline(m->rip, &restart, &after)) {
		m->rip = restart ? restart : after;
	}
	return true;
}

/* ---- holding a signal back ---- */

/*
 * From now on all are blocked, until the flush gives the guest its mask back.  A wait ends,
 * whether the kernel has ended it already or means to restart it.  An exit that has begun
 * begins anew, and sees that a signal waits: no handler may run on the slot's stack.
 */
static void block_all(struct shim_call *call, struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;

	if (between(m->rip, shim_wait_begin, shim_wait_end))
		m->rip = (uint64_t) shim_wait_abort;
	else if (between(m->rip, shim_gate_exit, shim_gate_left) ||
		 between(m->rip, shim_gate_down, shim_gate_down_end))
		m->rip = (uint64_t) shim_gate_exit;
	if (!call->deferred)
		call->mask = uc->uc_sigmask;
	call->deferred = 1;
	uc->uc_sigmask = SHIM_BUT_SIGSYS;
	shim_stats->deferred++;
}

static void hold(int number, const struct siginfo *info, struct ucontext *uc,
		 uint32_t index)
{
	struct shim_call *call = shim_slot_of(uc->uc_mcontext.rsp);

	if (info->si_code > 0 && FAULTS & SHIM_SIGSET_BIT(number))
		shim_die(
			"a fault in cloudos itself at %: the program may have destroyed "
			"what is kept in it",
			uc->uc_mcontext.rip);
	/* it is the only one: from here on none comes */
	call->held_signal = (uint32_t) number;
	call->held_stub = (uint64_t) shim_stubs + (uint64_t) index * SHIM_STUB_SIZE;
	memcpy(call->held_info, info, sizeof(*info));
	block_all(call, uc);
}

/* What the kernel puts on the stack; behind it lie the vector registers. */
struct frame {
	uint64_t restorer;
	struct ucontext uc;
	struct siginfo info;
};

_Static_assert(sizeof(struct siginfo) == sizeof(((struct shim_call *) 0)->held_info),
	       "");

/* The alternate stack, if there is one and the frame is not on it.  The vector registers
 * stay where they are: the frame points to them. */
static struct frame *to_alternate(struct frame *frame)
{
	stack_t stack, off = { .ss_flags = SS_DISABLE };
	uint64_t from = (uint64_t) frame, first, to;

	(void) shim_syscall(__NR_sigaltstack, 0, (long) &stack, 0, 0, 0, 0);
	first = (uint64_t) stack.ss_sp;
	to = ((first + stack.ss_size - sizeof(*frame)) & ~15UL) - sizeof(to);
	if (stack.ss_flags & SS_DISABLE || from - first < stack.ss_size || to < first ||
	    shim_write(to, frame, sizeof(*frame)))
		return frame;
	if ((uint32_t) stack.ss_flags & SS_AUTODISARM)
		(void) shim_syscall(__NR_sigaltstack, (long) &off, 0, 0, 0, 0, 0);
	return (struct frame *) to;
}

/*
 * A held signal is delivered as if it had come where the guest goes on: the frame of our own
 * handler becomes that of the guest's.  Sent again, it would come behind others.
 */
uint64_t shim_signal_flushed(struct shim_call *call, struct ucontext *uc)
{
	struct shim_call *own = shim_slot_of((uint64_t) __builtin_frame_address(0));
	struct frame *frame =
		(struct frame *) ((uint64_t) uc - offsetof(struct frame, uc));
	struct sigaction action = { .sa_flags = 0 };

	if (!call->held_signal)
		return 0;
	(void) shim_syscall(__NR_rt_sigaction, call->held_signal, 0, (long) &action,
			    sizeof(sigset_t), 0, 0);
	if (action.sa_flags & SA_RESTORER)
		frame->restorer = (uint64_t) action.sa_restorer;
	memcpy(&frame->info, call->held_info, sizeof(frame->info));
	if (action.sa_flags & SA_ONSTACK)
		frame = to_alternate(frame);
	own->rsp = (uint64_t) frame;
	own->args[0] = call->held_signal;
	own->args[1] = (uint64_t) &frame->info;
	own->args[2] = (uint64_t) &frame->uc;
	call->held_signal = 0;
	return call->held_stub;
}

/* ---- delivery ---- */

uint64_t shim_deliver(int number, struct siginfo *info, struct ucontext *uc,
		      uint32_t index, uint64_t *out_mask)
{
	const struct shim_action *action = &shim_actions[index];
	bool fresh, blocked, base_blocked;
	const struct shim_tail *tail;
	uint64_t mask = uc->uc_sigmask, own = SHIM_SIGSET_BIT(number);

	/* a program that steps through itself: on to its own next instruction */
	if (number == SIGTRAP && info->si_code == TRAP_TRACE &&
	    in_pool(uc->uc_mcontext.rip))
		return 0;
	blocked = base_blocked = shim_sigsys_blocked();
	if (in_pool(uc->uc_mcontext.rip)) {
		tail = shim_tail_at(&uc->uc_mcontext, &fresh);
		if (fresh && tail->temporary) {
			mask = tail->mask;
			base_blocked = tail->had_sigsys;
		}
		if (!put_back(&uc->uc_mcontext)) {
			hold(number, info, uc, index);
			return 0;
		}
		/* a call that was not made may have said something else about it */
		if (!fresh)
			blocked = base_blocked = shim_sigsys_blocked();
	}
	mask |= action->mask | (action->flags & SA_NODEFER ? 0 : own);
	if (mask & SHIM_SIGSYS)
		base_blocked = true;
	if (blocked) /* sigreturn takes it out again, and remembers */
		uc->uc_sigmask |= SHIM_SIGSYS;
	if (base_blocked != blocked)
		shim_sigsys_block(base_blocked);
	*out_mask = mask & SHIM_BUT_SIGSYS;
	return action->handler;
}

uint64_t shim_sigreturn(struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	uint64_t at = m->rsp + offsetof(struct ucontext, uc_sigmask), mask;
	bool blocked;

	m->rcx = m->rip - 2; /* for who is interrupted in the stub */
	if (shim_peek(&mask, at, sizeof(mask)))
		return (uint64_t)
			shim_sigreturn_stub; /* and faults as it always would */
	blocked = mask & SHIM_SIGSYS;
	mask &= SHIM_BUT_SIGSYS;
	if (blocked)
		(void) shim_write(at, &mask, sizeof(mask));
	if (blocked != shim_sigsys_blocked())
		shim_sigsys_block(blocked);
	if (!blocked)
		shim_sigsys_release();
	return (uint64_t) shim_sigreturn_stub;
}

/* ---- a SIGSYS that somebody sent ---- */

static _Noreturn void die_of(const struct siginfo *info)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	uint64_t set = SHIM_SIGSYS;

	(void) shim_syscall(__NR_rt_sigaction, SIGSYS, (long) &action, 0,
			    sizeof(sigset_t), 0, 0);
	(void) shim_syscall(__NR_rt_tgsigqueueinfo, ask(__NR_getpid), ask(__NR_gettid),
			    SIGSYS, (long) info, 0, 0);
	(void) shim_syscall(__NR_rt_sigprocmask, SIG_UNBLOCK, (long) &set, 0,
			    sizeof(set), 0, 0);
	shim_die("a signal (%) that ends programs did not end this one", SIGSYS);
}

uint64_t shim_sigsys_sent(const struct siginfo *info, struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	struct shim_call *call = shim_slot_of(m->rsp);
	const struct shim_tail *tail;
	struct sigaction action;
	uint64_t restorer;
	bool fresh, blocked, lets;

	shim_stats->sent++;
	if (in_flush(m) || call) {
		shim_sigsys_hold(info);
		if (call)
			block_all(call, uc);
		return 0;
	}
	leave_gate(m);
	tail = shim_tail_at(m, &fresh);
	lets = shim_tail_lets_sigsys(m);
	blocked = fresh && tail->temporary ? tail->had_sigsys
					   : !lets && shim_sigsys_blocked();
	action = shim_sigsys_action(!blocked);
	if (action.sa_handler == SIG_IGN)
		return 0;
	if (blocked) {
		shim_sigsys_hold(info);
		return 0;
	}
	if (action.sa_handler == SIG_DFL)
		die_of(info);
	if (lets)
		shim_tail_interrupt(m);
	restorer = (uint64_t) action.sa_restorer;
	if (action.sa_flags & SA_RESTORER) /* where the kernel has put ours */
		(void) shim_write((uint64_t) uc - sizeof(restorer), &restorer,
				  sizeof(restorer));
	return shim.i386 ? (uint64_t) shim_i386_signal : shim_stub_of(SIGSYS, &action);
}
