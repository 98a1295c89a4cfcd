/* SPDX-License-Identifier: MIT */
/* The folder where images lie.  HOST. */
#include "cloudosd/image/depot.h"

#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/image/io.h"
#include "cloudosd/image/remove.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/json_scan.h"

enum { INDEX_MAX = 268435456 };

/* ---- opening ---- */

static int make_folders(const char *path, struct co_err *err)
{
	static const char *const names[] = { "", "/blobs", "/blobs/sha256", "/layers",
					     "/tmp" };
	char name[PATH_MAX + 16];

	for (size_t i = 0; i < co_countof(names); i++) {
		(void) snprintf(name, sizeof(name), "%s%s", path, names[i]);
		if (mkdir(name, 0700) && errno != EEXIST)
			return co_fail_errno(err, errno, "cannot make the folder %s",
					     name);
	}
	return 0;
}

static int open_folder(struct depot *d, struct co_err *err)
{
	struct stat st;

	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->fd < 0 && errno == ENOENT)
		return co_fail(err, CO_NOT_FOUND, "there are no images in %s", d->path);
	if (d->fd < 0 || fstat(d->fd, &st))
		return co_fail_errno(err, errno, "cannot open the images in %s",
				     d->path);
	if (st.st_uid != geteuid())
		return co_fail(err, CO_ACCESS,
			       "the images in %s belong to somebody else", d->path);
	/* files with the set-user-id bit are in it */
	if ((st.st_mode & 077) && fchmod(d->fd, 0700))
		return co_fail_errno(err, errno, "others can read the images in %s",
				     d->path);
	return 0;
}

static int take_lock(struct depot *d, enum depot_use use, struct co_err *err)
{
	int how = use == DEPOT_CHANGE ? LOCK_EX : LOCK_SH;

	d->lock =
		openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock < 0)
		return co_fail_errno(err, errno, "cannot open %s/lock", d->path);
	if (flock(d->lock, how | LOCK_NB) == 0)
		return 0;
	report_note("waiting for another cloudos-image that works on %s", d->path);
	while (flock(d->lock, how))
		if (errno != EINTR)
			return co_fail_errno(err, errno, "cannot lock %s", d->path);
	return 0;
}

/* What a predecessor did not finish. */
static void empty_temps(struct depot *d)
{
	int fd = openat(d->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void) close(fd); /* only read */
		return;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void) remove_tree(fd, entry->d_name, NULL); /* or next time */
	(void) closedir(dir);                                        /* only read */
}

static int read_index(struct depot *d, struct co_err *err)
{
	autoclose int fd =
		openat(d->fd, "index.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autofree char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return co_fail_errno(err, errno, "cannot read %s/index.json", d->path);
	if (st.st_size > INDEX_MAX)
		return co_fail(err, CO_TOO_BIG, "%s/index.json is too big", d->path);
	text = malloc((size_t) st.st_size + 1);
	if (!text)
		return co_fail(err, CO_NO_MEMORY, "no memory for the index of images");
	n = pread(fd, text, (size_t) st.st_size, 0);
	if (n != st.st_size)
		return co_fail_errno(err, n < 0 ? errno : EIO,
				     "cannot read %s/index.json", d->path);
	return co_image_index_parse((struct co_span){ text, (size_t) n }, &d->index,
				    err);
}

int depot_open(struct depot *d, const char *path, enum depot_use use,
	       struct co_err *err)
{
	int r = 0;

	*d = (struct depot){ .fd = -1, .lock = -1 };
	if (*path != '/' || snprintf(d->path, sizeof(d->path), "%s", path) >=
				    (int) sizeof(d->path) - 128)
		return co_fail(err, CO_INVALID,
			       "%s is no path from the root, or too long", path);
	if (use == DEPOT_CHANGE)
		r = make_folders(d->path, err);
	if (!r)
		r = open_folder(d, err);
	if (!r)
		r = take_lock(d, use, err);
	d->changes = !r && use == DEPOT_CHANGE;
	if (d->changes)
		empty_temps(d);
	return r ? r : read_index(d, err);
}

void depot_close(struct depot *d)
{
	if (d->changes)
		empty_temps(d);
	co_image_index_done(&d->index);
	if (d->lock >= 0)
		(void) close(d->lock); /* gives the lock back */
	if (d->fd >= 0)
		(void) close(d->fd); /* a folder */
	d->fd = d->lock = -1;
}

int depot_path(const struct depot *d, const char *name, char out[PATH_MAX],
	       struct co_err *err)
{
	if (snprintf(out, PATH_MAX, "%s/%s", d->path, name) >= PATH_MAX)
		return co_fail(err, CO_NAME_TOO_LONG, "%s is too long a path", d->path);
	return 0;
}

/* ---- what is not finished ---- */

int depot_temp_file(struct depot *d, char out_name[64], int *out_fd, struct co_err *err)
{
	(void) snprintf(out_name, 64, "tmp/%u", d->temps++);
	*out_fd = openat(d->fd, out_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*out_fd < 0)
		return co_fail_errno(err, errno, "cannot make a file in %s/tmp",
				     d->path);
	return 0;
}

int depot_temp_folder(struct depot *d, char out_name[64], struct co_err *err)
{
	(void) snprintf(out_name, 64, "tmp/%u", d->temps++);
	if (mkdirat(d->fd, out_name, 0700))
		return co_fail_errno(err, errno, "cannot make a folder in %s/tmp",
				     d->path);
	return 0;
}

void depot_temp_remove(struct depot *d, const char *name)
{
	if (*name)
		(void) remove_tree(d->fd, name, NULL); /* or the next one does */
}

/* Both folders have to know of a rename before it counts. */
static int sync_folder(const struct depot *d, const char *name, struct co_err *err)
{
	autoclose int fd = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return co_fail_errno(err, errno, "cannot write %s/%s", d->path, name);
	return 0;
}

static int move(struct depot *d, const char *from, const char *to, const char *folder,
		struct co_err *err)
{
	if (renameat(d->fd, from, d->fd, to))
		return co_fail_errno(err, errno, "cannot make %s/%s", d->path, to);
	return sync_folder(d, folder, err);
}

int depot_save(struct depot *d, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };
	autoclose int fd = -1;
	char temp[64];
	int r;

	co_image_index_write(&d->index, &text);
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for the index of images");
	r = depot_temp_file(d, temp, &fd, err);
	if (r)
		return r;
	r = io_write(fd, text.data, text.size);
	if (!r && fsync(fd))
		r = -errno;
	if (r)
		return co_fail_errno(err, -r, "cannot write %s/index.json", d->path);
	(void) co_fault("image.saving"); /* a place to be killed at */
	r = move(d, temp, "index.json", ".", err);
	(void) co_fault("image.saved"); /* a place to be killed at */
	return r;
}

/* ---- blobs ---- */

static void blob_name(const struct digest *digest, char out[128])
{
	(void) snprintf(out, 128, "blobs/sha256/%s", digest_hex(digest));
}

bool depot_blob_size(const struct depot *d, const struct digest *digest,
		     uint64_t *out_size)
{
	struct stat st;
	char name[128];

	blob_name(digest, name);
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return false;
	*out_size = (uint64_t) st.st_size;
	return true;
}

int depot_blob_open(const struct depot *d, const struct digest *digest, int *out_fd,
		    struct co_err *err)
{
	char name[128];

	blob_name(digest, name);
	*out_fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*out_fd < 0)
		return co_fail_errno(err, errno, "cannot open %s/%s", d->path, name);
	return 0;
}

int depot_blob_keep(struct depot *d, const char *temp, int fd,
		    const struct digest *digest, struct co_err *err)
{
	char name[128];

	if (fchmod(fd, 0400) || fsync(fd))
		return co_fail_errno(err, errno, "cannot write %s/%s", d->path, temp);
	(void) co_fault("image.blob"); /* a place to be killed at */
	blob_name(digest, name);
	return move(d, temp, name, "blobs/sha256", err);
}

int depot_blob_write(struct depot *d, const void *data, size_t n, struct digest *out,
		     struct co_err *err)
{
	autoclose int fd = -1;
	uint64_t size;
	char temp[64];
	int r;

	digest_of(data, n, out);
	if (depot_blob_size(d, out, &size) && size == n)
		return 0;
	r = depot_temp_file(d, temp, &fd, err);
	if (r)
		return r;
	r = io_write(fd, data, n);
	if (r)
		return co_fail_errno(err, -r, "cannot write %s/%s", d->path, temp);
	return depot_blob_keep(d, temp, fd, out, err);
}

/* ---- layers ---- */

bool depot_has_layer(const struct depot *d, const char *chain)
{
	struct stat st;
	char name[128];

	(void) snprintf(name, sizeof(name), "layers/%s/layer.json", chain);
	return fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int depot_layer_keep(struct depot *d, const char *temp, const char *chain,
		     struct co_err *err)
{
	char name[128];

	/* one for all of its files, and cheaper than one each */
	if (syncfs(d->fd))
		return co_fail_errno(err, errno, "cannot write to %s", d->path);
	(void) co_fault("image.layer"); /* a place to be killed at */
	(void) snprintf(name, sizeof(name), "layers/%s", chain);
	return move(d, temp, name, "layers", err);
}

static uint64_t fact(struct co_span json, const char *name)
{
	struct co_span value;
	int64_t number;

	return co_json_member(json, name, &value) && co_json_whole(value, &number) &&
			       number > 0
		       ? (uint64_t) number
		       : 0;
}

int depot_layer_facts(const struct depot *d, const char *chain, struct layer_facts *out,
		      struct co_err *err)
{
	char name[128], text[4096];
	autoclose int fd = -1;
	struct co_json_fault fault;
	struct co_span json, value;
	ssize_t n;

	(void) snprintf(name, sizeof(name), "layers/%s/layer.json", chain);
	fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0)
		return co_fail_errno(err, errno, "cannot read %s/%s", d->path, name);
	if (co_json_check((struct co_span){ text, (size_t) n }, &json, &fault))
		return co_fail(err, CO_CORRUPT, "%s/%s is damaged: %s", d->path, name,
			       fault.what);
	*out = (struct layer_facts){ .bytes = fact(json, "bytes"),
				     .entries = fact(json, "entries"),
				     .devices = fact(json, "devices"),
				     .setuid = fact(json, "setuid"),
				     .attributes = fact(json, "attributes") };
	out->squashed =
		co_json_member(json, "squashed", &value) && co_span_is(value, "true");
	return 0;
}

/* ---- tidying ---- */

static bool layer_wanted(const struct depot *d, const char *chain)
{
	for (size_t i = 0; i < d->index.count; i++)
		for (size_t k = 0; k < d->index.at[i].layer_count; k++)
			if (strcmp(d->index.at[i].layers[k].chain, chain) == 0)
				return true;
	return false;
}

static bool blob_wanted(const struct depot *d, const char *hex)
{
	size_t skip = strlen("sha256:");

	for (size_t i = 0; i < d->index.count; i++) {
		const struct co_image_record *r = &d->index.at[i];

		if (strcmp(r->id + skip, hex) == 0)
			return true;
		for (size_t k = 0; k < r->layer_count; k++)
			if (strcmp(r->layers[k].digest + skip, hex) == 0)
				return true;
	}
	return false;
}

/* Renamed into tmp/ first: what is there under its name is whole. */
static int sweep_one(struct depot *d, int folder, const char *name, uint64_t *freed)
{
	char temp[64];

	(void) snprintf(temp, sizeof(temp), "tmp/%u", d->temps++);
	if (renameat(folder, name, d->fd, temp))
		return -errno;
	(void) co_fault("image.sweeping"); /* a place to be killed at */
	return remove_tree(d->fd, temp, freed);
}

static int sweep_folder(struct depot *d, const char *path,
			bool (*wanted)(const struct depot *d, const char *name),
			uint64_t *freed, struct co_err *err)
{
	int fd = openat(d->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = co_fail_errno(err, errno, "cannot read %s/%s", d->path, path);
		if (fd >= 0)
			(void) close(fd); /* only read */
		return r;
	}
	while ((entry = readdir(dir))) {
		int one;

		if (*entry->d_name == '.' || wanted(d, entry->d_name))
			continue;
		one = sweep_one(d, fd, entry->d_name, freed);
		if (one)
			r = co_fail_errno(err, -one, "cannot remove %s/%s/%s", d->path,
					  path, entry->d_name);
	}
	(void) closedir(dir); /* only read */
	return r;
}

int depot_sweep(struct depot *d, uint64_t *out_freed, struct co_err *err)
{
	int r;

	*out_freed = 0;
	r = sweep_folder(d, "layers", layer_wanted, out_freed, err);
	return r ? r : sweep_folder(d, "blobs/sha256", blob_wanted, out_freed, err);
}
