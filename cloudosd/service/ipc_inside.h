/* SPDX-License-Identifier: MIT */
/* What the files of the engine for messages share.  HOST.  Private to ipc*.c. */
#ifndef CO_SERVICE_IPC_INSIDE_H
#define CO_SERVICE_IPC_INSIDE_H

#include "cloudosd/service/ipc.h"

struct ipc_account { /* what a process or a user is charged for */
	unsigned peers, ports, names, connections, opening;
};

struct ipc_process {
	int32_t pid;
	struct ipc_account uses;
	uint64_t guesses;   /* cookies that do not exist */
	uint64_t tokens_us; /* of guessing: time until which they are used up */
	bool hashed;
	unsigned mark; /* ipc_wait.c */
	size_t first_edge;
	UT_hash_handle hh;
};

struct ipc_user {
	uint32_t uid;
	struct ipc_account uses;
	UT_hash_handle hh;
};

struct ipc_name_key {
	uint64_t session; /* 0: of the domain */
	char text[];
};

struct ipc_name {
	struct ipc_port *port;
	struct ipc_process *process; /* who registered it, charged */
	struct ipc_user *user;
	bool weak;
	struct ipc_name *port_prev, *port_next;
	UT_hash_handle hh;
	struct ipc_name_key *key; /* behind this struct */
};

struct ipc {
	const struct co_host *host;
	struct ipc_events events;
	struct ipc_limits limits;
	uint64_t secret[2];   /* signs */
	uint64_t revoked[64]; /* cookies that come back to nobody, a ring */
	unsigned next_revoked;
	uint64_t next_peer, next_port, next_connection;
	unsigned peer_count, halves;
	struct co_timer *missing; /* looks for processes of halves */
	uint64_t guesses;
	struct ipc_peer *peers;
	struct ipc_process *processes; /* those with peers */
	struct ipc_user *users;
	struct ipc_port *ports; /* by cookie, in the order of creation */
	struct ipc_port *numbered;
	struct ipc_name *names;
	struct ipc_connection *connections; /* by id */
};

/* Names are hashed with a key of this run. */
void ipc_names_key(const struct co_host *host);
void ipc_names_free(struct ipc_port *port);

/* Frees who is charged for nothing any more. */
void ipc_process_release(struct ipc *ipc, struct ipc_process *process);
void ipc_user_release(struct ipc *ipc, struct ipc_user *user);

/* The port of a cookie that this peer may use.  CO_NOT_FOUND is counted as a guess. */
int ipc_port_get(struct ipc_peer *peer, uint64_t cookie, struct ipc_port **out,
		 struct co_err *err);

/* Its names, connections and receivers too; everybody is told but `by`. */
void ipc_port_free(struct ipc_port *port, const struct ipc_peer *by,
		   enum co_ipc_why why);
/* The peer does not receive there any more. */
void ipc_receiver_free(struct ipc_receiver *receiver);

/* Timer: the other sides of halves. */
void ipc_missing_fire(void *arg);

/* Opens that wait there go to receivers that have room. */
void ipc_offer(struct ipc_port *port);
/* An open is not offered to its receiver any more: it waits again, first of all. */
void ipc_requeue(struct ipc_connection *c);
/* The connection ends; `why` for the sides that are still there, from `by` NULL: nobody. */
void ipc_connection_end(struct ipc_connection *c, const struct ipc_peer *by,
			enum co_ipc_why why);
/* Its port has gone. */
void ipc_connection_port_gone(struct ipc_connection *c, enum co_ipc_why why);
/* An open that is not answered yet fails. */
void ipc_refuse(struct ipc_connection *c, int status, const char *reason);

#endif
