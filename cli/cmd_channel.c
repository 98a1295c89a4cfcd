/* SPDX-License-Identifier: MIT */
/* cloudosctl channel ..., capability ls.  HOST. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"

/* A channel is called by its number or one of its names. */
static void which(struct ctl *ctl, uint64_t *out_id, struct wire_span *name)
{
	if (ctl->noperands)
		ctl_session(ctl, out_id, name);
}

int cmd_channel_ls(struct ctl *ctl)
{
	struct wire_channel_list_req *req;

	if (ctl_option(ctl, "deadlocks")) {
		if (ctl->noperands)
			return ctl_usage(ctl, "--deadlocks lists processes, not a "
					      "channel");
		if (!ctl_request(ctl, WIRE_deadlock_list_req))
			return ctl->err.code;
		return ctl_list(ctl, WIRE_deadlock_row, "age_ms processes who", NULL);
	}
	req = ctl_request(ctl, WIRE_channel_list_req);
	if (!req)
		return ctl->err.code;
	which(ctl, &req->id, &req->name);
	return ctl_list(ctl, WIRE_channel_row,
			"id name pid session receivers connections waiting pending "
			"messages age_ms",
			NULL);
}

static int skip_row(struct ctl *ctl, void *data)
{
	(void) ctl;
	(void) data;
	return 0;
}

int cmd_channel_stats(struct ctl *ctl)
{
	struct wire_channel_stats_req *req = ctl_request(ctl, WIRE_channel_stats_req);
	int rc;

	if (!req)
		return ctl->err.code;
	which(ctl, &req->id, &req->name);
	if (ctl_option(ctl, "histogram"))
		return ctl_list(ctl, WIRE_channel_bucket_row, NULL, NULL);
	rc = ctl_stream(ctl, skip_row, NULL);
	return rc < 0 ? rc : ctl_record(ctl);
}

int cmd_channel_kill(struct ctl *ctl)
{
	struct wire_channel_kill_req *req = ctl_request(ctl, WIRE_channel_kill_req);
	int rc;

	if (!req)
		return ctl->err.code;
	which(ctl, &req->id, &req->name);
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc : ctl_say(ctl, "channel %s is revoked", ctl->operands[0]);
}

static int put_message(struct ctl *ctl, void *data)
{
	const struct wire_channel_message_row *row =
		(const void *) ctl->client->in->bytes;
	FILE *out = ctl->style.out;

	(void) data;
	if (row->h.type != WIRE_channel_message_row)
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "the daemon sent a row of type %#x in a trace",
			       (unsigned) row->h.type);
	/* failures are asked of the flush */
	(void) fprintf(out, "[%d] ", row->tid);
	(void) co_print_escaped(out, co_msg_get(ctl->client->in, row->event),
				row->event.length);
	(void) fprintf(out, " connection %llx seq %u %s %llu size %u \"",
		       (unsigned long long) row->connection, row->seq,
		       strcmp(co_msg_get(ctl->client->in, row->event), "replied") == 0
			       ? "value"
			       : "tag",
		       (unsigned long long) row->tag, row->size);
	(void) co_print_escaped(out, co_msg_get(ctl->client->in, row->data),
				row->data.length);
	(void) fputs("\"\n", out);
	return ctl_printed(ctl, co_print_flush(out));
}

int cmd_channel_trace(struct ctl *ctl)
{
	struct wire_channel_trace_req *req = ctl_request(ctl, WIRE_channel_trace_req);

	if (!req)
		return ctl->err.code;
	ctl->style.stream = true;
	which(ctl, &req->id, &req->name);
	if (ctl->style.format == CO_FORMAT_JSON)
		return ctl_list(ctl, WIRE_channel_message_row, NULL, NULL);
	return ctl_stream(ctl, put_message, NULL);
}

int cmd_capability_ls(struct ctl *ctl)
{
	if (!ctl_request(ctl, WIRE_capability_list_req))
		return ctl->err.code;
	return ctl_list(ctl, WIRE_capability_row, "id name holders", NULL);
}

/* ---- top ---- */

enum { TOP_MAX = 4096, TOP_SHOWN = 20 };

struct top_row {
	uint64_t id, messages, bytes, rate, byte_rate, p50, p99;
	int32_t pid;
	uint32_t pending, connections;
	char name[48];
};

struct top {
	struct top_row *rows, *before;
	size_t count, nbefore;
	uint64_t interval_ms;
};

static const struct top_row *row_before(const struct top *top, uint64_t id)
{
	for (size_t i = 0; i < top->nbefore; i++)
		if (top->before[i].id == id)
			return &top->before[i];
	return NULL;
}

static int top_row(struct ctl *ctl, void *data)
{
	const struct wire_channel_row *row = (const void *) ctl->client->in->bytes;
	struct top *top = data;
	const struct top_row *before;
	struct top_row *to;

	if (row->h.type != WIRE_channel_row)
		return co_fail(
			&ctl->err, CO_PROTOCOL,
			"the daemon sent a row of type %#x in a list of channels",
			(unsigned) row->h.type);
	if (top->count == TOP_MAX)
		return 0;
	to = &top->rows[top->count++];
	*to = (struct top_row){ .id = row->id,
				.messages = row->messages,
				.bytes = row->bytes + row->bytes_back,
				.p50 = row->took_p50_ns,
				.p99 = row->took_p99_ns,
				.pid = row->pid,
				.pending = row->pending,
				.connections = row->connections };
	(void) snprintf(to->name, sizeof(to->name), "%s",
			co_msg_get(ctl->client->in, row->name));
	before = row_before(top, row->id);
	if (before && to->messages >= before->messages && to->bytes >= before->bytes) {
		to->rate = (to->messages - before->messages) * 1000 / top->interval_ms;
		to->byte_rate = (to->bytes - before->bytes) * 1000 / top->interval_ms;
	}
	return 0;
}

static int busiest(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;

	if (one->rate != two->rate)
		return one->rate > two->rate ? -1 : 1;
	return one->id < two->id ? -1 : one->id > two->id;
}

static int top_print(struct ctl *ctl, struct top *top)
{
	static const char *const columns[] = { "id",          "name",        "pid",
					       "pending",     "messages_s",  "bytes_s",
					       "took_p50_ns", "took_p99_ns", "messages",
					       NULL };
	struct co_print *p = co_print_new(&ctl->style, columns);

	if (!p)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	qsort(top->rows, top->count, sizeof(*top->rows), busiest);
	for (size_t i = 0; i < top->count && i < TOP_SHOWN; i++) {
		const struct top_row *row = &top->rows[i];

		co_print_u64(p, row->id);
		co_print_text(p, row->name);
		co_print_i64(p, row->pid);
		co_print_u64(p, row->pending);
		co_print_u64(p, row->rate);
		co_print_u64(p, row->byte_rate);
		co_print_u64(p, row->p50);
		co_print_u64(p, row->p99);
		co_print_u64(p, row->messages);
	}
	return ctl_printed(ctl, co_print_end(p));
}

/* Waits; false when nobody reads the output any more. */
static bool top_pause(const struct ctl *ctl, uint64_t ms)
{
	struct pollfd reader = { .fd = fileno(ctl->style.out) };

	return poll(&reader, 1, (int) ms) <= 0 ||
	       !(reader.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static int top_round(struct ctl *ctl, struct top *top)
{
	struct top_row *rows = top->before;
	int rc;

	top->before = top->rows;
	top->nbefore = top->count;
	top->rows = rows;
	top->count = 0;
	if (!ctl_request(ctl, WIRE_channel_list_req))
		return ctl->err.code;
	rc = ctl_stream(ctl, top_row, top);
	return rc < 0 ? rc : 0;
}

int cmd_channel_top(struct ctl *ctl)
{
	autofree struct top_row *one = calloc(TOP_MAX, sizeof(*one));
	autofree struct top_row *two = calloc(TOP_MAX, sizeof(*two));
	struct top top = { .rows = one, .before = two, .interval_ms = 1000 };
	uint64_t rounds = 0, interval = 1;
	int rc = ctl_option_number(ctl, "rounds", 1, UINT32_MAX, &rounds);

	if (rc == 0)
		rc = ctl_option_number(ctl, "interval", 1, 3600, &interval);
	if (rc < 0)
		return rc;
	if (!one || !two)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	top.interval_ms = interval * 1000;
	rc = top_round(ctl, &top);
	for (uint64_t i = 0; rc == 0 && (!rounds || i < rounds); i++) {
		if (!top_pause(ctl, top.interval_ms))
			return 0;
		rc = top_round(ctl, &top);
		if (rc == 0 && ctl->style.colour &&
		    ctl->style.format == CO_FORMAT_TABLE)
			(void) fputs("\033[H\033[J", ctl->style.out); /* a terminal */
		if (rc == 0)
			rc = top_print(ctl, &top);
	}
	return rc;
}
