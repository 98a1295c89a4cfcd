/* SPDX-License-Identifier: MIT */
/* cloudos-ctr state, list, ps, events.  HOST. */
#include <poll.h>
#include <stdlib.h>

#include "cloudosd/ctr/cli.h"
#include "lib/cleanup.h"

static int print(struct cli *cli, struct co_buf *text)
{
	co_buf_char(text, '\n');
	if (text->failed)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	if (fwrite(text->data, 1, text->size, stdout) != text->size ||
	    fflush(stdout) != 0)
		return co_fail(&cli->err, CO_IO, "standard output cannot be written");
	return 0;
}

int cli_state(struct cli *cli, int argc, char *argv[])
{
	autobuf struct co_buf text = { 0 };
	struct ctr_state s;
	const char *id;
	int at = cli_options(cli, argc, argv, NULL, 0, false);
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0)
		rc = ctr_state_read(cli->root, id, &s, &cli->err);
	if (rc == 0 && s.pid <= 0) {
		ctr_state_done(&s);
		rc = co_fail(&cli->err, CO_NOT_FOUND,
			     "container `%s` does not exist (yet: it is being created)",
			     id);
	}
	if (rc == 0) {
		ctr_state_print(&s, &text);
		ctr_state_done(&s);
		rc = print(cli, &text);
	}
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- list ---- */

struct listing {
	bool quiet, json;
	struct co_buf text;
};

static int list_one(struct cli *cli, const char *id, void *arg)
{
	struct listing *l = arg;
	struct ctr_state s;
	bool alive;

	if (ctr_state_read(cli->root, id, &s, &cli->err) < 0)
		return 0; /* just removed, or half of one */
	alive = ctr_state_alive(&s);
	if (l->quiet) {
		co_buf_format(&l->text, "%s%s", l->text.size ? "\n" : "", id);
	} else if (l->json) {
		co_buf_text(&l->text, l->text.size > 1 ? "," : "");
		ctr_state_print(&s, &l->text);
	} else {
		co_buf_format(&l->text, "\n%-24s %-8lld %-8s %-40s %-30s %s", id,
			      alive ? (long long) s.pid : 0, ctr_state_status(&s),
			      s.bundle, s.created, s.owner);
	}
	ctr_state_done(&s);
	return 0;
}

static bool is_json(const char *format)
{
	return format && strcmp(format, "json") == 0;
}

int cli_list(struct cli *cli, int argc, char *argv[])
{
	struct listing l = { .quiet = false };
	const char *format = NULL;
	const struct cli_option options[] = {
		{ "quiet", 'q', CLI_FLAG, &l.quiet },
		{ "format", 'f', CLI_TEXT, &format },
	};
	int rc = cli_options(cli, argc, argv, options, co_countof(options), false);

	l.json = is_json(format);
	if (l.json && !l.quiet)
		co_buf_char(&l.text, '[');
	else if (!l.quiet)
		co_buf_format(&l.text, "%-24s %-8s %-8s %-40s %-30s %s", "NAME", "PID",
			      "STATUS", "BUNDLE PATH", "CREATED", "OWNER");
	if (rc >= 0)
		rc = cli_each(cli, list_one, &l);
	if (l.json && !l.quiet)
		co_buf_char(&l.text, ']');
	if (rc == 0 && l.text.size)
		rc = print(cli, &l.text);
	co_buf_done(&l.text);
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- ps ---- */

static int ps_text(struct cli *cli, struct cli_opened *o, bool json, struct co_buf *out)
{
	pid_t *pids = NULL;
	size_t count = 0;
	int rc;

	if (!o->cgroup)
		return co_fail(&cli->err, CO_UNSUPPORTED,
			       "container `%s` has no cgroup: its processes cannot be "
			       "told",
			       o->state.id);
	rc = ctr_cgroup_pids(o->cgroup, &pids, &count, &cli->err);
	if (rc < 0)
		return rc;
	co_buf_text(out, json ? "[" : "PID");
	for (size_t i = 0; i < count; i++)
		co_buf_format(out, json ? "%s%d" : "%.0s\n%d", i ? "," : "", pids[i]);
	co_buf_text(out, json ? "]" : "");
	free(pids);
	return 0;
}

int cli_ps(struct cli *cli, int argc, char *argv[])
{
	autobuf struct co_buf text = { 0 };
	const char *format = NULL, *id;
	const struct cli_option options[] = {
		{ "format", 'f', CLI_TEXT, &format },
	};
	struct cli_opened o;
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0)
		rc = cli_open(cli, id, &o);
	if (rc == 0) {
		rc = ps_text(cli, &o, is_json(format), &text);
		cli_close(&o);
	}
	if (rc == 0)
		rc = print(cli, &text);
	return rc < 0 ? cli_failed(cli) : 0;
}

/* ---- events ---- */

static void usage_json(const char *id, const struct ctr_usage *u, struct co_buf *out)
{
	co_buf_text(out, "{\"type\":\"stats\",\"id\":");
	co_buf_json_text(out, co_span(id));
	co_buf_format(out,
		      ",\"data\":{\"cpu\":{\"usage\":{\"total\":%llu,\"kernel\":%llu,"
		      "\"user\":%llu},\"throttling\":{\"throttledTime\":%llu}}",
		      (unsigned long long) u->cpu_ns, (unsigned long long) u->system_ns,
		      (unsigned long long) u->user_ns,
		      (unsigned long long) u->throttled_ns);
	if (u->has_memory)
		co_buf_format(
			out,
			",\"memory\":{\"usage\":{\"usage\":%llu,\"limit\":%llu,"
			"\"max\":%llu},\"swap\":{\"usage\":%llu},\"oomKills\":%llu}",
			(unsigned long long) u->memory,
			(unsigned long long) u->memory_limit,
			(unsigned long long) u->memory_peak,
			(unsigned long long) u->swap,
			(unsigned long long) u->oom_kills);
	if (u->has_pids)
		co_buf_format(out, ",\"pids\":{\"current\":%llu,\"limit\":%llu}",
			      (unsigned long long) u->pids,
			      (unsigned long long) u->pids_limit);
	if (u->has_io)
		co_buf_format(out,
			      ",\"blkio\":{\"readBytes\":%llu,\"writeBytes\":%llu}",
			      (unsigned long long) u->read_bytes,
			      (unsigned long long) u->write_bytes);
	co_buf_text(out, "}}");
}

static int print_usage(struct cli *cli, const struct cli_opened *o)
{
	autobuf struct co_buf text = { 0 };
	struct ctr_usage u = { 0 };

	ctr_cgroup_usage(o->cgroup, &u);
	usage_json(o->state.id, &u, &text);
	return print(cli, &text);
}

/* Until the container has ended. */
static int follow(struct cli *cli, const struct cli_opened *o, int64_t interval)
{
	autoclose int oom = ctr_cgroup_oom_fd(o->cgroup);
	struct pollfd p = { .fd = oom, .events = POLLIN };
	struct ctr_usage u = { 0 };
	uint64_t seen;
	int rc = 0;

	ctr_cgroup_usage(o->cgroup, &u);
	seen = u.oom_kills;
	while (rc == 0 && ctr_state_alive(&o->state)) {
		int n = poll(&p, 1, (int) interval * 1000);

		ctr_cgroup_usage(o->cgroup, &u);
		if (u.oom_kills > seen)
			(void) printf("{\"type\":\"oom\",\"id\":\"%s\"}\n",
				      o->state.id);
		if (n > 0 && u.oom_kills == seen)
			p.fd = -1; /* it fires for something else: look at intervals */
		seen = u.oom_kills;
		rc = print_usage(cli, o);
	}
	return rc;
}

int cli_events(struct cli *cli, int argc, char *argv[])
{
	bool once = false;
	int64_t interval = 5;
	const struct cli_option options[] = {
		{ "stats", 0, CLI_FLAG, &once },
		{ "interval", 0, CLI_NUMBER, &interval },
	};
	struct cli_opened o;
	const char *id;
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	int rc = cli_one_id(cli, argc, argv, at, &id);

	if (rc == 0 && (interval < 1 || interval > 86400))
		rc = co_fail(&cli->err, CO_INVALID,
			     "--interval is not between 1 and 86400 seconds");
	if (rc == 0)
		rc = cli_open(cli, id, &o);
	if (rc < 0)
		return cli_failed(cli);
	if (!ctr_state_alive(&o.state))
		rc = co_fail(&cli->err, CO_BUSY, "container `%s` is not running", id);
	else if (!o.cgroup)
		rc = co_fail(&cli->err, CO_UNSUPPORTED, "container `%s` has no cgroup",
			     id);
	else
		rc = once ? print_usage(cli, &o) : follow(cli, &o, interval);
	cli_close(&o);
	return rc < 0 ? cli_failed(cli) : 0;
}
