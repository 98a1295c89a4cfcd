/* SPDX-License-Identifier: MIT */
/*
 * What is seen of messages without being in their way: those that somebody traces, and
 * processes that wait for each other.  HOST.
 *
 * A process whose control page says so writes its messages into a segment of its own
 * (struct co_ring_capture), which is read here ten times a second; what comes faster than
 * that is lost.  All of it is the process's word.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/client.h"
#include "cloudosd/guests.h"
#include "cloudosd/peer_inside.h"
#include "cloudosd/ticks.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { TRACE_MS = 100, LOOK_MS = 1000 };

uint64_t peers_ns(struct peers *all, uint64_t ticks)
{
	const struct co_host *host = all->daemon->host;
	uint64_t ms = host->now_ms(host->ctx) - all->ticks_ms;
	uint64_t passed = ticks_now() - all->ticks;

	/* better and better, and the same for the figures of one list nearly always */
	if (passed && ms >= 2 * all->measured_ms) {
		all->tick_ns = (double) ms * 1e6 / (double) passed;
		all->measured_ms = ms;
	}
	return (uint64_t) ((double) ticks * all->tick_ns);
}

/* ---- messages as they go by ---- */

struct showing {
	struct peers *all;
	const struct peer *peer;
	const struct ipc_port *port;
	const struct co_ring_record *record;
};

static const char *event_name(uint8_t event)
{
	switch (event) {
	case CO_RING_EVENT_POST:
		return "sent";
	case CO_RING_EVENT_RECEIVE:
		return "received";
	case CO_RING_EVENT_REPLY:
		return "replied";
	case CO_RING_EVENT_ANSWER:
		return "answered";
	default:
		return "unknown";
	}
}

/* What can be read stays so, everything else is \xNN; `out` has room for it. */
static void put_data(char *out, const uint8_t *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		if (data[i] >= ' ' && data[i] < 0x7f && data[i] != '\\') {
			*out++ = (char) data[i];
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = 0;
}

static void show_to(void *arg, struct client *client)
{
	const struct showing *s = arg;
	const struct co_ring_record *record = s->record;
	const struct co_host *host = s->all->daemon->host;
	struct co_msg *out = control_out(client->control);
	struct wire_channel_message_row *row;
	char data[4 * CO_RING_RECORD_DATA + 1];
	size_t n =
		record->size < CO_RING_RECORD_DATA ? record->size : CO_RING_RECORD_DATA;

	if (client->channel != s->port->id && client->channel != CLIENT_ALL_CHANNELS)
		return;
	row = co_msg_start(out, WIRE_channel_message_row, client->stream_tag);
	row->id = s->port->id;
	row->connection = record->connection;
	row->pid = s->peer->pid;
	row->tid = (int32_t) record->tid;
	row->at_us = (host->wall_ns(host->ctx) -
		      peers_ns(s->all, ticks_now() - record->stamp)) /
		     1000;
	row->tag = record->tag;
	row->size = record->size;
	row->seq = record->seq;
	co_msg_text(out, &row->event, event_name(record->event));
	put_data(data, record->data, n);
	co_msg_text(out, &row->data, data);
	client_stream(client);
}

/* For those who follow all calls. */
static void tell_followers(const struct showing *s)
{
	struct daemon *d = s->all->daemon;
	uint64_t id = s->peer->ipc->session;
	uint64_t ago = peers_ns(s->all, ticks_now() - s->record->stamp) / 1000000;
	const struct session *session = id ? session_find(d, id, NULL) : NULL;
	char data[4 * CO_RING_RECORD_DATA + 1], port[128], size[32];
	char arguments[sizeof(data) + sizeof(port) + 64];
	size_t n = s->record->size < CO_RING_RECORD_DATA ? s->record->size
							 : CO_RING_RECORD_DATA;

	while (n && !s->record->data[n - 1])
		n--; /* the rest of a page */
	put_data(data, s->record->data, n);
	guests_port_names(s->port, port, sizeof(port));
	(void) snprintf(arguments, sizeof(arguments), "port=\"%s\", tag=%llu, \"%s\"",
			port, (unsigned long long) s->record->tag, data);
	(void) snprintf(size, sizeof(size), "%u bytes", s->record->size);
	traces_tell(d->services.traces,
		    &(struct trace_entry){
			    /* the stamp is the process's word */
			    .at_ms = d->host->wall_ns(d->host->ctx) / 1000000 -
				     (ago < 10 * LOOK_MS ? ago : 0),
			    .session = id,
			    .tid = (int32_t) s->record->tid,
			    .program = session ? session_row(session)->name : "",
			    .personality = session ? session->personality->name : "",
			    .call = event_name(s->record->event),
			    .arguments = co_span(arguments),
			    .result = co_span(size) });
}

/* Where a message of a connection that has ended since must have been; NULL: who knows. */
static const struct ipc_port *only_port(const struct ipc_peer *peer)
{
	return peer->ports && !peer->ports->own_next ? peer->ports : NULL;
}

static void show(struct peers *all, struct peer *p)
{
	uint64_t next = 0;

	if (p->capture_fd < 0 ||
	    pread(p->capture_fd, &next, sizeof(next),
		  offsetof(struct co_ring_capture, next)) != sizeof(next))
		return;
	if (next - p->captured > CO_RING_RECORDS) /* also if it went back */
		p->captured = next > CO_RING_RECORDS ? next - CO_RING_RECORDS : 0;
	for (unsigned i = 0; p->captured != next && i < CO_RING_RECORDS;
	     i++, p->captured++) {
		struct co_ring_record record;
		const struct ipc_connection *c;
		struct showing showing = { all, p, NULL, &record };

		if (pread(p->capture_fd, &record, sizeof(record),
			  (off_t) (offsetof(struct co_ring_capture, records) +
				   p->captured % CO_RING_RECORDS * sizeof(record))) !=
			    sizeof(record) ||
		    record.number != p->captured + 1)
			continue; /* half written, or over already */
		c = ipc_connection_of(p->ipc, record.connection);
		showing.port = c ? c->port : only_port(p->ipc);
		if (showing.port)
			control_each_client(all->daemon->control, show_to, &showing);
		if (showing.port && traces_wanted(all->daemon->services.traces))
			tell_followers(&showing);
	}
}

static void want_port(void *arg, struct ipc_port *port)
{
	const struct peers *all = arg;
	const struct ipc_receiver *r;

	DL_FOREACH (port->receivers, r)
		((struct peer *) r->peer->ctx)->traced = all->round;
}

static void want(void *arg, struct client *client)
{
	struct peers *all = arg;
	struct ipc_port *port;

	if (!client->channel)
		return;
	if (client->channel == CLIENT_ALL_CHANNELS) {
		all->tracing_on = true;
		ipc_each_port(all->ipc, want_port, all);
		return;
	}
	port = ipc_port_by_id(all->ipc, client->channel);
	if (!port) {
		client->channel = 0;
		client_reply(client, WIRE_channel_trace_rep, client->stream_tag, 0,
			     NULL);
		client->stream_tag = 0;
		return;
	}
	all->tracing_on = true;
	want_port(all, port);
}

static void trace_fire(void *arg)
{
	struct peers *all = arg;
	struct peer *p;

	all->round++;
	all->tracing_on = false;
	control_each_client(all->daemon->control, want, all);
	if (traces_wanted(all->daemon->services.traces)) {
		all->tracing_on = true;
		ipc_each_port(all->ipc, want_port, all);
	}
	DL_FOREACH (all->all, p) {
		bool wanted = p->traced == all->round;

		if (p->gone)
			continue;
		if (wanted != (p->control->flags & CO_RING_CAPTURE)) {
			__atomic_store_n(&p->control->flags,
					 wanted ? CO_RING_CAPTURE : 0,
					 __ATOMIC_RELEASE);
			peer_kick(p, UINT64_MAX);
		}
		if (wanted)
			show(all, p);
	}
	if (all->tracing_on)
		all->daemon->host->timer_start(all->tracing, TRACE_MS);
}

void peers_trace(struct peers *all)
{
	if (!all->tracing_on)
		all->daemon->host->timer_start(all->tracing, 0);
	all->tracing_on = true;
}

void peer_capture(struct peer *p, int fd)
{
	autoclose int segment = fd;
	struct co_err err = { 0 };

	if (peer_check_segment(segment, sizeof(struct co_ring_capture), CO_RING_SEALS,
			       NULL, &err)) {
		co_log(ipc, WARN, "the messages of process %d cannot be shown: %s",
		       p->pid, err.message);
		return;
	}
	if (p->capture_fd >= 0)
		(void) close(p->capture_fd);
	p->capture_fd = take_fd(segment);
	p->captured = 0;
}

/* ---- who waits for whom ---- */

static bool known(const struct ipc_cycle *cycle, const struct ipc_cycle *before,
		  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (before[i].since_ms == cycle->since_ms &&
		    before[i].count == cycle->count)
			return true;
	return false;
}

static void tell(const struct ipc_cycle *cycle)
{
	char who[IPC_CYCLE * 16] = "";
	size_t n = 0;

	for (unsigned i = 0; i < cycle->count; i++)
		n += (size_t) snprintf(who + n, sizeof(who) - n, "%s%d",
				       i ? " for " : "", cycle->pids[i]);
	co_log(ipc, WARN,
	       "processes wait for each other and will do so for ever: %s for %d; "
	       "`cloudosctl channel ls --deadlocks` lists them",
	       who, cycle->pids[0]);
}

static void look_fire(void *arg)
{
	struct peers *all = arg;
	struct ipc_cycle cycles[PEERS_CYCLES] = { 0 };
	size_t found = ipc_deadlocks(all->ipc, cycles, PEERS_CYCLES);

	if (found > PEERS_CYCLES)
		found = PEERS_CYCLES;
	for (size_t i = 0; i < found; i++)
		if (!known(&cycles[i], all->cycles, all->ncycles))
			tell(&cycles[i]);
	memcpy(all->cycles, cycles, sizeof(cycles));
	all->ncycles = found;
	all->looking_on = false;
	if (ipc_numbers(all->ipc).connections > 1)
		peers_look(all);
}

void peers_look(struct peers *all)
{
	if (all->looking_on)
		return;
	all->looking_on = true;
	all->daemon->host->timer_start(all->looking, LOOK_MS);
}

size_t peers_deadlocks(const struct peers *all, const struct ipc_cycle **out)
{
	*out = all->cycles;
	return all->ncycles;
}

int peers_watch_new(struct peers *all)
{
	const struct co_host *host = all->daemon->host;

	all->ticks = ticks_now();
	all->ticks_ms = host->now_ms(host->ctx);
	all->tracing = host->timer_new(host->ctx, trace_fire, all);
	all->looking = host->timer_new(host->ctx, look_fire, all);
	return all->tracing && all->looking ? 0 : CO_NO_MEMORY;
}
