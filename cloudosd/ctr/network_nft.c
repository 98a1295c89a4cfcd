/* SPDX-License-Identifier: MIT */
/*
 * The table of nf_tables, in the kernel's own messages.  HOST.
 *
 *	table inet cloudos {
 *		set networks { type ipv4_addr; flags interval; }
 *		map any { type inet_proto . inet_service : ipv4_addr . inet_service; }
 *		map at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
 *		chain prerouting { type nat hook prerouting priority dstnat; }
 *		chain output { type nat hook output priority -100; }
 *			both: dnat ip to ip daddr . meta l4proto . th dport map @at
 *			      ip daddr != 127.0.0.0/8 fib daddr type local
 *					dnat ip to meta l4proto . th dport map @any
 *		chain postrouting { type nat hook postrouting priority srcnat; }
 *			ip saddr @networks ip daddr != @networks masquerade
 *			ip saddr @networks ip daddr @networks ct status dnat masquerade
 *		chain forward { type filter hook forward priority filter; }
 *			ip daddr @networks ip saddr != @networks ct state new
 *					ct status & dnat == 0 drop
 *	}
 *
 * A library would load 1.2 MB into every monitor and cannot be linked into a static program;
 * the whole of it is one batch of three kilobytes.  The last rule is why a container is not
 * reached past its published ports by a host that routes to the subnet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"

static const char table[] = "cloudos";
static const char set_networks[] = "networks", map_any[] = "any", map_at[] = "at";

/* Types as nft(8) numbers them, so that it shows what is meant. */
enum { TYPE_ADDRESS = 7, TYPE_PROTOCOL = 12, TYPE_PORT = 13, TYPE_BITS = 6 };

/* ---- messages ---- */

static void begin(struct netlink *n, unsigned message, unsigned flags)
{
	struct nfgenmsg head = { .nfgen_family = NFPROTO_INET,
				 .version = NFNETLINK_V0 };

	netlink_begin(n, (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | message),
		      (uint16_t) flags, &head, sizeof(head));
}

static void batch(struct netlink *n, uint16_t message)
{
	struct nfgenmsg head = { .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	netlink_begin(n, message, 0, &head, sizeof(head));
	netlink_end(n);
}

static void put_table(struct netlink *n)
{
	begin(n, NFT_MSG_NEWTABLE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	netlink_text(n, NFTA_TABLE_NAME, table);
	netlink_end(n);
}

struct set {
	const char *name;
	unsigned flags, key_type, key_size, data_type, data_size;
};

static void put_set(struct netlink *n, const struct set *s)
{
	static uint32_t id;

	begin(n, NFT_MSG_NEWSET, NLM_F_ACK | NLM_F_CREATE);
	netlink_text(n, NFTA_SET_TABLE, table);
	netlink_text(n, NFTA_SET_NAME, s->name);
	netlink_be32(n, NFTA_SET_FLAGS, s->flags);
	netlink_be32(n, NFTA_SET_KEY_TYPE, s->key_type);
	netlink_be32(n, NFTA_SET_KEY_LEN, s->key_size);
	if (s->data_size) {
		netlink_be32(n, NFTA_SET_DATA_TYPE, s->data_type);
		netlink_be32(n, NFTA_SET_DATA_LEN, s->data_size);
	}
	netlink_be32(n, NFTA_SET_ID, ++id);
	netlink_end(n);
}

static void put_chain(struct netlink *n, const char *name, const char *type,
		      unsigned hook, int priority)
{
	size_t nest;

	begin(n, NFT_MSG_NEWCHAIN, NLM_F_ACK | NLM_F_CREATE);
	netlink_text(n, NFTA_CHAIN_TABLE, table);
	netlink_text(n, NFTA_CHAIN_NAME, name);
	nest = netlink_nest(n, NFTA_CHAIN_HOOK);
	netlink_be32(n, NFTA_HOOK_HOOKNUM, hook);
	netlink_be32(n, NFTA_HOOK_PRIORITY, (uint32_t) priority);
	netlink_unnest(n, nest);
	netlink_text(n, NFTA_CHAIN_TYPE, type);
	netlink_be32(n, NFTA_CHAIN_POLICY, NF_ACCEPT);
	netlink_end(n);
}

/* ---- rules: what each expression says is in the head of this file ---- */

struct rule {
	struct netlink *n;
	size_t list, element, data;
};

static struct rule rule_begin(struct netlink *n, const char *chain)
{
	struct rule r = { .n = n };

	begin(n, NFT_MSG_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND);
	netlink_text(n, NFTA_RULE_TABLE, table);
	netlink_text(n, NFTA_RULE_CHAIN, chain);
	r.list = netlink_nest(n, NFTA_RULE_EXPRESSIONS);
	return r;
}

static void rule_end(struct rule *r)
{
	netlink_unnest(r->n, r->list);
	netlink_end(r->n);
}

static void open_expression(struct rule *r, const char *name)
{
	r->element = netlink_nest(r->n, NFTA_LIST_ELEM);
	netlink_text(r->n, NFTA_EXPR_NAME, name);
	r->data = netlink_nest(r->n, NFTA_EXPR_DATA);
}

static void close_expression(struct rule *r)
{
	netlink_unnest(r->n, r->data);
	netlink_unnest(r->n, r->element);
}

static void value(struct rule *r, uint16_t attribute, const void *data, size_t size)
{
	size_t nest = netlink_nest(r->n, attribute);

	netlink_bytes(r->n, NFTA_DATA_VALUE, data, size);
	netlink_unnest(r->n, nest);
}

static void meta(struct rule *r, unsigned key, unsigned to)
{
	open_expression(r, "meta");
	netlink_be32(r->n, NFTA_META_KEY, key);
	netlink_be32(r->n, NFTA_META_DREG, to);
	close_expression(r);
}

static void compare(struct rule *r, unsigned how, const void *data, size_t size)
{
	open_expression(r, "cmp");
	netlink_be32(r->n, NFTA_CMP_SREG, NFT_REG_1);
	netlink_be32(r->n, NFTA_CMP_OP, how);
	value(r, NFTA_CMP_DATA, data, size);
	close_expression(r);
}

static void payload(struct rule *r, unsigned base, unsigned offset, unsigned size,
		    unsigned to)
{
	open_expression(r, "payload");
	netlink_be32(r->n, NFTA_PAYLOAD_DREG, to);
	netlink_be32(r->n, NFTA_PAYLOAD_BASE, base);
	netlink_be32(r->n, NFTA_PAYLOAD_OFFSET, offset);
	netlink_be32(r->n, NFTA_PAYLOAD_LEN, size);
	close_expression(r);
}

enum { SOURCE = 12, DESTINATION = 16, ADDRESS_SIZE = 4 }; /* in the head of IPv4 */

static void is_ipv4(struct rule *r)
{
	uint8_t family = NFPROTO_IPV4;

	meta(r, NFT_META_NFPROTO, NFT_REG_1);
	compare(r, NFT_CMP_EQ, &family, sizeof(family));
}

static void in_networks(struct rule *r, unsigned address, bool is)
{
	payload(r, NFT_PAYLOAD_NETWORK_HEADER, address, ADDRESS_SIZE, NFT_REG_1);
	open_expression(r, "lookup");
	netlink_text(r->n, NFTA_LOOKUP_SET, set_networks);
	netlink_be32(r->n, NFTA_LOOKUP_SREG, NFT_REG_1);
	if (!is)
		netlink_be32(r->n, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	close_expression(r);
}

/* ct state or ct status: are any, or none, of the bits set? */
static void tracked(struct rule *r, unsigned key, uint32_t bits, bool any)
{
	uint32_t zero = 0;

	open_expression(r, "ct");
	netlink_be32(r->n, NFTA_CT_DREG, NFT_REG_1);
	netlink_be32(r->n, NFTA_CT_KEY, key);
	close_expression(r);
	open_expression(r, "bitwise");
	netlink_be32(r->n, NFTA_BITWISE_SREG, NFT_REG_1);
	netlink_be32(r->n, NFTA_BITWISE_DREG, NFT_REG_1);
	netlink_be32(r->n, NFTA_BITWISE_LEN, sizeof(bits));
	value(r, NFTA_BITWISE_MASK, &bits, sizeof(bits));
	value(r, NFTA_BITWISE_XOR, &zero, sizeof(zero));
	close_expression(r);
	compare(r, any ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, sizeof(zero));
}

static void verdict(struct rule *r, int code)
{
	size_t data, nest;

	open_expression(r, "immediate");
	netlink_be32(r->n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = netlink_nest(r->n, NFTA_IMMEDIATE_DATA);
	nest = netlink_nest(r->n, NFTA_DATA_VERDICT);
	netlink_be32(r->n, NFTA_VERDICT_CODE, (uint32_t) code);
	netlink_unnest(r->n, nest);
	netlink_unnest(r->n, data);
	close_expression(r);
}

static void masquerade(struct rule *r)
{
	open_expression(r, "masq");
	close_expression(r);
}

/* The registers from `key` on: protocol and port.  Then the map's answer is where to. */
static void translate(struct rule *r, const char *map, unsigned key)
{
	meta(r, NFT_META_L4PROTO, key);
	payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2,
		key == NFT_REG_1 ? NFT_REG32_01 : NFT_REG32_02);
	open_expression(r, "lookup");
	netlink_text(r->n, NFTA_LOOKUP_SET, map);
	netlink_be32(r->n, NFTA_LOOKUP_SREG, NFT_REG_1);
	netlink_be32(r->n, NFTA_LOOKUP_DREG, NFT_REG_1);
	close_expression(r);
	open_expression(r, "nat");
	netlink_be32(r->n, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	netlink_be32(r->n, NFTA_NAT_FAMILY, NFPROTO_IPV4);
	netlink_be32(r->n, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	netlink_be32(r->n, NFTA_NAT_REG_ADDR_MAX, NFT_REG_1);
	netlink_be32(r->n, NFTA_NAT_REG_PROTO_MIN, NFT_REG32_01);
	netlink_be32(r->n, NFTA_NAT_REG_PROTO_MAX, NFT_REG32_01);
	close_expression(r);
}

static void put_translations(struct netlink *n, const char *chain)
{
	uint8_t loopback = 127;
	uint32_t local = RTN_LOCAL;
	struct rule r = rule_begin(n, chain);

	is_ipv4(&r);
	payload(&r, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION, ADDRESS_SIZE, NFT_REG_1);
	translate(&r, map_at, NFT_REG32_01);
	rule_end(&r);
	r = rule_begin(n, chain);
	is_ipv4(&r);
	payload(&r, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION, 1, NFT_REG_1);
	compare(&r, NFT_CMP_NEQ, &loopback, 1);
	open_expression(&r, "fib");
	netlink_be32(n, NFTA_FIB_DREG, NFT_REG_1);
	netlink_be32(n, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	netlink_be32(n, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	close_expression(&r);
	compare(&r, NFT_CMP_EQ, &local, sizeof(local));
	translate(&r, map_any, NFT_REG_1);
	rule_end(&r);
}

static void put_rules(struct netlink *n)
{
	struct rule r;

	put_translations(n, "prerouting");
	put_translations(n, "output");
	r = rule_begin(n, "postrouting");
	is_ipv4(&r);
	in_networks(&r, SOURCE, true);
	in_networks(&r, DESTINATION, false);
	masquerade(&r);
	rule_end(&r);
	r = rule_begin(n,
		       "postrouting"); /* a container asks itself by its host's name */
	is_ipv4(&r);
	in_networks(&r, SOURCE, true);
	in_networks(&r, DESTINATION, true);
	tracked(&r, NFT_CT_STATUS, IPS_DST_NAT, true);
	masquerade(&r);
	rule_end(&r);
	r = rule_begin(n, "forward");
	is_ipv4(&r);
	in_networks(&r, DESTINATION, true);
	in_networks(&r, SOURCE, false);
	tracked(&r, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_NEW), true);
	tracked(&r, NFT_CT_STATUS, IPS_DST_NAT, false);
	verdict(&r, NF_DROP);
	rule_end(&r);
}

/* ---- elements ---- */

static void put_element(struct netlink *n, const void *key, size_t key_size,
			const void *data, size_t data_size)
{
	size_t element = netlink_nest(n, NFTA_LIST_ELEM);
	size_t nest = netlink_nest(n, NFTA_SET_ELEM_KEY);

	netlink_bytes(n, NFTA_DATA_VALUE, key, key_size);
	netlink_unnest(n, nest);
	if (data_size) {
		nest = netlink_nest(n, NFTA_SET_ELEM_DATA);
		netlink_bytes(n, NFTA_DATA_VALUE, data, data_size);
		netlink_unnest(n, nest);
	}
	netlink_unnest(n, element);
}

static size_t open_elements(struct netlink *n, bool add, const char *set)
{
	begin(n, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
	      NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
	netlink_text(n, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_text(n, NFTA_SET_ELEM_LIST_SET, set);
	return netlink_nest(n, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void close_elements(struct netlink *n, size_t list)
{
	netlink_unnest(n, list);
	netlink_end(n);
}

/* An interval is its first address and, with a flag, the one behind its last. */
static void put_network(struct netlink *n, const struct network_plan *p, bool add)
{
	struct in_addr first = network_of(p->gateway, p->prefix);
	uint32_t behind =
		htonl(ntohl(first.s_addr) + (uint32_t) (1ULL << (32 - p->prefix)));
	size_t list = open_elements(n, add, set_networks), element, nest;

	put_element(n, &first, sizeof(first), NULL, 0);
	element = netlink_nest(n, NFTA_LIST_ELEM);
	netlink_be32(n, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nest = netlink_nest(n, NFTA_SET_ELEM_KEY);
	netlink_bytes(n, NFTA_DATA_VALUE, &behind, sizeof(behind));
	netlink_unnest(n, nest);
	netlink_unnest(n, element);
	close_elements(n, list);
}

/* Parts of a concatenation fill four bytes each. */
struct key {
	uint32_t address;
	uint8_t protocol[4];
	uint16_t port[2];
};

static void put_port(struct netlink *n, const struct network_plan *p, size_t i,
		     bool add)
{
	const struct network_port *port = &p->ports[i];
	struct key key = { .address = port->address.s_addr,
			   .protocol = { port->protocol },
			   .port = { htons(port->host) } };
	struct {
		uint32_t address;
		uint16_t port[2];
	} to = { p->address.s_addr, { htons(port->inside) } };
	bool any = port->address.s_addr == INADDR_ANY;
	size_t list = open_elements(n, add, any ? map_any : map_at);

	if (any)
		put_element(n, key.protocol,
			    sizeof(key) - offsetof(struct key, protocol), &to,
			    add ? sizeof(to) : 0);
	else
		put_element(n, &key, sizeof(key), &to, add ? sizeof(to) : 0);
	close_elements(n, list);
}

/* ---- what the rest of the network asks for ---- */

static int make_table(int fd)
{
	static const struct set sets[] = {
		{ set_networks, NFT_SET_INTERVAL, TYPE_ADDRESS, 4, 0, 0 },
		{ map_any, NFT_SET_MAP, TYPE_PROTOCOL << TYPE_BITS | TYPE_PORT, 8,
		  TYPE_ADDRESS << TYPE_BITS | TYPE_PORT, 8 },
		{ map_at, NFT_SET_MAP,
		  (TYPE_ADDRESS << TYPE_BITS | TYPE_PROTOCOL) << TYPE_BITS | TYPE_PORT,
		  12, TYPE_ADDRESS << TYPE_BITS | TYPE_PORT, 8 },
	};
	struct netlink n = { 0 };
	int rc;

	batch(&n, NFNL_MSG_BATCH_BEGIN);
	put_table(&n);
	for (size_t i = 0; i < co_countof(sets); i++)
		put_set(&n, &sets[i]);
	put_chain(&n, "prerouting", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST);
	put_chain(&n, "output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST);
	put_chain(&n, "postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
	put_chain(&n, "forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER);
	put_rules(&n);
	batch(&n, NFNL_MSG_BATCH_END);
	rc = netlink_do(fd, &n);
	return rc == -EEXIST ? 0 : rc;
}

static int change_network(int fd, const struct network_plan *p, bool add)
{
	struct netlink n = { 0 };

	batch(&n, NFNL_MSG_BATCH_BEGIN);
	put_network(&n, p, add);
	batch(&n, NFNL_MSG_BATCH_END);
	return netlink_do(fd, &n);
}

static void found(const struct nlmsghdr *m, void *arg)
{
	(void) m;
	*(bool *) arg = true;
}

/* A batch costs a grace period, 10 ms and more, also one that changes nothing; asking not. */
static bool has_table(int fd)
{
	struct netlink n = { 0 };
	bool is = false;

	begin(&n, NFT_MSG_GETTABLE, NLM_F_ACK);
	netlink_text(&n, NFTA_TABLE_NAME, table);
	netlink_end(&n);
	return netlink_list(fd, &n, found, &is) == 0 && is;
}

static void as_question(struct netlink *n)
{
	((struct nlmsghdr *) (void *) n->data)->nlmsg_type =
		NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
}

static bool has_network(int fd, const struct network_plan *p)
{
	struct netlink n = { 0 };
	struct in_addr first = network_of(p->gateway, p->prefix);
	size_t list = open_elements(&n, false, set_networks);
	bool is = false;

	put_element(&n, &first, sizeof(first), NULL, 0);
	close_elements(&n, list);
	as_question(&n);
	return netlink_list(fd, &n, found, &is) == 0 && is;
}

int network_table_make(int fd, const struct network_plan *p, struct co_err *err)
{
	int rc = has_table(fd) ? 0 : make_table(fd);

	if (rc == 0 && !has_network(fd, p))
		rc = change_network(fd, p, true);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	return co_fail_errno(
		err, -rc,
		"cannot make the table inet cloudos of nf_tables (the kernel "
		"needs nf_tables with nat, masq, ct and fib)");
}

static bool has_port(const struct network_plan *p, const struct network_port *port)
{
	for (size_t i = 0; p && i < p->port_count; i++)
		if (memcmp(&p->ports[i], port, sizeof(*port)) == 0)
			return true;
	return false;
}

static int change_ports(int fd, const struct network_plan *add,
			const struct network_plan *remove)
{
	autofree struct netlink *n = calloc(1, sizeof(*n));
	uint32_t changes;

	if (!n)
		return -ENOMEM;
	batch(n, NFNL_MSG_BATCH_BEGIN);
	for (size_t i = 0; remove && i < remove->port_count; i++)
		if (!network_is_loopback(remove->ports[i].address) &&
		    !has_port(add, &remove->ports[i]))
			put_port(n, remove, i, false);
	for (size_t i = 0; add && i < add->port_count; i++)
		if (!network_is_loopback(add->ports[i].address) &&
		    !has_port(remove, &add->ports[i]))
			put_port(n, add, i, true);
	changes = n->answers;
	batch(n, NFNL_MSG_BATCH_END);
	return changes ? netlink_do(fd, n) : 0;
}

int network_table_ports(int fd, const struct network_plan *add,
			const struct network_plan *remove, struct co_err *err)
{
	int rc = change_ports(fd, add, remove);

	if (rc == -EEXIST)
		return co_fail(err, CO_EXISTS,
			       "one of the ports is published by another container "
			       "already: choose another port of the host");
	if (rc == -E2BIG)
		return co_fail(err, CO_TOO_BIG, "too many ports at a time");
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot change the published ports");
	return 0;
}

/* Elements that lead to one address. */
struct leading {
	struct in_addr to;
	struct key keys[NETWORK_PORTS]; /* without their first 4 bytes in map_any */
	size_t count, key_size;
};

static void look_at_element(struct leading *l, const void *element, size_t size)
{
	size_t n = 0, k = 0;
	const void *key = netlink_find(element, size, NFTA_SET_ELEM_KEY, &k);
	const void *data = netlink_find(element, size, NFTA_SET_ELEM_DATA, &n);

	key = key ? netlink_find(key, k, NFTA_DATA_VALUE, &k) : NULL;
	data = data ? netlink_find(data, n, NFTA_DATA_VALUE, &n) : NULL;
	if (!key || !data || k != l->key_size || n < sizeof(l->to) ||
	    memcmp(data, &l->to, sizeof(l->to)) != 0 || l->count == NETWORK_PORTS)
		return;
	memcpy((char *) &l->keys[l->count++] + sizeof(struct key) - k, key, k);
}

static void look_at_elements(const struct nlmsghdr *m, void *arg)
{
	const struct nfgenmsg *head = NLMSG_DATA(m);
	const char *at = (const char *) head + NLMSG_ALIGN(sizeof(*head));
	size_t size = 0;
	const void *list = netlink_find(at, m->nlmsg_len - NLMSG_LENGTH(sizeof(*head)),
					NFTA_SET_ELEM_LIST_ELEMENTS, &size);
	struct netlink_walk w = { list, size };
	const void *element;
	uint16_t type;

	while (netlink_next(&w, &type, &element, &size))
		if (type == NFTA_LIST_ELEM)
			look_at_element(arg, element, size);
}

/* What leads there now: ports may have changed since anybody wrote them down. */
static void drop_elements(int fd, const char *map, struct leading *l)
{
	struct netlink n = { 0 };

	l->count = 0;
	begin(&n, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	netlink_text(&n, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_text(&n, NFTA_SET_ELEM_LIST_SET, map);
	netlink_end(&n);
	if (netlink_list(fd, &n, look_at_elements, l) < 0 || !l->count)
		return;
	for (size_t i = 0; i < l->count;) { /* as many at a time as fit */
		size_t list, end = i + 64 < l->count ? i + 64 : l->count;

		n = (struct netlink){ 0 };
		batch(&n, NFNL_MSG_BATCH_BEGIN);
		list = open_elements(&n, false, map);
		for (; i < end; i++)
			put_element(&n,
				    (char *) &l->keys[i] + sizeof(struct key) -
					    l->key_size,
				    l->key_size, NULL, 0);
		close_elements(&n, list);
		batch(&n, NFNL_MSG_BATCH_END);
		(void) netlink_do(fd, &n); /* gone already */
	}
}

static void drop_ports(int fd, const struct network_plan *p)
{
	struct leading *l = calloc(1, sizeof(*l));

	if (!l)
		return; /* the table goes with the last container */
	l->to = p->address;
	l->key_size = sizeof(struct key);
	drop_elements(fd, map_at, l);
	l->key_size = sizeof(struct key) - offsetof(struct key, protocol);
	drop_elements(fd, map_any, l);
	free(l);
}

/* The subnet of a bridge that is gone, or the whole table with the last one. */
void network_table_drop(int fd, const struct network_plan *p, bool bridge, bool last)
{
	struct netlink n = { 0 };

	if (!last) {
		drop_ports(fd, p);
		if (bridge)
			(void) change_network(fd, p, false); /* gone already */
		return;
	}
	batch(&n, NFNL_MSG_BATCH_BEGIN);
	begin(&n, NFT_MSG_DELTABLE, NLM_F_ACK);
	netlink_text(&n, NFTA_TABLE_NAME, table);
	netlink_end(&n);
	batch(&n, NFNL_MSG_BATCH_END);
	(void) netlink_do(fd, &n); /* gone already */
}

/* ---- who else filters ---- */

struct policy {
	char *out;
	size_t n;
};

static void look_at_chain(const struct nlmsghdr *m, void *arg)
{
	static const char *const families[] = {
		[NFPROTO_INET] = "inet", [NFPROTO_IPV4] = "ip"
	};
	struct policy *p = arg;
	const struct nfgenmsg *head = NLMSG_DATA(m);
	const char *at = (const char *) head + NLMSG_ALIGN(sizeof(*head));
	size_t size = m->nlmsg_len - NLMSG_LENGTH(sizeof(*head)), n = 0, hook_size = 0;
	const char *name = netlink_find(at, size, NFTA_CHAIN_TABLE, &n);
	const uint32_t *policy = netlink_find(at, size, NFTA_CHAIN_POLICY, &n);
	const void *hook = netlink_find(at, size, NFTA_CHAIN_HOOK, &hook_size);
	const uint32_t *number =
		hook ? netlink_find(hook, hook_size, NFTA_HOOK_HOOKNUM, &n) : NULL;

	if (!name || !policy || !number || ntohl(*number) != NF_INET_FORWARD ||
	    ntohl(*policy) != NF_DROP || strcmp(name, table) == 0 ||
	    head->nfgen_family >= co_countof(families) || !families[head->nfgen_family])
		return;
	(void) snprintf(p->out, p->n, "table %s %s", families[head->nfgen_family],
			name);
}

void network_forward_policy(int fd, char *out, size_t n)
{
	struct netlink ask = { 0 };
	struct policy p = { out, n };
	struct nfgenmsg head = { .nfgen_family = NFPROTO_UNSPEC };

	out[0] = 0;
	netlink_begin(&ask, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NLM_F_DUMP,
		      &head, sizeof(head));
	netlink_end(&ask);
	(void) netlink_list(fd, &ask, look_at_chain, &p); /* without: nobody */
}
