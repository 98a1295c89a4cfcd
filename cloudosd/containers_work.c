/* SPDX-License-Identifier: MIT */
/*
 * What blocks, on worker threads: writing bundles, starting monitors, looking for them,
 * clearing up behind them.  HOST.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/ctr/seal.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { CONTROL_FD = 3, SEALED_FD, RETRY_MS = 20 };

struct work {
	struct runner *runner;
	uint32_t id;
	container_reported *done;
	void *arg;
	bool files;
	/* make: copies */
	struct container_make make;
	char *name, *config, *image_config, *image_id;
	char **layers;
	struct container_settings *parsed;
	struct co_buf facts;
	char *names; /* of the other containers */
	struct container_service service;
	struct runner_network network;
	/* sweep */
	uint32_t *ids, below;
	size_t nids;
	/* how it has ended */
	struct co_err err;
	int fd;
	enum container_seen seen;
	struct ctr_exit exit;
	struct co_timer *again;
	void (*run)(void *arg);
	void (*finish)(struct work *w);
};

/* ---- the frame ---- */

static void work_free(struct work *w)
{
	for (char **l = w->layers; l && *l; l++)
		free(*l);
	free(w->layers);
	free(w->name);
	free(w->config);
	free(w->image_config);
	free(w->image_id);
	free(w->names);
	free(w->service.hosts);
	network_done(w->runner->relays, &w->network);
	free(w->ids);
	(void) container_config_free(w->parsed); /* NULL */
	co_buf_done(&w->facts);
	if (w->again)
		w->runner->host->timer_free(w->again);
	free(w);
}

static void finished(void *arg)
{
	struct work *w = arg;

	w->finish(w);
	work_free(w);
}

static void submit(void *arg)
{
	struct work *w = arg;
	const struct co_host *host = w->runner->host;

	if (host->offload(host->ctx, w->run, finished, w))
		host->timer_start(w->again, RETRY_MS); /* too much is queued: soon */
}

static struct work *work_new(struct runner *r, uint32_t id, void (*run)(void *arg),
			     void (*finish)(struct work *w))
{
	struct work *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->runner = r;
	w->id = id;
	w->fd = -1;
	w->run = run;
	w->finish = finish;
	w->again = r->host->timer_new(r->host->ctx, submit, w);
	if (w->again)
		return w;
	free(w);
	return NULL;
}

/* ---- running cloudos-ctr ---- */

/*
 * A file of it that no container can change, the same for all monitors: otherwise each would
 * make its own and execute itself anew.  -1: that could not be had, and they do.
 */
static int sealed(struct runner *r)
{
	struct co_err err;
	int fd, high;

	(void) pthread_mutex_lock(&r->sealing); /* cannot fail: it is initialised */
	if (r->sealed < 0 && ctr_seal_open(r->place.program, &fd, &err) == 0) {
		high = fcntl(fd, F_DUPFD_CLOEXEC, SEALED_FD + 1); /* not in the way */
		(void) close(fd);
		r->sealed = high;
	}
	fd = r->sealed;
	(void) pthread_mutex_unlock(&r->sealing);
	return fd;
}

/* Runs it to its end, with fd as CONTROL_FD unless -1, and then from the file `exe` unless -1.
 * Its exit status; negative: it could not be started. */
static int run_program(const char *const *argv, int fd, int exe, const char *errors)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char number[32]; /* it is SEALED_FD when that is executed */
	const char *program = exe >= 0 ? number : argv[0];
	sigset_t signals;
	int status = -1, failed;
	pid_t pid;

	(void) snprintf(number, sizeof(number), "/proc/self/fd/%d", SEALED_FD);
	(void) sigfillset(&signals);
	failed = posix_spawn_file_actions_init(&actions);
	if (failed)
		return -failed;
	failed = posix_spawnattr_init(&attributes);
	if (failed) {
		(void) posix_spawn_file_actions_destroy(&actions);
		return -failed;
	}
	(void) posix_spawnattr_setsigdefault(&attributes, &signals);
	(void) sigemptyset(&signals);
	(void) posix_spawnattr_setsigmask(&attributes, &signals);
	(void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF |
							     POSIX_SPAWN_SETSIGMASK |
							     POSIX_SPAWN_SETSID);
	(void) posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void) posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	(void) posix_spawn_file_actions_addopen(
		&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void) posix_spawn_file_actions_adddup2(&actions, fd, CONTROL_FD);
	if (exe >= 0)
		(void) posix_spawn_file_actions_adddup2(&actions, exe, SEALED_FD);
	(void) posix_spawn_file_actions_addclosefrom_np(
		&actions, CONTROL_FD + (fd >= 0) + (exe >= 0));
	failed = posix_spawn(&pid, program, &actions, &attributes,
			     (char *const *) (uintptr_t) argv, environ);
	(void) posix_spawn_file_actions_destroy(&actions);
	(void) posix_spawnattr_destroy(&attributes);
	if (failed)
		return -failed;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int work_run(const char *const *argv, int fd, const char *errors)
{
	return run_program(argv, fd, -1, errors);
}

static void bundle_path(const struct runner_place *p, uint32_t id,
			char out[RUNNER_PATH])
{
	(void) snprintf(out, RUNNER_PATH, "%s/%" PRIu32, p->state, id);
}

static void run_path(const struct runner_place *p, uint32_t id, char out[RUNNER_PATH])
{
	(void) snprintf(out, RUNNER_PATH, "%s/%" PRIu32, p->run, id);
}

/* What a monitor that was killed leaves: processes, groups, network, its folder. */
/* force: also when its monitor lives. */
static void reap(const struct runner_place *p, const char *id, bool force)
{
	const char *argv[] = {
		p->program,        "--root", p->run, "reap", force ? "--force" : id,
		force ? id : NULL, NULL
	};

	(void) work_run(argv, -1, "/dev/null"); /* nothing there is no failure */
}

/* Removes all there is of an id.  Its files go behind the answer (w->files): by then they are
 * where nobody looks but the next daemon. */
static int clear_id(struct work *w)
{
	char path[RUNNER_PATH], gone[RUNNER_PATH], id[16];

	(void) snprintf(id, sizeof(id), "%" PRIu32, w->id); /* fits */
	run_path(&w->runner->place, w->id, path);
	if (access(path, F_OK) == 0)
		reap(&w->runner->place, id, true);
	if (bundle_remove(&w->runner->place, path, &w->err))
		return w->err.code;
	bundle_path(&w->runner->place, w->id, path);
	(void) snprintf(gone, sizeof(gone), "%s/%s", w->runner->place.gone, id);
	w->files = rename(path, gone) == 0;
	return w->files ? 0 : bundle_remove(&w->runner->place, path, &w->err);
}

static void run_rest(void *arg)
{
	struct work *w = arg;
	char gone[RUNNER_PATH];
	struct co_err err;

	(void) snprintf(gone, sizeof(gone), "%s/%" PRIu32, w->runner->place.gone,
			w->id);
	if (bundle_remove(&w->runner->place, gone, &err))
		co_log(daemon, WARN, "%s; the next daemon tries again", err.message);
}

static void end_rest(struct work *w)
{
	(void) w; /* nobody waits for it */
}

/* The files of a container that is gone already. */
static void clear_rest(struct runner *r, uint32_t id)
{
	struct work *w = work_new(r, id, run_rest, end_rest);

	if (w) /* else the next daemon does it */
		submit(w);
}

/* ---- making ---- */

static void last_words(const char *path, char out[256])
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 255);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static int start_monitor(struct work *w, int theirs, struct co_err *err)
{
	const struct runner_place *p = &w->runner->place;
	const struct container_settings *c = w->parsed;
	const char *runtime = c->runtime ? c->runtime : p->runtime;
	char bundle[RUNNER_PATH], id[16], bytes[24], files[16],
		errors[RUNNER_PATH + 16], words[256];
	const char *argv[24] = { p->program,   "--root", p->run,         "monitor",
				 "--bundle",   bundle,   "--control-fd", "3",
				 "--log-size", bytes,    "--log-files",  files };
	size_t n = 12;
	int status;

	bundle_path(p, w->id, bundle);
	(void) snprintf(id, sizeof(id), "%" PRIu32, w->id); /* fits, as below */
	(void) snprintf(bytes, sizeof(bytes), "%" PRIu64,
			c->log_mib ? (uint64_t) c->log_mib << 20 : p->log_bytes);
	(void) snprintf(files, sizeof(files), "%" PRIu32,
			c->log_files ? c->log_files : p->log_files);
	(void) snprintf(errors, sizeof(errors), "%s/monitor.err", bundle);
	if (c->stdin_)
		argv[n++] = "--stdin";
	if (c->calls)
		argv[n++] = "--calls";
	if (runtime && *runtime && strcmp(runtime, "builtin") != 0) {
		argv[n++] = "--runtime";
		argv[n++] = runtime;
	}
	argv[n++] = id;
	argv[n] = NULL;
	status = run_program(argv, theirs, sealed(w->runner), errors);
	if (status == 0)
		return 0;
	last_words(errors, words);
	if (status < 0)
		return co_fail_errno(err, -status, "cannot start %s", p->program);
	return co_fail(err, CO_IO, "the monitor could not be started: %s",
		       *words ? words : "cloudos-ctr says nothing");
}

static void run_make(void *arg)
{
	struct work *w = arg;
	const struct runner_place *p = &w->runner->place;
	autoclose int theirs = -1;

	if (w->make.fresh && clear_id(w))
		return;
	if (w->make.fresh && w->files)
		run_rest(w);
	if (bundle_write(p, &w->make, &w->parsed, &w->facts, &w->err) ||
	    network_open(w->runner, w->id, &w->network, &w->err) ||
	    ctr_control_pair(&w->fd, &theirs, &w->err))
		return;
	if (w->network.address[0] && w->names)
		network_write_hosts(p, w->id, w->names);
	if (start_monitor(w, theirs, &w->err)) {
		(void) close(w->fd); /* nobody is there */
		w->fd = -1;
	}
}

static void take_network(struct monitor *m, struct work *w)
{
	m->network = w->network;
	w->network = (struct runner_network){ 0 };
	if (m->network.address[0])
		network_changed(m->runner);
}

static void end_make(struct work *w)
{
	struct monitor *m;

	if (w->err.code) {
		runner_report(w->done, w->arg, w->err.code, w->err.message);
		return;
	}
	m = monitor_new(w->runner, w->id, w->fd);
	if (!m || !monitor_watch(m)) {
		if (m)
			monitor_free(m);
		runner_report(w->done, w->arg, CO_NO_MEMORY, "no memory for a monitor");
		return;
	}
	m->phase = MONITOR_MAKING;
	m->done = w->done;
	m->arg = w->arg;
	take_network(m, w);
	m->facts = w->facts.failed ? NULL : co_buf_take(&w->facts, &(size_t){ 0 });
}

static bool copy_layers(struct work *w, const char *const *layers)
{
	size_t n = 0;

	while (layers && layers[n])
		n++;
	w->layers = calloc(n + 1, sizeof(char *));
	for (size_t i = 0; w->layers && i < n; i++)
		if (!(w->layers[i] = strdup(layers[i])))
			return false;
	return w->layers != NULL;
}

static char *copy_span(struct co_span span)
{
	return span.data ? strndup(span.data, span.size) : strdup("");
}

void work_make(struct runner *r, const struct container_make *make,
	       container_reported *done, void *arg)
{
	struct work *w = work_new(r, make->id, run_make, end_make);

	if (w) {
		w->done = done;
		w->arg = arg;
		w->make = *make;
		w->name = strdup(make->name);
		w->config = copy_span(make->config);
		w->image_config = copy_span(make->image.config);
		w->image_id = strdup(make->image.id);
		w->names = network_names(r);
		if (make->service) {
			w->service = *make->service;
			w->service.hosts = strdup(make->service->hosts);
			w->make.service = &w->service;
		}
	}
	if (!w || !copy_layers(w, make->image.layers) || !w->name || !w->config ||
	    !w->image_config || !w->image_id || (make->service && !w->service.hosts)) {
		if (w)
			work_free(w);
		runner_report(done, arg, CO_NO_MEMORY, "no memory for a container");
		return;
	}
	w->make.name = w->name;
	w->make.config = co_span(w->config);
	w->make.image.config = co_span(w->image_config);
	w->make.image.id = w->image_id;
	w->make.image.layers = (const char *const *) w->layers;
	submit(w);
}

/* ---- adopting ---- */

static void load_exit(struct work *w)
{
	char bundle[RUNNER_PATH];
	struct co_err err;

	bundle_path(&w->runner->place, w->id, bundle);
	w->seen = ctr_exit_load(bundle, &w->exit, &err) == 0 ? CONTAINER_SEEN_ENDED
							     : CONTAINER_SEEN_NOTHING;
}

static void run_adopt(void *arg)
{
	struct work *w = arg;
	char folder[RUNNER_PATH], id[16];
	int r;

	run_path(&w->runner->place, w->id, folder);
	r = ctr_control_connect(folder, &w->fd, &w->err);
	if (r == 0 && network_open(w->runner, w->id, &w->network, &w->err)) {
		co_log(daemon, WARN, "a port of container %" PRIu32 " is lost: %s",
		       w->id, w->err.message);
		w->err.code = 0;
	}
	if (r != CO_GONE)
		return;
	w->err.code = 0;
	(void) snprintf(id, sizeof(id), "%" PRIu32, w->id); /* fits */
	if (access(folder, F_OK) == 0)
		reap(&w->runner->place, id, false);
	load_exit(w);
}

static void end_adopt(struct work *w)
{
	struct container_report report = { .reason = "", .seen = w->seen };
	struct monitor *m;

	if (w->err.code) {
		runner_report(w->done, w->arg, w->err.code, w->err.message);
		return;
	}
	if (w->fd < 0) {
		runner_end_of(&w->exit, &report.end);
		w->done(w->arg, &report);
		return;
	}
	m = monitor_new(w->runner, w->id, w->fd);
	if (!m || !monitor_watch(m)) {
		if (m)
			monitor_free(m);
		runner_report(w->done, w->arg, CO_NO_MEMORY, "no memory for a monitor");
		return;
	}
	m->phase = MONITOR_SEEING;
	m->done = w->done;
	m->arg = w->arg;
	m->born = true;
	take_network(m, w);
	monitor_see(m);
}

void work_adopt(struct runner *r, uint32_t id, container_reported *done, void *arg)
{
	struct work *w = work_new(r, id, run_adopt, end_adopt);

	if (!w) {
		runner_report(done, arg, CO_NO_MEMORY, "no memory for a container");
		return;
	}
	w->done = done;
	w->arg = arg;
	submit(w);
}

/* ---- after the end ---- */

static void run_clear(void *arg)
{
	struct work *w = arg;
	char path[RUNNER_PATH], id[16];

	(void) snprintf(id, sizeof(id), "%" PRIu32, w->id); /* fits */
	run_path(&w->runner->place, w->id, path);
	if (access(path, F_OK) == 0)
		reap(&w->runner->place, id, w->files);
	load_exit(w);
	if (w->files)
		(void) clear_id(w); /* the work tells */
}

static void end_clear(struct work *w)
{
	struct container_report report = { .status = w->err.code,
					   .reason = w->err.message,
					   .seen = w->seen };

	if (w->done)
		w->done(w->arg, &report);
	if (w->files)
		clear_rest(w->runner, w->id);
}

void work_clear(struct runner *r, uint32_t id, bool files, container_reported *done,
		void *arg)
{
	struct work *w = work_new(r, id, run_clear, end_clear);

	if (!w) {
		if (done)
			runner_report(done, arg, CO_NO_MEMORY,
				      "no memory for a container");
		return;
	}
	w->files = files;
	w->done = done;
	w->arg = arg;
	submit(w);
}

static void end_lost(struct work *w)
{
	struct container_end end = {
		.exit_code = 255,
		.lost = true,
		.error = "its monitor was killed; nobody knows how it "
			 "has ended"
	};

	if (w->seen == CONTAINER_SEEN_ENDED)
		runner_end_of(&w->exit, &end);
	if (w->runner->ended)
		w->runner->ended(w->runner->listener, w->id, &end);
}

void work_lost(struct runner *r, uint32_t id)
{
	struct work *w = work_new(r, id, run_clear, end_lost);

	if (w)
		submit(w);
}

/* ---- what belongs to nobody ---- */

static bool is_known(const struct work *w, const char *name)
{
	char *end;
	unsigned long id = strtoul(name, &end, 10);

	if (*end || *name < '0' || *name > '9' || id >= w->below)
		return true; /* none of ours, or one that is just being made */
	for (size_t i = 0; i < w->nids; i++)
		if (w->ids[i] == id)
			return true;
	return false;
}

static void sweep_folder(struct work *w, const char *folder, bool running)
{
	const struct runner_place *p = &w->runner->place;
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[RUNNER_PATH];
	struct co_err err;

	while (dir && (entry = readdir(dir))) {
		if (is_known(w, entry->d_name))
			continue;
		if (running)
			reap(p, entry->d_name, true); /* nobody knows it */
		(void) snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		(void) bundle_remove(p, path, &err); /* the next daemon tries again */
	}
	if (dir)
		(void) closedir(dir); /* read only */
}

static void run_sweep(void *arg)
{
	struct work *w = arg;
	struct co_err err;

	(void) bundle_remove(&w->runner->place, w->runner->place.gone,
			     &err); /* tried again, too */
	(void) mkdir(w->runner->place.gone, 0700);

	sweep_folder(w, w->runner->place.run, true);
	sweep_folder(w, w->runner->place.state, false);
}

static void end_sweep(struct work *w)
{
	(void) w;
}

void work_sweep(struct runner *r, const uint32_t *ids, size_t n, uint32_t below)
{
	struct work *w = work_new(r, 0, run_sweep, end_sweep);

	if (!w)
		return;
	w->ids = calloc(n + 1, sizeof(*ids));
	if (!w->ids) {
		work_free(w);
		return;
	}
	if (n)
		memcpy(w->ids, ids, n * sizeof(*ids));
	w->nids = n;
	w->below = below;
	submit(w);
}
