/* SPDX-License-Identifier: MIT */
/*
 * What connections have carried, read from the segments that programs write.  HOST.
 *
 * The path of a message is not touched: whoever sends and answers counts in its own
 * segment (co/ring.h), and here it is read when somebody wants to know, through the
 * descriptor and once.  Programs can write there what they like; nothing but numbers on
 * somebody's screen depends on it.  Who calls it: ipc*.c, cloudosd/request_channel.c.
 */
#ifndef CO_SERVICE_IPC_STATS_H
#define CO_SERVICE_IPC_STATS_H

#include <co/ring.h>
#include <stdint.h>

struct ipc_stats {
	uint64_t messages, answers, bytes, bytes_back, errors, sleeps, wakes;
	uint64_t pending, depth_max, memory;
	uint64_t latency[CO_RING_BUCKETS]; /* of answers, by powers of two of ticks */
};

/* Adds what a connection has carried so far; -1: no such segment. */
void ipc_stats_read(struct ipc_stats *out, int client_fd, int server_fd);

/* The same of `from`, without what is only true at the moment. */
void ipc_stats_keep(struct ipc_stats *out, const struct ipc_stats *from);
void ipc_stats_add(struct ipc_stats *out, const struct ipc_stats *from);

/* Ticks within which that many of a thousand answers came; 0 without answers. */
uint64_t ipc_stats_ticks(const struct ipc_stats *stats, unsigned permille);

#endif
