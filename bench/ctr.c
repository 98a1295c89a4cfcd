/* SPDX-License-Identifier: MIT */
/*
 * bench-ctr CTR ROOT BUNDLES KIND COUNT: containers with monitors, as the daemon has them.
 * BUNDLES/0, BUNDLES/1 ... are prepared by bench/ctr.py, which starts this and knows what
 * runs in them.  Prints one JSON object.  HOST.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/control.h"
#include "cloudosd/ctr/seal.h"
#include "lib/json_scan.h"

extern char **environ;

enum { COUNT_MAX = 10000, PATIENCE_MS = 60000 };

static const char *ctr, *root, *bundles;
static char sealed[64]; /* ctr, as the daemon executes it */
static struct ctr_message message;
static double times[COUNT_MAX];

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) fputs("bench-ctr: ", stderr);
	(void) vfprintf(stderr, format, args);
	(void) fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static double now_ms(void)
{
	struct timespec at;

	(void) clock_gettime(CLOCK_MONOTONIC, &at); /* always exists */
	return (double) at.tv_sec * 1e3 + (double) at.tv_nsec / 1e6;
}

/* ---- one container ---- */

/* Starts the monitor of BUNDLES/n; its connection. */
static int launch(int n)
{
	char bundle[4096], id[32], number[16];
	char *argv[] = { (char *) (uintptr_t) ctr,
			 "--root",
			 (char *) (uintptr_t) root,
			 "monitor",
			 "--bundle",
			 bundle,
			 "--control-fd",
			 number,
			 id,
			 NULL };
	int mine, its, status;
	pid_t pid;

	(void) snprintf(bundle, sizeof(bundle), "%s/%d", bundles, n);
	(void) snprintf(id, sizeof(id), "bench%d", n);
	if (ctr_control_pair(&mine, &its, NULL) < 0)
		die("no pair of sockets");
	(void) fcntl(its, F_SETFD, 0); /* it is open */
	(void) snprintf(number, sizeof(number), "%d", its);
	if (posix_spawn(&pid, sealed, NULL, NULL, argv, environ) != 0)
		die("cannot start %s", ctr);
	(void) close(its);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("the monitor did not start: status %d", status);
	return mine;
}

/* The next message that is that event, or a reply when event is NULL, or output when it
 * is "".  What else comes is passed over. */
static void await(int fd, const char *event)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct co_err err = { 0 };

	for (;;) {
		int rc = ctr_control_receive(fd, &message, &err);

		if (rc < 0)
			die("waiting for %s: %s", event ? event : "a reply",
			    err.message);
		if (rc == 1 && poll(&p, 1, PATIENCE_MS) <= 0)
			die("nothing came: %s", event ? event : "a reply");
		if (rc == 1)
			continue;
		if (message.kind == CTR_EVENT && strcmp(message.event, "failed") == 0)
			die("%.*s", (int) message.json.size, message.json.data);
		if (message.kind == CTR_REPLY && message.status < 0)
			die("%s", message.failed.message);
		if (message.kind == CTR_EVENT && event &&
		    strcmp(message.event, event) == 0)
			return;
		if (message.kind == CTR_REPLY && !event)
			return;
		if (message.kind == CTR_OUTPUT && event && !event[0])
			return;
	}
}

static void say(int fd, const char *op, const char *members)
{
	if (ctr_control_send(fd, 1, op, members, NULL) < 0)
		die("cannot send %s", op);
}

static void ask(int fd, const char *op, const char *members)
{
	say(fd, op, members);
	await(fd, NULL);
}

static int create(int n)
{
	int fd = launch(n);

	await(fd, "created");
	ask(fd, "commit", "");
	return fd;
}

static void end(int fd)
{
	say(fd, "signal", "\"signal\":9,\"all\":true");
	await(fd, "exited");
	(void) close(fd);
}

/* ---- kinds ---- */

static void cycle(int count)
{
	double begin = now_ms();

	for (int i = 0; i < count; i++) {
		double from = now_ms();
		int fd = create(0);

		say(fd, "start", "");
		await(fd, "exited");
		(void) close(fd);
		times[i] = now_ms() - from;
	}
	begin = now_ms() - begin;
	printf("{\"ms\": %.4f, \"rate\": %.2f}\n", loop_median(times, count),
	       count / begin * 1e3);
}

static void start(int count)
{
	for (int i = 0; i < count; i++) {
		int fd = create(0);
		double from;

		ask(fd, "attach", "");
		from = now_ms();
		say(fd, "start", "");
		await(fd, "");
		times[i] = now_ms() - from;
		await(fd, "exited");
		(void) close(fd);
	}
	printf("{\"ms\": %.4f}\n", loop_median(times, count));
}

static void exec(int count)
{
	int fd = create(0);

	ask(fd, "start", "");
	for (int i = 0; i < count; i++) {
		double from = now_ms();

		ask(fd, "exec", "\"args\":[\"/bench-true\"]");
		times[i] = now_ms() - from;
	}
	end(fd);
	printf("{\"ms\": %.4f}\n", loop_median(times, count));
}

/* All are begun before the first is waited for. */
static void parallel(int count)
{
	static int fds[COUNT_MAX];
	double from = now_ms();

	for (int i = 0; i < count; i++) {
		fds[i] = launch(i);
		say(fds[i], "commit", "");
		say(fds[i], "start", "");
	}
	for (int i = 0; i < count; i++) {
		struct ctr_exit how;
		struct co_span value;

		await(fds[i], "exited");
		if (!co_json_member(message.json, "exit", &value) ||
		    !ctr_exit_parse(value, &how) || how.code != 0)
			die("container %d ended with %d", i, how.code);
		(void) close(fds[i]);
	}
	printf("{\"ms\": %.4f}\n", now_ms() - from);
}

static double available_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[256];
	double kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lf", &kb) == 1)
			break;
	if (f)
		(void) fclose(f); /* read only */
	return kb;
}

static void density(int count)
{
	static int fds[COUNT_MAX];
	double before = available_kb(), used;

	for (int i = 0; i < count; i++) {
		fds[i] = create(i);
		ask(fds[i], "start", "");
	}
	used = before - available_kb();
	for (int i = 0; i < count; i++)
		end(fds[i]);
	printf("{\"mib\": %.1f, \"kib_each\": %.1f}\n", used / 1024, used / count);
}

static void kill_all(int count, bool paused)
{
	for (int i = 0; i < count; i++) {
		int fd = create(0);
		double from;

		ask(fd, "attach", "");
		ask(fd, "start", "");
		await(fd, ""); /* its processes are there */
		if (paused)
			ask(fd, "pause", "");
		from = now_ms();
		end(fd);
		times[i] = now_ms() - from;
	}
	printf("{\"ms\": %.4f}\n", loop_median(times, count));
}

/* The program prints that many MiB. */
static void log_rate(int mib)
{
	int fd = create(0);
	double from = now_ms();

	say(fd, "start", "");
	await(fd, "exited");
	from = now_ms() - from;
	(void) close(fd);
	printf("{\"rate\": %.2f}\n", mib * 1.048576 / from * 1e3);
}

int main(int argc, char **argv)
{
	int count = argc == 6 ? atoi(argv[5]) : 0;
	const char *kind = argc == 6 ? argv[4] : "";
	struct co_err err;
	int exe;

	if (count < 1 || count > COUNT_MAX) {
		(void) fputs("usage: bench-ctr CTR ROOT BUNDLES KIND COUNT\n", stderr);
		return 2;
	}
	ctr = argv[1];
	root = argv[2];
	bundles = argv[3];
	if (ctr_seal_open(ctr, &exe, &err) < 0)
		die("%s", err.message);
	(void) snprintf(sealed, sizeof(sealed), "/proc/self/fd/%d", exe);
	if (strcmp(kind, "cycle") == 0)
		cycle(count);
	else if (strcmp(kind, "start") == 0)
		start(count);
	else if (strcmp(kind, "exec") == 0)
		exec(count);
	else if (strcmp(kind, "parallel") == 0)
		parallel(count);
	else if (strcmp(kind, "density") == 0)
		density(count);
	else if (strcmp(kind, "kill") == 0)
		kill_all(count, false);
	else if (strcmp(kind, "kill_paused") == 0)
		kill_all(count, true);
	else if (strcmp(kind, "log") == 0)
		log_rate(count);
	else
		die("no such kind: %s", kind);
	return 0;
}
