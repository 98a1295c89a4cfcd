/* SPDX-License-Identifier: MIT */
/* Exported site tables.  HOST. */
#include "cloudosd/site_file.h"

#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/paths.h"

#define TEMPORARY ".new" /* names of tables begin with a digit */

static uint64_t changed_ns(const struct stat *st)
{
	return (uint64_t) st->st_ctim.tv_sec * 1000000000U +
	       (uint64_t) st->st_ctim.tv_nsec;
}

static void name_of(const struct stat *st, char *out)
{
	(void) co_sites_name(out, st->st_dev, st->st_ino, (uint64_t) st->st_size,
			     changed_ns(st)); /* always fits */
}

/* ---- what is there ---- */

struct entry {
	char name[CO_SITES_NAME_SIZE];
	struct timespec changed;
	uint64_t size;
};

struct entries {
	struct entry *all;
	size_t count, room;
};

static int add_entry(struct entries *e, const char *name, const struct stat *st)
{
	if (e->count == e->room) {
		size_t room = e->room ? 2 * e->room : 64;
		struct entry *more = realloc(e->all, room * sizeof(*more));

		if (!more)
			return CO_NO_MEMORY;
		e->all = more;
		e->room = room;
	}
	(void) snprintf(e->all[e->count].name, sizeof(e->all[0].name), "%s", name);
	e->all[e->count].changed = st->st_mtim;
	e->all[e->count++].size = (uint64_t) st->st_size;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct entry *) a)->changed;
	const struct timespec *y = &((const struct entry *) b)->changed;

	return x->tv_sec != y->tv_sec
		       ? (x->tv_sec > y->tv_sec) - (x->tv_sec < y->tv_sec)
		       : (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* All tables, oldest first; half-written ones are removed on the way. */
static int list(const struct site_folder *f, struct entries *out)
{
	int again = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *d;
	int rc = 0;

	if (!dir) {
		if (again >= 0)
			(void) close(again);
		return CO_IO;
	}
	while (!rc && (d = readdir(dir))) {
		struct stat st;

		if (strncmp(d->d_name, TEMPORARY, sizeof(TEMPORARY) - 1) == 0)
			(void) unlinkat(f->fd, d->d_name, 0); /* or it stays: small */
		else if (d->d_name[0] != '.' &&
			 strlen(d->d_name) < CO_SITES_NAME_SIZE &&
			 fstatat(f->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			rc = add_entry(out, d->d_name, &st);
	}
	(void) closedir(dir);
	if (out->count)
		qsort(out->all, out->count, sizeof(*out->all), by_age);
	return rc;
}

/* Counts again; removes the oldest until there is some room below both limits. */
static void tidy(struct site_folder *f)
{
	const uint64_t tables = CO_LIMIT_SITES_TABLES, bytes = CO_LIMIT_SITES_BYTES;
	bool over = f->tables > tables || f->bytes > bytes;
	struct entries e = { 0 };

	if (list(f, &e) == 0) {
		f->tables = e.count;
		f->bytes = 0;
		for (size_t i = 0; i < e.count; i++)
			f->bytes += e.all[i].size;
		over |= f->tables > tables || f->bytes > bytes;
		for (size_t i = 0; over && i < e.count; i++) {
			if (f->tables <= tables / 8 * 7 && f->bytes <= bytes / 8 * 7)
				break;
			if (unlinkat(f->fd, e.all[i].name, 0) < 0 && errno != ENOENT)
				continue;
			f->tables--;
			f->bytes -= e.all[i].size;
		}
	}
	free(e.all);
}

int site_folder_open(struct site_folder *f, const char *run, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];

	*f = (struct site_folder){ .fd = -1 };
	(void) snprintf(path, sizeof(path), "%s/" CO_SITES_FOLDER, run);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot create the folder %s", path);
	f->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0 || fchmod(f->fd, 0755) < 0) /* umask is the daemon's */
		return co_fail_errno(err, errno, "cannot open the folder %s", path);
	tidy(f);
	return 0;
}

bool site_folder_has(const struct site_folder *f, const struct stat *file)
{
	struct co_sites_header head;
	char name[CO_SITES_NAME_SIZE];
	autoclose int fd = -1;
	struct stat st;

	name_of(file, name);
	fd = openat(f->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       read(fd, &head, sizeof(head)) == sizeof(head) &&
	       co_sites_check(&head, (uint64_t) st.st_size, file->st_dev, file->st_ino,
			      (uint64_t) file->st_size, changed_ns(file));
}

static int write_all(int fd, const struct co_sites_header *head,
		     const struct co_sites_row *rows)
{
	struct iovec parts[2] = { { (void *) head, sizeof(*head) },
				  { (void *) rows, head->count * sizeof(*rows) } };
	size_t size = parts[0].iov_len + parts[1].iov_len;
	ssize_t written = writev(fd, parts, 2);

	/* one call writes all of it to a file, or the disk is full */
	return written == (ssize_t) size ? 0 : written < 0 ? errno : ENOSPC;
}

int site_folder_put(struct site_folder *f, const struct stat *file,
		    struct co_sites_header head, const struct co_sites_row *rows,
		    struct co_err *err)
{
	char name[CO_SITES_NAME_SIZE], temporary[32];
	autoclose int fd = -1;
	int failed;

	name_of(file, name);
	head.mark = CO_SITES_MARK;
	head.version = CO_SITES_VERSION;
	head.device = file->st_dev;
	head.inode = file->st_ino;
	head.size = (uint64_t) file->st_size;
	head.changed_ns = changed_ns(file);
	(void) snprintf(temporary, sizeof(temporary), TEMPORARY "%d", getpid());
	(void) unlinkat(f->fd, temporary, 0); /* of one that failed */
	fd = openat(f->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot create a site table");
	failed = write_all(fd, &head, rows);
	if (!failed && fchmod(fd, 0444) < 0)
		failed = errno;
	if (!failed && co_fault("site.exporting"))
		failed = EIO;
	if (!failed && renameat(f->fd, temporary, f->fd, name) < 0)
		failed = errno;
	if (failed) {
		(void) unlinkat(f->fd, temporary, 0); /* the next tidying finds it */
		return co_fail_errno(err, failed, "cannot write a site table");
	}
	f->tables++;
	f->bytes += sizeof(head) + head.count * sizeof(*rows);
	if (f->tables > CO_LIMIT_SITES_TABLES || f->bytes > CO_LIMIT_SITES_BYTES)
		tidy(f);
	return 0;
}
