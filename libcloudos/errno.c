/* SPDX-License-Identifier: MIT */
/*
 * Codes, their names, and the way from Linux errno to them.  Linked into CloudOS programs.
 * Who calls it: programs, and posix.c here.
 */
#include <errno.h>

#include "call.h"

struct linux_errno {
	const char *name;
	int code;
};

static const struct linux_errno linux_errnos[] = {
#define LINUX_ERRNO(name_, number_, code_)                                             \
	[number_] = { .name = #name_, .code = CLOUDOS_##code_ },
#include "errno.def"
#undef LINUX_ERRNO
};

/* The numbers are written out so that a reader of a message finds them; the kernel's
 * header has the last word. */
#define LINUX_ERRNO(name_, number_, code_)                                             \
	_Static_assert(name_ == (number_), "errno.def: " #name_);
#include "errno.def"
#undef LINUX_ERRNO

struct code {
	const char *name;
	const char *text;
};

static const struct code codes[] = {
	[0] = { "CLOUDOS_SUCCESS", "Success" },
#define ERROR(name_, number_, errno_, status_, text_)                                  \
	[number_] = { "CLOUDOS_" #name_, text_ },
#include "personality/cloudos/errors.def"
#undef ERROR
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct linux_errno *errno_row(int errnum)
{
	if (errnum <= 0 || (size_t) errnum >= COUNT(linux_errnos))
		return NULL;
	return linux_errnos[errnum].name ? &linux_errnos[errnum] : NULL;
}

int cloudos_error_from_errno(int errnum)
{
	const struct linux_errno *row = errno_row(errnum);

	if (errnum == 0)
		return CLOUDOS_SUCCESS;
	return row ? row->code : CLOUDOS_EIO;
}

const char *cloudos_error_name(int code)
{
	if (code > 0 || code <= -(int) COUNT(codes))
		return "unknown";
	return codes[-code].name;
}

const char *cloudos_error_text(int code)
{
	if (code > 0 || code <= -(int) COUNT(codes))
		return "unknown";
	return codes[-code].text;
}

int cloudos__fail_errno(const char *name, int errnum)
{
	const struct linux_errno *row = errno_row(errnum);
	int code = cloudos_error_from_errno(errnum);

	return cloudos__fail(code,
			     "%s: Linux answered %s (%d); the nearest code is %s, %s",
			     name, row ? row->name : "an unknown errno", errnum,
			     cloudos_error_name(code), cloudos_error_text(code));
}
