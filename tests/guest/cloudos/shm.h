/* SPDX-License-Identifier: MIT */
/* Shared memory of a guest test. */
#ifndef TESTS_GUEST_SHM_H
#define TESTS_GUEST_SHM_H

#include "guest.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SHM_SIZE ((size_t) 10000)

__attribute__((unused)) static int shm_make(const char *name, mode_t mode)
{
	return (int) RAW(shm_create, WORD(name), SHM_SIZE, mode);
}

/* Mapped by the program itself. */
__attribute__((unused)) static char *shm_see(int fd, int prot)
{
	char *p = mmap(NULL, SHM_SIZE, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Opens, writes what the next letter is, and ends. */
__attribute__((unused)) static int child_counts_up(void *name)
{
	int fd = (int) RAW(shm_open, WORD(name), O_RDWR);
	char *p = fd < 0 ? NULL : shm_see(fd, PROT_READ | PROT_WRITE);

	if (!p)
		return 99;
	p[SHM_SIZE - 1] = (char) (p[0] + 1);
	return 0;
}

#endif
