/* SPDX-License-Identifier: MIT */
/*
 * Bridges, veth pairs, addresses and routes, by rtnetlink.  HOST.
 *
 * What a bridge of ours has to remember is in its alias: it is there as long as the bridge
 * is, whoever dies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"

/* ---- what is there ---- */

static void look_at_link(const struct nlmsghdr *m, void *arg)
{
	struct network_links *l = arg;
	const struct ifinfomsg *info = NLMSG_DATA(m);
	const char *at = (const char *) info + NLMSG_ALIGN(sizeof(*info));
	size_t size = m->nlmsg_len - NLMSG_LENGTH(sizeof(*info)), n = 0;
	const char *name = netlink_find(at, size, IFLA_IFNAME, &n);
	const char *alias = netlink_find(at, size, IFLA_IFALIAS, &n);
	size_t mark = strlen(NETWORK_MARK);
	bool ours = alias && n > mark && memcmp(alias, NETWORK_MARK, mark) == 0;
	int forward = ours ? alias[mark] == '1' : -1;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || !name)
		return;
	if (strcmp(name, l->bridge) == 0) {
		l->index = info->ifi_index;
		l->foreign = !ours;
	} else if (ours) {
		l->others++;
	}
	if (ours) /* who came first saw what was there before us */
		l->forward = l->forward == 0 ? 0 : forward;
}

static void count_member(const struct nlmsghdr *m, void *arg)
{
	struct network_links *l = arg;
	const struct ifinfomsg *info = NLMSG_DATA(m);
	size_t n = 0;
	const uint32_t *master = netlink_find(
		(const char *) info + NLMSG_ALIGN(sizeof(*info)),
		m->nlmsg_len - NLMSG_LENGTH(sizeof(*info)), IFLA_MASTER, &n);

	if (master && n == sizeof(*master) && (int) *master == l->index)
		l->members++;
}

static int list_links(int fd, void (*each)(const struct nlmsghdr *m, void *arg),
		      struct network_links *l)
{
	struct netlink n = { 0 };
	struct ifinfomsg info = { 0 };

	netlink_begin(&n, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
	netlink_end(&n);
	return netlink_list(fd, &n, each, l);
}

int network_links(int fd, const char *bridge, struct network_links *out)
{
	int rc;

	*out = (struct network_links){ .bridge = bridge, .forward = -1 };
	rc = list_links(fd, look_at_link, out);
	if (rc == 0 && out->index)
		rc = list_links(fd, count_member, out);
	return rc;
}

/* ---- is the subnet somebody else's? ---- */

struct overlap {
	struct in_addr network;
	unsigned prefix;
	int own; /* the bridge's index */
	int found;
};

static void look_at_route(const struct nlmsghdr *m, void *arg)
{
	struct overlap *o = arg;
	const struct rtmsg *r = NLMSG_DATA(m);
	const char *at = (const char *) r + NLMSG_ALIGN(sizeof(*r));
	size_t size = m->nlmsg_len - NLMSG_LENGTH(sizeof(*r)), n = 0, k = 0;
	const struct in_addr *to = netlink_find(at, size, RTA_DST, &n);
	const int *oif = netlink_find(at, size, RTA_OIF, &k);
	unsigned shorter;

	if (r->rtm_family != AF_INET || r->rtm_table != RT_TABLE_MAIN ||
	    !r->rtm_dst_len || !to || n != sizeof(*to) ||
	    (oif && k == sizeof(*oif) && *oif == o->own))
		return;
	shorter = r->rtm_dst_len < o->prefix ? r->rtm_dst_len : o->prefix;
	if (network_of(*to, shorter).s_addr == network_of(o->network, shorter).s_addr)
		o->found = oif ? *oif : -1;
}

static int check_subnet(int fd, const struct network_plan *p, int own,
			struct co_err *err)
{
	struct netlink n = { 0 };
	struct rtmsg r = { .rtm_family = AF_INET };
	struct overlap o = { .network = network_of(p->gateway, p->prefix),
			     .prefix = p->prefix,
			     .own = own };
	char name[IF_NAMESIZE] = "another link", text[INET_ADDRSTRLEN];
	int rc;

	netlink_begin(&n, RTM_GETROUTE, NLM_F_DUMP, &r, sizeof(r));
	netlink_end(&n);
	rc = netlink_list(fd, &n, look_at_route, &o);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot list the routes of this host");
	if (!o.found)
		return 0;
	(void) if_indextoname((unsigned) o.found, name); /* else "another link" */
	return co_fail(
		err, CO_CONFLICT,
		"the containers' subnet %s/%u is in use on this host already, by %s: "
		"set containers.subnet in cloudosd.yaml to one that is free",
		inet_ntop(AF_INET, &o.network, text, sizeof(text)), p->prefix, name);
}

/* ---- making ---- */

static void put_address(struct netlink *n, int index, struct in_addr a, unsigned prefix)
{
	struct ifaddrmsg m = { .ifa_family = AF_INET,
			       .ifa_prefixlen = (uint8_t) prefix,
			       .ifa_index = (unsigned) index };
	struct in_addr all = {
		.s_addr = a.s_addr |
			  ~network_of((struct in_addr){ UINT32_MAX }, prefix).s_addr
	};

	netlink_begin(n, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &m,
		      sizeof(m));
	netlink_bytes(n, IFA_LOCAL, &a, sizeof(a));
	netlink_bytes(n, IFA_ADDRESS, &a, sizeof(a));
	netlink_bytes(n, IFA_BROADCAST, &all, sizeof(all));
	netlink_end(n);
}

static void put_up(struct netlink *n, int index)
{
	struct ifinfomsg m = { .ifi_index = index,
			       .ifi_flags = IFF_UP,
			       .ifi_change = IFF_UP };

	netlink_begin(n, RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
	netlink_end(n);
}

static void put_bridge(struct netlink *n, const char *name)
{
	struct ifinfomsg m = { 0 };
	size_t nest;

	netlink_begin(n, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m,
		      sizeof(m));
	netlink_text(n, IFLA_IFNAME, name);
	nest = netlink_nest(n, IFLA_LINKINFO);
	netlink_text(n, IFLA_INFO_KIND, "bridge");
	netlink_unnest(n, nest);
	netlink_end(n);
}

static int finish_bridge(int fd, const struct network_plan *p, int index, int forward)
{
	struct netlink n = { 0 };
	struct ifinfomsg m = { .ifi_index = index };
	/* a bridge without a fixed address changes it with its members */
	uint8_t mac[6] = { 2, 0xc0 };
	char alias[64];

	memcpy(mac + 2, &p->gateway, 4);
	(void) snprintf(alias, sizeof(alias), NETWORK_MARK "%d", forward);
	netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
	netlink_text(&n, IFLA_IFALIAS, alias);
	netlink_bytes(&n, IFLA_ADDRESS, mac, sizeof(mac));
	netlink_end(&n);
	put_address(&n, index, p->gateway, p->prefix);
	put_up(&n, index);
	return netlink_do(fd, &n);
}

static int read_forward(void)
{
	autofclose FILE *f = fopen("/proc/sys/net/ipv4/ip_forward", "re");

	return f && fgetc(f) == '1';
}

static int write_forward(int value)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_forward", "we");
	bool bad;

	if (!f)
		return -errno;
	bad = fputc('0' + value, f) == EOF;
	bad |= fclose(f) != 0;
	return bad ? -EACCES : 0;
}

int network_bridge_make(int fd, const struct network_plan *p, struct co_err *err)
{
	struct network_links links;
	struct netlink n = { 0 };
	int rc = network_links(fd, p->bridge, &links), forward;

	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot list the links of this host");
	if (links.foreign)
		return co_fail(err, CO_EXISTS,
			       "there is a link %s on this host that is not of cloudos",
			       p->bridge);
	rc = check_subnet(fd, p, links.index, err);
	if (rc < 0)
		return rc;
	forward = links.forward >= 0 ? links.forward : read_forward();
	if (!links.index) {
		put_bridge(&n, p->bridge);
		rc = netlink_do(fd, &n);
		if (rc < 0)
			return co_fail_errno(err, -rc, "cannot make the bridge %s",
					     p->bridge);
		rc = network_links(fd, p->bridge, &links);
	}
	if (rc == 0 && links.members == 0)
		rc = finish_bridge(fd, p, links.index, forward);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot set up the bridge %s",
				     p->bridge);
	if (!read_forward()) {
		rc = write_forward(1);
		if (rc < 0)
			return co_fail_errno(
				err, -rc,
				"cannot set net.ipv4.ip_forward, without which "
				"containers reach nothing outside");
	}
	return 0;
}

static int delete_link(int fd, const char *name)
{
	struct netlink n = { 0 };
	struct ifinfomsg m = { 0 };
	int rc;

	netlink_begin(&n, RTM_DELLINK, NLM_F_ACK, &m, sizeof(m));
	netlink_text(&n, IFLA_IFNAME, name);
	netlink_end(&n);
	rc = netlink_do(fd, &n);
	return rc == -ENODEV ? 0 : rc;
}

int network_bridge_drop(int fd, const struct network_plan *p, bool *out_gone,
			bool *out_last)
{
	struct network_links links;
	int rc = network_links(fd, p->bridge, &links);

	*out_gone = *out_last = false;
	if (rc < 0 || links.foreign || links.members)
		return rc;
	if (links.index)
		rc = delete_link(fd, p->bridge);
	*out_gone = rc == 0;
	*out_last = rc == 0 && !links.others;
	if (*out_last && links.forward == 0)
		rc = write_forward(0);
	return rc;
}

int network_veth_drop(int fd, const struct network_plan *p)
{
	return delete_link(fd, p->veth);
}

int network_veth_leave(int fd, const struct network_plan *p)
{
	struct netlink n = { 0 };
	struct ifinfomsg m = { .ifi_change = IFF_UP }; /* down */
	int rc;

	netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
	netlink_text(&n, IFLA_IFNAME, p->veth);
	netlink_u32(&n, IFLA_MASTER, 0);
	netlink_end(&n);
	rc = netlink_do(fd, &n);
	return rc == -ENODEV ? 0 : rc;
}

static void put_veth(struct netlink *n, const struct network_plan *p, int name_space,
		     int bridge)
{
	struct ifinfomsg m = { 0 };
	size_t info, data, peer;

	netlink_begin(n, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m,
		      sizeof(m));
	netlink_text(n, IFLA_IFNAME, p->veth);
	netlink_u32(n, IFLA_MASTER, (uint32_t) bridge);
	if (p->mtu)
		netlink_u32(n, IFLA_MTU, p->mtu);
	info = netlink_nest(n, IFLA_LINKINFO);
	netlink_text(n, IFLA_INFO_KIND, "veth");
	data = netlink_nest(n, IFLA_INFO_DATA);
	peer = netlink_nest(n, VETH_INFO_PEER);
	/* a struct without a head of its own, then its attributes */
	memcpy(n->data + n->size, &m, n->full ? 0 : sizeof(m));
	n->size += n->full ? 0 : NLMSG_ALIGN(sizeof(m));
	netlink_text(n, IFLA_IFNAME, NETWORK_IN);
	netlink_bytes(n, IFLA_ADDRESS, p->mac, sizeof(p->mac));
	netlink_u32(n, IFLA_NET_NS_FD, (uint32_t) name_space);
	if (p->mtu)
		netlink_u32(n, IFLA_MTU, p->mtu);
	netlink_unnest(n, peer);
	netlink_unnest(n, data);
	netlink_unnest(n, info);
	netlink_end(n);
}

/*
 * Up; and where the kernel filters bridged packets (br_netfilter), one that a container sends
 * to its own published port comes back to the same member, which is to let it.
 */
static int finish_veth(int fd, const char *name)
{
	struct netlink n = { 0 };
	struct ifinfomsg m = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	size_t info, data;
	uint8_t on = 1;

	netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
	netlink_text(&n, IFLA_IFNAME, name);
	info = netlink_nest(&n, IFLA_LINKINFO);
	netlink_text(&n, IFLA_INFO_SLAVE_KIND, "bridge");
	data = netlink_nest(&n, IFLA_INFO_SLAVE_DATA);
	netlink_bytes(&n, IFLA_BRPORT_MODE, &on, sizeof(on));
	netlink_unnest(&n, data);
	netlink_unnest(&n, info);
	netlink_end(&n);
	return netlink_do(fd, &n);
}

int network_veth_make(int fd, const struct network_plan *p, int name_space,
		      struct co_err *err)
{
	struct netlink n = { 0 };
	int rc, bridge = (int) if_nametoindex(p->bridge);

	put_veth(&n, p, name_space, bridge);
	rc = netlink_do(fd, &n);
	if (rc == -EEXIST) { /* of a container of this id whose monitor was killed */
		n = (struct netlink){ 0 };
		(void) delete_link(fd, p->veth);
		put_veth(&n, p, name_space, bridge);
		rc = netlink_do(fd, &n);
	}
	if (rc == 0) /* both ends at once is more than the kernel takes */
		rc = finish_veth(fd, p->veth);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot make the veth pair %s", p->veth);
	return 0;
}

/* ---- the container's end: fd is of its name space ---- */

static int index_of(int fd, const char *name)
{
	struct network_links l;

	return network_links(fd, name, &l) < 0 ? 0 : l.index;
}

int network_inside(int fd, const struct network_plan *p, struct co_err *err)
{
	struct netlink n = { 0 };
	struct rtmsg r = { .rtm_family = AF_INET,
			   .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_BOOT,
			   .rtm_scope = RT_SCOPE_UNIVERSE,
			   .rtm_type = RTN_UNICAST };
	int rc, index = index_of(fd, NETWORK_IN);

	put_address(&n, index, p->address, p->prefix);
	put_up(&n, index);
	netlink_begin(&n, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &r,
		      sizeof(r));
	netlink_bytes(&n, RTA_GATEWAY, &p->gateway, sizeof(p->gateway));
	netlink_u32(&n, RTA_OIF, (uint32_t) index);
	netlink_end(&n);
	rc = netlink_do(fd, &n);
	if (rc < 0)
		return co_fail_errno(err, -rc,
				     "cannot give the container its address and route");
	return 0;
}
