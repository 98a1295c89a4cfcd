/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The table of sites: every address from which a system call has trapped.  Called
 * by sigsys.c (which adds), dispatch.c and signal.c (which look up).
 *
 * Looking up takes no lock: an index is published in the hash last.  Sites are never
 * forgotten, as a thread may stand in a record for as long as its call lasts.
 */
#include <shim/gate.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

enum { HASH_SIZE = 4096 };

_Static_assert(sizeof(struct co_trap_site) == SITE_SIZE, "gate.S knows the size");
_Static_assert(offsetof(struct co_trap_site, back) == SITE_BACK, "gate.S knows it");

struct co_trap_site shim_sites[SHIM_RECORDS];
static uint16_t hash[HASH_SIZE]; /* index + 1 */

static uint32_t slot_of(uint64_t address)
{
	return (uint32_t) ((address * 0x9e3779b97f4a7c15UL) >> 52) & (HASH_SIZE - 1);
}

/* The word lies behind the slots, in memory that the kernel clears in a forked child:
 * whoever held it there does not exist here. */
void shim_lock(void)
{
	uint32_t *word = (uint32_t *) shim_slots_end;

	while (!shim_replace(word, 0, 1))
		(void) shim_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
}

void shim_unlock(void)
{
	shim_store_release((uint32_t *) shim_slots_end, 0);
}

static int find(uint64_t address, uint32_t *at)
{
	for (*at = slot_of(address);; *at = (*at + 1) & (HASH_SIZE - 1)) {
		uint16_t entry = __atomic_load_n(&hash[*at], __ATOMIC_ACQUIRE);

		if (entry == 0)
			return -1;
		if (shim_sites[entry - 1].address == address)
			return entry - 1;
	}
}

static int add(uint64_t address, bool int80)
{
	uint32_t at;
	int index = find(address, &at);

	if (index >= 0 || shim_stats->sites_used == SHIM_RECORDS)
		return index;
	index = (int) shim_stats->sites_used++;
	shim_sites[index] = (struct co_trap_site){ .address = address,
						   .back = address + 2,
						   .kind = int80 };
	__atomic_store_n(&hash[at], (uint16_t) (index + 1), __ATOMIC_RELEASE);
	return index;
}

int shim_site_index(uint64_t address, bool int80)
{
	uint32_t at;
	int index = find(address, &at);

	if (index >= 0)
		return index;
	shim_lock();
	index = add(address, int80);
	shim_unlock();
	return index;
}

uint64_t shim_site_enter(uint32_t index)
{
	return (uint64_t) shim_records + index * SHIM_RECORD_SIZE;
}

uint64_t shim_site_pass(uint32_t index)
{
	return shim_site_enter(index) + SHIM_RECORD_PASS;
}

static bool of_record(uint64_t rip, uint64_t *restart, uint64_t *after)
{
	uint64_t offset = rip - (uint64_t) shim_records;
	const struct co_trap_site *site = &shim_sites[offset / SHIM_RECORD_SIZE];

	*restart = offset % SHIM_RECORD_SIZE < SHIM_RECORD_AFTER ? site->address : 0;
	*after = site->back;
	return true;
}

bool shim_site_of_trampoline(uint64_t rip, uint64_t *restart, uint64_t *after)
{
	uint64_t start, record;

	if (rip >= (uint64_t) shim_records && rip < (uint64_t) shim_records_end)
		return of_record(rip, restart, after);
	if (!shim_pool_get(rip, &start))
		return false;
	/* the displaced instruction, then jmp *(%rip) with its target behind it */
	for (const uint8_t *at = (const uint8_t *) start + SHIM_TRAMPOLINE - 8 - 6;
	     at >= (const uint8_t *) start; at--) {
		if (at[0] != 0xff || at[1] != 0x25 || *(const uint32_t *) (at + 2) != 0)
			continue;
		record = *(const uint64_t *) (at + 6);
		if (record < (uint64_t) shim_records ||
		    record >= (uint64_t) shim_records_end)
			continue;
		(void) of_record(record, restart, after);
		if (rip == start) /* not even the displaced instruction has run */
			*restart -= (uint64_t) (at - (const uint8_t *) start);
		return true;
	}
	return false;
}
