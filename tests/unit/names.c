/* SPDX-License-Identifier: MIT */
/* HOST test of cloudosd/service/names.h and cloudosd/names.h. */
#include "cloudosd/names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/run.h"

static struct names_list list;
static struct names *names;
static struct co_err err;
static unsigned told;

static int parse(const char *text)
{
	err = (struct co_err){ 0 };
	return names_parse(&list, "test.yaml", text, strlen(text), &err);
}

static void load(void)
{
	(void) setenv("CLOUDOS_DATADIR", "/nowhere", 1);
	ck_assert_msg(names_load(&list, "/nowhere/services.yaml", &err) == 0, "%s",
		      err.message);
}

static void begin(void)
{
	load();
	names = names_new();
	names_set_block(names, 19);
	ck_assert_msg(names_set(names, list.list, list.count, &err) == 0, "%s",
		      err.message);
}

static void end(void)
{
	names = names_free(names);
}

static const struct name *find(const char *text)
{
	return names_find(names, co_span(text));
}

static const char *dotted(struct in_addr address)
{
	return inet_ntoa(address);
}

START_TEST(the_ten_known_services_are_there)
{
	/* clang-format off */
	static const struct { const char *word, *name; uint32_t port; } known[] = {
		{ "operator", "blackroad-os-operator", 8001 },
		{ "core", "blackroad-os-core", 8000 },
		{ "api", "blackroad-os-api", 8000 },
		{ "app", "blackroad-operating-system", 8000 },
		{ "console", "blackroad-os-prism-console", 8000 },
		{ "docs", "blackroad-os-docs", 8000 },
		{ "web", "blackroad-os-web", 8000 },
		{ "os", "blackroad-os-interface", 8000 },
		{ "root", "blackroad-os-root", 8000 },
		{ "api-gateway", "blackroad-os-api-gateway", 8080 },
	};
	/* clang-format on */

	ck_assert_uint_eq(names_count(names), co_countof(known));
	for (size_t i = 0; i < co_countof(known); i++) {
		const struct name *name = find(known[i].word);

		ck_assert_ptr_nonnull(name);
		ck_assert_str_eq(name->name, known[i].name);
		ck_assert_uint_eq(name->port, known[i].port);
	}
}
END_TEST

START_TEST(a_service_is_found_by_each_of_its_names)
{
	static const char *const all[] = {
		"core",
		"blackroad-os-core",
		"BlackRoad-OS-Core",
		"blackroad-os-core.railway.internal",
		"blackroad-os-core.railway.internal:8000",
		"blackroad-os-core.railway.internal.",
		"core.blackroad.systems",
		"9gw4d0h2.up.railway.app",
		"blackroad-os-core-dev-19b6.up.railway.app:443",
		"127.77.19.2",
		"127.77.19.130:8000",
	};
	static const char *const none[] = {
		"",
		":8000",
		".",
		"cor",
		"cores",
		"railway.internal",
		"127.0.0.1",
		"127.77.19.0",
		"127.77.20.2",
		"127.77.19.200",
		"127.77.19.255",
		"1",
	};

	for (size_t i = 0; i < co_countof(all); i++)
		ck_assert_msg(find(all[i]) && !strcmp(find(all[i])->word, "core"), "%s",
			      all[i]);
	for (size_t i = 0; i < co_countof(none); i++)
		ck_assert_msg(!find(none[i]), "%s", none[i]);
}
END_TEST

START_TEST(front_and_back_are_addresses_of_the_block)
{
	const struct name *core = find("core"), *api = find("api");
	bool back = true;

	ck_assert_str_eq(dotted(names_front(names, core)), "127.77.19.2");
	ck_assert_str_eq(dotted(names_back(names, core)), "127.77.19.130");
	ck_assert_str_eq(dotted(names_front(names, api)), "127.77.19.3");
	ck_assert_ptr_eq(names_by_address(names, names_front(names, core), &back),
			 core);
	ck_assert(!back);
	ck_assert_ptr_eq(names_by_address(names, names_back(names, core), &back), core);
	ck_assert(back);
}
END_TEST

START_TEST(without_a_block_there_are_no_addresses)
{
	struct names *bare = names_new();
	uint32_t block;

	ck_assert_int_eq(names_set(bare, list.list, list.count, &err), 0);
	ck_assert(!names_block(bare, &block));
	ck_assert_uint_eq(names_front(bare, names_at(bare, 0)).s_addr, 0);
	ck_assert_ptr_null(
		names_by_address(bare, (struct in_addr){ htonl(0x7f4d0001) }, NULL));
	(void) names_free(bare);
}
END_TEST

START_TEST(a_name_keeps_its_place_when_the_list_changes)
{
	struct names_list fewer = list;
	uint32_t core = find("core")->place, api = find("api")->place;

	fewer.list[0] = fewer.list[1]; /* no operator; core first */
	fewer.list[1] = fewer.list[2];
	fewer.count = 2;
	ck_assert_int_eq(parse("services: {mine: }"), 0);
	fewer.list[2] = list.list[list.count - 1];
	fewer.count = 3;
	ck_assert_msg(names_set(names, fewer.list, fewer.count, &err) == 0, "%s",
		      err.message);
	ck_assert_uint_eq(find("core")->place, core);
	ck_assert_uint_eq(find("api")->place, api);
	ck_assert_uint_ne(find("mine")->place, core);
	ck_assert_uint_ne(find("mine")->place, api);
	ck_assert_uint_ne(find("mine")->place, 0);
}
END_TEST

START_TEST(a_place_of_before_is_given_back)
{
	struct names *next = names_new();

	names_had_place(next, "blackroad-os-core", 77);
	names_had_place(next, "gone", 1); /* stays free for its return */
	names_had_place(next, "impossible", 0);
	names_had_place(next, "impossible", CO_LIMIT_NAMES + 1);
	names_set_block(next, 1);
	ck_assert_int_eq(names_set(next, list.list, list.count, &err), 0);
	ck_assert_uint_eq(names_find(next, co_span("core"))->place, 77);
	ck_assert_uint_eq(names_find(next, co_span("operator"))->place, 2);
	(void) names_free(next);
}
END_TEST

START_TEST(as_many_as_there_are_addresses_have_one)
{
	static struct name many[CO_LIMIT_NAMES + 1];
	bool seen[CO_LIMIT_NAMES + 1] = { 0 };
	struct names *full = names_new();

	for (unsigned i = 0; i <= CO_LIMIT_NAMES; i++) {
		many[i] = list.list[0];
		(void) snprintf(many[i].word, sizeof(many[i].word), "w%u", i);
		(void) snprintf(many[i].name, sizeof(many[i].name), "n%u", i);
		(void) snprintf(many[i].internal, sizeof(many[i].internal),
				"http://h%u", i);
		many[i].cloudflare[0] = many[i].railway[0] = 0;
		many[i].railway_development[0] = 0;
	}
	for (uint32_t i = 1; i <= CO_LIMIT_NAMES; i++) {
		char gone[16];

		(void) snprintf(gone, sizeof(gone), "g%u", i);
		names_had_place(full, gone, i);
	}
	ck_assert_int_eq(names_set(full, many, CO_LIMIT_NAMES, &err), 0);
	for (size_t i = 0; i < names_count(full); i++) {
		uint32_t place = names_at(full, i)->place;

		ck_assert(place >= 1 && place <= CO_LIMIT_NAMES && !seen[place]);
		seen[place] = true;
	}
	ck_assert_int_eq(names_set(full, many, CO_LIMIT_NAMES + 1, &err),
			 CO_TABLE_FULL);
	ck_assert_uint_eq(names_count(full), CO_LIMIT_NAMES);
	(void) names_free(full);
}
END_TEST

START_TEST(two_services_with_one_name_are_refused_and_nothing_changes)
{
	ck_assert_int_eq(parse("services: {second: {name: blackroad-os-core}}"), 0);
	ck_assert_int_eq(names_set(names, list.list, list.count, &err), CO_INVALID);
	ck_assert_str_eq(err.message, "services core and second are both called "
				      "\"blackroad-os-core\"; change one of them");
	ck_assert_uint_eq(names_count(names), 10);
}
END_TEST

static void count(void *arg)
{
	(*(unsigned *) arg)++;
}

START_TEST(whoever_watches_is_told_of_the_list_and_of_programs)
{
	told = 0;
	ck_assert_int_eq(names_watch(names, count, &told), 0);
	names_set_serving(names, "blackroad-os-core", true);
	names_set_serving(names, "blackroad-os-core", true); /* no change */
	ck_assert_uint_eq(told, 1);
	ck_assert(names_serving(names, find("core")));
	ck_assert(!names_serving(names, find("api")));
	ck_assert_int_eq(names_set(names, list.list, list.count, &err), 0);
	ck_assert_uint_eq(told, 2);
	ck_assert(names_serving(names, find("core")));
}
END_TEST

START_TEST(a_file_on_top_replaces_members_and_adds_services)
{
	ck_assert_msg(parse("services:\n"
			    "  core:\n"
			    "    port: 9000\n"
			    "    stderr: warn\n"
			    "    cloudflare:\n"
			    "  billing:\n"
			    "    role: money\n") == 0,
		      "%s", err.message);
	ck_assert_uint_eq(list.count, 11);
	ck_assert_str_eq(list.list[1].name, "blackroad-os-core");
	ck_assert_uint_eq(list.list[1].port, 9000);
	ck_assert_str_eq(list.list[1].stderr_level, "warn");
	ck_assert_str_eq(list.list[1].cloudflare, "");
	ck_assert_str_eq(list.list[10].word, "billing");
	ck_assert_str_eq(list.list[10].name, "blackroad-os-billing");
	ck_assert_str_eq(list.list[10].role, "money");
	ck_assert_uint_eq(list.list[10].port, 8000);
	ck_assert_str_eq(list.list[10].internal,
			 "http://blackroad-os-billing.railway.internal:8000");
	ck_assert_str_eq(list.list[10].health, "/health");
	ck_assert_str_eq(list.list[10].stderr_level, "error");
}
END_TEST

START_TEST(nothing_changes_nothing)
{
	/* clang-format off */
	static const char *const nothing[] = {
		"", "# only a comment\n", "services:\n", "services: {}\n", "services: ~", "null", "services: {core: }",
	};
	/* clang-format on */
	struct names_list before = list;

	for (size_t i = 0; i < co_countof(nothing); i++) {
		ck_assert_msg(parse(nothing[i]) == 0, "%s", err.message);
		ck_assert_mem_eq(&list, &before, sizeof(list));
	}
}
END_TEST

/* clang-format off */
static const struct { const char *text, *message; } wrong[] = {
	{ "servces:\n", "test.yaml:1: there is no key \"servces\"; services are listed below \"services:\"" },
	{ "- a\n", "test.yaml:1: this must begin with \"services:\"" },
	{ "[a]: 1\n", "test.yaml:1: a key must be a word" },
	{ "services: {}\nservices: {}\n", "test.yaml:2: services is there twice" },
	{ "services: 5\n", "test.yaml:1: services must be a group of keys, indented below it" },
	{ "services:\n  core: 5\n", "test.yaml:2: core must be a group of keys, indented below it" },
	{ "services:\n  a b: {}\n", "test.yaml:2: a service cannot be called \"a b\"; its key is of letters, digits, \"-\" and \"_\", at most 48 of them" },
	{ "services:\n  [a]: {}\n", "test.yaml:2: a key must be a word" },
	{ "services:\n  core: {}\n  core: {}\n", "test.yaml:3: core is there twice" },
	{ "services:\n  core:\n    port: 1\n    port: 2\n", "test.yaml:4: core.port is there twice" },
	{ "services:\n  core:\n    prot: 1\n", "test.yaml:3: core has no key \"prot\"; there are name, role, port, cloudflare, railway, railway_development, internal, health, stderr" },
	{ "services:\n  core:\n    port: 0\n", "test.yaml:3: core.port is \"0\"; it must be a whole number from 1 to 65535" },
	{ "services:\n  core:\n    port: 65536\n", "test.yaml:3: core.port is \"65536\"; it must be a whole number from 1 to 65535" },
	{ "services:\n  core:\n    port: 4294975296\n", "test.yaml:3: core.port is \"4294975296\"; it must be a whole number from 1 to 65535" },
	{ "services:\n  core:\n    port:\n", "test.yaml:3: core.port is \"\"; it must be a whole number from 1 to 65535" },
	{ "services:\n  core:\n    port: [1]\n", "test.yaml:3: core.port must be a single value, a whole number from 1 to 65535" },
	{ "services:\n  core:\n    name: a.b\n", "test.yaml:3: core.name is \"a.b\"; it must be letters, digits, \"-\" and \"_\", at most 63 of them" },
	{ "services:\n  core:\n    internal: core:8000\n", "test.yaml:3: core.internal is \"core:8000\"; it must be an http:// or https:// URL of at most 255 bytes" },
	{ "services:\n  core:\n    internal: http://:80\n", "test.yaml:3: core.internal is \"http://:80\"; it must be an http:// or https:// URL of at most 255 bytes" },
	{ "services:\n  core:\n    internal: \"http://a\\n127.0.0.1 b\"\n", "test.yaml:3: core.internal is \"http://a\\n127.0.0.1 b\"; it must be an http:// or https:// URL of at most 255 bytes" },
	{ "services:\n  core:\n    health: health\n", "test.yaml:3: core.health is \"health\"; it must be a path that begins with \"/\"" },
	{ "services:\n  core:\n    stderr: loud\n", "test.yaml:3: core.stderr is \"loud\"; it must be one of debug, info, warn, error, fatal" },
	{ "services: &a {}\n", "test.yaml:1: anchors and aliases are not allowed; write it out" },
};
/* clang-format on */

START_TEST(a_wrong_text_is_refused_with_file_line_and_key)
{
	ck_assert_int_eq(parse(wrong[_i].text), CO_INVALID);
	ck_assert_str_eq(err.message, wrong[_i].message);
}
END_TEST

START_TEST(one_service_too_many_is_refused)
{
	char text[64];

	for (unsigned i = (unsigned) list.count; i < CO_LIMIT_NAMES; i++) {
		(void) snprintf(text, sizeof(text), "services: {s%u: }", i);
		ck_assert_int_eq(parse(text), 0);
	}
	ck_assert_int_eq(parse("services: {late: }"), CO_INVALID);
	ck_assert_str_eq(err.message, "test.yaml:1: late is one service too many; 120 "
				      "can be named");
}
END_TEST

START_TEST(the_host_of_a_url_is_found)
{
	/* clang-format off */
	static const struct { const char *url, *host; } urls[] = {
		{ "http://a.b:80/x", "a.b" }, { "https://a.b", "a.b" }, { "http://a.b?q", "a.b" },
		{ "http://u:p@a.b:1", "a.b" }, { "nothing", "" }, { "", "" }, { "http://", "" },
	};
	/* clang-format on */

	for (size_t i = 0; i < co_countof(urls); i++) {
		struct co_span host = names_host(urls[i].url);

		ck_assert_uint_eq(host.size, strlen(urls[i].host));
		ck_assert(!host.size || !memcmp(host.data, urls[i].host, host.size));
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("names");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, the_ten_known_services_are_there);
	tcase_add_test(tc, a_service_is_found_by_each_of_its_names);
	tcase_add_test(tc, front_and_back_are_addresses_of_the_block);
	tcase_add_test(tc, without_a_block_there_are_no_addresses);
	tcase_add_test(tc, a_name_keeps_its_place_when_the_list_changes);
	tcase_add_test(tc, a_place_of_before_is_given_back);
	tcase_add_test(tc, as_many_as_there_are_addresses_have_one);
	tcase_add_test(tc, two_services_with_one_name_are_refused_and_nothing_changes);
	tcase_add_test(tc, whoever_watches_is_told_of_the_list_and_of_programs);
	tcase_add_test(tc, the_host_of_a_url_is_found);
	tcase_add_test(tc, a_file_on_top_replaces_members_and_adds_services);
	tcase_add_test(tc, nothing_changes_nothing);
	tcase_add_loop_test(tc, a_wrong_text_is_refused_with_file_line_and_key, 0,
			    (int) co_countof(wrong));
	tcase_add_test(tc, one_service_too_many_is_refused);
	return run_tests(tc);
}
