/* SPDX-License-Identifier: MIT */
/*
 * Reading a specification in docs/spec as a test does: as text in which things are
 * looked for.  HOST, tests only.  A specification that cannot be read fails the test.
 */
#ifndef TEST_SEED_H
#define TEST_SEED_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

/* docs/spec/NAME; the caller frees. */
char *seed_load(const char *file);

/* What is between the first `start` and the next `end` behind it; the caller frees. */
char *seed_between(const char *text, const char *start, const char *end);

/* Is that a Markdown heading or, for a specification in plain text, a line? */
bool seed_has_heading(const char *text, const char *heading);

/*
 * All matches of an extended regular expression, line by line (^ and $ are line ends):
 *
 *	struct seed_search s = seed_search(text, "^MSG_([A-Z]+)");
 *	while (seed_next(&s))
 *		use(s.group[1]);
 *
 * The last seed_next, the one that returns false, releases everything.
 */
#define SEED_GROUPS 4

struct seed_search {
	regex_t expression;
	const char *text;
	const char *at;
	char group[SEED_GROUPS][512]; /* [0] is the whole match; unused ones are "" */
};

struct seed_search seed_search(const char *text, const char *expression);
bool seed_next(struct seed_search *s);

#endif
