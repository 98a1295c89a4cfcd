/* SPDX-License-Identifier: MIT */
/* lib/paths.c: where a domain lives and whom its folders may belong to.  HOST, tests. */
#include "lib/paths.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

static char folder[512];
static struct co_paths paths;
static struct co_err err;

static void setup(void)
{
	const char *above = getenv("TMPDIR");

	(void) snprintf(folder, sizeof(folder), "%s/cloudos-paths.XXXXXX",
			above ? above : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void) unsetenv("CLOUDOS_DIR");
	(void) unsetenv("CLOUDOS_LIBEXECDIR");
	(void) unsetenv("XDG_RUNTIME_DIR");
	(void) unsetenv("XDG_STATE_HOME");
	(void) unsetenv("XDG_CONFIG_HOME");
	(void) setenv("HOME", "/home/somebody", 1);
	memset(&err, 0, sizeof(err));
}

static void remove_folder(const char *path)
{
	(void) rmdir(path); /* what a test did not make is not there */
}

static void teardown(void)
{
	(void) unlink(paths.socket);
	remove_folder(paths.run);
	remove_folder(paths.state);
	remove_folder(paths.config);
	for (char *end = paths.dir + strlen(paths.dir);
	     end > paths.dir + strlen(folder);) {
		remove_folder(paths.dir);
		end = strrchr(paths.dir, '/');
		if (!end)
			break;
		*end = 0;
	}
	remove_folder(folder);
}

START_TEST(one_folder_has_all_three_below)
{
	(void) setenv("CLOUDOS_DIR", "/d//", 1);
	ck_assert_int_eq(co_paths_init(&paths, false, NULL, &err), 0);
	ck_assert_str_eq(paths.dir, "/d");
	ck_assert_str_eq(paths.socket, "/d/run/control.sock");
	ck_assert_str_eq(paths.lock, "/d/run/lock");
	ck_assert_str_eq(paths.log, "/d/state/cloudosd.log");
	ck_assert_str_eq(paths.config, "/d/config");
}
END_TEST

START_TEST(a_folder_that_is_told_goes_before_everything)
{
	(void) setenv("CLOUDOS_DIR", "/d", 1);
	ck_assert_int_eq(co_paths_init(&paths, true, "/e", &err), 0);
	ck_assert_str_eq(paths.run, "/e/run");
	ck_assert(!paths.system_);
}
END_TEST

START_TEST(system_goes_before_the_environment)
{
	(void) setenv("CLOUDOS_DIR", "/d", 1);
	ck_assert_int_eq(co_paths_init(&paths, true, NULL, &err), 0);
	ck_assert(paths.system_);
	ck_assert_str_eq(paths.dir, "");
	ck_assert_str_eq(paths.run, "/run/cloudos");
	ck_assert_str_eq(paths.state, "/var/lib/cloudos");
	ck_assert_str_eq(paths.config, "/etc/cloudos");
}
END_TEST

START_TEST(xdg_folders_are_used_when_absolute)
{
	(void) setenv("XDG_RUNTIME_DIR", folder, 1);
	(void) setenv("XDG_STATE_HOME", "relative", 1);
	(void) setenv("XDG_CONFIG_HOME", "/c", 1);
	ck_assert_int_eq(co_paths_init(&paths, false, NULL, &err), 0);
	ck_assert(strncmp(paths.run, folder, strlen(folder)) == 0);
	ck_assert_str_eq(paths.run + strlen(folder), "/cloudos");
	ck_assert_str_eq(paths.state, "/home/somebody/.local/state/cloudos");
	ck_assert_str_eq(paths.config, "/c/cloudos");
	memset(&paths, 0, sizeof(paths));
}
END_TEST

START_TEST(without_a_runtime_folder_it_is_in_tmp)
{
	char wanted[64];

	(void) snprintf(wanted, sizeof(wanted), "/tmp/cloudos-%u",
			(unsigned) geteuid());
	ck_assert_int_eq(co_paths_init(&paths, false, NULL, &err), 0);
	ck_assert_str_eq(paths.run, wanted);
	(void) setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	ck_assert_int_eq(co_paths_init(&paths, false, NULL, &err), 0);
	ck_assert_str_eq(paths.run, wanted);
	memset(&paths, 0, sizeof(paths));
}
END_TEST

START_TEST(relative_folders_become_absolute)
{
	char here[4000];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_int_eq(co_paths_init(&paths, false, "some/where", &err), 0);
	ck_assert(strncmp(paths.dir, here, strlen(here)) == 0);
	ck_assert_str_eq(paths.dir + strlen(here), "/some/where");
	memset(&paths, 0, sizeof(paths));
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
	char dir[CO_PATH_SIZE - 10];

	memset(dir, 'd', sizeof(dir));
	dir[0] = '/';
	dir[sizeof(dir) - 1] = 0;
	ck_assert_int_eq(co_paths_init(&paths, false, dir, &err), CO_NAME_TOO_LONG);
	ck_assert_str_ne(err.message, "");
	memset(&paths, 0, sizeof(paths));
}
END_TEST

/* A domain in the test's own folder. */
static void own(const char *below)
{
	char dir[1024];

	(void) snprintf(dir, sizeof(dir), "%s/%s", folder, below);
	ck_assert_int_eq(co_paths_init(&paths, false, dir, &err), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(folders_are_made_for_the_owner_only)
{
	own("a/b");
	ck_assert_int_eq(co_paths_make(&paths, &err), 0);
	ck_assert_uint_eq(mode_of(paths.run), 0700);
	ck_assert_uint_eq(mode_of(paths.state), 0700);
	ck_assert_uint_eq(mode_of(paths.config), 0700);
	ck_assert_int_eq(chmod(paths.run, 0777), 0);
	ck_assert_int_eq(co_paths_make(&paths, &err), 0);
	ck_assert_uint_eq(mode_of(paths.run), 0700);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	own("x");
	ck_assert_int_eq(mkdir(paths.dir, 0700), 0);
	ck_assert_int_eq(symlink("/tmp", paths.run), 0);
	ck_assert_int_eq(co_paths_make(&paths, &err), CO_NOT_DIR);
	ck_assert_ptr_nonnull(strstr(err.message, paths.run));
	ck_assert_int_eq(unlink(paths.run), 0);
}
END_TEST

START_TEST(a_folder_of_somebody_else_is_refused)
{
	int fd;

	if (geteuid() != 0)
		return; /* only root can give folders away */
	own("x");
	ck_assert_int_eq(co_paths_make(&paths, &err), 0);
	ck_assert_int_eq(chown(paths.run, 12345, 12345), 0);
	ck_assert_int_eq(co_paths_make(&paths, &err), CO_ACCESS);
	ck_assert_ptr_nonnull(strstr(err.message, "12345"));
	ck_assert_int_eq(co_paths_connect(&paths, &fd, &err), CO_ACCESS);
	ck_assert_int_eq(chown(paths.run, 0, 0), 0);
	ck_assert_int_eq(chown(paths.dir, 12345, 12345), 0);
	ck_assert_int_eq(co_paths_make(&paths, &err), CO_ACCESS);
	ck_assert_int_eq(chown(paths.dir, 0, 0), 0);
}
END_TEST

static void meet(void)
{
	autoclose int listener = -1;
	autoclose int client = -1;
	autoclose int server = -1;

	ck_assert_int_eq(co_paths_make(&paths, &err), 0);
	ck_assert_int_eq(co_paths_connect(&paths, &client, &err), CO_GONE);
	ck_assert_int_eq(co_paths_bind(&paths, &listener, &err), 0);
	ck_assert_uint_eq(mode_of(paths.socket), 0600);
	ck_assert_int_eq(co_paths_connect(&paths, &client, &err), 0);
	server = accept(listener, NULL, NULL);
	ck_assert_int_ge(server, 0);
}

START_TEST(a_socket_can_be_bound_and_found_again)
{
	mode_t mask = umask(0);

	own("x");
	meet();
	meet(); /* over the one that is left */
	(void) umask(mask);
}
END_TEST

START_TEST(a_socket_may_have_a_path_that_no_address_holds)
{
	own("a_folder_with_a_name_of_some_length/a_folder_with_a_name_of_some_length/"
	    "a_folder_with_a_name_of_some_length/a_folder_with_a_name_of_some_length");
	ck_assert_uint_gt(strlen(paths.socket), 108);
	meet();
}
END_TEST

START_TEST(sister_programs_are_found_where_they_were_told_to_be)
{
	char out[CO_PATH_SIZE];

	ck_assert_int_eq(co_program_path("unit-paths", out, sizeof(out), &err), 0);
	ck_assert_int_eq(access(out, X_OK), 0);
	ck_assert_int_eq(co_program_path("no-such-program", out, sizeof(out), &err),
			 CO_NOT_FOUND);
	(void) setenv("CLOUDOS_LIBEXECDIR", "/bin", 1);
	ck_assert_int_eq(co_program_path("sh", out, sizeof(out), &err), 0);
	ck_assert_str_eq(out, "/bin/sh");
	ck_assert_int_eq(co_program_path("sh", out, 4, &err), CO_NAME_TOO_LONG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paths");
	TCase *tc = tcase_create("paths");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, one_folder_has_all_three_below);
	tcase_add_test(tc, a_folder_that_is_told_goes_before_everything);
	tcase_add_test(tc, system_goes_before_the_environment);
	tcase_add_test(tc, xdg_folders_are_used_when_absolute);
	tcase_add_test(tc, without_a_runtime_folder_it_is_in_tmp);
	tcase_add_test(tc, relative_folders_become_absolute);
	tcase_add_test(tc, what_is_too_long_is_refused);
	tcase_add_test(tc, folders_are_made_for_the_owner_only);
	tcase_add_test(tc, a_link_is_not_followed);
	tcase_add_test(tc, a_folder_of_somebody_else_is_refused);
	tcase_add_test(tc, a_socket_can_be_bound_and_found_again);
	tcase_add_test(tc, a_socket_may_have_a_path_that_no_address_holds);
	tcase_add_test(tc, sister_programs_are_found_where_they_were_told_to_be);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
