/* SPDX-License-Identifier: MIT */
/*
 * The daemon's side of a personality that enters by private system calls.  HOST.
 * One per personality, listed in personality/hosts.c.
 */
#ifndef CO_PERSONALITY_HOST_H
#define CO_PERSONALITY_HOST_H

#include <co/op.h>
#include <stdint.h>

#include "personality/call.h"
#include "personality/personality.h"

struct co_personality_host {
	const char *name;

	/* Runs the handler of a row; args is laid over CO_ARGS_MAX words. */
	int64_t (*dispatch)(struct co_call *call, const struct co_op *op, void *args);

	/* What the guest gets in its result register for a negative status. */
	int64_t (*raw_error)(int status);

	/* The name of such a raw result ("CLOUDOS_ENOENT"); NULL if it is none. */
	const char *(*error_name)(int64_t raw);

	/* A call has failed with that status and sentence; under the core lock. */
	void (*failed)(struct co_call *call, int status, const char *reason);
};

/* The host part of co_personalities()[index]; NULL if it has none. */
const struct co_personality_host *co_personality_host(uint32_t index);

#endif
