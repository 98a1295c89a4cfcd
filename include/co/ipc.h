/* SPDX-License-Identifier: MIT */
/*
 * Words of the messages about ports and connections (wire.def, 70 to 99).  SHARED by guest
 * and host.  What the segments look like is the ring's matter.
 *
 * A peer is a connection to the daemon that has said ipc_join; a process may have several.
 * Its requests may be answered in another order than they came: an open waits for its
 * receiver.  Who answers what:
 *
 *	client                    cloudosd                     receiver
 *	ipc_open + segment  ───▶  seals, size, quota
 *	                          ipc_attach + segment    ───▶
 *	                          ipc_accept + segment    ◀───  (or ipc_close: refused)
 *	reply + 2 segments  ◀───
 *
 * Every ipc_attach is answered, by exactly one ipc_accept or ipc_close.  A peer reads its
 * connection whenever the kick counter of its control page has changed.
 *
 * Messages go on without a daemon.  A peer that has lost its connection joins again, creates
 * its ports again (port_create with cookie and secret), registers their names and says
 * ipc_resume for each connection that it has, on either side: from then on the death of the
 * other side is told again.
 */
#ifndef CO_IPC_H
#define CO_IPC_H

#include <stdint.h>

/* ipc_join: the control page tells how many of CloudOS's messages cloudosd holds for this
 * process, and kicks when there is one more; not from another pid name space */
#define CO_IPC_JOIN_MESSAGES 1U

/* port_create, port_receive: nobody receives there yet */
#define CO_IPC_NO_DOORBELL UINT32_MAX

/* port_create: what ipc_open finds by the pid of this process */
#define CO_IPC_PORT_MAIN 1U
/* port_create: what CO_IPC_OPEN_MESSAGES finds: CloudOS's messages (libcloudos/direct.c) */
#define CO_IPC_PORT_MESSAGES 2U

/* port_receive: not any more; what is connected stays so */
#define CO_IPC_RECEIVE_STOP 1U

/* name_register: a name of the peer's session, found by its programs before other names */
#define CO_IPC_NAME_SESSION 1U
/* name_register: it gives way, and its place, to another process's of the same text */
#define CO_IPC_NAME_WEAK 2U

/* ipc_open: the name is one of a registered service, whose healthiest instance is meant */
#define CO_IPC_OPEN_SERVICE 1U
/* ipc_open: the pid's port for CloudOS's messages, not its main one */
#define CO_IPC_OPEN_MESSAGES 2U

/* ipc_resume: the side of the receiver; `pid` is the client's */
#define CO_IPC_RESUME_RECEIVER 1U

/* ipc_detach.why, ipc_close.why */
enum co_ipc_why {
	CO_IPC_CLOSED,    /* the other side has closed the connection; it is over */
	CO_IPC_DIED,      /* the other side has ended; it is over */
	CO_IPC_DESTROYED, /* the port is gone; what has been received may be answered, then
			     the client closes */
	CO_IPC_REVOKED, /* the same by order of cloudosctl channel kill */
	CO_IPC_FULL     /* ipc_close by a receiver that has no room */
};

#endif
