/* SPDX-License-Identifier: MIT */
/*
 * SYSTEM makes the debug calls: it asks the daemon for channels, their statistics and
 * messages as they go by, and prints the answer where programs print, and into the kernel
 * log.  HOST.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/system.h"
#include "lib/cleanup.h"

enum { NAMES = 256, AGAIN_MS = 200 };

/* ---- printing ---- */

static void print(struct system *system, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void print(struct system *system, const char *format, ...)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	char line[2048];
	size_t size, done = 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	size = n < (int) sizeof(line) ? (size_t) n : sizeof(line) - 1;
	system_log(system, line, size);
	while (done < size) {
		ssize_t wrote = write(out.fd, line + done, size - done);

		if (wrote > 0)
			done += (size_t) wrote;
		else if (wrote < 0 && errno == EAGAIN)
			(void) poll(&out, 1, -1); /* write tells */
		else if (wrote < 0 && errno != EINTR)
			return; /* nobody listens, as for kprint */
	}
}

/* Programs choose names: what is no text in them is shown as a question mark. */
static const char *names_of(const struct co_client *client,
			    const struct wire_channel_row *row, char out[NAMES])
{
	const char *names = co_msg_get(client->in, row->name);
	size_t n;

	for (n = 0; names[n] && n < NAMES - 1; n++) {
		unsigned char c = (unsigned char) names[n];

		out[n] = (char) (c < ' ' || c == 0x7f || c == '"' ? '?' : c);
	}
	out[n] = 0;
	return out;
}

/* ---- what the daemon says ---- */

static void print_channel(struct system *system, const struct co_client *client)
{
	const struct wire_channel_row *row = (const void *) client->in->bytes;
	char names[NAMES];

	print(system,
	      "channel %" PRIu64 " \"%s\" of process %d: receivers %u, connections %u, "
	      "waiting %u, pending %u\n",
	      row->id, names_of(client, row, names), row->pid, row->receivers,
	      row->connections, row->waiting, row->pending);
}

static void print_stats(struct system *system, const struct co_client *client)
{
	const struct wire_channel_row *row = (const void *) client->in->bytes;
	char names[NAMES];

	print(system,
	      "channel %" PRIu64 " \"%s\": sent %" PRIu64 ", answered %" PRIu64
	      ", errors %" PRIu64 ", bytes %" PRIu64 " and back %" PRIu64
	      ", half within %" PRIu64 " ns, 99 %% within %" PRIu64
	      " ns, deepest queue %u, memory %" PRIu64 "\n",
	      row->id, names_of(client, row, names), row->messages, row->answers,
	      row->errors, row->bytes, row->bytes_back, row->took_p50_ns,
	      row->took_p99_ns, row->depth_max, row->memory);
}

static int unexpected(struct co_err *err)
{
	return co_fail(err, CO_PROTOCOL, "the daemon answered something else");
}

static int each_channel(struct system *system, struct co_client *client,
			void (*show)(struct system *, const struct co_client *),
			struct co_err *err)
{
	int rc;

	(void) co_client_request(client, WIRE_channel_list_req);
	rc = co_client_send(client, NULL, 0, err);
	while (!rc && (rc = co_client_next(client, err)) == CO_CLIENT_ROW) {
		rc = 0;
		if (client->in->header->type != WIRE_channel_row)
			return unexpected(err);
		show(system, client);
	}
	return rc;
}

static int list(struct system *system, struct co_client *client, uint64_t *channels,
		struct co_err *err)
{
	const struct wire_channel_list_rep *rep = (const void *) client->in->bytes;
	int rc = each_channel(system, client, print_channel, err);

	if (rc)
		return rc;
	print(system, "channels %u, connections %u, processes %u, names %u\n",
	      rep->channels, rep->connections, rep->peers, rep->names);
	*channels = rep->channels;
	return 0;
}

static int stats(struct system *system, struct co_client *client, uint64_t *channels,
		 struct co_err *err)
{
	const struct wire_channel_stats_rep *rep = (const void *) client->in->bytes;
	int rc = each_channel(system, client, print_stats, err);

	if (!rc) {
		(void) co_client_request(client, WIRE_channel_stats_req);
		rc = co_client_send(client, NULL, 0, err);
	}
	while (!rc && (rc = co_client_next(client, err)) == CO_CLIENT_ROW)
		rc = 0; /* how many answers took how long */
	if (rc)
		return rc;
	print(system,
	      "all %u channels: sent %" PRIu64 ", answered %" PRIu64 ", errors %" PRIu64
	      ", half within %" PRIu64 " ns, 99 %% within %" PRIu64
	      " ns, deepest queue %u, memory %" PRIu64 ", kinds of tokens %" PRIu64
	      ", guesses %" PRIu64 "\n",
	      rep->channels, rep->messages, rep->answers, rep->errors, rep->took_p50_ns,
	      rep->took_p99_ns, rep->depth_max, rep->memory, rep->tokens, rep->guesses);
	*channels = rep->channels;
	return 0;
}

/* ---- messages as they go by ---- */

static int trace_begin(const struct system *system, struct co_client **out,
		       struct co_err *err)
{
	int rc = co_client_open(system->paths, "cloudos-exec", out, err);

	if (rc)
		return rc;
	(void) co_client_request(*out, WIRE_channel_trace_req); /* of all */
	(*out)->timeout_ms = -1;
	return co_client_send(*out, NULL, 0, err);
}

static void print_message(struct system *system, const struct co_client *client)
{
	const struct wire_channel_message_row *row = (const void *) client->in->bytes;
	const char *event = co_msg_get(client->in, row->event);

	print(system,
	      "trace: channel %" PRIu64 " process %d %s, from thread %d, %s %" PRIu64
	      ", size %u: %s\n",
	      row->id, row->pid, event, row->tid,
	      strcmp(event, "replied") == 0 ? "value" : "tag", row->tag, row->size,
	      co_msg_get(client->in, row->data));
}

static void *trace_run(void *arg)
{
	struct system *system = arg;

	for (;;) {
		autoclient struct co_client *client = NULL;
		struct co_err err = { 0 };
		int rc = trace_begin(system, &client, &err);

		while (!rc && (rc = co_client_next(client, &err)) == CO_CLIENT_ROW) {
			rc = 0;
			if (client->in->header->type == WIRE_channel_message_row)
				print_message(system, client);
		}
		(void) poll(NULL, 0, AGAIN_MS); /* the next daemon */
	}
	return NULL;
}

static int trace(struct system *system, struct co_err *err)
{
	pthread_t thread;
	int rc;

	if (system->tracing)
		return 0;
	rc = pthread_create(&thread, NULL, trace_run, system);
	if (rc)
		return co_fail_errno(err, rc, "cannot start a thread");
	(void) pthread_detach(thread); /* it ends with the process */
	system->tracing = true;
	return 0;
}

/* ---- the channel ---- */

/* 0 is refused, everything else is one more than the call's value. */
bool system_debug(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct system *system = ctx;
	const uint64_t *tokens = system->tokens.token;
	autoclient struct co_client *client = NULL;
	struct co_err err = { 0 };
	uint64_t channels = 0;
	int rc = 0;

	*value = 0;
	if (m->tag == tokens[CO_ANOS_TRACE_MESSAGES]) {
		rc = trace(system, &err);
	} else if (m->tag == tokens[CO_ANOS_LIST_CHANNELS] ||
		   m->tag == tokens[CO_ANOS_CHANNEL_STATS]) {
		rc = co_client_open(system->paths, "cloudos-exec", &client, &err);
		if (!rc)
			rc = (m->tag == tokens[CO_ANOS_LIST_CHANNELS] ? list : stats)(
				system, client, &channels, &err);
	} else {
		return true;
	}
	if (rc)
		(void) fprintf(stderr,
			       "cloudos-exec: process %d makes a debug call: %s\n",
			       m->pid, err.message);
	else
		*value = channels + 1;
	return true;
}
