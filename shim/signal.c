/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the guest wants done with signals.  Called by dispatch.c for rt_sigaction.
 *
 * A handler is registered with the kernel as a stub of wrapper.S that stands for it, and
 * read back from there.  SIGSYS is ours in the kernel; what the guest says about it is
 * kept here, by process: a child after vfork says it in our memory, but for itself.
 */
#include <shim/rt/atomic.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>
#include <shim/site.h>

enum { SIGNALS = 64, WRITERS_WAIT = 1000, VIRTUALS = 8 };
enum state { FREE, WRITING, READY };

#define NEVER_BLOCKED (SHIM_SIGSET_BIT(SIGKILL) | SHIM_SIGSET_BIT(SIGSTOP))
#define USER_END      0x800000000000UL

/* what the kernel keeps of flags (UAPI_SA_FLAGS since 5.11, and the restorer) */
#define KEPT_FLAGS                                                                     \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART |          \
	 SA_NODEFER | SA_RESETHAND | 0x800UL | SA_RESTORER)

struct shim_action shim_actions[SHIM_STUBS_ALL];

/* Signals that ever had a handler here, or something to remember: of all others the kernel
 * knows what the guest knows. */
SHIM_HOT static uint64_t touched;

/* The action last set for a signal, if the kernel keeps less of it than the guest may
 * read: SIGSYS in the mask of a default action, all of a handler that was to run once. */
SHIM_HOT static uint16_t last[SIGNALS + 1]; /* index + 1 */

/* ---- stubs ---- */

static uint64_t stub(uint32_t index)
{
	return (uint64_t) shim_stubs + (uint64_t) index * SHIM_STUB_SIZE;
}

static const struct shim_action *action_of(uint64_t address)
{
	if (address < (uint64_t) shim_stubs || address >= (uint64_t) shim_stubs_end)
		return NULL;
	return &shim_actions[(address - (uint64_t) shim_stubs) / SHIM_STUB_SIZE];
}

static bool same(const struct shim_action *left, const struct shim_action *right)
{
	return left->handler == right->handler && left->mask == right->mask &&
	       left->flags == right->flags;
}

static void fill(struct shim_action *slot, const struct shim_action *action)
{
	slot->handler = action->handler;
	slot->mask = action->mask;
	slot->flags = action->flags;
	shim_store_release(&slot->state, READY);
}

/* Who has begun to write may have been killed: it is not waited for without end. */
static bool readable(struct shim_action *slot)
{
	for (int i = 0; i < WRITERS_WAIT; i++)
		if (shim_load_acquire(&slot->state) == READY)
			return true;
	return false;
}

static uint32_t intern(int number, const struct shim_action *action)
{
	uint32_t own = SHIM_STUBS + (uint32_t) number - 1;

	for (uint32_t i = 0; i < SHIM_STUBS; i++) {
		struct shim_action *slot = &shim_actions[i];

		/* looked at first: an attempt would be a write, and after fork a copy */
		if (shim_load_acquire(&slot->state) == FREE &&
		    shim_replace(&slot->state, FREE, WRITING)) {
			fill(slot, action);
			return i;
		}
		if (readable(slot) && same(slot, action))
			return i;
	}
	/* More than any program was seen to have: from here one for each signal, which
	 * changes with it, and which a child after vfork changes for its parent. */
	fill(&shim_actions[own], action);
	return own;
}

static struct shim_action action_from(const struct sigaction *a)
{
	return (struct shim_action){
		.handler = (uint64_t) a->sa_handler,
		.mask = a->sa_mask & ~NEVER_BLOCKED,
		.flags = (uint32_t) (a->sa_flags & (SA_SIGINFO | SA_NODEFER)),
	};
}

uint64_t shim_stub_of(int number, const struct sigaction *a)
{
	struct shim_action action = action_from(a);

	return stub(intern(number, &action));
}

/* ---- rt_sigaction ---- */

/* What the kernel is told; in *out_last what has to be remembered besides. */
static struct sigaction wrap(int number, const struct sigaction *a, uint16_t *out_last)
{
	struct shim_action action = action_from(a);
	struct sigaction to = *a;
	uint32_t index;

	/* where there is no memory of the guest it may fault as it always would */
	if (action.handler > (uint64_t) SIG_IGN && action.handler < USER_END) {
		index = intern(number, &action);
		to.sa_handler = (__sighandler_t) stub(index);
		to.sa_flags |= SA_SIGINFO; /* held signals keep what came with them */
		to.sa_mask = ~0UL;
		*out_last = (uint16_t) (a->sa_flags & SA_RESETHAND ? index + 1 : 0);
		return to;
	}
	to.sa_mask &= SHIM_BUT_SIGSYS;
	*out_last = 0;
	if (action.mask & SHIM_SIGSYS)
		*out_last = (uint16_t) (intern(number, &action) + 1);
	return to;
}

/* The guest's view of what the kernel says. */
static void unwrap(uint16_t remembered, struct sigaction *a)
{
	const struct shim_action *action = action_of((uint64_t) a->sa_handler);

	if (action) {
		a->sa_handler = (__sighandler_t) action->handler;
	} else if (remembered) {
		action = &shim_actions[remembered - 1];
		/* a handler that ran once, or the very action that was set; anything else
		 * was set by somebody who shares our memory but not our handlers */
		if (action->handler != (uint64_t) a->sa_handler &&
		    !(a->sa_flags & SA_RESETHAND && a->sa_handler == SIG_DFL))
			return;
	} else {
		return;
	}
	a->sa_mask = action->mask;
	a->sa_flags =
		(a->sa_flags & ~(uint64_t) SA_SIGINFO) | (action->flags & SA_SIGINFO);
}

static long set(int number, const struct sigaction *wanted, struct sigaction *old)
{
	uint16_t remembered = 0, now = 0;
	struct sigaction to;
	long result;

	if (number >= 1 && number <= SIGNALS)
		remembered = last[number];
	if (wanted && number >= 1 && number <= SIGNALS)
		to = wrap(number, wanted, &now);
	/* the kernel is always asked, and refuses what it does not like */
	if (wanted && number >= 1 && number <= SIGNALS &&
	    !(touched & SHIM_SIGSET_BIT(number)) &&
	    (now || action_of((uint64_t) to.sa_handler)))
		(void) __atomic_fetch_or(&touched, SHIM_SIGSET_BIT(number),
					 __ATOMIC_RELAXED);
	result = shim_syscall(__NR_rt_sigaction, number, wanted ? (long) &to : 0,
			      (long) old, sizeof(sigset_t), 0, 0);
	if (result == 0)
		unwrap(remembered, old);
	if (result == 0 && wanted && now != remembered)
		last[number] = now;
	return result;
}

/* ---- SIGSYS, as the guest sees it ---- */

static struct virtual
{
	int32_t pid;
	struct sigaction action;
}
virtuals[VIRTUALS];
SHIM_HOT static uint32_t nvirtuals;

static struct virtual *virtual_of(long pid)
{
	for (uint32_t i = 0; i < VIRTUALS; i++)
		if (virtuals[i].pid == (int32_t) pid)
			return &virtuals[i];
	return NULL;
}

/* Under the lock.  A child that has said nothing yet has its parent's. */
static struct sigaction virtual_get(long pid)
{
	const struct virtual *v = nvirtuals ? virtual_of(pid) : NULL;
	struct sigaction fresh = { .sa_handler = SIG_DFL };

	if (!v && nvirtuals)
		v = virtual_of(shim_syscall(__NR_getppid, 0, 0, 0, 0, 0, 0));
	if (!v && nvirtuals)
		v = &virtuals[0];
	if (v)
		return v->action;
	if (shim.config.flags & CO_TRAP_SIGSYS_IGNORED)
		fresh.sa_handler = SIG_IGN;
	return fresh;
}

static void virtual_set(long pid, const struct sigaction *action)
{
	struct virtual *v = virtual_of(pid);

	if (!v) /* the first is the oldest, whose children the others are */
		v = &virtuals[nvirtuals < VIRTUALS ? nvirtuals
						   : 1 + nvirtuals % (VIRTUALS - 1)];
	if (v->pid != (int32_t) pid)
		nvirtuals++;
	v->pid = (int32_t) pid;
	v->action = *action;
	v->action.sa_flags &= KEPT_FLAGS;
	v->action.sa_mask &= ~NEVER_BLOCKED;
}

void shim_sigsys_set(const struct sigaction *wanted, struct sigaction *old)
{
	long pid = shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);

	shim_lock();
	*old = virtual_get(pid);
	if (wanted)
		virtual_set(pid, wanted);
	shim_unlock();
}

struct sigaction shim_sigsys_action(bool use)
{
	struct sigaction action, once;

	shim_sigsys_set(NULL, &action);
	if (use && action.sa_flags & SA_RESETHAND) {
		once = action;
		once.sa_handler = SIG_DFL;
		shim_sigsys_set(&once, &action);
	}
	return action;
}

bool shim_sigsys_ignored(void)
{
	return shim_sigsys_action(false).sa_handler == SIG_IGN;
}

/* Nothing of ours in it, neither in what is asked for nor in what is there. */
static bool plain(int number, const struct sigaction *wanted)
{
	if (number < 1 || number > SIGNALS || number == SIGSYS ||
	    __atomic_load_n(&touched, __ATOMIC_RELAXED) & SHIM_SIGSET_BIT(number))
		return false;
	return !wanted || ((uint64_t) wanted->sa_handler <= (uint64_t) SIG_IGN &&
			   !(wanted->sa_mask & SHIM_SIGSYS));
}

enum shim_verdict shim_on_rt_sigaction(struct shim_call *call)
{
	int number = (int) call->args[0];
	struct sigaction wanted, old = { 0 };
	const struct sigaction *to = call->args[1] ? &wanted : NULL;
	long result = 0;

	if (call->args[3] != sizeof(sigset_t))
		return SHIM_KERNEL; /* which says EINVAL before it looks at anything */
	if (to && shim_peek(&wanted, call->args[1], sizeof(wanted)))
		return shim_answer(call, -EFAULT);
	if (plain(number, to)) /* posix_spawn asks about each signal, and sets it */
		return SHIM_KERNEL;
	if (number == SIGSYS)
		shim_sigsys_set(to, &old);
	else
		result = set(number, to, &old);
	if (result == 0 && call->args[2] &&
	    shim_poke(call->args[2], &old, sizeof(old)))
		result = -EFAULT;
	return shim_answer(call, result);
}
