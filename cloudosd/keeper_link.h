/* SPDX-License-Identifier: MIT */
/* The daemon's side of the channel to its keeper.  HOST. */
#ifndef CO_KEEPER_LINK_H
#define CO_KEEPER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct daemon;
struct keeper_link;

/* fd is taken. */
int keeper_link_new(struct keeper_link **out, struct daemon *d, int fd,
		    struct co_err *err);
struct keeper_link *keeper_link_free(struct keeper_link *k);

/* Blocking, at start-up: takes what the keeper holds and restores its sessions. */
int keeper_take_over(struct keeper_link *k, struct co_err *err);

/* The keeper keeps copies of these, under that number (listener may be -1). */
void keeper_hold(struct keeper_link *k, uint32_t slot, int link_fd, int listener);
void keeper_drop(struct keeper_link *k, uint32_t slot);

/* The daemon answers now. */
void keeper_ready(struct keeper_link *k);

/* The daemon ends on request: do not start another. */
void keeper_stop(struct keeper_link *k, bool remove_folder);

/* The daemon cannot start, and why. */
void keeper_failed(struct keeper_link *k, const char *reason);

/*
 * Becomes a keeper by exec: keeper_exec a fresh one in the foreground, for a daemon that
 * was started by hand; keeper_become one that adopts table, socket and sessions of this
 * daemon, whose own keeper was killed.  Both return only on failure.
 */
void keeper_exec(bool system, struct co_err *err);
void keeper_become(struct daemon *d);

#endif
