/* SPDX-License-Identifier: MIT */
/*
 * The answering side of a ring: taking messages out of clients' segments, in order of
 * class, and answering each once.  SHARED by guest and host.  A client's segment is
 * read-only here and may change at any time: an entry is copied once, and only the copy,
 * checked, is used.
 *
 * The port's lock is held for short and never while anything waits or memory of others is
 * copied, pages included.
 */
#include <ring/words.h>

enum {
	OS_EINTR = 4,
	PATIENCE = 16,
	SCAN = 64, /* connections looked at before the best message is chosen */
	LOCK_SPINS = 64,
	TIME_CHECK = 16, /* looks for messages between looks at the clock */
	NET_NS =
		100000000 /* a receiver that has missed a bell looks again after that */
};

#define COOKIE_TAG ((1UL << 42) - 1)

static void lock(struct ring_port *port)
{
	while (__atomic_exchange_n(&port->lock, 1U, __ATOMIC_ACQUIRE)) {
		for (int i = 0; i < LOCK_SPINS && ring_look(&port->lock); i++)
			ring_pause();
		if (ring_look(&port->lock))
			ring_os_yield();
	}
}

static bool try_lock(struct ring_port *port)
{
	return !ring_look(&port->lock) &&
	       !__atomic_exchange_n(&port->lock, 1U, __ATOMIC_ACQUIRE);
}

/* Messages that are left over and threads that sleep belong together. */
static void unlock(struct ring_port *port)
{
	bool more = ring_look(&port->pending) != 0;

	ring_tell(&port->lock, 0U);
	if (!more || !ring_load(&port->bell->sleepers))
		return;
	(void) __atomic_fetch_add(&port->bell->word, 1, __ATOMIC_SEQ_CST);
	(void) ring_os_wake(&port->bell->word, ring_look(&port->bell->wake));
}

enum ring_outcome ring_port_open(struct ring_port *port, struct co_ring_peer *own,
				 uint32_t bell, struct ring_server **table,
				 uint32_t table_size,
				 struct ring_server *(*lookup)(uint32_t number),
				 uint64_t random)
{
	if (bell >= CO_RING_BELLS)
		return RING_STRANGE;
	port->bell = &own->bells[bell];
	if (!ring_look(&port->bell->wake))
		ring_note(&port->bell->wake, 1U);
	ring_note(&port->bell->cpu, UINT32_MAX);
	port->table = table;
	port->table_size = table_size;
	port->lookup = lookup;
	port->random = random | 1;
	port->client_cpu = UINT32_MAX;
	return RING_OK;
}

void ring_bell_share(struct co_ring_peer *own, uint32_t bell)
{
	ring_note(&own->bells[bell].wake, (uint32_t) INT32_MAX);
}

void ring_port_stop(struct ring_port *port)
{
	ring_tell(&port->stopped, 1U);
	(void) __atomic_fetch_add(&port->bell->word, 1, __ATOMIC_SEQ_CST);
	(void) ring_os_wake(&port->bell->word, INT32_MAX); /* those who sleep, if any */
}

/* ---- connections ---- */

enum ring_outcome ring_attach(struct ring_port *port, struct ring_server *server,
			      uint32_t number, struct co_ring_server *own,
			      const struct co_ring_client *client)
{
	enum ring_outcome outcome = RING_FULL;

	if (ring_look(&client->mark) != CO_RING_CLIENT_MARK ||
	    ring_look(&client->version) != CO_RING_VERSION || number >= RING_NUMBERS)
		return RING_STRANGE;
	server->own = own;
	server->client = client;
	server->port = port;
	server->number = number;
	lock(port);
	if (port->table_used < port->table_size) {
		server->index = port->table_used++;
		port->table[server->index] = server;
		ring_tell(&server->users.count, 1U);
		outcome = RING_OK;
	}
	unlock(port);
	return outcome;
}

/* ---- the queues, with the lock held ---- */

static struct ring_slot *queued(struct ring_port *port, uint32_t id,
				struct ring_server **out_server)
{
	*out_server = port->lookup((id - 1) / CO_RING_SLOTS);
	return &(*out_server)->slots[(id - 1) % CO_RING_SLOTS];
}

static void enqueue(struct ring_port *port, struct ring_server *server, uint32_t slot)
{
	struct ring_queue *queue = &port->queues[server->slots[slot].entry.kind];
	uint32_t id = server->number * CO_RING_SLOTS + slot + 1;
	struct ring_server *before;

	server->slots[slot].next = 0;
	if (queue->first)
		queued(port, queue->last, &before)->next = id;
	else
		queue->first = id;
	queue->last = id;
	ring_note(&port->pending, port->pending + 1);
	if (port->pending > server->own->counts.depth_max)
		ring_note(&server->own->counts.depth_max, (uint64_t) port->pending);
}

/*
 * The first message of the highest class.  One in PATIENCE comes from the lowest, so that
 * nobody can keep others waiting for ever by saying that he is more important.
 */
static struct ring_slot *dequeue(struct ring_port *port,
				 struct ring_server **out_server)
{
	bool lowest = ++port->picked % PATIENCE == 0;

	for (uint32_t i = 0; i < CO_RING_CLASSES; i++) {
		uint32_t kind = lowest ? i : CO_RING_CLASSES - 1 - i;
		struct ring_queue *queue = &port->queues[kind];
		struct ring_slot *slot;

		if (!queue->first)
			continue;
		slot = queued(port, queue->first, out_server);
		queue->first = slot->next;
		ring_note(&port->pending, port->pending - 1);
		return slot;
	}
	return NULL;
}

static void forget_pending(struct ring_port *port, const struct ring_server *server)
{
	struct ring_queue old[CO_RING_CLASSES];

	for (uint32_t kind = 0; kind < CO_RING_CLASSES; kind++) {
		old[kind] = port->queues[kind];
		port->queues[kind] = (struct ring_queue){ 0 };
	}
	ring_note(&port->pending, 0U);
	for (uint32_t kind = 0; kind < CO_RING_CLASSES; kind++) {
		for (uint32_t id = old[kind].first; id;) {
			struct ring_server *from;
			uint32_t next = queued(port, id, &from)->next;

			if (from != server)
				enqueue(port, from, (id - 1) % CO_RING_SLOTS);
			id = next;
		}
	}
}

bool ring_detach(struct ring_server *server)
{
	struct ring_port *port = server->port;

	lock(port);
	forget_pending(port, server);
	port->table_used--;
	port->table[server->index] = port->table[port->table_used];
	port->table[server->index]->index = server->index;
	ring_tell(&server->users.closed, 1U);
	unlock(port);
	return ring_put(&server->users);
}

/* ---- answering ---- */

/*
 * The slot's message is answered; what it holds is the client's again.  The client looks at
 * the answer's line all the time: it is written in one go, with nothing slow in between, or
 * it would travel more than once.
 */
static bool answer(struct ring_server *server, uint32_t slot,
		   const struct co_ring_answer *given)
{
	struct ring_slot *mine = &server->slots[slot];
	struct co_ring_answer *out = &server->own->answers[slot];
	uint32_t seq = mine->entry.seq;
	uint32_t cpu = mine->entry.cpu;
	uint64_t stamp = ring_stamp();

	(void) __atomic_fetch_and(&server->busy, ~ring_mask(slot, mine->entry.slots),
				  __ATOMIC_RELEASE);
	ring_note(&out->status, given->status);
	ring_note(&out->value, given->value);
	ring_note(&out->stamp, stamp);
	ring_note(&out->size, given->size);
	ring_note(&out->flags, given->flags);
	ring_note(&out->type, given->type);
	ring_note(&out->lines, given->lines);
	ring_publish(&out->word, seq);
	if (!ring_look(&server->client->waits[slot].waiting))
		return cpu == ring_cpu();
	ring_count(&server->own->counts.wakes, 1UL);
	(void) ring_os_wake(&out->word, INT32_MAX); /* whoever waits */
	return false;
}

static void refuse(struct ring_server *server, uint32_t slot, uint32_t status)
{
	const struct co_ring_answer nothing = { .status = status };

	ring_count(&server->own->counts.errors, 1UL);
	(void) answer(server, slot, &nothing);
}

void ring_port_refuse(struct ring_port *port)
{
	struct ring_server *server;
	struct ring_slot *slot;

	lock(port);
	while ((slot = dequeue(port, &server)) != NULL)
		refuse(server, (uint32_t) (slot - server->slots), CO_RING_CLOSED);
	unlock(port);
}

/* ---- taking messages in, with the lock held ---- */

/* One read of each word; false: it cannot be a message. */
static bool copy_entry(struct ring_server *server, const struct co_ring_entry *from,
		       struct co_ring_entry *to)
{
	to->tag = ring_look(&from->tag);
	to->trace = ring_look(&from->trace);
	to->sent = ring_look(&from->sent);
	to->size = ring_look(&from->size);
	to->seq = ring_look(&from->seq);
	to->tid = ring_look(&from->tid);
	to->cpu = ring_look(&from->cpu);
	to->flags = ring_look(&from->flags);
	to->type = ring_look(&from->type);
	to->kind = ring_look(&from->kind);
	to->slot = ring_look(&from->slot);
	to->slots = ring_look(&from->slots);
	to->kind = to->kind < CO_RING_CLASSES ? to->kind : CO_RING_CLASSES - 1;
	if (to->slots == 0 || to->slots > CO_RING_RUN ||
	    to->slot + to->slots > CO_RING_SLOTS)
		return false;
	if ((to->flags & CO_RING_PAYLOAD) && !(to->flags & CO_RING_WHOLE) &&
	    to->size > to->slots * CO_RING_PAGE)
		to->size = to->slots * CO_RING_PAGE;
	return !(ring_look(&server->busy) & ring_mask(to->slot, to->slots));
}

/* All that this client has posted goes into the queues. */
static void collect(struct ring_port *port, struct ring_server *server)
{
	uint64_t ticket = server->consumed;

	for (uint32_t i = 0; i < CO_RING_SLOTS; i++) {
		const struct co_ring_entry *from =
			&server->client->entries[ticket % CO_RING_SLOTS];
		struct co_ring_entry entry;

		if (ring_load(&from->ticket) != ticket + 1)
			break;
		ticket++;
		if (!copy_entry(server, from, &entry)) {
			ring_count(&server->own->counts.errors, 1UL);
			continue;
		}
		(void) __atomic_fetch_or(&server->busy,
					 ring_mask(entry.slot, entry.slots),
					 __ATOMIC_ACQUIRE);
		server->slots[entry.slot].entry = entry;
		if (entry.flags & CO_RING_PAYLOAD)
			ring_soon_read(server->client->pages[entry.slot]);
		enqueue(port, server, entry.slot);
	}
	if (ticket == server->consumed)
		return;
	server->consumed = ticket;
	ring_tell(&server->own->consumed, ticket);
}

/* Looks at connections in turn, at SCAN of them or until there is a message. */
static void scan(struct ring_port *port)
{
	uint32_t looked = 0;

	while (looked < port->table_used && (looked < SCAN || !port->pending)) {
		if (port->rotor >= port->table_used)
			port->rotor = 0;
		collect(port, port->table[port->rotor++]);
		looked++;
	}
}

static uint64_t new_cookie(struct ring_port *port, const struct ring_server *server,
			   uint32_t slot)
{
	uint64_t tag;

	do {
		port->random ^= port->random << 13;
		port->random ^= port->random >> 7;
		port->random ^= port->random << 17;
		tag = port->random & COOKIE_TAG;
	} while (!tag);
	return (uint64_t) server->number << 48 | (uint64_t) slot << 42 | tag;
}

/* The next message that its sender still wants; its connection is referenced. */
static struct ring_slot *choose(struct ring_port *port, struct ring_server **out_server)
{
	struct ring_slot *slot;

	scan(port);
	while ((slot = dequeue(port, out_server)) != NULL) {
		struct ring_server *server = *out_server;
		uint32_t number = (uint32_t) (slot - server->slots);

		if (ring_look(&server->client->waits[number].cancelled) ==
		    slot->entry.seq) {
			refuse(server, number, CO_RING_CANCELLED);
			continue;
		}
		(void) __atomic_fetch_add(&server->users.count, 1, __ATOMIC_ACQ_REL);
		ring_tell(&slot->cookie, new_cookie(port, server, number));
		return slot;
	}
	return NULL;
}

static void hand_out(struct ring_port *port, struct ring_server *server,
		     const struct ring_slot *slot, struct ring_message *out)
{
	const struct co_ring_entry *entry = &slot->entry;
	struct co_ring_counts *counts = &server->own->counts;
	uint64_t now = ring_stamp();

	out->cookie = ring_look(&slot->cookie);
	out->server = server;
	out->tag = entry->tag;
	out->trace = entry->trace;
	out->sent = entry->sent;
	out->size = entry->size;
	out->tid = entry->tid;
	out->flags = entry->flags;
	out->type = entry->type;
	out->kind = entry->kind;
	out->slots = entry->slots;
	out->page = server->client->pages[entry->slot];
	if (entry->flags & CO_RING_WHOLE)
		ring_soon_written(server->own->pages[entry->slot]);
	ring_note(&port->client_cpu, entry->cpu);
	ring_count_alone(&counts->messages, 1);
	if (entry->flags & CO_RING_PAYLOAD)
		ring_count_alone(&counts->bytes, entry->size);
	if (entry->sent && now > entry->sent)
		ring_count_alone(&server->own->latency[ring_bucket(now - entry->sent)],
				 1);
	if (ring_is_captured(server->control, server->capture)) {
		struct ring_event event = {
			.event = CO_RING_EVENT_RECEIVE,
			.slot = entry->slot,
			.flags = entry->flags,
			.seq = entry->seq,
			.size = entry->size,
			.tid = entry->tid,
			.tag = entry->tag,
			.data = out->page,
		};

		ring_record(server->capture, server->connection, &event);
	}
}

/* ---- receiving ---- */

static bool receive_locked(struct ring_port *port, struct ring_message *out)
{
	struct ring_server *server;
	struct ring_slot *slot =
		ring_load(&port->stopped) ? NULL : choose(port, &server);

	/* copied before somebody can answer it and its client use the slot again */
	if (slot)
		hand_out(port, server, slot, out);
	unlock(port);
	return slot != NULL;
}

static bool receive_now(struct ring_port *port, struct ring_message *out)
{
	lock(port);
	return receive_locked(port, out);
}

static enum ring_outcome disturbed(const struct ring_port *port,
				   const struct co_ring_control *control, uint32_t kick)
{
	if (ring_load(&port->stopped))
		return RING_DEAD;
	if (control && ring_load(&control->kick) != kick)
		return RING_KICKED;
	return RING_OK;
}

static void show_cpu(struct ring_port *port, uint32_t cpu)
{
	if (ring_look(&port->bell->cpu) != cpu)
		ring_note(&port->bell->cpu, cpu);
}

/* Waits awake where the last client is likely to send the next message; true: received. */
static bool stay_awake(struct ring_port *port, const struct co_ring_control *control,
		       uint32_t kick, struct ring_message *out)
{
	uint32_t spin = ring_pace_spin(&port->pace);
	uint64_t begin;

	if (ring_look(&port->client_cpu) == UINT32_MAX)
		return false;
	if (ring_look(&port->client_cpu) == ring_cpu()) {
		uint32_t yields = ring_pace_yields(&port->pace);

		for (uint32_t i = 0; i < yields; i++) {
			ring_os_yield();
			if (try_lock(port) && receive_locked(port, out)) {
				ring_pace_learn(&port->pace.yield_missed, true);
				return true;
			}
		}
		ring_pace_learn(&port->pace.yield_missed, false);
		return false;
	}
	begin = ring_stamp();
	do {
		for (int i = 0; i < TIME_CHECK; i++) {
			if (try_lock(port) && receive_locked(port, out)) {
				ring_pace_learn(&port->pace.spin_missed, true);
				return true;
			}
			ring_pause();
		}
		if (disturbed(port, control, kick) != RING_OK)
			return false;
	} while (ring_stamp() - begin < spin);
	ring_pace_learn(&port->pace.spin_missed, false);
	return false;
}

/*
 * Says that it sleeps, looks once more, sleeps.  A sender that posts after the look sees a
 * sleeper; if it is so quick that nobody hears its bell, it rings again (client.c).
 */
static enum ring_outcome sleep_once(struct ring_port *port, void *context,
				    const struct co_ring_control *control,
				    uint32_t kick, uint64_t time,
				    struct ring_message *out, bool *received)
{
	struct co_ring_bell *bell = port->bell;
	const uint32_t *kicked = control ? &control->kick : NULL;
	enum ring_outcome outcome;
	uint32_t before = ring_load(&bell->word);

	(void) __atomic_fetch_add(&bell->sleepers, 1, __ATOMIC_SEQ_CST);
	*received = receive_now(port, out);
	outcome = disturbed(port, control, kick);
	if (!*received && outcome == RING_OK) {
		if (ring_os_wait(context, &bell->word, before, kicked, kick, time) ==
		    -OS_EINTR)
			outcome = RING_INTERRUPTED;
	}
	(void) __atomic_fetch_sub(&bell->sleepers, 1, __ATOMIC_SEQ_CST);
	return outcome;
}

enum ring_outcome ring_receive(struct ring_port *port, void *context,
			       const struct co_ring_control *control, uint32_t kick,
			       uint64_t timeout_ns, struct ring_message *out_message)
{
	uint64_t deadline = 0; /* counted from its first sleep: no clock is free */
	enum ring_outcome outcome = RING_OK;
	bool awake = true;
	bool received;

	for (;;) {
		uint64_t time = NET_NS;

		show_cpu(port, ring_cpu());
		/* also after what ends the wait: a bell may have rung for this thread */
		if (receive_now(port, out_message))
			return RING_OK;
		if (outcome == RING_OK)
			outcome = disturbed(port, control, kick);
		if (outcome != RING_OK)
			return outcome;
		if (awake && stay_awake(port, control, kick, out_message))
			return RING_OK;
		awake = false;
		if (timeout_ns) {
			uint64_t now = ring_os_now();

			if (!deadline)
				deadline = now + timeout_ns;
			if (now >= deadline)
				return RING_TIMEOUT;
			time = deadline - now < time ? deadline - now : time;
		}
		outcome = sleep_once(port, context, control, kick, time, out_message,
				     &received);
		if (received)
			return RING_OK;
	}
}

/* ---- replying ---- */

bool ring_answer_begin(struct ring_server *server, uint64_t cookie,
		       struct ring_reply *out_reply, bool *out_gone)
{
	uint32_t number = (uint32_t) (cookie >> 42) % CO_RING_SLOTS;
	struct ring_slot *slot = &server->slots[number];

	*out_gone = false;
	if (!cookie || !ring_get(&server->users))
		return false;
	if (!__atomic_compare_exchange_n(&slot->cookie, &cookie, 0UL, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		*out_gone = ring_put(&server->users);
		return false;
	}
	*out_reply = (struct ring_reply){
		.server = server,
		.slot = (uint8_t) number,
		.page = server->own->pages[number],
		.room = slot->entry.slots * CO_RING_PAGE,
		.asked = slot->entry.flags,
	};
	return true;
}

bool ring_answer_end(struct ring_reply *reply, bool *out_gone)
{
	struct ring_server *server = reply->server;
	const struct co_ring_answer given = {
		.status = CO_RING_OK,
		.value = reply->value,
		.size = reply->size,
		.flags = reply->flags,
		.type = reply->type,
		.lines = reply->lines,
	};
	bool handoff;

	if (ring_is_captured(server->control, server->capture)) {
		struct ring_event event = {
			.event = CO_RING_EVENT_REPLY,
			.slot = reply->slot,
			.flags = reply->flags,
			.seq = server->slots[reply->slot].entry.seq,
			.size = reply->size,
			.tag = reply->value,
			.data = reply->page,
		};

		ring_record(server->capture, server->connection, &event);
	}
	handoff = answer(server, reply->slot, &given);
	/* the client need not wait for these */
	ring_count(&server->own->counts.answers, 1UL);
	if (reply->flags & CO_RING_PAYLOAD)
		ring_count(&server->own->counts.bytes_back, (uint64_t) reply->size);
	*out_gone = ring_put(&server->users);
	return handoff;
}
