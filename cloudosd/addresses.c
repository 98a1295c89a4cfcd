/* SPDX-License-Identifier: MIT */
/* The addresses of this domain.  HOST. */
#include "cloudosd/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { BLOCKS = 255, CLAIM_HOST = 254, CLAIM_PORT = 8787 };

static void path_of(const struct co_paths *paths, char *out, size_t n)
{
	(void) snprintf(out, n, "%s/addresses", paths->state);
}

/* A socket that nobody else can have while we have it; -1 with errno. */
static int claim(uint32_t block)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(CLAIM_PORT),
				  .sin_addr = { htonl(127U << 24 | 77U << 16 |
						      block << 8 | CLAIM_HOST) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *) &at, sizeof(at)) < 0) {
		int errnum = errno;

		(void) close(fd);
		errno = errnum;
		return -1;
	}
	return fd;
}

/* What does not look like a record is nothing: the file only saves choosing again. */
static void read_record(struct names *names, const char *path, uint32_t *out_block)
{
	autofclose FILE *f = fopen(path, "re");
	char line[128], name[NAME_WORD];
	unsigned n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "block %3u", &n) == 1 && n < BLOCKS)
			*out_block = n;
		else if (sscanf(line, "%3u %63s", &n, name) == 2)
			names_had_place(names, name, n);
	}
}

int addresses_open(struct names *names, const struct co_paths *paths, uint64_t domain,
		   int *out_claim, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];
	uint32_t first = (uint32_t) (domain % BLOCKS);

	path_of(paths, path, sizeof(path));
	read_record(names, path, &first);
	*out_claim = -1;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		uint32_t block = (first + i) % BLOCKS;

		*out_claim = claim(block);
		if (*out_claim >= 0) {
			names_set_block(names, block);
			return 0;
		}
		if (errno != EADDRINUSE)
			break;
	}
	(void) co_fail_errno(err, errno,
			     "services have no addresses: none of 127.77.0.0/16 can be "
			     "had");
	return 0;
}

int addresses_save(const struct names *names, const struct co_paths *paths,
		   struct co_err *err)
{
	char path[CO_PATH_SIZE + 16], next[CO_PATH_SIZE + 24];
	uint32_t block;
	FILE *f;
	int fd;
	bool good;

	if (!names_block(names, &block))
		return 0;
	path_of(paths, path, sizeof(path));
	(void) snprintf(next, sizeof(next), "%s.new", path);
	fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		(void) co_fail_errno(err, errno, "cannot write %s", next);
		if (fd >= 0)
			(void) close(fd);
		return err ? err->code : CO_IO;
	}
	(void) fprintf(f, "block %u\n", block);
	for (size_t i = 0; i < names_count(names); i++)
		(void) fprintf(f, "%u %s\n", names_at(names, i)->place,
			       names_at(names, i)->name);
	good = !ferror(f);
	good = fclose(f) == 0 && good;
	if (!good || rename(next, path) < 0)
		return co_fail_errno(err, errno, "cannot write %s", path);
	return 0;
}
