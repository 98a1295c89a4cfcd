/* SPDX-License-Identifier: MIT */
/*
 * Running the program.  HOST.
 *
 * The guest is a child of this process and in its process group, so that the terminal, the
 * shell's job control and `kill` treat both as one job.  This process does nothing on
 * signals of the terminal, which the guest gets too, hands on those that were sent to it
 * alone, stops when the guest is stopped and dies as the guest died.
 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/confine.h"
#include "cli/filter.h"
#include "cli/prefetch.h"
#include "cli/ptrace.h"
#include "cli/service.h"
#include "cli/system.h"
#include "launch/channel.h"
#include "lib/cleanup.h"
#include "lib/rights.h"

enum { LINE_MS = 500 }; /* so long a line may be without its end */

static const int forwarded[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
static const int of_terminal[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

struct running {
	const struct launch *l;
	pid_t pid;      /* our child: the program, or under --confine its init */
	pid_t program;  /* as it is called here */
	int program_fd; /* its pidfd, under --confine; -1 */
	int signals;
	struct channel channel;
	struct relay *relay; /* of a service that is logged; NULL */
	bool channel_gone;
	bool subreaper; /* orphans of the program come to us */
	int status;
};

/* ---- the child ---- */

/* What the child tells us: its listener, or why not; then why exec failed, if it did. */
enum { STEP_FILTER, STEP_EXEC, STEP_LOADER, STEP_CONFINE };
struct told {
	int errnum;
	int step;
};

static void tell(int fd, int step, int errnum, int listener)
{
	struct told told = { errnum, step };

	if (co_rights_send(fd, &told, sizeof(told), &listener, listener > 0) < 0)
		_exit(EXIT_LAUNCHER); /* the launcher is gone: nobody is left to run for */
}

/* The words of the program with n free places before them; NULL without memory. */
static char **words_behind(const struct launch *l, size_t n)
{
	size_t count = 0;
	char **argv;

	while (l->argv[count])
		count++;
	argv = calloc(n + count + 2, sizeof(*argv));
	if (!argv)
		return NULL;
	if (!l->script) {
		memcpy(argv + n, l->argv, count * sizeof(*argv));
		return argv;
	}
	/* a file without a first line that says more, as execvp runs it */
	argv[n] = (char *) "/bin/sh";
	argv[n + 1] = (char *) l->path;
	memcpy(argv + n + 2, l->argv + 1, (count - 1) * sizeof(*argv));
	return argv;
}

/* Is the program run by a cloudos-exec in its name spaces, and none of our business? */
static bool inside(const struct launch *l)
{
	return l->confine && l->engine == CO_ENGINE_TRAP;
}

/* Becomes the program.  Returns errno. */
static int become(const struct launch *l)
{
	extern char **environ;
	char **argv = words_behind(l, 0);
	int errnum;

	if (!argv)
		return ENOMEM;
	(void) execve(l->script ? argv[0] : l->path, argv, environ);
	errnum = errno;
	free(argv);
	return errnum;
}

/* Becomes the loader, which then becomes the program.  Returns errno. */
static int become_loader(const struct launch *l, uint64_t session)
{
	extern char **environ;
	struct trap_words config_words = { .personality = l->personality_index,
					   .session = session,
					   .program =
						   l->system ? l->system->program : -1,
					   .folder = l->client->folder };
	char config[CO_TRAP_CONFIG_MAX], start[16];
	char **argv = words_behind(l, l->system ? 3 : 2);
	int errnum = 0;

	if (!argv)
		return ENOMEM;
	if (l->system) {
		errnum = system_inherit(l->system, start, sizeof(start));
		argv[2] = start;
	}
	if (!errnum)
		errnum = trap_config(&l->trap, &config_words, config, sizeof(config));
	if (!errnum) {
		argv[0] = config;
		argv[1] = l->script ? argv[2] : (char *) l->path;
		(void) execve(l->trap.loader, argv, environ);
		errnum = errno;
	}
	free(argv);
	return errnum;
}

struct signal_state { /* as the caller of cloudos-exec left it for the program */
	sigset_t mask;
	struct sigaction child;
};

static void child(const struct launch *l, const struct filter *filter, int fd,
		  const struct signal_state *signals)
{
	int listener = 0;
	uint64_t session;

	if (l->service && !l->confine)
		service_enter(l->service);
	if (l->engine == CO_ENGINE_PTRACE)
		(void) prctl(PR_SET_PTRACER,
			     PR_SET_PTRACER_ANY); /* until it is traced */
	if (filter->program.filter) {
		listener = filter_install(filter, l->engine);
		if (listener < 0) {
			tell(fd, STEP_FILTER, -listener, 0);
			_exit(EXIT_LAUNCHER);
		}
	}
	tell(fd, STEP_FILTER, 0, listener);
	if (listener > 0)
		(void) close(listener);
	if (read(fd, &session, sizeof(session)) != sizeof(session))
		_exit(EXIT_LAUNCHER); /* refused, and the launcher has said why */
	(void) sigaction(SIGCHLD, &signals->child, NULL);
	(void) sigprocmask(SIG_SETMASK, &signals->mask, NULL);
	if (l->confine) {
		int errnum = confine_seal(l->confine);

		if (errnum) {
			tell(fd, STEP_CONFINE, errnum, 0);
			_exit(EXIT_LAUNCHER);
		}
	}
	if (inside(l))
		tell(fd, STEP_EXEC, confine_become(l->confine, l->path, l->argv), 0);
	else if (l->engine == CO_ENGINE_TRAP)
		tell(fd, STEP_LOADER, become_loader(l, session), 0);
	else
		tell(fd, STEP_EXEC, become(l), 0);
	_exit(EXIT_LAUNCHER);
}

struct child {
	const struct launch *l;
	const struct filter *filter;
	const struct signal_state *signals;
	int fd;
};

/* The same in the name spaces of --confine. */
static int confined_child(void *arg, const struct ctr_process_spec *p,
			  struct co_err *err)
{
	const struct child *c = arg;

	(void) p;
	(void) err;
	(void) fcntl(c->fd, F_SETFD, FD_CLOEXEC);
	/* the engine of containers has hidden it; there is nobody in here yet, and the daemon
	 * and the tracer have to see it */
	(void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	child(c->l, c->filter, c->fd, c->signals);
	return 0; /* it does not come back */
}

/* 0: it runs (or there is nothing more to hear); -1: the connection ended. */
static int hear(int fd, struct told *out, int *out_listener, pid_t *out_sender)
{
	struct iovec iov = { out, sizeof(*out) };
	union co_rights_room room;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &room,
			      .msg_controllen = sizeof(room) };
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*out))
		return -1;
	(void) co_rights_take(&msg, out_listener, 1, out_sender);
	return 0;
}

static int loader_failed(const struct launch *l, int errnum)
{
	(void) fprintf(stderr,
		       "cloudos-exec: cannot start the loader of engine trap, %s: %s\n",
		       l->trap.loader, strerror(errnum));
	return EXIT_LAUNCHER;
}

static int confine_failed(int errnum)
{
	(void) fprintf(
		stderr,
		"cloudos-exec: the program cannot be confined: the kernel refuses "
		"Landlock or the filter of system calls: %s\n",
		strerror(errnum));
	return EXIT_LAUNCHER;
}

static int exec_failed(const struct launch *l, int errnum)
{
	const char *hint = "";

	if (errnum == ENOENT)
		hint = " (its interpreter, named in its first line or its ELF header, is "
		       "missing)";
	(void) fprintf(stderr, "cloudos-exec: cannot run %s: %s%s\n", l->path,
		       strerror(errnum), hint);
	return EXIT_NOT_EXECUTABLE;
}

/* ---- attaching ---- */

static void command_line(const struct launch *l, char *out, size_t n)
{
	size_t used = 0;

	out[0] = 0;
	for (char **a = l->argv; *a && used < n; a++) {
		int k = snprintf(out + used, n - used, "%s%s", a == l->argv ? "" : " ",
				 *a);

		used += k > 0 ? (size_t) k : 0;
	}
}

static int attach(const struct launch *l, pid_t pid, int link, int listener,
		  struct co_err *err)
{
	struct wire_attach_req *req = co_client_request(l->client, WIRE_attach_req);
	char command[160];
	int fds[2] = { link, listener };

	req->engine = (uint32_t) l->engine;
	req->personality = l->personality_index;
	req->trace = l->trace_fd >= 0;
	req->pid = pid;
	req->launcher_pid = getpid();
	co_msg_text(l->client->out, &req->name, l->name);
	command_line(l, command, sizeof(command));
	co_msg_text(l->client->out, &req->command, command);
	co_msg_text(l->client->out, &req->service, l->service ? l->service->name : "");
	return co_client_call(l->client, fds, listener >= 0 ? 2 : 1, err);
}

/*
 * Where the daemon may not read the guest, this process copies for it, and the kernel lets
 * only an ancestor do that: so whatever the program leaves behind must not move away from
 * below us.  A tracer may read its tracees without that.
 */
static bool keep_orphans(const struct launch *l)
{
	const struct wire_attach_rep *rep = (const void *) l->client->in->bytes;

	return l->engine == CO_ENGINE_NOTIFY && rep->launcher_copies &&
	       prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

/* ---- waiting ---- */

static void stop_as(struct running *r, int number)
{
	(void) number;
	/* The shell must see this job stopped.  SIGSTOP, because those of the terminal are
	 * ignored here; when it goes on, so does the guest, whoever sent SIGCONT. */
	(void) raise(SIGSTOP);
	(void) kill(r->pid, SIGCONT);
}

static bool reap(struct running *r)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(r->subreaper ? -1 : r->pid, &status,
				    WNOHANG | WUNTRACED);

		if (pid <= 0)
			return false;
		if (r->l->system && !WIFSTOPPED(status))
			system_gone(r->l->system, pid);
		if (pid != r->pid)
			continue; /* an orphan; only its entry had to go */
		if (WIFSTOPPED(status)) {
			stop_as(r, WSTOPSIG(status));
			continue;
		}
		r->status = status;
		return true;
	}
}

/* Ctrl-C is for the whole job, which is a session of its own when it is confined. */
static void interrupt(const struct running *r, int number)
{
	struct pollfd ended = { .fd = r->program_fd, .events = POLLIN };

	if (r->program_fd < 0 || poll(&ended, 1, 0) == 0)
		(void) kill(-r->program, number);
}

static void forward(struct running *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH) {
			if (r->relay)
				relay_resize(r->relay);
			continue;
		}
		/* the kernel sent it to the whole job: the guest has it already; if it is
		 * confined, it is of another session and has not */
		if (info.ssi_signo == SIGCHLD ||
		    (info.ssi_code == SI_KERNEL && !r->l->confine))
			continue;
		if (info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT)
			interrupt(r, (int) info.ssi_signo);
		else
			(void) kill(r->pid, (int) info.ssi_signo);
	}
}

/* What the daemon has to say; also that there is none any more. */
static void serve_channel(struct running *r)
{
	if (r->channel_gone || !channel_serve(&r->channel))
		return;
	r->channel_gone = true;
	if (!r->channel.ended)
		(void) fprintf(
			stderr,
			"cloudos-exec: the daemon and its keeper are gone; CloudOS "
			"calls of %s fail from here on\n",
			r->l->path);
}

static void wait_for(struct running *r)
{
	for (;;) {
		struct pollfd p[2 + RELAY_STREAMS] = {
			{ .fd = r->signals, .events = POLLIN },
			{ .fd = r->channel_gone ? -1 : r->channel.fd, .events = POLLIN }
		};
		size_t n = 2 + (r->relay ? relay_wants(r->relay, p + 2) : 0);
		bool unsent = r->relay && relay_unsent(r->relay);
		int ready;

		if (reap(r)) {
			serve_channel(r); /* the last lines of the trace */
			return;
		}
		ready = poll(p, n, unsent ? LINE_MS : -1);
		if (ready == 0)
			relay_flush(r->relay);
		if (ready < 0)
			continue;
		if (r->relay)
			relay_run(r->relay);
		if (p[1].revents)
			serve_channel(r);
		if (p[0].revents)
			forward(r);
	}
}

/* ---- all of it ---- */

/* Ends as the guest ended, so that whoever waits for us cannot tell the difference. */
static int end_as(int status)
{
	struct rlimit no_core = { 0, 0 };
	sigset_t set;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	(void) setrlimit(RLIMIT_CORE, &no_core); /* one core dump is enough */
	(void) signal(WTERMSIG(status), SIG_DFL);
	(void) sigemptyset(&set);
	(void) sigaddset(&set, WTERMSIG(status));
	(void) sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void) raise(WTERMSIG(status));
	return 128 + WTERMSIG(status); /* a real-time signal that we may not send */
}

static int refuse(pid_t pid, const char *what, const struct co_err *err)
{
	(void) fprintf(stderr, "cloudos-exec: %s%s%s\n", what, err ? ": " : "",
		       err ? err->message : "");
	(void) kill(pid, SIGKILL);
	(void) waitpid(pid, NULL, 0);
	return EXIT_LAUNCHER;
}

/* From the filter to the exec; 0, or the exit status. */
static int start(struct launch *l, struct running *r, int fd, int link[2])
{
	struct told told = { 0 };
	autoclose int listener = -1;
	struct co_err err = { 0 };
	uint64_t session;

	if (hear(fd, &told, &listener, &r->program))
		return refuse(r->pid, "the program ended before it began", NULL);
	if (told.errnum) {
		(void) co_fail_errno(&err, told.errnum, "engine %s",
				     co_engine_name(l->engine));
		return refuse(r->pid, "the system call filter is refused", &err);
	}
	if (l->confine)
		r->program_fd = (int) syscall(SYS_pidfd_open, r->program, 0);
	if (inside(l)) {
		session = 0;
	} else {
		if (attach(l, r->program, link[1], listener, &err))
			return refuse(r->pid, "the daemon does not take the program",
				      &err);
		session =
			((const struct wire_attach_rep *) (void *) l->client->in->bytes)
				->session;
		r->subreaper = keep_orphans(l);
	}
	if (l->system) {
		/* what a program leaves behind is SYSTEM's */
		r->subreaper = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
		l->system->trap = &l->trap;
		l->system->personality = l->personality_index;
		(void) snprintf(l->system->folder, sizeof(l->system->folder), "%s",
				l->client->folder); /* of the same size */
		if (system_begin(l->system, &l->paths, session, &err))
			return refuse(r->pid, "SYSTEM cannot be served", &err);
	}
	if (l->engine == CO_ENGINE_TRAP && !l->system && !inside(l))
		prefetch_sites(l->client, l->path);
	if (l->keep_fd < 0) /* connections are few, programs may be many */
		l->client = co_client_close(l->client);
	if (l->engine == CO_ENGINE_PTRACE &&
	    ptrace_start(r->program, link[0], l->trace_fd, l->personality,
			 l->every_call, &err))
		return refuse(r->pid, "cannot trace the program", &err);
	(void) close(link[1]);
	link[1] = -1;
	/* a child that died meanwhile is heard of below */
	(void) !write(fd, &session, sizeof(session));
	if (hear(fd, &told, &listener, &r->program) == 0) {
		(void) waitpid(r->pid, NULL, 0);
		if (told.step == STEP_CONFINE)
			return confine_failed(told.errnum);
		return told.step == STEP_LOADER ? loader_failed(l, told.errnum)
						: exec_failed(l, told.errnum);
	}
	return 0;
}

/* A pipe that the guest closes must end, so nothing of the caller's stays open here. */
static void let_go(const struct running *r)
{
	int keep[6 + 2 * RELAY_STREAMS + 1] = { 2,
						r->signals,
						r->channel.fd,
						r->l->trace_fd,
						r->l->client ? r->l->client->fd : -1,
						r->l->keep_fd };
	size_t n = 6;

	if (r->relay)
		n += relay_descriptors(r->relay, keep + n);
	else if (r->l->service)
		keep[n++] = r->l->service->relay.log;
	channel_close_others(keep, n);
}

/* What of Linux's own calls the program's system wants to see. */
static enum filter_caught caught(const struct service *s)
{
	enum filter_caught all = FILTER_NONE;

	if (s && s->asked)
		all |= FILTER_BINDS;
	if (s && s->how == SERVICE_HOSTS_CALLS)
		all |= FILTER_OPENS;
	return all;
}

/* Environment, names and output, before there is a child; log is the daemon's. */
static int prepare_service(struct launch *l, struct running *r, int log,
			   struct co_err *err)
{
	struct service *s = l->service;
	int rc;

	s->folder = l->paths.run;
	service_probe_hosts(s);
	rc = service_environment(s, err);
	if (rc || !s->asked)
		return rc;
	s->relay.log = log;
	if (s->no_logs) {
		s->relay.out = co_msg_new();
		return 0;
	}
	r->relay = &s->relay;
	return relay_open(r->relay, log, err);
}

/* Our child; -1 when there is none, and why has been said. */
static pid_t plain_fork(const struct launch *l, const struct filter *filter,
			const int pair[2], const struct signal_state *signals)
{
	pid_t pid = fork();

	if (pid < 0)
		(void) fprintf(stderr, "cloudos-exec: cannot start a process: %s\n",
			       strerror(errno));
	if (pid == 0) {
		(void) close(pair[0]);
		child(l, filter, pair[1], signals);
	}
	return pid;
}

static pid_t confined_fork(const struct launch *l, const struct filter *filter,
			   const int pair[2], const struct signal_state *signals)
{
	struct child c = { l, filter, signals, pair[1] };
	int keep[4] = { pair[1], -1, -1, -1 }, on = 1;
	struct co_err err = { 0 };

	/* the one who speaks is not our child */
	(void) setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (l->service)
		relay_ends(&l->service->relay, l->confine->stdio);
	if (!confine_start(l->confine, confined_child, &c, keep, &err) &&
	    !confine_let_go(l->confine, &err))
		return l->confine->made.pid;
	(void) fprintf(stderr, "cloudos-exec: %s\n", err.message);
	return -1;
}

int launch(struct launch *l)
{
	struct running r = { .l = l, .program_fd = -1 };
	struct filter filter = { 0 };
	struct co_err err = { 0 };
	int pair[2], link[2], status;
	struct sigaction normal = { .sa_handler = SIG_DFL };
	struct signal_state signals;
	sigset_t mask, broken;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0 ||
	    channel_init(&r.channel, link[0], l->trace_fd)) {
		(void) fprintf(stderr,
			       "cloudos-exec: no descriptors or memory left: %s\n",
			       strerror(errno));
		return EXIT_LAUNCHER;
	}
	if ((l->service && prepare_service(l, &r, link[0], &err)) ||
	    (!l->every_call && l->engine != CO_ENGINE_TRAP &&
	     filter_new(&filter, l->personality, l->engine, caught(l->service),
			&err))) {
		(void) fprintf(stderr, "cloudos-exec: %s\n", err.message);
		return EXIT_LAUNCHER;
	}
	(void) sigemptyset(&mask);
	(void) sigaddset(&mask, SIGCHLD);
	if (r.relay)
		(void) sigaddset(&mask, SIGWINCH);
	for (size_t i = 0; i < co_countof(forwarded); i++)
		(void) sigaddset(&mask, forwarded[i]);
	if (l->confine) {
		(void) sigaddset(&mask, SIGINT);
		(void) sigaddset(&mask, SIGQUIT);
	}
	(void) sigprocmask(SIG_BLOCK, &mask, &signals.mask);
	if (l->system)
		l->system->mask = signals.mask;
	/* whoever reads the trace may go, and that ends neither us nor the program */
	(void) sigemptyset(&broken);
	(void) sigaddset(&broken, SIGPIPE);
	(void) sigprocmask(SIG_BLOCK, &broken, NULL);
	(void) sigaction(SIGCHLD, &normal,
			 &signals.child); /* ignored, nobody could wait */
	(void) fflush(NULL);
	r.pid = l->confine ? confined_fork(l, &filter, pair, &signals)
			   : plain_fork(l, &filter, pair, &signals);
	if (r.pid < 0)
		return EXIT_LAUNCHER;
	r.program = r.pid;
	(void) close(pair[1]);
	if (r.relay)
		relay_begin(r.relay);
	for (size_t i = 0; i < co_countof(of_terminal); i++)
		if (!l->confine || !sigismember(&mask, of_terminal[i]))
			(void) signal(of_terminal[i],
				      SIG_IGN); /* they can all be set */
	r.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	status = start(l, &r, pair[0], link);
	(void) close(pair[0]);
	filter_done(&filter);
	if (status) {
		if (l->service)
			service_over(l->service, status << 8);
		channel_done(&r.channel);
		return status;
	}
	if (l->engine == CO_ENGINE_PTRACE ||
	    inside(l)) { /* the tracer's; it ends with that one */
		r.channel_gone = true;
		r.channel.fd = -1;
	}
	/* they go on to start programs, or to tidy up, and want what they have */
	if (!l->system && !l->confine)
		let_go(&r);
	wait_for(&r);
	if (l->service)
		service_over(l->service, r.status);
	if (l->system)
		system_end(l->system, r.signals);
	channel_done(&r.channel);
	if (r.channel.fd >= 0)
		(void) close(r.channel.fd); /* under trap the session ends with it */
	return end_as(r.status);
}

int launch_plainly(const struct launch *l)
{
	return exec_failed(l, become(l));
}
