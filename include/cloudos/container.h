/* SPDX-License-Identifier: MIT */
/*
 * Containers ("Container management" and "Container Runtime API", preview 0.9.0).
 * What fails returns a negative CLOUDOS_E*, and cloudos_get_last_error() says why in a sentence.
 */
#ifndef CLOUDOS_CONTAINER_H
#define CLOUDOS_CONTAINER_H

#include <cloudos/base.h>

/*
 * Container Configuration.  Every text has a NUL inside its array.  What is empty is as the
 * image says.
 */
typedef struct container_config {
	char name[256];        /* letters, digits, "_.-"; empty: one is chosen */
	char image[512];       /* "name:tag", or a root file system: a path from the root */
	char command[1024];    /* words, as a shell splits them; nothing is expanded */
	char working_dir[256];
	char *env[64];         /* "NAME=value"; ends at the first NULL or after 64 */
	uint32_t memory_limit; /* MiB; 0: none */
	uint32_t cpu_limit;    /* percent of one CPU; 0: none */
	bool privileged;       /* only for root, of a daemon of root */
	char network_mode[32]; /* "none", "host", "bridge", "private", "container:NAME";
				* empty: the default */
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

enum container_check {
	CONTAINER_CHECK_NONE = 0, /* nothing is checked, or it does not run */
	CONTAINER_CHECK_STARTING = 1,
	CONTAINER_CHECK_HEALTHY = 2,
	CONTAINER_CHECK_UNHEALTHY = 3
};

/*
 * Set size to sizeof before the call; it is what was filled in afterwards.  Members behind
 * `restarts` came later: a program that was built before has a smaller size.
 */
typedef struct container_status {
	uint32_t size;
	uint32_t state;      /* enum container_state */
	int32_t exit_status; /* of its first process, as wait(2) tells it; 0 while it runs */
	uint32_t pid;        /* of its first process, seen from the caller; 0: none */
	uint64_t started;      /* nanoseconds since the epoch; 0: never */
	uint64_t cpu_time;     /* nanoseconds */
	uint64_t memory_bytes; /* in use */
	uint32_t processes;
	uint32_t restarts;     /* by its policy, since somebody started it */
	uint32_t health;       /* enum container_check */
	uint32_t oom_killed;   /* 1: something in it was killed for want of memory */
	uint64_t created;      /* nanoseconds since the epoch */
	uint64_t finished;     /* the same; 0: never */
	uint64_t memory_limit; /* bytes; 0: none */
	uint32_t cpu_limit;    /* percent of one CPU; 0: none */
	int32_t id;
	char ip[48];     /* "" without an address of its own */
	char image[512]; /* as it was asked for, cut */
	char error[256]; /* why it could not be started or how it was lost, cut; "" */
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
CLOUDOS_OFFSET(container_status_t, health, 48);
CLOUDOS_OFFSET(container_status_t, oom_killed, 52);
CLOUDOS_OFFSET(container_status_t, created, 56);
CLOUDOS_OFFSET(container_status_t, finished, 64);
CLOUDOS_OFFSET(container_status_t, memory_limit, 72);
CLOUDOS_OFFSET(container_status_t, cpu_limit, 80);
CLOUDOS_OFFSET(container_status_t, id, 84);
CLOUDOS_OFFSET(container_status_t, ip, 88);
CLOUDOS_OFFSET(container_status_t, image, 136);
CLOUDOS_OFFSET(container_status_t, error, 648);
CLOUDOS_SIZEOF(container_status_t, 904);

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

/*
 * The new container's id; it is prepared, and waits to be started.  name goes before
 * config->name and may be NULL.  CLOUDOS_EINVAL: a member is wrong; CLOUDOS_ENOENT: no such
 * image; CLOUDOS_EEXIST: the name is taken; CLOUDOS_EACCES: the caller is not the daemon's
 * user, or is in a container or confined, or may not make privileged ones, or a limit cannot
 * be enforced here; CLOUDOS_EFAULT: a string of env cannot be read; CLOUDOS_ENFILE: there are
 * too many.
 *
 * All functions below fail with CLOUDOS_ENOENT when there is no such container and with
 * CLOUDOS_EACCES as above.  They return when it is done, and kept on the disk.
 */
CLOUDOS_API long cloudos_sys_container_create(const char *name,
					      const struct container_config *config);

/* As the functions without sys_; stop takes the timeout of the container. */
CLOUDOS_API long cloudos_sys_container_start(int container_id);
CLOUDOS_API long cloudos_sys_container_stop(int container_id);
CLOUDOS_API long cloudos_sys_container_destroy(int container_id);

/* ---- Container Runtime API ---- */

/* As sys_container_create. */
CLOUDOS_API int cloudos_container_create(const container_config_t *config);

/* 0 when its program runs, or did already.  CLOUDOS_ENOENT, CLOUDOS_EACCES: also when
 * the program is not there, or cannot be executed. */
CLOUDOS_API int cloudos_container_start(int container_id);

/* timeout: seconds between asking and killing, 0 kills at once, -1 is the container's own.
 * 0 when it has ended, or had before. */
CLOUDOS_API int cloudos_container_stop(int container_id, int timeout);

/* Stopped as it is by sys_container_stop, and started, with the files that it has written. */
CLOUDOS_API int cloudos_container_restart(int container_id);

/* All of its processes stand still, or go on.  CLOUDOS_EBUSY: it does not run, or is not
 * paused. */
CLOUDOS_API int cloudos_container_pause(int container_id);
CLOUDOS_API int cloudos_container_unpause(int container_id);

/* With its files.  CLOUDOS_EBUSY: it runs. */
CLOUDOS_API int cloudos_container_destroy(int container_id);

/* status->size is set before. */
CLOUDOS_API int cloudos_container_get_status(int container_id,
					     struct container_status *status);

/* The functions above as the specification's table; never NULL, never freed. */
CLOUDOS_API const container_operations_t *cloudos_container_operations(void);

CLOUDOS_END_DECLS

#endif
