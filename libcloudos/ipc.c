/* SPDX-License-Identifier: MIT */
/* Messages and shared memory.  Linked into CloudOS programs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "call.h"
#include "direct.h"

int cloudos_ipc_send(uint32_t dest_pid, const message_t *msg)
{
	int result;

	if (cloudos__direct_send(dest_pid, msg, &result))
		return result;
	return (int) CALL(ipc_send, ARG(dest_pid), ARG(msg));
}

int cloudos_ipc_receive(uint32_t *sender_pid, message_t *msg, size_t max_size)
{
	int result;

	if (cloudos__direct_receive(sender_pid, msg, max_size, &result))
		return result;
	return (int) CALL_AS(CLOUDOS__BLOCKING, ipc_receive, ARG(sender_pid), ARG(msg),
			     ARG(max_size));
}

int cloudos_ipc_reply(uint32_t dest_pid, const message_t *reply)
{
	int result;

	if (cloudos__direct_reply(dest_pid, reply, &result))
		return result;
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

/* As the daemon checks where it maps (shm_map in the specification's numbers). */
static bool can_be_mapped(int fd, size_t size, int prot, int flags)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 && errno == EBADF)
		(void) cloudos__fail(CLOUDOS_EINVAL,
				     "shm_map: descriptor %d is not open", fd);
	else if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0)
		(void) cloudos__fail(CLOUDOS_EINVAL,
				     "shm_map: descriptor %d is no shared memory", fd);
	else if (size == 0 || size > (uint64_t) st.st_size)
		(void) cloudos__fail(CLOUDOS_EINVAL,
				     "shm_map: %zu bytes of shared memory that has "
				     "%lld",
				     size, (long long) st.st_size);
	else if ((prot & ~(PROT_READ | PROT_WRITE)) ||
		 (flags != MAP_SHARED && flags != MAP_PRIVATE))
		(void) cloudos__fail(CLOUDOS_EINVAL,
				     "shm_map: prot %#x is more than PROT_READ and "
				     "PROT_WRITE, or flags %#x are not MAP_SHARED or "
				     "MAP_PRIVATE",
				     (unsigned) prot, (unsigned) flags);
	else
		return true;
	return false; /* the code is in the record */
}

/* The program's own mmap, under every engine: only it can change its memory. */
void *cloudos_shm_map(int shm_fd, size_t size, int prot, int flags)
{
	void *mapped;

	if (!flags)
		flags = MAP_SHARED;
	if (!can_be_mapped(shm_fd, size, prot, flags))
		return NULL;
	mapped = mmap(NULL, size, prot, flags, shm_fd, 0);
	if (mapped != MAP_FAILED)
		return mapped;
	(void) cloudos__fail_errno("shm_map", errno); /* NULL says it */
	return NULL;
}

int cloudos_shm_unmap(void *addr, size_t size)
{
	if (!addr) /* Linux would say that nothing has been unmapped, successfully */
		return cloudos__fail(CLOUDOS_EINVAL,
				     "shm_unmap: no shared memory is mapped at NULL");
	return munmap(addr, size) == 0 ? CLOUDOS_SUCCESS
				       : cloudos__fail_errno("shm_unmap", errno);
}

int cloudos_shm_unlink(const char *name)
{
	return (int) CALL(shm_unlink, ARG(name));
}
