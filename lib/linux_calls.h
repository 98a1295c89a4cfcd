/* SPDX-License-Identifier: MIT */
/* Names of Linux's own system calls, as the kernel's headers had them.  HOST. */
#ifndef CO_LINUX_CALLS_H
#define CO_LINUX_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* Of x86-64, or of i386; "" for a number without a call. */
const char *co_linux_call(uint32_t number, bool i386);

#endif
