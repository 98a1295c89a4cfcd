/* SPDX-License-Identifier: MIT */
/*
 * Messages between processes: a queue for each, oldest first.  HOST.
 *
 * Owns the queues, who waits at them, what is charged to whom, and the requests that want
 * an answer.  Plain C: knows no personality and no wire.  Runs under the core lock.  Who
 * calls it: personalities.
 *
 * A message that was accepted is kept by the keeper until it is received or its receiver
 * is dead, across any number of daemons, and so is the knowledge which call has sent it
 * and which was given it (message_saved.h): a call that is said again has its effect once.
 *
 * The sender is charged for what waits, and a requester also for its request until it has
 * received the answer; so neither a slow receiver nor a silent requester costs anybody
 * else.  Who asked a process that ends without an answer gets MESSAGE_ERROR with a
 * sentence.
 */
#ifndef CO_SERVICE_MESSAGE_H
#define CO_SERVICE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "cloudosd/service/message_saved.h"
#include "cloudosd/service/process.h"
#include "lib/err.h"

enum message_kind {
	MESSAGE_REQUEST = 1,
	MESSAGE_RESPONSE = 2,
	MESSAGE_NOTIFICATION = 3,
	MESSAGE_ERROR = 4
};

struct messages;

/*
 * NULL: no memory.  host and saved are borrowed; is_over says whether nobody wants that
 * call's answer any more.  What is saved is there again; what has died meanwhile is noticed.
 */
struct messages *
messages_new(const struct co_host *host, struct messages_saved *saved,
	     bool (*is_over)(void *ctx, const struct message_call *call), void *ctx);

/*
 * After messages_new: what an earlier daemon had taken on behalf of a program will not be
 * answered, and what it has asked on behalf of one nobody wants answered any more.
 */
void messages_orphans(struct messages *m);

/* What is saved stays, who waits is forgotten.  NULL is allowed; returns NULL. */
struct messages *messages_free(struct messages *m);

struct message_party {
	struct process_id process;
	uint64_t session;
	uint32_t uid;
	uint32_t
		pid; /* what the other side calls it; MESSAGE_UNNAMED: it cannot see it */
};

#define MESSAGE_UNNAMED    0U
#define MESSAGE_OPAQUE_PID 0xc0000000U /* | a number that stays the process' */

struct message_text {
	uint32_t kind, id, size;
	const void *data;
};

/*
 * Queues a request or a notification.  0, also when that call has done so before;
 * CO_INVALID (kind), CO_TOO_BIG, CO_ACCESS (another user's process), CO_GONE (the receiver
 * has ended), CO_BUSY (a limit of the sender or receiver), CO_TABLE_FULL (of the domain),
 * CO_NO_MEMORY.
 */
int messages_send(struct messages *m, const struct message_party *from,
		  const struct message_party *to, const struct message_text *text,
		  const struct message_call *call, struct co_err *err);

/*
 * Answers the oldest request of that id that `to` sent to `from`.  As messages_send;
 * CO_NOT_FOUND: there is none.
 */
int messages_reply(struct messages *m, const struct message_party *from,
		   const struct process_id *to, const struct message_text *text,
		   const struct message_call *call, struct co_err *err);

struct message_got {
	uint32_t record; /* for messages_put_back */
	uint32_t kind, id, size;
	uint32_t sender_pid, receiver_pid;
	uint32_t addressed; /* what the sender has called the receiver */
	struct process_id
		from; /* the sender; of a failed request who has not answered */
	void *bytes;  /* malloc, the receiver's: headroom, then the data */
};

struct message_wait;

#define MESSAGES_WAITING 1

/* status 0 and a message, or CO_TOO_BIG, CO_NO_MEMORY with a sentence. */
typedef void message_done_fn(void *arg, int status, const struct message_got *got,
			     const char *reason);

struct message_room {
	size_t data;     /* the most there is room for */
	size_t headroom; /* bytes to leave in front of the data */
	uint32_t pid;    /* what the receiver calls itself */
};

/*
 * Takes the oldest message of a process; 0: *out.  With `again` the one that this call was
 * given before, if it was.  MESSAGES_WAITING: there is none, `done` runs once when there is.
 * CO_TOO_BIG: it stays.  CO_GONE, CO_BUSY, CO_NO_MEMORY.  A call of MESSAGE_DAEMON is told
 * CO_GONE by `done` when the process ends; others are cancelled.
 */
int messages_receive(struct messages *m, const struct message_party *party,
		     const struct message_room *room, const struct message_call *call,
		     bool again, struct message_got *out,
		     struct message_wait **out_wait, message_done_fn *done, void *arg,
		     struct co_err *err);

/* `done` does not run any more.  Only before it ran.  Returns NULL. */
struct message_wait *messages_cancel(struct message_wait *wait);

/* The call could not be given what it took: the message waits again, as old as it is. */
void messages_put_back(struct messages *m, uint32_t record,
		       const struct message_call *call);

/* Has that call sent its message already? */
bool messages_have_sent(const struct messages *m, const struct message_call *call);

/* The process that MESSAGE_OPAQUE_PID | number names; NULL if it is gone. */
const struct process_id *messages_named(const struct messages *m, uint32_t opaque_pid);

/* The living process of that pid, if it has sent or received before; NULL otherwise. */
const struct process_id *messages_process(const struct messages *m, int32_t pid);

/* Who wants to know how many messages wait for a process.  The caller's, zeros at first. */
struct message_watch {
	void (*told)(void *ctx, uint32_t waiting);
	void *ctx;
	struct box *box;
	struct message_watch *prev, *next;
};

/*
 * `told` runs at once and whenever the number changes; it must not call back into this
 * header.  0, CO_GONE, CO_TABLE_FULL, CO_NO_MEMORY.
 */
int messages_watch(struct messages *m, const struct process_id *process,
		   struct message_watch *watch, struct co_err *err);
/* Also of one that does not watch. */
void messages_unwatch(struct message_watch *watch);

/* What is waiting in the domain, and how many processes take part. */
void messages_numbers(const struct messages *m, uint64_t *out_messages,
		      uint64_t *out_processes);

#endif
