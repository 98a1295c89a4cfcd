/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of leases: found by id, and the earliest first (a binary heap).  HOST.
 * Which leases exist is the database's business; this is only when they lapse.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <uthash.h>

struct lease {
	uint64_t id, ttl_ms, deadline;
	size_t at; /* in the heap */
	UT_hash_handle hh;
};

static void place(struct leases *all, struct lease *lease, size_t at)
{
	all->heap[at] = lease;
	lease->at = at;
}

static void sift_up(struct leases *all, size_t at)
{
	struct lease *lease = all->heap[at];

	while (at > 0 && all->heap[(at - 1) / 2]->deadline > lease->deadline) {
		place(all, all->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	place(all, lease, at);
}

static void sift_down(struct leases *all, size_t at)
{
	struct lease *lease = all->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= all->count)
			break;
		if (child + 1 < all->count &&
		    all->heap[child + 1]->deadline < all->heap[child]->deadline)
			child++;
		if (all->heap[child]->deadline >= lease->deadline)
			break;
		place(all, all->heap[child], at);
		at = child;
	}
	place(all, lease, at);
}

static struct lease *find(const struct leases *all, uint64_t id)
{
	struct lease *lease;

	HASH_FIND(hh, all->by_id, &id, sizeof(id), lease);
	return lease;
}

static void move(struct leases *all, struct lease *lease, uint64_t deadline)
{
	lease->deadline = deadline;
	sift_up(all, lease->at);
	sift_down(all, lease->at);
}

static uint64_t after(uint64_t now, uint64_t ttl_ms)
{
	return ttl_ms > UINT64_MAX - now ? UINT64_MAX : now + ttl_ms;
}

int leases_set(struct leases *all, uint64_t id, uint64_t ttl_ms, uint64_t now)
{
	struct lease *lease;

	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct lease **heap = realloc(all->heap, room * sizeof(struct lease *));

		if (!heap)
			return CO_NO_MEMORY;
		all->heap = heap;
		all->room = room;
	}
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return CO_NO_MEMORY;
	lease->id = id;
	lease->ttl_ms = ttl_ms;
	lease->deadline = after(now, ttl_ms);
	HASH_ADD(hh, all->by_id, id, sizeof(lease->id), lease);
	place(all, lease, all->count++);
	sift_up(all, lease->at);
	return 0;
}

void leases_touch(struct leases *all, uint64_t id, uint64_t now)
{
	struct lease *lease = find(all, id);

	if (lease)
		move(all, lease, after(now, lease->ttl_ms));
}

void leases_postpone(struct leases *all, uint64_t id, uint64_t deadline)
{
	struct lease *lease = find(all, id);

	if (lease)
		move(all, lease, deadline);
}

uint64_t leases_deadline(const struct leases *all, uint64_t id)
{
	const struct lease *lease = find(all, id);

	return lease ? lease->deadline : 0;
}

void leases_drop(struct leases *all, uint64_t id)
{
	struct lease *lease = find(all, id);
	struct lease *last;

	if (!lease)
		return;
	last = all->heap[--all->count];
	if (last != lease) {
		place(all, last, lease->at);
		move(all, last, last->deadline);
	}
	HASH_DELETE(hh, all->by_id, lease);
	free(lease);
}

uint64_t leases_next(const struct leases *all, uint64_t *out_deadline)
{
	if (!all->count)
		return 0;
	*out_deadline = all->heap[0]->deadline;
	return all->heap[0]->id;
}

void leases_done(struct leases *all)
{
	while (all->count)
		leases_drop(all, all->heap[all->count - 1]->id);
	free(all->heap);
	all->heap = NULL;
	all->room = 0;
}
