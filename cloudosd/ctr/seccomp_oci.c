/* SPDX-License-Identifier: MIT */
/* linux.seccomp of an OCI configuration, compiled by libseccomp.  HOST. */
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/ctr/seccomp.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { ARGUMENTS = 6, ERRNO_MAX = 4095, WORD = 128 };

/* A member's text in out (n bytes); false: there is none, or it is too long. */
static bool text_of(struct co_span value, char *out, size_t n)
{
	autobuf struct co_buf b = { 0 };

	out[0] = 0;
	if (co_json_unescape(value, &b) || b.failed || b.size >= n)
		return false;
	memcpy(out, b.data ? b.data : "", b.size);
	out[b.size] = 0;
	return true;
}

static int wrong(struct co_err *err, const char *what)
{
	return co_fail(err, CO_INVALID, "config.json: linux.seccomp.%s", what);
}

struct word {
	const char *name;
	uint32_t value;
};

static bool word_of(const struct word *words, size_t n, const char *name, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(words[i].name, name)) {
			*out = words[i].value;
			return true;
		}
	return false;
}

static const struct word actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(EPERM) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(EPERM) },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
};

static const struct word operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct word flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
	  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

/* The member `name`, with the number from `number` where the action has one. */
static int action_of(struct co_span object, const char *name, const char *number,
		     uint32_t *out, struct co_err *err)
{
	struct co_span value;
	char word[WORD];
	int64_t data;

	if (!co_json_member(object, name, &value) ||
	    !text_of(value, word, sizeof(word)) ||
	    !word_of(actions, co_countof(actions), word, out))
		return co_fail(err, CO_INVALID,
			       "config.json: linux.seccomp: %s is none of the actions "
			       "SCMP_ACT_*",
			       name);
	if (!co_json_member(object, number, &value))
		return 0;
	if (!co_json_whole(value, &data) || data < 0 || data > ERRNO_MAX)
		return co_fail(err, CO_INVALID,
			       "config.json: linux.seccomp: %s is no error number",
			       number);
	if (*out == SCMP_ACT_ERRNO(EPERM))
		*out = SCMP_ACT_ERRNO((uint32_t) data);
	else if (*out == SCMP_ACT_TRACE(EPERM))
		*out = SCMP_ACT_TRACE((uint32_t) data);
	return 0;
}

/* ---- one entry of syscalls ---- */

struct arguments {
	struct scmp_arg_cmp at[ARGUMENTS];
	unsigned n;
	bool alternatives; /* two are about one argument: any of them will do */
};

/* uint64, also above 2^63, which co_json_whole does not give. */
static bool number_of(struct co_span object, const char *name, uint64_t *out)
{
	struct co_span value;
	char digits[32];
	char *end;

	*out = 0;
	if (!co_json_member(object, name, &value))
		return true;
	if (co_json_kind(value) != CO_JSON_NUMBER || value.size >= sizeof(digits))
		return false;
	memcpy(digits, value.data, value.size);
	digits[value.size] = 0;
	errno = 0;
	*out = strtoull(digits, &end, 10);
	return !*end && !errno && digits[0] != '-';
}

static int arguments_of(struct co_span call, struct arguments *out, struct co_err *err)
{
	struct co_span list, value, one, name;
	struct co_json_walk w;
	unsigned seen = 0;

	*out = (struct arguments){ 0 };
	if (!co_json_member(call, "args", &list) || co_json_kind(list) == CO_JSON_NULL)
		return 0;
	if (co_json_kind(list) != CO_JSON_ARRAY)
		return wrong(err, "syscalls: args is not a list");
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &one)) {
		uint64_t index = 0, a = 0, b = 0;
		uint32_t op = 0;
		char word[WORD];

		if (out->n == ARGUMENTS)
			return wrong(err, "syscalls: args has more than six entries");
		if (!co_json_member(one, "op", &value) ||
		    !text_of(value, word, sizeof(word)) ||
		    !word_of(operators, co_countof(operators), word, &op) ||
		    !number_of(one, "index", &index) || index >= ARGUMENTS ||
		    !number_of(one, "value", &a) || !number_of(one, "valueTwo", &b))
			return wrong(err,
				     "syscalls: an entry of args needs index (0 to "
				     "5), value and op (SCMP_CMP_*)");
		out->alternatives |= (seen >> index & 1) != 0;
		seen |= 1U << index;
		out->at[out->n++] =
			(struct scmp_arg_cmp){ (unsigned) index, (enum scmp_compare) op,
					       a, b };
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int number,
		    const struct arguments *a)
{
	int r = 0;

	if (!a->alternatives)
		return seccomp_rule_add_array(ctx, action, number, a->n, a->at);
	for (unsigned i = 0; i < a->n && !r; i++)
		r = seccomp_rule_add_array(ctx, action, number, 1, &a->at[i]);
	return r;
}

static int add_call(scmp_filter_ctx ctx, struct co_span call, uint32_t usual,
		    bool *notifies, struct co_err *err)
{
	struct co_span list, one, name;
	struct co_json_walk w;
	struct arguments a;
	uint32_t action;

	if (action_of(call, "action", "errnoRet", &action, err) ||
	    arguments_of(call, &a, err))
		return CO_INVALID;
	if (!co_json_member(call, "names", &list) ||
	    co_json_kind(list) != CO_JSON_ARRAY)
		return wrong(err, "syscalls: an entry has no list of names");
	if (action == usual)
		return 0;
	*notifies |= action == SCMP_ACT_NOTIFY;
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &one)) {
		char word[WORD];
		int number, r;

		if (!text_of(one, word, sizeof(word)))
			return wrong(err, "syscalls: a name is not a text");
		number = seccomp_syscall_resolve_name(word);
		if (number == __NR_SCMP_ERROR)
			continue; /* newer than libseccomp, or of no architecture */
		r = add_rule(ctx, action, number, &a);
		/* one that only another architecture has; or the same rule twice */
		if (r < 0 && r != -EDOM && r != -EEXIST)
			return co_fail_errno(err, -r,
					     "config.json: linux.seccomp.syscalls: "
					     "libseccomp refuses the rule for %s",
					     word);
	}
	return 0;
}

/* ---- the whole ---- */

static int add_architectures(scmp_filter_ctx ctx, struct co_span json,
			     struct co_err *err)
{
	struct co_span list, one, name;
	struct co_json_walk w;

	if (!co_json_member(json, "architectures", &list) ||
	    co_json_kind(list) != CO_JSON_ARRAY)
		return 0;
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &one)) {
		char word[WORD];
		uint32_t arch = 0;
		int r;

		if (!text_of(one, word, sizeof(word)) ||
		    strncmp(word, "SCMP_ARCH_", 10) != 0)
			return wrong(err, "architectures has an entry that is not "
					  "SCMP_ARCH_*");
		/* programs of others do not run here */
		if (!strcmp(word, "SCMP_ARCH_X86"))
			arch = SCMP_ARCH_X86;
		else if (!strcmp(word, "SCMP_ARCH_X32"))
			arch = SCMP_ARCH_X32;
		r = arch ? seccomp_arch_add(ctx, arch) : 0;
		if (r < 0 && r != -EEXIST)
			return co_fail_errno(
				err, -r,
				"config.json: linux.seccomp.architectures: "
				"%s",
				word);
	}
	return 0;
}

static int take_flags(struct ctr_filter *f, struct co_span json, struct co_err *err)
{
	struct co_span list, one, name;
	struct co_json_walk w;

	if (!co_json_member(json, "flags", &list) ||
	    co_json_kind(list) != CO_JSON_ARRAY)
		return 0;
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &one)) {
		char word[WORD];
		uint32_t flag;

		if (!text_of(one, word, sizeof(word)) ||
		    !word_of(flags, co_countof(flags), word, &flag))
			return co_fail(err, CO_INVALID,
				       "config.json: linux.seccomp.flags: there is no "
				       "flag \"%s\"",
				       word);
		f->flags |= flag;
	}
	return 0;
}

static int take_text(struct co_span json, const char *name, char **out,
		     struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	struct co_span value;
	size_t size;

	if (!co_json_member(json, name, &value) ||
	    co_json_kind(value) == CO_JSON_NULL || co_json_string_is(value, ""))
		return 0;
	if (co_json_unescape(value, &b))
		return co_fail(err, CO_INVALID,
			       "config.json: linux.seccomp.%s is not a text", name);
	*out = co_buf_take(&b, &size);
	return *out ? 0 : co_fail(err, CO_NO_MEMORY, "no memory for a filter");
}

static int export(scmp_filter_ctx ctx, struct sock_fprog *out, struct co_err *err)
{
	autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot build a filter");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, r < 0 ? -r : errno,
				     "libseccomp cannot build the filter of "
				     "linux.seccomp");
	out->filter = malloc((size_t) st.st_size);
	if (!out->filter)
		return co_fail(err, CO_NO_MEMORY, "no memory for a filter");
	if (pread(fd, out->filter, (size_t) st.st_size, 0) != st.st_size)
		return co_fail_errno(err, EIO, "cannot read a filter");
	out->len = (unsigned short) ((size_t) st.st_size / sizeof(*out->filter));
	return 0;
}

static int add_calls(scmp_filter_ctx ctx, struct co_span json, uint32_t usual,
		     struct ctr_filter *f, struct co_err *err)
{
	struct co_span list, one, name;
	struct co_json_walk w;
	int r = 0;

	if (!co_json_member(json, "syscalls", &list) ||
	    co_json_kind(list) == CO_JSON_NULL)
		return 0;
	if (co_json_kind(list) != CO_JSON_ARRAY)
		return wrong(err, "syscalls is not a list");
	w = co_json_walk(list);
	while (!r && co_json_next(&w, &name, &one))
		r = add_call(ctx, one, usual, &f->notifies, err);
	return r;
}

static int compile(scmp_filter_ctx ctx, struct co_span json, uint32_t usual,
		   struct ctr_filter *out, struct co_err *err)
{
	int r;

	/* a tree of comparisons instead of a chain; programs stay small enough */
	if (seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		return co_fail(err, CO_NO_MEMORY, "libseccomp cannot build a filter");
	r = add_architectures(ctx, json, err);
	if (!r)
		r = add_calls(ctx, json, usual, out, err);
	if (!r)
		r = take_flags(out, json, err);
	if (!r)
		r = take_text(json, "listenerPath", &out->listener_path, err);
	if (!r)
		r = take_text(json, "listenerMetadata", &out->listener_metadata, err);
	if (!r && out->notifies && !out->listener_path)
		r = wrong(err, "syscalls has SCMP_ACT_NOTIFY, but there is no "
			       "listenerPath to ask");
	if (!r && out->listener_path) /* its agent waits, even if no call is its */
		out->notifies = true;
	return r ? r : export(ctx, &out->program, err);
}

int ctr_filter_from_oci(struct co_span json, struct ctr_filter *out, struct co_err *err)
{
	scmp_filter_ctx ctx;
	uint32_t usual;
	int r;

	*out = (struct ctr_filter){ 0 };
	if (co_json_kind(json) != CO_JSON_OBJECT)
		return co_fail(err, CO_INVALID,
			       "config.json: linux.seccomp is not an object");
	r = action_of(json, "defaultAction", "defaultErrnoRet", &usual, err);
	if (r)
		return r;
	if (usual == SCMP_ACT_NOTIFY)
		return wrong(err, "defaultAction is SCMP_ACT_NOTIFY: then not even the "
				  "listener could be handed over");
	ctx = seccomp_init(usual);
	if (!ctx)
		return co_fail(err, CO_NO_MEMORY, "no memory for a filter");
	r = compile(ctx, json, usual, out, err);
	seccomp_release(ctx);
	if (r)
		ctr_filter_done(out);
	return r;
}
