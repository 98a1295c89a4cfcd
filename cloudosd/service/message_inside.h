/* SPDX-License-Identifier: MIT */
/*
 * The insides of messages.  HOST.  Only for message.c, message_box.c and message_give.c.
 *
 * message.c        what callers ask: sending, answering, receiving; begin and end
 * message_box.c    boxes of processes, items in them, accounts
 * message_give.c   items on their way out: waits, what was delivered, deaths
 */
#ifndef CO_SERVICE_MESSAGE_INSIDE_H
#define CO_SERVICE_MESSAGE_INSIDE_H

#include "cloudosd/service/message.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

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
	struct message_watch *watches; /* who is told of `queued` */
	size_t held;                   /* items, waits and watches that point here */
	uint64_t messages, bytes; /* charged */
	UT_hash_handle hh, hh_number;
	UT_hash_handle hh_pid;   /* while it lives */
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
	struct box *by_process, *by_number, *by_pid, *by_use;
	struct account *accounts;
	struct co_timer *reap;
	uint64_t count;
};

/* ---- message_box.c ---- */

uint32_t item_index(const struct messages *m, const struct item *item);
struct message_record *item_record(const struct messages *m, const struct item *item);

struct account *account_get(struct messages *m, uint64_t session);
void account_release(struct messages *m, struct account *account);
/* The payer is charged for a message and its bytes; the bytes are given back; all is. */
void item_charge(struct item *item, struct box *payer, struct account *account,
		 uint32_t bytes);
void item_uncharge_bytes(struct item *item);
void item_uncharge(struct messages *m, struct item *item);

/* A living process' box; CO_GONE. */
int box_get(struct messages *m, const struct process_id *id, struct box **out,
	    struct co_err *err);
/* A dead process has a box without pidfd, for as long as something points to it. */
int box_new(struct messages *m, const struct process_id *id, struct box **out,
	    struct co_err *err);
struct box *box_find(struct messages *m, const struct process_id *id);
bool box_is_alive(const struct box *box);
void box_free(struct box *box);
void box_unname(struct box *box);
/* One that nothing points to is kept while its process lives: it may write again. */
void box_release(struct box *box);

void item_begin(struct messages *m, struct item *item, struct box *sender,
		struct box *receiver);
/* It is not delivered any more. */
void item_end(struct messages *m, struct item *item);
bool record_wants_answer(const struct message_record *record);
/* By age: what is put back stands in front of what came later. */
void item_enqueue(struct messages *m, struct box *box, struct item *item);
/* At its end, which is where what is new belongs. */
void item_append(struct box *box, struct item *item);
void item_unqueue(struct item *item);
void item_asked(struct item *item);
void item_unask(struct item *item);

/* ---- message_give.c ---- */

/* What was delivered to calls that are over goes. */
void delivered_reap(struct messages *m);
void delivered_timer(void *arg);
void item_delivered(struct messages *m, struct item *item);
bool record_is_delivered(const struct message_record *record);
/* Fills got, with the receiver's own name; and takes it. */
int item_fill(struct messages *m, const struct item *item,
	      const struct message_room *room, struct message_got *got,
	      struct co_err *err);
int item_give(struct messages *m, struct item *item, const struct message_room *room,
	      const struct message_call *call, struct message_got *got,
	      struct co_err *err);
/* Gives what is there to those who wait, one each. */
void box_offer(struct messages *m, struct box *box);
void message_wait_end(struct message_wait *wait);
/* Its process has ended; box_ended is the watch's. */
void box_died(struct box *box);
void box_ended(void *arg);

#endif
