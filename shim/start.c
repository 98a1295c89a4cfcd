/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  cloudos-loader: what the kernel starts in place of the program.  It maps the
 * program, makes the stack look as if the kernel had started that, arms the engine and
 * jumps.
 */
#include <shim/config.h>
#include <shim/elf.h>
#include <shim/exec.h>
#include <shim/filter.h>
#include <shim/gate.h>
#include <shim/guest.h>
#include <shim/i386.h>
#include <shim/program.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/signal.h>
#include <shim/site.h>
#include <shim/start.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum { PAGE = 4096, NUMBERS = 512 };

/* above all pools, below where the kernel puts mappings and the stack: 13 TiB */
#define HEAP_AT     0x710000000000UL
#define HEAP_SPREAD 0x10000000UL /* pages */

/* What the kernel has put on the stack. */
struct initial {
	uint64_t *sp;
	uint64_t argc;
	char **argv, **envp;
	uint64_t *auxv, *end;
	uint64_t
		text_end; /* of the arguments, where they are not below envp[0]; or 0 */
};

static void read_stack(struct initial *in, uint64_t *sp)
{
	in->sp = sp;
	in->argc = sp[0];
	in->argv = (char **) (sp + 1);
	in->envp = in->argv + in->argc + 1;
	in->auxv = (uint64_t *) in->envp;
	while (*in->auxv)
		in->auxv++;
	in->auxv++;
	in->end = in->auxv;
	while (in->end[0] != AT_NULL)
		in->end += 2;
	in->end += 2;
}

static uint64_t *auxv_find(const struct initial *in, uint64_t key)
{
	for (uint64_t *a = in->auxv; a[0] != AT_NULL; a += 2)
		if (a[0] == key)
			return &a[1];
	return NULL;
}

static void auxv_set(const struct initial *in, uint64_t key, uint64_t value)
{
	uint64_t *at = auxv_find(in, key);

	if (at)
		*at = value;
}

/* ---- the program ---- */

static void record(const struct shim_elf *elf)
{
	int image = shim_image_add(elf->start, elf->end, &elf->file);

	for (uint32_t i = 0; i < elf->ranges_used; i++)
		shim_text_add(elf->range[i].start, elf->range[i].end,
			      elf->range[i].offset, image);
}

static void map_file(int fd, struct shim_elf *elf)
{
	/* room also for its way to where it is aligned */
	uint64_t size = elf->end - elf->start + elf->alignment - PAGE;
	uint64_t hint = elf->flags & SHIM_ELF_FIXED ? 0 : shim_place(size);
	int r = elf->flags & SHIM_ELF_I386 ? shim_i386_map(fd, elf)
					   : shim_elf_map(fd, elf, hint);

	if (!(elf->flags & SHIM_ELF_I386) && hint != 0 &&
	    (r == -EEXIST || r == SHIM_ELF_POOL))
		r = shim_elf_map(fd, elf, 0);
	if (r)
		shim_die(shim_elf_sentence(r), (uint64_t) (r < 0 ? -r : r));
	record(elf);
}

/* The interpreter of an ELF file: its entry, and where it lies. */
static uint64_t map_interpreter(const struct shim_elf *program, uint64_t *base)
{
	struct shim_elf elf;
	int fd = shim_open_program(AT_FDCWD, program->interp);
	int r = fd < 0 ? fd : shim_elf_read_interp(fd, program, &elf);

	if (r)
		shim_refuse(program->interp, r);
	map_file(fd, &elf);
	shim_interp_known(&elf.file);
	shim.interp_start = elf.start;
	shim.interp_end = elf.end;
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	*base = elf.bias;
	return elf.entry;
}

/* ---- how it looks from outside ---- */

static const char *base_of(const char *path)
{
	const char *base = path;

	for (const char *c = path; *c; c++)
		if (*c == '/')
			base = c + 1;
	return base;
}

/* The last part of its path; started by a descriptor alone, that of its file (6.14). */
static void name_process(const char *path)
{
	static const char gone[] = " (deleted)";
	const size_t more = sizeof(gone) - 1;
	const char *base = base_of(path);
	char name[64];
	size_t n = 0;

	if (shim.config.fd >= 0 && base - path == 8 && memcmp(path, "/dev/fd/", 8) == 0 &&
	    shim_own_path())
		base = base_of(shim_own_path());
	for (; base[n] && n < sizeof(name) - 1; n++)
		name[n] = base[n];
	if (base != base_of(path) && n > more &&
	    memcmp(name + n - more, gone, more) == 0)
		n -= more;
	name[n] = '\0';
	(void) shim_syscall(__NR_prctl, PR_SET_NAME, (long) name, 0, 0, 0, 0);
}

/* Command line, auxiliary vector and code, for /proc/PID and core dumps; where the kernel
 * is built without it, the loader is seen there. */
static void describe_process(const struct initial *in, const struct shim_elf *elf,
			     uint64_t arg_start)
{
	/* the kernel has put the heap behind the loader, where it has little room */
	uint64_t brk = HEAP_AT + shim.random % HEAP_SPREAD * PAGE;
	struct prctl_mm_map map = {
		.start_code = elf->start_code,
		.end_code = elf->end_code,
		.start_data = elf->start_data,
		.end_data = elf->end_data,
		.start_brk = brk,
		.brk = brk,
		.start_stack = (uint64_t) in->sp,
		.arg_start = arg_start,
		.arg_end = in->text_end ? in->text_end : (uint64_t) in->envp[0],
		.env_start = (uint64_t) in->envp[0],
		.auxv = (__u64 *) in->auxv,
		.auxv_size = (uint32_t) ((uint64_t) in->end - (uint64_t) in->auxv),
		.exe_fd = ~0U,
	};
	const char *last = in->envp[0];
	char **e = in->envp;

	if (!last) { /* no environment: arguments end where the program's name begins */
		last = in->argv[in->argc - 1];
		map.arg_end = 0;
	}
	while (*e)
		last = *e++;
	while (*last)
		last++;
	map.env_end = (uint64_t) last + 1;
	if (!map.arg_end)
		map.arg_end = map.env_start = map.env_end;
	(void) shim_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, (long) &map,
			    sizeof(map), 0, 0);
}

/* ---- the engine ---- */

static void arm(void)
{
	static uint32_t allowed[NUMBERS];
	const struct shim_personality *p =
		shim_personality_find(shim.config.personality);
	struct shim_filter_spec spec = { .allowed = allowed };

	shim_dispatch_init();
	if (p->number_blind)
		spec.flags |= SHIM_FILTER_NUMBER_BLIND;
	for (uint32_t i = 0; p->allow_by_number && i < NUMBERS; i++)
		if (shim_plain[i])
			allowed[spec.allowed_count++] = i;
	shim_arm(&spec);
}

/* ---- the stack ---- */

static size_t size_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n + 1;
}

/*
 * Without the loader's two words: argc moves up over them, which keeps the stack aligned.
 * Returns the address of the first argument's text.
 */
static uint64_t drop_own_words(struct initial *in)
{
	in->sp[2] = in->argc - 2;
	read_stack(in, in->sp + 2);
	return (uint64_t) in->argv[0];
}

/*
 * For a script: its words, then the arguments behind argv[0], all in one piece, and the
 * vectors again below them.
 */
static uint64_t insert_words(struct initial *in, const struct shim_program *program)
{
	uint64_t rest = in->argc ? in->argc - 1 : 0, argc = program->nwords + rest;
	uint64_t vectors = (uint64_t) ((char *) in->end - (char *) in->envp);
	size_t text = 0;
	uint64_t *sp;
	char *to;

	for (uint32_t i = 0; i < program->nwords; i++)
		text += size_of(program->words[i]);
	for (uint64_t i = 0; i < rest; i++)
		text += size_of(in->argv[1 + i]);
	to = (char *) in->sp - text;
	sp = (uint64_t *) (((uint64_t) to - vectors - 8 * (argc + 2)) & ~15UL);
	/* upwards in memory nothing is overwritten before it has been read */
	memcpy(sp + argc + 2, in->envp, vectors);
	sp[0] = argc;
	sp[argc + 1] = 0;
	for (uint64_t i = 0; i < argc; i++) {
		const char *from = i < program->nwords
					   ? program->words[i]
					   : in->argv[1 + i - program->nwords];

		memcpy(to, from, size_of(from));
		sp[1 + i] = (uint64_t) to;
		to += size_of(from);
	}
	read_stack(in, sp);
	in->text_end = (uint64_t) to;
	return sp[1];
}

static void execstack(const struct initial *in, const struct shim_elf *elf)
{
	if (elf->flags & SHIM_ELF_STACK_EXEC)
		(void) shim_syscall(__NR_mprotect, (long) in->sp & -PAGE, PAGE,
				    PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN,
				    0, 0, 0);
}

/* ---- all of it ---- */

_Noreturn void shim_start(uint64_t *sp);

_Noreturn void shim_start(uint64_t *sp)
{
	static char interp[SHIM_ELF_INTERP_MAX];
	struct shim_elf elf = { .interp = interp };
	struct shim_program program;
	struct initial in = { 0 };
	const uint64_t *random;
	uint64_t base = 0, entry, arg_start;
	const char *name;
	uint64_t *frame;
	int r;

	read_stack(&in, sp);
	if (in.argc < 2 || shim_config_parse(&shim.config, in.argv[0]))
		shim_die("cloudos-loader is not for people: cloudos-exec starts it", 0);
	shim_exec_init((const char *) *auxv_find(&in, AT_EXECFN));
	name = in.argv[1];
	/* the kernel's own randomness of addresses; AT_RANDOM is the program's secret */
	random = auxv_find(&in, AT_SYSINFO_EHDR);
	shim.random = ((random ? *random : 0) ^ (uint64_t) sp) >> 4;
	shim.random *= 0x9e3779b97f4a7c15UL;
	shim.random ^= shim.random >> 32;
	shim_place_seed(shim.random >> 16);
	r = shim_program_open(name, shim.config.fd, &program);
	if (r == 0)
		r = shim_elf_read(program.fd, &elf);
	if (r)
		shim_refuse(name, r);
	shim.i386 = elf.flags & SHIM_ELF_I386;
	shim.low = shim.i386 || elf.flags & SHIM_ELF_LOW;
	shim.onstack = elf.flags & SHIM_ELF_GO;
	if (shim.i386 || shim.config.fd >= 0)
		shim_own_path_know(program.fd);
	map_file(program.fd, &elf);
	shim.program = elf.start;
	(void) shim_syscall(__NR_close, program.fd, 0, 0, 0, 0, 0);
	entry = elf.entry;
	if (elf.flags & SHIM_ELF_INTERP)
		entry = map_interpreter(&elf, &base);

	arg_start = drop_own_words(&in);
	if (program.nwords)
		arg_start = insert_words(&in, &program);
	execstack(&in, &elf);
	auxv_set(&in, AT_PHDR, elf.phdrs);
	auxv_set(&in, AT_PHENT, elf.phent);
	auxv_set(&in, AT_PHNUM, elf.phnum);
	auxv_set(&in, AT_BASE, base);
	auxv_set(&in, AT_ENTRY, elf.entry);
	auxv_set(&in, AT_EXECFN, (uint64_t) name);
	frame = auxv_find(&in, AT_MINSIGSTKSZ);
	if (frame) /* a handler's frame, and ours when the handler makes a call */
		*frame = 2 * *frame + 512;
	shim_publish();
	arm();
	if (shim.config.flags & CO_TRAP_SIGSYS_BLOCKED)
		shim_sigsys_block(true);
	name_process(name);
	describe_process(&in, &elf, arg_start);
	if (shim.i386)
		shim_i386_start(&elf, random ? *random : 0, entry, in.sp);
	shim_enter(entry, (uint64_t) in.sp);
}
