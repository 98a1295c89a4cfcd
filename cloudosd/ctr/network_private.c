/* SPDX-License-Identifier: MIT */
/*
 * A network for containers of a user who may make no links: pasta, else slirp4netns.  HOST.
 *
 * Both are programs of others that may fork, change their group and outlive what they serve;
 * pasta keeps published ports bound after it has failed.  So between them and us stands a
 * keeper: all of their processes are its children, whatever they do, and it kills them when
 * its pipe to the monitor closes, which it does however the monitor ends.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cloudosd/ctr/network_inside.h"

enum { ARGS = 2 * NETWORK_PORTS + 32, READY_MS = 20000, SAID = 400 };

static const char *const tools[] = { "pasta", "slirp4netns" };

/* What slirp4netns gives always; pasta copies the host's instead. */
#define SLIRP_ADDRESS "10.0.2.100"
#define SLIRP_GATEWAY "10.0.2.2"

const char *network_tool_find(char *out, size_t n)
{
	const char *path = getenv("PATH");

	if (!path || !*path)
		path = "/usr/local/bin:/usr/bin:/bin";
	for (size_t i = 0; i < co_countof(tools); i++)
		for (const char *at = path; at; at = strchr(at, ':')) {
			size_t length;

			at += *at == ':';
			length = strcspn(at, ":");
			if (!length || at[0] != '/' ||
			    (size_t) snprintf(out, n, "%.*s/%s", (int) length, at,
					      tools[i]) >= n)
				continue;
			if (access(out, X_OK) == 0)
				return tools[i];
		}
	return NULL;
}

/* ---- arguments ---- */

struct words {
	char *at[ARGS];
	size_t count;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void word(struct words *w,
						       const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (w->count + 1 >= ARGS || vasprintf(&text, format, args) < 0) {
		w->failed = true;
		text = NULL;
	}
	va_end(args);
	if (text)
		w->at[w->count++] = text;
}

static void free_words(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->at[i]);
}

static void pasta_ports(struct words *w, const struct network_plan *p, int protocol)
{
	const char *option = protocol == IPPROTO_TCP ? "-t" : "-u";
	char text[INET_ADDRSTRLEN];
	size_t before = w->count;

	for (size_t i = 0; i < p->port_count; i++) {
		const struct network_port *port = &p->ports[i];

		if (port->protocol != protocol)
			continue;
		word(w, "%s", option);
		if (port->address.s_addr == INADDR_ANY)
			word(w, "%u:%u", port->host, port->inside);
		else
			word(w, "%s/%u:%u",
			     inet_ntop(AF_INET, &port->address, text, sizeof(text)),
			     port->host, port->inside);
	}
	if (w->count == before) {
		word(w, "%s", option);
		word(w, "none");
	}
}

/* Without --no-map-gw the container would reach what listens on this host's 127.0.0.1. */
static void pasta_words(struct words *w, const char *path, const struct network_plan *p,
			pid_t pid)
{
	static const char *const plain[] = {
		"--quiet", "--config-net", "--no-map-gw", "--ns-ifname", NETWORK_IN,
		"-T",      "none",         "-U",          "none"
	};

	word(w, "%s", path);
	for (size_t i = 0; i < co_countof(plain); i++)
		word(w, "%s", plain[i]);
	if (geteuid() == 0) {
		word(w, "--runas");
		word(w, "0");
	}
	if (p->mtu) {
		word(w, "--mtu");
		word(w, "%u", p->mtu);
	}
	pasta_ports(w, p, IPPROTO_TCP);
	pasta_ports(w, p, IPPROTO_UDP);
	word(w, "%d", (int) pid);
}

static void slirp_words(struct words *w, const char *path, const struct network_plan *p,
			pid_t pid, const char *api, int ready)
{
	word(w, "%s", path);
	word(w, "--configure");
	word(w, "--disable-host-loopback");
	word(w, "--mtu=%u", p->mtu ? p->mtu : 65520);
	word(w, "--ready-fd=%d", ready);
	word(w, "--userns-path=/proc/%d/ns/user", (int) pid);
	if (*api)
		word(w, "--api-socket=%s", api);
	word(w, "%d", (int) pid);
	word(w, NETWORK_IN);
}

/* ---- the keeper ---- */

struct job {
	struct words words;
	const char *tool;
	const char *api;   /* of slirp4netns; "" none */
	int ready;         /* slirp4netns writes there; -1: pasta's parent ends */
	int said[2];       /* what the tool says */
	int alive, report; /* our ends */
};

/* Until the child has ended, or one of the others is readable: which of `p` says so; NULL:
 * none in that time.  p[0] is for the child. */
static struct pollfd *await_any(pid_t child, struct pollfd *p, nfds_t n, int ms)
{
	autoclose int fd = (int) syscall(SYS_pidfd_open, child, 0);
	struct pollfd *which = NULL;

	p[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (poll(p, n, ms) > 0)
		for (nfds_t i = n; i-- > 0;)
			which = p[i].revents ? &p[i] : which;
	return which;
}

static void kill_children(void)
{
	char path[64];
	char text[4096];

	(void) snprintf(path, sizeof(path), "/proc/self/task/%d/children",
			(int) getpid());
	for (int i = 0; i < 100; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		long pid = 0, first;
		char *at = text, *end;
		struct pollfd p[1];

		if (fd >= 0)
			(void) close(fd);
		text[n > 0 ? n : 0] = 0;
		first = strtol(at, &end, 10);
		for (pid = first; end != at; at = end, pid = strtol(at, &end, 10))
			(void) kill((pid_t) pid, SIGKILL); /* gone */
		if (first > 0)
			(void) await_any((pid_t) first, p, 1, 100); /* again then */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
	}
}

/* Either way the words of the tool are what a person needs. */
static _Noreturn void give_up(struct job *j)
{
	char text[SAID];
	ssize_t n;

	kill_children();
	n = read(j->said[0], text, sizeof(text));
	if (n <= 0)
		n = snprintf(text, sizeof(text), "it ended without a word");
	_exit(write(j->report, text, (size_t) n) < 0 ? 2 : 1);
}

static bool await_slirp(struct job *j, pid_t child)
{
	struct pollfd p[] = { { 0 },
			      { .fd = j->ready, .events = POLLIN },
			      { .fd = j->alive, .events = POLLIN } };
	char c;

	(void) await_any(child, p, co_countof(p), READY_MS);
	return !p[2].revents && p[1].revents && read(j->ready, &c, 1) == 1;
}

static bool await_pasta(struct job *j, pid_t child)
{
	struct pollfd p[] = { { 0 }, { .fd = j->alive, .events = POLLIN } };
	int status = 0;

	return await_any(child, p, co_countof(p), READY_MS) == &p[0] &&
	       waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static pid_t run_tool(struct job *j, int ready_write)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void) dup2(j->said[1], 1);
	(void) dup2(j->said[1], 2);
	if (ready_write >= 0)
		(void) fcntl(ready_write, F_SETFD, 0);
	execv(j->words.at[0], j->words.at);
	_exit(127);
}

/* The monitor's log and sockets are not ours to hold open. */
static void close_others(const int *keep, size_t count)
{
	unsigned from = 3;

	for (;;) {
		unsigned next = ~0U;

		for (size_t i = 0; i < count; i++)
			if (keep[i] >= (int) from && (unsigned) keep[i] < next)
				next = (unsigned) keep[i];
		if (next > from)
			(void) syscall(SYS_close_range, from, next - 1, 0); /* 5.9 */
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

static bool has_children(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return waitpid(-1, NULL, WNOHANG) == 0;
}

/* Until the monitor closes its end, however it ends, or the tool is gone. */
static _Noreturn void watch(struct job *j)
{
	sigset_t child;
	struct pollfd p[3] = { { .fd = j->alive, .events = POLLIN },
			       { .fd = j->said[0], .events = POLLIN },
			       { .events = POLLIN } };

	(void) sigemptyset(&child);
	(void) sigaddset(&child, SIGCHLD);
	(void) sigprocmask(SIG_SETMASK, &child, NULL);
	p[2].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	while (has_children()) {
		char sink[512];

		(void) poll(p, co_countof(p), -1);
		if (p[0].revents)
			kill_children();
		if (p[1].revents && read(j->said[0], sink, sizeof(sink)) <= 0)
			p[1].fd = -1; /* it has closed its output */
		while (read(p[2].fd, sink, sizeof(sink)) > 0)
			;
	}
	_exit(p[0].revents ? 0 : 1);
}

static _Noreturn void keep(struct job *j, int ready_write)
{
	const int ours[] = { j->said[0], j->said[1], j->alive,
			     j->report,  j->ready,   ready_write };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;
	pid_t child;

	for (int i = 0; i < 3; i++)
		(void) dup2(null, i);
	close_others(ours, co_countof(ours));

	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < 32; s++)
		(void) signal(s, SIG_DFL); /* not all can be set */
	(void) setsid();
	(void) prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void) prctl(PR_SET_NAME, "cloudos-net");
	child = run_tool(j, ready_write);
	if (ready_write >= 0)
		(void) close(ready_write);
	(void) close(j->said[1]);
	(void) fcntl(j->said[0], F_SETFL, O_NONBLOCK);
	if (child < 0 ||
	    !(j->ready >= 0 ? await_slirp(j, child) : await_pasta(j, child)))
		give_up(j);
	(void) close(j->report); /* without a word: it works */
	watch(j);
}

/* ---- slirp4netns learns of ports by its socket ---- */

static int ask_slirp(const char *api, const struct network_port *port, char *said,
		     size_t n)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[320], address[INET_ADDRSTRLEN];
	ssize_t got;
	int size;

	if (strlen(api) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, api, strlen(api));
	size = snprintf(text, sizeof(text),
			"{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"%s\","
			"\"host_addr\":\"%s\",\"host_port\":%u,\"guest_addr\":"
			"\"" SLIRP_ADDRESS "\",\"guest_port\":%u}}",
			port->protocol == IPPROTO_TCP ? "tcp" : "udp",
			inet_ntop(AF_INET, &port->address, address, sizeof(address)),
			port->host, port->inside);
	if (fd < 0 || connect(fd, (void *) &to, sizeof(to)) < 0 ||
	    write(fd, text, (size_t) size) != size || shutdown(fd, SHUT_WR) < 0)
		return -errno;
	got = read(fd, said, n - 1);
	said[got > 0 ? got : 0] = 0;
	return strstr(said, "\"error\"") || got <= 0 ? -EADDRINUSE : 0;
}

static int publish_slirp(const struct ctr_network *n, const char *api,
			 struct co_err *err)
{
	for (size_t i = 0; i < n->plan.port_count; i++) {
		char said[SAID];
		int rc = ask_slirp(api, &n->plan.ports[i], said, sizeof(said));

		if (rc == -EADDRINUSE)
			return co_fail(err, CO_EXISTS,
				       "port %u of this host cannot be published: "
				       "slirp4netns says %.200s",
				       n->plan.ports[i].host, said);
		if (rc < 0)
			return co_fail_errno(err, -rc,
					     "cannot ask slirp4netns for port %u",
					     n->plan.ports[i].host);
	}
	return 0;
}

/* ---- starting and stopping ---- */

static void close_pair(int *pair)
{
	for (size_t i = 0; i < 2; i++)
		if (pair[i] >= 0)
			(void) close(pair[i]); /* a pipe */
}

static int await_report(int fd, const struct ctr_network *n, struct co_err *err)
{
	char text[SAID + 1];
	ssize_t got;

	do {
		got = read(fd, text, SAID);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return 0;
	text[got] = 0;
	for (ssize_t i = 0; i < got; i++)
		if (text[i] == '\n')
			text[i] = i + 1 < got ? ' ' : 0;
	return co_fail(
		err,
		strstr(text, "Address already in use") ? CO_EXISTS : CO_UNSUPPORTED,
		"there is no private network for the container, because %s says: %s; "
		"with --network none it has its loopback only, and its published "
		"ports work",
		n->tool, text);
}

static int start_keeper(struct ctr_network *n, struct job *j, int ready_write,
			struct co_err *err)
{
	int alive[2] = { -1, -1 }, report[2] = { -1, -1 };
	int rc;

	if (pipe2(alive, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0 ||
	    pipe2(j->said, O_CLOEXEC) < 0) {
		rc = co_fail_errno(err, errno, "cannot make a pipe");
		close_pair(alive);
		close_pair(report);
		return rc;
	}
	n->tool_pid = fork();
	if (n->tool_pid == 0) {
		(void) close(alive[1]);
		(void) close(report[0]);
		j->alive = alive[0];
		j->report = report[1];
		keep(j, ready_write);
	}
	(void) close(alive[0]);
	(void) close(report[1]);
	close_pair(j->said);
	n->tool_alive = alive[1];
	if (n->tool_pid < 0)
		rc = co_fail_errno(err, errno, "cannot start a process");
	else
		rc = await_report(report[0], n, err);
	(void) close(report[0]);
	return rc;
}

/* A folder of its own, since a socket has to have a name. */
static int make_api(const struct ctr_network *n, char *folder, char *api, size_t size,
		    struct co_err *err)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	*folder = *api = 0;
	if (!n->plan.port_count)
		return 0;
	if (!base || *base != '/' || access(base, W_OK) < 0 || strlen(base) > 60)
		base = "/tmp";
	(void) snprintf(folder, size, "%s/cloudos-net-XXXXXX", base);
	if (!mkdtemp(folder)) {
		*folder = 0;
		return co_fail_errno(err, errno, "cannot make a folder in %s", base);
	}
	(void) snprintf(api, size, "%.90s/s", folder);
	return 0;
}

static int start_slirp(struct ctr_network *n, pid_t pid, const char *path,
		       struct co_err *err)
{
	struct job *j = calloc(1, sizeof(*j));
	char folder[100] = "", api[100] = "";
	int ready[2] = { -1, -1 };
	int rc = j ? make_api(n, folder, api, sizeof(api), err)
		   : co_fail(err, CO_NO_MEMORY, "no memory for a network");

	if (rc == 0 && pipe2(ready, O_CLOEXEC) < 0)
		rc = co_fail_errno(err, errno, "cannot make a pipe");
	if (rc == 0) {
		j->tool = n->tool;
		j->ready = ready[0];
		slirp_words(&j->words, path, &n->plan, pid, api, ready[1]);
		rc = start_keeper(n, j, ready[1], err);
	}
	if (rc == 0)
		rc = publish_slirp(n, api, err);
	close_pair(ready);
	if (*api)
		(void) unlink(api); /* nobody else is to open ports by it */
	if (*folder)
		(void) rmdir(folder);
	if (j)
		free_words(&j->words);
	free(j);
	(void) inet_pton(AF_INET, SLIRP_ADDRESS, &n->plan.address);
	(void) inet_pton(AF_INET, SLIRP_GATEWAY, &n->plan.gateway);
	return rc;
}

static int start_pasta(struct ctr_network *n, pid_t pid, const char *path,
		       struct co_err *err)
{
	struct job *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return co_fail(err, CO_NO_MEMORY, "no memory for a network");
	j->tool = n->tool;
	j->ready = -1;
	pasta_words(&j->words, path, &n->plan, pid);
	rc = start_keeper(n, j, -1, err);
	free_words(&j->words);
	free(j);
	return rc;
}

int network_private_start(struct ctr_network *n, pid_t pid, struct co_err *err)
{
	char path[512];
	int rc;

	n->plan.address.s_addr = n->plan.gateway.s_addr = 0;
	n->tool = network_tool_find(path, sizeof(path));
	if (!n->tool)
		return co_fail(
			err, CO_UNSUPPORTED,
			"a private network needs pasta (package passt) or slirp4netns: "
			"install one, or use --network none");
	rc = strcmp(n->tool, tools[0]) == 0 ? start_pasta(n, pid, path, err)
					    : start_slirp(n, pid, path, err);
	if (rc < 0) {
		network_private_stop(n);
		return rc;
	}
	n->tool_fd = (int) syscall(SYS_pidfd_open, n->tool_pid, 0);
	return 0;
}

void network_private_stop(struct ctr_network *n)
{
	if (n->tool_alive >= 0)
		(void) close(take_fd(n->tool_alive)); /* the keeper kills and ends */
	if (n->tool_pid > 0)
		while (waitpid(n->tool_pid, NULL, 0) < 0 && errno == EINTR)
			;
	n->tool_pid = 0;
}
