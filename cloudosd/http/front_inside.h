/* SPDX-License-Identifier: MIT */
/* What the files of the front share.  HOST, inside only. */
#ifndef CO_HTTP_FRONT_INSIDE_H
#define CO_HTTP_FRONT_INSIDE_H

#include <netinet/in.h>
#include <uv.h>

#include "cloudosd/http/client.h"
#include "cloudosd/http/front.h"
#include "cloudosd/http/front_head.h"
#include "cloudosd/http/wire.h"
#include "cloudosd/service/names.h"

#define FRONT_PLACE 32 /* "127.77.255.255:65535" */

struct front_listener {
	uv_tcp_t tcp;
	struct front *front;
	struct front_room *room; /* of a container, where it listens; NULL: here */
	char service[NAME_WORD];
	struct sockaddr_in address;
	struct front_listener *prev, *next;
};

struct front_room {
	struct front *front;
	char owner[NAME_WORD]; /* the service that its program is */
	struct front_listener *listeners;
};

struct front {
	struct daemon *daemon;
	struct front_listener *listeners;
	struct front_connection *all;
	uv_timer_t sweep;
	bool stopping;
	struct front_numbers numbers;
};

/* Who is being asked. */
enum front_asked { ASKED_NOBODY, ASKED_PROGRAM, ASKED_GATEWAY };

struct front_connection {
	struct http_wire wire;
	struct front *front;
	struct front_connection *prev, *next;
	char service[NAME_WORD], place[FRONT_PLACE], client[INET_ADDRSTRLEN];
	struct co_http_message *message;
	struct co_buf unread; /* came before it could be looked at */
	struct peer_ask *ask; /* until that is known nothing is read */
	bool stranger;        /* not the daemon's own user: has to show the token */
	/* The service whose container it comes from; "": from none */
	char owner[NAME_WORD];

	/* the request */
	bool busy;     /* from its head until it is answered */
	bool complete; /* its body too */
	bool old, is_head, chunked, upgrade;
	bool keep;          /* the connection goes on behind it */
	struct co_buf body; /* as long as it may have to be said to the gateway, too */
	bool kept_body;     /* it is all there */

	/* the answer */
	struct http_exchange *x;
	enum front_asked asked;
	bool continued; /* 100 has been said */
	bool answered;  /* the head has been sent */
	bool out_chunked, holding, held_json, paused;
	struct co_buf held; /* the program's answer: it lacks that */

	/* the connection */
	bool tunnel, working, lingering;
	uint64_t moved_at; /* when something last went on */
	uint64_t began_at; /* the first byte of the head */
	size_t queued;
};

void front_accept(struct front_listener *l);
void front_close(struct front_connection *c);
/* Has it taken too long over something? */
void front_look_at(struct front_connection *c, uint64_t now);
bool front_is_idle(const struct front_connection *c);

#endif
