/* SPDX-License-Identifier: MIT */
/* GUEST.  Sentences for people, on standard error.  Called when something cannot go on. */
#include <shim/elf.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

enum { STATUS_LAUNCHER = 125, STATUS_NOT_EXECUTABLE = 126, STANDARD_ERROR = 2 };

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
	(void) shim_syscall(__NR_write, STANDARD_ERROR, (long) line, out.at + 1 - line,
			    0, 0, 0);
}

_Noreturn void shim_die(const char *sentence, uint64_t number)
{
	shim_say(sentence, number);
	for (;;)
		(void) shim_syscall(__NR_exit_group, STATUS_LAUNCHER, 0, 0, 0, 0, 0);
}

static const char *reason(int error)
{
	switch (error) {
	case -ENOENT:
		return "it, or the interpreter that its first line or its ELF header names, "
		       "is missing";
	case -EACCES:
		return "permission denied";
	case -ENOEXEC:
		return "it is no program that this machine runs";
	case -ELOOP:
		return "too many interpreters in a row";
	default:
		return shim_elf_sentence(error);
	}
}

_Noreturn void shim_refuse(const char *path, int error)
{
	char sentence[400];
	struct shim_fmt out = shim_fmt_init(sentence, sizeof(sentence));

	shim_fmt_text(&out, "cannot run ");
	shim_fmt_text(&out, path);
	shim_fmt_text(&out, ": ");
	shim_fmt_text(&out, reason(error));
	shim_say(sentence, (uint64_t) (error < 0 ? -error : error));
	for (;;)
		(void) shim_syscall(__NR_exit_group, STATUS_NOT_EXECUTABLE, 0, 0, 0, 0,
				    0);
}
