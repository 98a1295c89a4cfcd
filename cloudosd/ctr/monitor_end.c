/* SPDX-License-Identifier: MIT */
/*
 * What a container has outside of itself: who owns it, and removing it.  HOST.
 *
 * ROOT/ID/monitor.json is locked as long as the monitor lives (a lock of fcntl: no child
 * inherits it, and it ends with the process; closing any descriptor of the file would end
 * it, too).  It says what there is to remove, and is written before anything is made.
 * Whoever finds it unlocked removes that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/hooks.h"
#include "cloudosd/ctr/monitor_inside.h"
#include "cloudosd/ctr/state.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define NOTE_NAME "monitor.json"

enum { NOTE_BYTES = 65536, GONE_MS = 5000, ASKED_MS = 2000, CLAIM_MS = 200 };

/* What is known of a container, by its monitor or by its note. */
struct remains {
	const char *id, *folder, *bundle;
	const struct ctr_config *config; /* NULL: unreadable */
	struct ctr_cgroup *cgroup;       /* NULL: none */
	struct ctr_network *network;     /* NULL: none, or it has to be looked for */
	pid_t pid;                       /* of one that lives; 0 */
	uint64_t pid_start;              /* of it, as ctr_pid_start tells it */
	const char *runtime;             /* that made it; NULL: we did */
	bool look_for_network;
	bool all_dead; /* with the first process of their own pid name space */
};

/* ---- removing ---- */

static void kill_rest(const struct remains *r)
{
	autoclose int fd = -1;

	if (r->cgroup && !r->all_dead)
		(void) ctr_cgroup_kill(r->cgroup, SIGKILL, NULL); /* often empty */
	if (r->pid <= 0)
		return;
	fd = (int) syscall(SYS_pidfd_open, r->pid, 0);
	/* only now it cannot become somebody else's number */
	if (fd >= 0 && ctr_pid_start(r->pid) == r->pid_start)
		(void) syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0); /* gone */
}

static void remove_folder(const char *folder)
{
	static const char *const names[] = { "ctl.sock", "config.json",
					     "state.json.new", "state.json",
					     NOTE_NAME };
	autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* the lock last: until then it says whose the folder is */
	for (size_t i = 0; dir >= 0 && i < co_countof(names); i++)
		(void) unlinkat(dir, names[i], 0); /* may not be there */
	(void) rmdir(folder);                      /* something else in it stays */
}

static void run_poststop(const struct remains *r)
{
	autobuf struct co_buf state = { 0 };

	if (!r->config || r->config->poststop.count == 0)
		return;
	ctr_state_json(r->config, r->id, "stopped", 0, &state);
	(void) ctr_hooks_run(&r->config->poststop, "poststop", &state,
			     NULL); /* told nobody */
}

static void remove_remains(const struct remains *r)
{
	kill_rest(r);
	if (r->cgroup)
		(void) ctr_cgroup_remove(r->cgroup, GONE_MS,
					 NULL); /* `reap` tries again */
	if (r->network)
		ctr_network_leave(r->network);
	else if (r->look_for_network && r->config && r->config->cloudos.network)
		(void) ctr_network_clean(r->id, co_span(r->config->cloudos.network),
					 NULL); /* often nothing is left */
	if (r->runtime)
		monitor_runtime_delete(r->runtime, r->folder, r->id);
	else
		run_poststop(r); /* another one runs them itself */
	remove_folder(r->folder);
}

void monitor_clean(struct monitor *m)
{
	struct remains r = { .id = m->options->id,
			     .folder = m->folder,
			     .bundle = m->options->bundle,
			     .config = m->config,
			     .cgroup = m->cgroup,
			     .network = m->network,
			     .runtime = m->options->runtime };

	r.all_dead = m->state == CTR_EXITED && m->config &&
		     ctr_config_namespace(m->config, CLONE_NEWPID) &&
		     !ctr_config_namespace(m->config, CLONE_NEWPID)->path;
	monitor_close(m, &m->listener);
	m->network = NULL; /* removing ends it */
	remove_remains(&r);
	if (m->lock >= 0)
		(void) close(m->lock); /* only a lock */
	m->lock = -1;
}

/* ---- the note ---- */

char *monitor_path(const char *root, const char *id, const char *name)
{
	char *out;

	if (asprintf(&out, "%s/%s%s%s", root, id, name ? "/" : "", name ? name : "") <
	    0)
		return NULL;
	return out;
}

/* In place: one write of a page at most is done or not done when a process is killed.  What
 * was longer before is overwritten with blanks. */
static int write_note(struct monitor *m, struct co_buf *text)
{
	size_t size = text->size;
	ssize_t n;

	while (text->size < m->note_size)
		co_buf_char(text, ' ');
	if (text->failed)
		return -1;
	do {
		n = pwrite(m->lock, text->data, text->size, 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t) text->size)
		return -1;
	m->note_size = size > m->note_size ? size : m->note_size;
	return 0;
}

int monitor_note(struct monitor *m, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	co_buf_text(&text, "{\"bundle\":");
	co_buf_json_text(&text, co_span(m->options->bundle));
	co_buf_format(&text, ",\"monitor\":%d,\"committed\":%s,\"started\":%llu",
		      (int) getpid(), m->committed ? "true" : "false",
		      (unsigned long long) m->exit.started);
	if (m->options->runtime) {
		co_buf_text(&text, ",\"runtime\":");
		co_buf_json_text(&text, co_span(m->options->runtime));
	}
	if (m->container.pid > 0)
		co_buf_format(&text, ",\"pid\":%d,\"pidStart\":%llu",
			      (int) m->container.pid,
			      (unsigned long long) ctr_pid_start(m->container.pid));
	if (m->cgroup) {
		co_buf_text(&text, ",\"cgroup\":");
		ctr_cgroup_save(m->cgroup, &text);
	}
	co_buf_text(&text, "}\n");
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for the monitor's note");
	if (write_note(m, &text) < 0)
		return co_fail_errno(err, errno, "cannot write %s/" NOTE_NAME,
				     m->folder);
	return 0;
}

/* For the commands of cloudos-ctr: state.json, and the configuration where it is. */
int monitor_state(struct monitor *m, struct co_err *err)
{
	autofree char *here = monitor_path(m->folder, "config.json", NULL);
	autofree char *there = monitor_path(m->options->bundle, "config.json", NULL);
	autobuf struct co_buf group = { 0 };
	struct ctr_state s = { 0 };
	char created[40];

	ctr_state_fill(&s, m->options->id, m->config, created);
	(void) co_json_member(m->config->json, "annotations",
			      &s.annotations); /* or none */
	s.pid = m->container.pid;
	s.pid_start = ctr_pid_start(m->container.pid);
	s.started = m->state != CTR_CREATED;
	ctr_cgroup_save(m->cgroup, &group);
	s.cgroup = (struct co_span){ group.data, group.size };
	if (!here || !there || group.failed)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the container's state");
	if (symlink(there, here) < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot make %s", here);
	return ctr_state_write(m->options->root, &s, err);
}

/* ---- whose it is ---- */

/* 0: locked by us now; 1: somebody else has it; CO_NOT_FOUND: there is no lock. */
static int lock_folder(const char *folder, bool make, int *out, struct co_err *err)
{
	autofree char *path = monitor_path(folder, NOTE_NAME, NULL);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	autoclose int fd = -1;
	struct stat st;

	if (!path)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
	if (fd < 0 && errno == ENOENT)
		return co_fail(err, CO_NOT_FOUND, "%s is not there", path);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	if (fcntl(fd, F_SETLK, &whole) < 0)
		return errno == EAGAIN || errno == EACCES
			       ? 1
			       : co_fail_errno(err, errno, "cannot lock %s", path);
	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		return 1; /* its owner was removing it: it is about to be gone */
	*out = take_fd(fd);
	return 0;
}

static int make_folders(const struct monitor *m, struct co_err *err)
{
	autofree char *path = strdup(m->folder);

	for (char *slash = path; path && (slash = strchr(slash + 1, '/'));) {
		*slash = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return co_fail_errno(err, errno, "cannot make the folder %s",
					     path);
		*slash = '/';
	}
	if (!path)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	if (mkdir(m->folder, 0700) < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot make the folder %s",
				     m->folder);
	return 0;
}

static int taken(const struct monitor *m, struct co_err *err)
{
	return co_fail(err, CO_EXISTS,
		       "there is a container %s in %s already; remove it, or choose "
		       "another name",
		       m->options->id, m->options->root);
}

static pid_t holder_of(const char *folder);
static bool ended_within(int pidfd, int ms);

/* The one before is just leaving, or lives. */
static void await_holder(const char *folder, int64_t end)
{
	int64_t left = end - monitor_clock();
	pid_t holder = holder_of(folder);
	autoclose int fd = holder > 0 ? (int) syscall(SYS_pidfd_open, holder, 0) : -1;

	if (fd >= 0 && left > 0)
		(void) ended_within(fd, (int) left);
}

int monitor_claim(struct monitor *m, struct co_err *err)
{
	autofree char *state = monitor_path(m->folder, "state.json", NULL);
	int64_t end = monitor_clock() + CLAIM_MS;
	int rc = 1;

	while (rc == 1 && monitor_clock() < end) {
		rc = make_folders(m, err);
		if (rc == 0)
			rc = lock_folder(m->folder, false, &m->lock, err);
		if (rc == CO_NOT_FOUND && state && access(state, F_OK) == 0)
			return taken(m, err); /* made by `create` */
		if (rc == CO_NOT_FOUND) {
			rc = lock_folder(m->folder, true, &m->lock, err);
		} else if (rc == 0) {          /* of one that was killed */
			(void) close(m->lock); /* reap takes it itself */
			m->lock = -1;
			rc = ctr_reap_one(m->options->root, m->options->id, err);
			rc = rc < 0 ? rc : 1;
			end = monitor_clock() + CLAIM_MS;
		}
		if (rc == 1)
			await_holder(m->folder, end);
	}
	return rc == 1 ? taken(m, err) : rc;
}

/* ---- reap ---- */

struct note {
	struct co_buf text;
	struct co_span json;
	char *bundle, *runtime;
	bool committed;
	uint64_t started, pid_start;
	pid_t pid;
};

static uint64_t number(struct co_span json, const char *name)
{
	struct co_span value;
	int64_t n = 0;

	return co_json_member(json, name, &value) && co_json_whole(value, &n) && n > 0
		       ? (uint64_t) n
		       : 0;
}

static void read_note(int lock, struct note *out)
{
	autobuf struct co_buf bundle = { 0 };
	autobuf struct co_buf runtime = { 0 };
	struct co_json_fault fault;
	struct co_span value;
	char *room;
	ssize_t n;

	memset(out, 0, sizeof(*out));
	room = co_buf_room(&out->text, NOTE_BYTES);
	n = room ? pread(lock, room, NOTE_BYTES, 0) : -1;
	if (n <= 0 || co_json_check((struct co_span){ room, (size_t) n }, &out->json,
				    &fault) < 0) {
		out->json = (struct co_span){ NULL, 0 };
		return; /* killed before it had made anything */
	}
	if (co_json_member(out->json, "bundle", &value) &&
	    co_json_unescape(value, &bundle) == 0)
		out->bundle = co_buf_take(&bundle, &(size_t){ 0 });
	if (co_json_member(out->json, "runtime", &value) &&
	    co_json_unescape(value, &runtime) == 0)
		out->runtime = co_buf_take(&runtime, &(size_t){ 0 });
	if (co_json_member(out->json, "committed", &value))
		out->committed = co_span_is(value, "true");
	out->started = number(out->json, "started");
	out->pid = (pid_t) number(out->json, "pid");
	out->pid_start = number(out->json, "pidStart");
	if (out->pid <= 0 || ctr_pid_start(out->pid) != out->pid_start)
		out->pid = 0;
}

/* Its group, also when the monitor was killed before it could note it. */
static struct ctr_cgroup *find_group(const struct note *n,
				     const struct ctr_config *config, const char *id)
{
	struct ctr_cgroup *g = NULL;
	struct co_span value;

	if (co_json_member(n->json, "cgroup", &value)) {
		if (ctr_cgroup_open(value, &g, NULL) == 0)
			return g;
	} else if (config) {
		struct ctr_cgroup_spec spec;

		monitor_group_spec(config, id, &spec);
		spec.leftover = true;
		if (ctr_cgroup_create(&spec, &g, NULL) == 0)
			return g;
	}
	return NULL;
}

static void record_death(const struct note *n)
{
	struct ctr_exit e = { .code = 128 + SIGKILL,
			      .signal = SIGKILL,
			      .started = n->started,
			      .finished = monitor_now(),
			      .error = "its monitor was killed" };
	struct ctr_exit old;

	if (!n->bundle)
		return;
	if (!n->committed)
		ctr_exit_unreserve(n->bundle, NULL);
	else if (ctr_exit_load(n->bundle, &old, NULL) == 1)
		(void) ctr_exit_save(n->bundle, &e, NULL); /* the bundle may be gone */
}

static void reap_locked(const char *id, const char *folder, int lock)
{
	struct ctr_config *config = NULL;
	struct note n;
	struct remains r = { .id = id, .folder = folder, .look_for_network = true };

	read_note(lock, &n);
	if (n.bundle && ctr_config_load(n.bundle, &config, NULL) == 0)
		r.config = config;
	r.bundle = n.bundle;
	r.runtime = n.runtime;
	r.pid = n.pid;
	r.pid_start = n.pid_start;
	if (n.json.data)
		r.cgroup = find_group(&n, config, id);
	if (n.json.data)
		record_death(&n);
	remove_remains(&r);
	ctr_cgroup_free(r.cgroup);
	ctr_config_free(config);
	free(n.bundle);
	free(n.runtime);
	co_buf_done(&n.text);
}

int ctr_reap_one(const char *root, const char *id, struct co_err *err)
{
	autofree char *folder = monitor_path(root, id, NULL);
	autoclose int lock = -1;
	int rc;

	if (!folder)
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	rc = lock_folder(folder, false, &lock, err);
	if (rc == CO_NOT_FOUND)
		return 2;
	if (rc != 0)
		return rc;
	reap_locked(id, folder, lock);
	return 0;
}

/* Its monitor's pid; 0: nobody has the lock. */
static pid_t holder_of(const char *folder)
{
	autofree char *path = monitor_path(folder, NOTE_NAME, NULL);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	autoclose int fd = path ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd < 0 || fcntl(fd, F_GETLK, &whole) < 0 || whole.l_type == F_UNLCK)
		return 0;
	return whole.l_pid;
}

static bool ended_within(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

int ctr_reap_force(const char *root, const char *id, struct co_err *err)
{
	autofree char *folder = monitor_path(root, id, NULL);
	autoclose int fd = -1;
	pid_t holder;
	int rc = ctr_reap_one(root, id, err);

	if (rc != 1 || !folder)
		return rc;
	holder = holder_of(folder);
	fd = holder > 0 ? (int) syscall(SYS_pidfd_open, holder, 0) : -1;
	/* the descriptor is of that process: it has the lock still */
	if (fd >= 0 && holder_of(folder) == holder) {
		(void) syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0); /* gone */
		if (!ended_within(fd, ASKED_MS)) {
			(void) syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
			(void) ended_within(fd, GONE_MS);
		}
	}
	rc = ctr_reap_one(root, id, err);
	return rc == 2 ? 0 : rc; /* it has removed all by itself */
}

int ctr_reap(const char *root, size_t *out_reaped, struct co_err *err)
{
	DIR *dir = opendir(root);
	struct dirent *e;
	int rc = 0;

	*out_reaped = 0;
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return co_fail_errno(err, errno, "cannot read the folder %s", root);
	while ((e = readdir(dir))) {
		int one = e->d_name[0] == '.' ? 2 : ctr_reap_one(root, e->d_name, err);

		if (one < 0)
			rc = one; /* the others all the same */
		*out_reaped += one == 0;
	}
	(void) closedir(dir); /* read only */
	return rc;
}
