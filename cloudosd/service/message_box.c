/* SPDX-License-Identifier: MIT */
/* Boxes of processes, what is in them, and who pays for it.  HOST. */
#include "cloudosd/service/message_inside.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

uint32_t item_index(const struct messages *m, const struct item *item)
{
	return (uint32_t) (item - m->items);
}

struct message_record *item_record(const struct messages *m, const struct item *item)
{
	return message_record(&m->store, item_index(m, item));
}

/* ---- accounts ---- */

struct account *account_get(struct messages *m, uint64_t session)
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

void account_release(struct messages *m, struct account *account)
{
	if (account->messages)
		return;
	HASH_DEL(m->accounts, account);
	free(account);
}

void item_charge(struct item *item, struct box *payer, struct account *account,
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
void item_uncharge_bytes(struct item *item)
{
	if (!item->payer)
		return;
	item->payer->bytes -= item->bytes;
	item->account->bytes -= item->bytes;
	item->bytes = 0;
}

void item_uncharge(struct messages *m, struct item *item)
{
	struct account *account = item->account;

	if (!item->payer)
		return;
	item_uncharge_bytes(item);
	item->payer->messages--;
	account->messages--;
	item->payer = NULL;
	item->account = NULL;
	account_release(m, account);
}

/* ---- boxes ---- */

bool box_is_alive(const struct box *box)
{
	struct pollfd ended = { .fd = box->pidfd, .events = POLLIN };

	return box->watch && poll(&ended, 1, 0) == 0;
}

/* Its pid is nobody's, or another's, from now on. */
void box_unname(struct box *box)
{
	if (box->hh_pid.tbl)
		HASH_DELETE(hh_pid, box->all->by_pid, box);
	memset(&box->hh_pid, 0, sizeof(box->hh_pid));
}

const struct process_id *messages_process(const struct messages *m, int32_t pid)
{
	struct box *box;

	HASH_FIND(hh_pid, m->by_pid, &pid, sizeof(pid), box);
	return box && box_is_alive(box) ? &box->id : NULL;
}

void box_free(struct box *box)
{
	struct messages *m = box->all;

	if (box->watch)
		m->host->watch_free(box->watch);
	HASH_DELETE(hh, m->by_process, box);
	HASH_DELETE(hh_number, m->by_number, box);
	box_unname(box);
	DL_DELETE(m->by_use, box);
	if (box->pidfd >= 0)
		(void) close(box->pidfd); /* a pidfd has nothing to flush */
	free(box);
}

/* One that nothing points to is kept while its process lives: it may write again. */
void box_release(struct box *box)
{
	box->held--;
	if (!box->held && !box->watch)
		box_free(box);
}

struct box *box_find(struct messages *m, const struct process_id *id)
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

/* A dead process has a box without pidfd, for as long as something points to it. */
int box_new(struct messages *m, const struct process_id *id, struct box **out,
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
		m->host->watch_new(m->host->ctx, (*out)->pidfd, false, box_ended, *out);
	if ((*out)->watch) {
		struct box *living;

		/* one of the same number that has ended may not have been told yet */
		HASH_FIND(hh_pid, m->by_pid, &id->pid, sizeof(id->pid), living);
		if (living)
			box_unname(living);
		HASH_ADD(hh_pid, m->by_pid, id.pid, sizeof((*out)->id.pid), *out);
		return 0; /* without memory for that it is looked up the longer way */
	}
	box_free(*out);
	return co_fail(err, CO_NO_MEMORY, "process %" PRId32 " cannot be watched",
		       id->pid);
}

/* A living process' box; CO_GONE. */
int box_get(struct messages *m, const struct process_id *id, struct box **out,
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

void item_begin(struct messages *m, struct item *item, struct box *sender,
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

void item_unask(struct item *item)
{
	if (!item->is_asked)
		return;
	DL_DELETE2(item->receiver->asked, item, asked_prev, asked_next);
	item->is_asked = false;
}

static void tell(const struct box *box)
{
	struct message_watch *watch;

	DL_FOREACH (box->watches, watch)
		watch->told(watch->ctx, (uint32_t) box->queued);
}

int messages_watch(struct messages *m, const struct process_id *process,
		   struct message_watch *watch, struct co_err *err)
{
	struct box *box;
	int r = box_get(m, process, &box, err);

	if (r)
		return r;
	box->held++;
	watch->box = box;
	DL_APPEND(box->watches, watch);
	watch->told(watch->ctx, (uint32_t) box->queued);
	return 0;
}

void messages_unwatch(struct message_watch *watch)
{
	struct box *box = watch->box;

	if (!box)
		return;
	DL_DELETE(box->watches, watch);
	watch->box = NULL;
	box_release(box);
}

void item_unqueue(struct item *item)
{
	struct box *box = item->queue;

	if (!box)
		return;
	DL_DELETE(box->queue, item);
	box->queued--;
	item->queue = NULL;
	tell(box);
}

/* It is in no queue and not delivered any more. */
void item_end(struct messages *m, struct item *item)
{
	struct box *sender = item->sender, *receiver = item->receiver;

	item_unqueue(item);
	item_unask(item);
	item_uncharge(m, item);
	DL_DELETE2(sender->sent, item, sent_prev, sent_next);
	message_record_free(&m->store, item_index(m, item));
	item->sender = NULL;
	m->count--;
	box_release(sender);
	box_release(receiver);
}

bool record_wants_answer(const struct message_record *record)
{
	return record->type == MESSAGE_REQUEST && !atomic_load(&record->replied);
}

/* By age: what is put back stands in front of what came later. */
void item_enqueue(struct messages *m, struct box *box, struct item *item)
{
	struct item *before;

	DL_FOREACH (box->queue, before)
		if (item_record(m, before)->order > item_record(m, item)->order)
			break;
	if (before)
		DL_PREPEND_ELEM(box->queue, before, item);
	else
		DL_APPEND(box->queue, item);
	item->queue = box;
	box->queued++;
	tell(box);
}

/* At its end, which is where what is new belongs. */
void item_append(struct box *box, struct item *item)
{
	DL_APPEND(box->queue, item);
	item->queue = box;
	box->queued++;
	tell(box);
}

void item_asked(struct item *item)
{
	DL_APPEND2(item->receiver->asked, item, asked_prev, asked_next);
	item->is_asked = true;
}
