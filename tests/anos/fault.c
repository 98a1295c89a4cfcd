/* SPDX-License-Identifier: MIT */
/* anos-fault KIND: does what ends a program. */
#include "check.h"

static volatile int zero;

/* From a page of its own, because it takes away the one with the stubs. */
static void cover_code(void)
{
	/* syscall; movq $1, (%rsi) */
	static const uint8_t code[] = { 0x0f, 0x05, 0x48, 0xc7, 0x06, 1, 0, 0, 0 };
	volatile uint8_t *to = (uint8_t *) 0x18000000;
	register uint64_t r9 __asm__("r9") = tokens[7];
	uint64_t page = (uint64_t) kprint & -4096UL;

	(void) map_virtual(4096, 0x18000000, READ | WRITE | EXECUTE);
	for (unsigned i = 0; i < sizeof(code); i++)
		to[i] = code[i];
	__asm__ volatile("jmp *%%rax"
			 :
			 : "a"(to), "D"(4096), "S"(page), "d"(READ), "r"(r9)
			 : "memory");
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";

	kprint("before\n");
	switch (kind[0]) {
	case 'r': /* read */
		return (int) *(volatile uint64_t *) 0x18000000;
	case 'w': /* write */
		(void) map_virtual(4096, 0x18000000, READ);
		*(volatile uint64_t *) 0x18000008 = 1;
		break;
	case 'j': /* jump */
		((void (*)(void)) 0x18000000)();
		break;
	case 'e': /* execute what is not code */
		(void) map_virtual(4096, 0x18000000, READ | WRITE);
		((void (*)(void)) 0x18000000)();
		break;
	case 'p': /* privileged */
		__asm__ volatile("hlt");
		break;
	case 'd': /* divide */
		__asm__ volatile("xorl %%edx, %%edx\n\tdivl %0"
				 :
				 : "m"(zero), "a"(1)
				 : "edx");
		break;
	case 'i': /* illegal */
		__asm__ volatile("ud2");
		break;
	case 'b': /* breakpoint */
		__asm__ volatile("int3");
		break;
	case 'l': /* linux */
		__asm__ volatile("movl $1, %%eax\n\tint $0x80" : : : "eax");
		break;
	case 'n': /* another interrupt */
		__asm__ volatile("int $0x42");
		break;
	case 's': /* a stack that has no room */
		__asm__ volatile("movq $0x18000000, %%rsp\n\tpushq %%rax"
				 :
				 :
				 : "memory");
		break;
	case 'g': /* a region that is gone */
		(void) create_region(0x18000000, 0x18002000, AUTOMAP);
		*(volatile uint64_t *) 0x18000000 = 1;
		(void) destroy_region(0x18000000);
		*(volatile uint64_t *) 0x18000000 = 2;
		kprint("what was touched is there\n");
		return (int) *(volatile uint64_t *) 0x18001000;
	case 'c': /* code that jumps, covered by what cannot be written */
		for (int i = 0; i < 20; i++)
			(void) kprint("");
		cover_code();
		break;
	case 'o': /* its own memory, taken away */
		(void) unmap_virtual(0x100000, 0x2000000);
		break;
	default:
		break;
	}
	kprint("after\n");
	return 0;
}
