/* SPDX-License-Identifier: MIT */
/* Owners, modes, times and extended attributes of what is unpacked.  HOST. */
#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/image/unpack_inside.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

static int owner(struct archive_entry *e, uid_t *out_uid, gid_t *out_gid,
		 struct co_err *err)
{
	int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return co_fail(err, CO_INVALID,
			       "an entry belongs to user %lld and group %lld, which "
			       "cannot be: not taken",
			       (long long) uid, (long long) gid);
	*out_uid = (uid_t) uid;
	*out_gid = (gid_t) gid;
	return 0;
}

/* Set-user-id bits go with an owner who is kept; else they would be the user's own. */
static mode_t mode_of(struct unpacking *u, struct archive_entry *e)
{
	mode_t mode = archive_entry_perm(e) & 07777;
	bool folder = archive_entry_filetype(e) == AE_IFDIR;

	if (folder || !(mode & (S_ISUID | S_ISGID)))
		return mode;
	u->setuid++;
	return u->how->keep_owners && !u->how->drop_setuid
		       ? mode
		       : mode & ~(mode_t) (S_ISUID | S_ISGID);
}

static struct timespec mtime_of(struct archive_entry *e)
{
	long ns = archive_entry_mtime_nsec(e);

	return (struct timespec){ archive_entry_mtime(e),
				  ns < 0 || ns > 999999999 ? 0 : ns };
}

/* ---- extended attributes ---- */

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Never those by which an overlay would take an image's word for its own. */
static bool wanted(const struct unpacking *u, const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return u->how->keep_owners;
	return starts(name, "user.") && !starts(name, "user.overlay.");
}

int unpack_extended(struct unpacking *u, struct archive_entry *e, int fd,
		    struct co_err *err)
{
	const char *name;
	const void *value;
	size_t size;

	u->attributes += (uint64_t) archive_entry_acl_count(
		e, ARCHIVE_ENTRY_ACL_TYPE_POSIX1E | ARCHIVE_ENTRY_ACL_TYPE_NFS4);
	if (!archive_entry_xattr_reset(e))
		return 0;
	while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || !wanted(u, name)) {
			u->attributes++;
			continue;
		}
		if (size > CO_LIMIT_IMAGE_XATTR)
			return co_fail(err, CO_TOO_BIG,
				       "the extended attribute %.100s has %zu bytes: "
				       "not taken",
				       name, size);
		/* a file system without them is no reason to do without the image */
		if (fsetxattr(fd, name, value, size, 0))
			u->attributes++;
	}
	return 0;
}

/* ---- files ---- */

static int cannot(const struct tree_place *place, struct co_err *err)
{
	return co_fail_errno(err, errno, "cannot set owner, mode or time of \"%.200s\"",
			     place->path);
}

int unpack_attributes(struct unpacking *u, struct archive_entry *e, int fd,
		      const struct tree_place *place, struct co_err *err)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, mtime_of(e) };
	uid_t uid;
	gid_t gid;
	int r = owner(e, &uid, &gid, err);

	if (r)
		return r;
	if (u->how->keep_owners &&
	    fchownat(place->folder, place->name, uid, gid, AT_SYMLINK_NOFOLLOW))
		return cannot(place, err);
	/* behind the owner, whose change takes capabilities and set-user-id bits away */
	if (fd >= 0)
		r = unpack_extended(u, e, fd, err);
	if (r)
		return r;
	if (fd >= 0 ? fchmod(fd, mode_of(u, e))
		    : archive_entry_filetype(e) != AE_IFLNK &&
			      fchmodat(place->folder, place->name, mode_of(u, e), 0))
		return cannot(place, err);
	if (utimensat(place->folder, place->name, times, AT_SYMLINK_NOFOLLOW))
		return cannot(place, err);
	return 0;
}

/* ---- folders ---- */

int unpack_folder_later(struct unpacking *u, struct archive_entry *e, const char *path,
			struct co_err *err)
{
	struct unpack_later later = { .mode = mode_of(u, e), .mtime = mtime_of(e) };
	int r = owner(e, &later.uid, &later.gid, err);

	if (r)
		return r;
	if (u->later_count == u->later_room) {
		size_t room = u->later_room ? u->later_room * 2 : 256;
		struct unpack_later *more = realloc(u->later, room * sizeof(*more));

		if (!more)
			return co_fail(err, CO_NO_MEMORY, "no memory for folders");
		u->later = more;
		u->later_room = room;
	}
	later.path = strdup(path);
	if (!later.path)
		return co_fail(err, CO_NO_MEMORY, "no memory for folders");
	later.order = u->later_count;
	u->later[u->later_count++] = later;
	return 0;
}

static int finish_folder(struct unpacking *u, const struct unpack_later *later,
			 struct co_err *err)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, later->mtime };
	struct tree_place place;
	autoclose int fd = -1;
	int r = tree_place(&u->tree, later->path, false, &place, err);

	if (r == CO_NOT_FOUND || r == CO_NOT_DIR)
		return 0; /* something else took its place, or that of what it was in */
	if (r)
		return r;
	fd = openat(place.folder, *place.name ? place.name : ".",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : cannot(&place, err);
	if ((u->how->keep_owners && fchown(fd, later->uid, later->gid)) ||
	    fchmod(fd, later->mode) || futimens(fd, times))
		return cannot(&place, err);
	return 0;
}

/* Backwards: what is in a folder before it, and its last entry before the others. */
static int compare_later(const void *a, const void *b)
{
	const struct unpack_later *x = a, *y = b;
	int r = strcmp(y->path, x->path);

	return r ? r : x->order < y->order ? 1 : -1;
}

int unpack_implied(void *arg, const char *path, struct co_err *err)
{
	struct unpacking *u = arg;
	char *copy;

	if (u->how->lowest)
		return 0;
	if (u->implied_count == u->implied_room) {
		size_t room = u->implied_room ? u->implied_room * 2 : 64;
		char **more = realloc(u->implied, room * sizeof(*more));

		if (!more)
			return co_fail(err, CO_NO_MEMORY, "no memory for folders");
		u->implied = more;
		u->implied_room = room;
	}
	copy = strdup(path);
	if (!copy)
		return co_fail(err, CO_NO_MEMORY, "no memory for folders");
	u->implied[u->implied_count++] = copy;
	return 0;
}

static int compare_path(const void *key, const void *row)
{
	return strcmp(((const struct unpack_later *) row)->path, key);
}

static void tell_implied(struct unpacking *u)
{
	for (size_t i = 0; i < u->implied_count; i++) {
		autobuf struct co_buf line = { 0 };

		if (u->later_count && bsearch(u->implied[i], u->later, u->later_count,
					      sizeof(*u->later), compare_path))
			continue;
		co_buf_text(&line, "{\"implied\":");
		co_buf_json_text(&line, co_span(u->implied[i]));
		co_buf_text(&line, "}\n");
		(void) fwrite(line.data, 1, line.size, u->out); /* the end is missed */
	}
}

int unpack_folders(struct unpacking *u, struct co_err *err)
{
	if (u->later_count)
		qsort(u->later, u->later_count, sizeof(*u->later), compare_later);
	for (size_t i = 0; i < u->later_count; i++) {
		int r = 0;

		if (!i || strcmp(u->later[i].path, u->later[i - 1].path) != 0)
			r = finish_folder(u, &u->later[i], err);
		if (r)
			return r;
	}
	tell_implied(u);
	return 0;
}

void unpack_folders_done(struct unpacking *u)
{
	for (size_t i = 0; i < u->implied_count; i++)
		free(u->implied[i]);
	free(u->implied);
	for (size_t i = 0; i < u->later_count; i++)
		free(u->later[i].path);
	free(u->later);
}
