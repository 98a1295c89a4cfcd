/* SPDX-License-Identifier: MIT */
/* Messages between processes: sending, answering, receiving.  HOST. */
#include "cloudosd/service/message_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- sending ---- */

static int check_text(const struct message_text *text, struct co_err *err)
{
	if (text->size > CO_LIMIT_MESSAGE_BYTES)
		return co_fail(err, CO_TOO_BIG,
			       "a message has at most %d bytes of data, and this one "
			       "%u; use shared memory for more",
			       CO_LIMIT_MESSAGE_BYTES, text->size);
	return 0;
}

static int check_payer(const struct box *payer, const struct account *account,
		       uint32_t size, struct co_err *err)
{
	if (payer->messages >= CO_LIMIT_MESSAGES_SENT)
		return co_fail(err, CO_BUSY,
			       "%d messages of process %" PRId32 " wait to be received "
			       "or answered, which is the limit; receive answers first",
			       CO_LIMIT_MESSAGES_SENT, payer->id.pid);
	if (payer->bytes + size > CO_LIMIT_MESSAGES_SENT_BYTES)
		return co_fail(err, CO_BUSY,
			       "%" PRIu64 " bytes of process %" PRId32
			       " wait to be received and %u more would be over the "
			       "limit of %d",
			       payer->bytes, payer->id.pid, size,
			       CO_LIMIT_MESSAGES_SENT_BYTES);
	if (account->messages >= CO_LIMIT_MESSAGES_SESSION ||
	    account->bytes + size > CO_LIMIT_MESSAGES_SESSION_BYTES)
		return co_fail(err, CO_BUSY,
			       "%" PRIu64 " messages of %" PRIu64 " bytes of this "
			       "program's processes wait to be received; the limits "
			       "are %d and %d",
			       account->messages, account->bytes,
			       CO_LIMIT_MESSAGES_SESSION,
			       CO_LIMIT_MESSAGES_SESSION_BYTES);
	return 0;
}

static int check_room(struct messages *m, uint32_t size, struct co_err *err)
{
	if (!message_store_has_room(&m->store, size))
		delivered_reap(m);
	if (!message_store_has_room(&m->store, size))
		return co_fail(err, CO_TABLE_FULL,
			       "the messages that wait in this domain, %" PRIu64
			       " of them, leave no room for %u bytes more",
			       m->count, size);
	return 0;
}

/* A record that is complete but for its state. */
static uint32_t record_new(struct messages *m, const struct message_party *from,
			   const struct message_party *to,
			   const struct message_text *text,
			   const struct message_call *call)
{
	uint32_t index = message_record_new(&m->store, text->data, text->size);
	struct message_record *record = message_record(&m->store, index);

	record->type = text->kind;
	record->id = text->id;
	record->sender = from->process;
	record->receiver = to->process;
	record->sender_is = from->pid;
	record->receiver_was = to->pid;
	record->sent = *call;
	return index;
}

/* What a party is called that the other cannot see. */
static uint32_t name_of(const struct message_party *party, const struct box *box)
{
	return party->pid ? party->pid : MESSAGE_OPAQUE_PID | box->number;
}

bool messages_have_sent(const struct messages *m, const struct message_call *call)
{
	return message_call_is_done(&m->store, call);
}

static int check_receiver(const struct message_party *from,
			  const struct message_party *to, const struct box *receiver,
			  struct co_err *err)
{
	if (from->uid != to->uid)
		return co_fail(err, CO_ACCESS,
			       "process %u belongs to user %u and this one to %u; "
			       "messages go to processes of the same user",
			       to->pid, to->uid, from->uid);
	if (receiver->queued >= CO_LIMIT_MESSAGES_QUEUED)
		return co_fail(err, CO_BUSY,
			       "%zu messages wait for process %u already, which is "
			       "the limit; send again when it has received some",
			       receiver->queued, to->pid);
	return 0;
}

int messages_send(struct messages *m, const struct message_party *from,
		  const struct message_party *to, const struct message_text *text,
		  const struct message_call *call, struct co_err *err)
{
	struct message_party named_from = *from, named_to = *to;
	struct box *sender, *receiver;
	struct account *account;
	struct item *item;
	int r = check_text(text, err);

	if (r)
		return r;
	if (text->kind != MESSAGE_REQUEST && text->kind != MESSAGE_NOTIFICATION)
		return co_fail(err, CO_INVALID,
			       "a message that is sent is a request (%d) or a "
			       "notification (%d), not %u; requests are answered by "
			       "a reply",
			       MESSAGE_REQUEST, MESSAGE_NOTIFICATION, text->kind);
	r = box_get(m, &from->process, &sender, err);
	if (r)
		return r;
	sender->held++; /* a second box must not push it out */
	r = box_get(m, &to->process, &receiver, err);
	box_release(sender);
	if (!r)
		r = check_receiver(from, to, receiver, err);
	if (r)
		return r;
	account = account_get(m, from->session);
	if (!account)
		return co_fail(err, CO_NO_MEMORY, "out of memory for a message");
	r = check_payer(sender, account, text->size, err);
	if (!r)
		r = check_room(m, text->size, err);
	if (r) {
		account_release(m, account);
		return r;
	}
	named_from.pid = name_of(from, sender);
	named_to.pid = name_of(to, receiver);
	item = &m->items[record_new(m, &named_from, &named_to, text, call)];
	item_record(m, item)->session = from->session;
	item_begin(m, item, sender, receiver);
	item_charge(item, sender, account, text->size);
	message_record_commit(&m->store, item_index(m, item), MESSAGE_QUEUED);
	if (text->kind == MESSAGE_REQUEST)
		item_asked(item);
	item_append(receiver, item);
	box_offer(m, receiver);
	return 0;
}

/* ---- answering ---- */

/* Only what it was given: a request that still waits in its queue is no one's to answer. */
static struct item *request_find(struct messages *m, struct box *from,
				 const struct process_id *to, uint32_t id)
{
	struct item *item;

	DL_FOREACH2(from->asked, item, asked_next)
	if (!item->queue && item_record(m, item)->id == id &&
	    process_same(&item->sender->id, to))
		return item;
	return NULL;
}

/* The requester's account takes the answer in place of the request. */
static int answer(struct messages *m, struct item *request,
		  const struct message_party *from, const struct message_text *text,
		  const struct message_call *call, struct co_err *err)
{
	const struct message_record *asked = item_record(m, request);
	struct message_party party = *from,
			     to = { .process = asked->sender, .pid = asked->sender_is };
	struct box *payer = request->payer, *sender = request->receiver;
	struct account *account = request->account;
	struct message_record *record;
	struct item *item;
	int r = check_room(m, text->size, err);

	if (!r && payer->bytes + text->size > CO_LIMIT_MESSAGES_SENT_BYTES)
		r = co_fail(err, CO_BUSY,
			    "%" PRIu64 " bytes wait for process %u already, and %u "
			    "more would be over its limit of %d",
			    payer->bytes, asked->sender_is, text->size,
			    CO_LIMIT_MESSAGES_SENT_BYTES);
	if (r)
		return r;
	party.pid = asked->receiver_was;
	item = &m->items[record_new(m, &party, &to, text, call)];
	record = item_record(m, item);
	record->session = asked->session;
	record->answers = item_index(m, request);
	record->answers_order = asked->order;
	item_begin(m, item, sender, payer);
	item_charge(item, payer, account, text->size);
	message_record_commit(&m->store, item_index(m, item), MESSAGE_QUEUED);
	item_unask(request);
	atomic_store(&item_record(m, request)->replied, 1);
	item_uncharge(m, request);
	if (!record_is_delivered(item_record(m, request)))
		item_end(m, request);
	item_append(payer, item);
	box_offer(m, payer);
	return 0;
}

int messages_reply(struct messages *m, const struct message_party *from,
		   const struct process_id *to, const struct message_text *text,
		   const struct message_call *call, struct co_err *err)
{
	struct box *box;
	struct item *request;
	int r = check_text(text, err);

	if (r)
		return r;
	if (text->kind != MESSAGE_RESPONSE && text->kind != MESSAGE_ERROR)
		return co_fail(err, CO_INVALID,
			       "a reply is a response (%d) or an error (%d), not %u",
			       MESSAGE_RESPONSE, MESSAGE_ERROR, text->kind);
	r = box_get(m, &from->process, &box, err);
	if (r)
		return r;
	delivered_reap(m);
	request = request_find(m, box, to, text->id);
	if (!request)
		return co_fail(err, CO_NOT_FOUND,
			       "process %" PRId32 " has received no request %u of "
			       "process %" PRId32 " that is not answered yet",
			       from->process.pid, text->id, to->pid);
	if (!request->sender->watch)
		return co_fail(err, CO_GONE,
			       "process %" PRId32 " has ended; nobody waits for the "
			       "answer to its request %u",
			       to->pid, text->id);
	return answer(m, request, from, text, call, err);
}

/* ---- receiving ---- */

static struct item *given_before(struct messages *m, const struct message_call *call)
{
	struct item *item;

	DL_FOREACH (m->delivered, item)
		if (message_call_same(&item_record(m, item)->received, call))
			return item;
	return NULL;
}

int messages_receive(struct messages *m, const struct message_party *party,
		     const struct message_room *room, const struct message_call *call,
		     bool again, struct message_got *out,
		     struct message_wait **out_wait, message_done_fn *done, void *arg,
		     struct co_err *err)
{
	struct item *item = again ? given_before(m, call) : NULL;
	struct message_wait *wait;
	struct box *box;
	int r;

	if (item)
		return item_fill(m, item, room, out, err);
	delivered_reap(m);
	r = box_get(m, &party->process, &box, err);
	if (r)
		return r;
	if (box->queue)
		return item_give(m, box->queue, room, call, out, err);
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return co_fail(err, CO_NO_MEMORY,
			       "out of memory to wait for a message");
	wait->box = box;
	wait->room = *room;
	wait->call = *call;
	wait->done = done;
	wait->arg = arg;
	box->held++;
	DL_APPEND(box->waits, wait);
	*out_wait = wait;
	return MESSAGES_WAITING;
}

struct message_wait *messages_cancel(struct message_wait *wait)
{
	if (wait)
		message_wait_end(wait);
	return NULL;
}

void messages_put_back(struct messages *m, uint32_t index,
		       const struct message_call *call)
{
	struct item *item = &m->items[index];
	struct message_record *record = item_record(m, item);
	struct account *account;
	bool failed;

	if (!item->sender || !record_is_delivered(record) ||
	    !message_call_same(&record->received, call))
		return; /* its process has ended */
	failed = atomic_load(&record->state) == MESSAGE_FAILED_DELIVERED;
	DL_DELETE(m->delivered, item);
	account = item->payer ? item->account : account_get(m, record->session);
	if (!account) {
		item_end(m, item); /* no memory; the caller was told that it failed */
		return;
	}
	if (item->payer) {
		item->bytes = record->size;
		item->payer->bytes += item->bytes;
		account->bytes += item->bytes;
	} else {
		item_charge(item,
			    failed || record->answers == MESSAGE_NONE ? item->sender
								      : item->receiver,
			    account, record->size);
	}
	atomic_store(&record->state, failed ? MESSAGE_FAILED : MESSAGE_QUEUED);
	item_enqueue(m, failed ? item->sender : item->receiver, item);
	box_offer(m, item->queue);
}

void messages_numbers(const struct messages *m, uint64_t *out_messages,
		      uint64_t *out_processes)
{
	*out_messages = m->count;
	*out_processes = HASH_COUNT(m->by_process);
}

/* ---- begin and end ---- */

/* One record of a predecessor's.  False: it cannot be kept. */
static bool item_load(struct messages *m, uint32_t index)
{
	struct message_record *record = message_record(&m->store, index);
	unsigned state = atomic_load(&record->state);
	struct item *item = &m->items[index];
	struct box *sender = box_find(m, &record->sender), *receiver;
	struct account *account = account_get(m, record->session);

	if (!account || (!sender && box_new(m, &record->sender, &sender, NULL)))
		return false;
	sender->held++;
	receiver = box_find(m, &record->receiver);
	if (!receiver && box_new(m, &record->receiver, &receiver, NULL)) {
		box_release(sender);
		return false;
	}
	item_begin(m, item, sender, receiver);
	sender->held--; /* the item holds it */
	if (state == MESSAGE_QUEUED)
		item_enqueue(m, receiver, item);
	else if (state == MESSAGE_FAILED)
		item_enqueue(m, sender, item);
	else if (state != MESSAGE_OPEN)
		item_delivered(m, item);
	if (state != MESSAGE_FAILED && state != MESSAGE_FAILED_DELIVERED &&
	    record_wants_answer(record))
		item_asked(item);
	if (item->queue || item->is_asked)
		item_charge(item, record->answers == MESSAGE_NONE ? sender : receiver,
			    account, item->queue ? record->size : 0);
	else
		account_release(m, account);
	return true;
}

static void load(struct messages *m)
{
	struct box *box, *next;

	for (uint32_t i = 0; i < m->store.saved->records_used; i++)
		if (atomic_load(&message_record(&m->store, i)->state) != MESSAGE_FREE &&
		    !item_load(m, i))
			message_record_free(&m->store, i);
	DL_FOREACH (m->by_use, box)
		box->held++; /* deaths must not take boxes away under this */
	DL_FOREACH (m->by_use, box)
		if (!box->watch)
			box_died(box);
	DL_FOREACH_SAFE (m->by_use, box, next)
		box_release(box);
}

struct messages *
messages_new(const struct co_host *host, struct messages_saved *saved,
	     bool (*is_over)(void *ctx, const struct message_call *call), void *ctx)
{
	struct messages *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->host = host;
	m->is_over = is_over;
	m->ctx = ctx;
	m->items = calloc(CO_LIMIT_MESSAGES, sizeof(struct item));
	m->reap = host->timer_new(host->ctx, delivered_timer, m);
	if (!m->items || !m->reap || !message_store_init(&m->store, saved)) {
		if (m->reap)
			host->timer_free(m->reap);
		free(m->items);
		free(m);
		return NULL;
	}
	load(m);
	return m;
}

struct messages *messages_free(struct messages *m)
{
	struct account *account, *next_account;
	struct box *box, *next;

	if (!m)
		return NULL;
	DL_FOREACH_SAFE (m->by_use, box, next) {
		while (box->waits) {
			struct message_wait *wait = box->waits;

			DL_DELETE(box->waits, wait);
			free(wait);
		}
		box_free(box);
	}
	HASH_ITER (hh, m->accounts, account, next_account) {
		HASH_DEL(m->accounts, account);
		free(account);
	}
	m->host->timer_free(m->reap);
	message_store_done(&m->store);
	free(m->items);
	free(m);
	return NULL;
}
