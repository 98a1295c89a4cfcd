/* SPDX-License-Identifier: MIT */
/* A tar archive that may be compressed.  HOST. */
#include "cloudosd/image/stream.h"

#include <errno.h>

#include "cloudosd/image/io.h"

enum { CHUNK = 262144, END_ZEROS = 512 };

static int failed(const struct stream *s, struct archive *a, const char *doing,
		  struct co_err *err)
{
	const char *why = archive_error_string(a);

	if (s->too_much)
		return co_fail(err, CO_TOO_BIG,
			       "%s has more than %llu MiB when it is decompressed: "
			       "not taken",
			       s->what, (unsigned long long) (s->most >> 20));
	if (archive_errno(a) == ENOMEM)
		return co_fail(err, CO_NO_MEMORY, "no memory to %s %s", doing, s->what);
	return co_fail(err, CO_CORRUPT, "cannot %s %s: %s", doing, s->what,
		       why ? why : "it is damaged");
}

static void count_zeros(struct stream *s, const uint8_t *data, size_t n)
{
	size_t tail = 0;

	while (tail < n && tail < END_ZEROS && !data[n - 1 - tail])
		tail++;
	s->zeros = tail == n ? s->zeros + (unsigned) tail : (unsigned) tail;
	if (s->zeros > END_ZEROS)
		s->zeros = END_ZEROS;
}

/* Decompressed bytes, for libarchive's other reader; 0 at the end. */
static la_ssize_t pull(struct archive *a, void *arg, const void **out)
{
	struct stream *s = arg;
	size_t n = 0;
	int64_t offset;
	int r = archive_read_data_block(s->raw, out, &n, &offset);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK) {
		if (a)
			archive_set_error(a, archive_errno(s->raw), "%s",
					  archive_error_string(s->raw));
		return -1;
	}
	hasher_add(&s->hasher, *out, n);
	count_zeros(s, *out, n);
	s->too_much = s->hasher.bytes > s->most;
	return s->too_much ? -1 : (la_ssize_t) n;
}

/* No filter that starts programs, and none that images do not have. */
static bool add_filters(struct archive *a)
{
	return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_bzip2(a) == ARCHIVE_OK;
}

int stream_open(struct stream *s, int fd, uint64_t most, const char *what,
		struct co_err *err)
{
	struct archive_entry *whole;

	*s = (struct stream){ .most = most, .what = what };
	hasher_init(&s->hasher);
	s->raw = archive_read_new();
	s->tar = archive_read_new();
	if (!s->raw || !s->tar)
		return co_fail(err, CO_NO_MEMORY, "no memory to read %s", what);
	if (!add_filters(s->raw))
		return co_fail(err, CO_UNSUPPORTED,
			       "this libarchive lacks gzip, zstd, xz or bzip2");
	if (archive_read_support_format_raw(s->raw) != ARCHIVE_OK ||
	    archive_read_open_fd(s->raw, fd, CHUNK) != ARCHIVE_OK ||
	    archive_read_next_header(s->raw, &whole) != ARCHIVE_OK)
		return failed(s, s->raw, "read", err);
	return 0;
}

/* Not before it is wanted: it reads. */
static int open_tar(struct stream *s, struct co_err *err)
{
	if (archive_read_support_format_tar(s->tar) != ARCHIVE_OK ||
	    archive_read_support_format_empty(s->tar) != ARCHIVE_OK ||
	    archive_read_open(s->tar, s, NULL, pull, NULL) != ARCHIVE_OK)
		return failed(s, s->tar, "read", err);
	return 0;
}

void stream_close(struct stream *s)
{
	if (s->tar)
		(void) archive_read_free(s->tar); /* only read */
	if (s->raw)
		(void) archive_read_free(s->raw); /* only read */
	s->tar = s->raw = NULL;
}

const char *stream_filter(const struct stream *s)
{
	return archive_filter_count(s->raw) > 1 ? archive_filter_name(s->raw, 0)
						: "none";
}

int stream_next(struct stream *s, struct archive_entry **out, struct co_err *err)
{
	int r = 0;

	if (!s->hasher.bytes)
		r = open_tar(s, err);
	if (r)
		return r;
	r = archive_read_next_header(s->tar, out);
	if (r == ARCHIVE_EOF)
		return 0;
	/* a warning is about what was left out of an entry: who needs it looks */
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return failed(s, s->tar, "read", err);
	return 1;
}

int stream_data(struct stream *s, const void **out, size_t *out_size,
		int64_t *out_offset, struct co_err *err)
{
	int r = archive_read_data_block(s->tar, out, out_size, out_offset);

	if (r == ARCHIVE_EOF)
		return 0;
	return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 1
						    : failed(s, s->tar, "read", err);
}

int stream_end(struct stream *s, bool strict, struct digest *out, uint64_t *out_bytes,
	       struct co_err *err)
{
	const void *data;
	la_ssize_t n;

	while ((n = pull(NULL, s, &data)) > 0)
		;
	if (n < 0)
		return failed(s, s->raw, "read", err);
	if (strict && s->zeros < END_ZEROS)
		return co_fail(err, CO_CORRUPT,
			       "%s ends without the mark that a tar archive ends with: "
			       "it was cut",
			       s->what);
	*out_bytes = s->hasher.bytes;
	hasher_end(&s->hasher, out);
	return 0;
}

int stream_copy(struct stream *s, int fd, struct digest *out, uint64_t *out_bytes,
		struct co_err *err)
{
	const void *piece;
	la_ssize_t n;

	while ((n = pull(NULL, s, &piece)) > 0) {
		int r = fd < 0 ? 0 : io_write(fd, piece, (size_t) n);

		if (r)
			return co_fail_errno(err, -r, "cannot write what is in %s",
					     s->what);
	}
	if (n < 0)
		return failed(s, s->raw, "read", err);
	*out_bytes = s->hasher.bytes;
	hasher_end(&s->hasher, out);
	return 0;
}
