/* SPDX-License-Identifier: MIT */
/* Makes time zones for tests.  HOST. */
#include "tests/unit/tzif.h"

#include <check.h>
#include <string.h>

static uint8_t *put32(uint8_t *p, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		p[i] = (uint8_t) value;
	return p + 4;
}

static uint8_t *put_header(uint8_t *p, size_t times, size_t types)
{
	memcpy(p, "TZif2", 5);
	memset(p + 5, 0, 15 + 12);
	p = put32(p + 32, (uint32_t) times);
	p = put32(p, (uint32_t) types);
	return put32(p, 4);
}

static uint8_t *put_type(uint8_t *p, int32_t offset)
{
	p = put32(p, (uint32_t) offset);
	*p++ = 0;
	*p++ = 0;
	return p;
}

size_t tzif_file(uint8_t *out, int32_t first, const struct tzif_change *changes,
		 size_t n, const char *footer)
{
	uint8_t *p = put_header(out, 0, 1);

	p = put_type(p, first);
	memcpy(p, "XYZ", 4);
	p = put_header(p + 4, n, n + 1);
	for (size_t i = 0; i < n; i++) {
		p = put32(p, (uint32_t) ((uint64_t) changes[i].at >> 32));
		p = put32(p, (uint32_t) changes[i].at);
	}
	for (size_t i = 0; i < n; i++)
		*p++ = (uint8_t) (i + 1);
	p = put_type(p, first);
	for (size_t i = 0; i < n; i++)
		p = put_type(p, changes[i].offset);
	memcpy(p, "XYZ", 4);
	p += 4;
	*p++ = '\n';
	memcpy(p, footer, strlen(footer));
	p += strlen(footer);
	*p++ = '\n';
	return (size_t) (p - out);
}

static struct zone *make(int32_t first, const struct tzif_change *changes, size_t n,
			 const char *footer)
{
	uint8_t data[TZIF_SIZE];
	struct co_err err = { 0 };
	struct zone *zone = NULL;
	size_t size = tzif_file(data, first, changes, n, footer);

	ck_assert_msg(zone_parse(&zone, "Test/Zone", data, size, &err) == 0, "%s",
		      err.message);
	return zone;
}

struct zone *tzif_zone(const char *footer)
{
	return make(0, NULL, 0, footer);
}

struct zone *tzif_changes(int32_t first, const struct tzif_change *changes, size_t n)
{
	return make(first, changes, n, "");
}
