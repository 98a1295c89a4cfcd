/* SPDX-License-Identifier: MIT */
/*
 * One run of a health check.  HOST.
 *
 *	numeric host             connect -> [send, receive] -> result
 *	host name      resolve (worker) -> the same, address by address
 *	https          libcurl (worker) -> result
 *
 * The time limit ends a probe at any point.  A worker cannot be stopped: what it works on
 * is a struct job of its own, which outlives the probe if need be.
 */
#include "cloudosd/service/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloudosd/service/https.h"
#include "lib/cleanup.h"

#define ADDRESSES_MAX 8

struct address {
	socklen_t length;
	struct sockaddr_storage name;
};

struct job {                 /* what a worker thread may touch */
	struct probe *probe; /* NULL: nobody waits any more */
	void (*released)(void *owner);
	void *owner;
	struct target target;
	uint32_t timeout_ms;
	char ca_file[256];
	struct address addresses[ADDRESSES_MAX];
	size_t naddresses;
	bool is_healthy; /* https */
	char reason[256];
};

struct probe {
	struct probe_request request;
	struct target target;
	struct job *job; /* while a worker has it */
	struct co_timer *timer;
	struct co_watch *watch;
	int fd;
	bool has_begun, is_connected;
	struct address addresses[ADDRESSES_MAX];
	size_t naddresses, next;
	char out[768]; /* path, host and 100 bytes of fixed text */
	size_t out_size, sent;
	char in[256]; /* a status line */
	size_t received;
};

static void close_socket(struct probe *probe)
{
	if (probe->watch)
		probe->request.host->watch_free(probe->watch);
	probe->watch = NULL;
	if (probe->fd >= 0)
		(void) close(probe->fd); /* nothing was promised to the peer */
	probe->fd = -1;
}

struct probe *probe_cancel(struct probe *probe)
{
	struct probe_request request;

	if (!probe)
		return NULL;
	request = probe->request;
	close_socket(probe);
	if (probe->timer)
		request.host->timer_free(probe->timer);
	if (probe->job)
		probe->job->probe = NULL; /* it calls released */
	else
		request.released(request.owner);
	free(probe);
	return NULL;
}

__attribute__((format(printf, 3, 4))) static void
finish(struct probe *probe, bool is_healthy, const char *format, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	probe->request.result(probe->request.arg, is_healthy, reason);
	(void) probe_cancel(probe); /* is NULL */
}

/* ---- sockets ---- */

static void on_ready(void *arg);

static bool watch(struct probe *probe, bool writable)
{
	const struct co_host *host = probe->request.host;

	if (probe->watch)
		host->watch_free(probe->watch);
	probe->watch = host->watch_new(host->ctx, probe->fd, writable, on_ready, probe);
	return probe->watch != NULL;
}

/* Tries the next address, and those behind it as long as they fail at once. */
static void connect_next(struct probe *probe, int errnum)
{
	while (probe->next < probe->naddresses) {
		struct address *address = &probe->addresses[probe->next++];

		close_socket(probe);
		probe->fd = socket(address->name.ss_family,
				   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (probe->fd < 0) {
			errnum = errno;
			continue;
		}
		if (connect(probe->fd, (struct sockaddr *) &address->name,
			    address->length) < 0 &&
		    errno != EINPROGRESS) {
			errnum = errno;
			continue;
		}
		if (watch(probe, true))
			return;
		errnum = ENOMEM;
	}
	finish(probe, false, "%.120s port %u cannot be connected: %s",
	       probe->target.host, (unsigned) probe->target.port, strerror(errnum));
}

/* With nobody listening on an ephemeral port, a connection can meet itself. */
static bool is_connected_to_itself(int fd)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	socklen_t na = sizeof(a), nb = sizeof(b);

	return getsockname(fd, (struct sockaddr *) &a, &na) == 0 &&
	       getpeername(fd, (struct sockaddr *) &b, &nb) == 0 && na == nb &&
	       memcmp(&a, &b, na) == 0;
}

static void on_connected(struct probe *probe)
{
	struct pollfd writable = { .fd = probe->fd, .events = POLLOUT };
	int errnum = 0;
	socklen_t size = sizeof(errnum);

	if (poll(&writable, 1, 0) <= 0)
		return;
	if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
		errnum = errno;
	if (!errnum && is_connected_to_itself(probe->fd))
		errnum = ECONNREFUSED;
	if (errnum)
		connect_next(probe, errnum);
	else if (probe->target.kind == TARGET_TCP)
		finish(probe, true, "a connection was accepted");
	else
		probe->is_connected = true;
}

/* "HTTP/1.1 200": the status, 0 if this is no status line. */
static int http_status(const char *line)
{
	if (strncmp(line, "HTTP/1.", 7) != 0 || !strchr("01", line[7]) ||
	    line[8] != ' ' || strspn(line + 9, "0123456789") != 3 ||
	    !strchr(" \r\n", line[12]))
		return 0;
	return atoi(line + 9);
}

static void on_line(struct probe *probe)
{
	int status = http_status(probe->in);
	bool lacks = status == 404 || status == 405 || status == 501;

	if (lacks && probe->target.optional)
		finish(probe, true,
		       "it answers; %.100s is not there, which it need not be",
		       probe->target.path);
	else if (status == 0)
		finish(probe, false, "%.120s port %u does not speak HTTP",
		       probe->target.host, (unsigned) probe->target.port);
	else
		finish(probe, status >= 200 && status < 400, "GET was answered with %d",
		       status);
}

static void receive(struct probe *probe)
{
	ssize_t n = read(probe->fd, probe->in + probe->received,
			 sizeof(probe->in) - 1 - probe->received);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		finish(probe, false, "%.120s port %u closed the connection: %s",
		       probe->target.host, (unsigned) probe->target.port,
		       strerror(errno));
		return;
	}
	if (n == 0 && probe->received == 0) {
		finish(probe, false,
		       "%.120s port %u closed the connection without an answer",
		       probe->target.host, (unsigned) probe->target.port);
		return;
	}
	probe->received += (size_t) n;
	probe->in[probe->received] = 0;
	if (n == 0 || strchr(probe->in, '\n') ||
	    probe->received == sizeof(probe->in) - 1)
		on_line(probe);
}

static void transmit(struct probe *probe)
{
	ssize_t n = send(probe->fd, probe->out + probe->sent,
			 probe->out_size - probe->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		finish(probe, false, "%.120s port %u closed the connection: %s",
		       probe->target.host, (unsigned) probe->target.port,
		       strerror(errno));
		return;
	}
	probe->sent += (size_t) n;
	if (probe->sent == probe->out_size && !watch(probe, false))
		finish(probe, false, "out of memory");
}

static void on_ready(void *arg)
{
	struct probe *probe = arg;

	if (!probe->is_connected)
		on_connected(probe); /* writable still: the watch comes again */
	else if (probe->sent < probe->out_size)
		transmit(probe);
	else
		receive(probe);
}

/* ---- worker threads ---- */

static void job_resolve(struct job *job)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char port[8];
	int r;

	(void) snprintf(port, sizeof(port), "%u", (unsigned) job->target.port);
	r = getaddrinfo(job->target.host, port, &hints, &list);
	if (r != 0) {
		(void) snprintf(job->reason, sizeof(job->reason),
				"the name %.120s cannot be resolved: %s",
				job->target.host, gai_strerror(r));
		return;
	}
	for (struct addrinfo *i = list; i && job->naddresses < ADDRESSES_MAX;
	     i = i->ai_next) {
		struct address *address = &job->addresses[job->naddresses];

		if (i->ai_addrlen > sizeof(address->name))
			continue;
		memcpy(&address->name, i->ai_addr, i->ai_addrlen);
		address->length = i->ai_addrlen;
		job->naddresses++;
	}
	freeaddrinfo(list);
}

static void job_work(void *arg)
{
	struct job *job = arg;

	if (job->target.kind == TARGET_HTTPS)
		job->is_healthy =
			https_get(job->target.url, job->timeout_ms, job->ca_file,
				  job->reason, sizeof(job->reason));
	else
		job_resolve(job);
}

static void job_done(void *arg)
{
	struct job *job = arg;
	struct probe *probe = job->probe;

	if (!probe) {
		job->released(job->owner);
		free(job);
		return;
	}
	probe->job = NULL;
	if (job->target.kind == TARGET_HTTPS || job->naddresses == 0) {
		finish(probe, job->is_healthy, "%s", job->reason);
	} else {
		memcpy(probe->addresses, job->addresses, sizeof(probe->addresses));
		probe->naddresses = job->naddresses;
		connect_next(probe, EADDRNOTAVAIL);
	}
	free(job);
}

static bool job_start(struct probe *probe)
{
	const struct probe_request *request = &probe->request;
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return false;
	job->probe = probe;
	job->released = request->released;
	job->owner = request->owner;
	job->target = probe->target;
	job->timeout_ms = request->timeout_ms;
	(void) snprintf(job->ca_file, sizeof(job->ca_file), "%s", request->ca_file);
	if (request->host->offload(request->host->ctx, job_work, job_done, job) < 0) {
		free(job);
		return false;
	}
	probe->job = job;
	return true;
}

/* ---- begin and end ---- */

/* The first time: begins, outside of probe_start.  The second: the time is over. */
static void on_timer(void *arg)
{
	struct probe *probe = arg;

	if (probe->has_begun) {
		finish(probe, false, "%.120s port %u did not answer within %u ms",
		       probe->target.host, (unsigned) probe->target.port,
		       probe->request.timeout_ms);
		return;
	}
	probe->has_begun = true;
	probe->request.host->timer_start(probe->timer, probe->request.timeout_ms);
	if (probe->naddresses)
		connect_next(probe, EADDRNOTAVAIL);
}

static void add_numeric(struct probe *probe)
{
	struct address *address = &probe->addresses[0];
	struct sockaddr_in *in4 = (struct sockaddr_in *) &address->name;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &address->name;

	if (inet_pton(AF_INET, probe->target.host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(probe->target.port);
		address->length = sizeof(*in4);
	} else if (inet_pton(AF_INET6, probe->target.host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(probe->target.port);
		address->length = sizeof(*in6);
	} else {
		return;
	}
	probe->naddresses = 1;
}

static void write_request(struct probe *probe)
{
	const struct target *target = &probe->target;
	bool bracket = strchr(target->host, ':') != NULL;
	char port[8] = "";

	if (target->port != 80)
		(void) snprintf(port, sizeof(port), ":%u", (unsigned) target->port);
	probe->out_size = (size_t) snprintf(
		probe->out, sizeof(probe->out),
		"GET %s HTTP/1.1\r\nHost: %s%s%s%s\r\nUser-Agent: cloudos-health\r\n"
		"Accept: */*\r\nConnection: close\r\n\r\n",
		target->path, bracket ? "[" : "", target->host, bracket ? "]" : "",
		port);
}

struct probe *probe_start(const struct probe_request *request)
{
	const struct co_host *host = request->host;
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return NULL;
	probe->request = *request;
	probe->target = *request->target;
	probe->fd = -1;
	if (probe->target.kind == TARGET_HTTP)
		write_request(probe);
	probe->timer = host->timer_new(host->ctx, on_timer, probe);
	if (!probe->timer)
		goto out;
	if (probe->target.kind != TARGET_HTTPS)
		add_numeric(probe);
	probe->has_begun = probe->naddresses == 0;
	if (probe->has_begun && !job_start(probe))
		goto out;
	host->timer_start(probe->timer, probe->has_begun ? request->timeout_ms : 0);
	return probe;
out:
	if (probe->timer)
		host->timer_free(probe->timer);
	free(probe);
	return NULL;
}
