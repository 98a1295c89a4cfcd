/* SPDX-License-Identifier: MIT */
/*
 * A VFS around unix-excl that remembers every write and sync, and builds the files as a
 * power cut at some instant could have left them.  HOST.  For tests.
 */
#ifndef CO_TESTS_POWER_VFS_H
#define CO_TESTS_POWER_VFS_H

#include <stdbool.h>
#include <stddef.h>

enum power_fate {
	POWER_NOTHING, /* of what was not synced */
	POWER_ALL,
	POWER_SOME, /* each write or none of it */
	POWER_TORN, /* each sector of 512 bytes or none of it */
	POWER_FATES
};

/* Registers the VFS "co-power" and begins to remember. */
void power_start(void);
/* The instant, as a position in what is remembered. */
size_t power_now(void);
/* The files as of that instant into a folder, by their last names. */
void power_image(const char *folder, size_t at, enum power_fate fate);
/* Forgets everything. */
void power_reset(void);

#endif
