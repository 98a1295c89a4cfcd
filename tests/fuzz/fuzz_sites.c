/* SPDX-License-Identifier: MIT */
/* Fuzz target: the scanner of site tables.  HOST.  Input: an ELF file. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/sites/decoder.h"
#include "cloudosd/sites/scan.h"
#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

struct input {
	unsigned char *bytes; /* ends where the input ends */
	size_t size;
};

static int read_input(void *ctx, uint64_t offset, void *to, size_t n)
{
	const struct input *input = ctx;

	/* it is the reader's promise to stay inside */
	if (offset > input->size || n > input->size - offset)
		abort();
	memcpy(to, input->bytes + offset, n);
	return 0;
}

static bool is_site(const unsigned char *p, uint8_t kind)
{
	static const unsigned char pairs[][2] = {
		{ 0x0f, 0x05 }, { 0xcd, 0x80 }, { 0xcd, 0x69 }, { 0x0f, 0x34 }
	};

	return kind >= CO_SITES_SYSCALL && kind <= CO_SITES_SYSENTER &&
	       memcmp(p, pairs[kind - 1], 2) == 0;
}

/* What the trap engine relies on when it patches. */
static void demand_row(const struct input *input, const struct co_sites_row *row)
{
	if (row->length < 1 || row->length > 15 || row->offset < row->length ||
	    row->offset + 2UL > input->size ||
	    !is_site(input->bytes + row->offset, row->kind) ||
	    memcmp(input->bytes + row->offset - row->length, row->bytes, row->length) !=
		    0)
		abort();
	if (row->flags & CO_SITES_RIP ? !row->field || row->field + 4 > row->length
				      : row->field)
		abort();
	if (row->number && !(row->flags & CO_SITES_NUMBER))
		abort();
}

static void demand_table(const struct input *input, const struct sites_found *found)
{
	for (uint32_t i = 0; i < found->count; i++) {
		demand_row(input, &found->rows[i]);
		if (i && found->rows[i - 1].offset >= found->rows[i].offset)
			abort();
	}
	if (found->count > found->sites || found->sites > found->candidates)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = { 1 };
	struct input input = { malloc(size ? size : 1), size };
	const struct sites_source source = { .read = read_input,
					     .ctx = &input,
					     .size = size };
	struct sites_image image;
	struct sites_found found = { 0 };
	struct co_err err = { 0 };
	int rc;

	if (!input.bytes)
		return 0;
	memcpy(input.bytes, data, size);
	rc = sites_image_read(&image, &source, key, &err);
	if (!rc)
		rc = sites_scan(&found, &image, NULL, &err);
	if (rc ? err.code != rc || !err.message[0] : 0)
		abort();
	if (!rc)
		demand_table(&input, &found);
	sites_found_done(&found);
	sites_image_done(&image);
	free(input.bytes);
	return 0;
}
