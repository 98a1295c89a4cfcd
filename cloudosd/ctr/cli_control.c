/* SPDX-License-Identifier: MIT */
/* cloudos-ctr kill, pause, resume, update.  HOST. */
#include <co/limits.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "cloudosd/ctr/cli.h"
#include "lib/cleanup.h"

/* ---- kill ---- */

static const struct {
	const char *name;
	int number;
} signals[] = {
#define SIGNAL(name) { #name, SIG##name },
	SIGNAL(HUP) SIGNAL(INT) SIGNAL(QUIT) SIGNAL(ILL) SIGNAL(TRAP) SIGNAL(ABRT)
		SIGNAL(BUS) SIGNAL(FPE) SIGNAL(KILL) SIGNAL(USR1) SIGNAL(SEGV) SIGNAL(
			USR2) SIGNAL(PIPE) SIGNAL(ALRM) SIGNAL(TERM) SIGNAL(STKFLT)
			SIGNAL(CHLD) SIGNAL(CONT) SIGNAL(STOP) SIGNAL(TSTP) SIGNAL(TTIN)
				SIGNAL(TTOU) SIGNAL(URG) SIGNAL(XCPU) SIGNAL(XFSZ)
					SIGNAL(VTALRM) SIGNAL(PROF) SIGNAL(WINCH)
						SIGNAL(IO) SIGNAL(PWR) SIGNAL(SYS)
							SIGNAL(IOT) SIGNAL(POLL)
#undef SIGNAL
};

int cli_signal(const char *name)
{
	char *end;
	long number = strtol(name, &end, 10);
	int base = 0;

	if (end != name && !*end)
		return number > 0 && number < NSIG ? (int) number : -1;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < co_countof(signals); i++)
		if (strcasecmp(signals[i].name, name) == 0)
			return signals[i].number;
	if (strncasecmp(name, "RTMIN", 5) == 0)
		base = SIGRTMIN;
	else if (strncasecmp(name, "RTMAX", 5) == 0)
		base = SIGRTMAX;
	if (!base)
		return -1;
	number = name[5] ? strtol(name + 5, &end, 10) : 0;
	if ((name[5] && *end) || base + number < SIGRTMIN || base + number > SIGRTMAX)
		return -1;
	return base + (int) number;
}

struct killing {
	int signal;
	bool all;
};

/* Through a descriptor: a pid that is used again is not hit. */
static int signal_first(struct cli *cli, const struct ctr_state *s, int signal)
{
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, (pid_t) s->pid, 0);

	if (pidfd < 0 || !ctr_state_alive(s))
		return co_fail(&cli->err, CO_NOT_FOUND, "container `%s` is not running",
			       s->id);
	if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0)
		return co_fail_errno(&cli->err, errno,
				     "signal %d cannot be sent to container `%s`",
				     signal, s->id);
	return 0;
}

static int kill_one(struct cli *cli, const char *id, void *arg)
{
	const struct killing *k = arg;
	struct cli_opened o;
	bool frozen;
	int rc = cli_open(cli, id, &o);

	if (rc < 0)
		return rc;
	frozen = o.cgroup && ctr_cgroup_frozen(o.cgroup);
	if (k->all && o.cgroup)
		rc = ctr_cgroup_kill(o.cgroup, k->signal, &cli->err);
	else
		rc = signal_first(cli, &o.state, k->signal);
	/* what is frozen does not die of it everywhere; all else in it ends with it */
	if (rc == 0 && frozen && k->signal == SIGKILL)
		rc = ctr_cgroup_kill(o.cgroup, SIGKILL, &cli->err);
	cli_close(&o);
	return rc;
}

int cli_kill(struct cli *cli, int argc, char *argv[])
{
	struct killing k = { .signal = SIGTERM };
	bool regex = false;
	const struct cli_option options[] = {
		{ "all", 'a', CLI_FLAG, &k.all },
		{ "regex", 'r', CLI_FLAG, &regex },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	const char *id;
	int rc;

	if (at >= 0 && argc - at == 2) {
		k.signal = cli_signal(argv[argc - 1]);
		if (k.signal < 0)
			at = co_fail(&cli->err, CO_INVALID, "%s is no signal",
				     argv[argc - 1]);
		argc--;
	}
	if (regex && at >= 0 && argc - at == 1)
		rc = cli_each_match(cli, argv[at], kill_one, &k);
	else
		rc = cli_one_id(cli, argc, argv, at, &id);
	if (rc == 0 && !regex)
		rc = kill_one(cli, id, &k);
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- pause, resume ---- */

static int freeze(struct cli *cli, int argc, char *argv[], bool frozen)
{
	struct cli_opened o;
	const char *id, *status;
	int at = cli_options(cli, argc, argv, NULL, 0, false);
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0)
		rc = cli_open(cli, id, &o);
	if (rc < 0)
		return cli_failed(cli);
	status = ctr_state_status(&o.state);
	if (strcmp(status, frozen ? "running" : "paused") != 0 &&
	    !(frozen && strcmp(status, "created") == 0))
		rc = co_fail(&cli->err, CO_BUSY, "container `%s` is %s", id, status);
	else if (!o.cgroup)
		rc = co_fail(&cli->err, CO_UNSUPPORTED,
			     "container `%s` has no cgroup to freeze", id);
	else
		rc = ctr_cgroup_freeze(o.cgroup, frozen, &cli->err);
	cli_close(&o);
	return rc < 0 ? cli_failed(cli) : 0;
}

int cli_pause(struct cli *cli, int argc, char *argv[])
{
	return freeze(cli, argc, argv, true);
}

int cli_resume(struct cli *cli, int argc, char *argv[])
{
	return freeze(cli, argc, argv, false);
}

/* ---- update ---- */

struct update {
	const char *file, *cpus, *mems;
	int64_t memory, reservation, swap, shares, quota, period, burst, rt_period,
		rt_runtime, idle, pids, weight;
};

static int read_file(struct cli *cli, const char *file, struct ctr_resources *out)
{
	autobuf struct co_buf text = { 0 };
	int rc = ctr_file_read(strcmp(file, "-") == 0 ? "/dev/stdin" : file,
			       CO_LIMIT_CTR_CONFIG, &text, &cli->err);

	if (rc == 0)
		rc = ctr_resources_parse(
			(struct co_span){ text.data ? text.data : "", text.size }, out,
			&cli->err);
	return rc < 0 ? co_context(&cli->err, "%s", file) : 0;
}

static void change(int64_t *to, int64_t value)
{
	if (value != CTR_UNSET)
		*to = value;
}

static void apply(const struct update *u, struct ctr_resources *r)
{
	change(&r->memory, u->memory);
	change(&r->memory_reservation, u->reservation);
	change(&r->memory_swap, u->swap);
	change(&r->cpu_shares, u->shares);
	change(&r->cpu_quota, u->quota);
	change(&r->cpu_period, u->period);
	change(&r->cpu_burst, u->burst);
	change(&r->cpu_rt_period, u->rt_period);
	change(&r->cpu_rt_runtime, u->rt_runtime);
	change(&r->cpu_idle, u->idle);
	change(&r->pids, u->pids);
	change(&r->io_weight, u->weight);
	if (u->cpus)
		r->cpus = (char *) (uintptr_t) u->cpus;
	if (u->mems)
		r->mems = (char *) (uintptr_t) u->mems;
}

static int update(struct cli *cli, const char *id, const struct update *u)
{
	struct ctr_resources r;
	struct cli_opened o;
	autobuf struct co_buf group = { 0 };
	int rc = cli_open(cli, id, &o);

	if (rc < 0)
		return rc;
	rc = ctr_resources_parse(co_span("{}"), &r, &cli->err);
	if (rc == 0 && u->file) {
		ctr_resources_done(&r);
		rc = read_file(cli, u->file, &r);
	}
	if (rc == 0) {
		apply(u, &r);
		rc = o.cgroup ? ctr_cgroup_update(o.cgroup, &r, &cli->err)
			      : co_fail(&cli->err, CO_UNSUPPORTED,
					"container `%s` has no cgroup", id);
		ctr_resources_done(&r);
	}
	if (rc == 0) {
		ctr_cgroup_save(o.cgroup, &group);
		o.state.cgroup = (struct co_span){ group.data, group.size };
		rc = ctr_state_write(cli->root, &o.state, &cli->err);
	}
	cli_close(&o);
	return rc;
}

int cli_update(struct cli *cli, int argc, char *argv[])
{
	struct update u = { .memory = CTR_UNSET,
			    .reservation = CTR_UNSET,
			    .swap = CTR_UNSET,
			    .shares = CTR_UNSET,
			    .quota = CTR_UNSET,
			    .period = CTR_UNSET,
			    .burst = CTR_UNSET,
			    .rt_period = CTR_UNSET,
			    .rt_runtime = CTR_UNSET,
			    .idle = CTR_UNSET,
			    .pids = CTR_UNSET,
			    .weight = CTR_UNSET };
	const struct cli_option options[] = {
		{ "resources", 'r', CLI_TEXT, &u.file },
		{ "memory", 0, CLI_NUMBER, &u.memory },
		{ "memory-reservation", 0, CLI_NUMBER, &u.reservation },
		{ "memory-swap", 0, CLI_NUMBER, &u.swap },
		{ "kernel-memory", 0, CLI_NUMBER, NULL },
		{ "kernel-memory-tcp", 0, CLI_NUMBER, NULL },
		{ "cpu-share", 0, CLI_NUMBER, &u.shares },
		{ "cpu-shares", 0, CLI_NUMBER, &u.shares },
		{ "cpu-quota", 0, CLI_NUMBER, &u.quota },
		{ "cpu-period", 0, CLI_NUMBER, &u.period },
		{ "cpu-burst", 0, CLI_NUMBER, &u.burst },
		{ "cpu-rt-period", 0, CLI_NUMBER, &u.rt_period },
		{ "cpu-rt-runtime", 0, CLI_NUMBER, &u.rt_runtime },
		{ "cpu-idle", 0, CLI_NUMBER, &u.idle },
		{ "cpuset-cpus", 0, CLI_TEXT, &u.cpus },
		{ "cpuset-mems", 0, CLI_TEXT, &u.mems },
		{ "pids-limit", 0, CLI_NUMBER, &u.pids },
		{ "blkio-weight", 0, CLI_NUMBER, &u.weight },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	const char *id;
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0)
		rc = update(cli, id, &u);
	return rc < 0 ? cli_failed(cli) : 0;
}
