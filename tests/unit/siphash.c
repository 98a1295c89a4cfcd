/* SPDX-License-Identifier: MIT */
/* Tests of co/siphash.h: the vectors that its authors published.  HOST. */
#include <co/siphash.h>

#include "tests/run.h"

START_TEST(hashes_as_its_authors_say)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} known[] = { { 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },
		      { 7, 0xab0200f58b01d137 },  { 8, 0x93f5f5799a932462 },
		      { 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb } };
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char data[16];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char) i;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ck_assert_uint_eq(co_siphash(key, data, known[i].n), known[i].hash);
}
END_TEST

START_TEST(another_key_gives_another_hash)
{
	const uint64_t one[2] = { 1, 2 }, two[2] = { 2, 1 };

	ck_assert_uint_ne(co_siphash(one, "SYSTEM::VFS", 11),
			  co_siphash(two, "SYSTEM::VFS", 11));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("siphash");

	tcase_add_test(tc, hashes_as_its_authors_say);
	tcase_add_test(tc, another_key_gives_another_hash);
	return run_tests(tc);
}
