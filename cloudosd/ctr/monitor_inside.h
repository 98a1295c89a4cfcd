/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the monitor share.  HOST.
 *
 *	monitor.c          the container's life, and the loop
 *	monitor_client.c   connections: requests, replies, events, what waits for them
 *	monitor_ops.c      the requests
 *	monitor_stdio.c    pipes and terminal, log, attached clients
 *	monitor_runtime.c  containers that another runtime makes
 *	monitor_exec.c     further processes for clients (health checks)
 *	monitor_end.c      the exit record, and leaving nothing behind
 */
#ifndef CTR_MONITOR_INSIDE_H
#define CTR_MONITOR_INSIDE_H

#include <sys/types.h>

#include "cloudosd/ctr/calls.h"
#include "cloudosd/ctr/cgroup.h"
#include "cloudosd/ctr/config.h"
#include "cloudosd/ctr/control_inside.h"
#include "cloudosd/ctr/log.h"
#include "cloudosd/ctr/monitor.h"
#include "cloudosd/ctr/network.h"
#include "cloudosd/ctr/process.h"

struct monitor;

/* Something the loop looks at. */
struct source {
	int fd;          /* -1: none */
	uint32_t events; /* of epoll, that it is registered for; 0: not at all */
	void (*ready)(struct monitor *m, struct source *s, uint32_t events);
};

/* A packet that waits for a client that the program waits for. */
struct packet {
	struct packet *next;
	int type; /* as ctr_control_packet */
	size_t size;
	char data[];
};

struct client {
	struct source source; /* first */
	struct client *next;
	bool watches, output, error_output, input;
	bool waits; /* the program waits for it */
	bool once;  /* standard input ends with it */
	bool creator;
	bool closing;    /* is freed when the loop comes around */
	bool wants_exit; /* asked to `wait`, with that tag */
	uint64_t wait_tag;
	uint64_t lost; /* bytes that it did not take */
	struct packet *first, *last;
	int64_t moved_ms; /* when it last took something of those */
};

struct exec {
	struct source source; /* of its output; first */
	struct exec *next;
	struct client *client; /* NULL: gone meanwhile */
	uint64_t tag;
	pid_t pid;
	struct ctr_calls *calls; /* NULL: none are answered */
	struct source call_sources[CTR_CALLS_FDS];
	int64_t deadline_ms; /* -1: none */
	bool timed_out;
	char output[CO_LIMIT_CTR_EXEC_OUTPUT];
	size_t size; /* of it */
};

struct output {
	struct source source; /* first */
	enum ctr_stream stream;
	bool ended;
};

struct monitor {
	const struct ctr_monitor_options *options;
	char *folder; /* ROOT/ID */
	int lock;     /* its note; see monitor_end.c */
	size_t note_size;
	int epoll;
	struct ctr_config *config;
	struct ctr_cgroup *cgroup;
	struct ctr_container container;
	struct ctr_calls *calls; /* NULL: none are answered */
	struct source call_sources[CTR_CALLS_FDS];
	enum ctr_run_state state;
	uint64_t created_ms;
	bool committed;
	bool undone; /* never was */
	bool over;   /* the record is written, nothing is left */
	bool terminal;
	uint64_t oom_kills;
	struct ctr_exit exit;
	int record;                  /* ctr_exit_reserve; -1 */
	struct ctr_network *network; /* NULL: none of ours */
	bool network_ended;          /* the program that carried it */
	struct source listener, signals, oom, carrier;
	/* stdio */
	struct ctr_log *log;
	struct output outputs[2];
	struct source input;
	bool input_ends; /* when what waits has been written */
	struct co_buf input_waits;
	int64_t terminal_again_ms; /* look at it again then; -1 */
	char *buffer;              /* MONITOR_CHUNK bytes of output */
	unsigned stalled;          /* clients with packets that the program waits for */
	struct client *clients;
	unsigned client_count;
	struct exec *execs, *ended_execs;
	unsigned exec_count;
};

enum { MONITOR_CHUNK = CO_LIMIT_CTR_MESSAGE - 1 };

/* ---- monitor.c ---- */

/* Registers s for those events of epoll, 0 for none. */
void monitor_look(struct monitor *m, struct source *s, uint32_t events);
void monitor_close(struct monitor *m, struct source *s);
int64_t monitor_clock(void); /* monotonic, ms */
uint64_t monitor_now(void);  /* ms since the epoch */

/* Nothing more is looked at for those calls. */
void monitor_calls_forget(struct monitor *m, struct source sources[CTR_CALLS_FDS]);

/* Lets the container go; its failure ends it. */
int monitor_start(struct monitor *m, struct co_err *err);

/* Kills everything in it, frozen or not. */
int monitor_kill_all(struct monitor *m, int signal, struct co_err *err);

/* ---- monitor_client.c ---- */

int monitor_clients_open(struct monitor *m, struct co_err *err);
struct client *monitor_client_add(struct monitor *m, int fd);
void monitor_client_end(struct monitor *m, struct client *c);
void monitor_clients_sweep(struct monitor *m); /* frees those that ended */

/* text: members behind tag and ok, with a comma in front; may be "". */
void monitor_reply(struct monitor *m, struct client *c, uint64_t tag,
		   const char *members);
void monitor_refuse(struct monitor *m, struct client *c, uint64_t tag,
		    const struct co_err *err);

/* To all who watch. */
void monitor_event(struct monitor *m, const char *name, const char *members);

/* Sends one packet; what a client that `waits` cannot take now waits for it. */
void monitor_send(struct monitor *m, struct client *c, int type, const void *data,
		  size_t size);

/* ---- monitor_ops.c ---- */

void monitor_request(struct monitor *m, struct client *c, struct co_span json);
void monitor_tell_exit(struct monitor *m); /* to all who wait or watch */

/* ---- monitor_stdio.c ---- */

/* What the container's first process gets; inside[] are to be closed after that. */
void monitor_stdio_init(struct monitor *m);
int monitor_stdio_make(struct monitor *m, int inside[3], struct co_err *err);
void monitor_stdio_console(struct monitor *m, int master);
void monitor_stdio_arm(struct monitor *m);   /* looks at output, or not while stalled */
void monitor_stdio_drain(struct monitor *m); /* all that is there, after the end */
void monitor_input(struct monitor *m, struct client *c, struct co_span data);
void monitor_input_end(struct monitor *m);
int monitor_resize(struct monitor *m, unsigned rows, unsigned columns,
		   struct co_err *err);

/* Milliseconds until monitor_stdio_tick; -1: none. */
int monitor_stdio_due(const struct monitor *m);
void monitor_stdio_tick(struct monitor *m);

/* ---- monitor_exec.c ---- */

int monitor_exec(struct monitor *m, struct client *c, uint64_t tag, struct co_span json,
		 struct co_err *err);
bool monitor_exec_ended(struct monitor *m, pid_t pid, int status); /* is it one? */
void monitor_exec_forget(struct monitor *m, const struct client *c);
int monitor_exec_due(const struct monitor *m);
void monitor_exec_tick(struct monitor *m);
void monitor_exec_end_all(struct monitor *m);
void monitor_execs_sweep(struct monitor *m); /* frees those that ended */

/* ---- monitor_runtime.c ---- */

int monitor_runtime_create(struct monitor *m, const int stdio[3], struct co_err *err);
int monitor_runtime_start(struct monitor *m, struct co_err *err);
void monitor_runtime_delete(const char *runtime, const char *folder, const char *id);

/* ---- monitor_end.c ---- */

/* Makes ROOT/ID and locks it.  CO_EXISTS: another monitor has it. */
int monitor_claim(struct monitor *m, struct co_err *err);

/* Who this is, for `reap`: everything that has to be removed. */
int monitor_note(struct monitor *m, struct co_err *err);

/* state.json and the way to config.json, for the other commands of cloudos-ctr. */
int monitor_state(struct monitor *m, struct co_err *err);

/* Everything that the container had outside: processes, groups, network, folder. */
void monitor_clean(struct monitor *m);

/* "a/b/name", or "a/b" without name (malloc); NULL: no memory. */
/* How its groups are to be. */
void monitor_group_spec(const struct ctr_config *config, const char *id,
			struct ctr_cgroup_spec *out);

char *monitor_path(const char *root, const char *id, const char *name);

#endif
