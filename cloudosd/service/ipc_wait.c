/* SPDX-License-Identifier: MIT */
/*
 * The engine for messages: processes that wait for each other in a circle.  HOST.
 *
 * Who waits is read from what programs write into their segments; one that lies shows up
 * in a circle that is not there, or does not in one that is.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cloudosd/service/ipc_inside.h"

struct edge { /* from waits for `to` */
	struct ipc_process *from, *to;
	uint64_t since_ms;
};

struct search {
	struct edge *edges;
	size_t count;
	struct edge *path[IPC_CYCLE];
	struct ipc_cycle *out;
	size_t room, found;
};

/*
 * The oldest message of a connection that a sleeping thread waits for; 0: there is none.
 * The three tables of a connection are one page each.
 */
static uint64_t oldest_waiting(const struct ipc_connection *c)
{
	struct {
		struct co_ring_entry entries[CO_RING_SLOTS];
		struct co_ring_wait waits[CO_RING_SLOTS];
	} client;
	struct co_ring_answer answers[CO_RING_SLOTS];
	uint64_t oldest = 0;

	if (pread(c->client_fd, &client, sizeof(client),
		  offsetof(struct co_ring_client, entries)) != sizeof(client) ||
	    pread(c->server_fd, answers, sizeof(answers),
		  offsetof(struct co_ring_server, answers)) != sizeof(answers))
		return 0;
	for (unsigned i = 0; i < CO_RING_SLOTS; i++) {
		const struct co_ring_entry *entry = &client.entries[i];
		unsigned slot = entry->slot % CO_RING_SLOTS;

		if (!entry->ticket || entry->flags & CO_RING_ASYNC ||
		    client.waits[slot].waiting != 1 || answers[slot].word == entry->seq)
			continue;
		if (!oldest || entry->ticket < oldest)
			oldest = entry->ticket;
	}
	return oldest;
}

/* Has somebody been waiting there since an earlier look? */
static bool waits(struct ipc_connection *c, uint64_t now)
{
	uint64_t oldest = oldest_waiting(c);

	if (!oldest || oldest != c->waited) {
		c->waited = oldest;
		c->waited_ms = now;
		return false;
	}
	return c->waited_ms < now;
}

static int by_from(const void *a, const void *b)
{
	uintptr_t one = (uintptr_t) ((const struct edge *) a)->from;
	uintptr_t two = (uintptr_t) ((const struct edge *) b)->from;

	return one < two ? -1 : one > two;
}

static void edges_read(struct ipc *ipc, struct search *s)
{
	struct ipc_connection *c, *next;
	uint64_t now = ipc->host->now_ms(ipc->host->ctx);

	HASH_ITER (hh, ipc->connections, c, next) {
		/* whom nobody calls, or who calls nobody, is in no circle; a process
		 * that calls itself may have a thread for that; and the daemon waits
		 * for many on behalf of others without being held up */
		if (c->state != IPC_OPEN || c->client->process == c->server->process ||
		    c->client->inside || c->server->inside || !c->server->opened ||
		    !c->client->served || !waits(c, now))
			continue;
		s->edges[s->count++] =
			(struct edge){ c->client->process, c->server->process,
				       c->waited_ms };
		c->client->process->mark = c->server->process->mark = 0;
	}
	qsort(s->edges, s->count, sizeof(*s->edges), by_from);
	for (size_t i = s->count; i-- > 0;)
		s->edges[i].from->first_edge = i;
}

static void cycle_add(struct search *s, unsigned from, unsigned end)
{
	struct ipc_cycle *cycle = s->found < s->room ? &s->out[s->found] : NULL;

	s->found++;
	if (!cycle)
		return;
	*cycle = (struct ipc_cycle){ 0 };
	for (unsigned i = from; i <= end; i++) {
		cycle->pids[cycle->count++] = s->path[i]->from->pid;
		if (cycle->since_ms < s->path[i]->since_ms) /* whoever came last */
			cycle->since_ms = s->path[i]->since_ms;
	}
}

enum { NEW, ON_PATH, DONE };

static void visit(struct search *s, struct ipc_process *process, unsigned depth)
{
	process->mark = ON_PATH;
	for (size_t i = process->first_edge;
	     depth < IPC_CYCLE && i < s->count && s->edges[i].from == process; i++) {
		struct ipc_process *to = s->edges[i].to;

		s->path[depth] = &s->edges[i];
		if (to->mark == NEW) {
			/* one that waits for nobody has no edges of its own */
			if (to->first_edge < s->count &&
			    s->edges[to->first_edge].from == to)
				visit(s, to, depth + 1);
		} else if (to->mark == ON_PATH) {
			for (unsigned from = depth + 1; from-- > 0;)
				if (s->path[from]->from == to) {
					cycle_add(s, from, depth);
					break;
				}
		}
	}
	process->mark = DONE;
}

size_t ipc_deadlocks(struct ipc *ipc, struct ipc_cycle *out, size_t room)
{
	struct search s = { .out = out, .room = room };
	unsigned connections = HASH_COUNT(ipc->connections);

	s.edges = connections ? calloc(connections, sizeof(*s.edges)) : NULL;
	if (!s.edges)
		return 0;
	edges_read(ipc, &s);
	for (size_t i = 0; i < s.count; i++)
		if (s.edges[i].from->mark == NEW)
			visit(&s, s.edges[i].from, 0);
	free(s.edges);
	return s.found;
}
