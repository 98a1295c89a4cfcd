/* SPDX-License-Identifier: MIT */
/* A layer out of its archive.  HOST. */
#include "cloudosd/image/unpack.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/image/io.h"
#include "cloudosd/image/stream.h"
#include "cloudosd/image/tree.h"
#include "cloudosd/image/unpack_inside.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

enum { SAY_EVERY = 4194304 };

static const char whiteout[] = ".wh.";
static const char opaque[] = ".wh..wh..opq";
static const char aufs[] = ".wh..wh.";

/* ---- overlay marks ---- */

/* For overlays of users; root's caller adds the mark of its own overlays. */
static int mark_opaque(void *arg, const char *path, struct co_err *err)
{
	struct unpacking *u = arg;
	struct tree_place place;
	autobuf struct co_buf line = { 0 };
	autoclose int fd = -1;
	struct tree tree;
	int r;

	if (u->how->lowest)
		return 0;
	tree_init(&tree, u->tree.root); /* the place of the caller stays as it is */
	r = tree_place(&tree, path, false, &place, err);
	if (!r) {
		fd = openat(place.folder, *place.name ? place.name : ".",
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fsetxattr(fd, "user.overlay.opaque", "y", 1, 0))
			r = co_fail_errno(err, errno,
					  "cannot mark the folder \"%.200s\" opaque",
					  path);
	}
	tree_done(&tree);
	co_buf_text(&line, "{\"opaque\":");
	co_buf_json_text(&line, co_span(path));
	co_buf_text(&line, "}\n");
	(void) fwrite(line.data, 1, line.size, u->out); /* the end will be missed */
	return r;
}

static int make_whiteout(struct unpacking *u, const struct tree_place *at,
			 struct co_err *err)
{
	struct tree_place place = *at;
	struct stat st;

	memmove(place.name, at->name + strlen(whiteout),
		strlen(at->name + strlen(whiteout)) + 1);
	if (!*place.name || strcmp(place.name, ".") == 0 ||
	    strcmp(place.name, "..") == 0)
		return co_fail(err, CO_INVALID, "\"%.200s\" is no whiteout: not taken",
			       at->path);
	if (u->how->lowest)
		return 0;
	if (tree_look(&place, &st)) {
		/* what this layer has itself stays; what lies below a folder does not */
		char *base = place.path + strlen(place.path) - strlen(at->name);

		if (!S_ISDIR(st.st_mode))
			return 0;
		memmove(base, place.name, strlen(place.name) + 1);
		return mark_opaque(u, place.path, err);
	}
	if (mknodat(place.folder, place.name, S_IFCHR, 0))
		return co_fail_errno(err, errno, "cannot make the whiteout \"%.200s\"",
				     at->path);
	return 0;
}

/* What a name says that begins with .wh.: 1, it was no such name. */
static int whiteouts(struct unpacking *u, const struct tree_place *place,
		     struct co_err *err)
{
	char parent[4096];
	size_t n;

	if (u->how->plain || strncmp(place->name, whiteout, strlen(whiteout)) != 0)
		return 1;
	if (strcmp(place->name, opaque) == 0) {
		n = strlen(place->path) - strlen(place->name);
		memcpy(parent, place->path, n);
		parent[n] = '\0';
		return mark_opaque(u, parent, err);
	}
	if (strncmp(place->name, aufs, strlen(aufs)) == 0)
		return 0; /* notes of another file system to itself */
	return make_whiteout(u, place, err);
}

/* Below such a note? */
static bool below_note(const char *path)
{
	return strncmp(path, aufs, strlen(aufs)) == 0 || strstr(path, "/.wh..wh.");
}

/* ---- data ---- */

static bool all_zero(const char *data, size_t n)
{
	return n == 0 || (*data == 0 && memcmp(data, data + 1, n - 1) == 0);
}

/* Blocks of nothing become holes. */
static int write_piece(int fd, const char *data, size_t n, int64_t at,
		       uint64_t *out_bytes)
{
	while (n) {
		size_t piece = 4096 - (size_t) (at % 4096);

		if (piece > n)
			piece = n;
		while (piece < n && piece < 1048576 &&
		       !all_zero(data + piece, n - piece < 4096 ? n - piece : 4096))
			piece += n - piece < 4096 ? n - piece : 4096;
		if (!all_zero(data, piece)) {
			int r = io_write_at(fd, data, piece, at);

			if (r)
				return r;
			*out_bytes += piece;
		}
		data += piece;
		at += (int64_t) piece;
		n -= piece;
	}
	return 0;
}

static int too_long(const char *path, struct co_err *err)
{
	return co_fail(err, CO_TOO_BIG,
		       "the file \"%.200s\" has more than %d MiB: not taken", path,
		       CO_LIMIT_IMAGE_FILE);
}

static void say_progress(struct unpacking *u)
{
	if (u->stream.hasher.bytes < u->said + SAY_EVERY)
		return;
	u->said = u->stream.hasher.bytes;
	(void) fprintf(u->out, "{\"unpacked\":%llu}\n", (unsigned long long) u->said);
	(void) fflush(u->out); /* the end will be missed */
}

static int write_data(struct unpacking *u, int fd, const struct tree_place *place,
		      int64_t size, struct co_err *err)
{
	const int64_t most = (int64_t) CO_LIMIT_IMAGE_FILE << 20;
	const void *data;
	size_t n;
	int64_t at;
	int r;

	if (size < 0 || size > most)
		return too_long(place->path, err);
	while ((r = stream_data(&u->stream, &data, &n, &at, err)) > 0) {
		if (at < 0 || at > most || (int64_t) n > most - at)
			return too_long(place->path, err);
		r = write_piece(fd, data, n, at, &u->bytes);
		if (r)
			return co_fail_errno(err, -r, "cannot write \"%.200s\"",
					     place->path);
		say_progress(u);
	}
	if (r == 0 && ftruncate(fd, size))
		r = co_fail_errno(err, errno, "cannot write \"%.200s\"", place->path);
	return r;
}

/* ---- kinds ---- */

static int file(struct unpacking *u, struct archive_entry *e,
		const struct tree_place *place, struct co_err *err)
{
	autoclose int fd = -1;
	int r = tree_clear(&u->tree, place, err);

	if (r)
		return r;
	fd = openat(place->folder, place->name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make \"%.200s\"", place->path);
	r = write_data(u, fd, place, archive_entry_size(e), err);
	return r ? r : unpack_attributes(u, e, fd, place, err);
}

static int hard_link(struct unpacking *u, struct archive_entry *e,
		     const struct tree_place *place, struct co_err *err)
{
	const char *target = archive_entry_hardlink(e);
	struct tree_place from;
	struct tree tree;
	struct stat st, old;
	int r;

	if (!target)
		return co_fail(err, CO_INVALID,
			       "\"%.200s\" is a hard link to a name that is no text",
			       place->path);
	tree_init(&tree, u->tree.root);
	r = tree_place(&tree, target, false, &from, err);
	if (r == CO_NOT_FOUND || r == CO_NOT_DIR || r == CO_LOOP ||
	    (!r && (!*from.name || !tree_look(&from, &st) || S_ISDIR(st.st_mode))))
		r = co_fail(err, CO_INVALID,
			    "\"%.200s\" is a hard link to \"%.200s\", which is no file "
			    "of this layer: not taken",
			    place->path, target);
	/* a link to itself is there already */
	if (!r && !(tree_look(place, &old) && old.st_ino == st.st_ino)) {
		r = tree_clear(&u->tree, place, err);
		if (!r && linkat(from.folder, from.name, place->folder, place->name, 0))
			r = co_fail_errno(err, errno, "cannot link \"%.200s\"",
					  place->path);
	}
	tree_done(&tree);
	return r;
}

static int symbolic_link(struct unpacking *u, struct archive_entry *e,
			 const struct tree_place *place, struct co_err *err)
{
	const char *target = archive_entry_symlink(e);
	int r;

	if (!target || !*target)
		return co_fail(err, CO_INVALID,
			       "\"%.200s\" is a link to a name that is no text: not "
			       "taken",
			       place->path);
	r = tree_clear(&u->tree, place, err);
	if (!r && symlinkat(target, place->folder, place->name))
		r = co_fail_errno(err, errno, "cannot make the link \"%.200s\"",
				  place->path);
	return r ? r : unpack_attributes(u, e, -1, place, err);
}

static int pipe_(struct unpacking *u, struct archive_entry *e,
		 const struct tree_place *place, struct co_err *err)
{
	int r = tree_clear(&u->tree, place, err);

	if (!r && mknodat(place->folder, place->name, S_IFIFO | 0600, 0))
		r = co_fail_errno(err, errno, "cannot make the pipe \"%.200s\"",
				  place->path);
	return r ? r : unpack_attributes(u, e, -1, place, err);
}

/* Its mode and times come last: it has to be written to until then. */
static int folder(struct unpacking *u, struct archive_entry *e,
		  const struct tree_place *place, struct co_err *err)
{
	autoclose int fd = -1;
	int r = tree_folder(&u->tree, place, err);

	if (r)
		return r;
	fd = openat(place->folder, *place->name ? place->name : ".",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open \"%.200s\"", place->path);
	r = unpack_folder_later(u, e, place->path, err);
	return r ? r : unpack_extended(u, e, fd, err);
}

static int left_out(struct unpacking *u)
{
	u->devices++;
	return 0;
}

/* ---- the whole ---- */

static int one(struct unpacking *u, struct archive_entry *e, struct co_err *err)
{
	const char *path = archive_entry_pathname(e);
	struct tree_place place;
	int r;

	if (++u->entries > u->how->most_entries)
		return co_fail(err, CO_TOO_BIG,
			       "%s has more than %llu entries: not taken", u->how->what,
			       (unsigned long long) u->how->most_entries);
	if (!path || !*path)
		return co_fail(err, CO_INVALID,
			       "%s has an entry whose name is no text: not taken",
			       u->how->what);
	if (!u->how->plain && below_note(path) && !strstr(path, opaque))
		return 0;
	r = tree_place(&u->tree, path, true, &place, err);
	if (!r)
		r = whiteouts(u, &place, err);
	if (r <= 0)
		return r;
	if (!*place.name && archive_entry_filetype(e) != AE_IFDIR)
		return co_fail(
			err, CO_INVALID,
			"%s has an entry \"%.200s\" that is no folder: not taken",
			u->how->what, path);
	if (archive_entry_hardlink(e))
		return hard_link(u, e, &place, err);
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return file(u, e, &place, err);
	case AE_IFDIR:
		return folder(u, e, &place, err);
	case AE_IFLNK:
		return symbolic_link(u, e, &place, err);
	case AE_IFIFO:
		return pipe_(u, e, &place, err);
	default:
		return left_out(u);
	}
}

static int all(struct unpacking *u, struct co_err *err)
{
	struct archive_entry *e;
	struct digest diff;
	uint64_t bytes;
	int r;

	while ((r = stream_next(&u->stream, &e, err)) > 0) {
		r = one(u, e, err);
		if (r)
			return r;
		say_progress(u);
	}
	if (!r)
		r = unpack_folders(u, err);
	if (!r)
		r = stream_end(&u->stream, u->how->strict, &diff, &bytes, err);
	if (!r)
		(void) fprintf(
			u->out, /* the end will be missed */
			"{\"diff\":\"%s\",\"stream\":%llu,\"bytes\":%llu,"
			"\"entries\":%llu,\"devices\":%llu,\"setuid\":%llu,"
			"\"attributes\":%llu}\n",
			diff.text, (unsigned long long) bytes,
			(unsigned long long) u->bytes, (unsigned long long) u->entries,
			(unsigned long long) u->devices, (unsigned long long) u->setuid,
			(unsigned long long) u->attributes);
	return r;
}

int unpack_job(const struct unpack *how, int root, FILE *out, struct co_err *err)
{
	struct unpacking u = { .how = how, .out = out };
	int r;

	tree_init(&u.tree, root);
	u.tree.opaque = mark_opaque;
	u.tree.implied = unpack_implied;
	u.tree.arg = &u;
	r = stream_open(&u.stream, how->fd, how->most_bytes, how->what, err);
	if (!r)
		r = all(&u, err);
	stream_close(&u.stream);
	unpack_folders_done(&u);
	tree_done(&u.tree);
	return r;
}
