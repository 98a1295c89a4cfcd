/* SPDX-License-Identifier: MIT */
/* Load balancing.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_lb_create_pool(const char *name, const load_balance_config_t *config)
{
	return (int) CALL(lb_create_pool, ARG(name), ARG(config));
}

int cloudos_lb_add_backend(const char *pool_name, const char *backend_addr,
			   uint32_t weight)
{
	return (int) CALL(lb_add_backend, ARG(pool_name), ARG(backend_addr),
			  ARG(weight));
}

int cloudos_lb_remove_backend(const char *pool_name, const char *backend_addr)
{
	return (int) CALL(lb_remove_backend, ARG(pool_name), ARG(backend_addr));
}

int cloudos_lb_get_backend(const char *pool_name, char *backend_addr, size_t addr_size)
{
	return (int) CALL(lb_get_backend, ARG(pool_name), ARG(backend_addr),
			  ARG(addr_size));
}
