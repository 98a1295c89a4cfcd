/* SPDX-License-Identifier: MIT */
/*
 * What a row of a personality's ops.def says, as data.  SHARED by guest and host.
 *
 * A row is
 *
 *	OP(key, name, plane, support, (arguments), "heading", "note")
 *
 * key        NUM(n) our number, LINUX(call) the kernel's own number of that call,
 *            HTTP(method, path), MESSAGE(type), CAP(id), INT80(n), SYMBOL(function),
 *            SERVICE("name", opcode) a request to a named service,
 *            NAMESPACE("prefix") a name space that is served
 * plane      who answers: SHIM, KERNEL, DAEMON, HTTP, LAUNCHER (cloudos-exec), NONE
 * support    FULL, PARTIAL or ABSENT; a note is compulsory unless FULL
 * arguments  typed words, none to sixteen, of a call by registers none to six:
 *   I32 U32 I64 U64 SIZE FD PID(name)   a register
 *   FLAGS(set, name)                    a register; set is in flags.def where there is one
 *   CSTR(name, size)                    guest string, at most size bytes with its NUL
 *   IN(type, name)  OUT(type, name)  INOUT(type, name)    one struct or scalar
 *   SIZED_IN(type, name)  SIZED_OUT(type, name)           begins with its own uint32_t size
 *   OUT_ARRAY(type, name, count)        *count elements; count is the INOUT that follows
 *   BUF_IN(name, size)  BUF_OUT(name, size)   bytes; size is the argument that follows
 *   TAILED_IN(type, name, count)        a struct and, behind it, as many bytes as count says
 *   TAILED_OUT(type, name, size)        the same, at most size bytes, which is the argument
 *                                       that follows
 *   PTR(name)                           an address that only the kernel looks at
 *   JSON(name)  TEXT(name)              a member of an HTTP body, query or path: any value, or
 *                                       a string; without it the request is refused
 *   OPT_JSON(name)  OPT_TEXT(name)      the same, but it may be absent
 *
 * Everything else derives from the rows.  Readers include <co/op-begin.h>, define the
 * few macros they need, include the ops.def, and include <co/op-end.h>.
 */
#ifndef CO_OP_H
#define CO_OP_H

#include <stdint.h>

/* clang-format off */
/* X(enum constant, as people write it) */
#define CO_PLANES(X) \
	X(SHIM, "shim") X(KERNEL, "kernel") X(DAEMON, "daemon") X(HTTP, "http") X(NONE, "none") \
	X(LAUNCHER, "launcher")
#define CO_SUPPORTS(X) X(FULL, "full") X(PARTIAL, "partial") X(ABSENT, "absent")
#define CO_KEY_KINDS(X) \
	X(NUM) X(LINUX) X(HTTP) X(MESSAGE) X(CAP) X(INT80) X(SYMBOL) X(SERVICE) X(NAMESPACE)
#define CO_ARG_KINDS(X) \
	X(NONE) X(I32) X(U32) X(I64) X(U64) X(SIZE) X(FD) X(PID) X(FLAGS) X(CSTR) \
	X(IN) X(OUT) X(INOUT) X(SIZED_IN) X(SIZED_OUT) X(OUT_ARRAY) X(BUF_IN) X(BUF_OUT) \
	X(TAILED_IN) X(TAILED_OUT) X(PTR) X(JSON) X(TEXT) \
	X(OPT_JSON) X(OPT_TEXT)

#define CO_PLANE_CONSTANT(name, text)   CO_PLANE_##name,
#define CO_SUPPORT_CONSTANT(name, text) CO_SUPPORT_##name,
#define CO_KEY_CONSTANT(name)           CO_KEY_##name,
#define CO_ARG_CONSTANT(name)           CO_ARG_##name,

enum co_plane { CO_PLANES(CO_PLANE_CONSTANT) };
enum co_support { CO_SUPPORTS(CO_SUPPORT_CONSTANT) };
enum co_key_kind { CO_KEY_KINDS(CO_KEY_CONSTANT) };
enum co_arg_kind { CO_ARG_KINDS(CO_ARG_CONSTANT) };

#undef CO_PLANE_CONSTANT
#undef CO_SUPPORT_CONSTANT
#undef CO_KEY_CONSTANT
#undef CO_ARG_CONSTANT
/* clang-format on */

#define CO_ARGS_MAX  16
#define CO_WORDS_MAX 6 /* of a call that comes in registers */

struct co_arg {
	enum co_arg_kind kind;
	const char *type; /* C type of what is pointed at, or the flag set; or "" */
	const char *name;
	uint32_t size; /* bytes of one element, or the bound of a string */
	uint32_t
		count; /* TAILED_IN: offset of the uint32_t that counts the bytes behind */
};

struct co_op {
	enum co_key_kind key_kind;
	uint32_t number; /* NUM, LINUX, CAP, INT80, SERVICE; otherwise 0 */
	const char *key; /* as people write it: "20500", "PUT /v1/sys/state" */
	const char *name;
	enum co_plane plane;
	enum co_support support;
	uint32_t nargs;
	struct co_arg args[CO_ARGS_MAX + 1]; /* ends with CO_ARG_NONE */
	const char *heading;                 /* of the specification in docs/spec */
	const char *note;                    /* "" only where support is FULL */
};

#endif
