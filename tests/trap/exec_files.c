/* SPDX-License-Identifier: MIT */
/* Scripts, links and the like for trap-exec.  A GUEST program of the tests: see exec.c. */
#include "tests/trap/exec_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *exec_folder;

char *exec_in(const char *name)
{
	static char paths[8][8192];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void) snprintf(path, 8192, "%s/%s", exec_folder, name); /* a test's own path */
	return path;
}

static void write_text(const char *name, const char *content, mode_t mode)
{
	int fd = open(exec_in(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t) strlen(content))
		perror(name);
	(void) fchmod(fd, mode);
	(void) close(fd);
}

static void write_script(const char *name, const char *to_name, const char *rest)
{
	char line[4096];

	(void) snprintf(line, sizeof(line), "#!%s%s\n",
			*to_name == '/' || *to_name == '.' ? to_name : exec_in(to_name),
			rest);
	write_text(name, line, 0755);
}

void exec_write_files(void)
{
	char name[32], before[32];

	write_script("script-show", "show", "");
	write_script("script-argument", "show", " \tan argument ");
	write_script("script-1", "show", " -1");
	for (int i = 2; i <= 6; i++) {
		(void) snprintf(name, sizeof(name), "script-%d", i);
		(void) snprintf(before, sizeof(before), "script-%d", i - 1);
		write_script(name, before, " -x");
	}
	write_script("script-loop", "script-loop", "");
	write_script("script-absent", "/absent/interpreter", "");
	write_script("script-plain", "plain", "");
	write_script("script-folder", "/", "");
	write_script("script-text", "text", "");
	write_script("script-return", "show", "\r");
	write_script("script-relative", "./show", "");
	write_script("script-rooted", "/show-static", " -r");
	write_text("text", "neither one nor the other\n", 0755);
	write_text("private", "#!/bin/sh\n", 0700);
	(void) mkdir(exec_in("mount"), 0755);
	(void) mkdir(exec_in("closed"), 0755);
	(void) mkfifo(exec_in("fifo"), 0755);
	(void) symlink("show", exec_in("link"));
	(void) symlink("circle", exec_in("circle"));
	(void) symlink("/proc/self/exe", exec_in("own"));
}
