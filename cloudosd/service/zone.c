/* SPDX-License-Identifier: MIT */
/*
 * TZif files (RFC 8536) and the rule in their footer (POSIX TZ, with the hours from -167 to
 * 167 of version 3).  HOST.  Every number of a file is checked before it is used: a file
 * may be anything.
 */
#include "cloudosd/service/zone.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/time.h"

enum {
	HEADER = 44,
	TYPE_SIZE = 6,
	OFFSET_MAX = 26 * 3600 /* RFC 8536, 3.2 has 26 hours as the most */
};

/* One end of the summer of a footer. */
struct rule {
	enum { RULE_JULIAN, RULE_DAY, RULE_MONTH } kind;
	unsigned day;                  /* Jn: 1 to 365; n: 0 to 365 */
	unsigned month, week, weekday; /* Mm.w.d */
	int32_t time; /* seconds after midnight, of the clock until then */
};

struct zone {
	char name[ZONE_NAME_SIZE];
	size_t n;
	int64_t *at;     /* n transitions, ascending */
	int32_t *offset; /* n of them: what holds from there on */
	int32_t first;   /* before the first transition */
	bool has_footer; /* otherwise the last offset holds for ever */
	bool has_summer;
	int32_t standard, summer;
	struct rule start, end;
};

bool zone_name_is_valid(const char *name, size_t size)
{
	bool begins = true; /* a part of the path */

	if (!size || size >= ZONE_NAME_SIZE)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool other = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';

		if (begins ? !letter : !letter && !other && c != '/')
			return false;
		begins = c == '/';
	}
	return !begins;
}

/* ---- the footer ---- */

struct text {
	const char *at, *end;
	bool failed;
};

static char peek(const struct text *t)
{
	return t->at < t->end ? *t->at : '\0';
}

static bool accept(struct text *t, char c)
{
	if (peek(t) != c)
		return false;
	t->at++;
	return true;
}

static unsigned read_number(struct text *t, unsigned max)
{
	unsigned value = 0;
	const char *begin = t->at;

	for (; peek(t) >= '0' && peek(t) <= '9' && t->at - begin < 4; t->at++)
		value = value * 10 + (unsigned) (*t->at - '0');
	if (t->at == begin || value > max)
		t->failed = true;
	return value;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "CET" or "<+03>"; what it says does not matter here. */
static void skip_abbreviation(struct text *t)
{
	const char *begin = t->at;

	if (accept(t, '<')) {
		while (peek(t) && peek(t) != '>')
			t->at++;
		t->failed |= !accept(t, '>');
		return;
	}
	while (is_letter(peek(t)))
		t->at++;
	t->failed |= t->at - begin < 3;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t read_time(struct text *t, unsigned hours_max)
{
	bool negative = accept(t, '-');
	int32_t seconds;

	if (!negative)
		(void) accept(t, '+'); /* it may be there */
	seconds = (int32_t) read_number(t, hours_max) * 3600;
	if (accept(t, ':')) {
		seconds += (int32_t) read_number(t, 59) * 60;
		if (accept(t, ':'))
			seconds += (int32_t) read_number(t, 59);
	}
	return negative ? -seconds : seconds;
}

static struct rule read_rule(struct text *t)
{
	struct rule rule = { .time = 7200 };

	t->failed |= !accept(t, ',');
	if (accept(t, 'M')) {
		rule.kind = RULE_MONTH;
		rule.month = read_number(t, 12);
		t->failed |= !accept(t, '.');
		rule.week = read_number(t, 5);
		t->failed |= !accept(t, '.');
		rule.weekday = read_number(t, 6);
		t->failed |= !rule.month || !rule.week;
	} else if (accept(t, 'J')) {
		rule.kind = RULE_JULIAN;
		rule.day = read_number(t, 365);
		t->failed |= !rule.day;
	} else {
		rule.kind = RULE_DAY;
		rule.day = read_number(t, 365);
	}
	if (accept(t, '/'))
		rule.time = read_time(t, 167);
	return rule;
}

static int read_footer(struct zone *zone, const char *at, const char *end,
		       struct co_err *err)
{
	struct text t = { .at = at, .end = end };

	if (at == end)
		return 0;
	zone->has_footer = true;
	skip_abbreviation(&t);
	zone->standard = -read_time(&t, 24); /* POSIX counts to the west */
	if (t.at < t.end) {
		zone->has_summer = true;
		skip_abbreviation(&t);
		zone->summer = zone->standard + 3600;
		if (peek(&t) != ',')
			zone->summer = -read_time(&t, 24);
		zone->start = read_rule(&t);
		zone->end = read_rule(&t);
	}
	if (t.failed || t.at < t.end)
		return co_fail(err, CO_CORRUPT,
			       "the time zone file of %s has a rule at its end that "
			       "cannot be read: \"%.*s\"",
			       zone->name, (int) (end - at < 64 ? end - at : 64), at);
	return 0;
}

/* Seconds since the epoch at which the clocks, `offset` until then, are changed. */
static int64_t rule_at(const struct rule *rule, int64_t year, int32_t offset)
{
	int64_t days = co_days_of_date((struct co_date){ year, 1, 1 });

	if (rule->kind == RULE_DAY) {
		days += rule->day;
	} else if (rule->kind == RULE_JULIAN) { /* never counts a 29 February */
		days += rule->day - 1 + (co_is_leap_year(year) && rule->day > 59);
	} else {
		int64_t first =
			co_days_of_date((struct co_date){ year, rule->month, 1 });
		unsigned ahead = (rule->weekday + 7 - co_weekday_of_days(first)) % 7;
		unsigned day = ahead + (rule->week - 1) * 7;

		while (day >= co_month_days(year, rule->month))
			day -= 7;
		days = first + day;
	}
	return days * 86400 + rule->time - offset;
}

/* ---- the file ---- */

struct header {
	uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 |
	       p[3];
}

static int64_t read64(const uint8_t *p)
{
	return (int64_t) ((uint64_t) read32(p) << 32 | read32(p + 4));
}

static int damaged(const struct zone *zone, const char *what, struct co_err *err)
{
	return co_fail(err, CO_CORRUPT, "the time zone file of %s is damaged: %s",
		       zone->name, what);
}

static int read_header(const struct zone *zone, const uint8_t *p, size_t size,
		       struct header *out, struct co_err *err)
{
	if (size < HEADER || memcmp(p, "TZif", 4) != 0)
		return damaged(zone, "it does not begin as such files do", err);
	if (p[4] < '2')
		return damaged(zone, "it is of version 1, from before 2005", err);
	*out = (struct header){ read32(p + 20), read32(p + 24), read32(p + 28),
				read32(p + 32), read32(p + 36), read32(p + 40) };
	if (out->timecnt > CO_LIMIT_ZONE_BYTES || out->typecnt > 256 ||
	    out->charcnt > CO_LIMIT_ZONE_BYTES || out->leapcnt > CO_LIMIT_ZONE_BYTES ||
	    out->isstdcnt > 256 || out->isutcnt > 256)
		return damaged(zone, "it counts more than it can hold", err);
	return 0;
}

/* Bytes behind the header when times have that many. */
static size_t block_size(const struct header *h, size_t time)
{
	return h->timecnt * (time + 1) + h->typecnt * (size_t) TYPE_SIZE + h->charcnt +
	       h->leapcnt * (time + 4) + h->isstdcnt + h->isutcnt;
}

static int read_types(const struct zone *zone, const uint8_t *p, uint32_t n,
		      int32_t *out, struct co_err *err)
{
	for (uint32_t i = 0; i < n; i++) {
		out[i] = (int32_t) read32(p + (size_t) i * TYPE_SIZE);
		if (out[i] < -OFFSET_MAX || out[i] > OFFSET_MAX)
			return damaged(zone, "a clock is more than a day off", err);
	}
	return 0;
}

static int read_transitions(struct zone *zone, const uint8_t *p, const struct header *h,
			    const int32_t *types, struct co_err *err)
{
	const uint8_t *index = p + (size_t) h->timecnt * 8;

	zone->at = calloc(h->timecnt + 1, sizeof(*zone->at));
	zone->offset = calloc(h->timecnt + 1, sizeof(*zone->offset));
	if (!zone->at || !zone->offset)
		return co_fail(err, CO_NO_MEMORY, "no memory for the time zone %s",
			       zone->name);
	zone->n = h->timecnt;
	for (size_t i = 0; i < zone->n; i++) {
		zone->at[i] = read64(p + i * 8);
		if (i && zone->at[i] <= zone->at[i - 1])
			return damaged(zone, "its times are not in order", err);
		if (index[i] >= h->typecnt)
			return damaged(zone, "it names a clock it does not have", err);
		zone->offset[i] = types[index[i]];
	}
	return 0;
}

/* The second block, with times of 64 bits; p is behind its header. */
static int read_block(struct zone *zone, const uint8_t *p, size_t size,
		      const struct header *h, struct co_err *err)
{
	size_t block = block_size(h, 8);
	const char *footer, *end;
	int32_t types[256];
	int r;

	if (h->leapcnt)
		return co_fail(err, CO_CORRUPT,
			       "the time zone file of %s counts leap seconds, which no "
			       "clock here does",
			       zone->name);
	if (!h->typecnt || size < block + 2 || p[block] != '\n')
		return damaged(zone, "it is cut off", err);
	r = read_types(zone, p + (size_t) h->timecnt * 9, h->typecnt, types, err);
	if (!r)
		r = read_transitions(zone, p, h, types, err);
	if (r)
		return r;
	zone->first = types[0];
	footer = (const char *) p + block + 1;
	end = memchr(footer, '\n', size - block - 1);
	if (!end)
		return damaged(zone, "its last line is cut off", err);
	return read_footer(zone, footer, end, err);
}

static struct zone *zone_new(const char *name, struct co_err *err)
{
	struct zone *zone = calloc(1, sizeof(*zone));

	if (zone)
		(void) snprintf(zone->name, sizeof(zone->name), "%s", name);
	else
		(void) co_fail(err, CO_NO_MEMORY, "no memory for the time zone %s",
			       name);
	return zone;
}

int zone_parse(struct zone **out, const char *name, const void *data, size_t size,
	       struct co_err *err)
{
	struct zone *zone = zone_new(name, err);
	const uint8_t *p = data;
	struct header h = { 0 };
	size_t first;
	int r;

	if (!zone)
		return CO_NO_MEMORY;
	r = read_header(zone, p, size, &h, err);
	if (!r) {
		first = HEADER + block_size(&h, 4);
		if (first > size)
			r = damaged(zone, "it is cut off", err);
		else
			r = read_header(zone, p + first, size - first, &h, err);
		if (!r)
			r = read_block(zone, p + first + HEADER, size - first - HEADER,
				       &h, err);
	}
	if (r) {
		(void) zone_free(zone); /* is NULL */
		return r;
	}
	*out = zone;
	return 0;
}

struct zone *zone_free(struct zone *zone)
{
	if (!zone)
		return NULL;
	free(zone->at);
	free(zone->offset);
	free(zone);
	return NULL;
}

const char *zone_name(const struct zone *zone)
{
	return zone->name;
}

static const char *folder(void)
{
	const char *tzdir = getenv("TZDIR");

	return tzdir && *tzdir ? tzdir : "/usr/share/zoneinfo";
}

static int open_zone(const char *name, struct co_err *err)
{
	char path[4096];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", folder(), name);
	int fd = n < (int) sizeof(path)
			 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
			 : -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0)
		(void) close(fd); /* a folder such as Europe */
	else if (errno != ENOENT && errno != ENOTDIR)
		return co_fail_errno(err, errno, "cannot read the time zone %s", path);
	if (stat(folder(), &st) < 0)
		return co_fail(err, CO_NOT_FOUND,
			       "no time zones are installed here (there is no %s), so "
			       "that UTC is the only one: install the package tzdata, "
			       "or say UTC instead of %s",
			       folder(), name);
	return co_fail(err, CO_INVALID,
		       "there is no time zone \"%s\" in %s; names are like "
		       "Europe/Berlin",
		       name, folder());
}

int zone_read(struct zone **out, const char *name, struct co_err *err)
{
	autofree char *data = NULL;
	autoclose int fd = -1;
	size_t size = 0;
	ssize_t n;

	if (!zone_name_is_valid(name, strlen(name)))
		return co_fail(
			err, CO_INVALID,
			"\"%.64s\" is not the name of a time zone; names are like "
			"Europe/Berlin",
			name);
	if (strcmp(name, "UTC") == 0) {
		*out = zone_new(name, err);
		return *out ? 0 : CO_NO_MEMORY;
	}
	fd = open_zone(name, err);
	if (fd < 0)
		return fd;
	data = malloc(CO_LIMIT_ZONE_BYTES + 1);
	if (!data)
		return co_fail(err, CO_NO_MEMORY, "no memory for the time zone %s",
			       name);
	while ((n = read(fd, data + size, CO_LIMIT_ZONE_BYTES + 1 - size)) > 0)
		size += (size_t) n;
	if (n < 0)
		return co_fail_errno(err, errno, "cannot read the time zone %s", name);
	if (size > CO_LIMIT_ZONE_BYTES)
		return co_fail(err, CO_CORRUPT,
			       "the time zone file of %s is larger than %d bytes", name,
			       CO_LIMIT_ZONE_BYTES);
	return zone_parse(out, name, data, size, err);
}

/* ---- asking ---- */

struct change {
	int64_t at;
	int32_t offset;
};

/* The period by the footer, as if the rule had always been in force. */
static struct zone_period footer_period(const struct zone *zone, int64_t utc)
{
	struct zone_period period = { INT64_MIN, INT64_MAX, zone->standard };
	struct change changes[10];
	int64_t year;
	size_t n = 0;

	/* so far off no calendar holds, and no year could be counted on from there */
	if (!zone->has_summer || utc < -(1LL << 40) || utc > 1LL << 40)
		return period;
	year = co_date_of_days(utc / 86400).year;
	for (int64_t y = year - 2; y <= year + 2; y++) {
		struct change next[] = {
			{ rule_at(&zone->start, y, zone->standard), zone->summer },
			{ rule_at(&zone->end, y, zone->summer), zone->standard },
		};

		for (size_t i = 0; i < co_countof(next); i++) {
			size_t k = n++;

			/* of two at one moment the later one counts: summer all year
			 * is an end that coincides with the next start */
			for (; k && changes[k - 1].at > next[i].at; k--)
				changes[k] = changes[k - 1];
			changes[k] = next[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (changes[i].at > utc) {
			period.until = changes[i].at;
			break;
		}
		period.from = changes[i].at;
		period.offset = changes[i].offset;
	}
	return period;
}

struct zone_period zone_period(const struct zone *zone, int64_t utc)
{
	struct zone_period period = { INT64_MIN, INT64_MAX, zone->first };
	size_t low = 0, high = zone->n; /* the first transition after utc */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zone->at[middle] <= utc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->n && zone->has_footer) {
		period = footer_period(zone, utc);
		if (low && period.from < zone->at[low - 1])
			period.from = zone->at[low - 1];
		return period;
	}
	if (low < zone->n)
		period.until = zone->at[low];
	if (low) {
		period.from = zone->at[low - 1];
		period.offset = zone->offset[low - 1];
	}
	return period;
}
