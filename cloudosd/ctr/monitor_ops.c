/* SPDX-License-Identifier: MIT */
/* What clients ask a container's monitor for: the table of control.h.  HOST. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/monitor_inside.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/json_scan.h"

struct request {
	struct client *client;
	uint64_t tag;
	struct co_span json;
	bool answered;         /* or will be */
	struct co_buf members; /* of the reply */
};

/* ---- members of requests ---- */

static bool truth(struct co_span json, const char *name, bool otherwise)
{
	struct co_span value;

	return co_json_member(json, name, &value) ? co_span_is(value, "true")
						  : otherwise;
}

static int whole(struct co_span json, const char *name, int64_t *out,
		 struct co_err *err)
{
	struct co_span value;

	if (co_json_member(json, name, &value) && co_json_whole(value, out))
		return 0;
	return co_fail(err, CO_INVALID, "the request needs a number \"%s\"", name);
}

static int lives(const struct monitor *m, struct co_err *err)
{
	return m->state == CTR_EXITED ? co_fail(err, CO_GONE, "the container has ended")
				      : 0;
}

/* ---- asking ---- */

static int op_status(struct monitor *m, struct request *r, struct co_err *err)
{
	struct ctr_log_counts log = { 0 };

	(void) err;
	if (m->log)
		ctr_log_counts(m->log, &log);
	co_buf_format(&r->members,
		      ",\"state\":\"%s\",\"pid\":%d,\"created\":%llu,\"started\":%llu,"
		      "\"oomKilled\":%s,\"terminal\":%s,\"stdin\":%s,\"clients\":%u,"
		      "\"log\":{\"bytes\":%llu,\"lines\":%llu,\"lost\":%llu}",
		      ctr_state_name(m->state),
		      m->state == CTR_EXITED ? 0 : (int) m->container.pid,
		      (unsigned long long) m->created_ms,
		      (unsigned long long) m->exit.started,
		      m->oom_kills ? "true" : "false", m->terminal ? "true" : "false",
		      m->input.fd >= 0 && !m->input_ends ? "true" : "false",
		      m->client_count, (unsigned long long) log.bytes,
		      (unsigned long long) log.lines, (unsigned long long) log.lost);
	if (m->network) {
		co_buf_text(&r->members, ",\"network\":{");
		ctr_network_describe(m->network, &r->members);
		co_buf_text(&r->members, m->network_ended ? ",\"ended\":true}" : "}");
	}
	if (m->state == CTR_EXITED) {
		co_buf_text(&r->members, ",\"exit\":");
		ctr_exit_print(&m->exit, &r->members);
	}
	return 0;
}

static void print_network(const struct monitor *m, struct co_buf *out)
{
	unsigned long long sum[4] = { 0 };
	char path[64], line[512];
	autofclose FILE *f = NULL;

	(void) snprintf(path, sizeof(path), "/proc/%d/net/dev", (int) m->container.pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long n[10];
		const char *colon = strchr(line, ':');

		if (!colon || strncmp(line + strspn(line, " "), "lo:", 3) == 0 ||
		    sscanf(colon + 1,
			   "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &n[0],
			   &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8],
			   &n[9]) != 10)
			continue;
		sum[0] += n[0];
		sum[1] += n[1];
		sum[2] += n[8];
		sum[3] += n[9];
	}
	if (f)
		co_buf_format(
			out,
			",\"network\":{\"received\":%llu,\"packetsReceived\":%llu,"
			"\"sent\":%llu,\"packetsSent\":%llu}",
			sum[0], sum[1], sum[2], sum[3]);
}

#define N(value) ((unsigned long long) (value))

/* Where there are no groups that count: what its processes have used that live. */
static void add_up(const struct monitor *m, struct ctr_usage *u)
{
	uint64_t tick = 1000000000 / (uint64_t) sysconf(_SC_CLK_TCK);
	autofree pid_t *pids = NULL;
	size_t count = 0;

	if (ctr_cgroup_pids(m->cgroup, &pids, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		autobuf struct co_buf text = { 0 };
		unsigned long long user, system, children_user, children_system;
		char path[64];
		const char *at;

		(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pids[i]);
		if (ctr_file_read(path, 4096, &text, NULL) < 0 || text.size == 0)
			continue;             /* it has just ended */
		at = strrchr(text.data, ')'); /* the name may have anything in it */
		if (!at ||
		    sscanf(at,
			   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			   "%llu %llu %llu %llu",
			   &user, &system, &children_user, &children_system) != 4)
			continue;
		u->user_ns += (user + children_user) * tick;
		u->system_ns += (system + children_system) * tick;
	}
	u->cpu_ns = u->user_ns + u->system_ns;
	if (!u->has_pids)
		u->pids = count;
	u->has_pids = true;
}

static int op_usage(struct monitor *m, struct request *r, struct co_err *err)
{
	struct ctr_usage u = { 0 };
	int rc = lives(m, err);

	if (rc < 0)
		return rc;
	ctr_cgroup_usage(m->cgroup, &u);
	if (u.cpu_ns == 0)
		add_up(m, &u);
	co_buf_format(&r->members,
		      ",\"cpu\":{\"total\":%llu,\"user\":%llu,\"system\":%llu,"
		      "\"throttled\":%llu},\"oomKills\":%llu",
		      N(u.cpu_ns), N(u.user_ns), N(u.system_ns), N(u.throttled_ns),
		      N(u.oom_kills));
	if (u.has_memory)
		co_buf_format(&r->members,
			      ",\"memory\":{\"used\":%llu,\"limit\":%llu,\"peak\":%llu,"
			      "\"swap\":%llu}",
			      N(u.memory), N(u.memory_limit), N(u.memory_peak),
			      N(u.swap));
	if (u.has_pids)
		co_buf_format(&r->members, ",\"pids\":{\"used\":%llu,\"limit\":%llu}",
			      N(u.pids), N(u.pids_limit));
	if (u.has_io)
		co_buf_format(&r->members, ",\"io\":{\"read\":%llu,\"written\":%llu}",
			      N(u.read_bytes), N(u.write_bytes));
	print_network(m, &r->members);
	return 0;
}

/* ---- the container's life ---- */

static int op_commit(struct monitor *m, struct request *r, struct co_err *err)
{
	int rc;

	(void) r;
	m->committed = true;
	rc = monitor_note(m, err);
	(void) co_fault("monitor.committed");
	return rc;
}

static int op_start(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) r;
	return monitor_start(m, err);
}

static int op_signal(struct monitor *m, struct request *r, struct co_err *err)
{
	int64_t signal;
	int rc = whole(r->json, "signal", &signal, err);

	if (rc == 0)
		rc = lives(m, err);
	if (rc < 0)
		return rc;
	if (signal < 0 || signal > 64)
		return co_fail(err, CO_INVALID, "there is no signal %lld",
			       (long long) signal);
	/* one that was never started has nothing to do with signals but this */
	if (truth(r->json, "all", false) ||
	    (signal == SIGKILL && (m->state == CTR_PAUSED || m->state == CTR_CREATED)))
		return monitor_kill_all(m, (int) signal, err);
	if (syscall(SYS_pidfd_send_signal, m->container.pidfd, (int) signal, NULL, 0) <
	    0)
		return co_fail_errno(err, errno,
				     "cannot send signal %d to the container",
				     (int) signal);
	return 0;
}

static int freeze(struct monitor *m, bool frozen, struct co_err *err)
{
	enum ctr_run_state from = frozen ? CTR_RUNNING : CTR_PAUSED;
	int rc = lives(m, err);

	if (rc < 0)
		return rc;
	if (m->state != from)
		return co_fail(err, CO_CONFLICT, "the container is %s, not %s",
			       ctr_state_name(m->state), ctr_state_name(from));
	rc = ctr_cgroup_freeze(m->cgroup, frozen, err);
	if (rc < 0)
		return rc;
	m->state = frozen ? CTR_PAUSED : CTR_RUNNING;
	monitor_event(m, frozen ? "paused" : "unpaused", "");
	return 0;
}

static int op_pause(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) r;
	return freeze(m, true, err);
}

static int op_resume(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) r;
	return freeze(m, false, err);
}

static int update_limits(struct monitor *m, struct co_span json, struct co_err *err)
{
	struct ctr_resources resources;
	int rc = ctr_resources_parse(json, &resources, err);

	if (rc < 0)
		return rc;
	rc = ctr_cgroup_update(m->cgroup, &resources, err);
	ctr_resources_done(&resources);
	return rc;
}

static int update_network(struct monitor *m, struct co_span json, struct co_err *err)
{
	if (!m->network)
		return co_fail(
			err, CO_CONFLICT,
			"the container has no network whose ports could be changed");
	return ctr_network_publish(m->network, json, err);
}

static int op_update(struct monitor *m, struct request *r, struct co_err *err)
{
	struct co_span resources, network;
	bool limits = co_json_member(r->json, "resources", &resources);
	bool ports = co_json_member(r->json, "network", &network);
	int rc = lives(m, err);

	if (rc < 0)
		return rc;
	if (!limits && !ports)
		return co_fail(err, CO_INVALID,
			       "the request needs \"resources\" or \"network\"");
	if (limits)
		rc = update_limits(m, resources, err);
	if (rc == 0 && ports)
		rc = update_network(m, network, err);
	if (rc == 0)
		monitor_event(m, "updated", "");
	return rc;
}

static int op_exec(struct monitor *m, struct request *r, struct co_err *err)
{
	if (m->state != CTR_RUNNING)
		return co_fail(err, CO_CONFLICT, "the container is %s, not running",
			       ctr_state_name(m->state));
	r->answered = true; /* at its end, or below */
	if (monitor_exec(m, r->client, r->tag, r->json, err) == 0)
		return 0;
	r->answered = false;
	return err->code;
}

/* ---- streams ---- */

static int op_attach(struct monitor *m, struct request *r, struct co_err *err)
{
	struct client *c = r->client;

	(void) m;
	(void) err;
	c->output = truth(r->json, "stdout", true);
	c->error_output = truth(r->json, "stderr", true);
	c->input = truth(r->json, "stdin", false);
	c->waits = truth(r->json, "wait", false);
	c->once = truth(r->json, "once", false);
	return 0;
}

static int op_detach(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) m;
	(void) err;
	r->client->output = r->client->error_output = r->client->input = false;
	return 0;
}

static int op_resize(struct monitor *m, struct request *r, struct co_err *err)
{
	int64_t rows, columns;
	int rc = whole(r->json, "rows", &rows, err);

	if (rc == 0)
		rc = whole(r->json, "columns", &columns, err);
	if (rc < 0)
		return rc;
	if (rows < 0 || columns < 0 || rows > UINT16_MAX || columns > UINT16_MAX)
		return co_fail(err, CO_INVALID, "no terminal has that size");
	return monitor_resize(m, (unsigned) rows, (unsigned) columns, err);
}

static int op_reopen(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) r;
	return m->log ? ctr_log_reopen(m->log, err) : 0;
}

/* ---- waiting ---- */

static int op_wait(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) m;
	if (r->client->wants_exit)
		return co_fail(err, CO_BUSY, "this connection waits already");
	r->client->wants_exit = true;
	r->client->wait_tag = r->tag;
	r->answered = true;
	return 0;
}

static int op_watch(struct monitor *m, struct request *r, struct co_err *err)
{
	(void) m;
	(void) err;
	r->client->watches = true;
	return 0;
}

void monitor_tell_exit(struct monitor *m)
{
	autobuf struct co_buf text = { 0 };

	co_buf_text(&text, ",\"exit\":");
	ctr_exit_print(&m->exit, &text);
	for (struct client *c = m->clients; c && !text.failed; c = c->next)
		if (c->wants_exit)
			monitor_reply(m, c, c->wait_tag, text.data);
	if (!text.failed)
		monitor_event(m, "exited", text.data);
}

/* ---- the table ---- */

static const struct {
	const char *name;
	int (*run)(struct monitor *m, struct request *r, struct co_err *err);
} ops[] = {
	{ "status", op_status }, { "usage", op_usage },   { "commit", op_commit },
	{ "start", op_start },   { "signal", op_signal }, { "pause", op_pause },
	{ "resume", op_resume }, { "update", op_update }, { "exec", op_exec },
	{ "attach", op_attach }, { "detach", op_detach }, { "resize", op_resize },
	{ "reopen", op_reopen }, { "wait", op_wait },     { "watch", op_watch },
};

void monitor_request(struct monitor *m, struct client *c, struct co_span json)
{
	struct request r = { .client = c, .json = json };
	struct co_err err = { 0 };
	struct co_span op = { NULL, 0 }, value;
	int64_t tag = 0;
	size_t i = 0;
	int rc;

	if (co_json_member(json, "tag", &value) && co_json_whole(value, &tag))
		r.tag = (uint64_t) tag;
	if (co_json_member(json, "op", &op))
		while (i < co_countof(ops) && !co_json_string_is(op, ops[i].name))
			i++;
	else
		i = co_countof(ops);
	rc = i < co_countof(ops) ? ops[i].run(m, &r, &err)
				 : co_fail(&err, CO_UNSUPPORTED,
					   "the monitor knows no such request");
	if (rc < 0)
		monitor_refuse(m, c, r.tag, &err);
	else if (!r.answered && !r.members.failed)
		monitor_reply(m, c, r.tag, r.members.data ? r.members.data : "");
	co_buf_done(&r.members);
}
