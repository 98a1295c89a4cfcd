/* SPDX-License-Identifier: MIT */
/*
 * bench-sse PORT CLIENTS EVENTS AT_ONCE: so many clients follow GET /v1/sys/events, one
 * emits events with POST /v1/sys/event, some at a time.  HOST.  Prints as JSON how many deliveries
 * were made in a second, from the first event to the last delivery.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ = 65536, LIMIT_MS = 60000 };

static const char mark[] = "data: "; /* once in a frame, nowhere else */

struct client {
	int fd;
	unsigned matched; /* bytes of the mark that the last read ended with */
	uint64_t frames;
};

static uint16_t port;

static _Noreturn void die(const char *what)
{
	(void) fprintf(stderr, "bench-sse: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

static int dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
		die("cannot connect");
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void say(int fd, const char *text, size_t n)
{
	if (write(fd, text, n) != (ssize_t) n)
		die("cannot write");
}

static uint64_t count(struct client *c, const char *data, size_t n)
{
	uint64_t found = 0;

	for (size_t i = 0; i < n; i++) {
		if (data[i] != mark[c->matched])
			c->matched = 0;
		if (data[i] == mark[c->matched])
			c->matched++;
		if (c->matched == sizeof(mark) - 1) {
			c->matched = 0;
			found++;
		}
	}
	return found;
}

static void follow(struct client *c, int set)
{
	static const char request[] =
		"GET /v1/sys/events?event=bench HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	char reply[4096];

	c->fd = dial();
	say(c->fd, request, sizeof(request) - 1);
	if (read(c->fd, reply, sizeof(reply)) < 12 || memcmp(reply + 9, "200", 3) != 0)
		die("no stream");
	(void) fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("cannot watch");
}

/* Emits n events; returns when they are acknowledged. */
static void emit(int fd, unsigned n)
{
	static const char body[] = "{\"event\":\"bench\",\"data\":{\"userId\":123,"
				   "\"email\":\"user@example.com\"}}";
	char text[READ], reply[READ];
	unsigned acknowledged = 0;
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += (size_t) snprintf(text + size, sizeof(text) - size,
					  "POST /v1/sys/event HTTP/1.1\r\nHost: "
					  "localhost\r\nContent-Length: %zu\r\n\r\n%s",
					  sizeof(body) - 1, body);
	say(fd, text, size);
	while (acknowledged < n) {
		ssize_t got = read(fd, reply, sizeof(reply) - 1);

		if (got <= 0)
			die("no answer");
		reply[got] = '\0';
		for (const char *p = reply; (p = strstr(p, "\"timestamp\"")); p++)
			acknowledged++;
	}
}

static uint64_t receive(int set, uint64_t want, uint64_t so_far)
{
	static char data[READ];
	struct epoll_event events[256];
	uint64_t until = now_ns() + (uint64_t) LIMIT_MS * 1000000;

	while (so_far < want) {
		int n = epoll_wait(set, events, 256, 1000);

		if (now_ns() > until)
			die("deliveries are missing");
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			ssize_t got = read(c->fd, data, sizeof(data));

			if (got == 0)
				die("a stream has ended");
			if (got > 0)
				so_far += count(c, data, (size_t) got);
		}
	}
	return so_far;
}

int main(int argc, char **argv)
{
	unsigned clients = argc == 5 ? (unsigned) atoi(argv[2]) : 0;
	unsigned events = argc == 5 ? (unsigned) atoi(argv[3]) : 0;
	unsigned at_once = argc == 5 ? (unsigned) atoi(argv[4]) : 0;
	struct client *all = calloc(clients + 1, sizeof(*all));
	int set = epoll_create1(EPOLL_CLOEXEC), fd;
	uint64_t begun, took, got = 0;

	if (!all || !clients || !events || !at_once || at_once > 100) {
		(void) fprintf(stderr,
			       "usage: bench-sse PORT CLIENTS EVENTS AT_ONCE\n");
		return 2;
	}
	port = (uint16_t) atoi(argv[1]);
	for (unsigned i = 0; i < clients; i++)
		follow(&all[i], set);
	fd = dial();
	emit(fd, 1); /* everybody is there */
	got = receive(set, clients, 0);
	begun = now_ns();
	for (unsigned left = events; left;) {
		unsigned n = left < at_once ? left : at_once;

		emit(fd, n);
		left -= n;
		got = receive(set, (uint64_t) clients * (events - left + 1), got);
	}
	took = now_ns() - begun;
	(void) printf("{\"deliveries\": %llu, \"seconds\": %.6f}\n",
		      (unsigned long long) clients * events, (double) took / 1e9);
	return 0;
}
