/* SPDX-License-Identifier: MIT */
/*
 * Who the program of a container is, out of /etc/passwd and /etc/group of its layers.  HOST.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/ctr/users.h"
#include "lib/cleanup.h"

static int open_below(const char *folder, const char *name)
{
	autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -1 : ctr_users_open(dir, name);
}

/* The uppermost one; "" if there is none.  malloc; NULL: no memory. */
static char *read_layered(const char *upper, const char *const *layers,
			  const char *name)
{
	autoclose int fd = open_below(upper, name);

	for (; fd < 0 && errno == ENOENT && *layers; layers++)
		fd = open_below(*layers, name);
	return ctr_users_read(fd);
}

int bundle_user(const char *text, const char *upper, const char *const *layers,
		struct container_user *out, struct co_err *err)
{
	autofree char *passwd = read_layered(upper, layers, "etc/passwd");
	autofree char *group = read_layered(upper, layers, "etc/group");
	struct ctr_account account;
	int status;

	if (!passwd || !group)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the users of an image");
	status = ctr_users_find(text, passwd, group, &account, err);
	if (status < 0)
		return status;
	*out = (struct container_user){ .uid = account.uid,
					.gid = account.gid,
					.ngroups = account.ngroups };
	_Static_assert(sizeof(out->groups) == sizeof(account.groups), "all of them");
	_Static_assert(sizeof(out->home) == sizeof(account.home), "all of it");
	memcpy(out->groups, account.groups, sizeof(out->groups));
	memcpy(out->home, account.home, sizeof(out->home));
	return 0;
}
