/* SPDX-License-Identifier: MIT */
/*
 * ipc_send, ipc_receive, ipc_reply.  HOST.  Specification: "Message Passing API".
 *
 * Who speaks is what the kernel says of the caller.  A pid is one of the caller's own name
 * space; what it cannot see there has an opaque number, of the registry or of its messages.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/service/bridge.h"
#include "cloudosd/service/message.h"
#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

_Static_assert((int) MESSAGE_REQUEST == (int) MSG_REQUEST &&
		       (int) MESSAGE_RESPONSE == (int) MSG_RESPONSE &&
		       (int) MESSAGE_NOTIFICATION == (int) MSG_NOTIFICATION &&
		       (int) MESSAGE_ERROR == (int) MSG_ERROR,
	       "the kinds of a message are CloudOS's");

/* ---- who ---- */

static struct message_call identity(struct co_call *call)
{
	struct store_journal journal = call_journal(call, 0);

	return (struct message_call){ .session = journal.session,
				      .call = journal.call,
				      .slot = journal.slot };
}

static int64_t nobody(struct co_call *call, uint32_t pid)
{
	return call_fail(call, CO_NOT_FOUND, "%s: there is no process %u",
			 call_op(call)->name, pid);
}

/* The identity of a living process; who has written before is known.  Without the core
 * lock. */
static int identify(struct co_call *call, int32_t pid, struct process_id *out)
{
	const struct process_id *known;

	call_lock(call);
	known = messages_process(call_services(call)->messages, pid);
	if (known)
		*out = *known;
	call_unlock(call);
	if (known)
		return 0;
	return process_read(pid, out, NULL) || !process_is_alive(out) ? CO_NOT_FOUND
								      : 0;
}

/* The caller.  Without the core lock. */
static int64_t caller(struct co_call *call, struct process_look *look,
		      struct message_party *out)
{
	*out = (struct message_party){ .session = call_session(call) };
	if (process_look(call_tid(call), look) ||
	    identify(call, look->pid, &out->process))
		return call_fail(call, CO_GONE, "the calling process is gone");
	out->uid = look->uid;
	return 0;
}

/* A number that is no pid: who is it?  Under the core lock. */
static bool opaque(struct co_call *call, uint32_t pid, struct process_id *out)
{
	const struct co_services *services = call_services(call);
	const struct process_id *process = NULL;
	const struct service_instance *instance;

	if (pid >= MESSAGE_OPAQUE_PID) {
		process = messages_named(services->messages, pid);
	} else if (pid >= SERVICE_OPAQUE_PID) {
		instance =
			registry_find_id(services->registry, pid & ~SERVICE_OPAQUE_PID);
		if (instance && instance->owner.pid)
			process = &instance->owner;
	}
	if (!process)
		return false;
	*out = *process;
	return true;
}

/* The process that the caller calls `pid`.  Without the core lock. */
static int64_t find(struct co_call *call, uint32_t pid, const struct process_look *look,
		    struct process_id *out)
{
	int32_t host_pid = (int32_t) pid;
	bool known;

	if (!pid)
		return identify(call, look->pid, out) ? nobody(call, pid) : 0;
	if (pid >= SERVICE_OPAQUE_PID) {
		call_lock(call);
		known = opaque(call, pid, out);
		call_unlock(call);
		return known ? 0 : nobody(call, pid);
	}
	if (look->is_nested &&
	    process_pid_from(call_tid(call), (int32_t) pid, &host_pid))
		return nobody(call, pid);
	return identify(call, host_pid, out) || out->pid != host_pid ? nobody(call, pid)
								     : 0;
}

/* What one of two processes calls the other. */
static uint32_t seen(int32_t pid, int32_t viewer)
{
	uint32_t number;

	return process_pid_seen_by(pid, viewer, &number) == 0 ? number
							      : MESSAGE_UNNAMED;
}

static int64_t parties(struct co_call *call, uint32_t dest_pid,
		       struct message_party *from, struct message_party *to)
{
	struct process_look here, there;
	int64_t r;

	call_blocking_begin(call);
	r = caller(call, &here, from);
	if (!r)
		r = find(call, dest_pid, &here, &to->process);
	if (!r && process_look(to->process.pid, &there))
		r = nobody(call, dest_pid);
	if (!r) {
		to->uid = there.uid;
		to->pid = dest_pid ? dest_pid : here.own_pid;
		/* in the daemon's own name space everybody has the number it knows */
		from->pid = there.is_nested ? seen(from->process.pid, to->process.pid)
					    : (uint32_t) from->process.pid;
	}
	call_blocking_end(call);
	return r;
}

/* ---- send and reply ---- */

static struct message_text text_of(const message_t *msg)
{
	return (struct message_text){ .kind = (uint32_t) msg->type,
				      .id = msg->id,
				      .size = msg->size,
				      .data = msg->data };
}

/* A dead receiver is one that is not there. */
static int64_t finished(struct co_call *call, int r, const struct co_err *err)
{
	if (!r)
		return 0;
	return call_fail(call, r == CO_GONE ? CO_NOT_FOUND : r, "%s: %s",
			 call_op(call)->name, err->message);
}

/* To a port of a program that shares memory: the daemon receives and asks there. */
static int64_t port_parties(struct co_call *call, uint32_t number,
			    struct message_party *from, struct message_party *to)
{
	struct bridge *bridge = call_services(call)->bridge;
	struct process_look here, there;
	struct co_err err = { 0 };
	int32_t pid = 0;
	int64_t r;

	call_blocking_begin(call);
	r = caller(call, &here, from);
	call_blocking_end(call);
	if (r)
		return r;
	from->uid = here.uid;
	if (bridge_receiver(bridge, from, number, &pid, &err))
		return call_fail(call, err.code, "%s: %s", call_op(call)->name,
				 err.message);
	call_blocking_begin(call);
	if (identify(call, pid, &to->process) || process_look(pid, &there))
		r = nobody(call, number);
	call_blocking_end(call);
	if (r)
		return r;
	to->uid = there.uid;
	to->pid = number;
	from->pid = (uint32_t) from->process.pid; /* the answer needs no more */
	return 0;
}

/* To a service of the daemon itself. */
static int64_t own_parties(struct co_call *call, uint32_t number,
			   struct message_party *from, struct message_party *to)
{
	const struct process_id *own = bridge_own_process(call_services(call)->bridge);
	struct process_look here;
	int64_t r;

	if (!own)
		return nobody(call, number);
	to->process = *own;
	to->uid = geteuid();
	to->pid = number;
	call_blocking_begin(call);
	r = caller(call, &here, from);
	call_blocking_end(call);
	from->pid = (uint32_t) from->process.pid;
	return r;
}

static int64_t port_send(struct co_call *call, const struct cloudos_ipc_send_args *a,
			 const struct message_call *self)
{
	const struct co_services *services = call_services(call);
	struct message_text text = text_of(a->msg);
	struct message_party from, to = { 0 };
	struct co_err err = { 0 };
	int64_t r = port_parties(call, a->dest_pid, &from, &to);

	if (r)
		return r;
	r = bridge_admit(services->bridge, &from, &to, text.size, &err);
	if (!r)
		r = messages_send(services->messages, &from, &to, &text, self, &err);
	return finished(call, (int) r, &err);
}

int64_t cloudos_on_ipc_send(struct co_call *call, const struct cloudos_ipc_send_args *a)
{
	struct messages *messages = call_services(call)->messages;
	struct message_call self = identity(call);
	struct message_text text = text_of(a->msg);
	struct message_party from, to = { 0 };
	struct co_err err = { 0 };
	int64_t r;

	if (call_again(call) && messages_have_sent(messages, &self))
		return 0;
	if (bridge_is_port(a->dest_pid))
		return port_send(call, a, &self);
	r = bridge_is_own(a->dest_pid) ? own_parties(call, a->dest_pid, &from, &to)
				       : parties(call, a->dest_pid, &from, &to);
	if (r)
		return r;
	return finished(call, messages_send(messages, &from, &to, &text, &self, &err),
			&err);
}

int64_t cloudos_on_ipc_reply(struct co_call *call,
			     const struct cloudos_ipc_reply_args *a)
{
	struct messages *messages = call_services(call)->messages;
	struct message_call self = identity(call);
	struct message_text text = text_of(a->reply);
	struct message_party from, to = { 0 };
	struct co_err err = { 0 };
	int64_t r;

	if (call_again(call) && messages_have_sent(messages, &self))
		return 0;
	r = parties(call, a->dest_pid, &from, &to);
	if (r)
		return r;
	return finished(
		call, messages_reply(messages, &from, &to.process, &text, &self, &err),
		&err);
}

/* ---- receive ---- */

struct receiving {
	struct co_call *call;
	struct message_wait *wait;
	struct message_call self;
	uint32_t record;
};

/* What could not be written to the guest waits again. */
static void received_end(void *arg, bool delivered)
{
	struct receiving *receiving = arg;

	if (!delivered) {
		call_lock(receiving->call);
		messages_put_back(call_services(receiving->call)->messages,
				  receiving->record, &receiving->self);
		call_unlock(receiving->call);
	}
	free(receiving);
}

/* Takes receiving. */
static int64_t received(struct receiving *receiving, const struct message_got *got)
{
	struct co_call *call = receiving->call;
	const struct cloudos_ipc_receive_args *a = call_arguments(call);
	message_t *msg = got->bytes;

	*msg = (message_t){ .sender_pid = got->sender_pid,
			    .receiver_pid = got->receiver_pid,
			    .type = (message_type_t) got->kind,
			    .id = got->id,
			    .size = got->size };
	*a->sender_pid = got->sender_pid;
	receiving->record = got->record;
	call_output(call, 1, msg, sizeof(*msg) + got->size);
	call_on_end(call, received_end, receiving);
	return 0;
}

static void arrived(void *arg, int status, const struct message_got *got,
		    const char *reason)
{
	struct receiving *receiving = arg;
	struct co_call *call = receiving->call;

	if (status) {
		(void) call_fail(call, status, "ipc_receive: %s", reason);
		free(receiving);
	} else {
		(void) received(receiving, got);
	}
	call_reply(call, status);
	(void) call_release(call);
}

static void forget(struct co_call *call, void *arg)
{
	struct receiving *receiving = arg;

	(void) messages_cancel(receiving->wait); /* is NULL */
	free(receiving);
	(void) call_release(call);
}

/* Takes receiving. */
static int64_t receive(struct receiving *receiving, const struct message_party *self,
		       const struct message_room *room)
{
	struct co_call *call = receiving->call;
	struct message_got got;
	struct co_err err = { 0 };
	int r = messages_receive(call_services(call)->messages, self, room,
				 &receiving->self, call_again(call), &got,
				 &receiving->wait, arrived, receiving, &err);

	if (r == 0)
		return received(receiving, &got);
	if (r == MESSAGES_WAITING) {
		(void) call_retain(call);
		return call_pend(call, forget, receiving);
	}
	free(receiving);
	return call_fail(call, r, "ipc_receive: %s", err.message);
}

int64_t cloudos_on_ipc_receive(struct co_call *call,
			       const struct cloudos_ipc_receive_args *a)
{
	struct message_room room = { .headroom = sizeof(message_t) };
	struct receiving *receiving;
	struct message_party self;
	struct process_look look = { 0 };
	int64_t r;

	if (a->max_size < sizeof(message_t))
		return call_fail(call, CO_INVALID,
				 "ipc_receive: max_size is %zu, and a message has a "
				 "header of %zu bytes",
				 a->max_size, sizeof(message_t));
	room.data = a->max_size - sizeof(message_t);
	call_blocking_begin(call);
	r = caller(call, &look, &self);
	call_blocking_end(call);
	room.pid = look.own_pid;
	if (r)
		return r;
	receiving = calloc(1, sizeof(*receiving));
	if (!receiving)
		return call_fail(call, CO_NO_MEMORY, "ipc_receive: out of memory");
	receiving->call = call;
	receiving->self = identity(call);
	return receive(receiving, &self, &room);
}
