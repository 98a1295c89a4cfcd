/* SPDX-License-Identifier: MIT */
/* The HTTP client in a real loop, against a server that does what it is told.  HOST. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/http/client.h"
#include "cloudosd/http/outgoing.h"
#include "cloudosd/loop.h"
#include "lib/buf.h"
#include "tests/run.h"

/* ---- a server: one step after the other, in a thread ---- */

enum step { ACCEPT, READ_HEAD, READ_BODY, SAY, CLOSE, WAIT_EOF };

struct script {
	enum step step;
	const char *text;
};

static struct {
	int listener, connection;
	char backend[64];
	const struct script *script;
	size_t steps;
	unsigned accepted, heads;
	bool saw_eof;
	struct co_buf heard;
	pthread_t thread;
} server;

static bool heard_all(enum step step, const char *text)
{
	const char *heard = server.heard.data ? server.heard.data : "";

	return step == READ_HEAD ? strstr(heard, "\r\n\r\n") != NULL
				 : strstr(heard, text) != NULL;
}

static void take_until(enum step step, const char *text)
{
	char bytes[4096];
	ssize_t n;

	while (!heard_all(step, text)) {
		n = read(server.connection, bytes, sizeof(bytes));
		if (n <= 0)
			return;
		co_buf_add(&server.heard, bytes, (size_t) n);
	}
	if (step == READ_HEAD)
		server.heads++;
}

static void do_step(const struct script *s)
{
	char byte;

	switch (s->step) {
	case ACCEPT:
		server.connection = accept(server.listener, NULL, NULL);
		server.accepted++;
		break;
	case READ_HEAD:
	case READ_BODY:
		take_until(s->step, s->text);
		break;
	case SAY:
		co_buf_done(&server.heard);
		if (send(server.connection, s->text, strlen(s->text), MSG_NOSIGNAL) < 0)
			perror("send");
		break;
	case CLOSE:
		(void) close(server.connection);
		co_buf_done(&server.heard);
		break;
	case WAIT_EOF:
		while (read(server.connection, &byte, 1) > 0)
			;
		server.saw_eof = true;
		break;
	}
}

static void *serve(void *arg)
{
	(void) arg;
	for (size_t i = 0; i < server.steps; i++)
		do_step(&server.script[i]);
	return NULL;
}

static void server_listen(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
		bind(server.listener, (struct sockaddr *) &address, sizeof(address)),
		0);
	ck_assert_int_eq(listen(server.listener, 16), 0);
	ck_assert_int_eq(
		getsockname(server.listener, (struct sockaddr *) &address, &size), 0);
	(void) snprintf(server.backend, sizeof(server.backend), "127.0.0.1:%u",
			(unsigned) ntohs(address.sin_port));
}

#define server_start(list)                                                             \
	do {                                                                           \
		server_listen();                                                       \
		server.script = list;                                                  \
		server.steps = sizeof(list) / sizeof(list[0]);                         \
		ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL),    \
				 0);                                                   \
	} while (0)

/* ---- one exchange and what came of it ---- */

struct seen {
	unsigned heads, interim, done, failed;
	int status, error;
	bool connected, maybe;
	char reason[256];
	struct co_buf body;
	struct http_exchange *x;
	void (*on_head)(struct seen *seen);
};

static uv_loop_t loop;
static struct http_client *client;

static void on_head(void *arg, const struct co_http_head *head)
{
	struct seen *seen = arg;

	if (head->status < 200 && head->status != 101) {
		seen->interim++;
		return;
	}
	seen->heads++;
	seen->status = head->status;
	if (seen->on_head)
		seen->on_head(seen);
}

static void on_body(void *arg, const char *data, size_t n)
{
	co_buf_add(&((struct seen *) arg)->body, data, n);
}

static void on_room(void *arg)
{
	(void) arg;
}

static void on_done(void *arg)
{
	((struct seen *) arg)->done++;
}

static void on_failed(void *arg, const struct http_failure *failure)
{
	struct seen *seen = arg;

	seen->failed++;
	seen->error = failure->error;
	seen->connected = failure->connected;
	seen->maybe = failure->maybe;
	(void) snprintf(seen->reason, sizeof(seen->reason), "%s", failure->reason);
}

static const struct http_exchange_events events = { .head = on_head,
						    .body = on_body,
						    .room = on_room,
						    .done = on_done,
						    .failed = on_failed };

static void loop_setup(void)
{
	memset(&server, 0, sizeof(server));
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	client = http_client_new(&loop);
	ck_assert_ptr_nonnull(client);
}

static struct http_exchange_spec get(struct seen *seen)
{
	return (struct http_exchange_spec){
		.backend = server.backend,
		.head = co_span("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		.again = true,
		.connect_ms = 20000,
		.total_ms = 20000,
		.max_body = 1 << 20,
		.events = &events,
		.arg = seen
	};
}

static struct http_exchange_spec post(struct seen *seen)
{
	struct http_exchange_spec spec = get(seen);

	spec.head = co_span("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
	spec.again = false;
	spec.peek = true;
	return spec;
}

static void begin(const struct http_exchange_spec *spec, struct seen *seen,
		  const char *body)
{
	struct co_err err = { 0 };

	core_lock();
	ck_assert_msg(http_exchange_begin(client, spec, &seen->x, &err) == 0, "%s",
		      err.message);
	http_exchange_write(seen->x, body, strlen(body));
	http_exchange_end(seen->x);
	http_exchange_flush(seen->x);
	core_unlock();
}

static void run_until(const unsigned *a, const unsigned *b)
{
	while (!*a && !*b)
		(void) uv_run(&loop, UV_RUN_ONCE);
}

static void ask(const struct http_exchange_spec *spec, struct seen *seen,
		const char *body)
{
	begin(spec, seen, body);
	run_until(&seen->done, &seen->failed);
}

static void finish(void)
{
	core_lock();
	http_client_stop(client);
	core_unlock();
	(void) uv_run(&loop, UV_RUN_DEFAULT);
	client = http_client_free(client);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	(void) pthread_join(server.thread, NULL);
	co_buf_done(&server.heard);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* ---- tests ---- */

START_TEST(a_connection_is_kept_for_the_next_request)
{
	static const struct script script[] = { { ACCEPT, 0 }, { READ_HEAD, 0 },
						{ SAY, OK },   { READ_HEAD, 0 },
						{ SAY, OK },   { WAIT_EOF, 0 },
						{ CLOSE, 0 } };
	struct seen a = { 0 }, b = { 0 };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	spec = post(&b);
	spec.head = co_span("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	ask(&spec, &b, "");
	ck_assert_uint_eq(a.done, 1);
	ck_assert_uint_eq(b.done, 1);
	ck_assert_str_eq(a.body.data, "hello");
	ck_assert_str_eq(b.body.data, "hello");
	ck_assert_uint_eq(server.accepted, 1);
	ck_assert_uint_eq(http_client_numbers(client).kept, 1);
	finish();
	ck_assert(server.saw_eof);
	co_buf_done(&a.body);
	co_buf_done(&b.body);
}
END_TEST

START_TEST(a_get_on_a_connection_that_died_is_said_again_once)
{
	static const struct script script[] = { { ACCEPT, 0 },    { READ_HEAD, 0 },
						{ SAY, OK },      { READ_HEAD, 0 },
						{ CLOSE, 0 },     { ACCEPT, 0 },
						{ READ_HEAD, 0 }, { SAY, OK },
						{ WAIT_EOF, 0 },  { CLOSE, 0 } };
	struct seen a = { 0 }, b = { 0 };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	spec = get(&b);
	ask(&spec, &b, "");
	ck_assert_uint_eq(b.done, 1);
	ck_assert_str_eq(b.body.data, "hello");
	ck_assert_uint_eq(server.accepted, 2);
	ck_assert_uint_eq(http_client_numbers(client).retries, 1);
	finish();
	co_buf_done(&a.body);
	co_buf_done(&b.body);
}
END_TEST

START_TEST(a_post_is_never_said_twice)
{
	static const struct script script[] = { { ACCEPT, 0 },
						{ READ_HEAD, 0 },
						{ SAY, OK },
						{ READ_BODY, "12345" },
						{ CLOSE, 0 } };
	struct seen a = { 0 }, b = { 0 };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	spec = post(&b);
	ask(&spec, &b, "12345");
	ck_assert_uint_eq(b.failed, 1);
	ck_assert_int_eq(b.error, CO_GONE);
	ck_assert(b.maybe);
	ck_assert_uint_eq(server.accepted, 1);
	finish();
	co_buf_done(&a.body);
}
END_TEST

START_TEST(an_answer_in_chunks_and_interim_ones)
{
	static const struct script script[] = {
		{ ACCEPT, 0 },
		{ READ_HEAD, 0 },
		{ SAY, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" },
		{ SAY,
		  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" },
		{ SAY, "2\r\nde\r\n0\r\n\r\n" },
		{ WAIT_EOF, 0 },
		{ CLOSE, 0 }
	};
	struct seen a = { 0 };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	ck_assert_uint_eq(a.done, 1);
	ck_assert_uint_eq(a.interim, 1);
	ck_assert_str_eq(a.body.data, "abcde");
	ck_assert_uint_eq(http_client_numbers(client).kept, 1);
	finish();
	co_buf_done(&a.body);
}
END_TEST

START_TEST(an_answer_before_the_request_has_ended_ends_the_connection)
{
	static const struct script script[] = {
		{ ACCEPT, 0 },
		{ READ_HEAD, 0 },
		{ SAY, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n" },
		{ WAIT_EOF, 0 },
		{ CLOSE, 0 }
	};
	struct seen a = { 0 };
	struct http_exchange_spec spec;
	struct co_err err;

	server_start(script);
	spec = post(&a);
	core_lock();
	ck_assert_int_eq(http_exchange_begin(client, &spec, &a.x, &err), 0);
	http_exchange_flush(a.x);
	core_unlock();
	run_until(&a.done, &a.failed);
	ck_assert_uint_eq(a.done, 1);
	ck_assert_int_eq(a.status, 413);
	ck_assert_uint_eq(http_client_numbers(client).kept, 0);
	finish();
	ck_assert(server.saw_eof);
}
END_TEST

static const struct {
	const char *says;
	int error;
} enemies[] = {
	{ "SSH-2.0-OpenSSH\r\n\r\n", CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	  CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	  CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", CO_GONE },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CO_GONE },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
	  CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Le", CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\nContent-Length: 0\n\n", CO_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", CO_TOO_BIG },
	{ "", CO_GONE },
};

START_TEST(a_backend_that_answers_garbage_is_told_by_its_kind)
{
	static struct script script[] = {
		{ ACCEPT, 0 }, { READ_HEAD, 0 }, { SAY, NULL }, { CLOSE, 0 }
	};
	struct seen a = { 0 };
	struct http_exchange_spec spec;

	script[2].text = enemies[_i].says;
	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	ck_assert_uint_eq(a.failed, 1);
	ck_assert_msg(a.error == enemies[_i].error, "%d: %s", a.error, a.reason);
	ck_assert_uint_eq(a.done, 0);
	finish();
	co_buf_done(&a.body);
}
END_TEST

START_TEST(a_head_without_end_is_refused_at_its_limit)
{
	static struct script script[] = {
		{ ACCEPT, 0 }, { READ_HEAD, 0 }, { SAY, NULL }, { CLOSE, 0 }
	};
	autobuf struct co_buf says = { 0 };
	struct seen a = { 0 };
	struct http_exchange_spec spec;

	co_buf_text(&says, "HTTP/1.1 200 OK\r\n");
	for (unsigned i = 0; i < 100000; i++)
		co_buf_text(&says, "X-More: and more\r\n");
	script[2].text = says.data;
	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	ck_assert_int_eq(a.error, CO_PROTOCOL);
	finish();
}
END_TEST

START_TEST(nobody_listening_means_that_nobody_has_seen_it)
{
	struct seen a = { 0 };
	struct http_exchange_spec spec;

	server_listen();
	(void) close(server.listener);
	spec = get(&a);
	ask(&spec, &a, "");
	ck_assert_int_eq(a.error, CO_GONE);
	ck_assert(!a.connected && !a.maybe);
	core_lock();
	http_client_stop(client);
	core_unlock();
	(void) uv_run(&loop, UV_RUN_DEFAULT);
	client = http_client_free(client);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(silence_ends_at_the_deadline_and_closes_the_connection)
{
	static const struct script script[] = {
		{ ACCEPT, 0 }, { READ_HEAD, 0 }, { WAIT_EOF, 0 }, { CLOSE, 0 }
	};
	struct seen a = { 0 };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	spec.total_ms = 150;
	ask(&spec, &a, "");
	ck_assert_int_eq(a.error, CO_TIMED_OUT);
	ck_assert(a.maybe);
	finish();
	ck_assert(server.saw_eof);
}
END_TEST

static void cancel_it(struct seen *seen)
{
	seen->x = http_exchange_cancel(seen->x);
}

START_TEST(an_exchange_may_be_cancelled_in_its_own_event)
{
	static const struct script script[] = { { ACCEPT, 0 },
						{ READ_HEAD, 0 },
						{ SAY, OK },
						{ WAIT_EOF, 0 },
						{ CLOSE, 0 } };
	struct seen a = { .on_head = cancel_it };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	begin(&spec, &a, "");
	run_until(&a.heads, &a.failed);
	finish();
	ck_assert(server.saw_eof);
	ck_assert_uint_eq(a.done + a.failed, 0);
	ck_assert_ptr_null(a.body.data);
}
END_TEST

static void say_ping(struct seen *seen)
{
	http_exchange_write(seen->x, "ping", 4);
	http_exchange_end(seen->x);
	http_exchange_flush(seen->x);
}

START_TEST(after_101_both_sides_say_what_they_like)
{
	static const struct script script[] = {
		{ ACCEPT, 0 },
		{ READ_HEAD, 0 },
		{ SAY, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
		       "Connection: upgrade\r\n\r\nfirst" },
		{ READ_BODY, "ping" },
		{ SAY, " pong" },
		{ WAIT_EOF, 0 },
		{ CLOSE, 0 }
	};
	struct seen a = { .on_head = say_ping };
	struct http_exchange_spec spec;

	server_start(script);
	spec = get(&a);
	ask(&spec, &a, "");
	ck_assert_uint_eq(a.done, 1);
	ck_assert_int_eq(a.status, 101);
	ck_assert_str_eq(a.body.data, "first pong");
	finish();
	co_buf_done(&a.body);
}
END_TEST

/* ---- what services see ---- */

static struct loop *host_loop;
static const struct co_outgoing *table;
static struct {
	unsigned done;
	int status, error;
	char body[64], type[64];
	bool maybe;
} reply;

static void replied(void *arg, const struct outgoing_reply *r)
{
	(void) arg;
	core_assert_locked();
	reply.done++;
	reply.status = r->status;
	reply.error = r->error;
	reply.maybe = r->maybe;
	(void) snprintf(reply.body, sizeof(reply.body), "%.*s", (int) r->body.size,
			r->body.data);
	for (size_t i = 0; i < r->nfields; i++)
		if (co_span_is(r->fields[i].name, "content-type"))
			(void) snprintf(reply.type, sizeof(reply.type), "%.*s",
					(int) r->fields[i].value.size,
					r->fields[i].value.data);
}

static void *ask_from_a_thread(void *arg)
{
	struct outgoing_field field = { co_span("X-Service-Name"), co_span("me") };
	char backend[96];
	struct outgoing_request request = { .backend = backend,
					    .method = "POST",
					    .target = "/rpc",
					    .fields = &field,
					    .nfields = 1,
					    .body = co_span("{\"a\":1}"),
					    .answer_ms = 20000 };
	struct outgoing *o = NULL;
	struct co_err err = { 0 };

	(void) snprintf(backend, sizeof(backend), "http://%s/base", server.backend);
	core_lock();
	ck_assert_msg(table->begin(table->ctx, &request, replied, arg, &o, &err) == 0,
		      "%s", err.message);
	core_unlock();
	return NULL;
}

START_TEST(a_service_asks_from_any_thread)
{
	static const struct script script[] = {
		{ ACCEPT, 0 },
		{ READ_BODY, "POST /base/rpc HTTP/1.1\r\nHost: 127.0.0.1:" },
		{ READ_BODY,
		  "X-Service-Name: me\r\nContent-Length: 7\r\n\r\n{\"a\":1}" },
		{ SAY, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		       "Content-Length: 2\r\n\r\n{}" },
		{ WAIT_EOF, 0 },
		{ CLOSE, 0 }
	};
	pthread_t thread;
	struct co_err err = { 0 };

	ck_assert_int_eq(loop_new(&host_loop, &loop, &err), 0);
	table = outgoing_new(client, loop_host(host_loop));
	server_start(script);
	ck_assert_int_eq(pthread_create(&thread, NULL, ask_from_a_thread, NULL), 0);
	while (!reply.done)
		(void) uv_run(&loop, UV_RUN_ONCE);
	(void) pthread_join(thread, NULL);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body, "{}");
	ck_assert_str_eq(reply.type, "application/json");
	core_lock();
	http_client_stop(client);
	core_unlock();
	(void) pthread_join(server.thread, NULL);
}
END_TEST

START_TEST(what_would_be_two_requests_is_refused)
{
	struct outgoing_field evil = { co_span("X"), co_span("1\r\nHost: evil") };
	struct outgoing_request request = { .backend = "http://127.0.0.1:1",
					    .method = "GET",
					    .target = "/",
					    .fields = &evil,
					    .nfields = 1 };
	struct outgoing *o = NULL;
	struct co_err err = { 0 };

	ck_assert_int_eq(loop_new(&host_loop, &loop, &err), 0);
	table = outgoing_new(client, loop_host(host_loop));
	core_lock();
	ck_assert_int_eq(table->begin(table->ctx, &request, replied, NULL, &o, &err),
			 CO_INVALID);
	request.nfields = 0;
	request.target = "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /";
	ck_assert_int_eq(table->begin(table->ctx, &request, replied, NULL, &o, &err),
			 CO_INVALID);
	request.target = "/";
	request.method = "GET / HTTP/1.1\r\n\r\nGET";
	ck_assert_int_eq(table->begin(table->ctx, &request, replied, NULL, &o, &err),
			 CO_INVALID);
	core_unlock();
}
END_TEST

START_TEST(backends_are_addresses_and_nothing_else)
{
	static const char *const good[] = { "http://127.0.0.1:80",
					    "http://[::1]:8000/x", "http://localhost",
					    "http://10.0.0.1/", "unix:/run/x.sock" };
	static const char *const bad[] = { "",
					   "https://127.0.0.1",
					   "http://example.org:80",
					   "unix:x",
					   "http://127.0.0.1:0",
					   "http://127.0.0.1:99999",
					   "http://[::1",
					   "http://127.0.0.1:80/?x",
					   "127.0.0.1:80" };
	struct co_err err;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(outgoing_backend_check(good[i], &err) == 0, "%s",
			      err.message);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(outgoing_backend_check(bad[i], &err) == CO_INVALID, "%s",
			      bad[i]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("http client");

	tcase_add_checked_fixture(tc, loop_setup, NULL);
	tcase_add_test(tc, a_connection_is_kept_for_the_next_request);
	tcase_add_test(tc, a_get_on_a_connection_that_died_is_said_again_once);
	tcase_add_test(tc, a_post_is_never_said_twice);
	tcase_add_test(tc, an_answer_in_chunks_and_interim_ones);
	tcase_add_test(tc, an_answer_before_the_request_has_ended_ends_the_connection);
	tcase_add_loop_test(tc, a_backend_that_answers_garbage_is_told_by_its_kind, 0,
			    sizeof(enemies) / sizeof(enemies[0]));
	tcase_add_test(tc, a_head_without_end_is_refused_at_its_limit);
	tcase_add_test(tc, nobody_listening_means_that_nobody_has_seen_it);
	tcase_add_test(tc, silence_ends_at_the_deadline_and_closes_the_connection);
	tcase_add_test(tc, an_exchange_may_be_cancelled_in_its_own_event);
	tcase_add_test(tc, after_101_both_sides_say_what_they_like);
	tcase_add_test(tc, a_service_asks_from_any_thread);
	tcase_add_test(tc, what_would_be_two_requests_is_refused);
	tcase_add_test(tc, backends_are_addresses_and_nothing_else);
	return run_tests(tc);
}
