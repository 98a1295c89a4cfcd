/* SPDX-License-Identifier: MIT */
/*
 * config.json of a container, as the OCI runtime specification has it, made of CONFIG and of
 * what its image says.  HOST.  Pure, on any thread; who calls it has looked at the files.
 */
#ifndef CO_SERVICE_CONTAINER_SPEC_H
#define CO_SERVICE_CONTAINER_SPEC_H

#include "cloudosd/service/container_config.h"
#include "cloudosd/service/container_image.h"
#include "cloudosd/service/container_runtime.h"

struct container_user {
	uint32_t uid, gid;
	uint32_t groups[64];
	size_t ngroups;
	char home[256]; /* "" is "/" */
};

struct container_id_map {
	uint32_t inside, outside, count;
};

struct container_device {
	char path[64];
	char type; /* 'c', 'b' */
	uint32_t major, minor, mode, uid, gid;
};

/* Where things are, and what was found out. */
struct container_place {
	const char *bundle;        /* with hosts, resolv.conf, hostname, upper, work */
	const char *const *layers; /* uppermost first; NULL ends */
	const char *volumes;       /* folder of the domain's volumes */
	uint32_t id;               /* the container's */
	bool fills;                /* the runtime knows "copyup" */
	const char *hostname;      /* unless CONFIG has one */
	const char *name;          /* the container's */
	const struct container_service *service; /* NULL: none */
	const char *socket;        /* the daemon's, which answers calls */
	const char *cgroup;        /* cgroupsPath */
	struct container_user user;
	struct container_id_map uids[2],
		gids[2];          /* count 0: none; no first one: no user
						   * name space */
	const char *network_mode; /* "none", "bridge" ... */
	struct co_span network;   /* the member cloudos.network; {NULL, 0}: none */
	const char *network_path; /* mode container: its network name space */
	const char *
		user_path; /* its user name space, without which others may not join it */
	int64_t joined;    /* the process whose name spaces these are ... */
	uint64_t joined_start;  /* ... as long as it began then */
	struct co_span seccomp; /* a profile of the user's; {NULL, 0}: none */
	const struct container_device *devices; /* of a privileged one */
	size_t ndevices;
	bool root;             /* the daemon is root: mounts can be idmapped */
	uint64_t capabilities; /* of the daemon: no more without a user name space */
};

/* The object linux.resources, out of the limits. */
void container_resources(const struct container_settings *config, struct co_buf *out);

/* CO_INVALID and a sentence: no program is named, a capability is unknown ... */
int container_spec(const struct container_settings *config,
		   const struct container_defaults *defaults,
		   const struct container_place *place, struct co_buf *out,
		   struct co_err *err);

#endif
