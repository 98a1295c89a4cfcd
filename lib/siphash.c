/* SPDX-License-Identifier: MIT */
/* SipHash-2-4.  HOST. */
#include "lib/siphash.h"

#include <string.h>

static uint64_t turn(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = turn(v[1], 13) ^ v[0];
		v[0] = turn(v[0], 32);
		v[2] += v[3];
		v[3] = turn(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = turn(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = turn(v[1], 17) ^ v[2];
		v[2] = turn(v[2], 32);
	}
}

uint64_t co_siphash(const uint64_t key[2], const void *data, size_t n)
{
	const unsigned char *at = data;
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575ULL,
			  key[1] ^ 0x646f72616e646f6dULL,
			  key[0] ^ 0x6c7967656e657261ULL,
			  key[1] ^ 0x7465646279746573ULL };
	uint64_t word, last = (uint64_t) n << 56;

	for (; n >= 8; n -= 8, at += 8) {
		memcpy(&word, at, sizeof(word));
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t) at[i] << 8 * i;
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
