/* SPDX-License-Identifier: MIT */
/* From a CloudOS number to its handler, and from a status to a CloudOS error.  HOST. */
#include <stdio.h>

#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

static int64_t dispatch(struct co_call *call, const struct co_op *op, void *args)
{
	if (op->support == CO_SUPPORT_ABSENT)
		return call_fail(call, CO_UNSUPPORTED, "%s: %s", op->name, op->note);
	switch (op->number) {
/* clang-format off */
#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args_, heading, note) OP_##plane(key, name)
#undef NUM
#define NUM(n) n
#define OP_DAEMON(key, name) case key: return cloudos_on_##name(call, args);
#include "personality/cloudos/ops.def"
#include <co/op-end.h>
		/* clang-format on */
	}
	return call_fail(call, CO_UNSUPPORTED, "%s is not a call of the daemon",
			 op->name);
}

static const struct {
	int code, status;
	const char *name;
} errors[] = {
#define ERROR(name, number, errno_, status, sentence)                                  \
	{ -(number), CO_##status, "CLOUDOS_" #name },
#include "personality/cloudos/errors.def"
#undef ERROR
};

int cloudos_code(int status)
{
	for (size_t i = 0; i < co_countof(errors); i++)
		if (errors[i].status == status)
			return errors[i].code;
	switch (status) { /* what CloudOS has no code for goes to the nearest */
	case CO_UNSUPPORTED:
		return CLOUDOS_EACCES;
	case CO_INTERRUPTED:
	case CO_TIMED_OUT:
	case CO_CONFLICT:
		return CLOUDOS_EBUSY;
	case CO_VERSION:
		return CLOUDOS_EINVAL;
	default:
		return CLOUDOS_EIO;
	}
}

static int64_t raw_error(int status)
{
	return -2000 + (int64_t) cloudos_code(status);
}

static const char *error_name(int64_t raw)
{
	for (size_t i = 0; i < co_countof(errors); i++)
		if (errors[i].code == raw + 2000)
			return errors[i].name;
	return NULL;
}

static void failed(struct co_call *call, int status, const char *reason)
{
	const struct co_services *services = call_services(call);
	struct error_record record = {
		.code = cloudos_code(status),
		.at_ns = services->host->wall_ns(services->host->ctx),
		.pid = call_process(call)->pid,
		.tid = call_tid(call),
	};

	errors_text(record.message, sizeof(record.message), reason);
	errors_text(record.component, sizeof(record.component), call_op(call)->name);
	/* without memory the previous record stays: the code itself still tells */
	(void) errors_set(services->errors, call_session(call), call_thread_start(call),
			  &record);
	services->record_error(services->ctx, &record, call_session(call), 0, false);
}

const struct co_personality_host cloudos_host = {
	.name = "cloudos",
	.dispatch = dispatch,
	.raw_error = raw_error,
	.error_name = error_name,
	.structs = cloudos_structs,
	.failed = failed,
};
