/* SPDX-License-Identifier: MIT */
/*
 * What a row of a personality's ops.def says, as data.  SHARED by guest and host.
 *
 * A row is
 *
 *	OP(key, name, plane, support, (arguments), "heading", "note")
 *
 * key        NUM(n) our number, LINUX(call) the kernel's own number of that call,
 *            HTTP(method, path), MESSAGE(type), CAP(id), INT80(n), SYMBOL(function)
 * plane      who answers: SHIM, KERNEL, DAEMON, HTTP, NONE
 * support    FULL, PARTIAL or ABSENT; a note is compulsory unless FULL
 * arguments  typed words, none to six:
 *   I32 U32 I64 U64 SIZE FD PID(name)   a register
 *   FLAGS(set, name)                    a register; set is in flags.def where there is one
 *   CSTR(name, size)                    guest string, at most size bytes with its NUL
 *   IN(type, name)  OUT(type, name)  INOUT(type, name)    one struct or scalar
 *   SIZED_IN(type, name)  SIZED_OUT(type, name)           begins with its own uint32_t size
 *   OUT_ARRAY(type, name, count)        *count elements; count is the INOUT that follows
 *   BUF_IN(name, size)  BUF_OUT(name, size)   bytes; size is the argument that follows
 *   PTR(name)                           an address that only the kernel looks at
 *   JSON(name)  TEXT(name)              a member of an HTTP body or query
 *
 * Everything else derives from the rows.  Readers include <co/op-begin.h>, define the
 * few macros they need, include the ops.def, and include <co/op-end.h>.
 */
#ifndef CO_OP_H
#define CO_OP_H

#include <stdint.h>

enum co_plane {
	CO_PLANE_SHIM,
	CO_PLANE_KERNEL,
	CO_PLANE_DAEMON,
	CO_PLANE_HTTP,
	CO_PLANE_NONE
};

enum co_support { CO_SUPPORT_FULL, CO_SUPPORT_PARTIAL, CO_SUPPORT_ABSENT };

enum co_key_kind {
	CO_KEY_NUM,
	CO_KEY_LINUX,
	CO_KEY_HTTP,
	CO_KEY_MESSAGE,
	CO_KEY_CAP,
	CO_KEY_INT80,
	CO_KEY_SYMBOL
};

enum co_arg_kind {
	CO_ARG_NONE,
	CO_ARG_I32,
	CO_ARG_U32,
	CO_ARG_I64,
	CO_ARG_U64,
	CO_ARG_SIZE,
	CO_ARG_FD,
	CO_ARG_PID,
	CO_ARG_FLAGS,
	CO_ARG_CSTR,
	CO_ARG_IN,
	CO_ARG_OUT,
	CO_ARG_INOUT,
	CO_ARG_SIZED_IN,
	CO_ARG_SIZED_OUT,
	CO_ARG_OUT_ARRAY,
	CO_ARG_BUF_IN,
	CO_ARG_BUF_OUT,
	CO_ARG_PTR,
	CO_ARG_JSON,
	CO_ARG_TEXT
};

#define CO_ARGS_MAX 6

struct co_arg {
	enum co_arg_kind kind;
	const char *type; /* C type of what is pointed at, or the flag set; "" if none */
	const char *name;
	uint32_t size;    /* bytes of one element, or the bound of a string */
};

struct co_op {
	enum co_key_kind key_kind;
	uint32_t number;  /* NUM, LINUX, CAP, INT80; otherwise 0 */
	const char *key;  /* as people write it: "20500", "PUT /v1/sys/state" */
	const char *name;
	enum co_plane plane;
	enum co_support support;
	uint32_t nargs;
	struct co_arg args[CO_ARGS_MAX + 1]; /* ends with CO_ARG_NONE */
	const char *heading; /* of the specification in docs/spec */
	const char *note;    /* "" only where support is FULL */
};

#endif
