/* SPDX-License-Identifier: MIT */
/*
 * Messages between two programs over memory that they share (include/co/ring.h), without
 * the daemon.  SHARED by guest and host: freestanding, no allocation, no descriptors, no
 * thread-local storage.  All structures of this file are private to one process; its memory
 * is the caller's.  Functions may be called by any number of threads at a time unless they
 * say otherwise.
 *
 *	caller                                  receiver
 *	ring_begin   a slot, its page
 *	  (fills the page)
 *	ring_post    it is on its way    ───▶   ring_receive
 *	ring_wait    for the answer               (copies the page) ring_put
 *	                                        ring_answer_begin   the page of the answer
 *	                                          (fills it)
 *	  (copies the page of the answer) ◀───  ring_answer_end
 *	ring_end     the slot is free
 *
 * Segments are mapped, sealed and passed around by the caller.  Outcomes other than RING_OK
 * leave everything as it was, so that a wait can be taken up again.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <co/ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ring_outcome {
	RING_OK,
	RING_KICKED,      /* the control page's `kick` is not what the caller said */
	RING_INTERRUPTED, /* ring_os_wait said so */
	RING_TIMEOUT,
	RING_FULL, /* no slots are free */
	RING_DEAD, /* ring_client_stop, ring_port_stop or ring_detach has been called */
	RING_STRANGE /* a segment is not one of this version, or a number is out of bounds */
};

/* ---- what the surroundings offer (os_host.c; in guests the personality's) ---- */

/*
 * Sleeps until a word is not as expected any more or is woken; `kick` may be NULL.  0, or
 * -EINTR (4), -EAGAIN (11), -ETIMEDOUT (110).  timeout_ns 0: none.  `context` is what the
 * caller of ring_wait and the like gave.
 */
long ring_os_wait(void *context, const uint32_t *word, uint32_t expected,
		  const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns);

/* Wakes up to that many threads of any process; how many there were. */
long ring_os_wake(const uint32_t *word, uint32_t count);

void ring_os_yield(void);
uint64_t ring_os_now(void); /* nanoseconds, monotonic; called on slow paths only */

/* ---- what both sides need ---- */

/*
 * References to something that threads use while another may close it.  ring_put says true
 * once: the last user is gone, and whoever hears it unmaps the segments.
 */
struct ring_users {
	uint32_t count; /* the attachment counts as one */
	uint32_t closed;
};

bool ring_get(struct ring_users *users);
bool ring_put(struct ring_users *users);

/* How long it is worth to wait awake; learnt from what happened (words.h). */
struct ring_pace {
	uint32_t cost;         /* ticks that a wake-up takes; 0: not known */
	uint32_t spin_missed;  /* spins that were for nothing, since one that was not */
	uint32_t yield_missed; /* the same of yields */
};

/* ---- the calling side (client.c) ---- */

struct ring_client {
	struct ring_users users;
	struct co_ring_client *own; /* writable */
	const struct co_ring_server *server;
	const struct co_ring_bell *bell;
	const struct co_ring_control *control; /* may be NULL */
	struct co_ring_capture *capture;       /* may be NULL */
	uint64_t connection;                   /* for the capture */
	uint64_t busy;                         /* slots in use */
	uint64_t
		loose; /* of them, the first of a message: nobody waits, free when answered */
	uint64_t ticket;
	uint32_t room, room_waiters; /* what waits for free slots sleeps on `room` */
	struct ring_pace pace;
	uint32_t seq[CO_RING_SLOTS];
	uint8_t run[CO_RING_SLOTS]; /* slots of the message that begins there */
	uint32_t changing;          /* page.c */
};

/* A message; the caller's.  ring_begin fills in what is said to be its. */
struct ring_call {
	uint64_t tag, trace;
	uint32_t size; /* <= slots * CO_RING_PAGE unless CO_RING_WHOLE is set */
	uint32_t tid;
	uint16_t flags;
	uint8_t type, kind;
	uint8_t slot, slots;    /* ring_begin's */
	uint32_t seq;           /* ring_begin's */
	uint8_t *page;          /* ring_begin's: slots * CO_RING_PAGE bytes to fill */
	uint64_t ticket, start; /* ring_post's */
};

struct ring_answer {
	uint32_t status, size;
	uint64_t value;
	uint16_t flags;
	uint8_t type;
	uint64_t lines;      /* CO_RING_WHOLE: see struct co_ring_answer */
	const uint8_t *page; /* size bytes; copy once */
};

/* Writes the head of an own segment that is all zeros. */
void ring_client_format(struct co_ring_client *own, uint32_t pid);
void ring_server_format(struct co_ring_server *own, uint32_t pid);
void ring_peer_format(struct co_ring_peer *own, uint32_t pid);
void ring_capture_format(struct co_ring_capture *own, uint32_t pid);

/* `client` is all zeros.  RING_STRANGE when the other side's segments are not ours, or there
 * is no such doorbell. */
enum ring_outcome ring_client_open(struct ring_client *client,
				   struct co_ring_client *own,
				   const struct co_ring_server *server,
				   const struct co_ring_peer *peer, uint32_t bell);

/* Nobody will answer any more: waits end with RING_DEAD.  Drops the attachment: what
 * ring_put returns.  Threads that sleep notice once they are kicked. */
bool ring_client_stop(struct ring_client *client);

/*
 * Claims as many consecutive slots as `size` and `room` need.  RING_FULL: ring_room waits.
 * A call that has begun ends with ring_end, or with ring_cancel.
 */
enum ring_outcome ring_begin(struct ring_client *client, struct ring_call *call,
			     uint32_t room);
/* RING_OK: there seem to be free slots for what ring_begin has refused; try again. */
enum ring_outcome ring_room(struct ring_client *client, const struct ring_call *call,
			    void *context, uint32_t kick, uint64_t timeout_ns);

/*
 * CO_RING_WHOLE: puts all of a page into the call's.  What the page holds from an earlier
 * call and what is the same is not written again: it need not travel between processors.
 * This and ring_page_answer use xmm0 to xmm3, which guest code saves around them.
 */
void ring_page_post(struct ring_client *client, struct ring_call *call,
		    const uint8_t *buffer);

/* On its way.  A call with CO_RING_ASYNC is over with that. */
void ring_post(struct ring_client *client, struct ring_call *call);

/*
 * RING_OK: answered.  `kick` is the control page's value from before the caller looked
 * whether there is anything to do; 0 without a control page.  timeout_ns 0: none.
 */
enum ring_outcome ring_wait(struct ring_client *client, struct ring_call *call,
			    void *context, uint32_t kick, uint64_t timeout_ns,
			    struct ring_answer *out_answer);
void ring_end(struct ring_client *client, struct ring_call *call);

/* CO_RING_WHOLE: what the receiver has changed of the page that was posted. */
void ring_page_back(uint8_t *buffer, const struct ring_answer *answer);

/* Has a receiver's process seen it?  Once its port is gone, what has not been taken will not
 * be answered. */
bool ring_taken(const struct ring_client *client, const struct ring_call *call);

/* Not interested any more; it may have been delivered. */
void ring_cancel(struct ring_client *client, struct ring_call *call);

/* ---- the answering side (server.c) ---- */

struct ring_slot {
	uint64_t cookie; /* of the message that a receiver holds; 0: none */
	uint32_t next;   /* in the queue of its class */
	uint32_t reserved;
	struct co_ring_entry entry; /* a copy, checked */
};

struct ring_server {
	struct ring_users users;
	struct co_ring_server *own; /* writable */
	const struct co_ring_client *client;
	struct ring_port *port;
	const struct co_ring_control *control;
	struct co_ring_capture *capture;
	uint64_t connection;
	uint64_t consumed;
	uint64_t busy;   /* slots whose message has been taken and not been answered */
	void *owner;     /* the caller's */
	uint32_t index;  /* in the port's table */
	uint32_t number; /* in cookies */
	uint32_t changing; /* page.c */
	struct ring_slot slots[CO_RING_SLOTS];
};

#define RING_NUMBERS 65535U /* of connections in one process: ring_cookie_number */

struct ring_queue {
	uint32_t first, last; /* number << 6 | slot, plus one; 0: empty */
};

/*
 * A port as its receivers see it.  The memory of the table is the caller's, and so is that
 * of all connections, by number: `lookup` finds one, NULL if there is none.
 */
struct ring_port {
	uint32_t lock;
	uint32_t stopped;
	struct co_ring_bell *bell; /* writable */
	struct ring_server **table;
	uint32_t table_size, table_used;
	uint32_t rotor;
	uint32_t pending; /* messages in the queues */
	uint32_t picked;  /* counts */
	struct ring_queue queues[CO_RING_CLASSES];
	struct ring_pace pace;
	uint32_t client_cpu; /* where the last message came from */
	uint32_t receivers;  /* threads in ring_receive */
	uint64_t random;
	struct ring_server *(*lookup)(uint32_t number);
};

struct ring_message {
	uint64_t cookie; /* never 0; answered once, by anybody in this process */
	struct ring_server *server;
	uint64_t tag, trace, sent;
	uint32_t size; /* clamped to the pages, unless CO_RING_WHOLE is set */
	uint32_t tid;
	uint16_t flags;
	uint8_t type, kind, slots;
	const uint8_t
		*page; /* the sender's: copy once, never trust it to stay as it is */
};

/* `port` is all zeros; random: from the kernel. */
enum ring_outcome ring_port_open(struct ring_port *port, struct co_ring_peer *own,
				 uint32_t bell, struct ring_server **table,
				 uint32_t table_size,
				 struct ring_server *(*lookup)(uint32_t number),
				 uint64_t random);

/* Several ports sleep on that bell. */
void ring_bell_share(struct co_ring_peer *own, uint32_t bell);

/* All receivers end with RING_DEAD; connections stay until they are detached. */
void ring_port_stop(struct ring_port *port);

/* `server` is all zeros but for control, capture, connection, owner. */
enum ring_outcome ring_attach(struct ring_port *port, struct ring_server *server,
			      uint32_t number, struct co_ring_server *own,
			      const struct co_ring_client *client);

/* Its pending messages are dropped, those that receivers hold cannot be answered any more.
 * What ring_put returns. */
bool ring_detach(struct ring_server *server);

/* Answers what is pending with CO_RING_CLOSED: the port is gone, its connections are not. */
void ring_port_refuse(struct ring_port *port);

/*
 * The next message.  It holds a reference on the connection, so that its page can be copied:
 * ring_put(&message->server->users) when that is done.
 */
enum ring_outcome ring_receive(struct ring_port *port, void *context,
			       const struct co_ring_control *control, uint32_t kick,
			       uint64_t timeout_ns, struct ring_message *out_message);

struct ring_reply {
	struct ring_server *server; /* ring_answer_begin's */
	uint64_t value;
	uint32_t size, room; /* room: ring_answer_begin's, bytes in the pages */
	uint16_t flags;
	uint8_t type;
	uint8_t slot;   /* ring_answer_begin's */
	uint8_t *page;  /* ring_answer_begin's */
	uint16_t asked; /* ring_answer_begin's: the message's flags */
	uint64_t lines; /* ring_page_answer's */
};

/*
 * Takes the message with that cookie from whoever holds it: false if there is none (never
 * was, answered already, connection gone).  Otherwise its answer must be ended: fill in the
 * page, value, size, flags and type.  *out_gone: see ring_put; if false, it may have been
 * the last user of the connection, too.
 */
bool ring_answer_begin(struct ring_server *server, uint64_t cookie,
		       struct ring_reply *out_reply, bool *out_gone);

/* The answer to a CO_RING_WHOLE message: all of the page that the receiver was given, as it
 * is now.  Sets flags and size. */
void ring_page_answer(struct ring_reply *reply, const uint8_t *buffer);

/* True: the sender is on this CPU and waits awake, so it is its turn (ring_os_yield). */
bool ring_answer_end(struct ring_reply *reply, bool *out_gone);

/* Of a cookie: the number that ring_attach was given. */
static inline uint32_t ring_cookie_number(uint64_t cookie)
{
	return (uint32_t) (cookie >> 48);
}

#endif
