/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filters of the notify and ptrace engines, made by libseccomp from the
 * personality's table.  HOST.  Linux's own numbers are all allowed; the kernel caches that.
 */
#ifndef CO_FILTER_H
#define CO_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#include "lib/engine.h"
#include "lib/err.h"
#include "personality/personality.h"

struct filter {
	struct sock_fprog program;
};

/* Which of Linux's own calls (struct co_personality) it catches. */
enum filter_caught { FILTER_NONE = 0, FILTER_BINDS = 1, FILTER_OPENS = 2 };

/* Built before fork: libseccomp allocates. */
int filter_new(struct filter *out, const struct co_personality *p,
	       enum co_engine engine, enum filter_caught caught, struct co_err *err);
void filter_done(struct filter *f);

/*
 * In the child: no_new_privs and the filter, for this thread and all that come of it.
 * Safe behind fork.  The listener (close-on-exec) under notify, 0 under ptrace, or
 * -errno.
 */
int filter_install(const struct filter *f, enum co_engine engine);

/* Does this kernel have filters that trap?  The engine's own is built in the guest. */
bool filter_trap_known(void);

/* Does this kernel know all that engine notify asks of a filter?  Installs nothing. */
bool filter_notify_known(void);

#endif
