/* SPDX-License-Identifier: MIT */
/* Making a filter program.  HOST. */
#include "cloudosd/ctr/bpf.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256, NEAR = 255 /* a comparison jumps no further */ };

void ctr_bpf_add(struct ctr_bpf *b, struct sock_filter instruction)
{
	if (b->n == b->room && !b->failed) {
		size_t room = b->room ? b->room * 2 : FIRST_ROOM;
		struct sock_filter *at = room <= BPF_MAXINSNS
						 ? realloc(b->at, room * sizeof(*at))
						 : NULL;

		if (at) {
			b->at = at;
			b->room = room;
		} else {
			b->failed = true;
		}
	}
	if (!b->failed)
		b->at[b->n++] = instruction;
}

void ctr_bpf_rule(struct ctr_bpf *b, const struct ctr_rule *rule)
{
	for (size_t i = 0; i < rule->n; i++)
		ctr_bpf_add(b, rule->code[i]);
}

static size_t tree_size(const struct ctr_span_rule *spans, size_t n)
{
	size_t left, right;

	if (n == 1)
		return spans->rule->n;
	left = tree_size(spans, n / 2);
	right = tree_size(spans + n / 2, n - n / 2);
	return 1 + (size_t) (left > NEAR) + left + right;
}

static void tree(struct ctr_bpf *b, const struct ctr_span_rule *spans, size_t n)
{
	size_t middle = n / 2, left;
	uint32_t from = spans[middle].from;

	if (n == 1) {
		ctr_bpf_rule(b, spans->rule);
		return;
	}
	left = tree_size(spans, middle);
	if (left <= NEAR) {
		ctr_bpf_add(b, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
							     from, (uint8_t) left, 0));
	} else {
		ctr_bpf_add(b, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
							     from, 0, 1));
		ctr_bpf_add(b, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA,
							     (uint32_t) left));
	}
	tree(b, spans, middle);
	tree(b, spans + middle, n - middle);
}

void ctr_bpf_tree(struct ctr_bpf *b, struct ctr_span_rule *spans, size_t n)
{
	size_t kept = 0;

	for (size_t i = 1; i < n; i++)
		if (spans[i].rule != spans[kept].rule)
			spans[++kept] = spans[i];
	tree(b, spans, kept + 1);
}

int ctr_bpf_take(struct ctr_bpf *b, struct sock_fprog *out, struct co_err *err)
{
	if (b->failed) {
		free(b->at);
		*b = (struct ctr_bpf){ 0 };
		return co_fail(
			err, CO_NO_MEMORY,
			"no memory for a filter of system calls, or it is longer "
			"than the %d instructions that the kernel takes",
			BPF_MAXINSNS);
	}
	out->filter = b->at;
	out->len = (unsigned short) b->n;
	*b = (struct ctr_bpf){ 0 };
	return 0;
}
