/* SPDX-License-Identifier: MIT */
/* Engine trap as the launcher sees it.  HOST. */
#include "cli/trap.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define LOADER      "cloudos-loader"
#define LOADER_ANOS "cloudos-loader-anos"

int trap_mechanism(struct trap *t, const char *name, struct co_err *err)
{
	bool sud = !strcmp(name, "sud");

	if (!sud && strcmp(name, "seccomp") != 0)
		return co_fail(
			err, CO_INVALID,
			"engine trap catches calls with seccomp or sud (syscall user "
			"dispatch), not with \"%s\"",
			name);
	t->asked = true;
	t->seccomp = !sud;
	t->flags = sud ? t->flags | CO_TRAP_SUD : t->flags & ~(uint32_t) CO_TRAP_SUD;
	return 0;
}

static int word(struct trap *t, const char *name, struct co_err *err)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = { { "no-patch", CO_TRAP_NO_PATCH },
		      { "allow-guest-seccomp", CO_TRAP_GUEST_SECCOMP },
		      { "eager", CO_TRAP_EAGER } };

	for (size_t i = 0; i < co_countof(flags); i++)
		if (!strcmp(flags[i].name, name)) {
			t->flags |= flags[i].flag;
			return 0;
		}
	if (!strcmp(name, "sud") || !strcmp(name, "seccomp"))
		return trap_mechanism(t, name, err);
	return co_fail(err, CO_INVALID,
		       "CO_TRAP has a word \"%s\"; it knows seccomp, sud, no-patch, "
		       "allow-guest-seccomp and eager",
		       name);
}

int trap_words(struct trap *t, const char *words, struct co_err *err)
{
	bool asked = t->asked;
	int r = 0;

	while (words && *words && !r) {
		size_t length = strcspn(words, " ");
		char name[32];

		(void) snprintf(name, sizeof(name), "%.*s", (int) length, words);
		if (length)
			r = word(t, name, err);
		words += length + (words[length] != 0);
	}
	t->asked = asked; /* the variable is about runs that are under trap anyway */
	return r;
}

/* The engine takes SIGSYS for itself; the program finds it as its caller left it. */
static void remember_sigsys(struct trap *t)
{
	struct sigaction sigsys;
	sigset_t blocked;

	if (sigaction(SIGSYS, NULL, &sigsys) == 0 && sigsys.sa_handler == SIG_IGN)
		t->flags |= CO_TRAP_SIGSYS_IGNORED;
	if (sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 &&
	    sigismember(&blocked, SIGSYS))
		t->flags |= CO_TRAP_SIGSYS_BLOCKED;
}

int trap_find_loader(struct trap *t, const char *personality, struct co_err *err)
{
	const char *name = strcmp(personality, "anos") ? LOADER : LOADER_ANOS;
	char found[CO_PATH_SIZE];
	autofree char *absolute = NULL;
	int r = co_program_path(name, found, sizeof(found), err);

	if (r)
		return r;
	/* the program may change its folder and call exec again */
	absolute = realpath(found, NULL);
	if (!absolute)
		return co_fail_errno(err, errno, "cannot find %s", found);
	(void) snprintf(t->loader, sizeof(t->loader), "%s",
			absolute); /* realpath gives PATH_MAX at most */
	remember_sigsys(t);
	return 0;
}

bool trap_around(struct co_trap_stats *out)
{
	struct iovec here = { out, sizeof(*out) };
	/* only inside such a program there is anything at that address */
	struct iovec there = { (void *) CO_TRAP_STATS, sizeof(*out) };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(*out) &&
	       out->mark == CO_TRAP_STATS_MARK;
}

int trap_config(const struct trap *t, const struct trap_words *words, char *out,
		size_t n)
{
	int used = snprintf(out, n,
			    CO_TRAP_CONFIG_MARK "%" PRIu32 ";%" PRIx32 ";%" PRIx64
						";%" PRIx32 ";%zx;%s%s",
			    words->personality, t->flags, words->session,
			    (uint32_t) words->program, strlen(t->loader), t->loader,
			    words->folder);

	return used > 0 && (size_t) used < n ? 0 : ENAMETOOLONG;
}
