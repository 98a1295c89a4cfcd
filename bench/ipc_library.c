/* SPDX-License-Identifier: MIT */
/* HOST.  Libraries of others, asked for when they are measured: nothing is linked. */
#include "ipc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *library_open(const char *file, const char *package)
{
	void *library = dlopen(file, RTLD_NOW);

	if (library)
		return library;
	fprintf(stderr, "bench-ipc: %s; apt install %s\n", dlerror(), package);
	exit(NOT_INSTALLED);
}

void *library_function(void *library, const char *name)
{
	void *function = dlsym(library, name);

	if (function)
		return function;
	fprintf(stderr, "bench-ipc: %s\n", dlerror());
	exit(1);
}
