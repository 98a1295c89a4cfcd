/* SPDX-License-Identifier: MIT */
/*
 * Those who are connected to a container's monitor.  HOST.
 *
 * What the kernel keeps for a client is the bound: who does not read loses output, and
 * whom a reply or event does not reach is disconnected.  Output leaves room for those.
 * Only for a client that the program waits for does anything wait here, and meanwhile no
 * output is read.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloudosd/ctr/monitor_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* Of unread output; replies and events fit beside it. */
enum { UNREAD = 65536 };

/* ---- sending ---- */

static void arm(struct monitor *m, struct client *c)
{
	uint32_t events = c->first ? EPOLLOUT : 0;

	if (!c->input || m->input_waits.size == 0)
		events |= EPOLLIN;
	monitor_look(m, &c->source, events);
}

static void enqueue(struct monitor *m, struct client *c, int type, const void *data,
		    size_t size)
{
	struct packet *p = malloc(sizeof(*p) + size);

	if (!p) {
		monitor_client_end(m, c);
		return;
	}
	p->next = NULL;
	p->type = type;
	p->size = size;
	memcpy(p->data, data, size);
	if (c->last) {
		c->last->next = p;
	} else {
		c->first = p;
		c->moved_ms = monitor_clock();
		m->stalled++;
	}
	c->last = p;
	arm(m, c);
	monitor_stdio_arm(m);
}

static void empty(struct monitor *m, struct client *c)
{
	if (!c->first)
		return;
	while (c->first) {
		struct packet *p = c->first;

		c->first = p->next;
		free(p);
	}
	c->last = NULL;
	m->stalled--;
	monitor_stdio_arm(m);
}

static void go_on(struct monitor *m, struct client *c)
{
	while (c->first) {
		struct packet *p = c->first;
		int rc = ctr_control_packet(c->source.fd, p->type, p->data, p->size,
					    NULL);

		if (rc == CO_BUSY)
			return;
		if (rc < 0) {
			monitor_client_end(m, c);
			return;
		}
		c->moved_ms = monitor_clock();
		if (!p->next) {
			empty(m, c);
			break;
		}
		c->first = p->next;
		free(p);
	}
	arm(m, c);
}

static bool has_room(const struct client *c)
{
	int unread = 0;

	return ioctl(c->source.fd, SIOCOUTQ, &unread) < 0 || unread < UNREAD;
}

static void say_lost(struct monitor *m, struct client *c)
{
	char text[100];
	int n = snprintf(
		text, sizeof(text), "{\"event\":\"lost\",\"at\":%llu,\"bytes\":%llu}",
		(unsigned long long) monitor_now(), (unsigned long long) c->lost);

	c->lost = 0;
	monitor_send(m, c, -1, text, (size_t) n);
}

void monitor_send(struct monitor *m, struct client *c, int type, const void *data,
		  size_t size)
{
	int rc;

	if (c->closing)
		return;
	if (c->first) {
		enqueue(m, c, type, data, size);
		return;
	}
	if (type > 0 && !has_room(c)) {
		if (c->waits)
			enqueue(m, c, type, data, size);
		else
			c->lost += size;
		return;
	}
	if (type > 0 && c->lost)
		say_lost(m, c);
	rc = ctr_control_packet(c->source.fd, type, data, size, NULL);
	if (rc == CO_BUSY && c->waits)
		enqueue(m, c, type, data, size);
	else if (rc == CO_BUSY && type > 0)
		c->lost += size;
	else if (rc < 0)
		monitor_client_end(m, c);
}

static void send_text(struct monitor *m, struct client *c, const struct co_buf *text)
{
	if (text->failed)
		monitor_client_end(m, c);
	else
		monitor_send(m, c, -1, text->data, text->size);
}

void monitor_reply(struct monitor *m, struct client *c, uint64_t tag,
		   const char *members)
{
	autobuf struct co_buf text = { 0 };

	co_buf_format(&text, "{\"tag\":%llu,\"ok\":true%s}", (unsigned long long) tag,
		      members);
	send_text(m, c, &text);
}

void monitor_refuse(struct monitor *m, struct client *c, uint64_t tag,
		    const struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	co_buf_format(&text, "{\"tag\":%llu,\"ok\":false,\"code\":\"%s\",\"message\":",
		      (unsigned long long) tag, co_status_name(err->code));
	co_buf_json_text(&text, co_span(err->message));
	co_buf_char(&text, '}');
	send_text(m, c, &text);
}

void monitor_event(struct monitor *m, const char *name, const char *members)
{
	autobuf struct co_buf text = { 0 };

	co_buf_format(&text, "{\"event\":\"%s\",\"at\":%llu%s}", name,
		      (unsigned long long) monitor_now(), members);
	for (struct client *c = m->clients; c; c = c->next)
		if (c->watches)
			send_text(m, c, &text);
}

/* ---- coming and going ---- */

void monitor_client_end(struct monitor *m, struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	monitor_exec_forget(m, c);
	monitor_close(m, &c->source);
	empty(m, c);
	if (c->once && c->input)
		monitor_input_end(m);
	if (c->creator && !m->committed)
		m->undone = true;
}

void monitor_clients_sweep(struct monitor *m)
{
	struct client **at = &m->clients;

	while (*at) {
		struct client *c = *at;

		if (!c->closing) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		m->client_count--;
		free(c);
	}
}

static void receive(struct monitor *m, struct client *c)
{
	static char bytes[CO_LIMIT_CTR_MESSAGE];
	struct co_json_fault fault;
	struct co_span json;
	ssize_t n;

	do {
		n = recv(c->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || (size_t) n > sizeof(bytes)) {
		monitor_client_end(m, c);
	} else if (bytes[0] == 0) {
		monitor_input(m, c, (struct co_span){ bytes + 1, (size_t) n - 1 });
		if (!c->closing)
			arm(m, c);
	} else if (co_json_check((struct co_span){ bytes, (size_t) n }, &json, &fault) <
			   0 ||
		   co_json_kind(json) != CO_JSON_OBJECT) {
		monitor_client_end(m, c);
	} else {
		monitor_request(m, c, json);
	}
}

static void client_ready(struct monitor *m, struct source *s, uint32_t events)
{
	struct client *c = (struct client *) s;

	if (events & EPOLLOUT)
		go_on(m, c);
	if (!c->closing && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(m, c);
}

struct client *monitor_client_add(struct monitor *m, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		(void) close(fd); /* nobody has been promised anything */
		return NULL;
	}
	c->source = (struct source){ .fd = fd, .ready = client_ready };
	c->next = m->clients;
	m->clients = c;
	m->client_count++;
	arm(m, c);
	return c;
}

/* Our own user and root. */
static bool is_welcome(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	       (who.uid == geteuid() || who.uid == 0);
}

static void listener_ready(struct monitor *m, struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void) events;
	if (fd < 0)
		return;
	if (m->client_count >= CO_LIMIT_CTR_CLIENTS || !is_welcome(fd))
		(void) close(fd); /* it sees the end of the connection */
	else
		(void) monitor_client_add(m, fd); /* without memory it is closed */
	if (m->calls)
		ctr_calls_again(m->calls); /* it may be a new daemon */
}

int monitor_clients_open(struct monitor *m, struct co_err *err)
{
	int rc = ctr_control_listen(m->folder, &m->listener.fd, err);

	if (rc < 0)
		return rc;
	m->listener.ready = listener_ready;
	monitor_look(m, &m->listener, EPOLLIN);
	return 0;
}
