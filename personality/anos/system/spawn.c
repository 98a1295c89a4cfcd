/* SPDX-License-Identifier: MIT */
/* SYSTEM::PROCESS.  HOST. */
#include "personality/anos/system/spawn.h"

#include <stdbool.h>

enum {
	PROCESS_SPAWN = 1,

	SPAWN_STACK = 0,
	SPAWN_ARGC = 8,
	SPAWN_CAPC = 10,
	SPAWN_DATA = 12,
	SPAWN_HEADER = 16, /* what a request has at least; see the head of spawn.h */
	CAPABILITY = 16,

	STACK_WORDS = 4 /* argc, argv, capc, capv */
};

static int64_t capabilities(struct anos_spawn *out, const uint8_t **data,
			    uint32_t *left)
{
	uint32_t bytes = (uint32_t) out->capc * CAPABILITY;

	if (*left < bytes)
		return ANOS_SPAWN_NO_CAPABILITIES;
	for (uint32_t i = 0; i < out->capc; i++)
		out->caps[i] = (struct anos_capability){
			.call = anos_get64(*data, i * CAPABILITY),
			.token = anos_get64(*data, i * CAPABILITY + 8),
		};
	*data += bytes;
	*left -= bytes;
	return 0;
}

static int64_t arguments(struct anos_spawn *out, const uint8_t *data, uint32_t left)
{
	char *to = out->strings;

	for (uint32_t i = 0; i < out->argc; i++) {
		size_t length = strnlen((const char *) data, left);
		size_t kept = length < ANOS_ARGUMENT ? length : ANOS_ARGUMENT - 1;

		if (!left)
			return ANOS_SPAWN_NO_ARGUMENT;
		if (length == left)
			return ANOS_SPAWN_ARGUMENT_CUT;
		memcpy(to, data, kept);
		to[kept] = 0;
		out->argv[i] = to;
		to += kept + 1;
		data += length + 1;
		left -= (uint32_t) length + 1;
	}
	out->argv[out->argc] = NULL;
	return 0;
}

/* Everything that the new process finds on its stack. */
static uint64_t stack_bytes(const struct anos_spawn *s)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < s->argc; i++)
		bytes += strlen(s->argv[i]) + 1;
	bytes = (bytes + 7) & ~7ULL;
	return bytes + 8ULL * (STACK_WORDS + s->argc + 2ULL * s->capc + 1);
}

static bool stack_fits(struct anos_spawn *s)
{
	if (s->stack_size > ANOS_STACK_MAX ||
	    s->stack_size < stack_bytes(s) + ANOS_STACK_SPARE)
		return false;
	s->stack_size = (s->stack_size + ANOS_PAGE - 1) & ~(ANOS_PAGE - 1ULL);
	return true;
}

int64_t anos_spawn_parse(struct anos_spawn *out, const struct anos_message *m)
{
	uint32_t size = anos_message_size(m);
	const uint8_t *data = m->page + SPAWN_DATA;
	int64_t rc;

	if (size < SPAWN_HEADER)
		return ANOS_SPAWN_SHORT;
	out->stack_size = anos_get64(m->page, SPAWN_STACK);
	out->argc = anos_get16(m->page, SPAWN_ARGC);
	out->capc = anos_get16(m->page, SPAWN_CAPC);
	if (out->argc > CO_LIMIT_ANOS_ARGUMENTS ||
	    out->capc > CO_LIMIT_ANOS_CAPABILITIES)
		return ANOS_SPAWN_TOO_MANY;
	size -= SPAWN_HEADER;
	rc = capabilities(out, &data, &size);
	if (!rc)
		rc = arguments(out, data, size);
	if (!rc && !stack_fits(out))
		rc = ANOS_SPAWN_BAD_STACK;
	return rc;
}

uint64_t anos_spawn_answer(anos_spawn_fn *start, void *ctx, struct anos_message *m)
{
	struct anos_spawn spawn;
	int64_t rc;

	if (m->tag != PROCESS_SPAWN)
		return (uint64_t) (int64_t) ANOS_SPAWN_UNKNOWN;
	rc = anos_spawn_parse(&spawn, m);
	if (!rc)
		rc = spawn.argc ? start(ctx, &spawn, m->sender)
				: ANOS_SPAWN_BAD_PROGRAM;
	return (uint64_t) rc;
}
