/* SPDX-License-Identifier: MIT */
/* What cloudos-image says.  HOST. */
#include "cloudosd/image/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { EVERY_MS = 100 };

static struct {
	bool quiet;
	uint64_t last_ms;
} report;

void report_quiet(void)
{
	report.quiet = true;
}

static uint64_t now_ms(void)
{
	struct timespec t = { 0 };

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

void report_line(const struct co_buf *json)
{
	if (report.quiet || json->failed)
		return;
	/* who does not read has gone: the end will say so */
	(void) fwrite(json->data, 1, json->size, stdout);
	(void) fputc('\n', stdout);
	(void) fflush(stdout);
}

void report_progress(const char *phase, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = now_ms();
	autobuf struct co_buf line = { 0 };

	if (report.quiet || now - report.last_ms < EVERY_MS)
		return;
	report.last_ms = now;
	co_buf_format(&line,
		      "{\"event\":\"progress\",\"phase\":\"%s\",\"what\":", phase);
	co_buf_json_text(&line, co_span(what));
	co_buf_format(&line, ",\"done\":%llu,\"total\":%llu}",
		      (unsigned long long) done, (unsigned long long) total);
	report_line(&line);
}

void report_note(const char *format, ...)
{
	autobuf struct co_buf line = { 0 };
	char text[512];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	co_buf_text(&line, "{\"event\":\"note\",\"message\":");
	co_buf_json_text(&line, co_span(text));
	co_buf_char(&line, '}');
	report_line(&line);
}

int report_done(const struct co_buf *members)
{
	autobuf struct co_buf line = { 0 };

	co_buf_text(&line, "{\"event\":\"done\"");
	if (members && members->size) {
		co_buf_char(&line, ',');
		co_buf_add(&line, members->data, members->size);
	}
	co_buf_char(&line, '}');
	if (line.failed || (members && members->failed))
		return CO_NO_MEMORY;
	report_line(&line);
	return !report.quiet && ferror(stdout) ? CO_IO : 0;
}

void report_failed(const struct co_err *err)
{
	autobuf struct co_buf line = { 0 };

	if (report.quiet) {
		(void) fprintf(stderr, "cloudos-image: %s\n", err->message);
		return;
	}
	co_buf_format(&line, "{\"event\":\"failed\",\"status\":\"%s\",\"message\":",
		      co_status_name(err->code));
	co_buf_json_text(&line, co_span(err->message));
	co_buf_char(&line, '}');
	report_line(&line);
}
