/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What a 32-bit program finds when it starts: its stack below 4 GiB, its heap, the
 * kernel's 32-bit vdso, and the low area (i386.h).  Called by start.c.
 */
#include <shim/gate.h>
#include <shim/guest.h>
#include <shim/i386.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/signal.h>
#include <shim/site.h>
#include <shim/start.h>

enum {
	PAGE = 4096,
	MAP_VDSO_32 =
		0x2002, /* ARCH_MAP_VDSO_32: kernels for CRIU, as distributions' are */
	STACK_ROOM =
		0x20000, /* below what the stack begins with; it grows from there */
	SPREAD = 0x7ff,  /* pages of random places */
	ATTEMPTS = 16,
	VVAR_MAX = 16 /* pages of data before the vdso */
};

#define STACK_TOP   0xffffd000UL
#define HEAP_AT     0x56555000UL
#define FILES_END   0xcf000000UL /* less 0x80cd0000: in a low pool */
#define FILES_START 0xc8000000UL
#define BRK_END     0xc7000000UL
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef AT_SYSINFO
#define AT_SYSINFO 32
#endif
#ifndef READ_IMPLIES_EXEC
#define READ_IMPLIES_EXEC 0x0400000
#endif

static long map_low(uint64_t start, uint64_t size, int prot, int flags)
{
	return shim_syscall(__NR_mmap, (long) start, (long) size, prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags,
			    -1, 0);
}

/* ---- places for files ---- */

uint64_t shim_i386_place(uint64_t size, unsigned attempt)
{
	static uint64_t used;
	uint64_t at;

	size = (size + PAGE - 1) & ~(uint64_t) (PAGE - 1);
	at = __atomic_add_fetch(&used, size + attempt * PAGE, __ATOMIC_RELAXED);
	if (at >= FILES_END - FILES_START) {
		__atomic_store_n(&used, size, __ATOMIC_RELAXED);
		at = size;
	}
	return FILES_END - (shim.random >> 16 & SPREAD) * PAGE - at;
}

int shim_i386_map(int fd, struct shim_elf *elf)
{
	/* room also for its way to where it is aligned */
	uint64_t size = elf->end - elf->start + elf->alignment - PAGE;
	bool fixed = elf->flags & SHIM_ELF_FIXED;
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i < ATTEMPTS; i++)
		r = shim_elf_map(fd, elf, fixed ? 0 : shim_i386_place(size, i));
	return r;
}

/* ---- the vdso ---- */

uint64_t shim_i386_vdso;

static bool is_elf(uint64_t at)
{
	return *(const uint32_t *) at == 0x464c457f;
}

static uint64_t vdso_end(uint64_t vdso)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *) vdso;
	const Elf64_Phdr *phdr = (const Elf64_Phdr *) (vdso + elf->e_phoff);

	for (uint32_t i = 0; i < elf->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD)
			return vdso + ((phdr[i].p_memsz + PAGE - 1) & -(uint64_t) PAGE);
	return vdso + PAGE;
}

/*
 * The kernel's 32-bit vdso in place of the 64-bit one: it maps the one where the other is
 * not.  How many pages of data lie before them only it knows; it takes them away as a
 * whole or not at all, and says when all are gone.
 */
static void change_vdso(uint64_t vdso)
{
	uint64_t end = vdso_end(vdso);

	long r = -EEXIST;

	for (uint64_t n = 0; n <= VVAR_MAX && r == -EEXIST; n++) {
		uint64_t start = vdso - n * PAGE;

		if (shim_syscall(__NR_munmap, (long) start, (long) (end - start), 0, 0,
				 0, 0))
			continue;
		r = shim_syscall(__NR_arch_prctl, MAP_VDSO_32, I386_VDSO, 0, 0, 0, 0);
		if (r > 0 && is_elf(I386_VDSO + n * PAGE))
			shim_i386_vdso = I386_VDSO + n * PAGE;
	}
}

/* ---- the low area ---- */

static void write_records(uint8_t *at)
{
	memset(at, 0xcc, I386_TAILS - I386_RECORDS);
	for (uint32_t i = 0; i < I386_SITES_MAX; i++) {
		uint32_t here = I386_RECORDS + i * I386_RECORD_SIZE;
		uint32_t site = I386_SITES + i * I386_SITE_SIZE;
		uint32_t wide = here + I386_RECORD_WIDE;
		uint32_t distance = I386_GATE - (here + I386_RECORD_GATE);
		uint16_t selector = WIDE_CS;

		memcpy(at, "\xcd\x80\xff\x25", 4); /* int 0x80; jmp *site */
		memcpy(at + 4, &site, 4);
		at[I386_RECORD_ENTER] = 0xea; /* jmp far wide */
		memcpy(at + I386_RECORD_ENTER + 1, &wide, 4);
		memcpy(at + I386_RECORD_ENTER + 5, &selector, 2);
		memcpy(at + I386_RECORD_WIDE, "\x41\xbb", 2); /* mov $i, %r11d */
		memcpy(at + I386_RECORD_WIDE + 2, &i, 4);
		memcpy(at + I386_RECORD_WIDE + 6, "\xff\x25",
		       2); /* jmp *I386_GATE(%rip) */
		memcpy(at + I386_RECORD_WIDE + 8, &distance, 4);
		at += I386_RECORD_SIZE;
	}
}

static void protect(uint64_t start, uint64_t end)
{
	if (shim_syscall(__NR_mprotect, (long) start, (long) (end - start),
			 PROT_READ | PROT_EXEC, 0, 0, 0))
		shim_die("the kernel does not let pages at % become executable", start);
}

static void classify(uint8_t *classes)
{
	const struct shim_personality *p =
		shim_personality_find(shim.config.personality);

	for (uint32_t i = 0; i < I386_NUMBERS; i++)
		classes[i] = !shim_i386_handler(i) && i != 119 && i != 173 &&
			     (!p->plane_i386 || p->plane_i386(i) == CO_PLANE_KERNEL);
}

/* The fast way and the other; without patching every call traps. */
static void ways(void)
{
	uint32_t call = shim_i386_page_at(shim_i386_page_call);
	uint32_t *way = (uint32_t *) I386_FAST;
	int index = shim_site_index(call, true);

	way[0] = way[1] = call;
	if (shim.config.flags & CO_TRAP_NO_PATCH)
		return;
	shim_i386_site_init((uint32_t) index);
	way[0] = shim_i386_target((uint32_t) index, 0, true);
	way[1] = shim_i386_target((uint32_t) index, 0, false);
	if (shim_i386_vdso)
		way[0] = (uint32_t) (shim_i386_vdso +
				     ((const Elf32_Ehdr *) shim_i386_vdso)->e_entry);
}

static void make_low_area(uint64_t vdso)
{
	long at = map_low(I386_RECORDS, I386_END - I386_RECORDS, PROT_READ | PROT_WRITE,
			  0);

	if (at != I386_RECORDS)
		shim_die("the program lies where cloudos needs memory, at %",
			 I386_RECORDS);
	write_records((uint8_t *) I386_RECORDS);
	memcpy((void *) I386_TAILS, shim_i386_tails,
	       (size_t) (shim_i386_tails_end - shim_i386_tails));
	memcpy((void *) I386_PAGE, shim_i386_page,
	       (size_t) (shim_i386_page_end - shim_i386_page));
	*(uint64_t *) I386_GATE = (uint64_t) shim_i386_gate;
	classify((uint8_t *) I386_CLASSES);
	protect(I386_RECORDS, I386_SITES);
	if (vdso)
		change_vdso(vdso);
	ways();
}

/* ---- the heap ---- */

/*
 * The kernel's heap of this process lies above 4 GiB, so this one is ours: pages behind the
 * program, or, for one that may lie anywhere, where the kernel would have put both.
 */
static uint64_t brk_start, brk_now;

static void make_heap(uint64_t program_end)
{
	brk_start = ((program_end + PAGE - 1) & -(uint64_t) PAGE) +
		    (shim.random >> 32 & SPREAD) * PAGE;
	brk_now = brk_start;
}

static uint64_t page_up(uint64_t at)
{
	return (at + PAGE - 1) & -(uint64_t) PAGE;
}

static bool move_brk(uint64_t from, uint64_t to)
{
	if (to > from)
		return map_low(from, to - from, PROT_READ | PROT_WRITE,
			       MAP_NORESERVE) == (long) from;
	shim_forget_pages();
	return shim_syscall(__NR_munmap, (long) to, (long) (from - to), 0, 0, 0, 0) ==
	       0;
}

enum shim_verdict shim_i386_brk(struct shim_call *call)
{
	uint64_t wanted = call->args[0];

	shim_lock();
	if (wanted >= brk_start && wanted < BRK_END &&
	    (page_up(wanted) == page_up(brk_now) ||
	     move_brk(page_up(brk_now), page_up(wanted))))
		brk_now = wanted;
	shim_unlock();
	return shim_answer(call, (long) brk_now);
}

/* ---- the stack ---- */

struct copy {
	uint64_t text;    /* where the next string goes */
	uint32_t *vector; /* where the next word goes */
};

static size_t size_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n + 1;
}

static uint32_t put_bytes(struct copy *to, const void *from, size_t size)
{
	uint64_t at = to->text;

	memcpy((void *) at, from, size);
	to->text += size;
	return (uint32_t) at;
}

static uint32_t put_text(struct copy *to, const char *text)
{
	return put_bytes(to, text, size_of(text));
}

/* A vector of strings and its NULL; returns what is behind it in the old stack. */
static const uint64_t *put_strings(struct copy *to, const uint64_t *from)
{
	for (; *from; from++)
		*to->vector++ = put_text(to, (const char *) *from);
	*to->vector++ = 0;
	return from + 1;
}

static const uint64_t *measure(const uint64_t *from, uint64_t *words, uint64_t *bytes)
{
	for (; *from; from++) {
		*bytes += size_of((const char *) *from);
		++*words;
	}
	++*words;
	return from + 1;
}

static void put_pair(struct copy *to, uint64_t key, uint64_t value)
{
	*to->vector++ = (uint32_t) key;
	*to->vector++ = (uint32_t) value;
}

static void put_auxv(struct copy *to, const uint64_t *from)
{
	put_pair(to, AT_SYSINFO, I386_PAGE);
	if (shim_i386_vdso)
		put_pair(to, AT_SYSINFO_EHDR, shim_i386_vdso);
	for (; from[0] != AT_NULL; from += 2) {
		uint64_t value = from[1];

		switch (from[0]) {
		case AT_SYSINFO_EHDR:
			continue;
		case AT_PLATFORM:
			value = put_text(to, "i686");
			break;
		case AT_EXECFN:
			value = put_text(to, (const char *) value);
			break;
		case AT_RANDOM:
			value = put_bytes(to, (const void *) value, 16);
			break;
		default:
			break;
		}
		put_pair(to, from[0], value);
	}
	put_pair(to, AT_NULL, 0);
}

static uint64_t make_stack(const uint64_t *sp, bool executable)
{
	uint64_t words = 1 + 2 * 3, bytes = 16 + sizeof("i686"), size, start;
	uint64_t top = STACK_TOP - (shim.random >> 44 & SPREAD) * PAGE;
	const uint64_t *auxv = measure(measure(sp + 1, &words, &bytes), &words, &bytes);
	struct copy to;

	for (const uint64_t *a = auxv; a[0] != AT_NULL; a += 2) {
		words += 2;
		if (a[0] == AT_EXECFN)
			bytes += size_of((const char *) a[1]);
	}
	size = page_up(bytes + words * 4 + 64 + STACK_ROOM);
	start = top - size;
	if (map_low(start, size, PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
		    MAP_GROWSDOWN | MAP_STACK | MAP_NORESERVE) != (long) start)
		shim_die("there is no room for a stack below 4 GiB, at %", start);
	to.text = top - bytes - 8;
	to.vector = (uint32_t *) ((to.text - words * 4) & ~15UL);
	start = (uint64_t) to.vector;
	*to.vector++ = (uint32_t) sp[0];
	put_auxv(&to, put_strings(&to, put_strings(&to, sp + 1)));
	return start;
}

/* ---- all of it ---- */

_Noreturn void shim_i386_start(const struct shim_elf *elf, uint64_t vdso,
			       uint64_t entry, const uint64_t *sp)
{
	bool old =
		(elf->flags & SHIM_ELF_STACK) == 0; /* then all data are executable */
	long persona = shim_syscall(__NR_personality, 0xffffffff, 0, 0, 0, 0, 0);

	make_low_area(vdso);
	make_heap(elf->flags & SHIM_ELF_FIXED ? elf->brk : HEAP_AT);
	if (old)
		(void) shim_syscall(__NR_personality, persona | READ_IMPLIES_EXEC, 0, 0,
				    0, 0, 0);
	shim_i386_enter(entry, make_stack(sp, old || elf->flags & SHIM_ELF_STACK_EXEC));
}
