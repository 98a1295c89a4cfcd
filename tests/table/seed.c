/* SPDX-License-Identifier: MIT */
/* Reading a specification as a test does; see seed.h.  HOST, tests only. */
#include "seed.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *seed_load(const char *file)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	FILE *in;
	char *text;
	long size;

	(void) snprintf(path, sizeof(path), "%s/docs/spec/%s", srcdir ? srcdir : ".",
			file);
	in = fopen(path, "re");
	ck_assert_msg(in != NULL, "cannot open the specification %s", path);
	ck_assert_int_eq(fseek(in, 0, SEEK_END), 0);
	size = ftell(in);
	ck_assert_int_gt(size, 0);
	rewind(in);
	text = malloc((size_t) size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(fread(text, 1, (size_t) size, in), (size_t) size);
	text[size] = '\0';
	(void) fclose(in); /* only read */
	return text;
}

char *seed_between(const char *text, const char *start, const char *end)
{
	const char *from = strstr(text, start);
	const char *to;
	char *part;

	ck_assert_msg(from != NULL, "the specification has no '%s'", start);
	from += strlen(start);
	to = strstr(from, end);
	ck_assert_msg(to != NULL, "nothing ends '%s' in the specification", start);
	part = strndup(from, (size_t) (to - from));
	ck_assert_ptr_nonnull(part);
	return part;
}

bool seed_has_heading(const char *text, const char *heading)
{
	bool markdown = strstr(text, "\n## ") != NULL;
	size_t length = strlen(heading);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		const char *title;

		line += *line == '\n';
		title = line + strspn(line, "#");
		if (markdown && title == line)
			continue;
		title += strspn(title, " ");
		if (strncmp(title, heading, length) == 0 &&
		    (title[length] == '\n' || title[length] == '\0'))
			return true;
	}
	return false;
}

struct seed_search seed_search(const char *text, const char *expression)
{
	struct seed_search s = { .text = text, .at = text };

	ck_assert_int_eq(regcomp(&s.expression, expression, REG_EXTENDED | REG_NEWLINE),
			 0);
	return s;
}

bool seed_next(struct seed_search *s)
{
	regmatch_t match[SEED_GROUPS];

	/* Behind a match that did not end its line, ^ must wait for the next one. */
	int flags = s->at == s->text || s->at[-1] == '\n' ? 0 : REG_NOTBOL;

	if (regexec(&s->expression, s->at, SEED_GROUPS, match, flags) != 0) {
		regfree(&s->expression);
		return false;
	}
	for (size_t i = 0; i < SEED_GROUPS; i++) {
		size_t size = match[i].rm_so < 0
				      ? 0
				      : (size_t) (match[i].rm_eo - match[i].rm_so);

		ck_assert_uint_lt(size, sizeof(s->group[i]));
		memcpy(s->group[i], s->at + (size ? match[i].rm_so : 0), size);
		s->group[i][size] = '\0';
	}
	ck_assert_int_gt(match[0].rm_eo, 0);
	s->at += match[0].rm_eo;
	return true;
}
