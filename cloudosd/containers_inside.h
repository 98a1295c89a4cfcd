/* SPDX-License-Identifier: MIT */
/*
 * The insides of what makes containers.  HOST.
 *
 *	containers.c          the service on the daemon
 *	containers_runtime.c  the table of container_runtime.h: monitors by id
 *	containers_monitor.c  one connection to a monitor
 *	containers_work.c     what blocks, on worker threads: making, adopting, removing
 *	containers_network.c  default mode, ports on the loopback, names
 *	containers_bundle.c   the files of a bundle
 *	containers_volume.c   the folders of volumes
 *	containers_logs.c     what containers printed
 *	containers_user.c     who the program is, out of the image's /etc/passwd
 */
#ifndef CO_CONTAINERS_INSIDE_H
#define CO_CONTAINERS_INSIDE_H

#include <limits.h>
#include <pthread.h>
#include <uthash.h>
#include <utlist.h>

#include "cloudosd/ctr/control.h"
#include "cloudosd/daemon.h"
#include "cloudosd/netns.h"
#include "cloudosd/relay.h"
#include "cloudosd/service/container.h"
#include "cloudosd/service/container_spec.h"

enum { RUNNER_FOLDER = PATH_MAX + 32, RUNNER_PATH = RUNNER_FOLDER + 300 };

/* What does not change while the daemon runs: also for worker threads. */
struct runner_place {
	char program[PATH_MAX];    /* cloudos-ctr */
	char state[RUNNER_FOLDER]; /* state/containers: bundles by id */
	char gone
		[RUNNER_FOLDER]; /* state/removed: those of removed ones, for moments */
	char base[RUNNER_FOLDER]; /* state/base: bundle_base */
	char run[RUNNER_FOLDER]; /* run/containers: --root of cloudos-ctr */
	char volumes[RUNNER_FOLDER];
	char socket[RUNNER_FOLDER]; /* of the daemon */
	uint64_t domain;
	bool root;
	uint32_t users; /* the first outside id */
	uint64_t log_bytes;
	uint32_t log_files;
	char network[256]; /* the default mode */
	char bridge[16];
	uint32_t subnet; /* host order */
	uint32_t prefix;
	char runtime[256]; /* "" is our own */
	uint64_t capabilities;
};

struct asked; /* a request to a monitor that is not answered */

/* What the daemon has of a container's network. */
struct runner_network {
	char *json; /* cloudos.network of config.json; NULL: there is none */
	bool bridge;
	struct relay **relays;
	struct relay_spec *specs;
	size_t count;
	bool inside;        /* mode none: its ports lead to its own loopback */
	struct netns netns; /* then, when it runs */
	char address[16];   /* on the bridge; "" it is not there */
	char name[256], hostname[65];
};

struct monitor {
	struct runner *runner;
	uint32_t id;
	int fd;
	struct co_watch *watch;
	struct co_timer *timer; /* it says nothing */
	uint64_t tag;
	struct asked *asked;
	bool born;  /* "created" has come */
	bool ended; /* and "exited", or "failed" */
	struct ctr_exit exit;
	struct co_err failed;
	/* what waits for it to be created, to be seen or to be gone */
	container_reported *done;
	void *arg;
	enum { MONITOR_MAKING, MONITOR_SEEING, MONITOR_LIVING, MONITOR_ENDING } phase;
	bool files; /* ENDING: remove them, too */
	char *facts;
	struct runner_network network;
	struct network_change *change; /* asked of it, not answered */
	bool entering;                 /* see network_runs */
	UT_hash_handle hh;
};

struct runner {
	struct daemon *daemon;
	const struct co_host *host;
	struct runner_place place;
	struct monitor *monitors;
	struct ctr_message *message; /* large */
	struct relays *relays;
	enum { NAMING_IDLE, NAMING_BUSY, NAMING_AGAIN } naming;
	void (*ended)(void *arg, uint32_t id, const struct container_end *end);
	void (*oom)(void *arg, uint32_t id);
	void *listener;
	struct container_runtime table;
	/* of worker threads */
	pthread_mutex_t sealing;
	int sealed; /* -1: not yet, or it cannot be had */
};

/* ---- containers_runtime.c ---- */

int runner_new(struct runner **out, struct daemon *d, const struct runner_place *place,
	       struct co_err *err);
void runner_report(container_reported *done, void *arg, int status, const char *reason);
void runner_end_of(const struct ctr_exit *e, struct container_end *out);

/* ---- containers_monitor.c ---- */

/* Takes fd. */
struct monitor *monitor_new(struct runner *r, uint32_t id, int fd);
void monitor_free(struct monitor *m);
/* Sends; `done` when it is answered.  Reports by itself what cannot be sent. */
void monitor_ask(struct monitor *m, const char *op, const char *members,
		 enum container_act_kind kind, container_reported *done, void *arg);
void monitor_see(struct monitor *m); /* watch and status, within seconds */
void monitor_asked_gone(struct monitor *m);
bool monitor_watch(struct monitor *m);

/* ---- containers_work.c: each runs on a worker, then reports from the loop ---- */

void work_make(struct runner *r, const struct container_make *make,
	       container_reported *done, void *arg);
void work_adopt(struct runner *r, uint32_t id, container_reported *done, void *arg);
/* After the monitor has gone: what is left of it, and with `files` of the bundle. */
void work_clear(struct runner *r, uint32_t id, bool files, container_reported *done,
		void *arg);
/* After a monitor was killed: the record of the end, if there is one. */
void work_lost(struct runner *r, uint32_t id);
/* Runs a program to its end, with fd as descriptor 3 unless -1.  Its exit status; negative:
 * it could not be started. */
int work_run(const char *const *argv, int fd, const char *errors);
/* The folder of a volume; see container_runtime.h. */
void work_volume(struct runner *r, enum container_volume_act act, const char *name,
		 container_reported *done, void *arg);
/* What it printed last; see container_runtime.h. */
void work_logs(struct runner *r, uint32_t id, uint32_t lines, container_reported *done,
	       void *arg);
void work_sweep(struct runner *r, const uint32_t *ids, size_t n, uint32_t below);

/* ---- containers_network.c ---- */

/* On a worker: "bridge", "private" or "none", as this box can. */
const char *network_default(void);
/* On a worker: opens the ports of config.json that are the daemon's to carry. */
int network_open(struct runner *r, uint32_t id, struct runner_network *out,
		 struct co_err *err);
void network_done(struct relays *all, struct runner_network *n);
/* It runs: where the ports lead of a container that has nothing but its loopback. */
void network_runs(struct monitor *m);
/* What its new CONFIG changes in its ports: adds ,"network":{} to a request.  Then told how
 * the monitor has answered. */
int network_change(struct monitor *m, const struct container_settings *config,
		   struct co_buf *members, struct co_err *err);
void network_changed_to(struct monitor *m, bool good);
/* A container has come or gone: /etc/hosts of all is written, in time. */
void network_changed(struct runner *r);
char *network_names(const struct runner *r); /* the lines; malloc */
void network_write_hosts(const struct runner_place *p, uint32_t id, const char *lines);

/* ---- containers_bundle.c: on a worker ---- */

/* Writes all files of the bundle.  `facts` gets members of C: "network":{...},... */
int bundle_write(const struct runner_place *place, const struct container_make *make,
		 struct container_settings **out_config, struct co_buf *facts,
		 struct co_err *err);

/* cloudos.network of config.json, and members of C: "network":{...}. */
/* Sets subnet and prefix of a domain's bridge: what follows from its number, or the next that
 * this host has no route to; where the bridge is there, its own. */
void subnet_choose(struct runner_place *place, uint32_t number);

struct bundle_network {
	struct co_buf json, facts;
	char address[16]; /* "" without one */
};
void bundle_network(const struct runner_place *place, uint32_t users,
		    const struct container_settings *config, const char *mode,
		    struct bundle_network *out);
void bundle_network_done(struct bundle_network *n);

/* The folder of a volume, unless it is there. */
int bundle_volume(const struct runner_place *place, const char *name,
		  struct co_err *err);

/* Removes a tree, which may be hostile, and follows nothing in it; with a user's further
 * ids as root of a user name space that has them. */
int bundle_remove(const struct runner_place *place, const char *path,
		  struct co_err *err);

/* ---- containers_base.c: on a worker ---- */

/* Makes place->base, the layer below all others, if it is not there. */
int bundle_base(const struct runner_place *place, struct co_err *err);

/* ---- containers_user.c: on a worker ---- */

/* "name", "uid", "name:group", "uid:gid" or "" as the layers know them. */
int bundle_user(const char *text, const char *upper, const char *const *layers,
		struct container_user *out, struct co_err *err);

#endif
