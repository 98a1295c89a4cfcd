/* SPDX-License-Identifier: MIT */
/* Looking into an archive of unknown kind, and taking its files out of it.  HOST. */
#include "cloudosd/image/spool.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/image/io.h"
#include "cloudosd/image/stream.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

/* "./a/b" and "/a/b" are "a/b". */
static const char *top(const char *path)
{
	while (*path == '/' || (path[0] == '.' && (path[1] == '/' || !path[1])))
		path++;
	return path;
}

static bool first_is(const char *path, const char *const *names)
{
	size_t n = strcspn(path, "/");

	for (; *names; names++)
		if (strlen(*names) == n && memcmp(path, *names, n) == 0)
			return true;
	return false;
}

/* ---- looking ---- */

static const char *const rootfs_names[] = { "bin",  "dev",   "etc",  "home",
					    "lib",  "lib64", "opt",  "proc",
					    "root", "run",   "sbin", "sys",
					    "tmp",  "usr",   "var",  NULL };
static const char *const image_names[] = { "oci-layout", "manifest.json", "index.json",
					   NULL };

int spool_look(const struct spool *s, int root, FILE *out, struct co_err *err)
{
	bool image = false, rootfs = false, any = false;
	struct archive_entry *e;
	uint64_t entries = 0;
	struct stream stream;
	int r;

	(void) root;
	r = stream_open(&stream, s->fd, s->most_bytes, s->what, err);
	while (!r && !rootfs) {
		const char *path;

		r = stream_next(&stream, &e, err);
		if (r <= 0)
			break;
		r = 0;
		any = true;
		path = archive_entry_pathname(e);
		path = path ? top(path) : "";
		rootfs = first_is(path, rootfs_names);
		image = image || (!strchr(path, '/') && first_is(path, image_names));
		if (++entries > CO_LIMIT_IMAGE_ENTRIES)
			r = co_fail(err, CO_TOO_BIG,
				    "%s has more than %d entries: not taken", s->what,
				    CO_LIMIT_IMAGE_ENTRIES);
	}
	if (r >= 0 && !any)
		r = co_fail(err, CO_INVALID, "%s is no tar archive, or an empty one",
			    s->what);
	if (r >= 0)
		(void) fprintf(out, "{\"kind\":\"%s\",\"filter\":\"%s\"}\n",
			       image && !rootfs ? "images" : "rootfs",
			       stream_filter(&stream));
	stream_close(&stream);
	return r < 0 ? r : 0;
}

/* ---- taking out ---- */

static void say(FILE *out, const char *name, const char *link, unsigned number,
		uint64_t size)
{
	autobuf struct co_buf line = { 0 };

	co_buf_text(&line, "{\"name\":");
	co_buf_json_text(&line, co_span(name));
	if (link) {
		co_buf_text(&line, ",\"link\":");
		co_buf_json_text(&line, co_span(link));
	} else {
		co_buf_format(&line, ",\"file\":%u,\"size\":%llu", number,
			      (unsigned long long) size);
	}
	co_buf_text(&line, "}\n");
	(void) fwrite(line.data, 1, line.size, out); /* the end will be missed */
}

static int take_data(struct stream *stream, int fd, uint64_t *out_size,
		     struct co_err *err)
{
	const void *data;
	int64_t at, end = 0;
	size_t n;
	int r;

	while ((r = stream_data(stream, &data, &n, &at, err)) > 0) {
		/* no image is kept in a sparse file */
		if (at != end)
			return co_fail(err, CO_INVALID,
				       "%s has a file with holes, as no archive of "
				       "images has: not taken",
				       stream->what);
		end += (int64_t) n;
		r = io_write_at(fd, data, n, at);
		if (r)
			return co_fail_errno(err, -r, "cannot take a file out of %s",
					     stream->what);
	}
	*out_size = (uint64_t) end;
	return r;
}

static int take_one(struct stream *stream, struct archive_entry *e, int root,
		    unsigned number, FILE *out, struct co_err *err)
{
	const char *path = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
	autoclose int fd = -1;
	char name[16];
	uint64_t size = 0;
	int r;

	if (!path)
		return co_fail(err, CO_INVALID,
			       "%s has a file whose name is no text: not taken",
			       stream->what);
	if (!link && archive_entry_filetype(e) == AE_IFLNK)
		link = archive_entry_symlink(e);
	if (strlen(path) > CO_LIMIT_IMAGE_PATH ||
	    (link && strlen(link) > CO_LIMIT_IMAGE_PATH))
		return co_fail(err, CO_NAME_TOO_LONG, "%s has a name that is too long",
			       stream->what);
	if (link) {
		say(out, path, link, 0, 0);
		return 0;
	}
	if (archive_entry_filetype(e) != AE_IFREG)
		return 0;
	(void) snprintf(name, sizeof(name), "%u", number);
	fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot take a file out of %s",
				     stream->what);
	r = take_data(stream, fd, &size, err);
	if (!r)
		say(out, path, NULL, number, size);
	return r;
}

int spool_files(const struct spool *s, int root, FILE *out, struct co_err *err)
{
	struct archive_entry *e;
	struct stream stream;
	struct digest digest;
	unsigned number = 0;
	uint64_t bytes;
	int r = stream_open(&stream, s->fd, s->most_bytes, s->what, err);

	while (!r) {
		r = stream_next(&stream, &e, err);
		if (r <= 0)
			break;
		r = take_one(&stream, e, root, number, out, err);
		if (!r && ++number > CO_LIMIT_IMAGE_MEMBERS)
			r = co_fail(err, CO_TOO_BIG,
				    "%s has more than %d files: not taken", s->what,
				    CO_LIMIT_IMAGE_MEMBERS);
	}
	if (!r)
		r = stream_end(&stream, true, &digest, &bytes, err);
	stream_close(&stream);
	return r;
}

int spool_plain(const struct spool *s, int root, FILE *out, struct co_err *err)
{
	struct stream stream;
	struct digest digest;
	uint64_t bytes = 0;
	int r = stream_open(&stream, s->fd, s->most_bytes, s->what, err);

	(void) root;
	if (!r)
		r = stream_copy(&stream, s->copy, &digest, &bytes, err);
	if (!r)
		(void) fprintf(out, "{\"diff\":\"%s\",\"stream\":%llu}\n", digest.text,
			       (unsigned long long) bytes);
	stream_close(&stream);
	return r;
}
