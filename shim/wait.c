/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls that take a mask.  Called by dispatch.c; deliver.c and sigsys.c ask about
 * threads in them.
 *
 * SIGSYS must never be blocked in the kernel: the guest's next call would kill it.  So the
 * guest makes the call itself, as it would without us, but the register that pointed to the
 * mask points to a copy without SIGSYS (wrapper.S).  What the call changes comes into force
 * on the guest's own stack, as do the signals that it lets in.
 *
 * Masks that hold only as long as the call are copied even if SIGSYS is not in them: when a
 * handler runs, its mask begins with that one, and the kernel does not say it.
 */
#include <shim/rt/atomic.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>

enum { TAILS = 1024, TRIES = 3, SIGINFO_SIZE = 128 };

_Static_assert(offsetof(struct shim_tail, mask) == TAIL_MASK, "wrapper.S knows");
_Static_assert(offsetof(struct shim_tail, orig) == TAIL_ORIG, "wrapper.S knows");
_Static_assert(offsetof(struct shim_tail, back) == TAIL_BACK, "wrapper.S knows");
_Static_assert(offsetof(struct shim_tail, pair) == TAIL_PAIR, "wrapper.S knows");
_Static_assert(offsetof(struct shim_tail, owner) == TAIL_OWNER, "wrapper.S knows");
_Static_assert(sizeof(struct siginfo) == SIGINFO_SIZE, "the kernel's");

static struct shim_tail tails[TAILS];

/* ---- the copies ---- */

/* Threads that were killed, or not copied by fork, have left theirs. */
static void reclaim(void)
{
	for (int i = 0; i < TAILS; i++) {
		uint32_t owner = shim_load_acquire(&tails[i].owner);

		if (owner && shim_syscall(__NR_tkill, owner, 0, 0, 0, 0, 0) == -ESRCH)
			(void) shim_replace(&tails[i].owner, owner, 0);
	}
}

static struct shim_tail *claim(void)
{
	uint32_t thread = (uint32_t) shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);

	for (int try = 0; try < TRIES; try++) {
		for (uint32_t i = 0; i < TAILS; i++) {
			struct shim_tail *tail = &tails[(thread + i) % TAILS];

			if (shim_replace(&tail->owner, 0, thread))
				return tail;
		}
		reclaim();
	}
	return NULL;
}

/* The call goes on with a copy; `mask` is as the guest wrote it. */
static struct shim_tail *tail_to(struct shim_call *call, enum shim_tail_kind kind,
				 uint64_t mask)
{
	const struct shim_tail_stub *stub = &shim_tail_stubs[kind];
	struct shim_tail *tail = claim();
	uint32_t owner;

	if (!tail)
		return NULL;
	owner = tail->owner;
	*tail = (struct shim_tail){
		.mask = mask & SHIM_BUT_SIGSYS,
		.orig = call->args[stub->argument],
		.back = call->site + 2,
		.pair = { (uint64_t) &tail->mask, sizeof(mask) },
		.owner = owner,
		.had_sigsys = mask & SHIM_SIGSYS,
	};
	call->args[stub->argument] = (uint64_t) tail + stub->delta;
	call->target = stub->start;
	return tail;
}

static const struct shim_tail_stub *stub_at(uint64_t rip)
{
	if (rip < (uint64_t) shim_tails_begin || rip >= (uint64_t) shim_tails_end)
		return NULL;
	for (int i = 0; i < TAIL_KINDS; i++)
		if (rip < shim_tail_stubs[i].end)
			return &shim_tail_stubs[i];
	return NULL;
}

static uint64_t *argument(struct sigcontext *m, uint32_t i)
{
	uint64_t *const at[6] = { (uint64_t *) &m->rdi, (uint64_t *) &m->rsi,
				  (uint64_t *) &m->rdx, (uint64_t *) &m->r10,
				  (uint64_t *) &m->r8,  (uint64_t *) &m->r9 };

	return at[i];
}

struct shim_tail *shim_tail_at(const struct sigcontext *m, bool *out_fresh)
{
	const struct shim_tail_stub *stub = stub_at(m->rip);
	struct sigcontext copy = *m;

	*out_fresh = false;
	if (!stub || m->rip > stub->release)
		return NULL;
	/* the kernel gives EINTR only when a handler is about to run, and we are it */
	*out_fresh = m->rip == stub->start + 2 && (int64_t) m->rax == -EINTR;
	return (struct shim_tail *) (*argument(&copy, stub->argument) - stub->delta);
}

bool shim_tail_lets_sigsys(const struct sigcontext *m)
{
	const struct shim_tail_stub *stub = stub_at(m->rip);
	const struct shim_tail *tail;
	bool fresh;

	if (!stub || m->rip != stub->start)
		return false;
	tail = shim_tail_at(m, &fresh);
	return tail->temporary && !tail->had_sigsys;
}

void shim_tail_interrupt(struct sigcontext *m)
{
	m->rip += 2;
	m->rax = (uint64_t) -EINTR;
}

void shim_tail_back(struct sigcontext *m)
{
	const struct shim_tail_stub *stub = stub_at(m->rip);
	uint64_t *reg = argument(m, stub->argument);
	struct shim_tail *tail;
	bool fresh;
	uint8_t byte;

	if (m->rip > stub->release) {
		m->rip = m->rcx;
		*reg = m->r11;
		return;
	}
	tail = shim_tail_at(m, &fresh);
	if (m->rip == stub->start) { /* also if the kernel means to restart the call */
		m->rip = tail->back - 2;
		if (tail->undo)
			shim_sigsys_block(tail->was);
	} else {
		m->rip = tail->back;
		if (tail->old && m->rax == 0 && !shim_read(&byte, tail->old + 3, 1)) {
			byte |= SHIM_SIGSYS >> 24;
			(void) shim_write(tail->old + 3, &byte, 1);
		}
	}
	*reg = tail->orig;
	shim_store_release(&tail->owner, 0);
}

/* ---- rt_sigprocmask ---- */

static enum shim_verdict read_back(struct shim_call *call)
{
	uint64_t mask;

	(void) shim_syscall(__NR_rt_sigprocmask, 0, 0, (long) &mask, sizeof(mask), 0,
			    0);
	if (shim_load_acquire(&call->deferred))
		mask = call->mask; /* all were blocked to hold signals back */
	mask |= SHIM_SIGSYS;
	return shim_answer(call, shim_write(call->args[2], &mask, sizeof(mask)));
}

enum shim_verdict shim_on_rt_sigprocmask(struct shim_call *call)
{
	int how = (int) call->args[0];
	uint64_t mask, old = call->args[2];
	struct shim_tail *tail;
	bool was, has, now;

	if (call->args[3] != sizeof(mask))
		return SHIM_KERNEL;
	was = shim_sigsys_blocked();
	if (!call->args[1])
		return was && old ? read_back(call) : SHIM_KERNEL;
	if (how < SIG_BLOCK || how > SIG_SETMASK ||
	    shim_peek(&mask, call->args[1], sizeof(mask)))
		return SHIM_KERNEL;
	has = mask & SHIM_SIGSYS;
	now = how == SIG_SETMASK ? has : how == SIG_BLOCK ? was || has : was && !has;
	if (now != was)
		shim_sigsys_block(now);
	if (was && !now)
		shim_sigsys_release();
	if (!has && !(was && old))
		return SHIM_KERNEL;
	tail = tail_to(call, was && old ? TAIL_OLD : TAIL_RSI, mask);
	if (!tail)
		return shim_answer(call, -EAGAIN);
	tail->old = was ? old : 0;
	tail->undo = was != now;
	tail->was = was;
	return SHIM_TAIL;
}

/* ---- calls that wait ---- */

/* The guest goes on by the flush, which lets a held SIGSYS in. */
static void hold_all(struct shim_call *call)
{
	uint64_t all = SHIM_BUT_SIGSYS, old = 0;

	(void) shim_syscall(__NR_rt_sigprocmask, SIG_SETMASK, (long) &all, (long) &old,
			    sizeof(all), 0, 0);
	/* a signal meanwhile has blocked all already, and knows the guest's mask */
	if (!shim_load_acquire(&call->deferred) || old != all)
		call->mask = old;
	shim_store_release(&call->deferred, 1);
}

static enum shim_verdict wait_with(struct shim_call *call, enum shim_tail_kind kind,
				   uint64_t address, uint64_t size)
{
	struct shim_tail *tail;
	uint64_t mask;

	/* wrong ones are the kernel's to refuse */
	if (!address || size != sizeof(mask) || shim_peek(&mask, address, sizeof(mask)))
		return SHIM_KERNEL;
	tail = tail_to(call, kind, mask);
	if (!tail) /* without SIGSYS only a handler's mask will not be quite right */
		return mask & SHIM_SIGSYS ? shim_answer(call, -ENOMEM) : SHIM_KERNEL;
	tail->temporary = true;
	if (!tail->had_sigsys && shim_sigsys_held())
		hold_all(call);
	return SHIM_TAIL;
}

static enum shim_verdict wait_with_pair(struct shim_call *call)
{
	uint64_t pair[2];

	if (!call->args[5] || shim_peek(pair, call->args[5], sizeof(pair)))
		return SHIM_KERNEL;
	return wait_with(call, TAIL_R9, pair[0], pair[1]);
}

enum shim_verdict shim_on_rt_sigsuspend(struct shim_call *call)
{
	return wait_with(call, TAIL_RDI, call->args[0], call->args[1]);
}

enum shim_verdict shim_on_ppoll(struct shim_call *call)
{
	return wait_with(call, TAIL_R10, call->args[3], call->args[4]);
}

enum shim_verdict shim_on_epoll_pwait(struct shim_call *call)
{
	return wait_with(call, TAIL_R8, call->args[4], call->args[5]);
}

enum shim_verdict shim_on_epoll_pwait2(struct shim_call *call)
{
	return wait_with(call, TAIL_R8, call->args[4], call->args[5]);
}

enum shim_verdict shim_on_pselect6(struct shim_call *call)
{
	return wait_with_pair(call);
}

enum shim_verdict shim_on_io_pgetevents(struct shim_call *call)
{
	return wait_with_pair(call);
}

/* ---- calls that say which signals they want ---- */

static enum shim_verdict want(struct shim_call *call, enum shim_tail_kind kind,
			      uint64_t address, uint64_t size)
{
	uint64_t mask;

	if (size != sizeof(mask) || shim_peek(&mask, address, sizeof(mask)) ||
	    !(mask & SHIM_SIGSYS))
		return SHIM_KERNEL;
	return tail_to(call, kind, mask) ? SHIM_TAIL : shim_answer(call, -ENOMEM);
}

enum shim_verdict shim_on_signalfd(struct shim_call *call)
{
	return want(call, TAIL_RSI, call->args[1], call->args[2]);
}

enum shim_verdict shim_on_signalfd4(struct shim_call *call)
{
	return want(call, TAIL_RSI, call->args[1], call->args[2]);
}

enum shim_verdict shim_on_rt_sigtimedwait(struct shim_call *call)
{
	enum shim_verdict verdict = want(call, TAIL_RDI, call->args[0], call->args[3]);
	struct siginfo info;

	/* a SIGSYS that waits here is found like one that waits in the kernel */
	if (verdict != SHIM_TAIL || !shim_sigsys_take(&info))
		return verdict;
	call->args[0] = ((struct shim_tail *) call->args[0])->orig;
	return shim_answer(
		call, call->args[1] && shim_write(call->args[1], &info, sizeof(info))
			      ? -EFAULT
			      : SIGSYS);
}
