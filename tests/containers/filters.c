/* SPDX-License-Identifier: MIT */
/*
 * HOST test of cloudosd/ctr/seccomp.h: the programs are interpreted against what they are
 * meant to say, and then the kernel is asked.
 */
#include "cloudosd/ctr/seccomp.h"
#include "cloudosd/ctr/seccomp_numbers.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/run.h"

/* The fourteen of Docker. */
#define USUAL                                                                          \
	(1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FSETID |           \
	 1ULL << CAP_FOWNER | 1ULL << CAP_MKNOD | 1ULL << CAP_NET_RAW |                \
	 1ULL << CAP_SETGID | 1ULL << CAP_SETUID | 1ULL << CAP_SETFCAP |               \
	 1ULL << CAP_SETPCAP | 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_SYS_CHROOT | \
	 1ULL << CAP_KILL | 1ULL << CAP_AUDIT_WRITE)
#define ALL (~0ULL)

/* ---- the interpreter: what the kernel takes of classic BPF, and which were executed ---- */

static bool hit[BPF_MAXINSNS];

static uint32_t run(const struct sock_fprog *p, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t i = 0; i < p->len; i++) {
		const struct sock_filter *f = &p->filter[i];
		bool yes = false;

		hit[i] = true;
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k % 4 != 0 || f->k >= sizeof(*d))
				ck_abort_msg("instruction %zu loads nothing", i);
			memcpy(&a, (const char *) d + f->k, 4);
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			i += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = (a & f->k) != 0;
			break;
		default:
			ck_abort_msg("instruction %zu is none of ours", i);
		}
		i += yes ? f->jt : f->jf;
	}
	ck_abort_msg("it runs out of the program");
}

/* ---- what it is meant to say ---- */

#define OK      SECCOMP_RET_ALLOW
#define EPERM_  (SECCOMP_RET_ERRNO | EPERM)
#define ENOSYS_ (SECCOMP_RET_ERRNO | ENOSYS)
#define FAMILY  (SECCOMP_RET_ERRNO | EAFNOSUPPORT)
#define KILL    SECCOMP_RET_KILL_PROCESS
#define NEW_ANY 0x7e020000U /* of clone(2) and namespaces(7) */

struct meaning {
	bool strict, trap;
	uint64_t caps;
};

enum {
	ALLOW = 256,
	REFUSE,
	TRAP,
	CLONE,
	CLONE3,
	UNSHARE,
	PERSONALITY,
	SOCKET,
	SOCKET_STRICT,
	IOCTL,
	PRCTL
};

static const struct {
	const char *name;
	int number, usual, strict;
} table[] = {
#define CALL(call, usual, strict)          { #call, -1, usual, strict },
#define NEWER(call, number, usual, strict) { #call, number, usual, strict },
#include "cloudosd/ctr/seccomp.def"
};

static int words[2][1024]; /* of x86-64, i386; 0: no row */
static const char *names[2][1024];
static uint32_t newest[2];

static void words_fill(bool strict)
{
	static const uint32_t arches[2] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86 };

	memset(words, 0, sizeof(words));
	memset(newest, 0, sizeof(newest));
	for (int a = 0; a < 2; a++)
		for (size_t i = 0; i < co_countof(table); i++) {
			int n = table[i].number;

			if (n < 0)
				n = seccomp_syscall_resolve_name_arch(arches[a],
								      table[i].name);
			/* libseccomp's own number of what socketcall and ipc do, too */
			if (n < -1 && a == 1)
				n = (int) strtol(ctr_numbers_i386[i], NULL, 10);
			if (n < 0)
				continue;
			ck_assert_int_lt(n, 1024);
			words[a][n] = strict ? table[i].strict : table[i].usual;
			names[a][n] = table[i].name;
			if ((uint32_t) n > newest[a])
				newest[a] = (uint32_t) n;
		}
}

static uint32_t socket_means(const struct meaning *m, uint32_t family,
			     uint32_t protocol)
{
	if (!m->strict)
		return family == AF_VSOCK || family == AF_ALG ? FAMILY : OK;
	if (family == AF_NETLINK)
		return protocol ? FAMILY : OK;
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 ? OK
									    : FAMILY;
}

static uint32_t personality_means(const struct meaning *m, uint32_t p)
{
	if (p == 0 || p == 0xffffffff)
		return OK;
	return !m->strict && (p == 8 || p == 0x20000 || p == 0x20008) ? OK : EPERM_;
}

static uint32_t prctl_means(const struct meaning *m, uint32_t option)
{
	if (option == PR_SET_DUMPABLE || option == PR_SET_PTRACER)
		return EPERM_;
	if (option == PR_SET_SECCOMP || option == 59 /* user dispatch */)
		return m->trap ? OK : EPERM_;
	return OK;
}

static uint32_t word_means(const struct meaning *m, int word, const char *name,
			   const struct seccomp_data *d)
{
	bool admin = !m->strict && (m->caps >> CAP_SYS_ADMIN & 1);
	uint32_t a0 = (uint32_t) d->args[0], a1 = (uint32_t) d->args[1];

	if (word == ALLOW)
		return OK;
	if (word == TRAP && m->trap)
		return !strcmp(name, "seccomp") &&
				       (a1 & SECCOMP_FILTER_FLAG_NEW_LISTENER)
			       ? EPERM_
			       : OK;
	if (word == CLONE)
		return !admin && (a0 & NEW_ANY) ? EPERM_ : OK;
	if (word == UNSHARE)
		return !admin && (a0 & (NEW_ANY | 0x80)) ? EPERM_ : OK;
	if (word == CLONE3)
		return admin ? OK : ENOSYS_;
	if (word == PERSONALITY)
		return personality_means(m, a0);
	if (word == SOCKET || word == SOCKET_STRICT)
		return socket_means(m, a0, (uint32_t) d->args[2]);
	if (word == IOCTL)
		return a1 == TIOCSTI || a1 == TIOCLINUX ? EPERM_ : OK;
	if (word == PRCTL)
		return prctl_means(m, a0);
	if (word == CAP_BPF || word == CAP_PERFMON || word == CAP_SYSLOG)
		return (m->caps >> word & 1) || (m->caps >> CAP_SYS_ADMIN & 1) ? OK
									       : EPERM_;
	if (word == REFUSE || word == TRAP)
		return EPERM_;
	return m->caps >> word & 1 ? OK : EPERM_;
}

static uint32_t means(const struct meaning *m, const struct seccomp_data *d)
{
	uint32_t n = (uint32_t) d->nr;
	int arch = d->arch == AUDIT_ARCH_X86_64 ? 0 : 1;
	int word;

	if (arch && (d->arch != AUDIT_ARCH_I386 || m->strict))
		return KILL;
	if (!arch && n >= 20000 && n <= 29999)
		return OK;
	if (!arch && m->strict && n >= 0x40000000)
		return KILL;
	if (n > newest[arch])
		return ENOSYS_;
	word = words[arch][n];
	/* (a capability may be number 0: those of the table are not) */
	return word ? word_means(m, word, names[arch][n], d) : EPERM_;
}

/* ---- all tuples ---- */

static const uint64_t edges[] = {
	0,
	1,
	2,
	3,
	4,
	8,
	9,
	10,
	16,
	22,
	37,
	38,
	39,
	40,
	59,
	0x40,
	0x80,
	0x20000,
	0x20008,
	CLONE_NEWNS,
	CLONE_NEWUSER,
	CLONE_NEWPID,
	CLONE_NEWNET,
	CLONE_NEWCGROUP,
	CLONE_NEWIPC,
	CLONE_NEWUTS,
	CLONE_VM | CLONE_FS,
	0x5411,
	TIOCSTI,
	0x5413,
	TIOCLINUX,
	PR_SET_PTRACER,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	0xdead00000000 | TIOCSTI,
	0xffffffff00000000 | CLONE_NEWUSER,
	UINT64_MAX,
};
static const uint32_t arches[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,
				   AUDIT_ARCH_AARCH64 };
static const uint32_t far_numbers[] = {
	19999,      20000,      20001,      21902,      29999,
	30000,      0x3fffffff, 0x40000000, 0x40000001, 0x400001ff,
	0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
};

static void one(const struct sock_fprog *p, const struct meaning *m,
		const struct seccomp_data *d)
{
	uint32_t said = run(p, d), meant = means(m, d);

	if (said == meant)
		return;
	ck_abort_msg(
		"arch %#x number %u (%#llx, %#llx, %#llx): %#x, but it has to be %#x",
		d->arch, (unsigned) d->nr, (unsigned long long) d->args[0],
		(unsigned long long) d->args[1], (unsigned long long) d->args[2], said,
		meant);
}

static void edges_of(const struct sock_fprog *p, const struct meaning *m,
		     uint32_t number)
{
	for (size_t a = 0; a < co_countof(arches); a++)
		for (int which = 0; which < 3; which++)
			for (size_t e = 0; e < co_countof(edges); e++) {
				struct seccomp_data d = { .nr = (int) number,
							  .arch = arches[a] };

				/* netlink in front, for what looks at two of them */
				d.args[0] = e & 1 ? AF_NETLINK : 0;
				d.args[which] = edges[e];
				one(p, m, &d);
			}
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void against_meaning(const struct sock_fprog *p, const struct meaning *m)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	words_fill(m->strict);
	memset(hit, 0, sizeof(hit));
	for (uint32_t n = 0; n <= 1024; n++)
		edges_of(p, m, n);
	for (size_t i = 0; i < co_countof(far_numbers); i++)
		edges_of(p, m, far_numbers[i]);
	for (int i = 0; i < 1000000; i++) {
		struct seccomp_data d = { .arch = arches[random_next(&state) % 3] };
		uint64_t r = random_next(&state);

		d.nr = (int) (r & 3 ? r >> 2 & 511 : r >> 32);
		for (int k = 0; k < 6; k++) {
			r = random_next(&state);
			d.args[k] = r & 1 ? edges[(r >> 1) % co_countof(edges)] : r;
		}
		one(p, m, &d);
	}
	for (size_t i = 0; i < p->len; i++)
		ck_assert_msg(hit[i], "instruction %zu of %u is never executed", i,
			      p->len);
}

static void profile(const struct meaning *m, struct ctr_filter *out)
{
	struct co_err err = { 0 };
	int r = m->strict ? ctr_filter_strict(m->trap ? CTR_STRICT_TRAP : 0, out, &err)
			  : ctr_filter_default(m->caps, out, &err);

	ck_assert_msg(r == 0, "%s", err.message);
}

static const struct meaning meanings[] = {
	{ .caps = USUAL },  { .caps = 0 },
	{ .caps = ALL },    { .caps = 1ULL << CAP_SYS_ADMIN },
	{ .strict = true }, { .strict = true, .trap = true },
};

START_TEST(a_profile_says_what_the_table_says_for_every_edge_and_a_million_others)
{
	struct ctr_filter f;

	profile(&meanings[_i], &f);
	against_meaning(&f.program, &meanings[_i]);
	ctr_filter_done(&f);
}
END_TEST

START_TEST(the_strict_filter_never_allows_what_leads_out)
{
	static const char *const never[] = {
		"io_uring_setup",
		"io_uring_enter",
		"io_uring_register",
		"ptrace",
		"pidfd_getfd",
		"kcmp",
		"bpf",
		"perf_event_open",
		"userfaultfd",
		"keyctl",
		"add_key",
		"request_key",
		"mount",
		"umount2",
		"mount_setattr",
		"move_mount",
		"open_tree",
		"fsopen",
		"fsmount",
		"fsconfig",
		"fspick",
		"pivot_root",
		"chroot",
		"setns",
		"kexec_load",
		"kexec_file_load",
		"init_module",
		"finit_module",
		"delete_module",
		"ioperm",
		"iopl",
		"open_by_handle_at",
		"name_to_handle_at",
		"reboot",
		"swapon",
		"swapoff",
		"acct",
		"quotactl",
		"syslog",
		"clock_settime",
		"settimeofday",
		"sethostname",
		"setdomainname",
		"modify_ldt",
		"fanotify_init",
		"lookup_dcookie",
		"process_madvise",
		"vhangup",
	};
	static const char *const plain_only[] = { "seccomp", "process_vm_readv",
						  "process_vm_writev" };

	for (int trap = 0; trap < 2; trap++) {
		struct meaning m = { .strict = true, .trap = trap != 0 };
		struct ctr_filter f;

		profile(&m, &f);
		for (size_t i = 0; i < co_countof(never) + co_countof(plain_only);
		     i++) {
			bool second = i >= co_countof(never);
			const char *name =
				second ? plain_only[i - co_countof(never)] : never[i];
			struct seccomp_data d = { .arch = AUDIT_ARCH_X86_64 };

			if (second && trap)
				continue;
			d.nr = seccomp_syscall_resolve_name(name);
			ck_assert_msg(d.nr >= 0, "%s", name);
			for (size_t e = 0; e < co_countof(edges); e++) {
				d.args[0] = d.args[1] = edges[e];
				ck_assert_msg(run(&f.program, &d) != OK,
					      "%s is allowed", name);
			}
		}
		ctr_filter_done(&f);
	}
}
END_TEST

START_TEST(private_numbers_are_answered_first_and_nothing_else_changes)
{
	static const struct ctr_numbers numbers[] = { { 20000, 20011 },
						      { 20900, 20913 },
						      { 21900, 21902 } };
	struct meaning m = { .caps = USUAL };
	struct ctr_filter f, plain;
	struct co_err err = { 0 };
	struct seccomp_data d = { 0 };

	profile(&m, &plain);
	profile(&m, &f);
	ck_assert_int_eq(
		ctr_filter_private(&f, numbers, 3, SECCOMP_RET_USER_NOTIF, &err), 0);
	ck_assert(f.notifies);
	for (size_t a = 0; a < co_countof(arches); a++)
		for (uint32_t n = 0; n < 40000; n++) {
			bool ours = false;

			d.nr = (int) n;
			d.arch = arches[a];
			for (size_t i = 0; i < 3 && a == 0; i++)
				ours |= n >= numbers[i].first && n <= numbers[i].last;
			if (run(&f.program, &d) !=
			    (ours ? SECCOMP_RET_USER_NOTIF : run(&plain.program, &d)))
				ck_abort_msg("number %u is answered otherwise", n);
		}
	ctr_filter_done(&f);
	ctr_filter_done(&plain);
	/* of nothing: a filter that allows all the rest */
	ck_assert_int_eq(ctr_filter_private(&f, NULL, 0, SECCOMP_RET_ALLOW, &err), 0);
	ck_assert(!f.notifies);
	d.arch = AUDIT_ARCH_X86_64;
	d.nr = SYS_ptrace;
	ck_assert_uint_eq(run(&f.program, &d), OK);
	ctr_filter_done(&f);
}
END_TEST

/* ---- the kernel ---- */

/* In a process of its own with that filter; the test's exit status is what `try` says. */
static int behind(const struct ctr_filter *f, int (*try)(int listener))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int listener;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    ctr_filter_install(f, &listener, NULL))
			_exit(200);
		_exit(try(listener));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define FAILS(number, call) ((call) == -1 && errno == (number))

static int try_usual(int listener)
{
	if (listener != -1)
		return 1;
	if (!FAILS(EPERM, unshare(CLONE_NEWUSER)) ||
	    !FAILS(EPERM, unshare(CLONE_NEWNS)))
		return 2;
	if (unshare(CLONE_FILES))
		return 3;
	if (!FAILS(EPERM, syscall(SYS_ioctl, 0, 0xdead00000000UL | TIOCSTI, "x")))
		return 4;
	if (!FAILS(ENOSYS, syscall(SYS_clone3, NULL, 0)))
		return 5;
	if (!FAILS(ENOSYS, syscall(20000)) || !FAILS(ENOSYS, syscall(29999)))
		return 6;
	if (!FAILS(ENOSYS, syscall(600)))
		return 7;
	if (!FAILS(EAFNOSUPPORT, socket(AF_ALG, SOCK_SEQPACKET, 0)))
		return 8;
	if (!FAILS(EPERM, syscall(SYS_keyctl, 0, 0)) ||
	    !FAILS(EPERM, syscall(SYS_io_uring_setup, 1, NULL)))
		return 9;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0 || getpid() <= 0)
		return 10;
	return 0;
}

static int try_i386(int listener)
{
	long number = 20, answer; /* getpid */

	(void) listener;
	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(number) : "memory");
	return answer == getpid() ? 0 : 1;
}

START_TEST(the_kernel_takes_the_default_profile_and_keeps_to_it)
{
	struct ctr_filter f;

	profile(&meanings[0], &f);
	ck_assert_int_eq(behind(&f, try_usual), 0);
	ck_assert_int_eq(behind(&f, try_i386), 0);
	ctr_filter_done(&f);
}
END_TEST

static int try_strict(int listener)
{
	(void) listener;
	if (!FAILS(EPERM, syscall(SYS_ptrace, 0, 0, 0, 0)) ||
	    !FAILS(EPERM, prctl(PR_SET_DUMPABLE, 1)) ||
	    !FAILS(EAFNOSUPPORT, socket(AF_NETLINK, SOCK_RAW, 9)))
		return 1;
	if (socket(AF_NETLINK, SOCK_RAW, 0) < 0)
		return 2;
	return FAILS(ENOSYS, syscall(20000)) ? 0 : 3;
}

START_TEST(the_strict_filter_kills_what_comes_by_another_door)
{
	struct ctr_filter f;

	profile(&meanings[4], &f);
	ck_assert_int_eq(behind(&f, try_strict), 0);
	ck_assert_int_eq(behind(&f, try_i386), 1000 + SIGSYS);
	ctr_filter_done(&f);
}
END_TEST

/* ---- linux.seccomp ---- */

static int oci(const char *json, struct ctr_filter *out, struct co_err *err)
{
	return ctr_filter_from_oci(co_span(json), out, err);
}

static int try_oci(int listener)
{
	char name[65];

	if (listener != -1)
		return 1;
	if (!FAILS(EXDEV, gethostname(name, sizeof(name))))
		return 2; /* errnoRet */
	if (!FAILS(EPERM, syscall(SYS_getpgid, 0)))
		return 3; /* without: EPERM */
	if (!FAILS(ENOTBLK, syscall(SYS_getsid, 0)))
		return 4; /* not named: defaultErrnoRet */
	if (syscall(SYS_personality, 0xffffffffUL) < 0 ||
	    !FAILS(ENOTBLK, syscall(SYS_personality, 7UL)))
		return 5; /* by argument, beyond 2^31 */
	if (syscall(SYS_umask, 1) < 0 || syscall(SYS_umask, 2) < 0 ||
	    !FAILS(ENOTBLK, syscall(SYS_umask, 3)))
		return 6; /* two about one argument: either */
	return 0;
}

START_TEST(rules_of_an_oci_file_are_what_the_kernel_then_does)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":15,"
		"\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\","
		"\"SCMP_ARCH_X32\",\"SCMP_ARCH_ARM\"],"
		"\"flags\":[\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"],\"syscalls\":["
		"{\"names\":[\"exit_group\",\"prctl\",\"no_such_call\",\"_llseek\","
		"\"rt_sigprocmask\",\"write\",\"sigaltstack\",\"mmap\",\"munmap\"],\"action\":\"SCMP_ACT_ALLOW\"},"
		"{\"names\":[\"uname\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":18},"
		"{\"names\":[\"getpgid\"],\"action\":\"SCMP_ACT_ERRNO\"},"
		"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":"
		"[{\"index\":0,\"value\":4294967295,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"umask\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":"
		"[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
		"{\"index\":0,\"value\":2,\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	struct ctr_filter f;
	struct co_err err = { 0 };

	ck_assert_msg(oci(json, &f, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(f.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	ck_assert(!f.notifies);
	ck_assert_int_eq(behind(&f, try_oci), 0);
	ctr_filter_done(&f);
}
END_TEST

START_TEST(a_wrong_oci_file_is_refused_with_the_place_in_it)
{
	static const struct {
		const char *json, *says;
	} wrong[] = {
		{ "[]", "not an object" },
		{ "{}", "defaultAction" },
		{ "{\"defaultAction\":\"SCMP_ACT_MAYBE\"}", "defaultAction" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "NOTIFY" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
		  "defaultErrnoRet" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}",
		  "syscalls is not a list" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":"
		  "\"SCMP_ACT_KILL\"}]}",
		  "names" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[1],"
		  "\"action\":\"SCMP_ACT_KILL\"}]}",
		  "name" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
		  "\"read\"],\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":6,"
		  "\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		  "index" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"FAST\"]}",
		  "FAST" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"x\"]}",
		  "architectures" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
		  "\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}",
		  "listenerPath" },
	};

	for (size_t i = 0; i < co_countof(wrong); i++) {
		struct ctr_filter f;
		struct co_err err = { 0 };

		ck_assert_int_eq(oci(wrong[i].json, &f, &err), CO_INVALID);
		ck_assert_msg(strstr(err.message, wrong[i].says) != NULL, "%s: %s",
			      wrong[i].json, err.message);
		ck_assert_ptr_null(f.program.filter);
	}
}
END_TEST

/* ---- an agent ---- */

static int try_notified(int listener)
{
	struct co_err err = { 0 };
	struct ctr_filter f = { .listener_path = getenv("AGENT"),
				.listener_metadata = (char *) "who \"I\" am" };
	static const char state[] = "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\","
				    "\"status\":\"creating\",\"bundle\":\"/b\"}";

	if (listener < 0)
		return 1;
	if (ctr_filter_hand_over(&f, co_span(state), getpid(), listener, &err))
		return 2;
	(void) close(listener);
	return syscall(20005, 0) == 77 && syscall(SYS_mkdir, NULL, 0) == 78 ? 0 : 3;
}

static void agent_answer(int fd, int64_t value)
{
	struct seccomp_notif n = { 0 };
	struct seccomp_notif_resp r = { 0 };

	ck_assert_int_eq(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
	r.id = n.id;
	r.val = value;
	ck_assert_int_eq(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), 0);
}

START_TEST(an_agent_gets_the_listener_and_answers_private_numbers_too)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"x\","
		"\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}";
	char folder[] = "/tmp/ctr-filters.XXXXXX", text[1024];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct iovec iov = { text, sizeof(text) - 1 };
	char control[CMSG_SPACE(sizeof(int))];
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int listening = socket(AF_UNIX, SOCK_STREAM, 0), fd, listener, status;
	struct ctr_filter f;
	struct co_err err = { 0 };
	ssize_t n;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void) snprintf(at.sun_path, sizeof(at.sun_path), "%s/agent", folder);
	ck_assert_int_eq(bind(listening, (struct sockaddr *) &at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	(void) setenv("AGENT", at.sun_path, 1);
	ck_assert_msg(oci(json, &f, &err) == 0, "%s", err.message);
	ck_assert(f.notifies);
	ck_assert_int_eq(ctr_filter_private(&f, NULL, 0, SECCOMP_RET_USER_NOTIF, &err),
			 0);
	pid = fork();
	if (pid == 0)
		_exit(behind(&f, try_notified));
	fd = accept(listening, NULL, NULL);
	n = recvmsg(fd, &msg, 0);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_ptr_nonnull(strstr(text, "\"fds\":[\"seccompFd\"]"));
	ck_assert_ptr_nonnull(strstr(text, "\"metadata\":\"who \\\"I\\\" am\""));
	ck_assert_ptr_nonnull(strstr(text, "\"state\":{\"ociVersion\""));
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&msg));
	memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	agent_answer(listener, 77);
	agent_answer(listener, 78);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	(void) close(listening);
	(void) unlink(at.sun_path);
	(void) rmdir(folder);
	ctr_filter_done(&f);
}
END_TEST

START_TEST(which_filter_a_container_has_is_in_its_file)
{
	struct ctr_config c = { 0 };
	struct ctr_filter f;

	c.json = co_span("{\"ociVersion\":\"1.0.2\"}");
	ck_assert_int_eq(ctr_filter_for(&c, &f, NULL), 0);
	ck_assert_uint_eq(f.program.len, 0);
	c.json = co_span("{\"cloudos\":{}}");
	ck_assert_int_eq(ctr_filter_for(&c, &f, NULL), 0);
	ck_assert_uint_gt(f.program.len, 100);
	ctr_filter_done(&f);
	c.seccomp = co_span("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
	ck_assert_int_eq(ctr_filter_for(&c, &f, NULL), 0);
	ck_assert_uint_lt(f.program.len, 20);
	ctr_filter_done(&f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("filters");

	tcase_add_loop_test(
		tc,
		a_profile_says_what_the_table_says_for_every_edge_and_a_million_others,
		0, (int) co_countof(meanings));
	tcase_add_test(tc, the_strict_filter_never_allows_what_leads_out);
	tcase_add_test(tc, private_numbers_are_answered_first_and_nothing_else_changes);
	tcase_add_test(tc, the_kernel_takes_the_default_profile_and_keeps_to_it);
	tcase_add_test(tc, the_strict_filter_kills_what_comes_by_another_door);
	tcase_add_test(tc, rules_of_an_oci_file_are_what_the_kernel_then_does);
	tcase_add_test(tc, a_wrong_oci_file_is_refused_with_the_place_in_it);
	tcase_add_test(tc, an_agent_gets_the_listener_and_answers_private_numbers_too);
	tcase_add_test(tc, which_filter_a_container_has_is_in_its_file);
	return run_tests(tc);
}
