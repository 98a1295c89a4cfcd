/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Faults of an Anos program: int 0x69, which is a call; a write to code that was
 * patched; a return from main; and what ends the program, with a sentence.  Handlers run on
 * the thread's signal stack.
 */
#include <personality/anos/guest.h>
#include <personality/anos/guest_guard.h>
#include <shim/gate.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/start.h>

enum { GENERAL_PROTECTION = 13, PAGE_FAULT = 14, ERROR_WRITE = 2, ERROR_FETCH = 16 };

static uint64_t exit_point; /* 0: not known */

_Noreturn void anos_end_by(int number)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	uint64_t set = SHIM_SIGSET_BIT(number);

	(void) shim_syscall(__NR_rt_sigaction, number, (long) &action, 0, sizeof(set),
			    0, 0);
	(void) shim_syscall(__NR_rt_sigprocmask, SIG_UNBLOCK, (long) &set, 0,
			    sizeof(set), 0, 0);
	(void) shim_syscall(__NR_kill, shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0),
			    number, 0, 0, 0, 0);
	shim_die("a signal (%) that ends programs did not end this one",
		 (uint64_t) number);
}

static const char *kind(int number, const struct sigcontext *m)
{
	if (number == SIGFPE)
		return "divided by zero";
	if (number == SIGILL)
		return "came to what is no instruction";
	if (number == SIGTRAP)
		return "came to a breakpoint";
	if (m->trapno != PAGE_FAULT)
		return "used an instruction, or an address, that programs may not use";
	if (m->err & ERROR_FETCH)
		return "jumped to where there is no code, ";
	return m->err & ERROR_WRITE ? "wrote to where it may not, "
				    : "read from where there is nothing, ";
}

static bool is_ours(const struct sigcontext *m)
{
	return m->rip >= CO_TRAP_BASE && m->rip < CO_TRAP_BASE + CO_TRAP_OWN_SIZE;
}

/* Was it anos_guarded that touched the program's memory?  Then it returns false. */
static bool is_guarded(int number, struct sigcontext *m)
{
	if ((number != SIGSEGV && number != SIGBUS) || !is_ours(m) ||
	    !ANOS_SELF(uint64_t, guard))
		return false;
	m->rsp = ANOS_SELF(uint64_t, guard);
	m->rip = (uint64_t) anos_guard_fault;
	return true;
}

static void tell(int number, const struct sigcontext *m)
{
	char line[200];
	struct shim_fmt out = shim_fmt_init(line, sizeof(line));

	if (is_ours(m))
		shim_die(
			"a fault in cloudos itself at %: the program may have destroyed "
			"what is kept in it",
			m->rip);
	shim_fmt_text(&out, "the program ");
	shim_fmt_text(&out, kind(number, m));
	if (number == SIGSEGV && m->trapno == PAGE_FAULT)
		shim_fmt_hex(&out, m->cr2);
	shim_fmt_text(&out, "; it was at %");
	shim_say(line, m->rip);
}

/* ---- int 0x69 ---- */

static bool is_int69(const struct sigcontext *m)
{
	uint8_t code[2];

	return m->trapno == GENERAL_PROTECTION && m->rip < CO_ANOS_GUEST_END &&
	       shim_read(code, m->rip, sizeof(code)) == 0 && code[0] == 0xcd &&
	       code[1] == 0x69;
}

/*
 * With a filter: a kernel that has uretprobe (335) takes that number past it, finds that
 * nobody returns from a function here, and says so by this signal instead of a result.
 */
static bool is_uretprobe(int number, const struct siginfo *info,
			 const struct sigcontext *m)
{
	uint8_t code[2];

	return number == SIGILL && info->si_code == SI_KERNEL &&
	       m->rip < CO_ANOS_GUEST_END &&
	       shim_read(code, m->rip - 2, sizeof(code)) == 0 && code[0] == 0x0f &&
	       code[1] == 0x05;
}

/* Registers come back as they were but for the result: here no instruction destroys any. */
static void int69(struct sigcontext *m)
{
	struct shim_call call = {
		.rsp = m->rsp,
		.args = { m->rdi, m->rsi, m->rdx, m->r10, m->r8, m->r9 },
		.site = m->rip,
	};

	(void) anos_dispatch(&call);
	m->rax = call.result;
	m->rdx = call.args[2];
	m->rip += 2;
}

/* ---- a return from main ---- */

static bool is_padding(const uint8_t *code)
{
	return code[0] == 0x90 || code[0] == 0 || code[0] == 0xcc ||
	       (code[0] == 0x0f && code[1] == 0x1f) ||
	       (code[0] == 0x66 && (code[1] == 0x90 || code[1] == 0x66 ||
				    code[1] == 0x2e || code[1] == 0x0f));
}

/*
 * libanos' start-up code pops the four words of the stack, initialises, calls main and
 * _fini, and ends without an instruction.  What follows it is the linker's padding.
 */
void anos_exit_point(uint64_t entry)
{
	static const uint8_t begin[] = { 0x5f, 0x5e, 0x41, 0x5c, 0x41, 0x5d, 0x48, 0x31,
					 0xed, 0x55, 0x48, 0x83, 0xec, 0x08, 0xe8 };
	static const uint8_t main[] = { 0x4c, 0x89, 0xe7, 0x4c, 0x89, 0xee, 0xe8 };
	enum { MAIN = 24, FINI = 35, END = 40 };
	uint8_t code[END + 2];

	if (shim_read(code, entry, sizeof(code)) ||
	    memcmp(code, begin, sizeof(begin)) != 0 ||
	    memcmp(code + MAIN, main, sizeof(main)) != 0 || code[FINI] != 0xe8 ||
	    !is_padding(code + END))
		return;
	*(volatile uint8_t *) (entry + END) = 0xcc;
	exit_point = entry + END;
}

/* ---- all of them ---- */

static void handle(int number, const struct siginfo *info, struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	uint64_t page = m->cr2 & ~(CO_ANOS_PAGE - 1);

	if (info->si_code <= 0)
		anos_end_by(number); /* somebody sent it */
	if (number == SIGSEGV && is_int69(m)) {
		int69(m);
		return;
	}
	if (is_uretprobe(number, info, m)) {
		anos_caught(m);
		return;
	}
	if (number == SIGSEGV && m->trapno == PAGE_FAULT && m->err & ERROR_WRITE &&
	    anos_patched(page)) {
		(void) anos_unpatch(page, page + CO_ANOS_PAGE);
		return;
	}
	if (is_guarded(number, m))
		return;
	if (number == SIGTRAP && exit_point && m->rip - 1 == exit_point)
		anos_exit(NULL);
	tell(number, m);
	anos_end_by(number);
}

void anos_faults_init(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	struct sigaction action = {
		.sa_handler = (__sighandler_t) (uint64_t) handle,
		/* NODEFER: what int 0x69 has called may fault in its turn */
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER,
		.sa_restorer = (__sigrestore_t) (uint64_t) shim_restorer,
	};

	for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void) shim_syscall(__NR_rt_sigaction, numbers[i], (long) &action, 0,
				    sizeof(uint64_t), 0, 0);
	/* processes that this one makes are nobody's business when they end */
	action.sa_handler = SIG_IGN;
	(void) shim_syscall(__NR_rt_sigaction, SIGCHLD, (long) &action, 0,
			    sizeof(uint64_t), 0, 0);
}
