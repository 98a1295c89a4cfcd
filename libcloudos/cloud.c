/* SPDX-License-Identifier: MIT */
/* Nodes and scaling.  Linked into CloudOS programs. */
#include "call.h"

long cloudos_sys_cloud_scale(const char *service_name, int instances)
{
	return CALL(sys_cloud_scale, ARG(service_name), ARG(instances));
}

int cloudos_cloud_register_node(const cloud_service_config_t *config)
{
	return (int) CALL(cloud_register_node, ARG(config));
}

int cloudos_cloud_deregister_node(void)
{
	return (int) CALL(cloud_deregister_node);
}

int cloudos_cloud_report_metrics(const struct node_metrics *metrics)
{
	return (int) CALL(cloud_report_metrics, ARG(metrics));
}

int cloudos_cloud_get_cluster_info(struct cluster_info *info)
{
	return (int) CALL(cloud_get_cluster_info, ARG(info));
}

int cloudos_cloud_scale_service(const char *service_name, int replicas)
{
	return (int) CALL(cloud_scale_service, ARG(service_name), ARG(replicas));
}

int cloudos_cloud_update_service(const char *service_name,
				 const struct service_update *update)
{
	return (int) CALL(cloud_update_service, ARG(service_name), ARG(update));
}

const cloud_operations_t *cloudos_cloud_operations(void)
{
	static const cloud_operations_t table = {
		.register_node = cloudos_cloud_register_node,
		.deregister_node = cloudos_cloud_deregister_node,
		.report_metrics = cloudos_cloud_report_metrics,
		.get_cluster_info = cloudos_cloud_get_cluster_info,
		.scale_service = cloudos_cloud_scale_service,
		.update_service = cloudos_cloud_update_service,
	};

	return &table;
}
