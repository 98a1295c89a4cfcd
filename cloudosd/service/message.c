/* SPDX-License-Identifier: MIT */
/* Messages between processes.  HOST. */
#include "cloudosd/service/message.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum { REAP_MS = 1000 };

struct account { /* of one session */
	uint64_t session;
	uint64_t messages, bytes;
	UT_hash_handle hh;
};

struct box { /* of one process that sends or receives */
	struct messages *all;
	struct process_id id;
	uint64_t key[3]; /* pid, start time, boot */
	uint32_t uid;
	uint32_t number; /* for MESSAGE_OPAQUE_PID */
	int pidfd;
	struct co_watch *watch; /* NULL: the process has ended */
	struct item *queue;     /* oldest first */
	size_t queued;
	struct item *asked; /* requests that it got and has not answered */
	struct item *sent;  /* everything that it has sent */
	struct message_wait *waits;
	size_t held;              /* items and waits that point here */
	uint64_t messages, bytes; /* charged */
	UT_hash_handle hh, hh_number;
	struct box *prev, *next; /* all, least recently used first */
};

struct item { /* of a record; same index */
	struct box *sender, *receiver;
	struct box *queue;        /* whose queue it is in, NULL: none */
	struct box *payer;        /* NULL: it is charged to nobody any more */
	struct account *account;  /* the same for the session */
	uint32_t bytes;           /* charged */
	bool is_asked;            /* in receiver->asked */
	struct item *prev, *next; /* in a queue, or delivered */
	struct item *asked_prev, *asked_next; /* in receiver->asked */
	struct item *sent_prev, *sent_next;   /* in sender->sent */
};

struct message_wait {
	struct box *box;
	struct message_room room;
	struct message_call call;
	message_done_fn *done;
	void *arg;
	struct message_wait *prev, *next;
};

struct messages {
	const struct co_host *host;
	struct message_store store;
	bool (*is_over)(void *ctx, const struct message_call *call);
	void *ctx;
	struct item *items;
	struct item *delivered;
	struct box *by_process, *by_number, *by_use;
	struct account *accounts;
	struct co_timer *reap;
	uint64_t count;
};

static uint32_t index_of(const struct messages *m, const struct item *item)
{
	return (uint32_t) (item - m->items);
}

static struct message_record *record_of(const struct messages *m,
					const struct item *item)
{
	return message_record(&m->store, index_of(m, item));
}

/* ---- accounts ---- */

static struct account *account_get(struct messages *m, uint64_t session)
{
	struct account *account;

	HASH_FIND(hh, m->accounts, &session, sizeof(session), account);
	if (account)
		return account;
	account = calloc(1, sizeof(*account));
	if (!account)
		return NULL;
	account->session = session;
	HASH_ADD(hh, m->accounts, session, sizeof(account->session), account);
	if (!account->hh.tbl) {
		free(account);
		return NULL;
	}
	return account;
}

static void account_release(struct messages *m, struct account *account)
{
	if (account->messages)
		return;
	HASH_DEL(m->accounts, account);
	free(account);
}

static void charge(struct item *item, struct box *payer, struct account *account,
		   uint32_t bytes)
{
	item->payer = payer;
	item->account = account;
	item->bytes = bytes;
	payer->messages++;
	payer->bytes += bytes;
	account->messages++;
	account->bytes += bytes;
}

/* The data has gone; the message itself may still cost. */
static void uncharge_bytes(struct item *item)
{
	if (!item->payer)
		return;
	item->payer->bytes -= item->bytes;
	item->account->bytes -= item->bytes;
	item->bytes = 0;
}

static void uncharge(struct messages *m, struct item *item)
{
	struct account *account = item->account;

	if (!item->payer)
		return;
	uncharge_bytes(item);
	item->payer->messages--;
	account->messages--;
	item->payer = NULL;
	item->account = NULL;
	account_release(m, account);
}

/* ---- boxes ---- */

static bool box_is_alive(const struct box *box)
{
	struct pollfd ended = { .fd = box->pidfd, .events = POLLIN };

	return box->watch && poll(&ended, 1, 0) == 0;
}

static void box_free(struct box *box)
{
	struct messages *m = box->all;

	if (box->watch)
		m->host->watch_free(box->watch);
	HASH_DELETE(hh, m->by_process, box);
	HASH_DELETE(hh_number, m->by_number, box);
	DL_DELETE(m->by_use, box);
	if (box->pidfd >= 0)
		(void) close(box->pidfd); /* a pidfd has nothing to flush */
	free(box);
}

/* One that nothing points to is kept while its process lives: it may write again. */
static void box_release(struct box *box)
{
	box->held--;
	if (!box->held && !box->watch)
		box_free(box);
}

static struct box *box_find(struct messages *m, const struct process_id *id)
{
	uint64_t key[3] = { (uint64_t) id->pid, id->start_time, id->boot };
	struct box *box;

	HASH_FIND(hh, m->by_process, key, sizeof(key), box);
	return box;
}

static bool make_room(struct messages *m)
{
	struct box *box;

	if (HASH_COUNT(m->by_process) < CO_LIMIT_MESSAGE_PROCESSES)
		return true;
	DL_FOREACH (m->by_use, box)
		if (!box->held)
			break;
	if (box)
		box_free(box);
	return box != NULL;
}

/* The same whenever a daemon meets that process: what was told of it stays true. */
static void new_number(struct messages *m, struct box *box)
{
	struct box *other;

	box->number = (uint32_t) box->id.start_time * 40503U + (uint32_t) box->id.pid;
	do {
		box->number = (box->number + 1) & ~MESSAGE_OPAQUE_PID;
		HASH_FIND(hh_number, m->by_number, &box->number, sizeof(box->number),
			  other);
	} while (other);
}

/* In both tables or none. */
static bool box_index(struct box *box)
{
	struct messages *m = box->all;

	new_number(m, box);
	HASH_ADD(hh, m->by_process, key, sizeof(box->key), box);
	if (!box->hh.tbl)
		return false;
	HASH_ADD(hh_number, m->by_number, number, sizeof(box->number), box);
	if (!box->hh_number.tbl) {
		HASH_DELETE(hh, m->by_process, box);
		return false;
	}
	DL_APPEND(m->by_use, box);
	return true;
}

static void on_end(void *arg);

/* A dead process has a box without pidfd, for as long as something points to it. */
static int box_new(struct messages *m, const struct process_id *id, struct box **out,
		   struct co_err *err)
{
	autofree struct box *box = calloc(1, sizeof(*box));
	int r;

	if (!box)
		return co_fail(err, CO_NO_MEMORY, "out of memory for a message");
	if (!make_room(m))
		return co_fail(err, CO_TABLE_FULL,
			       "%d processes have messages already, which is the limit",
			       CO_LIMIT_MESSAGE_PROCESSES);
	box->all = m;
	box->id = *id;
	box->key[0] = (uint64_t) id->pid;
	box->key[1] = id->start_time;
	box->key[2] = id->boot;
	box->pidfd = -1;
	r = process_open(id, &box->pidfd, err);
	if (r < 0 && r != CO_GONE)
		return r;
	if (!box_index(box)) {
		if (box->pidfd >= 0)
			(void) close(box->pidfd); /* nothing to flush */
		return co_fail(err, CO_NO_MEMORY, "out of memory for a message");
	}
	*out = take(box);
	if (r == CO_GONE)
		return 0;
	(*out)->watch =
		m->host->watch_new(m->host->ctx, (*out)->pidfd, false, on_end, *out);
	if ((*out)->watch)
		return 0;
	box_free(*out);
	return co_fail(err, CO_NO_MEMORY, "process %" PRId32 " cannot be watched",
		       id->pid);
}

/* A living process' box; CO_GONE. */
static int box_get(struct messages *m, const struct process_id *id, struct box **out,
		   struct co_err *err)
{
	struct box *box = box_find(m, id);
	int r = box ? 0 : box_new(m, id, &box, err);

	if (r < 0)
		return r;
	if (!box_is_alive(box)) {
		if (!box->held && !box->watch)
			box_free(box);
		return co_fail(err, CO_GONE, "process %" PRId32 " has ended", id->pid);
	}
	DL_DELETE(m->by_use, box);
	DL_APPEND(m->by_use, box);
	*out = box;
	return 0;
}

const struct process_id *messages_named(const struct messages *m, uint32_t opaque_pid)
{
	uint32_t number = opaque_pid & ~MESSAGE_OPAQUE_PID;
	struct box *box;

	HASH_FIND(hh_number, m->by_number, &number, sizeof(number), box);
	return box ? &box->id : NULL;
}

/* ---- items ---- */

static void item_begin(struct messages *m, struct item *item, struct box *sender,
		       struct box *receiver)
{
	memset(item, 0, sizeof(*item));
	item->sender = sender;
	item->receiver = receiver;
	sender->held++;
	receiver->held++;
	DL_APPEND2(sender->sent, item, sent_prev, sent_next);
	m->count++;
}

static void unask(struct item *item)
{
	if (!item->is_asked)
		return;
	DL_DELETE2(item->receiver->asked, item, asked_prev, asked_next);
	item->is_asked = false;
}

static void unqueue(struct item *item)
{
	if (!item->queue)
		return;
	DL_DELETE(item->queue->queue, item);
	item->queue->queued--;
	item->queue = NULL;
}

/* It is in no queue and not delivered any more. */
static void item_end(struct messages *m, struct item *item)
{
	struct box *sender = item->sender, *receiver = item->receiver;

	unqueue(item);
	unask(item);
	uncharge(m, item);
	DL_DELETE2(sender->sent, item, sent_prev, sent_next);
	message_record_free(&m->store, index_of(m, item));
	item->sender = NULL;
	m->count--;
	box_release(sender);
	box_release(receiver);
}

static bool wants_answer(const struct message_record *record)
{
	return record->type == MESSAGE_REQUEST && !atomic_load(&record->replied);
}

/* By age: what is put back stands in front of what came later. */
static void enqueue(struct messages *m, struct box *box, struct item *item)
{
	struct item *before;

	DL_FOREACH (box->queue, before)
		if (record_of(m, before)->order > record_of(m, item)->order)
			break;
	if (before)
		DL_PREPEND_ELEM(box->queue, before, item);
	else
		DL_APPEND(box->queue, item);
	item->queue = box;
	box->queued++;
}

/* At its end, which is where what is new belongs. */
static void enqueue_new(struct box *box, struct item *item)
{
	DL_APPEND(box->queue, item);
	item->queue = box;
	box->queued++;
}

static void asked(struct item *item)
{
	DL_APPEND2(item->receiver->asked, item, asked_prev, asked_next);
	item->is_asked = true;
}

/* ---- what was delivered ---- */

/* The call that was given it is over: its data may go. */
static void delivered_end(struct messages *m, struct item *item)
{
	struct message_record *record = record_of(m, item);

	DL_DELETE(m->delivered, item);
	if (atomic_load(&record->state) == MESSAGE_DELIVERED && wants_answer(record) &&
	    item->sender->watch) {
		atomic_store(&record->state, MESSAGE_OPEN);
		message_record_empty(&m->store, index_of(m, item));
	} else {
		item_end(m, item);
	}
}

static void reap_some(struct messages *m)
{
	struct item *item, *next;

	DL_FOREACH_SAFE (m->delivered, item, next)
		if (m->is_over(m->ctx, &record_of(m, item)->received))
			delivered_end(m, item);
}

static void reap(void *arg)
{
	struct messages *m = arg;

	reap_some(m);
	if (m->delivered)
		m->host->timer_start(m->reap, REAP_MS);
}

static void delivered(struct messages *m, struct item *item)
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
	return snprintf(out, size, "process %u has ended without answering request %u",
			record->receiver_was, record->id);
}

/* Fills got from a record, with the receiver's own name. */
static int fill(struct messages *m, const struct item *item,
		const struct message_room *room, struct message_got *got,
		struct co_err *err)
{
	const struct message_record *record = record_of(m, item);
	unsigned state = atomic_load(&record->state);
	bool failed = state == MESSAGE_FAILED || state == MESSAGE_FAILED_DELIVERED;
	char text[96];

	*got = (struct message_got){ .record = index_of(m, item),
				     .kind = failed ? MESSAGE_ERROR : record->type,
				     .id = record->id,
				     .size = record->size,
				     .sender_pid = failed ? record->receiver_was
							  : record->sender_is,
				     .receiver_pid = room->pid };
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

static int give(struct messages *m, struct item *item, const struct message_room *room,
		const struct message_call *call, struct message_got *got,
		struct co_err *err)
{
	struct message_record *record = record_of(m, item);
	int r = fill(m, item, room, got, err);
	bool failed = atomic_load(&record->state) == MESSAGE_FAILED;

	if (r)
		return r;
	record->received = *call;
	record->receiver_is = room->pid;
	atomic_store(&record->state,
		     failed ? MESSAGE_FAILED_DELIVERED : MESSAGE_DELIVERED);
	unqueue(item);
	if (!failed && wants_answer(record))
		uncharge_bytes(item);
	else
		uncharge(m, item);
	delivered(m, item);
	return 0;
}

static void wait_end(struct message_wait *wait)
{
	struct box *box = wait->box;

	DL_DELETE(box->waits, wait);
	free(wait);
	box_release(box);
}

/* Gives what is there to those who wait, one each. */
static void offer(struct messages *m, struct box *box)
{
	box->held++;
	while (box->queue && box->waits) {
		struct message_wait *wait = box->waits;
		struct message_got got = { 0 };
		struct co_err err = { 0 };
		int r = give(m, box->queue, &wait->room, &wait->call, &got, &err);
		message_done_fn *done = wait->done;
		void *arg = wait->arg;

		wait_end(wait);
		done(arg, r, &got, err.message);
	}
	box_release(box);
}

/* ---- death ---- */

/* Its sender is told instead of it. */
static void fail_request(struct messages *m, struct item *item)
{
	struct message_record *record = record_of(m, item);

	unqueue(item);
	unask(item);
	uncharge_bytes(item);
	record->order = ++m->store.order;
	atomic_store(&record->state, MESSAGE_FAILED);
	message_record_empty(&m->store, index_of(m, item));
	enqueue_new(item->sender, item);
	offer(m, item->sender);
}

static bool is_delivered(const struct message_record *record)
{
	unsigned state = atomic_load(&record->state);

	return state == MESSAGE_DELIVERED || state == MESSAGE_FAILED_DELIVERED;
}

static void drop(struct messages *m, struct item *item)
{
	if (is_delivered(record_of(m, item)))
		DL_DELETE(m->delivered, item);
	item_end(m, item);
}

/* A dead process will receive and answer nothing. */
static void receiver_died(struct messages *m, struct box *box)
{
	struct item *item, *next;

	while (box->queue) {
		item = box->queue;
		if (item->receiver == box && wants_answer(record_of(m, item)) &&
		    item->sender->watch)
			fail_request(m, item);
		else
			drop(m, item);
	}
	DL_FOREACH_SAFE2(box->asked, item, next, asked_next)
	{
		if (is_delivered(record_of(m, item)))
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
		unsigned state = atomic_load(&record_of(m, item)->state);

		if (state == MESSAGE_OPEN || state == MESSAGE_FAILED)
			item_end(m, item);
	}
}

static void box_died(struct box *box)
{
	struct messages *m = box->all;

	box->held++; /* until this is over */
	if (box->watch)
		m->host->watch_free(box->watch);
	box->watch = NULL;
	/* who waits here is dead, too, and is cancelled as such */
	receiver_died(m, box);
	sender_died(m, box);
	box_release(box);
}

static void on_end(void *arg)
{
	struct box *box = arg;

	if (!box_is_alive(box))
		box_died(box);
}

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
		reap_some(m);
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
	record_of(m, item)->session = from->session;
	item_begin(m, item, sender, receiver);
	charge(item, sender, account, text->size);
	message_record_commit(&m->store, index_of(m, item), MESSAGE_QUEUED);
	if (text->kind == MESSAGE_REQUEST)
		asked(item);
	enqueue_new(receiver, item);
	offer(m, receiver);
	return 0;
}

/* ---- answering ---- */

/* Only what it was given: a request that still waits in its queue is no one's to answer. */
static struct item *request_find(struct messages *m, struct box *from,
				 const struct process_id *to, uint32_t id)
{
	struct item *item;

	DL_FOREACH2(from->asked, item, asked_next)
	if (!item->queue && record_of(m, item)->id == id &&
	    process_same(&item->sender->id, to))
		return item;
	return NULL;
}

/* The requester's account takes the answer in place of the request. */
static int answer(struct messages *m, struct item *request,
		  const struct message_party *from, const struct message_text *text,
		  const struct message_call *call, struct co_err *err)
{
	const struct message_record *asked = record_of(m, request);
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
	record = record_of(m, item);
	record->session = asked->session;
	record->answers = index_of(m, request);
	record->answers_order = asked->order;
	item_begin(m, item, sender, payer);
	charge(item, payer, account, text->size);
	message_record_commit(&m->store, index_of(m, item), MESSAGE_QUEUED);
	unask(request);
	atomic_store(&record_of(m, request)->replied, 1);
	uncharge(m, request);
	if (!is_delivered(record_of(m, request)))
		item_end(m, request);
	enqueue_new(payer, item);
	offer(m, payer);
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
	reap_some(m);
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
		if (message_call_same(&record_of(m, item)->received, call))
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
		return fill(m, item, room, out, err);
	reap_some(m);
	r = box_get(m, &party->process, &box, err);
	if (r)
		return r;
	if (box->queue)
		return give(m, box->queue, room, call, out, err);
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
		wait_end(wait);
	return NULL;
}

void messages_put_back(struct messages *m, uint32_t index,
		       const struct message_call *call)
{
	struct item *item = &m->items[index];
	struct message_record *record = record_of(m, item);
	struct account *account;
	bool failed;

	if (!item->sender || !is_delivered(record) ||
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
		charge(item,
		       failed || record->answers == MESSAGE_NONE ? item->sender
								 : item->receiver,
		       account, record->size);
	}
	atomic_store(&record->state, failed ? MESSAGE_FAILED : MESSAGE_QUEUED);
	enqueue(m, failed ? item->sender : item->receiver, item);
	offer(m, item->queue);
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
		enqueue(m, receiver, item);
	else if (state == MESSAGE_FAILED)
		enqueue(m, sender, item);
	else if (state != MESSAGE_OPEN)
		delivered(m, item);
	if (state != MESSAGE_FAILED && state != MESSAGE_FAILED_DELIVERED &&
	    wants_answer(record))
		asked(item);
	if (item->queue || item->is_asked)
		charge(item, record->answers == MESSAGE_NONE ? sender : receiver,
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
	m->reap = host->timer_new(host->ctx, reap, m);
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
