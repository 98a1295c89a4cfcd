/* SPDX-License-Identifier: MIT */
/*
 * Containers ("Container management" and "Container Runtime API", preview 0.9.0).
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_CONTAINER_H
#define CLOUDOS_CONTAINER_H

#include <cloudos/base.h>

/* Container Configuration */
typedef struct container_config {
	char name[256];
	char image[512];
	char command[1024];
	char working_dir[256];
	char *env[64];         /* "NAME=value"; ends at the first NULL or after 64 */
	uint32_t memory_limit; /* MiB; 0: none */
	uint32_t cpu_limit;    /* percent of one CPU; 0: none */
	bool privileged;
	char network_mode[32]; /* "none", "host", "private"; empty: the default */
} container_config_t;

CLOUDOS_OFFSET(container_config_t, name, 0);
CLOUDOS_OFFSET(container_config_t, image, 256);
CLOUDOS_OFFSET(container_config_t, command, 768);
CLOUDOS_OFFSET(container_config_t, working_dir, 1792);
CLOUDOS_OFFSET(container_config_t, env, 2048);
CLOUDOS_OFFSET(container_config_t, memory_limit, 2560);
CLOUDOS_OFFSET(container_config_t, cpu_limit, 2564);
CLOUDOS_OFFSET(container_config_t, privileged, 2568);
CLOUDOS_OFFSET(container_config_t, network_mode, 2569);
CLOUDOS_SIZEOF(container_config_t, 2608);

enum container_state {
	CONTAINER_CREATED = 1,
	CONTAINER_RUNNING = 2,
	CONTAINER_PAUSED = 3,
	CONTAINER_STOPPED = 4
};

/* Set size to sizeof before the call. */
typedef struct container_status {
	uint32_t size;
	uint32_t state;      /* enum container_state */
	int32_t exit_status; /* of its first process, as wait(2) tells it; 0 while it runs */
	uint32_t pid;        /* of its first process, seen from the caller; 0: none */
	uint64_t started;      /* nanoseconds since the epoch; 0: never */
	uint64_t cpu_time;     /* nanoseconds */
	uint64_t memory_bytes; /* in use */
	uint32_t processes;
	uint32_t restarts;
} container_status_t;

CLOUDOS_OFFSET(container_status_t, size, 0);
CLOUDOS_OFFSET(container_status_t, state, 4);
CLOUDOS_OFFSET(container_status_t, exit_status, 8);
CLOUDOS_OFFSET(container_status_t, pid, 12);
CLOUDOS_OFFSET(container_status_t, started, 16);
CLOUDOS_OFFSET(container_status_t, cpu_time, 24);
CLOUDOS_OFFSET(container_status_t, memory_bytes, 32);
CLOUDOS_OFFSET(container_status_t, processes, 40);
CLOUDOS_OFFSET(container_status_t, restarts, 44);
CLOUDOS_SIZEOF(container_status_t, 48);

/* Container Operations.  Configurations are borrowed; a status is the caller's. */
typedef struct container_operations {
	int (*create)(const container_config_t *config);
	int (*start)(int container_id);
	int (*stop)(int container_id, int timeout);
	int (*restart)(int container_id);
	int (*pause)(int container_id);
	int (*unpause)(int container_id);
	int (*destroy)(int container_id);
	int (*get_status)(int container_id, struct container_status *status);
} container_operations_t;

CLOUDOS_BEGIN_DECLS

/* ---- CloudOS-Specific Extensions: Container management ---- */

/* The new container's id.  name may be NULL: config->name then. */
CLOUDOS_API long cloudos_sys_container_create(const char *name,
					      const struct container_config *config);
CLOUDOS_API long cloudos_sys_container_start(int container_id);
CLOUDOS_API long cloudos_sys_container_stop(int container_id);
CLOUDOS_API long cloudos_sys_container_destroy(int container_id);

/* ---- Container Runtime API ---- */

/* The new container's id. */
CLOUDOS_API int cloudos_container_create(const container_config_t *config);
CLOUDOS_API int cloudos_container_start(int container_id);

/* timeout: seconds between asking and killing. */
CLOUDOS_API int cloudos_container_stop(int container_id, int timeout);
CLOUDOS_API int cloudos_container_restart(int container_id);
CLOUDOS_API int cloudos_container_pause(int container_id);
CLOUDOS_API int cloudos_container_unpause(int container_id);
CLOUDOS_API int cloudos_container_destroy(int container_id);
CLOUDOS_API int cloudos_container_get_status(int container_id,
					     struct container_status *status);

/* The functions above as the specification's table; never NULL, never freed. */
CLOUDOS_API const container_operations_t *cloudos_container_operations(void);

CLOUDOS_END_DECLS

#endif
