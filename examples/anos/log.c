/* SPDX-License-Identifier: MIT */
/* Prints, and then reads in the kernel log what it has printed. */
#include "anos.h"

int main(void)
{
	static char text[257];
	struct result read;

	kprint("one line for the log\n");
	read = read_kernel_log(text, sizeof(text) - 1, 0);
	if (read.type != OK) {
		kprint("the kernel log cannot be read\n");
		return 1;
	}
	text[read.value] = 0;
	kprint("the log says: ");
	kprint(text);
	return 0;
}
