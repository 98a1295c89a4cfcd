/* SPDX-License-Identifier: MIT */
/*
 * Error reporting: the daemon's record and the library's, as one.  Linked into CloudOS
 * programs.
 */
#include <errno.h>
#include <string.h>

#include "call.h"

int cloudos_report_error(const error_info_t *error)
{
	int result = (int) CALL(report_error, ARG(error));

	if (result >= 0)
		cloudos__forget_failure(); /* the reported one is newer */
	return result;
}

int cloudos_get_last_error(error_info_t *error)
{
	const error_info_t *failure = cloudos__last_failure();
	long result = -ENOSYS;

	if (!failure)
		result = cloudos__raw(CLOUDOS_SYS_get_last_error, CLOUDOS__SHORT,
				      (const uintptr_t[6]){ ARG(error) });
	if (result >= 0)
		return CLOUDOS_SUCCESS;
	if (result != -ENOSYS)
		return cloudos__refused("get_last_error", (int) -result);
	/* Not under cloudos-exec the library's record is the only one there is. */
	if (!error)
		return cloudos__fail(CLOUDOS_EFAULT,
				     "get_last_error: the pointer is NULL; pass the "
				     "address of an error_info_t");
	if (failure)
		*error = *failure;
	else
		memset(error, 0, sizeof(*error));
	return CLOUDOS_SUCCESS;
}

int cloudos_clear_error(void)
{
	long result = cloudos__raw(CLOUDOS_SYS_clear_error, CLOUDOS__SHORT,
				   (const uintptr_t[6]){ 0 });

	cloudos__forget_failure();
	if (result >= 0 || result == -ENOSYS)
		return CLOUDOS_SUCCESS;
	return cloudos__refused("clear_error", (int) -result);
}
