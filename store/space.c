/* SPDX-License-Identifier: MIT */
/*
 * Room on the disk: the ballast, compaction, and the copy for a backup.  HOST.
 * The writer thread only.
 *
 * SQLite needs room even to delete.  The ballast is a file of reserved blocks; when the
 * disk is full it is given up, history is forgotten, free pages go back, and it is
 * reserved again.  While it cannot be, only what makes room is carried out.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { COMPACT_STEP = 1000, VACUUM_ROUNDS = 10000 };

/* ---- ballast ---- */

bool space_restore(struct store *s)
{
	autoclose int fd = -1;

	if (s->ballast_held || s->ballast_off)
		return true;
	fd = open(s->ballast_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && fallocate(fd, 0, 0, CO_LIMIT_STORE_BALLAST) == 0) {
		s->ballast_held = true;
		return true;
	}
	if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG && errno != EIO)
		s->ballast_off = true;  /* this file system cannot reserve blocks */
	(void) unlink(s->ballast_path); /* whatever part of it was reserved */
	return s->ballast_off;
}

void space_init(struct store *s)
{
	s->ballast_off = s->options.volatile_;
	(void) space_restore(s); /* without it puts are refused, and say why */
}

/* ---- giving back ---- */

static int checkpoint(struct store *s)
{
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
				      NULL) != SQLITE_OK)
		return sql_failed(s->db, s->path, &s->failure);
	return 0;
}

/* With the ballast's room the log can be written back, and then begins anew. */
void space_release(struct store *s)
{
	(void) unlink(s->ballast_path); /* not there is as good */
	s->ballast_held = false;
	(void) checkpoint(s); /* as far as it goes */
}

/* Free pages and the log go back to the file system, as far as there is room to do so. */
static void shrink(struct store *s)
{
	int64_t pages = 0;

	for (int i = 0; i < VACUUM_ROUNDS; i++) {
		struct co_err ignored;

		if (sql_number(s->db, s->path, "PRAGMA freelist_count", &pages,
			       &ignored) < 0 ||
		    pages == 0 ||
		    sql_exec(s->db, s->path, "PRAGMA incremental_vacuum(500)",
			     &ignored) < 0)
			break;
		(void) checkpoint(s); /* the next one may do better */
	}
	(void) checkpoint(s); /* what does not fit stays in the log */
}

void space_tidy(struct store *s)
{
	shrink(s);
	(void) space_restore(s); /* its absence is what execute() looks at */
}

/* ---- compaction ---- */

static int forget(struct store *s, uint64_t rev)
{
	int status = writer_begin(s), got;

	if (status < 0)
		return status;
	sql_bind(s->sql[SQL_HISTORY_SIZE], 1, rev);
	got = sql_step(s, SQL_HISTORY_SIZE);
	if (got == 1) {
		s->draft.history -= sqlite3_column_int64(s->sql[SQL_HISTORY_SIZE], 0);
		s->draft.history_bytes -=
			sqlite3_column_int64(s->sql[SQL_HISTORY_SIZE], 1);
	}
	sql_reset(s, SQL_HISTORY_SIZE);
	status = got < 0 ? got : 0;
	sql_bind(s->sql[SQL_HISTORY_DROP], 1, rev);
	if (status == 0)
		status = sql_run(s, SQL_HISTORY_DROP);
	sql_bind(s->sql[SQL_COMPACTED], 1, rev);
	if (status == 0)
		status = sql_run(s, SQL_COMPACTED);
	if (status == 0)
		status = writer_commit(s);
	if (status < 0)
		writer_rollback(s);
	else
		s->compacted = rev;
	return status;
}

/* The revision of the event `offset` places behind the oldest; limit if that is nearer,
 * or if everything before it is one revision. */
static int cut_at(struct store *s, int64_t offset, uint64_t limit, uint64_t *out)
{
	int got;

	*out = limit;
	sql_bind(s->sql[SQL_HISTORY_CUT], 1, (uint64_t) offset);
	got = sql_step(s, SQL_HISTORY_CUT);
	if (got == 1) {
		uint64_t rev =
			(uint64_t) sqlite3_column_int64(s->sql[SQL_HISTORY_CUT], 0);

		if (rev > s->compacted && rev < limit)
			*out = rev;
	}
	sql_reset(s, SQL_HISTORY_CUT);
	return got < 0 ? got : 0;
}

/* In steps, so that the log stays short. */
static int compact_to(struct store *s, uint64_t target, bool checkpoints)
{
	int status = 0;

	while (status == 0 && s->compacted < target) {
		uint64_t rev;

		status = cut_at(s, COMPACT_STEP, target, &rev);
		if (status == 0)
			status = forget(s, rev);
		if (status == 0 && checkpoints)
			(void) checkpoint(s); /* only to have more room */
	}
	return status;
}

void space_trim_history(struct store *s)
{
	int status = 0;

	while (status == 0 && s->compacted < s->revision &&
	       (s->history > CO_LIMIT_STORE_HISTORY ||
		s->history_bytes > CO_LIMIT_STORE_HISTORY_BYTES)) {
		int64_t surplus = s->history - CO_LIMIT_STORE_HISTORY;
		uint64_t rev;

		surplus = surplus > 0 ? surplus + CO_LIMIT_STORE_HISTORY / 64
				      : s->history / 8 + 1;
		status = cut_at(s, surplus, s->revision, &rev);
		if (status == 0)
			status = forget(s, rev);
	}
}

void space_reclaim(struct store *s)
{
	space_release(s);
	(void) compact_to(s, s->revision, true); /* as far as it goes */
	space_tidy(s);
}

void space_compact(struct store *s, struct request *r)
{
	uint64_t target =
		r->number && r->number < s->revision ? r->number : s->revision;
	int status = compact_to(s, target, false);

	request_reset(r);
	if (status == CO_NO_SPACE) {
		space_release(s);
		status = compact_to(s, target, true);
	}
	space_tidy(s);
	if (status < 0) {
		request_fail(r, status, "%s", s->failure.message);
		return;
	}
	r->result.rev = s->compacted;
	r->result.succeeded = true;
}

/* ---- backup ---- */

static int write_at(int fd, const unsigned char *data, size_t size, off_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		data += n;
		at += n;
		size -= (size_t) n;
	}
	return 0;
}

/* Through SQLite's own descriptor: closing another one would drop this process' locks. */
static int copy_database(struct store *s, int fd, sqlite3_int64 *out_size)
{
	enum { PIECE = 65536 };
	autofree unsigned char *piece = malloc(PIECE);
	sqlite3_file *file = NULL;
	int errnum = 0;

	if (!piece)
		return co_fail(&s->failure, CO_NO_MEMORY, "out of memory");
	if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
		    SQLITE_OK ||
	    file->pMethods->xFileSize(file, out_size) != SQLITE_OK)
		return co_fail(&s->failure, CO_IO, "cannot read the size of %s",
			       s->path);
	for (sqlite3_int64 at = 0; at < *out_size && !errnum; at += PIECE) {
		int n = *out_size - at < PIECE ? (int) (*out_size - at) : PIECE;

		if (file->pMethods->xRead(file, piece, n, at) != SQLITE_OK)
			return co_fail(&s->failure, CO_IO, "cannot read %s", s->path);
		errnum = write_at(fd, piece, (size_t) n, (off_t) at);
	}
	if (!errnum && (ftruncate(fd, (off_t) *out_size) < 0 || fsync(fd) < 0))
		errnum = errno;
	if (errnum)
		return co_fail_errno(&s->failure, errnum,
				     "cannot write the backup of %s", s->path);
	return 0;
}

void space_backup(struct store *s, struct request *r)
{
	sqlite3_int64 size = 0;
	struct stat st;
	int status;

	request_reset(r);
	if (fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		request_fail(r, CO_INVALID, "a backup goes to a regular file");
		return;
	}
	status = checkpoint(s);
	if (status == 0)
		status = copy_database(s, r->fd, &size);
	if (status < 0) {
		request_fail(r, status, "%s", s->failure.message);
		return;
	}
	r->result.rev = (uint64_t) size;
	r->result.succeeded = true;
}
