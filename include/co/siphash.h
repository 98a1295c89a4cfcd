/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 (Aumasson and Bernstein): a short keyed hash.  Who does not know the key can
 * neither make two texts collide nor find the text of a hash.  SHARED by guest and host.
 */
#ifndef CO_SIPHASH_H
#define CO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct co_sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t co_sip_rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void co_sip_rounds(struct co_sip *s, int n)
{
	for (; n > 0; n--) {
		s->v0 += s->v1;
		s->v1 = co_sip_rotate(s->v1, 13) ^ s->v0;
		s->v0 = co_sip_rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = co_sip_rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = co_sip_rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = co_sip_rotate(s->v1, 17) ^ s->v2;
		s->v2 = co_sip_rotate(s->v2, 32);
	}
}

static inline void co_sip_word(struct co_sip *s, uint64_t word)
{
	s->v3 ^= word;
	co_sip_rounds(s, 2);
	s->v0 ^= word;
}

static inline uint64_t co_siphash(const uint64_t key[2], const void *bytes, size_t size)
{
	struct co_sip s = { key[0] ^ 0x736f6d6570736575UL,
			    key[1] ^ 0x646f72616e646f6dUL,
			    key[0] ^ 0x6c7967656e657261UL,
			    key[1] ^ 0x7465646279746573UL };
	const unsigned char *at = (const unsigned char *) bytes;
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++) {
		word |= (uint64_t) at[i] << (i % 8 * 8);
		if (i % 8 == 7) {
			co_sip_word(&s, word);
			word = 0;
		}
	}
	co_sip_word(&s, word | (uint64_t) size << 56);
	s.v2 ^= 0xff;
	co_sip_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
