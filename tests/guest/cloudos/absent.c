/* SPDX-License-Identifier: MIT */
/* Every row that is ABSENT, straight from the table: refused, with its note as reason. */
#include "guest.h"

/* clang-format off */
enum support { FULL, PARTIAL, ABSENT };

static const struct {
	long number;
	const char *name;
	enum support support;
	const char *note;
} rows[] = {
#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args, heading, note) { key #name, support, note },
#undef NUM
#define NUM(n) (n),
#undef LINUX
#define LINUX(call) -1,
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
};
/* clang-format on */

static void is_absent(size_t i)
{
	error_info_t info;

	(void) RAW(clear_error); /* so that the reason below is of this call */
	check_number(raw_call(rows[i].number, (const uintptr_t[6]){ 0 }),
		     RAW_CODE(CLOUDOS_EACCES), rows[i].name);
	info = last_error();
	check(info.error_code == CLOUDOS_EACCES && strstr(info.message, rows[i].note),
	      "for the reason in its note: %s", info.message);
}

int main(void)
{
	int absent = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].support != ABSENT || rows[i].number < 0)
			continue;
		is_absent(i);
		absent++;
	}
	printf("# %d rows are absent\n", absent);
	return done();
}
