/* SPDX-License-Identifier: MIT */
/* Code and stacks as few programs have them.  HOST. */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/trap/hostile.h"

typedef long call_function(void);

/*
 * Sites in the program's text: file-backed, so the engine patches them.
 *
 * load_and_NAME(regs): all registers from regs[0..14] (rax rbx rcx rdx rsi rdi rbp r8-r15),
 * flags from regs[15], marks in the red zone; makes a call; leaves all of it in after[].
 */
__asm__(".bss\n"
	".p2align 6\n"
	"after: .skip 16 * 8\n"
	"after_xmm: .skip 16 * 16\n"
	"after_zone: .skip 16 * 8\n"
	"keep_rsp: .skip 8\n"
	".text\n"
	".macro loaded name, before:vararg\n"
	"load_and_\\name:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"sub $8, %rsp\n"
	"mov %rsp, keep_rsp(%rip)\n"
	".set i, 1\n"
	".rept 16\n"
	"movl $i * 0x01010101, -8 * i(%rsp); movl $~i, -8 * i + 4(%rsp)\n"
	".set i, i + 1\n"
	".endr\n"
	".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movd %edi, %xmm\\i; pshufd $0, %xmm\\i, %xmm\\i\n"
	"add $0x1234567, %edi\n"
	".endr\n"
	"sub $16 * 0x1234567, %edi; mov %rsi, %rdi\n"
	"lea -512(%rsp), %rsp; pushq 120(%rdi); popfq; lea 512(%rsp), %rsp\n"
	"mov 0(%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx\n"
	"mov 32(%rdi), %rsi; mov 48(%rdi), %rbp; mov 56(%rdi), %r8; mov 64(%rdi), %r9\n"
	"mov 72(%rdi), %r10; mov 80(%rdi), %r11; mov 88(%rdi), %r12; mov 96(%rdi), %r13\n"
	"mov 104(%rdi), %r14; mov 112(%rdi), %r15; mov 40(%rdi), %rdi\n"
	"\\before\n"
	"syscall\n"
	"mov %rax, after(%rip); mov %rbx, after+8(%rip); mov %rdx, after+24(%rip)\n"
	"mov %rsi, after+32(%rip); mov %rdi, after+40(%rip); mov %rbp, after+48(%rip)\n"
	"mov %r8, after+56(%rip); mov %r9, after+64(%rip); mov %r10, after+72(%rip)\n"
	"mov %r12, after+88(%rip); mov %r13, after+96(%rip); mov %r14, after+104(%rip)\n"
	"mov %r15, after+112(%rip)\n"
	"lea -512(%rsp), %rsp; pushfq; popq after+120(%rip); lea 512(%rsp), %rsp; cld\n"
	"mov %rsp, after+16(%rip); mov keep_rsp(%rip), %rax; sub %rax, after+16(%rip)\n"
	".irp i, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\n"
	"mov -8 * \\i(%rsp), %rax; mov %rax, after_zone+8*(\\i-1)(%rip)\n"
	".endr\n"
	".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movdqu %xmm\\i, after_xmm + 16 * \\i(%rip)\n"
	".endr\n"
	"add $8, %rsp\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
	".endm\n"
	"loaded five, movl $110, %eax\n"
	"loaded three, movq %r15, %rax\n"
	"loaded two, xorl %eax, %eax\n"
	"loaded none, nop\n"
	/* plain sites */
	"site_five: mov $110, %eax\n"
	"site_call: syscall\n"
	"ret\n"
	"site_odd: .byte 0xb8, 0x90, 0x90, 0x90, 0x90\n"
	"syscall\n"
	"ret\n"
	/* long on_stack(rsp, count): calls on a stack that is none */
	"on_stack: mov %rsp, %r9; mov %rdi, %rsp; mov %rsi, %r8\n"
	"1: mov $110, %eax\n"
	"syscall\n"
	"dec %r8; jnz 1b; mov %r9, %rsp; ret\n"
	/* a thread: calls, then its end */
	"thread_code: mov $100, %ebx\n"
	"1: mov $110, %eax\n"
	"syscall\n"
	"dec %ebx; jnz 1b\n"
	"xor %edi, %edi; mov $60, %eax\n"
	"syscall\n"
	"hlt\n"
	/* long start_thread(flags, stack, ids) */
	"start_thread: mov %rdx, %r10; xor %r8d, %r8d; mov $56, %eax\n"
	"syscall\n"
	"test %rax, %rax; jz thread_code; ret\n"
	/* long in_no_segments(): fs and gs are garbage meanwhile; 0 when all was right */
	"in_no_segments: push %rbx; push %r12; push %r13\n"
	"sub $16, %rsp; mov $0x1003, %edi; mov %rsp, %rsi; mov $158, %eax\n"
	"syscall\n"
	"mov (%rsp), %r12\n" /* ARCH_GET_FS */
	"mov $0x1002, %edi; mov $0x7000dead0000, %rsi; mov $158, %eax\n"
	"syscall\n"
	"mov $0x1001, %edi; mov $0x123450, %esi; mov $158, %eax\n"
	"syscall\n"
	"xor %r13d, %r13d; mov $50, %ebx\n"
	"1: mov $110, %eax\n"
	"syscall\n"
	"test %eax, %eax; js 2f; dec %ebx; jnz 1b; jmp 3f\n"
	"2: inc %r13d\n"
	"3: mov $0x1004, %edi; mov %rsp, %rsi; mov $158, %eax\n"
	"syscall\n"
	"cmpq $0x123450, (%rsp); setne %al; movzbl %al, %eax; add %eax, %r13d\n"
	"mov $0x1003, %edi; mov %rsp, %rsi; mov $158, %eax\n"
	"syscall\n"
	"mov $0x7000dead0000, %rax; cmp %rax, (%rsp); setne %al; movzbl %al, %eax\n"
	"add %eax, %r13d\n"
	"mov $0x1002, %edi; mov %r12, %rsi; mov $158, %eax\n"
	"syscall\n"
	"mov %r13d, %eax; add $16, %rsp; pop %r13; pop %r12; pop %rbx; ret\n");

typedef void loaded_function(uint64_t vectors, const uint64_t *regs);
extern loaded_function load_and_five, load_and_three, load_and_two, load_and_none;
extern call_function site_five, site_call, site_odd, in_no_segments;
extern long on_stack(uint64_t stack, long count);
extern long start_thread(long flags, void *stack, void *ids);
extern uint64_t after[16], after_zone[16];
extern uint32_t after_xmm[64];

/* ---- registers ---- */

static long wrong(const uint64_t *regs, uint64_t vectors, uint64_t result,
		  uint64_t flags)
{
	long n = after[0] != result;

	for (int i = 1; i < 15; i++)
		if (i != 2 && i != 10) /* rcx, r11 */
			n += after[i] != regs[i];
	n += after[2] != 0; /* rsp, from where it was */
	n += (after[15] & 0xcd5) != (flags & 0xcd5);
	for (uint64_t i = 0; i < 16; i++)
		n += after_zone[i] !=
		     ((i + 1) * 0x01010101 | (uint64_t) (uint32_t) ~(i + 1) << 32);
	for (uint32_t i = 0; i < 64; i++)
		n += after_xmm[i] != (uint32_t) vectors + i / 4 * 0x1234567;
	return n;
}

static void try_site(const char *name, loaded_function *site, uint64_t number,
		     uint64_t result)
{
	static const uint64_t flags[] = { 0x202, 0x202 | 0xcd5, 0x602, 0xa02, 0x203 };
	long n = 0;

	for (uint64_t i = 0; i < 40; i++) {
		uint64_t regs[16];

		for (uint64_t k = 0; k < 15; k++)
			regs[k] = 0x0123456789abcdef * (k + 3) + i;
		regs[0] = number | (i & 1 ? 0xdead00000000 : 0);
		regs[14] = number;
		regs[5] = UINT64_MAX; /* no descriptor, for read */
		regs[15] = flags[i % 5];
		site(i * 77777, regs);
		/* xor sets zero and parity, and clears the others but direction */
		n += wrong(regs, i * 77777, result,
			   site == load_and_two ? (flags[i % 5] & 0x400) | 0x44
						: flags[i % 5]);
	}
	say(name, n);
}

void registers_survive(void)
{
	uint64_t parent = (uint64_t) getppid();

	try_site("wrong behind a long instruction: %", load_and_five, 110, parent);
	try_site("wrong behind one of three bytes: %", load_and_three, 110, parent);
	try_site("wrong behind one of two bytes: %", load_and_two, 0,
		 (uint64_t) -EBADF);
	try_site("wrong behind one of one byte: %", load_and_none, 110, parent);
	try_site("wrong with a handler: %", load_and_none, 13, (uint64_t) -EINVAL);
	try_site("wrong with a number that is none: %", load_and_none, 0x12345,
		 (uint64_t) -ENOSYS);
}

/* ---- jumps ---- */

static long call_with_number(call_function *function, long number)
{
	long result;

	__asm__ volatile("call *%1"
			 : "=a"(result)
			 : "r"(function), "a"(number)
			 : "rcx", "r11", "memory");
	return result;
}

static long repeat(call_function *function, long number, long expected)
{
	long bad = 0;

	for (int i = 0; i < 50; i++)
		bad += call_with_number(function, number) != expected;
	return bad;
}

void jump_to_the_call(void)
{
	say("wrong: %", repeat(site_five, 0, getppid()));
	say("wrong by a jump to the call itself: %",
	    repeat(site_call, SYS_getuid, (long) getuid()));
	say("wrong again: %", repeat(site_five, 0, getppid()));
}

void jump_into_the_middle(void)
{
	call_function *middle = (call_function *) ((char *) site_odd + 1);

	(void) alarm(60); /* what is there may be an endless loop */
	say("wrong: %", repeat(site_odd, 0, -ENOSYS));
	say("wrong in the middle: %", repeat(middle, SYS_getppid, getppid()));
}

/* ---- stacks ---- */

void tiny_stack(void)
{
	char *memory = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ids[2] = { -1, -1 };
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		     CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	long tid;

	if (memory == MAP_FAILED ||
	    mprotect(memory + 4096, 4096, PROT_READ | PROT_WRITE))
		cannot("no memory");
	ids[1] = 1;
	/* 2 KiB, then nothing; start_thread's third argument is both addresses */
	tid = start_thread(flags & ~CLONE_PARENT_SETTID, memory + 4096 + 2048, &ids[1]);
	say("started: %", tid > 0);
	while (__atomic_load_n(&ids[1], __ATOMIC_ACQUIRE) != 0)
		(void) syscall(SYS_futex, &ids[1], FUTEX_WAIT, 1, NULL, NULL, 0);
	say("ended", 0);
}

void patched_then_no_stack(void)
{
	char stack[8192];

	say("wrong: %", on_stack((uint64_t) stack + 8192, 100) != getppid());
	say("wrong without a stack: %", on_stack(16, 100) != getppid());
}

void no_stack(void)
{
	say("wrong: %", on_stack(16, 100) != getppid());
}

/* ---- other ways into the kernel ---- */

static long int80(int number, int argument)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(argument), "c"(0), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static void one_int80(void)
{
	_exit(int80(20, 0) == getpid() ? 0 : 1);
}

void int80_from_64_bits(void)
{
	in_child("getpid", one_int80);
	say("getppid: %", int80(64, 0) == getppid());
	say("close: %", int80(6, -1));
	say("none: %", int80(9999, 0));
	for (int i = 0; i < 30; i++)
		if (int80(20, 0) != getpid())
			say("wrong", 0);
	(void) int80(1, 7); /* exit */
}

static long raw(uint64_t number)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(-1L), "S"(0L), "d"(0L)
			 : "rcx", "r11", "memory");
	return result;
}

void x32_numbers(void)
{
	say("getpid: %", raw(0x40000000 + 39));
	say("read: %", raw(0x40000000));
	say("x32's own: %", raw(0x40000000 + 512));
	say("without the bit: %", raw(515));
}

void strange_numbers(void)
{
	static const uint64_t numbers[] = { UINT64_MAX, 0xffffffff, 0x80000000,
					    0x10000,    0x12345,    999,
					    461 + 100,  512,        65535,
					    65536,      1UL << 63,  0x7fffffff };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (int n = 0; n < 6; n++)
			if (raw(numbers[i]) !=
			    (numbers[i] == 1UL << 63 ? -EBADF : -ENOSYS))
				say("wrong: %", (long) numbers[i]);
	/* the kernel looks at 32 bits */
	say("upper half: %", raw(0xabcd00000000 + SYS_getppid) == getppid());
	say("upper half: %", raw(0x100000000 + SYS_rt_sigaction));
}

void io_uring(void)
{
	char parameters[256] = { 0 };
	long setup = syscall(SYS_io_uring_setup, 4, parameters) < 0 ? -errno : 0;
	long enter = syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 ? -errno : 0;
	long reg = syscall(SYS_io_uring_register, -1, 0, NULL, 0) < 0 ? -errno : 0;

	say("setup %", setup);
	say("enter %", enter);
	say("register %", reg);
}

static void call_vsyscalls(void)
{
	long (*const get_time)(long *) = (long (*)(long *)) 0xffffffffff600400;
	int (*const get_day)(void *, void *) =
		(int (*)(void *, void *)) 0xffffffffff600000;
	long bad = 0;

	for (int i = 0; i < 20; i++) {
		struct timeval now = { 0 };
		long seconds = 0, result = get_time(&seconds);

		bad += result < 1000000 || seconds != result;
		bad += get_day(&now, NULL) != 0 || now.tv_sec < result;
	}
	say("wrong: %", bad);
}

void vsyscall_page(void)
{
	in_child("calls of the vsyscall page", call_vsyscalls);
}

/* ---- code that comes and goes ---- */

static const unsigned char getppid_code[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3 };

void many_sites(void)
{
	enum { SITES = 5000, STEP = 16 };
	static unsigned char bytes[SITES * STEP];
	char *at;
	long bad = 0;

	for (size_t i = 0; i < SITES; i++)
		memcpy(bytes + i * STEP, getppid_code, sizeof(getppid_code));
	at = code(bytes, sizeof(bytes));
	for (size_t i = 0; i < SITES; i++)
		bad += ((call_function *) (at + i * STEP))() != getppid();
	say("wrong: %", bad);
}

/* The code as a file's text. */
static char *text(void *at, const void *bytes, size_t size, size_t offset)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	char *mapped;

	if (fd < 0 || ftruncate(fd, 8192) < 0 ||
	    pwrite(fd, bytes, size, (off_t) offset) != (ssize_t) size)
		cannot("no memfd");
	mapped = mmap(at, 8192, PROT_READ | PROT_EXEC,
		      MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
	if (mapped == MAP_FAILED)
		cannot("no mapping");
	(void) close(fd);
	return mapped;
}

void changing_code(void)
{
	unsigned char bytes[sizeof(getppid_code)];
	char *at = text(NULL, getppid_code, sizeof(getppid_code), 64);
	char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(bytes, getppid_code, sizeof(bytes));
	say("text, wrong: %", repeat((call_function *) (at + 64), 0, getppid()));
	bytes[1] = SYS_getpid;
	(void) text(at, bytes, sizeof(bytes), 64);
	say("other text there, wrong: %",
	    repeat((call_function *) (at + 64), 0, getpid()));
	/* the same text, but everything is four bytes later */
	(void) text(at, bytes, sizeof(bytes), 68);
	say("moved, wrong: %", repeat((call_function *) (at + 68), 0, getpid()));
	if (mprotect(at, 8192, PROT_READ | PROT_WRITE) == 0) {
		at[69] = SYS_getppid;
		(void) mprotect(at, 8192, PROT_READ | PROT_EXEC);
	}
	say("written, wrong: %", repeat((call_function *) (at + 68), 0, getppid()));
	for (int i = 0; i < 6; i++) {
		bytes[1] = i & 1 ? SYS_getpid : SYS_getppid;
		(void) mprotect(own, 4096, PROT_READ | PROT_WRITE);
		memcpy(own, bytes, sizeof(bytes));
		(void) mprotect(own, 4096, PROT_READ | PROT_EXEC);
		say("made anew, wrong: %",
		    repeat((call_function *) own, 0, i & 1 ? getpid() : getppid()));
	}
}

void code_at_the_edge(void)
{
	char *at = text(NULL, getppid_code, sizeof(getppid_code), 4096 - 6);

	/* 0f 05 over the end of a page */
	say("over a page's end, wrong: %",
	    repeat((call_function *) (at + 4096 - 6), 0, getppid()));
	at = text(NULL, getppid_code, sizeof(getppid_code), 4096 - 5);
	say("before a page's end, wrong: %",
	    repeat((call_function *) (at + 4096 - 5), 0, getppid()));
	at = text(NULL, getppid_code, sizeof(getppid_code), 4096 - 3);
	say("instruction over a page's end, wrong: %",
	    repeat((call_function *) (at + 4096 - 3), 0, getppid()));
	at = text(NULL, getppid_code + 5, 3, 0);
	say("first of a page, wrong: %",
	    repeat((call_function *) at, SYS_getppid, getppid()));
	at = text(NULL, getppid_code, sizeof(getppid_code), 0);
	say("first of a page, wrong: %", repeat((call_function *) at, 0, getppid()));
	at = text(NULL, getppid_code, sizeof(getppid_code), 8192 - 8);
	say("last of a mapping, wrong: %",
	    repeat((call_function *) (at + 8192 - 8), 0, getppid()));
}

void strange_segments(void)
{
	say("wrong: %", in_no_segments());
	say("wrong: %", repeat(site_five, 0, getppid()));
}
