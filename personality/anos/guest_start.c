/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  cloudos-loader-anos: what the kernel starts in place of an Anos program.  It maps
 * the program and its stack as SYSTEM would, arms the engine and jumps.
 */
#include <personality/anos/guest.h>
#include <shim/config.h>
#include <shim/filter.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/start.h>
#include <shim/sud.h>

enum { LAUNCHER_WORDS = 3, NAME_SIZE = 16 };

/* Linux wants to know where code and heap are, and nothing depends on it. */
#define CODE    0x2000000UL
#define HEAP_AT 0x710000000000UL

static struct co_anos_start start;

/* What the launcher has handed over by that descriptor. */
static bool read_start(const char *number)
{
	int32_t fd = 0;
	long n;

	for (; *number >= '0' && *number <= '9' && fd < 1000000; number++)
		fd = fd * 10 + (*number - '0');
	n = shim_syscall(__NR_pread64, fd, (long) &start, sizeof(start), 0, 0, 0);
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	return n == sizeof(start) && start.mark == CO_ANOS_START_MARK &&
	       start.size == sizeof(start) && start.capc <= CO_ANOS_CAPS &&
	       start.stack_size < CO_ANOS_STACK_TOP;
}

static int open_program(const char *path)
{
	if (shim.config.fd >= 0)
		return shim.config.fd;
	return (int) shim_syscall(__NR_open, (long) path, O_RDONLY | O_CLOEXEC, 0, 0, 0,
				  0);
}

static uint64_t length_of(const char *text)
{
	uint64_t n = 0;

	while (text[n])
		n++;
	return n;
}

static const char *base_of(const char *path)
{
	const char *base = path;

	for (const char *c = path; *c; c++)
		if (*c == '/' || *c == ':')
			base = c + 1;
	return base;
}

/* ---- how it looks from outside ---- */

/* Its name and its arguments, without ours; no environment, as it has none. */
static void describe(uint64_t argc, char **argv, uint64_t stack)
{
	char name[NAME_SIZE];
	struct shim_fmt comm = shim_fmt_init(name, sizeof(name));
	uint64_t first = (uint64_t) argv[0], last = (uint64_t) argv[argc - 1];
	struct prctl_mm_map map = {
		.start_code = CODE,
		.end_code = CODE + CO_ANOS_PAGE,
		.start_data = CO_ANOS_STACK_TOP,
		.end_data = CO_ANOS_STACK_TOP,
		.start_brk = HEAP_AT,
		.brk = HEAP_AT,
		.start_stack = stack,
		.arg_start = first,
		.arg_end = last + length_of(argv[argc - 1]) + 1,
		.exe_fd = ~0U,
	};

	map.env_start = map.env_end = map.arg_end;
	/* some kernels are built without it */
	(void) shim_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, (long) &map,
			    sizeof(map), 0, 0);
	shim_fmt_text(&comm, base_of(argv[0]));
	(void) shim_syscall(__NR_prctl, PR_SET_NAME, (long) name, 0, 0, 0, 0);
}

/* ---- the mechanism ---- */

/*
 * rax is whatever the program last had there.  Newer kernels have numbers that they take
 * past any filter (uretprobe and uprobe, Linux 6.14 and 6.18), but none that they take past
 * syscall user dispatch.  So that is what catches calls, unless somebody wants the filter.
 */
static void choose_mechanism(void)
{
	if (!(shim.config.flags & CO_TRAP_SECCOMP) && shim_sud_arm() == 0)
		shim.config.flags |= CO_TRAP_SUD;
}

/* ---- all of it ---- */

_Noreturn void shim_start(uint64_t *sp);

_Noreturn void shim_start(uint64_t *sp)
{
	static const struct shim_filter_spec spec = {
		.flags = SHIM_FILTER_NUMBER_BLIND | SHIM_FILTER_I386_TRAPPED |
			 SHIM_FILTER_HIGH_ONLY,
	};
	uint64_t argc = sp[0], bottom, entry, stack = 0;
	char **argv = (char **) (sp + 1);
	int fd, r;

	if (argc < LAUNCHER_WORDS || shim_config_parse(&shim.config, argv[0]) ||
	    !read_start(argv[2]))
		shim_die(
			"cloudos-loader-anos is not for people: cloudos-exec starts it",
			0);
	bottom = CO_ANOS_STACK_TOP - anos_page_up(start.stack_size);
	fd = open_program(argv[1]);
	r = fd < 0 ? fd : anos_load(fd, CO_ANOS_STACK_TOP - bottom, &entry);
	if (r)
		shim_refuse(argv[1], r);
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	anos_space_lock();
	r = (int) anos_map(bottom, CO_ANOS_STACK_TOP, PROT_READ | PROT_WRITE);
	anos_space_unlock();
	if (r == 0)
		stack = anos_stack_make(&start, bottom, argc - LAUNCHER_WORDS,
					argv + LAUNCHER_WORDS);
	if (!stack)
		shim_die("the program's arguments do not fit onto its stack of % bytes",
			 CO_ANOS_STACK_TOP - bottom);
	/* a machine without SYSTEM is switched off */
	(void) shim_syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	anos_tokens_init(&start);
	anos_hardware_init(&start);
	anos_log_init(&start);
	memset(&start, 0, sizeof(start)); /* a token is where the program has put it */
	anos_exit_point(entry);
	shim.onstack = true;
	choose_mechanism();
	shim_publish();
	anos_tasks_init();
	anos_faults_init();
	shim_arm(&spec);
	if (argc > LAUNCHER_WORDS)
		describe(argc - LAUNCHER_WORDS, argv + LAUNCHER_WORDS, stack);
	shim_enter(entry, stack);
}
