/* SPDX-License-Identifier: MIT */
/*
 * The kernel log: what programs print, kept in a ring, read once.  HOST.
 *
 * Not locked; who shares it, locks.
 */
#ifndef ANOS_SYSTEM_KLOG_H
#define ANOS_SYSTEM_KLOG_H

#include <stddef.h>
#include <stdint.h>

#include <co/limits.h>

struct anos_klog {
	char bytes[CO_LIMIT_ANOS_LOG];
	uint64_t written; /* since it began; the ring has the last ones */
	uint64_t read;
};

/* The oldest bytes make room. */
void anos_klog_append(struct anos_klog *log, const void *bytes, size_t n);

/* Takes out up to n of the oldest bytes; returns how many, 0 when there are none. */
size_t anos_klog_take(struct anos_klog *log, void *to, size_t n);

/* Undoes the last take, of that many, before anything else is done with the log. */
void anos_klog_put_back(struct anos_klog *log, size_t n);

#endif
