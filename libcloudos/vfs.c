/* SPDX-License-Identifier: MIT */
/* The file system service.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_vfs_mount(const char *source, const char *target, const char *fstype)
{
	return (int) CALL(vfs_mount, ARG(source), ARG(target), ARG(fstype));
}

int cloudos_vfs_unmount(const char *target)
{
	return (int) CALL(vfs_unmount, ARG(target));
}

int cloudos_vfs_create(const char *path, mode_t mode)
{
	return (int) CALL(vfs_create, ARG(path), ARG(mode));
}

int cloudos_vfs_delete(const char *path)
{
	return (int) CALL(vfs_delete, ARG(path));
}

int cloudos_vfs_rename(const char *oldpath, const char *newpath)
{
	return (int) CALL(vfs_rename, ARG(oldpath), ARG(newpath));
}

int cloudos_vfs_stat(const char *path, struct stat *buf)
{
	return (int) CALL(vfs_stat, ARG(path), ARG(buf));
}

int cloudos_file_open(const char *path, int flags, mode_t mode)
{
	return (int) CALL(file_open, ARG(path), ARG(flags), ARG(mode));
}

int cloudos_file_close(int fd)
{
	return (int) CALL(file_close, ARG(fd));
}

ssize_t cloudos_file_read(int fd, void *buf, size_t count)
{
	return (ssize_t) CALL(file_read, ARG(fd), ARG(buf), ARG(count));
}

ssize_t cloudos_file_write(int fd, const void *buf, size_t count)
{
	return (ssize_t) CALL(file_write, ARG(fd), ARG(buf), ARG(count));
}

off_t cloudos_file_seek(int fd, off_t offset, int whence)
{
	return (off_t) CALL(file_seek, ARG(fd), ARG(offset), ARG(whence));
}

int cloudos_file_ioctl(int fd, unsigned long request, void *argp)
{
	return (int) CALL(file_ioctl, ARG(fd), ARG(request), ARG(argp));
}

const vfs_operations_t *cloudos_vfs_operations(void)
{
	static const vfs_operations_t table = {
		.mount = cloudos_vfs_mount,
		.unmount = cloudos_vfs_unmount,
		.create = cloudos_vfs_create,
		.delete = cloudos_vfs_delete,
		.rename = cloudos_vfs_rename,
		.stat = cloudos_vfs_stat,
	};

	return &table;
}

const file_operations_t *cloudos_file_operations(void)
{
	static const file_operations_t table = {
		.open = cloudos_file_open,
		.close = cloudos_file_close,
		.read = cloudos_file_read,
		.write = cloudos_file_write,
		.seek = cloudos_file_seek,
		.ioctl = cloudos_file_ioctl,
	};

	return &table;
}
