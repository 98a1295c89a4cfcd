/* SPDX-License-Identifier: MIT */
/*
 * What the guest tests of CloudOS share: counting checks, raw calls, other processes, bad
 * memory.  Runs under cloudos-exec; each program includes it once.
 *
 * A check is a sentence: "ok - SENTENCE" or "not ok - SENTENCE".  done() ends main.
 */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#include <cloudos/cloudos.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int guest_checks, guest_failures;

__attribute__((format(printf, 2, 3), unused)) static bool check(bool good,
								const char *format, ...)
{
	va_list ap;

	guest_checks++;
	guest_failures += !good;
	printf("%s - ", good ? "ok" : "not ok");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return good;
}

/* The same for two numbers that must be equal; says both when they are not. */
__attribute__((unused)) static bool check_number(long got, long want,
						 const char *sentence)
{
	bool good = check(got == want, "%s", sentence);

	if (!good)
		printf("# got %ld, wanted %ld\n", got, want);
	return good;
}

__attribute__((unused)) static bool check_text(const char *got, const char *want,
					       const char *sentence)
{
	bool good = check(strcmp(got, want) == 0, "%s", sentence);

	if (!good)
		printf("# got \"%s\", wanted \"%s\"\n", got, want);
	return good;
}

__attribute__((unused)) static int done(void)
{
	printf("1..%d\n", guest_checks);
	if (guest_failures)
		printf("# %d of %d checks failed\n", guest_failures, guest_checks);
	fflush(stdout);
	return guest_failures ? 1 : 0;
}

/* For what must work before anything can be tested. */
__attribute__((noreturn, unused)) static void die(const char *what)
{
	printf("not ok - the test itself: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(99);
}

/* ---- raw calls: the result in rax, so -(2000 + n) for CLOUDOS_E<n> ---- */

__attribute__((unused)) static long raw_call(long number, const uintptr_t a[6])
{
	long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);

	return result >= 0 ? result : -errno;
}

#define WORD(value)    ((uintptr_t) (value))
#define RAW(name, ...) raw_call(CLOUDOS_SYS_##name, (const uintptr_t[6]){ __VA_ARGS__ })
#define RAW_CODE(code) ((code) < 0 ? -2000L + (code) : (code))

__attribute__((unused)) static error_info_t last_error(void)
{
	error_info_t info;

	memset(&info, 0x7f, sizeof(info));
	if (RAW(get_last_error, WORD(&info)) < 0) {
		memset(&info, 0, sizeof(info));
		strcpy(info.message, "(get_last_error failed)");
	}
	return info;
}

/* The call failed with that code, and a sentence about it was recorded. */
__attribute__((unused)) static bool check_refused(long result, int code,
						  const char *sentence)
{
	error_info_t info = last_error();
	bool good = result == RAW_CODE(code) && info.error_code == code &&
		    info.message[0] != '\0';

	check(good, "%s (%s)", sentence, cloudos_error_name(code));
	if (!good)
		printf("# got %ld, wanted %ld; recorded: %d \"%s\"\n", result,
		       RAW_CODE(code), info.error_code, info.message);
	return good;
}

/* ---- time ---- */

/* How long to wait for what must come, however busy the machine is. */
enum { PATIENCE_MS = 60000 };

__attribute__((unused)) static uint64_t now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		die("clock_gettime");
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* One step of polling; the caller has a deadline. */
__attribute__((unused)) static void breathe(void)
{
	struct timespec step = { 0, 2000000 };

	(void) nanosleep(&step, NULL); /* shorter is as good */
}

/* ---- other processes ---- */

/* The call that process is in, -1 while it runs, -2 when nobody may look. */
__attribute__((unused)) static long call_of(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *file;

	(void) snprintf(path, sizeof(path), "/proc/%d/syscall",
			(int) pid); /* it fits */
	file = fopen(path, "r");
	if (!file)
		return -2;
	if (!fgets(text, sizeof(text), file) || text[0] < '0' || text[0] > '9')
		(void) strcpy(text, "-1");
	(void) fclose(file); /* only read */
	return atol(text);
}

/*
 * Waits until that process waits in the call.  Where it is the process that asks the daemon
 * (engine trap), one of the kernel's calls is seen in its place: that has to last.
 */
__attribute__((unused)) static void wait_until_in_call(pid_t pid, long number)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	unsigned others = 0;
	long call;

	while ((call = call_of(pid)) != number && call != -2 && now_ms() < deadline) {
		others = call >= 0 ? others + 1 : 0;
		if (others > 25)
			return;
		breathe();
	}
}

/* Runs look() in a process of its own, whose guest calls are its own, and returns what it
 * returned; checks in it are not counted. */
__attribute__((unused)) static int in_child(int (*look)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(look(arg));
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A process that did begin() and then lives until it is released or killed. */
struct helper {
	pid_t pid;
	int hold;   /* a byte in it: it ends */
	int result; /* of begin() */
};

__attribute__((unused)) static struct helper helper_start(int (*begin)(void *arg),
							  void *arg)
{
	struct helper helper;
	int hold[2], ready[2];
	int result;
	char byte;

	if (pipe(hold) < 0 || pipe(ready) < 0)
		die("pipe");
	fflush(stdout);
	helper.pid = fork();
	if (helper.pid < 0)
		die("fork");
	if (helper.pid == 0) {
		close(hold[1]);
		close(ready[0]);
		result = begin(arg);
		if (write(ready[1], &result, sizeof(result)) != sizeof(result))
			_exit(99);
		while (read(hold[0], &byte, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	close(hold[0]);
	close(ready[1]);
	if (read(ready[0], &helper.result, sizeof(helper.result)) !=
	    sizeof(helper.result))
		die("a helper process did not start");
	close(ready[0]);
	helper.hold = hold[1];
	return helper;
}

__attribute__((unused)) static void helper_end(struct helper *helper, int signo)
{
	int status;

	/* A byte, because later helpers hold copies of this end of the pipe. */
	if (signo)
		kill(helper->pid, signo);
	else if (write(helper->hold, "x", 1) != 1)
		die("a helper process is gone already");
	close(helper->hold);
	if (waitpid(helper->pid, &status, 0) != helper->pid)
		die("waitpid");
}

/* ---- services ---- */

__attribute__((unused)) static service_registration_t a_service(const char *name)
{
	service_registration_t r;

	memset(&r, 0, sizeof(r));
	strcpy(r.name, name);
	strcpy(r.version, "1.2.3");
	r.port = 4711;
	strcpy(r.endpoint, "127.0.0.1:4711");
	strcpy(r.metadata, "colour=green");
	return r;
}

/* How many instances there are, as the calling process sees it. */
__attribute__((unused)) static long instances_of(const char *name)
{
	size_t count = 0;
	long r = RAW(service_discover, WORD(name), 0, WORD(&count));

	return r < 0 ? r : (long) count;
}

__attribute__((unused)) static int child_counts(void *name)
{
	long n = instances_of(name);

	return n < 0 || n > 90 ? 99 : (int) n;
}

/* The same, as another process sees it; 99: the call failed. */
__attribute__((unused)) static int others_see(const char *name)
{
	return in_child(child_counts, (void *) (uintptr_t) name);
}

/* Waits until a call sees that many; false after PATIENCE_MS. */
__attribute__((unused)) static bool becomes(const char *name, long count)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (instances_of(name) != count) {
		if (now_ms() > deadline)
			return false;
		breathe();
	}
	return true;
}

/* ---- bad memory ---- */

/* Two pages, of which the second faults; a pointer to the end of the first. */
__attribute__((unused)) static char *end_of_mapping(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, (size_t) page * 2, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (two == MAP_FAILED || munmap(two + page, (size_t) page) < 0)
		die("mmap");
	return two + page;
}

/* Nothing is there. */
__attribute__((unused)) static void *unmapped(void)
{
	return end_of_mapping();
}

/* Readable, filled with zeros, not writable; big enough for every struct. */
__attribute__((unused)) static void *read_only(void)
{
	void *p = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* A string of `length` bytes that ends with its mapping, without a NUL. */
__attribute__((unused)) static char *unterminated(size_t length)
{
	char *end = end_of_mapping();

	memset(end - length, 'a', length);
	return end - length;
}

#endif
