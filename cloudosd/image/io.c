/* SPDX-License-Identifier: MIT */
/* Writing all of it, or saying why not.  HOST. */
#include "cloudosd/image/io.h"

#include <errno.h>
#include <unistd.h>

/* at -1: where the descriptor is.  A disk that is nearly full takes a part first. */
static int put(int fd, const char *data, size_t n, int64_t at)
{
	while (n) {
		ssize_t done = at < 0 ? write(fd, data, n) : pwrite(fd, data, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		data += done;
		n -= (size_t) done;
		at += at < 0 ? 0 : done;
	}
	return 0;
}

int io_write(int fd, const void *data, size_t n)
{
	return put(fd, data, n, -1);
}

int io_write_at(int fd, const void *data, size_t n, int64_t at)
{
	return put(fd, data, n, at);
}
