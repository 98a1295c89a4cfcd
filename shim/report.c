/* SPDX-License-Identifier: MIT */
/* GUEST.  Sentences for people, on standard error.  Called when something cannot go on. */
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

enum { STATUS_LAUNCHER = 125, STANDARD_ERROR = 2 };

void shim_say(const char *sentence, uint64_t number)
{
	char line[512], part[2] = { 0 };
	struct shim_fmt out = shim_fmt_init(line, sizeof(line) - 1);

	shim_fmt_text(&out, "cloudos: ");
	for (const char *c = sentence; *c; c++) {
		if (*c == '%') {
			shim_fmt_hex(&out, number);
			continue;
		}
		part[0] = *c;
		shim_fmt_text(&out, part);
	}
	*out.at = '\n';
	(void) shim_syscall(__NR_write, STANDARD_ERROR, (long) line,
			    out.at + 1 - line, 0, 0, 0);
}

_Noreturn void shim_die(const char *sentence, uint64_t number)
{
	shim_say(sentence, number);
	for (;;)
		(void) shim_syscall(__NR_exit_group, STATUS_LAUNCHER, 0, 0, 0, 0, 0);
}
