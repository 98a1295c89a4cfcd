/* SPDX-License-Identifier: MIT */
/*
 * The POSIX layer ("POSIX Compatibility Layer").  CloudOS programs are Linux programs
 * here: these functions are calls of the Linux kernel, and errno is set as Linux does.
 * They differ from libc's in one way: a failure is returned as the nearest CLOUDOS_E*
 * code (cloudos_error_from_errno), and cloudos_get_last_error() says which errno it was,
 * name and number.  A signal that interrupts one of them is CLOUDOS_EBUSY ("EINTR"), and
 * so is EAGAIN; nothing is restarted that SA_RESTART does not restart.
 *
 * opendir and readdir, which Linux lacks as calls, are private ones.
 */
#ifndef CLOUDOS_POSIX_H
#define CLOUDOS_POSIX_H

#include <cloudos/base.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>

CLOUDOS_OFFSET(struct dirent, d_ino, 0);
CLOUDOS_OFFSET(struct dirent, d_reclen, 16);
CLOUDOS_OFFSET(struct dirent, d_type, 18);
CLOUDOS_OFFSET(struct dirent, d_name, 19);
CLOUDOS_SIZEOF(struct dirent, 280);

CLOUDOS_BEGIN_DECLS

/* ---- Process Management ---- */

/* Ends the process, all threads of it, without running atexit handlers. */
CLOUDOS_API long cloudos_sys_exit(int status) __attribute__((noreturn));

/* fork(), with everything libc does around it.  The child's pid, 0 in the child. */
CLOUDOS_API long cloudos_sys_fork(void);

/* Returns only when it failed. */
CLOUDOS_API long cloudos_sys_execve(const char *filename, char *const argv[],
				    char *const envp[]);

/* The pid of the child that changed; 0 with WNOHANG and none did.  status and rusage may
 * be NULL.  A child that does not exist (ECHILD) is CLOUDOS_ENOENT. */
CLOUDOS_API long cloudos_sys_wait4(pid_t pid, int *status, int options,
				   struct rusage *rusage);

/* These cannot fail. */
CLOUDOS_API long cloudos_sys_getpid(void);
CLOUDOS_API long cloudos_sys_getppid(void);
CLOUDOS_API long cloudos_sys_getuid(void);
CLOUDOS_API long cloudos_sys_getgid(void);

/* ---- Memory Management ---- */

/* MAP_FAILED on failure; the code is in cloudos_get_last_error(). */
CLOUDOS_API void *cloudos_sys_mmap(void *addr, size_t length, int prot, int flags,
				   int fd, off_t offset);
CLOUDOS_API long cloudos_sys_munmap(void *addr, size_t length);
CLOUDOS_API long cloudos_sys_mprotect(void *addr, size_t len, int prot);

/* Moves the end of the data segment to addr and returns it; NULL asks where it is.  libc's
 * own allocator moves it too: a C library that keeps it to itself (musl) answers
 * CLOUDOS_ENOMEM to every move. */
CLOUDOS_API long cloudos_sys_brk(void *addr);

/* ---- File System Operations ---- */

/* A descriptor.  mode counts only with O_CREAT or O_TMPFILE. */
CLOUDOS_API long cloudos_sys_open(const char *pathname, int flags, mode_t mode);
CLOUDOS_API long cloudos_sys_close(int fd);

/* Bytes that were moved; 0 at the end of the file. */
CLOUDOS_API long cloudos_sys_read(int fd, void *buf, size_t count);
CLOUDOS_API long cloudos_sys_write(int fd, const void *buf, size_t count);

/* The new position from the beginning. */
CLOUDOS_API long cloudos_sys_lseek(int fd, off_t offset, int whence);

CLOUDOS_API long cloudos_sys_mkdir(const char *pathname, mode_t mode);
CLOUDOS_API long cloudos_sys_rmdir(const char *pathname);

/*
 * Opens a folder and returns a descriptor for cloudos_sys_readdir; a real descriptor of
 * the calling process, closed by cloudos_sys_close and on exec.  A relative name starts
 * at the caller's working folder.
 *   CLOUDOS_ENOENT, CLOUDOS_ENOTDIR, CLOUDOS_EACCES, CLOUDOS_ELOOP,
 *   CLOUDOS_ENAMETOOLONG, CLOUDOS_EMFILE, CLOUDOS_EFAULT   as open(2)
 */
CLOUDOS_API long cloudos_sys_opendir(const char *name);

/*
 * Stores the next entry of the folder in *dirp and returns 1; 0 at the end.  "." and ".."
 * are among them; the order is the file system's.
 *   CLOUDOS_EINVAL   fd is not an open descriptor
 *   CLOUDOS_ENOTDIR  fd is not a folder
 *   CLOUDOS_EFAULT   dirp does not point to writable memory; the entry is not lost
 */
CLOUDOS_API long cloudos_sys_readdir(int fd, struct dirent *dirp);

/* ---- Network Operations ---- */

CLOUDOS_API long cloudos_sys_socket(int domain, int type, int protocol);
CLOUDOS_API long cloudos_sys_bind(int sockfd, const struct sockaddr *addr,
				  socklen_t addrlen);
CLOUDOS_API long cloudos_sys_listen(int sockfd, int backlog);

/* A descriptor of the connection.  addr and addrlen may be NULL together. */
CLOUDOS_API long cloudos_sys_accept(int sockfd, struct sockaddr *addr,
				    socklen_t *addrlen);
CLOUDOS_API long cloudos_sys_connect(int sockfd, const struct sockaddr *addr,
				     socklen_t addrlen);

CLOUDOS_END_DECLS

#endif
