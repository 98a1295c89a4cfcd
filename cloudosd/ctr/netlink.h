/* SPDX-License-Identifier: MIT */
/*
 * Messages to the kernel's network: building them, sending them, waiting for what it says.
 * HOST.  For network*.c.
 */
#ifndef CTR_NETLINK_H
#define CTR_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NETLINK_ROOM = 16384 };

/* One or more messages; what does not fit sets `full`. */
struct netlink {
	_Alignas(8) char data[NETLINK_ROOM];
	size_t size;
	size_t message; /* where the one being built begins */
	uint32_t seq;   /* of the first */
	uint32_t answers;
	bool full;
};

void netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, const void *head,
		   size_t head_size);
void netlink_end(struct netlink *n);
void netlink_bytes(struct netlink *n, uint16_t attribute, const void *data,
		   size_t size);
void netlink_text(struct netlink *n, uint16_t attribute, const char *text);
void netlink_u32(struct netlink *n, uint16_t attribute, uint32_t value);
void netlink_be32(struct netlink *n, uint16_t attribute, uint32_t value);
size_t netlink_nest(struct netlink *n, uint16_t attribute); /* give it to ... */
void netlink_unnest(struct netlink *n, size_t nest);

/* A socket of that family in the caller's network name space; -errno. */
int netlink_open(int protocol);

/* Sends all of it and waits for every answer; 0 or the first -errno. */
int netlink_do(int fd, struct netlink *n);

/* Asks for a list; each message goes to `each`.  0 or -errno. */
int netlink_list(int fd, struct netlink *n,
		 void (*each)(const struct nlmsghdr *m, void *arg), void *arg);

/* One attribute after the other; false: there is none any more. */
struct netlink_walk {
	const char *at;
	size_t size;
};
bool netlink_next(struct netlink_walk *w, uint16_t *out_type, const void **out_data,
		  size_t *out_size);

/* The attribute of that type among those at `at`; NULL: none.  out_size of its data. */
const void *netlink_find(const void *at, size_t size, uint16_t attribute,
			 size_t *out_size);

#endif
