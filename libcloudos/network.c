/* SPDX-License-Identifier: MIT */
/* Network interfaces.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_network_interface_up(const char *name)
{
	return (int) CALL(network_interface_up, ARG(name));
}

int cloudos_network_interface_down(const char *name)
{
	return (int) CALL(network_interface_down, ARG(name));
}

int cloudos_network_set_ip_address(const char *name, uint32_t ip, uint32_t netmask)
{
	return (int) CALL(network_set_ip_address, ARG(name), ARG(ip), ARG(netmask));
}

int cloudos_network_set_gateway(const char *name, uint32_t gateway)
{
	return (int) CALL(network_set_gateway, ARG(name), ARG(gateway));
}

int cloudos_network_get_stats(const char *name, struct network_stats *stats)
{
	return (int) CALL(network_get_stats, ARG(name), ARG(stats));
}

const network_operations_t *cloudos_network_operations(void)
{
	static const network_operations_t table = {
		.interface_up = cloudos_network_interface_up,
		.interface_down = cloudos_network_interface_down,
		.set_ip_address = cloudos_network_set_ip_address,
		.set_gateway = cloudos_network_set_gateway,
		.get_stats = cloudos_network_get_stats,
	};

	return &table;
}
