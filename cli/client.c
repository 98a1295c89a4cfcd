/* SPDX-License-Identifier: MIT */
/* A connection to the control socket: hello, requests, rows, replies.  HOST. */
#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/cleanup.h"

#define HELLO_TIMEOUT_MS   5000
#define REQUEST_TIMEOUT_MS 60000

static int64_t now_ms(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

struct co_client *co_client_close(struct co_client *c)
{
	if (c) {
		if (c->fd >= 0)
			(void) close(c->fd); /* nothing is written behind it */
		co_msg_free(c->out);
		co_msg_free(c->in);
		free(c);
	}
	return NULL;
}

static struct co_client *client_new(void)
{
	struct co_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = c->until_fd = -1;
	c->timeout_ms = HELLO_TIMEOUT_MS;
	c->out = co_msg_new();
	c->in = co_msg_new();
	return c->out && c->in ? c : co_client_close(c);
}

void *co_client_request(struct co_client *c, uint32_t type)
{
	c->tag++;
	c->expects = WIRE_TYPE(type & 0xffffffU, WIRE_REPLY);
	return co_msg_start(c->out, type, c->tag);
}

static int lost(struct co_client *c, struct co_err *err)
{
	c->lost = true;
	return co_fail(err, CO_GONE,
		       "the daemon closed the connection before it had answered; "
		       "`cloudosctl daemon logs` may tell why");
}

int co_client_send(struct co_client *c, const int *fds, uint32_t n, struct co_err *err)
{
	int rc = co_msg_send(c->out, c->fd, fds, n);

	if (rc == 0)
		return 0;
	if (rc == CO_TOO_BIG)
		return co_fail(err, rc,
			       "the request is longer than the %u bytes of a message",
			       CO_WIRE_MAX);
	if (rc == CO_GONE)
		return lost(c, err);
	return co_fail(err, rc, "cannot send to the daemon: %s", co_status_text(rc));
}

/* 0 when a message can be read. */
static int wait_message(struct co_client *c, struct co_err *err)
{
	int64_t deadline = now_ms() + c->timeout_ms;

	for (;;) {
		struct pollfd fds[2] = { { .fd = c->fd, .events = POLLIN },
					 { .fd = c->until_fd, .events = 0 } };
		int64_t left = deadline - now_ms();
		int n = poll(fds, 2,
			     c->timeout_ms < 0 ? -1 : (int) (left > 0 ? left : 0));

		if (n < 0 && errno != EINTR)
			return co_fail_errno(err, errno, "cannot wait for the daemon");
		if (n > 0 && fds[0].revents)
			return 0;
		if (n > 0 && fds[1].revents)
			return co_fail(err, CO_GONE,
				       "nobody reads the output any more");
		if (n == 0) {
			c->lost = true;
			return co_fail(err, CO_TIMED_OUT,
				       "the daemon did not answer within %d seconds",
				       c->timeout_ms / 1000);
		}
	}
}

/* The status and sentence of the reply in c->in. */
static int reply_status(const struct co_client *c, struct co_err *err)
{
	const struct wire_hello_rep *rep =
		(const void *) c->in->bytes; /* all begin so */
	const char *reason = co_msg_get(c->in, rep->r.reason);

	if (rep->r.status == 0)
		return 0;
	return co_fail(err, rep->r.status, "%s",
		       reason[0] ? reason : co_status_text(rep->r.status));
}

int co_client_next(struct co_client *c, struct co_err *err)
{
	for (;;) {
		int rc = wait_message(c, err);

		if (rc < 0)
			return rc;
		rc = co_msg_receive(c->in, c->fd, err);
		if (rc == CO_INTERRUPTED || rc == CO_BUSY)
			continue;
		if (rc == CO_GONE)
			return lost(c, err);
		if (rc < 0) {
			c->lost = true;
			return rc;
		}
		if (c->in->header->tag != c->tag)
			continue; /* rest of a request that was given up */
		if (c->in->header->type == c->expects)
			return reply_status(c, err);
		if (c->in->header->type >> 24 == WIRE_ROW)
			return CO_CLIENT_ROW;
		return co_fail(err, CO_PROTOCOL,
			       "the daemon answered with a message of type "
			       "%#x where %#x was asked",
			       (unsigned) c->in->header->type, (unsigned) c->expects);
	}
}

int co_client_call(struct co_client *c, const int *fds, uint32_t n, struct co_err *err)
{
	int rc = co_client_send(c, fds, n, err);

	if (rc == 0)
		rc = co_client_next(c, err);
	if (rc == CO_CLIENT_ROW)
		return co_fail(err, CO_PROTOCOL,
			       "the daemon answered with a listing where a "
			       "plain reply was expected");
	return rc;
}

static int hello(struct co_client *c, const char *program, struct co_err *err)
{
	struct wire_hello_req *req = co_client_request(c, WIRE_hello_req);
	const struct wire_hello_rep *rep;
	int rc;

	req->version_min = CO_WIRE_VERSION_MIN;
	req->version_max = CO_WIRE_VERSION;
	co_msg_text(c->out, &req->program, program);
	rc = co_client_call(c, NULL, 0, err);
	if (rc < 0)
		return rc;
	rep = (const void *) c->in->bytes;
	if (rep->version < CO_WIRE_VERSION_MIN || rep->version > CO_WIRE_VERSION)
		return co_fail(
			err, CO_VERSION,
			"the daemon speaks version %u of the wire, this program %u to "
			"%u; restart it with: cloudosctl daemon stop, then start",
			rep->version, CO_WIRE_VERSION_MIN, CO_WIRE_VERSION);
	c->version = rep->version;
	c->daemon_pid = rep->daemon_pid;
	c->domain = rep->domain;
	(void) snprintf(c->release, sizeof(c->release), "%s",
			co_msg_get(c->in, rep->release)); /* shown to people only */
	(void) snprintf(c->folder, sizeof(c->folder), "%s",
			co_msg_get(c->in, rep->folder));
	return 0;
}

int co_client_open(const struct co_paths *paths, const char *program,
		   struct co_client **out, struct co_err *err)
{
	autoclient struct co_client *c = client_new();
	int rc;

	if (!c)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	rc = co_paths_connect(paths, &c->fd, err);
	if (rc == 0)
		rc = hello(c, program, err);
	if (rc < 0)
		return rc;
	c->timeout_ms = REQUEST_TIMEOUT_MS;
	*out = take(c);
	return 0;
}
