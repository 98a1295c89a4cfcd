/* SPDX-License-Identifier: MIT */
/* Conformance: leases.  HOST. */
#include "tests/conformance/suite.h"

#include <stdio.h>

START_TEST(keys_go_with_their_lease)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev, rev;

	ck_assert_uint_ne(lease, 0);
	client_put_lease(&a, s, "l/1", "x", lease);
	rev = client_put_lease(&a, s, "l/2", "x", lease)->rev;
	client_put(&a, s, "l/3", "x");
	ck_assert_uint_eq(client_get(&a, s, "l/1")->items[0].lease, lease);
	conformance_pass_ms(4999);
	client_list(&b, s, "l/", NULL, 0, 0);
	ck_assert_uint_eq(b.n, 3);
	conformance_pass_ms(1);
	client_list(&b, s, "l/", NULL, 0, 0);
	ck_assert_uint_eq(b.n, 1);
	ck_assert_uint_eq(b.rev, rev + 2);
	ck_assert_int_eq(client_put_lease(&a, s, "l/4", "x", lease)->status,
			 CO_NOT_FOUND);
	ck_assert_int_eq(client_keepalive(&a, s, lease)->status, CO_NOT_FOUND);
}
END_TEST

START_TEST(a_lease_kept_alive_does_not_lapse)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	for (int i = 0; i < 5; i++) {
		conformance_pass_ms(4000);
		ck_assert_int_eq(client_keepalive(&a, s, lease)->status, 0);
	}
	ck_assert(client_get(&a, s, "k")->ops[0].found);
	conformance_pass_ms(5000);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
}
END_TEST

START_TEST(revoking_deletes_at_once)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, 0);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, CO_NOT_FOUND);
}
END_TEST

START_TEST(a_put_without_the_lease_leaves_it)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	client_put(&a, s, "k", "y");
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, 0);
	ck_assert(client_get(&a, s, "k")->ops[0].found);
}
END_TEST

START_TEST(leases_outlive_a_restart_with_their_full_ttl)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	conformance_pass_ms(4000);
	conformance_reopen();
	conformance_pass_ms(4000);
	ck_assert(client_get(&a, s, "k")->ops[0].found);
	conformance_pass_ms(1000);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
	ck_assert_uint_gt(client_grant(&a, s, 5000)->rev, lease);
}
END_TEST

START_TEST(the_earliest_of_many_leases_lapses_first)
{
	uint64_t leases[64];
	char key[16];

	for (uint64_t i = 0; i < 64; i++) {
		leases[i] = client_grant(&a, s, 1000 + (i * 37 % 64) * 100)->rev;
		snprintf(key, sizeof(key), "%04llu",
			 (unsigned long long) (i * 37 % 64));
		client_put_lease(&a, s, key, "x", leases[i]);
	}
	for (size_t left = 64; left > 0; left--) {
		conformance_pass_ms(left == 64 ? 1000 : 100);
		client_list(&b, s, "", NULL, 0, 0);
		ck_assert_uint_eq(b.n, left - 1);
		snprintf(key, sizeof(key), "%04zu", 65 - left);
		if (b.n)
			ck_assert_str_eq(b.items[0].key, key);
	}
}
END_TEST

/* What suite.c adds to the run. */
TCase *conformance_leases(void)
{
	const TTest *const tests[] = {
		keys_go_with_their_lease,
		a_lease_kept_alive_does_not_lapse,
		revoking_deletes_at_once,
		a_put_without_the_lease_leaves_it,
		leases_outlive_a_restart_with_their_full_ttl,
		the_earliest_of_many_leases_lapses_first,
	};
	TCase *tc = tcase_create("leases");

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	return tc;
}
