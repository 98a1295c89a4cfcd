/* SPDX-License-Identifier: MIT */
/* Sockets for the guest tests of CloudOS: something that listens, or does not. */
#ifndef TESTS_GUEST_NET_H
#define TESTS_GUEST_NET_H

#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

/* Listens on a free port of 127.0.0.1. */
__attribute__((unused)) static int listen_somewhere(uint32_t *out_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
	    listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *) &address, &size) < 0)
		die("cannot listen on 127.0.0.1");
	*out_port = ntohs(address.sin_port);
	return fd;
}

/* A port on which nothing listens: it is bound, by a socket that stays open. */
__attribute__((unused)) static uint32_t silent_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *) &address, &size) < 0)
		die("cannot bind on 127.0.0.1");
	return ntohs(address.sin_port);
}

/* A service like a_service, with that health check; the format takes the port. */
__attribute__((format(printf, 2, 0), unused)) static service_registration_t
a_checked_service(const char *name, const char *format, uint32_t port)
{
	service_registration_t r = a_service(name);

	r.port = port;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* The formats of the tests fit. */
	(void) snprintf(r.health_check, sizeof(r.health_check), format, port);
#pragma GCC diagnostic pop
	return r;
}

/* An HTTP server in a thread of its own that gives every request the same answer. */
struct http_server {
	int fd;
	uint32_t port;
	const char *answer;
	pthread_t thread;
};

__attribute__((unused)) static void *http_serve(void *arg)
{
	struct http_server *server = arg;
	char request[2048];

	for (;;) {
		int fd = accept(server->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		if (read(fd, request, sizeof(request)) > 0 &&
		    write(fd, server->answer, strlen(server->answer)) < 0)
			printf("# the checker did not wait for its answer\n");
		close(fd);
	}
}

__attribute__((unused)) static void http_start(struct http_server *server,
					       const char *answer)
{
	server->answer = answer;
	server->fd = listen_somewhere(&server->port);
	if (pthread_create(&server->thread, NULL, http_serve, server) != 0)
		die("no thread");
}

__attribute__((unused)) static void http_stop(struct http_server *server)
{
	shutdown(server->fd, SHUT_RDWR); /* wakes accept */
	pthread_join(server->thread, NULL);
	close(server->fd);
}

/* The health that sys_cloud_discover_service tells of the first instance; waits until it
 * is not SERVICE_HEALTH_CHECKING. */
__attribute__((unused)) static uint32_t settled_health(const char *name)
{
	service_info_t info = { .size = sizeof(info) };
	uint64_t deadline = now_ms() + PATIENCE_MS;

	for (;;) {
		if (cloudos_sys_cloud_discover_service(name, &info) < 0 ||
		    info.listed < 1)
			return 99;
		if (info.list[0].health != SERVICE_HEALTH_CHECKING ||
		    now_ms() > deadline)
			return info.list[0].health;
		breathe();
	}
}

#endif
