/* SPDX-License-Identifier: MIT */
/*
 * cloudos-ctr: a program tells the service manager that it is ready (sd_notify(3)).  HOST.
 *
 * With NOTIFY_SOCKET in our environment the container gets a folder at that path with a
 * socket "notify" in it; a process of ours passes READY=1 on, and nothing else, until the
 * container ends.  The host's own socket is not reachable from inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/program.h"
#include "lib/cleanup.h"

static const char *wanted(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (path[0] == '/' || path[0] == '@') ? path : NULL;
}

static bool folder_of(const struct cli *cli, const char *id, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s/notify", cli->root, id);

	return n > 0 && n < PATH_MAX;
}

static int add_mount(struct cli *cli, struct cli_notify *n, struct ctr_config *config)
{
	static char *options[] = { "bind", "nosuid", "nodev", "noexec", NULL };
	static char bind[] = "bind";

	n->mounts = calloc(config->mount_count + 1, sizeof(*n->mounts));
	if (!n->mounts)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	if (config->mount_count)
		memcpy(n->mounts, config->mounts,
		       config->mount_count * sizeof(*n->mounts));
	n->mounts[config->mount_count] = (struct ctr_mount){
		.destination = n->inside,
		.type = bind,
		.source = n->folder,
		.options = { .at = options, .count = 4 },
	};
	config->mounts = n->mounts;
	config->mount_count++;
	return 0;
}

static int add_env(struct cli *cli, struct cli_notify *n, struct ctr_config *config)
{
	struct ctr_texts *env = &config->process.env;

	n->env = calloc(env->count + 2, sizeof(char *));
	if (!n->env)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	memcpy(n->env, env->at, env->count * sizeof(char *));
	(void) snprintf(n->variable, sizeof(n->variable), "NOTIFY_SOCKET=%s/notify",
			n->inside);
	n->env[env->count] = n->variable;
	*env = (struct ctr_texts){ .at = n->env, .count = env->count + 1 };
	return 0;
}

int cli_notify_prepare(struct cli *cli, const char *id, struct ctr_config *config,
		       struct cli_notify *n)
{
	const char *path = wanted();
	int rc;

	if (!path || !config->has_process)
		return 0;
	if (path[0] == '@')
		path = "/run/notify"; /* an abstract name has no place in a mount */
	if (strlen(path) >= sizeof(n->inside) || !folder_of(cli, id, n->folder))
		return co_fail(&cli->err, CO_NAME_TOO_LONG,
			       "the path in NOTIFY_SOCKET is too long");
	(void) snprintf(n->inside, sizeof(n->inside), "%s", path);
	if (mkdir(n->folder, 0755) < 0 || chmod(n->folder, 0755) < 0)
		return co_fail_errno(&cli->err, errno, "%s cannot be made", n->folder);
	rc = add_mount(cli, n, config);
	return rc == 0 ? add_env(cli, n, config) : rc;
}

void cli_notify_done(struct cli_notify *n)
{
	free(n->mounts);
	free(n->env);
}

static void pass_on(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t size = strlen(path);

	if (fd < 0 || size >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, size);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	(void) sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *) &to,
		      (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size));
}

static bool says_ready(int fd)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	char *at = text, *line;

	if (n <= 0)
		return false;
	text[n] = '\0';
	while ((line = strsep(&at, "\n")))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

static _Noreturn void attend(int fd, pid_t pid)
{
	int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
	int keep[] = { fd, pidfd }, null = open("/dev/null", O_RDWR);
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = pidfd, .events = POLLIN } };

	/* nobody waits for the end of our output */
	for (int i = 0; i < 3 && null >= 0; i++)
		(void) dup2(null, i);
	ctr_close_others(keep, co_countof(keep));
	(void) setsid();
	(void) prctl(PR_SET_NAME, "cloudos-notify", 0, 0, 0);
	while (pidfd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if ((p[0].revents & POLLIN) && says_ready(fd)) {
			pass_on(wanted());
			break;
		}
		if (p[1].revents)
			break;
	}
	_exit(0);
}

int cli_notify_listen(struct cli *cli, const char *id, pid_t pid)
{
	autoclose int fd = -1;
	autoclose int folder = -1;
	char path[PATH_MAX];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	pid_t child;

	if (!wanted() || !folder_of(cli, id, path))
		return 0;
	folder = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 && errno == ENOENT)
		return 0; /* it was created without */
	(void) snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/notify",
			folder);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (folder < 0 || fd < 0 || bind(fd, (struct sockaddr *) &at, sizeof(at)) < 0 ||
	    chmod(at.sun_path, 0777) < 0)
		return co_fail_errno(&cli->err, errno, "%s/notify cannot be made",
				     path);
	child = fork();
	if (child == 0)
		attend(fd, pid);
	if (child < 0)
		return co_fail_errno(&cli->err, errno, "no process for NOTIFY_SOCKET");
	return 0;
}
