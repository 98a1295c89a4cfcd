/* SPDX-License-Identifier: MIT */
/*
 * anos-one: code, stubs and data in one segment, on one page: each call that is made to jump
 * makes the page read-only, and each write takes that back.
 */
#include "check.h"

static volatile uint64_t counter = 1;
static struct memory memory;

int main(void)
{
	uint64_t page = (uint64_t) &counter & -4096UL;
	int wrong = 0;

	check("code and data share a page",
	      page == ((uint64_t) main & -4096UL) &&
		      page == ((uint64_t) kprint & -4096UL) &&
		      page == ((uint64_t) &memory & -4096UL));
	for (uint64_t i = 1; i <= 100; i++) {
		memory.total = 0;
		wrong |= kprint("").type != OK || get_mem_info(&memory).type != OK ||
			 memory.total == 0 || counter != i ||
			 task_sleep_current(0).type != OK || kprint("").type != OK;
		counter++;
	}
	check("calls and data are right", !wrong && counter == 101);
	return 0;
}
