/* SPDX-License-Identifier: MIT */
/*
 * What the trap engine's filter has to answer, written without regard to how it is done,
 * and an interpreter of classic BPF as the kernel restricts it for seccomp.  HOST; for
 * tests/trap/filter.c and tests/fuzz/fuzz_filter.c.
 */
#ifndef CO_TESTS_TRAP_FILTER_MODEL_H
#define CO_TESTS_TRAP_FILTER_MODEL_H

#include <co/trap.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <shim/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The answer that a call with these data must get. */
uint32_t model_answer(const struct shim_filter_spec *spec,
		      const struct seccomp_data *data);

/* Is that number answered by number alone? */
bool model_constant(const struct shim_filter_spec *spec, uint32_t number);

/* Must the builder refuse that? */
bool model_refused(const struct shim_filter_spec *spec);

struct bpf {
	struct sock_filter code[SHIM_FILTER_MAX];
	size_t n;
	/* what bpf_run has been through: each instruction, jumped, not jumped */
	bool hit[SHIM_FILTER_MAX], yes[SHIM_FILTER_MAX], no[SHIM_FILTER_MAX];
};

/* Would the kernel take the program?  NULL, or why not. */
const char *bpf_fault(const struct bpf *bpf);

/* Its answer; *out_steps: instructions executed; *out_plain: it has looked at number and
 * architecture alone, in ways that the kernel's bitmap of constant answers knows. */
uint32_t bpf_run(struct bpf *bpf, const struct seccomp_data *data, unsigned *out_steps,
		 bool *out_plain);

#endif
