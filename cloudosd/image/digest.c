/* SPDX-License-Identifier: MIT */
/* SHA-256.  HOST. */
#include "cloudosd/image/digest.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cloudosd/image/io.h"
#include "cloudosd/image/report.h"
#include "lib/cleanup.h"

enum { CHUNK = 262144 };

int digest_parse(struct co_span text, struct digest *out, struct co_err *err)
{
	if (!co_image_is_digest(text))
		return co_fail(err, CO_INVALID,
			       "\"%.*s\" is no digest that can be checked: it must be "
			       "sha256: and 64 digits",
			       (int) (text.size > 100 ? 100 : text.size),
			       text.data ? text.data : "");
	(void) snprintf(out->text, sizeof(out->text), "%.*s", (int) text.size,
			text.data);
	return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return strcmp(a->text, b->text) == 0;
}

void hasher_init(struct hasher *h)
{
	sha256_init(&h->sha);
	h->bytes = 0;
}

void hasher_add(struct hasher *h, const void *data, size_t n)
{
	sha256_update(&h->sha, n, data);
	h->bytes += n;
}

void hasher_end(struct hasher *h, struct digest *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[SHA256_DIGEST_SIZE];
	char *at = out->text + strlen("sha256:");

	sha256_digest(&h->sha, sizeof(raw), raw);
	memcpy(out->text, "sha256:", strlen("sha256:"));
	for (size_t i = 0; i < sizeof(raw); i++) {
		*at++ = digits[raw[i] >> 4];
		*at++ = digits[raw[i] & 15];
	}
	*at = '\0';
}

void digest_of(const void *data, size_t n, struct digest *out)
{
	struct hasher h;

	hasher_init(&h);
	hasher_add(&h, data, n);
	hasher_end(&h, out);
}

int digest_stream(int fd, int copy, uint64_t most, const char *what, struct digest *out,
		  uint64_t *out_size, struct co_err *err)
{
	autofree char *chunk = malloc(CHUNK);
	struct hasher h;
	struct stat st;
	uint64_t total =
		fstat(fd, &st) || !S_ISREG(st.st_mode) ? 0 : (uint64_t) st.st_size;

	if (!chunk)
		return co_fail(err, CO_NO_MEMORY, "no memory to read %s", what);
	hasher_init(&h);
	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return co_fail_errno(err, errno, "cannot read %s", what);
		if (n == 0)
			break;
		hasher_add(&h, chunk, (size_t) n);
		if (h.bytes > most)
			return co_fail(err, CO_TOO_BIG,
				       "%s has more than the %llu bytes that it may "
				       "have",
				       what, (unsigned long long) most);
		r = copy >= 0 ? io_write(copy, chunk, (size_t) n) : 0;
		if (r)
			return co_fail_errno(err, -r, "cannot store %s", what);
		report_progress("read", what, h.bytes, total);
	}
	*out_size = h.bytes;
	hasher_end(&h, out);
	return 0;
}
