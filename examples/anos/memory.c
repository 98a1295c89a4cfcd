/* SPDX-License-Identifier: MIT */
/* Memory: pages that are mapped, and a heap that maps itself when it is touched. */
#include "anos.h"

#define PAGES 0x10000000UL
#define HEAP  0x20000000UL

static void say(const char *text, int holds)
{
	kprint(holds ? "" : "not so: ");
	kprint(text);
	kputchar('\n');
}

int main(void)
{
	volatile uint64_t *page = (uint64_t *) PAGES;
	volatile uint64_t *heap = (uint64_t *) HEAP;
	struct memory memory;
	struct result r = map_virtual(2 * 4096, PAGES, READ | WRITE);

	say("two pages are mapped where they were wanted",
	    r.type == OK && r.value == PAGES);
	page[0] = 1;
	unmap_virtual(4096, PAGES);
	map_virtual(4096, PAGES, READ | WRITE);
	say("a new page is zero", page[0] == 0);

	/* a gigabyte, of which only what is touched takes memory */
	say("a region is made",
	    create_region(HEAP, HEAP + (1 << 30), AUTOMAP).type == OK);
	heap[0] = heap[(1 << 30) / 8 - 1] = 7;
	say("both its ends can be used", heap[0] + heap[(1 << 30) / 8 - 1] == 14);
	say("the machine has memory",
	    get_mem_info(&memory).type == OK && memory.available <= memory.total);
	return 0;
}
