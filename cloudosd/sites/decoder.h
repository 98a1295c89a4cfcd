/* SPDX-License-Identifier: MIT */
/*
 * Decoding one x86 instruction: what the scanner needs of Zydis.  HOST.
 *
 * decoder_zydis.c loads libZydis when it is first needed, decoder_none.c is what remains
 * of it where its headers were missing at configure time.
 */
#ifndef CO_SITES_DECODER_H
#define CO_SITES_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* 0, or CO_UNSUPPORTED with a sentence that says what to install. */
int decoder_available(struct co_err *err);

struct decoder {
	_Alignas(8) unsigned char state[64];
};

/* For code of 64 or 32 bits; decoder_available has said 0. */
void decoder_init(struct decoder *d, unsigned bits);

struct decoder_step {
	uint8_t length;
	bool jumps; /* directly, to target */
	uint64_t target;
};

/* The instruction at address `at`, of which n bytes are there.  False: there is none. */
bool decoder_step(const struct decoder *d, const unsigned char *bytes, size_t n,
		  uint64_t at, struct decoder_step *out);

struct decoder_about {
	uint8_t flags, field; /* of enum co_sites_flag; see struct co_sites_row */
	uint32_t number;
};

/*
 * Whether an instruction of exactly n bytes may be executed elsewhere, and what is to be
 * known of it then.
 */
bool decoder_about(const struct decoder *d, const unsigned char *bytes, size_t n,
		   struct decoder_about *out);

#endif
