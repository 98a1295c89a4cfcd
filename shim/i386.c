/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  System calls of 32-bit programs.  Called by sigsys.c for traps of int 0x80 and by
 * i386_gate.S on a slot.
 *
 * As for 64-bit calls: a trap only says where the guest goes on, at the record of its
 * site, which makes the call or enters the gate.  Records lie in a low pool, and from there
 * the kernel answers as it would natively: for a 32-bit call it deals in low addresses by
 * itself, whatever the process is.
 */
#include <shim/gate.h>
#include <shim/guest.h>
#include <shim/i386.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/signal.h>
#include <shim/site.h>

enum { SIGRETURN = 119, RT_SIGRETURN = 173 };

_Static_assert(I386_RECORDS + I386_SITES_MAX * I386_RECORD_SIZE == I386_TAILS, "");
_Static_assert(I386_SITES + I386_SITES_MAX * I386_SITE_SIZE == I386_CLASSES, "");

struct low_site {
	struct {
		uint32_t offset;
		uint16_t selector, unused;
	} back, pass, site;
	uint64_t reserved;
};

_Static_assert(sizeof(struct low_site) == I386_SITE_SIZE, "i386_gate.S knows it");

static struct low_site *const sites = (struct low_site *) I386_SITES;
static const uint8_t *const plain = (const uint8_t *) I386_CLASSES;

static uint32_t pass_of(uint32_t index)
{
	return I386_RECORDS + index * I386_RECORD_SIZE;
}

static uint32_t enter_of(uint32_t index)
{
	return pass_of(index) + I386_RECORD_ENTER;
}

static bool is_plain(uint64_t number)
{
	return number < I386_NUMBERS && plain[number];
}

/* ---- int 0x80 in 64-bit code ---- */

enum { WIDE_RECORD = 8, SIGNAL_CALL = 48, EXECVE = 11, EXECVEAT = 358, SIGACTION = 67,
       RT_SIGACTION = 174 };

static bool wide_mapped;

static long map_low(uint64_t start, uint64_t end, int prot)
{
	return shim_syscall(__NR_mmap, (long) start, (long) (end - start), prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* Records that are 64-bit code, in a low pool: int 0x80; jmp *back(%rip) */
static void map_wide(void)
{
	uint32_t distance = I386_WIDE_BACK - I386_WIDE - WIDE_RECORD;
	uint8_t record[WIDE_RECORD] = { 0xcd, 0x80, 0xff, 0x25 };

	if (wide_mapped)
		return;
	if (map_low(I386_WIDE, I386_WIDE_END, PROT_READ | PROT_WRITE) != I386_WIDE)
		shim_die("the program makes a 32-bit system call, and at %, where that "
			 "would be made, lies something else",
			 I386_WIDE);
	memcpy(record + 4, &distance, sizeof(distance));
	for (uint64_t i = 0; i < I386_SITES_MAX; i++)
		memcpy((uint8_t *) I386_WIDE + i * WIDE_RECORD, record, sizeof(record));
	(void) shim_syscall(__NR_mprotect, I386_WIDE, I386_WIDE_BACK - I386_WIDE,
			    PROT_READ | PROT_EXEC, 0, 0, 0);
	wide_mapped = true;
}

/* A 64-bit program has no 32-bit handlers, and exec is for its own kind of call. */
static bool refused(uint32_t number)
{
	return number == SIGRETURN || number == RT_SIGRETURN || number == SIGNAL_CALL ||
	       number == SIGACTION || number == RT_SIGACTION || number == EXECVE ||
	       number == EXECVEAT;
}

static void from_wide(struct sigcontext *m, uint32_t index)
{
	if (refused((uint32_t) m->rax)) {
		m->rax = (uint64_t) -ENOSYS;
		return;
	}
	shim_lock();
	map_wide();
	shim_unlock();
	((uint64_t *) I386_WIDE_BACK)[index] = shim_sites[index].back;
	m->rip = I386_WIDE + (uint64_t) index * WIDE_RECORD;
}

/* ---- a trap ---- */

void shim_i386_site_init(uint32_t index)
{
	const struct co_trap_site *site = &shim_sites[index];

	sites[index] = (struct low_site){ { (uint32_t) site->back, I386_CS, 0 },
					  { pass_of(index), I386_CS, 0 },
					  { (uint32_t) site->address, I386_CS, 0 },
					  0 };
}

static void caught(struct ucontext *uc, uint32_t index)
{
	struct sigcontext *m = &uc->uc_mcontext;
	uint32_t number = (uint32_t) m->rax;

	shim_i386_site_init(index);
	if (number == SIGRETURN || number == RT_SIGRETURN) {
		shim_i386_clean_frame(uc, number == RT_SIGRETURN);
		m->rip = pass_of(index);
		return;
	}
	m->rip = is_plain(number) ? pass_of(index) : enter_of(index);
}

/*
 * sysenter without the kernel's 32-bit vdso: the kernel returns to a place in the 64-bit
 * one.  By then it has taken ebp and esp from where the 32-bit vdso pushes them; all of
 * that again with an int 0x80 that is followed by what undoes it.
 */
static void sysenter(struct sigcontext *m)
{
	m->rip = shim_i386_page_at(shim_i386_sysenter);
}

void shim_i386_sigsys(const struct siginfo *info, struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	struct co_trap_site *site;
	int index;

	(void) info;
	if (m->cs == I386_CS && m->rip >> 32) {
		sysenter(m);
		return;
	}
	/* the call itself would be made from below 4 GiB, and be caught again */
	if (shim.config.flags & CO_TRAP_SUD)
		shim_die("the program makes a 32-bit call at %, which needs --trap=seccomp",
			 m->rip - 2);
	index = shim_site_index(m->rip - 2, true);
	if (index < 0 || index >= I386_SITES_MAX)
		shim_die("the program makes system calls from too many places, the last at "
			 "%; --engine=notify or ptrace run it",
			 m->rip - 2);
	site = &shim_sites[index];
	shim_stats->traps++;
	site->traps++;
	site->number = (uint32_t) m->rax;
	if (m->cs != I386_CS) {
		from_wide(m, (uint32_t) index);
		return;
	}
	if (site->state == CO_SITE_TRAPPING && shim_worth_patching(site))
		shim_patch(site, (uint32_t) index, (uint32_t) m->rax);
	caught(uc, (uint32_t) index);
}

uint32_t shim_i386_target(uint32_t index, uint64_t number, bool known)
{
	return known && is_plain(number) ? pass_of(index) : enter_of(index);
}

/* ---- patching: as in patch.c, with addresses of 32 bits that wrap ---- */

enum { JUMP = 5, ANYWHERE = 0x48000000, ANYWHERE_PAGES = 256, PAGE = 4096 };

/* Where a jump at `at` may lead: its last bytes are the site's own, and stay. */
static uint64_t room_for(uint32_t at, uint32_t bytes)
{
	uint32_t first, last, mask = bytes < JUMP ? 0xffffffffU << (8 * (bytes - 1)) : 0;
	uint64_t room = 0;

	memcpy(&first, (const void *) (uint64_t) (at + 1), sizeof(first));
	if (bytes < JUMP) {
		first = at + JUMP + (first & mask);
		last = first + ~mask;
		return last < first ? 0 : shim_pool_find(first, last);
	}
	for (uint32_t i = 0; i < ANYWHERE_PAGES && !room; i++)
		room = shim_pool_find(ANYWHERE + i * PAGE, ANYWHERE + i * PAGE + PAGE - 1);
	return room;
}

static void put_jump(uint8_t *out, uint32_t at, uint32_t target)
{
	uint32_t distance = target - (at + JUMP);

	out[0] = 0xe9;
	memcpy(out + 1, &distance, sizeof(distance));
}

int shim_i386_jump(uint64_t site, uint32_t length, uint32_t target)
{
	struct shim_edit edit = { .at = (uint32_t) site - length };
	uint8_t trampoline[SHIM_TRAMPOLINE];
	uint32_t bytes = length < JUMP ? length : JUMP, at = (uint32_t) site - length;
	uint64_t room;

	if (memcmp((const void *) site, "\xcd\x80", 2) != 0)
		return SHIM_WHY_NO_TEXT;
	if ((at & (PAGE - 1)) + bytes > PAGE)
		return SHIM_WHY_REACH;
	room = room_for(at, bytes);
	if (!room)
		return SHIM_WHY_REACH;
	memset(trampoline, 0xcc, sizeof(trampoline));
	memcpy(trampoline, (const void *) (uint64_t) at, length);
	put_jump(trampoline + length, (uint32_t) room + length, target);
	if (shim_pool_put(room, trampoline) || shim_pool_done())
		return SHIM_WHY_MEMORY;
	put_jump(edit.bytes, at, (uint32_t) room);
	edit.size = (uint8_t) bytes;
	return shim_code_edit(at & ~(uint32_t) (PAGE - 1), &edit, 1) ? SHIM_WHY_MEMORY
								     : SHIM_WHY_NONE;
}

bool shim_i386_leave_trampoline(struct sigcontext *m)
{
	uint64_t start;

	if (!shim_pool_get(m->rip, &start))
		return false;
	for (uint32_t at = (uint32_t) start + 2; at < start + SHIM_TRAMPOLINE - JUMP; at++) {
		const uint8_t *code = (const uint8_t *) (uint64_t) at;
		uint32_t target, distance;

		memcpy(&distance, code + 1, sizeof(distance));
		target = at + JUMP + distance;
		if (code[0] != 0xe9 || target < I386_RECORDS || target >= I386_TAILS ||
		    ((target % I386_RECORD_SIZE) & ~(uint32_t) I386_RECORD_ENTER) != 0)
			continue;
		target = (target - I386_RECORDS) / I386_RECORD_SIZE;
		/* its predecessor has run, or has not */
		m->rip = shim_sites[target].address - (m->rip == start ? at - start : 0);
		return true;
	}
	return false;
}

bool shim_i386_flush(struct ucontext *uc, struct shim_call *call)
{
	struct sigcontext *m = &uc->uc_mcontext;
	const uint32_t *target = (const uint32_t *) call->target;

	if (!shim.i386)
		return false;
	m->rip = *target;
	m->cs = I386_CS;
	m->ss = I386_DS;
	m->rax = (uint32_t) call->result;
	m->rcx = call->args[1];
	return true;
}

/* ---- a call on its slot ---- */

static enum shim_verdict decide(struct shim_call *call)
{
	const struct shim_personality *p =
		shim_personality_find(shim.config.personality);
	uint32_t number = (uint32_t) call->number;
	shim_handler *handler;

	if (p->plane_i386 ? p->plane_i386(number) != CO_PLANE_KERNEL
			  : number >= I386_NUMBERS && p->plane(number) != CO_PLANE_KERNEL)
		return p->dispatch(call);
	handler = shim_i386_handler(number);
	return handler ? handler(call) : SHIM_KERNEL;
}

void shim_i386_dispatch(struct shim_call *call)
{
	uint32_t index = (uint32_t) call->id;

	call->site = shim_sites[index].address;
	switch (decide(call)) {
	case SHIM_ANSWER:
		call->target = (uint64_t) &sites[index].back;
		break;
	case SHIM_KERNEL:
		call->result = call->number;
		call->target = (uint64_t) &sites[index].pass;
		break;
	case SHIM_TAIL:
		call->result = call->number;
		if (call->target == call->site) /* again, once signals are let in */
			call->target = (uint64_t) &sites[index].site;
		break;
	}
}

