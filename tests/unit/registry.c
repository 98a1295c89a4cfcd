/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/registry.h: register, deregister, ask.  HOST. */
#include "cloudosd/service/registry.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/registry_fixture.h"

static struct process_id self(void)
{
	struct process_id id = { 0 };

	ck_assert_int_eq(process_read(getpid(), &id, NULL), 0);
	return id;
}

static int try_register(const struct service_spec *spec, struct co_err *err)
{
	struct process_id me = self();
	static struct answer answer;

	return registry_register(reg, spec, &me, 1, NULL, on_answer, &answer, err);
}

/* ---- what is refused ---- */

static void expect_refused(const struct service_spec *spec, const char *part)
{
	struct co_err err = { 0 };

	ck_assert_msg(try_register(spec, &err) == CO_INVALID, "%s", part);
	ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" lacks \"%s\"",
		      err.message, part);
	ck_assert_uint_eq(store.txns, 0);
}

START_TEST(bad_names_are_refused_with_a_sentence)
{
	static const struct {
		const char *name, *part;
	} bad[] = {
		{ "", "empty" },
		{ "a b", "space" },
		{ "a/b", "'/'" },
		{ "a\tb", "control" },
		{ "a\x7f", "control" },
		{ "a\xc2\x85", "control" },
		{ "..", "named" },
		{ "\xc3", "UTF-8" },
		{ "\xc0\x80", "UTF-8" },
		{ "\xed\xa0\x80", "UTF-8" },
		{ "\xf4\x90\x80\x80", "UTF-8" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct service_spec spec = spec_of(bad[i].name, "", 0);

		expect_refused(&spec, bad[i].part);
	}
}
END_TEST

START_TEST(unterminated_strings_are_refused)
{
	struct service_spec spec = spec_of("web", "", 0);

	memset(spec.name, 'a', sizeof(spec.name));
	expect_refused(&spec, "63 bytes");
	spec = spec_of("web", "", 0);
	memset(spec.version, 'a', sizeof(spec.version));
	expect_refused(&spec, "version");
	spec = spec_of("web", "", 0);
	memset(spec.endpoint, 'a', sizeof(spec.endpoint));
	expect_refused(&spec, "endpoint");
	spec = spec_of("web", "", 0);
	memset(spec.health_check, 'a', sizeof(spec.health_check));
	expect_refused(&spec, "health_check");
	spec = spec_of("web", "", 0);
	memset(spec.metadata, 'a', sizeof(spec.metadata));
	expect_refused(&spec, "metadata");
}
END_TEST

START_TEST(bad_numbers_and_checks_are_refused)
{
	struct service_spec spec = spec_of("web", "", 0);

	spec.port = 65536;
	expect_refused(&spec, "65535");
	spec = spec_of("web", "", SERVICE_TTL_MAX + 1);
	expect_refused(&spec, "ttl");
	spec = spec_of("web", "curl http://localhost", 0);
	expect_refused(&spec, "health check");
	spec = spec_of("web", "exec:/bin/true", 0);
	expect_refused(&spec, "commands are not run");
}
END_TEST

START_TEST(names_at_the_limit_and_in_other_scripts_are_taken)
{
	struct service_spec spec =
		spec_of("caf\xc3\xa9-\xe2\x82\xac.\xf0\x9f\x8c\x8d", "", 0);
	struct process_id me = self();

	(void) snprintf(spec.metadata, sizeof(spec.metadata), "a=1\n\tb=2");
	must_register(&spec, &me);
	memset(spec.name, 'a', 63);
	spec.name[63] = 0;
	must_register(&spec, &me);
	ck_assert_uint_eq(registry_count(reg, spec.name), 1);
}
END_TEST

START_TEST(a_process_that_is_dead_cannot_register)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 0);
	struct co_err err = { 0 };

	child_kill(&child);
	ck_assert_int_eq(
		registry_register(reg, &spec, &child, 1, NULL, on_answer, NULL, &err),
		CO_GONE);
	ck_assert_ptr_nonnull(strstr(err.message, "has ended"));
	child_reap(&child);
}
END_TEST

START_TEST(without_a_process_a_ttl_or_a_check_is_required)
{
	struct service_spec spec = spec_of("web", "", 0);
	struct process_id nobody = { 0 };
	struct co_err err = { 0 };

	ck_assert_int_eq(
		registry_register(reg, &spec, NULL, 0, NULL, on_answer, NULL, &err),
		CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "ttl or a health check"));
	ck_assert_int_eq(
		registry_register(reg, &spec, &nobody, 0, NULL, on_answer, NULL, NULL),
		CO_INVALID);
}
END_TEST

/* ---- commit ---- */

START_TEST(an_instance_is_visible_after_its_commit_and_before_its_answer)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer answer = { .name = "web" };

	store.hold = true;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 0);
	ck_assert_uint_eq(registry_count(reg, "web"), 0);
	ck_assert_str_eq(events, "");
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, 0);
	ck_assert_uint_eq(answer.count_then, 1);
	ck_assert_str_eq(events, "registered web");
}
END_TEST

START_TEST(what_was_said_is_what_is_found)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 30);
	const struct service_instance *found;

	(void) snprintf(spec.endpoint, sizeof(spec.endpoint), "http://127.0.0.1:80");
	(void) snprintf(spec.metadata, sizeof(spec.metadata), "zone=a");
	spec.instances = 3;
	must_register(&spec, &me);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert(service_spec_same(&found->spec, &spec));
	ck_assert(process_same(&found->owner, &me));
	ck_assert_uint_eq(found->session, 1);
	ck_assert_int_eq(found->health, HEALTH_HEALTHY);
	ck_assert_str_eq(found->reason, "its process is alive");
	ck_assert_uint_ne(found->id, 0);
	ck_assert_uint_lt(found->id, SERVICE_OPAQUE_PID);
	ck_assert_ptr_eq(registry_find_id(reg, found->id), found);
	ck_assert_ptr_eq(registry_find(reg, "web", &me), found);
	ck_assert_ptr_null(registry_find_id(reg, found->id + 1));
	ck_assert_ptr_null(registry_find(reg, "other", &me));
	ck_assert_ptr_null(registry_find(reg, "web", NULL));
}
END_TEST

START_TEST(the_journal_is_written_with_the_registration_and_the_deregistration)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct store_journal journal = { .slot = 4, .session = 1, .call = 77 };
	struct answer answer = { 0 };

	ck_assert_int_eq(registry_register(reg, &spec, &me, 1, &journal, on_answer,
					   &answer, NULL),
			 0);
	fake_settle(&fake);
	ck_assert_uint_eq(store.txns, 1);
	ck_assert_uint_eq(store.journal.call, 77);
	ck_assert_uint_eq(store.journal.slot, 4);
	journal.call = 78;
	ck_assert_int_eq(registry_deregister(reg, "web", &me, &journal, on_answer,
					     &answer, NULL),
			 0);
	fake_settle(&fake);
	ck_assert_uint_eq(store.txns, 2);
	ck_assert_uint_eq(store.journal.call, 78);
}
END_TEST

START_TEST(a_store_that_fails_registers_nothing)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer answer = { 0 };
	struct co_err err = { 0 };

	store.fail = CO_NO_SPACE;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, CO_NO_SPACE);
	ck_assert_str_eq(answer.reason, "the fake store fails");
	ck_assert_uint_eq(registry_count(reg, NULL), 0);
	ck_assert_str_eq(events, "");
	store.refuse = CO_BUSY;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &answer, &err),
		CO_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "web"));
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_uint_eq(fake_watches(&fake), 0);
}
END_TEST

START_TEST(a_failing_upsert_keeps_what_was_there)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer answer = { 0 };
	const struct service_instance *found;

	must_register(&spec, &me);
	spec.port = 81;
	store.fail = CO_NO_SPACE;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.status, CO_NO_SPACE);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert_uint_eq(found->spec.port, 80);
}
END_TEST

START_TEST(registering_again_replaces)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	const struct service_instance *found;
	uint32_t id;

	must_register(&spec, &me);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	id = found->id;
	must_register(&spec, &me); /* nothing new: no event */
	ck_assert_str_eq(events, "registered web");
	spec.port = 81;
	must_register(&spec, &me);
	ck_assert_str_eq(events, "registered web; updated web");
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert_uint_eq(found->spec.port, 81);
	ck_assert_uint_eq(found->id, id);
	ck_assert_uint_eq(fake_store_count(&store), 1);
}
END_TEST

START_TEST(two_registrations_at_once_make_one_instance)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer first = { 0 }, second = { 0 };
	const struct service_instance *found;

	store.hold = true;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &first, NULL),
		0);
	spec.port = 81;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &second, NULL),
		0);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(first.runs + second.runs, 2);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert_uint_eq(found->spec.port, 81);
}
END_TEST

START_TEST(several_processes_have_instances_of_one_name)
{
	struct process_id a = child_start(), b = child_start();
	struct answer answer = { 0 };

	must_register_name("web", &a);
	must_register_name("web", &b);
	must_register_name("db", &a);
	ck_assert_uint_eq(registry_count(reg, "web"), 2);
	ck_assert_uint_eq(registry_count(reg, NULL), 3);
	ck_assert_int_eq(
		registry_deregister(reg, "web", &a, NULL, on_answer, &answer, NULL), 0);
	fake_settle(&fake);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_ptr_nonnull(registry_find(reg, "web", &b));
	ck_assert_ptr_nonnull(registry_find(reg, "db", &a));
	child_stop(&a);
	child_stop(&b);
	fake_settle(&fake);
}
END_TEST

/* ---- deregister ---- */

START_TEST(deregistering_removes_after_the_commit)
{
	struct process_id me = self();
	struct answer answer = { .name = "web" };

	must_register_name("web", &me);
	store.hold = true;
	ck_assert_int_eq(
		registry_deregister(reg, "web", &me, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, 0);
	ck_assert_uint_eq(answer.count_then, 0);
	ck_assert_uint_eq(fake_store_count(&store), 0);
	ck_assert_str_eq(events, "registered web; removed web");
	ck_assert_str_eq(last_reason, "it was deregistered");
}
END_TEST

START_TEST(deregistering_what_is_not_there_is_not_found)
{
	struct process_id me = self(), child = child_start();
	struct co_err err = { 0 };

	must_register_name("web", &child);
	ck_assert_int_eq(
		registry_deregister(reg, "web", &me, NULL, on_answer, NULL, &err),
		CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "\"web\""));
	ck_assert_int_eq(
		registry_deregister(reg, "web", NULL, NULL, on_answer, NULL, &err),
		CO_NOT_FOUND);
	ck_assert_int_eq(
		registry_deregister(reg, "\x01", &me, NULL, on_answer, NULL, &err),
		CO_INVALID);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	child_stop(&child);
	fake_settle(&fake);
}
END_TEST

START_TEST(deregistering_that_fails_leaves_the_instance)
{
	struct process_id me = self();
	struct answer answer = { 0 };

	must_register_name("web", &me);
	store.fail = CO_IO;
	ck_assert_int_eq(
		registry_deregister(reg, "web", &me, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.status, CO_IO);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
}
END_TEST

START_TEST(register_behind_deregister_wins)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer removed = { 0 }, registered = { 0 };

	must_register(&spec, &me);
	store.hold = true;
	ck_assert_int_eq(
		registry_deregister(reg, "web", &me, NULL, on_answer, &removed, NULL),
		0);
	ck_assert_int_eq(registry_register(reg, &spec, &me, 1, NULL, on_answer,
					   &registered, NULL),
			 0);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(removed.status, 0);
	ck_assert_int_eq(registered.status, 0);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_uint_eq(fake_store_count(&store), 1);
	ck_assert_str_eq(events, "registered web; removed web; registered web");
}
END_TEST

/* ---- asking ---- */

static void visit(void *arg, const struct service_instance *instance)
{
	char *text = arg;

	(void) snprintf(text + strlen(text), 256 - strlen(text), "%s%s:%s",
			*text ? " " : "", instance->spec.name,
			health_state_name(instance->health));
}

START_TEST(each_visits_by_name)
{
	struct process_id me = self();
	char text[256] = "";

	must_register_name("web", &me);
	must_register_name("api", &me);
	must_register_name("db", &me);
	registry_each(reg, NULL, visit, text);
	ck_assert_str_eq(text, "api:healthy db:healthy web:healthy");
	text[0] = 0;
	registry_each(reg, "db", visit, text);
	ck_assert_str_eq(text, "db:healthy");
	text[0] = 0;
	registry_each(reg, "none", visit, text);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(discovery_fills_no_more_than_asked_for)
{
	struct process_id children[3];
	const struct service_instance *found[3] = { NULL };

	for (int i = 0; i < 3; i++) {
		children[i] = child_start();
		must_register_name("web", &children[i]);
	}
	ck_assert_uint_eq(registry_discover(reg, "web", found, 0), 0);
	ck_assert_uint_eq(registry_discover(reg, "web", found, 2), 2);
	ck_assert(process_same(&found[0]->owner, &children[0])); /* the oldest first */
	ck_assert(process_same(&found[1]->owner, &children[1]));
	ck_assert_ptr_null(found[2]);
	ck_assert_uint_eq(registry_count(reg, "web"), 3);
	ck_assert_uint_eq(registry_discover(reg, "none", found, 3), 0);
	for (int i = 0; i < 3; i++)
		child_stop(&children[i]);
	fake_settle(&fake);
}
END_TEST

START_TEST(one_process_has_no_more_instances_than_the_limit)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct co_err err = { 0 };
	char name[32];

	for (int i = 0; i < CO_LIMIT_SERVICES_PER_PROCESS; i++) {
		(void) snprintf(name, sizeof(name), "s%d", i);
		must_register_name(name, &me);
	}
	ck_assert_int_eq(try_register(&spec, &err), CO_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "1024"));
	must_register_name("s0", &me); /* an upsert needs no room */
	ck_assert_uint_eq(registry_count(reg, NULL), CO_LIMIT_SERVICES_PER_PROCESS);
}
END_TEST

START_TEST(registrations_in_flight_count_for_the_limit)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer answer = { 0 };

	store.hold = true;
	for (int i = 0; i < CO_LIMIT_SERVICES_PER_PROCESS; i++) {
		(void) snprintf(spec.name, sizeof(spec.name), "s%d", i);
		ck_assert_int_eq(registry_register(reg, &spec, &me, 1, NULL, on_answer,
						   &answer, NULL),
				 0);
	}
	(void) snprintf(spec.name, sizeof(spec.name), "web");
	ck_assert_int_eq(try_register(&spec, NULL), CO_BUSY);
	store.fail = CO_NO_SPACE; /* a failure gives its room back */
	fake_store_release(&store);
	fake_settle(&fake);
	store.fail = 0;
	ck_assert_int_eq(answer.runs, CO_LIMIT_SERVICES_PER_PROCESS);
	must_register_name("web", &me);
}
END_TEST

START_TEST(the_daemon_has_no_more_instances_than_the_limit)
{
	struct service_spec spec = spec_of("web", "", 60);
	struct answer answer = { 0 };
	struct co_err err = { 0 };

	store.hold =
		true; /* the fake store is slow with so many: reservations count too */
	for (int i = 0; i < CO_LIMIT_SERVICES; i++) {
		(void) snprintf(spec.name, sizeof(spec.name), "s%d", i);
		ck_assert_int_eq(registry_register(reg, &spec, NULL, 0, NULL, on_answer,
						   &answer, NULL),
				 0);
	}
	(void) snprintf(spec.name, sizeof(spec.name), "web");
	ck_assert_int_eq(try_register(&spec, &err), CO_TABLE_FULL);
	ck_assert_ptr_nonnull(strstr(err.message, "16384"));
	store.fail = CO_NO_SPACE;
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, CO_LIMIT_SERVICES);
}
END_TEST

/* ---- ends ---- */

START_TEST(freeing_answers_what_is_in_flight_once)
{
	struct process_id me = self();
	struct service_spec spec = spec_of("web", "tcp://127.0.0.1:1", 5);
	struct answer a = { 0 }, b = { 0 };

	must_register_name("old", &me);
	store.hold = true;
	ck_assert_int_eq(
		registry_register(reg, &spec, &me, 1, NULL, on_answer, &a, NULL), 0);
	ck_assert_int_eq(
		registry_deregister(reg, "old", &me, NULL, on_answer, &b, NULL), 0);
	reg = registry_free(reg);
	ck_assert_int_eq(a.status, CO_GONE);
	ck_assert_int_eq(b.status, CO_GONE);
	fake_store_release(&store); /* the store answers nobody */
	fake_settle(&fake);
	ck_assert_int_eq(a.runs, 1);
	ck_assert_int_eq(b.runs, 1);
}
END_TEST

static struct registry_watch *one, *two;
static int seen_by_one, seen_by_two;

static void see_and_unwatch_both(void *arg, const struct registry_event *event)
{
	(void) arg;
	(void) event;
	seen_by_one++;
	one = registry_unwatch(one);
	two = registry_unwatch(two);
}

static void see(void *arg, const struct registry_event *event)
{
	(void) arg;
	(void) event;
	seen_by_two++;
}

START_TEST(a_watch_may_end_itself_and_others_inside_an_event)
{
	struct process_id me = self();

	one = registry_watch(reg, see_and_unwatch_both, NULL);
	two = registry_watch(reg, see, NULL);
	must_register_name("web", &me);
	must_register_name("api", &me);
	ck_assert_int_eq(seen_by_one, 1);
	ck_assert_int_eq(seen_by_two, 0);
	ck_assert_str_eq(events, "registered web; registered api");
}
END_TEST

TCase *registry_tests(void)
{
	TCase *tests = tcase_create("registry");

	tcase_add_checked_fixture(tests, registry_set_up, registry_tear_down);
	tcase_set_timeout(tests, 300);
	tcase_add_test(tests, bad_names_are_refused_with_a_sentence);
	tcase_add_test(tests, unterminated_strings_are_refused);
	tcase_add_test(tests, bad_numbers_and_checks_are_refused);
	tcase_add_test(tests, names_at_the_limit_and_in_other_scripts_are_taken);
	tcase_add_test(tests, a_process_that_is_dead_cannot_register);
	tcase_add_test(tests, without_a_process_a_ttl_or_a_check_is_required);
	tcase_add_test(tests,
		       an_instance_is_visible_after_its_commit_and_before_its_answer);
	tcase_add_test(tests, what_was_said_is_what_is_found);
	tcase_add_test(
		tests,
		the_journal_is_written_with_the_registration_and_the_deregistration);
	tcase_add_test(tests, a_store_that_fails_registers_nothing);
	tcase_add_test(tests, a_failing_upsert_keeps_what_was_there);
	tcase_add_test(tests, registering_again_replaces);
	tcase_add_test(tests, two_registrations_at_once_make_one_instance);
	tcase_add_test(tests, several_processes_have_instances_of_one_name);
	tcase_add_test(tests, deregistering_removes_after_the_commit);
	tcase_add_test(tests, deregistering_what_is_not_there_is_not_found);
	tcase_add_test(tests, deregistering_that_fails_leaves_the_instance);
	tcase_add_test(tests, register_behind_deregister_wins);
	tcase_add_test(tests, each_visits_by_name);
	tcase_add_test(tests, discovery_fills_no_more_than_asked_for);
	tcase_add_test(tests, one_process_has_no_more_instances_than_the_limit);
	tcase_add_test(tests, registrations_in_flight_count_for_the_limit);
	tcase_add_test(tests, the_daemon_has_no_more_instances_than_the_limit);
	tcase_add_test(tests, freeing_answers_what_is_in_flight_once);
	tcase_add_test(tests, a_watch_may_end_itself_and_others_inside_an_event);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("registry");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, registry_tests());
	suite_add_tcase(suite, registry_life_tests());
	suite_add_tcase(suite, registry_load_tests());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
