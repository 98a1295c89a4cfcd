/* SPDX-License-Identifier: MIT */
/*
 * The calling side of a ring: slots, posting, waiting for the answer.  SHARED by guest and
 * host.  The server's segment and its doorbell are read-only here, and may hold anything:
 * each word is read once.
 *
 * No wake-up is lost, although the word that receivers sleep on is not ours to change: who
 * sees sleepers and wakes none looks again before it sleeps itself, and sleeps for short.
 */
#include <ring/words.h>

enum {
	OS_EINTR = 4,
	RETRIES = 4,     /* of a bell that woke nobody */
	SPIN_CHECK = 32, /* looks at the answer between looks at everything else */
	NET_FIRST_NS = 1000000, /* sleep while a receiver may have missed the bell */
	NET_MOST_NS = 50000000,
	NET_SURE_NS = 1000000000,
	ROOM_NS = 20000000
};

enum ring_outcome ring_client_open(struct ring_client *client,
				   struct co_ring_client *own,
				   const struct co_ring_server *server,
				   const struct co_ring_peer *peer, uint32_t bell)
{
	if (ring_look(&server->mark) != CO_RING_SERVER_MARK ||
	    ring_look(&server->version) != CO_RING_VERSION ||
	    ring_look(&peer->mark) != CO_RING_PEER_MARK ||
	    ring_look(&peer->version) != CO_RING_VERSION || bell >= CO_RING_BELLS)
		return RING_STRANGE;
	client->own = own;
	client->server = server;
	client->bell = &peer->bells[bell];
	ring_tell(&client->users.count, 1U);
	return RING_OK;
}

bool ring_client_stop(struct ring_client *client)
{
	ring_tell(&client->users.closed, 1U);
	(void) __atomic_fetch_add(&client->room, 1, __ATOMIC_SEQ_CST);
	(void) ring_os_wake(&client->room, INT32_MAX); /* how many is of no interest */
	return ring_put(&client->users);
}

/* ---- slots ---- */

static bool answered(const struct ring_client *client, uint32_t slot, uint32_t seq)
{
	return ring_load(&client->server->answers[slot].word) == seq;
}

/* The slots of the message that begins at `slot` are free. */
static void give_back(struct ring_client *client, uint32_t slot)
{
	uint64_t mask = ring_mask(slot, client->run[slot]);

	(void) __atomic_fetch_and(&client->busy, ~mask, __ATOMIC_SEQ_CST);
	if (!ring_load(&client->room_waiters))
		return;
	(void) __atomic_fetch_add(&client->room, 1, __ATOMIC_SEQ_CST);
	(void) ring_os_wake(&client->room, INT32_MAX); /* they look for themselves */
}

/* Slots that nobody waits for and that have been answered are free; `most` of them. */
static void reap(struct ring_client *client, uint32_t most)
{
	uint64_t loose = ring_load(&client->loose);

	for (; loose && most; loose &= loose - 1, most--) {
		uint32_t slot = (uint32_t) __builtin_ctzl(loose);
		uint64_t bit = 1UL << slot;

		if (!answered(client, slot, ring_look(&client->seq[slot])))
			continue;
		/* one of those who saw it gives it back */
		if (__atomic_fetch_and(&client->loose, ~bit, __ATOMIC_SEQ_CST) & bit)
			give_back(client, slot);
	}
}

/* The first of `slots` consecutive ones that are not in `busy`; CO_RING_SLOTS: none. */
static uint32_t find_run(uint64_t busy, uint32_t slots)
{
	uint64_t starts = ~busy;

	for (uint32_t i = 1; i < slots; i++)
		starts &= ~busy >> i;
	return starts ? (uint32_t) __builtin_ctzl(starts) : CO_RING_SLOTS;
}

static bool claim(struct ring_client *client, struct ring_call *call)
{
	uint64_t busy = ring_load(&client->busy);

	for (;;) {
		uint32_t slot = find_run(busy, call->slots);
		uint64_t after;

		if (slot == CO_RING_SLOTS)
			return false;
		after = busy | ring_mask(slot, call->slots);
		if (!__atomic_compare_exchange_n(&client->busy, &busy, after, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		call->slot = (uint8_t) slot;
		busy = ring_bits(after);
		if (busy > ring_look(&client->own->counts.depth_max))
			ring_note(&client->own->counts.depth_max, busy);
		return true;
	}
}

enum ring_outcome ring_begin(struct ring_client *client, struct ring_call *call,
			     uint32_t room)
{
	uint32_t size = call->flags & CO_RING_PAYLOAD ? call->size : 0;
	uint32_t seq;

	if (size < room)
		size = room;
	if ((call->flags & CO_RING_WHOLE) || !size)
		size = 1;
	if (size > CO_RING_RUN * CO_RING_PAGE)
		return RING_STRANGE;
	if (ring_load(&client->users.closed))
		return RING_DEAD;
	call->slots = (uint8_t) ((size + CO_RING_PAGE - 1) / CO_RING_PAGE);
	if (ring_look(&client->loose))
		reap(client, 2);
	if (!claim(client, call)) {
		reap(client, CO_RING_SLOTS);
		if (!claim(client, call))
			return RING_FULL;
	}
	seq = ring_look(&client->seq[call->slot]) + 1;
	if (!seq)
		seq = 1; /* a fresh segment's answers are all 0 */
	ring_note(&client->seq[call->slot], seq);
	client->run[call->slot] = call->slots;
	call->seq = seq;
	call->page = client->own->pages[call->slot];
	return RING_OK;
}

enum ring_outcome ring_room(struct ring_client *client, const struct ring_call *call,
			    void *context, uint32_t kick, uint64_t timeout_ns)
{
	const uint32_t *kicked = client->control ? &client->control->kick : NULL;
	const uint32_t *word = &client->room;
	uint64_t wait = timeout_ns && timeout_ns < ROOM_NS ? timeout_ns : ROOM_NS;
	struct co_ring_wait *sender = NULL;
	enum ring_outcome outcome = RING_OK;
	uint64_t loose;
	uint32_t before;
	long result;

	(void) __atomic_fetch_add(&client->room_waiters, 1, __ATOMIC_SEQ_CST);
	before = ring_load(word);
	reap(client, CO_RING_SLOTS);
	loose = ring_load(&client->loose);
	if (loose) {
		/* the server, not a thread of ours, makes room */
		uint32_t slot = (uint32_t) __builtin_ctzl(loose);

		word = &client->server->answers[slot].word;
		sender = &client->own->waits[slot];
		ring_publish(&sender->waiting, 1U);
		before = ring_load(word);
		if (before == ring_look(&client->seq[slot]))
			goto out;
	}
	if (find_run(ring_load(&client->busy), call->slots) < CO_RING_SLOTS)
		goto out;
	if (ring_load(&client->users.closed))
		outcome = RING_DEAD;
	else if (kicked && ring_load(kicked) != kick)
		outcome = RING_KICKED;
	if (outcome != RING_OK)
		goto out;
	result = ring_os_wait(context, word, before, kicked, kick, wait);
	if (result == -OS_EINTR)
		outcome = RING_INTERRUPTED;
	else if (timeout_ns && timeout_ns == wait && result < 0)
		outcome = RING_TIMEOUT;
out:
	if (sender)
		ring_note(&sender->waiting, 0U);
	(void) __atomic_fetch_sub(&client->room_waiters, 1, __ATOMIC_SEQ_CST);
	return outcome;
}

void ring_end(struct ring_client *client, struct ring_call *call)
{
	uint64_t next = ring_look(&client->ticket);

	give_back(client, call->slot);
	ring_soon_written(&client->own->entries[next % CO_RING_SLOTS]);
}

void ring_cancel(struct ring_client *client, struct ring_call *call)
{
	ring_count(&client->own->counts.errors, 1UL);
	ring_tell(&client->own->waits[call->slot].cancelled, call->seq);
	(void) __atomic_fetch_or(&client->loose, 1UL << call->slot, __ATOMIC_SEQ_CST);
}

/* ---- posting ---- */

/* Wakes who has to be; true: there are sleepers and none of them heard it. */
static bool ring_bell(struct ring_client *client)
{
	uint32_t many;

	if (!ring_load(&client->bell->sleepers))
		return false;
	many = ring_look(&client->bell->wake);
	ring_count(&client->own->counts.wakes, 1UL);
	return ring_os_wake(&client->bell->word, many ? many : 1) <= 0;
}

bool ring_taken(const struct ring_client *client, const struct ring_call *call)
{
	return ring_load(&client->server->consumed) > call->ticket;
}

/*
 * A receiver that has looked for messages for the last time and is not asleep yet does not
 * hear the bell.  It will be soon.
 */
static bool ring_bell_again(struct ring_client *client, const struct ring_call *call)
{
	for (int i = 0; i < RETRIES; i++) {
		if (ring_taken(client, call) || !ring_bell(client))
			return false;
		ring_os_yield();
	}
	return !ring_taken(client, call);
}

static void record_post(struct ring_client *client, const struct ring_call *call)
{
	struct ring_event event = {
		.event = CO_RING_EVENT_POST,
		.slot = call->slot,
		.flags = call->flags,
		.seq = call->seq,
		.size = call->size,
		.tid = call->tid,
		.tag = call->tag,
		.data = call->page,
	};

	ring_record(client->capture, client->connection, &event);
}

void ring_post(struct ring_client *client, struct ring_call *call)
{
	bool async = call->flags & CO_RING_ASYNC;
	struct co_ring_entry *entry;

	if (ring_is_captured(client->control, client->capture))
		record_post(client, call);
	call->start = ring_stamp();
	call->ticket = __atomic_fetch_add(&client->ticket, 1, __ATOMIC_ACQ_REL);
	entry = &client->own->entries[call->ticket % CO_RING_SLOTS];
	ring_note(&entry->tag, call->tag);
	ring_note(&entry->trace, call->trace);
	ring_note(&entry->sent, call->start);
	ring_note(&entry->size, call->size);
	ring_note(&entry->seq, call->seq);
	ring_note(&entry->tid, call->tid);
	ring_note(&entry->cpu, ring_cpu());
	ring_note(&entry->flags, call->flags);
	ring_note(&entry->type, call->type);
	ring_note(&entry->kind, call->kind);
	ring_note(&entry->slot, call->slot);
	ring_note(&entry->slots, call->slots);
	if (call->flags & CO_RING_PAYLOAD)
		ring_count_alone(&client->own->slots[call->slot].bytes, call->size);
	if (async)
		(void) __atomic_fetch_or(&client->loose, 1UL << call->slot,
					 __ATOMIC_SEQ_CST);
	ring_publish(&entry->ticket, call->ticket + 1);
	/* two threads may say it in the wrong order; the next one puts it right */
	ring_note(&client->own->counts.messages, call->ticket + 1);
	if (ring_bell(client) && async)
		(void) ring_bell_again(client,
				       call); /* the receiver's own net is last */
}

/* ---- waiting ---- */

/* Is there a reason not to go on waiting? */
static enum ring_outcome disturbed(const struct ring_client *client, uint32_t kick)
{
	if (ring_load(&client->users.closed))
		return RING_DEAD;
	if (client->control && ring_load(&client->control->kick) != kick)
		return RING_KICKED;
	return RING_OK;
}

/* Waits awake; true: the answer, or something else to see to, has come. */
static bool stay_awake(struct ring_client *client, const struct ring_call *call,
		       uint32_t kick)
{
	uint32_t yields = ring_pace_yields(&client->pace);
	uint32_t spin = ring_pace_spin(&client->pace);
	uint64_t begin = ring_stamp();
	bool spun = false;

	for (;;) {
		if (ring_look(&client->bell->cpu) == ring_cpu()) {
			bool come = false;

			for (uint32_t i = 0; i < yields && !come; i++) {
				ring_os_yield();
				come = answered(client, call->slot, call->seq) ||
				       disturbed(client, kick) != RING_OK;
			}
			ring_pace_learn(&client->pace.yield_missed, come);
			return come;
		}
		for (int i = 0; i < SPIN_CHECK; i++) {
			if (answered(client, call->slot, call->seq)) {
				ring_pace_learn(&client->pace.spin_missed, true);
				return true;
			}
			ring_pause();
		}
		if (disturbed(client, kick) != RING_OK)
			return true;
		spun = ring_stamp() - begin > spin;
		if (spun) {
			ring_pace_learn(&client->pace.spin_missed, false);
			return false;
		}
	}
}

/* How long to sleep at most: the rest of the caller's time, or the net. */
static uint64_t nap(uint64_t net, uint64_t deadline, bool *out_over)
{
	uint64_t now;

	*out_over = false;
	if (!deadline)
		return net;
	now = ring_os_now();
	if (now >= deadline) {
		*out_over = true;
		return 1;
	}
	return !net || deadline - now < net ? deadline - now : net;
}

static enum ring_outcome sleep_once(struct ring_client *client,
				    const struct ring_call *call, void *context,
				    uint32_t kick, uint64_t deadline, uint64_t *net)
{
	const struct co_ring_answer *answer = &client->server->answers[call->slot];
	struct co_ring_wait *sender = &client->own->waits[call->slot];
	const uint32_t *kicked = client->control ? &client->control->kick : NULL;
	enum ring_outcome outcome = RING_OK;
	uint64_t time;
	uint32_t before;
	bool over;

	ring_publish(&sender->waiting, 1U);
	before = ring_load(&answer->word);
	if (before == call->seq)
		goto out;
	outcome = disturbed(client, kick);
	if (outcome != RING_OK)
		goto out;
	time = NET_SURE_NS;
	if (ring_taken(client, call)) {
		time = 0;
	} else if (ring_bell_again(client, call)) {
		time = *net;
		*net = *net * 2 < NET_MOST_NS ? *net * 2 : NET_MOST_NS;
	}
	time = nap(time, deadline, &over);
	if (over) {
		outcome = RING_TIMEOUT;
		goto out;
	}
	ring_count(&client->own->counts.sleeps, 1UL);
	if (ring_os_wait(context, &answer->word, before, kicked, kick, time) ==
	    -OS_EINTR)
		outcome = RING_INTERRUPTED;
	if (answered(client, call->slot, call->seq)) {
		outcome = RING_OK;
		ring_pace_woken(&client->pace,
				ring_stamp() - ring_look(&answer->stamp));
	}
out:
	ring_note(&sender->waiting, 0U);
	return outcome;
}

/* Reads the answer once. */
static void take(struct ring_client *client, const struct ring_call *call,
		 struct ring_answer *out)
{
	const struct co_ring_answer *answer = &client->server->answers[call->slot];
	struct co_ring_slot_counts *counts = &client->own->slots[call->slot];
	uint32_t room = call->slots * CO_RING_PAGE;

	out->status = ring_look(&answer->status);
	out->value = ring_look(&answer->value);
	out->size = ring_look(&answer->size);
	out->flags = ring_look(&answer->flags);
	out->type = ring_look(&answer->type);
	if (out->size > room)
		out->size = room;
	out->lines = ring_look(&answer->lines);
	out->page = client->server->pages[call->slot];
	if (out->flags & CO_RING_PAYLOAD)
		ring_soon_read(out->page);
	if (call->flags & CO_RING_WHOLE)
		ring_soon_written(call->page); /* by the next: most begin there */
	ring_count_alone(&counts->answers, 1);
	ring_count(&client->own->latency[ring_bucket(ring_stamp() - call->start)], 1UL);
	if (out->flags & CO_RING_PAYLOAD)
		ring_count_alone(&counts->bytes_back, out->size);
	if (ring_is_captured(client->control, client->capture)) {
		struct ring_event event = {
			.event = CO_RING_EVENT_ANSWER,
			.slot = call->slot,
			.flags = out->flags,
			.seq = call->seq,
			.size = out->size,
			.tid = call->tid,
			.tag = out->value,
			.data = out->page,
		};

		ring_record(client->capture, client->connection, &event);
	}
}

enum ring_outcome ring_wait(struct ring_client *client, struct ring_call *call,
			    void *context, uint32_t kick, uint64_t timeout_ns,
			    struct ring_answer *out_answer)
{
	uint64_t deadline = 0; /* counted from its first sleep: no clock is free */
	uint64_t net = NET_FIRST_NS;

	while (!answered(client, call->slot, call->seq)) {
		enum ring_outcome outcome = disturbed(client, kick);

		if (outcome == RING_OK && !stay_awake(client, call, kick)) {
			if (timeout_ns && !deadline)
				deadline = ring_os_now() + timeout_ns;
			outcome =
				sleep_once(client, call, context, kick, deadline, &net);
		}
		if (outcome != RING_OK && !answered(client, call->slot, call->seq))
			return outcome;
	}
	take(client, call, out_answer);
	return RING_OK;
}
