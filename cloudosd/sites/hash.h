/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 with 128 bits: a digest that nobody can aim at without the key.  HOST.
 */
#ifndef CO_SITES_HASH_H
#define CO_SITES_HASH_H

#include <stddef.h>
#include <stdint.h>

struct sites_hash {
	uint64_t v[4];
	uint64_t total;
	unsigned char part[8];
};

void sites_hash_init(struct sites_hash *h, const uint8_t *key); /* 16 bytes */
void sites_hash_add(struct sites_hash *h, const void *data, size_t n);
void sites_hash_end(struct sites_hash *h, uint64_t out[2]);

#endif
