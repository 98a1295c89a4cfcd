/* SPDX-License-Identifier: MIT */
/*
 * One private call through syscall(2), and the record of what failed inside the library.
 * Linked into CloudOS programs.  Who calls it: every function of this folder.
 *
 * Of the two records, the daemon's and this one, the later failure counts: a call that
 * the daemon refused removes the record here.  Successes leave both alone.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

static __thread struct {
	bool failed;
	error_info_t info;
} last;

const error_info_t *cloudos__last_failure(void)
{
	return last.failed ? &last.info : NULL;
}

void cloudos__forget_failure(void)
{
	last.failed = false;
}

int cloudos__fail(int code, const char *format, ...)
{
	struct timespec now = { 0, 0 };
	va_list ap;

	memset(&last.info, 0, sizeof(last.info));
	last.info.error_code = code;
	va_start(ap, format);
	/* A sentence that is too long is cut, which is all that can be done with it. */
	(void) vsnprintf(last.info.message, sizeof(last.info.message), format, ap);
	va_end(ap);
	memcpy(last.info.component, "libcloudos", sizeof("libcloudos"));
	/* CLOCK_REALTIME always exists. */
	(void) clock_gettime(CLOCK_REALTIME, &now);
	last.info.timestamp =
		(uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
	last.info.pid = (uint32_t) getpid();
	last.info.tid = (uint32_t) syscall(SYS_gettid);
	last.failed = true;
	return code;
}

int cloudos__refused(const char *name, int errnum)
{
	int code = cloudos_raw_error(errnum);

	if (code != 0) {
		last.failed = false; /* the daemon has the reason */
		return code;
	}
	if (errnum == ENOSYS)
		return cloudos__fail(
			CLOUDOS_EACCES,
			"%s: this program is not running under cloudos-exec; "
			"start it with: cloudos-exec PROGRAM",
			name);
	if (errnum == EINTR)
		return cloudos__fail(CLOUDOS_EBUSY,
				     "%s: a signal interrupted the wait (EINTR, %d); "
				     "call it again",
				     name, EINTR);
	return cloudos__fail_errno(name, errnum);
}

long cloudos__raw(long number, enum cloudos__wait wait, const uintptr_t args[6])
{
	for (;;) {
		long result = syscall(number, args[0], args[1], args[2], args[3],
				      args[4], args[5]);

		if (result >= 0)
			return result;
		if (errno != EINTR || wait == CLOUDOS__BLOCKING)
			return -errno;
	}
}

long cloudos__call(const char *name, long number, enum cloudos__wait wait,
		   const uintptr_t args[6])
{
	long result = cloudos__raw(number, wait, args);

	return result >= 0 ? result : cloudos__refused(name, (int) -result);
}
