/* SPDX-License-Identifier: MIT */
/* The names of Linux capabilities (capabilities(7)).  HOST. */
#ifndef CO_CAPABILITY_H
#define CO_CAPABILITY_H

/* "CHOWN" of CAP_CHOWN; NULL: there is none of that number. */
const char *co_capability_name(int number);

/* With "CAP_" before it or without, in any case; -1: not known. */
int co_capability_number(const char *name);

#endif
