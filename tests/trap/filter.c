/* SPDX-License-Identifier: MIT */
/*
 * The trap engine's filter (shim/filter.c): against a plain model by an interpreter, over
 * a million cases for each kind of personality, and in the kernel.  HOST.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run.h"
#include "tests/trap/filter_model.h"

#define RANDOM_CASES 1000000
#define NUMBERS_MAX  512U

/* ---- kinds of personality ---- */

static uint32_t some[NUMBERS_MAX], every_second[NUMBERS_MAX];

static struct kind {
	const char *name;
	struct shim_filter_spec spec;
	unsigned steps_max; /* instructions for a plain call from a high pool */
} kinds[] = {
	{ "linux, playsys", { 0 }, 8 },
	{ "number-blind", { .flags = SHIM_FILTER_NUMBER_BLIND }, 6 },
	{ "anos: number-blind, nothing from low pools",
	  { .flags = SHIM_FILTER_NUMBER_BLIND | SHIM_FILTER_I386_TRAPPED |
		     SHIM_FILTER_HIGH_ONLY },
	  6 },
	{ "nothing from low pools", { .flags = SHIM_FILTER_HIGH_ONLY }, 8 },
	{ "x32 let through", { .flags = SHIM_FILTER_X32 }, 8 },
	{ "32-bit calls trapped", { .flags = SHIM_FILTER_I386_TRAPPED }, 8 },
	{ "number-blind, 32-bit calls trapped",
	  { .flags = SHIM_FILTER_NUMBER_BLIND | SHIM_FILTER_I386_TRAPPED },
	  6 },
	{ "cloudos: a list", { .allowed = some }, 16 },
	{ "the longest list", { .allowed = every_second }, 20 },
};
#define KINDS ((int) (sizeof(kinds) / sizeof(kinds[0])))

static void fill_lists(void)
{
	static const uint32_t ranges[][2] = { { 0, 1 },     { 3, 3 },     { 5, 5 },
					      { 7, 8 },     { 17, 20 },   { 24, 24 },
					      { 39, 39 },   { 96, 98 },   { 102, 108 },
					      { 186, 186 }, { 202, 202 }, { 228, 230 },
					      { 318, 318 }, { 428, 428 } };
	struct shim_filter_spec *list = &kinds[KINDS - 2].spec,
				*longest = &kinds[KINDS - 1].spec;

	list->allowed_count = longest->allowed_count = 0;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		for (uint32_t n = ranges[i][0]; n <= ranges[i][1]; n++)
			some[list->allowed_count++] = n;
	for (uint32_t n = 0; n < 500; n += 2)
		if (n != __NR_io_uring_enter)
			every_second[longest->allowed_count++] = n;
}

static struct bpf build(const struct shim_filter_spec *spec)
{
	struct bpf bpf = { .n = 0 };

	bpf.n = shim_filter_build(bpf.code, SHIM_FILTER_MAX, spec);
	ck_assert_msg(bpf.n > 0, "not built");
	ck_assert_ptr_null(bpf_fault(&bpf));
	return bpf;
}

/* ---- cases ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t n)
{
	return (random64() >> 16) % n;
}

static const uint64_t places[] = {
	0,
	0xffffffffff600002, /* vsyscall page */
	0x100000000,
	0x555555554000,
	0x7fffffffe000,
	0x700000000000,
	CO_TRAP_STATS,
#define LOW_POOL(first, end) first, end, first + 0x100000000, end + CO_TRAP_BASE,
	CO_TRAP_LOW_POOLS(LOW_POOL)
#undef LOW_POOL
		CO_TRAP_POOL(0),
	CO_TRAP_POOL(0) + CO_TRAP_POOL_SIZE,
	CO_TRAP_POOL(1),
	CO_TRAP_POOL(1) + CO_TRAP_POOL_SIZE,
	CO_TRAP_POOL(CO_TRAP_WINDOWS / 2),
	CO_TRAP_POOL(CO_TRAP_WINDOWS - 1),
	CO_TRAP_POOL(CO_TRAP_WINDOWS - 1) + CO_TRAP_POOL_SIZE,
	CO_TRAP_POOL(CO_TRAP_WINDOWS),
	CO_TRAP_CODE(1),
	CO_TRAP_BASE ^ (1UL << 63),
	CO_TRAP_BASE ^ (1UL << 47),
	CO_TRAP_BASE ^ (1UL << 39),
	CO_TRAP_BASE - CO_TRAP_STRIDE,
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static const uint32_t numbers[] = { 0,
				    1,
				    __NR_getpid,
				    __NR_rt_sigreturn,
				    __NR_io_uring_setup - 1,
				    __NR_io_uring_setup,
				    __NR_io_uring_enter,
				    __NR_io_uring_register,
				    __NR_io_uring_register + 1,
				    511,
				    512,
				    547,
				    0x10000,
				    0x3fffffff,
				    0x40000000,
				    0x40000000 | __NR_io_uring_setup,
				    0x7fffffff,
				    0x80000000,
				    0xbfffffff,
				    0xc0000000,
				    0xffffffff };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static const uint32_t arches[] = {
	AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0,
	0xffffffff
};
#define ARCHES (sizeof(arches) / sizeof(arches[0]))

static uint64_t random_place(void)
{
	switch (below(5)) {
	case 0:
		return places[below(PLACES)] + below(9) - 4;
	case 1:
		return CO_TRAP_POOL(below(CO_TRAP_WINDOWS)) + below(CO_TRAP_POOL_SIZE);
	case 2:
		return CO_TRAP_BASE + below((CO_TRAP_WINDOWS + 1) * CO_TRAP_STRIDE) -
		       CO_TRAP_STRIDE;
	case 3:
		return below(0x60000000);
	default:
		return random64() >> below(64);
	}
}

static uint32_t random_number(const struct shim_filter_spec *spec)
{
	switch (below(4)) {
	case 0:
		return numbers[below(NUMBERS)] + (uint32_t) below(3) - 1;
	case 1:
		if (spec->allowed_count > 0)
			return spec->allowed[below(spec->allowed_count)] +
			       (uint32_t) below(3) - 1;
		return (uint32_t) random64();
	case 2:
		return (uint32_t) below(600);
	default:
		return (uint32_t) random64() >> below(32);
	}
}

static void compare(struct bpf *bpf, const struct kind *kind,
		    const struct seccomp_data *data)
{
	uint32_t answer, expected = model_answer(&kind->spec, data);
	unsigned steps;
	bool plain;

	answer = bpf_run(bpf, data, &steps, &plain);
	if (answer == expected)
		return;
	ck_abort_msg("%s: number %#x, architecture %#x, address %#llx: the filter says "
		     "%#x and should say %#x",
		     kind->name, (unsigned) data->nr, data->arch,
		     (unsigned long long) data->instruction_pointer, answer, expected);
}

/* ---- tests ---- */

START_TEST(filter_answers_a_million_cases_as_the_model_does)
{
	const struct kind *kind = &kinds[_i];
	struct bpf bpf = build(&kind->spec);

	for (size_t a = 0; a < ARCHES; a++)
		for (size_t p = 0; p < PLACES; p++)
			for (uint64_t d = 0; d < 9; d++)
				for (size_t n = 0; n < NUMBERS; n++)
					compare(&bpf, kind,
						&(struct seccomp_data){
							.nr = (int) numbers[n],
							.arch = arches[a],
							.instruction_pointer =
								places[p] + d - 4 });
	for (uint32_t n = 0; n < 1100; n++)
		for (size_t p = 0; p < PLACES; p++)
			compare(&bpf, kind,
				&(struct seccomp_data){ .nr = (int) n,
							.arch = AUDIT_ARCH_X86_64,
							.instruction_pointer =
								places[p] });
	for (int i = 0; i < RANDOM_CASES; i++) {
		struct seccomp_data data = {
			.nr = (int) random_number(&kind->spec),
			.arch = arches[below(4) ? below(2) : below(ARCHES)],
			.instruction_pointer = random_place()
		};

		for (size_t k = 0; k < 6; k++) /* arguments make no difference */
			data.args[k] = random64();
		compare(&bpf, kind, &data);
	}
	for (size_t i = 0; i < bpf.n; i++) {
		ck_assert_msg(bpf.hit[i], "%s: instruction %zu of %zu was never used",
			      kind->name, i, bpf.n);
		if (BPF_CLASS(bpf.code[i].code) != BPF_JMP ||
		    BPF_OP(bpf.code[i].code) == BPF_JA)
			continue;
		ck_assert_msg(bpf.yes[i] && bpf.no[i],
			      "%s: jump %zu of %zu always goes the same way",
			      kind->name, i, bpf.n);
	}
}
END_TEST

START_TEST(listed_numbers_are_constant_to_the_kernel)
{
	const struct kind *kind = &kinds[_i];
	struct bpf bpf = build(&kind->spec);

	for (uint32_t n = 0; n < 600; n++) {
		struct seccomp_data data = { .nr = (int) n, .arch = AUDIT_ARCH_X86_64 };
		unsigned steps;
		bool plain;
		uint32_t answer = bpf_run(&bpf, &data, &steps, &plain);

		ck_assert_msg((plain && answer == SECCOMP_RET_ALLOW) ==
				      model_constant(&kind->spec, n),
			      "%s: number %u", kind->name, n);
		ck_assert_msg(steps < 24, "%s: number %u takes %u instructions",
			      kind->name, n, steps);
	}
}
END_TEST

START_TEST(call_from_a_pool_takes_few_instructions)
{
	const struct kind *kind = &kinds[_i];
	struct bpf bpf = build(&kind->spec);
	struct seccomp_data data = { .nr = __NR_getppid,
				     .arch = AUDIT_ARCH_X86_64,
				     .instruction_pointer = CO_TRAP_POOL(5) + 0x1234 };
	unsigned steps;
	bool plain;

	ck_assert_uint_eq(bpf_run(&bpf, &data, &steps, &plain), SECCOMP_RET_ALLOW);
	ck_assert_msg(steps <= kind->steps_max, "%s: %u instructions, allowed are %u",
		      kind->name, steps, kind->steps_max);
}
END_TEST

START_TEST(filter_that_does_not_fit_is_refused)
{
	const struct kind *kind = &kinds[_i];
	struct bpf bpf = build(&kind->spec);
	struct sock_filter *exact;
	size_t n = bpf.n;

	for (size_t max = 0; max < n; max += 1 + max / 64) {
		exact = malloc(max * sizeof(*exact)); /* a sanitizer guards its end */
		ck_assert(exact || max == 0);
		ck_assert_uint_eq(shim_filter_build(exact, max, &kind->spec), 0);
		free(exact);
	}
	exact = malloc(n * sizeof(*exact));
	ck_assert_ptr_nonnull(exact);
	ck_assert_uint_eq(shim_filter_build(exact, n, &kind->spec), n);
	ck_assert_int_eq(memcmp(exact, bpf.code, n * sizeof(*exact)), 0);
	free(exact);
}
END_TEST

static const struct {
	uint32_t flags, count, list[3];
	const char *why;
} bad_specs[] = {
	{ 0, 2, { 5, 4 }, "not in order" },
	{ 0, 3, { 4, 5, 5 }, "the same number twice" },
	{ 0, 1, { __NR_io_uring_setup }, "io_uring" },
	{ 0, 2, { 1, __NR_io_uring_enter }, "io_uring" },
	{ 0, 3, { 1, 2, __NR_io_uring_register }, "io_uring" },
	{ 0, 1, { 0x40000000 }, "an x32 number" },
	{ SHIM_FILTER_X32, 1, { 0x40000001 }, "an x32 number" },
	{ 0, 1, { 0xffffffff }, "an x32 number" },
	{ SHIM_FILTER_NUMBER_BLIND, 1, { 4 }, "numbers without numbers" },
};

START_TEST(bad_list_is_refused)
{
	struct shim_filter_spec spec = { bad_specs[_i].flags, bad_specs[_i].count,
					 bad_specs[_i].list };
	struct sock_filter code[SHIM_FILTER_MAX];

	ck_assert(model_refused(&spec));
	ck_assert_msg(shim_filter_build(code, SHIM_FILTER_MAX, &spec) == 0, "%s",
		      bad_specs[_i].why);
}
END_TEST

START_TEST(list_with_more_gaps_than_linux_has_numbers_is_refused)
{
	uint32_t list[600];
	struct shim_filter_spec spec = { .allowed_count = 600, .allowed = list };
	struct sock_filter code[SHIM_FILTER_MAX];

	for (uint32_t i = 0; i < 600; i++)
		list[i] = 0x1000 + 2 * i;
	ck_assert_uint_eq(shim_filter_build(code, SHIM_FILTER_MAX, &spec), 0);
	spec.allowed_count = 256;
	ck_assert_uint_gt(shim_filter_build(code, SHIM_FILTER_MAX, &spec), 0);
}
END_TEST

/* Where a tree's half is just too long for a conditional jump. */
START_TEST(lists_of_every_length_are_right)
{
	uint32_t list[256];

	for (uint32_t count = 1; count <= 256; count++) {
		struct kind kind = { "a list", { .allowed = list }, 0 };
		struct bpf bpf;

		for (uint32_t i = 0; i < count; i++)
			list[i] = 2 * i + (uint32_t) _i + (2 * i > 423 ? 100 : 0);
		kind.spec.allowed_count = count;
		bpf = build(&kind.spec);
		for (uint32_t n = 0; n < 650; n++)
			compare(&bpf, &kind,
				&(struct seccomp_data){ .nr = (int) n,
							.arch = AUDIT_ARCH_X86_64 });
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("filter");

	fill_lists();
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, filter_answers_a_million_cases_as_the_model_does, 0,
			    KINDS);
	tcase_add_loop_test(tc, listed_numbers_are_constant_to_the_kernel, 0, KINDS);
	tcase_add_loop_test(tc, call_from_a_pool_takes_few_instructions, 0, KINDS);
	tcase_add_loop_test(tc, filter_that_does_not_fit_is_refused, 0, KINDS);
	tcase_add_loop_test(tc, bad_list_is_refused, 0,
			    (int) (sizeof(bad_specs) / sizeof(bad_specs[0])));
	tcase_add_loop_test(tc, lists_of_every_length_are_right, 0, 2);
	tcase_add_test(tc, list_with_more_gaps_than_linux_has_numbers_is_refused);
	return run_tests(tc);
}
