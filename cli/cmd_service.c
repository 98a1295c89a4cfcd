/* SPDX-License-Identifier: MIT */
/* cloudosctl service ...  HOST. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/ctl.h"

static struct wire_service_list_req *begin_list(struct ctl *ctl)
{
	struct wire_service_list_req *req = ctl_request(ctl, WIRE_service_list_req);

	if (!req)
		return NULL;
	req->all = 1; /* also those that are not healthy */
	co_msg_text(ctl->client->out, &req->name, ctl->operands[0]);
	return req;
}

int cmd_service_ls(struct ctl *ctl)
{
	if (!begin_list(ctl))
		return ctl->err.code;
	return ctl_list(ctl, WIRE_service_row,
			"name version pid port health endpoint ttl age_ms reason",
			NULL);
}

int cmd_service_names(struct ctl *ctl)
{
	struct wire_name_list_req *req = ctl_request(ctl, WIRE_name_list_req);

	if (!req)
		return ctl->err.code;
	co_msg_text(ctl->client->out, &req->name, ctl->operands[0]);
	return ctl_list(ctl, WIRE_name_row, "word name role port front back serving",
			NULL);
}

static int show_instance(struct ctl *ctl, void *data)
{
	const struct co_layout *layout = co_wire_layout(WIRE_service_row);
	size_t *rows = data;

	if (ctl->client->in->header->type != WIRE_service_row)
		return co_fail(
			&ctl->err, CO_PROTOCOL,
			"the daemon sent a row of type %#x in a list of services",
			(unsigned) ctl->client->in->header->type);
	if ((*rows)++)
		(void) fputc('\n',
			     ctl->style.out); /* its failure is asked at the end */
	return ctl_printed(ctl, co_print_record(&ctl->style, layout, ctl->client->in));
}

int cmd_service_show(struct ctl *ctl)
{
	size_t rows = 0;
	int rc;

	if (!begin_list(ctl))
		return ctl->err.code;
	if (ctl->style.format == CO_FORMAT_JSON)
		rc = ctl_list(ctl, WIRE_service_row, NULL, &rows);
	else
		rc = ctl_stream(ctl, show_instance, &rows);
	if (rc == 0 && rows == 0)
		return co_fail(&ctl->err, CO_NOT_FOUND,
			       "there is no service \"%.200s\"; `" CTL_PROGRAM
			       " service ls` lists them",
			       ctl->operands[0]);
	return rc;
}

struct registration {
	uint64_t pid, port, ttl;
};

static int read_registration(struct ctl *ctl, struct registration *r)
{
	int rc = ctl_option_number(ctl, "pid", 1, INT32_MAX, &r->pid);

	if (rc == 0)
		rc = ctl_option_number(ctl, "port", 0, 65535, &r->port);
	return rc == 0 ? ctl_option_number(ctl, "ttl", 0, UINT32_MAX, &r->ttl) : rc;
}

int cmd_service_register(struct ctl *ctl)
{
	struct registration r = { .pid = (uint64_t) getppid() };
	struct wire_service_register_req *req;
	struct co_msg *out;
	int rc = read_registration(ctl, &r);

	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_service_register_req);
	if (!req)
		return ctl->err.code;
	out = ctl->client->out;
	req->pid = (int32_t) r.pid;
	req->port = (uint32_t) r.port;
	req->ttl = (uint32_t) r.ttl;
	co_msg_text(out, &req->name, ctl->operands[0]);
	co_msg_text(out, &req->version, ctl_option(ctl, "version"));
	co_msg_text(out, &req->endpoint, ctl_option(ctl, "endpoint"));
	co_msg_text(out, &req->health_check, ctl_option(ctl, "health-check"));
	co_msg_text(out, &req->metadata, ctl_option(ctl, "metadata"));
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc
		      : ctl_say(ctl, "%s is registered for process %" PRIu64,
				ctl->operands[0], r.pid);
}

int cmd_service_deregister(struct ctl *ctl)
{
	struct wire_service_deregister_req *req;
	const struct wire_service_deregister_rep *rep;
	uint64_t pid = (uint64_t) getppid();
	int rc = ctl_option_number(ctl, "pid", 1, INT32_MAX, &pid);

	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_service_deregister_req);
	if (!req)
		return ctl->err.code;
	req->pid = (int32_t) pid;
	co_msg_text(ctl->client->out, &req->name, ctl->operands[0]);
	rc = ctl_call(ctl, NULL, 0);
	if (rc < 0)
		return rc;
	rep = (const void *) ctl->client->in->bytes;
	if (rep->removed == 0)
		return co_fail(&ctl->err, CO_NOT_FOUND,
			       "process %" PRIu64
			       " has no service \"%.200s\"; `" CTL_PROGRAM
			       " service ls` tells who has",
			       pid, ctl->operands[0]);
	return ctl_say(ctl, "%s of process %" PRIu64 " is taken back", ctl->operands[0],
		       pid);
}

int cmd_service_watch(struct ctl *ctl)
{
	struct wire_service_watch_req *req = ctl_request(ctl, WIRE_service_watch_req);

	if (!req)
		return ctl->err.code;
	ctl->style.stream = true;
	co_msg_text(ctl->client->out, &req->name, ctl->operands[0]);
	return ctl_list(ctl, WIRE_service_event_row, NULL, NULL);
}
