/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  CloudOS inside the guest: which system call goes where, derived from the
 * table.  Called by the shim's dispatcher.  Private calls are the daemon's, those that
 * have no answer in this version included: it knows what to say, counts and traces them.
 *
 * One case label per row: two rows with the same number do not compile.
 */
#include <co/status.h>
#include <shim/guest.h>
#include <shim/rt/kernel.h>

enum co_plane cloudos_guest_plane(uint32_t number)
{
	/* clang-format off */
	switch (number) {
#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args, heading, note) case key: return CO_PLANE_##plane;
#undef NUM
#define NUM(n) (n)
#undef LINUX
#define LINUX(call) (__NR_##call)
#include "ops.def"
#include <co/op-end.h>
	default:
		return CO_PLANE_KERNEL;
	}
	/* clang-format on */
}

/* As the daemon's own cloudos_code, for what can happen before the daemon is reached. */
static long raw_error(int status)
{
	/* clang-format off */
	switch (status) {
#define ERROR(name, number, linux_number, status_, sentence) \
	case CO_##status_: return -2000 - (number);
#include "errors.def"
#undef ERROR
	case CO_VERSION: return -2000 - 1;
	default: return -2000 - 4;
	}
	/* clang-format on */
}

const struct shim_personality cloudos_guest = {
	.name = "cloudos",
	.plane = cloudos_guest_plane,
	.dispatch = shim_daemon_call,
	.raw_error = raw_error,
	.first = 20000, /* the ABI's, tests/table/cloudos-abi.txt */
	.end = 30000,
	.allow_by_number = true,
};
