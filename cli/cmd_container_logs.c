/* SPDX-License-Identifier: MIT */
/*
 * cloudosctl container logs: reads the files of the monitor itself (cloudosd/ctr/log.h), so
 * the daemon is asked for nothing but their place.  HOST.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "cli/container.h"
#include "cli/units.h"
#include "cloudosd/ctr/control.h"
#include "cloudosd/ctr/log.h"
#include "lib/cleanup.h"
#include "lib/time.h"

enum { LINES_MAX = 1000000, LOOK_MS = 250 };

struct logs {
	struct ctl *ctl;
	const char *name; /* of the container */
	char *path, *bundle;
	struct ctr_log_reader *reader;
	bool timestamps, terminal;
	bool begun[2]; /* the line of that stream has begun */
};

/* ---- printing ---- */

/* ESC [ digits ; digits m: colours, which do no harm. */
static size_t colour(const char *text, size_t n)
{
	size_t i = 2;

	if (n < 3 || text[0] != '\033' || text[1] != '[')
		return 0;
	while (i < n && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';'))
		i++;
	return i < n && text[i] == 'm' ? i + 1 : 0;
}

/* For a terminal: what could do more than show text and colours is escaped. */
static void put_safe(FILE *out, struct co_span text)
{
	while (text.size) {
		size_t n = 0, skip = colour(text.data, text.size);

		if (skip) {
			(void) fwrite(text.data, 1, skip, out); /* asked in the end */
		} else if (text.data[0] == '\t') {
			(void) fputc('\t', out);
			skip = 1;
		} else {
			while (n < text.size && text.data[n] != '\t' &&
			       !colour(text.data + n, text.size - n))
				n++;
			(void) co_print_escaped(out, text.data, n); /* width */
			skip = n;
		}
		text = (struct co_span){ text.data + skip, text.size - skip };
	}
}

static void put_json(const struct logs *l, const struct ctr_log_line *line)
{
	autobuf struct co_buf b = { 0 };

	co_buf_text(&b, "{\"time\":");
	co_buf_json_text(&b, line->time);
	co_buf_format(&b, ",\"stream\":\"%s\",\"partial\":%s,\"line\":",
		      line->stream == CTR_STDERR ? "stderr" : "stdout",
		      line->whole ? "false" : "true");
	co_buf_json_text(&b, line->text);
	co_buf_text(&b, "}\n");
	(void) fwrite(b.data, 1, b.size, l->ctl->style.out); /* asked in the end */
}

static void put(struct logs *l, const struct ctr_log_line *line)
{
	FILE *out = line->stream == CTR_STDERR ? stderr : l->ctl->style.out;

	if (l->ctl->style.format == CO_FORMAT_JSON) {
		put_json(l, line);
		return;
	}
	if (l->timestamps && !l->begun[line->stream])
		(void) fprintf(out, "%.*s ", (int) line->time.size, line->time.data);
	if (l->terminal)
		put_safe(out, line->text);
	else
		(void) fwrite(line->text.data, 1, line->text.size, out);
	if (line->whole)
		(void) fputc('\n', out);
	l->begun[line->stream] = !line->whole;
}

/* ---- following ---- */

/* Has it ended for good?  Nobody to ask means: for now, yes. */
static bool over(struct logs *l)
{
	autogateway struct gateway g;
	autofree char *state = NULL;
	struct ctr_exit e;

	container_request(&g, l->ctl, "GET", l->name, "");
	if (ctr_exit_load(l->bundle, &e, NULL) != 0)
		return access(l->bundle, F_OK) < 0;
	if (gateway_call(&g) < 0) {
		l->ctl->err = (struct co_err){ 0 };
		l->ctl->no_daemon = false;
		return true;
	}
	state = container_text(g.value, "state");
	return !state ||
	       !(strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0 ||
		 strcmp(state, "paused") == 0);
}

/* Everything there is. */
static int catch_up(struct logs *l)
{
	struct ctr_log_line line;

	while (ctr_log_reader_next(l->reader, &line) == 0) {
		put(l, &line);
		if (ferror(l->ctl->style.out))
			break;
	}
	return ctl_printed(l->ctl, co_print_flush(l->ctl->style.out));
}

static int follow(struct logs *l)
{
	int rc = 0;

	while (rc == 0) {
		struct pollfd p[] = { { .fd = ctr_log_reader_fd(l->reader),
					.events = POLLIN },
				      { .fd = fileno(l->ctl->style.out) } };
		bool last = over(l); /* asked first: what it wrote before is there */

		rc = catch_up(l);
		if (rc < 0 || last)
			break;
		(void) poll(p, 2, LOOK_MS); /* looked again in any case */
		if (p[1].revents & (POLLERR | POLLHUP))
			break;
		(void) ctr_log_reader_wait(l->reader, 0); /* the same */
	}
	return rc;
}

/* ---- the command ---- */

/* "2026-11-20T12:00:00Z", or "10m" ago. */
static int read_since(struct ctl *ctl, uint64_t *out_ns)
{
	const char *text = ctl_option(ctl, "since");
	struct timespec now;
	uint64_t seconds, ms;

	if (!text)
		return 0;
	if (co_time_parse(co_span(text), &ms)) {
		*out_ns = ms * 1000000;
		return 0;
	}
	if (!units_seconds(text, &seconds))
		return ctl_usage(ctl,
				 "--since takes a time as in 2026-11-20T12:00:00Z or a "
				 "while ago as in 10m, not \"%.60s\"",
				 text);
	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	*out_ns = (uint64_t) now.tv_sec > seconds
			  ? ((uint64_t) now.tv_sec - seconds) * 1000000000
			  : 1;
	return 0;
}

static int read_tail(struct ctl *ctl, int64_t *out)
{
	const char *text = ctl_option(ctl, "tail");
	uint64_t n = 0;
	int rc;

	*out = -1;
	if (!text || strcmp(text, "all") == 0)
		return 0;
	rc = ctl_option_number(ctl, "tail", 0, LINES_MAX, &n);
	*out = (int64_t) n;
	return rc;
}

static int show(struct logs *l, struct ctr_log_from *from)
{
	int rc;

	from->path = l->path;
	from->follow = ctl_option(l->ctl, "follow");
	rc = ctr_log_reader_open(from, &l->reader, &l->ctl->err);
	if (rc == 0)
		rc = from->follow ? follow(l) : catch_up(l);
	ctr_log_reader_close(l->reader);
	return rc;
}

int container_follow(struct ctl *ctl, const char *name,
		     int (*start)(struct ctl *ctl, void *arg), void *arg)
{
	struct logs l = { .ctl = ctl, .name = name, .terminal = isatty(STDOUT_FILENO) };
	struct ctr_log_from from = { .tail = 0, .follow = true };
	autogateway struct gateway g;
	int rc = container_get(&g, ctl, name);

	if (rc < 0)
		return rc;
	l.path = container_text(g.value, "log");
	l.bundle = container_text(g.value, "bundle");
	from.path = l.path;
	if (!l.path || !l.bundle)
		rc = co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	if (rc == 0)
		rc = ctr_log_reader_open(&from, &l.reader, &ctl->err);
	if (rc == 0)
		rc = catch_up(&l); /* what was there before */
	if (rc == 0)
		rc = start(ctl, arg);
	if (rc == 0)
		rc = follow(&l);
	ctr_log_reader_close(l.reader);
	free(l.path);
	free(l.bundle);
	return rc;
}

int cmd_container_logs(struct ctl *ctl)
{
	struct logs l = { .ctl = ctl,
			  .name = ctl->operands[0],
			  .timestamps = ctl_option(ctl, "timestamps"),
			  .terminal = isatty(STDOUT_FILENO) };
	struct ctr_log_from from = { 0 };
	autogateway struct gateway g;
	int rc;

	container_request(&g, ctl, "GET", l.name, "");
	rc = read_since(ctl, &from.since_ns);
	if (rc == 0)
		rc = read_tail(ctl, &from.tail);
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	l.path = container_text(g.value, "log");
	l.bundle = container_text(g.value, "bundle");
	rc = l.path && l.bundle ? show(&l, &from)
				: co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	free(l.path);
	free(l.bundle);
	return rc;
}
