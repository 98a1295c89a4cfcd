/* SPDX-License-Identifier: MIT */
/*
 * Devices ("Device Service API").
 * `cloudosctl personality show cloudos` says which of these this version answers; one
 * that it lacks returns CLOUDOS_EACCES, and cloudos_get_last_error() says why.
 */
#ifndef CLOUDOS_DEVICE_H
#define CLOUDOS_DEVICE_H

#include <cloudos/base.h>
#include <sys/types.h>

/* Set size to sizeof. */
struct device {
	uint32_t size;
	uint32_t id;
	uint32_t vendor;
	uint32_t device_class;
	char name[64];
	char driver[64];
	void *driver_data; /* the driver's own */
};

CLOUDOS_OFFSET(struct device, size, 0);
CLOUDOS_OFFSET(struct device, id, 4);
CLOUDOS_OFFSET(struct device, vendor, 8);
CLOUDOS_OFFSET(struct device, device_class, 12);
CLOUDOS_OFFSET(struct device, name, 16);
CLOUDOS_OFFSET(struct device, driver, 80);
CLOUDOS_OFFSET(struct device, driver_data, 144);
CLOUDOS_SIZEOF(struct device, 152);

/* A mapping of a device's memory.  Set size to sizeof. */
struct vm_area {
	uint32_t size;
	uint32_t prot;  /* PROT_* of mmap */
	uint32_t flags; /* MAP_* of mmap */
	uint32_t reserved;
	uint64_t start;  /* address */
	uint64_t length; /* bytes */
	uint64_t offset; /* into the device */
};

CLOUDOS_OFFSET(struct vm_area, size, 0);
CLOUDOS_OFFSET(struct vm_area, prot, 4);
CLOUDOS_OFFSET(struct vm_area, flags, 8);
CLOUDOS_OFFSET(struct vm_area, reserved, 12);
CLOUDOS_OFFSET(struct vm_area, start, 16);
CLOUDOS_OFFSET(struct vm_area, length, 24);
CLOUDOS_OFFSET(struct vm_area, offset, 32);
CLOUDOS_SIZEOF(struct vm_area, 40);

/* Device Driver Framework */
typedef struct device_operations {
	int (*probe)(struct device *dev);
	int (*remove)(struct device *dev);
	int (*suspend)(struct device *dev);
	int (*resume)(struct device *dev);
	int (*reset)(struct device *dev);
} device_operations_t;

/* Device I/O Operations */
typedef struct device_io_operations {
	ssize_t (*read)(struct device *dev, void *buf, size_t count, off_t offset);
	ssize_t (*write)(struct device *dev, const void *buf, size_t count,
			 off_t offset);
	int (*ioctl)(struct device *dev, unsigned long cmd, void *arg);
	int (*mmap)(struct device *dev, struct vm_area *vma);
} device_io_operations_t;

CLOUDOS_BEGIN_DECLS

CLOUDOS_API int cloudos_device_probe(struct device *dev);
CLOUDOS_API int cloudos_device_remove(struct device *dev);
CLOUDOS_API int cloudos_device_suspend(struct device *dev);
CLOUDOS_API int cloudos_device_resume(struct device *dev);
CLOUDOS_API int cloudos_device_reset(struct device *dev);

CLOUDOS_API ssize_t cloudos_device_io_read(struct device *dev, void *buf, size_t count,
					   off_t offset);
CLOUDOS_API ssize_t cloudos_device_io_write(struct device *dev, const void *buf,
					    size_t count, off_t offset);
CLOUDOS_API int cloudos_device_io_ioctl(struct device *dev, unsigned long cmd,
					void *arg);
CLOUDOS_API int cloudos_device_io_mmap(struct device *dev, struct vm_area *vma);

/* The functions above as the specification's tables; never NULL, never freed. */
CLOUDOS_API const device_operations_t *cloudos_device_operations(void);
CLOUDOS_API const device_io_operations_t *cloudos_device_io_operations(void);

CLOUDOS_END_DECLS

#endif
