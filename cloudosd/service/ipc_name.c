/* SPDX-License-Identifier: MIT */
/* The engine for messages: names of ports.  HOST.  The only user of their table. */
#include <co/limits.h>
#include <co/siphash.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/ipc_inside.h"

/* Whoever chooses names must not be able to choose their places in the table. */
static uint64_t names_key[2];
#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv)                                           \
	((hashv) = (unsigned) co_siphash(names_key, keyptr, keylen))

void ipc_names_key(const struct co_host *host)
{
	if (names_key[0])
		return; /* a table lives with its key */
	names_key[0] = host->random(host->ctx) | 1;
	names_key[1] = host->random(host->ctx);
}

/* ---- names ---- */

enum { KEY_MAX = sizeof(uint64_t) + CO_LIMIT_IPC_NAME + 1 };

static struct ipc_name *name_lookup(struct ipc *ipc, uint64_t session, const char *text)
{
	union {
		struct ipc_name_key key;
		char bytes[KEY_MAX];
	} wanted;
	size_t n = strlen(text);
	struct ipc_name *name;

	if (n > CO_LIMIT_IPC_NAME)
		return NULL;
	wanted.key.session = session;
	memcpy(wanted.bytes + sizeof(session), text, n);
	HASH_FIND(hh, ipc->names, &wanted, sizeof(session) + n, name);
	return name;
}

/* As a peer sees it: its session's first. */
static struct ipc_name *name_seen(struct ipc_peer *peer, const char *text)
{
	struct ipc_name *name =
		peer->session ? name_lookup(peer->ipc, peer->session, text) : NULL;

	if (!name)
		name = name_lookup(peer->ipc, 0, text);
	return name && name->port->user == peer->user ? name : NULL;
}

static void name_free(struct ipc *ipc, struct ipc_name *name)
{
	HASH_DEL(ipc->names, name);
	ipc->events.names_changed(ipc->events.ctx);
	DL_DELETE2(name->port->names, name, port_prev, port_next);
	name->process->uses.names--;
	name->user->uses.names--;
	ipc_process_release(ipc, name->process);
	ipc_user_release(ipc, name->user);
	free(name);
}

void ipc_names_free(struct ipc_port *port)
{
	while (port->names)
		name_free(port->owner->ipc, port->names);
}

static int name_check(const struct ipc_peer *peer, uint32_t flags, const char *text,
		      struct co_err *err)
{
	const struct ipc_limits *limits = &peer->ipc->limits;

	if (!*text)
		return co_fail(err, CO_INVALID, "a name must not be empty");
	if (strlen(text) > CO_LIMIT_IPC_NAME)
		return co_fail(err, CO_NAME_TOO_LONG,
			       "a name of %zu bytes is too long; %d are allowed",
			       strlen(text), CO_LIMIT_IPC_NAME);
	if (flags & ~(CO_IPC_NAME_SESSION | CO_IPC_NAME_WEAK))
		return co_fail(err, CO_INVALID, "there is no such kind of name");
	if (flags & CO_IPC_NAME_SESSION && !peer->session)
		return co_fail(err, CO_INVALID,
			       "a peer without a session cannot give it a name");
	if (peer->process->uses.names >= limits->process_names)
		return co_fail(err, CO_TABLE_FULL,
			       "this process has registered %u names, the limit",
			       limits->process_names);
	if (peer->user->uses.names >= limits->names)
		return co_fail(
			err, CO_TABLE_FULL,
			"this user's programs have registered %u names, the limit",
			limits->names);
	return 0;
}

int ipc_name_register(struct ipc_peer *peer, uint64_t cookie, uint32_t flags,
		      const char *text, struct co_err *err)
{
	struct ipc *ipc = peer->ipc;
	uint64_t session = flags & CO_IPC_NAME_SESSION ? peer->session : 0;
	size_t n = strlen(text);
	struct ipc_port *port;
	struct ipc_name *name;
	int r = name_check(peer, flags, text, err);

	if (!r)
		r = ipc_port_get(peer, cookie, &port, err);
	if (r)
		return r;
	/* what gives way leaves its place, so that those who found it find this one */
	name = peer->session ? name_lookup(ipc, peer->session, text) : NULL;
	if (!name)
		name = name_lookup(ipc, session, text);
	if (name && name->weak && name->process != peer->process) {
		session = name->key->session;
		name_free(ipc, name);
	}
	if (name_lookup(ipc, session, text))
		return co_fail(err, CO_EXISTS, "the name \"%.64s\" is taken", text);
	name = calloc(1, sizeof(*name) + sizeof(*name->key) + n + 1);
	if (!name)
		return co_fail(err, CO_NO_MEMORY, "no memory for one more name");
	name->key = (void *) (name + 1);
	name->key->session = session;
	memcpy(name->key->text, text, n + 1);
	name->weak = flags & CO_IPC_NAME_WEAK;
	name->port = port;
	name->process = peer->process;
	name->user = peer->user;
	name->process->uses.names++;
	name->user->uses.names++;
	HASH_ADD_KEYPTR(hh, ipc->names, name->key, sizeof(session) + n, name);
	DL_APPEND2(port->names, name, port_prev, port_next);
	ipc->events.names_changed(ipc->events.ctx);
	return 0;
}

int ipc_name_remove(struct ipc_peer *peer, const char *text, struct co_err *err)
{
	struct ipc_name *name = name_seen(peer, text);

	if (!name)
		return co_fail(err, CO_NOT_FOUND, "there is no port of that name");
	name_free(peer->ipc, name);
	return 0;
}

struct ipc_port *ipc_name_find(struct ipc_peer *peer, const char *text)
{
	const struct ipc_name *name = name_seen(peer, text);

	return name ? name->port : NULL;
}

struct ipc_port *ipc_name_seen(struct ipc *ipc, uint64_t session, uint32_t uid,
			       const char *text)
{
	struct ipc_name *name = session ? name_lookup(ipc, session, text) : NULL;

	if (!name)
		name = name_lookup(ipc, 0, text);
	return name && name->port->user->uid == uid ? name->port : NULL;
}

bool ipc_name_is_seen(const struct ipc_port *port, uint64_t session, uint32_t uid)
{
	const struct ipc_name *name;

	DL_FOREACH2(port->names, name, port_next)
	if (!name->key->session || name->key->session == session)
		return port->user->uid == uid;
	return false;
}

const char *ipc_name_of(const struct ipc_port *port, unsigned i, uint64_t *out_session)
{
	const struct ipc_name *name = port->names;

	while (name && i--)
		name = name->port_next;
	if (!name)
		return NULL;
	if (out_session)
		*out_session = name->key->session;
	return name->key->text;
}
