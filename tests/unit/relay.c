/* SPDX-License-Identifier: MIT */
/* Ports of the loopback that lead to containers.  HOST. */
#include "cloudosd/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/netns.h"
#include "tests/run.h"

enum { WAIT_MS = 30000, LARGE = 8 << 20 };

/* A socket on a free port of 127.0.0.1. */
static int bound(int type, struct sockaddr_in *out)
{
	socklen_t n = sizeof(*out);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	*out = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ck_assert_int_eq(bind(fd, (void *) out, sizeof(*out)), 0);
	ck_assert_int_eq(getsockname(fd, (void *) out, &n), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

static struct sockaddr_in free_port(int type)
{
	struct sockaddr_in a;

	(void) close(bound(type, &a));
	return a;
}

static int connected(int type, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_msg(connect(fd, (const void *) to, sizeof(*to)) == 0, "%s",
		      strerror(errno));
	return fd;
}

static ssize_t take(int fd, void *data, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	return recv(fd, data, n, 0);
}

struct place {
	struct relays *all;
	struct relay *relay;
	struct sockaddr_in at;
	int server;
};

static struct place set_up(int type)
{
	struct place p = { .all = relays_new(), .at = free_port(type) };
	struct relay_spec spec = { .udp = type == SOCK_DGRAM, .from = p.at };
	struct co_err err = { 0 };

	ck_assert_ptr_nonnull(p.all);
	p.server = bound(type, &spec.to);
	ck_assert_msg(relay_open(p.all, &spec, &p.relay, &err) == 0, "%s", err.message);
	return p;
}

static void tear_down(struct place *p)
{
	relay_close(p->all, p->relay);
	relays_free(p->all);
	(void) close(p->server);
}

static void *send_large(void *arg)
{
	int fd = *(int *) arg;
	unsigned char *data = malloc(LARGE);

	for (size_t i = 0; i < LARGE; i++)
		data[i] = (unsigned char) (i * 7 + i / 251);
	for (size_t at = 0; at < LARGE;) {
		ssize_t n = send(fd, data + at, LARGE - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t) n;
	}
	(void) shutdown(fd, SHUT_WR);
	free(data);
	return NULL;
}

START_TEST(what_is_sent_arrives_and_an_end_is_passed_on_alone)
{
	struct place p = set_up(SOCK_STREAM);
	int client = connected(SOCK_STREAM, &p.at), server;
	unsigned char data[65536];
	size_t got = 0, wrong = 0;
	pthread_t sender;
	ssize_t n;

	server = accept(p.server, NULL, NULL);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_large, &client), 0);
	while ((n = take(server, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			wrong += data[i] != (unsigned char) (got * 7 + got / 251);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq((int) n, 0);
	ck_assert_uint_eq(got, LARGE);
	(void) pthread_join(sender, NULL);
	/* it has ended its side only: the answer still comes */
	ck_assert_int_eq(send(server, "answer", 6, 0), 6);
	ck_assert_int_eq((int) take(client, data, sizeof(data)), 6);
	(void) close(server);
	ck_assert_int_eq((int) take(client, data, sizeof(data)), 0);
	(void) close(client);
	tear_down(&p);
}
END_TEST

START_TEST(a_port_in_use_is_refused)
{
	struct place p = set_up(SOCK_STREAM);
	struct relay_spec spec = { .from = p.at, .to = p.at };
	struct relay *other = NULL;
	struct co_err err = { 0 };

	ck_assert_int_eq(relay_open(p.all, &spec, &other, &err), CO_EXISTS);
	ck_assert_ptr_nonnull(strstr(err.message, "in use already"));
	tear_down(&p);
}
END_TEST

START_TEST(closing_frees_the_port_at_once_and_ends_connections)
{
	struct place p = set_up(SOCK_STREAM);
	int client = connected(SOCK_STREAM, &p.at), fd;
	int server = accept(p.server, NULL, NULL), one = 1;
	char c;

	relay_close(p.all, p.relay);
	p.relay = NULL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)),
			 0);
	ck_assert_int_eq(bind(fd, (void *) &p.at, sizeof(p.at)), 0);
	ck_assert_int_le((int) take(client, &c, 1), 0);
	(void) close(fd);
	(void) close(client);
	(void) close(server);
	tear_down(&p);
}
END_TEST

START_TEST(a_container_that_does_not_listen_is_an_end_for_the_client)
{
	struct place p = set_up(SOCK_STREAM);
	int client;
	char c;

	(void) close(p.server);
	p.server = -1;
	client = connected(SOCK_STREAM, &p.at);
	ck_assert_int_le((int) take(client, &c, 1), 0);
	(void) close(client);
	tear_down(&p);
}
END_TEST

/* The listening thread comes and goes with the relays. */
START_TEST(relays_come_and_go)
{
	struct relays *all = relays_new();
	struct sockaddr_in to;
	int server = bound(SOCK_STREAM, &to);

	for (int i = 0; i < 50; i++) {
		struct relay_spec spec = { .from = free_port(SOCK_STREAM), .to = to };
		struct relay *relay = NULL;
		struct co_err err = { 0 };
		int client, far;
		char c = 0;

		ck_assert_msg(relay_open(all, &spec, &relay, &err) == 0, "%s",
			      err.message);
		client = connected(SOCK_STREAM, &spec.from);
		far = accept(server, NULL, NULL);
		ck_assert_int_eq(send(far, "x", 1, 0), 1);
		ck_assert_int_eq((int) take(client, &c, 1), 1);
		ck_assert_int_eq(c, 'x');
		(void) close(client);
		(void) close(far);
		relay_close(all, relay);
	}
	relays_free(all);
	(void) close(server);
}
END_TEST

START_TEST(each_client_of_udp_gets_its_own_answers)
{
	struct place p = set_up(SOCK_DGRAM);
	int clients[3];

	for (size_t i = 0; i < 3; i++) {
		clients[i] = connected(SOCK_DGRAM, &p.at);
		ck_assert_int_eq(send(clients[i], &"abc"[i], 1, 0), 1);
	}
	for (size_t i = 0; i < 3; i++) {
		struct sockaddr_in from;
		socklen_t n = sizeof(from);
		struct pollfd w = { .fd = p.server, .events = POLLIN };
		char text[2] = { 0, '!' };

		ck_assert_int_eq(poll(&w, 1, WAIT_MS), 1);
		ck_assert_int_eq(recvfrom(p.server, text, 1, 0, (void *) &from, &n), 1);
		ck_assert_int_eq(sendto(p.server, text, 2, 0, (void *) &from, n), 2);
	}
	for (size_t i = 0; i < 3; i++) {
		char text[3] = "";

		ck_assert_int_eq((int) take(clients[i], text, 2), 2);
		ck_assert_int_eq(text[0], "abc"[i]);
		ck_assert_int_eq(text[1], '!');
		(void) close(clients[i]);
	}
	tear_down(&p);
}
END_TEST

/* ---- another network name space ---- */

static void echo(int type, int fd)
{
	char byte;

	for (;;) {
		struct sockaddr_in from;
		socklen_t n = sizeof(from);
		int client = type == SOCK_STREAM ? accept(fd, NULL, NULL) : -1;

		if (type == SOCK_DGRAM &&
		    recvfrom(fd, &byte, 1, 0, (void *) &from, &n) == 1)
			(void) sendto(fd, &byte, 1, 0, (void *) &from, n);
		if (client >= 0 && recv(client, &byte, 1, 0) == 1)
			(void) send(client, &byte, 1, MSG_NOSIGNAL);
		if (client >= 0)
			(void) close(client);
	}
}

/* In a child: a port there that says back what it is told; its number goes to `to`. */
static _Noreturn void live_elsewhere(int type, int to)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in at;
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		_exit(1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		_exit(1);
	fd = bound(type, &at);
	if (write(to, &at, sizeof(at)) == (ssize_t) sizeof(at))
		echo(type, fd);
	_exit(1);
}

struct elsewhere {
	struct relays *all;
	struct relay *relay;
	struct sockaddr_in at;
	pid_t pid;
};

/* false: no such name space can be had here. */
static bool set_up_elsewhere(struct elsewhere *e, int type)
{
	struct relay_spec spec = { .udp = type == SOCK_DGRAM, .inside = true };
	struct co_err err = { 0 };
	int ends[2];
	bool there;

	ck_assert_int_eq(pipe(ends), 0);
	e->pid = fork();
	if (e->pid == 0)
		live_elsewhere(type, ends[1]);
	(void) close(ends[1]);
	there = read(ends[0], &spec.to, sizeof(spec.to)) == (ssize_t) sizeof(spec.to);
	(void) close(ends[0]);
	if (!there) {
		(void) printf("skipped: no other network name space can be had\n");
		(void) waitpid(e->pid, NULL, 0);
		return false;
	}
	e->all = relays_new();
	e->at = spec.from = free_port(type);
	ck_assert_msg(relay_open(e->all, &spec, &e->relay, &err) == 0, "%s",
		      err.message);
	return true;
}

static void enter(struct elsewhere *e)
{
	struct netns ns = NETNS_NONE;
	struct co_err err = { 0 };

	ck_assert_msg(netns_of(e->pid, &ns, &err) == 0, "%s", err.message);
	ck_assert_int_ge(ns.net, 0);
	relay_enter(e->all, e->relay, &ns);
	netns_close(&ns);
}

static void tear_down_elsewhere(struct elsewhere *e)
{
	relay_close(e->all, e->relay);
	relays_free(e->all);
	(void) kill(e->pid, SIGKILL); /* our child */
	(void) waitpid(e->pid, NULL, 0);
}

enum { CLIENTS = 40 };

static void tell_all(const struct elsewhere *e, int type, int clients[CLIENTS])
{
	for (size_t i = 0; i < CLIENTS; i++) {
		clients[i] = connected(type, &e->at);
		ck_assert_int_eq(send(clients[i], &(char){ (char) i }, 1, 0), 1);
	}
}

static void hear_all(int clients[CLIENTS])
{
	for (size_t i = 0; i < CLIENTS; i++) {
		char byte = -1;

		ck_assert_int_eq((int) take(clients[i], &byte, 1), 1);
		ck_assert_int_eq(byte, (int) i);
		(void) close(clients[i]);
	}
}

START_TEST(who_comes_before_it_is_known_where_to_waits_and_all_get_through)
{
	struct elsewhere e;
	int clients[CLIENTS];
	struct pollfd w = { .events = POLLIN };

	if (!set_up_elsewhere(&e, SOCK_STREAM))
		return;
	tell_all(&e, SOCK_STREAM, clients);
	w.fd = clients[0];
	ck_assert_int_eq(poll(&w, 1, 50), 0);
	enter(&e);
	hear_all(clients);
	tear_down_elsewhere(&e);
}
END_TEST

START_TEST(datagrams_reach_another_network_too)
{
	struct elsewhere e;
	int clients[CLIENTS];

	if (!set_up_elsewhere(&e, SOCK_DGRAM))
		return;
	tell_all(&e, SOCK_DGRAM, clients);
	enter(&e);
	hear_all(clients);
	tear_down_elsewhere(&e);
}
END_TEST

START_TEST(where_nobody_ever_will_be_is_an_end_for_the_client)
{
	struct elsewhere e;
	char byte;
	int client;

	if (!set_up_elsewhere(&e, SOCK_STREAM))
		return;
	client = connected(SOCK_STREAM, &e.at);
	relay_enter(e.all, e.relay, NULL);
	ck_assert_int_le((int) take(client, &byte, 1), 0);
	(void) close(client);
	tear_down_elsewhere(&e);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("relay");

	tcase_add_test(tcase, what_is_sent_arrives_and_an_end_is_passed_on_alone);
	tcase_add_test(tcase, a_port_in_use_is_refused);
	tcase_add_test(tcase, closing_frees_the_port_at_once_and_ends_connections);
	tcase_add_test(tcase,
		       a_container_that_does_not_listen_is_an_end_for_the_client);
	tcase_add_test(tcase, relays_come_and_go);
	tcase_add_test(tcase, each_client_of_udp_gets_its_own_answers);
	tcase_add_test(tcase,
		       who_comes_before_it_is_known_where_to_waits_and_all_get_through);
	tcase_add_test(tcase, datagrams_reach_another_network_too);
	tcase_add_test(tcase, where_nobody_ever_will_be_is_an_end_for_the_client);
	return run_tests(tcase);
}
