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
#include <personality/anos/guest.h>
#include <shim/gate.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

#define PAGE CO_ANOS_PAGE

enum { TEXTS = 64, MOVE = 3, STUB = 6 };

static const uint8_t stub[STUB] = { 0x49, 0x89, 0xca, 0x0f, 0x05, 0xc3 };

static struct anos_range texts[TEXTS];
static uint32_t ntexts;

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

/* Under the lock. */
static int patch(struct co_trap_site *site, uint32_t index)
{
	uint64_t at = site->address - MOVE, target = shim_site_enter(index), room,
		 first;
	uint8_t trampoline[SHIM_TRAMPOLINE];
	struct shim_edit edit = { .at = at, .size = MOVE, .bytes = { 0xe9 } };
	int32_t displacement = 0;

	if (at % PAGE < 10 || at % PAGE > PAGE - STUB || !in_text(at, at + STUB))
		return SHIM_WHY_NO_TEXT;
	if (memcmp((const void *) at, stub, STUB) != 0 ||
	    !loads_token((const uint8_t *) at))
		return SHIM_WHY_NO_TABLE;
	memcpy(&displacement, (const void *) (at + 1), sizeof(displacement));
	first = at + 5 + ((uint64_t) displacement & 0xffff0000);
	room = shim_pool_find(first, first + 0xffff);
	if (!room)
		return SHIM_WHY_REACH;
	memset(trampoline, 0xcc, sizeof(trampoline));
	memcpy(trampoline, stub, MOVE);
	memcpy(trampoline + MOVE, "\xff\x25\0\0\0\0", 6);
	memcpy(trampoline + MOVE + 6, &target, sizeof(target));
	if (shim_pool_put(room, trampoline) || shim_pool_done())
		return SHIM_WHY_MEMORY;
	displacement = (int32_t) (room - (at + 5));
	memcpy(edit.bytes + 1, &displacement, MOVE - 1);
	return shim_code_edit(at & ~(PAGE - 1), &edit, 1) ? SHIM_WHY_MEMORY
							  : SHIM_WHY_NONE;
}

void anos_patch(struct co_trap_site *site, uint32_t index)
{
	int why;

	if (shim.config.flags & CO_TRAP_NO_PATCH) {
		site->state = CO_SITE_NEVER;
		site->why = SHIM_WHY_OFF;
		return;
	}
	shim_lock();
	why = site->state == CO_SITE_TRAPPING ? patch(site, index) : site->why;
	site->why = (uint8_t) why;
	if (why == SHIM_WHY_NONE) {
		site->state = CO_SITE_PATCHED;
		site->length = MOVE;
		shim_stats->patched++;
	} else {
		site->state = CO_SITE_NEVER;
		shim_stats->patch_failed++;
	}
	shim_unlock();
}

bool anos_patched(uint64_t page)
{
	for (uint32_t i = 0; i < shim_stats->sites_used; i++)
		if (shim_sites[i].state == CO_SITE_PATCHED &&
		    (shim_sites[i].address & ~(PAGE - 1)) == page)
			return true;
	return false;
}

bool anos_unpatch(uint64_t start, uint64_t end)
{
	(void) start;
	(void) end;
	return true;
}
