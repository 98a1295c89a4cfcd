/* SPDX-License-Identifier: MIT */
/* Messages to the kernel's network.  HOST. */
#include "cloudosd/ctr/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers at once; a bound is for kernels that do not. */
enum { ANSWER_S = 10 };

/* NLA_HDRLEN and NLA_ALIGN, which are signed in the kernel's header. */
enum { HEAD = 4 };

static size_t aligned(size_t n)
{
	return (n + 3) & ~(size_t) 3;
}

/* Answers to what an earlier, failed batch asked may still come. */
static uint32_t last_seq;

static void add(struct netlink *n, const void *data, size_t size)
{
	size_t padded = aligned(size);

	if (n->full || padded > sizeof(n->data) - n->size) {
		n->full = true;
		return;
	}
	memset(n->data + n->size, 0, padded);
	if (size)
		memcpy(n->data + n->size, data, size);
	n->size += padded;
}

void netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, const void *head,
		   size_t head_size)
{
	struct nlmsghdr h = {
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags),
		.nlmsg_seq = ++last_seq,
	};

	if (!n->seq)
		n->seq = h.nlmsg_seq;
	n->message = n->size;
	n->answers += (flags & NLM_F_ACK) != 0;
	add(n, &h, sizeof(h));
	add(n, head, head_size);
}

void netlink_end(struct netlink *n)
{
	struct nlmsghdr *h = (void *) (n->data + n->message);

	if (!n->full)
		h->nlmsg_len = (uint32_t) (n->size - n->message);
}

void netlink_bytes(struct netlink *n, uint16_t attribute, const void *data, size_t size)
{
	struct nlattr a = { .nla_type = attribute,
			    .nla_len = (uint16_t) (HEAD + size) };

	add(n, &a, sizeof(a));
	add(n, data, size);
}

void netlink_text(struct netlink *n, uint16_t attribute, const char *text)
{
	netlink_bytes(n, attribute, text, strlen(text) + 1);
}

void netlink_u32(struct netlink *n, uint16_t attribute, uint32_t value)
{
	netlink_bytes(n, attribute, &value, sizeof(value));
}

void netlink_be32(struct netlink *n, uint16_t attribute, uint32_t value)
{
	netlink_u32(n, attribute, htonl(value));
}

size_t netlink_nest(struct netlink *n, uint16_t attribute)
{
	size_t at = n->size;

	netlink_bytes(n, attribute | NLA_F_NESTED, NULL, 0);
	return at;
}

void netlink_unnest(struct netlink *n, size_t nest)
{
	struct nlattr *a = (void *) (n->data + nest);

	if (!n->full)
		a->nla_len = (uint16_t) (n->size - nest);
}

int netlink_open(int protocol)
{
	struct timeval bound = { .tv_sec = ANSWER_S };
	int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	/* neither is needed for it to work */
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	(void) setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return fd;
}

static int send_all(int fd, const struct netlink *n)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (n->full)
		return -E2BIG;
	if (sendto(fd, n->data, n->size, 0, (void *) &kernel, sizeof(kernel)) !=
	    (ssize_t) n->size)
		return -errno;
	return 0;
}

static ssize_t receive(int fd, void *buffer, size_t size)
{
	ssize_t got;

	do {
		got = recv(fd, buffer, size, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return got;
}

int netlink_do(int fd, struct netlink *n)
{
	_Alignas(8) char buffer[8192];
	uint32_t left = n->answers;
	int rc = send_all(fd, n);

	while (rc == 0 && left > 0) {
		ssize_t got = receive(fd, buffer, sizeof(buffer));
		unsigned size;

		if (got < 0)
			return (int) got;
		size = (unsigned) got;
		for (struct nlmsghdr *h = (void *) buffer; NLMSG_OK(h, size);
		     h = NLMSG_NEXT(h, size)) {
			const struct nlmsgerr *e = NLMSG_DATA(h);

			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < n->seq)
				continue;
			left--;
			if (e->error && rc == 0)
				rc = e->error; /* a batch ends with its first */
			if (!left)
				break;
		}
	}
	return rc;
}

int netlink_list(int fd, struct netlink *n,
		 void (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
	_Alignas(8) char buffer[32768];
	int rc = send_all(fd, n);

	while (rc == 0) {
		ssize_t got = receive(fd, buffer, sizeof(buffer));
		unsigned size;

		if (got < 0)
			return (int) got;
		size = (unsigned) got;
		for (struct nlmsghdr *h = (void *) buffer; NLMSG_OK(h, size);
		     h = NLMSG_NEXT(h, size)) {
			if (h->nlmsg_seq < n->seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *) NLMSG_DATA(h))->error;
			each(h, arg);
		}
	}
	return rc;
}

bool netlink_next(struct netlink_walk *w, uint16_t *out_type, const void **out_data,
		  size_t *out_size)
{
	const struct nlattr *a = (const void *) w->at;
	size_t step;

	if (!w->at || w->size < HEAD || a->nla_len < HEAD || a->nla_len > w->size)
		return false;
	*out_type = (uint16_t) (a->nla_type & (unsigned) NLA_TYPE_MASK);
	*out_data = w->at + HEAD;
	*out_size = a->nla_len - (size_t) HEAD;
	step = aligned(a->nla_len);
	if (step > w->size)
		step = w->size;
	w->at += step;
	w->size -= step;
	return true;
}

const void *netlink_find(const void *at, size_t size, uint16_t attribute,
			 size_t *out_size)
{
	struct netlink_walk w = { at, size };
	const void *data;
	uint16_t type;

	while (netlink_next(&w, &type, &data, out_size))
		if (type == attribute)
			return data;
	return NULL;
}
