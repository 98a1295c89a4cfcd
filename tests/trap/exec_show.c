/* SPDX-License-Identifier: MIT */
/* What a program is given by exec, printed.  A GUEST program of the tests: see exec.c. */
#include "tests/trap/exec_show.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#define KEPT 960

extern char **environ;
extern const char __ehdr_start[];

static void show_signals(void)
{
	sigset_t set;

	(void) sigprocmask(SIG_BLOCK, NULL, &set);
	printf("blocked");
	for (int i = 1; i < 65; i++)
		if (sigismember(&set, i) == 1)
			printf(" %d", i);
	printf("\nignored");
	for (int i = 1; i < 65; i++) {
		struct sigaction a;

		if (sigaction(i, NULL, &a) == 0 && a.sa_handler == SIG_IGN)
			printf(" %d", i);
		else if (i < 32 && sigaction(i, NULL, &a) == 0 &&
			 a.sa_handler != SIG_DFL)
			printf(" CAUGHT %d", i);
	}
	(void) sigpending(&set);
	printf("\npending");
	for (int i = 1; i < 65; i++)
		if (sigismember(&set, i) == 1)
			printf(" %d", i);
	printf("\n");
}

/* Not the one by which the engine finds its loader where there is no /proc. */
static void show_descriptors(void)
{
	char link[64], target[256];

	printf("descriptors");
	for (int fd = 3; fd < 1100; fd++) {
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0 ||
		    (fd == KEPT && access("/proc/self", F_OK) < 0))
			continue;
		(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		/* pipes and the like have numbers that change */
		printf(" %d=%s%s", fd, *target == '/' ? target : "?",
		       fcntl(fd, F_GETFD) & FD_CLOEXEC ? "(cloexec)" : "");
	}
	printf("\n");
}

static void show_file(const char *path)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes) - 1);

	printf("%s %zd ", path, n);
	for (ssize_t i = 0; i < n && i < 200; i++)
		putchar(bytes[i] ? bytes[i] : '|');
	printf("\n");
	(void) close(fd);
}

int exec_show(int argc, char **argv)
{
	char name[17] = "", exe[4096];
	stack_t stack;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *fn = (const char *) getauxval(AT_EXECFN);

	printf("argc %d:", argc);
	for (int i = 0; i < argc && i < 20; i++)
		printf(" [%.60s]", argv[i]);
	printf(argv[argc] ? " NOT TERMINATED\n" : "\n");
	printf("environment");
	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "ONLY=", 5) || environ[1] == NULL)
			printf(" %s", *e);
	printf("\nexecfn %.300s\n", fn ? fn : "none");
	printf("headers %lu of %lu at %ld\n", getauxval(AT_PHNUM), getauxval(AT_PHENT),
	       (long) (getauxval(AT_PHDR) - (unsigned long) __ehdr_start));
	printf("page %lu secure %lu base %s clock %lu uid %lu aligned %d\n",
	       getauxval(AT_PAGESZ), getauxval(AT_SECURE),
	       getauxval(AT_BASE) ? "yes" : "no", getauxval(AT_CLKTCK),
	       getauxval(AT_UID), (int) ((uintptr_t) (argv - 1) % 16));
	printf("vdso %s random %s platform %s\n",
	       getauxval(AT_SYSINFO_EHDR) ? "yes" : "no",
	       getauxval(AT_RANDOM) ? "yes" : "no",
	       getauxval(AT_PLATFORM) ? (char *) getauxval(AT_PLATFORM) : "none");
	(void) prctl(PR_GET_NAME, name);
	/* the engine answers for that link also where there is no /proc */
	if (access("/proc/self", F_OK) < 0)
		n = -1;
	printf("comm %s exe %.*s\n", name, n > 0 ? (int) n : 4, n > 0 ? exe : "none");
	show_file("/proc/self/cmdline");
	show_signals();
	show_descriptors();
	(void) sigaltstack(NULL, &stack);
	printf("altstack %s dumpable %d pdeathsig ",
	       stack.ss_flags & SS_DISABLE ? "no" : "yes", prctl(PR_GET_DUMPABLE));
	int death = 0;
	(void) prctl(PR_GET_PDEATHSIG, &death);
	printf("%d tid is pid %d\n", death, gettid() == getpid());
	return 46;
}
