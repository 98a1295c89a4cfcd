/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Channels: send, receive, reply, create, destroy, and their names.
 *
 * On Anos the sender's page is the receiver's until the answer.  Here the page is copied
 * to the receiver, and at the reply what the receiver has changed is copied back; the
 * receiver's copy stays where it is until the next message.
 */
#include <co/status.h>
#include <personality/anos/guest_guard.h>
#include <personality/anos/guest_ipc.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>

#define PAGE CO_ANOS_PAGE

static enum shim_verdict failure(struct shim_call *call)
{
	return anos_result(call, CO_ANOS_FAILURE, 0);
}

/* ---- memory of the program ---- */

struct copy {
	uint8_t *to;
	const uint8_t *from;
	uint64_t size;
};

static void copy(void *argument)
{
	const struct copy *c = argument;

	memcpy(c->to, c->from, c->size);
}

static bool give(uint64_t to, const void *from, uint64_t size)
{
	struct copy c = { (uint8_t *) to, from, size };

	return to < CO_ANOS_GUEST_END && anos_guarded(copy, &c);
}

/* A receiver's buffer may be where there is no memory yet. */
static bool give_page(uint64_t to, const void *from, uint64_t size)
{
	bool mapped;

	if (give(to, from, size))
		return true;
	anos_space_lock();
	mapped = anos_map_missing(to, to + PAGE, PROT_READ | PROT_WRITE) == 0;
	anos_space_unlock();
	return mapped && give(to, from, size);
}

/* ---- send_message ---- */

struct sending {
	struct ipc_client *client;
	struct ring_call call;
	struct ring_answer answer;
	uint8_t *buffer;
};

static void page_post(void *argument)
{
	struct sending *s = argument;

	ring_page_post(&s->client->ring, &s->call, s->buffer);
}

static void page_back(void *argument)
{
	struct sending *s = argument;

	if (s->answer.flags & CO_RING_WHOLE)
		ring_page_back(s->buffer, &s->answer);
	else if (s->answer.flags & CO_RING_PAYLOAD)
		memcpy(s->buffer, s->answer.page,
		       s->answer.size < PAGE ? s->answer.size : PAGE);
}

static bool begin(struct sending *s)
{
	for (;;) {
		uint32_t kick = ipc_catch_up();
		enum ring_outcome outcome = ring_begin(&s->client->ring, &s->call, 0);

		if (outcome == RING_OK)
			return true;
		if (outcome != RING_FULL)
			return false;
		if (ring_room(&s->client->ring, &s->call, NULL, kick, IPC_CHECK_NS) ==
		    RING_TIMEOUT)
			ipc_check();
	}
}

/* False: nobody will answer. */
static bool await(struct sending *s)
{
	for (;;) {
		uint32_t kick = ipc_catch_up();
		enum ring_outcome outcome;

		if (shim_load_acquire(&s->client->doomed) &&
		    !ring_taken(&s->client->ring, &s->call))
			outcome = RING_DEAD;
		else
			outcome = ring_wait(&s->client->ring, &s->call, NULL, kick,
					    IPC_CHECK_NS, &s->answer);
		if (outcome == RING_TIMEOUT)
			ipc_check();
		if (outcome == RING_OK)
			return true;
		if (outcome == RING_DEAD) {
			ring_cancel(&s->client->ring, &s->call);
			return false;
		}
	}
}

static bool exchange(struct sending *s)
{
	bool good = true;

	if (!begin(s))
		return false;
	if (s->buffer && !anos_guarded(page_post, s)) {
		/* never posted: the slot is free again */
		ring_end(&s->client->ring, &s->call);
		return false;
	}
	ring_post(&s->client->ring, &s->call);
	if (!await(s))
		return false;
	if (s->answer.status != CO_RING_OK)
		good = false;
	else if (s->buffer && !anos_guarded(page_back, s))
		good = false; /* it has unmapped its page meanwhile */
	ring_end(&s->client->ring, &s->call);
	return good;
}

enum shim_verdict anos_send_message(struct shim_call *call)
{
	uint64_t buffer = call->args[3];
	struct sending s = { .call = { .tag = call->args[1],
				       .size = (uint32_t) call->args[2],
				       .tid = ANOS_SELF(uint32_t, thread),
				       .kind = (uint8_t) ANOS_SELF(uint32_t, class) } };
	bool good;

	if (buffer % PAGE || !anos_is_user(buffer))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (call->args[2] > PAGE || buffer >= CO_ANOS_GUEST_END || !call->args[0] ||
	    ipc_join())
		return failure(call);
	s.client = ipc_client_get(call->args[0]);
	if (!s.client)
		return failure(call);
	if (buffer && call->args[2]) {
		s.buffer = (uint8_t *) buffer;
		s.call.flags = CO_RING_PAYLOAD | CO_RING_WHOLE;
	}
	good = exchange(&s);
	ipc_client_put(s.client);
	/* an answer of 0 is no success, as on Anos */
	return good && s.answer.value ? anos_result(call, CO_ANOS_OK, s.answer.value)
				      : failure(call);
}

/* ---- recv_message ---- */

static void put_server(struct ipc_server *server)
{
	if (ring_put(&server->ring.users))
		ipc_server_gone(server);
}

/* Answers that it was not to be delivered. */
static void refuse(struct ipc_server *server, uint64_t message)
{
	struct ring_reply reply;
	bool gone;

	if (ring_answer_begin(&server->ring, message, &reply, &gone))
		(void) ring_answer_end(&reply, &gone); /* with a value of 0 */
	if (gone)
		ipc_server_gone(server);
}

/* What a message is to the program: its page, its tag and its size, each where wanted. */
struct delivery {
	const struct ring_message *m;
	uint64_t buffer, bytes; /* 0: no page */
	uint64_t tag, size;
};

static void deliver_all(void *argument)
{
	const struct delivery *d = argument;

	if (d->bytes)
		memcpy((uint8_t *) d->buffer, d->m->page, d->bytes);
	if (d->tag)
		*(volatile uint64_t *) d->tag = d->m->tag;
	if (d->size)
		*(volatile uint64_t *) d->size = d->m->size;
}

static bool deliver(struct ipc_server *server, struct delivery *d)
{
	const struct ring_message *m = d->m;
	uint64_t *remembered = &server->buffers[(m->cookie >> 42) % CO_RING_SLOTS];
	uint64_t size = m->size;

	*remembered = 0;
	if ((m->flags & CO_RING_PAYLOAD) && d->buffer)
		d->bytes = m->flags & CO_RING_WHOLE ? PAGE : m->size;
	if (d->tag < CO_ANOS_GUEST_END && d->size < CO_ANOS_GUEST_END &&
	    anos_guarded(deliver_all, d)) {
		if (d->bytes)
			*remembered = d->buffer;
		return true;
	}
	/* one after the other: there may be no memory yet where the page belongs */
	if (d->bytes) {
		if (!give_page(d->buffer, m->page, d->bytes))
			return false;
		*remembered = d->buffer;
	}
	return (!d->tag || give(d->tag, &m->tag, sizeof(m->tag))) &&
	       (!d->size || give(d->size, &size, sizeof(size)));
}

static enum ring_outcome receive(struct ipc_port *port, struct ring_message *out)
{
	enum ring_outcome outcome;

	do {
		uint32_t kick = ipc_catch_up();

		outcome = ring_receive(&port->ring, NULL, ipc->control, kick,
				       IPC_CHECK_NS, out);
		if (outcome == RING_TIMEOUT)
			ipc_check();
	} while (outcome != RING_OK && outcome != RING_DEAD);
	return outcome;
}

enum shim_verdict anos_recv_message(struct shim_call *call)
{
	uint64_t tag = call->args[1], size = call->args[2], buffer = call->args[3];
	struct ipc_server *server;
	struct ring_message m;
	struct ipc_port *port;
	struct delivery delivery;
	bool good;

	if (buffer % PAGE || !anos_is_user(buffer) || !anos_is_user(tag) ||
	    !anos_is_user(size) || buffer >= CO_ANOS_GUEST_END)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (!call->args[0] || ipc_join())
		return failure(call);
	port = ipc_port_get(call->args[0]);
	if (!port)
		return failure(call);
	good = receive(port, &m) == RING_OK;
	ipc_port_put(port);
	if (!good)
		return failure(call);
	server = ipc_server_of(m.cookie);
	m.size = m.size < PAGE ? m.size : PAGE; /* Anos knows no other messages */
	delivery = (struct delivery){
		.m = &m, .buffer = buffer, .tag = tag, .size = size
	};
	good = deliver(server, &delivery);
	put_server(server);
	if (good)
		return anos_result(call, CO_ANOS_OK, m.cookie);
	refuse(server, m.cookie);
	return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
}

/* ---- reply_message ---- */

struct replying {
	struct ring_reply reply;
	uint8_t *buffer;
};

static void page_answer(void *argument)
{
	struct replying *r = argument;

	if (r->reply.asked & CO_RING_WHOLE) {
		ring_page_answer(&r->reply, r->buffer);
		return;
	}
	r->reply.size = r->reply.room < PAGE ? r->reply.room : PAGE;
	memcpy(r->reply.page, r->buffer, r->reply.size);
	r->reply.flags = CO_RING_PAYLOAD;
}

enum shim_verdict anos_reply_message(struct shim_call *call)
{
	struct ipc_server *server;
	struct replying r;
	bool gone, handoff;

	if (!call->args[0] || ipc_join())
		return failure(call);
	(void) ipc_catch_up();
	server = ipc_server_of(call->args[0]);
	if (!server)
		return failure(call);
	if (!ring_answer_begin(&server->ring, call->args[0], &r.reply, &gone)) {
		if (gone)
			ipc_server_gone(server);
		return failure(call);
	}
	r.buffer = (uint8_t *) server->buffers[r.reply.slot];
	r.reply.value = call->args[1];
	if (r.buffer && !anos_guarded(page_answer, &r)) {
		r.reply.flags = 0; /* it has unmapped it: nothing of it has changed */
		r.reply.size = 0;
	}
	handoff = ring_answer_end(&r.reply, &gone);
	if (gone)
		ipc_server_gone(server);
	/* replying is where Anos lets the sender go on */
	if (handoff)
		ring_os_yield();
	return anos_result(call, CO_ANOS_OK, call->args[0]);
}

/* ---- create_channel, destroy_channel ---- */

enum shim_verdict anos_create_channel(struct shim_call *call)
{
	struct wire_port_create_req req = {
		.h.type = WIRE_port_create_req,
		.doorbell = UINT32_MAX, /* from the first recv_message on */
	};
	uint64_t cookie = 0, secret = 0;
	struct ipc_port *port;

	if (ipc_join())
		return failure(call);
	ipc_lock();
	if (ipc_request(&req, sizeof(req), -1) == 0) {
		cookie = ipc->buffer.create.cookie;
		secret = ipc->buffer.create.secret;
	}
	port = cookie ? ipc_port_new(cookie) : NULL;
	if (port)
		port->secret = secret;
	else
		cookie = 0;
	ipc_unlock();
	return cookie ? anos_result(call, CO_ANOS_OK, cookie) : failure(call);
}

enum shim_verdict anos_destroy_channel(struct shim_call *call)
{
	struct wire_port_destroy_req req = {
		.h.type = WIRE_port_destroy_req,
		.cookie = call->args[0],
	};

	if (ipc_join())
		return failure(call);
	ipc_lock();
	if (ipc_request(&req, sizeof(req), -1) == 0)
		ipc_port_gone(call->args[0]);
	ipc_unlock();
	return anos_result(call, CO_ANOS_OK, 0);
}

/* ---- names ---- */

struct named { /* a request with a name behind it */
	union {
		struct wire_header h;
		struct wire_name_register_req add;
		struct wire_name_remove_req remove;
		struct wire_name_find_req find;
	} req;
	uint8_t text[IPC_NAME_MAX];
};

/* Anos looks at the first 255 bytes.  Their number; -1: they cannot be read. */
static long read_name(uint64_t from, uint8_t *to)
{
	uint64_t at = 0;

	if (from >= CO_ANOS_GUEST_END)
		return -1;
	while (at < IPC_NAME_MAX - 1) {
		uint64_t room = IPC_NAME_MAX - 1 - at;
		uint64_t piece = PAGE - (from + at) % PAGE;

		struct copy c = { to + at, (const uint8_t *) (from + at),
				  piece < room ? piece : room };

		if (!anos_guarded(copy, &c))
			return -1;
		for (uint64_t end = at + c.size; at < end; at++)
			if (!to[at])
				return (long) at;
	}
	to[at] = 0;
	return (long) at;
}

static long ask_by_name(struct named *n, struct wire_span *span, uint32_t fixed,
			const uint8_t *name, long length)
{
	span->offset = fixed;
	span->length = (uint32_t) length;
	memcpy((uint8_t *) &n->req + fixed, name, (uint64_t) length + 1);
	return ipc_request(n, fixed + (uint32_t) length + 1, -1);
}

long ipc_name_say(uint64_t cookie, const uint8_t *name, long length)
{
	struct named n = { .req.add = { .h.type = WIRE_name_register_req,
					.cookie = cookie } };

	return ask_by_name(&n, &n.req.add.name, sizeof(n.req.add), name, length);
}

enum shim_verdict anos_register_channel_name(struct shim_call *call)
{
	uint8_t name[IPC_NAME_MAX];
	long length, r;

	if (!anos_is_user(call->args[1]) ||
	    (length = read_name(call->args[1], name)) < 0)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (ipc_join())
		return failure(call);
	ipc_lock();
	r = ipc_name_say(call->args[0], name, length);
	if (!r)
		ipc_name_given(call->args[0], name, length);
	ipc_unlock();
	return anos_result(call, r ? CO_ANOS_BAD_NUMBER : CO_ANOS_OK, 0);
}

enum shim_verdict anos_remove_channel_name(struct shim_call *call)
{
	struct named n = { .req.remove = { .h.type = WIRE_name_remove_req } };
	uint8_t name[IPC_NAME_MAX];
	long length, r;

	if (!anos_is_user(call->args[0]) ||
	    (length = read_name(call->args[0], name)) < 0)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (ipc_join())
		return failure(call);
	ipc_lock();
	r = ask_by_name(&n, &n.req.remove.name, sizeof(n.req.remove), name, length);
	if (!r)
		ipc_name_taken(name);
	ipc_unlock();
	return anos_result(call, r ? CO_ANOS_BAD_NAME : CO_ANOS_OK, 0);
}

/* What a name stood for holds until the control page says that names have changed. */
static struct ipc_name *name_place(const uint8_t *name, long length)
{
	uint32_t hash = 2166136261U;

	for (long i = 0; i < length; i++)
		hash = (hash ^ name[i]) * 16777619U;
	return &ipc->names[(hash ^ hash >> 16) % IPC_NAMES];
}

static uint64_t name_cached(struct ipc_name *place, const uint8_t *name, long length)
{
	uint32_t names = shim_load_acquire(&ipc->control->names);
	uint64_t cookie = 0;

	if (!names || !shim_replace(&place->writing, 0, 1))
		return 0;
	if (place->names == names &&
	    memcmp(place->text, name, (uint64_t) length + 1) == 0)
		cookie = place->cookie;
	shim_store_release(&place->writing, 0);
	return cookie;
}

static void name_keep(struct ipc_name *place, const uint8_t *name, long length,
		      uint64_t cookie, uint32_t names)
{
	if (!names || !shim_replace(&place->writing, 0, 1))
		return;
	memcpy(place->text, name, (uint64_t) length + 1);
	place->cookie = cookie;
	place->names = names;
	shim_store_release(&place->writing, 0);
}

static uint64_t find(const uint8_t *name, long length)
{
	struct named n = { .req.find = { .h.type = WIRE_name_find_req } };
	uint64_t cookie = 0;

	ipc_lock();
	if (ask_by_name(&n, &n.req.find.name, sizeof(n.req.find), name, length) == 0)
		cookie = ipc->buffer.find.cookie;
	ipc_unlock();
	return cookie;
}

enum shim_verdict anos_find_named_channel(struct shim_call *call)
{
	uint8_t name[IPC_NAME_MAX];
	struct ipc_name *place;
	uint64_t cookie;
	uint32_t names;
	long length;

	if (!anos_is_user(call->args[0]) ||
	    (length = read_name(call->args[0], name)) < 0)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (ipc_join())
		return failure(call);
	place = name_place(name, length);
	cookie = name_cached(place, name, length);
	if (!cookie) {
		names = shim_load_acquire(&ipc->control->names);
		cookie = find(name, length);
		if (cookie)
			name_keep(place, name, length, cookie, names);
	}
	return anos_result(call, CO_ANOS_OK, cookie); /* 0: there is none */
}

/* ---- questions of the shim's own ---- */

bool ipc_ask(const uint8_t *name, long length, uint64_t tag, uint32_t size, uint64_t to,
	     uint64_t *out_value)
{
	struct sending s = { .call = { .tag = tag,
				       .size = size,
				       .tid = ANOS_SELF(uint32_t, thread),
				       .flags = CO_RING_PAYLOAD } };
	uint64_t cookie;
	bool good = false;

	if (to >= CO_ANOS_GUEST_END || ipc_join() || !(cookie = find(name, length)))
		return false;
	s.client = ipc_client_get(cookie);
	if (!s.client)
		return false;
	if (begin(&s)) {
		ring_post(&s.client->ring, &s.call);
		if (await(&s)) {
			s.buffer = (uint8_t *) to;
			if (s.answer.size > size)
				s.answer.size = size;
			good = s.answer.status == CO_RING_OK &&
			       anos_guarded(page_back, &s);
			*out_value = s.answer.value;
			ring_end(&s.client->ring, &s.call);
		}
	}
	ipc_client_put(s.client);
	return good;
}
