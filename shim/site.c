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
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096, FEW_BITS = 9, MANY_BITS = 14 };
enum { PER_PAGE = PAGE / SHIM_RECORD_SIZE };
enum { SOMEBODY = 1 }; /* who holds the lock, where nobody can die with it */

_Static_assert(sizeof(struct co_trap_site) == SITE_SIZE, "gate.S knows the size");
_Static_assert(offsetof(struct co_trap_site, back) == SITE_BACK, "gate.S knows it");

/* Records beyond those in text: page after page, behind the statistics. */
#define MORE_AT (CO_TRAP_BASE + 0x1100000UL)

SHIM_HOT static uint16_t few[1 << FEW_BITS];
struct co_trap_site shim_sites[SHIM_SITES] __attribute__((section(".bss.sites")));

/*
 * index + 1, in two tables: the sites of most programs fit into the first, which is one
 * page, and a page more is paid for by each process.
 */
static uint16_t many[1 << MANY_BITS];
enum { FEW_SITES = 256 };

struct place {
	uint16_t *table;
	uint32_t at, mask;
};

static struct place place_of(uint64_t address, bool first)
{
	uint64_t mixed = address * 0x9e3779b97f4a7c15UL;

	return first ? (struct place){ few, (uint32_t) (mixed >> (64 - FEW_BITS)),
				       (1 << FEW_BITS) - 1 }
		     : (struct place){ many, (uint32_t) (mixed >> (64 - MANY_BITS)),
				       (1 << MANY_BITS) - 1 };
}

/* The word lies behind the slots, in memory that the kernel clears in a forked child:
 * whoever held it there does not exist here. */
void shim_lock(void)
{
	uint32_t *word = (uint32_t *) shim_slots_end, own = SOMEBODY;

	if (!shim.threads)
		return; /* a page less in each child */
	if (shim_load_acquire(&shim_sharing))
		own = (uint32_t) shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
	while (!shim_replace(word, 0, own)) {
		uint32_t owner = shim_load_acquire(word);

		if (owner > SOMEBODY && shim_share_dead(owner) &&
		    shim_replace(word, owner, own))
			return;
		(void) shim_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
	}
}

void shim_unlock(void)
{
	if (shim.threads)
		shim_store_release((uint32_t *) shim_slots_end, 0);
}

/* -1: not there, and *p is where it would go. */
static int find_in(uint64_t address, struct place *p)
{
	for (;; p->at = (p->at + 1) & p->mask) {
		uint16_t entry = __atomic_load_n(&p->table[p->at], __ATOMIC_ACQUIRE);

		if (entry == 0)
			return -1;
		if (shim_sites[entry - 1].address == address)
			return entry - 1;
	}
}

static int find(uint64_t address, struct place *p)
{
	int index;

	*p = place_of(address, true);
	index = find_in(address, p);
	if (index >= 0 || shim_stats->sites_used < FEW_SITES)
		return index;
	*p = place_of(address, false);
	return find_in(address, p);
}

/* Pages of records that somebody has begun to make: a child of a fork in the middle of that
 * finds the page there, half made and in use by nobody. */
static uint32_t pages_begun;

/* A page of records like those of gate.S. */
static bool make_records(uint32_t page)
{
	int ours = pages_begun > page ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	uint64_t at = MORE_AT + (uint64_t) page * PAGE;
	uint32_t index = SHIM_RECORDS + page * PER_PAGE;

	shim_store_release(&pages_begun, page + 1);
	if (shim_syscall(__NR_mmap, (long) at, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | ours, -1, 0) != (long) at) {
		pages_begun = page;
		return false;
	}
	for (uint32_t i = 0; i < PER_PAGE && index + i < SHIM_SITES; i++) {
		uint64_t record = at + i * SHIM_RECORD_SIZE;
		uint8_t *code = (uint8_t *) record;
		uint32_t id = (uint32_t) (record - (uint64_t) shim_records);
		uint32_t gate = (uint32_t) ((uint64_t) shim_gate - (record + 10));
		uint32_t back = (uint32_t) ((uint64_t) &shim_sites[index + i].back -
					    (record + 18));

		memcpy(code, "\xb9----\xe9----\x0f\x05\xff\x25----",
		       SHIM_RECORD_END);
		memcpy(code + 1, &id, sizeof(id));
		memcpy(code + 6, &gate, sizeof(gate));
		memcpy(code + 14, &back, sizeof(back));
	}
	return shim_syscall(__NR_mprotect, (long) at, PAGE, PROT_READ | PROT_EXEC, 0, 0,
			    0) == 0;
}

int shim_site_add(uint64_t address, bool int80)
{
	uint32_t used = shim_stats->sites_used;
	struct place place;
	int index = find(address, &place);

	if (index >= 0 || used == SHIM_SITES)
		return index;
	if (used >= SHIM_RECORDS && (used - SHIM_RECORDS) % PER_PAGE == 0 &&
	    !make_records((used - SHIM_RECORDS) / PER_PAGE))
		return -1;
	index = (int) shim_stats->sites_used++;
	shim_sites[index] = (struct co_trap_site){ .address = address,
						   .back = address + 2,
						   .kind = int80 };
	__atomic_store_n(&place.table[place.at], (uint16_t) (index + 1), __ATOMIC_RELEASE);
	return index;
}

int shim_site_index(uint64_t address, bool int80)
{
	struct place place;
	int index = find(address, &place);

	if (index >= 0)
		return index;
	shim_lock();
	index = shim_site_add(address, int80);
	shim_unlock();
	return index;
}

uint64_t shim_site_enter(uint32_t index)
{
	if (index < SHIM_RECORDS)
		return (uint64_t) shim_records + index * SHIM_RECORD_SIZE;
	index -= SHIM_RECORDS;
	return MORE_AT + (uint64_t) (index / PER_PAGE) * PAGE +
	       index % PER_PAGE * SHIM_RECORD_SIZE;
}

uint64_t shim_site_pass(uint32_t index)
{
	return shim_site_enter(index) + SHIM_RECORD_PASS;
}

uint32_t shim_site_of_id(uint64_t id)
{
	uint64_t offset;

	if (id < SHIM_RECORDS * SHIM_RECORD_SIZE)
		return (uint32_t) id / SHIM_RECORD_SIZE;
	offset = (uint64_t) shim_records + id - MORE_AT;
	return SHIM_RECORDS + (uint32_t) (offset / PAGE) * PER_PAGE +
	       (uint32_t) (offset % PAGE) / SHIM_RECORD_SIZE;
}

static bool in_records(uint64_t rip)
{
	uint64_t more = (SHIM_SITES - SHIM_RECORDS + PER_PAGE - 1) / PER_PAGE * PAGE;

	return (rip >= (uint64_t) shim_records && rip < (uint64_t) shim_records_end) ||
	       (rip >= MORE_AT && rip < MORE_AT + more);
}

static void of_record(uint64_t rip, uint64_t *restart, uint64_t *after)
{
	uint32_t index = shim_site_of_id(rip - (uint64_t) shim_records);
	const struct co_trap_site *site = &shim_sites[index];

	*restart = rip - shim_site_enter(index) < SHIM_RECORD_AFTER ? site->address : 0;
	*after = site->back;
}

bool shim_site_of_trampoline(uint64_t rip, uint64_t *restart, uint64_t *after)
{
	uint64_t start, record;

	if (in_records(rip)) {
		of_record(rip, restart, after);
		return true;
	}
	if (!shim_pool_get(rip, &start))
		return false;
	/* the displaced instruction, then jmp *(%rip) with its target behind it */
	for (const uint8_t *at = (const uint8_t *) start + SHIM_TRAMPOLINE - 8 - 6;
	     at >= (const uint8_t *) start; at--) {
		if (at[0] != 0xff || at[1] != 0x25 || *(const uint32_t *) (at + 2) != 0)
			continue;
		record = *(const uint64_t *) (at + 6);
		if (!in_records(record))
			continue;
		of_record(record, restart, after);
		if (rip == start) /* not even the displaced instruction has run */
			*restart -= (uint64_t) (at - (const uint8_t *) start);
		return true;
	}
	return false;
}
