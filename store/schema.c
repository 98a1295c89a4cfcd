/* SPDX-License-Identifier: MIT */
/*
 * Numbered migrations.  HOST.  The number of a database is its PRAGMA user_version; it
 * changes in the transaction of the migration, so a crash leaves the one or the other.
 */
#include "store/internal.h"

#include <stdio.h>
#include <string.h>

static int apply(sqlite3 *db, const struct store_migration *m, const char *path,
		 struct co_err *err)
{
	char number[64];
	int status;

	status = sql_exec(db, path, "BEGIN IMMEDIATE", err);
	if (status < 0)
		return status;
	(void) snprintf(number, sizeof(number), "PRAGMA user_version = %d", m->number);
	status = sql_exec(db, path, m->sql, err);
	if (status == 0)
		status = sql_exec(db, path, number, err);
	if (status == 0)
		status = sql_exec(db, path, "COMMIT", err);
	if (status < 0) {
		(void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* may be done */
		return co_context(err, "migration %s failed", m->file);
	}
	return 0;
}

int schema_migrate(sqlite3 *db, const char *database, const char *path, uint32_t *out,
		   struct co_err *err)
{
	int64_t have;
	int newest = 0, status;

	for (const struct store_migration *m = store_migrations; m->sql; m++)
		if (strcmp(m->database, database) == 0)
			newest = m->number;
	status = sql_number(db, path, "PRAGMA user_version", &have, err);
	if (status < 0)
		return status;
	if (have > newest)
		return co_fail(
			err, CO_VERSION,
			"%s has schema %lld and this program knows %d: it was written "
			"by a newer cloudos; install that version again, or move the "
			"file away",
			path, (long long) have, newest);
	for (const struct store_migration *m = store_migrations; m->sql; m++) {
		if (strcmp(m->database, database) != 0 || m->number <= have)
			continue;
		status = apply(db, m, path, err);
		if (status < 0)
			return status;
	}
	*out = (uint32_t) newest;
	return 0;
}
