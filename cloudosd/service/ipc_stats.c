/* SPDX-License-Identifier: MIT */
/* What connections have carried.  HOST. */
#include "cloudosd/service/ipc_stats.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than anybody counts up to, and sums of it do not overflow. */
static uint64_t believable(uint64_t n)
{
	return n >> 44 ? 1ULL << 44 : n;
}

static uint64_t memory_of(int fd)
{
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ? 0
					    : believable((uint64_t) st.st_blocks * 512);
}

void ipc_stats_read(struct ipc_stats *out, int client_fd, int server_fd)
{
	struct {
		struct co_ring_counts counts;
		uint64_t latency[CO_RING_BUCKETS];
		struct co_ring_slot_counts slots[CO_RING_SLOTS];
	} c;
	struct ipc_stats one = { 0 };

	_Static_assert(offsetof(struct co_ring_client, latency) ==
				       offsetof(struct co_ring_client, counts) +
					       sizeof(c.counts) &&
			       offsetof(struct co_ring_client, slots) ==
				       offsetof(struct co_ring_client, latency) +
					       sizeof(c.latency),
		       "the three are read at once");
	one.memory = memory_of(client_fd) + memory_of(server_fd);
	if (client_fd >= 0 &&
	    pread(client_fd, &c, sizeof(c), offsetof(struct co_ring_client, counts)) ==
		    sizeof(c)) {
		one.messages = believable(c.counts.messages);
		for (unsigned i = 0; i < CO_RING_SLOTS; i++) {
			one.answers += believable(c.slots[i].answers);
			one.bytes += believable(c.slots[i].bytes);
			one.bytes_back += believable(c.slots[i].bytes_back);
		}
		one.errors = believable(c.counts.errors);
		one.sleeps = believable(c.counts.sleeps);
		one.wakes = believable(c.counts.wakes);
		one.depth_max = c.counts.depth_max < CO_RING_SLOTS ? c.counts.depth_max
								   : CO_RING_SLOTS;
		one.answers = believable(one.answers);
		one.bytes = believable(one.bytes);
		one.bytes_back = believable(one.bytes_back);
		if (one.messages > one.answers + one.errors)
			one.pending = one.messages - one.answers - one.errors;
		if (one.pending > CO_RING_SLOTS)
			one.pending = CO_RING_SLOTS;
		for (unsigned i = 0; i < CO_RING_BUCKETS; i++)
			one.latency[i] = believable(c.latency[i]);
	}
	ipc_stats_add(out, &one);
}

void ipc_stats_keep(struct ipc_stats *out, const struct ipc_stats *from)
{
	struct ipc_stats past = *from;

	past.pending = past.memory = 0;
	ipc_stats_add(out, &past);
}

void ipc_stats_add(struct ipc_stats *out, const struct ipc_stats *from)
{
	out->messages += from->messages;
	out->answers += from->answers;
	out->bytes += from->bytes;
	out->bytes_back += from->bytes_back;
	out->errors += from->errors;
	out->sleeps += from->sleeps;
	out->wakes += from->wakes;
	out->pending += from->pending;
	out->memory += from->memory;
	if (out->depth_max < from->depth_max)
		out->depth_max = from->depth_max;
	for (unsigned i = 0; i < CO_RING_BUCKETS; i++)
		out->latency[i] += from->latency[i];
}

uint64_t ipc_stats_ticks(const struct ipc_stats *stats, unsigned permille)
{
	uint64_t all = 0, seen = 0;

	for (unsigned i = 0; i < CO_RING_BUCKETS; i++)
		all += stats->latency[i];
	for (unsigned i = 0; i < CO_RING_BUCKETS; i++) {
		seen += stats->latency[i];
		if (all && seen >= all / 1000 * permille +
					   (all % 1000 * permille + 999) / 1000)
			return 2ULL << i;
	}
	return 0;
}
