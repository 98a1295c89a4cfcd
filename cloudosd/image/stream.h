/* SPDX-License-Identifier: MIT */
/*
 * A tar archive that may be compressed, read with libarchive: what it has when it is
 * decompressed is counted, bounded and hashed on the way.  HOST.
 */
#ifndef IMAGE_STREAM_H
#define IMAGE_STREAM_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/image/digest.h"

struct stream {
	struct archive *raw, *tar;
	struct hasher hasher;
	uint64_t most;
	bool too_much;
	unsigned zeros; /* how many bytes of 0 stand at the end */
	const char *what;
};

/* fd is borrowed and read from where it is.  gzip, zstd, xz, bzip2, or none. */
int stream_open(struct stream *s, int fd, uint64_t most, const char *what,
		struct co_err *err);
void stream_close(struct stream *s);

/* "none", "gzip", "zstd", "xz", "bzip2". */
const char *stream_filter(const struct stream *s);

/* The next header: 1, or 0 at the end, or a failure. */
int stream_next(struct stream *s, struct archive_entry **out, struct co_err *err);

/* The next piece of the entry's data: 1, or 0 at its end, or a failure. */
int stream_data(struct stream *s, const void **out, size_t *out_size,
		int64_t *out_offset, struct co_err *err);

/*
 * Reads what is behind the end of the archive.  The digest of all that was decompressed.
 * CO_CORRUPT if the archive has no end (strict), as one that was cut.
 */
int stream_end(struct stream *s, bool strict, struct digest *out, uint64_t *out_bytes,
	       struct co_err *err);

/* Without looking for an archive in it: decompresses into fd. */
int stream_copy(struct stream *s, int fd, struct digest *out, uint64_t *out_bytes,
		struct co_err *err);

#endif
