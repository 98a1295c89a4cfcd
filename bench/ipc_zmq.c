/* SPDX-License-Identifier: MIT */
/* HOST.  ZeroMQ: a request and its reply over its ipc transport. */
#include "ipc.h"

#include <stdio.h>
#include <unistd.h>

enum { REQ = 3, REP = 4 }; /* zmq.h */

static void *(*ctx_new)(void);
static void *(*new_socket)(void *context, int type);
static int (*bind_to)(void *socket, const char *address);
static int (*connect_to)(void *socket, const char *address);
static int (*send_bytes)(void *socket, const void *bytes, size_t size, int flags);
static int (*receive_bytes)(void *socket, void *bytes, size_t size, int flags);
static char address[64];
static void *client;

#define FIND(function, name) (*(void **) &(function) = library_function(library, name))

void zmq_prepare(void)
{
	void *library = library_open("libzmq.so.5", "libzmq5");

	FIND(ctx_new, "zmq_ctx_new");
	FIND(new_socket, "zmq_socket");
	FIND(bind_to, "zmq_bind");
	FIND(connect_to, "zmq_connect");
	FIND(send_bytes, "zmq_send");
	FIND(receive_bytes, "zmq_recv");
	(void) snprintf(address, sizeof(address), "ipc://@bench-ipc-%ld",
			(long) getpid()); /* an abstract name: it fits */
}

static void *open_socket(int type, int (*attach)(void *, const char *))
{
	void *socket = new_socket(ctx_new(), type);

	if (!socket || attach(socket, address) != 0)
		die("ZeroMQ");
	return socket;
}

static void receive(void *socket, size_t size)
{
	if (receive_bytes(socket, buffer, sizeof(buffer), 0) != (int) size)
		die("zmq_recv");
}

static void transmit(void *socket, size_t size)
{
	touch(size);
	if (send_bytes(socket, buffer, size, 0) != (int) size)
		die("zmq_send");
}

void zmq_serve(size_t size)
{
	void *socket = open_socket(REP, bind_to);

	for (;;) {
		receive(socket, size);
		transmit(socket, size);
	}
}

void zmq_begin(void)
{
	client = open_socket(REQ, connect_to); /* it tries until somebody is there */
}

void zmq_call(size_t size)
{
	transmit(client, size);
	receive(client, size);
}
