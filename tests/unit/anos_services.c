/* SPDX-License-Identifier: MIT */
/* SYSTEM::VFS, DEVMAN, the storage driver and the kernel log, message by message.  HOST. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "personality/anos/system/devices.h"
#include "personality/anos/system/disk.h"
#include "personality/anos/system/klog.h"
#include "personality/anos/system/vfs.h"
#include "tests/run.h"
#include "tests/unit/anos_page.h"

/* ---- SYSTEM::VFS ---- */

enum { FIND = 1, REGISTER = 2, UNREGISTER = 3 };

static uint64_t vfs_say(struct anos_vfs *vfs, uint64_t tag, const char *text,
			uint64_t channel, int32_t sender)
{
	struct page page = { 0 };
	struct anos_message m = message(&page, tag, 40);

	put_text(&page, 0, text);
	if (tag == REGISTER)
		anos_put64(page.bytes, 32, channel);
	m.sender = sender;
	return anos_vfs_answer(vfs, &m);
}

START_TEST(a_registered_prefix_is_found_by_any_path_under_it)
{
	struct anos_vfs vfs = { 0 };

	ck_assert_uint_eq(vfs_say(&vfs, REGISTER, "disk0:", 77, 5), 1);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "disk0:", 0, 9), 77);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "disk0:/a/b:c", 0, 9), 77);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "disk00:/a", 0, 9), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "disk:/a", 0, 9), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "/disk0", 0, 9), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "", 0, 9), 0);
}
END_TEST

START_TEST(a_prefix_is_registered_once)
{
	struct anos_vfs vfs = { 0 };

	ck_assert_uint_eq(anos_vfs_register(&vfs, "boot:", 3, 0), 1);
	ck_assert_uint_eq(vfs_say(&vfs, REGISTER, "boot:", 4, 5), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "boot:/x", 0, 5), 3);
}
END_TEST

START_TEST(the_table_of_the_vfs_has_32_places)
{
	struct anos_vfs vfs = { 0 };
	char prefix[32];

	for (unsigned i = 0; i < 32; i++) {
		(void) snprintf(prefix, sizeof(prefix), "d%u:", i);
		ck_assert_uint_eq(vfs_say(&vfs, REGISTER, prefix, i + 1, 5), 1);
	}
	ck_assert_uint_eq(vfs_say(&vfs, REGISTER, "more:", 99, 5), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "d31:/", 0, 5), 32);
	ck_assert_uint_eq(vfs_say(&vfs, UNREGISTER, "d7:", 0, 5), 1);
	ck_assert_uint_eq(vfs_say(&vfs, REGISTER, "more:", 99, 5), 1);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "d31:/", 0, 5), 32);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "d7:/", 0, 5), 0);
}
END_TEST

START_TEST(a_prefix_is_taken_back_by_who_registered_it)
{
	struct anos_vfs vfs = { 0 };

	(void) vfs_say(&vfs, REGISTER, "a:", 1, 5);
	(void) anos_vfs_register(&vfs, "boot:", 2, 0);
	ck_assert_uint_eq(vfs_say(&vfs, UNREGISTER, "a:", 0, 6), 0);
	ck_assert_uint_eq(vfs_say(&vfs, UNREGISTER, "boot:", 0, 6), 0);
	ck_assert_uint_eq(vfs_say(&vfs, UNREGISTER, "b:", 0, 5), 0);
	ck_assert_uint_eq(vfs_say(&vfs, UNREGISTER, "a:", 0, 5), 1);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "a:", 0, 5), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "boot:", 0, 5), 2);
}
END_TEST

START_TEST(what_a_dead_process_registered_is_forgotten)
{
	struct anos_vfs vfs = { 0 };

	(void) vfs_say(&vfs, REGISTER, "a:", 1, 5);
	(void) vfs_say(&vfs, REGISTER, "b:", 2, 6);
	(void) vfs_say(&vfs, REGISTER, "c:", 3, 5);
	ck_assert_uint_eq(anos_vfs_forget(&vfs, 5), 2);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "a:", 0, 5), 0);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "b:", 0, 5), 2);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "c:", 0, 5), 0);
}
END_TEST

START_TEST(hostile_pages_to_the_vfs_are_refused)
{
	struct anos_vfs vfs = { 0 };
	struct page page;
	struct anos_message m = message(&page, REGISTER, 39);
	struct anos_message none = { .tag = FIND };

	memset(&page, 'x', sizeof(page)); /* no colon and no end */
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &m), 0);
	m.tag = FIND;
	m.size = UINT64_MAX;
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &m), 0);
	/* registered without an end: cut at 31, found by nobody's path */
	m.tag = REGISTER;
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &m), 1);
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &m), 0);
	ck_assert_uint_eq(strlen(vfs.mounts[0].prefix), 31);
	/* a prefix of 32 bytes with its colon is too long, one of 31 is not */
	m.tag = FIND;
	page.bytes[31] = ':';
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &m), 0);
	(void) anos_vfs_register(&vfs, "0123456789012345678901234567890:", 8, 5);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "0123456789012345678901234567890:", 0, 5),
			  0);
	(void) anos_vfs_register(&vfs, "012345678901234567890123456789:", 9, 5);
	ck_assert_uint_eq(vfs_say(&vfs, FIND, "012345678901234567890123456789:/", 0, 5),
			  9);
	ck_assert_uint_eq(vfs_say(&vfs, 4, "012345678901234567890123456789:", 0, 5), 0);
	ck_assert_uint_eq(anos_vfs_answer(&vfs, &none), 0);
}
END_TEST

/* ---- DEVMAN ---- */

static uint64_t device_add(struct anos_devices *all, uint32_t type, uint64_t parent,
			   uint64_t channel, int32_t sender)
{
	struct page page = { 0 };
	struct anos_message m = message(&page, 0, 12 + 136);

	anos_put32(page.bytes, 0, 1);
	anos_put32(page.bytes, 4, type);
	anos_put32(page.bytes, 8, 1);
	anos_put64(page.bytes, 12, 4711); /* an id is given, not taken */
	anos_put64(page.bytes, 12 + 8, parent);
	anos_put32(page.bytes, 12 + 16, type);
	put_text(&page, 12 + 28, "disk");
	anos_put64(page.bytes, 12 + 128, channel);
	m.sender = sender;
	return anos_devices_answer(all, &m);
}

static uint64_t device_query(struct anos_devices *all, struct page *page, uint32_t by,
			     uint32_t type, uint64_t id)
{
	struct anos_message m = message(page, 0, 24);

	memset(page, 0xee, sizeof(*page));
	anos_put32(page->bytes, 0, 3);
	anos_put32(page->bytes, 4, by);
	anos_put32(page->bytes, 8, type);
	anos_put64(page->bytes, 16, id);
	return anos_devices_answer(all, &m);
}

static uint64_t device_remove(struct anos_devices *all, uint64_t id, int32_t sender)
{
	struct page page = { 0 };
	struct anos_message m = message(&page, 0, 16);

	anos_put32(page.bytes, 0, 2);
	anos_put64(page.bytes, 8, id);
	m.sender = sender;
	return anos_devices_answer(all, &m);
}

START_TEST(devices_are_found_by_type_id_parent_and_all)
{
	static struct anos_devices all;
	struct page page;

	memset(&all, 0, sizeof(all));
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 0);
	ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_PCI, 0, 7, 5), 1);
	ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_STORAGE, 1, 8, 5), 2);
	ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_STORAGE, 1, 9, 6), 3);
	ck_assert_uint_eq(device_query(&all, &page, 1, ANOS_DEVICE_STORAGE, 0),
			  8 + 2 * 136);
	ck_assert_uint_eq(anos_get32(page.bytes, 0), 2);
	ck_assert_uint_eq(anos_get32(page.bytes, 4), 0);
	ck_assert_uint_eq(anos_get64(page.bytes, 8), 2);
	ck_assert_str_eq((char *) page.bytes + 8 + 28, "disk");
	ck_assert_uint_eq(anos_get64(page.bytes, 8 + 128), 8);
	ck_assert_uint_eq(anos_get64(page.bytes, 8 + 136 + 128), 9);
	ck_assert_uint_eq(device_query(&all, &page, 2, 0, 3), 8 + 136);
	ck_assert_uint_eq(anos_get64(page.bytes, 8), 3);
	ck_assert_uint_eq(device_query(&all, &page, 4, 0, 1), 8 + 2 * 136);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 8 + 3 * 136);
	ck_assert_uint_eq(device_query(&all, &page, 1, ANOS_DEVICE_NETWORK, 0), 0);
	ck_assert_uint_eq(device_query(&all, &page, 5, 0, 0), 0);
	ck_assert_uint_eq(device_query(&all, &page, 2, 0, 4711), 0);
}
END_TEST

START_TEST(more_devices_than_a_page_holds_are_only_counted)
{
	static struct anos_devices all;
	struct page page;

	memset(&all, 0, sizeof(all));
	for (unsigned i = 0; i < 30; i++)
		(void) device_add(&all, ANOS_DEVICE_PCI, 0, i, 5);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 8 + 30 * 136);
	ck_assert_uint_eq(anos_get64(page.bytes, 8 + 29 * 136 + 128), 29);
	(void) device_add(&all, ANOS_DEVICE_PCI, 0, 30, 5);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 31);
	ck_assert_uint_eq(anos_get32(page.bytes, 0), 31);
	ck_assert_uint_eq(anos_get32(page.bytes, 4), 1);
	ck_assert_uint_eq(anos_get64(page.bytes, 8 + 128), 0);
	for (unsigned i = 31; i < 256; i++)
		ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_PCI, 0, i, 5), i + 1);
	ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_PCI, 0, 1, 5), 0);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 256);
}
END_TEST

START_TEST(a_device_is_taken_away_by_who_registered_it_and_its_id_never_comes_back)
{
	static struct anos_devices all;
	struct page page;

	memset(&all, 0, sizeof(all));
	(void) device_add(&all, ANOS_DEVICE_PCI, 0, 1, 5);
	(void) device_add(&all, ANOS_DEVICE_PCI, 0, 2, 6);
	ck_assert_uint_eq(device_remove(&all, 1, 6), 0);
	ck_assert_uint_eq(device_remove(&all, 9, 5), 0);
	ck_assert_uint_eq(device_remove(&all, 1, 5), 1);
	ck_assert_uint_eq(device_remove(&all, 1, 5), 0);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 8 + 136);
	ck_assert_uint_eq(anos_get64(page.bytes, 8), 2);
	ck_assert_uint_eq(device_add(&all, ANOS_DEVICE_PCI, 0, 3, 5), 3);
	ck_assert_uint_eq(anos_devices_forget(&all, 5), 1);
	ck_assert_uint_eq(anos_devices_forget(&all, 6), 1);
	ck_assert_uint_eq(device_query(&all, &page, 3, 0, 0), 0);
}
END_TEST

START_TEST(hostile_pages_to_devman_are_refused)
{
	static struct anos_devices all;
	struct page page;
	struct anos_message m = message(&page, 0, 12 + 135);
	struct anos_message none = { .size = 4096 };

	memset(&all, 0, sizeof(all));
	memset(&page, 0xff, sizeof(page));
	anos_put32(page.bytes, 0, 1);
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0); /* cut off */
	m.size = UINT64_MAX;
	ck_assert_uint_eq(anos_devices_answer(&all, &m),
			  1); /* a count of 2^32 - 1: one */
	ck_assert_uint_eq(all.count, 1);
	ck_assert_uint_eq(strnlen(all.devices[0].name, 64), 63);
	ck_assert_uint_eq(strnlen(all.devices[0].driver, 32), 31);
	anos_put32(page.bytes, 8, 0);
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0); /* none at all */
	anos_put32(page.bytes, 0, 3);
	m.size = 23;
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0);
	anos_put32(page.bytes, 0, 2);
	m.size = 15;
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0);
	anos_put32(page.bytes, 0, 4);
	m.size = 4096;
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0);
	m.size = 3;
	ck_assert_uint_eq(anos_devices_answer(&all, &m), 0);
	ck_assert_uint_eq(anos_devices_answer(&all, &none), 0);
}
END_TEST

/* ---- storage ---- */

static char image[64];

/* Ten sectors and a bit; sector i is full of the letter 'a' + i. */
static void disk_make(struct anos_disk *disk)
{
	struct co_err err = { 0 };
	uint8_t sector[512];
	int fd;

	(void) snprintf(image, sizeof(image), "/tmp/anos-disk-XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 10; i++) {
		memset(sector, 'a' + i, sizeof(sector));
		ck_assert_int_eq((int) write(fd, sector, sizeof(sector)), 512);
	}
	ck_assert_int_eq((int) write(fd, "tail", 4), 4);
	(void) close(fd);
	ck_assert_msg(anos_disk_open(disk, image, &err) == 0, "%s", err.message);
}

static void disk_drop(struct anos_disk *disk)
{
	anos_disk_close(disk);
	(void) unlink(image);
}

static uint64_t disk_say(struct anos_disk *disk, struct page *page, uint32_t type,
			 uint64_t sector, uint32_t count)
{
	struct anos_message m = message(page, 0, 24);

	anos_put32(page->bytes, 0, type);
	anos_put64(page->bytes, 8, sector);
	anos_put32(page->bytes, 16, count);
	anos_put32(page->bytes, 20, 0);
	return anos_disk_answer(disk, &m);
}

START_TEST(sectors_are_read_from_the_begin_of_the_page)
{
	struct anos_disk disk;
	struct page page = { 0 };

	disk_make(&disk);
	ck_assert_uint_eq(disk.sectors, 10);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 2, 8), 4096);
	ck_assert_int_eq(page.bytes[0], 'c');
	ck_assert_int_eq(page.bytes[4095], 'j');
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 9, 1), 512);
	ck_assert_int_eq(page.bytes[511], 'j');
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, 9), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 9, 2), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 10, 1), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, UINT64_MAX, 1), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, UINT64_MAX / 512 + 1, 1), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, UINT32_MAX), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, 0), 0);
	ck_assert_int_eq(truncate(image, 600), 0); /* it shrinks behind our back */
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, 2), 0);
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, 1), 512);
	disk_drop(&disk);
}
END_TEST

START_TEST(sectors_are_written_from_behind_the_request)
{
	struct anos_disk disk;
	struct page page;

	disk_make(&disk);
	memset(&page, 'Z', sizeof(page));
	ck_assert_uint_eq(disk_say(&disk, &page, 2, 1, 7), 7);
	ck_assert_uint_eq(disk_say(&disk, &page, 4, 0, 0), 1);
	ck_assert_uint_eq(disk_say(&disk, &page, 2, 1, 8),
			  0); /* would end past the page */
	ck_assert_uint_eq(disk_say(&disk, &page, 2, 4, 7), 0); /* past the disk */
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 0, 8), 4096);
	ck_assert_int_eq(page.bytes[511], 'a');
	ck_assert_int_eq(page.bytes[512], 'Z');
	ck_assert_int_eq(page.bytes[4095], 'Z');
	ck_assert_uint_eq(disk_say(&disk, &page, 1, 8, 1), 512);
	ck_assert_int_eq(page.bytes[0], 'i');
	disk.writable = false;
	ck_assert_uint_eq(disk_say(&disk, &page, 2, 1, 1), 0);
	disk_drop(&disk);
}
END_TEST

START_TEST(a_disk_says_what_it_is)
{
	struct anos_disk disk;
	struct page page;
	struct anos_message m = message(&page, 0, 23);
	struct anos_message none = { .size = 24 };

	disk_make(&disk);
	memset(&page, 0xff, sizeof(page));
	ck_assert_uint_eq(disk_say(&disk, &page, 3, 0, 0), 112);
	ck_assert_uint_eq(anos_get64(page.bytes, 0), 10);
	ck_assert_uint_eq(anos_get32(page.bytes, 8), 512);
	ck_assert_uint_eq(anos_get32(page.bytes, 12), 3);
	ck_assert_str_eq((char *) page.bytes + 16, "CloudOS disk image");
	ck_assert_uint_eq(disk_say(&disk, &page, 5, 0, 0), 0);
	anos_put32(page.bytes, 0, 3);
	ck_assert_uint_eq(anos_disk_answer(&disk, &m), 0);
	ck_assert_uint_eq(anos_disk_answer(&disk, &none), 0);
	disk_drop(&disk);
}
END_TEST

START_TEST(what_is_no_image_is_no_disk)
{
	struct anos_disk disk;
	struct co_err err = { 0 };
	char path[] = "/tmp/anos-disk-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq((int) write(fd, "short", 5), 5);
	(void) close(fd);
	ck_assert_int_eq(anos_disk_open(&disk, path, &err), CO_INVALID);
	ck_assert_int_eq(anos_disk_open(&disk, "/tmp", &err), CO_INVALID);
	ck_assert_int_eq(anos_disk_open(&disk, "/nowhere/disk", &err), CO_NOT_FOUND);
	ck_assert_int_eq(disk.fd, -1);
	(void) unlink(path);
}
END_TEST

/* ---- the kernel log ---- */

START_TEST(the_log_gives_each_byte_once_and_forgets_the_oldest)
{
	static struct anos_klog log;
	static char out[2 * CO_LIMIT_ANOS_LOG];
	static char big[CO_LIMIT_ANOS_LOG + 10];

	memset(&log, 0, sizeof(log));
	ck_assert_uint_eq(anos_klog_take(&log, out, sizeof(out)), 0);
	anos_klog_append(&log, "hello", 5);
	ck_assert_uint_eq(anos_klog_take(&log, out, 2), 2);
	ck_assert_uint_eq(anos_klog_take(&log, out + 2, sizeof(out) - 2), 3);
	ck_assert_mem_eq(out, "hello", 5);
	ck_assert_uint_eq(anos_klog_take(&log, out, sizeof(out)), 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char) ('a' + i % 26);
	anos_klog_append(&log, big, sizeof(big));
	ck_assert_uint_eq(anos_klog_take(&log, out, sizeof(out)), CO_LIMIT_ANOS_LOG);
	ck_assert_mem_eq(out, big + 10, CO_LIMIT_ANOS_LOG);
	/* across the ring's end, with something unread that is overwritten */
	anos_klog_append(&log, big, 40000);
	anos_klog_append(&log, "the end", 7);
	anos_klog_append(&log, big, 30000);
	ck_assert_uint_eq(anos_klog_take(&log, out, sizeof(out)), CO_LIMIT_ANOS_LOG);
	ck_assert_mem_eq(out, big + 70007 - CO_LIMIT_ANOS_LOG, 100);
	ck_assert_mem_eq(out + CO_LIMIT_ANOS_LOG - 30000, big, 30000);
	ck_assert_mem_eq(out + CO_LIMIT_ANOS_LOG - 30007, "the end", 7);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("anos services");

	tcase_add_test(tc, a_registered_prefix_is_found_by_any_path_under_it);
	tcase_add_test(tc, a_prefix_is_registered_once);
	tcase_add_test(tc, the_table_of_the_vfs_has_32_places);
	tcase_add_test(tc, a_prefix_is_taken_back_by_who_registered_it);
	tcase_add_test(tc, what_a_dead_process_registered_is_forgotten);
	tcase_add_test(tc, hostile_pages_to_the_vfs_are_refused);
	tcase_add_test(tc, devices_are_found_by_type_id_parent_and_all);
	tcase_add_test(tc, more_devices_than_a_page_holds_are_only_counted);
	tcase_add_test(
		tc,
		a_device_is_taken_away_by_who_registered_it_and_its_id_never_comes_back);
	tcase_add_test(tc, hostile_pages_to_devman_are_refused);
	tcase_add_test(tc, sectors_are_read_from_the_begin_of_the_page);
	tcase_add_test(tc, sectors_are_written_from_behind_the_request);
	tcase_add_test(tc, a_disk_says_what_it_is);
	tcase_add_test(tc, what_is_no_image_is_no_disk);
	tcase_add_test(tc, the_log_gives_each_byte_once_and_forgets_the_oldest);
	return run_tests(tc);
}
