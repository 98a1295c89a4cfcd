/* SPDX-License-Identifier: MIT */
/*
 * Building, checking, sending and describing messages of wire.def.  HOST.
 *
 * Building:
 *	struct co_msg *m = co_msg_new();            once, reused
 *	struct wire_service_row *row = co_msg_start(m, WIRE_service_row, tag);
 *	row->pid = 1;
 *	co_msg_text(m, &row->name, "web");          appends to the tail
 *	co_msg_send(m, fd, NULL, 0);
 *
 * Reading: co_msg_receive, then co_wire_check has already been passed; cast m->bytes to
 * the struct that m->header->type names, and use co_msg_get for spans.
 */
#ifndef CO_LIB_WIRE_H
#define CO_LIB_WIRE_H

#include <co/wire.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

enum co_field_kind {
	CO_FIELD_I32,
	CO_FIELD_U32,
	CO_FIELD_I64,
	CO_FIELD_U64,
	CO_FIELD_TEXT,
	CO_FIELD_BYTES
};

struct co_field {
	enum co_field_kind kind;
	const char *name;
	uint32_t offset;
};

struct co_layout {
	uint32_t type;    /* as in the header, form included */
	const char *name; /* "service" */
	enum wire_form form;
	uint32_t size;    /* of the fixed part, header included */
	uint32_t fds;     /* descriptors that must travel beside */
	uint32_t nfields; /* without header and struct wire_reply */
	const struct co_field *fields;
};

/* All layouts in the order of wire.def, requests before their replies. */
const struct co_layout *co_wire_layouts(size_t *out_count);

/* The layout of a header type; NULL if there is none. */
const struct co_layout *co_wire_layout(uint32_t type);

struct co_msg {
	union {
		struct wire_header *header;
		unsigned char *bytes; /* CO_WIRE_MAX bytes, 8-byte aligned */
	};
	bool overflow;           /* something did not fit; sending fails with CO_TOO_BIG */
	int fds[CO_WIRE_FDS_MAX]; /* received beside, owned; -1 when taken */
	uint32_t nfds;
	int32_t sender; /* the process that sent it, 0 unless SO_PASSCRED asks the kernel */
};

/* NULL when out of memory. */
struct co_msg *co_msg_new(void);

/* Closes descriptors that nobody took.  Returns NULL. */
struct co_msg *co_msg_free(struct co_msg *m);

/* Empties m and begins a message of that type; returns its zeroed fixed part. */
void *co_msg_start(struct co_msg *m, uint32_t type, uint64_t tag);

/* Begins the reply `type` with a status and, when it failed, its sentence. */
void *co_msg_reply(struct co_msg *m, uint32_t type, uint64_t tag, int status,
		   const char *reason);

/* Appends a string (NULL is ""); sets m->overflow when it does not fit. */
void co_msg_text(struct co_msg *m, struct wire_span *span, const char *text);

/* Appends bytes and returns where they go (to be filled), NULL if they do not fit. */
void *co_msg_bytes(struct co_msg *m, struct wire_span *span, const void *data, size_t n);

/* The bytes of a span of a checked message.  A TEXT is NUL-terminated;
 * the empty span gives "". */
const char *co_msg_get(const struct co_msg *m, struct wire_span span);

/*
 * Is this a message of wire.def: type known and form right, size and spans inside,
 * TEXT terminated and without NUL, no more descriptors than announced?  0 or CO_PROTOCOL
 * with a sentence.  Pure; the wire fuzz target calls it.
 */
int co_wire_check(const void *bytes, size_t n, uint32_t nfds, struct co_err *err);

/*
 * Sends m with n descriptors (borrowed).  0; CO_BUSY when the socket is full and not
 * blocking; CO_GONE when the peer has closed; CO_TOO_BIG; CO_IO.
 */
int co_msg_send(const struct co_msg *m, int fd, const int *fds, uint32_t n);

/*
 * Receives and checks one message; previous descriptors of m are closed.
 * 0; CO_BUSY when nothing is there and the socket does not block; CO_GONE at the end;
 * CO_PROTOCOL with a sentence; CO_INTERRUPTED.
 */
int co_msg_receive(struct co_msg *m, int fd, struct co_err *err);

/* Moves descriptor i out of m; -1 if there is none. */
int co_msg_take_fd(struct co_msg *m, uint32_t i);

#endif
