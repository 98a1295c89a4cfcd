/* SPDX-License-Identifier: MIT */
/* What is process-wide in cloudosd.  HOST. */
#ifndef CO_DAEMON_H
#define CO_DAEMON_H

#include <stdatomic.h>
#include <uv.h>

#include "cloudosd/config.h"
#include "cloudosd/loop.h"
#include "cloudosd/service/guests.h"
#include "cloudosd/session.h"
#include "cloudosd/table.h"
#include "lib/paths.h"
#include "personality/call.h"
#include "store/store.h"

struct bridge;
struct configured;
struct control;
struct front;
struct http_client;
struct http_server;
struct members;
struct names;
struct notify;
struct peers;
struct keeper_link;
struct look_waiter;
struct pending;
struct relays;
struct sites;
struct sockets;

struct daemon {
	uv_loop_t uv;
	uv_signal_t sigterm, sigint, sighup;
	struct co_paths paths;
	struct config config;
	struct loop *loop;
	const struct co_host *host;
	struct store *store;
	struct co_services services;
	struct table *table;
	struct keeper_link *keeper;
	struct sockets *sockets; /* that listen, and outlive this daemon */
	struct control *control;
	struct http_server *http;
	struct front *front;        /* of services */
	struct http_client *client; /* what the daemon asks others */
	struct notify *notify;
	struct pending *pending;
	struct members *members;
	struct peers *peers;
	struct co_guests guests;
	struct bridge *bridge;
	struct sites *sites;
	struct relays *relays; /* to services in containers; NULL: none yet */
	struct names *names;
	struct configured *configured; /* handlers.yaml */
	int claim;                     /* of the block of addresses; -1 */
	struct session *sessions;      /* by id */
	unsigned looks;                /* going on: leftover.c */
	struct look_waiter *look_waiters;
	uint64_t started_ms;
	bool ephemeral;
	bool autostarted; /* by a launcher: ends when it is idle for long */
	bool stopping;
	bool served; /* has had a session: an ephemeral daemon ends after its last */
	bool ready;  /* registry loaded, predecessors' calls taken over */
	struct co_timer *idle;
	atomic_ullong calls, calls_failed, notes_lost;
};

/* Stops the daemon; with remove_folder the keeper deletes the domain's folder. */
void daemon_stop(struct daemon *d);

/* The keeper died: makes this daemon's successor possible again. */
void daemon_keeper_gone(struct daemon *d);

/* Reads the configuration again; what changed takes effect. */
int daemon_reload(struct daemon *d, struct co_err *err);

/* Something came or went: starts, stops or fires the idle and ephemeral ends. */
void daemon_idle_check(struct daemon *d);

#endif
