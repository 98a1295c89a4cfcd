/* SPDX-License-Identifier: MIT */
/*
 * Rules and stored form of a registration.  HOST.
 *
 * Stored form, little endian: "CSVC", u16 layout (1), u16 zero, i32 pid, u32 port, u32
 * ttl, u32 instances, u64 start time, u64 boot, u64 session, u64 registered_ns; then name,
 * version, endpoint, health_check, metadata, each a u16 length and its bytes; then the
 * CRC-32 of all that.  A file is not trusted: it passes the same rules as a caller.
 */
#include "cloudosd/service/spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cloudosd/service/health.h"
#include "lib/cleanup.h"

#define LAYOUT 1U

/* The length of the valid UTF-8 character at p, 0 if it is none.  p is terminated. */
static size_t utf8_length(const uint8_t *p)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc0 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
				 : 4;
	uint32_t point = n == 1 ? p[0] : p[0] & (0x7fU >> n);

	if (n == 0 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3fU);
	}
	if (point < least[n] || point > 0x10ffff ||
	    (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return n;
}

/* C0, DEL and, as two bytes in UTF-8, C1. */
static bool is_control(const uint8_t *p)
{
	return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

static int check_text(const char *what, const char *text, size_t size,
		      const char *allowed, struct co_err *err)
{
	const uint8_t *p = (const uint8_t *) text;

	if (!memchr(text, 0, size))
		return co_fail(err, CO_INVALID,
			       "the service's %s is longer than %zu bytes", what,
			       size - 1);
	while (*p) {
		size_t n = utf8_length(p);

		if (n == 0)
			return co_fail(
				err, CO_INVALID,
				"the service's %s is not valid UTF-8 at byte %zu", what,
				(size_t) (p - (const uint8_t *) text));
		if (is_control(p) && !strchr(allowed, *p))
			return co_fail(
				err, CO_INVALID,
				"the service's %s has a control character at byte "
				"%zu",
				what, (size_t) (p - (const uint8_t *) text));
		p += n;
	}
	return 0;
}

int service_name_check(const char *name, struct co_err *err)
{
	size_t length = strnlen(name, SERVICE_NAME_SIZE);
	int r;

	if (length == 0)
		return co_fail(err, CO_INVALID, "the service's name is empty");
	if (length == SERVICE_NAME_SIZE)
		return co_fail(err, CO_INVALID,
			       "the service's name is longer than %d bytes",
			       SERVICE_NAME_SIZE - 1);
	r = check_text("name", name, length + 1, "", err);
	if (r < 0)
		return r;
	if (strpbrk(name, " /"))
		return co_fail(err, CO_INVALID,
			       "the service's name \"%s\" has a space or a '/' in it",
			       name);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return co_fail(err, CO_INVALID, "a service cannot be named \"%s\"",
			       name);
	return 0;
}

int service_spec_check(const struct service_spec *spec, struct co_err *err)
{
	int r = service_name_check(spec->name, err);

	if (r == 0)
		r = check_text("version", spec->version, sizeof(spec->version), "",
			       err);
	if (r == 0)
		r = check_text("endpoint", spec->endpoint, sizeof(spec->endpoint), "",
			       err);
	if (r == 0)
		r = check_text("health_check", spec->health_check,
			       sizeof(spec->health_check), "", err);
	if (r == 0)
		r = check_text("metadata", spec->metadata, sizeof(spec->metadata),
			       "\t\r\n", err);
	if (r == 0 && spec->port > 65535)
		r = co_fail(err, CO_INVALID,
			    "the port %" PRIu32 " of service \"%s\" is above 65535",
			    spec->port, spec->name);
	if (r == 0 && spec->ttl > SERVICE_TTL_MAX)
		r = co_fail(err, CO_INVALID,
			    "the ttl of service \"%s\", %" PRIu32
			    " seconds, is longer than a year (%u)",
			    spec->name, spec->ttl, SERVICE_TTL_MAX);
	if (r == 0)
		r = health_check_parse(spec->health_check, err);
	return r;
}

bool service_spec_same(const struct service_spec *a, const struct service_spec *b)
{
	return a->port == b->port && a->ttl == b->ttl && a->instances == b->instances &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0 &&
	       strcmp(a->endpoint, b->endpoint) == 0 &&
	       strcmp(a->health_check, b->health_check) == 0 &&
	       strcmp(a->metadata, b->metadata) == 0;
}

void service_key(char out[SERVICE_KEY_SIZE], const char *name,
		 const struct process_id *owner)
{
	(void) snprintf(out, SERVICE_KEY_SIZE,
			SERVICE_PREFIX "%.63s/%" PRId32 ".%" PRIu64, name, owner->pid,
			owner->start_time);
}

/* ---- stored form ---- */

struct cursor {
	uint8_t *at;         /* encode */
	const uint8_t *from; /* decode */
	size_t left;
	bool damaged;
};

static void put(struct cursor *c, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		*c->at++ = (uint8_t) (value >> (8 * i));
}

static void put_text(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	put(c, n, 2);
	memcpy(c->at, text, n);
	c->at += n;
}

static uint64_t get(struct cursor *c, size_t bytes)
{
	uint64_t value = 0;

	if (c->left < bytes) {
		c->damaged = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t) c->from[i] << (8 * i);
	c->from += bytes;
	c->left -= bytes;
	return value;
}

static void get_text(struct cursor *c, char *out, size_t size)
{
	size_t n = (size_t) get(c, 2);

	if (c->damaged || n >= size || n > c->left || memchr(c->from, 0, n)) {
		c->damaged = true;
		return;
	}
	memcpy(out, c->from, n);
	out[n] = 0;
	c->from += n;
	c->left -= n;
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0U;

	while (n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1)));
	}
	return ~crc;
}

#define MAGIC 0x43565343U /* "CSVC" */

_Static_assert(64 + 5 * 2 + SERVICE_NAME_SIZE + SERVICE_VERSION_SIZE +
			       SERVICE_ENDPOINT_SIZE + SERVICE_CHECK_SIZE +
			       SERVICE_METADATA_SIZE <=
		       SERVICE_RECORD_MAX,
	       "the largest record fits");

size_t service_record_encode(const struct service_record *record,
			     uint8_t out[SERVICE_RECORD_MAX])
{
	const struct service_spec *spec = &record->spec;
	struct cursor c = { .at = out };

	put(&c, MAGIC, 4);
	put(&c, LAYOUT, 2);
	put(&c, 0, 2);
	put(&c, (uint32_t) record->owner.pid, 4);
	put(&c, spec->port, 4);
	put(&c, spec->ttl, 4);
	put(&c, spec->instances, 4);
	put(&c, record->owner.start_time, 8);
	put(&c, record->owner.boot, 8);
	put(&c, record->session, 8);
	put(&c, record->registered_ns, 8);
	put_text(&c, spec->name);
	put_text(&c, spec->version);
	put_text(&c, spec->endpoint);
	put_text(&c, spec->health_check);
	put_text(&c, spec->metadata);
	put(&c, crc32(out, (size_t) (c.at - out)), 4);
	return (size_t) (c.at - out);
}

static void decode_fields(struct cursor *c, struct service_record *out)
{
	struct service_spec *spec = &out->spec;

	c->damaged |= get(c, 4) != MAGIC;
	c->damaged |= get(c, 2) != LAYOUT;
	c->damaged |= get(c, 2) != 0;
	out->owner.pid = (int32_t) (uint32_t) get(c, 4);
	spec->port = (uint32_t) get(c, 4);
	spec->ttl = (uint32_t) get(c, 4);
	spec->instances = (uint32_t) get(c, 4);
	out->owner.start_time = get(c, 8);
	out->owner.boot = get(c, 8);
	out->session = get(c, 8);
	out->registered_ns = get(c, 8);
	get_text(c, spec->name, sizeof(spec->name));
	get_text(c, spec->version, sizeof(spec->version));
	get_text(c, spec->endpoint, sizeof(spec->endpoint));
	get_text(c, spec->health_check, sizeof(spec->health_check));
	get_text(c, spec->metadata, sizeof(spec->metadata));
}

int service_record_decode(struct service_record *out, const char *key,
			  const void *value, size_t size, struct co_err *err)
{
	struct service_record record = { 0 };
	struct cursor c = { .from = value, .left = size };
	char expected[SERVICE_KEY_SIZE];
	int r;

	decode_fields(&c, &record);
	if (c.damaged || c.left != 4)
		return co_fail(err, CO_CORRUPT, "the stored service %s is damaged",
			       key);
	if (get(&c, 4) != crc32(value, size - 4))
		return co_fail(err, CO_CORRUPT,
			       "the stored service %s is damaged: wrong checksum", key);
	r = service_spec_check(&record.spec, err);
	if (r < 0) {
		(void) co_context(err, "the stored service %s is damaged", key);
		return CO_CORRUPT;
	}
	service_key(expected, record.spec.name, &record.owner);
	if (record.owner.pid < 0 || strcmp(expected, key) != 0)
		return co_fail(err, CO_CORRUPT,
			       "the stored service %s is damaged: it belongs under %s",
			       key, expected);
	*out = record;
	return 0;
}
