/* SPDX-License-Identifier: MIT */
/* Records, blocks and the journal of messages.  HOST. */
#include "cloudosd/service/message_saved.h"

#include <stdlib.h>
#include <string.h>

struct message_record *message_record(const struct message_store *store, uint32_t index)
{
	return &store->saved->records[index];
}

bool message_call_same(const struct message_call *a, const struct message_call *b)
{
	return a->session == b->session && a->call == b->call && a->slot == b->slot;
}

/* ---- journal ---- */

static void call_done(struct message_store *store, const struct message_record *record)
{
	struct message_done *done;

	if (record->sent.slot >= CO_LIMIT_CALLS_PENDING)
		return;
	done = &store->saved->done[record->sent.slot];
	if (done->order > record->order)
		return; /* the slot's later call */
	*done = (struct message_done){ .session = record->sent.session,
				       .call = record->sent.call,
				       .order = record->order };
}

bool message_call_is_done(const struct message_store *store,
			  const struct message_call *call)
{
	const struct message_done *done;

	if (call->slot >= CO_LIMIT_CALLS_PENDING)
		return false;
	done = &store->saved->done[call->slot];
	return done->order && done->session == call->session &&
	       done->call == call->call;
}

/* ---- blocks ---- */

static uint32_t blocks_for(size_t size)
{
	return (uint32_t) ((size + MESSAGE_BLOCK - 1) / MESSAGE_BLOCK);
}

static uint32_t block_take(struct message_store *store)
{
	if (store->nblocks)
		return store->blocks[--store->nblocks];
	return store->saved->blocks_used++;
}

static void blocks_give(struct message_store *store, uint32_t first, size_t size)
{
	for (uint32_t n = blocks_for(size); n && first < MESSAGE_BLOCKS; n--) {
		store->blocks[store->nblocks++] = first;
		first = store->saved->next[first];
	}
}

/* ---- records ---- */

bool message_store_has_room(const struct message_store *store, size_t size)
{
	const struct messages_saved *saved = store->saved;

	return (store->nrecords || saved->records_used < CO_LIMIT_MESSAGES) &&
	       blocks_for(size) <=
		       store->nblocks + (MESSAGE_BLOCKS - saved->blocks_used);
}

uint32_t message_record_new(struct message_store *store, const void *data, size_t size)
{
	struct messages_saved *saved = store->saved;
	uint32_t index = store->nrecords ? store->records[--store->nrecords]
					 : saved->records_used++;
	struct message_record *record = &saved->records[index];
	uint32_t *link = &record->first;

	memset(record, 0, sizeof(*record));
	record->size = (uint32_t) size;
	record->answers = MESSAGE_NONE;
	record->order = ++store->order;
	for (size_t done = 0; done < size; done += MESSAGE_BLOCK) {
		size_t part = size - done < MESSAGE_BLOCK ? size - done : MESSAGE_BLOCK;
		uint32_t block = block_take(store);

		memcpy(saved->blocks[block], (const char *) data + done, part);
		*link = block;
		link = &saved->next[block];
	}
	*link = MESSAGE_NONE;
	return index;
}

void message_record_commit(struct message_store *store, uint32_t index,
			   enum message_state state)
{
	struct message_record *record = message_record(store, index);

	atomic_store(&record->state, state);
	call_done(store, record);
}

void message_record_read(const struct message_store *store, uint32_t index, void *out)
{
	const struct message_record *record = message_record(store, index);
	uint32_t block = record->first;

	for (size_t done = 0; done < record->size; done += MESSAGE_BLOCK) {
		size_t part = record->size - done;

		memcpy((char *) out + done, store->saved->blocks[block],
		       part < MESSAGE_BLOCK ? part : MESSAGE_BLOCK);
		block = store->saved->next[block];
	}
}

void message_record_empty(struct message_store *store, uint32_t index)
{
	struct message_record *record = message_record(store, index);
	uint32_t first = record->first, size = record->size;

	record->size = 0;
	record->first = MESSAGE_NONE;
	blocks_give(store, first, size);
}

void message_record_free(struct message_store *store, uint32_t index)
{
	atomic_store(&message_record(store, index)->state, MESSAGE_FREE);
	message_record_empty(store, index);
	store->records[store->nrecords++] = index;
}

/* ---- begin and end ---- */

/* A record whose chain of blocks is not there counts as free: nobody reads beside it. */
static bool is_whole(const struct message_store *store,
		     const struct message_record *record, bool *used)
{
	uint32_t block = record->first;

	if (record->size > CO_LIMIT_MESSAGE_BYTES)
		return false;
	for (uint32_t n = blocks_for(record->size); n; n--) {
		if (block >= store->saved->blocks_used || used[block])
			return false;
		used[block] = true;
		block = store->saved->next[block];
	}
	return true;
}

/* An answer counts, so its request is answered, whatever had time to be written. */
static void settle_answer(const struct message_store *store,
			  const struct message_record *record)
{
	struct message_record *request;

	if (record->answers >= store->saved->records_used)
		return;
	request = message_record(store, record->answers);
	if (request->order != record->answers_order)
		return;
	if (atomic_load(&request->state) == MESSAGE_OPEN)
		atomic_store(&request->state, MESSAGE_FREE);
	atomic_store(&request->replied, 1);
}

static void settle(struct message_store *store, bool *used)
{
	struct messages_saved *saved = store->saved;

	for (uint32_t i = 0; i < saved->records_used; i++) {
		struct message_record *record = &saved->records[i];

		if (atomic_load(&record->state) == MESSAGE_FREE)
			continue;
		if (!is_whole(store, record, used)) {
			atomic_store(&record->state, MESSAGE_FREE);
			continue;
		}
		if (record->order > store->order)
			store->order = record->order;
		call_done(store, record);
		settle_answer(store, record);
	}
	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++)
		if (saved->done[i].order > store->order)
			store->order = saved->done[i].order;
}

bool message_store_init(struct message_store *store, struct messages_saved *saved)
{
	bool *used = calloc(MESSAGE_BLOCKS, sizeof(bool));

	*store = (struct message_store){ .saved = saved };
	store->records = calloc(CO_LIMIT_MESSAGES, sizeof(uint32_t));
	store->blocks = calloc(MESSAGE_BLOCKS, sizeof(uint32_t));
	if (!used || !store->records || !store->blocks) {
		free(used);
		message_store_done(store);
		return false;
	}
	if (saved->records_used > CO_LIMIT_MESSAGES)
		saved->records_used = CO_LIMIT_MESSAGES;
	if (saved->blocks_used > MESSAGE_BLOCKS)
		saved->blocks_used = MESSAGE_BLOCKS;
	settle(store, used);
	for (uint32_t i = saved->records_used; i-- > 0;)
		if (atomic_load(&saved->records[i].state) == MESSAGE_FREE)
			store->records[store->nrecords++] = i;
	for (uint32_t i = saved->blocks_used; i-- > 0;)
		if (!used[i])
			store->blocks[store->nblocks++] = i;
	free(used);
	return true;
}

void message_store_done(struct message_store *store)
{
	free(store->records);
	free(store->blocks);
	store->records = NULL;
	store->blocks = NULL;
}
