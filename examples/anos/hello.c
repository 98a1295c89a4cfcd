/* SPDX-License-Identifier: MIT */
/* The smallest program of Anos: prints its arguments. */
#include "anos.h"

int main(int argc, char **argv)
{
	kprint("Hello from Anos\n");
	for (int i = 0; i < argc; i++) {
		kprint(argv[i]);
		kputchar('\n');
	}
	return 0;
}
