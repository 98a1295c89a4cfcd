/* SPDX-License-Identifier: MIT */
/*
 * Registering and finding services ("Service Discovery Protocol", and the service half
 * of "Cloud integration").  All of them act on one registry: what one interface
 * registered, every other one finds.
 *
 * A service has one instance per process: registering a name again from the same process
 * replaces its instance.  An instance ends with its process, on deregistration, or when
 * its ttl lapses twice.  A name is 1 to 63 bytes of UTF-8 without control characters,
 * space and '/', and not "." or "..".
 */
#ifndef CLOUDOS_SERVICE_H
#define CLOUDOS_SERVICE_H

#include <cloudos/base.h>

/* Service Registration */
typedef struct service_registration {
	char name[64];
	char version[16]; /* of the service, any text; may be empty */
	uint32_t pid;  /* of its process; on registration 0 (the caller) or its own */
	uint32_t port; /* 0 to 65535 */
	char endpoint[256];     /* how to reach it, any text; may be empty */
	char health_check[256]; /* empty: the process lives; or tcp://host:port,
				 * http://... or https://... */
	uint32_t ttl;           /* seconds; 0: as long as the process lives */
	char metadata[1024];    /* any text; may be empty */
} service_registration_t;

CLOUDOS_OFFSET(service_registration_t, name, 0);
CLOUDOS_OFFSET(service_registration_t, version, 64);
CLOUDOS_OFFSET(service_registration_t, pid, 80);
CLOUDOS_OFFSET(service_registration_t, port, 84);
CLOUDOS_OFFSET(service_registration_t, endpoint, 88);
CLOUDOS_OFFSET(service_registration_t, health_check, 344);
CLOUDOS_OFFSET(service_registration_t, ttl, 600);
CLOUDOS_OFFSET(service_registration_t, metadata, 604);
CLOUDOS_SIZEOF(service_registration_t, 1628);

enum service_health {
	SERVICE_HEALTH_CHECKING = 0, /* the first result is not there yet */
	SERVICE_HEALTH_HEALTHY = 1,
	SERVICE_HEALTH_CRITICAL = 2 /* the check failed, or a ttl was missed */
};

/* For sys_cloud_register_service.  Set size to sizeof; a shorter struct of an older
 * program works, and so does a longer one: what is not there counts as zero. */
typedef struct service_config {
	uint32_t size;
	uint32_t port;
	uint32_t ttl;       /* seconds; 0: as long as the process lives */
	uint32_t instances; /* wanted, for whoever scales the service; 0: no wish */
	char name[64];      /* empty, or the name that is passed beside this struct */
	char version[16];
	char endpoint[256];
	char health_check[256];
	char metadata[1024];
} service_config_t;

CLOUDOS_OFFSET(service_config_t, size, 0);
CLOUDOS_OFFSET(service_config_t, port, 4);
CLOUDOS_OFFSET(service_config_t, ttl, 8);
CLOUDOS_OFFSET(service_config_t, instances, 12);
CLOUDOS_OFFSET(service_config_t, name, 16);
CLOUDOS_OFFSET(service_config_t, version, 80);
CLOUDOS_OFFSET(service_config_t, endpoint, 96);
CLOUDOS_OFFSET(service_config_t, health_check, 352);
CLOUDOS_OFFSET(service_config_t, metadata, 608);
CLOUDOS_SIZEOF(service_config_t, 1632);

/* One instance in service_info. */
typedef struct service_info_instance {
	uint32_t pid;
	uint32_t port;
	uint32_t health; /* enum service_health */
	uint32_t ttl;
	char version[16];
	char endpoint[256];
} service_info_instance_t;

CLOUDOS_OFFSET(service_info_instance_t, pid, 0);
CLOUDOS_OFFSET(service_info_instance_t, port, 4);
CLOUDOS_OFFSET(service_info_instance_t, health, 8);
CLOUDOS_OFFSET(service_info_instance_t, ttl, 12);
CLOUDOS_OFFSET(service_info_instance_t, version, 16);
CLOUDOS_OFFSET(service_info_instance_t, endpoint, 32);
CLOUDOS_SIZEOF(service_info_instance_t, 288);

#define CLOUDOS_INFO_INSTANCES 16

/* From sys_cloud_discover_service.  Set size to sizeof before the call; no more than size
 * bytes are written, and afterwards size says how many were. */
typedef struct service_info {
	uint32_t size;
	uint32_t port; /* these up to metadata: of the first of list[] */
	uint32_t ttl;
	uint32_t instances; /* that exist now */
	char name[64];
	char version[16];
	char endpoint[256];
	char health_check[256];
	char metadata[1024];
	uint32_t healthy; /* of the instances */
	uint32_t listed;  /* entries of list[] that are filled */
	service_info_instance_t list[CLOUDOS_INFO_INSTANCES]; /* healthy first */
} service_info_t;

CLOUDOS_OFFSET(service_info_t, size, 0);
CLOUDOS_OFFSET(service_info_t, port, 4);
CLOUDOS_OFFSET(service_info_t, ttl, 8);
CLOUDOS_OFFSET(service_info_t, instances, 12);
CLOUDOS_OFFSET(service_info_t, name, 16);
CLOUDOS_OFFSET(service_info_t, version, 80);
CLOUDOS_OFFSET(service_info_t, endpoint, 96);
CLOUDOS_OFFSET(service_info_t, health_check, 352);
CLOUDOS_OFFSET(service_info_t, metadata, 608);
CLOUDOS_OFFSET(service_info_t, healthy, 1632);
CLOUDOS_OFFSET(service_info_t, listed, 1636);
CLOUDOS_OFFSET(service_info_t, list, 1640);
CLOUDOS_SIZEOF(service_info_t, 6248);

CLOUDOS_BEGIN_DECLS

/*
 * Registers the calling process as an instance of registration->name, or replaces its
 * instance of that name; with a ttl, registering again is also the sign of life.
 * registration is borrowed.  Returns 0.
 *   CLOUDOS_EINVAL  a name that is none, a text that has no NUL inside its array, a port
 *                   above 65535, a health_check of another kind
 *   CLOUDOS_EACCES  pid is another process
 *   CLOUDOS_EBUSY   the process has as many instances as it may
 *   CLOUDOS_ENFILE  so has the domain
 *   CLOUDOS_EFAULT  registration does not point to readable memory
 * Specification: "Service Discovery Protocol".
 */
CLOUDOS_API int cloudos_service_register(const service_registration_t *registration);

/*
 * Removes the caller's instance of that name; those of other processes stay.  Returns 0.
 *   CLOUDOS_ENOENT  the calling process has none
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG  that is no name; it has more than 63 bytes
 * Specification: "Service Discovery Protocol".
 */
CLOUDOS_API int cloudos_service_deregister(const char *name);

/*
 * Fills services[] with instances of name, healthy ones first, critical ones last, within
 * each the oldest first, and sets *count to how many exist.  Before the call *count is how
 * many fit in services; at most that many are written.  services may be NULL when *count
 * is 0: that asks for the number only.  Returns 0; a name that nobody registered is 0 with *count 0.
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG  the name, as above
 *   CLOUDOS_EFAULT  a pointer does not lead to readable or writable memory
 * Specification: "Service Discovery Protocol".
 */
CLOUDOS_API int cloudos_service_discover(const char *name,
					 service_registration_t *services,
					 size_t *count);

/*
 * Sets *healthy: whether one instance of name is.  An instance without a health_check is
 * healthy while its process lives; the others are checked by the daemon at intervals.
 * Blocks while no instance is healthy and one waits for the result of its first check,
 * which is there or timed out in seconds.  Returns 0.
 *   CLOUDOS_ENOENT  nobody registered that name
 *   CLOUDOS_EBUSY   a signal interrupted the wait; call again
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 * Specification: "Service Discovery Protocol".
 */
CLOUDOS_API int cloudos_service_health_check(const char *name, bool *healthy);

/*
 * The same registry by other words: registers the caller as an instance of service_name
 * as config says (see service_config_t); what cloudos_service_register answers.
 *   CLOUDOS_EINVAL  as there; or config->name is another name; or size is below 4
 * Specification: "CloudOS-Specific Extensions".
 */
CLOUDOS_API long
cloudos_sys_cloud_register_service(const char *service_name,
				   const struct service_config *config);

/*
 * What there is of service_name (see service_info_t).  Returns 0.
 *   CLOUDOS_ENOENT  nobody registered that name
 *   CLOUDOS_EINVAL  the name is empty, or info->size is below 4
 *   CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 * Specification: "CloudOS-Specific Extensions".
 */
CLOUDOS_API long cloudos_sys_cloud_discover_service(const char *service_name,
						    struct service_info *info);

CLOUDOS_END_DECLS

#endif
