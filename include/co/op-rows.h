/* SPDX-License-Identifier: MIT */
/*
 * Meaning "one struct co_op per row" for the words of an ops.def.  Include between
 * <co/op-begin.h> and <co/op-end.h>, inside the braces of an array of struct co_op:
 *
 *	static const struct co_op ops[] = {
 *	#include <co/op-begin.h>
 *	#include <co/op-rows.h>
 *	#include "ops.def"
 *	#include <co/op-end.h>
 *	};
 *
 * CO_OP_SIZEOF(type) and CO_OP_OFFSETOF(type, member) may be defined before, to 0, by
 * readers without the C types.
 * Deliberately without include guard.
 */
/* clang-format off */
#ifndef CO_OP_SIZEOF
#define CO_OP_SIZEOF(type) sizeof(type)
#endif
#ifndef CO_OP_OFFSETOF
#define CO_OP_OFFSETOF(type, member) __builtin_offsetof(type, member)
#endif
#define CO_OP_UNWRAP(...) __VA_ARGS__
#undef OP
#define OP(key_, name_, plane_, support_, args_, heading_, note_) { \
	key_ .name = #name_, .plane = CO_PLANE_##plane_, .support = CO_SUPPORT_##support_, \
	.args = { CO_OP_UNWRAP args_ { .kind = CO_ARG_NONE } }, \
	.nargs = (uint32_t) (sizeof((struct co_arg[]) { CO_OP_UNWRAP args_ { .kind = CO_ARG_NONE } }) \
		/ sizeof(struct co_arg) - 1), \
	.heading = heading_, .note = note_ },
#undef NUM
#define NUM(n)             .key_kind = CO_KEY_NUM, .number = (n), .key = #n,
#undef LINUX
#define LINUX(call)        .key_kind = CO_KEY_LINUX, .number = __NR_##call, .key = "linux " #call,
#undef HTTP
#define HTTP(method, path) .key_kind = CO_KEY_HTTP, .key = #method " " path,
#undef MESSAGE
#define MESSAGE(type)      .key_kind = CO_KEY_MESSAGE, .key = #type,
#undef CAP
#define CAP(id)            .key_kind = CO_KEY_CAP, .number = (id), .key = "capability " #id,
#undef INT80
#define INT80(n)           .key_kind = CO_KEY_INT80, .number = (n), .key = "int 0x80 " #n,
#undef SYMBOL
#define SYMBOL(function)   .key_kind = CO_KEY_SYMBOL, .key = #function,
#undef SERVICE
#define SERVICE(service, opcode) \
	.key_kind = CO_KEY_SERVICE, .number = (opcode), .key = service " " #opcode,
#undef NAMESPACE
#define NAMESPACE(prefix)  .key_kind = CO_KEY_NAMESPACE, .key = prefix,
#define CO_OP_ARG(kind_, type_, name_, size_) \
	{ .kind = CO_ARG_##kind_, .type = type_, .name = name_, .size = (uint32_t) (size_) },
#undef I32
#define I32(name)          CO_OP_ARG(I32, "int", #name, 4)
#undef U32
#define U32(name)          CO_OP_ARG(U32, "uint32_t", #name, 4)
#undef I64
#define I64(name)          CO_OP_ARG(I64, "int64_t", #name, 8)
#undef U64
#define U64(name)          CO_OP_ARG(U64, "uint64_t", #name, 8)
#undef SIZE
#define SIZE(name)         CO_OP_ARG(SIZE, "size_t", #name, 8)
#undef FD
#define FD(name)           CO_OP_ARG(FD, "int", #name, 4)
#undef PID
#define PID(name)          CO_OP_ARG(PID, "pid_t", #name, 4)
#undef FLAGS
#define FLAGS(set, name)   CO_OP_ARG(FLAGS, #set, #name, 4)
#undef CSTR
#define CSTR(name, size)   CO_OP_ARG(CSTR, "char", #name, size)
#undef IN
#define IN(type, name)     CO_OP_ARG(IN, #type, #name, CO_OP_SIZEOF(type))
#undef OUT
#define OUT(type, name)    CO_OP_ARG(OUT, #type, #name, CO_OP_SIZEOF(type))
#undef INOUT
#define INOUT(type, name)  CO_OP_ARG(INOUT, #type, #name, CO_OP_SIZEOF(type))
#undef SIZED_IN
#define SIZED_IN(type, name)  CO_OP_ARG(SIZED_IN, #type, #name, CO_OP_SIZEOF(type))
#undef SIZED_OUT
#define SIZED_OUT(type, name) CO_OP_ARG(SIZED_OUT, #type, #name, CO_OP_SIZEOF(type))
#undef OUT_ARRAY
#define OUT_ARRAY(type, name, count) CO_OP_ARG(OUT_ARRAY, #type, #name, CO_OP_SIZEOF(type))
#undef BUF_IN
#define BUF_IN(name, size_name)  CO_OP_ARG(BUF_IN, "void", #name, 1)
#undef BUF_OUT
#define BUF_OUT(name, size_name) CO_OP_ARG(BUF_OUT, "void", #name, 1)
#undef TAILED_IN
#define TAILED_IN(type_, name_, count_) \
	{ .kind = CO_ARG_TAILED_IN, .type = #type_, .name = #name_, \
	  .size = (uint32_t) CO_OP_SIZEOF(type_), \
	  .count = (uint32_t) CO_OP_OFFSETOF(type_, count_) },
#undef TAILED_OUT
#define TAILED_OUT(type, name, size_name) CO_OP_ARG(TAILED_OUT, #type, #name, CO_OP_SIZEOF(type))
#undef PTR
#define PTR(name)          CO_OP_ARG(PTR, "void", #name, 8)
#undef JSON
#define JSON(name)         CO_OP_ARG(JSON, "json", #name, 0)
#undef TEXT
#define TEXT(name)         CO_OP_ARG(TEXT, "text", #name, 0)
#undef OPT_JSON
#define OPT_JSON(name)     CO_OP_ARG(OPT_JSON, "json", #name, 0)
#undef OPT_TEXT
#define OPT_TEXT(name)     CO_OP_ARG(OPT_TEXT, "text", #name, 0)
/* clang-format on */
