/* SPDX-License-Identifier: MIT */
/*
 * Running a program as a service of BlackRoad OS, or as one that calls such services: its
 * environment, its names, its output.  HOST.  Who calls it: cloudos-exec, cli/launch.c.
 */
#ifndef CO_CLI_SERVICE_H
#define CO_CLI_SERVICE_H

#include <stdbool.h>

#include "cli/client.h"
#include "cli/relay.h"

enum service_hosts {
	SERVICE_HOSTS_ANY, /* a private file, or else by calls */
	SERVICE_HOSTS_MOUNT,
	SERVICE_HOSTS_CALLS,
	SERVICE_HOSTS_NONE
};

struct service {
	const char *asked; /* --service; NULL: only its names are wanted */
	bool no_logs;
	enum service_hosts how; /* CO_HOSTS: mount, calls or none */

	char name[64], role[64], front[16];
	unsigned port;
	char *hosts;        /* lines for /etc/hosts, owned */
	const char *folder; /* where something can be mounted for a moment */
	struct relay relay;
};

/* Asks the daemon for the registry of names. */
int service_find(struct service *s, struct co_client *client, struct co_err *err);

/* The variables that its program expects, where the caller has not set them. */
int service_environment(const struct service *s, struct co_err *err);

/*
 * Tries the next function in a process of its own.  Where it does not work the program goes
 * without: s->how says so, and the user has been told.
 */
void service_probe_hosts(struct service *s);

/*
 * In the child: an /etc/hosts of its own, seen by it and its children alone.  0 or errno:
 * then nothing has changed for it.  No privilege stays behind.
 */
int service_mount_hosts(const struct service *s);

/* The child, before it becomes the program: output, names, and its end with us. */
void service_enter(const struct service *s);

/* The program has ended so (a status of wait): everything it wrote is out. */
void service_over(struct service *s, int status);

#endif
