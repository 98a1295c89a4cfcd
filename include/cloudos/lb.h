/* SPDX-License-Identifier: MIT */
/*
 * Load balancing ("Load Balancing Interface").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_LB_H
#define CLOUDOS_LB_H

#include <cloudos/base.h>

/* Load Balancing Configuration */
typedef enum {
	LB_ROUND_ROBIN = 1,
	LB_LEAST_CONNECTIONS = 2,
	LB_WEIGHTED_ROUND_ROBIN = 3,
	LB_IP_HASH = 4
} load_balance_algorithm_t;

typedef struct load_balance_config {
	load_balance_algorithm_t algorithm;
	uint32_t health_check_interval; /* seconds */
	uint32_t max_retries;
	uint32_t timeout; /* seconds */
	bool sticky_sessions;
} load_balance_config_t;

CLOUDOS_OFFSET(load_balance_config_t, algorithm, 0);
CLOUDOS_OFFSET(load_balance_config_t, health_check_interval, 4);
CLOUDOS_OFFSET(load_balance_config_t, max_retries, 8);
CLOUDOS_OFFSET(load_balance_config_t, timeout, 12);
CLOUDOS_OFFSET(load_balance_config_t, sticky_sessions, 16);
CLOUDOS_SIZEOF(load_balance_config_t, 20);

CLOUDOS_BEGIN_DECLS

/* Load Balancer Operations */
CLOUDOS_API int cloudos_lb_create_pool(const char *name,
				       const load_balance_config_t *config);
CLOUDOS_API int cloudos_lb_add_backend(const char *pool_name, const char *backend_addr,
				       uint32_t weight);
CLOUDOS_API int cloudos_lb_remove_backend(const char *pool_name,
					  const char *backend_addr);

/* Stores the chosen backend with its NUL in backend_addr, addr_size bytes. */
CLOUDOS_API int cloudos_lb_get_backend(const char *pool_name, char *backend_addr,
				       size_t addr_size);

CLOUDOS_END_DECLS

#endif
