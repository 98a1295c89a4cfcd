/* SPDX-License-Identifier: MIT */
/*
 * The memory that two programs share to talk: what lies where, and who writes it.  SHARED
 * by guest and host.  ring/README.md tells the way of a message; ring/ring.h is the code.
 *
 * Every word has one writer.  Whoever writes a segment creates it as a memfd of exactly its
 * size, maps it writable, and then seals it with CO_RING_SEALS: from then on nobody can map
 * it writable again or change its size.  Everybody else maps it read-only, and believes
 * nothing in it: indexes are masked, a word is read once, lengths are clamped.
 *
 *	segment  written by             read by
 *	client   the calling process    the answering process, cloudosd
 *	server   the answering process  the calling process, cloudosd
 *	peer     an answering process   those who call it
 *	control  cloudosd               one process that takes part
 *	capture  a process              cloudosd
 */
#ifndef CO_RING_H
#define CO_RING_H

#include <stddef.h>
#include <stdint.h>

#define CO_RING_VERSION 1U
#define CO_RING_SLOTS   64U /* of a connection: messages in flight */
#define CO_RING_PAGE    4096U
#define CO_RING_RUN     16U /* slots of one message at most */
#define CO_RING_BUCKETS 40U /* of a histogram */
#define CO_RING_BELLS   63U /* doorbells of a process, numbered from 0 */

/* F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE of linux/fcntl.h */
#define CO_RING_SEALS 0x17

#define CO_RING_CLIENT_MARK  0x31746e656c436f43UL
#define CO_RING_SERVER_MARK  0x31726576726553UL
#define CO_RING_PEER_MARK    0x3172656550006f43UL
#define CO_RING_CONTROL_MARK 0x31747243006f43UL
#define CO_RING_CAPTURE_MARK 0x317061436f43UL

/* A counter of others' interest; written by one process, read by whoever looks. */
struct co_ring_counts {
	uint64_t messages;   /* client: posted; server: handed to a receiver */
	uint64_t answers;    /* client: by slot, see below; server: given */
	uint64_t bytes;      /* of payload in those messages; client: by slot */
	uint64_t bytes_back; /* of payload in those answers; client: by slot */
	uint64_t errors; /* client: cancelled or without an answer; server: refused */
	uint64_t sleeps; /* client: waits for an answer that slept */
	uint64_t wakes;  /* FUTEX_WAKEs made for the other side */
	uint64_t
		depth_max; /* client: the most slots in use at a time; server: pending */
};

/* ---- client segment ---- */

/* What a slot has carried as the first one of messages: its holder counts, without a lock. */
struct co_ring_slot_counts {
	uint64_t answers; /* seen */
	uint64_t bytes, bytes_back;
	uint64_t reserved;
};

/*
 * A message on its way: entry (ticket modulo CO_RING_SLOTS).  It is there once `ticket` is
 * its number plus one, which is written last; it is not written again before the message
 * has been answered.
 */
struct co_ring_entry {
	uint64_t ticket;
	uint64_t tag;
	uint64_t
		trace; /* a word that the receiver is told; cloudosctl channel trace shows it */
	uint64_t sent; /* time stamp counter; 0: not told */
	uint32_t size; /* of the payload, or just a number where CO_RING_WHOLE is set */
	uint32_t seq;  /* of the slot: what the answer's word will be */
	uint32_t tid;  /* of the sender */
	uint32_t cpu;  /* where it was sent */
	uint16_t flags; /* enum co_ring_flag */
	uint8_t type;   /* what the personality likes */
	uint8_t kind;   /* class: higher is served earlier, CO_RING_CLASSES - 1 first */
	uint8_t slot;   /* the first */
	uint8_t slots;  /* with their pages, 1 to CO_RING_RUN */
	uint16_t reserved;
	uint64_t reserved2;
};

#define CO_RING_CLASSES 4U

enum co_ring_flag {
	CO_RING_PAYLOAD = 1U << 0, /* the pages hold something */
	CO_RING_WHOLE =
		1U << 1, /* all of one page, there and back; `size` is a number */
	CO_RING_ASYNC = 1U << 2, /* nobody waits; the answer frees the slot */
	CO_RING_BLOB = 1U << 3 /* the payload is a sealed memfd that cloudosd attaches;
				      its number is the first word of the page */
};

/* What the sender adds while it waits. */
struct co_ring_wait {
	uint32_t waiting; /* 1: it sleeps on the answer's word */
	uint32_t
		cancelled; /* the seq of a message that is not to be delivered any more */
	uint32_t reserved[14];
};

struct co_ring_client {
	uint64_t mark;
	uint32_t version, pid;
	uint64_t ready; /* libcloudos: 1: the caller has the server's segment */
	uint64_t reserved[5];
	struct co_ring_counts counts;
	uint64_t latency
		[CO_RING_BUCKETS]; /* [n]: 2^n to 2^(n+1) ticks until the answer */
	struct co_ring_slot_counts slots[CO_RING_SLOTS];
	uint8_t unused[CO_RING_PAGE - 128 - 8 * CO_RING_BUCKETS - 32 * CO_RING_SLOTS];
	struct co_ring_entry entries[CO_RING_SLOTS];
	struct co_ring_wait waits[CO_RING_SLOTS];
	uint8_t pages[CO_RING_SLOTS][CO_RING_PAGE];
};

/* ---- server segment ---- */

enum co_ring_status {
	CO_RING_OK,
	CO_RING_CANCELLED, /* not delivered: the sender did not want it any more */
	CO_RING_REFUSED,   /* not delivered: it was no message as above */
	CO_RING_CLOSED     /* not delivered: the port is gone */
};

/* The answer to the message in that slot is there once `word` is the message's seq. */
struct co_ring_answer {
	uint32_t word;
	uint32_t status; /* enum co_ring_status */
	uint64_t value;
	uint64_t stamp; /* time stamp counter when it was given */
	uint32_t size;  /* of the payload in the pages of the same slots */
	uint16_t flags; /* CO_RING_PAYLOAD, CO_RING_WHOLE, CO_RING_BLOB */
	uint8_t type;
	uint8_t reserved;
	uint64_t
		lines; /* CO_RING_WHOLE: bit n: 64 bytes at 64 * n differ from the request */
	uint64_t reserved2[3];
};

struct co_ring_server {
	uint64_t mark;
	uint32_t version, pid;
	uint64_t reserved[6];
	struct co_ring_counts counts;
	uint64_t latency[CO_RING_BUCKETS]; /* from sending to receiving */
	uint64_t consumed; /* tickets below have been taken out of the entries */
	uint8_t unused[CO_RING_PAGE - 136 - 8 * CO_RING_BUCKETS];
	struct co_ring_answer answers[CO_RING_SLOTS];
	uint8_t pages[CO_RING_SLOTS][CO_RING_PAGE];
};

/* ---- peer page ---- */

/*
 * What receivers of a port sleep on.  A sender who sees sleepers wakes `wake` of them,
 * through its read-only mapping.
 */
struct co_ring_bell {
	uint32_t word;
	uint32_t sleepers;
	uint32_t cpu;  /* where a receiver was seen last */
	uint32_t wake; /* 1; INT32_MAX where several ports share the bell */
	uint32_t reserved[12];
};

struct co_ring_peer {
	uint64_t mark;
	uint32_t version, pid;
	uint64_t reserved[6];
	struct co_ring_bell bells[CO_RING_BELLS];
};

/* ---- control page ---- */

enum co_ring_control_flag {
	CO_RING_CAPTURE = 1U << 0 /* messages go into the capture segment, too */
};

struct co_ring_control {
	uint64_t mark;
	uint32_t version, flags;
	uint32_t kick;  /* counts: there is something to read on the way to cloudosd */
	uint32_t names; /* changes when what a name stands for may have; 0: not told */
	uint64_t peer;
	uint32_t waiting; /* CO_IPC_JOIN_MESSAGES: messages that cloudosd holds for it */
	uint32_t reserved;
	uint8_t unused[CO_RING_PAGE - 40];
};

/* ---- capture segment ---- */

enum co_ring_event {
	CO_RING_EVENT_NONE,
	CO_RING_EVENT_POST,
	CO_RING_EVENT_RECEIVE,
	CO_RING_EVENT_REPLY,
	CO_RING_EVENT_ANSWER
};

#define CO_RING_RECORDS     256U
#define CO_RING_RECORD_DATA 64U

/* Record n lies at n modulo CO_RING_RECORDS; it is whole while `number` is n + 1 before and
 * after it is read.  Old ones are written over. */
struct co_ring_record {
	uint64_t number;
	uint64_t stamp;      /* time stamp counter */
	uint64_t connection; /* as cloudosd numbers it */
	uint64_t tag;        /* of an answer: its value */
	uint32_t seq, size;
	uint32_t tid;
	uint16_t flags;
	uint8_t event; /* enum co_ring_event */
	uint8_t slot;
	uint8_t reserved[16];
	uint8_t data[CO_RING_RECORD_DATA]; /* how the payload begins */
};

struct co_ring_capture {
	uint64_t mark;
	uint32_t version, pid;
	uint64_t next; /* number of the next record */
	uint8_t unused[CO_RING_PAGE - 24];
	struct co_ring_record records[CO_RING_RECORDS];
};

#endif
