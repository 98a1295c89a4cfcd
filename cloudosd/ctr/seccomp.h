/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls for containers and confined programs.  HOST.
 *
 * Three sources: linux.seccomp of an OCI configuration; our default profile; the strict
 * filter of --confine.  Built outside into a program that the process loads as its last act
 * before exec.  Private numbers of CloudOS are never refused by ours: where calls are answered
 * the launcher inside installs its own filter, which asks for them.
 */
#ifndef CTR_SECCOMP_H
#define CTR_SECCOMP_H

#include <linux/filter.h>

#include "cloudosd/ctr/config.h"

struct ctr_filter {
	struct sock_fprog program; /* len 0: no filter */
	unsigned int flags;        /* SECCOMP_FILTER_FLAG_* */
	bool notifies;             /* the configuration has listenerPath */
	char *listener_path, *listener_metadata;
};

/* From linux.seccomp (raw JSON).  Unknown calls are passed over as other runtimes do. */
int ctr_filter_from_oci(struct co_span json, struct ctr_filter *out,
			struct co_err *err);

/* Ours: what the capabilities leave, minus what no container needs. */
int ctr_filter_default(uint64_t capabilities, struct ctr_filter *out,
		       struct co_err *err);

/* Of --confine: an allow-list; see docs/confine.md. */
int ctr_filter_strict(struct ctr_filter *out, struct co_err *err);

/* Installs it.  out_listener: -1, or the listener of a filter that notifies. */
int ctr_filter_install(const struct ctr_filter *f, int *out_listener,
		       struct co_err *err);
void ctr_filter_done(struct ctr_filter *f);

#endif
