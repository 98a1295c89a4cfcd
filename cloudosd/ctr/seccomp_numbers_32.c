/* SPDX-License-Identifier: MIT */
/* Numbers of system calls of i386.  HOST. */
#include <asm/unistd_32.h>

#include "cloudosd/ctr/seccomp_numbers.h"

/* clang-format off */
#define CALL(call, usual, strict)          SECCOMP_TEXT(__NR_##call),
#define NEWER(call, number, usual, strict) #number,
const char *const ctr_numbers_i386[] = {
#include "cloudosd/ctr/seccomp.def"
};
/* clang-format on */
