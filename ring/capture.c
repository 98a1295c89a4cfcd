/* SPDX-License-Identifier: MIT */
/*
 * Records of messages for somebody who watches; lossy: nobody waits for them to be read.
 * Also the heads of segments.  SHARED by guest and host.
 */
#include <ring/words.h>

_Static_assert(sizeof(struct co_ring_entry) == 64, "one cache line");
_Static_assert(sizeof(struct co_ring_wait) == 64, "one cache line");
_Static_assert(sizeof(struct co_ring_answer) == 64, "one cache line");
_Static_assert(sizeof(struct co_ring_bell) == 64, "one cache line");
_Static_assert(sizeof(struct co_ring_record) == 128, "two cache lines");
_Static_assert(offsetof(struct co_ring_client, entries) == CO_RING_PAGE, "the head");
_Static_assert(offsetof(struct co_ring_server, answers) == CO_RING_PAGE, "the head");
_Static_assert(sizeof(struct co_ring_client) == 67 * CO_RING_PAGE, "whole pages");
_Static_assert(sizeof(struct co_ring_server) == 66 * CO_RING_PAGE, "whole pages");
_Static_assert(sizeof(struct co_ring_peer) == CO_RING_PAGE, "one page");
_Static_assert(sizeof(struct co_ring_control) == CO_RING_PAGE, "one page");
_Static_assert(sizeof(struct co_ring_capture) == 9 * CO_RING_PAGE, "whole pages");

void ring_record(struct co_ring_capture *capture, uint64_t connection,
		 const struct ring_event *event)
{
	uint64_t number = __atomic_fetch_add(&capture->next, 1, __ATOMIC_RELAXED);
	struct co_ring_record *record = &capture->records[number % CO_RING_RECORDS];
	uint32_t size =
		event->size < CO_RING_RECORD_DATA ? event->size : CO_RING_RECORD_DATA;

	ring_publish(&record->number, 0UL);
	record->stamp = ring_stamp();
	record->connection = connection;
	record->tag = event->tag;
	record->seq = event->seq;
	record->size = event->size;
	record->tid = event->tid;
	record->flags = event->flags;
	record->event = event->event;
	record->slot = event->slot;
	if (event->data && (event->flags & (CO_RING_PAYLOAD | CO_RING_WHOLE)))
		ring_copy(record->data, event->data, size);
	ring_tell(&record->number, number + 1);
}

void ring_client_format(struct co_ring_client *own, uint32_t pid)
{
	own->mark = CO_RING_CLIENT_MARK;
	own->version = CO_RING_VERSION;
	own->pid = pid;
}

void ring_server_format(struct co_ring_server *own, uint32_t pid)
{
	own->mark = CO_RING_SERVER_MARK;
	own->version = CO_RING_VERSION;
	own->pid = pid;
}

void ring_peer_format(struct co_ring_peer *own, uint32_t pid)
{
	own->mark = CO_RING_PEER_MARK;
	own->version = CO_RING_VERSION;
	own->pid = pid;
}

void ring_capture_format(struct co_ring_capture *own, uint32_t pid)
{
	own->mark = CO_RING_CAPTURE_MARK;
	own->version = CO_RING_VERSION;
	own->pid = pid;
}

bool ring_get(struct ring_users *users)
{
	uint32_t count = ring_load(&users->count);

	while (count && !ring_load(&users->closed)) {
		if (__atomic_compare_exchange_n(&users->count, &count, count + 1, true,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

bool ring_put(struct ring_users *users)
{
	return __atomic_fetch_sub(&users->count, 1, __ATOMIC_ACQ_REL) == 1;
}
