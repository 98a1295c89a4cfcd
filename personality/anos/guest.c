/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls of an Anos program: whose token is it, and who makes the call.  Called by
 * gate.S on a slot, and by guest_fault.c for int 0x69.
 *
 * Which token stands for which call is known by hashes only.  A token that was presented
 * once is remembered, so that the next time it takes one comparison.
 */
#include <co/siphash.h>
#include <personality/anos/guest.h>
#include <personality/anos/guest_ipc.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>
#include <shim/start.h>

/* rax is no number: the gate asks for each call. */
uint8_t shim_plain[65536] __attribute__((section(".bss.plain")));

enum { REMEMBERED = 64 };

static uint64_t key[2], hashes[CO_ANOS_CALLS];
static struct {
	uint64_t token;
	uint64_t id; /* 0: being written */
} remembered[REMEMBERED];
static uint32_t failures;

void anos_tokens_init(const struct co_anos_start *start)
{
	memcpy(key, start->key, sizeof(key));
	memcpy(hashes, start->hashes, sizeof(hashes));
}

void anos_tokens_forget(void)
{
	memset(remembered, 0, sizeof(remembered));
	failures = 0;
}

/* A place that another token has already stays that one's. */
static void remember(uint64_t token, uint64_t id)
{
	uint64_t none = 0;

	if (__atomic_compare_exchange_n(&remembered[token % REMEMBERED].token, &none,
					token, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		__atomic_store_n(&remembered[token % REMEMBERED].id, id,
				 __ATOMIC_RELEASE);
}

/* The id of the call that it stands for; 0: none. */
static uint64_t call_of(uint64_t token)
{
	uint64_t hash, id;

	if (__atomic_load_n(&remembered[token % REMEMBERED].token, __ATOMIC_ACQUIRE) ==
	    token) {
		id = __atomic_load_n(&remembered[token % REMEMBERED].id,
				     __ATOMIC_ACQUIRE);
		if (id)
			return id;
	}
	if (!token)
		return 0;
	hash = co_siphash(key, &token, sizeof(token));
	for (id = 1; id < CO_ANOS_CALLS; id++)
		if (hashes[id] && hashes[id] == hash) {
			remember(token, id);
			ipc_holds(id);
			return id;
		}
	return 0;
}

/*
 * Anos makes guessing slow: 50 000 cycles and 5000 more for each failure of the process, a
 * million at most, and up to as many again by chance.  Its cycles count as 2.6 GHz here; and
 * the thread sleeps, for others have better use of the processor.
 */
enum { FIRST_NS = 19231, MORE_NS = 1923, MOST_NS = 384615 };

static void delay(void)
{
	uint64_t ns = FIRST_NS + (uint64_t) shim_add(&failures, 1) * MORE_NS;
	struct __kernel_timespec time = { 0, 0 };

	if (ns > MOST_NS)
		ns = MOST_NS;
	time.tv_nsec = (long) (ns + __builtin_ia32_rdtsc() % ns);
	while (shim_syscall(__NR_nanosleep, (long) &time, (long) &time, 0, 0, 0, 0) ==
	       -EINTR)
		; /* the rest */
}

enum shim_verdict anos_dispatch(struct shim_call *call)
{
	uint64_t id = call_of(call->args[5]);

	if (!id) {
		delay();
		return anos_result(call, CO_ANOS_INCAPABLE, 0);
	}
	if (!anos_handlers[id])
		return anos_result(call, CO_ANOS_NOT_IMPLEMENTED, 0);
	return anos_handlers[id](call);
}

void shim_dispatch(struct shim_call *call)
{
	const struct co_trap_site *site = &shim_sites[shim_site_of_id(call->id)];

	call->site = site->address;
	call->target = site->back;
	(void) anos_dispatch(call); /* Linux makes none of them */
}
