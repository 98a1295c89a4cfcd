/* SPDX-License-Identifier: MIT */
/* Interface versions and the domain.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_interface_version(uint32_t interface_id)
{
	return (int) CALL(interface_version, ARG(interface_id));
}

int cloudos_interface_require(uint32_t interface_id, uint32_t major, uint32_t minor)
{
	return (int) CALL(interface_require, ARG(interface_id), ARG(major), ARG(minor));
}

long cloudos_domain(void)
{
	return CALL(domain);
}

int cloudos_require_versions(const uint32_t *versions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = cloudos_interface_require((uint32_t) i + 1,
						  CLOUDOS_VERSION_MAJOR(versions[i]),
						  CLOUDOS_VERSION_MINOR(versions[i]));

		if (r < 0)
			return r;
	}
	return CLOUDOS_SUCCESS;
}
