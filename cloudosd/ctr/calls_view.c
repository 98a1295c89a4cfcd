/* SPDX-License-Identifier: MIT */
/* What programs of other systems need in a container that calls.  HOST. */
#include <co/trap.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/ctr/calls_inside.h"
#include "cloudosd/ctr/program.h"
#include "lib/cleanup.h"
#include "lib/paths.h"

enum { OURS = 3 };

/* A read-only bind of that, if it is there. */
static void add_mount(struct calls_view *v, struct ctr_mount *at, const char *source,
		      const char *destination)
{
	static char bind[] = "bind", ro[] = "ro", nosuid[] = "nosuid",
		    nodev[] = "nodev";
	static char *options[] = { bind, ro, nosuid, nodev, NULL };

	if (access(source, F_OK) < 0)
		return;
	*at = (struct ctr_mount){ .destination = strdup(destination),
				  .type = bind,
				  .source = strdup(source),
				  .options = { options, 4 } };
	if (at->destination && at->source)
		v->config->mount_count++;
}

/* Can the container's root make folders in its /run?  Where that is not known, nothing is
 * tried: it would not start for want of what it may never need. */
static bool has_room(const struct ctr_config *config)
{
	const struct ctr_extension *x = &config->cloudos;

	if (x->layers.count || x->idmap || geteuid() != 0 ||
	    !ctr_config_namespace(config, CLONE_NEWUSER))
		return true;
	for (size_t i = 0; i < config->mount_count; i++)
		if (!strcmp(config->mounts[i].destination, "/run"))
			return true;
	return false;
}

/*
 * The socket, and the programs that are run inside.  What is not installed, or not there
 * yet, is not mounted; a program that needs it says so.
 */
int calls_view_add(struct calls_view *v, struct ctr_config *config, const char *socket,
		   struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];
	char *slash;

	if (!has_room(config))
		return 0;
	v->config = config;
	v->mount_count = config->mount_count;
	v->mounts = calloc(config->mount_count + OURS, sizeof(*v->mounts));
	if (!v->mounts)
		return co_fail(err, CO_NO_MEMORY, "no memory for calls of CloudOS");
	memcpy(v->mounts, config->mounts, config->mount_count * sizeof(*v->mounts));
	config->mounts = v->mounts;
	(void) snprintf(path, sizeof(path), "%s", socket);
	slash = strrchr(path, '/');
	(void) snprintf(slash ? slash : path, 16, "/guest.sock"); /* no longer */
	add_mount(v, &v->mounts[config->mount_count], path,
		  CO_CONTAINED_FOLDER "/control.sock");
	if (!co_program_path("cloudos-exec", path, sizeof(path), NULL))
		add_mount(v, &v->mounts[config->mount_count], path,
			  CO_CONTAINED "/bin/cloudos-exec");
	if (!co_program_path("cloudos-loader-anos", path, sizeof(path), NULL)) {
		slash = strrchr(path, '/');
		*slash = 0;
		add_mount(v, &v->mounts[config->mount_count], path,
			  CO_CONTAINED "/libexec");
	}
	return 0;
}

void calls_view_drop(struct calls_view *v)
{
	if (!v->mounts)
		return;
	for (size_t i = v->mount_count; i < v->mount_count + OURS; i++) {
		free(v->mounts[i].destination);
		free(v->mounts[i].source);
	}
	v->config->mount_count = v->mount_count;
	free(v->mounts); /* the configuration goes next, and does not read them */
	v->config->mounts = NULL;
	v->config->mount_count = 0;
}

/* As another system's program: cloudos-exec becomes it, and everything around it. */
int calls_become_other(const char *path, const struct ctr_process_spec *p,
		       struct co_err *err)
{
	static char self[] = CO_CONTAINED "/bin/cloudos-exec", dashes[] = "--",
		    folder[] = "CLOUDOS_DIR=" CO_CONTAINED,
		    libexec[] = "CLOUDOS_LIBEXECDIR=" CO_CONTAINED "/libexec";
	struct ctr_process_spec other = *p;
	autofree char **args = calloc(p->args.count + 3, sizeof(*args));
	autofree char **env = calloc(p->env.count + 3, sizeof(*env));

	if (!args || !env)
		return co_fail(err, CO_NO_MEMORY, "no memory for a program");
	if (access(self, X_OK) < 0)
		return co_fail(
			err, CO_UNSUPPORTED,
			"%s is a program of Anos, and this container has no "
			"cloudos-exec to run it: cloudos is not installed beside "
			"the engine, or there was no daemon when it was made",
			path);
	args[0] = self;
	args[1] = dashes;
	args[2] = (char *) path;
	memcpy(args + 3, p->args.at + 1, (p->args.count - 1) * sizeof(*args));
	env[0] = folder;
	env[1] = libexec;
	memcpy(env + 2, p->env.at, p->env.count * sizeof(*env));
	other.args = (struct ctr_texts){ args, p->args.count + 2 };
	other.env = (struct ctr_texts){ env, p->env.count + 2 };
	return ctr_program_execute(self, &other, err);
}
