/* SPDX-License-Identifier: MIT */
/* Starts the service of images; its events, the daemon it keeps alive.  HOST. */
#include "cloudosd/images.h"

#include <stdio.h>

#include "cloudosd/daemon.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/image.h"
#include "cloudosd/spawn.h"
#include "lib/log.h"

static struct {
	void (*loaded)(void *arg, int status, const char *reason);
} starting;

static void emit(void *arg, const char *name, struct co_span data)
{
	const struct daemon *d = arg;

	/* what cannot be kept is counted by the bus */
	(void) events_emit(d->services.events,
			   &(struct event){ .service = "cloudosd",
					    .name = co_span(name),
					    .data = data },
			   NULL, NULL);
}

static void changed(void *arg)
{
	daemon_idle_check(arg);
}

static void index_read(void *arg, int status, const char *reason)
{
	if (status)
		co_log(service, ERROR, "there are no images: %s", reason);
	starting.loaded(arg, 0, "");
}

int images_start(struct daemon *d, struct co_err *err)
{
	char program[CO_PATH_SIZE] = "", folder[CO_PATH_SIZE + 16];
	struct spawner *spawner = spawner_new(d->host);
	struct co_err why = { 0 };
	struct images_options options = { .host = d->host,
					  .program = program,
					  .folder = folder,
					  .emit = emit,
					  .changed = changed,
					  .arg = d };

	if (!spawner)
		return co_fail(err, CO_NO_MEMORY, "no memory for images");
	if (co_program_path("cloudos-image", program, sizeof(program), &why)) {
		co_log(service, WARN, "images cannot be imported: %s", why.message);
		*program = '\0';
	}
	(void) snprintf(folder, sizeof(folder), "%s/images", d->paths.state);
	options.spawner = spawner_table(spawner);
	d->services.images = images_new(&options);
	if (!d->services.images)
		return co_fail(err, CO_NO_MEMORY, "no memory for images");
	return 0;
}

void images_begin(struct daemon *d,
		  void (*loaded)(void *arg, int status, const char *reason))
{
	starting.loaded = loaded;
	if (images_load(d->services.images, index_read, d))
		index_read(d, CO_NO_MEMORY, "no memory to read the index");
}
