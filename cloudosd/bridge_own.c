/* SPDX-License-Identifier: MIT */
/*
 * The daemon as one who receives messages itself.  HOST.
 *
 * Two directions, one box.  A call of RPC whose method is the name of a program with messages
 * or of a port goes out as a request, and the answer is its result.  A request to one of our
 * own services (event, log ...) is made over HTTP to our own gateway, like any other, and the
 * answer to that is the answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/bridge_inside.h"
#include "cloudosd/core.h"
#include "cloudosd/service/handler.h"
#include "cloudosd/service/outgoing.h"
#include "lib/base64.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/log.h"
#include "lib/uri.h"
#include "lib/utf8.h"

enum {
	SERVE_MS = 310000, /* longer than any deadline of RPC */
	LISTED = 1000,     /* names */
	AGAIN_MS = 1000
};

/* What there is under a name of ours; a body is POSTed unless it says otherwise. */
static const struct own_service {
	const char *name, *path;
	bool state; /* without a value it is a question */
} own_services[] = {
	{ "event", "/v1/sys/event", false }, { "job", "/v1/sys/job", false },
	{ "log", "/v1/sys/log", false },     { "metric", "/v1/sys/metric", false },
	{ "rpc", "/v1/sys/rpc", false },     { "state", "/v1/sys/state", true },
};

/* A call of RPC that was sent as a message. */
struct own_asked {
	struct own_asked *prev, *next;
	struct process_id to;
	uint64_t task;
	uint32_t id;
	bool port; /* the answer is a value and a page */
};

/* A request to one of our services. */
struct own_served {
	struct bridge_own *own;
	struct process_id from;
	uint32_t id, number;
	bool wants_answer;
};

struct bridge_own {
	struct bridge *bridge;
	struct process_id self;
	struct message_wait *wait;
	struct handler_provider *provider;
	struct own_asked *asked;
	uint32_t next_id;
	struct co_timer *later; /* after there was no memory to listen */
	bool listening, posted;
};

static const struct co_services *services_of(const struct bridge_own *own)
{
	return &own->bridge->daemon->services;
}

static struct message_call own_call(struct bridge_own *own)
{
	return (struct message_call){ .call = ++own->bridge->calls,
				      .slot = MESSAGE_DAEMON };
}

/* ---- answers to what was asked ---- */

static struct co_span until_nul(const uint8_t *data, size_t n)
{
	return (struct co_span){ (const char *) data, strnlen((const char *) data, n) };
}

static bool is_text(struct co_span text)
{
	size_t at = 0, length;

	for (; at < text.size; at += length)
		if (co_utf8_next(text.data + at, text.size - at, &length) == 0)
			return false; /* or a NUL */
	return true;
}

/* What came, as JSON: itself if it is some, a text, or bytes. */
static void write_value(struct co_buf *out, struct co_span bytes, const uint64_t *value)
{
	struct co_span text = until_nul((const uint8_t *) bytes.data, bytes.size), json;
	struct co_json_fault fault;
	bool rest = false; /* something behind the NUL that is not zero */

	for (size_t i = text.size; i < bytes.size; i++)
		rest = rest || bytes.data[i];
	if (!rest && !bytes.size && !value) {
		co_buf_text(out, "null");
		return;
	}
	if (!rest && text.size && !co_json_check(text, &json, &fault)) {
		co_buf_span(out, json);
		return;
	}
	co_buf_char(out, '{');
	if (value)
		co_buf_format(out, "\"value\":%" PRIu64 "%s", *value,
			      bytes.size ? "," : "");
	if (bytes.size && !rest && is_text(text)) {
		co_buf_text(out, "\"text\":");
		co_buf_json_text(out, text);
	} else if (bytes.size) {
		co_buf_text(out, "\"base64\":\"");
		co_base64(out, bytes);
		co_buf_char(out, '"');
	}
	co_buf_char(out, '}');
}

static void answered(struct bridge_own *own, const struct own_asked *asked,
		     const struct message_got *got)
{
	struct handler_result result = { .status = 200 };
	struct co_span bytes = { got->bytes ? got->bytes : "", got->size };
	autobuf struct co_buf out = { 0 };
	uint64_t value = 0;

	if (got->kind != MESSAGE_RESPONSE) {
		struct co_span reason =
			until_nul((const uint8_t *) bytes.data, bytes.size);

		result = (struct handler_result){ .status = 500,
						  .code = process_is_alive(&asked->to)
								  ? "HANDLER_FAILED"
								  : "HANDLER_CRASHED",
						  .message = reason };
		(void) handler_answer(own->provider, asked->task, &result);
		return;
	}
	if (asked->port && bytes.size >= sizeof(value)) {
		memcpy(&value, bytes.data, sizeof(value));
		bytes.data += sizeof(value);
		bytes.size -= sizeof(value);
	}
	write_value(&out, bytes, asked->port ? &value : NULL);
	if (!out.failed)
		result.result = (struct co_span){ out.data, out.size };
	(void) handler_answer(own->provider, asked->task, &result); /* or too late */
}

static void got_answer(struct bridge_own *own, const struct message_got *got)
{
	struct own_asked *asked;

	DL_FOREACH (own->asked, asked)
		if (asked->id == got->id && process_same(&asked->to, &got->from))
			break;
	if (!asked)
		return; /* it was given up */
	DL_DELETE(own->asked, asked);
	answered(own, asked, got);
	free(asked);
	handler_ready(own->provider);
}

/* ---- requests to our own services ---- */

static void served(struct own_served *s, const void *data, size_t n)
{
	struct bridge_own *own = s->own;
	struct message_party from = { .process = own->self, .pid = s->number };
	struct message_text text = { .kind = MESSAGE_RESPONSE,
				     .id = s->id,
				     .size = (uint32_t) n,
				     .data = data };
	struct message_call call = own_call(own);
	struct co_err err = { 0 };

	if (s->wants_answer && messages_reply(services_of(own)->messages, &from,
					      &s->from, &text, &call, &err))
		co_log(ipc, WARN, "process %d does not get its answer: %s", s->from.pid,
		       err.message);
	free(s);
}

static void refused(struct own_served *s, const char *code, const char *reason)
{
	autobuf struct co_buf out = { 0 };

	co_buf_text(&out, "{\"error\":{\"code\":");
	co_buf_json_text(&out, co_span(code));
	co_buf_text(&out, ",\"message\":");
	co_buf_json_text(&out, co_span(reason));
	co_buf_text(&out, "}}");
	served(s, out.failed ? "{}" : out.data, out.failed ? 2 : out.size);
}

static void http_done(void *arg, const struct outgoing_reply *reply)
{
	struct own_served *s = arg;

	if (reply->status && reply->body.size)
		served(s, reply->body.data, reply->body.size);
	else if (reply->status)
		served(s, "{}", 2);
	else
		refused(s, "UNAVAILABLE", reply->reason);
}

/* Every member of an object becomes a parameter. */
static void write_query(struct co_buf *target, struct co_span object)
{
	struct co_json_walk walk = co_json_walk(object);
	struct co_span name, value;

	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf key = { 0 }, plain = { 0 };

		if (co_json_unescape(name, &key))
			continue; /* no parameter is called so */
		if (co_json_unescape(value, &plain))
			co_buf_span(&plain, value); /* a number or the like */
		co_buf_char(target,
			    memchr(target->data, '?', target->size) ? '&' : '?');
		co_uri_encode(target, (struct co_span){ key.data, key.size });
		co_buf_char(target, '=');
		if (plain.size)
			co_uri_encode(target,
				      (struct co_span){ plain.data, plain.size });
	}
}

/* Method, target and body of what a request to one of ours means. */
static const char *translate(const struct own_service *service, struct co_span *body,
			     struct co_buf *target)
{
	struct co_json_fault fault;
	struct co_span object, value, plain;

	co_buf_text(target, service->path);
	if (co_json_check(*body, &object, &fault) ||
	    co_json_kind(object) != CO_JSON_OBJECT)
		return service->state ? "PUT" : "POST"; /* is told what is wrong */
	if (service->state && !co_json_member(object, "value", &value)) {
		*body = (struct co_span){ 0 };
		write_query(target, object);
		return co_json_member(object, "delete", &plain) &&
				       co_span_is(plain, "true")
			       ? "DELETE"
			       : "GET";
	}
	if (co_json_member(object, "service", &value)) {
		autobuf struct co_buf name = { 0 };

		if (!co_json_unescape(value, &name) && name.size) {
			co_buf_text(target, "?service=");
			co_uri_encode(target, (struct co_span){ name.data, name.size });
		}
	}
	return service->state ? "PUT" : "POST";
}

/* The name that a process has as a service, for those who are told who asks. */
struct named {
	const struct process_id *process;
	const char *name;
};

static void find_name(void *arg, const struct service_instance *instance)
{
	struct named *n = arg;

	if (n->name || !process_same(&instance->owner, n->process))
		return;
	n->name = instance->spec.name;
	for (const char *c = n->name; *c; c++)
		if (*c <= ' ' || *c > '~') { /* no header has such a name */
			n->name = NULL;
			return;
		}
}

static void request(struct own_served *s, const struct own_service *service,
		    struct co_span body)
{
	const struct co_outgoing *outgoing = services_of(s->own)->outgoing;
	struct named who = { .process = &s->from };
	struct outgoing_field fields[] = { { co_span("Content-Type"),
					     co_span("application/json") },
					   { co_span("X-Service-Name"), { 0 } } };
	char backend[CO_PATH_SIZE + 32];
	struct outgoing_request http = { .backend = backend,
					 .fields = fields,
					 .nfields = 1,
					 .answer_ms = SERVE_MS };
	autobuf struct co_buf target = { 0 };
	struct outgoing *ignored;
	struct co_err err = { 0 };

	(void) snprintf(backend, sizeof(backend), "unix:%s/http.sock",
			s->own->bridge->daemon->paths.run);
	registry_each(services_of(s->own)->registry, NULL, find_name, &who);
	if (who.name) {
		fields[1].value = co_span(who.name);
		http.nfields = 2;
	}
	http.method = translate(service, &body, &target);
	http.body = body;
	if (target.failed || !outgoing) {
		refused(s, "NO_MEMORY", "cloudosd has no memory left");
		return;
	}
	http.target = target.data;
	if (outgoing->begin(outgoing->ctx, &http, http_done, s, &ignored, &err))
		refused(s, "OVERLOADED", err.message);
}

static void got_request(struct bridge_own *own, const struct message_got *got)
{
	uint32_t index = got->addressed - BRIDGE_OWN_PID;
	struct own_served *s = calloc(1, sizeof(*s));
	struct co_span body = until_nul(got->bytes, got->bytes ? got->size : 0);

	if (!s) {
		co_log(ipc, ERROR, "no memory for a request of process %d",
		       got->from.pid);
		return; /* it is told when one of the two ends */
	}
	s->own = own;
	s->from = got->from;
	s->id = got->id;
	s->number = got->addressed;
	s->wants_answer = got->kind == MESSAGE_REQUEST;
	if (index < co_countof(own_services))
		request(s, &own_services[index], body);
	else
		refused(s, "NOT_FOUND",
			"cloudosd's own process receives no messages; discover event, "
			"job, log, metric, rpc or state and send them there");
}

/* ---- the box ---- */

static void listen_more(struct bridge_own *own);

static void take_one(struct bridge_own *own, const struct message_got *got)
{
	if (got->kind == MESSAGE_REQUEST || got->kind == MESSAGE_NOTIFICATION)
		got_request(own, got);
	else
		got_answer(own, got);
	free(got->bytes);
}

static void again(void *arg)
{
	struct bridge_own *own = arg;

	own->posted = false;
	listen_more(own);
}

static void soon(struct bridge_own *own)
{
	const struct co_host *host = own->bridge->daemon->host;

	if (own->posted)
		return;
	own->posted = true;
	host->post(host->ctx, again, own);
}

/* Runs inside what the sender does: no function of message.h here. */
struct later {
	struct bridge_own *own;
	struct message_got got;
};

static void take_later(void *arg)
{
	struct later *later = arg;

	take_one(later->own, &later->got);
	free(later);
}

static void got(void *arg, int status, const struct message_got *message,
		const char *reason)
{
	struct bridge_own *own = arg;
	const struct co_host *host = own->bridge->daemon->host;
	struct later *later = status ? NULL : malloc(sizeof(*later));

	(void) reason;
	own->wait = NULL;
	if (later) {
		*later = (struct later){ own, *message };
		host->post(host->ctx, take_later, later);
	} else if (!status) {
		free(message->bytes); /* the sender is told when one of the two ends */
	}
	soon(own);
}

static void listen_more(struct bridge_own *own)
{
	struct message_party party = { .process = own->self };
	struct message_room room = { .data = CO_LIMIT_MESSAGE_BYTES,
				     .pid = (uint32_t) own->self.pid };
	int r = 0;

	while (r == 0 && !own->wait) {
		struct message_call call = own_call(own);
		struct message_got one = { 0 };
		struct co_err err = { 0 };

		r = messages_receive(services_of(own)->messages, &party, &room, &call,
				     false, &one, &own->wait, got, own, &err);
		if (r == 0)
			take_one(own, &one);
		else if (r < 0)
			co_log(ipc, ERROR, "cloudosd receives no messages for now: %s",
			       err.message);
		if (r < 0)
			own->bridge->daemon->host->timer_start(own->later, AGAIN_MS);
	}
}

/* The first who needs it opens the box. */
static bool ready(struct bridge_own *own)
{
	if (own->listening)
		return true;
	if (process_read(getpid(), &own->self, NULL))
		return false;
	own->listening = true;
	listen_more(own);
	return true;
}

uint32_t bridge_find_own(struct bridge *b, const char *name)
{
	for (uint32_t i = 0; i < co_countof(own_services); i++)
		if (strcmp(own_services[i].name, name) == 0)
			return ready(b->own) ? BRIDGE_OWN_PID + i : 0;
	return 0;
}

bool bridge_is_own(uint32_t pid)
{
	return pid - BRIDGE_OWN_PID < co_countof(own_services);
}

const struct process_id *bridge_own_process(const struct bridge *b)
{
	return b->own->listening ? &b->own->self : NULL;
}

/* ---- as a provider: methods that are names ---- */

/* One of the registry that takes messages: it has said nothing but its name. */
static const struct service_instance *receiver(const struct bridge_own *own,
					       const char *name)
{
	const struct service_instance *found;

	if (service_name_check(name, NULL) ||
	    !registry_discover(services_of(own)->registry, name, &found, 1) ||
	    !found->owner.pid || found->health != HEALTH_HEALTHY ||
	    found->spec.endpoint[0] || found->spec.port)
		return NULL;
	return found;
}

static bool knows(void *ctx, const char *service, enum handler_subject subject,
		  struct co_span name)
{
	struct bridge_own *own = ctx;
	char text[CO_LIMIT_RPC_NAME + 1];

	(void) service;
	if (subject != HANDLER_METHOD || name.size >= sizeof(text) ||
	    memchr(name.data, '\0', name.size))
		return false;
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	return receiver(own, text) ||
	       bridge_find_port(own->bridge, 0, geteuid(), text) != 0;
}

/* ---- what there is ---- */

struct listing {
	struct bridge_own *own;
	void (*visit)(void *arg, const char *name);
	void *arg;
	unsigned left;
	const char *last; /* instances of one service are next to each other */
};

static void list_service(void *arg, const struct service_instance *instance)
{
	struct listing *l = arg;
	const char *name = instance->spec.name;

	if (!l->left || (l->last && strcmp(l->last, name) == 0) ||
	    !receiver(l->own, name))
		return;
	l->last = name;
	l->left--;
	l->visit(l->arg, name);
}

static void list_port(void *arg, struct ipc_port *port)
{
	struct listing *l = arg;
	const char *name;
	uint64_t session;

	if (port->owner->inside || !ipc_name_is_seen(port, 0, geteuid()))
		return;
	for (unsigned i = 0; (name = ipc_name_of(port, i, &session)) && l->left; i++)
		if (!session && port->number) {
			l->left--;
			l->visit(l->arg, name);
		}
}

static void list(void *ctx, void (*visit)(void *arg, const char *name), void *arg)
{
	struct bridge_own *own = ctx;
	struct listing l = { .own = own, .visit = visit, .arg = arg, .left = LISTED };

	registry_each(services_of(own)->registry, NULL, list_service, &l);
	ipc_each_port(peers_ipc(own->bridge->daemon->peers), list_port, &l);
}

/* Whom a method's name means.  0, or a status with a sentence. */
static int find(struct bridge_own *own, const char *name, struct message_party *to,
		struct co_err *err)
{
	const struct message_party from = { .uid = geteuid() };
	const struct service_instance *instance = receiver(own, name);
	int32_t pid;
	int r;

	if (instance) {
		to->process = instance->owner;
		to->pid = (uint32_t) instance->owner.pid;
	} else {
		to->pid = bridge_find_port(own->bridge, 0, geteuid(), name);
		if (!to->pid)
			return co_fail(err, CO_NOT_FOUND,
				       "nobody has the name \"%s\" any more", name);
		r = bridge_receiver(own->bridge, &from, to->pid, &pid, err);
		if (r)
			return r;
		r = process_read(pid, &to->process, err);
		if (r)
			return r;
	}
	if (process_user(to->process.pid, &to->uid))
		return co_fail(err, CO_GONE, "process %d has ended", to->process.pid);
	return 0;
}

static int send_request(struct bridge_own *own, const struct own_asked *asked,
			const struct message_party *to, struct co_span params,
			struct co_err *err)
{
	/* whoever cannot see the daemon's process has another number for it */
	struct message_party from = { .process = own->self,
				      .uid = geteuid(),
				      .pid = MESSAGE_UNNAMED };
	struct message_text text = { .kind = MESSAGE_REQUEST,
				     .id = asked->id,
				     .size = (uint32_t) params.size,
				     .data = params.data };
	struct message_call call = own_call(own);
	int r = 0;

	if (asked->port)
		r = bridge_admit(own->bridge, &from, to, text.size, err);
	return r ? r
		 : messages_send(services_of(own)->messages, &from, to, &text, &call,
				 err);
}

static int begin(void *ctx, const struct handler_task *task)
{
	struct bridge_own *own = ctx;
	struct own_asked *asked = calloc(1, sizeof(*asked));
	struct message_party to = { 0 };
	struct co_err err = { 0 };
	int r;

	if (!asked || !ready(own)) {
		free(asked);
		return CO_NO_MEMORY;
	}
	r = find(own, task->request->name.data, &to, &err); /* is terminated */
	asked->task = task->id;
	asked->id = ++own->next_id;
	asked->to = to.process;
	asked->port = bridge_is_port(to.pid);
	if (!r)
		r = send_request(own, asked, &to, task->request->params, &err);
	if (!r) {
		DL_APPEND(own->asked, asked);
		return 0;
	}
	free(asked);
	/* who waits for its turn is called when an answer has come */
	if (r == CO_BUSY && own->asked)
		return CO_BUSY;
	(void) handler_fail(own->provider, task->id, r == CO_TOO_BIG ? 413 : 503,
			    r == CO_TOO_BIG ? "TOO_LARGE" : "UNAVAILABLE", "%s",
			    err.message);
	return 0;
}

/* A message cannot be taken back; its answer will be nobody's. */
static void cancel(void *ctx, uint64_t id)
{
	struct bridge_own *own = ctx;
	struct own_asked *asked;

	DL_FOREACH (own->asked, asked)
		if (asked->task == id)
			break;
	if (!asked)
		return;
	DL_DELETE(own->asked, asked);
	free(asked);
	(void) handler_fail(own->provider, id, 500, "CANCELLED",
			    "the call was cancelled");
}

int bridge_own_new(struct bridge *b)
{
	static const struct handler_provider_ops ops = { .kind = HANDLER_PORT,
							 .begin = begin,
							 .cancel = cancel,
							 .knows = knows,
							 .list = list };
	struct handler_provider_spec spec = { .label = "a program with messages",
					      .ops = &ops };
	struct bridge_own *own = calloc(1, sizeof(*own));
	int r;

	if (!own)
		return CO_NO_MEMORY;
	own->bridge = b;
	own->later = b->daemon->host->timer_new(b->daemon->host->ctx, again, own);
	spec.ctx = own;
	r = !own->later ? CO_NO_MEMORY
			: handlers_provide(b->daemon->services.handlers, &spec,
					   &own->provider, NULL);
	if (r)
		free(own);
	else
		b->own = own;
	return r;
}
