/* SPDX-License-Identifier: MIT */
/* GUEST.  Signals: what sigsys.c and start.c need of signal.c. */
#ifndef SHIM_SIGNAL_H
#define SHIM_SIGNAL_H

#include <shim/rt/kernel.h>
#include <stdint.h>

/* Cleans SIGSYS out of the mask of the guest's frame; where to make the call. */
uint64_t shim_sigreturn(struct ucontext *uc);

/* A SIGSYS that somebody sent: 0, or the guest's handler for it. */
uint64_t shim_sigsys_sent(const struct siginfo *info, struct ucontext *uc);

#endif
