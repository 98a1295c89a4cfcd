/* SPDX-License-Identifier: MIT */
/* The calls of BlackRoad programs that the daemon answers (caught.def).  HOST. */
#ifndef CO_BLACKROAD_CAUGHT_H
#define CO_BLACKROAD_CAUGHT_H

#include "personality/host.h"

extern const struct co_personality_host blackroad_host;

/* bind.c */
int64_t blackroad_do_bind(struct co_call *call, const uint64_t words[6]);
int64_t blackroad_do_listen(struct co_call *call, const uint64_t words[6]);

/* hosts.c */
int64_t blackroad_do_open(struct co_call *call, const uint64_t words[6]);
int64_t blackroad_do_openat(struct co_call *call, const uint64_t words[6]);

#endif
