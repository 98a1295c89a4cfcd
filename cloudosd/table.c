/* SPDX-License-Identifier: MIT */
/* The memory that outlives a daemon.  HOST. */
#include "cloudosd/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int map(struct table **out, int fd, struct co_err *err)
{
	void *p = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);

	if (p == MAP_FAILED)
		return co_fail_errno(err, errno, "cannot map the session table");
	*out = p;
	return 0;
}

int table_create(struct table **out, int *out_fd, struct co_err *err)
{
	autoclose int fd =
		memfd_create("cloudos-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0 || ftruncate(fd, sizeof(struct table)) < 0)
		return co_fail_errno(err, errno, "cannot create the session table");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return co_fail_errno(err, errno, "cannot seal the session table");
	r = map(out, fd, err);
	if (r)
		return r;
	(*out)->magic = TABLE_MAGIC;
	(*out)->version = TABLE_VERSION;
	(*out)->next_session = 1;
	*out_fd = take_fd(fd);
	return 0;
}

/* Its keeper, our parent, has it from a cloudosd that was replaced meanwhile. */
static int of_another_version(struct co_err *err)
{
	return co_fail(err, CO_VERSION,
		       "programs still run that began under another version of "
		       "cloudosd, whose session table this one does not know; start "
		       "that one again, or end the keeper (kill -9 %d), which gives up "
		       "their CloudOS calls",
		       (int) getppid());
}

int table_map(struct table **out, int fd, struct co_err *err)
{
	struct stat st;
	struct table *t = NULL;
	int r;

	if (fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at the session table");
	if (st.st_size != sizeof(struct table))
		return of_another_version(err);
	r = map(&t, fd, err);
	if (r)
		return r;
	if (t->magic != TABLE_MAGIC || t->version != TABLE_VERSION) {
		(void) munmap(t, sizeof(*t)); /* it is not ours: nothing to save */
		return of_another_version(err);
	}
	for (size_t i = 0; i < CO_LIMIT_SESSIONS; i++) {
		t->sessions[i].name[sizeof(t->sessions[i].name) - 1] = 0;
		t->sessions[i].command[sizeof(t->sessions[i].command) - 1] = 0;
	}
	*out = t;
	return 0;
}
