/* SPDX-License-Identifier: MIT */
/* Named places where a test can make a program fail or die.  HOST. */
#include "lib/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/escape.h"

#define ITEMS_MAX 16

static const char *const points[] = {
#define FAULT(name, what) name,
#include "lib/fault.def"
#undef FAULT
};

struct item {
	const char *name; /* one of points */
	uint64_t nth;
	bool onwards, kill;
	atomic_uint_fast64_t visits;
};

static struct {
	struct item items[ITEMS_MAX];
	size_t n;
} armed;

atomic_bool co_fault_armed;

bool co_fault_visit(const char *name)
{
	bool fails = false;

	for (size_t i = 0; i < armed.n; i++) {
		struct item *item = &armed.items[i];
		uint64_t visit;

		if (strcmp(item->name, name) != 0)
			continue;
		visit = atomic_fetch_add(&item->visits, 1) + 1;
		if (visit < item->nth || (visit > item->nth && !item->onwards))
			continue;
		if (item->kill)
			(void) kill(getpid(), SIGKILL); /* does not return */
		fails = true;
	}
	return fails;
}

static const char *find_point(const char *name, size_t length)
{
	for (size_t i = 0; i < co_countof(points); i++)
		if (strlen(points[i]) == length && memcmp(points[i], name, length) == 0)
			return points[i];
	return NULL;
}

/* Reads "n" or "n+", n from 1. */
static bool parse_count(struct item *out, const char *text, size_t length)
{
	uint64_t n = 0;

	if (length && text[length - 1] == '+') {
		out->onwards = true;
		length--;
	}
	if (length == 0 || length > 9)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t) (text[i] - '0');
	}
	out->nth = n;
	return n > 0;
}

static int parse_item(struct item *out, const char *text, size_t length,
		      struct co_err *err)
{
	const char *colon = memchr(text, ':', length);
	size_t name_length = colon ? (size_t) (colon - text) : length;
	const char *rest = text + name_length + (colon ? 1 : 0);
	size_t rest_length = (size_t) (text + length - rest);
	char quoted[96];

	(void) co_escape(quoted, sizeof(quoted), text, length);
	out->name = find_point(text, name_length);
	if (!out->name)
		return co_fail(
			err, CO_INVALID,
			"CO_FAULT: \"%s\" does not begin with a place of lib/fault.def",
			quoted);
	if (rest_length > 5 && memcmp(rest, "kill:", 5) == 0) {
		out->kill = true;
		rest += 5;
		rest_length -= 5;
	}
	if (!parse_count(out, rest, rest_length))
		return co_fail(
			err, CO_INVALID,
			"CO_FAULT: \"%s\" must be name:n, name:n+ or name:kill:n, n "
			"from 1",
			quoted);
	return 0;
}

int co_fault_arm(const char *spec, struct co_err *err)
{
	atomic_store(&co_fault_armed, false);
	memset(&armed, 0, sizeof(armed));
	for (const char *p = spec ? spec : ""; *p;) {
		size_t length = strcspn(p, ",");
		int rc;

		if (armed.n == ITEMS_MAX)
			return co_fail(err, CO_INVALID, "CO_FAULT: more than %d places",
				       ITEMS_MAX);
		rc = parse_item(&armed.items[armed.n], p, length, err);
		if (rc < 0)
			return rc;
		armed.n++;
		p += length;
		p += *p == ',';
	}
	atomic_store(&co_fault_armed, armed.n > 0);
	return 0;
}

int co_fault_arm_from_environment(struct co_err *err)
{
	const char *spec = getenv("CO_FAULT");

	if (spec && *spec && getauxval(AT_SECURE))
		return co_fail(
			err, CO_ACCESS,
			"CO_FAULT is refused in a set-uid or set-gid program; unset it");
	return co_fault_arm(spec, err);
}
