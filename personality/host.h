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

/* A struct that guests hand over or get, for whoever prints one. */
enum co_member_kind {
	CO_MEMBER_SIZE, /* of the struct itself, not worth telling */
	CO_MEMBER_TEXT, /* char array */
	CO_MEMBER_SIGNED,
	CO_MEMBER_UNSIGNED,
	CO_MEMBER_LIST /* array of structs */
};

struct co_member {
	enum co_member_kind kind;
	const char *name;
	uint32_t offset, size;
	const char *element; /* LIST: id of the struct */
	uint32_t count; /* LIST: offset of the uint32_t that says how many are there */
};

struct co_struct {
	const char *id;
	const char *type; /* as ops.def says it; NULL ends a table */
	uint32_t size;
	const struct co_member *members;
	uint32_t nmembers;
};

struct co_personality_host {
	const char *name;

	/* Runs the handler of a row; args is laid over CO_WORDS_MAX words. */
	int64_t (*dispatch)(struct co_call *call, const struct co_op *op, void *args);

	/* What the guest gets in its result register for a negative status. */
	int64_t (*raw_error)(int status);

	/* The name of such a raw result ("CLOUDOS_ENOENT"); NULL if it is none. */
	const char *(*error_name)(int64_t raw);

	/* Of the types in IN, OUT, SIZED_IN, SIZED_OUT and OUT_ARRAY words. */
	const struct co_struct *structs;

	/* A call has failed with that status and sentence; under the core lock. */
	void (*failed)(struct co_call *call, int status, const char *reason);
};

/* The host part of co_personalities()[index]; NULL if it has none. */
const struct co_personality_host *co_personality_host(uint32_t index);

#endif
