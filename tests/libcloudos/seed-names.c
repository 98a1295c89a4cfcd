/* SPDX-License-Identifier: MIT */
/*
 * A program written with the specification's names and nothing of ours but two headers.
 * Compiled as C and as C++ by compile.sh, which also runs it; every type, enumerator, code
 * and free function of docs/spec/cloudos.md occurs.
 */
#include <cloudos/cloudos.h>
#include <cloudos/seed-names.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
#define DELETE delete_
#else
#define DELETE delete
#endif

static int own_delete(const char *path)
{
	return path ? CLOUDOS_SUCCESS : CLOUDOS_EINVAL;
}

static int uses_types(void)
{
	struct container_config container;
	container_config_t *same_container = &container;
	struct ai_config ai;
	struct ai_model_info model;
	struct ai_optimization optimization;
	ai_model_config_t model_config;
	struct service_config config;
	struct service_info info;
	struct service_update update;
	struct container_status status;
	struct node_metrics metrics;
	struct cluster_info cluster;
	struct network_stats stats;
	struct device device;
	struct vm_area area;
	cloud_service_config_t cloud;
	network_interface_t interface_;
	service_registration_t registration;
	load_balance_config_t balance;
	error_info_t error;
	capability_t capability = 1;
	crypto_algorithm_t algorithm = 1;
	vfs_operations_t vfs;
	file_operations_t file;
	network_operations_t network;
	auth_operations_t auth;
	authz_operations_t authz;
	crypto_operations_t crypto;
	device_operations_t device_ops;
	device_io_operations_t device_io;
	container_operations_t container_ops;
	ai_operations_t ai_ops;
	cloud_operations_t cloud_ops;

	memset(&vfs, 0, sizeof(vfs));
	vfs.DELETE = own_delete;
	memset(&balance, 0, sizeof(balance));
	balance.algorithm = LB_ROUND_ROBIN;
	balance.algorithm = LB_LEAST_CONNECTIONS;
	balance.algorithm = LB_WEIGHTED_ROUND_ROBIN;
	balance.algorithm = LB_IP_HASH;
	(void) same_container;
	return vfs.DELETE(NULL) == CLOUDOS_EINVAL && capability == 1 &&
	       algorithm == 1 &&
	       sizeof(ai) + sizeof(model) + sizeof(optimization) +
			       sizeof(model_config) + sizeof(config) + sizeof(info) +
			       sizeof(update) + sizeof(status) + sizeof(metrics) +
			       sizeof(cluster) + sizeof(stats) + sizeof(device) +
			       sizeof(area) + sizeof(cloud) + sizeof(interface_) +
			       sizeof(registration) + sizeof(error) + sizeof(file) +
			       sizeof(network) + sizeof(auth) + sizeof(authz) +
			       sizeof(crypto) + sizeof(device_ops) + sizeof(device_io) +
			       sizeof(container_ops) + sizeof(ai_ops) +
			       sizeof(cloud_ops) >
		       0;
}

static int talks(void)
{
	union {
		uint8_t room[sizeof(message_t) + 16];
		uint32_t aligned;
	} buffer;
	message_t *message = (message_t *) (void *) &buffer;
	uint32_t pid = 0;

	memset(&buffer, 0, sizeof(buffer));
	message->type = MSG_REQUEST;
	message->type = MSG_RESPONSE;
	message->type = MSG_NOTIFICATION;
	message->type = MSG_ERROR;
	message->size = 1;
	message->data[0] = 'x';
	return ipc_register_service("seed") < 0 &&
	       ipc_discover_service("seed", &pid) < 0 && ipc_send(1, message) < 0 &&
	       ipc_receive(&pid, message, sizeof(buffer)) < 0 &&
	       ipc_reply(1, message) < 0;
}

static int shares(void)
{
	return shm_create("seed", 4096, 0600) < 0 && shm_open("seed", 0) < 0 &&
	       shm_map(-1, 4096, PROT_READ, MAP_SHARED) == NULL &&
	       shm_unmap(NULL, 4096) < 0 && shm_unlink("seed") < 0;
}

static int serves(void)
{
	service_registration_t registration;
	service_registration_t found[2];
	struct service_config config;
	struct service_info info;
	load_balance_config_t balance;
	size_t count = 2;
	bool healthy = true;
	char address[64];

	memset(&registration, 0, sizeof(registration));
	memset(&config, 0, sizeof(config));
	memset(&info, 0, sizeof(info));
	memset(&balance, 0, sizeof(balance));
	strcpy(registration.name, "seed");
	config.size = sizeof(config);
	info.size = sizeof(info);
	return service_register(&registration) < 0 &&
	       service_discover("seed", found, &count) < 0 &&
	       service_health_check("seed", &healthy) < 0 &&
	       service_deregister("seed") < 0 &&
	       sys_cloud_register_service("seed", &config) < 0 &&
	       sys_cloud_discover_service("seed", &info) < 0 &&
	       sys_cloud_scale("seed", 2) < 0 && lb_create_pool("p", &balance) < 0 &&
	       lb_add_backend("p", "a", 1) < 0 && lb_remove_backend("p", "a") < 0 &&
	       lb_get_backend("p", address, sizeof(address)) < 0;
}

static int contains_and_infers(void)
{
	struct container_config config;
	struct ai_config ai;
	char out[4];

	memset(&config, 0, sizeof(config));
	memset(&ai, 0, sizeof(ai));
	return sys_container_create("c", &config) < 0 && sys_container_start(1) < 0 &&
	       sys_container_stop(1) < 0 && sys_container_destroy(1) < 0 &&
	       sys_ai_load_model("m", &ai) < 0 &&
	       sys_ai_inference(1, "in", out, sizeof(out)) < 0 &&
	       sys_ai_unload_model(1) < 0;
}

static int is_posix(void)
{
	struct dirent entry;
	struct rusage usage;
	char *arguments[] = { NULL };
	char byte;
	int status;
	long child = sys_fork();
	void *page;

	if (child == 0)
		sys_exit(7);
	page = sys_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	return sys_wait4((pid_t) child, &status, 0, &usage) == child &&
	       page != MAP_FAILED && sys_mprotect(page, 4096, PROT_READ) == 0 &&
	       sys_munmap(page, 4096) == 0 && sys_brk(NULL) > 0 && sys_getpid() > 0 &&
	       sys_getppid() >= 0 && sys_getuid() >= 0 && sys_getgid() >= 0 &&
	       sys_execve("/nonexistent", arguments, arguments) == CLOUDOS_ENOENT &&
	       sys_open("/nonexistent", 0, 0) == CLOUDOS_ENOENT &&
	       sys_read(-1, &byte, 1) == CLOUDOS_EINVAL &&
	       sys_write(-1, &byte, 1) == CLOUDOS_EINVAL &&
	       sys_lseek(-1, 0, 0) == CLOUDOS_EINVAL &&
	       sys_close(-1) == CLOUDOS_EINVAL &&
	       sys_mkdir("/", 0700) == CLOUDOS_EEXIST &&
	       sys_rmdir("/nonexistent") == CLOUDOS_ENOENT && sys_opendir("/") < 0 &&
	       sys_readdir(-1, &entry) < 0 && sys_socket(-1, 0, 0) < 0 &&
	       sys_bind(-1, NULL, 0) < 0 && sys_listen(-1, 0) < 0 &&
	       sys_accept(-1, NULL, NULL) < 0 && sys_connect(-1, NULL, 0) < 0;
}

static int reports(void)
{
	error_info_t error;

	memset(&error, 0, sizeof(error));
	error.error_code = CLOUDOS_EIO;
	return report_error(&error) == CLOUDOS_EACCES &&
	       get_last_error(&error) == CLOUDOS_SUCCESS &&
	       error.error_code == CLOUDOS_EACCES && clear_error() == CLOUDOS_SUCCESS;
}

int main(void)
{
	int good = uses_types() && talks() && shares() && serves() &&
		   contains_and_infers() && is_posix() && reports();

	puts(good ? "seed names: ok"
		  : "seed names: something did not fail as it should");
	return good ? 0 : 1;
}
