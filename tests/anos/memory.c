/* SPDX-License-Identifier: MIT */
/* anos-memory: map_virtual, unmap_virtual, regions; and the program's own code. */
#include "check.h"

enum { RW = READ | WRITE };

static volatile uint64_t *at(uint64_t address)
{
	return (volatile uint64_t *) address;
}

static void map(void)
{
	is("map_virtual of nothing", map_virtual(0, 0x10000000, RW), BAD_ARGUMENTS, 0);
	is("map_virtual at a kernel address", map_virtual(4096, KERNEL, RW),
	   BAD_ARGUMENTS, 0);
	is("over the end of what a program has", map_virtual(8192, 0x7ffffffff000, RW),
	   BAD_ARGUMENTS, 0);
	is("of more than there is", map_virtual(~0UL - 4096, 0x10000000, RW),
	   BAD_ARGUMENTS, 0);
	is("of so much that it wraps", map_virtual(~0UL, 0x10000000, RW), BAD_ARGUMENTS,
	   0);
	is("where cloudos lies", map_virtual(4096, 0x700100000000, RW), FAILURE, 0);
	is("map_virtual", map_virtual(4096, 0x10000000, RW), OK, 0x10000000);
	check("it is there, and zero", *at(0x10000000) == 0 && *at(0x10000ff8) == 0);
	*at(0x10000000) = 1;
	is("a base within a page is rounded up", map_virtual(1, 0x10000001, RW), OK,
	   0x10001000);
	*at(0x10001ff8) = 2;
	check("and what was before it stays", *at(0x10000000) == 1);
	is("what was mapped is replaced", map_virtual(8192, 0x10000000, RW), OK,
	   0x10000000);
	check("by zeros", *at(0x10000000) == 0 && *at(0x10001ff8) == 0);
	is("memory to read", map_virtual(4096, 0x10000000, READ), OK, 0x10000000);
	check("can be read", *at(0x10000000) == 0);
	is("at fixed high addresses", map_virtual(4096, 0x9000000000, RW), OK,
	   0x9000000000);
	*at(0x9000000000) = 1;
	is("a terabyte", map_virtual(1UL << 40, 0x20000000000, RW), OK, 0x20000000000);
	*at(0x20000000000) = *at(0x2fffffff000) = 1;
	is("and back", unmap_virtual(1UL << 40, 0x20000000000), OK, 0);
}

static void code(void)
{
	static const uint8_t bytes[] = {
		0xb8, 42, 0, 0, 0, 0xc3
	}; /* mov $42, eax; ret */
	volatile uint8_t *to = (uint8_t *) 0x11000000;

	is("memory with code", map_virtual(4096, 0x11000000, RW | EXECUTE), OK,
	   0x11000000);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		to[i] = bytes[i];
	check("runs", ((int (*)(void))(uint64_t) to)() == 42);
}

static void unmap(void)
{
	is("unmap_virtual", unmap_virtual(4096, 0x10000000), OK, 0);
	is("once more", unmap_virtual(4096, 0x10000000), OK, 0);
	is("of nothing", unmap_virtual(0, 0x10000000), OK, 0);
	is("at a kernel address", unmap_virtual(4096, KERNEL), BAD_ARGUMENTS, 0);
	is("over the end of what a program has", unmap_virtual(8192, 0x7ffffffff000),
	   BAD_ARGUMENTS, 0);
	is("of more than there is", unmap_virtual(~0UL, 0x10000000), BAD_ARGUMENTS, 0);
	/* the loader, the gate and this thread's signal stack lie there */
	is("where cloudos lies", unmap_virtual(0x1000000000, 0x700000000000), OK, 0);
	is("and calls go on", kprint(""), OK, 0);
	is("and can be mapped again", map_virtual(4096, 0x10000000, RW), OK,
	   0x10000000);
	check("with zeros", *at(0x10000000) == 0);
}

static void regions(void)
{
	is("create_region, unaligned", create_region(0x12000001, 0x12002000, AUTOMAP),
	   BAD_ARGUMENTS, 0);
	is("with an unaligned end", create_region(0x12000000, 0x12002001, AUTOMAP),
	   BAD_ARGUMENTS, 0);
	is("empty", create_region(0x12000000, 0x12000000, AUTOMAP), BAD_ARGUMENTS, 0);
	is("backwards", create_region(0x12001000, 0x12000000, AUTOMAP), BAD_ARGUMENTS,
	   0);
	is("in the kernel", create_region(KERNEL, KERNEL + 4096, AUTOMAP),
	   BAD_ARGUMENTS, 0);
	is("into it", create_region(0x12000000, KERNEL, AUTOMAP), BAD_ARGUMENTS, 0);
	is("create_region", create_region(0x12000000, 0x12004000, AUTOMAP), OK, 0);
	check("its pages are there when they are touched",
	      *at(0x12000000) == 0 && *at(0x12003ff8) == 0);
	*at(0x12003ff8) = 3;
	is("get_mem_info into a page that was not touched",
	   get_mem_info((struct memory *) 0x12002000), OK, 0);
	check("writes there", *at(0x12002000) != 0);
	is("one beside it", create_region(0x12004000, 0x12008000, AUTOMAP), OK, 0);
	*at(0x12007ff8) = 4;
	is("unmap_virtual in the new part", unmap_virtual(4096, 0x12005000), OK, 0);
	check("which is part of the region", *at(0x12005000) == 0);
	is("destroy_region of that part alone", destroy_region(0x12004000), OK, 0);
	check("is of none", *at(0x12006000) == 0 && *at(0x12007ff8) == 4);
	is("one over it", create_region(0x12000000, 0x12010000, AUTOMAP), OK, 0);
	check("what was there stays", *at(0x12003ff8) == 3 && *at(0x12007ff8) == 4);
	*at(0x1200fff8) = 5;
	is("unmap_virtual in it", unmap_virtual(4096, 0x12003000), OK, 0);
	check("gives zeros at the next touch", *at(0x12003ff8) == 0);
	is("map_virtual in it", map_virtual(4096, 0x12003000, RW), OK, 0x12003000);
	*at(0x12003ff8) = 6;
	is("one that does not map itself", create_region(0x13000000, 0x13001000, 0), OK,
	   0);
	is("a terabyte", create_region(0x30000000000, 0x40000000000, AUTOMAP), OK, 0);
	*at(0x30000000000) = 0, *at(0x3fffffff000) = 7;
}

static void destroy(void)
{
	is("destroy_region, unaligned", destroy_region(0x12000001), BAD_ARGUMENTS, 0);
	is("in the kernel", destroy_region(KERNEL), BAD_ARGUMENTS, 0);
	is("of none", destroy_region(0x14000000), OK, 0);
	is("destroy_region", destroy_region(0x12000000), OK, 0);
	check("what was touched stays", *at(0x12007ff8) == 4 && *at(0x12003ff8) == 6);
	is("again", destroy_region(0x12000000), OK, 0);
}

static void many_regions(void)
{
	int wrong = 0;

	for (uint64_t i = 0; i < 500; i++)
		wrong |= create_region(0x60000000 + i * 8192, 0x60001000 + i * 8192,
				       AUTOMAP)
				 .type != OK;
	for (uint64_t i = 0; i < 500; i++)
		*at(0x60000000 + i * 8192) = i;
	for (uint64_t i = 0; i < 500; i++)
		wrong |= *at(0x60000000 + i * 8192) != i ||
			 destroy_region(0x60000000 + i * 8192).type != OK;
	check("500 regions, none beside another", !wrong);
}

/* ---- the program's own code ---- */

static int works(void)
{
	int wrong = 0;

	for (int i = 0; i < 20; i++)
		wrong |= kprint("").type != OK ||
			 get_mem_info((struct memory *) 8).type != BAD_ARGUMENTS;
	return !wrong;
}

/* 80 MiB above the code, where the engine may have something of its own. */
static void above(void)
{
	uint64_t start = 0x5000000, end = 0x8000000;
	uint64_t sum = 0;

	check("calls work often", works());
	is("map_virtual 80 MiB above the code", map_virtual(end - start, start, RW), OK,
	   start);
	for (uint64_t a = start; a < end; a += 4096)
		sum += *at(a), *at(a) = a;
	check("it is zero", sum == 0);
	check("calls still work", works());
	for (uint64_t a = start; a < end; a += 4096)
		sum += *at(a) - a;
	check("and nobody has written there", sum == 0);
	is("without it", unmap_virtual(end - start, start), OK, 0);
	check("calls still work", works());
	is("as a region", create_region(start, end, AUTOMAP), OK, 0);
	check("it is zero", *at(0x70f0000) == 0 && *at(0x7100000) == 0);
	check("calls still work", works());
}

/* The page of the stubs, with a word that nobody needs. */
__asm__(".text\n.globl word_in_code\nword_in_code: .quad 0x1122334455667788\n");
extern volatile uint64_t word_in_code;

static void own_code(void)
{
	check("calls work often", works());
	word_in_code = 1;
	check("a program may write to its code", word_in_code == 1);
	check("calls still work", works());
	for (int i = 0; i < 100; i++) {
		word_in_code = (uint64_t) i;
		(void) kprint("");
		if (word_in_code != (uint64_t) i)
			check("what was written stays", 0);
	}
}

int main(void)
{
	own_code();
	map();
	code();
	unmap();
	regions();
	destroy();
	many_regions();
	above();
	return 0;
}
