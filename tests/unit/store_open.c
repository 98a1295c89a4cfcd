/* SPDX-License-Identifier: MIT */
/* Opening a store: migrations, strangers' and damaged files, who else has it.  HOST. */
#include "tests/conformance/client.h"

#include <check.h>
#include <co/limits.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[256];
static struct store *s;
static struct co_err err;
static struct answer a;

static int try_open(void)
{
	struct store_options options = { .folder = folder };

	memset(&err, 0, sizeof(err));
	return store_open(&s, &options, &err);
}

static void open_ok(void)
{
	ck_assert_msg(try_open() == 0, "%s", err.message);
}

static const char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void sql(const char *database, const char *text)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(path_of(database), &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	s = NULL;
}

static void teardown(void)
{
	s = store_close(s);
	folder_remove(folder);
}

START_TEST(a_new_store_has_the_newest_schema_and_private_files)
{
	struct store_status status;
	struct stat st;

	open_ok();
	store_status(s, &status);
	ck_assert_uint_eq(status.schema, 3);
	ck_assert_uint_eq(status.telemetry_schema, 3);
	ck_assert_uint_eq(status.revision, 0);
	ck_assert_ptr_nonnull(strstr(status.engine, "sqlite 3."));
	ck_assert_str_eq(status.path, path_of("state.db"));
	ck_assert_int_eq(stat(path_of("state.db"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(path_of("telemetry.db"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_ne(stat(path_of("state.db-shm"), &st), 0);
}
END_TEST

START_TEST(a_newer_state_database_is_refused)
{
	open_ok();
	client_put(&a, s, "k", "v");
	s = store_close(s);
	sql("state.db", "PRAGMA user_version = 4");
	ck_assert_int_eq(try_open(), CO_VERSION);
	ck_assert_ptr_nonnull(strstr(err.message, path_of("state.db")));
	ck_assert_ptr_nonnull(strstr(err.message, "newer"));
	sql("state.db", "PRAGMA user_version = 3");
	open_ok();
	ck_assert_str_eq(client_get(&a, s, "k")->items[0].value, "v");
}
END_TEST

START_TEST(an_older_state_database_is_brought_up_to_date)
{
	struct store_status status;

	open_ok();
	client_put(&a, s, "k", "v");
	s = store_close(s);
	sql("state.db", "DROP INDEX kv_expires; ALTER TABLE kv DROP COLUMN expires;"
			"DROP TABLE site_secret; DROP TABLE site_table;"
			"PRAGMA user_version = 1");
	open_ok();
	store_status(s, &status);
	ck_assert_uint_eq(status.schema, 3);
	ck_assert_str_eq(client_get(&a, s, "k")->items[0].value, "v");
}
END_TEST

START_TEST(a_newer_telemetry_database_is_refused)
{
	open_ok();
	s = store_close(s);
	sql("telemetry.db", "PRAGMA user_version = 99");
	ck_assert_int_eq(try_open(), CO_VERSION);
	ck_assert_ptr_nonnull(strstr(err.message, path_of("telemetry.db")));
}
END_TEST

START_TEST(somebody_elses_database_is_refused)
{
	sql("state.db", "CREATE TABLE t (x)");
	ck_assert_int_eq(try_open(), CO_CORRUPT);
	ck_assert_ptr_nonnull(strstr(err.message, "not a database of cloudos"));
}
END_TEST

static void overwrite(const char *name, off_t at, size_t size)
{
	char junk[8192];
	int fd = open(path_of(name), O_RDWR | O_CREAT, 0600);

	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, junk, size, at), (ssize_t) size);
	close(fd);
}

START_TEST(a_file_that_is_no_database_is_refused)
{
	overwrite("state.db", 0, 4096);
	ck_assert_int_eq(try_open(), CO_CORRUPT);
	ck_assert_ptr_nonnull(strstr(err.message, path_of("state.db")));
	ck_assert_ptr_nonnull(strstr(err.message, "backup"));
}
END_TEST

START_TEST(a_damaged_page_is_found_at_open)
{
	char key[16];

	open_ok();
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		client_put(&a, s, key, "some value of some length");
	}
	s = store_close(s);
	overwrite("state.db", 2 * 4096, 4096);
	ck_assert_int_eq(try_open(), CO_CORRUPT);
	ck_assert_ptr_nonnull(strstr(err.message, path_of("state.db")));
}
END_TEST

START_TEST(damaged_telemetry_is_put_aside)
{
	struct stat st;

	overwrite("telemetry.db", 0, 4096);
	open_ok();
	ck_assert_int_eq(client_put(&a, s, "k", "v")->status, 0);
	ck_assert_int_eq(stat(path_of("telemetry.db.damaged"), &st), 0);
}
END_TEST

START_TEST(a_missing_folder_is_named)
{
	struct store_options options = { .folder = "/nonexistent/co" };

	ck_assert_int_eq(store_open(&s, &options, &err), CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/co"));
}
END_TEST

START_TEST(a_second_store_in_this_process_is_refused)
{
	struct store_options options = { .folder = folder };
	struct store *second = NULL;

	open_ok();
	ck_assert_int_eq(store_open(&second, &options, &err), CO_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "another process"));
	ck_assert_int_eq(client_put(&a, s, "k", "v")->status, 0);
}
END_TEST

/*
 * A process that was there before the store was opened: what SQLite knows of its own
 * locks must not be inherited.  Each byte asks it to try once; it answers with a status.
 */
static struct {
	pid_t pid;
	int ask[2], answer[2];
} other;

static signed char write_without_store(void)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open(path_of("state.db"), &db);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "DELETE FROM kv", NULL, NULL, NULL);
	sqlite3_close(db);
	return (signed char) rc;
}

static void other_start(void)
{
	signed char what;

	ck_assert_int_eq(pipe(other.ask), 0);
	ck_assert_int_eq(pipe(other.answer), 0);
	other.pid = fork();
	if (other.pid)
		return;
	close(other.ask[1]);
	while (read(other.ask[0], &what, 1) == 1) {
		what = what == 's' ? (signed char) try_open() : write_without_store();
		s = store_close(s);
		if (write(other.answer[1], &what, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static int other_try(char what)
{
	signed char status = 1;

	ck_assert_int_eq(write(other.ask[1], &what, 1), 1);
	ck_assert_int_eq(read(other.answer[0], &status, 1), 1);
	return status;
}

static void other_end(void)
{
	close(other.ask[0]);
	close(other.ask[1]);
	waitpid(other.pid, NULL, 0);
}

START_TEST(a_second_process_is_refused)
{
	other_start();
	open_ok();
	client_put(&a, s, "k", "v");
	ck_assert_int_eq(other_try('s'), CO_BUSY);
	ck_assert_int_eq(other_try('w'), SQLITE_BUSY);
	ck_assert(client_get(&a, s, "k")->ops[0].found);
	s = store_close(s);
	ck_assert_int_eq(other_try('s'), 0);
	other_end();
}
END_TEST

START_TEST(a_backup_is_a_store_of_its_own)
{
	char copy[300];
	struct stat st;
	int fd;

	open_ok();
	for (int i = 0; i < 200; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		client_put(&a, s, key, "v");
	}
	snprintf(copy, sizeof(copy), "%s/copy", folder);
	fd = open(copy, O_RDWR | O_CREAT, 0600);
	client_backup(&a, s, fd);
	ck_assert_msg(a.status == 0, "%s", a.reason);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(a.rev, (uint64_t) st.st_size);
	close(fd);
	client_delete_prefix(&a, s, "");
	s = store_close(s);
	ck_assert_int_eq(rename(copy, path_of("state.db")), 0);
	open_ok();
	ck_assert_uint_eq(client_list(&a, s, "", NULL, 0, 0)->n, 200);
}
END_TEST

START_TEST(a_backup_into_a_pipe_is_refused)
{
	int ends[2];

	open_ok();
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(client_backup(&a, s, ends[1])->status, CO_INVALID);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_volatile_store_works_without_ballast)
{
	struct store_options options = { .folder = folder, .volatile_ = true };
	struct stat st;

	ck_assert_int_eq(store_open(&s, &options, &err), 0);
	ck_assert_int_eq(client_put(&a, s, "k", "v")->status, 0);
	ck_assert_int_ne(stat(path_of("ballast"), &st), 0);
}
END_TEST

START_TEST(the_ballast_is_reserved)
{
	struct stat st;

	open_ok();
	ck_assert_int_eq(stat(path_of("ballast"), &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, CO_LIMIT_STORE_BALLAST);
}
END_TEST

START_TEST(closing_nothing_is_allowed)
{
	ck_assert_ptr_null(store_close(NULL));
	ck_assert_ptr_null(store_unwatch(NULL));
}
END_TEST

int main(void)
{
	Suite *all = suite_create("store: open");
	TCase *tc = tcase_create("open");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		a_new_store_has_the_newest_schema_and_private_files,
		a_newer_state_database_is_refused,
		an_older_state_database_is_brought_up_to_date,
		a_newer_telemetry_database_is_refused,
		somebody_elses_database_is_refused,
		a_file_that_is_no_database_is_refused,
		a_damaged_page_is_found_at_open,
		damaged_telemetry_is_put_aside,
		a_missing_folder_is_named,
		a_second_store_in_this_process_is_refused,
		a_second_process_is_refused,
		a_backup_is_a_store_of_its_own,
		a_backup_into_a_pipe_is_refused,
		a_volatile_store_works_without_ballast,
		the_ballast_is_reserved,
		closing_nothing_is_allowed,
	};

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(all, tc);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
