/* SPDX-License-Identifier: MIT */
/* Containers.  Linked into CloudOS programs. */
#include "call.h"

long cloudos_sys_container_create(const char *name,
				  const struct container_config *config)
{
	return CALL(sys_container_create, ARG(name ? name : ""), ARG(config));
}

long cloudos_sys_container_start(int container_id)
{
	return CALL(sys_container_start, ARG(container_id));
}

long cloudos_sys_container_stop(int container_id)
{
	return CALL(sys_container_stop, ARG(container_id));
}

long cloudos_sys_container_destroy(int container_id)
{
	return CALL(sys_container_destroy, ARG(container_id));
}

int cloudos_container_create(const container_config_t *config)
{
	return (int) CALL(container_create, ARG(config));
}

int cloudos_container_start(int container_id)
{
	return (int) CALL(container_start, ARG(container_id));
}

int cloudos_container_stop(int container_id, int timeout)
{
	return (int) CALL(container_stop, ARG(container_id), ARG(timeout));
}

int cloudos_container_restart(int container_id)
{
	return (int) CALL(container_restart, ARG(container_id));
}

int cloudos_container_pause(int container_id)
{
	return (int) CALL(container_pause, ARG(container_id));
}

int cloudos_container_unpause(int container_id)
{
	return (int) CALL(container_unpause, ARG(container_id));
}

int cloudos_container_destroy(int container_id)
{
	return (int) CALL(container_destroy, ARG(container_id));
}

int cloudos_container_get_status(int container_id, struct container_status *status)
{
	return (int) CALL(container_get_status, ARG(container_id), ARG(status));
}

const container_operations_t *cloudos_container_operations(void)
{
	static const container_operations_t table = {
		.create = cloudos_container_create,
		.start = cloudos_container_start,
		.stop = cloudos_container_stop,
		.restart = cloudos_container_restart,
		.pause = cloudos_container_pause,
		.unpause = cloudos_container_unpause,
		.destroy = cloudos_container_destroy,
		.get_status = cloudos_container_get_status,
	};

	return &table;
}
