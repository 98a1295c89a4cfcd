/* SPDX-License-Identifier: MIT */
/* The JSON object that says what network a container has.  HOST. */
#include <arpa/inet.h>
#include <inttypes.h>

#include "cloudosd/ctr/network_inside.h"
#include "lib/json_scan.h"

static bool text_of(struct co_span object, const char *name, char *out, size_t n)
{
	autobuf struct co_buf b = { 0 };
	struct co_span value;

	if (!co_json_member(object, name, &value) || co_json_unescape(value, &b) < 0 ||
	    b.size >= n)
		return false;
	if (b.size)
		memcpy(out, b.data, b.size);
	out[b.size] = 0;
	return true;
}

static bool number_of(struct co_span object, const char *name, int64_t max,
		      int64_t *out)
{
	struct co_span value;

	return co_json_member(object, name, &value) && co_json_whole(value, out) &&
	       *out >= 0 && *out <= max;
}

static bool address_of(struct co_span object, const char *name, struct in_addr *out)
{
	char text[INET_ADDRSTRLEN];

	return text_of(object, name, text, sizeof(text)) &&
	       inet_pton(AF_INET, text, out) == 1;
}

/* A name that the kernel takes and no path can be made of. */
static bool is_link_name(const char *name)
{
	size_t n = strlen(name);

	return n && n < IFNAMSIZ &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_-") == n;
}

static bool read_mac(struct co_span json, struct network_plan *p)
{
	char text[18] = "";
	unsigned m[6];
	struct co_span value;

	if (!co_json_member(json, "mac", &value)) {
		p->mac[0] = 2; /* locally administered, not a group's */
		p->mac[1] = 0xc1;
		memcpy(p->mac + 2, &p->address, 4);
		return true;
	}
	if (!text_of(json, "mac", text, sizeof(text)) || strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4],
		   &m[5]) != 6 ||
	    (m[0] & 1))
		return false;
	for (size_t i = 0; i < 6; i++)
		p->mac[i] = (uint8_t) m[i];
	return true;
}

static int read_port(struct co_span value, struct network_port *out, struct co_err *err)
{
	char protocol[8] = "tcp";
	int64_t host = 0, inside = 0;
	struct co_span given;

	out->address.s_addr = htonl(INADDR_LOOPBACK);
	if (co_json_member(value, "protocol", &given) &&
	    !text_of(value, "protocol", protocol, sizeof(protocol)))
		protocol[0] = 0;
	if (co_json_member(value, "address", &given) &&
	    !address_of(value, "address", &out->address))
		return co_fail(err, CO_INVALID,
			       "network.ports: \"address\" is not an IPv4 address, and "
			       "ports are published at those only: 127.0.0.1, 0.0.0.0 "
			       "or one of this machine's");
	out->protocol = strcmp(protocol, "tcp") == 0   ? IPPROTO_TCP
			: strcmp(protocol, "udp") == 0 ? IPPROTO_UDP
						       : 0;
	if (!out->protocol)
		return co_fail(err, CO_INVALID,
			       "network.ports: \"protocol\" is neither tcp nor udp");
	if (!number_of(value, "host", UINT16_MAX, &host) || !host ||
	    !number_of(value, "inside", UINT16_MAX, &inside) || !inside)
		return co_fail(
			err, CO_INVALID,
			"network.ports: \"host\" and \"inside\" are ports, 1 to 65535");
	out->host = (uint16_t) host;
	out->inside = (uint16_t) inside;
	return 0;
}

static int read_ports(struct co_span json, struct network_plan *p, struct co_err *err)
{
	struct co_span list, value, name;
	struct co_json_walk w;

	if (!co_json_member(json, "ports", &list))
		return 0;
	if (co_json_kind(list) != CO_JSON_ARRAY)
		return co_fail(err, CO_INVALID, "network.ports is not a list");
	p->ports = calloc(NETWORK_PORTS, sizeof(*p->ports));
	if (!p->ports)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the ports of a container");
	w = co_json_walk(list);
	while (co_json_next(&w, &name, &value)) {
		int rc;

		if (p->port_count == NETWORK_PORTS)
			return co_fail(err, CO_TOO_BIG,
				       "network.ports has more than %d entries",
				       NETWORK_PORTS);
		rc = read_port(value, &p->ports[p->port_count], err);
		if (rc < 0)
			return rc;
		p->port_count++;
	}
	return 0;
}

/* Unlike ids, names of links are the host's: two domains may both have a container 7. */
static void name_veth(const char *id, struct network_plan *p)
{
	uint64_t hash = 14695981039346656037ULL;

	for (const char *at = p->bridge; *at; at++)
		hash = (hash ^ (uint8_t) *at) * 1099511628211ULL;
	hash *= 1099511628211ULL;
	for (const char *at = id; *at; at++)
		hash = (hash ^ (uint8_t) *at) * 1099511628211ULL;
	(void) snprintf(p->veth, sizeof(p->veth), "co-%011" PRIx64, hash >> 20);
}

static int read_bridge(const char *id, struct co_span json, struct network_plan *p,
		       struct co_err *err)
{
	int64_t prefix = 0;

	if (!text_of(json, "bridge", p->bridge, sizeof(p->bridge)) ||
	    !is_link_name(p->bridge))
		return co_fail(err, CO_INVALID,
			       "network.bridge is not the name of a link (15 letters, "
			       "digits, _ and - at most)");
	if (!number_of(json, "prefix", 30, &prefix) || prefix < 8)
		return co_fail(err, CO_INVALID, "network.prefix is not 8 to 30");
	p->prefix = (unsigned) prefix;
	if (!address_of(json, "gateway", &p->gateway) ||
	    !address_of(json, "address", &p->address) ||
	    network_of(p->gateway, p->prefix).s_addr !=
		    network_of(p->address, p->prefix).s_addr ||
	    p->gateway.s_addr == p->address.s_addr)
		return co_fail(
			err, CO_INVALID,
			"network.gateway and network.address are not two addresses of "
			"one subnet");
	if (!read_mac(json, p))
		return co_fail(err, CO_INVALID,
			       "network.mac is not the address of one station");
	name_veth(id, p);
	return 0;
}

int network_plan_read(const char *id, struct co_span json, struct network_plan *out,
		      struct co_err *err)
{
	static const char *const modes[] = { "none", "host", "bridge", "private",
					     "container" };
	char mode[16] = "none";
	struct co_span value = { "{}", 2 };
	int64_t mtu = 0;
	int rc = 0;

	*out = (struct network_plan){ 0 };
	if (json.data &&
	    (co_json_check(json, &value, &(struct co_json_fault){ 0 }) < 0 ||
	     co_json_kind(value) != CO_JSON_OBJECT ||
	     !text_of(value, "mode", mode, sizeof(mode))))
		return co_fail(err, CO_INVALID, "network is not an object with a mode");
	while (out->mode < co_countof(modes) && strcmp(mode, modes[out->mode]) != 0)
		out->mode++;
	if (out->mode == co_countof(modes))
		return co_fail(
			err, CO_INVALID,
			"network.mode \"%s\" is not none, host, bridge, private or "
			"container",
			mode);
	if (number_of(value, "mtu", 65535, &mtu) && mtu >= 576)
		out->mtu = (unsigned) mtu;
	if (out->mode == NETWORK_BRIDGE)
		rc = read_bridge(id, value, out, err);
	if (rc == 0)
		rc = read_ports(value, out, err);
	if (rc < 0)
		network_plan_done(out);
	return rc;
}

void network_plan_done(struct network_plan *p)
{
	free(take(p->ports));
	p->port_count = 0;
}
