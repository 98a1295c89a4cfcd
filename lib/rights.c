/* SPDX-License-Identifier: MIT */
/* Descriptors beside the bytes of a local socket.  HOST. */
#include "lib/rights.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

ssize_t co_rights_send(int socket, const void *data, size_t size, const int *fds,
		       size_t n)
{
	struct iovec iov = { (void *) data, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union co_rights_room room;
	ssize_t sent;

	if (n > CO_RIGHTS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n) {
		struct cmsghdr *c = &room.align;

		memset(&room, 0, CMSG_SPACE(n * sizeof(int)));
		m.msg_control = &room;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do
		sent = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

size_t co_rights_take(struct msghdr *m, int *fds, size_t room, pid_t *out_sender)
{
	size_t came = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		struct ucred who;

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS && out_sender) {
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			if (who.pid > 0)
				*out_sender = who.pid;
		}
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++, came++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (came < room)
				fds[came] = fd;
			else
				(void) close(fd); /* nobody is left who could care */
		}
	}
	return came;
}
