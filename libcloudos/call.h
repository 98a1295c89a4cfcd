/* SPDX-License-Identifier: MIT */
/*
 * How libcloudos makes private calls and keeps the reasons of its own failures.  Linked
 * into CloudOS programs; needs libc only.  Who includes it: the files of this folder.
 */
#ifndef LIBCLOUDOS_CALL_H
#define LIBCLOUDOS_CALL_H

#include <cloudos/cloudos.h>

enum cloudos__wait {
	CLOUDOS__SHORT,   /* restarted when a signal interrupts it */
	CLOUDOS__BLOCKING /* a signal makes it CLOUDOS_EBUSY */
};

/* A private call: its result, or a CLOUDOS_E* code whose reason is recorded. */
long cloudos__call(const char *name, long number, enum cloudos__wait wait,
		   const uintptr_t args[6]);

#define CALL_AS(wait, name, ...)                                                       \
	cloudos__call(#name, CLOUDOS_SYS_##name, wait,                                 \
		      (const uintptr_t[6]){ __VA_ARGS__ })
#define CALL(name, ...) CALL_AS(CLOUDOS__SHORT, name, __VA_ARGS__)

/* An argument of such a call: pointers and integers fill one register, sign-extended. */
#define ARG(value) ((uintptr_t) (value))

/* Its two halves: the raw result, or -errno as syscall() left it; and what to make of that
 * errno. */
long cloudos__raw(long number, enum cloudos__wait wait, const uintptr_t args[6]);
int cloudos__refused(const char *name, int errnum);

/* Records the last failure of this thread, a sentence as printf makes it; returns code. */
int cloudos__fail(int code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for a Linux call of that name that left errnum. */
int cloudos__fail_errno(const char *name, int errnum);

/* The record of cloudos__fail, newer than what the daemon has; NULL if there is none. */
const error_info_t *cloudos__last_failure(void);
void cloudos__forget_failure(void);

#endif
