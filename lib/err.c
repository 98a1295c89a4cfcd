/* SPDX-License-Identifier: MIT */
/* Errors as sentences.  HOST. */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int co_fail(struct co_err *err, int code, const char *format, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, format);
		(void) vsnprintf(err->message, sizeof(err->message), format, ap);
		va_end(ap);
		err->code = code;
	}
	return code;
}

int co_fail_errno(struct co_err *err, int errnum, const char *format, ...)
{
	int code = co_status_from_errno(errnum);

	if (err) {
		va_list ap;
		int n;

		va_start(ap, format);
		n = vsnprintf(err->message, sizeof(err->message), format, ap);
		va_end(ap);
		if (n >= 0 && (size_t) n < sizeof(err->message))
			(void) snprintf(err->message + n, sizeof(err->message) - (size_t) n,
					": %s", strerror(errnum));
		err->code = code;
	}
	return code;
}

int co_context(struct co_err *err, const char *format, ...)
{
	char inner[sizeof(err->message)];
	va_list ap;
	int n;

	if (!err)
		return CO_IO;
	memcpy(inner, err->message, sizeof(inner));
	va_start(ap, format);
	n = vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t) n + 3 < sizeof(err->message))
		(void) snprintf(err->message + n, sizeof(err->message) - (size_t) n,
				": %.*s", (int) (sizeof(inner) - (size_t) n - 3), inner);
	return err->code;
}

int co_status_from_errno(int errnum)
{
	static const struct {
		int errnum, status;
	} map[] = {
		{ EINVAL, CO_INVALID },        { ENOMEM, CO_NO_MEMORY },
		{ ENOENT, CO_NOT_FOUND },      { ESRCH, CO_NOT_FOUND },
		{ EACCES, CO_ACCESS },         { EPERM, CO_ACCESS },
		{ EROFS, CO_ACCESS },          { EBUSY, CO_BUSY },
		{ EEXIST, CO_EXISTS },         { EADDRINUSE, CO_EXISTS },
		{ ENOTDIR, CO_NOT_DIR },       { EISDIR, CO_IS_DIR },
		{ EFBIG, CO_TOO_BIG },         { E2BIG, CO_TOO_BIG },
		{ EMSGSIZE, CO_TOO_BIG },      { EOVERFLOW, CO_TOO_BIG },
		{ ENOSPC, CO_NO_SPACE },       { EDQUOT, CO_NO_SPACE },
		{ ESPIPE, CO_NOT_SEEKABLE },   { EMFILE, CO_NO_FDS },
		{ ENFILE, CO_TABLE_FULL },     { ENOTTY, CO_NOT_TTY },
		{ ETXTBSY, CO_TEXT_BUSY },     { EFAULT, CO_FAULT },
		{ ELOOP, CO_LOOP },            { ENAMETOOLONG, CO_NAME_TOO_LONG },
		{ ENOSYS, CO_UNSUPPORTED },    { EOPNOTSUPP, CO_UNSUPPORTED },
		{ EINTR, CO_INTERRUPTED },     { ETIMEDOUT, CO_TIMED_OUT },
		{ EPIPE, CO_GONE },            { ECONNRESET, CO_GONE },
		{ ECONNREFUSED, CO_GONE },     { EAGAIN, CO_BUSY },
		{ EBADF, CO_INVALID },         { EPROTO, CO_PROTOCOL },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].errnum == errnum)
			return map[i].status;
	return CO_IO;
}

static const struct {
	int status;
	const char *name, *sentence;
} statuses[] = {
#define STATUS(name, number, sentence) { -(number), #name, sentence },
#include <co/status.def>
#undef STATUS
};

const char *co_status_text(int status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].sentence;
	return status == 0 ? "success" : "unknown failure";
}

const char *co_status_name(int status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].name;
	return status == 0 ? "ok" : "unknown";
}
