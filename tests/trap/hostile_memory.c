/* SPDX-License-Identifier: MIT */
/* Memory: the engine's own taken away, and none left.  HOST. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "co/trap.h"
#include "tests/trap/hostile.h"

#define SHIM ((void *) CO_TRAP_BASE)
#define SIZE 0x1000000UL

static void go_on(void)
{
	for (int i = 0; i < 50; i++)
		if (getppid() < 0 || getuid() == (uid_t) -1)
			_exit(97);
}

void unmap_shim(void)
{
	say("munmap: %", munmap(SHIM, SIZE));
	go_on();
}

void map_over_shim(void)
{
	void *at = mmap(SHIM, SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	say("mmap: %", at == SHIM);
	go_on();
}

void protect_shim(void)
{
	int r = mprotect(SHIM, 4096, PROT_READ | PROT_WRITE);

	say("mprotect: %", r < 0 ? -errno : 0);
	r = mprotect(SHIM, 4096, PROT_NONE);
	say("mprotect: %", r < 0 ? -errno : 0);
	go_on();
}

void discard_shim(void)
{
	int r = madvise(SHIM, 4096, MADV_DONTNEED);

	say("madvise: %", r < 0 ? -errno : 0);
	r = madvise((void *) (CO_TRAP_STATS & ~0xffffUL), 0x10000, MADV_DONTNEED);
	say("madvise: %", r < 0 ? -errno : 0);
	go_on();
}

void move_shim(void)
{
	void *at = mremap(SHIM, 4096, 8192, MREMAP_MAYMOVE);

	say("mremap: %", at == MAP_FAILED ? -errno : 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = mremap(at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, SHIM);
	say("mremap: %", at == MAP_FAILED ? -errno : 0);
	go_on();
}

/* Whatever can be written there. */
void overwrite_shim(void)
{
	static unsigned char page[4096];
	int ends[2];

	memset(page, 0x5a, sizeof(page));
	if (pipe(ends) < 0)
		cannot("no pipe");
	for (uint64_t at = CO_TRAP_BASE; at < CO_TRAP_BASE + SIZE; at += 4096) {
		/* the kernel writes: where it may not, that is an error and no signal */
		if (write(ends[1], page, sizeof(page)) != sizeof(page))
			_exit(97);
		if (read(ends[0], (void *) at, sizeof(page)) < 0 &&
		    read(ends[0], page, sizeof(page)) < 0)
			_exit(96);
	}
	go_on();
}

/* ---- no memory left ---- */

/* Nothing anywhere near any code is free. */
void no_room(void)
{
	long taken = 0;

	for (size_t size = 1UL << 46; size >= 4096;) {
		if (mmap(NULL, size, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			size /= 2;
		else
			taken++;
	}
	say("something was taken: %", taken > 0);
	go_on();
	say("no more: %", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0) == MAP_FAILED);
	go_on();
}

void no_memory(void)
{
	struct rlimit none = { 4096, 4096 };

	say("setrlimit: %", setrlimit(RLIMIT_AS, &none));
	say("setrlimit: %", setrlimit(RLIMIT_DATA, &none));
	go_on();
	say("no more: %", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0) == MAP_FAILED);
	go_on();
}

void system_break(void)
{
	char *before = sbrk(0), *after;

	say("grows: %", sbrk(1 << 20) == before);
	memset(before, 1, 1 << 20);
	after = sbrk(0);
	say("by: %", after - before);
	say("shrinks: %", sbrk(-(1 << 20)) == after);
	say("back: %", (char *) sbrk(0) == before);
}
