/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what SYSTEM's services believe of a page, and boot images.  HOST.
 *
 * Input: a byte says to whom, and then messages of u8 tag, u16 size, u16 length and that
 * many bytes of page; or an image.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "personality/anos/system/boot.h"
#include "personality/anos/system/devices.h"
#include "personality/anos/system/disk.h"
#include "personality/anos/system/image.h"
#include "personality/anos/system/spawn.h"
#include "personality/anos/system/vfs.h"
#include "tests/fuzz/target.h"

enum { MESSAGES_MAX = 64, HEADER = 5, SENDERS = 3, DISK_BYTES = 16 * 512 + 100 };

struct machine {
	struct anos_vfs vfs;
	struct anos_devices devices;
	struct anos_root root;
	struct anos_disk disk;
};

static int64_t start(void *ctx, const struct anos_spawn *spawn, int32_t parent)
{
	uint64_t bytes = 8ULL * (4 + spawn->argc + 2ULL * spawn->capc);

	(void) ctx;
	if (spawn->argc < 1 || spawn->argc > 64 || spawn->capc > 32 || parent < 1 ||
	    spawn->argv[spawn->argc])
		abort();
	for (uint32_t i = 0; i < spawn->argc; i++) {
		if (strlen(spawn->argv[i]) >= ANOS_ARGUMENT)
			abort();
		bytes += strlen(spawn->argv[i]) + 1;
	}
	if (spawn->stack_size % ANOS_PAGE || spawn->stack_size > ANOS_STACK_MAX ||
	    spawn->stack_size < bytes + ANOS_STACK_SPARE)
		abort();
	return 4711;
}

/* A memfd with bytes in it, or -1. */
static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 && n && write(fd, bytes, n) != (ssize_t) n) {
		(void) close(fd);
		fd = -1;
	}
	return fd;
}

/* What an answer may be, whatever was asked. */
static void demand(uint8_t whom, const struct anos_message *m, uint64_t value)
{
	int64_t answer = (int64_t) value;

	if (whom == 1 && answer != 4711 && answer != -999 && answer != -10 &&
	    (answer > -1 || answer < -5))
		abort();
	if (whom == 2 && m->tag == 2 && value > ANOS_PAGE)
		abort();
	if (whom == 3 && value > 256 && anos_get32(m->page, 4) == 0 &&
	    (value - 8) % ANOS_DEVICE_BYTES)
		abort();
	if (whom == 4 && value > ANOS_PAGE)
		abort();
}

static uint64_t deliver(struct machine *machine, uint8_t whom, struct anos_message *m)
{
	switch (whom) {
	case 0:
		return anos_vfs_answer(&machine->vfs, m);
	case 1:
		return anos_spawn_answer(start, NULL, m);
	case 2:
		return anos_boot_answer(&machine->root, m);
	case 3:
		return anos_devices_answer(&machine->devices, m);
	default:
		return anos_disk_answer(&machine->disk, m);
	}
}

static void messages(struct machine *machine, uint8_t whom, const uint8_t *data,
		     size_t size)
{
	uint8_t *page = malloc(ANOS_PAGE); /* its end is an end */

	for (uint32_t i = 0; page && i < MESSAGES_MAX && size >= HEADER; i++) {
		uint16_t length, said;
		struct anos_message m = { .tag = data[0],
					  .page = data[0] == 0xff ? NULL : page,
					  .sender = (int32_t) (1 + i % SENDERS) };

		memcpy(&said, data + 1, sizeof(said));
		memcpy(&length, data + 3, sizeof(length));
		data += HEADER;
		size -= HEADER;
		if (length > size)
			length = (uint16_t) size;
		if (length > ANOS_PAGE)
			length = ANOS_PAGE;
		m.size = said == UINT16_MAX ? UINT64_MAX : said;
		/* what was there stays: a page is not cleared between messages */
		memcpy(page, data, length);
		data += length;
		size -= length;
		demand(whom, &m, deliver(machine, whom, &m));
	}
	free(page);
}

static void image(const uint8_t *data, size_t size)
{
	struct anos_root root = { .fd = -1 };
	struct co_err err = { 0 };
	int fd = file_of(data, size);
	uint8_t page[ANOS_PAGE];
	int rc;

	if (fd < 0)
		return;
	rc = anos_image_read(&root, fd, "image", &err);
	if (rc ? err.code != rc || !err.message[0] || root.files : !root.files)
		abort();
	root.fd = fd;
	for (uint32_t i = 0; !rc && i < root.count; i++) {
		uint64_t length = root.files[i].length;

		if (length &&
		    (root.files[i].start > size || length > size - root.files[i].start))
			abort();
		if (anos_root_read(&root, root.files[i].name, length / 2, page,
				   sizeof(page)) > ANOS_PAGE)
			abort();
	}
	anos_root_close(&root);
}

static void machine_make(struct machine *machine)
{
	static const uint8_t sectors[DISK_BYTES] = { 1 };
	struct anos_image_file file = { .start = 0, .length = 9000, .name = "long" };

	machine->root.fd = file_of(sectors, sizeof(sectors)); /* shorter than it says */
	machine->root.count = 1;
	machine->root.files = malloc(sizeof(file));
	if (machine->root.files)
		*machine->root.files = file;
	machine->disk.fd = file_of(sectors, sizeof(sectors));
	machine->disk.sectors = DISK_BYTES / 512;
	machine->disk.writable = true;
	(void) anos_vfs_register(&machine->vfs, "boot:", 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *machine;

	if (!size)
		return 0;
	if (data[0] > 4) {
		image(data + 1, size - 1);
		return 0;
	}
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return 0;
	machine_make(machine);
	if (machine->root.files && machine->root.fd >= 0 && machine->disk.fd >= 0)
		messages(machine, data[0], data + 1, size - 1);
	/* nothing that was asked may change what the disk is */
	if (machine->disk.fd >= 0 && lseek(machine->disk.fd, 0, SEEK_END) != DISK_BYTES)
		abort();
	anos_root_close(&machine->root);
	anos_disk_close(&machine->disk);
	free(machine);
	return 0;
}
