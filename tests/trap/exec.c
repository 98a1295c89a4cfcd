/* SPDX-License-Identifier: MIT */
/*
 * trap-exec FOLDER: calls exec in every way that succeeds or fails and prints what comes of
 * it; exec.test compares what it prints natively and under the engine.  A GUEST program of
 * the tests.  FOLDER has the files of elf_files.h, and this program as `show`, which it
 * starts: named so, it prints what it was given.  Names behind FOLDER choose cases.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/trap/elf_files.h"
#include "tests/trap/exec_files.h"
#include "tests/trap/exec_show.h"

#define EXECVE_CHECK 0x10000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

extern char **environ;

static char *empty_environment[] = { "ONLY=this", NULL };

/* ---- cases ---- */

static char self[4096]; /* this program, in the folder */

static char *words[] = { "zero", "one", "", "three three", NULL };

static void failed(void)
{
	/* the call has returned: that is the result */
	printf("error %s\n", strerrorname_np(errno));
	(void) fflush(stdout);
	_exit(0);
}

static void to(const char *path)
{
	(void) fflush(stdout);
	(void) execve(path, words, empty_environment);
	failed();
}

static void at(int fd, const char *path, int flags)
{
	(void) syscall(SYS_execveat, fd, path, words, empty_environment, flags);
	failed();
}

static int program(const char *name, int flags)
{
	int fd = open(exec_in(name), flags);

	if (fd < 0)
		perror(name);
	return fd;
}

/* arguments */
static void argv_null(void)
{
	(void) syscall(SYS_execve, self, NULL, empty_environment);
	failed();
}
static void argv_empty(void)
{
	char *none[] = { NULL };
	(void) execve(self, none, empty_environment);
	failed();
}
static void envp_null(void)
{
	(void) syscall(SYS_execve, self, words, NULL);
	failed();
}
static void argv_bad(void)
{
	(void) syscall(SYS_execve, self, 8, empty_environment);
	failed();
}
static void argv_kernel(void)
{
	(void) syscall(SYS_execve, self, 0xffffffff80000000, empty_environment);
	failed();
}
static void envp_bad(void)
{
	(void) syscall(SYS_execve, self, words, 8);
	failed();
}
static void word_bad(void)
{
	char *bad[] = { "zero", (char *) 8, NULL };
	(void) execve(self, bad, empty_environment);
	failed();
}
static void path_null(void)
{
	(void) syscall(SYS_execve, NULL, words, empty_environment);
	failed();
}
static void path_bad(void)
{
	(void) syscall(SYS_execve, 8, words, empty_environment);
	failed();
}
static void bad_of_absent(void)
{
	(void) syscall(SYS_execve, "/absent", 8, 8);
	failed();
}
static void bad_of_broken(void)
{
	(void) syscall(SYS_execve, exec_in("headers-none"), words, 8);
	failed();
}

static char *last_page(size_t back)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void) mprotect(pages + 4096, 4096, PROT_NONE);
	return pages + 4096 - back;
}

static void argv_at_end(void)
{
	char **v = (char **) last_page(16);
	v[0] = "end";
	v[1] = NULL;
	(void) execve(self, v, empty_environment);
	failed();
}
static void argv_over_end(void)
{
	char **v = (char **) last_page(16);
	v[0] = v[1] = "end";
	(void) execve(self, v, empty_environment);
	failed();
}
static void argv_misaligned(void)
{
	char *v = last_page(19);
	char *w = "odd";
	memcpy(v, &w, 8);
	memset(v + 8, 0, 8);
	(void) execve(self, (char **) v, empty_environment);
	failed();
}
static void word_over_end(void)
{
	char *w = last_page(4);
	memset(w, 'x', 4);
	char *v[] = { w, NULL };
	(void) execve(self, v, empty_environment);
	failed();
}
static void path_at_end(void)
{
	char *p = last_page(strlen(self) + 1);
	memcpy(p, self, strlen(self) + 1);
	to(p);
}

static char **many(size_t n, char *word)
{
	char **v = calloc(n + 1, sizeof(char *));

	for (size_t i = 0; i < n; i++)
		v[i] = word;
	return v;
}

static char *text(size_t n)
{
	char *t = calloc(1, n + 1);

	memset(t, 'a', n);
	return t;
}

static void words_many(void)
{
	(void) execve(self, many(50000, "w"), empty_environment);
	failed();
}
static void words_too_many(void)
{
	(void) execve(self, many(1000000, "w"), empty_environment);
	failed();
}
static void words_endless(void)
{
	char **v = many(1 << 20, "x");
	(void) execve(self, v, v);
	failed();
}
static void word_long(void)
{
	char *v[] = { "z", text(100000), NULL };
	(void) execve(self, v, empty_environment);
	failed();
}
static void word_too_long(void)
{
	char *v[] = { "z", text(131072), NULL };
	(void) execve(self, v, empty_environment);
	failed();
}
static void words_over_limit(void)
{
	struct rlimit l = { 1 << 20, 1 << 20 };
	(void) setrlimit(RLIMIT_STACK, &l);
	(void) execve(self, many(300, text(1000)), empty_environment);
	failed();
}
static void envp_too_long(void)
{
	char *v[] = { text(200000), NULL };
	(void) execve(self, words, v);
	failed();
}

/* paths */
static void plain(void)
{
	to(self);
}
static void path_too_long(void)
{
	to(text(4096));
}
static void path_long(void)
{
	char *p = text(4095);
	memset(p, '/', 4095);
	memcpy(p + 4095 - strlen(self), self, strlen(self));
	to(p);
}
static void name_too_long(void)
{
	to(text(256));
}
static void path_relative(void)
{
	(void) chdir(exec_folder);
	to("show");
}
static void path_no_search(void)
{
	(void) chmod(exec_in("closed"), 0);
	(void) setresuid(65534, 65534, 65534);
	to(exec_in("closed/x"));
}
static void path_others(void)
{
	(void) setresuid(65534, 65534, 65534);
	to(exec_in("private"));
}
static void path_busy(void)
{
	(void) program("copy", O_WRONLY);
	to(exec_in("copy"));
}
static void path_noexec(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", exec_in("mount"), "tmpfs", MS_NOEXEC, NULL)) {
		printf("no mount\n");
		(void) fflush(stdout);
		_exit(0);
	}
	int from = program("good", O_RDONLY),
	    fd = open(exec_in("mount/good"), O_CREAT | O_WRONLY, 0755);
	char bytes[8192];
	ssize_t n = read(from, bytes, sizeof(bytes));

	(void) !write(fd, bytes, (size_t) n);
	(void) close(fd);
	(void) close(from);
	to(exec_in("mount/good"));
}

/* scripts */
static void script_nothing(void)
{
	char *none[] = { NULL };
	(void) execve(exec_in("script-argument"), none, empty_environment);
	failed();
}
static void script_many(void)
{
	(void) execve(exec_in("script-argument"), many(20000, "words and words"),
		      empty_environment);
	failed();
}
static void script_long(void)
{
	char *v[] = { "dropped", text(120000), "last", NULL };
	(void) execve(exec_in("script-argument"), v, empty_environment);
	failed();
}
static void script_relative(void)
{
	(void) chdir(exec_folder);
	to("script-relative");
}

/* execveat */
static void at_cwd(void)
{
	(void) chdir(exec_folder);
	at(AT_FDCWD, "show", 0);
}
static void at_pipe(void)
{
	int p[2];
	(void) !pipe(p);
	at(p[0], "", AT_EMPTY_PATH);
}
static void at_check(void)
{
	long r = syscall(SYS_execveat, AT_FDCWD, self, words, environ, EXECVE_CHECK);
	printf("asked: %ld %d\n", r, r ? errno : 0);
	at(AT_FDCWD, exec_in("plain"), EXECVE_CHECK);
}
static void at_deleted(void)
{
	(void) link(exec_in("copy"), exec_in("gone"));
	int fd = program("gone", O_RDONLY | O_CLOEXEC);
	(void) unlink(exec_in("gone"));
	at(fd, "", AT_EMPTY_PATH);
}
static void at_memory(void)
{
	int from = program("show", O_RDONLY | O_CLOEXEC);
	int fd = (int) syscall(SYS_memfd_create, "program", 3U);
	static char bytes[1 << 20];
	ssize_t n = read(from, bytes, sizeof(bytes));

	(void) !write(fd, bytes, (size_t) n);
	(void) fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	at(fd, "", AT_EMPTY_PATH);
}

/* /proc/self/exe */
static void own_pid(void)
{
	char p[64];
	(void) snprintf(p, sizeof(p), "/proc/%d/exe", getpid());
	(void) execve(p, words, empty_environment);
	failed();
}

/* signals */
static void signals_kept(void)
{
	sigset_t set;

	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGUSR1);
	(void) sigaddset(&set, SIGSYS);
	(void) sigaddset(&set, 40);
	(void) sigprocmask(SIG_BLOCK, &set, NULL);
	(void) signal(SIGINT, SIG_IGN);
	(void) signal(SIGSYS, SIG_IGN);
	(void) signal(SIGTERM, (void (*)(int)) failed);
	(void) raise(SIGUSR1);
	(void) raise(40);
	(void) prctl(PR_SET_PDEATHSIG, SIGWINCH);
	to(self);
}

static void stack_given_up(void)
{
	stack_t s = { .ss_sp = malloc(65536), .ss_size = 65536 };

	(void) sigaltstack(&s, NULL);
	to(self);
}

/* other ways to it */
static void *in_thread(void *unused)
{
	(void) unused;
	to(self);
	return NULL;
}

static void thread(void)
{
	pthread_t t;

	(void) pthread_create(&t, NULL, in_thread, NULL);
	for (;;)
		(void) pause();
}

static int after_vfork(const char *path)
{
	int status = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		(void) execve(path, words, empty_environment);
		_exit(errno);
	}
	(void) waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void vforked(void)
{
	for (int i = 0; i < 300; i++)
		if (after_vfork(i % 3 ? exec_in("good") : "/absent") !=
		    (i % 3 ? ELF_STATUS : ENOENT))
			printf("another status after vfork\n");
	to(self);
}

static void vforked_own(void)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		char p[64];

		(void) snprintf(p, sizeof(p), "/proc/%d/exe", getpid());
		(void) execve(p, words, empty_environment);
		_exit(1);
	}
	(void) waitpid(pid, &status, 0);
	printf("status %x\n", status);
	(void) fflush(stdout);
	_exit(0);
}

static void spawned(void)
{
	pid_t pid;
	int status;
	int r = posix_spawn(&pid, "/absent", NULL, NULL, words, environ);

	printf("spawn of nothing: %s\n", strerrorname_np(r));
	r = posix_spawn(&pid, exec_in("headers-none"), NULL, NULL, words, environ);
	printf("spawn of a broken one: %s\n", strerrorname_np(r));
	r = posix_spawn(&pid, exec_in("good"), NULL, NULL, words, environ);
	(void) waitpid(pid, &status, 0);
	printf("spawn: %d %x\n", r, status);
	(void) fflush(stdout);
	_exit(0);
}

/* After a failed one everything is as before. */
static void failed_leaves_nothing(void)
{
	int first = dup(0), second;

	(void) close(first);
	for (int i = 0; i < 200; i++) {
		(void) execve(exec_in("headers-none"), words, environ);
		(void) execve(exec_in("script-absent"), many(2000, "w"), environ);
		(void) syscall(SYS_execveat, AT_FDCWD, exec_in("interp-missing"), words,
			       environ, 0);
	}
	second = dup(0);
	printf("descriptor %d\n", second - first);
	(void) close(second);
	to(self);
}

static void fire(int number)
{
	(void) number;
}

/* A signal every 50 us: no call may end with EINTR, no mask be left behind. */
static void under_fire(void)
{
	struct sigaction action = { .sa_handler = fire, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGWINCH };
	struct itimerspec often = { { 0, 50000 }, { 0, 50000 } };
	timer_t timer;

	(void) sigaction(SIGWINCH, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &often, NULL))
		printf("no timer\n");
	for (int i = 0; i < 1000; i++) {
		(void) execve(exec_in("headers-none"), words, empty_environment);
		if (errno != ENOEXEC)
			printf("%s\n", strerrorname_np(errno));
		(void) execve(exec_in("script-absent"), words, empty_environment);
		if (errno != ENOENT)
			printf("%s\n", strerrorname_np(errno));
	}
	for (int i = 0; i < 100; i++)
		if (after_vfork(exec_in("good")) != ELF_STATUS)
			printf("another status under fire\n");
	to(self);
}

/* The soft limit is reached: exec itself takes no descriptor. */
static void no_descriptor_left(void)
{
	struct rlimit limit = { 64, 128 };

	(void) setrlimit(RLIMIT_NOFILE, &limit);
	while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		;
	to(exec_in("script-show"));
}

static void no_descriptor_left_even_then(void)
{
	struct rlimit limit = { 64, 128 };

	(void) setrlimit(RLIMIT_NOFILE, &limit);
	while (dup(0) >= 0)
		;
	to(exec_in("good-interp"));
}

static void deep(void)
{
	char *v[] = { "deep", "100", NULL };
	(void) execve(self, v, environ);
	failed();
}
static void rooted(void)
{
	char *v[] = { "deep", "5", NULL };

	if (chroot(exec_folder) || chdir("/")) {
		printf("no chroot\n");
		(void) fflush(stdout);
		_exit(0);
	}
	(void) execve("/show-static", v, empty_environment);
	failed();
}
/* As containers do: another root, and the old one is gone, /proc with it. */
static void pivoted(void)
{
	char *v[] = { "deep", "3", NULL };

	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(exec_folder, exec_folder, NULL, MS_BIND, NULL) ||
	    syscall(SYS_pivot_root, exec_folder, exec_in("mount")) || chdir("/") ||
	    umount2("/mount", MNT_DETACH)) {
		printf("no other root\n");
		(void) fflush(stdout);
		_exit(0);
	}
	(void) execve("/show-static", v, empty_environment);
	failed();
}

static void rooted_script(void)
{
	if (chroot(exec_folder) || chdir("/")) {
		printf("no chroot\n");
		(void) fflush(stdout);
		_exit(0);
	}
	to("/script-rooted");
}

/* The simple ones.  `@` is the folder. */
/* clang-format off: tables */
static const struct {
	const char *name, *path;
} paths[] = {
	{ "path_empty", "" },
	{ "path_absent", "/absent/program" },
	{ "path_slash", "@good/" },
	{ "path_through_file", "@good/x" },
	{ "path_folder", "@" },
	{ "path_device", "/dev/null" },
	{ "path_fifo", "@fifo" },
	{ "path_circle", "@circle" },
	{ "path_link", "@link" },
	{ "path_dots", "@../../../../../../../proc/self/cwd/." },
	{ "path_not_executable", "@plain" },
	{ "path_proc_file", "/proc/version" },
	{ "path_text", "@text" },
	{ "script", "@script-show" },
	{ "script_argument", "@script-argument" },
	{ "script_5", "@script-5" },
	{ "script_6", "@script-6" },
	{ "script_loop", "@script-loop" },
	{ "script_absent", "@script-absent" },
	{ "script_plain", "@script-plain" },
	{ "script_folder", "@script-folder" },
	{ "script_text", "@script-text" },
	{ "script_return", "@script-return" },
	{ "own", "/proc/self/exe" },
	{ "own_thread", "/proc/thread-self/exe" },
	{ "own_link", "@own" },
};

static const struct {
	const char *name, *opened; /* NULL: how is a number already */
	int how;
	const char *path;
	int flags;
} ats[] = {
	{ "at_descriptor", "@show", O_RDONLY, "", AT_EMPTY_PATH },
	{ "at_cloexec", "@show", O_RDONLY | O_CLOEXEC, "", AT_EMPTY_PATH },
	{ "at_path", "@show", O_PATH | O_CLOEXEC, "", AT_EMPTY_PATH },
	{ "at_script", "@script-show", O_RDONLY, "", AT_EMPTY_PATH },
	{ "at_script_cloexec", "@script-show", O_RDONLY | O_CLOEXEC, "",
	  AT_EMPTY_PATH },
	{ "at_folder", "@", O_RDONLY, "show", 0 },
	{ "at_folder_cloexec", "@", O_RDONLY | O_CLOEXEC, "show", 0 },
	{ "at_folder_path", "@", O_PATH | O_CLOEXEC, "./show", 0 },
	{ "at_folder_script", "@", O_RDONLY, "script-show", 0 },
	{ "at_folder_script_cloexec", "@", O_RDONLY | O_CLOEXEC, "script-show", 0 },
	{ "at_absolute", NULL, -5, "@show", 0 },
	{ "at_cwd_empty", NULL, AT_FDCWD, "", AT_EMPTY_PATH },
	{ "at_bad", NULL, -5, "show", 0 },
	{ "at_bad_empty", NULL, 555, "", AT_EMPTY_PATH },
	{ "at_not_folder", "@show", O_RDONLY, "show", 0 },
	{ "at_no_follow", NULL, AT_FDCWD, "@link", AT_SYMLINK_NOFOLLOW },
	{ "at_no_follow_file", NULL, AT_FDCWD, "@show", AT_SYMLINK_NOFOLLOW },
	{ "at_flags", NULL, AT_FDCWD, "@show", 0x4000000 },
	{ "at_flags_absent", NULL, AT_FDCWD, "/absent", 0x4000000 },
	{ "at_empty", "@show", O_RDONLY, "", 0 },
	{ "at_null", "@show", O_RDONLY, NULL, AT_EMPTY_PATH },
	{ "at_empty_folder", "@", O_RDONLY, "", AT_EMPTY_PATH },
	{ "at_write_only", "@copy", O_WRONLY, "", AT_EMPTY_PATH },
	{ "at_read_write", "@copy", O_RDWR, "", AT_EMPTY_PATH },
	{ "at_plain_file", "@plain", O_RDONLY, "", AT_EMPTY_PATH },
	{ "at_broken", "@headers-none", O_RDONLY | O_CLOEXEC, "", AT_EMPTY_PATH },
	{ "own_at", "/proc/self", O_PATH | O_CLOEXEC, "exe", 0 },
	{ "own_no_follow", NULL, AT_FDCWD, "/proc/self/exe", AT_SYMLINK_NOFOLLOW },
	{ "own_descriptor", "/proc/self/exe", O_RDONLY | O_CLOEXEC, "", AT_EMPTY_PATH },
	{ "own_opened_path", "/proc/self/exe", O_PATH | O_CLOEXEC, "", AT_EMPTY_PATH },
};
/* clang-format on */

static const char *placed(const char *path)
{
	return path && *path == '@' ? exec_in(path + 1) : path;
}

static void run_path(size_t i)
{
	to(placed(paths[i].path));
}

static void run_at(size_t i)
{
	int fd = ats[i].opened ? open(placed(ats[i].opened), ats[i].how) : ats[i].how;

	at(fd, placed(ats[i].path), ats[i].flags);
}

#define CASE(f)                                                                        \
	{                                                                              \
#f, f                                                                  \
	}
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	CASE(plain),
	CASE(argv_null),
	CASE(argv_empty),
	CASE(envp_null),
	CASE(argv_bad),
	CASE(argv_kernel),
	CASE(envp_bad),
	CASE(word_bad),
	CASE(path_null),
	CASE(path_bad),
	CASE(bad_of_absent),
	CASE(bad_of_broken),
	CASE(argv_at_end),
	CASE(argv_over_end),
	CASE(argv_misaligned),
	CASE(word_over_end),
	CASE(path_at_end),
	CASE(words_many),
	CASE(words_too_many),
	CASE(words_endless),
	CASE(word_long),
	CASE(word_too_long),
	CASE(words_over_limit),
	CASE(envp_too_long),
	CASE(path_too_long),
	CASE(path_long),
	CASE(name_too_long),
	CASE(path_relative),
	CASE(path_no_search),
	CASE(path_others),
	CASE(path_busy),
	CASE(path_noexec),
	CASE(script_nothing),
	CASE(script_many),
	CASE(script_long),
	CASE(script_relative),
	CASE(at_cwd),
	CASE(at_pipe),
	CASE(at_check),
	CASE(at_deleted),
	CASE(at_memory),
	CASE(own_pid),
	CASE(signals_kept),
	CASE(stack_given_up),
	CASE(thread),
	CASE(vforked),
	CASE(vforked_own),
	CASE(spawned),
	CASE(failed_leaves_nothing),
	CASE(under_fire),
	CASE(no_descriptor_left),
	CASE(no_descriptor_left_even_then),
	CASE(deep),
	CASE(rooted),
	CASE(rooted_script),
	CASE(pivoted),
};

/* ---- running ---- */

/* How a child ended: natively a bad program dies of SIGSEGV, under the engine with 125. */
static void print_end(int status)
{
	if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
	    (WIFEXITED(status) && WEXITSTATUS(status) == 125))
		printf("does not start\n");
	else if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	else
		printf("status %d\n", WEXITSTATUS(status));
	(void) fflush(stdout);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names;
}

/* In a child: the case `which` of a table. */
static void run(const char *name, void (*of_table)(size_t), size_t which)
{
	int status = 0;
	pid_t pid;

	printf("== %s\n", name);
	(void) fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void) alarm(300);
		of_table(which);
	}
	(void) waitpid(pid, &status, 0);
	print_end(status);
}

static void run_case(size_t i)
{
	cases[i].run();
}

static void run_file(size_t i)
{
	to(exec_in(elf_files[i].name));
}

static void run_all(char **names)
{
	for (size_t i = 0; i < COUNT(cases); i++)
		if (wanted(cases[i].name, names))
			run(cases[i].name, run_case, i);
	for (size_t i = 0; i < COUNT(paths); i++)
		if (wanted(paths[i].name, names))
			run(paths[i].name, run_path, i);
	for (size_t i = 0; i < COUNT(ats); i++)
		if (wanted(ats[i].name, names))
			run(ats[i].name, run_at, i);
	for (size_t i = 0; i < elf_files_count; i++)
		/* not those that only the engine refuses */
		if (!elf_files[i].why && wanted(elf_files[i].name, names))
			run(elf_files[i].name, run_file, i);
}

static long filters(void)
{
	char line[256];
	long n = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Seccomp_filters:", 16))
			n = strtol(line + 16, NULL, 10);
	if (f)
		(void) fclose(f);
	return n;
}

/* One exec after another; filters are counted at both ends. */
static int go_deeper(char **argv)
{
	long left = strtol(argv[1], NULL, 10);
	char number[32], count[32];
	char *v[] = { "deep", number, argv[2] ? argv[2] : count, NULL };

	(void) snprintf(count, sizeof(count), "%ld", filters());
	if (left == 0) {
		printf("filters %s\n",
		       argv[2] && !strcmp(argv[2], count) ? "as before" : "STACKED");
		return 47;
	}
	(void) snprintf(number, sizeof(number), "%ld", left - 1);
	(void) execve((const char *) getauxval(AT_EXECFN), v, environ);
	failed();
	return 1;
}

/* A kernel before 6.14, for all that follows: it cannot be asked whether it would exec. */
static int as_before_6_14(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[4])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, EXECVE_CHECK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { COUNT(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)) {
		perror("seccomp");
		return 1;
	}
	(void) execvp(argv[0], argv);
	perror(argv[0]);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--as-before-6.14"))
		return as_before_6_14(argv + 2);
	if (argc > 1 && !strcmp(argv[0], "deep"))
		return go_deeper(argv);
	if (!strstr((const char *) getauxval(AT_EXECFN), "trap-exec"))
		return exec_show(argc, argv);
	if (argc < 2)
		return 2;
	exec_folder = argv[1];
	(void) snprintf(self, sizeof(self), "%s", exec_in("show"));
	exec_write_files();
	run_all(argv + 2);
	return 0;
}
