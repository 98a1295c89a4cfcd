/* SPDX-License-Identifier: MIT */
/* Sessions that are services.  HOST. */
#include "cloudosd/serving.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/link.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/logs.h"
#include "cloudosd/service/names.h"
#include "lib/buf.h"
#include "lib/log.h"

/* ---- events ---- */

static void tell(struct session *s, const char *name, struct co_buf *data)
{
	struct daemon *d = s->daemon;
	struct event event = { .service = s->service,
			       .name = co_span(name),
			       .data = { data->data, data->size } };

	if (d->services.events && !data->failed &&
	    events_emit(d->services.events, &event, NULL, NULL))
		co_log_session(service, WARN, s->id, 0, "%s of %s is not an event: %s",
			       name, s->service, events_reason(d->services.events));
}

static void begin_data(const struct session *s, struct co_buf *out)
{
	co_buf_format(out, "{\"session\":%llu,\"pid\":%d,\"name\":",
		      (unsigned long long) s->id, s->first_pid);
	co_buf_json_text(out, co_span(s->service));
}

/* It may have said how the program ended just before. */
static void launcher_died(void *arg)
{
	struct session *s = session_ref(arg);

	s->daemon->host->watch_free(s->launcher_watch);
	s->launcher_watch = NULL;
	if (s->link && !s->stop_told)
		link_read(s->link);
	if (!s->stop_told)
		serving_launcher_gone(s);
	(void) session_unref(s);
}

void serving_begin(struct session *s)
{
	const struct co_host *host = s->daemon->host;

	if (!s->service[0])
		return;
	s->launcher_fd = (int) syscall(SYS_pidfd_open, session_row(s)->launcher_pid, 0);
	if (s->launcher_fd >= 0)
		s->launcher_watch = host->watch_new(host->ctx, s->launcher_fd, false,
						    launcher_died, s);
}

/* One that waits goes on watching: the launcher may never say it. */
void serving_end(struct session *s)
{
	if (s->ended || !s->launcher_watch)
		return;
	s->daemon->host->watch_free(s->launcher_watch);
	s->launcher_watch = NULL;
}

void serving_started(struct session *s)
{
	autobuf struct co_buf data = { 0 };

	if (!s->service[0])
		return;
	begin_data(s, &data);
	co_buf_text(&data, ",\"command\":");
	co_buf_json_text(&data, co_span(session_row(s)->command));
	co_buf_char(&data, '}');
	tell(s, "service:started", &data);
}

/* status: of wait, or -1 when nobody could say it. */
static void stopped(struct session *s, int status)
{
	autobuf struct co_buf data = { 0 };

	if (s->stop_told)
		return;
	s->stop_told = true;
	begin_data(s, &data);
	if (status >= 0 && WIFEXITED(status))
		co_buf_format(&data, ",\"status\":%d}", WEXITSTATUS(status));
	else if (status >= 0 && WIFSIGNALED(status))
		co_buf_format(&data, ",\"signal\":%d}", WTERMSIG(status));
	else
		co_buf_text(&data, ",\"reason\":\"its cloudos-exec was killed\"}");
	tell(s, "service:stopped", &data);
}

/* ---- the end ---- */

/* The reference of serving_waits. */
static void over(struct session *s)
{
	if (!s->ended)
		return;
	s->ended = false;
	serving_end(s);
	if (s->link)
		link_close(s->link);
	(void) session_unref(s);
}

bool serving_waits(struct session *s)
{
	if (!s->service[0] || s->stop_told)
		return false;
	s->ended = true;
	(void) session_ref(s);
	return true;
}

void serving_exited(struct session *s, int32_t status)
{
	if (!s->service[0] || s->stop_told || status < 0)
		return;
	stopped(s, status);
	over(s);
}

struct sweep {
	uint64_t mounts;
	unsigned killed;
};

static bool lives_there(const char *pid, uint64_t mounts)
{
	char path[64];
	struct stat st;

	(void) snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", pid);
	return stat(path, &st) == 0 && st.st_ino == mounts;
}

/* On a worker thread: kills whatever is in that mount name space, until nothing is. */
static void sweep_work(void *arg)
{
	struct sweep *w = arg;
	unsigned found = 1;

	for (int round = 0; found && round < 100; round++) {
		DIR *proc = opendir("/proc");
		const struct dirent *e;

		found = 0;
		while (proc && (e = readdir(proc))) {
			long pid = strtol(e->d_name, NULL, 10);

			if (pid > 1 && pid != getpid() &&
			    lives_there(e->d_name, w->mounts) &&
			    kill((pid_t) pid, SIGKILL) == 0)
				found++;
		}
		if (proc)
			(void) closedir(proc);
		w->killed += found;
	}
}

static void sweep_done(void *arg)
{
	struct sweep *w = arg;

	co_log(service, INFO,
	       "a service's cloudos-exec was killed; so were its %u processes",
	       w->killed);
	free(w);
}

void serving_launcher_gone(struct session *s)
{
	const struct co_host *host = s->daemon->host;
	struct sweep *w;

	if (!s->stop_told && s->mounts) {
		w = calloc(1, sizeof(*w));
		if (w) {
			w->mounts = s->mounts;
			if (host->offload(host->ctx, sweep_work, sweep_done, w))
				free(w); /* its standard output is closed at least */
		}
	}
	stopped(s, -1);
	over(s);
}

static uint64_t mounts_of(int32_t pid)
{
	char path[64];
	struct stat st;

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

uint64_t serving_mounts(int32_t pid, int32_t launcher_pid)
{
	uint64_t theirs = mounts_of(pid), launcher = mounts_of(launcher_pid);

	/* a daemon of systemd has one of its own, which says nothing about the program's */
	if (!theirs || !launcher || theirs == launcher ||
	    theirs == mounts_of(getpid()) || theirs == mounts_of(1))
		return 0;
	return theirs;
}

/* ---- logs ---- */

void serving_output(struct session *s, uint32_t stream, struct co_span text)
{
	struct daemon *d = s->daemon;
	const struct name *name = names_find(d->names, co_span(s->service));
	struct log_output output = { .service = s->service,
				     .pid = s->first_pid,
				     .standard_error = stream == 2,
				     .error_level = name ? name->stderr_level : NULL,
				     .text = text };

	if (!s->service[0] || !text.size || !d->services.logs)
		return;
	if (logs_add_output(d->services.logs, &output, NULL, NULL) && !s->output_lost) {
		s->output_lost = true;
		co_log_session(service, WARN, s->id, 0,
			       "some of what %s writes is not in the logs: %s",
			       s->service, logs_reason(d->services.logs));
	}
}

/* ---- whose program listens ---- */

struct look {
	const struct daemon *daemon;
	char host[INET_ADDRSTRLEN + 8];
	bool found;
};

/* Is that session of that service?  Sessions of before may not be there yet: so the table
 * is asked. */
static bool is_session_of(const struct daemon *d, uint64_t session, const char *service)
{
	for (size_t i = 0; session && i < CO_LIMIT_SESSIONS; i++)
		if (d->table->sessions[i].id == session)
			return !strcmp(d->table->sessions[i].service, service);
	return false;
}

static void visit(void *arg, const struct service_instance *instance)
{
	struct look *l = arg;

	l->found |= strstr(instance->spec.metadata, l->host) &&
		    is_session_of(l->daemon, instance->session, instance->spec.name);
}

static void look_at(struct daemon *d, const struct name *name)
{
	struct look l = { .daemon = d };
	struct in_addr back = names_back(d->names, name);

	(void) snprintf(l.host, sizeof(l.host), "back=%s:", inet_ntoa(back));
	registry_each(d->services.registry, name->name, visit, &l);
	names_set_serving(d->names, name->name, l.found);
}

void serving_event(void *daemon, const struct registry_event *event)
{
	struct daemon *d = daemon;
	const struct name *name;

	if (!event->instance || !d->names)
		return;
	name = names_find(d->names, co_span(event->instance->spec.name));
	if (name && !strcmp(name->name, event->instance->spec.name))
		look_at(d, name);
}

void serving_look(struct daemon *d)
{
	for (size_t i = 0; i < names_count(d->names); i++)
		look_at(d, names_at(d->names, i));
}
