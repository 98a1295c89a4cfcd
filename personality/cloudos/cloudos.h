/* SPDX-License-Identifier: MIT */
/*
 * CloudOS handlers, derived from ops.def: a struct of arguments and a prototype for each
 * row, so that a wrong signature does not compile and a missing handler does not link.
 * HOST.
 */
#ifndef CO_PERSONALITY_CLOUDOS_H
#define CO_PERSONALITY_CLOUDOS_H

#include <cloudos/cloudos.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "personality/call.h"
#include "personality/host.h"

extern const struct co_personality_host cloudos_host;
extern const struct co_struct cloudos_structs[]; /* from structs.def */

/* CLOUDOS_E* for a status, from errors.def; total. */
int cloudos_code(int status);

/* clang-format off */
#include <co/op-begin.h>
#undef OP
#define OP_UNWRAP(...) __VA_ARGS__
#define OP(key, name, plane, support, args, heading, note) \
	struct cloudos_##name##_args { OP_UNWRAP args };
#define WORD(type, name) union { type name; uint64_t name##_word; };
#undef I32
#define I32(name)           WORD(int32_t, name)
#undef U32
#define U32(name)           WORD(uint32_t, name)
#undef I64
#define I64(name)           WORD(int64_t, name)
#undef U64
#define U64(name)           WORD(uint64_t, name)
#undef SIZE
#define SIZE(name)          WORD(size_t, name)
#undef FD
#define FD(name)            WORD(int32_t, name)
#undef PID
#define PID(name)           WORD(int32_t, name)
#undef CSTR
#define CSTR(name, size)    WORD(const char *, name)
#undef IN
#define IN(type, name)      WORD(const type *, name)
#undef OUT
#define OUT(type, name)     WORD(type *, name)
#undef INOUT
#define INOUT(type, name)   WORD(type *, name)
#undef SIZED_IN
#define SIZED_IN(type, name)  WORD(const type *, name)
#undef SIZED_OUT
#define SIZED_OUT(type, name) WORD(type *, name)
#undef OUT_ARRAY
#define OUT_ARRAY(type, name, count) WORD(type *, name)
#undef BUF_IN
#define BUF_IN(name, size)  WORD(const void *, name)
#undef BUF_OUT
#define BUF_OUT(name, size) WORD(void *, name)
#undef TAILED_IN
#define TAILED_IN(type, name, count) WORD(const type *, name)
#undef TAILED_OUT
#define TAILED_OUT(type, name, size) WORD(type *, name)
#undef PTR
#define PTR(name)           WORD(uint64_t, name)
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
#undef WORD

#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args, heading, note) OP_##plane(name, support)
#define OP_SHIM(name, support)
#define OP_KERNEL(name, support)
#define OP_HTTP(name, support)
#define OP_NONE(name, support)
#define OP_DAEMON(name, support) \
	int64_t cloudos_on_##name(struct co_call *call, const struct cloudos_##name##_args *a);
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
#undef OP_DAEMON
/* clang-format on */

#endif
