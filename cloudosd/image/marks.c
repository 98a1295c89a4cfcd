/* SPDX-License-Identifier: MIT */
/* The marks by which an overlay knows what hides what is below.  HOST. */
#include "cloudosd/image/marks.h"

#include <string.h>
#include <sys/xattr.h>

bool mark_name(const char *name)
{
	return strncmp(name, "user.overlay.", strlen("user.overlay.")) == 0 ||
	       strncmp(name, "trusted.overlay.", strlen("trusted.overlay.")) == 0;
}

static bool has_y(int fd, const char *name)
{
	char value[2];

	return fgetxattr(fd, name, value, sizeof(value)) == 1 && *value == 'y';
}

bool mark_is_opaque(int fd)
{
	return has_y(fd, "trusted.overlay.opaque") || has_y(fd, "user.overlay.opaque");
}

int mark_check(int fd, const char *path, struct co_err *err)
{
	if (fgetxattr(fd, "trusted.overlay.redirect", NULL, 0) < 0 &&
	    fgetxattr(fd, "user.overlay.redirect", NULL, 0) < 0)
		return 0;
	return co_fail(err, CO_UNSUPPORTED,
		       "the folder \"%.200s\" was renamed by an overlay with "
		       "redirect_dir, of which no layer can be made",
		       path);
}
