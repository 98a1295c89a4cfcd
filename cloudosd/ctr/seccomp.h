/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls for containers and confined programs.  HOST.
 *
 * Three sources: linux.seccomp of an OCI configuration; our default profile; the strict
 * filter of --confine.  Built outside into a program that the process loads as its last act
 * before exec.  Private numbers of CloudOS are never refused by ours, and where calls are
 * answered ctr_filter_private makes one program of the profile and of what asks for them.
 *
 *	ctr_filter_for(config, &f, &err);           outside: 20 us, 2 ms for a file's rules
 *	ctr_filter_install(&f, &listener, &err);    inside, the last act before exec
 *	ctr_filter_hand_over(&f, state, ...);       outside, if f.notifies
 *
 * Who installs one has no_new_privs set or still has CAP_SYS_ADMIN.
 */
#ifndef CTR_SECCOMP_H
#define CTR_SECCOMP_H

#include <linux/filter.h>

#include "cloudosd/ctr/config.h"

/* The numbers that are CloudOS' and never Linux's. */
enum { CTR_PRIVATE_FIRST = 20000, CTR_PRIVATE_LAST = 29999 };

struct ctr_filter {
	struct sock_fprog program;               /* len 0: no filter */
	unsigned int flags;                      /* SECCOMP_FILTER_FLAG_* */
	bool notifies;                           /* it has a listener */
	bool is_default;                         /* our profile, and nothing else */
	char *listener_path, *listener_metadata; /* of linux.seccomp; NULL */
};

/*
 * What that container is to have: linux.seccomp where there is one; otherwise, if the file
 * has the member "cloudos", our default profile (the strict filter if it is confined);
 * otherwise none.  A container without a profile says so by a linux.seccomp that allows all.
 */
int ctr_filter_for(const struct ctr_config *config, struct ctr_filter *out,
		   struct co_err *err);

/* From linux.seccomp (raw JSON).  Unknown calls are passed over as other runtimes do. */
int ctr_filter_from_oci(struct co_span json, struct ctr_filter *out,
			struct co_err *err);

/* Ours: what the capabilities leave, minus what no container needs. */
int ctr_filter_default(uint64_t capabilities, struct ctr_filter *out,
		       struct co_err *err);

enum { CTR_STRICT_TRAP = 1 }; /* engine trap needs what it catches with */

/* Of --confine: an allow-list; see docs/confine.md. */
int ctr_filter_strict(unsigned int flags, struct ctr_filter *out, struct co_err *err);

struct ctr_numbers {
	uint32_t first, last;
};

/*
 * Answers these numbers of x86-64 with that action (SECCOMP_RET_ALLOW, or
 * SECCOMP_RET_USER_NOTIF, which makes f have a listener), whatever the program would have
 * said.  n 0: all of the private range.  An empty filter becomes one.
 */
int ctr_filter_private(struct ctr_filter *f, const struct ctr_numbers *numbers,
		       size_t n, uint32_t action, struct co_err *err);

/* Installs it.  out_listener: -1, or the listener (close-on-exec) of a filter that
 * notifies.  Allocates nothing. */
int ctr_filter_install(const struct ctr_filter *f, int *out_listener,
		       struct co_err *err);

/*
 * Gives the listener to the agent at f->listener_path, as the OCI runtime specification
 * says: a ContainerProcessState and the descriptor.  state is the container's (JSON), pid
 * that of the process as seen from outside.  Waits at most two seconds for the agent.
 */
int ctr_filter_hand_over(const struct ctr_filter *f, struct co_span state, pid_t pid,
			 int listener, struct co_err *err);

void ctr_filter_done(struct ctr_filter *f);

#endif
