/* SPDX-License-Identifier: MIT */
/*
 * The network of one container.  HOST.  Who calls it: the monitor, from ctr_create's
 * `prepared`; the daemon, for what a killed monitor left and for what this box can do.
 *
 * config->cloudos.network is a JSON object, all of it the service's choice:
 *
 *	mode      "none" | "host" | "bridge" | "private" | "container"
 *	bridge    "cloudos0"       of mode bridge: made when missing, removed with its last
 *	gateway   "10.201.0.1"     the bridge's own address
 *	prefix    24
 *	address   "10.201.0.7"     the container's; in mode private it may be left out
 *	mac       "02:..."         may be left out: made from the address
 *	mtu       1500             may be left out
 *	ports     [{"protocol":"tcp"|"udp","address":"0.0.0.0","host":8080,"inside":80}]
 *
 * "none" needs nothing but ctr_network_loopback (which the engine calls for every new network
 * name space), "host" nothing, "container" a network name space with a path in config.json.
 *
 * Ports: in mode bridge those whose address is not 127.* become elements of one nf_tables
 * map; those on 127.* are the daemon's, which relays them (cloudosd/relay.h).  In mode
 * private pasta or slirp4netns listens for all of them, as they were when it started.  In
 * mode none all are the daemon's, which makes sockets in the container's network.
 *
 * What mode bridge makes: the bridge (its alias is "cloudos forward=N", N what ip_forward
 * was), `table inet cloudos`, one veth pair a container.  A second after the last one of a
 * bridge the bridge goes, with the last bridge the table, and ip_forward gets its old value
 * back.
 */
#ifndef CTR_NETWORK_H
#define CTR_NETWORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"

struct ctr_network;

/* Inside: brings lo up in the caller's own network name space. */
int ctr_network_loopback(struct co_err *err);

/*
 * Outside, when the container's name spaces stand.  CO_INVALID: the object is not one;
 * CO_EXISTS: a port is published already, by us or another; CO_CONFLICT: the subnet is in
 * use on this host; CO_UNSUPPORTED: this box cannot, with a sentence that says what it needs.
 */
int ctr_network_create(const char *id, struct co_span json, pid_t pid,
		       struct ctr_network **out, struct co_err *err);

/*
 * Members for C.network, without braces: "mode":..,"ip":..,"gateway":..,"tool":"pasta",
 * "warning":"...".  A warning is a sentence: what will not work and what to do about it.
 */
void ctr_network_describe(const struct ctr_network *n, struct co_buf *out_json);

/* Readable when the program that carries a private network has ended; -1: there is none.
 * Borrowed.  The container has no network then. */
int ctr_network_ended_fd(const struct ctr_network *n);

/* Publishes what `json` (the whole object with its new ports) has, and not what it has not.
 * All or nothing.  CO_UNSUPPORTED in mode private: the ports stay as they were. */
int ctr_network_publish(struct ctr_network *n, struct co_span json, struct co_err *err);

/* Takes it away; n is gone.  NULL is allowed. */
void ctr_network_remove(struct ctr_network *n);

/* The same for a program without threads that is about to end: a child of it takes away
 * what containers share, a second later, if nobody uses it then. */
void ctr_network_leave(struct ctr_network *n);

/*
 * Takes away what a monitor that was killed left of the container; what is not there is no
 * failure.  It blocks for some milliseconds: not in a loop.
 */
int ctr_network_clean(const char *id, struct co_span json, struct co_err *err);

/* What this box can do, tried out in a network name space that is thrown away. */
struct ctr_network_probe {
	bool bridge;
	char bridge_why[256]; /* "" or a sentence */
	bool private_;
	char tool[16]; /* "pasta" or "slirp4netns" */
	char private_why[256];
	char forward[256]; /* who drops what is forwarded, "" nobody does */
};
void ctr_network_look(struct ctr_network_probe *out);

#endif
