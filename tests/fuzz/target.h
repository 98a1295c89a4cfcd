/* SPDX-License-Identifier: MIT */
/* What a fuzz target is, for libFuzzer and for driver.c.  HOST. */
#ifndef CO_TESTS_FUZZ_TARGET_H
#define CO_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Handles one input; aborts when the code under test breaks a promise.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
