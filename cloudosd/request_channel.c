/* SPDX-License-Identifier: MIT */
/* Requests about ports, messages and capabilities.  HOST. */
#include <string.h>

#include "cloudosd/guests.h"
#include "cloudosd/peer.h"
#include "cloudosd/request.h"
#include "lib/log.h"

/* ---- which ports ---- */

struct wanted {
	struct client *client;
	struct ipc *ipc;
	uint64_t tag, id;                 /* 0: by name */
	char name[CO_LIMIT_IPC_NAME + 1]; /* "": all */
	uint32_t ports, receivers, waiting;
	uint64_t opens;
	struct ipc_port *port; /* the last one found */
	struct ipc_stats stats;
};

static bool is_wanted(const struct wanted *w, const struct ipc_port *port)
{
	const char *name;

	if (w->id)
		return port->id == w->id;
	if (!*w->name)
		return true;
	for (unsigned i = 0; (name = ipc_name_of(port, i, NULL)); i++)
		if (strcmp(name, w->name) == 0)
			return true;
	return false;
}

static void count_port(void *arg, struct ipc_port *port)
{
	struct wanted *w = arg;
	const struct ipc_receiver *r;

	if (!is_wanted(w, port))
		return;
	w->port = port;
	w->ports++;
	w->waiting += port->waiting_count;
	w->opens += port->opens;
	for (r = port->receivers; r; r = r->next)
		w->receivers++;
	ipc_port_stats(port, &w->stats);
}

static struct wanted wanted(struct client *client, uint64_t id, struct wire_span name)
{
	struct wanted w = { .client = client,
			    .ipc = peers_ipc(client->daemon->peers),
			    .tag = request_tag(client),
			    .id = id };

	(void) snprintf(w.name, sizeof(w.name), "%s", request_text(client, name));
	return w;
}

/* There is none such: the client is told. */
static bool missing(const struct wanted *w, uint32_t type)
{
	char reason[160];

	if (w->ports || (!w->id && !*w->name))
		return false;
	if (w->id)
		(void) snprintf(
			reason, sizeof(reason),
			"there is no channel %llu (cloudosctl channel ls lists them)",
			(unsigned long long) w->id);
	else
		(void) snprintf(
			reason, sizeof(reason),
			"there is no channel named \"%.64s\" (cloudosctl channel ls "
			"lists them)",
			w->name);
	client_reply(w->client, type, w->tag, CO_NOT_FOUND, reason);
	return true;
}

/* ---- lists ---- */

static void list_port(void *arg, struct ipc_port *port)
{
	struct wanted *w = arg;
	struct daemon *d = w->client->daemon;
	struct co_msg *out = control_out(w->client->control);
	struct wanted one = { .id = port->id };
	struct wire_channel_row *row;
	char names[1024];

	if (!is_wanted(w, port))
		return;
	w->ports++;
	count_port(&one, port);
	row = co_msg_start(out, WIRE_channel_row, w->tag);
	row->id = port->id;
	guests_port_names(port, names, sizeof(names));
	co_msg_text(out, &row->name, names);
	row->pid = port->owner->pid;
	row->uid = port->owner->uid;
	row->session = port->owner->session;
	row->receivers = one.receivers;
	row->connections = port->connections;
	row->waiting = port->waiting_count;
	row->pending = (uint32_t) one.stats.pending;
	row->depth_max = (uint32_t) one.stats.depth_max;
	row->age_ms = d->host->now_ms(d->host->ctx) - port->created_ms;
	row->opens = port->opens;
	row->messages = one.stats.messages;
	row->answers = one.stats.answers;
	row->bytes = one.stats.bytes;
	row->bytes_back = one.stats.bytes_back;
	row->errors = one.stats.errors;
	row->took_p50_ns = peers_ns(d->peers, ipc_stats_ticks(&one.stats, 500));
	row->took_p90_ns = peers_ns(d->peers, ipc_stats_ticks(&one.stats, 900));
	row->took_p99_ns = peers_ns(d->peers, ipc_stats_ticks(&one.stats, 990));
	row->memory = one.stats.memory;
	client_send(w->client);
}

void request_channel_list(struct client *client)
{
	const struct wire_channel_list_req *req =
		(const void *) control_in(client->control)->bytes;
	struct wanted w = wanted(client, req->id, req->name);
	struct ipc_numbers numbers = ipc_numbers(w.ipc);
	struct wire_channel_list_rep *rep;

	ipc_each_port(w.ipc, list_port, &w);
	if (missing(&w, WIRE_channel_list_rep))
		return;
	rep = co_msg_reply(control_out(client->control), WIRE_channel_list_rep, w.tag,
			   0, NULL);
	rep->channels = numbers.ports;
	rep->connections = numbers.connections;
	rep->peers = numbers.peers;
	rep->names = numbers.names;
	client_send(client);
}

static void send_buckets(const struct wanted *w)
{
	struct co_msg *out = control_out(w->client->control);
	struct peers *peers = w->client->daemon->peers;

	for (unsigned i = 0; i < CO_RING_BUCKETS; i++) {
		struct wire_channel_bucket_row *row;

		if (!w->stats.latency[i])
			continue;
		row = co_msg_start(out, WIRE_channel_bucket_row, w->tag);
		row->took_least_ns = peers_ns(peers, 1ULL << i);
		row->took_most_ns = peers_ns(peers, 2ULL << i);
		row->answers = w->stats.latency[i];
		client_send(w->client);
	}
}

void request_channel_stats(struct client *client)
{
	const struct wire_channel_stats_req *req =
		(const void *) control_in(client->control)->bytes;
	struct peers *peers = client->daemon->peers;
	struct wanted w = wanted(client, req->id, req->name);
	struct ipc_numbers numbers = ipc_numbers(w.ipc);
	struct wire_channel_stats_rep *rep;

	ipc_each_port(w.ipc, count_port, &w);
	if (missing(&w, WIRE_channel_stats_rep))
		return;
	send_buckets(&w);
	rep = co_msg_reply(control_out(client->control), WIRE_channel_stats_rep, w.tag,
			   0, NULL);
	rep->channels = w.ports;
	rep->connections =
		w.ports == numbers.ports ? numbers.connections : w.port->connections;
	rep->peers = numbers.peers;
	rep->names = numbers.names;
	rep->receivers = w.receivers;
	rep->waiting = w.waiting;
	rep->pending = (uint32_t) w.stats.pending;
	rep->depth_max = (uint32_t) w.stats.depth_max;
	rep->opens = w.opens;
	rep->messages = w.stats.messages;
	rep->answers = w.stats.answers;
	rep->bytes = w.stats.bytes;
	rep->bytes_back = w.stats.bytes_back;
	rep->errors = w.stats.errors;
	rep->sleeps = w.stats.sleeps;
	rep->wakes = w.stats.wakes;
	rep->took_p50_ns = peers_ns(peers, ipc_stats_ticks(&w.stats, 500));
	rep->took_p90_ns = peers_ns(peers, ipc_stats_ticks(&w.stats, 900));
	rep->took_p99_ns = peers_ns(peers, ipc_stats_ticks(&w.stats, 990));
	rep->took_p999_ns = peers_ns(peers, ipc_stats_ticks(&w.stats, 999));
	rep->memory = w.stats.memory;
	rep->guesses = numbers.guesses;
	rep->tokens = PEERS_TOKENS - 1;
	client_send(client);
}

/* ---- one port ---- */

void request_channel_kill(struct client *client)
{
	const struct wire_channel_kill_req *req =
		(const void *) control_in(client->control)->bytes;
	struct wanted w = wanted(client, req->id, req->name);

	if (!w.id && !*w.name) {
		client_reply(client, WIRE_channel_kill_rep, w.tag, CO_INVALID,
			     "which channel?");
		return;
	}
	ipc_each_port(w.ipc, count_port, &w);
	if (missing(&w, WIRE_channel_kill_rep))
		return;
	if (w.ports > 1) { /* one name in several sessions */
		client_reply(client, WIRE_channel_kill_rep, w.tag, CO_CONFLICT,
			     "several channels have that name; say which by its number "
			     "(cloudosctl channel ls)");
		return;
	}
	co_log_session(ipc, WARN, w.port->owner->session, w.port->owner->pid,
		       "channel %llu of process %d is revoked: process %d asked for it",
		       (unsigned long long) w.port->id, w.port->owner->pid,
		       client->pid);
	ipc_port_revoke(w.port);
	client_reply(client, WIRE_channel_kill_rep, w.tag, 0, NULL);
}

void request_channel_trace(struct client *client)
{
	const struct wire_channel_trace_req *req =
		(const void *) control_in(client->control)->bytes;
	struct wanted w = wanted(client, req->id, req->name);

	if (request_streaming(client, WIRE_channel_trace_rep))
		return;
	ipc_each_port(w.ipc, count_port, &w);
	if (missing(&w, WIRE_channel_trace_rep))
		return;
	if (w.ports != 1 && (w.id || *w.name)) {
		client_reply(client, WIRE_channel_trace_rep, w.tag, CO_CONFLICT,
			     "say which channel by its number (cloudosctl channel ls)");
		return;
	}
	client->stream_tag = w.tag;
	client->channel = w.id || *w.name ? w.port->id : CLIENT_ALL_CHANNELS;
	peers_trace(client->daemon->peers);
}

/* ---- capabilities, circles ---- */

struct holders {
	unsigned of[64];
};

static void count_holder(void *arg, struct ipc_peer *peer)
{
	struct holders *holders = arg;

	for (unsigned i = 0; i < 64; i++)
		holders->of[i] += (unsigned) (peer->holds >> i & 1);
}

void request_capability_list(struct client *client)
{
	struct co_msg *out = control_out(client->control);
	struct holders holders = { 0 };
	uint64_t tag = request_tag(client);
	size_t count;
	const struct co_personality *all = co_personalities(&count);

	ipc_each_peer(peers_ipc(client->daemon->peers), count_holder, &holders);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].name, "anos") != 0)
			continue;
		for (size_t k = 0; k < all[i].nops; k++) {
			const struct co_op *op = &all[i].ops[k];
			struct wire_capability_row *row;

			if (op->key_kind != CO_KEY_CAP || op->number >= PEERS_TOKENS)
				continue;
			row = co_msg_start(out, WIRE_capability_row, tag);
			row->id = op->number;
			row->holders = holders.of[op->number];
			co_msg_text(out, &row->name, op->name);
			client_send(client);
		}
	}
	client_reply(client, WIRE_capability_list_rep, tag, 0, NULL);
}

void request_deadlock_list(struct client *client)
{
	const struct daemon *d = client->daemon;
	struct co_msg *out = control_out(client->control);
	uint64_t tag = request_tag(client);
	const struct ipc_cycle *cycles;
	size_t count = peers_deadlocks(d->peers, &cycles);

	for (size_t i = 0; i < count; i++) {
		struct wire_deadlock_row *row =
			co_msg_start(out, WIRE_deadlock_row, tag);
		char who[IPC_CYCLE * 16] = "";
		size_t n = 0;

		for (unsigned k = 0; k < cycles[i].count; k++)
			n += (size_t) snprintf(who + n, sizeof(who) - n, "%d -> ",
					       cycles[i].pids[k]);
		(void) snprintf(who + n, sizeof(who) - n, "%d", cycles[i].pids[0]);
		row->age_ms = d->host->now_ms(d->host->ctx) - cycles[i].since_ms;
		row->processes = cycles[i].count;
		co_msg_text(out, &row->who, who);
		client_send(client);
	}
	client_reply(client, WIRE_deadlock_list_rep, tag, 0, NULL);
}

void request_token_get(struct client *client)
{
	struct co_msg *out = control_out(client->control);
	struct wire_token_get_rep *rep =
		co_msg_reply(out, WIRE_token_get_rep, request_tag(client), 0, NULL);

	(void) co_msg_bytes(out, &rep->tokens, peers_tokens(client->daemon->peers),
			    PEERS_TOKENS * sizeof(uint64_t)); /* fits */
	client_send(client);
}
