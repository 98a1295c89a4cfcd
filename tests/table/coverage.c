/* SPDX-License-Identifier: MIT */
/* The program seed-coverage: runs the parts of coverage.h.  HOST, tests only. */
#include "coverage.h"

#include <string.h>

const struct co_op *row_of_name(const char *personality, const char *name)
{
	const struct co_personality *p = co_personality_find(personality);

	for (size_t i = 0; i < p->nops; i++)
		if (strcmp(p->ops[i].name, name) == 0)
			return &p->ops[i];
	ck_abort_msg("%s/ops.def has no row %s, which the specification names",
		     personality, name);
	return NULL;
}

const struct co_op *row_of_key(const char *personality, const char *key)
{
	const struct co_personality *p = co_personality_find(personality);

	for (size_t i = 0; i < p->nops; i++)
		if (strcmp(p->ops[i].key, key) == 0)
			return &p->ops[i];
	ck_abort_msg(
		"%s/ops.def has no row with the key %s, which the specification names",
		personality, key);
	return NULL;
}

int main(void)
{
	Suite *suite = suite_create("seed coverage");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, cloudos_coverage());
	suite_add_tcase(suite, blackroad_coverage());
	suite_add_tcase(suite, clankeros_coverage());
	suite_add_tcase(suite, playsys_coverage());
	suite_add_tcase(suite, anos_coverage());
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
