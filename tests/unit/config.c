/* SPDX-License-Identifier: MIT */
/* HOST test of cloudosd/config.h. */
#include "cloudosd/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/run.h"

static struct config config;
static struct co_err err;

static int parse(const char *text)
{
	err = (struct co_err){ 0 };
	return config_parse(&config, "test.yaml", text, strlen(text), &err);
}

static void accept(const char *text)
{
	ck_assert_msg(parse(text) == 0, "%s", err.message);
}

START_TEST(nothing_gives_the_defaults)
{
	/* clang-format off */
	static const char *const nothing[] = {
		"", "\n", "# a comment\n", "---\n", "--- ~\n...\n", "null", "{}", "health:\n",
		"health: ~\n", "health: {}\n", "notify:\n  # threads_min: 7\nstore:\n",
		"\xef\xbb\xbf# with a byte order mark\n",
	};
	/* clang-format on */
	struct config defaults;

	config_default(&defaults);
	ck_assert_str_eq(defaults.log, "info");
	ck_assert_uint_eq(defaults.idle_timeout, 300);
	ck_assert_int_eq(defaults.guest_memory, CONFIG_guest_memory_auto);
	ck_assert_uint_eq(defaults.notify_threads_min, 2);
	ck_assert_uint_eq(defaults.health_interval, 10);
	ck_assert_uint_eq(defaults.health_timeout, 2);
	ck_assert_uint_eq(defaults.health_jitter, 20);
	ck_assert_uint_eq(defaults.health_rise, 2);
	ck_assert_uint_eq(defaults.health_fall, 3);
	ck_assert_uint_eq(defaults.store_history, CO_LIMIT_STORE_HISTORY);
	for (size_t i = 0; i < co_countof(nothing); i++) {
		memset(&config, 0xff, sizeof(config));
		accept(nothing[i]);
		ck_assert_mem_eq(&config, &defaults, sizeof(config));
	}
}
END_TEST

START_TEST(every_key_is_read)
{
	accept("log: warn,notify=debug\n"
	       "idle_timeout: 0\n"
	       "guest_memory: launcher\n"
	       "notify: {threads_min: 64}\n"
	       "health:\n"
	       "  interval: 3600\n"
	       "  timeout: 60\n"
	       "  jitter: 0\n"
	       "  rise: 1\n"
	       "  fall: 100\n"
	       "store:\n"
	       "  history: 100\n");
	ck_assert_str_eq(config.log, "warn,notify=debug");
	ck_assert_uint_eq(config.idle_timeout, 0);
	ck_assert_int_eq(config.guest_memory, CONFIG_guest_memory_launcher);
	ck_assert_uint_eq(config.notify_threads_min, 64);
	ck_assert_uint_eq(config.health_interval, 3600);
	ck_assert_uint_eq(config.health_timeout, 60);
	ck_assert_uint_eq(config.health_jitter, 0);
	ck_assert_uint_eq(config.health_rise, 1);
	ck_assert_uint_eq(config.health_fall, 100);
	ck_assert_uint_eq(config.store_history, 100);
}
END_TEST

/* clang-format off */
#define MANY(x) x x x x x x x x x x x x x x x x
static const struct { const char *text, *message; } wrong[] = {
	/* keys */
	{ "idle_timout: 5\n", "test.yaml:1: there is no key \"idle_timout\"; did you mean \"idle_timeout\"?" },
	{ "log: info\n\nhelth:\n  interval: 1\n", "test.yaml:3: there is no key \"helth\"; did you mean \"health\"?" },
	{ "health:\n  rise: 1\n  intervall: 1\n", "test.yaml:3: there is no key \"intervall\" in health; did you mean \"interval\"?" },
	{ "health:\n  history: 1\n", "test.yaml:2: there is no key \"history\" in health" },
	{ "colour: blue\n", "test.yaml:1: there is no key \"colour\"" },
	{ "interval: 1\n", "test.yaml:1: there is no key \"interval\"" },
	{ "health.interval: 1\n", "test.yaml:1: there is no key \"health.interval\"" },
	{ "\"a\\n\\0b\": 1\n", "test.yaml:1: a NUL is not allowed in a text" },
	{ "\"a\\nb\": 1\n", "test.yaml:1: there is no key \"a\\nb\"" },
	{ "\"log\\0\": info\n", "test.yaml:1: a NUL is not allowed in a text" },
	{ "\"\": 1\n", "test.yaml:1: there is no key \"\"" },
	{ "log: info\nidle_timeout: 1\nlog: warn\n", "test.yaml:3: log is there twice" },
	{ "health: {rise: 1, rise: 1}\n", "test.yaml:1: health.rise is there twice" },
	{ "health:\n  rise: 1\nhealth:\n  fall: 1\n", "test.yaml:3: health is there twice" },
	{ "health:\nhealth:\n", "test.yaml:2: health is there twice" },
	{ "? [a]\n: 1\n", "test.yaml:1: a key must be a word" },
	/* numbers */
	{ "idle_timeout: soon\n", "test.yaml:1: idle_timeout is \"soon\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout:\n", "test.yaml:1: idle_timeout is \"\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: 604801\n", "test.yaml:1: idle_timeout is \"604801\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: 4294967296\n", "test.yaml:1: idle_timeout is \"4294967296\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: -1\n", "test.yaml:1: idle_timeout is \"-1\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: 1.5\n", "test.yaml:1: idle_timeout is \"1.5\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: \"300\"\n", "test.yaml:1: idle_timeout is \"300\"; it must be a whole number of seconds from 0 to 604800" },
	{ "idle_timeout: 0x10\n", "test.yaml:1: idle_timeout is \"0x10\"; it must be a whole number of seconds from 0 to 604800" },
	{ "health:\n  interval: 0\n", "test.yaml:2: health.interval is \"0\"; it must be a whole number of seconds from 1 to 3600" },
	{ "idle_timeout: [1]\n", "test.yaml:1: idle_timeout must be a single value, not a list or a group" },
	{ "idle_timeout: {a: 1}\n", "test.yaml:1: idle_timeout must be a single value, not a list or a group" },
	/* words and levels */
	{ "guest_memory: Auto\n", "test.yaml:1: guest_memory is \"Auto\"; it must be one of auto, direct, launcher" },
	{ "guest_memory:\n", "test.yaml:1: guest_memory is \"\"; it must be one of auto, direct, launcher" },
	{ "log: info,notfy=debug\n", "test.yaml:1: log: \"notfy\" is not a subsystem of the log; there are daemon, keeper, control, "
	  "notify, session, store, ipc, site, http, service, health, config, personality (as in \"info,notify=debug\")" },
	{ "log: \"info\\0\"\n", "test.yaml:1: a NUL is not allowed in a text" },
	{ "log: \"" MANY("info,info,info,in") "\"\n", "test.yaml:1: log must be a text of less than 256 bytes" },
	/* shape */
	{ "health: 5\n", "test.yaml:1: health must be a group of keys, indented below it" },
	{ "health: [interval]\n", "test.yaml:1: health must be a group of keys, indented below it" },
	{ "health: \"\"\n", "test.yaml:1: health must be a group of keys, indented below it" },
	{ "- log\n", "test.yaml:1: this must be keys and values, as in \"log: info\"" },
	{ "just a text\n", "test.yaml:1: this must be keys and values, as in \"log: info\"" },
	/* what YAML can do and we do not want */
	{ "idle_timeout: &a 5\n", "test.yaml:1: anchors and aliases are not allowed; write it out" },
	{ "health: &a\n  rise: 1\n", "test.yaml:1: anchors and aliases are not allowed; write it out" },
	{ "x: &a [1]\n", "test.yaml:1: anchors and aliases are not allowed; write it out" },
	{ "idle_timeout: 5\nlog: *a\n", "test.yaml:2: anchors and aliases are not allowed; write it out" },
	{ "health:\n  <<: *a\n", "test.yaml:2: anchors and aliases are not allowed; write it out" },
	{ "idle_timeout: !!int 5\n", "test.yaml:1: tags are not allowed; leave out \"!\" and what follows it" },
	{ "health: !x {rise: 1}\n", "test.yaml:1: tags are not allowed; leave out \"!\" and what follows it" },
	{ "health: !!seq [1]\n", "test.yaml:1: tags are not allowed; leave out \"!\" and what follows it" },
	{ "log: ! info\n", "test.yaml:1: tags are not allowed; leave out \"!\" and what follows it" },
	{ "%YAML 1.1\n---\nlog: info\n", "test.yaml:1: directives are not allowed; remove the line that begins with \"%\"" },
	{ "%TAG ! tag:x,2000:\n---\nlog: info\n", "test.yaml:1: directives are not allowed; remove the line that begins with \"%\"" },
	{ "log: info\n---\nlog: warn\n", "test.yaml:2: only one document is allowed; remove \"---\"" },
	/* nesting: sixteen levels are looked at, the seventeenth is not */
	{ "x: " "[[[[[[[[[[[[[[[" "]]]]]]]]]]]]]]]\n", "test.yaml:1: there is no key \"x\"" },
	{ "x: " "[[[[[[[[[[[[[[[[" "]]]]]]]]]]]]]]]]\n", "test.yaml:1: nested deeper than 16 levels" },
	{ "log: info\nx: " "{a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1" "}}}}}}}}}}}}}}}}\n", "test.yaml:2: nested deeper than 16 levels" },
	{ "- - - - - - - - - - - - - - - - - 1\n", "test.yaml:1: nested deeper than 16 levels" },
};

/* the parser's own words are not ours: only their beginning is compared */
static const struct { const char *text, *begin; } broken[] = {
	{ "log: [info\n", "test.yaml:2: not proper YAML: " },
	{ "log: \"info\n", "test.yaml:2: not proper YAML: " },
	{ "log: info\n\tx: 1\n", "test.yaml:2: not proper YAML: " },
	{ "log: info\nx\n", "test.yaml:3: not proper YAML: " },
	{ "log: in\xff" "fo\n", "test.yaml:1: not proper YAML: " },
	{ "log: \x01\n", "test.yaml:1: not proper YAML: " },
	{ "}", "test.yaml:1: not proper YAML: " },
};
/* clang-format on */

START_TEST(a_wrong_text_is_refused_with_its_line)
{
	struct config before;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	ck_assert_int_eq(parse(wrong[_i].text), CO_INVALID);
	ck_assert_str_eq(err.message, wrong[_i].message);
	ck_assert_mem_eq(&config, &before, sizeof(config));
}
END_TEST

START_TEST(broken_yaml_is_refused_with_its_line)
{
	ck_assert_int_eq(parse(broken[_i].text), CO_INVALID);
	ck_assert_msg(
		strncmp(err.message, broken[_i].begin, strlen(broken[_i].begin)) == 0,
		"%s", err.message);
}
END_TEST

START_TEST(a_zero_byte_is_refused)
{
	static const char text[] = "log: info\n\0";

	ck_assert_int_eq(config_parse(&config, "test.yaml", text, sizeof(text), &err),
			 CO_INVALID);
}
END_TEST

START_TEST(a_sentence_is_not_needed)
{
	ck_assert_int_eq(config_parse(&config, "test.yaml", "x: 1", 4, NULL),
			 CO_INVALID);
	ck_assert_int_eq(config_parse(&config, "test.yaml", "[", 1, NULL), CO_INVALID);
}
END_TEST

/*
 * libyaml alone needs seconds for these.  The limit is CPU time of this process, hundreds
 * of times what is used, so that a busy machine does not matter.
 */
START_TEST(a_nesting_bomb_costs_nothing)
{
	static const char *const units[] = { "[",   "{",   "{a: ", "- ",   "? ",  "[\n",
					     "{\n", "\"[", "a: [", "[[a,", "{? [" };
	size_t n = 64000;
	autofree char *text = malloc(n);
	clock_t began = clock();

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < co_countof(units); i++) {
		size_t length = strlen(units[i]);

		for (size_t k = 0; k < n; k++)
			text[k] = units[i][k % length];
		ck_assert_int_eq(config_parse(&config, "bomb", text, n, &err),
				 CO_INVALID);
	}
	ck_assert_int_lt((clock() - began) / (CLOCKS_PER_SEC / 1000), 2000);
}
END_TEST

START_TEST(a_text_of_exactly_the_limit_is_read)
{
	size_t n = CO_LIMIT_CONFIG_BYTES;
	autofree char *text = malloc(n + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, '#', n + 1);
	memcpy(text, "idle_timeout: 7\n", 16);
	ck_assert_int_eq(config_parse(&config, "x", text, n, &err), 0);
	ck_assert_uint_eq(config.idle_timeout, 7);
	ck_assert_int_eq(config_parse(&config, "x", text, n + 1, &err), CO_TOO_BIG);
	ck_assert_str_eq(err.message, "x has more than 65536 bytes");
}
END_TEST

/* ---- files ---- */

static char folder[200], path[256];

static void make_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	(void) snprintf(folder, sizeof(folder), "%s/config.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void) snprintf(path, sizeof(path), "%s/c.yaml", folder);
}

static void remove_folder(void)
{
	(void) remove(path); /* not every test makes it */
	ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_file_is_read)
{
	write_file("health: {rise: 9}\n", 18);
	ck_assert_int_eq(config_load(&config, path, &err), 0);
	ck_assert_uint_eq(config.health_rise, 9);
	write_file("\nnope: 1\n", 9);
	ck_assert_int_eq(config_load(&config, path, &err), CO_INVALID);
	ck_assert_msg(strstr(err.message, "/c.yaml:2: there is no key \"nope\""), "%s",
		      err.message);
}
END_TEST

START_TEST(a_missing_file_gives_the_defaults)
{
	struct config defaults;

	config_default(&defaults);
	ck_assert_int_eq(config_load(&config, path, &err), 0);
	ck_assert_mem_eq(&config, &defaults, sizeof(config));
}
END_TEST

START_TEST(what_is_not_a_file_is_refused)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(config_load(&config, path, &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "is not a regular file"));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(config_load(&config, path, &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "is not a regular file"));
}
END_TEST

START_TEST(a_file_that_is_too_big_is_refused)
{
	size_t n = CO_LIMIT_CONFIG_BYTES + 1;
	autofree char *text = malloc(n);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', n);
	write_file(text, n);
	ck_assert_int_eq(config_load(&config, path, &err), CO_TOO_BIG);
	write_file(text, n - 1);
	ck_assert_int_eq(config_load(&config, path, &err), 0);
}
END_TEST

/* ---- the sample ---- */

static char *sample(void)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	config_sample(f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

START_TEST(the_committed_sample_is_current)
{
	const char *srcdir = getenv("srcdir");
	char name[4096], committed[8192];
	autofree char *text = sample();
	FILE *f;
	size_t n;

	(void) snprintf(name, sizeof(name), "%s/packaging/cloudosd.yaml",
			srcdir ? srcdir : ".");
	f = fopen(name, "r");
	ck_assert_msg(f != NULL, "cannot open %s", name);
	n = fread(committed, 1, sizeof(committed) - 1, f);
	committed[n] = 0;
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_msg(strcmp(committed, text) == 0,
		      "packaging/cloudosd.yaml differs from cloudosd/config.def: "
		      "make update-documents");
}
END_TEST

/* With every key uncommented the sample says what is true anyway. */
START_TEST(the_sample_has_every_default)
{
	autofree char *text = sample();
	struct config defaults;
	char *from = text, *to = text;

	config_default(&defaults);
	accept(text);
	ck_assert_mem_eq(&config, &defaults, sizeof(config));
	while ((*to = *from)) {
		if (from[0] != '#' || from[1] == ' ')
			to++;
		from++;
	}
	accept(text);
	ck_assert_mem_eq(&config, &defaults, sizeof(config));
#define KEY(member, key_path, type, default_, min, max, unit, what)                    \
	{                                                                              \
		const char *dot = strrchr(#key_path, '.');                             \
		char line[64];                                                         \
		(void) snprintf(line, sizeof(line), "%s%s: ", dot ? "\n  " : "\n",     \
				dot ? dot + 1 : #key_path);                            \
		ck_assert_msg(strstr(text, line), "%s is not in the sample",           \
			      #key_path);                                              \
	}
#include "cloudosd/config.def"
#undef KEY
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, make_folder, remove_folder);
	tcase_add_test(tc, nothing_gives_the_defaults);
	tcase_add_test(tc, every_key_is_read);
	tcase_add_loop_test(tc, a_wrong_text_is_refused_with_its_line, 0,
			    (int) co_countof(wrong));
	tcase_add_loop_test(tc, broken_yaml_is_refused_with_its_line, 0,
			    (int) co_countof(broken));
	tcase_add_test(tc, a_zero_byte_is_refused);
	tcase_add_test(tc, a_sentence_is_not_needed);
	tcase_add_test(tc, a_nesting_bomb_costs_nothing);
	tcase_add_test(tc, a_text_of_exactly_the_limit_is_read);
	tcase_add_test(tc, a_missing_file_gives_the_defaults);
	tcase_add_test(tc, a_file_is_read);
	tcase_add_test(tc, a_file_that_is_too_big_is_refused);
	tcase_add_test(tc, what_is_not_a_file_is_refused);
	tcase_add_test(tc, the_committed_sample_is_current);
	tcase_add_test(tc, the_sample_has_every_default);
	return run_tests(tc);
}
