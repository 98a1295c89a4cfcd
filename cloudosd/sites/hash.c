/* SPDX-License-Identifier: MIT */
/* SipHash-2-4, 128-bit output (Aumasson and Bernstein), in pieces.  HOST. */
#include "cloudosd/sites/hash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t *v, int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void word(struct sites_hash *h, uint64_t m)
{
	h->v[3] ^= m;
	rounds(h->v, 2);
	h->v[0] ^= m;
}

void sites_hash_init(struct sites_hash *h, const uint8_t *key)
{
	uint64_t k[2];

	memcpy(k, key, sizeof(k));
	h->v[0] = 0x736f6d6570736575ULL ^ k[0];
	h->v[1] = 0x646f72616e646f6dULL ^ k[1] ^ 0xee;
	h->v[2] = 0x6c7967656e657261ULL ^ k[0];
	h->v[3] = 0x7465646279746573ULL ^ k[1];
	h->total = 0;
}

void sites_hash_add(struct sites_hash *h, const void *data, size_t n)
{
	const unsigned char *p = data;
	size_t have = h->total % 8;
	uint64_t m;

	h->total += n;
	if (have) {
		size_t more = n < 8 - have ? n : 8 - have;

		memcpy(h->part + have, p, more);
		if (have + more < 8)
			return;
		memcpy(&m, h->part, 8);
		word(h, m);
		p += more;
		n -= more;
	}
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&m, p, 8);
		word(h, m);
	}
	memcpy(h->part, p, n);
}

void sites_hash_end(struct sites_hash *h, uint64_t out[2])
{
	uint64_t last = h->total << 56;

	for (size_t i = 0; i < h->total % 8; i++)
		last |= (uint64_t) h->part[i] << 8 * i;
	word(h, last);
	h->v[2] ^= 0xee;
	rounds(h->v, 4);
	out[0] = h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
	h->v[1] ^= 0xdd;
	rounds(h->v, 4);
	out[1] = h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}
