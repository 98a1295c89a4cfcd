/* SPDX-License-Identifier: MIT */
/*
 * anos-token: the token in r9 decides, and nothing else does; a wrong one costs time.  By
 * system call and by int 0x69.
 */
#include "check.h"

enum { KPUTCHAR = 2, MAP_VIRTUAL = 7 };

#define CALL(instruction, rax, token, a, b, c, type, value)                            \
	do {                                                                           \
		register uint64_t r9_ __asm__("r9") = (token);                         \
		register uint64_t rax_ __asm__("rax") = (rax);                         \
		register uint64_t rdx_ __asm__("rdx") = (c);                           \
		__asm__ volatile(instruction                                           \
				 : "+a"(rax_), "+d"(rdx_), "+r"(r9_)                   \
				 : "D"((uint64_t) (a)), "S"((uint64_t) (b))            \
				 : "rcx", "r8", "r10", "r11", "memory");               \
		(type) = (int64_t) rax_;                                               \
		(value) = rdx_;                                                        \
	} while (0)

static struct result by_syscall(uint64_t rax, uint64_t token, uint64_t a, uint64_t b,
				uint64_t c)
{
	struct result r;

	CALL("syscall", rax, token, a, b, c, r.type, r.value);
	return r;
}

static struct result by_int69(uint64_t token, uint64_t a, uint64_t b, uint64_t c)
{
	struct result r;

	CALL("int $0x69", 1234567, token, a, b, c, r.type, r.value);
	return r;
}

/*
 * Numbers that mean something to Linux: read, fork, sigreturn, exit, uretprobe, x32, none at
 * all.  336, uprobe, comes past filters, so it is tried with `dispatch` only.
 */
static void numbers(int dispatch)
{
	static const uint64_t numbers[] = { 0,          1,          15,
					    39,         57,         60,
					    231,        335,        425,
					    0x40000001, 0xffffffff, 0x7fffffffffffffff,
					    ~0UL,       336 };
	int wrong = 0;

	for (unsigned i = 0; i < 14; i++) {
		uint64_t number = i == 13 && !dispatch ? 337 : numbers[i];
		struct result r = by_syscall(number, tokens[KPUTCHAR],
					     i == 13 ? '\n' : '.', 0, 77);

		wrong |= r.type != OK || r.value != 0;
	}
	check("the number in rax means nothing", !wrong);
}

static void wrong_tokens(void)
{
	uint64_t before = cycles();

	is("no token", by_syscall(0, 0, '!', 0, 5), INCAPABLE, 0);
	is("one that is nearly right", by_syscall(0, tokens[KPUTCHAR] ^ 1, '!', 0, 5),
	   INCAPABLE, 0);
	is("an id in its place", by_syscall(0, KPUTCHAR, '!', 0, 5), INCAPABLE, 0);
	is("by int 0x69", by_int69(tokens[KPUTCHAR] + 1, '!', 0, 5), INCAPABLE, 0);
	check("each takes 19 us at least",
	      cycles() - before >= 4 * 19UL * CYCLES_PER_US);
	is("the right one works as ever", by_syscall(0, tokens[KPUTCHAR], '+', 0, 5),
	   OK, 0);
	is("and is fast", kputchar('\n'), OK, 0);
	for (int i = 0; i < 200; i++)
		(void) by_syscall(0, (uint64_t) i + 1, '!', 0, 0);
	before = cycles();
	is("the 205th wrong one", by_syscall(0, 99, '!', 0, 5), INCAPABLE, 0);
	check("takes 384 us", cycles() - before >= 384UL * CYCLES_PER_US);
}

/* Arguments come back as they were: rdi, rsi, and by int 0x69 all others, too. */
static void registers(void)
{
	uint64_t before[4] = { 11, 22, 33, 44 }, after[4], a = 'r', b = 2;
	struct result r;

	__asm__ volatile(
		"movq %[in1], %%rcx\n\tmovq %[in2], %%r8\n\t"
		"movq %[in3], %%r10\n\tmovq %[in4], %%r11\n\t"
		"movq %[token], %%r9\n\tint $0x69\n\t"
		"movq %%rcx, %[out1]\n\tmovq %%r8, %[out2]\n\t"
		"movq %%r10, %[out3]\n\tmovq %%r11, %[out4]"
		: "=&a"(r.type), "=&d"(r.value), "+D"(a),
		  "+S"(b), [out1] "=m"(after[0]), [out2] "=m"(after[1]),
		  [out3] "=m"(after[2]), [out4] "=m"(after[3])
		: [in1] "m"(before[0]), [in2] "m"(before[1]), [in3] "m"(before[2]),
		  [in4] "m"(before[3]), [token] "m"(tokens[KPUTCHAR])
		: "rcx", "r8", "r9", "r10", "r11", "memory");
	is("int 0x69 prints", r, OK, 0);
	check("and leaves the other registers alone",
	      a == 'r' && b == 2 && after[0] == 11 && after[1] == 22 &&
		      after[2] == 33 && after[3] == 44);
}

static void values(void)
{
	int wrong = 0;

	is("a value comes in rdx by system call",
	   by_syscall(7, tokens[MAP_VIRTUAL], 4096, 0x50000000, READ | WRITE), OK,
	   0x50000000);
	is("and by int 0x69",
	   by_int69(tokens[MAP_VIRTUAL], 4096, 0x50001000, READ | WRITE), OK,
	   0x50001000);
	for (uint64_t i = 0; i < 300; i++) {
		struct result r = by_int69(tokens[MAP_VIRTUAL], 4096,
					   0x50000000 + i * 4096, READ | WRITE);

		wrong |= r.type != OK || r.value != 0x50000000 + i * 4096;
		r = map_virtual(4096, 0x50000000 + i * 4096, READ | WRITE);
		wrong |= r.type != OK || r.value != 0x50000000 + i * 4096;
		*(volatile uint64_t *) (0x50000000 + i * 4096) = i;
	}
	check("600 of them in turn", !wrong);
}

/* Not a stub of libanos: what stands before the system call differs each time. */
static void odd_sites(void)
{
	int wrong = 0;

	for (int i = 0; i < 50; i++) {
		register uint64_t r9_ __asm__("r9") = tokens[KPUTCHAR];
		uint64_t type = 1, value = 0;

		/* its last bytes are those of the move, but it is another instruction */
		__asm__ volatile("movl $0xca894900, %%eax\n\tsyscall"
				 : "=a"(type), "=d"(value), "+r"(r9_)
				 : "D"(i == 49 ? '\n' : 'o')
				 : "rcx", "r8", "r10", "r11", "memory");
		wrong |= type != OK;
	}
	check("what only looks like a stub is left alone", !wrong);
}

int main(int argc, char **argv)
{
	(void) argv;
	numbers(argc == 1);
	wrong_tokens();
	registers();
	values();
	odd_sites();
	return 0;
}
