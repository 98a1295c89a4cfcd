/* SPDX-License-Identifier: MIT */
/* Starts the jobs of services; their events, their log, the daemon they keep alive.  HOST. */
#include "cloudosd/jobs.h"

#include "cloudosd/daemon.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/job.h"
#include "lib/log.h"

static void emit(void *arg, const char *service, const char *name, struct co_span data)
{
	const struct daemon *d = arg;

	/* what cannot be kept is counted by the bus */
	(void) events_emit(d->services.events,
			   &(struct event){ .service = service,
					    .name = co_span(name),
					    .data = data },
			   NULL, NULL);
}

static void note(void *arg, const char *sentence)
{
	(void) arg;
	co_log(service, WARN, "%s", sentence);
}

static void changed(void *arg)
{
	daemon_idle_check(arg);
}

int jobs_start(struct daemon *d,
	       void (*loaded)(void *arg, int status, const char *reason),
	       struct co_err *err)
{
	struct jobs_options options = { .handlers = d->services.handlers,
					.emit = emit,
					.log = note,
					.changed = changed,
					.arg = d };

	d->services.jobs = jobs_new(d->host, d->store, &options);
	if (!d->services.jobs)
		return co_fail(err, CO_NO_MEMORY, "no memory for the services");
	if (jobs_load(d->services.jobs, loaded, d) < 0)
		return co_fail(err, CO_IO, "cannot load the jobs of services");
	return 0;
}
