/* SPDX-License-Identifier: MIT */
/* Which engine runs a program here.  HOST. */
#include "cli/choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/filter.h"
#include "cli/probe.h"
#include "lib/cleanup.h"

enum { NUMBER_DOMAIN = 21902 }; /* of the cloudos table; tests/table holds it */

/* ---- what is around us ---- */

int64_t choose_domain(const struct launch *l)
{
	/* what a private call answers here and now: are we a guest already? */
	return strcmp(l->personality->name, "cloudos") ? -1 : syscall(NUMBER_DOMAIN);
}

bool choose_identity(const struct launch *l)
{
	struct co_trap_stats around;

	return !strcmp(l->personality->name, "linux") && trap_around(&around) &&
	       around.personality == l->personality_index;
}

static bool filtered(void)
{
	autofclose FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Seccomp:", 8))
			return strtol(line + 8, NULL, 10) != 0;
	return false;
}

/* ---- each engine ---- */

static void look_notify(struct co_probe_notify *notify, bool outer)
{
	/* Without a filter around us notification works wherever the kernel has it; with one,
	 * only trying tells. */
	if (outer || !filter_notify_known())
		co_probe_notify(notify);
	if (notify->works && !notify->killable) {
		notify->works = false;
		(void) snprintf(
			notify->why, sizeof(notify->why),
			"the kernel is older than Linux 5.19 and would run calls "
			"twice when a signal comes");
	}
}

/*
 * 0 if programs can be run so.  Beside an outer filter only trying tells; where filters are
 * refused there is dispatch, which is taken if this engine was asked for.
 */
static int look_trap(struct launch *l, bool outer, bool asked, struct co_err *err)
{
	struct co_probe_trap t = { .filter = true, .addresses = true };
	int r = trap_find_loader(&l->trap, l->personality->name, err);

	if (r)
		return r;
	if (outer || !filter_trap_known())
		co_probe_trap_quick(&t);
	if (!t.addresses)
		return co_fail(
			err, CO_UNSUPPORTED,
			"engine trap cannot work here: its part of the address space "
			"cannot be had (%s)",
			t.addresses_why);
	if (l->trap.seccomp && !strcmp(l->personality->name, "anos"))
		l->trap.flags |= CO_TRAP_SECCOMP;
	if (t.filter || (l->trap.flags & CO_TRAP_SUD))
		return 0;
	if (l->trap.seccomp || !t.dispatch || !asked)
		return co_fail(err, CO_UNSUPPORTED,
			       "engine trap cannot work here: %s%s", t.filter_why,
			       t.dispatch ? "; try --trap=sud" : "");
	l->trap.flags |= CO_TRAP_SUD;
	return 0;
}

static int only_trap(const struct launch *l, int engine, struct co_err *err)
{
	if (engine == CO_ENGINE_AUTO || engine == CO_ENGINE_TRAP)
		return 0;
	return co_fail(
		err, CO_UNSUPPORTED,
		"engine %s has nothing to catch in a program of %s; use trap, or "
		"run it without cloudos-exec",
		co_engine_name((enum co_engine) engine), l->personality->title);
}

int choose_engine(struct launch *l, const char *wanted, struct co_err *err)
{
	int engine = wanted && *wanted ? co_engine_find(wanted) : CO_ENGINE_AUTO;
	struct co_probe_notify notify = { .works = true, .killable = true };
	struct co_trap_stats around;
	bool outer = filtered();

	if (engine < 0)
		return co_fail(
			err, CO_INVALID,
			"there is no engine \"%s\": notify, trap, ptrace or auto",
			wanted);
	if (l->trap.asked && engine == CO_ENGINE_AUTO)
		engine = CO_ENGINE_TRAP;
	if (l->trap.asked && engine != CO_ENGINE_TRAP)
		return co_fail(
			err, CO_INVALID,
			"--trap, --no-patch and --allow-guest-seccomp are for engine "
			"trap, not for %s",
			co_engine_name((enum co_engine) engine));
	if (l->service) {
		if (engine == CO_ENGINE_TRAP)
			return co_fail(
				err, CO_UNSUPPORTED,
				"engine trap does not run programs of BlackRoad OS: they "
				"make Linux's calls; use notify or ptrace");
	} else if (strcmp(l->personality->name, "cloudos") != 0) {
		if (only_trap(l, engine, err))
			return err->code;
		engine = CO_ENGINE_TRAP;
	}
	if (trap_around(&around))
		return co_fail(
			err, CO_UNSUPPORTED,
			"cannot run %s: this is inside a program that another cloudos-exec "
			"runs under engine trap; start it outside of that one",
			l->path);
	if (engine == CO_ENGINE_TRAP) {
		l->engine = CO_ENGINE_TRAP;
		return look_trap(l, outer, true, err);
	}
	look_notify(&notify, outer);
	if (engine == CO_ENGINE_NOTIFY && !notify.works)
		return co_fail(
			err, CO_UNSUPPORTED,
			"engine notify cannot work here: %s; try --engine=trap or "
			"--engine=ptrace",
			notify.why);
	if (engine == CO_ENGINE_AUTO)
		engine = notify.works                       ? CO_ENGINE_NOTIFY
			 : l->service                       ? CO_ENGINE_PTRACE
			 : look_trap(l, outer, false, NULL) ? CO_ENGINE_PTRACE
							    : CO_ENGINE_TRAP;
	l->engine = (enum co_engine) engine;
	/* what an outer filter answers outranks a request to trace, and it may not let one of
	 * ours in at all */
	l->every_call = engine == CO_ENGINE_PTRACE && outer && !notify.works;
	return 0;
}
