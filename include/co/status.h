/* SPDX-License-Identifier: MIT */
/*
 * Status codes: 0 is success, negative values are these.  SHARED by guest and host;
 * each personality translates them to the error numbers of its own system.
 */
#ifndef CO_STATUS_H
#define CO_STATUS_H

enum co_status {
	CO_OK = 0,
#define STATUS(name, number, sentence) CO_##name = -(number),
#include <co/status.def>
#undef STATUS
};

#endif
