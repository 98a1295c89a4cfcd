/* SPDX-License-Identifier: MIT */
/* Devices.  Linked into CloudOS programs. */
#include "call.h"

int cloudos_device_probe(struct device *dev)
{
	return (int) CALL(device_probe, ARG(dev));
}

int cloudos_device_remove(struct device *dev)
{
	return (int) CALL(device_remove, ARG(dev));
}

int cloudos_device_suspend(struct device *dev)
{
	return (int) CALL(device_suspend, ARG(dev));
}

int cloudos_device_resume(struct device *dev)
{
	return (int) CALL(device_resume, ARG(dev));
}

int cloudos_device_reset(struct device *dev)
{
	return (int) CALL(device_reset, ARG(dev));
}

ssize_t cloudos_device_io_read(struct device *dev, void *buf, size_t count,
			       off_t offset)
{
	return (ssize_t) CALL(device_io_read, ARG(dev), ARG(buf), ARG(count),
			      ARG(offset));
}

ssize_t cloudos_device_io_write(struct device *dev, const void *buf, size_t count,
				off_t offset)
{
	return (ssize_t) CALL(device_io_write, ARG(dev), ARG(buf), ARG(count),
			      ARG(offset));
}

int cloudos_device_io_ioctl(struct device *dev, unsigned long cmd, void *arg)
{
	return (int) CALL(device_io_ioctl, ARG(dev), ARG(cmd), ARG(arg));
}

int cloudos_device_io_mmap(struct device *dev, struct vm_area *vma)
{
	return (int) CALL(device_io_mmap, ARG(dev), ARG(vma));
}

const device_operations_t *cloudos_device_operations(void)
{
	static const device_operations_t table = {
		.probe = cloudos_device_probe,
		.remove = cloudos_device_remove,
		.suspend = cloudos_device_suspend,
		.resume = cloudos_device_resume,
		.reset = cloudos_device_reset,
	};

	return &table;
}

const device_io_operations_t *cloudos_device_io_operations(void)
{
	static const device_io_operations_t table = {
		.read = cloudos_device_io_read,
		.write = cloudos_device_io_write,
		.ioctl = cloudos_device_io_ioctl,
		.mmap = cloudos_device_io_mmap,
	};

	return &table;
}
