/* SPDX-License-Identifier: MIT */
/* cloudos-ctr spec, features.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "cloudosd/ctr/cli.h"
#include "cloudosd/ctr/rootfs.h"
#include "lib/capability.h"
#include "lib/cleanup.h"

#define CAPABILITIES "[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]"

static const char spec_before[] =
	"{\n\"ociVersion\": \"1.0.2\",\n"
	"\"process\": {\n\t\"terminal\": true,\n\t\"user\": {\"uid\": 0, \"gid\": 0},\n"
	"\t\"args\": [\"sh\"],\n"
	"\t\"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
	" \"TERM=xterm\"],\n"
	"\t\"cwd\": \"/\",\n"
	"\t\"capabilities\": {\"bounding\": " CAPABILITIES
	",\n\t\t\"effective\": " CAPABILITIES ",\n\t\t\"permitted\": " CAPABILITIES
	"},\n"
	"\t\"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],\n"
	"\t\"noNewPrivileges\": true\n},\n"
	"\"root\": {\"path\": \"rootfs\", \"readonly\": true},\n"
	"\"hostname\": \"cloudos\",\n"
	"\"mounts\": [\n"
	"\t{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},\n"
	"\t{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
	"\t\t\"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},\n"
	"\t{\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
	"\t\t\"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\","
	" \"mode=0620\"]},\n"
	"\t{\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
	"\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},\n"
	"\t{\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
	"\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n"
	"\t{\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
	"\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]},\n"
	"\t{\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
	"\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]}\n"
	"],\n\"linux\": {\n";

static const char spec_after[] =
	"\t\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": "
	"\"ipc\"},\n\t\t{\"type\": \"uts\"}, {\"type\": \"cgroup\"}, {\"type\": "
	"\"mount\"}%s],\n"
	"\t\"maskedPaths\": [\"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", "
	"\"/proc/keys\",\n\t\t\"/proc/latency_stats\", \"/proc/timer_list\", "
	"\"/proc/timer_stats\",\n\t\t\"/proc/sched_debug\", \"/sys/firmware\", "
	"\"/proc/scsi\"],\n"
	"\t\"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", "
	"\"/proc/sysrq-trigger\"]\n"
	"}\n}\n";

static void spec_text(bool rootless, struct co_buf *out)
{
	co_buf_text(out, spec_before);
	if (rootless)
		co_buf_format(
			out,
			"\t\"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, "
			"\"size\": 1}],\n"
			"\t\"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, "
			"\"size\": 1}],\n",
			geteuid(), getegid());
	else
		co_buf_text(out, "\t\"resources\": {\"devices\": [{\"allow\": false, "
				 "\"access\": \"rwm\"}]},\n");
	co_buf_format(out, spec_after, rootless ? ", {\"type\": \"user\"}" : "");
}

int cli_spec(struct cli *cli, int argc, char *argv[])
{
	const char *bundle = ".", *file = "config.json";
	bool rootless = geteuid() != 0;
	const struct cli_option options[] = {
		{ "bundle", 'b', CLI_TEXT, &bundle },
		{ "file", 'f', CLI_TEXT, &file },
		{ "rootless", 0, CLI_FLAG, &rootless },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), false);
	autobuf struct co_buf text = { 0 };
	autoclose int fd = -1;
	char path[PATH_MAX];
	int n;

	if (at < 0)
		return cli_failed(cli);
	spec_text(rootless, &text);
	n = snprintf(path, sizeof(path), "%s/%s", bundle, file);
	if (text.failed || n < 0 || (size_t) n >= sizeof(path)) {
		(void) co_fail(&cli->err, CO_NAME_TOO_LONG, "the path is too long");
		return cli_failed(cli);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text.data, text.size) != (ssize_t) text.size) {
		(void) co_fail_errno(&cli->err, errno, "%s cannot be written", path);
		return cli_failed(cli);
	}
	return 0;
}

int cli_features(struct cli *cli, int argc, char *argv[])
{
	int rc = cli_options(cli, argc, argv, NULL, 0, false);

	if (rc < 0)
		return cli_failed(cli);
	(void) fputs(
		"{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.1.0\",\"hooks\":["
		"\"prestart\",\"createRuntime\",\"createContainer\","
		"\"startContainer\",\"poststart\",\"poststop\"],\"mountOptions\":[",
		stdout);
	for (size_t i = 0; ctr_rootfs_option(i); i++)
		(void) printf("%s\"%s\"", i ? "," : "", ctr_rootfs_option(i));
	(void) fputs(
		"],\"linux\":{\"namespaces\":[\"cgroup\",\"ipc\","
		"\"mount\",\"network\",\"pid\",\"user\",\"uts\"],\"capabilities\":[",
		stdout);
	for (int i = 0; co_capability_name(i); i++)
		(void) printf("%s\"CAP_%s\"", i ? "," : "", co_capability_name(i));
	(void) puts(
		"],\"cgroup\":{\"v1\":true,\"v2\":true,\"systemd\":false,"
		"\"systemdUser\":false},\"seccomp\":{\"enabled\":true,\"actions\":["
		"\"SCMP_ACT_ALLOW\",\"SCMP_ACT_ERRNO\",\"SCMP_ACT_KILL\","
		"\"SCMP_ACT_KILL_PROCESS\",\"SCMP_ACT_KILL_THREAD\","
		"\"SCMP_ACT_LOG\",\"SCMP_ACT_NOTIFY\",\"SCMP_ACT_TRACE\","
		"\"SCMP_ACT_TRAP\"]},\"apparmor\":{\"enabled\":true},\"selinux\":{"
		"\"enabled\":true},\"mountExtensions\":{\"idmap\":{\"enabled\":true}}"
		"},\"annotations\":{\"org.cloudos.version\":\"" PACKAGE_VERSION "\"}}");
	return fflush(stdout) == 0 ? 0 : 1;
}
