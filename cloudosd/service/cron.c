/* SPDX-License-Identifier: MIT */
/*
 * Schedules.  HOST.  Local time is seconds since the epoch as the clock on the wall would
 * have them; a schedule is searched in local time, a zone leads to UTC.
 */
#include "cloudosd/service/cron.h"

#include <co/limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/time.h"

enum { DAY = 86400, FIELDS = 6, SEARCH_DAYS = 9 * 366, NAME_SIZE = 10 };

#define LOCAL_MAX 253402300799 /* the end of the year 9999 */

struct field {
	const char *what;
	unsigned min, max;
	const char *names; /* three letters each, of min, min + 1 and so on */
};

static const struct field fields[FIELDS] = {
	{ "second", 0, 59, "" },
	{ "minute", 0, 59, "" },
	{ "hour", 0, 23, "" },
	{ "day of the month", 1, 31, "" },
	{ "month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC" },
	{ "weekday", 0, 7, "SUNMONTUEWEDTHUFRISAT" },
};

static const struct {
	char name[NAME_SIZE];
	const char *text;
} nicknames[] = {
	{ "@hourly", "0 * * * *" },   { "@daily", "0 0 * * *" },
	{ "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
	{ "@monthly", "0 0 1 * *" },  { "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

/* ---- reading ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct co_span trim(struct co_span text)
{
	while (text.size && is_blank(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* The part in front of `separator`, which is taken off `rest`; false: none is left. */
static bool next_part(struct co_span *rest, char separator, struct co_span *out)
{
	const char *end;

	if (!rest->data)
		return false;
	end = memchr(rest->data, separator, rest->size);
	*out = *rest;
	if (!end) {
		*rest = (struct co_span){ NULL, 0 };
		return true;
	}
	out->size = (size_t) (end - rest->data);
	rest->data = end + 1;
	rest->size -= out->size + 1;
	return true;
}

static int wrong(struct co_err *err, const struct field *field, struct co_span part,
		 const char *why)
{
	return co_fail(err, CO_INVALID, "\"%.*s\" is no %s of a schedule: %s",
		       (int) part.size, part.data, field->what, why);
}

static int read_number(const struct field *field, struct co_span part,
		       struct co_span digits, unsigned *out, struct co_err *err)
{
	unsigned value = 0;
	char range[64];

	for (size_t i = 0; i < digits.size; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9' || value > 999)
			return wrong(err, field, part,
				     "it takes *, numbers, ranges and steps as in "
				     "1,5-20/3");
		value = value * 10 + (unsigned) (digits.data[i] - '0');
	}
	if (!digits.size)
		return wrong(err, field, part, "a number is missing");
	if (value < field->min || value > field->max) {
		(void) snprintf(range, sizeof(range), "it goes from %u to %u",
				field->min, field->max);
		return wrong(err, field, part, range);
	}
	*out = value;
	return 0;
}

/* A number or a name. */
static int read_value(const struct field *field, struct co_span part,
		      struct co_span text, unsigned *out, struct co_err *err)
{
	for (unsigned i = 0; text.size == 3 && field->names[i * 3]; i++)
		if (strncasecmp(field->names + (size_t) i * 3, text.data, 3) == 0) {
			*out = field->min + i;
			return 0;
		}
	return read_number(field, part, text, out, err);
}

static int read_range(const struct field *field, struct co_span part,
		      struct co_span range, unsigned *out_from, unsigned *out_to,
		      struct co_err *err)
{
	struct co_span from;
	bool weekday = field->max == 7;
	int r;

	if (co_span_is(range, "*") || co_span_is(range, "?")) {
		*out_from = field->min;
		*out_to = weekday ? 6 : field->max;
		return 0;
	}
	(void) next_part(&range, '-', &from); /* there is always a first one */
	r = read_value(field, part, from, out_from, err);
	*out_to = *out_from;
	if (!r && range.data)
		r = read_value(field, part, range, out_to, err);
	if (r)
		return r;
	if (weekday && *out_to == 0 && *out_from > 0)
		*out_to = 7; /* FRI-SUN */
	if (*out_to < *out_from)
		return wrong(err, field, part, "a range goes from the smaller one up");
	return 0;
}

/* "*", "5", "1-5", "1-5/2" */
static int read_part(const struct field *field, struct co_span part, uint64_t *bits,
		     struct co_err *err)
{
	struct field steps = { field->what, 1, field->max - field->min + 1, "" };
	struct co_span rest = part, range;
	unsigned from, to, step = 1;
	int r;

	(void) next_part(&rest, '/', &range); /* there is always a first one */
	r = read_range(field, part, range, &from, &to, err);
	if (!r && rest.data) {
		if (from == to && range.data[0] != '*' && range.data[0] != '?')
			return wrong(err, field, part,
				     "a step needs a range, as in */5 or 10-40/5");
		r = read_number(&steps, part, rest, &step, err);
	}
	for (unsigned i = from; !r && i <= to; i += step)
		*bits |= 1ULL << i;
	return r;
}

static int read_field(const struct field *field, struct co_span text, uint64_t *bits,
		      struct co_err *err)
{
	struct co_span part;
	int r = 0;

	*bits = 0;
	while (!r && next_part(&text, ',', &part))
		r = read_part(field, part, bits, err);
	return r;
}

/* CRON_TZ=Zone in front; `text` is what is behind it. */
static int read_zone(struct cron *out, struct co_span *text, struct co_err *err)
{
	static const char *const prefixes[] = { "CRON_TZ=", "TZ=" };

	for (size_t i = 0; i < co_countof(prefixes); i++) {
		size_t n = strlen(prefixes[i]), end = n;

		if (text->size < n || memcmp(text->data, prefixes[i], n) != 0)
			continue;
		while (end < text->size && !is_blank(text->data[end]))
			end++;
		if (!zone_name_is_valid(text->data + n, end - n))
			return co_fail(err, CO_INVALID,
				       "\"%.*s\" is not the name of a time zone; names "
				       "are like Europe/Berlin",
				       (int) (end - n), text->data + n);
		memcpy(out->zone, text->data + n, end - n);
		text->data += end;
		text->size -= end;
		*text = trim(*text);
		break;
	}
	return 0;
}

static int read_nickname(struct co_span *text, struct co_err *err)
{
	if (!text->size || text->data[0] != '@')
		return 0;
	for (size_t i = 0; i < co_countof(nicknames); i++)
		if (text->size == strlen(nicknames[i].name) &&
		    strncasecmp(text->data, nicknames[i].name, text->size) == 0) {
			*text = co_span(nicknames[i].text);
			return 0;
		}
	return co_fail(err, CO_INVALID,
		       "there is no schedule \"%.*s\"; there are @hourly, @daily, "
		       "@weekly, @monthly and @yearly",
		       (int) text->size, text->data);
}

/* Words of the text; more than `max` are counted as max + 1. */
static size_t split(struct co_span text, struct co_span *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < text.size && n <= max;) {
		size_t begin;

		while (i < text.size && is_blank(text.data[i]))
			i++;
		begin = i;
		while (i < text.size && !is_blank(text.data[i]))
			i++;
		if (i > begin) {
			if (n < max)
				out[n] = (struct co_span){ text.data + begin,
							   i - begin };
			n++;
		}
	}
	return n;
}

static bool is_any(struct co_span field)
{
	return co_span_is(field, "*") || co_span_is(field, "?");
}

static bool names_values(struct co_span field)
{
	return !memchr(field.data, '*', field.size) &&
	       !memchr(field.data, '?', field.size) &&
	       !memchr(field.data, '/', field.size);
}

/* Is there such a day in any year? */
static bool is_ever_due(const struct cron *cron)
{
	if (!cron->any_weekday || cron->any_day)
		return true;
	for (unsigned month = 1; month <= 12; month++)
		if (cron->months & 1U << month)
			for (unsigned day = 1; day <= co_month_days(2000, month); day++)
				if (cron->days & 1U << day)
					return true;
	return false;
}

static int read_fields(struct cron *cron, const struct co_span *words,
		       struct co_err *err)
{
	uint64_t bits[FIELDS];
	int r = 0;

	for (size_t i = 0; !r && i < FIELDS; i++)
		r = read_field(&fields[i], words[i], &bits[i], err);
	if (r)
		return r;
	cron->seconds = bits[0];
	cron->minutes = bits[1];
	cron->hours = (uint32_t) bits[2];
	cron->days = (uint32_t) bits[3];
	cron->months = (uint16_t) bits[4];
	cron->weekdays = (uint8_t) ((bits[5] | bits[5] >> 7) & 0x7f);
	cron->any_day = is_any(words[3]);
	cron->any_weekday = is_any(words[5]);
	cron->names_times = names_values(words[0]) && names_values(words[1]) &&
			    names_values(words[2]);
	return 0;
}

int cron_parse(struct cron *out, struct co_span text, struct co_err *err)
{
	struct co_span words[FIELDS];
	struct cron cron = { 0 };
	size_t n;
	int r;

	if (text.size > CO_LIMIT_CRON_BYTES)
		return co_fail(err, CO_INVALID,
			       "the schedule has %zu bytes; %d are the limit",
			       text.size, CO_LIMIT_CRON_BYTES);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] != '\t' && (text.data[i] < ' ' || text.data[i] > '~'))
			return co_fail(err, CO_INVALID,
				       "the schedule has a character that is not plain "
				       "ASCII, at byte %zu",
				       i + 1);
	text = trim(text);
	r = read_zone(&cron, &text, err);
	if (!r)
		r = read_nickname(&text, err);
	if (r)
		return r;
	n = split(text, words, FIELDS);
	if (n == FIELDS - 1) {
		words[0] = co_span("0");
		n = 1 + split(text, words + 1, FIELDS - 1);
	}
	if (n != FIELDS)
		return co_fail(
			err, CO_INVALID,
			"the schedule \"%.*s\" has not five fields (minute, hour, "
			"day, month, weekday), nor six with seconds in front",
			(int) text.size, text.data);
	r = read_fields(&cron, words, err);
	if (r)
		return r;
	if (!is_ever_due(&cron))
		return co_fail(err, CO_INVALID,
			       "the schedule \"%.*s\" is never due: none of its months "
			       "has such a day",
			       (int) text.size, text.data);
	*out = cron;
	return 0;
}

/* ---- searching in local time ---- */

static bool day_matches(const struct cron *cron, int64_t days, unsigned day)
{
	bool by_day = cron->days >> day & 1;
	bool by_weekday = cron->weekdays >> co_weekday_of_days(days) & 1;

	if (cron->any_day || cron->any_weekday)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/* The lowest bit from `from` on; 64: none. */
static unsigned next_bit(uint64_t bits, unsigned from)
{
	bits = from < 64 ? bits >> from << from : 0;
	return bits ? (unsigned) __builtin_ctzll(bits) : 64;
}

/* The first time of a day that matches, from second `from` of it on; DAY: none. */
static int64_t next_in_day(const struct cron *cron, int64_t from)
{
	unsigned hour = (unsigned) (from / 3600), minute = (unsigned) (from / 60 % 60);
	unsigned second = (unsigned) (from % 60);
	unsigned h, m, s;

	for (h = next_bit(cron->hours, hour); h < 64;
	     h = next_bit(cron->hours, h + 1)) {
		m = next_bit(cron->minutes, h == hour ? minute : 0);
		for (; m < 64; m = next_bit(cron->minutes, m + 1)) {
			s = next_bit(cron->seconds,
				     h == hour && m == minute ? second : 0);
			if (s < 64)
				return (h * 60LL + m) * 60 + s;
		}
	}
	return DAY;
}

static int64_t floor_days(int64_t seconds)
{
	return seconds / DAY - (seconds % DAY < 0);
}

/* The first local time >= from that matches; CRON_NEVER beyond the calendar. */
static int64_t next_local(const struct cron *cron, int64_t from)
{
	int64_t days = floor_days(from), end = days + SEARCH_DAYS;
	int64_t time = from - days * DAY;

	while (days < end && days * DAY < LOCAL_MAX) {
		struct co_date date = co_date_of_days(days);
		int64_t found;

		if (!(cron->months >> date.month & 1)) {
			days += co_month_days(date.year, date.month) - date.day + 1;
			time = 0;
			continue;
		}
		found = day_matches(cron, days, date.day) ? next_in_day(cron, time)
							  : DAY;
		if (found < DAY)
			return days * DAY + found;
		days++;
		time = 0;
	}
	return CRON_NEVER;
}

/* ---- and in UTC ---- */

/* When the clock first shows that local time or, if it never does, jumps over it. */
static int64_t first_moment(const struct zone *zone, int64_t local)
{
	struct zone_period p = zone_period(zone, local - 26 * 3600);

	while (local - p.offset >= p.until)
		p = zone_period(zone, p.until);
	return local - p.offset < p.from ? p.from : local - p.offset;
}

static int64_t next_named(const struct cron *cron, const struct zone *zone,
			  int64_t after)
{
	int64_t local = after + zone_period(zone, after).offset;
	int64_t moment;

	do { /* again only in the second of two like hours */
		local = next_local(cron, local + 1);
		if (local == CRON_NEVER)
			return CRON_NEVER;
		moment = first_moment(zone, local);
	} while (moment <= after);
	return moment;
}

static int64_t next_shown(const struct cron *cron, const struct zone *zone,
			  int64_t after)
{
	struct zone_period p = zone_period(zone, after + 1);
	int64_t from = after + 1 + p.offset;
	int64_t local = next_local(cron, from), begin;

	while (local != CRON_NEVER && local - p.offset >= p.until) {
		p = zone_period(zone, p.until);
		begin = p.from + p.offset;
		if (begin < from || begin > local) /* otherwise it is still the first */
			local = next_local(cron, begin);
		from = begin;
	}
	return local == CRON_NEVER ? CRON_NEVER : local - p.offset;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after)
{
	if (after > LOCAL_MAX || after < -LOCAL_MAX)
		return CRON_NEVER;
	return cron->names_times ? next_named(cron, zone, after)
				 : next_shown(cron, zone, after);
}

int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t after,
		  int64_t until)
{
	int64_t low = after,
		high = until; /* something is due after low, not after high */

	if (after >= until || cron_next(cron, zone, after) > until)
		return CRON_NEVER;
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		if (cron_next(cron, zone, middle) <= until)
			low = middle;
		else
			high = middle;
	}
	return cron_next(cron, zone, low);
}
