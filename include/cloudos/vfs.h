/* SPDX-License-Identifier: MIT */
/*
 * The file system service ("File System Service API").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_VFS_H
#define CLOUDOS_VFS_H

#include <cloudos/base.h>
#include <sys/stat.h>
#include <sys/types.h>

/* VFS Operations */
typedef struct vfs_operations {
	int (*mount)(const char *source, const char *target, const char *fstype);
	int (*unmount)(const char *target);
	int (*create)(const char *path, mode_t mode);
#ifdef __cplusplus
	int (*delete_)(const char *path);
#else
	int (*delete)(const char *path);
#endif
	int (*rename)(const char *oldpath, const char *newpath);
	int (*stat)(const char *path, struct stat *buf);
} vfs_operations_t;

/* File Operations */
typedef struct file_operations {
	int (*open)(const char *path, int flags, mode_t mode);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t count);
	ssize_t (*write)(int fd, const void *buf, size_t count);
	off_t (*seek)(int fd, off_t offset, int whence);
	int (*ioctl)(int fd, unsigned long request, void *argp);
} file_operations_t;

CLOUDOS_BEGIN_DECLS

CLOUDOS_API int cloudos_vfs_mount(const char *source, const char *target,
				  const char *fstype);
CLOUDOS_API int cloudos_vfs_unmount(const char *target);
CLOUDOS_API int cloudos_vfs_create(const char *path, mode_t mode);
CLOUDOS_API int cloudos_vfs_delete(const char *path);
CLOUDOS_API int cloudos_vfs_rename(const char *oldpath, const char *newpath);
CLOUDOS_API int cloudos_vfs_stat(const char *path, struct stat *buf);

CLOUDOS_API int cloudos_file_open(const char *path, int flags, mode_t mode);
CLOUDOS_API int cloudos_file_close(int fd);
CLOUDOS_API ssize_t cloudos_file_read(int fd, void *buf, size_t count);
CLOUDOS_API ssize_t cloudos_file_write(int fd, const void *buf, size_t count);
CLOUDOS_API off_t cloudos_file_seek(int fd, off_t offset, int whence);
CLOUDOS_API int cloudos_file_ioctl(int fd, unsigned long request, void *argp);

/* The functions above as the specification's tables; never NULL, never freed. */
CLOUDOS_API const vfs_operations_t *cloudos_vfs_operations(void);
CLOUDOS_API const file_operations_t *cloudos_file_operations(void);

CLOUDOS_END_DECLS

#endif
