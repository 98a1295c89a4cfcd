/* SPDX-License-Identifier: MIT */
/* Sockets in the network of a container.  HOST. */
#include "cloudosd/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { STACK = 16384, BACKLOG = 128 };

/* ---- which one ---- */

static bool is_ours(int fd, const char *path)
{
	struct stat here, there;

	return fstat(fd, &there) == 0 && stat(path, &here) == 0 &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd); /* a name of a name space */
	*fd = -1;
}

void netns_take(struct netns *out, int user, int net)
{
	*out = (struct netns){ user, net };
	if (net < 0 || is_ours(net, "/proc/self/ns/net"))
		netns_close(out);
	else if (user >= 0 && is_ours(user, "/proc/self/ns/user"))
		close_one(&out->user);
}

int netns_of(pid_t pid, struct netns *out, struct co_err *err)
{
	char path[48];
	int user, net, errnum;

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid); /* fits */
	user = open(path, O_RDONLY | O_CLOEXEC);
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
	net = open(path, O_RDONLY | O_CLOEXEC);
	errnum = errno;
	netns_take(out, user, net);
	if (net >= 0)
		return 0;
	close_one(&user);
	return co_fail_errno(err, errnum, "the network of process %d cannot be reached",
			     (int) pid);
}

void netns_copy(const struct netns *from, struct netns *out)
{
	out->user = from->user < 0 ? -1 : fcntl(from->user, F_DUPFD_CLOEXEC, 3);
	out->net = from->net < 0 ? -1 : fcntl(from->net, F_DUPFD_CLOEXEC, 3);
}

void netns_close(struct netns *n)
{
	close_one(&n->user);
	close_one(&n->net);
}

/* ---- the child ---- */

struct errand {
	const struct netns *ns;
	int (*run)(struct errand *e);
	const struct sockaddr_in *address;
	int fd, type, result;
};

/* Shares our memory and descriptors, and nothing else. */
static int child(void *arg)
{
	struct errand *e = arg;

	if ((e->ns->user >= 0 && setns(e->ns->user, CLONE_NEWUSER) < 0) ||
	    setns(e->ns->net, CLONE_NEWNET) < 0)
		e->result = -errno;
	else
		e->result = e->run(e);
	return 0;
}

static int send_child(struct errand *e)
{
	char stack[STACK] __attribute__((aligned(16)));
	int dumpable = prctl(PR_GET_DUMPABLE), old = 0;
	sigset_t all, before;
	pid_t pid;

	e->result = -ECHILD;
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all,
			       &before); /* ours are not the child's */
	(void) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES,
		    e);
	if (pid < 0)
		e->result = -errno;
	else
		(void) waitpid(pid, NULL, __WALL); /* it has ended */
	(void) pthread_setcancelstate(old, NULL);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* other credentials may have hidden the memory that is ours, too */
	if (dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1)
		(void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return e->result;
}

/* ---- errands ---- */

static int make_socket(struct errand *e)
{
	int fd = socket(AF_INET, e->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int make_listener(struct errand *e)
{
	int fd = make_socket(e), one = 1, failed;

	if (fd < 0)
		return fd;
	/* SO_REUSEPORT: netns_share; a program's own is of the port's other addresses */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0 &&
	    bind(fd, (const struct sockaddr *) e->address, sizeof(*e->address)) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	failed = errno;
	(void) close(fd); /* nobody has used it */
	return -failed;
}

/* There our user is root, who may change the owner of what is of another user of it. */
static int become_owner(struct errand *e)
{
	return fchown(e->fd, 0, (gid_t) -1) < 0 ? -errno : 0;
}

int netns_socket(const struct netns *n, int type)
{
	return send_child(
		&(struct errand){ .ns = n, .run = make_socket, .type = type });
}

int netns_listen(const struct netns *n, const struct sockaddr_in *address)
{
	return send_child(&(struct errand){ .ns = n,
					    .run = make_listener,
					    .address = address,
					    .type = SOCK_STREAM });
}

int netns_share(const struct netns *n, int fd)
{
	struct errand e = { .ns = n, .run = become_owner, .fd = fd };
	int one = 1, r = 0;

	/* the kernel lets sockets of one user share a port: that of netns_listen is ours */
	if (fchown(fd, geteuid(), (gid_t) -1) < 0)
		r = send_child(&e);
	if (!r && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		r = -errno;
	return r;
}
