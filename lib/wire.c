/* SPDX-License-Identifier: MIT */
/* Messages of wire.def: layouts, building, checking, transport.  HOST. */
#include "lib/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/rights.h"

/* ---- layouts ---- */

/*
 * Messages are dense (wire.h asserts it), so a field's offset is the sum of what is
 * before it; layouts_init adds them up once.
 */
/* clang-format off */
#define I32(n)   { CO_FIELD_I32, #n, 0 },
#define U32(n)   { CO_FIELD_U32, #n, 0 },
#define I64(n)   { CO_FIELD_I64, #n, 0 },
#define U64(n)   { CO_FIELD_U64, #n, 0 },
#define TEXT(n)  { CO_FIELD_TEXT, #n, 0 },
#define BYTES(n) { CO_FIELD_BYTES, #n, 0 },
#define FDS(n)
/* the last entry only keeps empty arrays legal */
#define FIELDS(id, fields) \
	static struct co_field fields_##id[] = { WIRE_UNWRAP fields { CO_FIELD_U32, "", 0 } };
#define MSG(id, name, req, rep) FIELDS(name##_req, req) FIELDS(name##_rep, rep)
#define ROW(id, name, fields)   FIELDS(name##_row, fields)
#define NOTE(id, name, fields)  FIELDS(name##_note, fields)
#include <co/wire.def>
#undef I32
#undef U32
#undef I64
#undef U64
#undef TEXT
#undef BYTES
#undef FDS
#undef FIELDS
#undef MSG
#undef ROW
#undef NOTE

#define I32(n)
#define U32(n)
#define I64(n)
#define U64(n)
#define TEXT(n)
#define BYTES(n)
#define FDS(n) + (n)
#define LAYOUT(suffix, text, form_, list) { \
	.type = WIRE_##suffix, .name = text, .form = form_, \
	.size = (uint32_t) sizeof(struct wire_##suffix), .fds = 0 WIRE_UNWRAP list, \
	.nfields = (uint32_t) co_countof(fields_##suffix) - 1, .fields = fields_##suffix },
#define MSG(id, name, req, rep) \
	LAYOUT(name##_req, #name, WIRE_REQUEST, req) LAYOUT(name##_rep, #name, WIRE_REPLY, rep)
#define ROW(id, name, fields)  LAYOUT(name##_row, #name, WIRE_ROW, fields)
#define NOTE(id, name, fields) LAYOUT(name##_note, #name, WIRE_NOTE, fields)
static const struct co_layout layouts[] = {
#include <co/wire.def>
};
#undef I32
#undef U32
#undef I64
#undef U64
#undef TEXT
#undef BYTES
#undef FDS
#undef LAYOUT
#undef MSG
#undef ROW
#undef NOTE
/* clang-format on */

static uint32_t field_size(enum co_field_kind kind)
{
	return kind == CO_FIELD_I32 || kind == CO_FIELD_U32 ? 4 : 8;
}

static void layouts_init(void)
{
	for (size_t i = 0; i < co_countof(layouts); i++) {
		struct co_field *field = (struct co_field *) layouts[i].fields;
		uint32_t offset = sizeof(struct wire_header);

		if (layouts[i].form == WIRE_REPLY)
			offset += (uint32_t) sizeof(struct wire_reply);
		for (uint32_t k = 0; k < layouts[i].nfields; k++, field++) {
			field->offset = offset;
			offset += field_size(field->kind);
		}
	}
}

const struct co_layout *co_wire_layouts(size_t *out_count)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void) pthread_once(&once, layouts_init); /* cannot fail with these arguments */
	*out_count = co_countof(layouts);
	return layouts;
}

const struct co_layout *co_wire_layout(uint32_t type)
{
	size_t n;
	const struct co_layout *all = co_wire_layouts(&n);

	for (size_t i = 0; i < n; i++)
		if (all[i].type == type)
			return &all[i];
	return NULL;
}

/* ---- building ---- */

struct co_msg *co_msg_new(void)
{
	struct co_msg *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->bytes = calloc(1, CO_WIRE_MAX);
	if (!m->bytes) {
		free(m);
		return NULL;
	}
	return m;
}

static void drop_fds(struct co_msg *m)
{
	for (uint32_t i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			(void) close(m->fds[i]); /* nobody is left who could care */
	m->nfds = 0;
}

struct co_msg *co_msg_free(struct co_msg *m)
{
	if (m) {
		drop_fds(m);
		free(m->bytes);
		free(m);
	}
	return NULL;
}

void *co_msg_start(struct co_msg *m, uint32_t type, uint64_t tag)
{
	const struct co_layout *layout = co_wire_layout(type);

	memset(m->bytes, 0, layout->size);
	m->overflow = false;
	m->header->type = type;
	m->header->size = layout->size;
	m->header->tag = tag;
	return m->bytes;
}

void *co_msg_reply(struct co_msg *m, uint32_t type, uint64_t tag, int status,
		   const char *reason)
{
	struct wire_hello_rep *rep = co_msg_start(m, type, tag); /* any reply begins so */

	rep->r.status = status;
	co_msg_text(m, &rep->r.reason, reason);
	return rep;
}

void *co_msg_bytes(struct co_msg *m, struct wire_span *span, const void *data, size_t n)
{
	uint32_t offset = m->header->size;
	unsigned char *to = m->bytes + offset;

	if (n > CO_WIRE_MAX - offset) {
		m->overflow = true;
		return NULL;
	}
	if (data && n)
		memcpy(to, data, n);
	span->offset = offset;
	span->length = (uint32_t) n;
	m->header->size = offset + (uint32_t) n;
	return to;
}

void co_msg_text(struct co_msg *m, struct wire_span *span, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	char *to = co_msg_bytes(m, span, text, text ? n + 1 : 1);

	if (!to)
		return;
	if (!text)
		to[0] = 0;
	span->length = (uint32_t) n;
}

const char *co_msg_get(const struct co_msg *m, struct wire_span span)
{
	return span.offset ? (const char *) m->bytes + span.offset : "";
}

/* ---- checking ---- */

static int check_span(const unsigned char *bytes, uint32_t size, uint32_t fixed,
		      struct wire_span span, bool text)
{
	uint64_t end = (uint64_t) span.offset + span.length + (text ? 1 : 0);

	if (span.offset == 0 && span.length == 0)
		return 0;
	if (span.offset < fixed || end > size)
		return CO_PROTOCOL;
	if (text && memchr(bytes + span.offset, 0, (size_t) span.length + 1) !=
			    bytes + span.offset + span.length)
		return CO_PROTOCOL;
	return 0;
}

int co_wire_check(const void *data, size_t n, uint32_t nfds, struct co_err *err)
{
	const unsigned char *bytes = data;
	const struct co_layout *layout;
	struct wire_header header;

	if (n < sizeof(header))
		return co_fail(err, CO_PROTOCOL, "a message of %zu bytes has no header", n);
	memcpy(&header, bytes, sizeof(header));
	layout = co_wire_layout(header.type);
	if (!layout)
		return co_fail(err, CO_PROTOCOL, "a message of unknown type %#x",
			       (unsigned) header.type);
	if (header.size != n || n > CO_WIRE_MAX || n < layout->size)
		return co_fail(err, CO_PROTOCOL,
			       "message %s says %u bytes, has %zu and needs at least %u",
			       layout->name, header.size, n, layout->size);
	if (nfds > layout->fds)
		return co_fail(err, CO_PROTOCOL,
			       "message %s came with %u descriptors, at most %u belong to it",
			       layout->name, nfds, layout->fds);
	if (layout->form == WIRE_REPLY) {
		struct wire_reply reply;

		memcpy(&reply, bytes + sizeof(header), sizeof(reply));
		if (reply.status > 0 || reply.zero ||
		    check_span(bytes, header.size, layout->size, reply.reason, true))
			return co_fail(err, CO_PROTOCOL, "reply %s has no proper reason",
				       layout->name);
		/* a refusal carries no spans beyond its reason */
		if (reply.status < 0)
			return 0;
	}
	for (uint32_t i = 0; i < layout->nfields; i++) {
		const struct co_field *field = &layout->fields[i];
		struct wire_span span;

		if (field->kind != CO_FIELD_TEXT && field->kind != CO_FIELD_BYTES)
			continue;
		memcpy(&span, bytes + field->offset, sizeof(span));
		if (check_span(bytes, header.size, layout->size, span,
			       field->kind == CO_FIELD_TEXT))
			return co_fail(err, CO_PROTOCOL,
				       "field %s of message %s points outside of it or is not "
				       "a proper string",
				       field->name, layout->name);
	}
	return 0;
}

/* ---- transport ---- */

int co_msg_send(const struct co_msg *m, int fd, const int *fds, uint32_t n)
{
	if (m->overflow)
		return CO_TOO_BIG;
	if (co_rights_send(fd, m->bytes, m->header->size, fds, n) >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
		return CO_BUSY;
	return co_status_from_errno(errno);
}

int co_msg_receive(struct co_msg *m, int fd, struct co_err *err)
{
	union co_rights_room room;
	struct iovec iov = { .iov_base = m->bytes, .iov_len = CO_WIRE_MAX };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &room,
			      .msg_controllen = sizeof(room) };
	size_t came;
	ssize_t n;

	drop_fds(m);
	m->overflow = false;
	m->sender = 0;
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	/* said once of a peer that left something unread; what it had sent comes after it */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno == EAGAIN)
			return CO_BUSY;
		return co_fail_errno(err, errno, "cannot receive a message");
	}
	came = co_rights_take(&msg, m->fds, CO_WIRE_FDS_MAX, &m->sender);
	m->nfds = came < CO_WIRE_FDS_MAX ? (uint32_t) came : CO_WIRE_FDS_MAX;
	if (n == 0) /* the end, or an empty message: descriptors may have come with it */
		return CO_GONE;
	if (came > CO_WIRE_FDS_MAX || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return co_fail(err, CO_PROTOCOL,
			       "a message or its descriptors are too long");
	return co_wire_check(m->bytes, (size_t) n, m->nfds, err);
}

int co_msg_take_fd(struct co_msg *m, uint32_t i)
{
	int fd;

	if (i >= m->nfds)
		return -1;
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}
