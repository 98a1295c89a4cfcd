/* SPDX-License-Identifier: MIT */
/*
 * --confine: the program sees the system's folders, what it was granted, and nothing else.
 * HOST.  Who calls it: cloudos-exec, cli/launch.c.  What is promised: docs/confine.md.
 *
 * It is made by the engine of containers (cloudosd/ctr): name spaces, a root put together of
 * read-only binds, the strict filter, Landlock where the kernel has it, limits of cgroups.
 */
#ifndef CO_CLI_CONFINE_H
#define CO_CLI_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cloudosd/ctr/process.h"
#include "cloudosd/ctr/seccomp.h"
#include "lib/paths.h"

enum { CONFINE_GRANTS = 64, CONFINE_WORDS = 16 };

struct confine_grant {
	char path[CO_PATH_SIZE]; /* absolute, without links */
	bool read_only;
};

struct confine {
	bool asked;      /* --confine */
	bool needs;      /* another option is for it alone */
	bool net_host;   /* --net=host */
	uint64_t memory; /* bytes; 0: no limit */
	uint64_t cpus;   /* thousandths of one; 0: no limit */
	uint64_t pids;   /* 0: no limit */
	struct confine_grant *grants;
	size_t ngrants;

	int stdio[3]; /* -1: the caller's own */
	bool trap;    /* a cloudos-exec inside runs the program, under engine trap */
	char *words[CONFINE_WORDS]; /* its options, before "--"; ended by NULL */
	size_t nwords;
	struct ctr_config *config;
	struct ctr_cgroup *cgroup;
	struct ctr_filter strict;
	struct ctr_container made;
	const char *writable[CONFINE_GRANTS + 8];
	size_t nwritable;
};

enum confine_option {
	CONFINE_ON,
	CONFINE_ALLOW,
	CONFINE_NET,
	CONFINE_MEMORY,
	CONFINE_CPUS,
	CONFINE_PIDS
};

/* An option and its value. */
int confine_option(struct confine *c, enum confine_option option, const char *value,
		   struct co_err *err);

struct confine_program {
	const char *path;             /* absolute; it is seen whatever was granted */
	const struct co_paths *paths; /* of the daemon: never seen */
	char **argv;
};

/* Everything but the process. */
int confine_prepare(struct confine *c, const struct confine_program *p,
		    struct co_err *err);

/* One more option of the cloudos-exec inside; text is copied. */
int confine_word(struct confine *c, const char *option, const char *value,
		 struct co_err *err);

/* As --allow. */
int confine_grant(struct confine *c, const char *path, bool read_only,
		  struct co_err *err);

/* Inside: becomes that cloudos-exec, and it the program.  Returns errno. */
int confine_become(const struct confine *c, const char *path, char **argv);

/* The process, parked; keep: descriptors for `become`, ended by -1. */
int confine_start(struct confine *c,
		  int (*become)(void *arg, const struct ctr_process_spec *p,
				struct co_err *err),
		  void *arg, const int keep[4], struct co_err *err);

/* Lets it go on into `become`. */
int confine_let_go(struct confine *c, struct co_err *err);

/* Inside, the last act before exec: Landlock and the strict filter.  0 or errno. */
int confine_seal(const struct confine *c);

/* It has ended, or was never begun. */
void confine_end(struct confine *c);

#endif
