/* SPDX-License-Identifier: MIT */
/* What most handlers of cloudosctl do: ask, list, stream, say.  HOST. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"

int ctl_connect(struct ctl *ctl)
{
	int rc;

	if (ctl->client)
		return 0;
	rc = co_client_open(&ctl->paths, CTL_PROGRAM, &ctl->client, &ctl->err);
	ctl->no_daemon = rc == CO_GONE;
	return rc;
}

void *ctl_request(struct ctl *ctl, uint32_t type)
{
	return ctl_connect(ctl) < 0 ? NULL : co_client_request(ctl->client, type);
}

int ctl_printed(struct ctl *ctl, int rc)
{
	if (rc == 0)
		return 0;
	ctl->quiet = rc == CO_GONE;
	return co_fail(&ctl->err, rc, "cannot write the output: %s",
		       rc == CO_IO ? "the file or device refuses it"
				   : co_status_text(rc));
}

int ctl_call(struct ctl *ctl, const int *fds, uint32_t n)
{
	return co_client_call(ctl->client, fds, n, &ctl->err);
}

int ctl_stream(struct ctl *ctl, int (*row)(struct ctl *ctl, void *data), void *data)
{
	int rc = co_client_send(ctl->client, NULL, 0, &ctl->err);

	if (ctl->style.stream) {
		ctl->client->timeout_ms = -1;
		ctl->client->until_fd = fileno(ctl->style.out);
	}
	while (rc == 0) {
		rc = co_client_next(ctl->client, &ctl->err);
		if (rc != CO_CLIENT_ROW)
			break;
		rc = row(ctl, data);
	}
	if (rc == CO_GONE && !ctl->client->lost)
		ctl->quiet = true;
	return rc;
}

static int print_row(struct ctl *ctl, void *data)
{
	struct co_print *p = data;

	co_print_message(p, ctl->client->in);
	return ctl->style.stream ? ctl_printed(ctl, co_print_status(p)) : 0;
}

/* A daemon may answer with another row than the one that the request is known for. */
struct listing {
	struct co_print *print;
	uint32_t type;
};

static int list_row(struct ctl *ctl, void *data)
{
	struct listing *listing = data;

	if (ctl->client->in->header->type != listing->type)
		return co_fail(
			&ctl->err, CO_PROTOCOL,
			"the daemon sent a row of type %#x where %#x was expected",
			(unsigned) ctl->client->in->header->type,
			(unsigned) listing->type);
	return print_row(ctl, listing->print);
}

int ctl_list(struct ctl *ctl, uint32_t row_type, const char *shown, size_t *out_rows)
{
	const struct co_layout *layout = co_wire_layout(row_type);
	struct listing listing = { co_print_new_layout(&ctl->style, layout, shown),
				   row_type };
	int rc, printed;

	if (!listing.print)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	rc = ctl_stream(ctl, list_row, &listing);
	if (out_rows)
		*out_rows = co_print_rows(listing.print);
	printed = co_print_end(listing.print);
	return rc < 0 ? rc : ctl_printed(ctl, printed);
}

int ctl_record(struct ctl *ctl)
{
	const struct co_layout *layout = co_wire_layout(ctl->client->in->header->type);

	return ctl_printed(ctl, co_print_record(&ctl->style, layout, ctl->client->in));
}

int ctl_say(struct ctl *ctl, const char *format, ...)
{
	autofree char *text = NULL;
	struct co_json json;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	}
	if (ctl->style.format == CO_FORMAT_JSON) {
		co_json_init(&json, ctl->style.out);
		co_json_open(&json, '{');
		co_json_key(&json, "message");
		co_json_text(&json, text);
		co_json_close(&json);
	} else {
		(void) co_print_escaped(ctl->style.out, text, strlen(text)); /* width */
		(void) fputc('\n', ctl->style.out); /* its failure is asked below */
	}
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

void ctl_session(struct ctl *ctl, uint64_t *out_session, struct wire_span *name)
{
	const char *operand = ctl->operands[0];
	char *end;
	unsigned long long number = strtoull(operand, &end, 10);

	if (operand[0] >= '0' && operand[0] <= '9' && !*end)
		*out_session = number;
	else
		co_msg_text(ctl->client->out, name, operand);
}
