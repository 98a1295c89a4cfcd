/* SPDX-License-Identifier: MIT */
/* The driver of "boot:", over a folder and over images, whole and damaged.  HOST. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "personality/anos/system/boot.h"
#include "tests/run.h"
#include "tests/unit/anos_page.h"

enum { SIZE = 1, LOAD = 2, LONG = 10000 };

static char base[64];
static char path[256];

static const char *in(const char *name)
{
	(void) snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int) write(fd, bytes, n), (int) n);
	(void) close(fd);
}

/* The byte at an offset of the long file. */
static uint8_t pattern(uint64_t at)
{
	return (uint8_t) (at * 7 + at / 256);
}

static void make_base(void)
{
	uint8_t bytes[LONG];

	(void) snprintf(base, sizeof(base), "/tmp/anos-root-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	for (uint64_t i = 0; i < LONG; i++)
		bytes[i] = pattern(i);
	ck_assert_int_eq(mkdir(in("root"), 0700), 0);
	ck_assert_int_eq(mkdir(in("root/sub"), 0700), 0);
	write_file("secret", "secret", 6);
	write_file("root/long", bytes, sizeof(bytes));
	write_file("root/empty", "", 0);
	write_file("root/sub/file", "sub", 3);
}

static void drop_base(void)
{
	static const char *const names[] = { "secret",        "root/long", "root/empty",
					     "root/sub/file", "root/out",  "root/in",
					     "root/up",       "root/fifo", "root/sub",
					     "root/loop",     "root/fold", "root/proc",
					     "root",          "image" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void) remove(in(names[i]));
	(void) rmdir(base);
}

static void open_root(struct anos_root *root, const char *name)
{
	struct co_err err = { 0 };

	ck_assert_msg(anos_root_open(root, in(name), &err) == 0, "%s", err.message);
}

static uint64_t size_of(const struct anos_root *root, const char *name)
{
	struct page page = { 0 };
	struct anos_message m = message(&page, SIZE, strlen(name) + 1);

	put_text(&page, 0, name);
	return anos_boot_answer(root, &m);
}

static uint64_t load(const struct anos_root *root, struct page *page, const char *name,
		     uint64_t offset)
{
	struct anos_message m = message(page, LOAD, 8 + strlen(name) + 1);

	memset(page, 0xee, sizeof(*page));
	anos_put64(page->bytes, 0, offset);
	put_text(page, 8, name);
	return anos_boot_answer(root, &m);
}

static void check_long_file(const struct anos_root *root, const char *name)
{
	static const uint64_t offsets[] = { 0, 1, 4096, 8192, 9999 };
	struct page page;

	ck_assert_uint_eq(size_of(root, name), LONG);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		uint64_t left = LONG - offsets[i];
		uint64_t n = load(root, &page, name, offsets[i]);

		ck_assert_uint_eq(n, left < ANOS_PAGE ? left : ANOS_PAGE);
		for (uint64_t j = 0; j < n; j++)
			ck_assert_uint_eq(page.bytes[j], pattern(offsets[i] + j));
	}
}

/* What Anos gets wrong: it counts below zero and hands out what lies behind. */
static void check_offsets_past_the_end(const struct anos_root *root, const char *name)
{
	static const uint64_t offsets[] = { LONG,       LONG + 1,         1ULL << 32,
					    INT64_MAX,  INT64_MAX - 4095, 1ULL << 63,
					    UINT64_MAX, UINT64_MAX - 4095 };
	struct page page;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		ck_assert_uint_eq(load(root, &page, name, offsets[i]), 0);
		ck_assert_uint_eq(page.bytes[4095], 0xee);
		ck_assert_uint_eq(anos_get64(page.bytes, 0), offsets[i]);
	}
}

START_TEST(a_file_of_a_folder_is_read_page_by_page)
{
	struct anos_root root;

	make_base();
	open_root(&root, "root");
	check_long_file(&root, "boot:/long");
	check_long_file(&root, "/long");
	check_long_file(&root, "long");
	check_long_file(&root, "boot:///long");
	check_long_file(&root, "other:long");
	check_offsets_past_the_end(&root, "boot:/long");
	ck_assert_uint_eq(size_of(&root, "boot:/sub/file"), 3);
	ck_assert_uint_eq(size_of(&root, "boot:/empty"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:/none"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:/sub"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:/"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:"), 0);
	ck_assert_uint_eq(size_of(&root, ":/long"), 0);
	ck_assert_uint_eq(size_of(&root, "/"), 0);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(no_name_leads_out_of_the_folder)
{
	static const char *const names[] = { "boot:/../secret", "../secret",
					     "/../secret",      "sub/../../secret",
					     "boot:/out",       "boot:/up/secret",
					     "boot:/fifo",      "boot:/loop",
					     "boot:/proc",      "boot:/proc/self/exe" };
	struct anos_root root;
	struct page page;
	char target[128];

	make_base();
	(void) snprintf(target, sizeof(target), "%s/secret", base);
	ck_assert_int_eq(symlink(target, in("root/out")), 0);
	ck_assert_int_eq(symlink("..", in("root/up")), 0);
	ck_assert_int_eq(symlink("loop", in("root/loop")), 0);
	ck_assert_int_eq(symlink("/proc", in("root/proc")), 0);
	ck_assert_int_eq(symlink("sub/../long", in("root/in")), 0);
	ck_assert_int_eq(symlink("sub", in("root/fold")), 0);
	ck_assert_int_eq(mkfifo(in("root/fifo"), 0600), 0);
	open_root(&root, "root");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_assert_msg(size_of(&root, names[i]) == 0, "%s", names[i]);
		ck_assert_msg(load(&root, &page, names[i], 0) == 0, "%s", names[i]);
	}
	/* links that stay inside are files like others */
	check_long_file(&root, "boot:/in");
	ck_assert_uint_eq(size_of(&root, "boot:/fold/file"), 3);
	ck_assert_uint_eq(size_of(&root, "boot:/sub/../long"), LONG);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(a_path_ends_inside_what_was_sent)
{
	struct anos_root root;
	struct page page = { 0 };
	struct anos_message m = message(&page, SIZE, 10);
	struct anos_message none = { .tag = SIZE, .size = 11 };

	make_base();
	open_root(&root, "root");
	put_text(&page, 0, "boot:/long");
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0); /* its end is the eleventh */
	m.size = 11;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), LONG);
	m.size = UINT64_MAX;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), LONG);
	m.size = 0;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);
	m.tag = 3;
	m.size = 11;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);
	ck_assert_uint_eq(anos_boot_answer(&root, &none), 0);

	/* the loader of Anos says 4 bytes less than there are */
	m = message(&page, LOAD, 15);
	anos_put64(page.bytes, 0, 0);
	put_text(&page, 8, "boot:/long");
	ck_assert_uint_eq(anos_boot_answer(&root, &m), ANOS_PAGE);
	m.size = 14;
	anos_put64(page.bytes, 0, 0);
	put_text(&page, 8, "boot:/long");
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);
	for (m.size = 0; m.size < 8; m.size++)
		ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);

	memset(&page, 'x', sizeof(page));
	m.size = 4096;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);
	m.tag = SIZE;
	ck_assert_uint_eq(anos_boot_answer(&root, &m), 0);
	anos_root_close(&root);
	drop_base();
}
END_TEST

/* ---- images ---- */

struct image {
	uint8_t bytes[16384];
};

static void entry(struct image *image, uint32_t i, uint64_t at, uint64_t length,
		  const char *name)
{
	uint32_t offset = 32 + 32 * i;

	anos_put64(image->bytes, offset, at - offset);
	anos_put64(image->bytes, offset + 8, length);
	memset(image->bytes + offset + 16, 0, 16);
	memcpy(image->bytes + offset + 16, name, strlen(name));
}

/* Three files: long, empty, and one with the longest name. */
static void image_make(struct image *image)
{
	memset(image, 0, sizeof(*image));
	anos_put32(image->bytes, 0, 0x0101CA75);
	anos_put32(image->bytes, 4, 10);
	anos_put64(image->bytes, 8, sizeof(image->bytes));
	anos_put64(image->bytes, 16, 3);
	entry(image, 0, 4096, LONG, "long");
	entry(image, 1, 4096, 0, "empty");
	entry(image, 2, 16383, 1, "fifteen-letters");
	for (uint64_t i = 0; i < LONG; i++)
		image->bytes[4096 + i] = pattern(i);
}

static int image_open(struct anos_root *root, const struct image *image, size_t n)
{
	struct co_err err = { 0 };
	int rc;

	write_file("image", image, n);
	rc = anos_root_open(root, in("image"), &err);
	ck_assert_int_eq(rc, err.code);
	ck_assert(rc ? err.message[0] != 0 && root->fd == -1 : root->fd >= 0);
	return rc;
}

START_TEST(a_file_of_an_image_is_read_page_by_page)
{
	struct anos_root root;
	struct image image;

	make_base();
	image_make(&image);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), 0);
	check_long_file(&root, "boot:/long");
	check_long_file(&root, "/long");
	check_offsets_past_the_end(&root, "boot:/long");
	ck_assert_uint_eq(size_of(&root, "boot:/fifteen-letters"), 1);
	ck_assert_uint_eq(size_of(&root, "boot:/fifteen-letter"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:/empty"), 0);
	ck_assert_uint_eq(size_of(&root, "boot:/"), 0);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(a_damaged_image_is_refused_with_a_sentence)
{
	struct anos_root root;
	struct image image, good;

	make_base();
	image_make(&good);
	ck_assert_int_eq(image_open(&root, &good, 0), CO_CORRUPT);
	ck_assert_int_eq(image_open(&root, &good, 31), CO_CORRUPT);
	ck_assert_int_eq(image_open(&root, &good, 127), CO_CORRUPT); /* in the table */
	ck_assert_int_eq(image_open(&root, &good, 4096 + LONG - 1), CO_CORRUPT);
	image = good;
	image.bytes[0]++;
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	image = good;
	image.bytes[4]++;
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_VERSION);
	image = good;
	anos_put64(image.bytes, 16, 512); /* one more entry than there is room */
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	anos_put64(image.bytes, 16, 65537);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_TOO_BIG);
	anos_put64(image.bytes, 16, UINT64_MAX);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_TOO_BIG);
	image = good;
	anos_put64(image.bytes, 32, UINT64_MAX - 31); /* begins before the image does */
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	image = good;
	anos_put64(image.bytes, 40, UINT64_MAX);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	image = good;
	anos_put64(image.bytes, 32 + 64, 16384 - (32 + 64) + 1);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	image = good;
	memset(image.bytes + 32 + 16, 'x', 16);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), CO_CORRUPT);
	ck_assert_int_eq(image_open(&root, &good, sizeof(good)), 0);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(an_image_that_shrinks_gives_less_and_no_signal)
{
	struct anos_root root;
	struct image image;
	struct page page;

	make_base();
	image_make(&image);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), 0);
	ck_assert_int_eq(truncate(in("image"), 4096 + 100), 0);
	ck_assert_uint_eq(load(&root, &page, "/long", 0), 100);
	ck_assert_uint_eq(load(&root, &page, "/long", 4096), 0);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(a_program_is_handed_out_as_a_descriptor)
{
	struct anos_root root;
	struct image image;
	struct co_err err = { 0 };
	struct stat st;
	uint8_t byte = 0;
	int fd;

	make_base();
	open_root(&root, "root");
	ck_assert_int_eq(anos_root_descriptor(&root, "/sub/file", &fd, &err), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq((int) st.st_size, 3);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	(void) close(fd);
	ck_assert_int_eq(anos_root_descriptor(&root, "none", &fd, &err), CO_NOT_FOUND);
	ck_assert_int_ne(anos_root_descriptor(&root, "../secret", &fd, &err), 0);
	ck_assert_int_eq(anos_root_descriptor(&root, "", &fd, &err), CO_NOT_FOUND);
	anos_root_close(&root);

	image_make(&image);
	ck_assert_int_eq(image_open(&root, &image, sizeof(image)), 0);
	ck_assert_int_eq(anos_root_descriptor(&root, "long", &fd, &err), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq((int) st.st_size, LONG);
	ck_assert_int_eq((int) pread(fd, &byte, 1, LONG - 1), 1);
	ck_assert_uint_eq(byte, pattern(LONG - 1));
	ck_assert_int_eq((int) write(fd, "x", 1), -1); /* nobody changes it any more */
	(void) close(fd);
	ck_assert_int_eq(anos_root_descriptor(&root, "none", &fd, &err), CO_NOT_FOUND);
	ck_assert_int_eq(truncate(in("image"), 4096), 0);
	ck_assert_int_eq(anos_root_descriptor(&root, "long", &fd, &err), CO_IO);
	anos_root_close(&root);
	drop_base();
}
END_TEST

START_TEST(a_root_is_a_folder_or_a_file)
{
	struct anos_root root;
	struct co_err err = { 0 };

	make_base();
	ck_assert_int_eq(anos_root_open(&root, in("none"), &err), CO_NOT_FOUND);
	ck_assert_int_eq(anos_root_open(&root, "/dev/null", &err), CO_INVALID);
	ck_assert_int_eq(anos_root_open(&root, in("secret"), &err), CO_CORRUPT);
	ck_assert_int_eq(root.fd, -1);
	anos_root_close(&root);
	drop_base();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("anos boot");

	tcase_add_test(tc, a_file_of_a_folder_is_read_page_by_page);
	tcase_add_test(tc, no_name_leads_out_of_the_folder);
	tcase_add_test(tc, a_path_ends_inside_what_was_sent);
	tcase_add_test(tc, a_file_of_an_image_is_read_page_by_page);
	tcase_add_test(tc, a_damaged_image_is_refused_with_a_sentence);
	tcase_add_test(tc, an_image_that_shrinks_gives_less_and_no_signal);
	tcase_add_test(tc, a_program_is_handed_out_as_a_descriptor);
	tcase_add_test(tc, a_root_is_a_folder_or_a_file);
	return run_tests(tc);
}
