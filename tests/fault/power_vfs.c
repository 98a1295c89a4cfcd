/* SPDX-License-Identifier: MIT */
/* A VFS that can show what a power cut would have left.  HOST.  For tests. */
#include "tests/fault/power_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 16, SECTOR = 512 };

enum step_kind { STEP_CREATE, STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_DELETE };

struct step {
	enum step_kind kind;
	int file;
	sqlite3_int64 at, size;
	unsigned char *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct step *steps;
static size_t nsteps, room;
static char *names[FILES];
static sqlite3_vfs *below;

struct power_file {
	sqlite3_file base;
	int file; /* -1: not one of ours, e.g. a temporary file */
	_Alignas(sqlite3_int64) unsigned char real[]; /* as SQLite aligns it */
};

static sqlite3_file *real(sqlite3_file *f)
{
	return (sqlite3_file *) (void *) ((struct power_file *) f)->real;
}

/* ---- remembering ---- */

static int file_number(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (int i = 0; i < FILES; i++) {
		if (!names[i])
			names[i] = strdup(name);
		if (strcmp(names[i], name) == 0)
			return i;
	}
	abort();
}

static void remember(enum step_kind kind, int file, const void *data, sqlite3_int64 at,
		     sqlite3_int64 size)
{
	struct step step = { .kind = kind, .file = file, .at = at, .size = size };

	if (file < 0)
		return;
	if (data) {
		step.data = malloc((size_t) size);
		if (!step.data)
			abort();
		memcpy(step.data, data, (size_t) size);
	}
	pthread_mutex_lock(&lock);
	if (nsteps == room) {
		room = room ? 2 * room : 1024;
		steps = realloc(steps, room * sizeof(*steps));
		if (!steps)
			abort();
	}
	steps[nsteps++] = step;
	pthread_mutex_unlock(&lock);
}

size_t power_now(void)
{
	size_t now;

	pthread_mutex_lock(&lock);
	now = nsteps;
	pthread_mutex_unlock(&lock);
	return now;
}

void power_reset(void)
{
	for (size_t i = 0; i < nsteps; i++)
		free(steps[i].data);
	free(steps);
	steps = NULL;
	nsteps = room = 0;
}

/* ---- the file methods: those that change something remember it ---- */

static int power_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int power_read(sqlite3_file *f, void *data, int size, sqlite3_int64 at)
{
	return real(f)->pMethods->xRead(real(f), data, size, at);
}

static int power_write(sqlite3_file *f, const void *data, int size, sqlite3_int64 at)
{
	remember(STEP_WRITE, ((struct power_file *) f)->file, data, at, size);
	return real(f)->pMethods->xWrite(real(f), data, size, at);
}

static int power_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	remember(STEP_TRUNCATE, ((struct power_file *) f)->file, NULL, 0, size);
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int power_sync(sqlite3_file *f, int flags)
{
	int rc = real(f)->pMethods->xSync(real(f), flags);

	remember(STEP_SYNC, ((struct power_file *) f)->file, NULL, 0, 0);
	return rc;
}

static int power_size(sqlite3_file *f, sqlite3_int64 *out)
{
	return real(f)->pMethods->xFileSize(real(f), out);
}

static int power_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int power_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int power_reserved(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int power_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int power_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int power_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int power_shm_map(sqlite3_file *f, int page, int size, int extend,
			 void volatile **out)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int power_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void power_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int power_shm_unmap(sqlite3_file *f, int erase)
{
	return real(f)->pMethods->xShmUnmap(real(f), erase);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = power_close,
	.xRead = power_read,
	.xWrite = power_write,
	.xTruncate = power_truncate,
	.xSync = power_sync,
	.xFileSize = power_size,
	.xLock = power_lock,
	.xUnlock = power_unlock,
	.xCheckReservedLock = power_reserved,
	.xFileControl = power_control,
	.xSectorSize = power_sector,
	.xDeviceCharacteristics = power_device,
	.xShmMap = power_shm_map,
	.xShmLock = power_shm_lock,
	.xShmBarrier = power_shm_barrier,
	.xShmUnmap = power_shm_unmap,
};

/* ---- the VFS ---- */

static int power_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags,
		      int *out_flags)
{
	struct power_file *file = (struct power_file *) f;
	int rc;

	(void) vfs; /* there is one */
	rc = below->xOpen(below, path, real(f), flags, out_flags);
	file->base.pMethods = real(f)->pMethods ? &methods : NULL;
	file->file = -1;
	if (rc == SQLITE_OK && path) {
		pthread_mutex_lock(&lock);
		file->file = file_number(path);
		pthread_mutex_unlock(&lock);
		remember(STEP_CREATE, file->file, NULL, 0, 0);
	}
	return rc;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	int file;

	(void) vfs; /* there is one */
	pthread_mutex_lock(&lock);
	file = file_number(path);
	pthread_mutex_unlock(&lock);
	remember(STEP_DELETE, file, NULL, 0, 0);
	return below->xDelete(below, path, sync_folder);
}

void power_start(void)
{
	static sqlite3_vfs vfs;

	below = sqlite3_vfs_find("unix-excl");
	if (!below || below->szOsFile <= 0)
		abort();
	vfs = *below;
	vfs.zName = "co-power";
	vfs.pNext = NULL;
	vfs.szOsFile = (int) sizeof(struct power_file) + below->szOsFile;
	vfs.xOpen = power_open;
	vfs.xDelete = power_delete;
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
		abort();
}

/* ---- images ---- */

struct image {
	bool there;
	unsigned char *data;
	size_t size, room;
};

static void resize(struct image *to, size_t size)
{
	if (size > to->room) {
		to->room = 2 * size;
		to->data = realloc(to->data, to->room);
		if (!to->data)
			abort();
	}
	if (size > to->size)
		memset(to->data + to->size, 0, size - to->size);
	to->size = size;
}

static void put_bytes(struct image *to, const struct step *step, size_t from,
		      size_t size)
{
	size_t end = (size_t) step->at + from + size;

	if (end > to->size)
		resize(to, end);
	memcpy(to->data + (size_t) step->at + from, step->data + from, size);
}

static void put_write(struct image *to, const struct step *step, enum power_fate fate)
{
	if (fate != POWER_TORN) {
		put_bytes(to, step, 0, (size_t) step->size);
		return;
	}
	for (size_t from = 0; from < (size_t) step->size;) {
		size_t size = SECTOR - ((size_t) step->at + from) % SECTOR;

		if (size > (size_t) step->size - from)
			size = (size_t) step->size - from;
		if (random() & 1)
			put_bytes(to, step, from, size);
		from += size;
	}
}

static void apply(struct image *to, const struct step *step, bool synced,
		  enum power_fate fate)
{
	if (synced)
		fate = POWER_ALL;
	switch (step->kind) {
	case STEP_CREATE:
		to->there = true;
		return;
	case STEP_DELETE:
		to->there = false;
		to->size = 0;
		return;
	case STEP_SYNC:
		return;
	case STEP_WRITE:
		if (fate == POWER_NOTHING || (fate == POWER_SOME && random() & 1))
			return;
		put_write(to, step, fate);
		return;
	case STEP_TRUNCATE:
		if (fate == POWER_NOTHING || (fate != POWER_ALL && random() & 1))
			return;
		resize(to, (size_t) step->size);
		return;
	}
}

static void write_image(const char *folder, const char *name, const struct image *image)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, image->data, image->size) != (ssize_t) image->size) {
		perror(path);
		exit(99);
	}
	close(fd);
}

void power_image(const char *folder, size_t at, enum power_fate fate)
{
	struct image images[FILES] = { 0 };
	size_t synced[FILES] = { 0 };

	for (size_t i = 0; i < at; i++)
		if (steps[i].kind == STEP_SYNC)
			synced[steps[i].file] = i;
	for (size_t i = 0; i < at; i++)
		apply(&images[steps[i].file], &steps[i], i < synced[steps[i].file],
		      fate);
	for (int i = 0; i < FILES; i++) {
		if (images[i].there)
			write_image(folder, names[i], &images[i]);
		free(images[i].data);
	}
}
