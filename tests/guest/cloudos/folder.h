/* SPDX-License-Identifier: MIT */
/* A folder of a guest test's own. */
#ifndef TESTS_GUEST_FOLDER_H
#define TESTS_GUEST_FOLDER_H

#include "guest.h"

#include <fcntl.h>
#include <sys/stat.h>

static char folder[512];

/* Makes it and goes there. */
static void folder_enter(void)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(folder, sizeof(folder), "%s/guest-XXXXXX", tmp ? tmp : "/tmp");

	if (n >= (int) sizeof(folder) || !mkdtemp(folder) || chdir(folder) < 0)
		die("no folder");
}

static void folder_leave(void)
{
	if (chdir("/") < 0 || rmdir(folder) < 0)
		die(folder);
}

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || close(fd) < 0)
		die(name);
}

#endif
