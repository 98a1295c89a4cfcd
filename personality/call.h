/* SPDX-License-Identifier: MIT */
/*
 * A call of a guest, as a personality's handler sees it.  HOST.  Implemented by
 * cloudosd/call.c; the handlers in personality/NAME use it.
 *
 * A handler runs on a notify thread under the core lock.  It gets its arguments already
 * copied and bounded (structs and strings are the daemon's own memory, every byte of the
 * guest's read once), and returns a value >= 0, a negative co_status with a recorded
 * reason (return call_fail(...)), or CO_PENDING after call_pend.  Output arguments are
 * zeroed buffers that are copied out if the result is >= 0.
 */
#ifndef CO_CALL_H
#define CO_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/errors.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/host.h"
#include "cloudosd/service/logs.h"
#include "cloudosd/service/message.h"
#include "cloudosd/service/metrics.h"
#include "cloudosd/service/outgoing.h"
#include "cloudosd/service/process.h"
#include "cloudosd/service/registry.h"
#include "cloudosd/service/shm.h"
#include "cloudosd/service/traces.h"
#include "lib/err.h"
#include "store/store.h"

struct bridge;
struct containers;
struct volumes;
struct expiry;
struct handlers;
struct idempotency;
struct images;
struct names;
struct states;
struct co_call;
struct co_op;

/* Not a status and not a result. */
#define CO_PENDING INT64_MIN

struct co_guests;

/* The services of the domain, borrowed. */
struct co_services {
	const struct co_host *host;
	struct store *store;
	struct registry *registry;
	struct errors *errors;
	struct messages *messages;
	struct shm *shm;
	struct logs *logs;
	struct metrics *metrics;
	struct events *events;
	struct traces *traces;
	uint32_t heartbeat_ms; /* of event streams */
	const struct co_outgoing *outgoing;
	struct bridge *
		bridge; /* cloudosd/service/bridge.h: ports of programs that share memory */
	struct expiry *expiry;           /* cloudosd/service/expiry.h */
	struct idempotency *idempotency; /* cloudosd/service/idempotency.h */
	struct states *state;            /* cloudosd/service/state.h */
	struct handlers *handlers;       /* cloudosd/service/handler.h */
	struct jobs *jobs;               /* cloudosd/service/job.h */
	struct containers
		*containers;     /* cloudosd/service/container.h; NULL: none here */
	struct volumes *volumes; /* cloudosd/service/volume.h; NULL: as containers */
	struct images *images;   /* cloudosd/service/image.h */
	const struct co_guests *guests; /* cloudosd/service/guests.h */
	struct names *names;            /* cloudosd/service/names.h */
	uint64_t
		domain; /* random, 62 bits, the same as long as the state folder lives */
	/* Keeps an error for `cloudosctl errors`, once for each origin that is not 0; what
	 * a guest reported itself is logged too. */
	void (*record_error)(void *ctx, const struct error_record *record,
			     uint64_t session, uint64_t origin, bool reported);
	void *ctx;
};

const struct co_services *call_services(struct co_call *call);

uint64_t call_session(const struct co_call *call);
int32_t call_tid(const struct co_call *call);
const struct co_op *call_op(const struct co_call *call);

/* The calling thread group, from the kernel and never from an argument. */
const struct process_id *call_process(struct co_call *call);

/* Start time of the calling thread: with the tid it names the thread. */
uint64_t call_thread_start(struct co_call *call);

/* Records why the call fails; returns status.  The first reason stays. */
int64_t call_fail(struct co_call *call, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The handler will answer later with call_reply, from anywhere under the core lock.
 * cancel(call, arg), under the core lock, means that nobody waits any more (a signal, a
 * dead thread, a stopping daemon): forget the call, do not reply.  Returns CO_PENDING.
 */
int64_t call_pend(struct co_call *call, void (*cancel)(struct co_call *call, void *arg),
		  void *arg);

/* The arguments as the handler got them, while it is pending. */
const void *call_arguments(const struct co_call *call);

/* Keeps a call for somebody who may outlive its answer.  release returns NULL. */
struct co_call *call_retain(struct co_call *call);
struct co_call *call_release(struct co_call *call);

/* Answers a pending call once; the call may be gone when this returns. */
void call_reply(struct co_call *call, int64_t result);

/*
 * The journal entry that makes an effect happen once even if the daemon dies: written in
 * the transaction of the effect with the result that the call will return.
 */
struct store_journal call_journal(const struct co_call *call, int64_t result);

/*
 * Leaves the core lock so that the handler may talk to the kernel for longer; nothing of
 * call_services may be touched before call_blocking_end.
 */
void call_blocking_begin(struct co_call *call);
void call_blocking_end(struct co_call *call);

/*
 * Makes the call return a new descriptor of the guest for fd (taken), close-on-exec.
 * Returns what the handler is to return: 0, or CO_PENDING where the guest's own thread has
 * to take it.
 */
int64_t call_return_fd(struct co_call *call, int fd);

/*
 * Under an engine that can give no descriptor: the guest's own thread performs a Linux
 * call instead of its private one, with `words` as arguments, and performed(call, raw)
 * gets what the kernel returned, under the core lock, to be turned into call_reply.
 * Returns CO_PENDING.
 */
bool call_gives_fds(const struct co_call *call);
int64_t call_perform(struct co_call *call, int32_t number, const uint64_t words[6],
		     void (*performed)(struct co_call *call, int64_t raw));

/* The caller's own words, as they were in its registers. */
const uint64_t *call_words(const struct co_call *call);

/*
 * finish(arg, delivered) runs once when the call is over: not delivered means that the
 * results could not be written to the guest and the effect is to be taken back.  On any
 * thread, without the core lock.
 */
void call_on_end(struct co_call *call, void (*finish)(void *arg, bool delivered),
		 void *arg);

/* The core lock, for such a finish. */
void call_lock(struct co_call *call);
void call_unlock(struct co_call *call);

/* What goes out for a TAILED_OUT argument: `size` bytes of data (malloc, taken). */
void call_output(struct co_call *call, uint32_t argument, void *data, size_t size);

/* Was it said before, to this daemon or another?  Then its effect may have been. */
bool call_again(const struct co_call *call);

/* A duplicate of the guest's descriptor; negative status with a reason. */
int call_guest_fd(struct co_call *call, int guest_fd);

/*
 * Exactly n bytes of the guest's memory: 0, or CO_FAULT, CO_ACCESS, CO_GONE, and nothing is
 * recorded.  The guest can hold that up: only between call_blocking_begin and _end, and once.
 */
int call_guest_bytes(struct co_call *call, uint64_t address, void *out, size_t n);

/* The kernel is to make the guest's call as it is.  Returns what the handler is to return. */
int64_t call_continue(struct co_call *call);

/*
 * A status that stands for an errno of Linux, for rows that are Linux's own calls; the
 * errno of a status, 0 if it is another.
 */
int call_errno(int errnum);
int call_errno_of(int64_t status);

/* The service that the session was started as (--service), by its full name; "". */
const char *call_service(const struct co_call *call);

/*
 * Its program is in a container, in a network of its own.  There the front of services
 * listens as well, and a socket that is to have a port of it must share it; 0, or a negative
 * errno.  Connections to `from` here are carried to `to` there: CO_EXISTS if another program
 * is that service.
 */
struct sockaddr_in;
bool call_is_housed(const struct co_call *call);
int call_share_port(struct co_call *call, uint16_t port, int fd);
int call_carry(struct co_call *call, const struct sockaddr_in *from,
	       const struct sockaddr_in *to, struct co_err *err);

/* Proof against pid reuse for code that used /proc/TID by number: 0 while the call is
 * still waiting, CO_GONE otherwise. */
int call_still_there(struct co_call *call);

#endif
