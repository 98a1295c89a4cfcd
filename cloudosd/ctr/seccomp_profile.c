/* SPDX-License-Identifier: MIT */
/*
 * Our default profile and the strict filter of --confine, from seccomp.def.  HOST.
 *
 * Rules look at the low half of an argument only where the kernel itself takes no more of
 * it (int, unsigned int): a value in the other half changes nothing for either.
 */
#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "cloudosd/ctr/bpf.h"
#include "cloudosd/ctr/seccomp.h"
#include "cloudosd/ctr/seccomp_numbers.h"
#include "lib/cleanup.h"

/* Kernel headers of Debian 12 do not know all of them. */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)
#define NEW_TIME 0x80U /* CLONE_NEWTIME; a signal's number in clone */
#define X32      0x40000000U

/* clang-format off */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
			offsetof(struct seccomp_data, field))
#define ARG(n)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
			offsetof(struct seccomp_data, args) + 8 * (n))
#define IS(value, yes, no)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define HAS(bits, yes, no)  BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (yes), (no))
#define YES         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NO(number)  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number))

static const struct sock_filter code_allow[] = { YES };
static const struct sock_filter code_refuse[] = { NO(EPERM) };
static const struct sock_filter code_unknown[] = { NO(ENOSYS) };
static const struct sock_filter code_kill[] = {
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
};
/* glibc falls back to clone, whose flags are no pointer away */
#define code_clone3 code_unknown
static const struct sock_filter code_clone[] = {
	ARG(0), HAS(NAMESPACES, 0, 1), NO(EPERM), YES
};
static const struct sock_filter code_unshare[] = {
	ARG(0), HAS(NAMESPACES | NEW_TIME, 0, 1), NO(EPERM), YES
};
/* Linux, its old variants for programs that ask for them, and the question which it is */
static const struct sock_filter code_personality[] = {
	ARG(0), IS(0, 5, 0), IS(8, 4, 0), IS(0x20000, 3, 0), IS(0x20008, 2, 0),
	IS(0xffffffffU, 1, 0), NO(EPERM), YES
};
static const struct sock_filter code_personality_strict[] = {
	ARG(0), IS(0, 2, 0), IS(0xffffffffU, 1, 0), NO(EPERM), YES
};
/* vsock reaches the hypervisor; the kernel's ciphers have no business in a container */
static const struct sock_filter code_socket[] = {
	ARG(0), IS(AF_VSOCK, 1, 0), IS(AF_ALG, 0, 1), NO(EAFNOSUPPORT), YES
};
static const struct sock_filter code_socket_strict[] = {
	ARG(0), IS(AF_UNIX, 6, 0), IS(AF_INET, 5, 0), IS(AF_INET6, 4, 0),
	IS(AF_NETLINK, 1, 0), NO(EAFNOSUPPORT),
	ARG(2), IS(0 /* NETLINK_ROUTE */, 0, 1), YES, NO(EAFNOSUPPORT)
};
/* what types into the terminal for the one who sits there */
static const struct sock_filter code_ioctl[] = {
	ARG(1), IS(TIOCSTI, 1, 0), IS(TIOCLINUX, 0, 1), NO(EPERM), YES
};
static const struct sock_filter code_prctl[] = {
	ARG(0), IS(PR_SET_SECCOMP, 3, 0), IS(PR_SET_SYSCALL_USER_DISPATCH, 2, 0),
	IS(PR_SET_PTRACER, 1, 0), IS(PR_SET_DUMPABLE, 0, 1), NO(EPERM), YES
};
static const struct sock_filter code_prctl_trap[] = {
	ARG(0), IS(PR_SET_PTRACER, 1, 0), IS(PR_SET_DUMPABLE, 0, 1), NO(EPERM), YES
};
/* further filters may only take away; but none that hands its calls to somebody */
static const struct sock_filter code_seccomp_trap[] = {
	ARG(1), HAS(SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 1), NO(EPERM), YES
};
/* clang-format on */

#define RULE(name)                                                                     \
	static const struct ctr_rule rule_##name = { code_##name,                      \
						     co_countof(code_##name) }
RULE(allow);
RULE(refuse);
RULE(unknown);
RULE(kill);
RULE(clone3);
RULE(clone);
RULE(unshare);
RULE(personality);
RULE(personality_strict);
RULE(socket);
RULE(socket_strict);
RULE(ioctl);
RULE(prctl);
RULE(prctl_trap);
RULE(seccomp_trap);

/* ---- the table ---- */

/* The words of its columns; a capability is its own number. */
enum {
	WORD_ALLOW = 256,
	WORD_REFUSE,
	WORD_TRAP,
	WORD_CLONE,
	WORD_CLONE3,
	WORD_UNSHARE,
	WORD_PERSONALITY,
	WORD_SOCKET,
	WORD_SOCKET_STRICT,
	WORD_IOCTL,
	WORD_PRCTL
};

struct row {
	const char *name;
	short usual, strict;
};

/* clang-format off */
#define ALLOW         WORD_ALLOW
#define REFUSE        WORD_REFUSE
#define TRAP          WORD_TRAP
#define CLONE         WORD_CLONE
#define CLONE3        WORD_CLONE3
#define UNSHARE       WORD_UNSHARE
#define PERSONALITY   WORD_PERSONALITY
#define SOCKET        WORD_SOCKET
#define SOCKET_STRICT WORD_SOCKET_STRICT
#define IOCTL         WORD_IOCTL
#define PRCTL         WORD_PRCTL
#define CALL(call, usual, strict)          { #call, usual, strict },
#define NEWER(call, number, usual, strict) { #call, usual, strict },
static const struct row rows[] = {
#include "cloudosd/ctr/seccomp.def"
};
/* clang-format on */

struct choice {
	bool strict;
	unsigned int flags;    /* of strict */
	uint64_t capabilities; /* otherwise */
};

static const struct ctr_rule *capable(uint64_t capabilities, int capability)
{
	uint64_t wanted = 1ULL << capability;

	/* which were part of it once, and are still had with it */
	if (capability == CAP_BPF || capability == CAP_PERFMON ||
	    capability == CAP_SYSLOG)
		wanted |= 1ULL << CAP_SYS_ADMIN;
	return capabilities & wanted ? &rule_allow : &rule_refuse;
}

static const struct ctr_rule *rule_of(const struct choice *c, const struct row *row)
{
	int word = c->strict ? row->strict : row->usual;
	bool admin = !c->strict && (c->capabilities & 1ULL << CAP_SYS_ADMIN);
	bool trap = c->strict && (c->flags & CTR_STRICT_TRAP);

	switch (word) {
	case WORD_ALLOW:
		return &rule_allow;
	case WORD_TRAP:
		if (!trap)
			return &rule_refuse;
		return row->name[0] == 's' ? &rule_seccomp_trap : &rule_allow;
	case WORD_CLONE:
		return admin ? &rule_allow : &rule_clone;
	case WORD_CLONE3:
		return admin ? &rule_allow : &rule_clone3;
	case WORD_UNSHARE:
		return admin ? &rule_allow : &rule_unshare;
	case WORD_PERSONALITY:
		return c->strict ? &rule_personality_strict : &rule_personality;
	case WORD_SOCKET:
		return &rule_socket;
	case WORD_SOCKET_STRICT:
		return &rule_socket_strict;
	case WORD_IOCTL:
		return &rule_ioctl;
	case WORD_PRCTL:
		return trap ? &rule_prctl_trap : &rule_prctl;
	default:
		return word <= CAP_LAST_CAP ? capable(c->capabilities, word)
					    : &rule_refuse;
	}
}

/* ---- the program ---- */

enum { NUMBERS = 1024 /* all calls are below */ };
#define SPANS (2 * co_countof(rows) + 8)

/* What is made of the table on the way to a program. */
struct work {
	const struct ctr_rule *by_number[NUMBERS]; /* NULL: no row */
	struct ctr_span_rule spans[SPANS];
};

/* Numbers between these are refused, newer ones are unknown. */
static uint32_t known(const struct choice *c, const char *const texts[],
		      const struct ctr_rule *by_number[NUMBERS])
{
	uint32_t end = 0;

	memset(by_number, 0, NUMBERS * sizeof(*by_number));
	for (size_t i = 0; i < co_countof(rows); i++) {
		uint32_t number = 0;

		if (texts[i][0] < '0' || texts[i][0] > '9')
			continue;
		for (const char *digit = texts[i]; *digit; digit++)
			number = number * 10 + (uint32_t) (*digit - '0');
		if (number >= NUMBERS || by_number[number])
			continue; /* two names of one call */
		by_number[number] = rule_of(c, &rows[i]);
		end = number >= end ? number + 1 : end;
	}
	return end;
}

/* All numbers of one architecture. */
static void numbers(struct ctr_bpf *b, const struct choice *c, bool native,
		    struct work *w)
{
	uint32_t end =
		known(c, native ? ctr_numbers_x86_64 : ctr_numbers_i386, w->by_number);
	struct ctr_span_rule *spans = w->spans;
	const struct ctr_rule *last = NULL;
	size_t m = 0;

	ctr_bpf_add(b, (struct sock_filter) LOAD(nr));
	for (uint32_t i = 0; i < end; i++) {
		const struct ctr_rule *rule =
			w->by_number[i] ? w->by_number[i] : &rule_refuse;

		if (rule != last)
			spans[m++] = (struct ctr_span_rule){ i, rule };
		last = rule;
	}
	spans[m++] = (struct ctr_span_rule){ end, &rule_unknown };
	if (native) {
		/* ours; who serves them asks for them, and otherwise there is no such call */
		spans[m++] = (struct ctr_span_rule){ CTR_PRIVATE_FIRST, &rule_allow };
		spans[m++] =
			(struct ctr_span_rule){ CTR_PRIVATE_LAST + 1, &rule_unknown };
		if (c->strict) /* otherwise it is not known, as in most kernels */
			spans[m++] = (struct ctr_span_rule){ X32, &rule_kill };
	}
	ctr_bpf_tree(b, spans, m);
}

static int profile(const struct choice *c, struct ctr_filter *out, struct co_err *err)
{
	autofree struct work *work = malloc(sizeof(*work));
	struct ctr_bpf b = { 0 };
	size_t other;

	*out = (struct ctr_filter){ 0 };
	if (!work)
		return co_fail(err, CO_NO_MEMORY, "no memory for a filter");
	ctr_bpf_add(&b, (struct sock_filter) LOAD(arch));
	ctr_bpf_add(&b, (struct sock_filter) IS(AUDIT_ARCH_X86_64, 1, 0));
	other = b.n;
	ctr_bpf_add(&b, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, 0));
	numbers(&b, c, true, work);
	if (!b.failed)
		b.at[other].k = (uint32_t) (b.n - other - 1);
	if (!c->strict) {
		ctr_bpf_add(&b, (struct sock_filter) IS(AUDIT_ARCH_I386, 1, 0));
		ctr_bpf_rule(&b, &rule_kill);
		numbers(&b, c, false, work);
	} else {
		ctr_bpf_rule(&b, &rule_kill);
	}
	return ctr_bpf_take(&b, &out->program, err);
}

int ctr_filter_default(uint64_t capabilities, struct ctr_filter *out,
		       struct co_err *err)
{
	struct choice c = { .capabilities = capabilities };
	int rc = profile(&c, out, err);

	out->is_default = rc == 0;
	return rc;
}

int ctr_filter_strict(unsigned int flags, struct ctr_filter *out, struct co_err *err)
{
	struct choice c = { .strict = true, .flags = flags };

	return profile(&c, out, err);
}
