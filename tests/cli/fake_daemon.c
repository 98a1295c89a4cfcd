/* SPDX-License-Identifier: MIT */
/*
 * A daemon for the tests of cloudosctl: speaks wire.def, knows fixed sessions, errors
 * and logs and a changing list of services, and misbehaves on request.  HOST.
 * Started by tests/cli/ctl-lib.sh and by its cloudos-keeper.
 *
 *	fake-daemon MODE [READY_FD]
 *
 * The domain is that of CLOUDOS_DIR.  Ends on SIGTERM, on `stop`, and when its standard
 * input ends (unless that is /dev/null).  READY_FD is closed when it listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/paths.h"
#include "lib/wire.h"

#define CLIENTS  16
#define SERVICES 8

enum mode {
	MODE_NORMAL,
	MODE_OLD,     /* refuses hello: no common version */
	MODE_FUTURE,  /* says hello with a version that was not asked for */
	MODE_HANGUP,  /* closes instead of answering anything but hello */
	MODE_GARBAGE, /* answers with bytes that are no message */
	MODE_ROWS,    /* sends rows of another kind than were asked for */
	MODE_BUSY     /* refuses to stop unless forced */
};

static const char *const mode_names[] = { "normal",  "old",  "future", "hangup",
					  "garbage", "rows", "busy" };

struct service {
	char name[64], version[64], endpoint[64], check[64], metadata[64];
	int pid;
	uint32_t port, ttl;
};

struct client {
	int fd;          /* -1 is free */
	uint32_t stream; /* type of the request that streams, 0 when none */
	uint64_t tag;
};

static struct {
	enum mode mode;
	struct co_paths paths;
	struct co_msg *in, *out;
	struct client clients[CLIENTS];
	struct service services[SERVICES];
	size_t nservices;
	bool ending;
} fake;

static void send_out(const struct client *c)
{
	(void) co_msg_send(fake.out, c->fd, NULL,
			   0); /* a client that went away is fine */
}

static void *reply(int status, const char *reason)
{
	uint32_t type = WIRE_TYPE(fake.in->header->type & 0xffffffU, WIRE_REPLY);

	return co_msg_reply(fake.out, type, fake.in->header->tag, status, reason);
}

static void finish(const struct client *c, int status, const char *reason)
{
	(void) reply(status, reason);
	send_out(c);
}

static const char *text(struct wire_span span)
{
	return co_msg_get(fake.in, span);
}

/* ---- answers ---- */

static void on_hello(struct client *c)
{
	struct wire_hello_rep *rep;

	if (fake.mode == MODE_OLD) {
		finish(c, CO_VERSION, "this daemon speaks version 7 of the wire only");
		return;
	}
	rep = reply(0, "");
	rep->version = fake.mode == MODE_FUTURE ? 9 : CO_WIRE_VERSION;
	rep->daemon_pid = getpid();
	rep->domain = 42;
	co_msg_text(fake.out, &rep->release, "9.9.9");
	co_msg_text(fake.out, &rep->folder, fake.paths.run);
	send_out(c);
}

static void on_status(struct client *c)
{
	struct wire_status_rep *rep = reply(0, "");

	rep->pid = getpid();
	rep->uptime_ms = 123456;
	rep->sessions = 2;
	co_msg_text(fake.out, &rep->release, "9.9.9");
	send_out(c);
}

static void on_stop(struct client *c)
{
	const struct wire_stop_req *req = (const void *) fake.in->bytes;

	if (fake.mode == MODE_BUSY && !req->force) {
		finish(c, CO_BUSY,
		       "2 programs run under this daemon; --force stops it");
		return;
	}
	finish(c, 0, "");
	fake.ending = true;
}

static void session(const struct client *c, uint64_t id, const char *name)
{
	struct wire_session_row *row =
		co_msg_start(fake.out, WIRE_session_row, fake.in->header->tag);

	row->id = id;
	row->pid = 100 + (int) id;
	row->launcher_pid = 99;
	row->calls = 1000000 * id;
	row->age_ms = 90061000;
	co_msg_text(fake.out, &row->name, name);
	co_msg_text(fake.out, &row->personality, "cloudos");
	co_msg_text(fake.out, &row->engine, "notify");
	co_msg_text(fake.out, &row->command, "prog \"quoted\" \\ end");
	send_out(c);
}

static void on_session_list(struct client *c)
{
	session(c, 1, "caf\xc3\xa9\xe6\x97\xa5");
	session(c, 2, "bad\033[31m\n\xff\xe2\x80\xae");
	finish(c, 0, "");
}

static void on_session_kill(struct client *c)
{
	const struct wire_session_kill_req *req = (const void *) fake.in->bytes;
	char told[128];

	if (req->session == 1 || strcmp(text(req->name), "web") == 0) {
		finish(c, 0, "");
		return;
	}
	(void) snprintf(
		told, sizeof(told), "there is no program %llu \"%s\" (signal %d)",
		(unsigned long long) req->session, text(req->name), req->signal);
	finish(c, CO_NOT_FOUND, told);
}

static void on_service_list(struct client *c)
{
	const struct wire_service_list_req *req = (const void *) fake.in->bytes;
	const char *only = text(req->name);

	for (size_t i = 0; i < fake.nservices; i++) {
		const struct service *s = &fake.services[i];
		struct wire_service_row *row;

		if (only[0] && strcmp(only, s->name) != 0)
			continue;
		row = co_msg_start(fake.out, WIRE_service_row, fake.in->header->tag);
		row->pid = s->pid;
		row->port = s->port;
		row->ttl = s->ttl;
		row->instances = 1;
		co_msg_text(fake.out, &row->name, s->name);
		co_msg_text(fake.out, &row->version, s->version);
		co_msg_text(fake.out, &row->health, "passing");
		co_msg_text(fake.out, &row->endpoint, s->endpoint);
		co_msg_text(fake.out, &row->health_check, s->check);
		co_msg_text(fake.out, &row->metadata, s->metadata);
		send_out(c);
	}
	finish(c, 0, "");
}

static void keep(char *to, size_t n, struct wire_span span)
{
	(void) snprintf(to, n, "%s", text(span));
}

static void on_service_register(struct client *c)
{
	const struct wire_service_register_req *req = (const void *) fake.in->bytes;
	struct service *s = &fake.services[fake.nservices];

	if (fake.nservices == SERVICES) {
		finish(c, CO_TABLE_FULL, "no room for more services");
		return;
	}
	fake.nservices++;
	s->pid = req->pid;
	s->port = req->port;
	s->ttl = req->ttl;
	keep(s->name, sizeof(s->name), req->name);
	keep(s->version, sizeof(s->version), req->version);
	keep(s->endpoint, sizeof(s->endpoint), req->endpoint);
	keep(s->check, sizeof(s->check), req->health_check);
	keep(s->metadata, sizeof(s->metadata), req->metadata);
	finish(c, 0, "");
}

static void on_service_deregister(struct client *c)
{
	const struct wire_service_deregister_req *req = (const void *) fake.in->bytes;
	struct wire_service_deregister_rep *rep;
	size_t kept = 0, before = fake.nservices;

	for (size_t i = 0; i < before; i++)
		if (fake.services[i].pid != req->pid ||
		    strcmp(fake.services[i].name, text(req->name)) != 0)
			fake.services[kept++] = fake.services[i];
	fake.nservices = kept;
	rep = reply(0, "");
	rep->removed = (uint32_t) (before - kept);
	send_out(c);
}

static void on_error_list(struct client *c)
{
	const struct wire_error_list_req *req = (const void *) fake.in->bytes;

	for (uint32_t i = 0; i < req->limit && i < 3; i++) {
		struct wire_error_row *row =
			co_msg_start(fake.out, WIRE_error_row, fake.in->header->tag);

		row->at_ns = 1700000000123456789ULL;
		row->pid = 7;
		row->code = -2004;
		co_msg_text(fake.out, &row->message, "no such service");
		send_out(c);
	}
	finish(c, 0, "");
}

static void on_log_list(struct client *c)
{
	const struct wire_log_list_req *req = (const void *) fake.in->bytes;
	struct wire_log_row *row;

	if (!req->session && strcmp(text(req->name), "web") != 0) {
		finish(c, CO_NOT_FOUND, "there is no such program");
		return;
	}
	row = co_msg_start(fake.out, WIRE_log_row, fake.in->header->tag);
	row->at_us = 1700000000123456ULL;
	co_msg_text(fake.out, &row->level, "info");
	co_msg_text(fake.out, &row->subsystem, "session");
	co_msg_text(fake.out, &row->message, "started");
	send_out(c);
	finish(c, 0, "");
}

static void on_store_status(struct client *c)
{
	struct wire_store_status_rep *rep = reply(0, "");

	rep->revision = 18446744073709551615ULL;
	co_msg_text(fake.out, &rep->engine, "sqlite");
	send_out(c);
}

static void on_store_backup(struct client *c)
{
	struct wire_store_backup_rep *rep;
	autoclose int fd = co_msg_take_fd(fake.in, 0);

	if (fake.mode == MODE_BUSY || fd < 0 || write(fd, "the store\n", 10) != 10) {
		finish(c, CO_NO_SPACE, "the disk is full");
		return;
	}
	rep = reply(0, "");
	rep->bytes = 10;
	send_out(c);
}

static void on_store_compact(struct client *c)
{
	const struct wire_store_compact_req *req = (const void *) fake.in->bytes;
	struct wire_store_compact_rep *rep = reply(0, "");

	rep->revision = req->revision ? req->revision : 77;
	send_out(c);
}

static void on_reload(struct client *c)
{
	if (fake.mode == MODE_BUSY)
		finish(c, CO_INVALID, "cloudosd.yaml:3: unknown key \"colour\"");
	else
		finish(c, 0, "");
}

static void on_stream(struct client *c)
{
	c->stream = fake.in->header->type;
	c->tag = fake.in->header->tag;
}

/* A row for every client that follows something, every few milliseconds. */
static void feed(struct client *c)
{
	if (c->stream == WIRE_trace_req) {
		struct wire_trace_call_row *row =
			co_msg_start(fake.out, WIRE_trace_call_row, c->tag);

		row->session = 1;
		row->tid = 77;
		row->number = 20500;
		row->took_ns = 4200;
		co_msg_text(fake.out, &row->line,
			    "service_register({\"web\"}) = 0 <4.2us>");
	} else {
		struct wire_service_event_row *row =
			co_msg_start(fake.out, WIRE_service_event_row, c->tag);

		row->pid = 77;
		co_msg_text(fake.out, &row->event, "registered");
		co_msg_text(fake.out, &row->name, "web");
	}
	send_out(c);
}

static const struct {
	uint32_t type;
	void (*answer)(struct client *c);
} answers[] = {
	{ WIRE_status_req, on_status },
	{ WIRE_stop_req, on_stop },
	{ WIRE_reload_req, on_reload },
	{ WIRE_session_list_req, on_session_list },
	{ WIRE_session_kill_req, on_session_kill },
	{ WIRE_trace_req, on_stream },
	{ WIRE_service_watch_req, on_stream },
	{ WIRE_service_list_req, on_service_list },
	{ WIRE_service_register_req, on_service_register },
	{ WIRE_service_deregister_req, on_service_deregister },
	{ WIRE_error_list_req, on_error_list },
	{ WIRE_log_list_req, on_log_list },
	{ WIRE_store_status_req, on_store_status },
	{ WIRE_store_backup_req, on_store_backup },
	{ WIRE_store_compact_req, on_store_compact },
};

static void drop(struct client *c)
{
	(void) close(c->fd);
	*c = (struct client){ .fd = -1 };
}

static void misbehave(struct client *c)
{
	if (fake.mode == MODE_GARBAGE)
		(void) send(c->fd, "\1\2\3garbage, more than a header has", 34,
			    MSG_NOSIGNAL);
	if (fake.mode != MODE_ROWS) {
		drop(c);
		return;
	}
	(void) co_msg_start(fake.out, WIRE_log_row, fake.in->header->tag);
	send_out(c);
	finish(c, 0, "");
}

static void answer(struct client *c)
{
	struct co_err err = { 0 };

	if (co_msg_receive(fake.in, c->fd, &err) < 0) {
		drop(c);
		return;
	}
	if (fake.in->header->type == WIRE_hello_req) {
		on_hello(c);
		return;
	}
	if (fake.mode == MODE_HANGUP || fake.mode == MODE_GARBAGE ||
	    fake.mode == MODE_ROWS) {
		misbehave(c);
		return;
	}
	for (size_t i = 0; i < co_countof(answers); i++) {
		if (answers[i].type == fake.in->header->type) {
			answers[i].answer(c);
			return;
		}
	}
	finish(c, CO_UNSUPPORTED, "not in this fake");
}

/* ---- the loop ---- */

static void welcome(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CLIENTS; i++) {
		if (fake.clients[i].fd < 0) {
			fake.clients[i] = (struct client){ .fd = fd };
			return;
		}
	}
	(void) close(fd);
}

static bool stdin_is_held(void)
{
	struct stat st, null;

	return fstat(0, &st) == 0 && stat("/dev/null", &null) == 0 &&
	       st.st_rdev != null.st_rdev;
}

static void serve(int listener)
{
	bool held = stdin_is_held();

	while (!fake.ending) {
		struct pollfd p[CLIENTS + 2] = { { .fd = listener, .events = POLLIN },
						 { .fd = held ? 0 : -1 } };
		bool streams = false;

		for (size_t i = 0; i < CLIENTS; i++) {
			p[i + 2] = (struct pollfd){ .fd = fake.clients[i].fd,
						    .events = POLLIN };
			streams |= fake.clients[i].stream != 0;
		}
		if (poll(p, CLIENTS + 2, streams ? 5 : -1) < 0)
			continue;
		if (p[1].revents & (POLLHUP | POLLERR))
			return;
		for (size_t i = 0; i < CLIENTS; i++) {
			if (p[i + 2].revents)
				answer(&fake.clients[i]);
			else if (fake.clients[i].stream)
				feed(&fake.clients[i]);
		}
		if (p[0].revents)
			welcome(listener);
	}
}

static int die(const struct co_err *err)
{
	(void) fprintf(stderr, "fake-daemon: %s\n", err->message);
	return 1;
}

/* Held while it lives, as the keeper holds it. */
static int take_lock(struct co_err *err)
{
	int fd = open(fake.paths.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return co_fail_errno(err, errno, "another daemon has %s",
				     fake.paths.lock);
	return 0; /* closed by the end of the process */
}

int main(int argc, char **argv)
{
	struct co_err err = { 0 };
	int listener = -1;

	for (size_t i = 0; argc > 1 && i < co_countof(mode_names); i++)
		if (strcmp(argv[1], mode_names[i]) == 0)
			fake.mode = (enum mode) i;
	for (size_t i = 0; i < CLIENTS; i++)
		fake.clients[i].fd = -1;
	fake.in = co_msg_new();
	fake.out = co_msg_new();
	if (!fake.in || !fake.out ||
	    co_paths_init(&fake.paths, false, NULL, &err) < 0 ||
	    co_paths_make(&fake.paths, &err) < 0 || take_lock(&err) < 0 ||
	    co_paths_bind(&fake.paths, &listener, &err) < 0)
		return die(&err);
	if (argc > 2)
		(void) close((int) strtol(argv[2], NULL, 10));
	serve(listener);
	(void) unlink(fake.paths.socket); /* as a daemon that ends cleanly does */
	co_msg_free(fake.in);
	co_msg_free(fake.out);
	return 0;
}
