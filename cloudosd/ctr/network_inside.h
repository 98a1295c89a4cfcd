/* SPDX-License-Identifier: MIT */
/* What the files of network*.c share.  HOST. */
#ifndef CTR_NETWORK_INSIDE_H
#define CTR_NETWORK_INSIDE_H

#include <net/if.h>
#include <netinet/in.h>

#include "cloudosd/ctr/network.h"
#include "lib/cleanup.h"

#define NETWORK_IN   "eth0" /* what a container calls its own end */
#define NETWORK_MARK "cloudos forward="

enum { NETWORK_PORTS = 1024 };

enum network_mode {
	NETWORK_NONE,
	NETWORK_HOST,
	NETWORK_BRIDGE,
	NETWORK_PRIVATE,
	NETWORK_CONTAINER
};

struct network_port {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	struct in_addr address;
	uint16_t host, inside;
};

/* The JSON object, checked. */
struct network_plan {
	enum network_mode mode;
	char bridge[IFNAMSIZ];
	char veth[IFNAMSIZ]; /* the host's end */
	struct in_addr gateway, address;
	unsigned prefix, mtu;
	uint8_t mac[6];
	struct network_port *ports;
	size_t port_count;
};

int network_plan_read(const char *id, struct co_span json, struct network_plan *out,
		      struct co_err *err);
void network_plan_done(struct network_plan *p);

static inline bool network_is_loopback(struct in_addr a)
{
	return (ntohl(a.s_addr) >> 24) == 127;
}

static inline struct in_addr network_of(struct in_addr a, unsigned prefix)
{
	uint32_t mask = prefix ? UINT32_MAX << (32 - prefix) : 0;

	return (struct in_addr){ .s_addr = a.s_addr & htonl(mask) };
}

struct ctr_network {
	char *id;
	struct network_plan plan;
	char warning[400];
	const char *tool; /* of mode private */
	pid_t tool_pid;   /* our keeper of its process group; 0: none */
	int tool_fd, tool_alive;
};

/* One at a time changes what containers share.  A descriptor, or -errno. */
int network_lock(void);
void network_unlock(int fd, bool last);

/* ---- network_bridge.c: links, addresses, routes ---- */

/* Links of ours. */
struct network_links {
	const char *bridge; /* asked about */
	int index;          /* of it; 0: there is none */
	unsigned members;   /* links in it */
	unsigned others;    /* further bridges with our mark */
	int forward;        /* what the marks say ip_forward was; -1: no mark */
	bool foreign;       /* it is there and does not have our mark */
};
int network_links(int fd, const char *bridge, struct network_links *out);

int network_bridge_make(int fd, const struct network_plan *p, struct co_err *err);
/* Removes it when nothing is in it.  out_gone: it is gone; out_last: no other is left. */
int network_bridge_drop(int fd, const struct network_plan *p, bool *out_gone,
			bool *out_last);
int network_veth_make(int fd, const struct network_plan *p, int name_space,
		      struct co_err *err);
int network_veth_drop(int fd, const struct network_plan *p);
/* Out of its bridge, and the rest is the kernel's: it goes with the container's name space.
 * Dropping waits for that, some 20 ms. */
int network_veth_leave(int fd, const struct network_plan *p);
int network_inside(int fd, const struct network_plan *p, struct co_err *err);

/* ---- network_nft.c: the table ---- */

int network_table_make(int fd, const struct network_plan *p, struct co_err *err);

/* Adds or removes elements for the ports that are not on 127.*; all or nothing. */
int network_table_ports(int fd, const struct network_plan *add,
			const struct network_plan *remove, struct co_err *err);
void network_table_drop(int fd, const struct network_plan *p, bool bridge, bool last);

/* Who drops what is forwarded: "table ip filter"; "" nobody. */
void network_forward_policy(int fd, char *out, size_t n);

/* ---- network_private.c: pasta, slirp4netns ---- */

/* The program's path, "" none; `tool` is its name then. */
const char *network_tool_find(char *out, size_t n);
int network_private_start(struct ctr_network *n, pid_t pid, struct co_err *err);
void network_private_stop(struct ctr_network *n);

#endif
