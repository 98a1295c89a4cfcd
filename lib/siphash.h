/* SPDX-License-Identifier: MIT */
/* SipHash-2-4: a hash that nobody can aim who does not know the key.  HOST. */
#ifndef CO_SIPHASH_H
#define CO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t co_siphash(const uint64_t key[2], const void *data, size_t n);

#endif
