/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and the sender's credentials beside the bytes of a local socket.  HOST.
 *
 * struct msghdr m and room for what comes beside are the receiver's: it knows its flags,
 * and what an end or half a message means to it.
 *
 *	union co_rights_room room;
 *	struct msghdr m = { &iov and 1, .msg_control = &room,
 *			    .msg_controllen = sizeof(room) };
 *	recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
 *	came = co_rights_take(&m, fds, co_countof(fds), &sender);
 */
#ifndef CO_RIGHTS_H
#define CO_RIGHTS_H

#include <sys/socket.h>
#include <sys/types.h>

enum { CO_RIGHTS_MAX = 253 /* the kernel sends no more at once */ };

union co_rights_room {
	struct cmsghdr align;
	char space[CMSG_SPACE(CO_RIGHTS_MAX * sizeof(int)) +
		   CMSG_SPACE(3 * sizeof(int)) /* struct ucred */];
};

/* As send() with MSG_NOSIGNAL, but goes on after signals; n descriptors, which stay the
 * caller's, go beside the first byte.  More than CO_RIGHTS_MAX: EINVAL, as the kernel. */
ssize_t co_rights_send(int socket, const void *data, size_t size, const int *fds,
		       size_t n);

/* What came beside m.  The first `room` descriptors go into fds and become the caller's,
 * others are closed; returns how many came.  *out_sender (may be NULL) is who sent it if
 * the kernel said so and he can be seen from here; otherwise it is left alone. */
size_t co_rights_take(struct msghdr *m, int *fds, size_t room, pid_t *out_sender);

#endif
