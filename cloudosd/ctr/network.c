/* SPDX-License-Identifier: MIT */
/* The network of one container: the order in which it is made and taken away.  HOST. */
#include "cloudosd/ctr/network.h"

#include <arpa/inet.h>
#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"
#include "cloudosd/ctr/program.h"

/* ---- what containers share is changed by one at a time ---- */

#define LOCK_FILE "/run/cloudos-network.lock"

enum { LOCK_MS = 20000, LOCK_STEP_US = 500 };

static int lock_file(int fd)
{
	struct stat mine, named;

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (i >= LOCK_MS * 1000 / LOCK_STEP_US)
			return -ETIMEDOUT;
		/* flock knows no limit, and a signal for one is not ours to take */
		(void) nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_US * 1000L },
				 NULL); /* or less */
	}
	/* who had it may have been the last and have removed the file */
	if (fstat(fd, &mine) < 0 || stat(LOCK_FILE, &named) < 0)
		return -EAGAIN;
	return mine.st_ino == named.st_ino && mine.st_dev == named.st_dev ? 0 : -EAGAIN;
}

int network_lock(void)
{
	for (int i = 0; i < 1000; i++) {
		int rc, fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				  0600);

		if (fd < 0)
			return -errno;
		rc = lock_file(fd);
		if (rc == 0)
			return fd;
		(void) close(fd);
		if (rc != -EAGAIN)
			return rc;
	}
	return -EAGAIN;
}

void network_unlock(int fd, bool last)
{
	if (last)
		(void) unlink(LOCK_FILE); /* ours while it is locked */
	(void) close(fd);
}

static int take_lock(int *out, struct co_err *err)
{
	*out = network_lock();
	if (*out >= 0)
		return 0;
	return co_fail_errno(err, -*out,
			     "cannot lock " LOCK_FILE
			     " to change the network of containers");
}

/* ---- a socket in another name space ---- */

/* Entering and coming back costs microseconds; the caller has one thread. */
static int open_inside(int name_space, int *out, struct co_err *err)
{
	autoclose int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0 || setns(name_space, CLONE_NEWNET) < 0)
		return co_fail_errno(err, errno,
				     "cannot enter the container's network name space");
	*out = netlink_open(NETLINK_ROUTE);
	if (setns(own, CLONE_NEWNET) < 0)
		return co_fail_errno(err, errno,
				     "cannot leave the container's network name space");
	if (*out < 0)
		return co_fail_errno(err, -*out, "cannot open a netlink socket");
	return 0;
}

int ctr_network_loopback(struct co_err *err)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return co_fail_errno(err, errno, "cannot look at lo");
	if (r.ifr_flags & IFF_UP)
		return 0;
	r.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return co_fail_errno(err, errno, "cannot bring lo up");
	return 0;
}

/* ---- bridge ---- */

struct sockets {
	int route, filter;
};

static void close_sockets(struct sockets *s)
{
	if (s->route >= 0)
		(void) close(s->route); /* nothing to lose */
	if (s->filter >= 0)
		(void) close(s->filter);
}
#define autosockets __attribute__((cleanup(close_sockets)))

static int open_sockets(struct sockets *s, struct co_err *err)
{
	s->route = netlink_open(NETLINK_ROUTE);
	s->filter = netlink_open(NETLINK_NETFILTER);
	if (s->route < 0)
		return co_fail_errno(err, -s->route, "cannot open a netlink socket");
	if (s->filter < 0)
		return co_fail_errno(err, -s->filter,
				     "this kernel has no nf_tables that we may use");
	return 0;
}

/* Whatever is there of it; the lock is held. */
static bool drop(const struct sockets *s, const struct network_plan *p)
{
	bool gone = false, last = false;

	(void) network_veth_drop(s->route, p); /* gone with its name space */
	(void) network_bridge_drop(s->route, p, &gone, &last); /* stays for the next */
	network_table_drop(s->filter, p, gone, last);
	return last;
}

static int make_shared(const struct sockets *s, const struct network_plan *p,
		       int name_space, struct co_err *err)
{
	int rc = network_bridge_make(s->route, p, err);

	if (rc == 0)
		rc = network_table_make(s->filter, p, err);
	if (rc == 0)
		rc = network_veth_make(s->route, p, name_space, err);
	if (rc == 0)
		rc = network_table_ports(s->filter, p, NULL, err);
	return rc;
}

static void warn_of_policy(struct ctr_network *n, const struct sockets *s)
{
	char who[64];

	network_forward_policy(s->filter, who, sizeof(who));
	if (who[0])
		(void) snprintf(
			n->warning, sizeof(n->warning),
			"%s of this host drops what is forwarded: the container "
			"reaches nothing outside until a rule there accepts what comes "
			"from and goes to %s",
			who, n->plan.bridge);
}

static int create_bridge(struct ctr_network *n, pid_t pid, struct co_err *err)
{
	autosockets struct sockets s = { -1, -1 };
	autoclose int name_space = -1, inside = -1;
	char path[48];
	bool last = false;
	int lock = -1, rc = open_sockets(&s, err);

	if (rc < 0)
		return rc;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid); /* it fits */
	name_space = open(path, O_RDONLY | O_CLOEXEC);
	if (name_space < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	rc = open_inside(name_space, &inside, err);
	if (rc == 0)
		rc = take_lock(&lock, err);
	if (rc < 0)
		return rc;
	rc = make_shared(&s, &n->plan, name_space, err);
	if (rc == 0)
		rc = network_inside(inside, &n->plan, err);
	if (rc < 0)
		last = drop(&s, &n->plan);
	network_unlock(lock, last);
	if (rc == 0)
		warn_of_policy(n, &s);
	return rc;
}

static int remove_bridge(const struct network_plan *p, struct co_err *err)
{
	autosockets struct sockets s = { -1, -1 };
	bool last;
	int lock = -1, rc = open_sockets(&s, err);

	if (rc == 0)
		rc = take_lock(&lock, err);
	if (rc < 0)
		return rc;
	last = drop(&s, p);
	network_unlock(lock, last);
	return 0;
}

/*
 * The bridge and the table stay a moment for whoever comes next: making them takes 20 ms and
 * taking them away 70, which the kernel spends waiting for itself.  A process of its own for
 * each bridge waits and looks then; its lock is taken and left under that of all networks,
 * so nobody counts on one that has just looked.
 */
static _Noreturn void linger(const struct network_plan *p, int own, const char *path)
{
	autosockets struct sockets s = { -1, -1 };
	struct network_plan shared = *p;
	bool gone = false, last = false;
	int lock;

	(void) prctl(PR_SET_NAME, "cloudos-bridge", 0, 0, 0); /* only a name */
	(void) setsid(); /* a leader of nothing: cannot fail */
	ctr_close_others((int[]){ own }, 1);
	(void) poll(NULL, 0, CO_LIMIT_CTR_NETWORK_LINGER_MS); /* or less */
	shared.address.s_addr = 0; /* it may be another container's by now */
	if (open_sockets(&s, NULL) == 0 && take_lock(&lock, NULL) == 0) {
		(void) network_bridge_drop(s.route, &shared, &gone, &last);
		if (gone)
			network_table_drop(s.filter, &shared, gone, last);
		(void) unlink(path); /* nobody else is at it */
		network_unlock(lock, last);
	}
	_exit(0);
}

static void linger_for(const struct network_plan *p)
{
	char path[64];
	autoclose int own = -1;

	(void) snprintf(path, sizeof(path), "/run/cloudos-network.%s",
			p->bridge); /* it fits */
	own = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (own < 0 || flock(own, LOCK_EX | LOCK_NB) < 0)
		return; /* somebody waits already; or the next does it */
	if (fork() == 0)
		linger(p, own, path);
}

/* What is this container's alone; nothing in here waits for the kernel's grace unless ports
 * were published. */
static int leave_bridge(const struct network_plan *p)
{
	struct network_links links;
	struct sockets s = { -1, -1 };
	int lock = -1, rc = open_sockets(&s, NULL);

	if (rc == 0)
		rc = take_lock(&lock, NULL);
	if (rc < 0)
		return rc;
	if (network_veth_leave(s.route, p) < 0)
		(void) network_veth_drop(s.route, p);
	network_table_drop(s.filter, p, false, false);
	if (network_links(s.route, p->bridge, &links) == 0 && links.members == 0)
		linger_for(p);
	network_unlock(lock, false);
	(void) close(s.route);
	/* the other is closed when we end: that waits for what was removed */
	return 0;
}

/* ---- all modes ---- */

static void free_network(struct ctr_network *n)
{
	if (!n)
		return;
	if (n->tool_fd >= 0)
		(void) close(n->tool_fd); /* a pidfd */
	network_plan_done(&n->plan);
	free(n->id);
	free(n);
}

int ctr_network_create(const char *id, struct co_span json, pid_t pid,
		       struct ctr_network **out, struct co_err *err)
{
	struct ctr_network *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return co_fail(err, CO_NO_MEMORY, "no memory for a network");
	n->tool_fd = n->tool_alive = -1;
	n->id = strdup(id);
	rc = network_plan_read(id, json, &n->plan, err);
	if (rc == 0 && n->plan.mode == NETWORK_BRIDGE)
		rc = create_bridge(n, pid, err);
	else if (rc == 0 && n->plan.mode == NETWORK_PRIVATE)
		rc = network_private_start(n, pid, err);
	if (rc < 0) {
		free_network(n);
		return rc;
	}
	*out = n;
	return 0;
}

void ctr_network_describe(const struct ctr_network *n, struct co_buf *out)
{
	static const char *const modes[] = { "none", "host", "bridge", "private",
					     "container" };
	char text[INET_ADDRSTRLEN];

	co_buf_format(out, "\"mode\":\"%s\"", modes[n->plan.mode]);
	if (n->plan.address.s_addr)
		co_buf_format(out, ",\"ip\":\"%s\"",
			      inet_ntop(AF_INET, &n->plan.address, text, sizeof(text)));
	if (n->plan.gateway.s_addr)
		co_buf_format(out, ",\"gateway\":\"%s\"",
			      inet_ntop(AF_INET, &n->plan.gateway, text, sizeof(text)));
	if (n->tool)
		co_buf_format(out, ",\"tool\":\"%s\"", n->tool);
	if (n->warning[0]) {
		co_buf_text(out, ",\"warning\":");
		co_buf_json_text(out, co_span(n->warning));
	}
}

int ctr_network_ended_fd(const struct ctr_network *n)
{
	return n->tool_fd;
}

static int publish_bridge(struct ctr_network *n, const struct network_plan *next,
			  struct co_err *err)
{
	autosockets struct sockets s = { -1, -1 };
	int lock = -1, rc = open_sockets(&s, err);

	if (rc == 0)
		rc = take_lock(&lock, err);
	if (rc < 0)
		return rc;
	rc = network_table_ports(s.filter, next, &n->plan, err);
	network_unlock(lock, false);
	return rc;
}

int ctr_network_publish(struct ctr_network *n, struct co_span json, struct co_err *err)
{
	struct network_plan next;
	int rc = 0;

	if (n->plan.mode != NETWORK_BRIDGE)
		return co_fail(
			err, CO_UNSUPPORTED,
			"ports of a container whose network is not a bridge cannot be "
			"changed while it runs: stop it, change them, start it");
	rc = network_plan_read(n->id, json, &next, err);
	if (rc < 0)
		return rc;
	if (next.mode != NETWORK_BRIDGE ||
	    next.address.s_addr != n->plan.address.s_addr ||
	    strcmp(next.bridge, n->plan.bridge) != 0)
		rc = co_fail(
			err, CO_UNSUPPORTED,
			"only the ports of a network can be changed while it runs");
	if (rc == 0)
		rc = publish_bridge(n, &next, err);
	if (rc == 0) {
		struct network_plan old = n->plan;

		n->plan = next;
		next = old;
	}
	network_plan_done(&next);
	return rc;
}

void ctr_network_remove(struct ctr_network *n)
{
	if (!n)
		return;
	if (n->plan.mode == NETWORK_BRIDGE)
		(void) remove_bridge(&n->plan, NULL); /* the next start cleans */
	if (n->plan.mode == NETWORK_PRIVATE)
		network_private_stop(n);
	free_network(n);
}

void ctr_network_leave(struct ctr_network *n)
{
	if (!n || n->plan.mode != NETWORK_BRIDGE) {
		ctr_network_remove(n);
		return;
	}
	(void) leave_bridge(&n->plan); /* the next start cleans */
	free_network(n);
}

int ctr_network_clean(const char *id, struct co_span json, struct co_err *err)
{
	struct network_plan p;
	int rc = network_plan_read(id, json, &p, err);

	if (rc == 0 && p.mode == NETWORK_BRIDGE)
		rc = remove_bridge(&p, err);
	network_plan_done(&p);
	return rc;
}
