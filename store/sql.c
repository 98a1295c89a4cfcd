/* SPDX-License-Identifier: MIT */
/* Opening databases, running statements, and what SQLite's failures mean.  HOST. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

static bool means_full(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

/* A quota or a file size limit is a full disk to whoever asked; SQLite calls it an I/O
 * error and keeps the reason with the file it was writing. */
static bool write_hit_a_limit(sqlite3 *db)
{
	static const int which[] = { SQLITE_FCNTL_JOURNAL_POINTER,
				     SQLITE_FCNTL_FILE_POINTER };

	for (size_t i = 0; i < co_countof(which); i++) {
		sqlite3_file *file = NULL;
		int errnum = 0;

		if (sqlite3_file_control(db, "main", which[i], &file) == SQLITE_OK &&
		    file && file->pMethods &&
		    file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO,
						 &errnum) == SQLITE_OK &&
		    means_full(errnum))
			return true;
	}
	return false;
}

static int sql_status(sqlite3 *db)
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	int system = db ? sqlite3_system_errno(db) : 0;

	if (code == SQLITE_IOERR_NOMEM)
		return CO_NO_MEMORY;
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return CO_NO_MEMORY;
	case SQLITE_FULL:
		return CO_NO_SPACE;
	case SQLITE_TOOBIG:
		return CO_TOO_BIG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return CO_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return CO_CORRUPT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return CO_ACCESS;
	case SQLITE_CANTOPEN:
		return system ? co_status_from_errno(system) : CO_ACCESS;
	default:
		if (code == SQLITE_IOERR_WRITE && write_hit_a_limit(db))
			return CO_NO_SPACE;
		return means_full(system) ? CO_NO_SPACE : CO_IO;
	}
}

int sql_failed(sqlite3 *db, const char *path, struct co_err *err)
{
	char why[256];
	int errnum = db ? sqlite3_system_errno(db) : 0;
	int status;

	(void) snprintf(why, sizeof(why), "%s",
			db ? sqlite3_errmsg(db) : "out of memory");
	status = sql_status(db); /* last: looking at the files changes what db says */

	switch (status) {
	case CO_NO_SPACE:
		return co_fail(
			err, status,
			"cannot write %s: the disk is full; free some space, what "
			"was acknowledged is safe",
			path);
	case CO_BUSY:
		return co_fail(err, status,
			       "cannot open %s: another process has it open; stop that "
			       "cloudosd, or choose another folder with CLOUDOS_DIR",
			       path);
	case CO_CORRUPT:
		return co_fail(
			err, status,
			"%s is damaged (%s); move it and its -wal file away, then "
			"start afresh or put a backup in its place",
			path, why);
	case CO_ACCESS:
		return co_fail(
			err, status,
			"cannot use %s: %s; check the owner and permissions of the "
			"file and its folder",
			path, why);
	case 0:
		return co_fail(err, CO_IO, "cannot use %s: no reason is known", path);
	default:
		if (errnum)
			return co_fail(err, status, "cannot use %s: %s (%s)", path, why,
				       strerror(errnum));
		return co_fail(err, status, "cannot use %s: %s", path, why);
	}
}

/* SQLite would create it readable for everybody. */
int sql_create(const char *path, struct co_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot create %s", path);
	if (fd >= 0)
		(void) close(fd); /* empty: nothing to lose */
	return 0;
}

int sql_open(sqlite3 **out, const char *path, const char *vfs, struct co_err *err)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX,
			    vfs) != SQLITE_OK) {
		int status = sql_failed(db, path, err);

		(void) sqlite3_close(db); /* it was never open */
		return status;
	}
	(void) sqlite3_extended_result_codes(db, 1); /* cannot fail on a handle */
	*out = db;
	return 0;
}

int sql_exec(sqlite3 *db, const char *path, const char *text, struct co_err *err)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		return sql_failed(db, path, err);
	return 0;
}

int sql_number(sqlite3 *db, const char *path, const char *text, int64_t *out,
	       struct co_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int status = 0;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		return sql_failed(db, path, err);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		*out = sqlite3_column_int64(stmt, 0);
		break;
	case SQLITE_DONE:
		*out = 0;
		break;
	default:
		status = sql_failed(db, path, err);
	}
	(void) sqlite3_finalize(stmt); /* repeats the failure of the step */
	return status;
}

static int failure_of(struct store *s)
{
	return sql_failed(s->db, s->path, &s->failure);
}

int sql_step(struct store *s, enum statement which)
{
	switch (sqlite3_step(s->sql[which])) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return failure_of(s);
	}
}

void sql_reset(struct store *s, enum statement which)
{
	(void) sqlite3_reset(s->sql[which]); /* repeats the failure of the step */
	(void) sqlite3_clear_bindings(s->sql[which]); /* cannot fail */
}

int sql_run(struct store *s, enum statement which)
{
	int got = sql_step(s, which);

	sql_reset(s, which);
	return got < 0 ? got : 0;
}

void sql_bind_key(sqlite3_stmt *stmt, int at, const char *key)
{
	sql_bind_blob(stmt, at, key, strlen(key));
}

void sql_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t size)
{
	/* A NULL pointer would be SQL's NULL.  Without memory the statement fails later. */
	(void) sqlite3_bind_blob(stmt, at, size ? data : "", (int) size, SQLITE_STATIC);
}

uint64_t sql_bytes(const char *path)
{
	autofree char *wal = NULL;
	uint64_t bytes = 0;
	struct stat st;

	if (stat(path, &st) == 0)
		bytes += (uint64_t) st.st_size;
	if (asprintf(&wal, "%s-wal", path) < 0) {
		wal = NULL;
		return bytes;
	}
	if (stat(wal, &st) == 0)
		bytes += (uint64_t) st.st_size;
	return bytes;
}
