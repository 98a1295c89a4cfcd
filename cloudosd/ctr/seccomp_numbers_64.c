/* SPDX-License-Identifier: MIT */
/* Numbers of system calls of x86_64.  HOST. */
#include <asm/unistd_64.h>

#include "cloudosd/ctr/seccomp_numbers.h"

/* clang-format off */
#define CALL(call, usual, strict)          SECCOMP_TEXT(__NR_##call),
#define NEWER(call, number, usual, strict) #number,
const char *const ctr_numbers_x86_64[] = {
#include "cloudosd/ctr/seccomp.def"
};
/* clang-format on */
