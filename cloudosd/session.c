/* SPDX-License-Identifier: MIT */
/* Sessions.  HOST. */
#include "cloudosd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/control.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/housed.h"
#include "cloudosd/keeper_link.h"
#include "cloudosd/leftover.h"
#include "cloudosd/link.h"
#include "cloudosd/memory.h"
#include "cloudosd/notify.h"
#include "cloudosd/pending.h"
#include "cloudosd/service/container.h"
#include "cloudosd/serving.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct table_session *session_row(const struct session *s)
{
	return &s->daemon->table->sessions[s->index];
}

__attribute__((hot)) struct session *session_ref(struct session *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

__attribute__((hot)) struct session *session_unref(struct session *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return NULL;
	(void) link_unref(s->link);
	if (s->listener >= 0)
		(void) close(s->listener);
	if (s->pidfd >= 0)
		(void) close(s->pidfd);
	if (s->launcher_fd >= 0)
		(void) close(s->launcher_fd);
	(void) pthread_mutex_destroy(&s->flow.mutex);
	if (atomic_fetch_sub(&s->share->refs, 1) == 1)
		free(s->share);
	free(s);
	return NULL;
}

struct session *session_find(struct daemon *d, uint64_t id, const char *name)
{
	struct session *s, *next, *best = NULL;

	if (id) {
		HASH_FIND(hh, d->sessions, &id, sizeof(id), s);
		return s;
	}
	HASH_ITER (hh, d->sessions, s, next)
		if (name && !strcmp(session_row(s)->name, name) &&
		    (!best || s->id > best->id))
			best = s;
	return best;
}

const char *session_container(const struct session *s)
{
	struct container_look look;
	char id[16];

	if (!session_row(s)->container || !s->daemon->services.containers)
		return "";
	(void) snprintf(id, sizeof(id), "%u", session_row(s)->container); /* fits */
	return containers_look(s->daemon->services.containers, co_span(id), &look)
		       ? look.name
		       : "";
}

/* That of the container, or one of its own; NULL: no memory. */
static struct session_share *share_of(struct daemon *d, const struct table_session *row)
{
	struct session_share *share;
	struct session *s, *next;

	HASH_ITER (hh, d->sessions, s, next)
		if (row->container && session_row(s)->container == row->container) {
			atomic_fetch_add(&s->share->refs, 1);
			return s->share;
		}
	share = calloc(1, sizeof(*share));
	if (share)
		atomic_init(&share->refs, 1);
	return share;
}

/* Descriptors are taken, also on failure. */
static struct session *session_new(struct daemon *d, uint32_t index, int link_fd,
				   int listener, struct co_err *err)
{
	const struct table_session *row = &d->table->sessions[index];
	size_t count;
	const struct co_personality *all = co_personalities(&count);
	struct session *s = calloc(1, sizeof(*s));
	bool served =
		row->personality < count && (co_personality_host(row->personality) ||
					     row->engine == CO_ENGINE_TRAP);

	if (s)
		s->share = share_of(d, row);
	if (!s || !s->share || !served) {
		(void) co_fail(err, served ? CO_NO_MEMORY : CO_UNSUPPORTED,
			       served ? "no memory for one more session"
				      : "this daemon cannot serve that personality");
		if (s && s->share && atomic_fetch_sub(&s->share->refs, 1) == 1)
			free(s->share);
		free(s);
		if (link_fd >= 0)
			(void) close(link_fd);
		if (listener >= 0)
			(void) close(listener);
		return NULL;
	}
	s->daemon = d;
	atomic_init(&s->refs, 1);
	s->id = row->id;
	s->index = index;
	s->engine = (enum co_engine) row->engine;
	s->personality = &all[row->personality];
	s->host = co_personality_host(row->personality);
	s->listener = listener;
	s->traced = row->trace != 0;
	s->launcher_fd = -1;
	s->first_pid = row->pid;
	s->mounts = row->mounts;
	(void) snprintf(s->service, sizeof(s->service), "%.*s",
			(int) sizeof(row->service) - 1, row->service);
	s->launcher_gone = link_fd < 0;
	s->leftover_fd = -1;
	s->pidfd = (int) syscall(SYS_pidfd_open, row->pid, 0);
	(void) pthread_mutex_init(&s->flow.mutex, NULL);
	if (link_fd >= 0 && link_new(&s->link, s, link_fd, err)) {
		(void) session_unref(s);
		return NULL;
	}
	atomic_store(&s->launcher_copies,
		     d->config.guest_memory == CONFIG_guest_memory_launcher ||
			     (d->config.guest_memory == CONFIG_guest_memory_auto &&
			      memory_probe(row->pid) == CO_ACCESS));
	return s;
}

static int session_begin(struct session *s, struct co_err *err)
{
	struct daemon *d = s->daemon;
	const struct table_session *row = session_row(s);
	int r;

	HASH_ADD(hh, d->sessions, id, sizeof(s->id), s);
	if (row->container && !row->contained)
		containers_session_begins(d->services.containers, row->container,
					  s->id);
	serving_begin(s);
	d->served = true;
	r = notify_add(s, err);
	if (r)
		session_end(s, "it could not be listened to");
	daemon_idle_check(d);
	return r;
}

static int free_row(const struct table *t)
{
	for (int i = 0; i < CO_LIMIT_SESSIONS; i++)
		if (!t->sessions[i].id)
			return i;
	return -1;
}

static void row_fill(struct daemon *d, uint32_t index, const struct session_spec *spec)
{
	struct table_session *row = &d->table->sessions[index];
	struct process_id process = { 0 };

	memset(row, 0, sizeof(*row));
	(void) process_read(spec->pid, &process, NULL); /* gone already: start 0 */
	row->started_ns = d->host->wall_ns(d->host->ctx);
	row->guest_start = process.start_time;
	row->pid = spec->pid;
	row->launcher_pid = spec->launcher_pid;
	row->engine = (uint32_t) spec->engine;
	row->personality = spec->personality;
	row->trace = spec->trace;
	row->contained = spec->contained;
	row->container = spec->container;
	(void) snprintf(row->name, sizeof(row->name), "%s", spec->name);
	(void) snprintf(row->command, sizeof(row->command), "%s", spec->command);
	(void) snprintf(row->service, sizeof(row->service), "%s",
			spec->service ? spec->service : "");
	if (row->service[0])
		row->mounts = serving_mounts(spec->pid, spec->launcher_pid);
}

static void read_comm(int32_t pid, char *out, size_t size)
{
	char path[64];
	autoclose int fd = -1;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, size - 1);
	out[n > 0 ? n - 1 : 0] = 0; /* without the end of its line */
}

int session_revive(struct daemon *d, uint64_t id, uint32_t personality, int32_t pid,
		   struct session **out, struct co_err *err)
{
	char name[32];
	struct session_spec spec = { .engine = CO_ENGINE_TRAP,
				     .personality = personality,
				     .pid = pid,
				     .name = name,
				     .command = name };
	int index = free_row(d->table);
	int r;

	core_assert_locked();
	if (!id || id >= d->table->next_session)
		return co_fail(err, CO_NOT_FOUND, "there is no session %llu",
			       (unsigned long long) id);
	if (index < 0)
		return co_fail(
			err, CO_TABLE_FULL,
			"%d programs run under this daemon already, which is the limit",
			CO_LIMIT_SESSIONS);
	read_comm(pid, name, sizeof(name));
	row_fill(d, (uint32_t) index, &spec);
	d->table->sessions[index].id = id;
	r = session_restore(d, (uint32_t) index, -1, -1, err);
	if (r) {
		d->table->sessions[index].id = 0;
		return r;
	}
	*out = session_find(d, id, NULL);
	co_log_session(session, INFO, id, pid, "%s goes on with process %d", name, pid);
	return 0;
}

static void close_all(const struct session_spec *spec)
{
	const int all[] = { spec->link_fd, spec->listener, spec->user_ns,
			    spec->net_ns };

	for (size_t i = 0; i < co_countof(all); i++)
		if (all[i] >= 0)
			(void) close(all[i]);
}

int session_attach(struct daemon *d, const struct session_spec *spec,
		   struct session **out, struct co_err *err)
{
	struct session_spec rest = *spec;
	int index = free_row(d->table);
	struct table_session *row;
	struct session *s;
	int r;

	core_assert_locked();
	if (index < 0) {
		close_all(spec);
		return co_fail(
			err, CO_TABLE_FULL,
			"%d programs run under this daemon already, which is the limit",
			CO_LIMIT_SESSIONS);
	}
	rest.link_fd = rest.listener = -1; /* session_new takes them */
	row_fill(d, (uint32_t) index, spec);
	row = &d->table->sessions[index];
	row->id = d->table->next_session++;
	s = session_new(d, (uint32_t) index, spec->link_fd, spec->listener, err);
	if (!s) {
		r = err->code;
		row->id = 0;
		close_all(&rest);
		return r;
	}
	/* before the first call: from now on a successor can answer it */
	keeper_hold(d->keeper, (uint32_t) index, spec->link_fd, spec->listener);
	if (row->service[0])
		housed_begin(s, spec->user_ns, spec->net_ns);
	else
		close_all(&rest);
	r = session_begin(s, err);
	if (r)
		return r;
	co_log_session(session, INFO, s->id, spec->pid, "%s begins under %s%s%s: %s",
		       row->name, co_engine_name(s->engine),
		       *session_container(s) ? " in container " : "",
		       session_container(s), row->command);
	serving_started(s);
	*out = s;
	return 0;
}

int session_restore(struct daemon *d, uint32_t index, int link_fd, int listener,
		    struct co_err *err)
{
	struct session *s;

	if (index >= CO_LIMIT_SESSIONS || !d->table->sessions[index].id) {
		if (link_fd >= 0)
			(void) close(link_fd);
		if (listener >= 0)
			(void) close(listener);
		return co_fail(err, CO_CORRUPT,
			       "the keeper holds a session %u that nobody knows",
			       index);
	}
	s = session_new(d, index, link_fd, listener, err);
	if (!s)
		return err->code;
	if (s->engine == CO_ENGINE_PTRACE)
		s->resend = RESEND_ASKED;
	housed_restore(s);
	return session_begin(s, err);
}

void session_end(struct session *s, const char *why)
{
	struct daemon *d = s->daemon;
	struct session *found;

	core_assert_locked();
	found = session_find(d, s->id, NULL);
	if (found != s)
		return; /* two threads saw the end */
	co_log_session(session, INFO, s->id, 0, "%s ends after %llu calls: %s",
		       session_row(s)->name,
		       (unsigned long long) atomic_load(&s->calls), why);
	HASH_DEL(d->sessions, s);
	if (session_row(s)->container)
		containers_session_ends(d->services.containers,
					session_row(s)->container, s->id);
	housed_end(s);
	notify_remove(s);
	leftover_forget(s);
	if (s->link) {
		link_say_ended(s->link);
		if (!serving_waits(s)) /* for how it has ended */
			link_close(s->link);
	}
	serving_end(s);
	pending_session_end(d->pending, s->id);
	errors_session_end(d->services.errors, s->id);
	control_session_end(d->control, s->id);
	keeper_drop(d->keeper, s->index);
	memset(session_row(s), 0, sizeof(struct table_session));
	(void) session_unref(s);
	daemon_idle_check(d);
}
