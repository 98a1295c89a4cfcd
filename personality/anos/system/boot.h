/* SPDX-License-Identifier: MIT */
/*
 * The driver of "boot:".  HOST.
 *
 *	tag 1, size       a path; the reply is the file's bytes
 *	tag 2, load page  u64 offset, then a path; the file's bytes from there, one page at
 *	                  most, are laid over the page, and the reply is how many
 *
 * A path is "boot:/name" or "/name", terminated inside what the sender says it sent.  No
 * such file, an empty one and an offset past the end are 0, which the sender sees as
 * FAILURE.  Who calls it: the threads that serve SYSTEM's channels.
 */
#ifndef ANOS_SYSTEM_BOOT_H
#define ANOS_SYSTEM_BOOT_H

#include "personality/anos/system/message.h"
#include "personality/anos/system/root.h"

uint64_t anos_boot_answer(const struct anos_root *root, struct anos_message *m);

/* The name in the root that a path means: after its first ':', if there is one.  NULL:
 * nothing is there. */
const char *anos_boot_name(const char *path);

#endif
