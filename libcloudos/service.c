/* SPDX-License-Identifier: MIT */
/* Services and the service half of cloud integration.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_service_register(const service_registration_t *registration)
{
	return (int) CALL(service_register, ARG(registration));
}

int cloudos_service_deregister(const char *name)
{
	return (int) CALL(service_deregister, ARG(name));
}

int cloudos_service_discover(const char *name, service_registration_t *services,
			     size_t *count)
{
	return (int) CALL(service_discover, ARG(name), ARG(services), ARG(count));
}

int cloudos_service_health_check(const char *name, bool *healthy)
{
	return (int) CALL_AS(CLOUDOS__BLOCKING, service_health_check, ARG(name),
			     ARG(healthy));
}

long cloudos_sys_cloud_register_service(const char *service_name,
					const struct service_config *config)
{
	return CALL(sys_cloud_register_service, ARG(service_name), ARG(config));
}

long cloudos_sys_cloud_discover_service(const char *service_name,
					struct service_info *info)
{
	return CALL(sys_cloud_discover_service, ARG(service_name), ARG(info));
}
