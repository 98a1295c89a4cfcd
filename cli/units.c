/* SPDX-License-Identifier: MIT */
/* Sizes, times and shares as people write them.  HOST. */
#include "cli/units.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"

enum { MILLI = 1000, LONGEST = 15 };

/* Digits with up to three behind a point, in thousandths; what stands behind them. */
static const char *thousandths(const char *text, uint64_t *out)
{
	uint64_t value = 0, scale = MILLI;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && p - text < LONGEST; p++)
		value = value * 10 + (uint64_t) (*p - '0');
	if (p == text || (*p >= '0' && *p <= '9'))
		return NULL;
	value *= MILLI;
	if (*p != '.') {
		*out = value;
		return p;
	}
	for (p++; *p >= '0' && *p <= '9'; p++) {
		scale /= 10;
		value += (uint64_t) (*p - '0') * scale;
	}
	*out = value;
	return p;
}

bool units_mib(const char *text, uint64_t *out)
{
	static const struct {
		const char *word;
		uint64_t bytes;
	} units[] = {
		{ "", 1 },
		{ "b", 1 },
		{ "k", 1 << 10 },
		{ "kb", 1 << 10 },
		{ "kib", 1 << 10 },
		{ "m", 1 << 20 },
		{ "mb", 1 << 20 },
		{ "mib", 1 << 20 },
		{ "g", 1 << 30 },
		{ "gb", 1 << 30 },
		{ "gib", 1 << 30 },
		{ "t", 1ULL << 40 },
		{ "tb", 1ULL << 40 },
		{ "tib", 1ULL << 40 },
	};
	const uint64_t mib = 1 << 20;
	uint64_t value, bytes;
	const char *unit = thousandths(text, &value);

	for (size_t i = 0; unit && i < co_countof(units); i++) {
		if (strcasecmp(unit, units[i].word) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].bytes, &bytes))
			return false;
		bytes = bytes / MILLI + (bytes % MILLI != 0);
		*out = bytes / mib + (bytes % mib != 0);
		return true;
	}
	return false;
}

bool units_seconds(const char *text, uint64_t *out)
{
	static const struct {
		char word;
		uint64_t seconds;
	} units[] = { { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	uint64_t all = 0, value;
	size_t from = 0;

	if (!*text)
		return false;
	while (*text) {
		const char *unit = thousandths(text, &value);
		size_t i = from;

		if (!unit || value % MILLI)
			return false;
		if (!*unit && from == 0) { /* a number alone */
			*out = value / MILLI;
			return true;
		}
		while (i < co_countof(units) && units[i].word != *unit)
			i++;
		if (i == co_countof(units))
			return false;
		all += value / MILLI * units[i].seconds;
		from = i + 1;
		text = unit + 1;
	}
	*out = all;
	return true;
}

bool units_percent(const char *text, uint64_t *out)
{
	uint64_t value;
	const char *rest = thousandths(text, &value);

	if (!rest || *rest || value < 10)
		return false;
	*out = value / 10;
	return true;
}
