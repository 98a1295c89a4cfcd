/* SPDX-License-Identifier: MIT */
/* A server on 127.0.0.1 for tests.  HOST. */
#include "tests/unit/loopback.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bound_socket(unsigned int *out_port)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *) &name, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &name, &size), 0);
	*out_port = ntohs(name.sin_port);
	return fd;
}

int loopback_closed_port(unsigned int *out_port)
{
	return bound_socket(out_port);
}

static void hang_up(struct loopback_connection *connection)
{
	connection->server->fake->host.watch_free(connection->watch);
	ck_assert_int_eq(close(connection->fd), 0);
	connection->server = NULL;
}

static void on_request(void *arg)
{
	struct loopback_connection *connection = arg;
	struct loopback *server = connection->server;
	ssize_t n = read(connection->fd, server->request, sizeof(server->request) - 1);

	if (n > 0)
		server->request[n] = 0;
	if (n > 0 && !server->answer)
		return;
	if (n > 0 && *server->answer)
		ck_assert_int_eq(send(connection->fd, server->answer,
				      strlen(server->answer), MSG_NOSIGNAL),
				 (ssize_t) strlen(server->answer));
	hang_up(connection);
}

static void on_connection(void *arg)
{
	struct loopback *server = arg;
	struct loopback_connection *connection = server->connections;

	while (connection->server) {
		connection++;
		ck_assert(connection < server->connections + LOOPBACK_MAX);
	}
	connection->server = server;
	connection->fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(connection->fd, 0);
	server->requests++;
	connection->watch = server->fake->host.watch_new(
		server->fake->host.ctx, connection->fd, false, on_request, connection);
}

void loopback_start(struct loopback *server, struct fake_host *fake, const char *answer)
{
	*server = (struct loopback){ .fake = fake, .answer = answer };
	server->fd = bound_socket(&server->port);
	ck_assert_int_eq(listen(server->fd, LOOPBACK_MAX), 0);
	server->watch = fake->host.watch_new(fake->host.ctx, server->fd, false,
					     on_connection, server);
}

void loopback_stop(struct loopback *server)
{
	for (size_t i = 0; i < LOOPBACK_MAX; i++)
		if (server->connections[i].server)
			hang_up(&server->connections[i]);
	server->fake->host.watch_free(server->watch);
	ck_assert_int_eq(close(server->fd), 0);
}

const char *loopback_url(struct loopback *server, const char *scheme, const char *path)
{
	static char url[256];

	(void) snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, server->port,
			path);
	return url;
}
