/* SPDX-License-Identifier: MIT */
/* Tests of what survives a restart, and of stored values nobody can trust.  HOST. */
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/service/https.h"
#include "tests/unit/loopback.h"
#include "tests/unit/registry_fixture.h"

START_TEST(what_lives_survives_a_restart)
{
	struct process_id child = child_start();
	struct service_spec spec = spec_of("web", "", 0);
	const struct service_instance *found;
	uint64_t since;

	(void) snprintf(spec.metadata, sizeof(spec.metadata), "zone=a");
	must_register(&spec, &child);
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	since = found->registered_ns;
	fake_advance(&fake, 5000);
	registry_restart();
	ck_assert_uint_eq(registry_count(reg, NULL), 0);
	must_load();
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert(service_spec_same(&found->spec, &spec));
	ck_assert(process_same(&found->owner, &child));
	ck_assert_uint_eq(found->session, 1);
	ck_assert_uint_eq(found->registered_ns, since);
	ck_assert_str_eq(events, "registered web");
	child_stop(&child); /* and it is watched again */
	fake_settle(&fake);
	ck_assert_str_eq(health_of("web"), "gone");
	ck_assert_uint_eq(fake_store_count(&store), 0);
}
END_TEST

START_TEST(what_died_meanwhile_is_deleted)
{
	struct process_id dead = child_start(), alive = child_start();

	must_register_name("web", &dead);
	must_register_name("web", &alive);
	reg = registry_free(reg);
	child_kill(&dead); /* a zombie is dead, too */
	registry_restart();
	must_load();
	ck_assert_uint_eq(registry_count(reg, "web"), 1);
	ck_assert_ptr_nonnull(registry_find(reg, "web", &alive));
	ck_assert_uint_eq(fake_store_count(&store), 1);
	ck_assert_ptr_nonnull(strstr(events, "removed web"));
	child_reap(&dead);
	child_stop(&alive);
	fake_settle(&fake);
}
END_TEST

static void store_record(const struct service_record *record)
{
	uint8_t value[SERVICE_RECORD_MAX];
	char key[SERVICE_KEY_SIZE];
	size_t size = service_record_encode(record, value);

	service_key(key, record->spec.name, &record->owner);
	fake_store_put(&store, key, value, size);
}

static struct service_record record_of(const char *name)
{
	struct service_record record = { .spec = spec_of(name, "", 0), .session = 9 };

	ck_assert_int_eq(process_read(getpid(), &record.owner, NULL), 0);
	return record;
}

START_TEST(another_boot_or_start_time_is_not_taken_over)
{
	struct service_record record = record_of("web");

	record.owner.boot++;
	store_record(&record);
	record = record_of("api");
	record.owner.start_time--;
	store_record(&record);
	must_load();
	ck_assert_uint_eq(registry_count(reg, NULL), 0);
	ck_assert_uint_eq(fake_store_count(&store), 0);
	ck_assert_ptr_null(strstr(events, "trouble"));
}
END_TEST

START_TEST(without_a_process_it_survives_with_a_new_ttl_and_a_new_check)
{
	struct service_spec spec = spec_of("web", "", 5);
	struct loopback server;

	loopback_start(&server, &fake, "HTTP/1.1 200 OK\r\n\r\n");
	must_register(&spec, NULL);
	spec = spec_of("api", loopback_url(&server, "http", "/"), 0);
	must_register(&spec, NULL);
	fake_advance(&fake, 4000);
	ck_assert_str_eq(health_of("api"), "healthy");
	registry_restart();
	server.answer = NULL;
	must_load();
	ck_assert_str_eq(health_of("web"), "healthy");
	ck_assert_str_eq(health_of("api"), "checking");
	fake_advance(&fake, 4999);
	ck_assert_str_eq(health_of("web"), "healthy");
	fake_advance(&fake, 1);
	ck_assert_str_eq(health_of("web"), "critical");
	loopback_stop(&server);
}
END_TEST

START_TEST(many_pages_are_loaded_in_order_of_age)
{
	enum { MANY = 600 };
	const struct service_instance *found[2];
	struct service_record record = { .spec = spec_of("", "", 60) };
	struct process_id child = child_start();

	for (int i = 0; i < MANY; i++) {
		(void) snprintf(record.spec.name, sizeof(record.spec.name), "s%04d", i);
		store_record(&record);
	}
	record = record_of("web"); /* its key sorts first or last: the pid decides */
	record.registered_ns = 5;
	store_record(&record);
	record.owner = child;
	record.registered_ns = 4;
	store_record(&record);
	must_load();
	ck_assert_uint_eq(registry_count(reg, NULL), MANY + 2);
	ck_assert_uint_eq(registry_discover(reg, "web", found, 2), 2);
	ck_assert_uint_eq(found[0]->registered_ns, 4);
	ck_assert_uint_eq(found[1]->registered_ns, 5);
	child_stop(&child);
	fake_settle(&fake);
}
END_TEST

START_TEST(a_store_that_cannot_list_is_reported)
{
	struct answer answer = { 0 };

	store.fail = CO_IO;
	ck_assert_int_eq(registry_load(reg, on_answer, &answer), 0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, CO_IO);
	store.refuse = CO_GONE;
	ck_assert_int_eq(registry_load(reg, on_answer, &answer), CO_GONE);
	ck_assert_int_eq(answer.runs, 1);
}
END_TEST

START_TEST(freeing_while_loading_answers_once)
{
	struct answer answer = { 0 };
	struct service_record record = record_of("web");

	store_record(&record);
	store.hold = true;
	ck_assert_int_eq(registry_load(reg, on_answer, &answer), 0);
	reg = registry_free(reg);
	fake_store_release(&store);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, CO_GONE);
	ck_assert_uint_eq(fake_store_count(&store), 1);
}
END_TEST

START_TEST(https_without_libcurl_is_loaded_as_critical)
{
	struct service_record record = record_of("web");
	const struct service_instance *found;

	(void) snprintf(record.spec.health_check, sizeof(record.spec.health_check),
			"https://127.0.0.1/");
	store_record(&record);
	https_library("libcurl-is-not-here.so.4");
	must_load();
	ck_assert_uint_eq(registry_discover(reg, "web", &found, 1), 1);
	ck_assert_int_eq(found->health, HEALTH_CRITICAL);
	ck_assert_ptr_nonnull(strstr(found->reason, "libcurl4"));
	ck_assert_str_eq(found->spec.health_check, "https://127.0.0.1/");
}
END_TEST

/* ---- values that nobody can trust ---- */

START_TEST(damaged_values_are_deleted_and_reported_and_the_rest_is_loaded)
{
	struct service_record record = record_of("web");
	uint8_t value[SERVICE_RECORD_MAX];
	size_t size = service_record_encode(&record, value);

	store_record(&record);
	fake_store_put(&store, "/svc/empty/1.1", "", 0);
	fake_store_put(&store, "/svc/text/1.1", "hello", 5);
	fake_store_put(&store, "/svc/other/1.1", value, size); /* under another key */
	must_load();
	ck_assert_uint_eq(registry_count(reg, NULL), 1);
	ck_assert_str_eq(health_of("web"), "healthy");
	ck_assert_uint_eq(fake_store_count(&store), 1);
	ck_assert_str_eq(events, "trouble; trouble; trouble; registered web");
}
END_TEST

START_TEST(a_record_is_read_as_it_was_written)
{
	struct service_record record = record_of("web"), out;
	uint8_t value[SERVICE_RECORD_MAX];
	char key[SERVICE_KEY_SIZE];
	size_t size;

	memset(record.spec.endpoint, 'e', sizeof(record.spec.endpoint) - 1);
	memset(record.spec.metadata, 'm', sizeof(record.spec.metadata) - 1);
	memset(record.spec.version, 'v', sizeof(record.spec.version) - 1);
	memset(record.spec.name, 'n', sizeof(record.spec.name) - 1);
	memcpy(record.spec.health_check, "http://h/", 9);
	memset(record.spec.health_check + 9, 'h',
	       sizeof(record.spec.health_check) - 10);
	record.spec.ttl = 5;
	record.spec.instances = UINT32_MAX;
	record.registered_ns = UINT64_MAX;
	service_key(key, record.spec.name, &record.owner);
	size = service_record_encode(&record, value);
	ck_assert_uint_le(size, SERVICE_RECORD_MAX);
	ck_assert_int_eq(service_record_decode(&out, key, value, size, NULL), 0);
	ck_assert(service_spec_same(&out.spec, &record.spec));
	ck_assert(process_same(&out.owner, &record.owner));
	ck_assert_uint_eq(out.session, 9);
	ck_assert_uint_eq(out.registered_ns, UINT64_MAX);
}
END_TEST

/* Decodes from a buffer of exactly that size, so that a sanitizer sees a step too far. */
static int decode_exactly(const char *key, const uint8_t *value, size_t size)
{
	struct service_record out;
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, value, size);
	r = service_record_decode(&out, key, copy, size, NULL);
	free(copy);
	return r;
}

START_TEST(every_truncation_and_every_flipped_bit_is_noticed)
{
	struct service_record record = record_of("web");
	uint8_t value[SERVICE_RECORD_MAX + 1] = { 0 };
	char key[SERVICE_KEY_SIZE];
	size_t size = service_record_encode(&record, value);

	service_key(key, "web", &record.owner);
	ck_assert_int_eq(decode_exactly(key, value, size), 0);
	for (size_t n = 0; n < size; n++)
		ck_assert_int_eq(decode_exactly(key, value, n), CO_CORRUPT);
	ck_assert_int_eq(decode_exactly(key, value, size + 1), CO_CORRUPT);
	for (size_t bit = 0; bit < size * 8; bit++) {
		value[bit / 8] ^= (uint8_t) (1U << (bit % 8));
		ck_assert_int_eq(decode_exactly(key, value, size), CO_CORRUPT);
		value[bit / 8] ^= (uint8_t) (1U << (bit % 8));
	}
}
END_TEST

START_TEST(a_record_with_a_right_checksum_still_keeps_to_the_rules)
{
	struct service_record record = record_of("web");
	uint8_t value[SERVICE_RECORD_MAX];
	char key[SERVICE_KEY_SIZE];

	record.spec.port = 70000;
	service_key(key, "web", &record.owner);
	ck_assert_int_eq(
		decode_exactly(key, value, service_record_encode(&record, value)),
		CO_CORRUPT);
	record = record_of("web");
	(void) snprintf(record.spec.health_check, sizeof(record.spec.health_check),
			"rm -rf /");
	ck_assert_int_eq(
		decode_exactly(key, value, service_record_encode(&record, value)),
		CO_CORRUPT);
	record = record_of("a/b");
	service_key(key, "a/b", &record.owner);
	ck_assert_int_eq(
		decode_exactly(key, value, service_record_encode(&record, value)),
		CO_CORRUPT);
	record = record_of("web");
	record.owner.pid = -5;
	service_key(key, "web", &record.owner);
	ck_assert_int_eq(
		decode_exactly(key, value, service_record_encode(&record, value)),
		CO_CORRUPT);
}
END_TEST

TCase *registry_load_tests(void)
{
	TCase *tests = tcase_create("load");

	tcase_add_checked_fixture(tests, registry_set_up, registry_tear_down);
	tcase_set_timeout(tests, 300);
	tcase_add_test(tests, what_lives_survives_a_restart);
	tcase_add_test(tests, what_died_meanwhile_is_deleted);
	tcase_add_test(tests, another_boot_or_start_time_is_not_taken_over);
	tcase_add_test(tests,
		       without_a_process_it_survives_with_a_new_ttl_and_a_new_check);
	tcase_add_test(tests, many_pages_are_loaded_in_order_of_age);
	tcase_add_test(tests, a_store_that_cannot_list_is_reported);
	tcase_add_test(tests, freeing_while_loading_answers_once);
	tcase_add_test(tests, https_without_libcurl_is_loaded_as_critical);
	tcase_add_test(tests,
		       damaged_values_are_deleted_and_reported_and_the_rest_is_loaded);
	tcase_add_test(tests, a_record_is_read_as_it_was_written);
	tcase_add_test(tests, every_truncation_and_every_flipped_bit_is_noticed);
	tcase_add_test(tests, a_record_with_a_right_checksum_still_keeps_to_the_rules);
	return tests;
}
