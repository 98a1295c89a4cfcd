/* SPDX-License-Identifier: MIT */
/*
 * The storage driver: a disk of 512-byte sectors in an image file.  HOST.
 *
 * The tag says nothing; the page begins with u32 type, u64 sector at 8, u32 count at 16,
 * 24 bytes together:
 *
 *	1 read   up to 8 sectors, laid over the page from 0 on; the reply is the bytes
 *	2 write  up to 7 sectors, which stand from 24 on; the reply is the sectors
 *	3 info   u64 sectors, u32 bytes of one, u32 capabilities, char model[64],
 *	         char serial[32]; the reply is 112
 *	4 flush  1 when everything written is on the disk
 *
 * Whatever cannot be done whole is not done and is 0, which the sender sees as FAILURE.
 */
#ifndef ANOS_SYSTEM_DISK_H
#define ANOS_SYSTEM_DISK_H

#include <stdbool.h>

#include "lib/err.h"
#include "personality/anos/system/message.h"

struct anos_disk {
	int fd;
	uint64_t sectors;
	bool writable;
};

/* An image that may not be written is a disk that may not be written. */
int anos_disk_open(struct anos_disk *disk, const char *path, struct co_err *err);
void anos_disk_close(struct anos_disk *disk);

uint64_t anos_disk_answer(struct anos_disk *disk, struct anos_message *m);

#endif
