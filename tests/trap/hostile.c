/* SPDX-License-Identifier: MIT */
/*
 * Runs one case: trap-hostile NAME; trap-hostile --list prints the names and what must
 * come of them under the trap engine; trap-hostile can_dispatch ends with 0 where the kernel
 * has syscall user dispatch.  HOST.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trap/hostile.h"

/*
 * same      output and end are those of a native run
 * sentence  the same, or it ends with a sentence of ours and status 125
 * lives     it comes to its end, whatever it was answered; or a sentence
 * any       it may end in any way: it has destroyed what would have told
 * patched   the same as long as its code may be patched, otherwise any
 * prints:   lines that differ from a native run's on purpose, separated by |
 */
static const struct {
	const char *name, *outcome;
	hostile_case *run;
} cases[] = {
/* clang-format off */
#define CASE(name, outcome) { #name, #outcome, name }
#define PRINTS(name, lines) { #name, "prints:" lines, name }
	CASE(block_every_signal, same),
	CASE(own_sigsys_handler, same),
	CASE(sigsys_from_others, same),
	CASE(sigsys_ignored, same),
	CASE(sigsys_in_every_mask, same),
	CASE(forged_sigreturn, same),
	CASE(handler_on_small_stack, same),
	CASE(unmap_shim, lives),
	CASE(map_over_shim, lives),
	CASE(protect_shim, lives),
	CASE(discard_shim, lives),
	CASE(move_shim, lives),
	CASE(overwrite_shim, any),
	CASE(no_room, same),
	CASE(no_memory, same),
	CASE(system_break, same),
	CASE(registers_survive, same),
	CASE(jump_to_the_call, same),
	CASE(jump_into_the_middle, any),
	CASE(tiny_stack, any),
	CASE(patched_then_no_stack, patched),
	CASE(no_stack, any),
	CASE(int80_from_64_bits, sentence),
	CASE(x32_numbers, same),
	PRINTS(io_uring, "setup -38|enter -38|register -38|the end"),
	CASE(vsyscall_page, same),
	CASE(strange_numbers, same),
	CASE(many_sites, sentence),
	CASE(changing_code, same),
	CASE(strange_segments, same),
	CASE(code_at_the_edge, same),
	CASE(close_everything, same),
	CASE(no_descriptors, same),
	PRINTS(children_are_caught,
	       "itself 38|fork 38|fork, as a call 38|vfork 38|clone3 38|"
	       "clone with a stack 38|clone that stops us 38|thread 38|spawned 38|"
	       "grandchild 38|the end"),
	PRINTS(signals_at_birth, "wrong 0|the end"),
	PRINTS(children_of_threads, "wrong 0|the end"),
	CASE(is_caught, any),
	CASE(killed_children, same),
	PRINTS(own_dispatch, "dispatch -22|off -22|the end"),
	PRINTS(own_filter, "privileges 0|prctl -22|seccomp -22|mode 0|the end"),
};
/* clang-format on */
#define CASES (sizeof(cases) / sizeof(cases[0]))

void say(const char *sentence, long number)
{
	char line[256];
	size_t n = 0;

	for (const char *c = sentence; *c && n < 200; c++)
		if (*c == '%')
			n += (size_t) snprintf(line + n, sizeof(line) - n, "%ld",
					       number);
		else
			line[n++] = *c;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != (ssize_t) n)
		_exit(99);
}

_Noreturn void cannot(const char *why)
{
	say(why, 0);
	_exit(3);
}

void in_child(const char *name, void (*run)(void))
{
	pid_t pid = fork();
	char line[128];
	int status;

	if (pid == 0) {
		run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		say("no child", 0);
		return;
	}
	(void) snprintf(line, sizeof(line), "%s: %s %%", name,
			WIFEXITED(status) ? "exited" : "killed by signal");
	say(line, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void *code(const void *bytes, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	if (at == MAP_FAILED)
		cannot("no memory");
	memcpy(at, bytes, size);
	if (mprotect(at, size, PROT_READ | PROT_EXEC) < 0)
		cannot("no executable memory");
	return at;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "can_dispatch") == 0)
		return prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 0, 0, 0, 0) ? 1 : 0;
	for (size_t i = 0; i < CASES; i++) {
		if (argc == 2 && strcmp(argv[1], "--list") == 0) {
			(void) printf("%s %s\n", cases[i].name, cases[i].outcome);
		} else if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			say("the end", 0);
			return 0;
		}
	}
	return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
