/* SPDX-License-Identifier: MIT */
/*
 * Messages and shared memory ("Inter-Process Communication").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_IPC_H
#define CLOUDOS_IPC_H

#include <cloudos/base.h>

/* Message Types */
typedef enum {
	MSG_REQUEST = 1,
	MSG_RESPONSE = 2,
	MSG_NOTIFICATION = 3,
	MSG_ERROR = 4
} message_type_t;

/* Message Structure */
typedef struct message {
	uint32_t sender_pid; /* set by the system, never by the sender */
	uint32_t receiver_pid;
	message_type_t type;
	uint32_t id;
	uint32_t size; /* bytes of data */
	uint8_t data[];
} message_t;

CLOUDOS_OFFSET(message_t, sender_pid, 0);
CLOUDOS_OFFSET(message_t, receiver_pid, 4);
CLOUDOS_OFFSET(message_t, type, 8);
CLOUDOS_OFFSET(message_t, id, 12);
CLOUDOS_OFFSET(message_t, size, 16);
CLOUDOS_OFFSET(message_t, data, 20);
CLOUDOS_SIZEOF(message_t, 20);

CLOUDOS_BEGIN_DECLS

/* ---- Message Passing API ---- */

/* Queues msg, which is borrowed, for dest_pid and returns. */
CLOUDOS_API int cloudos_ipc_send(uint32_t dest_pid, const message_t *msg);

/* Waits for the oldest message and stores it in msg, which has room for max_size bytes
 * with its header; CLOUDOS_EFBIG keeps a longer one.  A signal is CLOUDOS_EBUSY. */
CLOUDOS_API int cloudos_ipc_receive(uint32_t *sender_pid, message_t *msg,
				    size_t max_size);

/* Answers the message whose id reply->id repeats. */
CLOUDOS_API int cloudos_ipc_reply(uint32_t dest_pid, const message_t *reply);

/*
 * Registers the calling process under service_name, in the registry of
 * <cloudos/service.h>: no port, no endpoint, alive as long as the process.  Returns 0.
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG  that is no name; it has more than 63 bytes
 *   CLOUDOS_EBUSY, CLOUDOS_ENFILE  the process, the domain, has as many as it may
 *   CLOUDOS_EFAULT  service_name does not point to readable memory
 */
CLOUDOS_API int cloudos_ipc_register_service(const char *service_name);

/*
 * Stores the pid of a healthy instance of service_name in *service_pid.  Returns 0.
 *   CLOUDOS_ENOENT  there is none
 *   CLOUDOS_EINVAL, CLOUDOS_ENAMETOOLONG, CLOUDOS_EFAULT  as above
 */
CLOUDOS_API int cloudos_ipc_discover_service(const char *service_name,
					     uint32_t *service_pid);

/* ---- Shared Memory API ---- */

/* A descriptor of a new segment of size bytes. */
CLOUDOS_API int cloudos_shm_create(const char *name, size_t size, mode_t mode);
CLOUDOS_API int cloudos_shm_open(const char *name, int flags);

/* NULL on failure; the code is in cloudos_get_last_error(). */
CLOUDOS_API void *cloudos_shm_map(int shm_fd, size_t size, int prot, int flags);
CLOUDOS_API int cloudos_shm_unmap(void *addr, size_t size);
CLOUDOS_API int cloudos_shm_unlink(const char *name);

CLOUDOS_END_DECLS

#endif
