/* SPDX-License-Identifier: MIT */
/* The ways in: how foreign system calls are caught.  HOST. */
#ifndef CO_ENGINE_H
#define CO_ENGINE_H

enum co_engine {
	CO_ENGINE_AUTO,
	CO_ENGINE_NOTIFY, /* seccomp user notification: the kernel asks the daemon */
	CO_ENGINE_TRAP,   /* in the program's own process */
	CO_ENGINE_PTRACE  /* the launcher traces the program */
};

/* "auto", "notify", "trap", "ptrace". */
const char *co_engine_name(enum co_engine engine);

/* -1 if there is none of that name. */
int co_engine_find(const char *name);

#endif
