/* SPDX-License-Identifier: MIT */
/*
 * The trap engine's filter as the kernel sees it: a child installs it and makes calls from
 * inside and outside of the pools; each outcome is the one of the model.  HOST.
 *
 * Once the filter stands, every call of libc's traps.  So the child only makes calls by
 * copies of one piece of code (`caller`) at the places under test, and even its signal
 * handlers return through a pool.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/run.h"
#include "tests/trap/filter_model.h"

#define PAGE       4096UL
#define TRAPPED    0x5151L /* what our handler answers */
#define SA_RESTORE 0x04000000UL

/* long caller(long number, long a, long b, long c): the two bytes at caller_call. */
extern const char caller[], caller_call[], caller_end[], int80[], int80_call[],
	int80_end[], restorer[], restorer_end[];
__asm__(".section .rodata\n"
	"caller: mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx\n"
	"caller_call: syscall\n"
	"ret\n"
	"caller_end:\n"
	"int80: push %rbx; mov %edi, %eax; mov %esi, %ebx; mov %edx, %ecx\n"
	"mov $0, %edx\n"
	"int80_call: int $0x80\n"
	"pop %rbx; ret\n"
	"int80_end:\n"
	"restorer: mov $15, %eax; syscall\n"
	"restorer_end:\n"
	".previous\n");

typedef long call_function(long number, long a, long b, long c);

/* ---- what a child tells its parent ---- */

struct outcome {
	long result;
	uint32_t traps, data, number, arch;
	uint64_t address;
};

static struct outcome *outcomes; /* shared */
static volatile struct outcome *current;

static void on_sigsys(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void) signal_number;
	current->traps++;
	current->data = (uint32_t) info->si_errno;
	current->number = (uint32_t) info->si_syscall;
	current->arch = info->si_arch;
	current->address = (uint64_t) info->si_call_addr;
	uc->uc_mcontext.gregs[REG_RAX] = TRAPPED;
}

/* ---- code at a place ---- */

/* A copy of the code, its call at `at`; nothing there is written to: sanitizers do not
 * know these addresses. */
static call_function *code_at(uint64_t at, const char *begin, const char *call,
			      const char *end)
{
	uint64_t from = at - (uint64_t) (call - begin), page = from & ~(PAGE - 1);
	autoclose int fd = memfd_create("code", MFD_CLOEXEC);
	size_t size = (size_t) (end - begin);
	void *mapped;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	ck_assert_int_eq(pwrite(fd, begin, size, (off_t) (from - page)),
			 (ssize_t) size);
	mapped = (void *) syscall(SYS_mmap, page, 2 * PAGE, PROT_READ | PROT_EXEC,
				  MAP_PRIVATE | MAP_FIXED, fd, 0);
	ck_assert_ptr_eq(mapped, (void *) page);
	return (call_function *) from;
}

#define CODE_AT(at, name) code_at(at, name, name##_call, name##_end)

/* ---- the child ---- */

struct call {
	const char *name;
	uint64_t at; /* of the two bytes */
	uint32_t number;
	bool int80;
	long result; /* if it goes through */
};

/* Two pages each, so none overlaps another; 0: some place of the kernel's choice. */
#define INSIDE (CO_TRAP_POOL(9) + 0x100000)

static struct call calls[] = {
	{ "from a pool", INSIDE, __NR_getppid, false, -1 },
	{ "from the loader's pool", CO_TRAP_POOL(0) + 0x8000000, __NR_getppid, false,
	  -1 },
	{ "from the last pool", CO_TRAP_POOL(63) + 0x1000, __NR_getppid, false, -1 },
	{ "at the end of a pool", CO_TRAP_POOL(3) + CO_TRAP_POOL_SIZE - 3, __NR_getppid,
	  false, -1 },
	{ "across the end of a pool", CO_TRAP_POOL(4) + CO_TRAP_POOL_SIZE - 2,
	  __NR_getppid, false, 0 },
	{ "below a pool", CO_TRAP_POOL(5) - 3, __NR_getppid, false, 0 },
	{ "behind the last pool", CO_TRAP_POOL(64) + 0x1000, __NR_getppid, false, 0 },
	{ "from code", CO_TRAP_CODE(7), __NR_getppid, false, 0 },
	{ "from somewhere", 0x123456780000, __NR_getppid, false, 0 },
	{ "before a low pool", 0x04ffffff, __NR_getppid, false, 0 },
	{ "at the beginning of a low pool", 0x05010000, __NR_getppid, false, -1 },
	{ "at the end of a low pool", 0x08000000 - 2, __NR_getppid, false, -1 },
	{ "across the end of a low pool", 0x50000000 - 1, __NR_getppid, false, 0 },
	{ "between low pools", 0x30000000, __NR_getppid, false, 0 },
	{ "listed number from somewhere", 0x223456780000, __NR_getuid, false, -2 },
	{ "io_uring from a pool", INSIDE + 0x10000, __NR_io_uring_setup, false, 0 },
	{ "io_uring from somewhere", 0x323456780000, __NR_io_uring_setup, false, 0 },
	{ "x32 from a pool", INSIDE + 0x20000, 0x40000000 | __NR_getppid, false,
	  -ENOSYS },
	{ "x32 from somewhere", 0x423456780000, 0x40000000 | __NR_getppid, false, 0 },
	{ "minus one from a pool", INSIDE + 0x30000, 0xffffffff, false, -ENOSYS },
	{ "unknown number from a pool", INSIDE + 0x40000, 0x12345, false, -ENOSYS },
	{ "unknown number from somewhere", 0x523456780000, 0x12345, false, 0 },
	{ "int 0x80 from a low pool", 0x48010000, 64, true, -1 },
	{ "int 0x80 from a pool", INSIDE + 0x50000, 64, true, 0 },
	{ "int 0x80 from somewhere", 0x623456780000, 64, true, 0 },
	{ "int 0x80 io_uring from a low pool", 0x48020000, __NR_io_uring_setup, true,
	  0 },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const uint32_t listed[] = { __NR_getpid, __NR_getuid, __NR_gettid };

static struct shim_filter_spec specs[] = {
	{ .flags = 0 },
	{ .flags = SHIM_FILTER_NUMBER_BLIND | SHIM_FILTER_I386_TRAPPED },
	{ .flags = SHIM_FILTER_X32, .allowed_count = 3, .allowed = listed },
};
#define SPECS ((int) (sizeof(specs) / sizeof(specs[0])))

/* Is int 0x80 there at all?  Asked in a child of its own. */
static bool have_int80(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(CODE_AT(0x48010000, int80)(20, 0, 0, 0) == getpid() ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void child(const struct shim_filter_spec *spec, bool with_int80)
{
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action = { on_sigsys, SA_SIGINFO | SA_NODEFER | SA_RESTORE, NULL, 0 };
	call_function *functions[CALLS], *leave;
	const char *why = "";
	long rc;

	for (size_t i = 0; i < CALLS; i++)
		functions[i] = calls[i].int80 ? CODE_AT(calls[i].at, int80)
					      : CODE_AT(calls[i].at, caller);
	leave = CODE_AT(INSIDE + 0x60000, caller);
	action.restorer = (void (*)(void)) code_at(INSIDE + 0x70000, restorer, restorer,
						   restorer_end);
	ck_assert_int_eq(syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8), 0);
	rc = shim_filter_install(spec, &why);
	if (rc < 0) {
		(void) fprintf(stderr, "%s (%ld)\n", why, rc); /* for people only */
		_exit(2);
	}
	for (size_t i = 0; i < CALLS; i++) {
		current = &outcomes[i];
		if (!calls[i].int80 || with_int80)
			outcomes[i].result =
				functions[i]((int) calls[i].number, 0, 0, 0);
	}
	for (;;)
		(void) leave(__NR_exit_group, 0, 0, 0); /* does not come back */
}

/* ---- the comparison ---- */

static void check_call(const struct shim_filter_spec *spec, const struct call *call,
		       const struct outcome *o)
{
	struct seccomp_data data = {
		.nr = (int) call->number,
		.arch = call->int80 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64,
		.instruction_pointer = call->at + 2,
	};
	uint32_t answer = model_answer(spec, &data);
	const char *name = call->name;

	if ((answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRAP) {
		ck_assert_msg(o->traps == 1 && o->result == TRAPPED,
			      "%s: did not trap but gave %ld", name, o->result);
		ck_assert_msg(
			o->data == CO_TRAP_DATA && o->arch == data.arch &&
				o->number == call->number &&
				o->address == data.instruction_pointer,
			"%s: trap %#x, architecture %#x, number %u, address %#llx",
			name, o->data, o->arch, o->number,
			(unsigned long long) o->address);
		return;
	}
	ck_assert_msg(o->traps == 0, "%s: trapped", name);
	if (answer != SECCOMP_RET_ALLOW)
		ck_assert_msg(o->result == -ENOSYS, "%s: gave %ld", name, o->result);
	else if (call->result == -1)
		ck_assert_msg(o->result == getpid(), "%s: gave %ld", name, o->result);
	else if (call->result == -2)
		ck_assert_msg(o->result == getuid(), "%s: gave %ld", name, o->result);
	else if (call->result != 0)
		ck_assert_msg(o->result == call->result, "%s: gave %ld", name,
			      o->result);
}

START_TEST(kernel_answers_as_the_model_does)
{
	bool with_int80 = have_int80();
	int status;
	pid_t pid;

	outcomes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ck_assert_ptr_ne(outcomes, MAP_FAILED);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(&specs[_i], with_int80);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "the child ended with %#x", (unsigned) status);
	for (size_t i = 0; i < CALLS; i++)
		if (!calls[i].int80 || with_int80)
			check_call(&specs[_i], &calls[i], &outcomes[i]);
	if (!with_int80)
		(void) fprintf(stderr, /* for people only */
			       "trap-filter-kernel: this kernel has no int 0x80 "
			       "(CONFIG_IA32_EMULATION): 32-bit calls are not tried\n");
}
END_TEST

START_TEST(bad_list_is_not_installed)
{
	static const uint32_t unsorted[] = { 5, 4 };
	struct shim_filter_spec spec = { 0, 2, unsorted };
	const char *why = NULL;

	ck_assert_int_eq(shim_filter_install(&spec, &why), -EINVAL);
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_nonnull(strchr(why, '%'));
}
END_TEST

/* Under a filter that forbids seccomp, as some containers have. */
START_TEST(refused_filter_is_told_in_a_sentence)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };
	const char *why = NULL;
	long rc;

	rc = syscall(SYS_prctl, 38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0);
	ck_assert_int_eq(rc, 0);
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(shim_filter_install(&specs[0], &why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "refuses the filter"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("filter in the kernel");

	tcase_add_loop_test(tc, kernel_answers_as_the_model_does, 0, SPECS);
	tcase_add_test(tc, bad_list_is_not_installed);
	tcase_add_test(tc, refused_filter_is_told_in_a_sentence);
	return run_tests(tc);
}
