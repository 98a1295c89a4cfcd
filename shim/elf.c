/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  ELF files read and mapped as the kernel does it; see elf.h.  Called by the loader
 * and by program.c.
 *
 * What is wrong with a file is an error where the kernel returns one, and a fault where the
 * kernel finds it too late to return and kills.  Nothing is trusted twice: the headers are
 * read again for mapping, and judged again.
 */
#include <shim/elf.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

#include <co/trap.h>
#include <stddef.h>

#define PAGE            4096UL
#define PAGE_DOWN(at)   ((at) & ~(PAGE - 1))
#define PAGE_UP(at)     PAGE_DOWN((at) + PAGE - 1)
#define PAGE_OFFSET(at) ((at) & (PAGE - 1))

#define MEMORY_END      0x7ffffffff000UL /* TASK_SIZE of the kernel */
#define MEMORY_END_I386 0xffffe000UL
#define MACHINE_486     6 /* as good as EM_386 for the kernel */
#define HEADERS_MAX     65536U
#define NOTES_MAX       8U
#define BLOCK           16U
#define ALIGNMENT_MAX   0x40000000UL /* what asks for more gets none, and runs as well */

/* ---- reading ---- */

/* A file whose first bytes are at hand: almost always they hold all there is to read. */
struct reader {
	int fd;
	uint64_t have;
	union {
		uint8_t bytes[2048];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} head;
};

/* 0; -EIO when the file ends before. */
static int read_at(const struct reader *from, void *to, size_t size, uint64_t offset)
{
	long got;

	if (offset < from->have && size <= from->have - offset) {
		memcpy(to, from->head.bytes + offset, size);
		return 0;
	}
	got = shim_syscall(__NR_pread64, from->fd, (long) to, (long) size,
			   (long) offset, 0, 0);
	if (got < 0)
		return (int) got;
	return (uint64_t) got == size ? 0 : -EIO;
}

static int reader_init(struct reader *reader, int fd)
{
	long got;

	memset(&reader->head, 0, sizeof(reader->head));
	reader->fd = fd;
	got = shim_syscall(__NR_pread64, fd, (long) reader->head.bytes,
			   sizeof(reader->head.bytes), 0, 0, 0);
	reader->have = got < 0 ? 0 : (uint64_t) got;
	return got < 0 ? (int) got : 0;
}

/* The program headers, a block at a time; 32-bit ones are widened. */
struct headers {
	const struct reader *file;
	const struct shim_elf *elf;
	uint32_t next;
	Elf64_Phdr block[BLOCK];
};

static int read_block(struct headers *from)
{
	const struct shim_elf *elf = from->elf;
	uint32_t left = elf->phnum - from->next;
	size_t count = left < BLOCK ? left : BLOCK;
	Elf32_Phdr narrow[BLOCK];
	uint64_t offset = elf->phoff + (uint64_t) from->next * elf->phent;

	if ((elf->flags & SHIM_ELF_I386) == 0)
		return read_at(from->file, from->block, count * sizeof(Elf64_Phdr),
			       offset);
	if (read_at(from->file, narrow, count * sizeof(Elf32_Phdr), offset))
		return -EIO;
	for (size_t i = 0; i < count; i++)
		from->block[i] = (Elf64_Phdr){ .p_type = narrow[i].p_type,
					       .p_flags = narrow[i].p_flags,
					       .p_offset = narrow[i].p_offset,
					       .p_vaddr = narrow[i].p_vaddr,
					       .p_filesz = narrow[i].p_filesz,
					       .p_memsz = narrow[i].p_memsz,
					       .p_align = narrow[i].p_align };
	return 0;
}

/* 1 and a header, 0 after the last one, or -ENOEXEC: the file does not have them. */
static int next_header(struct headers *from, const Elf64_Phdr **out)
{
	if (from->next == from->elf->phnum)
		return 0;
	if (from->next % BLOCK == 0 && read_block(from))
		return -ENOEXEC;
	*out = &from->block[from->next++ % BLOCK];
	return 1;
}

/* ---- judging ---- */

static bool meets(uint64_t start, uint64_t end, uint64_t low, uint64_t high)
{
	return start < high && end > low;
}

/* Does it cover a pool of window 0 and up? */
static bool in_pool(uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < CO_TRAP_WINDOWS; i++)
		if (meets(start, end, CO_TRAP_POOL(i),
			  CO_TRAP_POOL(i) + CO_TRAP_POOL_SIZE))
			return true;
	return false;
}

static bool in_low_pool(uint64_t start, uint64_t end)
{
#define LOW_POOL(low, high) || meets(start, end, (low), (high))
	return false CO_TRAP_LOW_POOLS(LOW_POOL);
#undef LOW_POOL
}

static uint64_t memory_end(const struct shim_elf *elf)
{
	return (elf->flags & SHIM_ELF_I386) != 0 ? MEMORY_END_I386 : MEMORY_END;
}

/* What the kernel would kill the process for, whereever the segment goes. */
static int segment_fault(const struct shim_elf *elf, const Elf64_Phdr *load)
{
	uint64_t limit = memory_end(elf);
	uint64_t file_end = load->p_offset + load->p_filesz;

	if (load->p_vaddr >= limit || load->p_memsz > limit - load->p_vaddr)
		return SHIM_ELF_WRAPS;
	if (load->p_filesz > load->p_memsz)
		return SHIM_ELF_SIZES;
	if (load->p_filesz != 0 && PAGE_OFFSET(load->p_offset - load->p_vaddr) != 0)
		return SHIM_ELF_MISALIGNED;
	/* The rest of the last page is cleared, so there has to be that page. */
	if ((load->p_flags & PF_W) != 0 && load->p_filesz != 0 &&
	    load->p_memsz > load->p_filesz && PAGE_OFFSET(file_end) != 0 &&
	    PAGE_DOWN(file_end) >= elf->file.size)
		return SHIM_ELF_TRUNCATED;
	return 0;
}

/* Where a segment is going to lie: is that a place for it? */
static int place_fault(const Elf64_Phdr *load, uint64_t bias)
{
	uint64_t start = PAGE_DOWN(load->p_vaddr) + bias;
	uint64_t end = PAGE_UP(load->p_vaddr + load->p_memsz) + bias;

	if (in_pool(start, end))
		return SHIM_ELF_POOL;
	if ((load->p_flags & PF_X) != 0 && in_low_pool(start, end))
		return SHIM_ELF_CODE_IN_LOW_POOL;
	return 0;
}

/* ---- what a file says of itself ---- */

static int judge_header(const struct reader *file, const struct shim_elf *program,
			struct shim_elf *out)
{
	const Elf64_Ehdr *wide = &file->head.wide;
	const Elf32_Ehdr *narrow = &file->head.narrow;
	bool i386 = wide->e_machine == EM_386 || wide->e_machine == MACHINE_486;

	if (memcmp(wide->e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	/* The kernel goes by the machine; e_ident's class may say what it likes. */
	if (!i386 && wide->e_machine != EM_X86_64)
		return -ENOEXEC;
	if (program != NULL && i386 != ((program->flags & SHIM_ELF_I386) != 0))
		return -ENOEXEC;
	if (wide->e_type != ET_EXEC && wide->e_type != ET_DYN) {
		if (program == NULL)
			return -ENOEXEC;
		out->fault = SHIM_ELF_TYPE;
	}
	out->flags = (i386 ? SHIM_ELF_I386 : 0U) |
		     (wide->e_type == ET_EXEC ? SHIM_ELF_FIXED : 0U);
	out->machine = wide->e_machine;
	out->entry = i386 ? narrow->e_entry : wide->e_entry;
	out->phoff = i386 ? narrow->e_phoff : wide->e_phoff;
	out->phnum = i386 ? narrow->e_phnum : wide->e_phnum;
	out->phent = i386 ? narrow->e_phentsize : wide->e_phentsize;
	if (out->phent != (i386 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr)))
		return -ENOEXEC;
	if (out->phnum == 0 || (uint32_t) out->phnum * out->phent > HEADERS_MAX)
		return -ENOEXEC;
	return 0;
}

static int read_interp(const struct reader *file, const Elf64_Phdr *header,
		       struct shim_elf *out)
{
	int err;

	if (header->p_filesz > SHIM_ELF_INTERP_MAX || header->p_filesz < 2)
		return -ENOEXEC;
	err = read_at(file, out->interp, header->p_filesz, header->p_offset);
	if (err)
		return err;
	if (out->interp[header->p_filesz - 1] != '\0')
		return -ENOEXEC;
	out->flags |= SHIM_ELF_INTERP;
	return 0;
}

/* One note: is it Go's? */
static void read_note(struct shim_elf *out, const Elf64_Nhdr *note, const uint8_t *name)
{
	if (note->n_namesz != 4)
		return;
	if (memcmp(name, "Go\0", 4) == 0)
		out->flags |= SHIM_ELF_GO;
}

/* Only the first bytes of each: nobody needs more, and what is wrong is no error. */
static void read_notes(const struct reader *file, const Elf64_Phdr *header,
		       struct shim_elf *out)
{
	uint8_t notes[512];
	uint64_t size =
		header->p_filesz < sizeof(notes) ? header->p_filesz : sizeof(notes);
	uint64_t mask = header->p_align == 8 ? 7 : 3;
	uint64_t at = 0;
	Elf64_Nhdr note;

	if (read_at(file, notes, size, header->p_offset))
		return;
	while (size - at >= sizeof(note)) {
		uint64_t name, value;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		value = (name + note.n_namesz + mask) & ~mask;
		at = (value + note.n_descsz + mask) & ~mask;
		if (value + note.n_descsz > size)
			return;
		read_note(out, &note, notes + name);
		if (at > size)
			return;
	}
}

static void add_range(struct shim_elf *out, const Elf64_Phdr *load)
{
	struct shim_elf_range *range = &out->range[out->ranges_used];

	if ((load->p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X))
		return;
	if (load->p_filesz == 0 || out->ranges_used == SHIM_ELF_RANGES)
		return;
	range->start = load->p_vaddr;
	range->end = load->p_vaddr + load->p_filesz;
	range->offset = load->p_offset;
	out->ranges_used++;
}

static void read_load(const Elf64_Phdr *load, struct shim_elf *out)
{
	uint64_t end = load->p_vaddr + load->p_memsz;
	uint64_t file_end = load->p_vaddr + load->p_filesz;

	if (out->fault == 0)
		out->fault = segment_fault(out, load);
	if (out->fault == 0 && (out->flags & SHIM_ELF_FIXED) != 0)
		out->fault = place_fault(load, 0);
	if (out->fault != 0)
		return;
	/* Segments that lie one over the other: which bytes are code is anybody's guess. */
	if (PAGE_DOWN(load->p_vaddr) < out->end)
		out->flags |= SHIM_ELF_OVERLAPS;
	if (load->p_memsz == 0 ||
	    (out->end != 0 && PAGE_DOWN(load->p_vaddr) > out->end))
		out->flags |= SHIM_ELF_HOLES;
	if (PAGE_DOWN(load->p_vaddr) < out->start)
		out->start = PAGE_DOWN(load->p_vaddr);
	if (PAGE_UP(end) > out->end)
		out->end = PAGE_UP(end);
	if (end > out->brk)
		out->brk = end;
	if ((load->p_flags & PF_X) != 0 && load->p_vaddr < out->start_code)
		out->start_code = load->p_vaddr;
	if ((load->p_flags & PF_X) != 0 && file_end > out->end_code)
		out->end_code = file_end;
	if (load->p_vaddr > out->start_data)
		out->start_data = load->p_vaddr;
	if (file_end > out->end_data)
		out->end_data = file_end;
	if (load->p_align > out->alignment && load->p_align <= ALIGNMENT_MAX &&
	    (load->p_align & (load->p_align - 1)) == 0)
		out->alignment = load->p_align;
	if (load->p_offset <= out->phoff &&
	    out->phoff - load->p_offset < load->p_filesz)
		out->phdrs = out->phoff - load->p_offset + load->p_vaddr;
	if (in_low_pool(PAGE_DOWN(load->p_vaddr), PAGE_UP(end)))
		out->flags |= SHIM_ELF_LOW_POOL;
	add_range(out, load);
}

/* `interpreter`: the PT_INTERP of an interpreter means nothing. */
static int read_headers(const struct reader *file, bool interpreter,
			struct shim_elf *out)
{
	struct headers headers = { .file = file, .elf = out };
	const Elf64_Phdr *header;
	uint32_t notes = 0;
	int got;

	while ((got = next_header(&headers, &header)) > 0) {
		int err = 0;

		if (header->p_type == PT_LOAD)
			read_load(header, out);
		else if (header->p_type == PT_INTERP && !interpreter &&
			 (out->flags & SHIM_ELF_INTERP) == 0)
			err = read_interp(file, header, out);
		else if (header->p_type == PT_NOTE && notes++ < NOTES_MAX)
			read_notes(file, header, out);
		else if (header->p_type == PT_DYNAMIC)
			out->flags |= SHIM_ELF_DYNAMIC;
		if (header->p_type == PT_GNU_STACK) {
			out->flags |= SHIM_ELF_STACK;
			out->flags &= ~(uint32_t) SHIM_ELF_STACK_EXEC;
			if ((header->p_flags & PF_X) != 0)
				out->flags |= SHIM_ELF_STACK_EXEC;
		}
		if (err)
			return err;
	}
	return got;
}

struct shim_file shim_file_from(const struct stat *st)
{
	return (struct shim_file){ st->st_dev, st->st_ino, (uint64_t) st->st_size,
				   st->st_ctime * 1000000000UL + st->st_ctime_nsec };
}

static int read_elf(const struct reader *file, const struct shim_elf *program,
		    struct shim_elf *out)
{
	struct stat st;
	int err;

	memset(out, 0, offsetof(struct shim_elf, interp));
	out->start = out->start_code = UINT64_MAX;
	out->alignment = PAGE;
	err = judge_header(file, program, out);
	if (err)
		return err;
	err = (int) shim_syscall(__NR_fstat, file->fd, (long) &st, 0, 0, 0, 0);
	if (err)
		return err;
	out->file = shim_file_from(&st);
	err = read_headers(file, program != NULL, out);
	if (err)
		return err;
	if (out->fault == 0 && out->start == UINT64_MAX)
		out->fault = SHIM_ELF_NOTHING;
	if ((out->flags & SHIM_ELF_OVERLAPS) != 0)
		out->ranges_used = 0;
	if ((out->flags & SHIM_ELF_FIXED) != 0 && out->end <= UINT32_MAX)
		out->flags |= SHIM_ELF_LOW;
	return 0;
}

int shim_elf_read(int fd, struct shim_elf *out)
{
	struct reader file;
	int err = reader_init(&file, fd);

	return err ? err : read_elf(&file, NULL, out);
}

int shim_elf_read_interp(int fd, const struct shim_elf *program, struct shim_elf *out)
{
	bool i386 = (program->flags & SHIM_ELF_I386) != 0;
	struct reader file;
	int err = reader_init(&file, fd);

	if (err)
		return err;
	if (file.have < (i386 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr)))
		return -EIO;
	err = read_elf(&file, program, out);
	return err == -ENOEXEC ? -ELIBBAD : err;
}

/* ---- mapping ---- */

static uint64_t map(uint64_t at, uint64_t size, long prot, long flags, int fd,
		    uint64_t offset)
{
	return (uint64_t) shim_syscall(__NR_mmap, (long) at, (long) size, prot,
				       MAP_PRIVATE | flags, fd, (long) offset);
}

static bool failed(uint64_t address)
{
	return address > -PAGE;
}

/*
 * Is [start, start + size) free?  Nobody else maps anything while a program is loaded, so
 * it may be taken and given back.  Kernels before 4.17 take the address for a hint.
 */
static int probe(uint64_t start, uint64_t size, long flags, uint64_t *out)
{
	uint64_t at = size == 0 ? start
				: map(start, size, PROT_NONE,
				      MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	if (failed(at))
		return (int) at;
	(void) shim_syscall(__NR_munmap, (long) at, (long) size, 0, 0, 0, 0); /* ours */
	*out = at;
	return flags == 0 || at == start ? 0 : -EEXIST;
}

/* Just there, or -EEXIST.  The same for older kernels. */
static uint64_t map_at(uint64_t at, uint64_t size, long prot, long flags, int fd,
		       uint64_t offset)
{
	uint64_t got = map(at, size, prot, flags, fd, offset);

	if (failed(got) || got == at)
		return got;
	(void) shim_syscall(__NR_munmap, (long) got, (long) size, 0, 0, 0,
			    0); /* ours */
	return (uint64_t) -EEXIST;
}

/*
 * Finds the bias: a multiple of the alignment, as the program was linked for.  Whether there
 * is room at a hint is seen when its segments are mapped, if each begins where the one
 * before ends.
 */
static int choose_place(struct shim_elf *elf, uint64_t hint, bool *found)
{
	uint64_t size = elf->end - elf->start, mask = elf->alignment - 1;
	uint64_t inside = elf->start & mask;
	uint64_t at;
	int err = 0;

	*found = hint == 0 || (elf->flags & (SHIM_ELF_OVERLAPS | SHIM_ELF_HOLES |
					     SHIM_ELF_I386)) != 0;
	if (hint == 0)
		err = probe(0, size + elf->alignment, 0, &hint);
	if (err)
		return err;
	at = ((hint - inside + mask) & ~mask) + inside;
	if (at >= MEMORY_END || size > MEMORY_END - at)
		return -ENOMEM;
	if (in_pool(at, at + size))
		return SHIM_ELF_POOL;
	elf->bias = at - elf->start;
	return *found ? probe(at, size, MAP_FIXED_NOREPLACE, &at) : 0;
}

static long protection(const Elf64_Phdr *load)
{
	return ((load->p_flags & PF_R) != 0 ? PROT_READ : 0) |
	       ((load->p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
	       ((load->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
}

/* What memory has beyond the file, as the kernel: pages that can be written. */
static int map_zeroes(const Elf64_Phdr *load, uint64_t bias, long how)
{
	uint64_t from = load->p_vaddr + bias + load->p_filesz;
	uint64_t end = PAGE_UP(load->p_vaddr + bias + load->p_memsz);
	uint64_t start = load->p_filesz != 0 ? PAGE_UP(from) : PAGE_DOWN(from);
	uint64_t at;

	/* ld.so's first allocator relies on the whole of the last page */
	if (load->p_filesz != 0 && (load->p_flags & PF_W) != 0)
		memset((void *) from, 0, start - from);
	if (start >= end)
		return 0;
	at = map_at(start, end - start,
		    PROT_READ | PROT_WRITE | (protection(load) & PROT_EXEC),
		    MAP_ANONYMOUS | how, -1, 0);
	return failed(at) ? (int) at : 0;
}

/* `how`: what is there is replaced (MAP_FIXED), or is -EEXIST. */
static int map_segment(int fd, const struct shim_elf *elf, long how,
		       const Elf64_Phdr *load)
{
	uint64_t start = PAGE_DOWN(load->p_vaddr);
	uint64_t size = PAGE_UP(load->p_filesz + PAGE_OFFSET(load->p_vaddr));
	uint64_t at = 0;
	int err;

	if (segment_fault(elf, load) != 0 || start < elf->start ||
	    PAGE_UP(load->p_vaddr + load->p_memsz) > elf->end)
		return SHIM_ELF_CHANGED;
	if (place_fault(load, elf->bias) != 0)
		return place_fault(load, elf->bias);
	if (load->p_filesz != 0) {
		at = map_at(start + elf->bias, size, protection(load),
			    how | SHIM_TEXT_FLAGS(protection(load)), fd,
			    load->p_offset - PAGE_OFFSET(load->p_vaddr));
		if (failed(at))
			return (int) at;
	}
	if (load->p_memsz == load->p_filesz)
		return 0;
	err = map_zeroes(load, elf->bias, how);
	if (err && how == MAP_FIXED_NOREPLACE && load->p_filesz != 0)
		(void) shim_syscall(__NR_munmap, (long) at, (long) size, 0, 0, 0, 0);
	return err;
}

/* The first segments, up to `next`, are there without a hole and the next cannot be. */
static int give_up(const struct shim_elf *elf, uint64_t next)
{
	if ((elf->flags & SHIM_ELF_FIXED) != 0)
		return SHIM_ELF_OCCUPIED;
	(void) shim_syscall(__NR_munmap, (long) (elf->start + elf->bias),
			    (long) (next - elf->start), 0, 0, 0, 0);
	return -EEXIST;
}

/*
 * A segment where room has not been found before: behind the one that ends at `*next`, so
 * that all from the first to the last is ours.
 */
static int map_next(int fd, const struct shim_elf *elf, const Elf64_Phdr *load,
		    uint64_t *next)
{
	int err;

	if ((elf->flags & SHIM_ELF_FIXED) == 0 &&
	    (load->p_memsz == 0 || PAGE_DOWN(load->p_vaddr) != *next))
		return SHIM_ELF_CHANGED;
	err = map_segment(fd, elf, MAP_FIXED_NOREPLACE, load);
	if (err == -EEXIST)
		return give_up(elf, *next);
	*next = PAGE_UP(load->p_vaddr + load->p_memsz);
	return err;
}

static void add_bias(struct shim_elf *elf)
{
	uint64_t bias = elf->bias;

	elf->entry += bias;
	elf->start += bias;
	elf->end += bias;
	elf->phdrs += bias;
	elf->brk += bias;
	elf->start_code += bias;
	elf->end_code += bias;
	elf->start_data += bias;
	elf->end_data += bias;
	for (uint32_t i = 0; i < elf->ranges_used; i++) {
		elf->range[i].start += bias;
		elf->range[i].end += bias;
	}
}

int shim_elf_map(int fd, struct shim_elf *elf, uint64_t hint)
{
	struct reader file = { .fd = fd }; /* nothing at hand: it is read again */
	struct headers headers = { .file = &file, .elf = elf };
	const Elf64_Phdr *header;
	bool found = false;
	uint64_t at, next = elf->start;
	int got = elf->fault;

	/* A program linked to a place may have something in a hole between its segments. */
	if (got == 0 && (elf->flags & SHIM_ELF_FIXED) != 0)
		found = probe(elf->start, elf->end - elf->start, MAP_FIXED_NOREPLACE,
			      &at) == 0;
	else if (got == 0)
		got = choose_place(elf, hint, &found);
	if (got != 0)
		return got;
	while ((got = next_header(&headers, &header)) > 0) {
		int err = 0;

		if (header->p_type == PT_LOAD)
			err = found ? map_segment(fd, elf, MAP_FIXED, header)
				    : map_next(fd, elf, header, &next);
		if (err)
			return err;
	}
	if (got < 0)
		return SHIM_ELF_CHANGED;
	add_bias(elf);
	return 0;
}

const char *shim_elf_sentence(int fault)
{
	static const char *const faults[] = {
		[SHIM_ELF_NOTHING] = "the program has no segment to load",
		[SHIM_ELF_TYPE] =
			"the program's interpreter is neither a program nor a "
			"shared library",
		[SHIM_ELF_WRAPS] = "a segment of the program does not fit into memory",
		[SHIM_ELF_SIZES] =
			"a segment of the program is larger in the file than "
			"in memory",
		[SHIM_ELF_MISALIGNED] =
			"a segment of the program is not aligned to pages "
			"as its place in the file is",
		[SHIM_ELF_TRUNCATED] = "the program's file ends within a segment",
		[SHIM_ELF_POOL] =
			"a segment of the program would cover cloudos itself, "
			"which lies from 0x700100000000 to 0x708000000000; "
			"link it to another address",
		[SHIM_ELF_CODE_IN_LOW_POOL] =
			"code of the program would cover what cloudos needs below 4 GiB, "
			"0x5000000 to 0x8000000 and 0x48000000 to 0x50000000; link it to "
			"another address, or as position-independent",
		[SHIM_ELF_OCCUPIED] =
			"a segment of the program would cover the stack or "
			"another mapping",
		[SHIM_ELF_CHANGED] =
			"the program's file was changed while it was loaded",
	};

	if (fault > 0 && fault < (int) (sizeof(faults) / sizeof(faults[0])))
		return faults[fault];
	if (fault == -ENOMEM)
		return "there is no memory for the program: see ulimit -v";
	if (fault == -EPERM)
		return "the kernel does not let the program be mapped where it wants to "
		       "be (see /proc/sys/vm/mmap_min_addr)";
	return "the kernel did not map the program; its error is %";
}
