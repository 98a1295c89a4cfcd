/* SPDX-License-Identifier: MIT */
/* sys_readdir, raw and through libcloudos. */
#include "guest.h"

#include "folder.h"

#define FILES 400

static long open_here(void)
{
	long fd = RAW(sys_opendir, WORD("."));

	if (fd < 0)
		die("sys_opendir");
	return fd;
}

/* Reads to the end and ticks off what is there; -1: something that does not belong. */
static int count_entries(long fd, unsigned char *seen)
{
	struct dirent entry;
	int others = 0;
	long r;

	while ((r = RAW(sys_readdir, WORD(fd), WORD(&entry))) == 1) {
		struct stat st;
		unsigned number;

		if (lstat(entry.d_name, &st) < 0 || st.st_ino != entry.d_ino)
			return -1;
		if (sscanf(entry.d_name, "f%u", &number) == 1 && number < FILES &&
		    entry.d_type == DT_REG) {
			seen[number]++;
			continue;
		}
		if (entry.d_type != DT_DIR)
			return -1;
		others++;
	}
	return r == 0 ? others : -1;
}

static void everything_is_listed(void)
{
	unsigned char seen[FILES] = { 0 };
	long fd = open_here();
	struct dirent entry;
	int each = 0;

	check_number(
		count_entries(fd, seen), 3,
		"three folders, \".\" and \"..\" among them, right in number and kind");
	for (int i = 0; i < FILES; i++)
		each += seen[i] == 1;
	check_number(each, FILES, "and each of 400 files once");
	check_number(RAW(sys_readdir, WORD(fd), WORD(&entry)), 0,
		     "at the end it stays");
	check_number(cloudos_sys_lseek((int) fd, 0, SEEK_SET), 0, "it is rewound");
	check_number(cloudos_sys_readdir((int) fd, &entry), 1, "and begins again");
	(void) close((int) fd);
}

static void descriptors_are_independent(void)
{
	long one = open_here(), two = open_here();
	struct dirent a, b;

	check(RAW(sys_readdir, WORD(one), WORD(&a)) == 1 &&
		      RAW(sys_readdir, WORD(one), WORD(&a)) == 1 &&
		      RAW(sys_readdir, WORD(two), WORD(&b)) == 1,
	      "two descriptors of one folder are read");
	check(strcmp(a.d_name, b.d_name) != 0, "each at its own position");
	(void) close((int) one);
	(void) close((int) two);
}

static void nothing_is_lost_by_a_fault(void)
{
	long one = open_here(), two = open_here();
	struct dirent a, b;

	check_refused(RAW(sys_readdir, WORD(one), WORD(read_only())), CLOUDOS_EFAULT,
		      "an entry that cannot be written is refused");
	check_refused(RAW(sys_readdir, WORD(one), WORD(unmapped())), CLOUDOS_EFAULT,
		      "an entry that goes nowhere is refused");
	check_refused(RAW(sys_readdir, WORD(one), 0), CLOUDOS_EFAULT,
		      "an entry that goes to NULL is refused");
	check(RAW(sys_readdir, WORD(one), WORD(&a)) == 1 &&
		      RAW(sys_readdir, WORD(two), WORD(&b)) == 1 &&
		      strcmp(a.d_name, b.d_name) == 0,
	      "and not lost: it is the next one");
	(void) close((int) one);
	(void) close((int) two);
}

static int child_reads(void *fd)
{
	struct dirent entry;

	return RAW(sys_readdir, WORD(*(long *) fd), WORD(&entry)) == 1 ? 0 : 1;
}

int main(void)
{
	struct dirent entry;
	char name[16];
	long fd;

	folder_enter();
	for (int i = 0; i < FILES; i++) {
		(void) snprintf(name, sizeof(name), "f%d", i); /* it fits */
		make_file(name);
	}
	if (mkdir("sub", 0700) < 0)
		die("mkdir");
	everything_is_listed();
	descriptors_are_independent();
	nothing_is_lost_by_a_fault();
	fd = open_here();
	check_number(in_child(child_reads, &fd), 0, "a child reads what it inherited");
	(void) close((int) fd);
	check_refused(RAW(sys_readdir, WORD(fd), WORD(&entry)), CLOUDOS_EINVAL,
		      "a closed descriptor is refused");
	check_refused(RAW(sys_readdir, WORD(-1), WORD(&entry)), CLOUDOS_EINVAL,
		      "descriptor -1 is refused");
	fd = open("f0", O_RDONLY | O_CLOEXEC);
	check_refused(RAW(sys_readdir, WORD(fd), WORD(&entry)), CLOUDOS_ENOTDIR,
		      "a file is refused");
	(void) close((int) fd);
	for (int i = 0; i < FILES; i++) {
		(void) snprintf(name, sizeof(name), "f%d", i); /* it fits */
		(void) unlink(name);
	}
	(void) rmdir("sub");
	folder_leave();
	return done();
}
