/* SPDX-License-Identifier: MIT */
/*
 * A cloudos-loader that only tells what it was started with.  HOST, tests only.  One line
 * each: "argv N TEXT", "fd N" for every open descriptor, "env N" for how many variables
 * there are.  With FAKE_LOADER=wait in the environment it says "ready PID" and waits for a
 * signal; otherwise it ends with 7.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	extern char **environ;
	const char *what = getenv("FAKE_LOADER");
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int variables = 0;

	for (int i = 0; i < argc; i++)
		printf("argv %d %s\n", i, argv[i]);
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
			printf("fd %s\n", entry->d_name);
	if (folder)
		closedir(folder);
	while (environ[variables])
		variables++;
	printf("env %d\n", variables);
	if (what && !strcmp(what, "wait")) {
		printf("ready %d\n", (int) getpid());
		fflush(stdout);
		for (;;)
			pause();
	}
	return 7;
}
