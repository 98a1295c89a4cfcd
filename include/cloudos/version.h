/* SPDX-License-Identifier: MIT */
/*
 * Versions of the interfaces ("Interface Versioning"): those this header was written for,
 * as macros, and those the daemon answers with, by call.  A packed version is
 * major << 16 | minor << 8 | patch.
 */
#ifndef CLOUDOS_VERSION_H
#define CLOUDOS_VERSION_H

#include <cloudos/base.h>

#define CLOUDOS_VERSION(major, minor, patch)                                           \
	((uint32_t) (major) << 16 | (uint32_t) (minor) << 8 | (uint32_t) (patch))
#define CLOUDOS_VERSION_MAJOR(version) ((uint32_t) (version) >> 16)
#define CLOUDOS_VERSION_MINOR(version) ((uint32_t) (version) >> 8 & 0xff)
#define CLOUDOS_VERSION_PATCH(version) ((uint32_t) (version) &0xff)

enum cloudos_interface {
	CLOUDOS_INTERFACE_SYSCALL = 1,   /* System Call Interface */
	CLOUDOS_INTERFACE_SERVICE = 2,   /* Service APIs */
	CLOUDOS_INTERFACE_IPC = 3,       /* IPC Protocol */
	CLOUDOS_INTERFACE_CONTAINER = 4, /* Container Runtime API, preview */
	CLOUDOS_INTERFACE_AI = 5,        /* AI/ML Integration API, preview */
	CLOUDOS_INTERFACE_CLOUD = 6      /* Cloud Integration API, preview */
};

#define CLOUDOS_SYSCALL_VERSION   CLOUDOS_VERSION(1, 0, 0)
#define CLOUDOS_SERVICE_VERSION   CLOUDOS_VERSION(1, 0, 0)
#define CLOUDOS_IPC_VERSION       CLOUDOS_VERSION(1, 0, 0)
#define CLOUDOS_CONTAINER_VERSION CLOUDOS_VERSION(0, 9, 0)
#define CLOUDOS_AI_VERSION        CLOUDOS_VERSION(0, 8, 0)
#define CLOUDOS_CLOUD_VERSION     CLOUDOS_VERSION(0, 7, 0)

CLOUDOS_BEGIN_DECLS

/*
 * The version of an interface (enum cloudos_interface) that the daemon speaks, packed.
 *   CLOUDOS_EINVAL  there is no such interface
 * Specification: "Current Interface Versions".
 */
CLOUDOS_API int cloudos_interface_version(uint32_t interface_id);

/*
 * 0 when the daemon's interface has that major version and at least that minor version.
 *   CLOUDOS_EINVAL  there is no such interface, or it has another major version or an
 *                   older minor one; the recorded sentence names both versions
 * Specification: "API Version Management".
 */
CLOUDOS_API int cloudos_interface_require(uint32_t interface_id, uint32_t major,
					  uint32_t minor);

/*
 * A positive number of this domain, of the world of one daemon: programs that see the same
 * number see the same services.  It changes when the domain's folder is new.
 */
CLOUDOS_API long cloudos_domain(void);

/*
 * Requires versions[i] of interface i + 1, for count interfaces; stops at the first that
 * is refused and returns its code.  0 when all are there.  Call it as
 *
 *	if (CLOUDOS_REQUIRE() != CLOUDOS_SUCCESS)
 *		... cloudos_get_last_error() has the sentence
 *
 * which asks for the versions that the program was compiled against.
 */
CLOUDOS_API int cloudos_require_versions(const uint32_t *versions, size_t count);

static inline int cloudos_require_compiled(void)
{
	static const uint32_t versions[] = {
		CLOUDOS_SYSCALL_VERSION, CLOUDOS_SERVICE_VERSION,
		CLOUDOS_IPC_VERSION,     CLOUDOS_CONTAINER_VERSION,
		CLOUDOS_AI_VERSION,      CLOUDOS_CLOUD_VERSION,
	};

	return cloudos_require_versions(versions,
					sizeof(versions) / sizeof(versions[0]));
}

#define CLOUDOS_REQUIRE() cloudos_require_compiled()

CLOUDOS_END_DECLS

#endif
