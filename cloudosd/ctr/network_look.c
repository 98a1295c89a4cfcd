/* SPDX-License-Identifier: MIT */
/* What networks this box can give to containers, by giving one.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"

static const char example[] =
	"{\"mode\":\"bridge\",\"bridge\":\"cloudos-try\","
	"\"gateway\":\"10.201.0.1\",\"prefix\":24,"
	"\"address\":\"10.201.0.2\",\"ports\":[{\"address\":\"0.0.0.0\","
	"\"host\":1,\"inside\":1}]}";

/* Both sides are thrown away with this process; /proc/sys shows its own name space. */
static int try_bridge(struct co_err *err)
{
	struct ctr_network *n = NULL;
	int go[2];
	pid_t pid;
	char c;
	int rc;

	if (unshare(CLONE_NEWNET) < 0)
		return co_fail_errno(err, errno, "no network name space can be made");
	if (pipe2(go, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		c = unshare(CLONE_NEWNET) == 0;
		if (write(go[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			(void) pause();
	}
	if (pid < 0 || read(go[0], &c, 1) != 1 || !c)
		rc = co_fail(err, CO_UNSUPPORTED, "no network name space can be made");
	else
		rc = ctr_network_create("try", co_span(example), pid, &n, err);
	ctr_network_remove(n);
	if (pid > 0) {
		(void) kill(pid, SIGKILL);
		(void) waitpid(pid, NULL, 0);
	}
	return rc;
}

static void look_at_bridge(struct ctr_network_probe *out)
{
	char said[sizeof(out->bridge_why)] = "the try could not be made";
	int report[2];
	ssize_t n;
	pid_t pid;

	if (geteuid() != 0) {
		(void) snprintf(out->bridge_why, sizeof(out->bridge_why),
				"only root's daemon may make bridges");
		return;
	}
	if (pipe2(report, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		struct co_err err = { 0 };
		int rc = try_bridge(&err);

		n = write(report[1], err.message, rc < 0 ? strlen(err.message) : 0);
		_exit(rc < 0 || n < 0);
	}
	(void) close(report[1]);
	n = read(report[0], said, sizeof(said) - 1);
	(void) close(report[0]);
	if (pid > 0) {
		int status = 1;

		(void) waitpid(pid, &status, 0);
		out->bridge = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	if (n > 0)
		said[n] = 0;
	if (!out->bridge)
		(void) snprintf(out->bridge_why, sizeof(out->bridge_why), "%s", said);
}

static void look_at_private(struct ctr_network_probe *out)
{
	char path[512];
	const char *tool = network_tool_find(path, sizeof(path));
	autoclose int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int why = errno;

	if (tool)
		(void) snprintf(out->tool, sizeof(out->tool), "%s", tool);
	out->private_ = tool && tun >= 0;
	if (!tool)
		(void) snprintf(
			out->private_why, sizeof(out->private_why),
			"neither pasta (package passt) nor slirp4netns is there");
	else if (tun < 0)
		(void) snprintf(out->private_why, sizeof(out->private_why),
				"/dev/net/tun cannot be opened: %s", strerror(why));
}

void ctr_network_look(struct ctr_network_probe *out)
{
	autoclose int fd = netlink_open(NETLINK_NETFILTER);

	*out = (struct ctr_network_probe){ 0 };
	look_at_bridge(out);
	look_at_private(out);
	if (fd >= 0)
		network_forward_policy(fd, out->forward, sizeof(out->forward));
}
