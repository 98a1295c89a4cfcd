/* SPDX-License-Identifier: MIT */
/*
 * cloudos-ctr clear: removes files that belong to further users of a container.  HOST.
 *
 * A user's container has ids of /etc/subuid.  What they own in folders of their own the user
 * himself cannot remove, but root of a user name space with the same maps can.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/id_maps.h"
#include "cloudosd/ctr/remove.h"
#include "lib/cleanup.h"

enum { ROWS = 8 };

struct rows {
	struct ctr_id_map at[ROWS];
	size_t count;
};

/* "0:1000:1,1:100000:65535" */
static bool read_rows(const char *text, struct rows *out)
{
	while (text && *text && out->count < ROWS) {
		struct ctr_id_map *m = &out->at[out->count++];
		int n = 0;

		if (sscanf(text, "%u:%u:%u%n", &m->inside, &m->outside, &m->count,
			   &n) != 3 ||
		    (text[n] && text[n] != ','))
			return false;
		text += n + (text[n] == ',');
	}
	return out->count > 0 && !*text;
}

/* In the child; writes a byte when it has its name space, reads one when that has maps. */
static _Noreturn void be_root(const char *path, int told, int go)
{
	struct co_err err = { 0 };
	char byte = 0;

	if (unshare(CLONE_NEWUSER) < 0 || write(told, &byte, 1) != 1 ||
	    read(go, &byte, 1) != 1 || setresgid(0, 0, 0) < 0 ||
	    setresuid(0, 0, 0) < 0) {
		(void) fprintf(stderr, "cannot become the container's root: %s\n",
			       strerror(errno));
		_exit(1);
	}
	if (ctr_remove_tree(path, &err) == 0)
		_exit(0);
	(void) fprintf(stderr, "%s\n", err.message);
	_exit(1);
}

static int clear(struct cli *cli, struct rows *uids, struct rows *gids,
		 const char *path)
{
	const struct ctr_id_maps u = { uids->at, uids->count },
				 g = { gids->at, gids->count };
	int told[2], go[2], status = 1, rc = 0;
	char byte = 0;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return co_fail_errno(&cli->err, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		(void) close(told[0]);
		(void) close(go[1]); /* so that it ends when we do */
		be_root(path, told[1], go[0]);
	}
	(void) close(told[1]);
	(void) close(go[0]);
	if (pid < 0 || read(told[0], &byte, 1) != 1)
		rc = co_fail_errno(&cli->err, errno, "no user name space can be made");
	if (rc == 0)
		rc = ctr_id_maps_write(pid, &u, &g, &cli->err);
	if (rc == 0 && write(go[1], &byte, 1) != 1)
		rc = co_fail_errno(&cli->err, errno, "the child has gone");
	(void) close(told[0]);
	(void) close(go[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && status != 0)
		rc = co_fail(&cli->err, CO_IO, "%s is not removed", path);
	return rc;
}

int cli_clear(struct cli *cli, int argc, char *argv[])
{
	const char *uid_map = NULL, *gid_map = NULL;
	const struct cli_option options[] = { { "uid-map", 0, CLI_TEXT, &uid_map },
					      { "gid-map", 0, CLI_TEXT, &gid_map } };
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	struct rows uids = { .count = 0 }, gids = { .count = 0 };

	if (at < 0)
		return cli_failed(cli) + 1;
	if (argc - at != 1 || argv[at][0] != '/' || !read_rows(uid_map, &uids) ||
	    !read_rows(gid_map, &gids)) {
		(void) co_fail(&cli->err, CO_INVALID,
			       "usage: cloudos-ctr clear --uid-map IN:OUT:COUNT[,...] "
			       "--gid-map IN:OUT:COUNT[,...] /PATH");
		return cli_failed(cli) + 1;
	}
	return clear(cli, &uids, &gids, argv[at]) < 0 ? cli_failed(cli) : 0;
}
