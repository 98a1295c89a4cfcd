/* SPDX-License-Identifier: MIT */
/* cloudosctl store ...  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"

int cmd_store_status(struct ctl *ctl)
{
	int rc;

	if (!ctl_request(ctl, WIRE_store_status_req))
		return ctl->err.code;
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc : ctl_record(ctl);
}

int cmd_store_compact(struct ctl *ctl)
{
	const struct wire_store_compact_rep *rep;
	struct wire_store_compact_req *req;
	uint64_t revision = 0;
	int rc = 0;

	if (ctl->noperands)
		rc = ctl_number(ctl, "a revision", ctl->operands[0], 1, INT64_MAX,
				&revision);
	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_store_compact_req);
	if (!req)
		return ctl->err.code;
	req->revision = revision;
	rc = ctl_call(ctl, NULL, 0);
	if (rc < 0)
		return rc;
	rep = (const void *) ctl->client->in->bytes;
	return ctl_say(ctl, "history before revision %" PRIu64 " is gone",
		       rep->revision);
}

/* ---- backup ---- */

struct backup {
	const char *file;     /* where it shall be */
	char temporary[4096]; /* what it is called meanwhile; "" while it has no name */
	char folder[4096];
	int fd;
	bool force;
};

static int exists(struct ctl *ctl, const struct backup *b)
{
	return co_fail(&ctl->err, CO_EXISTS, "%s is there already; --force replaces it",
		       b->file);
}

/* Beside FILE, hidden; b->file has been measured to leave room. */
static void name_temporary(struct backup *b, const char *suffix)
{
	const char *slash = strrchr(b->file, '/');
	const char *base = slash ? slash + 1 : b->file;

	(void) snprintf(b->temporary, sizeof(b->temporary), "%.*s.%s.%s",
			(int) (base - b->file), b->file, base, suffix);
}

/* Beside FILE, so that it can be renamed, and readable by the owner only. */
static int backup_open(struct ctl *ctl, struct backup *b)
{
	const char *slash = strrchr(b->file, '/');
	const char *base = slash ? slash + 1 : b->file;
	size_t above = slash ? (size_t) (slash - b->file) : 0;
	struct stat st;

	if (stat(b->file, &st) == 0 && S_ISDIR(st.st_mode))
		return co_fail(&ctl->err, CO_IS_DIR,
			       "%s is a folder; name a file in it", b->file);
	if (!b->force && lstat(b->file, &st) == 0)
		return exists(ctl, b);
	if (!base[0] || strlen(b->file) > sizeof(b->temporary) - 16)
		return ctl_usage(ctl, "\"%.200s\" is not the name of a file", b->file);
	(void) snprintf(b->folder, sizeof(b->folder), "%.*s", (int) (above ? above : 1),
			above   ? b->file
			: slash ? "/"
				: "."); /* fits, see above */
	/* without a name nothing is left whatever ends this process */
	b->fd = open(b->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd >= 0)
		return 0;
	name_temporary(b, "XXXXXX");
	b->fd = mkostemp(b->temporary, O_CLOEXEC);
	if (b->fd >= 0)
		return 0;
	b->temporary[0] = 0;
	return co_fail_errno(&ctl->err, errno, "cannot create a file in %s", b->folder);
}

/* --force: rename replaces, but only what has a name can be renamed. */
static int backup_replace(struct backup *b, const char *self)
{
	char pid[16];

	if (!b->temporary[0]) {
		(void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
		name_temporary(b, pid);
		if (linkat(AT_FDCWD, self, AT_FDCWD, b->temporary, AT_SYMLINK_FOLLOW) <
		    0) {
			b->temporary[0] = 0; /* somebody else's file */
			return -1;
		}
	}
	if (rename(b->temporary, b->file) < 0)
		return -1;
	b->temporary[0] = 0;
	return 0;
}

/* The name, durably; without --force never over a file that came meanwhile. */
static int backup_publish(struct ctl *ctl, struct backup *b)
{
	autoclose int folder = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char self[32];
	int rc;

	(void) snprintf(self, sizeof(self), "/proc/self/fd/%d", b->fd); /* fits */
	if (fsync(b->fd) < 0)
		return co_fail_errno(&ctl->err, errno,
				     "cannot write the backup to disk");
	if (b->force)
		rc = backup_replace(b, self);
	else
		rc = linkat(AT_FDCWD, b->temporary[0] ? b->temporary : self, AT_FDCWD,
			    b->file, AT_SYMLINK_FOLLOW);
	if (rc < 0 && errno == EEXIST)
		return exists(ctl, b);
	if (rc < 0)
		return co_fail_errno(&ctl->err, errno, "cannot name the backup %s",
				     b->file);
	if (folder >= 0)
		(void) fsync(folder); /* some file systems cannot; the data is safe */
	return 0;
}

static int backup_fill(struct ctl *ctl, struct backup *b)
{
	const struct wire_store_backup_rep *rep;
	uint64_t bytes;
	int rc;

	if (!ctl_request(ctl, WIRE_store_backup_req))
		return ctl->err.code;
	ctl->client->timeout_ms = -1; /* as long as a large store takes */
	rc = ctl_call(ctl, &b->fd, 1);
	if (rc < 0)
		return rc;
	rep = (const void *) ctl->client->in->bytes;
	bytes = rep->bytes;
	rc = backup_publish(ctl, b);
	return rc < 0 ? rc
		      : ctl_say(ctl, "%" PRIu64 " bytes are in %s", bytes, b->file);
}

int cmd_store_backup(struct ctl *ctl)
{
	autofree struct backup *b = calloc(1, sizeof(*b));
	int rc = ctl_connect(ctl);

	if (rc < 0)
		return rc;
	if (!b)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	b->file = ctl->operands[0];
	b->force = ctl_option(ctl, "force") != NULL;
	b->fd = -1;
	rc = backup_open(ctl, b);
	if (rc == 0)
		rc = backup_fill(ctl, b);
	if (b->fd >= 0)
		(void) close(b->fd); /* fsync has told what there was to tell */
	if (b->temporary[0])
		(void) unlink(b->temporary); /* ours; gone or about to be */
	return rc;
}
