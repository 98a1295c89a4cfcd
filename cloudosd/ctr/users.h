/* SPDX-License-Identifier: MIT */
/*
 * Names of users and groups out of a container's own /etc/passwd and /etc/group.  HOST.
 * The files belong to the image: nothing in them is followed, and they are bounded.
 */
#ifndef CTR_USERS_H
#define CTR_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct ctr_account {
	uint32_t uid, gid;
	uint32_t groups[64]; /* besides gid */
	size_t ngroups;
	char home[256]; /* "" is "/" */
};

/* Opens a regular file below the folder (a descriptor), without following a link; -1 and
 * errno. */
int ctr_users_open(int folder, const char *name);

/* All of it, terminated; "" for -1.  malloc; NULL: no memory. */
char *ctr_users_read(int fd);

/*
 * "USER[:GROUP]", names or numbers; NULL and "" are user 0.  A number need not be in the
 * files, whose texts are changed.  CO_INVALID and a sentence: there is no such name.
 */
int ctr_users_find(const char *who, char *passwd, char *group, struct ctr_account *out,
		   struct co_err *err);

#endif
