/* SPDX-License-Identifier: MIT */
/* A folder into a tar archive.  HOST. */
#include "cloudosd/image/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <uthash.h>

#include "cloudosd/image/marks.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"

enum { CHUNK = 262144, NAMES_MAX = 65536, ID_RANGE = 65536 };

/* A file with several names: the first one has been written. */
struct seen {
	struct {
		dev_t dev;
		ino_t ino;
	} key;
	char *path;
	UT_hash_handle hh;
};

struct packing {
	const struct pack *how;
	struct archive *archive;
	struct archive_entry *entry;
	struct seen *seen;
	dev_t device;
	uint64_t bytes, entries;
	char *chunk;
};

static int failed(struct packing *p, const char *path, struct co_err *err)
{
	const char *why = archive_error_string(p->archive);

	return co_fail_errno(err, archive_errno(p->archive) ?: EIO,
			     "cannot write \"%.200s\" of %s (%s)", path, p->how->what,
			     why ? why : "?");
}

static int unreadable(const struct packing *p, const char *path, struct co_err *err)
{
	return co_fail_errno(err, errno, "cannot read \"%.200s\" of %s", path,
			     p->how->what);
}

/* ---- headers ---- */

static uint32_t shifted(const struct packing *p, uint32_t id)
{
	uint32_t shift = p->how->id_shift;

	return shift && id >= shift && id - shift < ID_RANGE ? id - shift : id;
}

static void header(struct packing *p, const char *path, const struct stat *st)
{
	struct archive_entry *e = archive_entry_clear(p->entry);

	archive_entry_set_pathname(e, path);
	archive_entry_set_mode(e, st->st_mode);
	archive_entry_set_uid(e, shifted(p, st->st_uid));
	archive_entry_set_gid(e, shifted(p, st->st_gid));
	archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
	archive_entry_set_nlink(e, 1);
}

static void attributes(struct packing *p, int fd)
{
	char names[NAMES_MAX], value[4096];
	ssize_t n = flistxattr(fd, names, sizeof(names));

	for (ssize_t at = 0; at < n; at += (ssize_t) strlen(names + at) + 1) {
		const char *name = names + at;
		ssize_t size;

		if (strcmp(name, "security.capability") != 0 &&
		    (strncmp(name, "user.", 5) != 0 || mark_name(name)))
			continue;
		size = fgetxattr(fd, name, value, sizeof(value));
		if (size >= 0)
			archive_entry_xattr_add_entry(p->entry, name, value,
						      (size_t) size);
	}
}

static int write_header(struct packing *p, const char *path, struct co_err *err)
{
	int r = archive_write_header(p->archive, p->entry);

	p->entries++;
	return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 0 : failed(p, path, err);
}

/* A name that says something to whoever lays layers upon each other. */
static int write_mark(struct packing *p, const char *path, struct co_err *err)
{
	struct stat st = { .st_mode = S_IFREG | 0600 };

	header(p, path, &st);
	return write_header(p, path, err);
}

/* ---- data ---- */

static void add_holes(struct packing *p, int fd, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0)
			data = size;
		hole = data < size ? lseek(fd, data, SEEK_HOLE) : size;
		if (hole < 0 || hole > size)
			hole = size;
		if (at == 0 && data == 0 && hole == size)
			return; /* none */
		archive_entry_sparse_add_entry(p->entry, data, hole - data);
		at = hole;
	}
}

/* Holes are read as zeros and not written: the header says where they are. */
static int write_data(struct packing *p, int fd, const struct stat *st,
		      const char *path, struct co_err *err)
{
	off_t at = 0;

	while (at < st->st_size) {
		size_t want =
			st->st_size - at < CHUNK ? (size_t) (st->st_size - at) : CHUNK;
		ssize_t n = pread(fd, p->chunk, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unreadable(p, path, err);
		if (n == 0)
			return co_fail(err, CO_CONFLICT,
				       "\"%.200s\" of %s became shorter while it was "
				       "read",
				       path, p->how->what);
		if (archive_write_data(p->archive, p->chunk, (size_t) n) < 0)
			return failed(p, path, err);
		at += n;
		report_progress("pack", path, p->bytes + (uint64_t) at, 0);
	}
	p->bytes += (uint64_t) st->st_blocks * 512;
	return 0;
}

/* Has it been written under another name?  Notes this one if not. */
static int other_name(struct packing *p, const struct stat *st, const char *path,
		      const char **out, struct co_err *err)
{
	struct seen *s, look;

	*out = NULL;
	if (st->st_nlink < 2)
		return 0;
	memset(&look, 0, sizeof(look));
	look.key.dev = st->st_dev;
	look.key.ino = st->st_ino;
	HASH_FIND(hh, p->seen, &look.key, sizeof(look.key), s);
	if (s) {
		*out = s->path;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (s) {
		s->key = look.key;
		s->path = strdup(path);
	}
	if (!s || !s->path) {
		free(s);
		return co_fail(err, CO_NO_MEMORY, "no memory to pack %s", p->how->what);
	}
	HASH_ADD(hh, p->seen, key, sizeof(s->key), s);
	return 0;
}

static int file(struct packing *p, int folder, const char *name, const char *path,
		struct co_err *err)
{
	autoclose int fd =
		openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const char *first;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return unreadable(p, path, err);
	if (!S_ISREG(st.st_mode))
		return co_fail(err, CO_CONFLICT, "\"%.200s\" changed while it was read",
			       path);
	r = other_name(p, &st, path, &first, err);
	if (r)
		return r;
	header(p, path, &st);
	if (first) {
		archive_entry_set_size(p->entry, 0);
		archive_entry_set_hardlink(p->entry, first);
		return write_header(p, path, err);
	}
	attributes(p, fd);
	add_holes(p, fd, st.st_size);
	r = write_header(p, path, err);
	return r ? r : write_data(p, fd, &st, path, err);
}

static int symbolic_link(struct packing *p, int folder, const char *name,
			 const struct stat *st, const char *path, struct co_err *err)
{
	char target[4096];
	ssize_t n = readlinkat(folder, name, target, sizeof(target) - 1);

	if (n < 0)
		return unreadable(p, path, err);
	target[n] = '\0';
	header(p, path, st);
	archive_entry_set_symlink(p->entry, target);
	return write_header(p, path, err);
}

/* ---- folders ---- */

static int pack_entry(struct packing *p, int folder, const char *name, const char *path,
		      unsigned depth, struct co_err *err);

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static void names_free(char **names, size_t n)
{
	while (n)
		free(names[--n]);
	free(names);
}

/* Sorted; takes fd. */
static int names_of(int fd, char ***out, size_t *out_count)
{
	DIR *dir = fdopendir(fd);
	char **names = NULL;
	size_t n = 0, room = 0;
	struct dirent *e;
	bool good = dir != NULL;

	while (good && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == room) {
			char **more = realloc(names, (room * 2 + 16) * sizeof(*more));

			room = room * 2 + 16;
			names = more ? more : names;
			good = more != NULL;
		}
		good = good && (names[n] = strdup(e->d_name)) != NULL;
		n += good;
	}
	if (dir)
		(void) closedir(dir); /* only read */
	else
		(void) close(fd); /* only read */
	if (!good) {
		names_free(names, n);
		return CO_NO_MEMORY;
	}
	if (n)
		qsort(names, n, sizeof(*names), compare);
	*out = names;
	*out_count = n;
	return 0;
}

static int contents(struct packing *p, int fd, const char *path, unsigned depth,
		    struct co_err *err)
{
	char **names = NULL;
	size_t n = 0;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int r = copy < 0 ? unreadable(p, path, err) : names_of(copy, &names, &n);

	if (depth > CO_LIMIT_IMAGE_DEPTH)
		r = co_fail(err, CO_TOO_BIG, "\"%.200s\" of %s is too deep", path,
			    p->how->what);
	for (size_t i = 0; !r && i < n; i++) {
		char inner[CO_LIMIT_IMAGE_PATH + 1];

		if (snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "/" : "",
			     names[i]) >= (int) sizeof(inner))
			r = co_fail(err, CO_NAME_TOO_LONG,
				    "\"%.200s...\" of %s is too long a path", inner,
				    p->how->what);
		else
			r = pack_entry(p, fd, names[i], inner, depth + 1, err);
	}
	names_free(names, n);
	return r;
}

static int marks_of_folder(struct packing *p, int fd, const char *path,
			   struct co_err *err)
{
	char mark[CO_LIMIT_IMAGE_PATH + 32];
	int r;

	if (!p->how->marks)
		return 0;
	r = mark_check(fd, path, err);
	if (r || !mark_is_opaque(fd))
		return r;
	(void) snprintf(mark, sizeof(mark), "%s%s.wh..wh..opq", path, *path ? "/" : "");
	return write_mark(p, mark, err);
}

static int folder_entry(struct packing *p, int folder, const char *name,
			const char *path, unsigned depth, struct co_err *err)
{
	autoclose int fd =
		openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st))
		return unreadable(p, path, err);
	if (*path) {
		header(p, path, &st);
		attributes(p, fd);
		r = write_header(p, path, err);
	}
	if (!r)
		r = marks_of_folder(p, fd, path, err);
	if (r || st.st_dev != p->device)
		return r; /* something mounted: the folder, and not what is in it */
	return contents(p, fd, path, depth, err);
}

static int whiteout(struct packing *p, const char *path, struct co_err *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t) (slash + 1 - path) : 0;
	char mark[CO_LIMIT_IMAGE_PATH + 32];

	(void) snprintf(mark, sizeof(mark), "%.*s.wh.%s", (int) n, path, path + n);
	return write_mark(p, mark, err);
}

static int pack_entry(struct packing *p, int folder, const char *name, const char *path,
		      unsigned depth, struct co_err *err)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		return unreadable(p, path, err);
	if (p->how->marks && strncmp(name, ".wh.", 4) == 0)
		return co_fail(err, CO_INVALID,
			       "\"%.200s\" of %s has a name that means something else "
			       "in a layer",
			       path, p->how->what);
	if (S_ISDIR(st.st_mode))
		return folder_entry(p, folder, name, path, depth, err);
	if (S_ISREG(st.st_mode))
		return file(p, folder, name, path, err);
	if (S_ISLNK(st.st_mode))
		return symbolic_link(p, folder, name, &st, path, err);
	if (S_ISFIFO(st.st_mode)) {
		header(p, path, &st);
		return write_header(p, path, err);
	}
	if (p->how->marks && S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return whiteout(p, path, err);
	return 0; /* devices and sockets */
}

/* ---- the whole ---- */

static int begin(struct packing *p, struct co_err *err)
{
	p->archive = archive_write_new();
	p->entry = archive_entry_new();
	p->chunk = malloc(CHUNK);
	if (!p->archive || !p->entry || !p->chunk)
		return co_fail(err, CO_NO_MEMORY, "no memory to pack %s", p->how->what);
	if ((p->how->gzip &&
	     (archive_write_add_filter_gzip(p->archive) != ARCHIVE_OK ||
	      archive_write_set_filter_option(p->archive, "gzip", "compression-level",
					      "1") != ARCHIVE_OK ||
	      archive_write_set_filter_option(p->archive, "gzip", "timestamp", NULL) !=
		      ARCHIVE_OK)) ||
	    archive_write_set_format_pax_restricted(p->archive) != ARCHIVE_OK ||
	    archive_write_open_fd(p->archive, p->how->fd) != ARCHIVE_OK)
		return failed(p, "the beginning", err);
	return 0;
}

static void end(struct packing *p)
{
	struct seen *s, *next;

	HASH_ITER (hh, p->seen, s, next) {
		HASH_DEL(p->seen, s);
		free(s->path);
		free(s);
	}
	archive_entry_free(p->entry);
	if (p->archive)
		(void) archive_write_free(p->archive); /* was closed, or has failed */
	free(p->chunk);
}

int pack_folder(const struct pack *how, int root, uint64_t *out_bytes,
		struct co_err *err)
{
	struct packing p = { .how = how };
	struct stat st;
	int r = begin(&p, err);

	if (!r && fstat(root, &st))
		r = unreadable(&p, "/", err);
	if (!r) {
		p.device = st.st_dev;
		if (how->only)
			r = pack_entry(&p, root, how->only,
				       how->prefix ? how->prefix : how->only, 0, err);
		else
			r = folder_entry(&p, root, ".", how->prefix ? how->prefix : "",
					 0, err);
	}
	if (!r && archive_write_close(p.archive) != ARCHIVE_OK)
		r = failed(&p, "the end", err);
	if (!r && out_bytes)
		*out_bytes = p.bytes;
	end(&p);
	return r;
}
