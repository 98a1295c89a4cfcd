/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  SIGSYS in the masks of the guest's threads, which the kernel's never have.
 * Called by wait.c, deliver.c and signal.c.
 *
 * A word per thread that has it blocked, or had: most programs never do, and pay for a look
 * at a counter.  A thread that ends leaves its word; when room is short, words of threads
 * that are no more are taken.  A SIGSYS that was sent while blocked is kept here.
 */
#include <shim/rt/atomic.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>

enum { BUCKETS = 256, BUCKET = 8, HELD = 16 };

static uint32_t words[BUCKETS][BUCKET]; /* thread * 2 + blocked; 0: free */
SHIM_HOT static uint32_t used;

static struct held {
	uint32_t thread; /* 0: free */
	struct siginfo info;
} held[HELD];
SHIM_HOT static uint32_t nheld;

static long ask(long number)
{
	return shim_syscall(number, 0, 0, 0, 0, 0, 0);
}

static bool exists(uint32_t thread)
{
	return shim_syscall(__NR_tkill, thread, 0, 0, 0, 0, 0) != -ESRCH;
}

/* ---- who has it blocked ---- */

static uint32_t *find(uint32_t thread)
{
	uint32_t *bucket = words[thread % BUCKETS];

	for (int i = 0; i < BUCKET; i++)
		if (shim_load_acquire(&bucket[i]) >> 1 == thread)
			return &bucket[i];
	return NULL;
}

/* A new process begins with what its parent had; of new threads that is not known. */
static bool inherited(uint32_t thread)
{
	const uint32_t *word;

	if (thread != (uint32_t) ask(__NR_getpid))
		return false;
	word = find((uint32_t) ask(__NR_getppid));
	return word && *word & 1;
}

static void insert(uint32_t thread, uint32_t value)
{
	uint32_t *bucket = words[thread % BUCKETS];

	for (int i = 0; i < BUCKET; i++) {
		uint32_t word = shim_load_acquire(&bucket[i]);

		if (word && exists(word >> 1))
			continue;
		if (shim_replace(&bucket[i], word, value)) {
			if (!word)
				(void) shim_add(&used, 1);
			return;
		}
	}
	/* eight living threads in one bucket: this one reads back less than it wrote */
}

bool shim_sigsys_blocked(void)
{
	const uint32_t *word;
	uint32_t thread;

	if (!shim_load_acquire(&used))
		return false;
	thread = (uint32_t) ask(__NR_gettid);
	word = find(thread);
	return word ? *word & 1 : inherited(thread);
}

void shim_sigsys_block(bool blocked)
{
	uint32_t thread = (uint32_t) ask(__NR_gettid);
	uint32_t *word = find(thread);

	if (word && (blocked || inherited(thread))) {
		shim_store_release(word, thread * 2 + blocked);
	} else if (word) {
		shim_store_release(word, 0);
		(void) shim_add(&used, (uint32_t) -1);
	} else if (blocked || inherited(thread)) {
		insert(thread, thread * 2 + blocked);
	}
}

/* ---- a SIGSYS that waits ---- */

static struct held *held_of(uint32_t thread)
{
	for (int i = 0; i < HELD; i++)
		if (shim_load_acquire(&held[i].thread) == thread)
			return &held[i];
	return NULL;
}

/* One is enough: a signal that is pending already is not sent twice. */
void shim_sigsys_hold(const struct siginfo *info)
{
	uint32_t thread = (uint32_t) ask(__NR_gettid);

	if (held_of(thread))
		return;
	for (int i = 0; i < HELD; i++) {
		uint32_t owner = shim_load_acquire(&held[i].thread);

		if ((owner && exists(owner)) ||
		    !shim_replace(&held[i].thread, owner, thread))
			continue;
		held[i].info = *info;
		if (!owner)
			(void) shim_add(&nheld, 1);
		return;
	}
}

bool shim_sigsys_take(struct siginfo *out_info)
{
	struct held *h;

	if (!shim_load_acquire(&nheld))
		return false;
	h = held_of((uint32_t) ask(__NR_gettid));
	if (!h)
		return false;
	if (out_info)
		*out_info = h->info;
	shim_store_release(&h->thread, 0);
	(void) shim_add(&nheld, (uint32_t) -1);
	return true;
}

bool shim_sigsys_held(void)
{
	return shim_load_acquire(&nheld) && held_of((uint32_t) ask(__NR_gettid));
}

void shim_sigsys_release(void)
{
	struct siginfo info;

	if (shim_sigsys_take(&info))
		(void) shim_syscall(__NR_rt_tgsigqueueinfo, ask(__NR_getpid),
				    ask(__NR_gettid), SIGSYS, (long) &info, 0, 0);
}

void shim_sigsys_flushed(struct sigcontext *m)
{
	if (!shim_sigsys_held())
		return;
	if (shim_tail_lets_sigsys(m) && !shim_sigsys_ignored())
		shim_tail_interrupt(m);
	else if (shim_sigsys_blocked())
		return;
	shim_sigsys_release();
}

enum shim_verdict shim_on_rt_sigpending(struct shim_call *call)
{
	uint64_t set = 0;
	long result;

	if (call->args[1] > sizeof(set) || !shim_sigsys_held())
		return SHIM_KERNEL;
	result = shim_syscall(__NR_rt_sigpending, (long) &set, sizeof(set), 0, 0, 0, 0);
	set |= SHIM_SIGSYS;
	if (result == 0 && shim_write(call->args[0], &set, call->args[1]))
		result = -EFAULT;
	return shim_answer(call, result);
}
