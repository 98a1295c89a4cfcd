/* SPDX-License-Identifier: MIT */
/* Requests about running programs.  HOST. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/housed.h"
#include "cloudosd/leftover.h"
#include "cloudosd/member.h"
#include "cloudosd/request.h"
#include "cloudosd/service/process.h"
#include "lib/log.h"

/* Is that what the kernel notifies by?  Whatever else could be made to say anything. */
static bool is_listener(int fd)
{
	char path[32], link[64];
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	return strcmp(link, "anon_inode:seccomp notify") == 0;
}

/*
 * Who calls, and whose memory is meant, says the kernel under notify and for each message
 * under trap.  Under ptrace the launcher says it, and could name any process of the machine:
 * that is believed only of launchers that could do it all themselves.
 */
static int contained_engine(struct client *client, const struct session_spec *spec,
			    struct co_err *err)
{
	if (spec->engine == CO_ENGINE_PTRACE)
		return co_fail(err, CO_ACCESS,
			       "engine ptrace is not for programs that begin in a "
			       "container; leave out --engine, or use notify or trap");
	if (spec->engine == CO_ENGINE_NOTIFY &&
	    !is_listener(control_in(client->control)->fds[1]))
		return co_fail(err, CO_INVALID,
			       "attach came without the listener of a filter");
	return 0;
}

/* A pid of a contained client is one of its own name space; and its programs are no
 * services that were configured outside. */
static int contained(struct client *client, struct session_spec *spec,
		     struct co_err *err)
{
	struct session *s, *next;
	unsigned n = 0;
	int32_t pid;

	if (!client->contained)
		return 0;
	spec->container = 0; /* whatever it says */
	HASH_ITER (hh, client->daemon->sessions, s, next) {
		const struct table_session *row = session_row(s);

		n += row->contained;
		if (!spec->container && row->container && !row->contained &&
		    same_pids(client->pid, row->pid))
			spec->container = row->container;
	}
	if (n >= CO_LIMIT_CONTAINED_SESSIONS)
		return co_fail(err, CO_TABLE_FULL,
			       "%d programs that were begun in containers run already, "
			       "which is the limit",
			       CO_LIMIT_CONTAINED_SESSIONS);
	if (spec->service[0])
		return co_fail(err, CO_ACCESS,
			       "a program in a container cannot become the service %s; "
			       "make the container with --service",
			       spec->service);
	if (process_pid_from(client->pid, spec->pid, &pid))
		return co_fail(err, CO_NOT_FOUND,
			       "there is no process %d where this program runs",
			       spec->pid);
	spec->pid = pid;
	spec->contained = true;
	return contained_engine(client, spec, err);
}

void request_attach(struct client *client)
{
	struct co_msg *in = control_in(client->control);
	const struct wire_attach_req *req = (const void *) in->bytes;
	uint64_t tag = req->h.tag;
	struct session_spec spec = { .engine = (enum co_engine) req->engine,
				     .personality = req->personality,
				     .trace = req->trace,
				     .pid = req->pid,
				     .launcher_pid = client->pid,
				     .container = req->container,
				     .name = request_text(client, req->name),
				     .command = request_text(client, req->command),
				     .service = request_text(client, req->service) };
	struct wire_attach_rep *rep;
	struct session *s;
	struct co_err err = { 0 };
	bool notify = spec.engine == CO_ENGINE_NOTIFY;
	bool housed = notify && spec.service[0] && !client->contained;

	if (client->daemon->stopping) {
		client_reply(client, WIRE_attach_rep, tag, CO_GONE,
			     "the daemon is stopping; try again");
		return;
	}
	if ((!notify && spec.engine != CO_ENGINE_PTRACE &&
	     spec.engine != CO_ENGINE_TRAP) ||
	    (in->nfds != (notify ? 2U : 1U) && !(housed && in->nfds == 4U))) {
		client_reply(client, WIRE_attach_rep, tag, CO_INVALID,
			     "attach needs an engine and its descriptors");
		return;
	}
	if (contained(client, &spec, &err)) {
		client_reply(client, WIRE_attach_rep, tag, err.code, err.message);
		return;
	}
	if (housed && in->nfds == 4U && !housed_room(client->daemon)) {
		client_reply(client, WIRE_attach_rep, tag, CO_TABLE_FULL,
			     "too many containers are services already");
		return;
	}
	spec.link_fd = co_msg_take_fd(in, 0);
	spec.listener = co_msg_take_fd(in, 1);
	spec.user_ns = co_msg_take_fd(in, 2);
	spec.net_ns = co_msg_take_fd(in, 3);
	if (session_attach(client->daemon, &spec, &s, &err)) {
		client_reply(client, WIRE_attach_rep, tag, err.code, err.message);
		return;
	}
	rep = co_msg_reply(control_out(client->control), WIRE_attach_rep, tag, 0, NULL);
	rep->session = s->id;
	rep->launcher_copies = atomic_load(&s->launcher_copies);
	client_send(client);
}

void request_join(struct client *client)
{
	const struct co_msg *in = control_in(client->control);
	const struct wire_join_req *req = (const void *) in->bytes;
	uint64_t tag = req->h.tag;
	struct session *s = NULL;
	struct co_err err = { 0 };
	int r, fd;

	/* whoever made the connection must be who uses it, and visible from here */
	r = in->sender <= 0 || in->sender != client->pid
		    ? co_fail(&err, CO_ACCESS,
			      "the connection is not that of the process that joins")
	    : !client_may_join(client, req->session)
		    ? co_fail(&err, CO_ACCESS,
			      "session %llu did not begin in this container",
			      (unsigned long long) req->session)
		    : member_session(client->daemon, req, client->pid, &s, &err);
	if (client->daemon->stopping)
		r = co_fail(&err, CO_GONE, "the daemon is stopping; try again");
	client_reply(client, WIRE_join_rep, tag, r, err.message);
	fd = r ? -1 : client_take_fd(client);
	if (fd >= 0 && member_new(s, fd, client->pid, &err))
		co_log_session(session, WARN, s->id, client->pid, "%s", err.message);
}

static void session_row_send(struct client *client, uint64_t tag,
			     const struct session *s)
{
	struct daemon *d = client->daemon;
	struct co_msg *out = control_out(client->control);
	struct wire_session_row *row = co_msg_start(out, WIRE_session_row, tag);
	const struct table_session *t = session_row(s);

	row->id = s->id;
	co_msg_text(out, &row->name, t->name);
	row->pid = t->pid;
	row->launcher_pid = t->launcher_pid;
	co_msg_text(out, &row->personality, s->personality->name);
	co_msg_text(out, &row->engine, co_engine_name(s->engine));
	row->calls = atomic_load(&s->calls);
	row->failed = atomic_load(&s->failed);
	row->age_ms = (d->host->wall_ns(d->host->ctx) - t->started_ns) / 1000000;
	co_msg_text(out, &row->command, t->command);
	co_msg_text(out, &row->container, session_container(s));
	client_send(client);
}

static void session_list(void *arg)
{
	struct later *l = arg;
	struct client *client = control_client(l->control, l->client);
	struct session *s, *next;

	if (client) {
		HASH_ITER (hh, client->daemon->sessions, s, next)
			session_row_send(client, l->tag, s);
		client_reply(client, l->type, l->tag, 0, NULL);
	}
	later_free(l);
}

void request_session_list(struct client *client)
{
	struct later *l = later_new(client, WIRE_session_list_rep);

	if (!l)
		return;
	/* neither one that is over nor without one whose launcher only is gone */
	members_look(client->daemon);
	leftover_when_known(client->daemon, session_list, l);
}

void request_session_kill(struct client *client)
{
	const struct wire_session_kill_req *req =
		(const void *) control_in(client->control)->bytes;
	uint64_t tag = req->h.tag;
	int signal = req->signal;
	struct session *s = request_session(client, WIRE_session_kill_rep, req->session,
					    request_text(client, req->name));

	if (!s)
		return;
	if (signal <= 0 || signal > SIGRTMAX) {
		client_reply(client, WIRE_session_kill_rep, tag, CO_INVALID,
			     "there is no such signal");
		return;
	}
	if (s->pidfd < 0 ||
	    syscall(SYS_pidfd_send_signal, s->pidfd, signal, NULL, 0) < 0) {
		client_reply(
			client, WIRE_session_kill_rep, tag, CO_GONE,
			"its first process has ended; only its children still run");
		return;
	}
	client_reply(client, WIRE_session_kill_rep, tag, 0, NULL);
}

void request_trace(struct client *client)
{
	const struct wire_trace_req *req =
		(const void *) control_in(client->control)->bytes;
	struct session *s;

	if (request_streaming(client, WIRE_trace_rep))
		return;
	s = request_session(client, WIRE_trace_rep, req->session,
			    request_text(client, req->name));
	if (!s)
		return;
	client->stream_tag = req->h.tag;
	client->traced = s->id;
	atomic_fetch_add(&s->tracers, 1);
}
