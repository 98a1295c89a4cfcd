/* SPDX-License-Identifier: MIT */
/* anos-calls: the console, memory statistics, sleep, and hardware that is not there. */
#include "check.h"

static char long_text[10000];

static void console(void)
{
	for (unsigned i = 0; i < sizeof(long_text) - 1; i++)
		long_text[i] = i % 100 == 99 ? '\n' : (char) ('a' + i % 26);
	is("kprint of a text over several pages", kprint(long_text), OK, 0);
	is("kprint of a kernel address", kprint((char *) KERNEL), OK, 0);
	is("kprint of NULL", kprint(0), OK, 0);
	is("kprint of what is not mapped", kprint((char *) 0x123456789000), OK, 0);
	is("kputchar", kputchar('x'), OK, 0);
	/* only the lower byte counts */
	is("kputchar of more than a character", kputchar(0x100 + '\n'), OK, 0);
}

static void memory(void)
{
	struct memory m = { 0, 0 };

	is("get_mem_info", get_mem_info(&m), OK, 0);
	check("there is memory, and not all of it is free",
	      m.total >= 1 << 24 && m.available > 0 && m.available < m.total);
	is("get_mem_info to a kernel address", get_mem_info((struct memory *) KERNEL),
	   OK, 0);
	is("get_mem_info to where nothing is",
	   get_mem_info((struct memory *) 0x1234567000), BAD_ARGUMENTS, 0);
	is("get_mem_info to NULL", get_mem_info(0), BAD_ARGUMENTS, 0);
}

static void sleep(void)
{
	uint64_t before = cycles(), at_least;
	int brief = 0;

	is("task_sleep_current of 50 ms", task_sleep_current(50000000), OK, 0);
	check("it took as long", cycles() - before >= 50000UL * CYCLES_PER_US);
	before = cycles();
	for (int i = 0; i < 5; i++)
		(void) task_sleep_current(50000000);
	at_least = cycles() - before;
	is("less than 10 ms", task_sleep_current(9999999), OK, 0);
	/* others may run for long; but a sleep would never be over early */
	for (int i = 0; i < 250 && !brief; i++) {
		before = cycles();
		(void) task_sleep_current(9999999);
		brief = cycles() - before < at_least / 50;
	}
	check("that only lets others run", brief);
	is("of nothing", task_sleep_current(0), OK, 0);
}

static void hardware(void)
{
	uint64_t address;
	uint32_t data = 7;
	volatile uint64_t *bus = (uint64_t *) 0x9000000000;

	is("map_firmware_tables", map_firmware_tables(&address), FAILURE, 0);
	is("map_firmware_tables to a kernel address",
	   map_firmware_tables((void *) KERNEL), BAD_ARGUMENTS, 0);
	is("map_physical of a bus",
	   map_physical(0xe0000000, (void *) bus, 0x400000, READ), OK, 0);
	check("nobody answers on it",
	      bus[0] == ~0UL && bus[0x200000 / 8] == ~0UL && bus[0x3ffff8 / 8] == ~0UL);
	is("map_physical, writable",
	   map_physical(0xe0000000, (void *) bus, 4096, READ | WRITE), OK, 0);
	bus[1] = 1;
	is("map_physical of nothing", map_physical(0, (void *) bus, 0, READ), OK, 0);
	is("at an address within a page",
	   map_physical(0, (void *) 0x9000000001, 4096, READ), BAD_ARGUMENTS, 0);
	is("of an address within a page", map_physical(1, (void *) bus, 4096, READ),
	   BAD_ARGUMENTS, 0);
	is("of half a page", map_physical(0, (void *) bus, 2048, READ), BAD_ARGUMENTS,
	   0);
	is("at a kernel address", map_physical(0, (void *) KERNEL, 4096, READ),
	   BAD_ARGUMENTS, 0);
	is("over the end of what a program has",
	   map_physical(0, (void *) 0x7ffffffff000, 8192, READ), BAD_ARGUMENTS, 0);
	is("where cloudos lies", map_physical(0, (void *) 0x700100000000, 4096, READ),
	   FAILURE, 0);
	is("alloc_physical_pages", alloc_physical_pages(4096), FAILURE, 0);
	is("of nothing", alloc_physical_pages(0), BAD_ARGUMENTS, 0);
	is("of half a page", alloc_physical_pages(2048), BAD_ARGUMENTS, 0);
	is("alloc_interrupt_vector", alloc_interrupt_vector(0, &address, &data),
	   FAILURE, 0);
	is("with a bad address", alloc_interrupt_vector(0, (uint64_t *) KERNEL, &data),
	   BAD_ARGUMENTS, 0);
	is("with another", alloc_interrupt_vector(0, &address, (uint32_t *) KERNEL),
	   BAD_ARGUMENTS, 0);
	is("wait_interrupt", wait_interrupt(40, &data), FAILURE, 0);
	is("with a bad address", wait_interrupt(40, (uint32_t *) KERNEL), BAD_ARGUMENTS,
	   0);
	check("and nothing was written", data == 7);
}

static void screen(void)
{
	struct {
		uint64_t physical;
		uint32_t width, height, pitch, bits, reserved[3], behind;
	} s = { .behind = 7 };
	volatile uint32_t *here = (uint32_t *) 0x500000000,
			  *there = (uint32_t *) 0x510000000;
	uint64_t size;

	is("get_framebuffer_phys to a kernel address",
	   get_framebuffer_phys((void *) KERNEL), BAD_ARGUMENTS, 0);
	is("to where nothing is", get_framebuffer_phys((void *) 0x1234567000),
	   BAD_ARGUMENTS, 0);
	is("get_framebuffer_phys", get_framebuffer_phys(&s), OK, 0);
	check("a screen of 32 bits a pixel", s.physical && s.width && s.height &&
						     s.pitch >= 4 * s.width &&
						     s.bits == 32);
	check("and no byte more", s.behind == 7);
	size = ((uint64_t) s.pitch * s.height + 4095) & -4096UL;
	is("map_physical of it",
	   map_physical(s.physical, (void *) here, size, READ | WRITE), OK, 0);
	is("and again", map_physical(s.physical, (void *) there, size, READ), OK, 0);
	here[s.width - 1] = 0x123456;
	check("what is drawn here is seen there", there[s.width - 1] == 0x123456);
	is("map_physical over its end",
	   map_physical(s.physical, (void *) there, size + 4096, READ), OK, 0);
	check("is that of a bus", there[s.width - 1] == 0xffffffff);
}

int main(void)
{
	console();
	memory();
	sleep();
	hardware();
	screen();
	return 0;
}
