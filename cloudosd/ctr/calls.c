/* SPDX-License-Identifier: MIT */
/* Calls of CloudOS inside a container: the listener's way to the daemon.  HOST. */
#include "cloudosd/ctr/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/calls_inside.h"
#include "cloudosd/ctr/program.h"
#include "cloudosd/ctr/seccomp.h"
#include "launch/channel.h"
#include "launch/classify.h"
#include "launch/numbers.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/engine.h"
#include "lib/json_scan.h"
#include "lib/paths.h"
#include "lib/rights.h"

enum {
	AGAIN_SOON_MS = 20,    /* the daemon's queue of connections is full */
	AGAIN_LATER_MS = 2000, /* nobody listens there */
	HELD_MS = 5000         /* a service's program waits no longer for the daemon */
};

enum state {
	WAITING, /* for the listener */
	LAZY,    /* for a call */
	WANTED,  /* a session; again after a while */
	ASKED,
	SERVED,
	ENDED, /* a service's: nobody calls any more, and its end is not told yet */
	OVER   /* or never begun, or refused */
};

struct ctr_calls {
	struct ctr_filter ask;     /* for the private numbers */
	struct ctr_filter profile; /* what the container may do at all */
	uint32_t personality;      /* as the daemon counts them */
	uint32_t container;        /* of the daemon's; 0: none of its */
	char socket[CO_PATH_SIZE], name[64], command[192];
	int pair[2]; /* ours, that of the program */
	enum state state;
	int64_t next_ms; /* WANTED: when it is asked for again */
	int32_t pid;
	int listener, control;
	struct channel channel; /* fd -1: none */
	struct calls_view view;
	char service[64]; /* "" */
	bool lazy, held;  /* held: the program, on pair[0] */
	int64_t held_until_ms;
	int spaces[2];               /* a service's user and network name space; -1 */
	struct calls_output *output; /* of a service that is logged; NULL */
	char why[512];
};

/* What the program sends beside its listener: it has one, or somebody around us has. */
enum { HAS_LISTENER = 'l', HAS_NOT = 'o', GO = 'g', SENT_MAX = 3 };

/* ---- before ---- */

/* A text of the member "cloudos"; false: it is not there, or too long. */
static bool text_of(const struct ctr_config *config, const char *name, char *out,
		    size_t n)
{
	autobuf struct co_buf b = { 0 };
	struct co_span ours, value;

	if (!co_json_member(config->json, "cloudos", &ours) ||
	    !co_json_member(ours, name, &value) || co_json_unescape(value, &b) ||
	    b.failed || !b.size || b.size >= n)
		return false;
	memcpy(out, b.data, b.size);
	out[b.size] = 0;
	return true;
}

static void command_line(const struct ctr_process_spec *p, char *out, size_t n)
{
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < p->args.count && used < n; i++) {
		int k = snprintf(out + used, n - used, "%s%s", i ? " " : "",
				 p->args.at[i]);

		used += k > 0 ? (size_t) k : 0;
	}
}

static uint32_t number_of(const struct ctr_config *config, const char *name)
{
	struct co_span ours, value;
	int64_t number;

	return co_json_member(config->json, "cloudos", &ours) &&
			       co_json_member(ours, name, &value) &&
			       co_json_whole(value, &number) && number > 0 &&
			       number <= UINT32_MAX
		       ? (uint32_t) number
		       : 0;
}

static bool is_false(const struct ctr_config *config, const char *name)
{
	struct co_span ours, value;

	return co_json_member(config->json, "cloudos", &ours) &&
	       co_json_member(ours, name, &value) && co_span_is(value, "false");
}

static int describe_service(struct ctr_calls *c, const struct ctr_calls_spec *spec,
			    struct co_err *err)
{
	if (!spec->serves || /* as what is run in it further does not */
	    !text_of(spec->config, "service", c->service, sizeof(c->service)))
		return 0;
	if (!is_false(spec->config, "serviceLogs")) {
		c->output = calloc(1, sizeof(*c->output));
		if (!c->output)
			return co_fail(err, CO_NO_MEMORY, "no memory for a service");
	}
	return 0;
}

static int describe(struct ctr_calls *c, const struct ctr_calls_spec *spec,
		    struct co_err *err)
{
	struct co_paths paths;

	c->container = number_of(spec->config, "container");
	if (!text_of(spec->config, "name", c->name, sizeof(c->name)))
		(void) snprintf(c->name, sizeof(c->name), "%s", spec->id);
	command_line(spec->process, c->command, sizeof(c->command));
	if (text_of(spec->config, "socket", c->socket, sizeof(c->socket)))
		return 0;
	if (co_paths_init(&paths, false, NULL, err))
		return err ? err->code : CO_INVALID;
	memcpy(c->socket, paths.socket, sizeof(c->socket)); /* of one size */
	return 0;
}

static int filters(struct ctr_calls *c, const struct ctr_config *config,
		   struct co_err *err)
{
	struct launch_numbers ranges[LAUNCH_NUMBERS_MAX];
	struct ctr_numbers numbers[LAUNCH_NUMBERS_MAX];
	size_t n = c->service[0]
			   ? launch_caught_binds("blackroad", ranges, &c->personality)
			   : launch_numbers("cloudos", ranges, &c->personality);
	int r;

	for (size_t i = 0; i < n; i++)
		numbers[i] = (struct ctr_numbers){ ranges[i].first, ranges[i].last };
	r = ctr_filter_private(&c->ask, numbers, n, SECCOMP_RET_USER_NOTIF, err);
	if (!r)
		r = ctr_filter_for(config, &c->profile, err);
	/* a default of ERRNO would outrank the question */
	if (!r && c->profile.program.len)
		r = ctr_filter_private(&c->profile, NULL, 0, SECCOMP_RET_ALLOW, err);
	if (!r && c->profile.notifies)
		r = co_fail(err, CO_INVALID,
			    "a container cannot have both an agent for system calls "
			    "(linux.seccomp.listenerPath) and calls of CloudOS "
			    "(cloudos.calls): the kernel allows one listener");
	/* without it a signal makes the kernel ask twice for one call */
	c->ask.flags =
		SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	return r;
}

int ctr_calls_new(const struct ctr_calls_spec *spec, struct ctr_calls **out,
		  struct co_err *err)
{
	struct ctr_calls *c = calloc(1, sizeof(*c));
	int on = 1, r;

	if (!c)
		return co_fail(err, CO_NO_MEMORY, "no memory for calls of CloudOS");
	c->pair[0] = c->pair[1] = c->listener = c->control = c->channel.fd = -1;
	c->spaces[0] = c->spaces[1] = -1;
	c->state = OVER;
	c->lazy = spec->lazy;
	r = describe_service(c, spec, err);
	if (!r)
		r = describe(c, spec, err);
	if (!r && spec->made)
		r = calls_view_add(&c->view, spec->made, c->socket, err);
	if (!r)
		r = filters(c, spec->config, err);
	if (!r &&
	    (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c->pair) < 0 ||
	     setsockopt(c->pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0))
		r = co_fail_errno(err, errno, "calls of CloudOS");
	if (r) {
		(void) ctr_calls_free(c);
		return r;
	}
	*out = c;
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd); /* nothing of ours is buffered in it */
	*fd = -1;
}

static void channel_end(struct ctr_calls *c)
{
	close_one(&c->channel.fd);
	channel_done(&c->channel);
}

struct ctr_calls *ctr_calls_free(struct ctr_calls *c)
{
	if (!c)
		return NULL;
	channel_end(c);
	close_one(&c->control);
	close_one(&c->listener);
	close_one(&c->pair[0]);
	close_one(&c->pair[1]);
	close_one(&c->spaces[0]);
	close_one(&c->spaces[1]);
	free(c->output);
	ctr_filter_done(&c->ask);
	ctr_filter_done(&c->profile);
	calls_view_drop(&c->view);
	free(c);
	return NULL;
}

int ctr_calls_keep(const struct ctr_calls *c)
{
	return c->pair[1];
}

/* ---- inside ---- */

/* The listener, and of a service the way to its network. */
static int hand_over(const struct ctr_calls *c, int listener)
{
	const char what = listener >= 0 ? HAS_LISTENER : HAS_NOT;
	int fds[SENT_MAX] = { listener, -1, -1 };
	size_t n = listener >= 0;
	ssize_t sent;

	if (n && c->service[0]) {
		fds[1] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
		fds[2] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		n = fds[1] >= 0 && fds[2] >= 0 ? SENT_MAX : 1;
	}
	sent = co_rights_send(c->pair[1], &what, 1, fds, n);
	close_one(&fds[1]);
	close_one(&fds[2]);
	return sent == 1 ? 0 : -1;
}

/* Until its addresses are there; without a daemon it has none, and goes on. */
static void await_session(const struct ctr_calls *c)
{
	struct pollfd p = { .fd = c->pair[1], .events = POLLIN };

	while (c->service[0] && poll(&p, 1, HELD_MS) < 0 && errno == EINTR)
		continue;
}

int ctr_calls_become(void *arg, const struct ctr_process_spec *p, struct co_err *err)
{
	struct ctr_calls *c = arg;
	struct classified file;
	char path[CO_PATH_SIZE];
	int listener = -1, other = -1, r;

	r = ctr_find_program(p, path, sizeof(path), err);
	if (!r)
		r = classify_file(path, &file, err);
	if (r)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return co_fail_errno(err, errno, "cannot renounce new privileges");
	r = ctr_filter_install(&c->ask, &listener, err);
	if (r && r != CO_BUSY)
		return r;
	/* one that is around us answers them, or nobody does; either way it is no error */
	if (hand_over(c, listener))
		return co_fail_errno(err, errno, "cannot hand the listener over");
	close_one(&listener);
	await_session(c);
	close_one(&c->pair[1]);
	r = ctr_filter_install(&c->profile, &other, err);
	if (r)
		return r;
	return strcmp(file.personality, "anos") ? ctr_program_execute(path, p, err)
						: calls_become_other(path, p, err);
}

/* ---- outside: the listener ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void ctr_calls_begin(struct ctr_calls *c, pid_t pid)
{
	close_one(&c->pair[1]);
	c->pid = pid;
	c->state = WAITING;
	c->held = c->service[0];
	c->held_until_ms = now_ms() + HELD_MS;
	ctr_calls_run(c);
}

/* The program goes on, whatever has become of the session. */
static void release(struct ctr_calls *c)
{
	char go = GO;

	if (c->held && c->pair[0] >= 0)
		(void) send(c->pair[0], &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->held = false;
	close_one(&c->pair[0]);
}

bool ctr_calls_are_of_service(const struct ctr_calls *c)
{
	return c->service[0];
}

bool ctr_calls_waits(const struct ctr_calls *c)
{
	return c->held && now_ms() < c->held_until_ms;
}

static void over(struct ctr_calls *c, const char *why)
{
	(void) snprintf(c->why, sizeof(c->why), "%s", why);
	c->state = OVER;
	channel_end(c);
	close_one(&c->control);
	close_one(&c->listener);
	release(c);
}

static void want(struct ctr_calls *c, int wait_ms)
{
	close_one(&c->control);
	c->state = WANTED;
	c->next_ms = now_ms() + wait_ms;
}

static void receive_listener(struct ctr_calls *c)
{
	char what = 0;
	struct iovec iov = { &what, 1 };
	union co_rights_room room;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &room,
			      .msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(c->pair[0], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1) {
		int fds[SENT_MAX] = { -1, -1, -1 };

		close_one(&c->listener);
		/* the process is the one that will be the program, not its init */
		(void) co_rights_take(&msg, fds, SENT_MAX, &c->pid);
		c->listener = fds[0];
		memcpy(c->spaces, fds + 1, sizeof(c->spaces));
	}
	if (n != 1)
		over(c, "the program ended before it began");
	else if (c->listener < 0)
		over(c, "calls of CloudOS are answered by what is around this "
			"container: the kernel allows one listener");
	else if (c->lazy)
		c->state = LAZY;
	else
		want(c, 0);
	if (!c->held)
		close_one(&c->pair[0]);
}

/* ---- outside: the session ---- */

/* The socket's address; a long name goes by its folder's descriptor, which is kept in
 * *out_folder until the connection stands. */
static int address(const struct ctr_calls *c, struct sockaddr_un *out, int *out_folder,
		   struct co_err *err)
{
	const char *slash = strrchr(c->socket, '/');
	char folder[CO_PATH_SIZE];
	int n;

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(c->socket) < sizeof(out->sun_path)) {
		memcpy(out->sun_path, c->socket, strlen(c->socket));
		return 0;
	}
	(void) snprintf(folder, sizeof(folder), "%.*s",
			slash ? (int) (slash - c->socket) : 0, c->socket);
	*out_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*out_folder < 0)
		return co_fail_errno(err, errno, "no daemon answers in %s", folder);
	n = snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s",
		     *out_folder, slash + 1);
	return n > 0 && (size_t) n < sizeof(out->sun_path)
		       ? 0
		       : co_fail(err, CO_NAME_TOO_LONG,
				 "the daemon's socket has too long a name: %s",
				 c->socket);
}

/* A connection that does not wait; CO_BUSY, or what co_fail says. */
static int control_connect(struct ctr_calls *c, struct co_err *err)
{
	struct sockaddr_un to;
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	autoclose int folder = -1;
	int r = address(c, &to, &folder, err);

	if (r)
		return r;
	c->control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->control < 0)
		return co_fail_errno(err, errno, "no connection to the daemon");
	if (connect(c->control, (struct sockaddr *) &to, sizeof(to)) < 0)
		return errno == EAGAIN
			       ? CO_BUSY
			       : co_fail_errno(
					 err, errno,
					 "no daemon answers for the calls of this "
					 "container at %s",
					 c->socket);
	if (getsockopt(c->control, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid && peer.uid != geteuid()))
		return co_fail(err, CO_ACCESS, "%s is of user %u", c->socket, peer.uid);
	return 0;
}

static int say_hello(struct ctr_calls *c)
{
	struct co_msg *out = c->channel.out;
	struct wire_hello_req *req = co_msg_start(out, WIRE_hello_req, 1);

	req->version_min = CO_WIRE_VERSION_MIN;
	req->version_max = CO_WIRE_VERSION;
	co_msg_text(out, &req->program, "cloudos-ctr");
	return co_msg_send(out, c->control, NULL, 0);
}

static int ask_session(struct ctr_calls *c, int link)
{
	struct co_msg *out = c->channel.out;
	struct wire_attach_req *req = co_msg_start(out, WIRE_attach_req, 2);
	int fds[4] = { link, c->listener, c->spaces[0], c->spaces[1] };

	req->engine = CO_ENGINE_NOTIFY;
	req->personality = c->personality;
	req->pid = c->pid;
	req->launcher_pid = getpid();
	req->container = c->container;
	co_msg_text(out, &req->name, c->name);
	co_msg_text(out, &req->command, c->command);
	co_msg_text(out, &req->service, c->service);
	return co_msg_send(out, c->control, fds, c->spaces[1] >= 0 ? 4 : 2);
}

/* Everything that is to be said, in one go; the answers are heard later. */
static void ask(struct ctr_calls *c)
{
	struct co_err err = { 0 };
	int link[2], r;

	channel_end(c);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0) {
		want(c, AGAIN_LATER_MS);
		return;
	}
	r = channel_init(&c->channel, link[0], -1);
	if (!r)
		r = control_connect(c, &err);
	if (!r)
		r = say_hello(c);
	if (!r)
		r = ask_session(c, link[1]);
	(void) close(link[1]); /* the daemon has it */
	if (r) {
		(void) snprintf(c->why, sizeof(c->why), "%s", err.message);
		channel_end(c);
		want(c, r == CO_BUSY ? AGAIN_SOON_MS : AGAIN_LATER_MS);
		return;
	}
	c->state = ASKED;
}

/* The connection is gone without an answer: did the daemon, or its keeper, take it up? */
static void unanswered(struct ctr_calls *c)
{
	struct pollfd p = { .fd = c->channel.fd, .events = POLLIN };

	close_one(&c->control);
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
		want(c, AGAIN_SOON_MS);
	else
		c->state = SERVED;
}

static void hear(struct ctr_calls *c)
{
	struct co_msg *in = c->channel.in;
	const struct wire_hello_rep *rep = (const void *) in->bytes; /* all begin so */
	int r = co_msg_receive(in, c->control, NULL);

	if (r == CO_BUSY || r == CO_INTERRUPTED)
		return;
	if (r) {
		unanswered(c);
	} else if (in->header->type != WIRE_hello_rep &&
		   in->header->type != WIRE_attach_rep) {
		over(c, "the daemon answered something else");
	} else if (rep->r.status == CO_TABLE_FULL || rep->r.status == CO_GONE) {
		(void) snprintf(c->why, sizeof(c->why), "%s",
				co_msg_get(in, rep->r.reason));
		want(c, AGAIN_LATER_MS);
	} else if (rep->r.status) {
		over(c, co_msg_get(in, rep->r.reason));
	} else if (in->header->type == WIRE_attach_rep) {
		close_one(&c->control);
		c->state = SERVED;
		c->why[0] = 0;
		release(c);
	}
}

static void serve(struct ctr_calls *c)
{
	if (!channel_serve(&c->channel))
		return;
	if (c->channel.ended && c->service[0]) {
		c->state = ENDED; /* the daemon waits for how */
		return;
	}
	if (c->channel.ended) {
		over(c, "the program and all its children have ended");
		return;
	}
	(void) snprintf(c->why, sizeof(c->why), "the daemon and its keeper are gone");
	want(c, AGAIN_LATER_MS);
}

/* Has somebody called, or is nobody left who could? */
static void look_for_call(struct ctr_calls *c)
{
	struct pollfd p = { .fd = c->listener, .events = POLLIN };

	if (poll(&p, 1, 0) <= 0)
		return;
	if (p.revents & POLLIN)
		want(c, 0);
	else
		over(c, "the program and all its children have ended");
}

void ctr_calls_run(struct ctr_calls *c)
{
	if (c->state == WAITING)
		receive_listener(c);
	else if (c->state == LAZY)
		look_for_call(c);
	else if (c->state == ASKED)
		hear(c);
	else if (c->state == SERVED)
		serve(c);
	if (c->state == WANTED && now_ms() >= c->next_ms)
		ask(c);
}

/* ---- of a service ---- */

static struct calls_channel service_channel(const struct ctr_calls *c)
{
	bool there = c->service[0] && (c->state == SERVED || c->state == ENDED);

	return (struct calls_channel){ there ? c->channel.fd : -1, c->channel.out };
}

void ctr_calls_output(struct ctr_calls *c, unsigned stream, struct co_span bytes)
{
	struct calls_channel to = service_channel(c);

	if (c->output)
		calls_output_add(c->output, stream, &to, bytes);
}

void ctr_calls_ended(struct ctr_calls *c, int status)
{
	static struct calls_output nothing;
	struct calls_channel to = service_channel(c);

	if (c->service[0])
		calls_output_end(c->output ? c->output : &nothing, &to, status);
}

/* ---- the caller's loop ---- */

size_t ctr_calls_poll(const struct ctr_calls *c, struct pollfd out[CTR_CALLS_FDS])
{
	size_t n = 0;

	if (c->state == WAITING)
		out[n++] = (struct pollfd){ .fd = c->pair[0], .events = POLLIN };
	if (c->state == LAZY)
		out[n++] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
	if (c->state == ASKED)
		out[n++] = (struct pollfd){ .fd = c->control, .events = POLLIN };
	if (c->state == SERVED)
		out[n++] = (struct pollfd){ .fd = c->channel.fd, .events = POLLIN };
	return n;
}

int ctr_calls_timeout(const struct ctr_calls *c)
{
	int64_t left = c->next_ms - now_ms();

	return c->state != WANTED ? -1 : left > 0 ? (int) left : 0;
}

void ctr_calls_again(struct ctr_calls *c)
{
	if (c->state == WANTED)
		ask(c);
}

bool ctr_calls_served(const struct ctr_calls *c, const char **out_why)
{
	*out_why = c->why;
	return c->state == SERVED;
}
