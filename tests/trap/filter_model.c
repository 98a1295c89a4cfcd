/* SPDX-License-Identifier: MIT */
/* The model of the trap engine's filter and the interpreter; see filter_model.h.  HOST. */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/trap/filter_model.h"

/* ---- the model ---- */

static bool is_io_uring(uint32_t number)
{
	return number == __NR_io_uring_setup || number == __NR_io_uring_enter ||
	       number == __NR_io_uring_register;
}

static bool is_x32(uint32_t number)
{
	return (number >> 30) & 1;
}

static bool in_pool(uint64_t behind)
{
	for (uint32_t i = 0; i < CO_TRAP_WINDOWS; i++)
		if (behind >= CO_TRAP_POOL(i) &&
		    behind - CO_TRAP_POOL(i) < CO_TRAP_POOL_SIZE)
			return true;
	return false;
}

static bool in_low_pool(const struct shim_filter_spec *spec, uint64_t behind)
{
	static const struct {
		uint64_t first, end;
	} pools[] = {
#define LOW_POOL(first, end) { first, end },
		CO_TRAP_LOW_POOLS(LOW_POOL)
#undef LOW_POOL
	};

	if (spec->flags & SHIM_FILTER_HIGH_ONLY)
		return false;
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		if (behind >= pools[i].first + 2 && behind <= pools[i].end)
			return true;
	return false;
}

bool model_constant(const struct shim_filter_spec *spec, uint32_t number)
{
	for (uint32_t i = 0; i < spec->allowed_count; i++)
		if (spec->allowed[i] == number)
			return true;
	return false;
}

uint32_t model_answer(const struct shim_filter_spec *spec,
		      const struct seccomp_data *data)
{
	uint64_t behind = data->instruction_pointer;
	uint32_t number = (uint32_t) data->nr;
	bool inside;

	if (data->arch == AUDIT_ARCH_X86_64) {
		if (model_constant(spec, number))
			return SECCOMP_RET_ALLOW;
		inside = in_pool(behind) || in_low_pool(spec, behind);
	} else {
		inside = data->arch == AUDIT_ARCH_I386 && in_low_pool(spec, behind) &&
			 !(spec->flags & SHIM_FILTER_I386_TRAPPED);
	}
	if (!inside)
		return SECCOMP_RET_TRAP | CO_TRAP_DATA;
	if (spec->flags & SHIM_FILTER_NUMBER_BLIND)
		return SECCOMP_RET_ALLOW;
	if (is_io_uring(number) || (is_x32(number) && !(spec->flags & SHIM_FILTER_X32)))
		return SECCOMP_RET_ERRNO | ENOSYS;
	return SECCOMP_RET_ALLOW;
}

bool model_refused(const struct shim_filter_spec *spec)
{
	for (uint32_t i = 0; i < spec->allowed_count; i++)
		if (is_io_uring(spec->allowed[i]) || is_x32(spec->allowed[i]) ||
		    (i > 0 && spec->allowed[i - 1] >= spec->allowed[i]))
			return true;
	return (spec->flags & SHIM_FILTER_NUMBER_BLIND) && spec->allowed_count > 0;
}

/* ---- the interpreter: net/core/filter.c and kernel/seccomp.c, what they let through ---- */

const char *bpf_fault(const struct bpf *bpf)
{
	if (bpf->n == 0 || bpf->n > BPF_MAXINSNS)
		return "no program, or too long";
	for (size_t i = 0; i < bpf->n; i++) {
		const struct sock_filter *f = &bpf->code[i];
		size_t left = bpf->n - i - 1;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k % 4 != 0 || f->k >= sizeof(struct seccomp_data))
				return "loads what is not there";
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_RET | BPF_K:
			break;
		case BPF_JMP | BPF_JA:
			if (f->k >= left)
				return "jumps out of the program";
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (f->jt >= left || f->jf >= left)
				return "jumps out of the program";
			break;
		default:
			return "an instruction that the builder has no need of";
		}
	}
	return BPF_CLASS(bpf->code[bpf->n - 1].code) == BPF_RET ? NULL : "does not end";
}

static bool holds(const struct sock_filter *f, uint32_t a)
{
	switch (BPF_OP(f->code)) {
	case BPF_JEQ:
		return a == f->k;
	case BPF_JGE:
		return a >= f->k;
	case BPF_JGT:
		return a > f->k;
	default:
		return (a & f->k) != 0;
	}
}

uint32_t bpf_run(struct bpf *bpf, const struct seccomp_data *data, unsigned *out_steps,
		 bool *out_plain)
{
	uint32_t a = 0;

	*out_steps = 0;
	*out_plain = true;
	for (size_t i = 0; i < bpf->n; i++) {
		const struct sock_filter *f = &bpf->code[i];

		bpf->hit[i] = true;
		++*out_steps;
		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			memcpy(&a, (const char *) data + f->k, sizeof(a));
			if (f->k >= offsetof(struct seccomp_data, instruction_pointer))
				*out_plain = false;
			break;
		case BPF_ALU:
			a &= f->k;
			break;
		case BPF_RET:
			return f->k;
		default:
			if (BPF_OP(f->code) == BPF_JA) {
				i += f->k;
			} else if (holds(f, a)) {
				bpf->yes[i] = true;
				i += f->jt;
			} else {
				bpf->no[i] = true;
				i += f->jf;
			}
		}
	}
	abort(); /* bpf_fault knows better */
}
