/* SPDX-License-Identifier: MIT */
/*
 * Where a service listens.  HOST.
 *
 * A program that binds the wildcard address of IPv4 or IPv6 gets the address of its service
 * instead: the back one for the stream port that the registry of names has for it, where
 * the gateway finds it, otherwise the front one.  The address is read once, and the daemon
 * binds the program's own socket, so what was looked at is what is bound.  Everything else
 * goes to the kernel as it is.
 *
 * A socket that is for IPv6 only cannot have an IPv4 address.  Programs bind one beside
 * another for IPv4, which is the one that counts; so it is made one for both and put aside,
 * on 127.78.D.n, where it is in nobody's way.
 *
 * In a container with a network of its own there is nothing to be in anybody's way of: it
 * binds what it says, and when it listens on the service's port the back address leads there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/service/names.h"
#include "lib/cleanup.h"
#include "personality/blackroad/caught.h"

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/* The addresses of the calling service, copied: the registry may change meanwhile. */
struct place {
	struct in_addr front, back;
	uint32_t port;
	char name[NAME_WORD], health[NAME_URL];
};

static bool find_place(struct co_call *call, struct place *out)
{
	const struct names *names = call_services(call)->names;
	const struct name *name =
		names ? names_find(names, co_span(call_service(call))) : NULL;

	if (!name || !names_front(names, name).s_addr)
		return false;
	out->front = names_front(names, name);
	out->back = names_back(names, name);
	out->port = name->port;
	(void) snprintf(out->name, sizeof(out->name), "%s", name->name);
	(void) snprintf(out->health, sizeof(out->health), "%s", name->health);
	return true;
}

/* ---- bind ---- */

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

/* Is that the wildcard address, as Linux understands it for a socket of that domain? */
static bool is_wildcard(int domain, const union address *a, uint32_t size)
{
	if (domain == AF_INET && size >= sizeof(a->in))
		return (a->any.sa_family == AF_INET || a->any.sa_family == AF_UNSPEC) &&
		       a->in.sin_addr.s_addr == 0;
	/* without the scope, which came later: SIN6_LEN_RFC2133 */
	if (domain == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id))
		return a->any.sa_family == AF_INET6 &&
		       (IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr) &&
			 !a->in6.sin6_addr.s6_addr32[3]));
	return false;
}

/* On 127.78 instead of 127.77. */
static struct in_addr aside(struct in_addr front)
{
	return (struct in_addr){ front.s_addr + htonl(1U << 16) };
}

/* Where that socket goes instead; the size of the address. */
static socklen_t redirect(int fd, int domain, union address *a, const struct place *p)
{
	uint16_t port = a->in.sin_port; /* at one place in both */
	bool only6 = domain == AF_INET6 && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
	bool served = option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
		      ntohs(port) == p->port;
	struct in_addr to = only6 ? aside(p->front) : served ? p->back : p->front;
	int off = 0;

	if (only6)
		(void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	memset(a, 0, sizeof(*a));
	if (domain == AF_INET) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = port;
		a->in.sin_addr = to;
		return sizeof(a->in);
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = port;
	a->in6.sin6_addr.s6_addr[10] = a->in6.sin6_addr.s6_addr[11] = 0xff;
	a->in6.sin6_addr.s6_addr32[3] = to.s_addr;
	return sizeof(a->in6);
}

/* A daemon of the system may bind what its guests may not. */
static bool may_bind(struct co_call *call, uint16_t port)
{
	autofclose FILE *f = NULL;
	unsigned first = 1024;
	uint32_t uid;

	if (!port || geteuid() != 0)
		return true;
	if (process_user(call_tid(call), &uid) == 0 && uid == 0)
		return true;
	f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	if (f && fscanf(f, "%u", &first) != 1)
		first = 1024;
	return port >= first;
}

/* Bound already by a daemon that did not live to say so? */
static bool bound_before(int fd, const union address *a, socklen_t size)
{
	union address now = { 0 };
	socklen_t n = sizeof(now);

	return getsockname(fd, &now.any, &n) == 0 && n == size &&
	       !memcmp(&now, a, size);
}

static int64_t bind_there(struct co_call *call, int fd, union address *a,
			  const struct place *p)
{
	int domain = option(fd, SOL_SOCKET, SO_DOMAIN);
	socklen_t size;

	if (!may_bind(call, ntohs(a->in.sin_port)))
		return call_fail(call, call_errno(EACCES),
				 "bind: port %u is for privileged programs",
				 ntohs(a->in.sin_port));
	size = redirect(fd, domain, a, p);
	if (bind(fd, &a->any, size) == 0)
		return 0;
	if (errno == EINVAL && call_again(call) && bound_before(fd, a, size))
		return 0;
	return call_fail(call, call_errno(errno), "bind: %s of %s: %s",
			 domain == AF_INET ? "an address" : "an IPv6 address", p->name,
			 strerror(errno));
}

/* Without the core lock.  The socket, if that call binds the wildcard address; -1 if the
 * kernel is to do it; -2 with the result if it cannot be done. */
static int wildcard_socket(struct co_call *call, const uint64_t words[6],
			   union address *a, int64_t *out_result)
{
	uint32_t size = (uint32_t) words[2];
	int fd;

	memset(a, 0, sizeof(*a));
	if (size < offsetof(struct sockaddr_in, sin_zero) || size > sizeof(*a) ||
	    call_guest_bytes(call, words[1], a, size))
		return -1;
	if (a->any.sa_family != AF_INET && a->any.sa_family != AF_INET6 &&
	    a->any.sa_family != AF_UNSPEC)
		return -1;
	fd = call_guest_fd(call, (int) words[0]);
	if (fd == CO_INVALID)
		return -1; /* it is not open, which the kernel can say as well */
	if (fd < 0) {
		*out_result = call_errno(EACCES); /* the reason is recorded */
		return -2;
	}
	if (!is_wildcard(option(fd, SOL_SOCKET, SO_DOMAIN), a, size)) {
		(void) close(fd);
		return -1;
	}
	return fd;
}

static bool is_tcp(int fd)
{
	int domain = option(fd, SOL_SOCKET, SO_DOMAIN);

	return (domain == AF_INET || domain == AF_INET6) &&
	       option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
}

/* What it binds is its own business; that it can is ours. */
static int64_t bind_housed(struct co_call *call, const uint64_t words[6])
{
	autoclose int fd = -1;
	union address a;
	int shared = 0;
	bool read;

	memset(&a, 0, sizeof(a));
	call_blocking_begin(call);
	read = words[2] >= offsetof(struct sockaddr_in, sin_zero) &&
	       call_guest_bytes(call, words[1], &a,
				offsetof(struct sockaddr_in, sin_zero)) == 0;
	if (read)
		fd = call_guest_fd(call, (int) words[0]);
	call_blocking_end(call);
	if (fd >= 0 && is_tcp(fd))
		shared = call_share_port(call, ntohs(a.in.sin_port), fd);
	return shared < 0 ? call_fail(call, call_errno(-shared),
				      "bind: the port cannot be shared with the "
				      "addresses of the services: %s",
				      strerror(-shared))
			  : call_continue(call);
}

int64_t blackroad_do_bind(struct co_call *call, const uint64_t words[6])
{
	int64_t result = 0;
	struct place place;
	union address a;
	int fd;

	if (!find_place(call, &place))
		return call_continue(call);
	if (call_is_housed(call))
		return bind_housed(call, words);
	call_blocking_begin(call);
	fd = wildcard_socket(call, words, &a, &result);
	if (fd >= 0) {
		result = bind_there(call, fd, &a, &place);
		(void) close(fd);
	}
	call_blocking_end(call);
	return fd == -1 ? call_continue(call) : result;
}

/* ---- listen ---- */

static bool is_back(int fd, const struct place *p)
{
	union address a = { 0 };
	socklen_t n = sizeof(a);

	if (getsockname(fd, &a.any, &n) < 0 || ntohs(a.in.sin_port) != p->port)
		return false;
	if (a.any.sa_family == AF_INET)
		return a.in.sin_addr.s_addr == p->back.s_addr;
	return a.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr) &&
	       a.in6.sin6_addr.s6_addr32[3] == p->back.s_addr;
}

/* Whether or not it could be kept: the program listens. */
static void registered(void *arg, int status, const char *reason)
{
	struct co_call *call = arg;

	(void) status; /* the registry reports a store that fails */
	(void) reason;
	call_reply(call, 0);
	(void) call_release(call);
}

static void nobody_waits(struct co_call *call, void *arg)
{
	(void) call; /* registered() finds it answered */
	(void) arg;
}

/* The program is in the registry of services before its call returns. */
static int64_t announce(struct co_call *call, const struct place *p,
			const struct sockaddr_in *carried)
{
	struct service_spec spec = { .port = p->port, .instances = 1 };
	char front[INET_ADDRSTRLEN], back[INET_ADDRSTRLEN], inside[INET_ADDRSTRLEN];
	struct co_err err = { 0 };

	(void) inet_ntop(AF_INET, &p->front, front, sizeof(front));
	(void) inet_ntop(AF_INET, &p->back, back, sizeof(back));
	(void) snprintf(spec.name, sizeof(spec.name), "%s", p->name);
	(void) snprintf(spec.endpoint, sizeof(spec.endpoint), "http://%s:%u", front,
			p->port);
	(void) snprintf(spec.health_check, sizeof(spec.health_check),
			"http://%s:%u%.200s#optional", back, p->port, p->health);
	(void) snprintf(spec.metadata, sizeof(spec.metadata), "back=%s:%u", back,
			p->port);
	if (carried) {
		(void) inet_ntop(AF_INET, &carried->sin_addr, inside, sizeof(inside));
		(void) snprintf(spec.metadata, sizeof(spec.metadata),
				"back=%s:%u carried=%s:%u", back, p->port, inside,
				ntohs(carried->sin_port));
	}
	if (registry_register(call_services(call)->registry, &spec, call_process(call),
			      call_session(call), NULL, registered, call_retain(call),
			      &err)) {
		(void) call_release(call);
		return 0; /* it listens all the same; the limits of the registry */
	}
	return call_pend(call, nobody_waits, NULL);
}

/* Where a socket with the service's port is reached in its own network; false: it is
 * another, or cannot be reached over IPv4. */
static bool reached_at(int fd, const struct place *p, struct sockaddr_in *out)
{
	union address a = { 0 };
	socklen_t n = sizeof(a);

	if (!is_tcp(fd) || getsockname(fd, &a.any, &n) < 0 ||
	    ntohs(a.in.sin_port) != p->port)
		return false;
	*out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = a.in.sin_port };
	if (a.any.sa_family == AF_INET)
		out->sin_addr = a.in.sin_addr;
	else if (IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
		out->sin_addr.s_addr = a.in6.sin6_addr.s6_addr32[3];
	else if (!IN6_IS_ADDR_UNSPECIFIED(&a.in6.sin6_addr) ||
		 option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1)
		return false;
	if (!out->sin_addr.s_addr)
		out->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return true;
}

static int64_t listen_housed(struct co_call *call, const uint64_t words[6],
			     const struct place *p)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t) p->port),
				    .sin_addr = p->back },
			   to;
	struct co_err err = { 0 };
	autoclose int fd = -1;
	int r;

	call_blocking_begin(call);
	fd = call_guest_fd(call, (int) words[0]);
	call_blocking_end(call);
	if (fd < 0 || !reached_at(fd, p, &to))
		return call_continue(call);
	r = call_carry(call, &from, &to, &err);
	if (r)
		return call_fail(call, call_errno(r == CO_EXISTS ? EADDRINUSE : EACCES),
				 "listen: %s cannot be reached in its container: %s",
				 p->name, err.message);
	if (listen(fd, (int) words[1]) < 0)
		return call_fail(call, call_errno(errno), "listen: %s",
				 strerror(errno));
	return announce(call, p, &to);
}

int64_t blackroad_do_listen(struct co_call *call, const uint64_t words[6])
{
	autoclose int fd = -1;
	struct place place;
	int failed = 0;
	bool back = false;

	if (!find_place(call, &place))
		return call_continue(call);
	if (call_is_housed(call))
		return listen_housed(call, words, &place);
	call_blocking_begin(call);
	fd = call_guest_fd(call, (int) words[0]);
	if (fd >= 0)
		back = is_back(fd, &place);
	if (back && listen(fd, (int) words[1]) < 0)
		failed = errno;
	call_blocking_end(call);
	if (!back)
		return call_continue(call);
	return failed ? call_fail(call, call_errno(failed), "listen: %s",
				  strerror(failed))
		      : announce(call, &place, NULL);
}

/* ---- the host part ---- */

static int64_t dispatch(struct co_call *call, const struct co_op *op, void *args)
{
	const uint64_t *words = call_words(call);

	(void) args;
	switch (op->number) {
	case SYS_bind:
		return blackroad_do_bind(call, words);
	case SYS_listen:
		return blackroad_do_listen(call, words);
	case SYS_open:
		return blackroad_do_open(call, words);
	case SYS_openat:
		return blackroad_do_openat(call, words);
	default:
		return call_continue(call);
	}
}

/* These are Linux's calls: what the program gets is an errno. */
static int64_t raw_error(int status)
{
	int errnum = call_errno_of(status);

	return errnum ? -errnum : status == CO_NO_MEMORY ? -ENOMEM : -EIO;
}

static const char *error_name(int64_t raw)
{
	return raw < 0 && raw > -4096 ? strerrorname_np((int) -raw) : NULL;
}

static void failed(struct co_call *call, int status, const char *reason)
{
	(void) call; /* an errno says all that Linux says */
	(void) status;
	(void) reason;
}

const struct co_personality_host blackroad_host = {
	.name = "blackroad",
	.dispatch = dispatch,
	.raw_error = raw_error,
	.error_name = error_name,
	.failed = failed,
};
