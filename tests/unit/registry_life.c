/* SPDX-License-Identifier: MIT */
/* Tests of an instance's life: process, ttl, health.  HOST. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/loopback.h"
#include "tests/unit/registry_fixture.h"

#define OK200 "HTTP/1.1 200 OK\r\n\r\n"
#define NO503 "HTTP/1.1 503 Busy\r\n\r\n"

/* ---- processes ---- */

START_TEST(a_killed_process_is_out_of_discovery_before_the_store_knows)
{
	struct process_id child = child_start();

	must_register_name("web", &child);
	must_register_name("api", &child);
	store.hold = true;
	child_kill(&child);
	ck_assert(fake_turn(&fake)); /* the one event of its pidfd */
	ck_assert_uint_eq(registry_count(reg, NULL), 0);
	ck_assert_str_eq(events,
			 "registered web; registered api; removed web; removed api");
	ck_assert_ptr_nonnull(strstr(last_reason, "has ended"));
	ck_assert_uint_eq(fake_store_count(&store), 2);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_uint_eq(fake_store_count(&store), 0);
	child_reap(&child);
}
END_TEST

START_TEST(only_the_dead_process_is_removed)
{
	struct process_id a = child_start(), b = child_start();

	must_register_name("web", &a);
	must_register_name("web", &b);
	child_stop(&a);
	fake_settle(&fake);
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_ptr_nonnull(registry_find(reg, "web", &b));
	ck_assert_uint_eq(fake_store_count(&store), 1);
	child_stop(&b);
	fake_settle(&fake);
}
END_TEST

START_TEST(the_store_is_asked_again_until_it_deletes)
{
	struct process_id child = child_start();
	size_t asked;

	must_register_name("web", &child);
	store.fail = CO_IO;
	child_stop(&child);
	fake_settle(&fake);
	ck_assert_str_eq(health_of("web"), "gone");
	ck_assert_str_eq(events, "registered web; removed web; trouble");
	ck_assert_ptr_nonnull(strstr(last_reason, "/svc/web/"));
	asked = store.txns;
	fake_advance(&fake, 99);
	ck_assert_uint_eq(store.txns, asked);
	fake_advance(&fake, 1); /* 100 */
	ck_assert_uint_eq(store.txns, asked + 1);
	fake_advance(&fake, 200);
	ck_assert_uint_eq(store.txns, asked + 2);
	store.fail = 0;
	store.refuse = CO_BUSY; /* not even taken */
	fake_advance(&fake, 400);
	store.refuse = 0;
	fake_advance(&fake, 800);
	ck_assert_uint_eq(fake_store_count(&store), 0);
	ck_assert_uint_eq(fake_timers(&fake), 0);
	ck_assert_str_eq(events, "registered web; removed web; trouble");
}
END_TEST

START_TEST(the_back_off_ends_at_thirty_seconds)
{
	struct process_id child = child_start();
	size_t asked;

	must_register_name("web", &child);
	store.fail = CO_IO;
	child_stop(&child);
	fake_advance(&fake, 120000);
	asked = store.txns;
	fake_advance(&fake, 30000);
	ck_assert_uint_eq(store.txns, asked + 1);
	store.fail = 0;
	fake_advance(&fake, 30000);
	ck_assert_uint_eq(fake_store_count(&store), 0);
}
END_TEST

START_TEST(a_process_that_dies_before_its_commit_is_never_visible)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 0);
	struct answer answer = { .name = "web" };

	store.hold = true;
	ck_assert_int_eq(registry_register(reg, &spec, &child, 1, NULL, on_answer,
					   &answer, NULL),
			 0);
	child_kill(&child);
	fake_settle(&fake);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, CO_GONE);
	ck_assert_uint_eq(answer.count_then, 0);
	ck_assert_str_eq(events, "");
	ck_assert_uint_eq(fake_store_count(&store), 0);
	child_reap(&child);
}
END_TEST

START_TEST(a_process_that_dies_while_it_deregisters_is_removed_once)
{
	struct process_id child = child_start();
	struct answer answer = { 0 };

	must_register_name("web", &child);
	store.hold = true;
	ck_assert_int_eq(
		registry_deregister(reg, "web", &child, NULL, on_answer, &answer, NULL),
		0);
	child_kill(&child);
	fake_settle(&fake);
	ck_assert_uint_eq(registry_count(reg, NULL), 0);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.status, 0);
	ck_assert_str_eq(events, "registered web; removed web");
	child_reap(&child);
}
END_TEST

START_TEST(a_late_delete_spares_what_was_registered_again)
{
	struct service_spec spec = spec_of("web", "", 5);

	must_register(&spec, NULL);
	store.fail = CO_IO;
	fake_advance(&fake, 10000); /* lapsed twice: removed, the delete fails */
	ck_assert_str_eq(health_of("web"), "gone");
	ck_assert_uint_eq(fake_store_count(&store), 1);
	store.fail = 0;
	must_register(&spec, NULL);
	fake_advance(&fake, 1000); /* the delete is tried again */
	ck_assert_str_eq(health_of("web"), "healthy");
	ck_assert_uint_eq(fake_store_count(&store), 1);
}
END_TEST

/* ---- ttl ---- */

START_TEST(one_missed_ttl_is_critical_and_two_remove)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 5);

	must_register(&spec, &child);
	fake_advance(&fake, 4999);
	ck_assert_str_eq(health_of("web"), "healthy");
	fake_advance(&fake, 1);
	ck_assert_str_eq(health_of("web"), "critical");
	ck_assert_ptr_nonnull(strstr(last_reason, "ttl of 5 seconds"));
	fake_advance(&fake, 4999);
	ck_assert_str_eq(health_of("web"), "critical");
	fake_advance(&fake, 1);
	ck_assert_str_eq(health_of("web"), "gone");
	ck_assert_str_eq(events, "registered web; critical web; removed web");
	ck_assert_uint_eq(fake_store_count(&store), 0);
	child_stop(&child);
}
END_TEST

START_TEST(registering_again_renews_the_ttl)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 5);

	must_register(&spec, &child);
	for (int i = 0; i < 4; i++) {
		fake_advance(&fake, 4000);
		must_register(&spec, &child);
	}
	ck_assert_str_eq(events, "registered web");
	fake_advance(&fake, 5000);
	ck_assert_str_eq(health_of("web"), "critical");
	must_register(&spec, &child);
	ck_assert_str_eq(health_of("web"), "healthy");
	ck_assert_str_eq(events, "registered web; critical web; healthy web");
	child_stop(&child);
	fake_settle(&fake);
	ck_assert_uint_eq(fake_timers(&fake), 0);
}
END_TEST

START_TEST(the_ttl_of_the_last_registration_holds)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 5);

	must_register(&spec, &child);
	spec.ttl = 0;
	must_register(&spec, &child);
	fake_advance(&fake, 60000);
	ck_assert_str_eq(health_of("web"), "healthy");
	spec.ttl = 7;
	must_register(&spec, &child);
	fake_advance(&fake, 6999);
	ck_assert_str_eq(health_of("web"), "healthy");
	fake_advance(&fake, 1);
	ck_assert_str_eq(health_of("web"), "critical");
	child_stop(&child);
	fake_settle(&fake);
}
END_TEST

START_TEST(without_a_process_the_ttl_rules)
{
	struct service_spec spec = spec_of("web", "", 5);
	struct answer answer = { 0 };

	must_register(&spec, NULL);
	ck_assert_str_eq(health_of("web"), "healthy");
	fake_advance(&fake, 10000);
	ck_assert_str_eq(health_of("web"), "gone");
	must_register(&spec, NULL);
	ck_assert_int_eq(
		registry_deregister(reg, "web", NULL, NULL, on_answer, &answer, NULL),
		0);
	fake_settle(&fake);
	ck_assert_str_eq(health_of("web"), "gone");
}
END_TEST

/* ---- health ---- */

static void register_checked(const char *name, struct loopback *server,
			     const struct process_id *owner, uint32_t ttl)
{
	struct service_spec spec =
		spec_of(name, loopback_url(server, "http", "/"), ttl);

	must_register(&spec, owner);
}

START_TEST(an_instance_is_checking_until_its_first_result)
{
	struct loopback server;

	loopback_start(&server, &fake, OK200);
	register_checked("web", &server, NULL, 0);
	ck_assert_str_eq(health_of("web"), "checking");
	fake_settle(&fake);
	ck_assert_str_eq(health_of("web"), "healthy");
	ck_assert_str_eq(events, "registered web; healthy web");
	server.answer = NO503;
	fake_advance(&fake, 30000);
	ck_assert_str_eq(health_of("web"), "critical");
	ck_assert_str_eq(last_reason, "GET was answered with 503");
	fake_advance(&fake, 600000);
	ck_assert_str_eq(health_of("web"),
			 "critical"); /* it stays until deregistered */
	loopback_stop(&server);
}
END_TEST

START_TEST(discovery_is_healthy_then_checking_then_critical)
{
	struct loopback good, bad, mute;
	struct process_id children[4];
	const struct service_instance *found[4];
	struct loopback *servers[4] = { &bad, &mute, &good, &good };
	static const int expected[4] = { 2, 3, 1, 0 };

	loopback_start(&good, &fake, OK200);
	loopback_start(&bad, &fake, NO503);
	loopback_start(&mute, &fake, NULL);
	for (int i = 0; i < 4; i++) {
		children[i] = child_start();
		register_checked("web", servers[i], &children[i], 0);
	}
	fake_settle(&fake);
	ck_assert_uint_eq(registry_discover(reg, "web", found, 4), 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(found[i]->owner.pid, children[expected[i]].pid);
	for (int i = 0; i < 4; i++)
		child_stop(&children[i]);
	fake_settle(&fake);
	loopback_stop(&good);
	loopback_stop(&bad);
	loopback_stop(&mute);
}
END_TEST

START_TEST(a_lapsed_ttl_outweighs_a_good_check_and_renewal_brings_it_back)
{
	struct loopback server;

	loopback_start(&server, &fake, OK200);
	register_checked("web", &server, NULL, 20);
	fake_advance(&fake, 20000);
	ck_assert_str_eq(health_of("web"), "critical");
	fake_advance(&fake, 15000); /* a good check does not help */
	ck_assert_str_eq(health_of("web"), "critical");
	register_checked("web", &server, NULL, 20);
	ck_assert_str_eq(health_of("web"), "healthy"); /* without a new check */
	loopback_stop(&server);
}
END_TEST

START_TEST(another_check_starts_anew)
{
	struct loopback good, bad;

	loopback_start(&good, &fake, OK200);
	loopback_start(&bad, &fake, NO503);
	register_checked("web", &good, NULL, 0);
	fake_settle(&fake);
	register_checked("web", &bad, NULL, 0);
	ck_assert_str_eq(health_of("web"), "checking");
	fake_settle(&fake);
	ck_assert_str_eq(health_of("web"), "critical"); /* the first result decides */
	good.requests = 0;
	fake_advance(&fake, 60000);
	ck_assert_uint_eq(good.requests, 0);
	loopback_stop(&good);
	loopback_stop(&bad);
}
END_TEST

START_TEST(the_check_of_a_removed_instance_ends)
{
	struct loopback server;
	struct process_id child = child_start();

	loopback_start(&server, &fake, NULL);
	register_checked("web", &server, &child, 0);
	fake_settle(&fake); /* the request is on its way */
	ck_assert_uint_eq(server.requests, 1);
	child_stop(&child);
	fake_settle(&fake);
	ck_assert_str_eq(events, "registered web; removed web");
	ck_assert_uint_eq(fake_timers(&fake), 0);
	fake_advance(&fake, 60000);
	ck_assert_uint_eq(server.requests, 1);
	loopback_stop(&server);
}
END_TEST

/* ---- is it well? ---- */

START_TEST(health_is_answered_at_once_when_it_is_known)
{
	struct loopback bad;
	struct process_id child = child_start();
	bool is_healthy = true;
	struct co_err err = { 0 };

	ck_assert_int_eq(
		registry_health(reg, "web", &is_healthy, NULL, NULL, NULL, &err),
		CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "\"web\""));
	ck_assert_int_eq(
		registry_health(reg, "\n", &is_healthy, NULL, NULL, NULL, NULL),
		CO_INVALID);
	loopback_start(&bad, &fake, NO503);
	register_checked("web", &bad, NULL, 0);
	fake_settle(&fake);
	ck_assert_int_eq(
		registry_health(reg, "web", &is_healthy, NULL, NULL, NULL, NULL), 0);
	ck_assert(!is_healthy);
	must_register_name("web", &child);
	ck_assert_int_eq(
		registry_health(reg, "web", &is_healthy, NULL, NULL, NULL, NULL), 0);
	ck_assert(is_healthy);
	child_stop(&child);
	fake_settle(&fake);
	loopback_stop(&bad);
}
END_TEST

static void expect_wait(const char *text, bool is_healthy, const char *reason)
{
	struct loopback server;
	struct registry_wait *wait = NULL;
	struct answer answer = { 0 };
	bool now;

	loopback_start(&server, &fake, text);
	register_checked("web", &server, NULL, 0);
	ck_assert_int_eq(registry_health(reg, "web", &now, &wait, on_health_answer,
					 &answer, NULL),
			 REGISTRY_WAITING);
	ck_assert_ptr_nonnull(wait);
	ck_assert_int_eq(answer.runs, 0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, 0);
	ck_assert(answer.is_healthy == is_healthy);
	ck_assert_str_eq(answer.reason, reason);
	loopback_stop(&server);
}

START_TEST(health_waits_for_a_good_first_result)
{
	expect_wait(OK200, true, "GET was answered with 200");
}
END_TEST

START_TEST(health_waits_for_a_bad_first_result)
{
	expect_wait(NO503, false, "GET was answered with 503");
}
END_TEST

START_TEST(health_waits_while_any_is_checking_and_none_is_healthy)
{
	struct loopback bad, mute;
	struct process_id child = child_start(), late = child_start();
	struct registry_wait *wait;
	struct answer answer = { 0 };
	bool now;

	loopback_start(&bad, &fake, NO503);
	loopback_start(&mute, &fake, NULL);
	register_checked("web", &mute, &child, 0);
	register_checked("web", &bad, NULL, 0);
	ck_assert_int_eq(registry_health(reg, "web", &now, &wait, on_health_answer,
					 &answer, NULL),
			 REGISTRY_WAITING);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 0); /* one is critical, one may still be well */
	must_register_name("web", &late); /* healthy at once */
	ck_assert_int_eq(answer.runs, 1);
	ck_assert(answer.is_healthy);
	child_stop(&child);
	child_stop(&late);
	fake_settle(&fake);
	loopback_stop(&bad);
	loopback_stop(&mute);
}
END_TEST

START_TEST(waiting_ends_when_the_service_goes)
{
	struct loopback mute;
	struct process_id child = child_start();
	struct registry_wait *wait;
	struct answer answer = { 0 };
	bool now;

	loopback_start(&mute, &fake, NULL);
	register_checked("web", &mute, &child, 0);
	ck_assert_int_eq(registry_health(reg, "web", &now, &wait, on_health_answer,
					 &answer, NULL),
			 REGISTRY_WAITING);
	child_stop(&child);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, CO_NOT_FOUND);
	loopback_stop(&mute);
}
END_TEST

START_TEST(a_cancelled_wait_is_not_answered)
{
	struct loopback server;
	struct registry_wait *cancelled, *closed;
	struct answer a = { 0 }, b = { 0 };
	bool now;

	loopback_start(&server, &fake, NULL);
	register_checked("web", &server, NULL, 0);
	ck_assert_int_eq(registry_health(reg, "web", &now, &cancelled, on_health_answer,
					 &a, NULL),
			 REGISTRY_WAITING);
	ck_assert_int_eq(
		registry_health(reg, "web", &now, &closed, on_health_answer, &b, NULL),
		REGISTRY_WAITING);
	cancelled = registry_health_cancel(cancelled);
	reg = registry_free(reg);
	ck_assert_int_eq(a.runs, 0);
	ck_assert_int_eq(b.runs, 1);
	ck_assert_int_eq(b.status, CO_GONE);
	loopback_stop(&server);
}
END_TEST

TCase *registry_life_tests(void)
{
	TCase *tests = tcase_create("life");

	tcase_add_checked_fixture(tests, registry_set_up, registry_tear_down);
	tcase_set_timeout(tests, 300);
	tcase_add_test(tests,
		       a_killed_process_is_out_of_discovery_before_the_store_knows);
	tcase_add_test(tests, only_the_dead_process_is_removed);
	tcase_add_test(tests, the_store_is_asked_again_until_it_deletes);
	tcase_add_test(tests, the_back_off_ends_at_thirty_seconds);
	tcase_add_test(tests, a_process_that_dies_before_its_commit_is_never_visible);
	tcase_add_test(tests, a_process_that_dies_while_it_deregisters_is_removed_once);
	tcase_add_test(tests, a_late_delete_spares_what_was_registered_again);
	tcase_add_test(tests, one_missed_ttl_is_critical_and_two_remove);
	tcase_add_test(tests, registering_again_renews_the_ttl);
	tcase_add_test(tests, the_ttl_of_the_last_registration_holds);
	tcase_add_test(tests, without_a_process_the_ttl_rules);
	tcase_add_test(tests, an_instance_is_checking_until_its_first_result);
	tcase_add_test(tests, discovery_is_healthy_then_checking_then_critical);
	tcase_add_test(tests,
		       a_lapsed_ttl_outweighs_a_good_check_and_renewal_brings_it_back);
	tcase_add_test(tests, another_check_starts_anew);
	tcase_add_test(tests, the_check_of_a_removed_instance_ends);
	tcase_add_test(tests, health_is_answered_at_once_when_it_is_known);
	tcase_add_test(tests, health_waits_for_a_good_first_result);
	tcase_add_test(tests, health_waits_for_a_bad_first_result);
	tcase_add_test(tests, health_waits_while_any_is_checking_and_none_is_healthy);
	tcase_add_test(tests, waiting_ends_when_the_service_goes);
	tcase_add_test(tests, a_cancelled_wait_is_not_answered);
	return tests;
}
