/* SPDX-License-Identifier: MIT */
/*
 * Segments as memfds: sealed by who writes them, checked by who reads them.  HOST.
 */
#include <ring/segment.h>

#include <co/ring.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(CO_RING_SEALS == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
				 F_SEAL_FUTURE_WRITE),
	       "as the kernel numbers them");

void *ring_segment_new(const char *name, size_t size, int *out_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map = MAP_FAILED;
	int error;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t) size) == 0)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED && madvise(map, size, MADV_DONTFORK) == 0 &&
	    fcntl(fd, F_ADD_SEALS, CO_RING_SEALS) == 0) {
		*out_fd = fd;
		return map;
	}
	error = errno;
	if (map != MAP_FAILED)
		(void) munmap(map, size); /* it is ours */
	(void) close(fd);                 /* nothing has been written through it */
	errno = error;
	return NULL;
}

const void *ring_segment_map(int fd, size_t size)
{
	struct stat status;
	void *map;

	if (fstat(fd, &status) != 0)
		return NULL;
	if (fcntl(fd, F_GET_SEALS) != CO_RING_SEALS || status.st_size != (off_t) size) {
		errno = EPERM;
		return NULL;
	}
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (madvise(map, size, MADV_DONTFORK) != 0) {
		(void) munmap(map, size); /* it is ours */
		return NULL;
	}
	return map;
}
