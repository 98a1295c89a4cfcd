/* SPDX-License-Identifier: MIT */
/*
 * Private networks of a user's containers, by pasta and slirp4netns.  HOST.
 *
 * What the box does not give is skipped with a line that says so.
 */
#include "cloudosd/ctr/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"
#include "tests/unit/network.h"

static struct ctr_network_probe box;

/* In user and network name spaces of its own, as a rootless container is. */
static pid_t rootless_container(void)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char map[32];
		unsigned uid = geteuid();
		int fd;

		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(95);
		(void) snprintf(map, sizeof(map), "0 %u 1", uid);
		fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		if (write(fd, map, strlen(map)) < 0 || ctr_network_loopback(NULL) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(96);
		(void) close(ready[1]);
		serve('r');
	}
	(void) close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		(void) waitpid(pid, NULL, 0);
		pid = -1;
	}
	(void) close(ready[0]);
	return pid;
}

static bool become_nobody(void)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	     setresuid(65534, 65534, 65534) < 0))
		return false;
	return prctl(PR_SET_DUMPABLE, 1) == 0; /* /proc/self is ours again */
}

static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (void *) &a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (void *) &a, &n), 0);
	(void) close(fd);
	return ntohs(a.sin_port);
}

static bool is_bound(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t) port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = bind(fd, (void *) &a, sizeof(a));
	(void) close(fd);
	return rc < 0;
}

static void await_unbound(unsigned port)
{
	for (int i = 0; i < WAIT_MS / 10 && is_bound(port); i++)
		(void) usleep(10000);
	ck_assert_msg(!is_bound(port), "port %u is still bound", port);
}

/* PATH with only that tool in it. */
static bool only_tool(const char *tool, char *folder)
{
	char from[64], to[128];

	(void) snprintf(from, sizeof(from), "/usr/bin/%s", tool);
	if (access(from, X_OK) < 0)
		return false;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	(void) snprintf(to, sizeof(to), "%s/%s", folder, tool);
	ck_assert_int_eq(symlink(from, to), 0);
	(void) setenv("PATH", folder, 1);
	return true;
}

static void remove_tool(const char *tool, const char *folder)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", folder, tool);
	(void) unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void private_json(char *out, size_t n, unsigned port)
{
	(void) snprintf(
		out, n,
		"{\"mode\":\"private\",\"ports\":[{\"host\":%u,\"inside\":80}]}", port);
}

static void private_with(const char *tool)
{
	char folder[] = "/var/tmp/cloudos-net-XXXXXX", json[128], text[64] = "";
	struct ctr_network *n = NULL;
	struct co_err err = { 0 };
	autobuf struct co_buf b = { 0 };
	unsigned port;
	pid_t pid;
	int rc;

	if (!become_nobody() || !only_tool(tool, folder)) {
		(void) fprintf(stderr, "skipped: %s is not here\n", tool);
		return;
	}
	pid = rootless_container();
	if (pid < 0) {
		(void) fprintf(stderr, "skipped: no user name spaces\n");
		remove_tool(tool, folder);
		return;
	}
	port = free_port();
	private_json(json, sizeof(json), port);
	rc = ctr_network_create("7", co_span(json), pid, &n, &err);
	if (rc == CO_UNSUPPORTED) { /* no tun, no route to the outside */
		(void) fprintf(stderr, "skipped: %s\n", err.message);
		ck_assert(!is_bound(port));
		end(pid);
		remove_tool(tool, folder);
		return;
	}
	check(rc, &err);
	ctr_network_describe(n, &b);
	ck_assert_ptr_nonnull(strstr(b.data, tool));
	for (int i = 0; i < WAIT_MS / 20 && !text[0]; i++) {
		ask("127.0.0.1", port, 1000, text, sizeof(text));
		(void) usleep(text[0] ? 0 : 20000);
	}
	ck_assert_msg(text[0] == 'r', "%s does not forward", tool);
	ctr_network_remove(n);
	await_unbound(port);
	end(pid);
	remove_tool(tool, folder);
}

START_TEST(a_user_gets_a_private_network_by_pasta)
{
	private_with("pasta");
}
END_TEST

START_TEST(a_user_gets_a_private_network_by_slirp4netns)
{
	private_with("slirp4netns");
}
END_TEST

START_TEST(a_private_network_ends_with_its_monitor)
{
	char json[128];
	unsigned port;
	int told[2];
	char c = 0;
	pid_t pid, monitor;

	if (!become_nobody() || (pid = rootless_container()) < 0)
		return;
	port = free_port();
	private_json(json, sizeof(json), port);
	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	monitor = fork();
	if (monitor == 0) {
		struct ctr_network *n = NULL;

		c = ctr_network_create("7", co_span(json), pid, &n, NULL) == 0;
		if (write(told[1], &c, 1) == 1)
			(void) kill(getpid(), SIGKILL);
		_exit(1);
	}
	ck_assert_int_eq(read(told[0], &c, 1), 1);
	ck_assert_int_eq(waitpid(monitor, NULL, 0), monitor);
	if (!c)
		(void) fprintf(stderr, "skipped: no private network here\n");
	await_unbound(port);
	end(pid);
}
END_TEST

/* A tool that fails and leaves a child behind that holds on to things, as pasta has done. */
START_TEST(what_a_failed_tool_leaves_behind_is_killed)
{
	static const char script[] =
		"#!/bin/sh\n(trap '' TERM HUP; exec sleep 1000) &\n"
		"echo \"$!\" >\"$(dirname \"$0\")/pid\"\n"
		"echo 'no tun here'\nexit 1\n";
	char folder[] = "/var/tmp/cloudos-net-XXXXXX", path[128], json[128],
	     text[16] = "";
	struct ctr_network *n = NULL;
	struct co_err err = { 0 };
	int fd;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void) snprintf(path, sizeof(path), "%s/pasta", folder);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	ck_assert_int_eq(write(fd, script, strlen(script)), (int) strlen(script));
	(void) close(fd);
	(void) snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
	(void) setenv("PATH", path, 1);
	private_json(json, sizeof(json), 1);
	ck_assert_int_eq(ctr_network_create("7", co_span(json), getpid(), &n, &err),
			 CO_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, "no tun here"));
	(void) snprintf(path, sizeof(path), "%s/pid", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	(void) close(fd);
	pid = (pid_t) strtol(text, NULL, 10);
	ck_assert_int_lt(kill(pid, 0), 0);
	(void) unlink(path);
	(void) snprintf(path, sizeof(path), "%s/pasta", folder);
	(void) unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("network_private");

	ctr_network_look(&box);
	(void) fprintf(stderr, "private %d by %s (%s)\n", box.private_, box.tool,
		       box.private_why);
	tcase_add_test(tcase, a_user_gets_a_private_network_by_pasta);
	tcase_add_test(tcase, a_user_gets_a_private_network_by_slirp4netns);
	tcase_add_test(tcase, a_private_network_ends_with_its_monitor);
	tcase_add_test(tcase, what_a_failed_tool_leaves_behind_is_killed);
	return run_tests(tcase);
}
