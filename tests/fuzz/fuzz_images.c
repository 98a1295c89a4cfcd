/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what images bring with them.  HOST.  The first byte says which: 'm' a manifest,
 * 'i' an index, 'c' a configuration, 'd' manifest.json of docker, 'x' our own index, 'n' a
 * name, anything else an archive, perhaps compressed.
 */
#include <co/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cloudosd/image/manifest.h"
#include "cloudosd/image/stream.h"
#include "lib/image_index.h"
#include "tests/fuzz/target.h"

/* A failure has a code and a sentence; anything else is success. */
static bool good(int r, const struct co_err *err)
{
	if (r > 0 || (r < 0 && (!*err->message || err->code != r)))
		abort();
	return r == 0;
}

static void check_digest(const struct digest *d)
{
	if (!co_image_is_digest(co_span(d->text)))
		abort();
}

static void manifest(struct co_span text)
{
	struct co_err err = { 0 };
	struct manifest m;

	if (!good(manifest_parse(text, &m, &err), &err))
		return;
	check_digest(&m.config.digest);
	if (m.layers.count > CO_LIMIT_IMAGE_LAYERS)
		abort();
	for (size_t i = 0; i < m.layers.count; i++)
		check_digest(&m.layers.at[i].digest);
	manifest_done(&m);
}

static void index_(struct co_span text)
{
	struct co_err err = { 0 };
	struct descriptors d;

	if (!good(index_parse(text, &d, &err), &err))
		return;
	for (size_t i = 0; i < d.count; i++) {
		check_digest(&d.at[i].digest);
		if (descriptor_is_index(&d.at[i]) && descriptor_is_manifest(&d.at[i]))
			abort();
		(void) platform_is("linux/amd64", d.at[i].os, d.at[i].architecture,
				   d.at[i].variant); /* only run */
	}
	descriptors_done(&d);
}

static void configuration(struct co_span text)
{
	struct co_err err = { 0 };
	struct image_config c;

	if (!good(image_config_parse(text, &c, &err), &err))
		return;
	if (c.diff_count > CO_LIMIT_IMAGE_LAYERS ||
	    c.config.size > CO_LIMIT_IMAGE_CONFIG || *c.config.data != '{')
		abort();
	for (size_t i = 0; i < c.diff_count; i++)
		check_digest(&c.diffs[i]);
	image_config_done(&c);
}

static void docker(struct co_span text)
{
	struct co_err err = { 0 };
	struct docker_list l;

	if (!good(docker_list_parse(text, &l, &err), &err))
		return;
	for (size_t i = 0; i < l.count; i++)
		if (!l.at[i].config || l.at[i].layer_count > CO_LIMIT_IMAGE_LAYERS ||
		    l.at[i].layers[l.at[i].layer_count] ||
		    l.at[i].tags[l.at[i].tag_count])
			abort();
	docker_list_done(&l);
}

/* What was read and written is the same when it is read and written again. */
static void own_index(struct co_span text)
{
	struct co_image_index first, second;
	struct co_buf once = { 0 }, twice = { 0 };
	struct co_err err = { 0 };

	if (!good(co_image_index_parse(text, &first, &err), &err))
		return;
	co_image_index_write(&first, &once);
	if (co_image_index_parse((struct co_span){ once.data, once.size }, &second,
				 &err))
		abort();
	co_image_index_write(&second, &twice);
	if (once.size != twice.size || memcmp(once.data, twice.data, once.size) != 0)
		abort();
	for (size_t i = 0; i < first.count; i++) {
		size_t at;

		/* of equal names and ids the first counts */
		if (co_image_index_find(&first, co_span(first.at[i].id), &at, &err) ==
			    0 &&
		    strcmp(first.at[at].id, first.at[i].id) != 0)
			abort();
	}
	co_buf_done(&once);
	co_buf_done(&twice);
	co_image_index_done(&first);
	co_image_index_done(&second);
}

static void name(struct co_span text)
{
	char once[CO_IMAGE_NAME_SIZE], twice[CO_IMAGE_NAME_SIZE];
	struct co_err err = { 0 };
	struct co_span digits;

	(void) co_image_id_digits(text, &digits); /* only run */
	if (!good(co_image_name(text, once, &err), &err))
		return;
	if (co_image_name(co_span(once), twice, &err) || strcmp(once, twice) != 0 ||
	    strpbrk(once, "\"\\ \n") || strstr(once, "/."))
		abort();
}

static void archive_(const char *data, size_t size)
{
	const uint64_t most = 1 << 20;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct archive_entry *e;
	struct co_err err = { 0 };
	struct digest digest;
	struct stream s;
	uint64_t bytes;
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t) size ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	r = stream_open(&s, fd, most, "the input", &err);
	while (!r && (r = stream_next(&s, &e, &err)) > 0) {
		const void *piece;
		int64_t at;
		size_t n;

		while ((r = stream_data(&s, &piece, &n, &at, &err)) > 0)
			;
	}
	if (good(r, &err) && good(stream_end(&s, false, &digest, &bytes, &err), &err)) {
		check_digest(&digest);
		if (bytes > most)
			abort();
	}
	stream_close(&s);
	(void) close(fd); /* memory */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of that size: what is read behind its end is found */
	char *text = malloc(size ? size : 1);
	struct co_span rest = { text + 1, size ? size - 1 : 0 };

	if (!text || !size) {
		free(text);
		return 0;
	}
	memcpy(text, data, size);
	switch (*text) {
	case 'm':
		manifest(rest);
		break;
	case 'i':
		index_(rest);
		break;
	case 'c':
		configuration(rest);
		break;
	case 'd':
		docker(rest);
		break;
	case 'x':
		own_index(rest);
		break;
	case 'n':
		name(rest);
		break;
	default:
		archive_(text, size);
	}
	free(text);
	return 0;
}
