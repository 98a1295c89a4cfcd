/* SPDX-License-Identifier: MIT */
/* What containers can have on this box, for `cloudosctl doctor`.  HOST. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cloudosd/ctr/cgroup.h"
#include "cloudosd/ctr/network.h"
#include "lib/cleanup.h"

/* Asked once: it makes groups and links and takes them away. */
static const struct ctr_cgroup_probe *groups(void)
{
	static struct ctr_cgroup_probe probe;
	static bool asked;

	if (!asked)
		ctr_cgroup_look(&probe);
	asked = true;
	return &probe;
}

static const struct ctr_network_probe *networks(void)
{
	static struct ctr_network_probe probe;
	static bool asked;

	if (!asked)
		ctr_network_look(&probe);
	asked = true;
	return &probe;
}

void check_ctr_limits(struct doctor *d, struct finding *f)
{
	const struct ctr_cgroup_probe *g = groups();

	(void) d;
	doctor_detail(f, "%s%s%s", g->controllers[0] ? g->controllers : "none",
		      g->sentence[0] ? "; " : "", g->sentence);
	if (g->sentence[0])
		doctor_advise(f, STATE_LIMITED,
			      "%s; what cannot be enforced is refused without "
			      "--allow-unenforced-limits",
			      geteuid() == 0
				      ? "boot with the controllers enabled"
				      : "run the daemon as a systemd user unit with "
					"Delegate=yes");
}

void check_ctr_pause(struct doctor *d, struct finding *f)
{
	const struct ctr_cgroup_probe *g = groups();

	(void) d;
	if (g->freeze && g->kill) {
		doctor_detail(f, "all processes of a container freeze and die at once");
		return;
	}
	doctor_detail(f, "%s; %s",
		      g->freeze ? "containers freeze"
				: "a pause stops every process by itself",
		      g->kill ? "they die at once" : "they are killed one by one");
	doctor_advise(
		f, STATE_LIMITED,
		"nothing has to be done; cgroup2 of Linux 5.14 or newer, mounted and "
		"delegated, does it in one step");
}

/* A line "NAME:first:count" or "UID:first:count" for this user. */
static long ids_in(const char *path)
{
	autofclose FILE *file = fopen(path, "re");
	const struct passwd *user = getpwuid(geteuid());
	char line[256], uid[24];

	(void) snprintf(uid, sizeof(uid), "%u", (unsigned) geteuid());
	while (file && fgets(line, sizeof(line), file)) {
		char *first = strchr(line, ':'),
		     *count = first ? strchr(first + 1, ':') : NULL;

		if (!count)
			continue;
		*first = 0;
		if (strcmp(line, uid) == 0 ||
		    (user && strcmp(line, user->pw_name) == 0))
			return strtol(count + 1, NULL, 10);
	}
	return 0;
}

void check_ctr_ids(struct doctor *d, struct finding *f)
{
	bool helpers = access("/usr/bin/newuidmap", X_OK) == 0 &&
		       access("/usr/bin/newgidmap", X_OK) == 0;
	long uids, gids;

	(void) d;
	if (geteuid() == 0) {
		doctor_detail(f, "each container has 65536 of its own");
		return;
	}
	uids = ids_in("/etc/subuid");
	gids = ids_in("/etc/subgid");
	if (helpers && uids >= 65536 && gids >= 65536) {
		doctor_detail(f, "%ld users and %ld groups by newuidmap", uids, gids);
		return;
	}
	doctor_detail(
		f, "one: %s",
		!helpers ? "newuidmap and newgidmap are not there"
			 : "this user has no 65536 in /etc/subuid and /etc/subgid");
	doctor_advise(
		f, STATE_LIMITED,
		"apt install uidmap; usermod --add-subuids 100000-165535 --add-subgids "
		"100000-165535 USER; with one id all files of an image are its root's");
}

void check_ctr_bridge(struct doctor *d, struct finding *f)
{
	const struct ctr_network_probe *n = networks();

	(void) d;
	doctor_detail(f, "%s",
		      n->bridge ? "made one with a published port, and took it away"
				: n->bridge_why);
	if (!n->bridge)
		doctor_advise(
			f, STATE_LIMITED, "%s",
			geteuid() == 0
				? "a kernel with bridge, veth and nf_tables (nat, masq, "
				  "fib, ct); containers have no network by default "
				  "meanwhile"
				: "nothing: users have private networks instead");
}

void check_ctr_private(struct doctor *d, struct finding *f)
{
	const struct ctr_network_probe *n = networks();

	(void) d;
	if (n->private_) {
		doctor_detail(f, "%s and /dev/net/tun are there", n->tool);
		return;
	}
	doctor_detail(f, "%s", n->private_why);
	doctor_advise(
		f, STATE_LIMITED, "%s",
		n->tool[0] ? "chmod 666 /dev/net/tun; inside of a container --device "
			     "/dev/net/tun"
			   : "apt install passt");
}

void check_ctr_forward(struct doctor *d, struct finding *f)
{
	const struct ctr_network_probe *n = networks();

	(void) d;
	if (!n->forward[0]) {
		doctor_detail(f, "nothing drops by policy what is forwarded");
		return;
	}
	doctor_detail(f, "%s drops what is forwarded", n->forward);
	doctor_advise(
		f, STATE_LIMITED,
		"accept there what comes from and goes to the bridge, else containers "
		"reach nothing outside: nft insert rule %s FORWARD iifname BRIDGE accept",
		n->forward + strlen("table "));
}
