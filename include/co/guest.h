/* SPDX-License-Identifier: MIT */
/*
 * An address inside a guest, as host code holds it: it cannot be dereferenced, added to
 * or mixed up with one of the daemon's own pointers.  SHARED by guest and host.
 */
#ifndef CO_GUEST_H
#define CO_GUEST_H

#include <stdint.h>

struct co_guest_ptr {
	uint64_t addr;
};

#endif
