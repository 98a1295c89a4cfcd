/* SPDX-License-Identifier: MIT */
/* Reading the images of Anos' boot file system.  HOST. */
#include "personality/anos/system/image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <co/limits.h>

#include "lib/cleanup.h"
#include "personality/anos/system/message.h"

enum {
	IMAGE_MAGIC = 0x0101CA75,
	IMAGE_VERSION = 10,
	HEADER_VERSION = 4,
	HEADER_COUNT = 16,
	HEADER_SIZE = 32,
	ENTRY_LENGTH = 8,
	ENTRY_NAME = 16,
	ENTRY_SIZE = 32
};

static int read_all(int fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *) to + done, n - done,
				    (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : EIO;
		done += (size_t) got;
	}
	return 0;
}

static int entry_read(struct anos_image_file *out, const uint8_t *entry, uint32_t index,
		      uint64_t size)
{
	uint64_t at = HEADER_SIZE + (uint64_t) index * ENTRY_SIZE;

	memcpy(out->name, entry + ENTRY_NAME, sizeof(out->name));
	if (memchr(out->name, 0, sizeof(out->name)) == NULL)
		return CO_CORRUPT;
	out->length = anos_get64(entry, ENTRY_LENGTH);
	if (__builtin_add_overflow(at, anos_get64(entry, 0), &out->start))
		return CO_CORRUPT;
	if (out->length && (out->start > size || out->length > size - out->start))
		return CO_CORRUPT;
	return 0;
}

static int table_read(struct anos_root *root, int fd, const char *path, uint64_t size,
		      struct co_err *err)
{
	autofree uint8_t *table = malloc((size_t) root->count * ENTRY_SIZE + 1);
	autofree struct anos_image_file *files =
		calloc((size_t) root->count + 1, sizeof(*files));
	int rc;

	if (!table || !files)
		return co_fail(err, CO_NO_MEMORY, "cannot open the image %s: %s", path,
			       co_status_text(CO_NO_MEMORY));
	rc = read_all(fd, table, (size_t) root->count * ENTRY_SIZE, HEADER_SIZE);
	if (rc)
		return co_fail_errno(err, rc, "cannot read the image %s", path);
	for (uint32_t i = 0; i < root->count; i++)
		if (entry_read(&files[i], table + (size_t) i * ENTRY_SIZE, i, size))
			return co_fail(err, CO_CORRUPT,
				       "the image %s is damaged: file %" PRIu32
				       " of %" PRIu32 " has no proper name or lies "
				       "outside; make it again with mkramfs",
				       path, i + 1, root->count);
	root->files = take(files);
	return 0;
}

int anos_image_read(struct anos_root *root, int fd, const char *path,
		    struct co_err *err)
{
	uint8_t header[HEADER_SIZE];
	struct stat st;
	uint64_t count;
	int rc;

	if (fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot read the image %s", path);
	if (st.st_size < HEADER_SIZE)
		return co_fail(
			err, CO_CORRUPT,
			"%s is neither a folder nor an Anos boot image: it is too "
			"short for one",
			path);
	rc = read_all(fd, header, sizeof(header), 0);
	if (rc)
		return co_fail_errno(err, rc, "cannot read the image %s", path);
	if (anos_get32(header, 0) != IMAGE_MAGIC)
		return co_fail(err, CO_CORRUPT,
			       "%s is neither a folder nor an Anos boot image: it does "
			       "not begin with 0x%08x",
			       path, IMAGE_MAGIC);
	if (anos_get32(header, HEADER_VERSION) != IMAGE_VERSION)
		return co_fail(err, CO_VERSION,
			       "the image %s has version %" PRIu32
			       ", and only %d is known",
			       path, anos_get32(header, HEADER_VERSION), IMAGE_VERSION);
	count = anos_get64(header, HEADER_COUNT);
	if (count > CO_LIMIT_ANOS_IMAGE_FILES)
		return co_fail(err, CO_TOO_BIG,
			       "the image %s says that it has %" PRIu64
			       " files; at most %d are read",
			       path, count, CO_LIMIT_ANOS_IMAGE_FILES);
	if (count > ((uint64_t) st.st_size - HEADER_SIZE) / ENTRY_SIZE)
		return co_fail(err, CO_CORRUPT,
			       "the image %s is damaged: its table of %" PRIu64
			       " files is longer than the file; make it again with "
			       "mkramfs",
			       path, count);
	root->count = (uint32_t) count;
	return table_read(root, fd, path, (uint64_t) st.st_size, err);
}

const struct anos_image_file *anos_image_find(const struct anos_root *root,
					      const char *name)
{
	for (uint32_t i = 0; i < root->count; i++)
		if (root->files[i].name[0] && !strcmp(root->files[i].name, name))
			return &root->files[i];
	return NULL;
}
