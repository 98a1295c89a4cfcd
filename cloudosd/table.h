/* SPDX-License-Identifier: MIT */
/*
 * What outlives a daemon: the sessions, their outstanding calls, last errors and messages,
 * in a memfd that the keeper creates and every cloudosd of the domain maps.  HOST.
 *
 * The kernel writes each notification straight into its slot (the buffer of NOTIF_RECV
 * is the slot), so there is no instant at which a call has been received and its id is
 * not here.  A slot is free when notif.id is 0 and phase is TABLE_FREE.  Whoever starts
 * as the next daemon finds the calls its predecessor owed and answers them once.  Under
 * ptrace the launcher has them as well and asks for them again, under trap the guests.
 *
 * Nothing here is trusted: a daemon that maps the table checks it (table_check).
 */
#ifndef CO_TABLE_H
#define CO_TABLE_H

#include <co/limits.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/errors.h"
#include "cloudosd/service/message_saved.h"
#include "cloudosd/service/shm.h"
#include "lib/err.h"

#define TABLE_MAGIC   0x436c6f75644f5301ULL
#define TABLE_VERSION 4U
#define TABLE_ERRORS  4096

/* What the keeper holds descriptors for: sessions, then segments of shared memory, then
 * listening sockets. */
#define KEEPER_SLOTS                                                                   \
	(CO_LIMIT_SESSIONS + CO_LIMIT_SHM_SEGMENTS + CO_LIMIT_HELD_LISTENERS)

/*
 * INHERITED: a predecessor had it, and this daemon has not taken it up yet.  KEPT: under
 * trap, nobody knows whether its answer has arrived; its thread may say it again.
 * ANSWERED: the same as long as the connection is there, which then says another.
 */
enum table_phase {
	TABLE_FREE,
	TABLE_RECEIVING,
	TABLE_OWED,
	TABLE_INHERITED,
	TABLE_KEPT,
	TABLE_ANSWERED
};

struct table_call {
	struct seccomp_notif notif; /* for ptrace and trap filled from a note */
	uint64_t session;
	atomic_uint phase; /* enum table_phase */
	uint32_t effect;   /* its effect and answer are in the journal */
};

struct table_session {
	uint64_t id;          /* 0: free */
	uint64_t started_ns;  /* wall clock */
	uint64_t guest_start; /* start time of pid, tells it from a later namesake */
	int32_t pid, launcher_pid;
	uint32_t engine, personality;
	uint32_t trace;
	uint32_t contained; /* begun by a program in a container */
	char name[64];
	char command[192];
	char service[64]; /* "" or its full name */
	uint64_t mounts;  /* its mount name space, where that is its own; 0 */
	uint32_t container; /* of the daemon, in which it runs; 0 */
	uint32_t zero;
};

struct table {
	uint64_t magic;
	uint32_t version;
	uint32_t restarts; /* how many daemons came before this one */
	uint64_t next_session;
	int32_t keeper_pid;
	uint32_t ephemeral;
	struct table_session sessions[CO_LIMIT_SESSIONS];
	struct table_call calls[CO_LIMIT_CALLS_PENDING];
	struct errors_saved errors[TABLE_ERRORS];
	struct messages_saved messages;
	struct shm_saved shm;
};

/* A new zeroed table; *out_fd is the memfd, sealed against resizing. */
int table_create(struct table **out, int *out_fd, struct co_err *err);

/* Maps an inherited one and checks it; what is damaged is cleared, not believed. */
int table_map(struct table **out, int fd, struct co_err *err);

#endif
