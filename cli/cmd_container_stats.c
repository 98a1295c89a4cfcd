/* SPDX-License-Identifier: MIT */
/* cloudosctl container stats, top, events: what containers do.  HOST. */
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <time.h>

#include "cli/container.h"
#include "lib/cleanup.h"

/* ---- stats ---- */

struct sample {
	int64_t id;
	uint64_t cpu_ns, at_ns;
};

struct stats {
	struct ctl *ctl;
	struct sample *samples; /* of the last round; owned */
	size_t nsamples;
	bool first, last;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* "memory.used": -1 where it could not be measured. */
static int64_t measured(struct co_span stats, const char *group, const char *member)
{
	struct co_span object;

	if (!co_json_member(stats, group, &object))
		return -1;
	return container_number(object, member, -1);
}

static void put_pair(struct co_print *rows, int64_t a, int64_t b, bool as_bytes)
{
	char left[32], right[32], text[80];

	if (as_bytes) {
		container_size(a, left, sizeof(left));
		container_size(b > 0 ? b : -1, right, sizeof(right));
	} else {
		(void) snprintf(left, sizeof(left), "%" PRId64, a); /* fits */
		(void) snprintf(right, sizeof(right), b > 0 ? "%" PRId64 : "-", b);
	}
	(void) snprintf(text, sizeof(text), "%s / %s", a < 0 ? "-" : left, right);
	co_print_text(rows, text);
}

/* Processor time since the round before, in percent of one. */
static double share(struct stats *s, int64_t id, int64_t cpu_ns, uint64_t at_ns)
{
	double percent = -1;
	size_t i = 0;

	while (i < s->nsamples && s->samples[i].id != id)
		i++;
	if (i < s->nsamples && cpu_ns >= 0 && at_ns > s->samples[i].at_ns &&
	    (uint64_t) cpu_ns >= s->samples[i].cpu_ns)
		percent = 100.0 * (double) ((uint64_t) cpu_ns - s->samples[i].cpu_ns) /
			  (double) (at_ns - s->samples[i].at_ns);
	if (i == s->nsamples) {
		struct sample *more =
			realloc(s->samples, (i + 1) * sizeof(*s->samples));

		if (!more)
			return percent;
		s->samples = more;
		s->nsamples++;
	}
	s->samples[i] =
		(struct sample){ id, cpu_ns < 0 ? 0 : (uint64_t) cpu_ns, at_ns };
	return percent;
}

static void put_stats(struct stats *s, struct co_print *rows, struct co_span c,
		      struct co_span stats)
{
	int64_t id = container_number(c, "id", 0);
	double cpu = share(s, id, measured(stats, "cpu", "total"), now_ns());
	autofree char *name = container_text(c, "name");
	char percent[32];

	if (!rows)
		return;
	(void) snprintf(percent, sizeof(percent), cpu < 0 ? "-" : "%.1f%%", cpu);
	co_print_i64(rows, id);
	co_print_text(rows, name);
	co_print_text(rows, percent);
	put_pair(rows, measured(stats, "memory", "used"),
		 measured(stats, "memory", "limit"), true);
	put_pair(rows, measured(stats, "pids", "used"),
		 measured(stats, "pids", "limit"), false);
	put_pair(rows, measured(stats, "network", "received"),
		 measured(stats, "network", "sent"), true);
	put_pair(rows, measured(stats, "io", "read"), measured(stats, "io", "written"),
		 true);
}

/* One line, with id and name before what was measured. */
static int put_json(struct gateway *g, struct co_span c)
{
	FILE *out = g->ctl->style.out;
	struct co_span name = co_span("null");

	(void) co_json_member(c, "name", &name); /* it has one */
	(void) fprintf(out, "{\"id\":%" PRId64 ",\"name\":%.*s,",
		       container_number(c, "id", 0), (int) name.size,
		       name.data); /* its failure is asked below */
	return gateway_json(g,
			    (struct co_span){ g->value.data + 1, g->value.size - 1 });
}

static int one(struct stats *s, struct co_print *rows, struct co_span c)
{
	autogateway struct gateway g;
	char id[32];
	int rc;

	(void) snprintf(id, sizeof(id), "%" PRId64, container_number(c, "id", 0));
	container_request(&g, s->ctl, "GET", id, "/stats");
	rc = gateway_call(&g);
	if (rc == CO_NOT_FOUND || rc == CO_CONFLICT) {
		s->ctl->err = (struct co_err){ 0 };
		return 0; /* ended meanwhile */
	}
	if (rc == 0 && s->ctl->style.format == CO_FORMAT_JSON)
		return put_json(&g, c);
	if (rc == 0)
		put_stats(s, rows, c, g.value);
	return rc;
}

static bool asked_for(struct ctl *ctl, struct co_span c)
{
	autofree char *name = container_text(c, "name");
	char id[32];

	(void) snprintf(id, sizeof(id), "%" PRId64, container_number(c, "id", 0));
	for (size_t i = 0; i < ctl->noperands; i++)
		if (strcmp(ctl->operands[i], id) == 0 ||
		    (name && strcmp(ctl->operands[i], name) == 0))
			return true;
	return ctl->noperands == 0;
}

/* Those that were named have to be there when it begins. */
static int known(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;

	return container_get(&g, ctl, name);
}

static int table(struct stats *s, struct co_print *rows)
{
	struct co_span list = co_span("[]"), none, c;
	autogateway struct gateway g;
	struct co_json_walk walk;
	int rc;

	gateway_init(&g, s->ctl, "GET", CONTAINERS);
	if (ctl_option(s->ctl, "all"))
		gateway_query(&g, "all", "true");
	rc = gateway_call(&g);
	if (rc == 0)
		(void) co_json_member(g.value, "containers", &list);
	for (walk = co_json_walk(list); rc == 0 && co_json_next(&walk, &none, &c);)
		if (asked_for(s->ctl, c))
			rc = one(s, rows, c);
	return rc;
}

static int round_(struct stats *s)
{
	static const char *const columns[] = { "id",   "name",    "cpu", "memory",
					       "pids", "network", "io",  NULL };
	bool shown = s->ctl->style.format == CO_FORMAT_TABLE && !s->first;
	struct co_print *rows;
	int rc, printed;

	if (!shown)
		return table(s, NULL);
	rows = co_print_new(&s->ctl->style, columns);
	if (!rows)
		return co_fail(&s->ctl->err, CO_NO_MEMORY, "out of memory");
	rc = table(s, rows);
	if (isatty(STDOUT_FILENO) && !s->last)
		(void) fputs("\033[H\033[J", s->ctl->style.out); /* asked below */
	printed = co_print_end(rows);
	return rc < 0 ? rc : ctl_printed(s->ctl, printed);
}

int cmd_container_stats(struct ctl *ctl)
{
	bool once = ctl_option(ctl, "no-stream");
	struct stats s = { .ctl = ctl, .last = once };
	uint64_t seconds = 1;
	int rc = ctl_option_number(ctl, "interval", 1, 86400, &seconds);

	if (rc == 0)
		rc = container_each(ctl, known);
	/* a share needs two looks; JSON has the counters */
	s.first = ctl->style.format == CO_FORMAT_TABLE;
	while (rc == 0) {
		struct pollfd p = { .fd = fileno(ctl->style.out) };
		bool first = s.first;

		rc = round_(&s);
		s.first = false;
		if (rc < 0 || (once && !first))
			break;
		(void) poll(&p, 1, once ? 500 : (int) seconds * 1000);
		if (p.revents & (POLLERR | POLLHUP))
			break;
	}
	free(s.samples);
	return rc;
}

/* ---- top ---- */

/* A line of /proc/PID/status as "Uid:\t100000\t..." without its name; "" if it is gone. */
static void status_line(const char *text, const char *name, char *out, size_t size)
{
	const char *at = strstr(text, name);

	out[0] = 0;
	if (!at)
		return;
	at += strlen(name);
	at += strspn(at, "\t ");
	(void) snprintf(out, size, "%.*s", (int) strcspn(at, "\n"), at); /* shortened */
}

static size_t read_proc(int64_t pid, const char *file, char *out, size_t size)
{
	char path[64];
	size_t n = 0;
	FILE *f;

	(void) snprintf(path, sizeof(path), "/proc/%" PRId64 "/%s", pid,
			file); /* fits */
	f = fopen(path, "re");
	if (f) {
		n = fread(out, 1, size - 1, f);
		(void) fclose(f); /* was only read from */
	}
	out[n] = 0;
	return n;
}

/* As the kernel tells it; user and the inner number as the container sees them not. */
static void put_process(struct co_print *rows, int64_t pid)
{
	char text[4096], command[256], value[128], *last;
	size_t n = read_proc(pid, "status", text, sizeof(text));

	if (!n)
		return; /* it has ended meanwhile */
	co_print_i64(rows, pid);
	status_line(text, "\nNSpid:", value, sizeof(value));
	last = strrchr(value, '\t');
	co_print_text(rows, last ? last + 1 : value);
	status_line(text, "\nUid:", value, sizeof(value));
	value[strcspn(value, "\t")] = 0;
	co_print_text(rows, value);
	status_line(text, "\nState:", value, sizeof(value));
	value[strcspn(value, " ")] = 0;
	co_print_text(rows, value);
	status_line(text, "\nVmRSS:", value, sizeof(value));
	co_print_text(rows, value);
	n = read_proc(pid, "cmdline", command, sizeof(command));
	for (size_t i = 0; i + 1 < n; i++)
		if (!command[i])
			command[i] = ' ';
	if (!n)
		status_line(text, "Name:", command, sizeof(command));
	co_print_text(rows, command);
}

/* The pids, which cloudos-ctr knows. */
static int list_processes(struct ctl *ctl, const char *root, const char *id,
			  struct co_buf *out)
{
	char program[CO_PATH_SIZE];
	int fds[2], status,
		rc = co_program_path("cloudos-ctr", program, sizeof(program),
				     &ctl->err);
	pid_t pid = 0;

	if (rc == 0)
		rc = container_pipe(ctl, fds);
	if (rc < 0)
		return rc;
	rc = container_spawn(ctl,
			     (const char *const[]){ program, "--root", root, "ps", "-f",
						    "json", id, NULL },
			     -1, fds[1], &pid);
	(void) close(fds[1]); /* the child's */
	if (rc == 0)
		rc = container_read(ctl, fds[0], out);
	(void) close(fds[0]); /* was only read from */
	status = pid ? container_reap(pid) : 0;
	if (rc == 0 && status) /* it has said why on standard error */
		rc = co_fail(&ctl->err, CO_IO, "cannot list the processes");
	return rc;
}

int cmd_container_top(struct ctl *ctl)
{
	static const char *const columns[] = { "pid", "inside",  "uid", "state",
					       "rss", "command", NULL };
	autobuf struct co_buf said = { 0 };
	autofree char *folder = NULL;
	struct co_json_fault fault;
	struct co_span list, none, value;
	autogateway struct gateway g;
	struct co_json_walk walk;
	struct co_print *rows;
	char id[32];
	int rc = container_get(&g, ctl, ctl->operands[0]);

	if (rc < 0)
		return rc;
	folder = container_text(g.value, "runFolder");
	if (!folder)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	(void) snprintf(id, sizeof(id), "%" PRId64,
			container_number(g.value, "id", 0)); /* fits */
	if (!container_number(g.value, "pid", 0))
		return co_fail(&ctl->err, CO_CONFLICT, "container %.100s does not run",
			       ctl->operands[0]);
	rc = list_processes(ctl, dirname(folder), id, &said);
	if (rc < 0)
		return rc;
	if (co_json_check((struct co_span){ said.data ? said.data : "", said.size },
			  &list, &fault) < 0)
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "cloudos-ctr ps does not print JSON");
	rows = co_print_new(&ctl->style, columns);
	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	for (walk = co_json_walk(list); co_json_next(&walk, &none, &value);) {
		int64_t pid;

		if (co_json_whole(value, &pid))
			put_process(rows, pid);
	}
	return ctl_printed(ctl, co_print_end(rows));
}

/* ---- events ---- */

struct tail {
	struct co_print *rows;
	unsigned tries;
	char last[64]; /* id of the last event */
};

/* Is it about the container that was named? */
static bool about(struct ctl *ctl, struct co_span event)
{
	const char *wanted = ctl->operands[0];
	autofree char *name = NULL;
	struct co_span data;
	char id[32];

	if (!wanted)
		return true;
	if (!co_json_member(event, "data", &data))
		return false;
	name = container_text(data, "name");
	(void) snprintf(id, sizeof(id), "%" PRId64, container_number(data, "id", -1));
	return strcmp(wanted, id) == 0 || (name && strcmp(wanted, name) == 0);
}

static int show(struct gateway *g, struct co_span event, void *arg)
{
	struct tail *t = arg;
	struct co_span id;

	if (co_json_member(event, "id", &id) && id.size < sizeof(t->last) + 2)
		(void) snprintf(t->last, sizeof(t->last), "%.*s", (int) id.size - 2,
				id.data + 1);
	t->tries = 0;
	return about(g->ctl, event)
		       ? gateway_row(g, t->rows, event, "timestamp event data")
		       : 0;
}

static int follow(struct ctl *ctl, struct tail *t)
{
	autogateway struct gateway g;

	gateway_init(&g, ctl, "GET", "/v1/sys/events");
	gateway_query(&g, "event", "container:*,image:*");
	gateway_query_option(&g, "since", "since");
	if (*t->last)
		gateway_header(&g, "Last-Event-ID", t->last);
	return gateway_stream(&g, show, t);
}

int cmd_container_events(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct tail t = { 0 };
	int rc;

	ctl->style.stream = true;
	gateway_init(&g, ctl, "GET", "");
	t.rows = gateway_rows(&g, "timestamp event data");
	if (!t.rows)
		return ctl->err.code;
	do
		rc = follow(ctl, &t);
	while (gateway_again(ctl, rc, &t.tries));
	(void) co_print_end(t.rows); /* what failed was told when it did */
	return rc;
}
