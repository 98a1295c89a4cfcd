/* SPDX-License-Identifier: MIT */
/*
 * Messages in memory that outlives the daemon.  HOST.
 *
 * Records, their data in blocks of one size, and a journal of calls; part of the table
 * that the keeper holds (cloudosd/table.h).  Whatever a killed daemon leaves is whole: a
 * record counts from the store of its state, which is last.  Free lists are in the
 * daemon's own memory and are made again from the records.  Who uses it: message.c.
 */
#ifndef CO_SERVICE_MESSAGE_SAVED_H
#define CO_SERVICE_MESSAGE_SAVED_H

#include <co/limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/process.h"

#define MESSAGE_BLOCK  512
#define MESSAGE_BLOCKS (CO_LIMIT_MESSAGES_BYTES / MESSAGE_BLOCK)
#define MESSAGE_NONE   UINT32_MAX

/* No call of a guest: the daemon itself, on behalf of a program that makes none. */
#define MESSAGE_DAEMON UINT32_MAX

/* Which call of a guest did something: once, whoever answers it. */
struct message_call {
	uint64_t session, call;
	uint32_t slot; /* of the table of calls; MESSAGE_DAEMON */
	uint32_t reserved;
};

enum message_state {
	MESSAGE_FREE,
	MESSAGE_QUEUED,    /* waits for its receiver */
	MESSAGE_DELIVERED, /* a call has it, whose answer may not have arrived */
	MESSAGE_OPEN,   /* a request that was received and not answered; without data */
	MESSAGE_FAILED, /* a request that nobody will answer; waits for its sender */
	MESSAGE_FAILED_DELIVERED
};

struct message_record {
	atomic_uint state; /* enum message_state */
	uint32_t type, id, size;
	uint32_t first;     /* block, MESSAGE_NONE without data */
	uint32_t answers;   /* the record of the request; MESSAGE_NONE */
	uint32_t sender_is; /* what the receiver calls the sender */
	uint32_t receiver_is;
	uint32_t receiver_was; /* what the sender calls the receiver */
	atomic_uint replied;   /* a request that was answered before it was OPEN; or 2:
				  a daemon had it on behalf of its receiver, and ended */
	uint64_t order;        /* of arrival; never 0 */
	uint64_t answers_order;
	uint64_t session; /* that is charged for it */
	struct process_id sender, receiver;
	struct message_call sent, received;
};

struct message_done { /* what a slot's last call has sent */
	uint64_t session, call, order;
};

struct messages_saved {
	uint32_t records_used, blocks_used; /* none above these was ever in use */
	struct message_done done[CO_LIMIT_CALLS_PENDING];
	struct message_record records[CO_LIMIT_MESSAGES];
	uint32_t next[MESSAGE_BLOCKS];
	uint8_t blocks[MESSAGE_BLOCKS][MESSAGE_BLOCK];
};

/* ---- the daemon's view of it ---- */

struct message_store {
	struct messages_saved *saved;
	uint64_t order; /* of the newest */
	uint32_t *records, nrecords;
	uint32_t *blocks, nblocks; /* free ones below the marks, last freed on top */
};

/* Makes the free lists, ends what was half done.  False: no memory. */
bool message_store_init(struct message_store *store, struct messages_saved *saved);
void message_store_done(struct message_store *store);

struct message_record *message_record(const struct message_store *store,
				      uint32_t index);

/* Is there room for one more of that size? */
bool message_store_has_room(const struct message_store *store, size_t size);

/* A record in state FREE with that data and the next order; the caller fills the rest and
 * commits.  Only after message_store_has_room. */
uint32_t message_record_new(struct message_store *store, const void *data, size_t size);

/* Makes it count, and then its call done. */
void message_record_commit(struct message_store *store, uint32_t index,
			   enum message_state state);

void message_record_read(const struct message_store *store, uint32_t index, void *out);

/* The data goes; the record stays as it is. */
void message_record_empty(struct message_store *store, uint32_t index);
void message_record_free(struct message_store *store, uint32_t index);

/* Has that call sent its message? */
bool message_call_is_done(const struct message_store *store,
			  const struct message_call *call);

bool message_call_same(const struct message_call *a, const struct message_call *b);

#endif
