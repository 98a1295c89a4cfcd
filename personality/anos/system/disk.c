/* SPDX-License-Identifier: MIT */
/* The storage driver.  HOST. */
#include "personality/anos/system/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/anos/system/devices.h"

enum {
	SECTOR = 512,

	DISK_READ = 1,
	DISK_WRITE = 2,
	DISK_INFO = 3,
	DISK_FLUSH = 4,

	REQUEST_SECTOR = 8,
	REQUEST_COUNT = 16,
	REQUEST_SIZE = 24,

	READ_MAX = ANOS_PAGE / SECTOR,
	WRITE_MAX = (ANOS_PAGE - REQUEST_SIZE) / SECTOR,

	INFO_SECTOR = 8,
	INFO_CAPABILITIES = 12,
	INFO_MODEL = 16,
	INFO_MODEL_SIZE = 64,
	INFO_SERIAL = 80,
	INFO_SERIAL_SIZE = 32,
	INFO_SIZE = 112
};

int anos_disk_open(struct anos_disk *disk, const char *path, struct co_err *err)
{
	autoclose int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	*disk = (struct anos_disk){ .fd = -1, .writable = fd >= 0 };
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot open the disk %s", path);
	if (!S_ISREG(st.st_mode))
		return co_fail(err, CO_INVALID,
			       "cannot open the disk %s: it is no regular file", path);
	if (st.st_size < SECTOR)
		return co_fail(
			err, CO_INVALID,
			"cannot use the disk %s: it has less than a sector of %d "
			"bytes",
			path, SECTOR);
	disk->sectors = (uint64_t) st.st_size / SECTOR;
	disk->fd = take_fd(fd);
	return 0;
}

void anos_disk_close(struct anos_disk *disk)
{
	if (disk->fd >= 0)
		(void) close(disk->fd); /* who wants to be sure sends a flush */
	disk->fd = -1;
}

/* The bytes that a request means, or 0: more than `max`, or not all on the disk. */
static size_t range(const struct anos_disk *disk, const struct anos_message *m,
		    uint32_t max, off_t *offset)
{
	uint64_t sector = anos_get64(m->page, REQUEST_SECTOR);
	uint32_t count = anos_get32(m->page, REQUEST_COUNT);

	if (count > max || sector > disk->sectors || count > disk->sectors - sector)
		return 0;
	*offset = (off_t) (sector * SECTOR);
	return (size_t) count * SECTOR;
}

static uint64_t read_sectors(const struct anos_disk *disk, struct anos_message *m)
{
	uint8_t data[ANOS_PAGE]; /* the page keeps the request when reading fails */
	off_t offset;
	size_t n = range(disk, m, READ_MAX, &offset);
	size_t done = 0;

	while (done < n) {
		ssize_t got =
			pread(disk->fd, data + done, n - done, offset + (off_t) done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		done += (size_t) got;
	}
	memcpy(m->page, data, n);
	return n;
}

static uint64_t write_sectors(const struct anos_disk *disk,
			      const struct anos_message *m)
{
	off_t offset;
	size_t n = range(disk, m, WRITE_MAX, &offset);
	size_t done = 0;

	if (!disk->writable)
		return 0;
	while (done < n) {
		ssize_t put = pwrite(disk->fd, m->page + REQUEST_SIZE + done, n - done,
				     offset + (off_t) done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return 0;
		done += (size_t) put;
	}
	return n / SECTOR;
}

static uint64_t info(const struct anos_disk *disk, struct anos_message *m)
{
	memset(m->page, 0, INFO_SIZE);
	anos_put64(m->page, 0, disk->sectors);
	anos_put32(m->page, INFO_SECTOR, SECTOR);
	anos_put32(m->page, INFO_CAPABILITIES,
		   ANOS_CAN_READ | (disk->writable ? ANOS_CAN_WRITE : 0U));
	(void) snprintf((char *) m->page + INFO_MODEL, INFO_MODEL_SIZE,
			"CloudOS disk image");
	(void) snprintf((char *) m->page + INFO_SERIAL, INFO_SERIAL_SIZE, "0");
	return INFO_SIZE;
}

uint64_t anos_disk_answer(struct anos_disk *disk, struct anos_message *m)
{
	if (anos_message_size(m) < REQUEST_SIZE)
		return 0;
	switch (anos_get32(m->page, 0)) {
	case DISK_READ:
		return read_sectors(disk, m);
	case DISK_WRITE:
		return write_sectors(disk, m);
	case DISK_INFO:
		return info(disk, m);
	case DISK_FLUSH:
		return fdatasync(disk->fd) == 0;
	default:
		return 0;
	}
}
