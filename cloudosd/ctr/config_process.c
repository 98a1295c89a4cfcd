/* SPDX-License-Identifier: MIT */
/* config.json: the member "process".  HOST. */
#include <linux/capability.h>
#include <sys/resource.h>

#include "cloudosd/ctr/config_read.h"
#include "lib/capability.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- user ---- */

static int read_groups(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_user *user = out;
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(uint32_t), ctr_read_u32, &list);

	if (rc == 0) {
		user->groups = list.at;
		user->group_count = list.count;
	}
	return rc;
}

static int read_umask(struct ctr_read *r, struct co_span value, void *out)
{
	int rc = ctr_read_int(r, value, out);

	if (rc == 0 && (*(int *) out < 0 || *(int *) out > 0777))
		return ctr_read_fail(r, "is no umask (0 to 511, which is 0777)");
	return rc;
}

static int read_user(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_user, "uid", ctr_read_u32, uid),
		CTR_FIELD(struct ctr_user, "gid", ctr_read_u32, gid),
		CTR_FIELD(struct ctr_user, "umask", read_umask, umask),
		{ "additionalGids", read_groups, 0 },
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

/* ---- capabilities ---- */

static int read_capability(struct ctr_read *r, struct co_span value, void *out)
{
	char *name;
	int rc = ctr_read_text(r, value, &name);

	if (rc < 0)
		return rc;
	/* one that only a later kernel has (-1) cannot be given, and need not be */
	*(int *) out = co_capability_number(name);
	return 0;
}

static int read_capability_set(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(int), read_capability, &list);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < list.count; i++)
		if (((const int *) list.at)[i] >= 0)
			*(uint64_t *) out |= 1ULL << ((const int *) list.at)[i];
	return 0;
}

static int read_capabilities(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_capabilities, "bounding", read_capability_set,
			  bounding),
		CTR_FIELD(struct ctr_capabilities, "effective", read_capability_set,
			  effective),
		CTR_FIELD(struct ctr_capabilities, "inheritable", read_capability_set,
			  inheritable),
		CTR_FIELD(struct ctr_capabilities, "permitted", read_capability_set,
			  permitted),
		CTR_FIELD(struct ctr_capabilities, "ambient", read_capability_set,
			  ambient),
	};

	((struct ctr_capabilities *) out)->given = true;
	return CTR_READ_OBJECT(r, value, fields, out);
}

/* ---- limits ---- */

static const struct ctr_word rlimit_words[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static int read_rlimit_type(struct ctr_read *r, struct co_span value, void *out)
{
	return ctr_read_word(r, value, rlimit_words, co_countof(rlimit_words), out);
}

static int read_rlimit(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_rlimit, "type", read_rlimit_type, resource),
		CTR_FIELD(struct ctr_rlimit, "soft", ctr_read_u64, soft),
		CTR_FIELD(struct ctr_rlimit, "hard", ctr_read_u64, hard),
	};
	struct ctr_rlimit *limit = out;
	int rc;

	limit->resource = -1;
	rc = CTR_READ_OBJECT(r, value, fields, out);
	if (rc < 0)
		return rc;
	if (limit->resource < 0)
		return ctr_read_fail(r, "has no type");
	if (limit->soft > limit->hard)
		return ctr_read_fail(r, "has a soft limit above the hard one");
	return 0;
}

static int read_rlimits(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_process_spec *p = out;
	struct ctr_list list;
	int rc = ctr_read_list(r, value, sizeof(struct ctr_rlimit), read_rlimit, &list);

	if (rc < 0)
		return rc;
	p->rlimits = list.at;
	p->rlimit_count = list.count;
	for (size_t i = 0; i < list.count; i++)
		for (size_t j = 0; j < i; j++)
			if (p->rlimits[i].resource == p->rlimits[j].resource)
				return ctr_read_fail(r, "names one limit twice");
	return 0;
}

/* ---- the rest ---- */

static int read_oom_score(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_process_spec *p = out;
	int rc = ctr_read_int(r, value, &p->oom_score_adj);

	if (rc == 0 && (p->oom_score_adj < -1000 || p->oom_score_adj > 1000))
		return ctr_read_fail(r, "is not between -1000 and 1000");
	p->has_oom_score_adj = rc == 0;
	return rc;
}

static int read_io_class(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = {
		{ "IOPRIO_CLASS_RT", 1 },
		{ "IOPRIO_CLASS_BE", 2 },
		{ "IOPRIO_CLASS_IDLE", 3 },
	};

	return ctr_read_word(r, value, words, co_countof(words), out);
}

static int read_io_priority(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_process_spec, "class", read_io_class, io_class),
		CTR_FIELD(struct ctr_process_spec, "priority", ctr_read_int,
			  io_priority),
	};
	struct ctr_process_spec *p = out;
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc == 0 && (p->io_priority < -1 || p->io_priority > 7))
		return ctr_read_fail(r, "has a priority that is not between 0 and 7");
	return rc;
}

static int read_scheduler(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_process_spec *p = out;
	int rc = ctr_read_raw(r, value, &p->scheduler);

	p->has_scheduler = rc == 0;
	return rc;
}

static int read_console_size(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_process_spec, "height", ctr_read_u16, rows),
		CTR_FIELD(struct ctr_process_spec, "width", ctr_read_u16, columns),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

int ctr_read_process(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
#define FIELD(name, read, member) CTR_FIELD(struct ctr_process_spec, name, read, member)
		FIELD("terminal", ctr_read_bool, terminal),
		FIELD("user", read_user, user),
		FIELD("args", ctr_read_texts, args),
		FIELD("env", ctr_read_texts, env),
		FIELD("cwd", ctr_read_text, cwd),
		FIELD("capabilities", read_capabilities, capabilities),
		FIELD("noNewPrivileges", ctr_read_bool, no_new_privileges),
		FIELD("apparmorProfile", ctr_read_text, apparmor_profile),
		FIELD("selinuxLabel", ctr_read_text, selinux_label),
#undef FIELD
		{ "consoleSize", read_console_size, 0 },
		{ "rlimits", read_rlimits, 0 },
		{ "oomScoreAdj", read_oom_score, 0 },
		{ "ioPriority", read_io_priority, 0 },
		{ "scheduler", read_scheduler, 0 },
	};
	struct ctr_process_spec *p = out;
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc < 0)
		return rc;
	if (p->cwd && p->cwd[0] != '/')
		return ctr_read_fail(r, "has a cwd that is not absolute");
	return 0;
}
