/* SPDX-License-Identifier: MIT */
/* The display of an Anos machine.  HOST. */
#include "personality/anos/system/surface.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <co/limits.h>

#include "lib/cleanup.h"

#define NAME "cloudos-display-"

int anos_surface_new(uint32_t width, uint32_t height, int *out_fd, struct co_err *err)
{
	autoclose int fd = -1;
	char name[64];

	if (!width || !height || width > CO_LIMIT_ANOS_SURFACE ||
	    height > CO_LIMIT_ANOS_SURFACE)
		return co_fail(
			err, CO_INVALID, "a display is 1x1 to %dx%d pixels, not %ux%u",
			CO_LIMIT_ANOS_SURFACE, CO_LIMIT_ANOS_SURFACE, width, height);
	(void) snprintf(name, sizeof(name), NAME "%ux%u", width, height); /* fits */
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t) width * height * 4) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return co_fail_errno(err, errno,
				     "cannot make a display of %ux%u pixels", width,
				     height);
	*out_fd = take_fd(fd);
	return 0;
}

bool anos_surface_name(const char *link, uint32_t *out_width, uint32_t *out_height)
{
	char end = 0;

	return sscanf(link, "/memfd:" NAME "%5ux%5u%c", out_width, out_height, &end) ==
		       3 &&
	       end == ' ' && *out_width && *out_height &&
	       *out_width <= CO_LIMIT_ANOS_SURFACE &&
	       *out_height <= CO_LIMIT_ANOS_SURFACE;
}

int anos_surface_find(int32_t pid, int *out_fd, uint32_t *out_width,
		      uint32_t *out_height, struct co_err *err)
{
	char path[64], link[256];
	const struct dirent *entry;
	DIR *folder;

	(void) snprintf(path, sizeof(path), "/proc/%d/fd", pid); /* fits */
	folder = opendir(path);
	if (!folder)
		return co_fail_errno(err, errno, "cannot look into process %d", pid);
	*out_fd = -1;
	while (*out_fd < 0 && (entry = readdir(folder)) != NULL) {
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, link,
				       sizeof(link) - 1);

		link[n > 0 ? n : 0] = 0;
		if (anos_surface_name(link, out_width, out_height))
			*out_fd = openat(dirfd(folder), entry->d_name,
					 O_RDONLY | O_CLOEXEC);
	}
	(void) closedir(folder);
	return *out_fd >= 0
		       ? 0
		       : co_fail(err, CO_NOT_FOUND, "process %d has no display", pid);
}
