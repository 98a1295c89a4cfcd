/* SPDX-License-Identifier: MIT */
/* What the files of cloudosd/http share.  HOST, inside only. */
#ifndef CO_HTTP_INSIDE_H
#define CO_HTTP_INSIDE_H

#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

#include "cloudosd/http/server.h"
#include "lib/http_message.h"
#include "lib/uri.h"

#define HTTP_DRAIN_MS  10000
#define HTTP_LINGER_MS 2000
#define HTTP_SERVICE   64 /* bytes of a service's name with its NUL */
#define HTTP_TOKEN     65

struct connection;

/* What a connection waits for; for each a list, and a time that it may take. */
enum wait {
	WAIT_IDLE,
	WAIT_HEAD,
	WAIT_BODY,
	WAIT_WRITE,
	WAIT_LINGER,
	WAITS,
	WAIT_NONE
};

struct http_listener {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct http_server *server;
	struct http_listener *prev, *next;
	bool unix_, local;
};

/* Bytes to be sent, in the order of their answers. */
struct segment {
	struct segment *next;
	struct co_buf bytes;
	size_t sent;
};

struct scratch {
	struct scratch *next;
	char bytes[];
};

/* A request from its first byte until it is answered. */
struct http_call {
	struct connection *connection;
	struct co_http_message *message;
	struct co_buf body;
	struct co_buf fields; /* of the answer */
	struct co_uri uri;
	struct co_span path; /* decoded */
	struct scratch *scratch;
	void (*cancel)(struct http_call *call, void *arg);
	void *cancel_arg;
	void (*answered)(void *arg, int status, struct co_span body);
	void *answered_arg;
	char service[HTTP_SERVICE], caller[HTTP_SERVICE];
	bool head;       /* HEAD: no body */
	bool dispatched; /* is with its handler */
	bool pending;
	struct http_call *next; /* in the pool */
};

struct http_stream {
	struct connection *connection;
	void (*data)(void *arg, const char *bytes, size_t n); /* upgraded */
	void (*closed)(void *arg);
	void (*room)(void *arg);
	void *arg;
	bool chunked, ended, full;
};

struct connection {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct http_server *server;
	struct connection *prev, *next;         /* in the list of what it waits for */
	struct connection *all_prev, *all_next; /* of all */
	struct connection *dirty_prev, *dirty_next; /* something to do on the loop */
	struct http_call *call;                     /* NULL: idle or streaming */
	struct http_stream *stream;
	struct segment *out, *out_last; /* not being written yet */
	size_t in_flight;               /* bytes that are being written */
	struct co_buf unread;           /* came while a request was being answered */
	uint64_t deadline, began;
	int32_t peer_pid;
	uint32_t peer_uid;
	uint16_t requests;
	enum wait wait;
	bool unix_, local;
	bool dirty, writing, reading;
	bool trusted;         /* it is our user, and in no container */
	struct peer_ask *ask; /* until that is known nothing is read */
	bool early;           /* has asked before the stop, and was not read yet */
	bool token;           /* has shown the token */
	bool broken;          /* there was no memory for an answer */
	bool last;            /* nothing is read behind this request */
	bool finishing;       /* closes when all is sent */
	bool lingering;       /* all is sent, waiting for the other side to close */
	bool ended;           /* the other side sends nothing more */
	bool closing;
	const char *service; /* whose front passed it on; NULL: as the request says */
	bool passed;         /* by the front, which has asked who it is */
	char passed_for[HTTP_SERVICE];
	char owner[HTTP_SERVICE]; /* the service whose container asks; "": none */
};

struct http_server {
	struct daemon *daemon;
	const struct co_services *services;
	void (*handler)(struct http_call *call);
	uv_async_t wake;
	uv_timer_t sweep;
	bool sweeping, busy_flushing;
	struct http_listener *listeners;
	struct connection *all, *dirty;
	struct connection *waiting[WAITS];
	struct http_call *pool;
	struct segment *spare; /* one */
	struct co_buf sink;    /* for what there is no memory for */
	unsigned pooled;
	struct http_numbers numbers;
	unsigned calls_pending;
	uint64_t used_ms;
	struct co_http_limits limits;
	uint64_t date_at_ms;
	char date[64];
	char url[96], unix_path[4096 + 16];
	char token[HTTP_TOKEN];
	struct sockaddr_storage address; /* of the configured listener */
	bool stopping;
	uv_timer_t drain;
	void (*stopped)(void *arg);
	void *stopped_arg;
	char input[65536];
};

/* ---- server.c ---- */

uint64_t http_now(const struct http_server *s);
void http_wait(struct connection *c, enum wait wait);
const char *http_date(struct http_server *s);
void http_drained(struct http_server *s);

/* ---- listen.c ---- */

int listen_all(struct http_server *s, struct co_err *err);
void listen_stop(struct http_server *s);

/* ---- connection.c ---- */

void connection_accept(struct http_listener *l);
/* Goes on with what has been read, when what was in its way is gone. */
void connection_resume(struct connection *c);
/* Ends it now; a call is cancelled, a stream is told. */
void connection_close(struct connection *c);
/* The call is answered: the connection goes on, or ends when all is sent. */
void call_over(struct http_call *call);

/* ---- output.c ---- */

/* Where the next bytes go.  Without memory for them the connection ends. */
struct co_buf *output(struct connection *c);
/* What has been given and not been sent. */
size_t output_size(const struct connection *c);
/* A body, taken. */
void output_body(struct connection *c, struct co_buf *body);
/* It has something to send or to do: soon, on the loop. */
void output_later(struct connection *c);
/* Sends what there is and goes on, for all connections that have something to do. */
void output_flush(struct http_server *s);
void output_drop(struct connection *c);

/* ---- answer.c ---- */

void answer_head(struct http_call *call, int status, const char *type);
/* The answer to what is no request: and then the connection ends. */
void answer_fault(struct http_call *call, int status, const char *code,
		  const char *what);
/* Who wants to know the answer does. */
void call_answered(struct http_call *call, int status, struct co_span body);
char *call_scratch(struct http_call *call, size_t n);

/* ---- stream.c ---- */

void stream_input(struct http_stream *s, const char *data, size_t n);
/* The connection has ended. */
void stream_closed(struct connection *c);
void stream_emptied(struct connection *c);

/* ---- access.c ---- */

int access_new(struct http_server *s, struct co_err *err);
/* 0; otherwise it is refused, and fault says how. */
int access_check(struct http_call *call, struct co_http_fault *fault);

#endif
