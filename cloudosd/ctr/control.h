/* SPDX-License-Identifier: MIT */
/*
 * Talking to the monitor of a container.  HOST.
 *
 * Who calls it: the monitor itself, cloudosd (from its loop), cloudosctl (blocking).
 *
 * Each monitor listens at ROOT/ID/ctl.sock (SOCK_SEQPACKET; its own user and root only).  A
 * packet is one message of at most CO_LIMIT_CTR_MESSAGE bytes.  One that begins with '{' is
 * JSON; one that begins with a byte 0, 1 or 2 carries the rest as standard input (to the
 * monitor; nothing behind the byte: its end), output or error output (from it).
 *
 * Request: {"op":"status","tag":7,...}.  Each gets one reply with its tag, in any order:
 * {"tag":7,"ok":true,...} or {"tag":7,"ok":false,"code":"NOT_FOUND","message":"..."}.
 *
 *   op      members                        reply has, or what it does
 *   status                                 state (created, running, paused, exited), pid,
 *                                          created, started (ms since the epoch; 0: never),
 *                                          oomKilled, terminal, stdin, clients, log
 *                                          {bytes, lines, lost}, network (of network.h), exit
 *                                          (as below, when exited)
 *   start                                  lets the program go; replies when its exec has
 *                                          succeeded.  Failed: the container ends (exit 127
 *                                          not found, 126 otherwise)
 *   signal  signal, all                    `all`: everything in it, frozen or not, by its
 *                                          cgroup; otherwise its first process
 *   pause, resume                          replies when all is frozen, or thawed
 *   update  resources, network             linux.resources of OCI; what is not in it stays.
 *                                          network: of network.h, with its new ports
 *   resize  rows, columns                  of the terminal; CO_NOT_TTY without one
 *   usage                                  cpu {total, user, system, throttled} ns, memory
 *                                          {used, limit, peak, swap}, pids {used, limit},
 *                                          io {read, written}, network {received, sent,
 *                                          packets...}, oomKills.  What cannot be measured
 *                                          is missing
 *   exec    args, timeoutMs                one process more (health checks), with user, folder
 *                                          and environment of the first; replies at its end:
 *                                          exitCode, signal, timedOut, output (the last 4 KiB)
 *   attach  stdin, stdout, stderr, wait,   from now on packets 1 and 2 come; those of type 0
 *           once                           are taken.  A client that does not read loses
 *                                          output and is told by the event "lost", unless
 *                                          `wait`: then the program waits for it, as for a
 *                                          pipe (run in the foreground).  `once`: standard
 *                                          input ends with this client
 *   detach                                 no more of them
 *   wait                                   replies at the end: exit
 *   watch                                  from now on events come
 *   reopen                                 the log, after somebody moved it
 *   commit                                 see ctr_control_pair
 *
 * exit: {exitCode, signal (0: none), oomKilled, started, finished, error}; exitCode is 128 +
 * signal where a signal ended it.
 *
 * Event: {"event":"started","at":MS,...}: created {pid,
 * unenforced: limits that nobody enforces, "memory, cpu"}, failed {code, message}, started,
 * paused, unpaused, updated, oom {kills}, lost {bytes}, network {ended: the program that
 * carried it}, exited {exit}.  "exited" is the last; the
 * record is on the disk, cgroup and network are gone by then, and the connection ends.
 *
 * The end of a connection without "exited" means that the monitor was killed; its container
 * dies with it, and `cloudos-ctr reap` removes what is left.
 */
#ifndef CTR_CONTROL_H
#define CTR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <co/limits.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

/*
 * Connects to the monitor of ROOT/ID; the descriptor is non-blocking and close-on-exec.
 * CO_GONE: no monitor is there (look at ctr_exit_load); CO_BUSY: too many want it.
 */
int ctr_control_connect(const char *folder, int *out_fd, struct co_err *err);

/*
 * Starting a monitor:
 *
 *	cloudos-ctr --root R monitor --bundle B --control-fd N [options] ID
 *
 * N is one end of a connection from ctr_control_pair, the other (non-blocking) is the
 * creator's first connection to it.  It watches without having asked.  The process that was
 * started ends at once with 0: the monitor is a grandchild in a session of its own.
 * The first message is the event "created", or "failed" and the end.  If this connection
 * ends before a request "commit" came, the container is undone as if it had never been.
 * "start" may come before "commit".
 *
 * Options: --stdin (keep standard input open; otherwise it is empty), --log-size BYTES
 * (10485760), --log-files N (5), --log-mode blocking|non-blocking (blocking), --runtime NAME|PATH (another OCI runtime makes the
 * container: no terminal, no calls).  The terminal
 * is process.terminal of config.json; calls of CloudOS are answered with its cloudos.calls or
 * with --calls.
 */
int ctr_control_pair(int *out_mine, int *out_monitors, struct co_err *err);

/*
 * Sends a request; members is "" or what stands behind op and tag: "\"signal\":15".  0,
 * CO_BUSY (the other side does not read: try when writable), CO_GONE, CO_TOO_BIG.
 */
int ctr_control_send(int fd, uint64_t tag, const char *op, const char *members,
		     struct co_err *err);

/* Standard input of the container; size 0 is its end.  As above; at most
 * CO_LIMIT_CTR_MESSAGE - 1 bytes. */
int ctr_control_input(int fd, const void *data, size_t size, struct co_err *err);

enum ctr_message_kind { CTR_REPLY, CTR_EVENT, CTR_OUTPUT, CTR_ERROR_OUTPUT };

/* Large: not for a small stack. */
struct ctr_message {
	enum ctr_message_kind kind;
	uint64_t tag;         /* of a reply */
	int status;           /* of a reply: 0, or the negative code of failed.code */
	struct co_err failed; /* its sentence */
	char event[16];       /* of an event */
	struct co_span json;  /* of reply and event, the whole object, checked */
	struct co_span data;  /* of output; a terminal has no error output */
	char bytes[CO_LIMIT_CTR_MESSAGE]; /* what the spans point into */
};

/* One message.  0; 1: none is there now; CO_GONE: the connection ended; CO_PROTOCOL. */
int ctr_control_receive(int fd, struct ctr_message *out, struct co_err *err);

/*
 * Sends and waits for the reply, for a command-line tool.  Events and output that come
 * before it are thrown away: not for a connection that is attached or watches.
 * timeout_ms < 0: no limit.  0 and the reply's object in out (may be NULL); the
 * reply's failure; CO_TIMED_OUT; CO_GONE.
 */
int ctr_control_call(int fd, const char *op, const char *members, int timeout_ms,
		     struct co_buf *out, struct co_err *err);

/* ---- what the replies say ---- */

struct ctr_exit {
	int code, signal; /* signal 0: none */
	bool oom_killed;
	uint64_t started, finished; /* ms since the epoch; started 0: never */
	char error[512];            /* why it could not be started; "" */
};

enum ctr_run_state { CTR_CREATED, CTR_RUNNING, CTR_PAUSED, CTR_EXITED };
const char *ctr_state_name(enum ctr_run_state state); /* "created" */

struct ctr_status {
	enum ctr_run_state state;
	pid_t pid; /* 0: it has ended */
	uint64_t created, started;
	bool oom_killed, terminal, stdin_open;
	uint64_t log_bytes, log_lines, log_lost;
	struct ctr_exit exit; /* when exited */
};

/* Of a reply to "status".  false: it is not one. */
bool ctr_status_parse(struct co_span reply, struct ctr_status *out);

/* Of the member "exit" of a reply to "wait", of the event "exited", or of exit.json. */
bool ctr_exit_parse(struct co_span object, struct ctr_exit *out);

/* As JSON object. */
void ctr_exit_print(const struct ctr_exit *e, struct co_buf *out);

/*
 * BUNDLE/exit.json: written by the monitor when the container has ended, removed by the
 * next one at its start.  Saving is atomic, and durable when it returns.  Loading: 1: there is none.
 */
int ctr_exit_save(const char *bundle, const struct ctr_exit *e, struct co_err *err);

/*
 * The same in two steps.  Reserving, at the start, removes the old record and puts a blank
 * one on the disk under another name; *out_fd -1: that could not be had.  Then writing needs
 * no room and no other record of the file system: everybody sees it at once, and it is
 * durable after fdatasync.  Negative: save it instead.
 */
int ctr_exit_reserve(const char *bundle, int *out_fd, struct co_err *err);
int ctr_exit_write(const char *bundle, int fd, const struct ctr_exit *e);
void ctr_exit_unreserve(const char *bundle, int *fd); /* NULL: not open here */

int ctr_exit_load(const char *bundle, struct ctr_exit *out, struct co_err *err);

/* ---- leaving a terminal that stays ---- */

/*
 * Finds the detach keys ("ctrl-p,ctrl-q"; "ctrl-a,d"; "" for none) in what a person types.
 * Keys that might begin the sequence are held back until it is clear that they do not.
 */
enum { CTR_DETACH_KEYS = 16 };
struct ctr_detach {
	unsigned char keys[CTR_DETACH_KEYS];
	size_t count, matched;
};
int ctr_detach_init(struct ctr_detach *d, const char *keys, struct co_err *err);

/* Adds to out what of data is for the program.  true: the person wants to leave; what
 * stands behind the keys is dropped. */
bool ctr_detach_feed(struct ctr_detach *d, const char *data, size_t size,
		     struct co_buf *out);

#endif
