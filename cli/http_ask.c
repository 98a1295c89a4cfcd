/* SPDX-License-Identifier: MIT */
/* One HTTP request to anybody.  HOST. */
#include "cli/http_ask.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/http_message.h"

/* ---- where ---- */

int http_place_of(struct http_place *out, const char *url, struct co_err *err)
{
	const char *from = url, *port, *path;
	size_t n;

	memset(out, 0, sizeof(*out));
	if (!strncmp(url, "https://", 8))
		return co_fail(
			err, CO_UNSUPPORTED,
			"%s is for https, which cloudosctl does not speak; check "
			"the http address behind it",
			url);
	if (!strncmp(url, "http://", 7))
		from += 7;
	n = strcspn(from, "/?#");
	path = from + n;
	port = memchr(from, ':', n);
	if (!n || port == from || n >= sizeof(out->header) || from[0] == '[' ||
	    memchr(from, '@', n) || strlen(path) >= sizeof(out->prefix))
		return co_fail(
			err, CO_INVALID,
			"\"%.200s\" is neither a name of services.yaml nor a URL "
			"like http://127.0.0.1:8000",
			url);
	(void) snprintf(out->header, sizeof(out->header), "%.*s", (int) n, from);
	(void) snprintf(out->host, sizeof(out->host), "%.*s",
			(int) (port ? port - from : (ptrdiff_t) n), from);
	(void) snprintf(out->port, sizeof(out->port), "%.*s",
			port ? (int) (path - port - 1) : 2, port ? port + 1 : "80");
	(void) snprintf(out->prefix, sizeof(out->prefix), "%s", path);
	n = strlen(out->prefix);
	if (n && out->prefix[n - 1] == '/')
		out->prefix[n - 1] = 0;
	return 0;
}

/* ---- time ---- */

static double now_ms(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}

static int wait_for(int fd, short events, double end)
{
	struct pollfd p = { .fd = fd, .events = events };
	double left = end - now_ms();
	int r = left > 0 ? poll(&p, 1, (int) left + 1) : 0;

	return r > 0 ? 0 : r == 0 ? ETIMEDOUT : errno;
}

/* ---- one exchange ---- */

static int connect_one(const struct addrinfo *a, double end, int *out_errno)
{
	autoclose int fd =
		socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failed = 0;
	socklen_t size = sizeof(failed);

	if (fd < 0 ||
	    (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)) {
		*out_errno = errno;
		return -1;
	}
	*out_errno = wait_for(fd, POLLOUT, end);
	if (!*out_errno && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0)
		*out_errno = failed;
	return *out_errno ? -1 : take_fd(fd);
}

static int connect_to(const struct http_place *place, double end, int *out_fd,
		      struct co_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	int failed = ECONNREFUSED;
	int r = getaddrinfo(place->host, place->port, &hints, &all);

	if (r)
		return co_fail(err, CO_NOT_FOUND, "%s has no address: %s", place->host,
			       gai_strerror(r));
	*out_fd = -1;
	for (const struct addrinfo *a = all; a && *out_fd < 0; a = a->ai_next)
		*out_fd = connect_one(a, end, &failed);
	freeaddrinfo(all);
	if (*out_fd < 0)
		return co_fail_errno(err, failed, "%s port %s does not answer",
				     place->host, place->port);
	return 0;
}

static int send_all(int fd, const struct co_buf *b, double end)
{
	for (size_t done = 0; done < b->size;) {
		ssize_t put = send(fd, b->data + done, b->size - done, MSG_NOSIGNAL);

		if (put < 0 && errno != EAGAIN && errno != EINTR)
			return errno;
		if (put > 0)
			done += (size_t) put;
		else if (wait_for(fd, POLLOUT, end))
			return ETIMEDOUT;
	}
	return 0;
}

static void take_body(void *arg, const char *data, size_t n)
{
	co_buf_add(arg, data, n);
}

/* True when the answer is complete. */
static bool feed(struct co_http_message *m, const char *data, size_t n, bool *out_bad)
{
	while (n) {
		size_t used = 0;

		switch (co_http_feed(m, data, n, &used)) {
		case CO_HTTP_DONE:
			if (co_http_head(m)->status >= 200)
				return true;
			co_http_reset(m, NULL); /* 100: the answer is yet to come */
			break;
		case CO_HTTP_BAD:
			*out_bad = true;
			return false;
		case CO_HTTP_MORE:
		case CO_HTTP_HEAD:
			break;
		}
		data += used;
		n -= used;
	}
	return false;
}

static int receive(int fd, struct co_http_message *m, double end, struct co_err *err)
{
	char part[16384];
	bool bad = false;

	for (;;) {
		ssize_t got = recv(fd, part, sizeof(part), 0);

		if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			int r = wait_for(fd, POLLIN, end);

			if (r)
				return co_fail_errno(err, r, "no complete answer");
			continue;
		}
		if (got < 0)
			return co_fail_errno(err, errno, "no complete answer");
		if (got == 0)
			return co_http_finish(m)
				       ? 0
				       : co_fail(err, CO_PROTOCOL,
						 "the connection ended inside the "
						 "answer");
		if (feed(m, part, (size_t) got, &bad))
			return 0;
		if (bad)
			return co_fail(err, CO_PROTOCOL,
				       "the answer is not proper HTTP: %s",
				       co_http_fault(m).what);
	}
}

static void look_at_json(struct co_http_message *m, struct http_reply *reply)
{
	struct co_span type = { "", 0 };
	struct co_json_fault fault = { 0 };
	struct co_span text = { reply->body.data ? reply->body.data : "",
				reply->body.size };

	(void) co_http_field(co_http_head(m), "content-type", &type);
	if (type.size < 16 || strncasecmp(type.data, "application/json", 16) != 0)
		(void) snprintf(reply->fault, sizeof(reply->fault),
				"its type is \"%.*s\", not application/json",
				(int) (type.size < 80 ? type.size : 80), type.data);
	else if (co_json_check(text, &reply->value, &fault))
		(void) snprintf(reply->fault, sizeof(reply->fault),
				"it is not JSON: %s (byte %zu)", fault.what, fault.at);
	else
		reply->is_json = true;
}

int http_ask(const struct http_place *place, const char *method, const char *path,
	     const char *body, int timeout_ms, struct http_reply *reply,
	     struct co_err *err)
{
	static const struct co_http_limits limits = {
		.head = CO_LIMIT_HTTP_HEAD, .body = CO_LIMIT_HTTP_ANSWER_BODY
	};
	autobuf struct co_buf request = { 0 };
	autoclose int fd = -1;
	struct co_http_message *m;
	double began = now_ms(), end = began + timeout_ms;
	int r;

	memset(reply, 0, sizeof(*reply));
	co_buf_format(&request,
		      "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: cloudosctl\r\n"
		      "Accept: application/json\r\nConnection: close\r\n",
		      method, place->prefix, path, place->header);
	if (body)
		co_buf_format(&request,
			      "Content-Type: application/json\r\nContent-Length: "
			      "%zu\r\n",
			      strlen(body));
	co_buf_format(&request, "\r\n%s", body ? body : "");
	m = co_http_new(CO_HTTP_RESPONSE, &limits, take_body, &reply->body);
	if (!m || request.failed) {
		(void) co_http_free(m);
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	}
	r = connect_to(place, end, &fd, err);
	if (!r) {
		int failed = send_all(fd, &request, end);

		if (failed)
			r = co_fail_errno(err, failed, "the request is not taken");
	}
	if (!r)
		r = receive(fd, m, end, err);
	if (!r) {
		reply->ms = now_ms() - began;
		reply->status = co_http_head(m)->status;
		look_at_json(m, reply);
	} else {
		co_buf_done(&reply->body);
	}
	(void) co_http_free(m);
	return r;
}
