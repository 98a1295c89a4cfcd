/* SPDX-License-Identifier: MIT */
/* A program of Anos that is there until somebody ends it. */
#include <anos.h>

int main(void)
{
	kprint("parked\n");
	for (;;)
		task_sleep_current(1000000000);
}
