/* SPDX-License-Identifier: MIT */
/* SYSTEM starts programs.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/system.h"
#include "lib/cleanup.h"
#include "personality/anos/system/boot.h"

enum {
	LOADER_WORDS = 3 /* before the program's own: config, path, start file */
};

int system_inherit(const struct system *system, char *word, size_t n)
{
	(void) snprintf(word, n, "%d", system->start); /* fits */
	if (fcntl(system->start, F_SETFD, 0) < 0 ||
	    fcntl(system->program, F_SETFD, 0) < 0 ||
	    fcntl(system->display, F_SETFD, 0) < 0 ||
	    fcntl(system->log_fds[1], F_SETFD, 0) < 0)
		return errno;
	return 0;
}

static int start_write(const struct system *system, int fd, uint64_t stack_size,
		       const struct co_anos_capability *caps, uint64_t capc,
		       struct co_err *err)
{
	struct co_anos_start start;
	int rc = anos_start_init(&start, &system->tokens, stack_size, caps, capc, err);

	if (rc)
		return rc;
	start.framebuffer = system->display;
	start.width = system->options.width;
	start.height = system->options.height;
	start.pitch = system->options.width * 4;
	start.log = system->log_fds[1];
	if (pwrite(fd, &start, sizeof(start), 0) != sizeof(start))
		return co_fail_errno(err, errno, "cannot write a memory file");
	return 0;
}

int system_first(struct system *system, struct co_err *err)
{
	struct co_anos_capability caps[CO_ANOS_CALLS];
	uint64_t capc = 0;

	for (uint64_t id = 1; id < CO_ANOS_CALLS; id++)
		if (system->tokens.token[id])
			caps[capc++] =
				(struct co_anos_capability){ id,
							     system->tokens.token[id] };
	return start_write(system, system->start, 0, caps, capc, err);
}

/* ---- SYSTEM::PROCESS ---- */

/* As if it had been the first program: no signal of the launcher's is ignored or blocked
 * in it, and it has the descriptors that it needs at their numbers. */
static int attributes(const struct system *system, posix_spawnattr_t *attr,
		      posix_spawn_file_actions_t *actions, const int *fds, size_t n)
{
	sigset_t all;
	int rc = 0;

	(void) sigfillset(&all);
	for (size_t i = 0; i < n && !rc; i++) /* the same number: not closed on exec */
		rc = posix_spawn_file_actions_adddup2(actions, fds[i], fds[i]);
	if (!rc)
		rc = posix_spawnattr_setsigdefault(attr, &all);
	if (!rc)
		rc = posix_spawnattr_setsigmask(attr, &system->mask);
	if (!rc)
		rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETSIGMASK);
	return rc;
}

static int spawn_loader(const struct system *system, char **argv, int program,
			int start, pid_t *pid)
{
	extern char **environ;
	const int fds[] = { program, start, system->display, system->log_fds[1] };
	posix_spawnattr_t attr;
	posix_spawn_file_actions_t actions;
	int rc = posix_spawnattr_init(&attr);

	if (rc)
		return rc;
	rc = posix_spawn_file_actions_init(&actions);
	if (!rc) {
		rc = attributes(system, &attr, &actions, fds, co_countof(fds));
		if (!rc)
			rc = posix_spawn(pid, system->trap->loader, &actions, &attr,
					 argv, environ);
		(void) posix_spawn_file_actions_destroy(&actions);
	}
	(void) posix_spawnattr_destroy(&attr);
	return rc;
}

/* Errno. */
static int start_program(const struct system *system, const struct anos_spawn *spawn,
			 int program, int start, pid_t *pid)
{
	char config[CO_TRAP_CONFIG_MAX], word[16];
	char *argv[CO_LIMIT_ANOS_ARGUMENTS + LOADER_WORDS + 1] = { NULL };
	const struct trap_words words = { .personality = system->personality,
					  .session = system->session,
					  .program = program,
					  .folder = system->folder };
	int rc = trap_config(system->trap, &words, config, sizeof(config));

	if (rc)
		return rc;
	(void) snprintf(word, sizeof(word), "%d", start); /* fits */
	argv[0] = config;
	argv[1] = (char *) spawn->argv[0];
	argv[2] = word;
	for (size_t i = 0; i < spawn->argc; i++)
		argv[LOADER_WORDS + i] = (char *) spawn->argv[i];
	return spawn_loader(system, argv, program, start, pid);
}

int64_t system_spawn(void *ctx, const struct anos_spawn *spawn, int32_t parent)
{
	struct system *system = ctx;
	const char *name = anos_boot_name(spawn->argv[0]);
	struct co_anos_capability caps[CO_LIMIT_ANOS_CAPABILITIES];
	autoclose int program = -1;
	autoclose int start = -1;
	struct co_err err = { 0 };
	pid_t pid;
	int rc;

	if (!name || anos_root_descriptor(&system->root, name, &program, &err))
		return ANOS_SPAWN_BAD_PROGRAM;
	for (size_t i = 0; i < spawn->capc; i++)
		caps[i] = (struct co_anos_capability){ spawn->caps[i].call,
						       spawn->caps[i].token };
	start = memfd_create("anos start", MFD_CLOEXEC);
	rc = start < 0 ? co_fail_errno(&err, errno, "cannot make a memory file")
		       : start_write(system, start, spawn->stack_size, caps,
				     spawn->capc, &err);
	if (!rc) {
		rc = start_program(system, spawn, program, start, &pid);
		if (rc)
			rc = co_fail_errno(&err, rc, "cannot start the loader %s",
					   system->trap->loader);
	}
	if (!rc)
		return pid;
	(void) fprintf(stderr, "cloudos-exec: process %d asked for %s: %s\n", parent,
		       spawn->argv[0], err.message);
	return ANOS_SPAWN_FAILED;
}
