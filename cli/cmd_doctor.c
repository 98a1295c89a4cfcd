/* SPDX-License-Identifier: MIT */
/* cloudosctl doctor: what this box can do and what to do about the rest.  HOST. */
#include <co/trap.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "cli/doctor.h"
#include "cli/probe.h"
#include "lib/cleanup.h"

struct doctor {
	struct ctl *ctl;
	struct co_probe probe;
	bool loader;                    /* of engine trap: there is one */
	char loader_path[CO_PATH_SIZE]; /* or why not */
	bool sick; /* something is missing without which nothing runs */
};

void doctor_detail(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(f->detail, sizeof(f->detail), format, args); /* may be cut */
	va_end(args);
}

void doctor_advise(struct finding *f, enum state state, const char *format, ...)
{
	va_list args;

	f->state = state;
	va_start(args, format);
	(void) vsnprintf(f->advice, sizeof(f->advice), format, args); /* may be cut */
	va_end(args);
}

#define detail(...) doctor_detail(__VA_ARGS__)
#define advise(...) doctor_advise(__VA_ARGS__)

/* ---- engines ---- */

static bool trap_works(const struct doctor *d)
{
	const struct co_probe_trap *t = &d->probe.trap;

	return d->loader && t->addresses && (t->filter || t->dispatch);
}

static void check_kernel(struct doctor *d, struct finding *f)
{
	const struct co_probe_box *b = &d->probe.box;
	bool old = b->major < 5 || (b->major == 5 && b->minor < 19);

	detail(f, "Linux %s", b->release);
	if (old)
		advise(f, STATE_LIMITED,
		       "Linux 5.19 or newer has everything that the engines can use");
}

static void check_notify(struct doctor *d, struct finding *f)
{
	const struct co_probe_notify *n = &d->probe.notify;

	if (n->works) {
		detail(f, "a private call was answered%s%s", n->why[0] ? "; " : "",
		       n->why);
		if (n->why[0])
			advise(f, STATE_LIMITED, "run a newer kernel");
		return;
	}
	detail(f, "%s", n->why);
	if (n->hidden)
		advise(f, STATE_MISSING,
		       "nothing, if engine trap or ptrace is ok: that is used instead; "
		       "otherwise start the container with --security-opt "
		       "seccomp=unconfined");
	else if (n->nested)
		advise(f, STATE_MISSING,
		       "run it outside of cloudos-exec; inside, programs are served already");
	else
		advise(f, STATE_MISSING,
		       "run Linux 5.19 or newer with CONFIG_SECCOMP_FILTER");
}

static void check_killable(struct doctor *d, struct finding *f)
{
	detail(f, d->probe.notify.killable
			  ? "there"
			  : "not there: a signal may make a program repeat a call");
	if (!d->probe.notify.killable)
		advise(f, STATE_LIMITED, "run Linux 5.19 or newer");
}

static void check_addfd(struct doctor *d, struct finding *f)
{
	detail(f, d->probe.notify.addfd ? "there" : "not there");
	if (!d->probe.notify.addfd)
		advise(f, STATE_LIMITED, "run Linux 5.14 or newer");
}

static void check_sync_wake(struct doctor *d, struct finding *f)
{
	detail(f, d->probe.notify.sync_wake ? "there" : "not there: calls are slower");
	if (!d->probe.notify.sync_wake)
		advise(f, STATE_LIMITED, "run Linux 6.6 or newer");
}

static void check_ptrace(struct doctor *d, struct finding *f)
{
	const struct co_probe_ptrace *p = &d->probe.ptrace;

	detail(f, "%s",
	       p->works ? "attached to a child and read its registers" : p->why);
	if (!p->works)
		advise(f,
		       d->probe.notify.works || trap_works(d) ? STATE_LIMITED
							      : STATE_MISSING,
		       "allow it: sysctl kernel.yama.ptrace_scope=1, or --cap-add SYS_PTRACE "
		       "for a container");
	else if (p->why[0])
		advise(f, STATE_LIMITED, "%s", p->why);
	d->sick |= !p->works && !d->probe.notify.works && !trap_works(d);
}

static void check_yama(struct doctor *d, struct finding *f)
{
	int scope = d->probe.ptrace.yama;

	if (scope < 0) {
		detail(f, "this kernel has no Yama");
		return;
	}
	detail(f, "kernel.yama.ptrace_scope is %d", scope);
	if (scope >= 2)
		advise(f, scope == 2 ? STATE_LIMITED : STATE_MISSING,
		       "sysctl kernel.yama.ptrace_scope=1%s",
		       scope == 3
			       ? " in /etc/sysctl.d and boot again: 3 cannot be taken back"
			       : "");
}

static void check_memory(struct doctor *d, struct finding *f)
{
	const struct co_probe_ptrace *p = &d->probe.ptrace;

	if (p->read_other) {
		detail(f, "the daemon may copy the arguments of calls itself");
		return;
	}
	detail(f, "a process may not read another of this user%s",
	       p->read_child ? "; its own children it may" : "");
	if (p->read_child)
		advise(f, STATE_LIMITED,
		       "nothing: the launcher copies for the daemon, a little slower; "
		       "sysctl kernel.yama.ptrace_scope=0 makes that unnecessary");
	else
		advise(f, STATE_MISSING,
		       "allow process_vm_readv: --cap-add SYS_PTRACE for a "
		       "container");
}

/* ---- engine trap and its parts ---- */

static void check_trap(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;
	bool other = d->probe.notify.works || d->probe.ptrace.works;

	if (trap_works(d)) {
		detail(f, "calls can be caught by %s",
		       !t->filter    ? "dispatch only"
		       : t->dispatch ? "a filter or by dispatch"
				     : "a filter");
		if (!t->filter)
			advise(f, STATE_LIMITED,
			       "see \"trap filter\"; programs need --trap=sud meanwhile");
		return;
	}
	detail(f, "%s",
	       !d->loader      ? "its loader is missing"
	       : !t->addresses ? "its addresses cannot be had"
			       : "calls cannot be caught, neither by a filter nor by "
				 "dispatch");
	advise(f, other ? STATE_LIMITED : STATE_MISSING, "see the lines below%s",
	       other ? "; CloudOS programs run under another engine meanwhile" : "");
}

static void check_trap_loader(struct doctor *d, struct finding *f)
{
	if (!d->loader) {
		detail(f, "%s", d->loader_path);
		advise(f, STATE_MISSING,
		       "install the whole package, or name its folder with "
		       "CLOUDOS_LIBEXECDIR");
		return;
	}
	detail(f, "%s", d->loader_path);
}

static void check_trap_filter(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;

	if (t->filter) {
		detail(f, "a call was told by its address and answered in %llu ns",
		       (unsigned long long) t->filter_ns);
		return;
	}
	detail(f, "%s", t->filter_why);
	advise(f, t->dispatch ? STATE_LIMITED : STATE_MISSING, "%s",
	       "run Linux 3.17 or newer with CONFIG_SECCOMP_FILTER, a container with "
	       "--security-opt seccomp=unconfined");
}

static void check_trap_dispatch(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;

	if (t->dispatch) {
		detail(f, "a call was answered in %llu ns",
		       (unsigned long long) t->dispatch_ns);
		return;
	}
	detail(f, "%s", t->dispatch_why);
	advise(f, STATE_LIMITED,
	       "nothing, if \"trap filter\" is ok: --trap=sud is for where it is not; it "
	       "needs Linux 5.11 or newer");
}

static void check_trap_addresses(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;

	detail(f, "%s", t->addresses ? "they are free" : t->addresses_why);
	if (!t->addresses)
		advise(f, STATE_MISSING,
		       "ulimit -v unlimited, and a kernel without a limit on where memory "
		       "lies; it takes 4 GiB pieces from %#lx on",
		       CO_TRAP_BASE);
}

static void check_trap_code32(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;

	if (t->int80) {
		detail(f, "it ran in a 64-bit process and its int 0x80 was answered");
		return;
	}
	detail(f, "%s%s", t->code32 ? "it runs, but " : "", t->code32_why);
	advise(f, STATE_LIMITED,
	       "a kernel with CONFIG_IA32_EMULATION, started with ia32_emulation=on; "
	       "64-bit programs do not need it");
}

static void check_trap_sites(struct doctor *d, struct finding *f)
{
	static const char file[] = "libZydis.so.4.0";
	void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);

	(void) d;
	detail(f, library ? "%s decodes the files of programs" : "%s cannot be loaded",
	       file);
	if (!CO_ZYDIS)
		advise(f, STATE_LIMITED,
		       "cloudosd was built without Zydis, so most calls of a program trap: "
		       "apt install libzydis-dev, then configure and build again");
	else if (!library)
		advise(f, STATE_LIMITED,
		       "apt install libzydis4.0; most calls of a program trap without it");
	if (library)
		(void) dlclose(library); /* the process ends soon anyway */
}

static void check_trap_mm_map(struct doctor *d, struct finding *f)
{
	const struct co_probe_trap *t = &d->probe.trap;

	detail(f, "%s", t->mm_map ? "the kernel takes it" : t->mm_map_why);
	if (!t->mm_map)
		advise(f, STATE_LIMITED,
		       "a kernel with CONFIG_CHECKPOINT_RESTORE; without it ps shows the "
		       "loader's name for a program");
}

/* ---- what confinement and containers need ---- */

static void check_userns(struct doctor *d, struct finding *f)
{
	const struct co_probe_box *b = &d->probe.box;

	detail(f, "%s", b->userns ? "made one and mapped this user" : b->userns_why);
	if (!b->userns)
		advise(f, STATE_MISSING,
		       "sysctl user.max_user_namespaces=10000; on Debian and Ubuntu also "
		       "kernel.unprivileged_userns_clone=1 and "
		       "kernel.apparmor_restrict_unprivileged_userns=0");
}

static void check_cgroup(struct doctor *d, struct finding *f)
{
	static const char *const kinds[] = { "not mounted", "version 1",
					     "hybrid: limits are on version 1",
					     "version 2" };
	const struct co_probe_box *b = &d->probe.box;

	detail(f, "%s; %s", kinds[b->cgroup],
	       b->cgroup_delegated ? "groups can be made" : b->cgroup_why);
	if (b->cgroup == CO_CGROUP_NONE)
		advise(f, STATE_MISSING, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	else if (!b->cgroup_delegated)
		advise(f, STATE_LIMITED, "%s",
		       b->cgroup == CO_CGROUP_V2
			       ? "start the daemon as a systemd user unit with "
				 "Delegate=yes; programs run without limits meanwhile"
			       : "boot with systemd.unified_cgroup_hierarchy=1; programs "
				 "run without limits meanwhile");
	else if (b->cgroup != CO_CGROUP_V2)
		advise(f, STATE_LIMITED,
		       "boot with systemd.unified_cgroup_hierarchy=1 for version 2");
}

static void check_landlock(struct doctor *d, struct finding *f)
{
	int abi = d->probe.box.landlock;

	if (abi)
		detail(f, "ABI %d", abi);
	else
		detail(f, "the kernel does not have it or does not start it");
	if (abi < 4)
		advise(f, abi ? STATE_LIMITED : STATE_MISSING, "%s",
		       abi ? "Linux 6.7 or newer also restricts the network"
			   : "boot with lsm=landlock,... on Linux 5.13 or newer");
}

static void check_pidfd(struct doctor *d, struct finding *f)
{
	const struct co_probe_box *b = &d->probe.box;

	detail(f, "pidfd_open %s, pidfd_getfd %s", b->pidfd ? "works" : "does not work",
	       b->pidfd_getfd ? "works" : "does not work");
	if (!b->pidfd || !b->pidfd_getfd)
		advise(f, b->pidfd ? STATE_LIMITED : STATE_MISSING,
		       "run Linux 5.6 or newer");
}

static void check_memfd(struct doctor *d, struct finding *f)
{
	detail(f, d->probe.box.memfd_seal ? "works" : "does not work");
	if (!d->probe.box.memfd_seal)
		advise(f, STATE_MISSING, "run Linux 3.17 or newer");
}

/* ---- libraries: the shared ones that the daemon would load now ---- */

static void check_library(struct finding *f, const char *file, const char *symbol,
			  const char *package)
{
	void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
	const char *(*version)(void) = NULL;

	if (library)
		*(void **) &version = dlsym(library, symbol);
	if (version) {
		detail(f, "%s", version());
	} else {
		detail(f, "%s cannot be loaded", file);
		advise(f, STATE_MISSING, "apt install %s", package);
	}
	if (library)
		(void) dlclose(library); /* the process ends soon anyway */
}

static void check_sqlite(struct doctor *d, struct finding *f)
{
	check_library(f, "libsqlite3.so.0", "sqlite3_libversion", "libsqlite3-0");
	d->sick |= f->state == STATE_MISSING;
}

static void check_uv(struct doctor *d, struct finding *f)
{
	check_library(f, "libuv.so.1", "uv_version_string", "libuv1");
	d->sick |= f->state == STATE_MISSING;
}

/* ---- the domain ---- */

static void check_folder(struct doctor *d, struct finding *f, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		detail(f, "%s is not there yet; the daemon makes it", path);
		return;
	}
	detail(f, "%s belongs to user %u, mode %03o", path, (unsigned) st.st_uid,
	       (unsigned) (st.st_mode & 07777));
	if (!S_ISDIR(st.st_mode))
		advise(f, STATE_MISSING,
		       "remove it or choose another with CLOUDOS_DIR: it is "
		       "not a folder, and links are not followed");
	else if (!d->ctl->system_ && st.st_uid != geteuid())
		advise(f, STATE_MISSING,
		       "choose another with CLOUDOS_DIR: a folder of "
		       "somebody else is not used");
	else if (!d->ctl->system_ && access(path, W_OK) < 0)
		advise(f, STATE_MISSING, "make it writable: chmod u+rwx %.300s", path);
	d->sick |= f->state == STATE_MISSING;
}

static void check_run(struct doctor *d, struct finding *f)
{
	check_folder(d, f, d->ctl->paths.run);
}

static void check_state(struct doctor *d, struct finding *f)
{
	check_folder(d, f, d->ctl->paths.state);
}

static void check_config(struct doctor *d, struct finding *f)
{
	check_folder(d, f, d->ctl->paths.config);
}

static void check_daemon(struct doctor *d, struct finding *f)
{
	struct ctl *ctl = d->ctl;
	int rc = ctl_connect(ctl);

	ctl->no_daemon = false; /* its absence is a finding here */
	if (rc == 0) {
		detail(f, "cloudosd %d, release %s, in %s", ctl->client->daemon_pid,
		       ctl->client->release, ctl->client->folder);
		return;
	}
	detail(f, "%s", rc == CO_GONE ? "none is running" : ctl->err.message);
	if (rc == CO_GONE)
		advise(f, STATE_LIMITED,
		       "nothing: cloudos-exec starts one; or: cloudosctl daemon start");
	else
		advise(f, STATE_MISSING, "see `cloudosctl daemon logs`");
	d->sick |= f->state == STATE_MISSING;
}

/* ---- the table ---- */

static const struct {
	const char *feature;
	const char *meaning;
	void (*check)(struct doctor *d, struct finding *f);
} checks[] = {
	{ "kernel", "what everything else stands on", check_kernel },
	{ "engine notify", "private calls reach the daemon, all else is native speed",
	  check_notify },
	{ "notify killable", "signals do not repeat calls", check_killable },
	{ "notify addfd", "calls can return descriptors", check_addfd },
	{ "notify sync wake-up", "faster answers", check_sync_wake },
	{ "engine trap", "every call of a program is caught in its own process",
	  check_trap },
	{ "trap loader", "puts programs into place", check_trap_loader },
	{ "trap filter", "calls are caught by a seccomp filter", check_trap_filter },
	{ "trap dispatch", "calls are caught by syscall user dispatch",
	  check_trap_dispatch },
	{ "trap addresses", "where its own code lies", check_trap_addresses },
	{ "trap 32-bit code", "i386 programs", check_trap_code32 },
	{ "trap site tables", "calls jump instead of trapping", check_trap_sites },
	{ "trap mm map", "ps and /proc show the program", check_trap_mm_map },
	{ "engine ptrace", "runs programs where notify cannot", check_ptrace },
	{ "yama", "who may look into whom", check_yama },
	{ "foreign memory", "how arguments of calls are copied", check_memory },
	{ "user name spaces", "private networks and confinement without root",
	  check_userns },
	{ "control groups", "limits for programs and containers", check_cgroup },
	{ "container limits", "memory, processors, processes, devices",
	  check_ctr_limits },
	{ "container pause", "freezing and killing", check_ctr_pause },
	{ "container users", "ids that a container has for itself", check_ctr_ids },
	{ "container bridge", "network of root's containers", check_ctr_bridge },
	{ "container private", "network of users' containers", check_ctr_private },
	{ "container forward", "the way from a bridge to the outside",
	  check_ctr_forward },
	{ "landlock", "confinement of files and network", check_landlock },
	{ "pidfd", "the end of a process is noticed at once", check_pidfd },
	{ "sealed memfd", "shared memory that nobody can shrink", check_memfd },
	{ "sqlite", "the store", check_sqlite },
	{ "libuv", "the loop of the daemon", check_uv },
	{ "run folder", "socket and lock", check_run },
	{ "state folder", "databases and log", check_state },
	{ "config folder", "cloudosd.yaml", check_config },
	{ "daemon", "answers the calls", check_daemon },
};

static const char *const state_names[] = { "ok", "limited", "missing" };

static void put_finding(const struct co_print_style *style, const char *feature,
			const char *meaning, const struct finding *f)
{
	static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m" };
	FILE *out = style->out; /* failures are asked of the flush */

	(void) fprintf(out,
		       "%s%-7s%s  %-20s %s: ", style->colour ? colours[f->state] : "",
		       state_names[f->state], style->colour ? "\033[0m" : "", feature,
		       meaning);
	(void) co_print_escaped(out, f->detail, strlen(f->detail)); /* width unneeded */
	(void) fputc('\n', out);
	if (f->advice[0])
		(void) fprintf(out, "%*s to do: %s\n", 29, "", f->advice);
}

static void add_finding(struct co_print *print, const char *feature,
			const char *meaning, const struct finding *f)
{
	co_print_text(print, feature);
	co_print_text(print, state_names[f->state]);
	co_print_text(print, meaning);
	co_print_text(print, f->detail);
	co_print_text(print, f->advice);
}

static int verdict(struct doctor *d)
{
	if (!d->sick)
		return 0;
	return co_fail(&d->ctl->err, CO_UNSUPPORTED,
		       "programs cannot run here before what is missing is there");
}

static void find_loader(struct doctor *d)
{
	struct co_err err = { 0 };

	d->loader = co_program_path("cloudos-loader", d->loader_path,
				    sizeof(d->loader_path), &err) == 0;
	if (!d->loader)
		(void) snprintf(d->loader_path, sizeof(d->loader_path), "%s",
				err.message); /* shown to people only */
}

int cmd_doctor(struct ctl *ctl)
{
	static const char *const columns[] = { "feature", "state",  "meaning",
					       "detail",  "advice", NULL };
	struct doctor d = { .ctl = ctl };
	struct co_print *print = NULL;
	int rc;

	co_probe(&d.probe);
	find_loader(&d);
	if (ctl->style.format == CO_FORMAT_JSON) {
		print = co_print_new(&ctl->style, columns);
		if (!print)
			return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < co_countof(checks); i++) {
		struct finding f = { .state = STATE_OK };

		checks[i].check(&d, &f);
		if (print)
			add_finding(print, checks[i].feature, checks[i].meaning, &f);
		else
			put_finding(&ctl->style, checks[i].feature, checks[i].meaning,
				    &f);
	}
	rc = print ? co_print_end(print) : co_print_flush(ctl->style.out);
	rc = ctl_printed(ctl, rc);
	return rc < 0 ? rc : verdict(&d);
}
