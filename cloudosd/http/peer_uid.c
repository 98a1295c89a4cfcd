/* SPDX-License-Identifier: MIT */
/*
 * Whose socket is at the other end of a TCP connection within this machine?  HOST.
 *
 * The kernel is asked for exactly that socket (sock_diag); it answers within the send, so
 * nothing waits.  Where it has no such interface the table in /proc is read, up to a bound.
 * A socket without an inode has been closed: its user would be shown as root.
 * That it is our user is not enough: peer_holder.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "cloudosd/http/inside.h"
#include "cloudosd/http/peer_holder.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

enum { TABLE_LINES = 20000 };

struct ends {
	int family;
	uint16_t port[2];       /* network order: theirs, ours */
	uint32_t address[2][4]; /* likewise */
};

static bool end_of(const struct sockaddr_storage *a, struct ends *out, int which)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) a;

	out->family = a->ss_family;
	if (a->ss_family == AF_INET) {
		out->port[which] = v4->sin_port;
		out->address[which][0] = v4->sin_addr.s_addr;
		return true;
	}
	if (a->ss_family != AF_INET6)
		return false;
	out->port[which] = v6->sin6_port;
	memcpy(out->address[which], &v6->sin6_addr, 16);
	return true;
}

static bool ends_of(int fd, struct ends *out)
{
	struct sockaddr_storage theirs = { 0 }, ours = { 0 };
	socklen_t size = sizeof(theirs);

	*out = (struct ends){ 0 };
	if (getpeername(fd, (struct sockaddr *) &theirs, &size) < 0)
		return false;
	size = sizeof(ours);
	return getsockname(fd, (struct sockaddr *) &ours, &size) == 0 &&
	       end_of(&theirs, out, 0) && end_of(&ours, out, 1);
}

/* Seen from the other end, source and destination change places. */
static int ask_kernel(const struct ends *ends, uid_t *out_uid, unsigned long *out_inode)
{
	autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} ask = { .header = { .nlmsg_len = sizeof(ask),
			      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			      .nlmsg_flags = NLM_F_REQUEST },
		  .body = { .sdiag_family = (uint8_t) ends->family,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_states = ~0U } };
	struct {
		struct nlmsghdr header;
		struct inet_diag_msg body;
		char rest[4096];
	} answer;
	ssize_t n;

	ask.body.id.idiag_sport = ends->port[0];
	ask.body.id.idiag_dport = ends->port[1];
	memcpy(ask.body.id.idiag_src, ends->address[0], 16);
	memcpy(ask.body.id.idiag_dst, ends->address[1], 16);
	ask.body.id.idiag_cookie[0] = ask.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (co_fault("http.diag") || fd < 0 ||
	    send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		return CO_UNSUPPORTED;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < (ssize_t) sizeof(answer.header))
		return CO_UNSUPPORTED;
	if (answer.header.nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = (const void *) &answer.body;

		return error->error == -ENOENT &&
				       n >= (ssize_t) (sizeof(answer.header) +
						       sizeof(*error))
			       ? CO_NOT_FOUND
			       : CO_UNSUPPORTED;
	}
	if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    n < (ssize_t) (sizeof(answer.header) + sizeof(answer.body)))
		return CO_UNSUPPORTED;
	if (!answer.body.idiag_inode)
		return CO_NOT_FOUND;
	*out_uid = answer.body.idiag_uid;
	*out_inode = answer.body.idiag_inode;
	return 0;
}

/* "0100007F:1F90" as /proc/net/tcp has it: words in the machine's order. */
static void as_in_table(const struct ends *ends, int which, char out[48])
{
	size_t n = 0, words = ends->family == AF_INET ? 1 : 4;

	for (size_t i = 0; i < words; i++)
		n += (size_t) snprintf(out + n, 48 - n, "%08X",
				       ends->address[which][i]);
	(void) snprintf(out + n, 48 - n, ":%04X", ntohs(ends->port[which]));
}

static int read_table(const struct ends *ends, uid_t *out_uid, unsigned long *out_inode)
{
	autofclose FILE *f = fopen(
		ends->family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
	char line[512], theirs[48], ours[48], local[48], remote[48];
	unsigned uid;
	unsigned long inode;

	as_in_table(ends, 0, theirs);
	as_in_table(ends, 1, ours);
	for (int i = 0; f && i < TABLE_LINES && fgets(line, sizeof(line), f); i++)
		if (sscanf(line, " %*d: %47s %47s %*x %*x:%*x %*x:%*x %*x %u %*d %lu",
			   local, remote, &uid, &inode) == 4 &&
		    strcmp(local, theirs) == 0 && strcmp(remote, ours) == 0) {
			*out_uid = uid;
			*out_inode = inode;
			return inode ? 0 : CO_NOT_FOUND;
		}
	return CO_NOT_FOUND;
}

int peer_uid(int fd, uid_t *out_uid)
{
	struct ends ends;
	unsigned long inode;
	int r;

	if (!ends_of(fd, &ends))
		return CO_NOT_FOUND;
	r = ask_kernel(&ends, out_uid, &inode);
	return r == CO_UNSUPPORTED ? read_table(&ends, out_uid, &inode) : r;
}

struct peer_ask *peer_own_ask(const struct co_host *host, int fd, bool *out_own,
			      void (*told)(void *arg, bool own), void *arg)
{
	struct ends ends;
	unsigned long inode;
	uid_t uid;
	int r;

	*out_own = false;
	if (!ends_of(fd, &ends))
		return NULL;
	r = ask_kernel(&ends, &uid, &inode);
	if (r == CO_UNSUPPORTED)
		r = read_table(&ends, &uid, &inode);
	if (r || uid != geteuid())
		return NULL;
	return peer_holder_ask(host, inode, out_own, told, arg);
}
