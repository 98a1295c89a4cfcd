/* SPDX-License-Identifier: MIT */
/* The seccomp filters of the notify and ptrace engines.  HOST. */
#include "cli/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* SECCOMP_FILTER_FLAG_SPEC_ALLOW keeps kernels before 5.16 from slowing the guest down
 * with mitigations that are for other uses of seccomp. */
#define FLAGS_COMMON SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define FLAGS_NOTIFY                                                                   \
	(FLAGS_COMMON | SECCOMP_FILTER_FLAG_NEW_LISTENER |                             \
	 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

/* Calls of Linux's own: all of them, or those that are not about opening files. */
static int add_caught(scmp_filter_ctx ctx, const struct co_personality *p,
		      enum filter_caught caught, uint32_t action)
{
	for (size_t i = 0; i < p->ncaught; i++) {
		bool opens = !strncmp(p->caught[i].name, "open", 4);
		int r;

		if (!(caught & (opens ? FILTER_OPENS : FILTER_BINDS)))
			continue;
		r = seccomp_rule_add(ctx, action, (int) p->caught[i].number, 0);
		if (r < 0)
			return -r;
	}
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, const struct co_personality *p,
		     uint32_t action)
{
	for (size_t i = 0; i < p->nops; i++) {
		int r;

		if (p->ops[i].key_kind != CO_KEY_NUM)
			continue;
		r = seccomp_rule_add(ctx, action, (int) p->ops[i].number, 0);
		if (r < 0)
			return -r;
	}
	return 0;
}

static int export(scmp_filter_ctx ctx, struct filter *out)
{
	autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0 || fstat(fd, &st) < 0)
		return errno;
	out->program.len =
		(unsigned short) ((size_t) st.st_size / sizeof(struct sock_filter));
	out->program.filter = malloc((size_t) st.st_size);
	if (!out->program.filter)
		return ENOMEM;
	if (pread(fd, out->program.filter, (size_t) st.st_size, 0) != st.st_size)
		return EIO;
	return 0;
}

int filter_new(struct filter *out, const struct co_personality *p,
	       enum co_engine engine, enum filter_caught caught, struct co_err *err)
{
	uint32_t action =
		engine == CO_ENGINE_NOTIFY ? SCMP_ACT_NOTIFY : SCMP_ACT_TRACE(0);
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : ENOMEM;

	memset(out, 0, sizeof(*out));
	/* a tree of comparisons; and other architectures (i386, x32) are left alone */
	if (!r)
		r = -seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = -seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (!r)
		r = add_rules(ctx, p, action);
	if (!r)
		r = add_caught(ctx, p, caught, action);
	if (!r)
		r = export(ctx, out);
	seccomp_release(ctx);
	if (r) {
		filter_done(out);
		return co_fail_errno(err, r, "cannot build the system call filter");
	}
	return 0;
}

void filter_done(struct filter *f)
{
	free(f->program.filter);
	f->program.filter = NULL;
}

int filter_install(const struct filter *f, enum co_engine engine)
{
	unsigned long flags = engine == CO_ENGINE_NOTIFY ? FLAGS_NOTIFY : FLAGS_COMMON;
	long r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &f->program);
	return r < 0 ? -errno : (int) r;
}

bool filter_trap_known(void)
{
	uint32_t action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool filter_notify_known(void)
{
	/* flags are looked at before the program, which is not there */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, FLAGS_NOTIFY, NULL) < 0 &&
	       errno == EFAULT;
}
