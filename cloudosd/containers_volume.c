/* SPDX-License-Identifier: MIT */
/*
 * The folders of volumes, on worker threads.  HOST.
 *
 * One that is removed is renamed first, so that nobody ever sees half of one; what a daemon
 * that was killed has left of that is removed when the next one lists them.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define GONE ".gone-" /* no volume's name begins so */

enum { AGAIN_MS = 20 };

struct volume_work {
	struct runner *runner;
	enum container_volume_act act;
	char name[CONTAINER_NAME];
	container_reported *done;
	void *arg;
	struct co_timer *again;
	struct co_err err;
	struct co_buf names;
};

static int remove_folder(const struct runner_place *p, const char *name,
			 struct co_err *err)
{
	char path[RUNNER_PATH], gone[RUNNER_PATH];
	int rc;

	(void) snprintf(path, sizeof(path), "%s/%s", p->volumes, name);
	(void) snprintf(gone, sizeof(gone), "%s/" GONE "%s", p->volumes, name);
	rc = bundle_remove(p, gone, err);
	if (rc == 0 && rename(path, gone) < 0 && errno != ENOENT)
		rc = co_fail_errno(err, errno, "cannot rename %s", path);
	if (rc == 0)
		rc = bundle_remove(p, gone, err);
	if (rc && access(gone, F_OK) == 0)
		(void) rename(gone, path); /* what is left of it stays a volume */
	return rc;
}

static void list_folders(const struct runner_place *p, struct co_buf *out)
{
	DIR *dir = opendir(p->volumes);
	const struct dirent *entry;
	struct co_err err = { 0 };
	char path[RUNNER_PATH];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.') {
			co_buf_format(out, "%s\n", entry->d_name);
			continue;
		}
		(void) snprintf(path, sizeof(path), "%s/%s", p->volumes, entry->d_name);
		if (strncmp(entry->d_name, GONE, strlen(GONE)) == 0 &&
		    bundle_remove(p, path, &err))
			co_log(daemon, WARN, "%s", err.message);
	}
	if (dir)
		(void) closedir(dir); /* read only */
}

static void run(void *arg)
{
	struct volume_work *w = arg;
	const struct runner_place *p = &w->runner->place;

	if (w->act == CONTAINER_VOLUME_MAKE)
		(void) bundle_volume(p, w->name, &w->err); /* the work tells */
	else if (w->act == CONTAINER_VOLUME_REMOVE)
		(void) remove_folder(p, w->name, &w->err);
	else
		list_folders(p, &w->names);
}

static void finish(void *arg)
{
	struct volume_work *w = arg;
	struct container_report report = {
		.status = w->names.failed ? CO_NO_MEMORY : w->err.code,
		.reason = w->err.message,
		.text = { w->names.data, w->names.size },
	};

	w->done(w->arg, &report);
	w->runner->host->timer_free(w->again);
	co_buf_done(&w->names);
	free(w);
}

static void submit(void *arg)
{
	struct volume_work *w = arg;
	const struct co_host *host = w->runner->host;

	if (host->offload(host->ctx, run, finish, w))
		host->timer_start(w->again, AGAIN_MS); /* too much is queued: soon */
}

void work_volume(struct runner *r, enum container_volume_act act, const char *name,
		 container_reported *done, void *arg)
{
	struct volume_work *w = calloc(1, sizeof(*w));

	if (w)
		w->again = r->host->timer_new(r->host->ctx, submit, w);
	if (!w || !w->again) {
		free(w);
		runner_report(done, arg, CO_NO_MEMORY, "no memory for a volume");
		return;
	}
	w->runner = r;
	w->act = act;
	w->done = done;
	w->arg = arg;
	(void) snprintf(w->name, sizeof(w->name), "%s", name); /* fits */
	submit(w);
}
