/* SPDX-License-Identifier: MIT */
/*
 * Nodes and scaling ("Cloud Provider Integration", preview 0.7.0, and sys_cloud_scale);
 * registering and finding services is in <cloudos/service.h>.
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_CLOUD_H
#define CLOUDOS_CLOUD_H

#include <cloudos/base.h>

/* Cloud Service Configuration */
typedef struct cloud_service_config {
	char provider[32]; /* "aws", "azure", "gcp", "k8s" */
	char region[32];
	char credentials[512];
	char endpoint[256];
	uint32_t timeout; /* seconds */
	bool ssl_verify;
} cloud_service_config_t;

CLOUDOS_OFFSET(cloud_service_config_t, provider, 0);
CLOUDOS_OFFSET(cloud_service_config_t, region, 32);
CLOUDOS_OFFSET(cloud_service_config_t, credentials, 64);
CLOUDOS_OFFSET(cloud_service_config_t, endpoint, 576);
CLOUDOS_OFFSET(cloud_service_config_t, timeout, 832);
CLOUDOS_OFFSET(cloud_service_config_t, ssl_verify, 836);
CLOUDOS_SIZEOF(cloud_service_config_t, 840);

/* What a node says of itself.  Set size to sizeof. */
typedef struct node_metrics {
	uint32_t size;
	uint32_t cpu_count;
	uint32_t cpu_permille; /* in use, of all CPUs together */
	uint32_t processes;
	uint64_t memory_total; /* bytes, here and below */
	uint64_t memory_used;
	uint64_t disk_total;
	uint64_t disk_used;
	uint64_t network_sent;
	uint64_t network_received;
	uint64_t timestamp; /* nanoseconds since the epoch; 0: now */
} node_metrics_t;

CLOUDOS_OFFSET(node_metrics_t, size, 0);
CLOUDOS_OFFSET(node_metrics_t, cpu_count, 4);
CLOUDOS_OFFSET(node_metrics_t, cpu_permille, 8);
CLOUDOS_OFFSET(node_metrics_t, processes, 12);
CLOUDOS_OFFSET(node_metrics_t, memory_total, 16);
CLOUDOS_OFFSET(node_metrics_t, memory_used, 24);
CLOUDOS_OFFSET(node_metrics_t, disk_total, 32);
CLOUDOS_OFFSET(node_metrics_t, disk_used, 40);
CLOUDOS_OFFSET(node_metrics_t, network_sent, 48);
CLOUDOS_OFFSET(node_metrics_t, network_received, 56);
CLOUDOS_OFFSET(node_metrics_t, timestamp, 64);
CLOUDOS_SIZEOF(node_metrics_t, 72);

/* Set size to sizeof before the call. */
typedef struct cluster_info {
	uint32_t size;
	uint32_t nodes;
	uint32_t nodes_ready;
	uint32_t services;
	uint32_t instances;
	uint32_t leader;   /* the leading node's number; 0: none */
	uint64_t revision; /* of the cluster's state */
	char name[64];
	char provider[32];
	char region[32];
} cluster_info_t;

CLOUDOS_OFFSET(cluster_info_t, size, 0);
CLOUDOS_OFFSET(cluster_info_t, nodes, 4);
CLOUDOS_OFFSET(cluster_info_t, nodes_ready, 8);
CLOUDOS_OFFSET(cluster_info_t, services, 12);
CLOUDOS_OFFSET(cluster_info_t, instances, 16);
CLOUDOS_OFFSET(cluster_info_t, leader, 20);
CLOUDOS_OFFSET(cluster_info_t, revision, 24);
CLOUDOS_OFFSET(cluster_info_t, name, 32);
CLOUDOS_OFFSET(cluster_info_t, provider, 96);
CLOUDOS_OFFSET(cluster_info_t, region, 128);
CLOUDOS_SIZEOF(cluster_info_t, 160);

/* Set size to sizeof. */
typedef struct service_update {
	uint32_t size;
	uint32_t instances;   /* wanted; 0: as it is */
	uint32_t max_at_once; /* instances changed at a time; 0: one */
	uint32_t delay;       /* seconds between them */
	char version[16];     /* empty: as it is; and so below */
	char image[512];
	char health_check[256];
	char metadata[1024];
} service_update_t;

CLOUDOS_OFFSET(service_update_t, size, 0);
CLOUDOS_OFFSET(service_update_t, instances, 4);
CLOUDOS_OFFSET(service_update_t, max_at_once, 8);
CLOUDOS_OFFSET(service_update_t, delay, 12);
CLOUDOS_OFFSET(service_update_t, version, 16);
CLOUDOS_OFFSET(service_update_t, image, 32);
CLOUDOS_OFFSET(service_update_t, health_check, 544);
CLOUDOS_OFFSET(service_update_t, metadata, 800);
CLOUDOS_SIZEOF(service_update_t, 1824);

/* Cloud Operations */
typedef struct cloud_operations {
	int (*register_node)(const cloud_service_config_t *config);
	int (*deregister_node)(void);
	int (*report_metrics)(const struct node_metrics *metrics);
	int (*get_cluster_info)(struct cluster_info *info);
	int (*scale_service)(const char *service_name, int replicas);
	int (*update_service)(const char *service_name,
			      const struct service_update *update);
} cloud_operations_t;

CLOUDOS_BEGIN_DECLS

/* ---- CloudOS-Specific Extensions: Cloud integration ---- */

CLOUDOS_API long cloudos_sys_cloud_scale(const char *service_name, int instances);

/* ---- Cloud Provider Integration ---- */

CLOUDOS_API int cloudos_cloud_register_node(const cloud_service_config_t *config);
CLOUDOS_API int cloudos_cloud_deregister_node(void);
CLOUDOS_API int cloudos_cloud_report_metrics(const struct node_metrics *metrics);
CLOUDOS_API int cloudos_cloud_get_cluster_info(struct cluster_info *info);
CLOUDOS_API int cloudos_cloud_scale_service(const char *service_name, int replicas);
CLOUDOS_API int cloudos_cloud_update_service(const char *service_name,
					     const struct service_update *update);

/* The functions above as the specification's table; never NULL, never freed. */
CLOUDOS_API const cloud_operations_t *cloudos_cloud_operations(void);

CLOUDOS_END_DECLS

#endif
