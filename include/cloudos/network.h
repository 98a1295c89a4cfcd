/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces ("Network Service API").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_NETWORK_H
#define CLOUDOS_NETWORK_H

#include <cloudos/base.h>

/* Network Interface Management.  Addresses are in network byte order. */
typedef struct network_interface {
	char name[16];
	uint8_t mac_addr[6];
	uint32_t ip_addr;
	uint32_t netmask;
	uint32_t gateway;
	bool up;
	uint64_t bytes_sent;
	uint64_t bytes_received;
} network_interface_t;

CLOUDOS_OFFSET(network_interface_t, name, 0);
CLOUDOS_OFFSET(network_interface_t, mac_addr, 16);
CLOUDOS_OFFSET(network_interface_t, ip_addr, 24);
CLOUDOS_OFFSET(network_interface_t, netmask, 28);
CLOUDOS_OFFSET(network_interface_t, gateway, 32);
CLOUDOS_OFFSET(network_interface_t, up, 36);
CLOUDOS_OFFSET(network_interface_t, bytes_sent, 40);
CLOUDOS_OFFSET(network_interface_t, bytes_received, 48);
CLOUDOS_SIZEOF(network_interface_t, 56);

/* Set size to sizeof before the call. */
typedef struct network_stats {
	uint32_t size;
	uint32_t up; /* 0 or 1 */
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t packets_sent;
	uint64_t packets_received;
	uint64_t errors_sent;
	uint64_t errors_received;
	uint64_t dropped_sent;
	uint64_t dropped_received;
} network_stats_t;

CLOUDOS_OFFSET(network_stats_t, size, 0);
CLOUDOS_OFFSET(network_stats_t, up, 4);
CLOUDOS_OFFSET(network_stats_t, bytes_sent, 8);
CLOUDOS_OFFSET(network_stats_t, bytes_received, 16);
CLOUDOS_OFFSET(network_stats_t, packets_sent, 24);
CLOUDOS_OFFSET(network_stats_t, packets_received, 32);
CLOUDOS_OFFSET(network_stats_t, errors_sent, 40);
CLOUDOS_OFFSET(network_stats_t, errors_received, 48);
CLOUDOS_OFFSET(network_stats_t, dropped_sent, 56);
CLOUDOS_OFFSET(network_stats_t, dropped_received, 64);
CLOUDOS_SIZEOF(network_stats_t, 72);

/* Network Operations */
typedef struct network_operations {
	int (*interface_up)(const char *name);
	int (*interface_down)(const char *name);
	int (*set_ip_address)(const char *name, uint32_t ip, uint32_t netmask);
	int (*set_gateway)(const char *name, uint32_t gateway);
	int (*get_stats)(const char *name, struct network_stats *stats);
} network_operations_t;

CLOUDOS_BEGIN_DECLS

CLOUDOS_API int cloudos_network_interface_up(const char *name);
CLOUDOS_API int cloudos_network_interface_down(const char *name);
CLOUDOS_API int cloudos_network_set_ip_address(const char *name, uint32_t ip,
					       uint32_t netmask);
CLOUDOS_API int cloudos_network_set_gateway(const char *name, uint32_t gateway);
CLOUDOS_API int cloudos_network_get_stats(const char *name,
					  struct network_stats *stats);

/* The functions above as the specification's table; never NULL, never freed. */
CLOUDOS_API const network_operations_t *cloudos_network_operations(void);

CLOUDOS_END_DECLS

#endif
