/* SPDX-License-Identifier: MIT */
/* Messages on their way out: who waits, what was given, what the dead leave.  HOST. */
#include "cloudosd/service/message_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REAP_MS = 1000 };

/* ---- what was delivered ---- */

/* The call that was given it is over: its data may go. */
static void delivered_end(struct messages *m, struct item *item)
{
	struct message_record *record = item_record(m, item);

	DL_DELETE(m->delivered, item);
	if (atomic_load(&record->state) == MESSAGE_DELIVERED &&
	    record_wants_answer(record) && item->sender->watch) {
		atomic_store(&record->state, MESSAGE_OPEN);
		message_record_empty(&m->store, item_index(m, item));
	} else {
		item_end(m, item);
	}
}

void delivered_reap(struct messages *m)
{
	struct item *item, *next;

	DL_FOREACH_SAFE (m->delivered, item, next)
		if (m->is_over(m->ctx, &item_record(m, item)->received))
			delivered_end(m, item);
}

void delivered_timer(void *arg)
{
	struct messages *m = arg;

	delivered_reap(m);
	if (m->delivered)
		m->host->timer_start(m->reap, REAP_MS);
}

void item_delivered(struct messages *m, struct item *item)
{
	if (!m->delivered)
		m->host->timer_start(m->reap, REAP_MS);
	DL_APPEND(m->delivered, item);
}

/* ---- giving ---- */

static int too_big(uint32_t size, size_t room, struct co_err *err)
{
	return co_fail(err, CO_TOO_BIG,
		       "the oldest message has %u bytes of data and there is room for "
		       "%zu; it stays until there is room",
		       size, room);
}

/* What the daemon itself has to say about a request. */
static int failed_text(const struct message_record *record, char *out, size_t size)
{
	if (atomic_load(&record->replied) == 2)
		return snprintf(
			out, size,
			"cloudosd was restarted while %u had request %u; it may "
			"have been carried out",
			record->receiver_was, record->id);
	return snprintf(out, size, "process %u has ended without answering request %u",
			record->receiver_was, record->id);
}

/* Fills got from a record, with the receiver's own name. */
int item_fill(struct messages *m, const struct item *item,
	      const struct message_room *room, struct message_got *got,
	      struct co_err *err)
{
	const struct message_record *record = item_record(m, item);
	unsigned state = atomic_load(&record->state);
	bool failed = state == MESSAGE_FAILED || state == MESSAGE_FAILED_DELIVERED;
	char text[128];

	*got = (struct message_got){
		.record = item_index(m, item),
		.kind = failed ? MESSAGE_ERROR : record->type,
		.id = record->id,
		.size = record->size,
		.sender_pid = failed ? record->receiver_was : record->sender_is,
		.receiver_pid = room->pid,
		.addressed = record->receiver_was,
		.from = failed ? item->receiver->id : item->sender->id
	};
	if (failed)
		got->size = (uint32_t) failed_text(record, text, sizeof(text)) + 1;
	if (got->size > room->data)
		return too_big(got->size, room->data, err);
	got->bytes = malloc(room->headroom + got->size);
	if (!got->bytes)
		return co_fail(err, CO_NO_MEMORY,
			       "out of memory for a message of %u bytes; it stays",
			       got->size);
	if (failed)
		memcpy((char *) got->bytes + room->headroom, text, got->size);
	else
		message_record_read(&m->store, got->record,
				    (char *) got->bytes + room->headroom);
	return 0;
}

int item_give(struct messages *m, struct item *item, const struct message_room *room,
	      const struct message_call *call, struct message_got *got,
	      struct co_err *err)
{
	struct message_record *record = item_record(m, item);
	int r = item_fill(m, item, room, got, err);
	bool failed = atomic_load(&record->state) == MESSAGE_FAILED;

	if (r)
		return r;
	record->received = *call;
	record->receiver_is = room->pid;
	atomic_store(&record->state,
		     failed ? MESSAGE_FAILED_DELIVERED : MESSAGE_DELIVERED);
	item_unqueue(item);
	if (!failed && record_wants_answer(record))
		item_uncharge_bytes(item);
	else
		item_uncharge(m, item);
	item_delivered(m, item);
	return 0;
}

void message_wait_end(struct message_wait *wait)
{
	struct box *box = wait->box;

	DL_DELETE(box->waits, wait);
	free(wait);
	box_release(box);
}

/* Gives what is there to those who wait, one each. */
void box_offer(struct messages *m, struct box *box)
{
	box->held++;
	while (box->queue && box->waits) {
		struct message_wait *wait = box->waits;
		struct message_got got = { 0 };
		struct co_err err = { 0 };
		int r = item_give(m, box->queue, &wait->room, &wait->call, &got, &err);
		message_done_fn *done = wait->done;
		void *arg = wait->arg;

		message_wait_end(wait);
		done(arg, r, &got, err.message);
	}
	box_release(box);
}

/* ---- death ---- */

/* Its sender is told instead of it. */
static void fail_request(struct messages *m, struct item *item)
{
	struct message_record *record = item_record(m, item);

	item_unqueue(item);
	item_unask(item);
	item_uncharge_bytes(item);
	record->order = ++m->store.order;
	atomic_store(&record->state, MESSAGE_FAILED);
	message_record_empty(&m->store, item_index(m, item));
	item_append(item->sender, item);
	box_offer(m, item->sender);
}

bool record_is_delivered(const struct message_record *record)
{
	unsigned state = atomic_load(&record->state);

	return state == MESSAGE_DELIVERED || state == MESSAGE_FAILED_DELIVERED;
}

static void drop(struct messages *m, struct item *item)
{
	if (record_is_delivered(item_record(m, item)))
		DL_DELETE(m->delivered, item);
	item_end(m, item);
}

/* A dead process will receive and answer nothing. */
static void receiver_died(struct messages *m, struct box *box)
{
	struct item *item, *next;

	while (box->queue) {
		item = box->queue;
		if (item->receiver == box &&
		    record_wants_answer(item_record(m, item)) && item->sender->watch)
			fail_request(m, item);
		else
			drop(m, item);
	}
	DL_FOREACH_SAFE2(box->asked, item, next, asked_next)
	{
		if (record_is_delivered(item_record(m, item)))
			DL_DELETE(m->delivered, item);
		if (item->sender->watch)
			fail_request(m, item);
		else
			item_end(m, item);
	}
}

/* Nobody waits for the answers to what it has asked; what it has said is still said. */
static void sender_died(struct messages *m, struct box *box)
{
	struct item *item, *next;

	DL_FOREACH_SAFE2(box->sent, item, next, sent_next)
	{
		unsigned state = atomic_load(&item_record(m, item)->state);

		if (state == MESSAGE_OPEN || state == MESSAGE_FAILED)
			item_end(m, item);
	}
}

/* Nobody cancels what the daemon itself waits for. */
static void waits_died(struct box *box)
{
	struct message_wait *wait, *next;

	DL_FOREACH_SAFE (box->waits, wait, next) {
		message_done_fn *done = wait->done;
		void *arg = wait->arg;

		if (wait->call.slot != MESSAGE_DAEMON)
			continue;
		message_wait_end(wait);
		done(arg, CO_GONE, NULL, "the process has ended");
	}
}

void messages_orphans(struct messages *m)
{
	for (uint32_t i = 0; i < m->store.saved->records_used; i++) {
		struct message_record *record = message_record(&m->store, i);
		struct item *item = &m->items[i];
		unsigned state = atomic_load(&record->state);

		if (!item->sender || state == MESSAGE_FREE)
			continue;
		if (record->sent.slot == MESSAGE_DAEMON &&
		    record->answers == MESSAGE_NONE) {
			drop(m, item);
		} else if (record->received.slot == MESSAGE_DAEMON && item->is_asked &&
			   !item->queue && item->sender->watch) {
			if (record_is_delivered(record))
				DL_DELETE(m->delivered, item);
			atomic_store(&record->replied, 2);
			fail_request(m, item);
		}
	}
}

void box_died(struct box *box)
{
	struct messages *m = box->all;

	box->held++; /* until this is over */
	waits_died(box);
	if (box->watch)
		m->host->watch_free(box->watch);
	box->watch = NULL;
	box_unname(box);
	/* who waits here is dead, too, and is cancelled as such */
	receiver_died(m, box);
	sender_died(m, box);
	box_release(box);
}

void box_ended(void *arg)
{
	struct box *box = arg;

	if (!box_is_alive(box))
		box_died(box);
}
