/* SPDX-License-Identifier: MIT */
/*
 * diff: what a container has changed, told from its upper folder.  HOST.
 *
 * Lines {"kind":"A","path":"/a","size":n}: A, there was nothing; C, there was something; D, it
 * was hidden.  A folder that is only there because something in it changed is C.
 */
#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/image/commands.h"
#include "cloudosd/image/marks.h"
#include "cloudosd/image/report.h"
#include "cloudosd/image/tree.h"
#include "lib/cleanup.h"

struct diffing {
	const struct depot *depot;
	int *layers; /* folders, uppermost first */
	size_t layer_count;
	uint64_t added, changed, deleted;
};

/* ---- what is below ---- */

enum found { FOUND_NOTHING, FOUND_IT, FOUND_END };

/* In one layer: it; nothing, look further down; or nothing, and what is below is hidden. */
static enum found look_in(int layer, const char *path)
{
	autoclose int folder = fcntl(layer, F_DUPFD_CLOEXEC, 3);
	bool hidden = false;

	while (folder >= 0) {
		size_t n = strcspn(path, "/");
		char name[256];
		struct stat st;
		int next;

		(void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
		hidden = hidden || mark_is_opaque(folder);
		if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
			return hidden ? FOUND_END : FOUND_NOTHING;
		if (tree_is_whiteout(&st))
			return FOUND_END;
		if (!path[n])
			return FOUND_IT;
		if (!S_ISDIR(st.st_mode))
			return FOUND_END;
		next = openat(folder, name,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void) close(folder); /* only read */
		folder = next;
		path += n + 1;
	}
	return FOUND_NOTHING;
}

static bool is_below(const struct diffing *d, const char *path)
{
	for (size_t i = 0; i < d->layer_count; i++) {
		enum found f = look_in(d->layers[i], path);

		if (f != FOUND_NOTHING)
			return f == FOUND_IT;
	}
	return false;
}

/* ---- what is above ---- */

static void tell(struct diffing *d, char kind, const char *path, const struct stat *st)
{
	autobuf struct co_buf line = { 0 };
	autobuf struct co_buf full = { 0 };

	d->added += kind == 'A';
	d->changed += kind == 'C';
	d->deleted += kind == 'D';
	co_buf_format(&line, "{\"event\":\"change\",\"kind\":\"%c\",\"path\":", kind);
	co_buf_char(&full, '/');
	co_buf_text(&full, path);
	co_buf_json_text(&line, (struct co_span){ full.data, full.size });
	line.failed = line.failed || full.failed;
	if (kind != 'D' && S_ISREG(st->st_mode))
		co_buf_format(&line, ",\"size\":%llu",
			      (unsigned long long) st->st_size);
	co_buf_char(&line, '}');
	report_line(&line);
}

static int go(struct diffing *d, int fd, const char *path, unsigned depth,
	      struct co_err *err);

static int one(struct diffing *d, int folder, const char *name, const char *path,
	       unsigned depth, struct co_err *err)
{
	autoclose int fd = -1;
	struct stat st;
	bool below;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		return co_fail_errno(err, errno, "cannot look at \"%.200s\"", path);
	below = is_below(d, path);
	if (tree_is_whiteout(&st)) {
		if (below)
			tell(d, 'D', path, &st);
		return 0;
	}
	tell(d, below ? 'C' : 'A', path, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open \"%.200s\"", path);
	return go(d, fd, path, depth + 1, err);
}

static int go(struct diffing *d, int fd, const char *path, unsigned depth,
	      struct co_err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return co_fail_errno(err, errno, "cannot read \"%.200s\"", path);
	if (depth > CO_LIMIT_IMAGE_DEPTH)
		r = co_fail(err, CO_TOO_BIG, "\"%.200s\" is too deep", path);
	while (!r && (e = readdir(dir))) {
		char inner[CO_LIMIT_IMAGE_PATH + 1];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "/" : "",
			     e->d_name) >= (int) sizeof(inner))
			r = co_fail(err, CO_NAME_TOO_LONG,
				    "\"%.200s...\" is too long a path", inner);
		else
			r = one(d, fd, e->d_name, inner, depth, err);
	}
	(void) closedir(dir); /* only read */
	return r;
}

/* ---- the command ---- */

static int open_layers(struct diffing *d, const struct co_image_record *image,
		       struct co_err *err)
{
	d->layers = calloc(image->layer_count + 1, sizeof(*d->layers));
	if (!d->layers)
		return co_fail(err, CO_NO_MEMORY, "no memory for layers");
	for (size_t i = image->layer_count; i > 0; i--) {
		char path[PATH_MAX];
		int r = layer_path(d->depot, image->layers[i - 1].chain, path, err);
		int fd = r ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return r ? r
				 : co_fail_errno(err, errno, "cannot open %s", path);
		d->layers[d->layer_count++] = fd;
	}
	return 0;
}

int command_diff(struct depot *depot, const struct options *o, char **argv, int argc,
		 struct co_err *err)
{
	struct diffing d = { .depot = depot };
	autobuf struct co_buf members = { 0 };
	autoclose int upper = -1;
	size_t at;
	int r = co_image_index_find(&depot->index, co_span(argv[0]), &at, err);

	(void) o;
	(void) argc;
	if (!r)
		r = open_layers(&d, &depot->index.at[at], err);
	if (!r) {
		upper = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = upper < 0 ? co_fail_errno(err, errno, "cannot open %s", argv[1])
			      : go(&d, upper, "", 0, err);
	}
	while (d.layer_count)
		(void) close(d.layers[--d.layer_count]); /* only read */
	free(d.layers);
	co_buf_format(&members, "\"added\":%llu,\"changed\":%llu,\"deleted\":%llu",
		      (unsigned long long) d.added, (unsigned long long) d.changed,
		      (unsigned long long) d.deleted);
	return r ? r : report_done(&members);
}
