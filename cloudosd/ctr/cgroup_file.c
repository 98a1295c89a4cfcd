/* SPDX-License-Identifier: MIT */
/* Reading and writing the files of control groups.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "cloudosd/ctr/cgroup_inside.h"

static int open_in(const char *folder, const char *file, int flags)
{
	char path[GROUP_PATH + 256];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, file);
	int fd;

	if (n < 0 || (size_t) n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int group_write(const char *folder, const char *file, const char *text,
		struct co_err *err)
{
	autoclose int fd = open_in(folder, file, O_WRONLY);
	size_t n = strlen(text);

	if (fd >= 0 && write(fd, text, n) == (ssize_t) n)
		return 0;
	return co_fail_errno(err, fd < 0 ? -fd : errno,
			     "cannot write \"%.60s\" to %s/%s", text, folder, file);
}

int group_write_i64(const char *folder, const char *file, int64_t value,
		    struct co_err *err)
{
	char text[32];

	(void) snprintf(text, sizeof(text), "%" PRId64, value); /* it fits */
	return group_write(folder, file, text, err);
}

bool group_has(const char *folder, const char *file)
{
	char path[GROUP_PATH + 256];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", folder, file);

	return n > 0 && (size_t) n < sizeof(path) && lstat(path, &st) == 0;
}

int group_read(const char *folder, const char *file, struct co_buf *out)
{
	autoclose int fd = open_in(folder, file, O_RDONLY);

	if (fd < 0)
		return fd;
	while (out->size < GROUP_TEXT) {
		char *at = co_buf_room(out, 4096);
		ssize_t n;

		if (!at)
			return -ENOMEM;
		n = read(fd, at, 4096);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		co_buf_wrote(out, (size_t) n);
	}
	co_buf_text(out, ""); /* an empty file is an empty text */
	return out->data ? 0 : -ENODATA;
}

bool group_read_u64(const char *folder, const char *file, uint64_t *out)
{
	autobuf struct co_buf b = { 0 };
	char *end;
	unsigned long long value;

	if (group_read(folder, file, &b) < 0)
		return false;
	errno = 0;
	value = strtoull(b.data, &end, 10);
	if (end == b.data || errno)
		return false;
	*out = value;
	return true;
}

bool group_read_named(const char *folder, const char *file, const char *name,
		      uint64_t *out)
{
	autobuf struct co_buf b = { 0 };
	size_t n = strlen(name);

	if (group_read(folder, file, &b) < 0)
		return false;
	for (char *at = b.data; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, n) == 0 && at[n] == ' ') {
			*out = strtoull(at + n, NULL, 10);
			return true;
		}
		if (!*at)
			break;
	}
	return false;
}

bool group_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	while (*text) {
		size_t length = strcspn(text, ", \n");

		if (length == n && memcmp(text, word, n) == 0)
			return true;
		text += length;
		text += strspn(text, ", \n");
	}
	return false;
}
