/* SPDX-License-Identifier: MIT */
/* Messages and shared memory.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_ipc_send(uint32_t dest_pid, const message_t *msg)
{
	return (int) CALL(ipc_send, ARG(dest_pid), ARG(msg));
}

int cloudos_ipc_receive(uint32_t *sender_pid, message_t *msg, size_t max_size)
{
	return (int) CALL_AS(CLOUDOS__BLOCKING, ipc_receive, ARG(sender_pid), ARG(msg),
			     ARG(max_size));
}

int cloudos_ipc_reply(uint32_t dest_pid, const message_t *reply)
{
	return (int) CALL(ipc_reply, ARG(dest_pid), ARG(reply));
}

int cloudos_ipc_register_service(const char *service_name)
{
	return (int) CALL(ipc_register_service, ARG(service_name));
}

int cloudos_ipc_discover_service(const char *service_name, uint32_t *service_pid)
{
	return (int) CALL(ipc_discover_service, ARG(service_name), ARG(service_pid));
}

int cloudos_shm_create(const char *name, size_t size, mode_t mode)
{
	return (int) CALL(shm_create, ARG(name), ARG(size), ARG(mode));
}

int cloudos_shm_open(const char *name, int flags)
{
	return (int) CALL(shm_open, ARG(name), ARG(flags));
}

void *cloudos_shm_map(int shm_fd, size_t size, int prot, int flags)
{
	long mapped = CALL(shm_map, ARG(shm_fd), ARG(size), ARG(prot), ARG(flags));

	return mapped < 0 ? NULL : (void *) (intptr_t) mapped;
}

int cloudos_shm_unmap(void *addr, size_t size)
{
	return (int) CALL(shm_unmap, ARG(addr), ARG(size));
}

int cloudos_shm_unlink(const char *name)
{
	return (int) CALL(shm_unlink, ARG(name));
}
