/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Builds and installs the trap engine's seccomp filter; see filter.h.  libseccomp
 * cannot: it knows no instruction pointer.  The builder is pure; tests compile it for the
 * host and hold it against a plain model.
 */
#include <co/trap.h>
#include <shim/filter.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <stdbool.h>

#define X32_BIT         0x40000000U
#define IO_URING_FIRST  ((uint32_t) __NR_io_uring_setup)
#define IO_URING_LAST   ((uint32_t) __NR_io_uring_register)
#define INSTRUCTION_LEN 2U /* of syscall and of int 0x80 */

/* Numbers at which allowed and not allowed change: at most two per number of Linux. */
#define EDGES_MAX 512U

#define RET_TRAP   (SECCOMP_RET_TRAP | CO_TRAP_DATA)
#define RET_ENOSYS (SECCOMP_RET_ERRNO | ENOSYS)

/* Where conditional jumps go that are no fixed number of instructions. */
enum label {
	NEXT,
	ADDRESS, /* look at the upper half of the instruction pointer */
	LOW,     /* is it in a low pool? */
	NUMBER,  /* of a call from a pool */
	ALLOW,
	REFUSE,
	TRAP,
	LABELS
};

/* Written twice: the first time to learn where the labels are. */
struct program {
	struct sock_filter *out;
	size_t n, max;
	size_t labels[LABELS];
	bool bad; /* does not fit, or a jump is too far */
	uint32_t edges[EDGES_MAX], edges_count;
};

static void emit(struct program *p, uint32_t code, uint32_t k, size_t yes, size_t no)
{
	if (p->n >= p->max || yes > 255 || no > 255)
		p->bad = true;
	else
		p->out[p->n] = (struct sock_filter){ (uint16_t) code, (uint8_t) yes,
						     (uint8_t) no, k };
	p->n++;
}

static void load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

static void answer(struct program *p, uint32_t value)
{
	emit(p, BPF_RET | BPF_K, value, 0, 0);
}

static void put(struct program *p, enum label label)
{
	p->labels[label] = p->n;
}

static size_t distance(const struct program *p, enum label label)
{
	return label == NEXT ? 0 : p->labels[label] - p->n - 1;
}

static void jump_if(struct program *p, uint32_t test, uint32_t value, enum label yes,
		    enum label no)
{
	emit(p, BPF_JMP | test | BPF_K, value, distance(p, yes), distance(p, no));
}

static void jump(struct program *p, size_t over)
{
	emit(p, BPF_JMP | BPF_JA, (uint32_t) over, 0, 0);
}

/* ---- the list: a balanced tree over the edges, nothing but loads of the number ---- */

/* The list as edges: a number is allowed if an odd number of edges is not above it. */
static bool find_edges(struct program *p, const struct shim_filter_spec *spec)
{
	for (uint32_t i = 0; i < spec->allowed_count; i++) {
		uint32_t number = spec->allowed[i];

		if ((number & X32_BIT) != 0 ||
		    (number >= IO_URING_FIRST && number <= IO_URING_LAST) ||
		    (i > 0 && number <= spec->allowed[i - 1]))
			return false;
		if (p->edges_count > 0 && p->edges[p->edges_count - 1] == number) {
			p->edges[p->edges_count - 1] = number + 1;
			continue;
		}
		if (p->edges_count > EDGES_MAX - 2)
			return false;
		p->edges[p->edges_count++] = number;
		p->edges[p->edges_count++] = number + 1;
	}
	return true;
}

/* Instructions of a tree over that many edges. */
static size_t tree_size(uint32_t count)
{
	size_t left = count == 0 ? 0 : tree_size(count / 2);

	if (count == 0)
		return 1;
	return (left > 255 ? 2U : 1U) + left + tree_size(count - count / 2 - 1);
}

/* edges[first .. first + count); the edges before are known not to be above the number */
static void tree(struct program *p, uint32_t first, uint32_t count)
{
	uint32_t half = count / 2;
	size_t left;

	if (count == 0) {
		if (first % 2 != 0)
			answer(p, SECCOMP_RET_ALLOW);
		else
			jump(p, distance(p, ADDRESS));
		return;
	}
	left = tree_size(half);
	if (left > 255) {
		emit(p, BPF_JMP | BPF_JGE | BPF_K, p->edges[first + half], 0, 1);
		jump(p, left);
	} else {
		emit(p, BPF_JMP | BPF_JGE | BPF_K, p->edges[first + half], left, 0);
	}
	tree(p, first, half);
	tree(p, first + half + 1, count - half - 1);
}

/* ---- the whole ---- */

static void architecture(struct program *p, const struct shim_filter_spec *spec)
{
	load(p, offsetof(struct seccomp_data, arch));
	if (spec->flags & SHIM_FILTER_I386_TRAPPED) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	} else {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 3, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 1);
		/* a list may be longer than a conditional jump */
		jump(p, distance(p, LOW));
	}
	answer(p, RET_TRAP);
}

static void low_pool(struct program *p, uint32_t first, uint32_t end)
{
	jump_if(p, BPF_JGE, first + INSTRUCTION_LEN, NEXT, TRAP);
	jump_if(p, BPF_JGT, end, NEXT, NUMBER);
}

static void address(struct program *p, const struct shim_filter_spec *spec)
{
	put(p, ADDRESS);
	load(p, offsetof(struct seccomp_data, instruction_pointer) + 4);
	emit(p, BPF_ALU | BPF_AND | BPF_K, CO_TRAP_HIGH_MASK, 0, 0);
	jump_if(p, BPF_JEQ, CO_TRAP_HIGH_VALUE, NUMBER, NEXT);

	put(p, LOW);
	if ((spec->flags & SHIM_FILTER_HIGH_ONLY) == 0) {
		load(p, offsetof(struct seccomp_data, instruction_pointer) + 4);
		jump_if(p, BPF_JEQ, 0, NEXT, TRAP);
		load(p, offsetof(struct seccomp_data, instruction_pointer));
#define LOW_POOL(first, end) low_pool(p, first, end);
		CO_TRAP_LOW_POOLS(LOW_POOL)
#undef LOW_POOL
	}
	put(p, TRAP);
	answer(p, RET_TRAP);
}

/* Most numbers are below io_uring's: one comparison for them. */
static void number(struct program *p, const struct shim_filter_spec *spec)
{
	put(p, NUMBER);
	if ((spec->flags & SHIM_FILTER_NUMBER_BLIND) == 0) {
		load(p, offsetof(struct seccomp_data, nr));
		jump_if(p, BPF_JGE, IO_URING_FIRST, NEXT, ALLOW);
		jump_if(p, BPF_JGT, IO_URING_LAST, NEXT, REFUSE);
		if ((spec->flags & SHIM_FILTER_X32) == 0)
			jump_if(p, BPF_JSET, X32_BIT, REFUSE, ALLOW);
	}
	put(p, ALLOW);
	answer(p, SECCOMP_RET_ALLOW);
	if ((spec->flags & SHIM_FILTER_NUMBER_BLIND) == 0) {
		put(p, REFUSE);
		answer(p, RET_ENOSYS);
	}
}

size_t shim_filter_build(struct sock_filter *out, size_t max,
			 const struct shim_filter_spec *spec)
{
	struct program p = { .out = out, .max = max };
	uint32_t first;

	if ((spec->flags & SHIM_FILTER_NUMBER_BLIND) && spec->allowed_count > 0)
		return 0;
	if (!find_edges(&p, spec))
		return 0;
	/* no number is below an edge at 0 */
	first = p.edges_count > 0 && p.edges[0] == 0 ? 1 : 0;
	for (int pass = 0; pass < 2; pass++) {
		p.n = 0;
		p.bad = false;
		architecture(&p, spec);
		if (p.edges_count > 0) {
			load(&p, offsetof(struct seccomp_data, nr));
			tree(&p, first, p.edges_count - first);
		}
		address(&p, spec);
		number(&p, spec);
	}
	return p.bad ? 0 : p.n;
}

long shim_filter_install(const struct shim_filter_spec *spec, const char **out_why)
{
	struct sock_filter code[SHIM_FILTER_MAX];
	struct sock_fprog program = { .filter = code };
	long result;

	program.len = (uint16_t) shim_filter_build(code, SHIM_FILTER_MAX, spec);
	if (program.len == 0) {
		*out_why = "this personality's filter cannot be built (error %)";
		return -EINVAL;
	}
	result = shim_syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (result < 0) {
		*out_why = "the kernel refuses no_new_privs, without which there is no "
			   "filter (error %); --trap=sud needs none";
		return result;
	}
	result = shim_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long) &program, 0, 0, 0);
	if (result < 0)
		*out_why = "the kernel refuses the filter (error %): a container's "
			   "profile may forbid seccomp; --trap=sud needs none";
	return result;
}
