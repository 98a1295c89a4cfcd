/* SPDX-License-Identifier: MIT */
/* What the files of the client share.  HOST, inside only. */
#ifndef CO_HTTP_CLIENT_INSIDE_H
#define CO_HTTP_CLIENT_INSIDE_H

#include <netinet/in.h>
#include <sys/un.h>
#include <uthash.h>

#include "cloudosd/http/client.h"
#include "cloudosd/http/wire.h"

#define HTTP_BACKEND_NAME 160

struct backend {
	char name[HTTP_BACKEND_NAME];
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} address;
	struct link *kept; /* the last used first */
	unsigned nkept, links;
	UT_hash_handle hh;
};

struct link {
	struct http_wire wire;
	struct http_client *client;
	struct backend *backend;
	struct http_exchange *x; /* NULL: kept, or closing */
	struct co_http_message *message;
	uv_connect_t connect;
	uint64_t kept_at;
	bool kept, used; /* used: has had an exchange before */
	struct link *prev, *next;
};

struct http_exchange {
	struct http_client *client;
	struct link *link;
	struct http_exchange_spec spec; /* backend and head are not valid any more */
	struct co_buf again;            /* the head, if it may have to be said again */
	uint64_t started, connect_at, answer_at, total_at; /* 0: none */
	uint64_t moved_at;                                 /* it last took bytes */
	uint64_t looked_at;                                /* by the sweep */
	size_t queued;
	uint64_t received; /* of the answer's body */
	unsigned interim;
	bool ended;  /* the request is complete */
	bool begun;  /* bytes of an answer have come */
	bool head;   /* its head has */
	bool tunnel; /* 101 */
	struct http_exchange *prev, *next;
};

struct http_client {
	uv_loop_t *loop;
	uv_timer_t sweep;
	bool sweeping, stopped;
	struct backend *backends;
	struct http_exchange *exchanges;
	int (*inside)(void *arg, const char *name);
	void *inside_arg;
	struct http_client_numbers numbers;
};

/* ---- client_backend.c ---- */

/* Found, or made without a connection. */
int client_backend_get(struct http_client *k, const char *name, struct backend **out,
		       struct co_err *err);
/* Frees one that has no connection. */
void client_backend_drop(struct http_client *k, struct backend *b);
/* Of one that is this process itself: which; NULL: it is somebody else. */
const char *client_backend_inside(const struct backend *b);

#endif
