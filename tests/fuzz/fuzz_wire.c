/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the check of received messages.  HOST.
 * Input: a byte that says how many descriptors came beside, then the datagram.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/wire.h"
#include "tests/fuzz/target.h"

/* What a handler of an accepted message relies on; computed without lib/wire.c. */
static void demand_promises(const unsigned char *bytes, size_t n, uint32_t nfds)
{
	const struct co_layout *l;
	struct wire_header header;

	memcpy(&header, bytes, sizeof(header));
	l = co_wire_layout(header.type);
	if (!l || header.size != n || n < l->size || n > CO_WIRE_MAX || nfds > l->fds)
		abort();
	if (l->form == WIRE_REPLY) {
		struct wire_reply reply;

		memcpy(&reply, bytes + sizeof(header), sizeof(reply));
		if (reply.status > 0 || reply.zero)
			abort();
		if (reply.status < 0)
			return;
	}
	for (uint32_t i = 0; i < l->nfields; i++) {
		struct wire_span span;

		if (l->fields[i].kind < CO_FIELD_TEXT)
			continue;
		memcpy(&span, bytes + l->fields[i].offset, sizeof(span));
		if (!span.offset && !span.length)
			continue;
		if (span.offset < l->size || (uint64_t) span.offset + span.length > n)
			abort();
		if (l->fields[i].kind == CO_FIELD_TEXT &&
		    strnlen((const char *) bytes + span.offset, n - span.offset) !=
			    span.length)
			abort();
		if (l->fields[i].kind == CO_FIELD_TEXT &&
		    span.offset + span.length == n)
			abort(); /* no place for the terminator */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree unsigned char *bytes = NULL;
	struct co_err err = { 0 };
	int rc;

	if (size == 0)
		return 0;
	bytes = malloc(size); /* at least 1: it ends where the message ends */
	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	rc = co_wire_check(bytes, size - 1, data[0], &err);
	if (rc == 0)
		demand_promises(bytes, size - 1, data[0]);
	else if (rc != CO_PROTOCOL || err.code != rc || !err.message[0])
		abort();
	return 0;
}
