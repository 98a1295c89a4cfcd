/* SPDX-License-Identifier: MIT */
/* Arguments in and results out.  HOST. */
#include "cloudosd/marshal.h"

#include <stdlib.h>
#include <string.h>

#include "cloudosd/memory.h"
#include "lib/cleanup.h"

/* A word of the caller's that is an address. */
static struct co_guest_ptr pointer(const struct co_call *call, uint32_t i)
{
	return (struct co_guest_ptr){ call->slot->notif.data.args[i] };
}

static int bad(struct co_call *call, const struct co_arg *arg, int status)
{
	struct co_guest_ptr at = pointer(call, (uint32_t) (arg - call->op->args));

	switch (status) {
	case CO_FAULT:
		return (int) call_fail(
			call, status,
			"%s: argument %s points to %#llx, which is not mapped "
			"or not permitted there",
			call->op->name, arg->name, (unsigned long long) at.addr);
	case CO_NAME_TOO_LONG:
		return (int) call_fail(
			call, status,
			"%s: argument %s is longer than %u bytes or has no end",
			call->op->name, arg->name, arg->size - 1);
	case CO_ACCESS:
		return (int) call_fail(
			call, CO_FAULT,
			"%s: argument %s cannot be read: neither the daemon nor "
			"cloudos-exec may look into process %d (it is not "
			"dumpable, or ptrace is restricted)",
			call->op->name, arg->name, call->tid);
	default:
		return (int) call_fail(call, status, "%s: argument %s: %s",
				       call->op->name, arg->name,
				       co_status_text(status));
	}
}

/* The call's own memory for argument i. */
static void *buffer(struct co_call *call, uint32_t i, size_t size)
{
	struct call_buffer *b = &call->buffers[i];

	b->data = calloc(1, size ? size : 1);
	call->args[i] = (uint64_t) (uintptr_t) b->data;
	return b->data;
}

static int in_string(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	char *out = buffer(call, i, arg->size);

	if (!out)
		return CO_NO_MEMORY;
	return memory_read_string(call, pointer(call, i), out, arg->size);
}

static int in_struct(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	void *out = buffer(call, i, arg->size);

	if (!out)
		return CO_NO_MEMORY;
	return memory_read(call, pointer(call, i), out, arg->size);
}

/*
 * A struct that begins with its own size, from a caller built against an older or newer
 * header: what the caller lacks reads as zero, what we do not know must be zero.
 */
static int in_sized(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	struct co_guest_ptr at = pointer(call, i);
	autofree unsigned char *copy = NULL;
	unsigned char *out = buffer(call, i, arg->size);
	uint32_t size;
	int r;

	if (!out)
		return CO_NO_MEMORY;
	r = memory_read(call, at, &size, sizeof(size));
	if (r)
		return r;
	if (size < sizeof(size) || size > 65536)
		return (int) call_fail(call, CO_INVALID,
				       "%s: %s.size is %u; set it to sizeof(%s)",
				       call->op->name, arg->name, size, arg->type);
	copy = malloc(size);
	if (!copy)
		return CO_NO_MEMORY;
	/* the size itself was read above and is not read again */
	r = memory_read(call, guest_at(at, sizeof(size)), copy + sizeof(size),
			size - sizeof(size));
	if (r)
		return r;
	memcpy(copy, &size, sizeof(size));
	for (uint32_t k = arg->size; k < size; k++)
		if (copy[k])
			return (int) call_fail(
				call, CO_INVALID,
				"%s: %s has members that this version does not know",
				call->op->name, arg->name);
	memcpy(out, copy, size < arg->size ? size : arg->size);
	return 0;
}

static int out_sized(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	struct co_guest_ptr at = pointer(call, i);
	struct call_buffer *b = &call->buffers[i];
	uint32_t size;
	int r = memory_read(call, at, &size, sizeof(size));

	if (r)
		return r;
	if (size < sizeof(size) || size > 65536)
		return (int) call_fail(
			call, CO_INVALID,
			"%s: %s->size is %u; set it to sizeof(%s) before the "
			"call",
			call->op->name, arg->name, size, arg->type);
	if (!buffer(call, i, arg->size))
		return CO_NO_MEMORY;
	b->guest = at;
	b->size = size < arg->size ? size : arg->size;
	size = (uint32_t) b->size;
	memcpy(b->data, &size,
	       sizeof(size)); /* tells the caller how much was written */
	return 0;
}

/* Outputs are checked for being there when they are written; NULL is refused early. */
static int out_struct(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	struct co_guest_ptr at = pointer(call, i);

	if (!at.addr)
		return CO_FAULT;
	if (!buffer(call, i, arg->size))
		return CO_NO_MEMORY;
	call->buffers[i].guest = at;
	call->buffers[i].size = arg->size;
	return 0;
}

static int inout(struct co_call *call, uint32_t i)
{
	int r = in_struct(call, i);

	call->buffers[i].guest = pointer(call, i);
	call->buffers[i].size = call->op->args[i].size;
	return r;
}

/* Elements by the count behind it; the handler's final count says how many go out. */
static int out_array(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	uint64_t count;
	int r = inout(call, i + 1);

	if (r)
		return bad(call, arg + 1, r);
	count = *(uint64_t *) call->buffers[i + 1].data;
	if (count > CO_LIMIT_CALL_BYTES / arg->size)
		count = CO_LIMIT_CALL_BYTES / arg->size;
	if (count && !pointer(call, i).addr)
		return CO_FAULT;
	if (!buffer(call, i, count * arg->size))
		return CO_NO_MEMORY;
	*(uint64_t *) call->buffers[i + 1].data = count; /* what the handler may fill */
	call->buffers[i].guest = pointer(call, i);
	call->buffers[i].size = count * arg->size;
	return 0;
}

static int bytes_size(struct co_call *call, uint32_t i, size_t *out)
{
	uint64_t size = call->slot->notif.data.args[i + 1];

	if (size > CO_LIMIT_CALL_BYTES)
		return (int) call_fail(call, CO_TOO_BIG,
				       "%s: %s of %llu bytes; at most %d",
				       call->op->name, call->op->args[i].name,
				       (unsigned long long) size, CO_LIMIT_CALL_BYTES);
	*out = size;
	return 0;
}

static int buf_in(struct co_call *call, uint32_t i)
{
	size_t size = 0;
	int r = bytes_size(call, i, &size);
	void *out;

	if (r)
		return r;
	out = buffer(call, i, size);
	if (!out)
		return CO_NO_MEMORY;
	return size ? memory_read(call, pointer(call, i), out, size) : 0;
}

static int buf_out(struct co_call *call, uint32_t i)
{
	size_t size = 0;
	int r = bytes_size(call, i, &size);

	if (r)
		return r;
	if (!buffer(call, i, size))
		return CO_NO_MEMORY;
	call->buffers[i].guest = pointer(call, i);
	call->buffers[i].size = size;
	return 0;
}

/* A struct and what it says is behind it; its size is read once. */
static int tailed_in(struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	autofree char *head = malloc(arg->size);
	uint32_t tail;
	char *out;
	int r;

	if (!head)
		return CO_NO_MEMORY;
	r = memory_read(call, pointer(call, i), head, arg->size);
	if (r)
		return r;
	memcpy(&tail, head + arg->count, sizeof(tail));
	if (tail > CO_LIMIT_CALL_BYTES)
		return (int) call_fail(
			call, CO_TOO_BIG, "%s: %s has %u bytes of data; at most %d",
			call->op->name, arg->name, tail, CO_LIMIT_CALL_BYTES);
	out = buffer(call, i, arg->size + (size_t) tail);
	if (!out)
		return CO_NO_MEMORY;
	memcpy(out, head, arg->size);
	return tail ? memory_read(call, guest_at(pointer(call, i), arg->size),
				  out + arg->size, tail)
		    : 0;
}

/* The handler brings the bytes (call_output). */
static int tailed_out(struct co_call *call, uint32_t i)
{
	struct co_guest_ptr at = pointer(call, i);

	call->args[i] = 0;
	call->buffers[i].guest = at;
	return at.addr ? 0 : CO_FAULT;
}

static int one_in(struct co_call *call, uint32_t i)
{
	switch (call->op->args[i].kind) {
	case CO_ARG_CSTR:
		return in_string(call, i);
	case CO_ARG_IN:
		return in_struct(call, i);
	case CO_ARG_SIZED_IN:
		return in_sized(call, i);
	case CO_ARG_OUT:
		return out_struct(call, i);
	case CO_ARG_SIZED_OUT:
		return out_sized(call, i);
	case CO_ARG_INOUT:
		return call->buffers[i].data ? 0 : inout(call, i);
	case CO_ARG_OUT_ARRAY:
		return out_array(call, i);
	case CO_ARG_BUF_IN:
		return buf_in(call, i);
	case CO_ARG_BUF_OUT:
		return buf_out(call, i);
	case CO_ARG_TAILED_IN:
		return tailed_in(call, i);
	case CO_ARG_TAILED_OUT:
		return tailed_out(call, i);
	default:
		call->args[i] = call->slot->notif.data.args[i];
		return 0;
	}
}

CALL_PATH int marshal_in(struct co_call *call)
{
	for (uint32_t i = 0; i < call->op->nargs; i++) {
		int r = one_in(call, i);

		if (r)
			return bad(call, &call->op->args[i], r);
		call->buffers[i].copied = call->buffers[i].data != NULL;
	}
	return 0;
}

CALL_PATH int marshal_out(struct co_call *call)
{
	for (uint32_t i = 0; i < call->op->nargs; i++) {
		const struct call_buffer *b = &call->buffers[i];
		size_t size = b->size;
		int r;

		if (call->op->args[i].kind == CO_ARG_OUT_ARRAY) {
			size_t used = *(uint64_t *) call->buffers[i + 1].data *
				      call->op->args[i].size;

			if (used < size)
				size = used;
		}
		if (!b->guest.addr || !size)
			continue;
		r = memory_write(call, b->guest, b->data, size);
		if (r)
			return bad(call, &call->op->args[i], r);
	}
	return 0;
}

CALL_PATH void marshal_free(struct co_call *call)
{
	for (uint32_t i = 0; i < CO_WORDS_MAX; i++) {
		if (!call->buffers[i].data)
			continue;
		free(call->buffers[i].data);
		call->buffers[i].data = NULL;
	}
}
