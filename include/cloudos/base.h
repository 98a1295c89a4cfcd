/* SPDX-License-Identifier: MIT */
/*
 * What every header of <cloudos/...> starts with.  Include the topic you need, or
 * <cloudos/cloudos.h> for all of them.
 *
 * Layouts are those of LP64; they are the same for C and C++ and for every C library, and
 * each struct asserts its own.  Integers are in the byte order of the machine.
 */
#ifndef CLOUDOS_BASE_H
#define CLOUDOS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef __LP64__
#error "CloudOS programs are 64-bit programs (LP64); compile without -m32 and -mx32"
#endif

#ifdef __cplusplus
#define CLOUDOS_BEGIN_DECLS             extern "C" {
#define CLOUDOS_END_DECLS               }
#define CLOUDOS_ASSERT(condition, text) static_assert(condition, text)
#else
#define CLOUDOS_BEGIN_DECLS
#define CLOUDOS_END_DECLS
#define CLOUDOS_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define CLOUDOS_API __attribute__((visibility("default")))

#define CLOUDOS_OFFSET(type, member, at)                                               \
	CLOUDOS_ASSERT(offsetof(type, member) == (at), #type "." #member)
#define CLOUDOS_SIZEOF(type, bytes) CLOUDOS_ASSERT(sizeof(type) == (bytes), #type)

#endif
