/* SPDX-License-Identifier: MIT */
/*
 * Messages without the daemon: sending, receiving, answering.  Linked into CloudOS
 * programs.
 *
 * A message of one process to another is either in the daemon's table, put there by a
 * system call, or in the ring between the two.  Between two processes the order is kept:
 *
 * - from the table to the ring: the daemon counts what it holds for a process (`waiting`)
 *   before a sender's system call returns.  Who finds a message in a ring first takes as
 *   many from the table as it held then.  Messages tell how often their sender has taken
 *   the other way (`trace`); when that has changed, the number has to be that of a daemon
 *   that lives.
 * - from the ring to the table: only once the ring is empty.  Until then CLOUDOS_EBUSY.
 *
 * A ring's slot is free again once its message has been copied to who received it; so
 * what was sent waits in memory that both processes have, and ends with the later of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "direct.h"

#define GIVE_UP_NS                                                                     \
	5000000000UL /* without a daemon and without a ring: the system call */

/* ---- ids ---- */

static bool ids_room(struct ids *ids)
{
	uint32_t room = ids->room ? ids->room * 2 : 16;
	uint32_t *more;

	if (ids->count < ids->room)
		return true;
	more = realloc(ids->at, room * sizeof(*more));
	if (!more)
		return false;
	ids->at = more;
	ids->room = room;
	return true;
}

static bool ids_has(const struct ids *ids, uint32_t id, uint32_t *out_index)
{
	for (uint32_t i = 0; i < ids->count; i++)
		if (ids->at[i] == id) {
			*out_index = i;
			return true;
		}
	return false;
}

static void ids_remove(struct ids *ids, uint32_t index)
{
	ids->count--;
	memmove(&ids->at[index], &ids->at[index + 1],
		(ids->count - index) * sizeof(*ids->at));
}

static bool have_spare(struct direct *d)
{
	if (!d->spare)
		d->spare = malloc(sizeof(*d->spare));
	return d->spare != NULL;
}

static void append(struct direct *d, struct pending *pending)
{
	struct pending **at = &d->first;

	pending->next = NULL;
	pending->ahead = __atomic_load_n(&d->control->waiting, __ATOMIC_ACQUIRE);
	while (*at)
		at = &(*at)->next;
	*at = pending;
}

/* What is in the rings now, unless something is there already; what has ended goes. */
static void poll_rings(struct direct *d)
{
	static const struct co_ring_control kicked = { .kick = 1 };
	struct pending *spare = d->spare;

	if (d->first)
		return;
	/* that control page says at once that waiting is over */
	if (ring_receive(&d->port, NULL, &kicked, 0, 0, &spare->m) == RING_OK) {
		d->spare = NULL;
		append(d, spare);
	} else {
		cloudos__direct_finish(d);
	}
}

/* ---- sending ---- */

/* There is room for the message in the ring: on its way.  Otherwise a code. */
static int post(const char *name, struct other *other, const message_t *msg)
{
	struct ring_call call = { .tag = msg->id,
				  .trace = other->detours + 1,
				  .size = msg->size,
				  .type = (uint8_t) msg->type,
				  .flags = CO_RING_ASYNC };

	if (msg->size)
		call.flags |= CO_RING_PAYLOAD;
	if (ring_begin(&other->ring, &call, 0) != RING_OK)
		return cloudos__fail(CLOUDOS_EBUSY,
				     "%s: as many messages as there is room for (%u "
				     "pages of %u bytes) wait for process %u already; "
				     "send again when it has received some",
				     name, CO_RING_SLOTS, CO_RING_PAGE, other->pid);
	if (msg->size)
		memcpy(call.page, msg->data, msg->size);
	ring_post(&other->ring, &call);
	return CLOUDOS_SUCCESS;
}

/* It cannot go by the ring; may it go by the table? */
static bool detour(const char *name, struct other *other, int *result)
{
	if (cloudos__direct_drained(other)) {
		other->detours++;
		return false;
	}
	*result = cloudos__fail(CLOUDOS_EBUSY,
				"%s: this message does not fit into the memory shared "
				"with process %u, and those sent before have not been "
				"received; send again when they have",
				name, other->pid);
	return true;
}

/* Can that process answer?  It has opened its way here, and knows. */
static bool can_answer(const struct other *other)
{
	return other->link &&
	       __atomic_load_n(&other->link->theirs->ready, __ATOMIC_ACQUIRE) == 1;
}

static bool send_to(struct direct *d, struct other *other, const message_t *msg,
		    int *result)
{
	bool fits = msg->size <= CO_RING_RUN * CO_RING_PAGE;

	cloudos__direct_open(d, other);
	if (other->state != OTHER_OPEN || !can_answer(other) || !fits)
		return detour("ipc_send", other, result);
	if (msg->type == MSG_REQUEST) {
		if (other->asked.count >= CO_LIMIT_DIRECT_REQUESTS) {
			*result = cloudos__fail(
				CLOUDOS_EBUSY,
				"ipc_send: process %u has not answered %u requests, "
				"which is the limit; receive answers first",
				other->pid, other->asked.count);
			return true;
		}
		if (!ids_room(&other->asked)) {
			*result = cloudos__fail(CLOUDOS_ENOMEM,
						"ipc_send: out of memory");
			return true;
		}
	}
	*result = post("ipc_send", other, msg);
	if (*result == CLOUDOS_SUCCESS && msg->type == MSG_REQUEST)
		other->asked.at[other->asked.count++] = msg->id;
	return true;
}

bool cloudos__direct_send(uint32_t pid, const message_t *msg, int *result)
{
	struct direct *d = cloudos__direct_lock();
	struct other *other;
	bool done = false;

	if (!d)
		return false;
	if (msg && pid && pid != d->pid && pid <= INT32_MAX &&
	    (msg->type == MSG_REQUEST || msg->type == MSG_NOTIFICATION)) {
		cloudos__direct_settle(d);
		if (d->has_ended && have_spare(d))
			poll_rings(d); /* who only sends needs no memory of the dead */
		other = cloudos__direct_other(d, pid, true);
		if (other)
			done = send_to(d, other, msg, result);
	}
	cloudos__direct_unlock(d);
	return done;
}

/* ---- answering ---- */

static int answer(struct other *other, uint32_t index, const message_t *msg)
{
	int r;

	if (other->state != OTHER_OPEN)
		return cloudos__fail(CLOUDOS_EBUSY,
				     "ipc_reply: the way to process %u is not open "
				     "(again) yet; answer again later",
				     other->pid);
	if (msg->size > CO_RING_RUN * CO_RING_PAGE)
		return cloudos__fail(CLOUDOS_EFBIG,
				     "ipc_reply: the answer to a request that came "
				     "without the daemon has at most %u bytes of data, "
				     "and this one %u; use shared memory for more",
				     CO_RING_RUN * CO_RING_PAGE, msg->size);
	r = post("ipc_reply", other, msg);
	if (r == CLOUDOS_SUCCESS)
		ids_remove(&other->received, index);
	return r;
}

bool cloudos__direct_reply(uint32_t pid, const message_t *msg, int *result)
{
	struct direct *d = cloudos__direct_lock();
	struct other *other = NULL;
	uint32_t index;
	bool done = false;

	if (!d)
		return false;
	if (msg && (msg->type == MSG_RESPONSE || msg->type == MSG_ERROR)) {
		cloudos__direct_settle(d);
		other = cloudos__direct_other(d, pid, false);
	}
	if (other && ids_has(&other->received, msg->id, &index)) {
		*result = answer(other, index, msg);
		done = true;
	}
	cloudos__direct_unlock(d);
	return done;
}

/* ---- receiving ---- */

static struct link *link_of(const struct pending *pending)
{
	return (struct link *) (void *) pending->m.server; /* its first member */
}

/* The sender may forget it; with it the first one of the list goes. */
static void done_with(struct direct *d, struct pending *pending)
{
	struct ring_server *server = pending->m.server;
	struct ring_reply reply;
	bool gone = false;

	if (ring_answer_begin(server, pending->m.cookie, &reply, &gone))
		(void) ring_answer_end(&reply, &gone);
	if (gone)
		cloudos__direct_release(d, link_of(pending));
	else
		cloudos__direct_put(d, server);
	d->first = pending->next;
	if (d->spare)
		free(pending);
	else
		d->spare = pending;
}

/* Is that a message that this sender may send? */
static bool is_proper(const struct pending *pending)
{
	const struct ring_message *m = &pending->m;
	const struct other *other = link_of(pending)->other;
	uint32_t index;

	if (m->flags & (CO_RING_WHOLE | CO_RING_BLOB) || m->tag > UINT32_MAX)
		return false;
	switch (m->type) {
	case MSG_NOTIFICATION:
		return true;
	case MSG_REQUEST:
		return other->received.count < CO_LIMIT_DIRECT_REQUESTS;
	case MSG_RESPONSE:
	case MSG_ERROR:
		return ids_has(&other->asked, (uint32_t) m->tag, &index);
	default:
		return false;
	}
}

static int too_big(uint32_t size, size_t max_size)
{
	return cloudos__fail(CLOUDOS_EFBIG,
			     "ipc_receive: the oldest message has %u bytes of data and "
			     "there is room for %zu; it stays until there is room",
			     size, max_size - sizeof(message_t));
}

/* What the caller asked of ipc_receive. */
struct receiving {
	uint32_t *sender;
	message_t *msg;
	size_t max_size;
};

static void give(const struct direct *d, const struct receiving *to, uint32_t pid,
		 message_type_t type, uint32_t id, const void *data, uint32_t size)
{
	*to->msg = (message_t){ .sender_pid = pid,
				.receiver_pid = d->pid,
				.type = type,
				.id = id,
				.size = size };
	if (size)
		memcpy(to->msg->data, data, size);
	if (to->sender)
		*to->sender = pid;
}

static int give_first(struct direct *d, const struct receiving *to)
{
	struct pending *pending = d->first;
	const struct ring_message *m = &pending->m;
	struct other *other = link_of(pending)->other;
	uint32_t size = m->flags & CO_RING_PAYLOAD ? m->size : 0, index;
	uint32_t id = (uint32_t) m->tag;

	if (size > to->max_size - sizeof(message_t))
		return too_big(size, to->max_size);
	if (m->type == MSG_REQUEST) {
		if (!ids_room(&other->received))
			return cloudos__fail(CLOUDOS_ENOMEM,
					     "ipc_receive: out of memory; it stays");
		other->received.at[other->received.count++] = id;
	} else if (m->type != MSG_NOTIFICATION && ids_has(&other->asked, id, &index)) {
		ids_remove(&other->asked, index);
	}
	give(d, to, other->pid, (message_type_t) m->type, id, m->page, size);
	done_with(d, pending);
	return CLOUDOS_SUCCESS;
}

/* Who has asked a process that has ended is told so; false: there is nothing to tell. */
static bool give_end(struct direct *d, const struct receiving *to, int *result)
{
	for (uint32_t i = 0; d->may_tell && i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next) {
			char text[96];
			int n;

			if (!o->asked.count || o->links ||
			    (o->state != OTHER_ENDED && o->state != OTHER_NONE))
				continue;
			n = snprintf(text, sizeof(text),
				     "process %u has ended without answering request "
				     "%u",
				     o->pid, o->asked.at[0]) +
			    1;
			if ((size_t) n > to->max_size - sizeof(message_t)) {
				*result = too_big((uint32_t) n, to->max_size);
				return true;
			}
			give(d, to, o->pid, MSG_ERROR, o->asked.at[0], text,
			     (uint32_t) n);
			ids_remove(&o->asked, 0);
			d->has_ended = true; /* it may be the last */
			*result = CLOUDOS_SUCCESS;
			return true;
		}
	d->may_tell = false;
	return false;
}

/*
 * Is it known what the table held when the first of the rings was sent?  Its sender may
 * have used the table since its last one, and then a daemon has to say so.
 */
static bool order_is_known(struct direct *d)
{
	struct pending *first = d->first;
	struct link *link = link_of(first);

	if (first->m.trace == link->detours)
		return true;
	cloudos__direct_look(d);
	if (d->lost && ring_os_now() - d->lost_at < GIVE_UP_NS)
		return false;
	first->ahead = __atomic_load_n(&d->control->waiting, __ATOMIC_ACQUIRE);
	link->detours = first->m.trace;
	return true;
}

/* Does the table have something that is older than the first of the rings? */
static bool table_is_first(const struct direct *d)
{
	return __atomic_load_n(&d->control->waiting, __ATOMIC_ACQUIRE) > d->taking &&
	       (!d->first || d->first->ahead);
}

static int table_receive(const struct receiving *to)
{
	return (int) CALL_AS(CLOUDOS__BLOCKING, ipc_receive, ARG(to->sender),
			     ARG(to->msg), ARG(to->max_size));
}

static int take_from_table(struct direct *d, const struct receiving *to)
{
	int r;

	d->taking++;
	cloudos__direct_unlock(d);
	r = table_receive(to);
	(void) pthread_mutex_lock(&d->lock); /* an ordinary mutex: cannot fail */
	d->taking--;
	if (r == CLOUDOS_SUCCESS && d->first && d->first->ahead)
		d->first->ahead--;
	return r;
}

/* Sleeps until something may be there; false: a signal came. */
static bool wait_for_more(struct direct *d)
{
	const struct co_ring_control *control = d->control;
	struct pending *mine = d->spare;
	uint32_t kick = d->seen;
	enum ring_outcome outcome;

	d->spare = NULL;
	cloudos__direct_unlock(d);
	outcome =
		ring_receive(&d->port, NULL, control, kick, DIRECT_SLICE_NS, &mine->m);
	(void) pthread_mutex_lock(&d->lock); /* an ordinary mutex: cannot fail */
	if (outcome == RING_OK)
		append(d, mine);
	else if (d->spare)
		free(mine);
	else
		d->spare = mine;
	return outcome != RING_INTERRUPTED;
}

static int receive(struct direct *d, const struct receiving *to)
{
	int r;

	for (;;) {
		cloudos__direct_settle(d);
		if (!have_spare(d))
			return cloudos__fail(CLOUDOS_ENOMEM,
					     "ipc_receive: out of memory");
		poll_rings(d);
		if (d->first && !order_is_known(d)) {
			if (!have_spare(d) || !wait_for_more(d))
				return cloudos__refused("ipc_receive", EINTR);
			continue;
		}
		if (!d->lost && table_is_first(d)) {
			/* of a daemon that has died the number is not true any more:
			 * what it held may have been received from the next one */
			cloudos__direct_look(d);
			if (d->lost || !table_is_first(d))
				continue;
			return take_from_table(d, to);
		}
		if (d->first && is_proper(d->first))
			return give_first(d, to);
		if (d->first) {
			done_with(d, d->first);
			continue;
		}
		if (give_end(d, to, &r))
			return r;
		if (d->lost && !d->nlinks && ring_os_now() - d->lost_at > GIVE_UP_NS)
			return take_from_table(d, to);
		if (!wait_for_more(d))
			return cloudos__refused("ipc_receive", EINTR);
	}
}

bool cloudos__direct_receive(uint32_t *sender, message_t *msg, size_t max_size,
			     int *result)
{
	const struct receiving to = { sender, msg, max_size };
	struct direct *d;

	if (!msg || !sender || max_size < sizeof(message_t))
		return false; /* refused where it always is */
	d = cloudos__direct_lock();
	if (!d)
		return false;
	*result = receive(d, &to);
	cloudos__direct_unlock(d);
	return true;
}
