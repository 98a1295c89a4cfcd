/* SPDX-License-Identifier: MIT */
/* anos-stack: the initial stack, word by word, and the registers. */
#include "check.h"

/* Before anything is popped. */
__asm__(".text\n"
	".globl begin\n"
	"begin:\n"
	"	movq %rsp, initial(%rip)\n"
	"	orq %rbx, %rax\n"
	"	orq %rbp, %rax\n"
	"	orq %r15, %rax\n"
	"	movq %rax, others(%rip)\n"
	/* calls will write there */
	"	movq (%rsp), %rax\n"
	"	movq %rax, words(%rip)\n"
	"	movq 8(%rsp), %rax\n"
	"	movq %rax, words + 8(%rip)\n"
	"	movq 16(%rsp), %rax\n"
	"	movq %rax, words + 16(%rip)\n"
	"	movq 24(%rsp), %rax\n"
	"	movq %rax, words + 24(%rip)\n"
	"	jmp _start\n");

uint64_t *initial, others, words[4];

static int equal(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *left == *right;
}

static int tokens_differ(const uint64_t *pairs)
{
	for (int i = 0; i < 29; i++) {
		if (pairs[2 * i + 1] == 0)
			return 0;
		for (int k = 0; k < i; k++)
			if (pairs[2 * i + 1] == pairs[2 * k + 1])
				return 0;
	}
	return 1;
}

static int ids_ascend(const uint64_t *pairs)
{
	for (int i = 0; i < 29; i++)
		if (pairs[2 * i] != (uint64_t) i + 1)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t *pairs = (uint64_t *) words[1];
	char *text = argv[0];

	check("rsp is a multiple of 16", (uint64_t) initial % 16 == 0);
	check("it lies below 0x44000000",
	      (uint64_t) initial < 0x44000000 &&
		      (uint64_t) initial > 0x44000000 - 0x100000);
	check("nothing is in the registers", others == 0);
	check("first word: 29 capabilities", words[0] == 29);
	check("third word: the number of arguments",
	      words[2] == (uint64_t) argc && argc == 3);
	check("fourth word: the arguments, right behind it",
	      words[3] == (uint64_t) (initial + 4) && argv == (char **) (initial + 4));
	check("second word: the capabilities, right behind the arguments, no NULL between",
	      pairs == initial + 4 + argc);
	check("ids are 1 to 29", ids_ascend(pairs));
	check("tokens are not 0 and differ", tokens_differ(pairs));
	check("texts lie above the capabilities, below the top",
	      (uint64_t) text >= (uint64_t) (pairs + 2 * 29) &&
		      (uint64_t) argv[argc - 1] < 0x44000000);
	check("the first argument is the program's name",
	      equal(argv[0], "./anos-stack.elf"));
	check("the others follow", equal(argv[1], "two words") && equal(argv[2], ""));
	return 0;
}
