/* SPDX-License-Identifier: MIT */
/*
 * SYSTEM::VFS: which driver serves the paths of a prefix.  HOST.
 *
 *	tag 1, find        a path; the reply is the channel of the driver whose prefix the
 *	                   path has, up to and with its first ':', or 0
 *	tag 2, register    40 bytes: char prefix[32], u64 channel; 1, or 0 when the prefix
 *	                   is taken or the table full
 *	tag 3, unregister  a prefix; 1, or 0 when it is not there or somebody else's.  Anos
 *	                   names this request and answers it with 0
 *
 * Who calls it: the threads that serve SYSTEM's channels, one at a time.
 */
#ifndef ANOS_SYSTEM_VFS_H
#define ANOS_SYSTEM_VFS_H

#include <co/limits.h>

#include "personality/anos/system/message.h"

enum { ANOS_PREFIX = 32 }; /* with the NUL */

struct anos_mount {
	char prefix[ANOS_PREFIX];
	uint64_t channel;
	int32_t owner; /* the process that registered it; 0: SYSTEM */
};

struct anos_vfs {
	struct anos_mount mounts[CO_LIMIT_ANOS_MOUNTS];
	uint32_t count;
};

uint64_t anos_vfs_answer(struct anos_vfs *vfs, struct anos_message *m);

/* What register does; SYSTEM uses it for "boot:".  The prefix is cut to its array. */
uint64_t anos_vfs_register(struct anos_vfs *vfs, const char *prefix, uint64_t channel,
			   int32_t owner);

/* Takes away what a process registered; for when it is gone.  Returns how many. */
uint32_t anos_vfs_forget(struct anos_vfs *vfs, int32_t owner);

#endif
