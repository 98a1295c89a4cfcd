/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the builder of the trap engine's filter against the model.  HOST.
 * Input: a byte of flags; a byte with the length of the list, in units of two; as many
 * bytes by which each number is greater than the one before (0 is an error, 255 stands
 * for 2048); then calls of 13 bytes: number, architecture, address.
 * Calls that are near to the list and to the pools are added.
 */
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/target.h"
#include "tests/trap/filter_model.h"

#define LIST_MAX 512U
#define CALL     13U

static const uint32_t arches[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_ARM,
				   0 };
static const uint64_t places[] = { 0,
				   0x555555554000,
				   CO_TRAP_POOL(0),
				   CO_TRAP_POOL(17) + CO_TRAP_POOL_SIZE,
				   CO_TRAP_POOL(63),
#define LOW_POOL(first, end) first + 1, first + 2, end, end + 1,
				   CO_TRAP_LOW_POOLS(LOW_POOL)
#undef LOW_POOL
};

static void compare(struct bpf *bpf, const struct shim_filter_spec *spec,
		    uint32_t number, uint32_t arch, uint64_t address)
{
	struct seccomp_data data = { .nr = (int) number,
				     .arch = arch,
				     .instruction_pointer = address };
	bool plain, constant = model_constant(spec, number);
	unsigned steps;

	if (bpf_run(bpf, &data, &steps, &plain) != model_answer(spec, &data))
		abort();
	if (arch == AUDIT_ARCH_X86_64 && constant && !plain)
		abort(); /* the kernel's bitmap would not have it */
	if (steps > 32)
		abort();
}

static void compare_near(struct bpf *bpf, const struct shim_filter_spec *spec)
{
	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
		for (uint32_t i = 0; i < spec->allowed_count; i += 1 + i / 16)
			for (uint32_t d = 0; d < 3; d++)
				compare(bpf, spec, spec->allowed[i] + d - 1,
					arches[(p + i + d) % 8 == 0], places[p]);
	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
		for (uint32_t n = 423; n < 430; n++)
			for (size_t a = 0; a < 4; a++)
				compare(bpf, spec, n, arches[a], places[p]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t list[LIST_MAX];
	static struct bpf bpf;
	struct shim_filter_spec spec = { .allowed = list };
	uint32_t number = UINT32_MAX, ranges = 0;

	if (size < 2)
		return 0;
	spec.flags = data[0] % 8;
	spec.allowed_count = data[1] * 2U;
	data += 2;
	size -= 2;
	if (size < spec.allowed_count)
		return 0;
	for (uint32_t i = 0; i < spec.allowed_count; i++) {
		number += data[i] == 255 ? 2048 : data[i];
		list[i] = number;
		ranges += data[i] != 1 || i == 0;
	}
	data += spec.allowed_count;
	size -= spec.allowed_count;

	bpf.n = shim_filter_build(bpf.code, SHIM_FILTER_MAX, &spec);
	if (bpf.n == 0) {
		/* too many ranges is the only other reason */
		if (!model_refused(&spec) && ranges <= 256)
			abort();
		return 0;
	}
	if (model_refused(&spec) || ranges > 256 || bpf_fault(&bpf))
		abort();
	compare_near(&bpf, &spec);
	for (; size >= CALL; data += CALL, size -= CALL) {
		uint64_t address;

		memcpy(&number, data, 4);
		memcpy(&address, data + 5, 8);
		compare(&bpf, &spec, number, arches[data[4] % 4], address);
	}
	return 0;
}
