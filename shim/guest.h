/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the guest part of each personality (personality/NAME/guest.c) offers to
 * the rest of the guest code.
 */
#ifndef SHIM_GUEST_H
#define SHIM_GUEST_H

#include <co/op.h>

/*
 * Who answers that system call of a CloudOS program?  CO_PLANE_KERNEL for everything
 * that its table does not name: the kernel refuses what it does not know either.
 */
enum co_plane cloudos_guest_plane(uint32_t number);

#endif
