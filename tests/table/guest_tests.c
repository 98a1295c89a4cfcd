/* SPDX-License-Identifier: MIT */
/*
 * Every operation that is answered has a guest test: for a row that is not ABSENT and
 * not the kernel's there is tests/guest/PERSONALITY/NAME*.c, or one of the tests in
 * tests/PERSONALITY names it; for an endpoint a test of HTTP has its method and path.  HOST.
 */
#include <check.h>
#include <ctype.h>
#include <glob.h>
#include <personality/personality.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool exists(const char *pattern)
{
	glob_t found;
	bool any = glob(pattern, 0, NULL, &found) == 0;

	globfree(&found);
	return any;
}

/* Is that word in the file, with neither letters nor underscores beside it? */
static bool has_word(const char *path, const char *word)
{
	size_t length = strlen(word);
	char line[4096];
	FILE *in = fopen(path, "re");
	bool found = false;

	while (in && !found && fgets(line, sizeof(line), in))
		for (const char *at = strstr(line, word); at && !found;
		     at = strstr(at + 1, word))
			found = (at == line ||
				 (!isalnum((unsigned char) at[-1]) && at[-1] != '_')) &&
				!isalnum((unsigned char) at[length]) &&
				at[length] != '_';
	if (in)
		(void) fclose(in);
	return found;
}

static bool named_in(const char *pattern, const char *word)
{
	bool found = false;
	glob_t files;

	if (glob(pattern, 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc && !found; i++)
			found = has_word(files.gl_pathv[i], word);
	globfree(&files);
	return found;
}

/* As "GET /version", and what is written elsewhere as 'GET', '/version' does not count. */
static void demand_http_test(const char *personality, const struct co_op *op)
{
	static const char *const folders[] = { "blackroad", "http", "page",
					       "containers" };
	const char *srcdir = getenv("srcdir");
	char pattern[4096];
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders) && !found; i++) {
		(void) snprintf(pattern, sizeof(pattern), "%s/tests/%s/*.py",
				srcdir ? srcdir : ".", folders[i]);
		found = named_in(pattern, op->key);
	}
	ck_assert_msg(found, "%s: \"%s\" is %s and no test of HTTP has these words",
		      personality, op->key, co_support_name(op->support));
}

static void demand_test(const char *personality, const struct co_op *op)
{
	const char *srcdir = getenv("srcdir");
	char alone[4096], c[4096], python[4096];

	if (!srcdir)
		srcdir = ".";
	(void) snprintf(alone, sizeof(alone), "%s/tests/guest/%s/%s*.c", srcdir,
			personality, op->name);
	(void) snprintf(c, sizeof(c), "%s/tests/%s/*.c", srcdir, personality);
	(void) snprintf(python, sizeof(python), "%s/tests/%s/*.py", srcdir,
			personality);
	ck_assert_msg(exists(alone) || named_in(c, op->name) ||
			      named_in(python, op->name),
		      "%s is %s and there is neither %s nor its name in %s or %s",
		      op->name, co_support_name(op->support), alone, c, python);
}

START_TEST(every_answered_operation_has_a_guest_test)
{
	size_t n;
	const struct co_personality *p = &co_personalities(&n)[_i];

	for (size_t i = 0; i < p->nops; i++)
		if (p->ops[i].support != CO_SUPPORT_ABSENT &&
		    p->ops[i].plane != CO_PLANE_KERNEL)
			(p->ops[i].key_kind == CO_KEY_HTTP
				 ? demand_http_test
				 : demand_test)(p->name, &p->ops[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest tests");
	TCase *tests = tcase_create("operations");
	SRunner *runner = srunner_create(suite);
	size_t n;
	int failed;

	(void) co_personalities(&n); /* only how many */
	tcase_add_loop_test(tests, every_answered_operation_has_a_guest_test, 0,
			    (int) n);
	suite_add_tcase(suite, tests);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
