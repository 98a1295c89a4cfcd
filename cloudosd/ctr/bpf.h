/* SPDX-License-Identifier: MIT */
/*
 * Making a filter program: system call numbers, each with a rule, become a tree of
 * comparisons.  HOST.  Inside libctr only.
 */
#ifndef CTR_BPF_H
#define CTR_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Instructions that end in returns, whichever way they take.  The accumulator holds the
 * number of the call. */
struct ctr_rule {
	const struct sock_filter *code;
	size_t n;
};

/* From that number on, up to the next one's, that rule holds. */
struct ctr_span_rule {
	uint32_t from;
	const struct ctr_rule *rule;
};

struct ctr_bpf {
	struct sock_filter *at;
	size_t n, room;
	bool failed; /* no memory, or more than the kernel takes */
};

void ctr_bpf_add(struct ctr_bpf *b, struct sock_filter instruction);
void ctr_bpf_rule(struct ctr_bpf *b, const struct ctr_rule *rule);

/*
 * The tree for sorted spans, the first of which begins at 0.  Neighbours with one rule are
 * made one.  spans is changed.
 */
void ctr_bpf_tree(struct ctr_bpf *b, struct ctr_span_rule *spans, size_t n);

/* Hands the instructions over, or says that there is no memory. */
int ctr_bpf_take(struct ctr_bpf *b, struct sock_fprog *out, struct co_err *err);

#endif
