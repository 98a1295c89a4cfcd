/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Making the system calls of an Anos program jump instead of trap, and taking that
 * back.  Called by guest_trap.c, and before anything of the guest's memory is changed.
 *
 * What is patched is the stub of libanos: a load of r9, `mov r10, rcx; syscall; ret`.  The
 * three bytes of the move become the beginning of a jump whose distance ends with the two
 * bytes of the system call, which stay (as in shim/patch.c); the move stands in the
 * trampoline.  Trampolines lie 80 MiB above, where the program may want to map something
 * itself, and a program of Anos may write to its own code: in both cases the page becomes
 * what it was.
 */
#include <co/limits.h>
#include <personality/anos/guest.h>
#include <shim/gate.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

#define PAGE CO_ANOS_PAGE

enum { TEXTS = CO_LIMIT_ANOS_SEGMENTS, MOVE = 3, STUB = 6, LOAD_MAX = 10 };

static const uint8_t stub[STUB] = { 0x49, 0x89, 0xca, 0x0f, 0x05, 0xc3 };

static struct anos_range texts[TEXTS];
static uint32_t ntexts;
static bool paused; /* under the lock */

void anos_patch_pause(bool pause)
{
	shim_lock();
	paused = pause;
	shim_unlock();
}

void anos_text(uint64_t start, uint64_t end)
{
	if (ntexts < TEXTS && start < end)
		texts[ntexts++] = (struct anos_range){ start, end };
}

/* Never over the end of a page, so that one page is all that changes. */
static bool in_text(uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < ntexts; i++)
		if (start >= texts[i].start && end <= texts[i].end)
			return true;
	return false;
}

/* Behind which bytes is it certain that the move is an instruction? */
static bool loads_token(const uint8_t *move)
{
	return memcmp(move - 7, "\x4c\x8b\x0d", 3) == 0 ||     /* mov disp(%rip), %r9 */
	       memcmp(move - 8, "\x4c\x8b\x0c\x25", 4) == 0 || /* mov address, %r9 */
	       memcmp(move - 10, "\x49\xb9", 2) == 0;          /* mov $imm64, %r9 */
}

static uint64_t page_of(const struct co_trap_site *site)
{
	return (site->address - MOVE) & ~(PAGE - 1);
}

static long protect(uint64_t page, int prot)
{
	return shim_syscall(__NR_mprotect, (long) page, PAGE, prot, 0, 0, 0);
}

/* ---- there ---- */

/* Under the lock; the site counts as patched already. */
static int write_jump(struct co_trap_site *site, uint64_t room)
{
	uint64_t at = site->address - MOVE;
	struct shim_edit edit = { .at = at, .size = MOVE, .bytes = { 0xe9 } };
	int32_t displacement = (int32_t) (room - (at + 5));

	memcpy(edit.bytes + 1, &displacement, MOVE - 1);
	/* who writes to that page meanwhile faults, waits for us, and has it back */
	if (protect(page_of(site), PROT_READ | PROT_EXEC) == 0 &&
	    shim_code_edit(page_of(site), &edit, 1) == 0)
		return SHIM_WHY_NONE;
	(void) protect(page_of(site), PROT_READ | PROT_WRITE | PROT_EXEC);
	return SHIM_WHY_MEMORY;
}

static int write_trampoline(uint64_t room, uint64_t target)
{
	uint8_t code[SHIM_TRAMPOLINE];

	memset(code, 0xcc, sizeof(code));
	memcpy(code, stub, MOVE);
	memcpy(code + MOVE, "\xff\x25\0\0\0\0", 6);
	memcpy(code + MOVE + 6, &target, sizeof(target));
	return shim_pool_put(room, code) || shim_pool_done() ? SHIM_WHY_MEMORY
							     : SHIM_WHY_NONE;
}

static int patch(struct co_trap_site *site, uint32_t index)
{
	uint64_t at = site->address - MOVE, first, room;
	int32_t displacement;
	int why;

	if (at % PAGE < LOAD_MAX || at % PAGE > PAGE - STUB || !in_text(at, at + STUB))
		return SHIM_WHY_NO_TEXT;
	if (memcmp((const void *) at, stub, STUB) != 0 ||
	    !loads_token((const uint8_t *) at))
		return SHIM_WHY_NO_TABLE;
	memcpy(&displacement, (const void *) (at + 1), sizeof(displacement));
	first = at + 5 + ((uint64_t) displacement & 0xffff0000);
	room = shim_pool_find(first, first + 0xffff);
	if (!room)
		return SHIM_WHY_REACH;
	why = write_trampoline(room, shim_site_enter(index));
	if (why != SHIM_WHY_NONE)
		return why;
	site->reserved = room;
	__atomic_store_n(&site->state, CO_SITE_PATCHED, __ATOMIC_RELEASE);
	return write_jump(site, room);
}

void anos_patch(struct co_trap_site *site, uint32_t index)
{
	int why = SHIM_WHY_OFF;

	shim_lock();
	if (paused) { /* the next trap will do */
		shim_unlock();
		return;
	}
	if (!(shim.config.flags & CO_TRAP_NO_PATCH))
		why = site->state == CO_SITE_TRAPPING ? patch(site, index) : site->why;
	site->why = (uint8_t) why;
	if (why == SHIM_WHY_NONE) {
		site->length = MOVE;
		shim_stats->patched++;
	} else {
		site->state = CO_SITE_NEVER;
		shim_stats->patch_failed += why != SHIM_WHY_OFF;
	}
	shim_unlock();
}

/* ---- and back ---- */

bool anos_patched(uint64_t page)
{
	for (uint32_t i = 0; i < shim_stats->sites_used; i++)
		if (__atomic_load_n(&shim_sites[i].reserved, __ATOMIC_ACQUIRE) &&
		    page_of(&shim_sites[i]) == page)
			return true;
	return false;
}

static bool is_in(uint64_t address, uint64_t start, uint64_t end)
{
	return address >= start && address < end;
}

static bool others_on(const struct co_trap_site *site)
{
	for (uint32_t i = 0; i < shim_stats->sites_used; i++)
		if (&shim_sites[i] != site && shim_sites[i].state == CO_SITE_PATCHED &&
		    page_of(&shim_sites[i]) == page_of(site))
			return true;
	return false;
}

/* Under the lock.  The page is the program's to write once the last site is back. */
static bool restore(struct co_trap_site *site, enum shim_why why)
{
	struct shim_edit edit = { .at = site->address - MOVE, .size = MOVE };

	memcpy(edit.bytes, stub, MOVE);
	if (shim_code_edit(page_of(site), &edit, 1))
		return false;
	if (!others_on(site))
		(void) protect(page_of(site), PROT_READ | PROT_WRITE | PROT_EXEC);
	site->state = CO_SITE_NEVER;
	site->why = (uint8_t) why;
	shim_stats->patched--;
	return true;
}

/* Sites whose code or whose trampoline is there; true if a trampoline was. */
static bool restore_all(uint64_t start, uint64_t end, bool *out_failed)
{
	bool trampolines = false;

	for (uint32_t i = 0; i < shim_stats->sites_used; i++) {
		struct co_trap_site *site = &shim_sites[i];
		bool code = is_in(page_of(site), start, end);
		bool room = is_in(site->reserved, start, end);

		if (site->state == CO_SITE_PATCHED && (code || room))
			*out_failed |= !restore(site, code ? SHIM_WHY_NO_TEXT
							   : SHIM_WHY_REACH);
		trampolines |= room;
	}
	return trampolines;
}

bool anos_unpatch(uint64_t start, uint64_t end)
{
	bool failed = false, trampolines;

	shim_lock();
	trampolines = restore_all(start, end, &failed);
	shim_unlock();
	if (!failed && (trampolines || shim_pool_touches(start, end))) {
		if (shim.threads)
			anos_step_aside();
		shim_lock();
		shim_pool_drop(start, end);
		shim_unlock();
	}
	return !failed;
}

/* Code that is not there any more: what was patched in it need not be undone. */
void anos_text_gone(uint64_t start, uint64_t end)
{
	shim_lock();
	for (uint32_t i = 0; i < shim_stats->sites_used; i++)
		if (is_in(page_of(&shim_sites[i]), start, end))
			__atomic_store_n(&shim_sites[i].reserved, 0, __ATOMIC_RELEASE);
	shim_unlock();
}

void anos_patch_anew(void)
{
	for (uint32_t i = 0; i < shim_stats->sites_used; i++) {
		struct co_trap_site *site = &shim_sites[i];

		if (site->reserved && site->state == CO_SITE_NEVER) {
			site->reserved = 0;
			site->traps = 0;
			site->state = CO_SITE_TRAPPING;
		}
	}
}

void anos_leave_trampoline(struct sigcontext *m)
{
	uint64_t at = m->rip & ~(uint64_t) (SHIM_TRAMPOLINE - 1);

	for (uint32_t i = 0; i < shim_stats->sites_used; i++)
		if (shim_sites[i].reserved == at)
			m->rip = m->rip == at ? shim_sites[i].address - MOVE
					      : shim_site_enter(i);
}
