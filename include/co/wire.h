/* SPDX-License-Identifier: MIT */
/*
 * The messages of wire.def as C types.  SHARED by guest and host.
 *
 * A message is one SOCK_SEQPACKET datagram: header, fixed fields, tail.  Host byte order:
 * both ends are on one machine.  co_wire_check (lib/wire.h) validates a received message
 * before anybody reads a field.
 */
#ifndef CO_WIRE_H
#define CO_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define CO_WIRE_VERSION     1U /* versions N and N-1 are spoken */
#define CO_WIRE_VERSION_MIN 1U
#define CO_WIRE_MAX         65536U /* bytes of one message */
#define CO_WIRE_FDS_MAX     4U
/* bytes of one message to or from a guest, whose stack is small */
#define CO_WIRE_GUEST_MAX   8192U

struct wire_span {
	uint32_t offset; /* from the first byte of the message */
	uint32_t length;
};

enum wire_form { WIRE_REQUEST, WIRE_REPLY, WIRE_ROW, WIRE_NOTE };

struct wire_header {
	uint32_t type; /* WIRE_<name> | enum wire_form << 24 */
	uint32_t size; /* bytes of the whole message */
	uint64_t tag;  /* chosen by the requester, repeated in rows and reply; 0 in notes */
};

struct wire_reply { /* how every reply begins, behind the header */
	int32_t status;
	uint32_t zero;
	struct wire_span reason;
};

#define WIRE_TYPE(id, form) ((uint32_t) (id) | (uint32_t) (form) << 24)

/* clang-format off */
#define WIRE_UNWRAP(...) __VA_ARGS__

/* numbers */
#define MSG(id, name, req, rep) WIRE_##name##_id = (id), \
	WIRE_##name##_req = WIRE_TYPE(id, WIRE_REQUEST), WIRE_##name##_rep = WIRE_TYPE(id, WIRE_REPLY),
#define ROW(id, name, fields) WIRE_##name##_id = (id), WIRE_##name##_row = WIRE_TYPE(id, WIRE_ROW),
#define NOTE(id, name, fields) WIRE_##name##_id = (id), WIRE_##name##_note = WIRE_TYPE(id, WIRE_NOTE),
enum wire_type {
#include <co/wire.def>
};
#undef MSG
#undef ROW
#undef NOTE

/* structs */
#define I32(n)   int32_t n;
#define U32(n)   uint32_t n;
#define I64(n)   int64_t n;
#define U64(n)   uint64_t n;
#define TEXT(n)  struct wire_span n;
#define BYTES(n) struct wire_span n;
#define FDS(n)
#define MSG(id, name, req, rep) \
	struct wire_##name##_req { struct wire_header h; WIRE_UNWRAP req }; \
	struct wire_##name##_rep { struct wire_header h; struct wire_reply r; WIRE_UNWRAP rep };
#define ROW(id, name, fields)  struct wire_##name##_row  { struct wire_header h; WIRE_UNWRAP fields };
#define NOTE(id, name, fields) struct wire_##name##_note { struct wire_header h; WIRE_UNWRAP fields };
#include <co/wire.def>
#undef MSG
#undef ROW
#undef NOTE
#undef I32
#undef U32
#undef I64
#undef U64
#undef TEXT
#undef BYTES
#undef FDS

/* no padding anywhere */
#define I32(n)   + 4
#define U32(n)   + 4
#define I64(n)   + 8
#define U64(n)   + 8
#define TEXT(n)  + 8
#define BYTES(n) + 8
#define FDS(n)
#define WIRE_DENSE(s, base, fields) \
	_Static_assert(sizeof(struct s) == base WIRE_UNWRAP fields, #s " has padding"); \
	_Static_assert(sizeof(struct s) % 8 == 0, #s " does not end on 8 bytes");
#define MSG(id, name, req, rep) \
	WIRE_DENSE(wire_##name##_req, 16, req) WIRE_DENSE(wire_##name##_rep, 32, rep)
#define ROW(id, name, fields)  WIRE_DENSE(wire_##name##_row, 16, fields)
#define NOTE(id, name, fields) WIRE_DENSE(wire_##name##_note, 16, fields)
#include <co/wire.def>
#undef MSG
#undef ROW
#undef NOTE
#undef WIRE_DENSE
#undef I32
#undef U32
#undef I64
#undef U64
#undef TEXT
#undef BYTES
#undef FDS
/* clang-format on */

#endif
