/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  An Anos program's file into memory, by the rules of its own loader: a 64-bit ELF
 * file, of which only PT_LOAD counts, with places in file and memory that are whole pages;
 * all of it readable, writable and executable; what the file has is mapped by whole pages,
 * so that behind the end of a segment's bytes the next ones of the file are seen.  Neither
 * type nor machine are looked at.  Called by guest_start.c.
 *
 * What could not be loaded without hiding a mistake is refused with a sentence.
 */
#include <co/limits.h>
#include <personality/anos/guest.h>
#include <shim/elf.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define PAGE CO_ANOS_PAGE

enum { CLASS_64 = 2, ALL = PROT_READ | PROT_WRITE | PROT_EXEC };

enum fault {
	NO_ELF = 1,
	HEADERS,
	MISALIGNED,
	WRAPS,
	SIZES,
	TRUNCATED,
	OVERLAP,
	RESERVED,
	MANY,
	NOTHING,
	ENTRY,
	STACK,
	OCCUPIED
};

const char *shim_elf_sentence(int fault)
{
	static const char *const faults[] = {
		[NO_ELF] = "it is no 64-bit ELF file",
		[HEADERS] = "the file ends within its own headers",
		[MISALIGNED] =
			"a segment does not begin on a page boundary, in the file or in "
			"memory, as Anos wants it: link with -z max-page-size=4096 and "
			"align sections to pages",
		[WRAPS] = "a segment does not fit into memory",
		[SIZES] = "a segment is larger in the file than in memory",
		[TRUNCATED] = "the file ends within a segment",
		[OVERLAP] = "two segments overlap",
		[RESERVED] = "a segment would cover cloudos itself, which lies above "
			     "0x700000000000; link it to another address",
		[MANY] = "it has more than 64 segments",
		[NOTHING] = "it has no segment to load",
		[ENTRY] = "its entry point lies in none of its segments",
		[STACK] =
			"a segment lies where the initial stack does, below 0x44000000",
		[OCCUPIED] = "a segment lies where Linux has something already"
	};

	if (fault > 0 && fault < (int) (sizeof(faults) / sizeof(faults[0])))
		return faults[fault];
	if (fault == -ENOMEM)
		return "there is no memory for it: see ulimit -v";
	if (fault == -EPERM)
		return "a segment lies too low in memory for Linux (see "
		       "/proc/sys/vm/mmap_min_addr), or the system forbids code that can be "
		       "written";
	return "Linux did not map it; the error is %";
}

struct program {
	int fd;
	uint64_t size;
	Elf64_Ehdr header;
	Elf64_Phdr loads[CO_LIMIT_ANOS_SEGMENTS];
	uint32_t n;
};

static int read_at(const struct program *p, void *to, size_t size, uint64_t offset)
{
	if (offset > p->size || size > p->size - offset)
		return HEADERS;
	return shim_syscall(__NR_pread64, p->fd, (long) to, (long) size, (long) offset,
			    0, 0) == (long) size
		       ? 0
		       : -EIO;
}

static bool meet(uint64_t start, uint64_t end, uint64_t first, uint64_t last)
{
	return start < last && first < end;
}

static uint64_t end_of(const Elf64_Phdr *load)
{
	return anos_page_up(load->p_vaddr + load->p_memsz);
}

static int judge(const struct program *p, const Elf64_Phdr *load, uint64_t stack_size)
{
	if (load->p_vaddr % PAGE || load->p_offset % PAGE)
		return MISALIGNED;
	if (load->p_filesz > load->p_memsz)
		return SIZES;
	if (load->p_vaddr >= CO_ANOS_USER_END ||
	    load->p_memsz > CO_ANOS_USER_END - load->p_vaddr)
		return WRAPS;
	if (load->p_filesz &&
	    (load->p_offset > p->size || load->p_filesz > p->size - load->p_offset))
		return TRUNCATED;
	if (end_of(load) > CO_ANOS_GUEST_END)
		return RESERVED;
	if (meet(load->p_vaddr, end_of(load), CO_ANOS_STACK_TOP - stack_size,
		 CO_ANOS_STACK_TOP))
		return STACK;
	for (uint32_t i = 0; i < p->n; i++)
		if (meet(load->p_vaddr, end_of(load), p->loads[i].p_vaddr,
			 end_of(&p->loads[i])))
			return OVERLAP;
	return 0;
}

static int read_headers(struct program *p, uint64_t stack_size)
{
	struct stat st;
	int r = (int) shim_syscall(__NR_fstat, p->fd, (long) &st, 0, 0, 0, 0);

	if (r)
		return r;
	p->size = (uint64_t) st.st_size;
	r = read_at(p, &p->header, sizeof(p->header), 0);
	if (r || memcmp(p->header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    p->header.e_ident[EI_CLASS] != CLASS_64)
		return r < 0 ? r : NO_ELF;
	for (uint32_t i = 0; i < p->header.e_phnum; i++) {
		Elf64_Phdr *load = &p->loads[p->n];
		Elf64_Phdr header;

		/* offsets are so much smaller than 2^64 that a sum of a valid one cannot wrap */
		if (p->header.e_phoff > p->size)
			return HEADERS;
		r = read_at(p, &header, sizeof(header),
			    p->header.e_phoff + (uint64_t) i * p->header.e_phentsize);
		if (!r && (header.p_type != PT_LOAD || header.p_memsz == 0))
			continue;
		if (!r && p->n == CO_LIMIT_ANOS_SEGMENTS)
			r = MANY;
		if (!r)
			r = judge(p, &header, stack_size);
		if (r)
			return r;
		*load = header;
		p->n++;
	}
	return p->n ? 0 : NOTHING;
}

static bool is_inside(const struct program *p, uint64_t address)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (address >= p->loads[i].p_vaddr && address < end_of(&p->loads[i]))
			return true;
	return false;
}

static long map(const struct program *p, uint64_t start, uint64_t end, bool file,
		uint64_t offset)
{
	long r;

	if (start >= end)
		return 0;
	r = shim_syscall(__NR_mmap, (long) start, (long) (end - start), ALL,
			 MAP_PRIVATE | MAP_FIXED_NOREPLACE |
				 (file ? 0 : MAP_ANONYMOUS | MAP_NORESERVE),
			 file ? p->fd : -1, (long) offset);
	if (r == (long) start)
		return 0;
	if (r > 0) /* a kernel that takes the address for a hint */
		(void) shim_syscall(__NR_munmap, r, (long) (end - start), 0, 0, 0, 0);
	return r > 0 || r == -EEXIST ? OCCUPIED : r;
}

int anos_load(int fd, uint64_t stack_size, uint64_t *out_entry)
{
	static struct program p;
	int r;

	p.fd = fd;
	p.n = 0;
	r = read_headers(&p, stack_size);
	if (!r && !is_inside(&p, p.header.e_entry))
		r = ENTRY;
	for (uint32_t i = 0; !r && i < p.n; i++) {
		const Elf64_Phdr *load = &p.loads[i];
		uint64_t middle = anos_page_up(load->p_vaddr + load->p_filesz);

		r = (int) map(&p, load->p_vaddr, middle, true, load->p_offset);
		if (!r)
			r = (int) map(&p, middle, end_of(load), false, 0);
		if (!r)
			anos_text(load->p_vaddr, middle);
	}
	*out_entry = p.header.e_entry;
	return r;
}
