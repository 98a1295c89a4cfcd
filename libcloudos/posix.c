/* SPDX-License-Identifier: MIT */
/*
 * The POSIX layer: libc's calls with the codes of CloudOS, and opendir and readdir, which
 * the daemon answers.  Linked into CloudOS programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"

static long checked(const char *name, long result)
{
	return result >= 0 ? result : cloudos__fail_errno(name, errno);
}

/* ---- Process Management ---- */

long cloudos_sys_exit(int status)
{
	_exit(status);
}

long cloudos_sys_fork(void)
{
	return checked("sys_fork", fork());
}

long cloudos_sys_execve(const char *filename, char *const argv[], char *const envp[])
{
	return checked("sys_execve", execve(filename, argv, envp));
}

long cloudos_sys_wait4(pid_t pid, int *status, int options, struct rusage *rusage)
{
	return checked("sys_wait4", wait4(pid, status, options, rusage));
}

long cloudos_sys_getpid(void)
{
	return getpid();
}

long cloudos_sys_getppid(void)
{
	return getppid();
}

long cloudos_sys_getuid(void)
{
	return (long) getuid();
}

long cloudos_sys_getgid(void)
{
	return (long) getgid();
}

/* ---- Memory Management ---- */

void *cloudos_sys_mmap(void *addr, size_t length, int prot, int flags, int fd,
		       off_t offset)
{
	void *mapped = mmap(addr, length, prot, flags, fd, offset);

	if (mapped == MAP_FAILED)
		(void) cloudos__fail_errno("sys_mmap", errno); /* MAP_FAILED says it */
	return mapped;
}

long cloudos_sys_munmap(void *addr, size_t length)
{
	return checked("sys_munmap", munmap(addr, length));
}

long cloudos_sys_mprotect(void *addr, size_t len, int prot)
{
	return checked("sys_mprotect", mprotect(addr, len, prot));
}

/* By way of libc: its allocator must know where the break went, or it shrinks it again
 * under the program's feet. */
long cloudos_sys_brk(void *addr)
{
	void *end;

	if (addr && brk(addr) < 0)
		return cloudos__fail_errno("sys_brk", errno);
	end = sbrk(0);
	/* Linux says no by leaving it where it was, which libc does not always notice. */
	if (addr && end != addr)
		return cloudos__fail_errno("sys_brk", ENOMEM);
	return (long) (intptr_t) end;
}

/* ---- File System Operations ---- */

long cloudos_sys_open(const char *pathname, int flags, mode_t mode)
{
	return checked("sys_open", open(pathname, flags, mode));
}

long cloudos_sys_close(int fd)
{
	return checked("sys_close", close(fd));
}

long cloudos_sys_read(int fd, void *buf, size_t count)
{
	return checked("sys_read", read(fd, buf, count));
}

long cloudos_sys_write(int fd, const void *buf, size_t count)
{
	return checked("sys_write", write(fd, buf, count));
}

long cloudos_sys_lseek(int fd, off_t offset, int whence)
{
	return checked("sys_lseek", lseek(fd, offset, whence));
}

long cloudos_sys_mkdir(const char *pathname, mode_t mode)
{
	return checked("sys_mkdir", mkdir(pathname, mode));
}

long cloudos_sys_rmdir(const char *pathname)
{
	return checked("sys_rmdir", rmdir(pathname));
}

long cloudos_sys_opendir(const char *name)
{
	return CALL(sys_opendir, ARG(name));
}

long cloudos_sys_readdir(int fd, struct dirent *dirp)
{
	return CALL(sys_readdir, ARG(fd), ARG(dirp));
}

/* ---- Network Operations ---- */

long cloudos_sys_socket(int domain, int type, int protocol)
{
	return checked("sys_socket", socket(domain, type, protocol));
}

long cloudos_sys_bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
{
	return checked("sys_bind", bind(sockfd, addr, addrlen));
}

long cloudos_sys_listen(int sockfd, int backlog)
{
	return checked("sys_listen", listen(sockfd, backlog));
}

long cloudos_sys_accept(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
{
	return checked("sys_accept", accept(sockfd, addr, addrlen));
}

long cloudos_sys_connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
{
	return checked("sys_connect", connect(sockfd, addr, addrlen));
}
