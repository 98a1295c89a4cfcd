/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/shm.h, with a keeper that is an array.  HOST. */
#include "cloudosd/service/shm.h"

#include <check.h>
#include <co/status.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

static struct shm_saved *saved;
static struct shm *shm;
static int kept[CO_LIMIT_SHM_SEGMENTS];
static uint64_t calls;
static uint32_t most = CO_LIMIT_SHM_SEGMENTS;
static struct co_err err;
static const struct process_credentials root, owner = { .uid = 7, .gid = 8 };

static void hold(void *ctx, uint32_t index, int fd)
{
	(void) ctx;
	if (kept[index] >= 0)
		(void) close(kept[index]); /* a memfd has nothing to flush */
	kept[index] = fd < 0 ? -1 : dup(fd);
}

/* Another daemon, with what the keeper has. */
static void restart(void)
{
	shm = shm_free(shm);
	shm = shm_new(saved, most, hold, NULL);
	ck_assert_ptr_nonnull(shm);
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		if (kept[i] >= 0)
			shm_restore(shm, i, dup(kept[i]));
	shm_restored(shm);
}

static void set_up(void)
{
	saved = calloc(1, sizeof(*saved));
	ck_assert_ptr_nonnull(saved);
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		kept[i] = -1;
	calls = 0;
	restart();
}

static void tear_down(void)
{
	shm = shm_free(shm);
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		hold(NULL, i, -1);
	free(saved);
}

static struct message_call next_call(void)
{
	calls++;
	return (struct message_call){ .session = 1, .call = calls, .slot = 3 };
}

static int create_as(const struct process_credentials *who, const char *name,
		     uint64_t size, uint32_t mode)
{
	struct shm_spec spec = { .name = name, .size = size, .mode = mode };
	struct message_call call = next_call();
	int fd = -1, r;

	err = (struct co_err){ 0 };
	r = shm_create(shm, &spec, who, &call, false, &fd, &err);
	ck_assert((r == 0) == (fd >= 0));
	ck_assert((r == 0) == (err.message[0] == 0));
	return r ? r : fd;
}

static void create(const char *name)
{
	int fd = create_as(&owner, name, 5000, 0640);

	ck_assert_int_ge(fd, 0);
	(void) close(fd); /* nothing to flush */
}

static int open_as(const struct process_credentials *who, const char *name, bool writes)
{
	int fd, r;

	err = (struct co_err){ 0 };
	r = shm_open_segment(shm, name, writes, who, &fd, &err);
	return r ? r : fd;
}

static bool opens(const struct process_credentials *who, const char *name, bool writes)
{
	int fd = open_as(who, name, writes);

	if (fd >= 0)
		(void) close(fd); /* nothing to flush */
	return fd >= 0;
}

static int remove_as(const struct process_credentials *who, const char *name)
{
	struct message_call call = next_call();

	err = (struct co_err){ 0 };
	return shm_unlink_segment(shm, name, who, &call, false, &err);
}

START_TEST(a_segment_is_found_by_its_whole_name)
{
	struct stat st;
	int fd;

	create("/one");
	create("/one ");
	ck_assert(opens(&owner, "/one", true));
	ck_assert_int_eq(open_as(&owner, "/on", false), CO_NOT_FOUND);
	ck_assert_int_eq(open_as(&owner, "one", false), CO_NOT_FOUND);
	ck_assert_int_eq(create_as(&owner, "/one", 1, 0), CO_EXISTS);
	fd = open_as(&owner, "/one", false);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 5000);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS),
			 F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	ck_assert_int_lt(ftruncate(fd, 10), 0);
	(void) close(fd); /* nothing to flush */
}
END_TEST

START_TEST(a_mode_lets_user_group_and_others)
{
	struct process_credentials group = { .uid = 9, .gid = 8 };
	struct process_credentials member = {
		.uid = 9, .gid = 9, .ngroups = 2, .groups = { 1, 8 }
	};
	struct process_credentials other = { .uid = 9, .gid = 9 };

	create("m"); /* 0640 */
	ck_assert(opens(&owner, "m", true));
	ck_assert(opens(&group, "m", false));
	ck_assert(opens(&member, "m", false));
	ck_assert(!opens(&group, "m", true));
	ck_assert(!opens(&member, "m", true));
	ck_assert(!opens(&other, "m", false));
	ck_assert(opens(&root, "m", true));
	ck_assert_int_eq(open_as(&other, "m", false), CO_ACCESS);
	ck_assert_int_eq(remove_as(&group, "m"), CO_ACCESS);
	ck_assert_int_eq(remove_as(&owner, "m"), 0);
	/* the owner is judged by the owner's bits, even if others may more */
	(void) close(create_as(&owner, "m", 1, 0007)); /* nothing to flush */
	ck_assert(!opens(&owner, "m", false));
	ck_assert(opens(&other, "m", true));
}
END_TEST

START_TEST(what_cannot_be_made_is_refused)
{
	ck_assert_int_eq(create_as(&owner, "", 1, 0600), CO_INVALID);
	ck_assert_int_eq(create_as(&owner, "a", 0, 0600), CO_INVALID);
	ck_assert_int_eq(create_as(&owner, "a", 1, 01000), CO_INVALID);
	ck_assert_int_eq(create_as(&owner, "a", CO_LIMIT_SHM_BYTES + 1ULL, 0600),
			 CO_TOO_BIG);
	ck_assert_int_eq(create_as(&owner, "a", UINT64_MAX, 0600), CO_TOO_BIG);
	ck_assert_int_eq(remove_as(&owner, "a"), CO_NOT_FOUND);
}
END_TEST

START_TEST(all_segments_have_limits)
{
	uint64_t segments, bytes;
	char name[32];
	int fd;

	for (uint64_t i = 0;
	     i < (uint64_t) CO_LIMIT_SHM_TOTAL * 1048576 / CO_LIMIT_SHM_BYTES; i++) {
		(void) snprintf(name, sizeof(name), "big%d", (int) i);
		fd = create_as(&owner, name, CO_LIMIT_SHM_BYTES, 0600);
		ck_assert_int_ge(fd, 0);
		(void) close(fd); /* nothing to flush */
	}
	ck_assert_int_eq(create_as(&owner, "one more", 1, 0600), CO_NO_SPACE);
	ck_assert_int_eq(remove_as(&owner, "big3"), 0);
	fd = create_as(&owner, "one more", 1, 0600);
	ck_assert_int_ge(fd, 0);
	(void) close(fd); /* nothing to flush */
	shm_numbers(shm, &segments, &bytes);
	ck_assert_uint_eq(segments, 16);
	ck_assert_uint_eq(bytes, 15ULL * CO_LIMIT_SHM_BYTES + 1);
}
END_TEST

START_TEST(there_are_as_many_as_descriptors_let)
{
	most = 3;
	restart();
	create("a");
	create("b");
	create("c");
	ck_assert_int_eq(create_as(&owner, "d", 1, 0600), CO_TABLE_FULL);
	ck_assert_int_eq(remove_as(&owner, "b"), 0);
	create("d");
}
END_TEST

START_TEST(the_next_daemon_has_what_is_there)
{
	int fd = create_as(&owner, "a", 4096, 0600);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char byte = 0;

	ck_assert_ptr_ne(p, MAP_FAILED);
	p[9] = 'x';
	(void) close(fd); /* nothing to flush */
	create("b");
	create("c");
	ck_assert_int_eq(remove_as(&owner, "b"), 0);
	restart();
	ck_assert(opens(&owner, "c", true));
	ck_assert_int_eq(open_as(&owner, "b", true), CO_NOT_FOUND);
	fd = open_as(&owner, "a", false);
	ck_assert_int_eq(pread(fd, &byte, 1, 9), 1);
	ck_assert_int_eq(byte, 'x');
	(void) close(fd); /* nothing to flush */
	(void) munmap(p, 4096);
}
END_TEST

START_TEST(a_call_that_is_said_again_has_its_effect_once)
{
	struct shm_spec spec = { .name = "a", .size = 1, .mode = 0600 };
	struct message_call make = next_call(), end;
	int fd;

	ck_assert_int_eq(shm_create(shm, &spec, &owner, &make, false, &fd, &err), 0);
	(void) close(fd); /* nothing to flush */
	restart();
	ck_assert_int_eq(shm_create(shm, &spec, &owner, &make, true, &fd, &err), 0);
	(void) close(fd); /* nothing to flush */
	ck_assert_int_eq(shm_create(shm, &spec, &owner, &make, false, &fd, &err),
			 CO_EXISTS);
	end = next_call();
	ck_assert_int_eq(shm_unlink_segment(shm, "a", &owner, &end, false, &err), 0);
	restart();
	ck_assert_int_eq(shm_unlink_segment(shm, "a", &owner, &end, true, &err), 0);
	ck_assert_int_eq(shm_unlink_segment(shm, "a", &owner, &end, false, &err),
			 CO_NOT_FOUND);
	create("a");
	/* its own, and not what an older call has made */
	ck_assert_int_eq(shm_unlink_segment(shm, "a", &owner, &end, true, &err), 0);
	ck_assert(opens(&owner, "a", true));
}
END_TEST

START_TEST(what_could_not_be_given_was_never_there)
{
	struct shm_spec spec = { .name = "a", .size = 1, .mode = 0600 };
	struct message_call call = next_call(), other = next_call();
	int fd;

	ck_assert_int_eq(shm_create(shm, &spec, &owner, &call, false, &fd, &err), 0);
	(void) close(fd); /* nothing to flush */
	shm_created(shm, "a", &other, false);
	ck_assert(opens(&owner, "a", true));
	shm_created(shm, "a", &call, false);
	ck_assert_int_eq(open_as(&owner, "a", true), CO_NOT_FOUND);
	ck_assert_int_eq(kept[0], -1);
}
END_TEST

static mode_t kernel_mode(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(shm_fd(shm, 0), &st), 0);
	return st.st_mode & 07777;
}

/* Who gets it by opening it, as under ptrace, is checked by the kernel. */
START_TEST(the_creator_is_let_in_whatever_the_mode)
{
	struct shm_spec spec = { .name = "a", .size = 1, .mode = 0040 };
	struct message_call call = next_call();
	int fd;

	ck_assert_int_eq(shm_create(shm, &spec, &owner, &call, false, &fd, &err), 0);
	(void) close(fd); /* nothing to flush */
	ck_assert_uint_eq(kernel_mode(), 0640);
	shm_created(shm, "a", &call, true);
	ck_assert_uint_eq(kernel_mode(), 0040);
	ck_assert_int_eq(shm_create(shm, &spec, &owner, &call, true, &fd, &err), 0);
	(void) close(fd); /* nothing to flush */
	ck_assert_uint_eq(kernel_mode(), 0640);
}
END_TEST

/* Killed between the keeper and the table, or with a keeper that knows nothing. */
START_TEST(what_is_half_there_is_forgotten)
{
	create("a");
	create("b");
	atomic_store(&saved->records[0].used, 0);
	hold(NULL, 1, -1);
	restart();
	ck_assert_int_eq(open_as(&owner, "a", true), CO_NOT_FOUND);
	ck_assert_int_eq(open_as(&owner, "b", true), CO_NOT_FOUND);
	ck_assert_int_eq(kept[0], -1);
	create("a");
	create("b");
	ck_assert(opens(&owner, "a", true));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm");
	TCase *tests = tcase_create("shm");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_segment_is_found_by_its_whole_name);
	tcase_add_test(tests, a_mode_lets_user_group_and_others);
	tcase_add_test(tests, the_creator_is_let_in_whatever_the_mode);
	tcase_add_test(tests, what_cannot_be_made_is_refused);
	tcase_add_test(tests, all_segments_have_limits);
	tcase_add_test(tests, there_are_as_many_as_descriptors_let);
	tcase_add_test(tests, the_next_daemon_has_what_is_there);
	tcase_add_test(tests, a_call_that_is_said_again_has_its_effect_once);
	tcase_add_test(tests, what_could_not_be_given_was_never_there);
	tcase_add_test(tests, what_is_half_there_is_forgotten);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
