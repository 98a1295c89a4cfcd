/* SPDX-License-Identifier: MIT */
/* From a process of ours to the program: user and capabilities.  HOST. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/program.h"
#include "lib/cleanup.h"

enum { CAP_LAST = 63 };

#define SYS_ADMIN (1ULL << CAP_SYS_ADMIN)

static bool exists(int capability)
{
	return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
}

static int drop_bounding(uint64_t keep, struct co_err *err)
{
	for (int i = 0; i <= CAP_LAST && exists(i); i++) {
		if (keep & (1ULL << i))
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
			return co_fail_errno(err, errno,
					     "capability %d cannot be dropped", i);
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			return co_fail(
				err, CO_ACCESS,
				"capability %d cannot be taken from the bounding "
				"set: we lack CAP_SETPCAP",
				i);
	}
	return 0;
}

static int get_permitted(uint64_t *out)
{
	struct __user_cap_header_struct head = { .version =
							 _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	*out = data[0].permitted | (uint64_t) data[1].permitted << 32;
	return 0;
}

struct sets {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[2];
	uint64_t raise; /* ambient ones */
	bool less;      /* than there are now */
};

/* `extra`: of the permitted and effective ones, besides. */
static int plan_sets(const struct ctr_capabilities *c, uint64_t extra, struct sets *out,
		     struct co_err *err)
{
	uint64_t have = 0, bounding = 0;
	uint64_t sets[3];

	if (get_permitted(&have) < 0)
		return co_fail_errno(err, errno, "capabilities cannot be read");
	/* what we do not have cannot be given; no program has more for it */
	sets[0] = ((c->effective & c->permitted) | extra) & have;
	sets[1] = (c->permitted | extra) & have;
	for (int i = 0; i <= CAP_LAST; i++)
		if (c->bounding & (1ULL << i) &&
		    prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			bounding |= 1ULL << i;
	sets[2] = c->inheritable & (have | bounding);
	*out = (struct sets){ .head.version = _LINUX_CAPABILITY_VERSION_3,
			      .raise = c->ambient & sets[1] & sets[2],
			      .less = have != sets[1] };
	for (int i = 0; i < 2; i++)
		out->data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t) (sets[0] >> (32 * i)),
			.permitted = (uint32_t) (sets[1] >> (32 * i)),
			.inheritable = (uint32_t) (sets[2] >> (32 * i)),
		};
	return 0;
}

static int set_sets(struct sets *s, struct co_err *err)
{
	if (syscall(SYS_capset, &s->head, s->data) < 0)
		return co_fail_errno(err, errno, "capabilities cannot be set");
	return 0;
}

static int set_capabilities(const struct ctr_capabilities *c, uint64_t extra,
			    struct co_err *err)
{
	struct sets s;
	int rc = plan_sets(c, extra, &s, err);

	if (rc == 0)
		rc = set_sets(&s, err);
	if (rc < 0)
		return rc;
	(void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i <= CAP_LAST; i++)
		if (s.raise & (1ULL << i))
			/* no_new_privs or securebits may forbid it */
			(void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
	return 0;
}

static int set_groups(const struct ctr_user *u, struct co_err *err)
{
	gid_t *groups = NULL;
	int rc;

	if (u->keep_groups && u->group_count == 0)
		return 0;
	if (u->group_count) {
		groups = calloc(u->group_count, sizeof(*groups));
		if (!groups)
			return co_fail(err, CO_NO_MEMORY, "out of memory");
		for (size_t i = 0; i < u->group_count; i++)
			groups[i] = u->groups[i];
	}
	rc = (int) syscall(SYS_setgroups, u->group_count, groups);
	free(groups);
	/* EPERM: who maps only himself may not change groups (setgroups: deny) */
	if (rc < 0 && errno != EPERM)
		return co_fail_errno(err, errno, "the additional groups cannot be set");
	return 0;
}

static int set_ids(const struct ctr_user *u, struct co_err *err)
{
	int rc = set_groups(u, err);

	if (rc < 0)
		return rc;
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0)
		return co_fail_errno(err, errno, "group %u cannot be had%s", u->gid,
				     errno == EINVAL ? ", it is not mapped" : "");
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return co_fail_errno(err, errno, "user %u cannot be had%s", u->uid,
				     errno == EINVAL ? ", it is not mapped" : "");
	return 0;
}

int ctr_program_user(const struct ctr_process_spec *p, bool filter_follows,
		     struct co_err *err)
{
	bool keep = filter_follows && !p->no_new_privileges;
	int rc;

	(void) umask(p->user.umask >= 0 ? (mode_t) p->user.umask : 022);
	/* the user changes further down, and what it may do with it */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return co_fail_errno(err, errno, "capabilities cannot be kept");
	rc = drop_bounding(p->capabilities.bounding, err);
	if (rc == 0)
		rc = set_ids(&p->user, err);
	if (rc == 0)
		rc = set_capabilities(&p->capabilities, keep ? SYS_ADMIN : 0, err);
	if (rc < 0)
		return rc;
	(void) prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return co_fail_errno(err, errno, "no_new_privs cannot be set");
	return 0;
}

int ctr_program_drop(const struct ctr_process_spec *p, struct co_err *err)
{
	struct sets s;
	int rc = plan_sets(&p->capabilities, 0, &s, err);

	return rc == 0 && s.less ? set_sets(&s, err) : rc;
}
