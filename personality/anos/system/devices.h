/* SPDX-License-Identifier: MIT */
/*
 * DEVMAN: the registry of devices and their drivers' channels.  HOST.
 *
 * The tag says nothing; the page begins with a u32:
 *
 *	1 register    u32 1, u32 device type, u32 count, then a device of 136 bytes at 12;
 *	              only the first counts.  The reply is its id
 *	2 unregister  u32 2, u64 id at 8; 1, or 0: no such device, or somebody else's
 *	3 query       u32 3, u32 by (1 type, 2 id, 3 all, 4 children), u32 device type,
 *	              u64 id at 16.  The page becomes u32 count, u32 error and the devices
 *	              from 8 on; the reply is how many bytes.  Nothing found is 0.  More than
 *	              a page holds: an error of 1, no devices, and the reply is the count
 */
#ifndef ANOS_SYSTEM_DEVICES_H
#define ANOS_SYSTEM_DEVICES_H

#include <co/limits.h>

#include "personality/anos/system/message.h"

enum anos_device_type {
	ANOS_DEVICE_UNKNOWN,
	ANOS_DEVICE_PCI,
	ANOS_DEVICE_STORAGE,
	ANOS_DEVICE_NETWORK,
	ANOS_DEVICE_DISPLAY
};

enum { ANOS_STORAGE_AHCI = 1 }; /* hardware types of storage */
enum { ANOS_CAN_READ = 1, ANOS_CAN_WRITE = 2 };
enum { ANOS_DEVICE_BYTES = 136 };

struct anos_device { /* as it lies in the page */
	uint64_t id;
	uint64_t parent;
	uint32_t type;
	uint32_t hardware;
	uint32_t capabilities;
	char name[64];
	char driver[32];
	uint64_t channel;
};

struct anos_devices {
	struct anos_device devices[CO_LIMIT_ANOS_DEVICES];
	int32_t owners[CO_LIMIT_ANOS_DEVICES]; /* the process that registered it */
	uint32_t count;
	uint64_t next_id; /* the last that was given */
};

uint64_t anos_devices_answer(struct anos_devices *devices, struct anos_message *m);

/* What register does; the launcher uses it for its own.  The id, or 0: full. */
uint64_t anos_devices_add(struct anos_devices *devices,
			  const struct anos_device *device, int32_t owner);

/* Takes away what a process registered; for when it is gone.  Returns how many. */
uint32_t anos_devices_forget(struct anos_devices *devices, int32_t owner);

#endif
