/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/sys/rpc through the daemon, by clients that ask one call at a time each.  HOST.
 *
 *	bench-http-rpc METHOD CLIENTS SECONDS SOCKET
 *
 * METHOD: bench.echo, which a child attaches to answer, or another that is there already.
 * Prints {"median_us", "p99_us", "calls"}: the wall clock of one call, and calls a second.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/loop.h"

enum { CLIENTS = 256, SAMPLES = 1 << 22, HEAD = 16, BUFFER = 65536 };
enum { HELLO = 1, REGISTER = 3, REGISTERED = 5, CALL = 6, RESULT = 7, HEARTBEAT = 11 };

static void die(const char *what)
{
	(void) fprintf(stderr, "bench-http-rpc: %s: %s\n", what,
		       errno ? strerror(errno) : "not what was expected");
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("the path of the socket is too long");
	(void) strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
		die(path);
	return fd;
}

static void put(int fd, const void *data, size_t n)
{
	if (write(fd, data, n) != (ssize_t) n)
		die("write");
}

/* ---- the handler: a process of its own ---- */

static size_t frame(char *to, unsigned type, const char *id, const char *text, size_t n)
{
	uint32_t length = (uint32_t) n + HEAD - 4;

	memset(to, 0, HEAD);
	for (unsigned i = 0; i < 4; i++)
		to[i] = (char) (length >> (24 - 8 * i));
	to[4] = (char) type;
	if (id)
		memcpy(to + 8, id, 8);
	memcpy(to + HEAD, text, n);
	return n + HEAD;
}

static size_t length_of(const char *at)
{
	const unsigned char *b = (const unsigned char *) at;

	return ((size_t) b[0] << 24 | (size_t) b[1] << 16 | (size_t) b[2] << 8 | b[3]) +
	       4;
}

/* Answers all calls that are there with one write; how many bytes they were. */
static size_t answer_all(int fd, const char *in, size_t n, int ready)
{
	static char out[BUFFER];
	size_t at = 0, used = 0;

	while (n - at >= HEAD && n - at >= length_of(in + at)) {
		const char *one = in + at;

		if (one[4] == CALL)
			used += frame(out + used, RESULT, one + 8, "{\"id\":123}", 10);
		else if (one[4] == HEARTBEAT)
			used += frame(out + used, HEARTBEAT, one + 8, "", 0);
		else if (one[4] == REGISTERED)
			put(ready, "r", 1);
		at += length_of(one);
	}
	if (used)
		put(fd, out, used);
	return at;
}

static void serve(const char *path, int ready)
{
	static const char upgrade[] =
		"POST /v1/sys/handlers HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: Upgrade\r\n"
		"Upgrade: cloudos-handlers/1\r\n"
		"Content-Length: 0\r\n\r\n";
	static const char names[] = "{\"methods\":[\"bench.echo\"]}";
	static char in[BUFFER];
	char first[256];
	size_t n = 0, used;
	int fd = connect_to(path);
	const char *end;

	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	put(fd, upgrade, sizeof(upgrade) - 1);
	while (!(end = memmem(in, n, "\r\n\r\n", 4))) {
		ssize_t got = read(fd, in + n, sizeof(in) - n);

		if (got <= 0)
			die("the upgrade");
		n += (size_t) got;
	}
	n -= (size_t) (end + 4 - in);
	memmove(in, end + 4, n);
	used = frame(first, HELLO, NULL, "{}", 2);
	used += frame(first + used, REGISTER, NULL, names, sizeof(names) - 1);
	put(fd, first, used);
	for (;;) {
		size_t done = answer_all(fd, in, n, ready);
		ssize_t got;

		n -= done;
		memmove(in, in + done, n);
		got = read(fd, in + n, sizeof(in) - n);
		if (got <= 0)
			exit(0);
		n += (size_t) got;
	}
}

static void start_handler(const char *path)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		die("pipe");
	switch (fork()) {
	case -1:
		die("fork");
		break;
	case 0:
		(void) close(ready[0]);
		serve(path, ready[1]);
		break;
	default:
		(void) close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			die("the handler");
	}
}

/* ---- the clients ---- */

static double samples[SAMPLES];

static int by_number(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct pollfd fds[CLIENTS];
	static double began[CLIENTS];
	static char request[512], reply[BUFFER];
	int clients, n, count = 0;
	double start, end, seconds;

	if (argc != 5 || (clients = atoi(argv[2])) < 1 || clients > CLIENTS) {
		(void) fprintf(stderr,
			       "usage: bench-http-rpc METHOD CLIENTS SECONDS SOCKET\n");
		return 2;
	}
	if (strcmp(argv[1], "bench.echo") == 0)
		start_handler(argv[4]);
	n = snprintf(reply, sizeof(reply),
		     "{\"method\":\"%s\",\"params\":{\"id\":123}}", argv[1]);
	n = snprintf(request, sizeof(request),
		     "POST /v1/sys/rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
		     "application/json\r\nContent-Length: %d\r\n\r\n%s",
		     n, reply);
	start = loop_wall_ns();
	end = start + atof(argv[3]) * 1e9;
	for (int i = 0; i < clients; i++) {
		fds[i] = (struct pollfd){ .fd = connect_to(argv[4]), .events = POLLIN };
		began[i] = loop_wall_ns();
		put(fds[i].fd, request, (size_t) n);
	}
	while (loop_wall_ns() < end && count < SAMPLES - CLIENTS) {
		if (poll(fds, (nfds_t) clients, 5000) <= 0)
			die("no answer");
		for (int i = 0; i < clients; i++) {
			ssize_t got;

			if (!fds[i].revents)
				continue;
			got = read(fds[i].fd, reply, sizeof(reply) - 1);
			errno = 0;
			if (got <= 0 || memcmp(reply, "HTTP/1.1 200", 12) != 0 ||
			    reply[got - 1] != '}')
				die("an answer");
			samples[count++] = loop_wall_ns() - began[i];
			began[i] = loop_wall_ns();
			put(fds[i].fd, request, (size_t) n);
		}
	}
	seconds = (loop_wall_ns() - start) / 1e9;
	qsort(samples, (size_t) count, sizeof(samples[0]), by_number);
	(void) printf("{\"median_us\":%.2f,\"p99_us\":%.2f,\"calls\":%.0f}\n",
		      samples[count / 2] / 1000, samples[count * 99 / 100] / 1000,
		      count / seconds);
	return 0;
}
