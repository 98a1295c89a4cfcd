/* SPDX-License-Identifier: MIT */
/* docs/spec/blackroad.md against personality/blackroad.  HOST, tests only. */
#include "coverage.h"

#include <stdlib.h>
#include <string.h>

enum { ENDPOINTS = 18 };

#define ENDPOINT "^(GET|POST|PUT|DELETE|PATCH) (/[^ ]*)$"

START_TEST(every_endpoint_has_a_row_in_its_place)
{
	const struct co_personality *p = co_personality_find("blackroad");
	char *text = seed_load("blackroad.md");
	struct seed_search s = seed_search(text, ENDPOINT);
	size_t n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_key("blackroad", s.group[0]);

		ck_assert_msg(op == &p->ops[n], "%s is not row %zu", s.group[0], n);
		ck_assert_str_eq(op->heading, s.group[0]);
		n++;
	}
	ck_assert_uint_eq(n, ENDPOINTS);
	/* ours stand behind them, and no specification has them */
	for (; n < p->nops; n++)
		ck_assert_str_eq(p->ops[n].heading, "");
	free(text);
}
END_TEST

static void demand_argument(const struct co_op *op, const char *name)
{
	for (uint32_t i = 0; i < op->nargs; i++)
		if (strcmp(op->args[i].name, name) == 0)
			return;
	ck_abort_msg("%s has no argument %s", op->key, name);
}

/* From one endpoint to the next: its query parameters and what its path contains. */
START_TEST(every_parameter_of_an_endpoint_is_an_argument)
{
	char *text = seed_load("blackroad.md");
	struct seed_search s =
		seed_search(text, ENDPOINT "|^ *• ([a-z]+) \\(optional\\)");
	const struct co_op *op = NULL;
	int n = 0;

	while (seed_next(&s)) {
		char *id = strstr(s.group[2], "/:");

		if (*s.group[1] != '\0')
			op = row_of_key("blackroad", s.group[0]);
		else
			demand_argument(op, s.group[3]);
		if (id != NULL) {
			id[2 + strcspn(id + 2, "/")] = '\0';
			demand_argument(op, id + 2);
		}
		n++;
	}
	ck_assert_int_eq(n, ENDPOINTS + 10);
	free(text);
}
END_TEST

/* The first object behind an endpoint that takes one is an example of its body. */
START_TEST(every_member_of_a_request_body_is_an_argument)
{
	char *text = seed_load("blackroad.md");
	struct seed_search s = seed_search(text, "^(POST|PUT) (/[^ ]*)$");
	int members = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_key("blackroad", s.group[0]);
		char *body;
		struct seed_search m;

		if (strstr(s.at, "Request: None") != NULL &&
		    strstr(s.at, "Request: None") < strstr(s.at, "Response"))
			continue;
		body = seed_between(s.at, "\n{", "\n}");
		m = seed_search(body, "^  \"([A-Za-z]+)\":");
		while (seed_next(&m)) {
			demand_argument(op, m.group[1]);
			members++;
		}
		free(body);
	}
	ck_assert_int_eq(members, 3 + 4 + 3 + 2 + 3 + 3);
	free(text);
}
END_TEST

TCase *blackroad_coverage(void)
{
	TCase *tests = tcase_create("blackroad");

	tcase_add_test(tests, every_endpoint_has_a_row_in_its_place);
	tcase_add_test(tests, every_parameter_of_an_endpoint_is_an_argument);
	tcase_add_test(tests, every_member_of_a_request_body_is_an_argument);
	return tests;
}
