/* SPDX-License-Identifier: MIT */
/*
 * cloudosd: answers what Linux does not know.  HOST.
 *
 * Started by cloudos-keeper, which holds what must outlive a daemon; started by hand it
 * becomes a keeper first.  Start-up is blocking and in this order: table, store, services,
 * sessions of a predecessor, its owed calls, clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cloudosd/addresses.h"
#include "cloudosd/containers.h"
#include "cloudosd/control.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/guests.h"
#include "cloudosd/handlers_file.h"
#include "cloudosd/housed.h"
#include "cloudosd/http/client.h"
#include "cloudosd/http/front.h"
#include "cloudosd/http/outgoing.h"
#include "cloudosd/http/server.h"
#include "cloudosd/images.h"
#include "cloudosd/jobs.h"
#include "cloudosd/keeper/keeper.h"
#include "cloudosd/keeper_link.h"
#include "cloudosd/member.h"
#include "cloudosd/names.h"
#include "cloudosd/notify.h"
#include "cloudosd/peer.h"
#include "cloudosd/pending.h"
#include "cloudosd/service/bridge.h"
#include "cloudosd/service/container.h"
#include "cloudosd/service/handler.h"
#include "cloudosd/service/image.h"
#include "cloudosd/service/job.h"
#include "cloudosd/serving.h"
#include "cloudosd/site.h"
#include "cloudosd/sockets.h"
#include "cloudosd/spawn.h"
#include "cloudosd/state.h"
#include "cloudosd/telemetry.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "personality/blackroad/blackroad.h"

/* ---- ending ---- */

static void leave_loop(void *arg)
{
	struct daemon *d = arg;

	uv_stop(&d->uv);
}

void daemon_stop(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	jobs_stop(d->services.jobs);
	containers_stop(d->services.containers, d->ephemeral);
	keeper_stop(d->keeper, d->ephemeral);
	/* also from notify threads, when the loop sleeps */
	front_stop(d->front);
	if (d->http)
		http_server_stop(d->http, leave_loop, d);
	else
		d->host->post(d->host->ctx, leave_loop, d);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;

	core_lock();
	co_log(daemon, INFO, "stopping: signal %d", number);
	daemon_stop(d);
	core_unlock();
}

static void on_hup(uv_signal_t *handle, int number)
{
	struct co_err err = { 0 };

	(void) number;
	core_lock();
	if (daemon_reload(handle->data, &err))
		co_log(config, ERROR, "keeping the old configuration: %s", err.message);
	core_unlock();
}

static void idle_fire(void *arg)
{
	struct daemon *d = arg;
	uint64_t now = d->host->now_ms(d->host->ctx),
		 used = d->http ? http_server_used_ms(d->http) : 0;
	uint64_t after = d->config.idle_timeout * 1000ULL;

	if (d->http && !d->ephemeral &&
	    (http_server_busy(d->http) || now - used < after)) {
		/* a request starts no timer: that would cost more than the request */
		d->host->timer_start(d->idle, http_server_busy(d->http)
						      ? after
						      : used + after - now);
		return;
	}
	co_log(daemon, INFO, "stopping: nobody has used this daemon for a while");
	daemon_stop(d);
}

void daemon_idle_check(struct daemon *d)
{
	core_assert_locked();
	if (!d->idle || d->stopping)
		return;
	if (d->sessions || !d->ready || containers_keep_alive(d->services.containers) ||
	    (!d->ephemeral &&
	     (ipc_numbers(peers_ipc(d->peers)).peers > bridge_peers(d->bridge) ||
	      jobs_keep_alive(d->services.jobs) || images_busy(d->services.images)))) {
		d->host->timer_stop(d->idle);
	} else if (d->ephemeral) {
		if (d->served)
			daemon_stop(d);
		else
			d->host->timer_start(d->idle, 30000);
	} else if (d->config.idle_timeout && d->autostarted) {
		d->host->timer_start(d->idle, d->config.idle_timeout * 1000ULL);
	}
}

void daemon_keeper_gone(struct daemon *d)
{
	if (d->stopping)
		return;
	/* What is owed stays in the table; this process turns into the keeper that
	 * starts the next daemon.  Crash-only: the way on is the same as after kill -9. */
	co_log(keeper, ERROR, "the keeper is gone; becoming one and starting afresh");
	keeper_become(d);
}

/* ---- configuration ---- */

static void configure(struct daemon *d)
{
	const struct config *c = &d->config;
	struct health_options health;
	struct co_log_levels levels;
	const char *environment = getenv("CO_LOG");

	telemetry_configure(d);
	health_options_default(&health);
	health.interval_ms = c->health_interval * 1000;
	health.timeout_ms = c->health_timeout * 1000;
	health.jitter_percent = c->health_jitter;
	health.rise = c->health_rise;
	health.fall = c->health_fall;
	if (d->services.registry)
		registry_configure(d->services.registry, &health);
	/* both texts have been parsed before */
	if (co_log_parse(&levels, environment && *environment ? environment : c->log,
			 NULL) == 0)
		co_log_apply(&levels);
}

static int config_read(struct daemon *d, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];

	(void) snprintf(path, sizeof(path), "%s/cloudosd.yaml", d->paths.config);
	return config_load(&d->config, path, err);
}

/* The registry of names anew, and where its addresses are recorded. */
static int names_read(struct daemon *d, struct co_err *err)
{
	autofree struct names_list *list = malloc(sizeof(*list));
	char path[CO_PATH_SIZE + 16];
	int r;

	if (!list)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the registry of names");
	(void) snprintf(path, sizeof(path), "%s/services.yaml", d->paths.config);
	r = names_load(list, path, err);
	if (!r)
		r = names_set(d->names, list->list, list->count, err);
	return r ? r : addresses_save(d->names, &d->paths, err);
}

static int names_start(struct daemon *d, struct co_err *err)
{
	struct co_err why = { 0 };
	int r;

	d->names = d->services.names = names_new();
	if (!d->names)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the registry of names");
	r = addresses_open(d->names, &d->paths, d->services.domain, &d->claim, &why);
	if (!r && d->claim < 0)
		co_log(daemon, WARN, "%s", why.message);
	return r ? r : names_read(d, err);
}

static int handlers_read(struct daemon *d, struct co_err *err)
{
	autofree struct handlers_file *file = calloc(1, sizeof(*file));
	char path[CO_PATH_SIZE + 16];
	int r;

	if (!file)
		return co_fail(err, CO_NO_MEMORY, "no memory for handlers.yaml");
	(void) snprintf(path, sizeof(path), "%s/handlers.yaml", d->paths.config);
	r = handlers_load(file, path, err);
	if (!r)
		r = configured_set(d->configured, file->specs, file->count, err);
	handlers_file_done(file);
	return r;
}

/* A mistake in it costs the handlers, not the daemon. */
static int handlers_start(struct daemon *d, struct co_err *err)
{
	struct configured_means means = { .host = d->host,
					  .handlers = d->services.handlers,
					  .outgoing = &d->services.outgoing,
					  .logs = d->services.logs };
	struct spawner *spawner = spawner_new(d->host);
	struct co_err why = { 0 };

	if (!spawner)
		return co_fail(err, CO_NO_MEMORY, "no memory for handlers");
	means.spawner = spawner_table(spawner);
	d->configured = configured_new(&means);
	if (!d->configured)
		return co_fail(err, CO_NO_MEMORY, "no memory for handlers");
	if (handlers_read(d, &why))
		co_log(config, ERROR, "there are no configured handlers: %s",
		       why.message);
	return 0;
}

int daemon_reload(struct daemon *d, struct co_err *err)
{
	struct config before = d->config;
	int r = config_read(d, err);

	if (!r)
		r = names_read(d, err);
	if (!r)
		r = handlers_read(d, err);
	if (r) {
		d->config = before;
		return r;
	}
	configure(d);
	if (d->http)
		http_server_configure(d->http);
	daemon_idle_check(d);
	co_log(config, INFO, "the configuration has been read again");
	return 0;
}

/* ---- log ---- */

/* What concerns a session can be asked for later: cloudosctl logs. */
static void log_sink(void *ctx, const struct co_log_line *line)
{
	struct daemon *d = ctx;
	struct store_log entry = { .at_us = line->at_us,
				   .session = line->session,
				   .level = co_log_level_name(line->level),
				   .subsystem = co_log_subsystem_name(line->subsystem),
				   .message = line->message };

	if (!d->store)
		return;
	store_log(d->store, &entry);
	telemetry_log(d, line);
}

static void record_error(void *ctx, const struct error_record *record, uint64_t session,
			 uint64_t origin, bool reported)
{
	struct daemon *d = ctx;
	struct store_error entry = { .at_ns = record->at_ns,
				     .session = session,
				     .pid = record->pid,
				     .tid = record->tid,
				     .code = record->code,
				     .reported = reported,
				     .origin = origin,
				     .component = record->component,
				     .message = record->message };

	store_error(d->store, &entry);
	if (reported)
		co_log_session(personality, WARN, session, record->tid,
			       "%s reports %d: %s", record->component, record->code,
			       record->message);
}

static void registry_log(void *arg, const struct registry_event *event)
{
	(void) arg;
	if (event->kind == REGISTRY_TROUBLE)
		co_log(service, WARN, "%s", event->reason);
	else
		co_log_session(service, INFO, event->instance->session, 0,
			       "%s (%d) %s: %s", event->instance->spec.name,
			       event->instance->owner.pid,
			       registry_event_name(event->kind), event->reason);
}

/* ---- starting ---- */

/* The domain's number lives as long as its state folder. */
static int domain_read(struct daemon *d, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16], digits[32] = "";
	autoclose int fd = -1;
	uint64_t domain = 0;
	int n;

	(void) snprintf(path, sizeof(path), "%s/domain", d->paths.state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || read(fd, digits, sizeof(digits) - 1) < 0)
		return co_fail_errno(err, errno, "cannot read %s", path);
	domain = strtoull(digits, NULL, 16) << 2 >> 2;
	while (!domain) {
		domain = d->host->random(d->host->ctx) >> 2;
		n = snprintf(digits, sizeof(digits), "%016llx\n",
			     (unsigned long long) domain);
		if (pwrite(fd, digits, (size_t) n, 0) != n)
			return co_fail_errno(err, errno, "cannot write %s", path);
	}
	d->services.domain = domain;
	return 0;
}

static void deliver(void *ctx, void (*callback)(void *arg), void *arg)
{
	(void) ctx;
	core_lock();
	callback(arg);
	core_unlock();
}

static void shm_held(void *ctx, uint32_t index, int fd)
{
	struct daemon *d = ctx;

	if (fd >= 0)
		keeper_hold(d->keeper, CO_LIMIT_SESSIONS + index, fd, -1);
	else
		keeper_drop(d->keeper, CO_LIMIT_SESSIONS + index);
}

/*
 * Is nobody going to read that call's answer any more?  Its slot may just be given back or
 * taken for another: then it is over, whatever of that is seen first.
 */
static bool call_is_over(void *ctx, const struct message_call *call)
{
	const struct daemon *d = ctx;
	const struct table_call *slot;

	if (call->slot >= CO_LIMIT_CALLS_PENDING)
		return true;
	slot = &d->table->calls[call->slot];
	return atomic_load(&slot->phase) == TABLE_FREE ||
	       __atomic_load_n(&slot->session, __ATOMIC_RELAXED) != call->session ||
	       __atomic_load_n(&slot->notif.id, __ATOMIC_RELAXED) != call->call;
}

/* Where programs in containers connect: the predecessor's, which their mounts lead to. */
static int listen_contained(struct daemon *d, struct co_err *err)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX, .sun_path = "guest.sock" };
	int fd = sockets_take(d->sockets, (struct sockaddr *) &any), r;

	if (fd < 0) {
		r = co_paths_bind_guest(&d->paths, &fd, err);
		if (r)
			return r;
		sockets_hold(d->sockets, fd);
	}
	control_listen_contained(d->control, fd);
	return 0;
}

/* Everybody waits in the kernel until the registry is there; now they are answered. */
static void serve(void *arg)
{
	struct daemon *d = arg;
	struct co_err err = { 0 };
	int r = notify_new(&d->notify, d, &err);

	if (!r) /* first: a session may end while it is continued, and clients are told */
		r = control_new(&d->control, d, KEEPER_FD_LISTEN, &err);
	if (!r) {
		notify_inherit(d);
		core_unlock(); /* taking over locks for itself; nobody else runs yet */
		r = keeper_take_over(d->keeper, &err);
		core_lock();
		if (!r) /* with the sockets of the predecessor */
			r = listen_contained(d, &err);
		if (!r)
			r = http_server_new(&d->http, d, blackroad_route, &err);
		if (!r)
			r = front_new(&d->front, d, &err);
		if (!r)
			housed_front(d);
		sockets_settle(d->sockets);
		members_restore(d);
		core_unlock();
		if (!r)
			notify_take_over(d);
		core_lock();
	}
	if (r) {
		co_log(daemon, ERROR, "%s", err.message);
		keeper_failed(d->keeper, err.message);
		daemon_stop(d);
		return;
	}
	members_take_over(d);
	keeper_ready(d->keeper);
	guests_again(d);
	daemon_idle_check(d);
	co_log(daemon, INFO, "cloudosd %s serves %s", PACKAGE_VERSION, d->paths.run);
}

static void loaded(void *arg, int status, const char *reason)
{
	struct daemon *d = arg;

	if (status) {
		co_log(service, ERROR,
		       "cannot load the registered services, jobs and containers: %s",
		       reason);
		keeper_failed(d->keeper, reason);
		daemon_stop(d);
		return;
	}
	d->ready = true;
	serving_look(d);
	d->host->post(d->host->ctx, serve, d);
}

static void containers_loaded(void *arg, int status, const char *reason)
{
	struct daemon *d = arg;

	if (status)
		loaded(d, status, reason);
	else if (registry_load(d->services.registry, loaded, d) < 0)
		loaded(d, CO_IO, "the store takes no requests");
}

static void images_loaded(void *arg, int status, const char *reason)
{
	struct daemon *d = arg;
	struct co_err err = { 0 };
	int r;

	if (status) {
		loaded(d, status, reason);
		return;
	}
	r = containers_start(d, containers_loaded, &err);
	if (r)
		containers_loaded(d, r < 0 ? r : 0, err.message);
}

static void jobs_loaded(void *arg, int status, const char *reason)
{
	struct daemon *d = arg;

	if (status)
		loaded(d, status, reason);
	else
		images_begin(d, images_loaded);
}

static int start(struct daemon *d, struct co_err *err)
{
	struct store_options store = { .folder = d->paths.state, .deliver = deliver };
	struct rlimit files = { 0 };
	int r;

	if (uv_loop_init(&d->uv) < 0)
		return co_fail(err, CO_NO_MEMORY, "cannot set up the loop");
	r = loop_new(&d->loop, &d->uv, err);
	if (r)
		return r;
	d->host = loop_host(d->loop);
	d->started_ms = d->host->now_ms(d->host->ctx);
	r = keeper_link_new(&d->keeper, d, KEEPER_FD_CHANNEL, err);
	if (!r)
		r = table_map(&d->table, KEEPER_FD_TABLE, err);
	if (!r)
		r = config_read(d, err);
	if (r)
		return r;
	d->ephemeral = d->table->ephemeral;
	store.volatile_ = d->ephemeral;
	configure(d);
	r = domain_read(d, err);
	if (!r)
		r = names_start(d, err);
	if (!r)
		r = store_open(&d->store, &store, err);
	if (r)
		return r;
	co_log_sink(log_sink, d);
	d->services.host = d->host;
	d->services.store = d->store;
	d->services.record_error = record_error;
	d->services.ctx = d;
	guests_start(d);
	core_lock();
	d->services.errors = errors_new(d->table->errors, TABLE_ERRORS);
	d->services.messages =
		messages_new(d->host, &d->table->messages, call_is_over, d);
	(void) getrlimit(RLIMIT_NOFILE, &files); /* fails for no such limit only */
	d->services.shm = shm_new(&d->table->shm,
				  files.rlim_cur / 8 < CO_LIMIT_SHM_SEGMENTS
					  ? (uint32_t) (files.rlim_cur / 8)
					  : CO_LIMIT_SHM_SEGMENTS,
				  shm_held, d);
	d->services.registry = registry_new(d->host, d->store, NULL);
	d->services.handlers = handlers_new(d->host);
	d->sockets = sockets_new(d);
	d->client = http_client_new(&d->uv);
	d->services.outgoing = d->client ? outgoing_new(d->client, d->host) : NULL;
	d->idle = d->host->timer_new(d->host->ctx, idle_fire, d);
	r = pending_new(&d->pending, d, err);
	if (!r)
		r = members_new(&d->members, d, err);
	if (!r)
		r = peers_new(&d->peers, d, err);
	if (!r)
		r = sites_new(&d->sites, d, err);
	if (!d->services.errors || !d->services.messages || !d->services.shm ||
	    !d->services.registry || !d->services.handlers || !d->services.outgoing ||
	    !d->sockets || !d->idle)
		r = co_fail(err, CO_NO_MEMORY, "no memory for the services");
	if (!r) {
		configure(d);
		d->bridge = d->services.bridge = bridge_new(d);
		if (!d->bridge ||
		    !registry_watch(d->services.registry, registry_log, NULL) ||
		    !registry_watch(d->services.registry, serving_event, d))
			r = co_fail(err, CO_NO_MEMORY, "no memory for the services");
	}
	if (!r)
		r = telemetry_start(d, err);
	if (!r)
		r = state_start(d, err);
	if (!r)
		r = handlers_start(d, err);
	if (!r)
		r = images_start(d, err);
	if (!r)
		r = jobs_start(d, jobs_loaded, err);
	core_unlock();
	return r;
}

static void finish(struct daemon *d)
{
	/* Threads first, so that nobody answers behind the store's back; then the rest.
	 * Sessions are not ended: what their programs wait for, the next daemon answers,
	 * and an ephemeral one has none left. */
	d->notify = notify_free(d->notify);
	bridge_stop(d->bridge);
	sites_stop(d->sites);
	d->store = store_close(d->store);
	co_log(daemon, INFO, "stopped");
	co_log_flush();
}

static void signals(struct daemon *d)
{
	struct {
		uv_signal_t *handle;
		int number;
		uv_signal_cb callback;
	} all[] = { { &d->sigterm, SIGTERM, on_signal },
		    { &d->sigint, SIGINT, on_signal },
		    { &d->sighup, SIGHUP, on_hup } };

	for (size_t i = 0; i < co_countof(all); i++) {
		all[i].handle->data = d;
		/* fail only without memory, and then the default action serves */
		(void) uv_signal_init(&d->uv, all[i].handle);
		(void) uv_signal_start(all[i].handle, all[i].callback, all[i].number);
	}
}

static void harden(void)
{
	struct rlimit files, no_core = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur =
			files.rlim_max; /* a listener and a channel a session */
		(void) setrlimit(RLIMIT_NOFILE, &files);
	}
	if (CO_RELEASE) {
		(void) setrlimit(RLIMIT_CORE, &no_core);
		(void) prctl(PR_SET_DUMPABLE,
			     0); /* nor may guests of this user look in */
	}
	(void) umask(0077);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error, not an end */
}

static int log_open(struct co_err *err)
{
	const char *path = getenv("CLOUDOS_LOG");
	autoclose int fd = -1;

	if (!path)
		return 0; /* standard error: a terminal or the journal */
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open the log %s", path);
	return co_log_to(fd, err);
}

static bool from_keeper(void)
{
	const char *told = getenv("CLOUDOS_KEEPER");

	return told && strtol(told, NULL, 10) == getppid();
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	struct co_err err = { 0 };
	bool system = false;
	int option;

	static const struct option options[] = { { "system", no_argument, NULL, 's' },
						 { "version", no_argument, NULL, 'v' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			system = true;
			break;
		case 'v':
			(void) printf("cloudosd %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			(void) printf(
				"usage: cloudosd [--system]\n"
				"Serves cloudos in the foreground until it is told to "
				"stop.  See cloudosctl(1).\n");
			return 0;
		default:
			return 2;
		}
	}
	if (!from_keeper()) {
		keeper_exec(system, &err); /* returns only on failure */
		(void) fprintf(stderr, "cloudosd: %s\n", err.message);
		return 1;
	}
	harden();
	for (int fd = KEEPER_FD_CHANNEL; fd <= KEEPER_FD_LISTEN; fd++)
		(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void) setenv("UV_THREADPOOL_SIZE", "16", 0); /* health checks may wait in it */
	daemon.autostarted = getenv("CLOUDOS_AUTOSTART") != NULL;
	if (log_open(&err) || co_fault_arm_from_environment(&err) ||
	    co_paths_init(&daemon.paths, system, NULL, &err) || start(&daemon, &err)) {
		co_log(daemon, ERROR, "cannot start: %s", err.message);
		co_log_flush();
		if (daemon.keeper)
			keeper_failed(daemon.keeper, err.message);
		return 1;
	}
	signals(&daemon);
	(void) uv_run(&daemon.uv, UV_RUN_DEFAULT);
	finish(&daemon);
	return 0;
}
