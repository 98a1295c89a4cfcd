/* SPDX-License-Identifier: MIT */
/*
 * Prints what the scanner finds in a file, a site per line; tests/sites/census.sh holds it
 * against objdump.  HOST.
 *
 *	site-census FILE       offset kind length flags field number bytes
 *	site-census -s FILE    one line of counts and the time it took
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/sites/scan.h"
#include "lib/cleanup.h"

static int read_file(void *ctx, uint64_t offset, void *to, size_t n)
{
	int *fd = ctx;

	return pread(*fd, to, n, (off_t) offset) == (ssize_t) n ? 0 : CO_IO;
}

static double now_ms(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void print_row(const struct co_sites_row *row)
{
	(void) printf("%x %u %u %u %u %u ", row->offset, row->kind, row->length,
		      row->flags, row->field, row->number);
	for (unsigned i = 0; i < row->length; i++)
		(void) printf("%02x", row->bytes[i]);
	(void) printf("\n");
}

int main(int argc, char **argv)
{
	static const uint8_t key[16];
	bool counts = argc == 3 && strcmp(argv[1], "-s") == 0;
	autoclose int fd = -1;
	struct sites_source source = { .read = read_file, .ctx = &fd };
	struct sites_image image;
	struct sites_found found = { 0 };
	struct co_err err = { 0 };
	struct stat st;
	double begun, read_at;
	int rc;

	if (argc != (counts ? 3 : 2))
		return 2;
	fd = open(argv[argc - 1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(argv[argc - 1]);
		return 2;
	}
	source.size = (uint64_t) st.st_size;
	begun = now_ms();
	rc = sites_image_read(&image, &source, key, &err);
	read_at = now_ms();
	if (!rc)
		rc = sites_scan(&found, &image, NULL, &err);
	if (rc) {
		(void) fprintf(stderr, "%s: %s\n", argv[argc - 1], err.message);
	} else if (counts) {
		(void) printf("%s: %u candidates, %u sites, %u rows, %u functions; "
			      "read %.1f ms, scanned %.1f ms\n",
			      argv[argc - 1], found.candidates, found.sites,
			      found.count, found.functions, read_at - begun,
			      now_ms() - read_at);
	} else {
		for (uint32_t i = 0; i < found.count; i++)
			print_row(&found.rows[i]);
	}
	sites_found_done(&found);
	sites_image_done(&image);
	return rc ? 1 : 0;
}
