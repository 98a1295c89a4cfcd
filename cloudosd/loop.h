/* SPDX-License-Identifier: MIT */
/*
 * The daemon's loop as services see it (struct co_host), on libuv.  HOST.
 *
 * libuv handles belong to one thread, services are called on many.  So timers, watched
 * descriptors and posted work live in one epoll set of our own, whose calls are
 * thread-safe, and libuv watches that set as a single descriptor.  Callbacks run on the
 * loop thread under the core lock.
 */
#ifndef CO_LOOP_H
#define CO_LOOP_H

#include <uv.h>

#include "cloudosd/service/host.h"
#include "lib/err.h"

struct loop;

/* Blocking set-up; the uv loop is borrowed and must outlive it. */
int loop_new(struct loop **out, uv_loop_t *uv, struct co_err *err);

/* After the uv loop has stopped.  Returns NULL. */
struct loop *loop_free(struct loop *l);

const struct co_host *loop_host(struct loop *l);

#endif
