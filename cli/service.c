/* SPDX-License-Identifier: MIT */
/* Running a program as a service.  HOST. */
#include "cli/service.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"

#define HOSTS "/etc/hosts"

/* ---- the registry of names ---- */

static void host_of(const char *url, const char **out, int *out_n)
{
	const char *from = strstr(url, "://");

	*out = from ? from + 3 : "";
	*out_n = (int) strcspn(*out, ":/?#");
}

static void add_line(struct co_buf *hosts, const char *front, const char *url)
{
	const char *host;
	int n;

	host_of(url, &host, &n);
	if (n)
		co_buf_format(hosts, "%s\t%.*s\n", front, n, host);
}

static const char *text(const struct co_client *client, struct wire_span span)
{
	return co_msg_get(client->in, span);
}

static void take_row(struct service *s, struct co_client *client, struct co_buf *hosts)
{
	const struct wire_name_row *row = (const void *) client->in->bytes;
	const char *front = text(client, row->front);

	if (s->asked && !s->name[0]) {
		/* this is the answer to the first question: which one is it? */
		(void) snprintf(s->name, sizeof(s->name), "%s",
				text(client, row->name));
		(void) snprintf(s->role, sizeof(s->role), "%s",
				text(client, row->role));
		(void) snprintf(s->front, sizeof(s->front), "%s", front);
		s->port = row->port;
		return;
	}
	if (!front[0])
		return;
	add_line(hosts, front, text(client, row->internal));
	add_line(hosts, front, text(client, row->cloudflare));
	add_line(hosts, front, text(client, row->railway));
	add_line(hosts, front, text(client, row->railway_development));
}

static int ask(struct service *s, struct co_client *client, const char *name,
	       struct co_buf *hosts, struct co_err *err)
{
	struct wire_name_list_req *req = co_client_request(client, WIRE_name_list_req);
	int r;

	co_msg_text(client->out, &req->name, name);
	r = co_client_send(client, NULL, 0, err);
	if (r)
		return r;
	while ((r = co_client_next(client, err)) == CO_CLIENT_ROW)
		if (client->in->header->type == WIRE_name_row)
			take_row(s, client, hosts);
	return r;
}

int service_find(struct service *s, struct co_client *client, struct co_err *err)
{
	autobuf struct co_buf hosts = { 0 };
	size_t size;
	int r = 0;

	if (s->asked)
		r = ask(s, client, s->asked, &hosts, err);
	if (!r)
		r = ask(s, client, "", &hosts, err);
	if (r)
		return r;
	co_buf_char(&hosts, '\n');
	s->hosts = co_buf_take(&hosts, &size);
	return s->hosts ? 0 : co_fail(err, CO_NO_MEMORY, "no memory");
}

/* ---- environment ---- */

int service_environment(const struct service *s, struct co_err *err)
{
	const char *package = getenv("npm_package_version");
	char port[16];
	int bad = 0;

	if (!s->asked)
		return 0;
	(void) snprintf(port, sizeof(port), "%u", s->port);
	bad |= setenv("SERVICE_NAME", s->name, 0);
	bad |= setenv("SERVICE_ROLE", s->role, 0);
	bad |= setenv("ENVIRONMENT", "development", 0);
	bad |= setenv("PORT", port, 0);
	bad |= setenv("VERSION", package && *package ? package : "1.0.0", 0);
	return bad ? co_fail(err, CO_NO_MEMORY, "no memory for the environment") : 0;
}

/* ---- /etc/hosts ---- */

static int write_all(const char *path, int flags, const char *data, size_t n)
{
	autoclose int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno;
	while (n) {
		ssize_t put = write(fd, data, n);

		if (put <= 0)
			return put < 0 ? errno : EIO;
		data += put;
		n -= (size_t) put;
	}
	return 0;
}

static int write_map(const char *path, unsigned id)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%u %u 1\n", id, id);

	return write_all(path, O_WRONLY, line, (size_t) n);
}

/* A user name space in which everybody is who he is. */
static int user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	int r = 0;

	/* a root without the right to mount is in some sandbox; there is nothing for it in
	 * a name space either that would not take rights away */
	if (uid == 0)
		return unshare(CLONE_NEWNS) < 0 ? errno : 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return errno;
	r = write_map("/proc/self/uid_map", uid);
	if (!r)
		r = write_all("/proc/self/setgroups", O_WRONLY, "deny", 4);
	return r ? r : write_map("/proc/self/gid_map", gid);
}

/* All that a name space of its own gave it. */
static void drop_privileges(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	if (geteuid() == 0) /* has what it had */
		return;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		continue;
	(void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void) syscall(SYS_capset, &header, none);
}

static int copy_into(const char *to, const char *from)
{
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char part[4096];
	ssize_t n;
	int r = 0;

	while (!r && in >= 0 && (n = read(in, part, sizeof(part))) > 0)
		r = write_all(to, O_WRONLY | O_APPEND, part, (size_t) n);
	return r;
}

/*
 * A small file system is mounted where there is a folder of ours, a file in it is laid over
 * /etc/hosts, and the folder is itself again.  All of it is gone with the last process.
 */
static int lay_over(const struct service *s)
{
	char file[CO_PATH_SIZE + 16];
	int r;

	(void) snprintf(file, sizeof(file), "%s/hosts", s->folder);
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("cloudos", s->folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=2m,mode=0755") < 0)
		return errno;
	r = write_all(file, O_WRONLY | O_CREAT | O_EXCL, s->hosts, strlen(s->hosts));
	if (!r)
		r = copy_into(file, HOSTS);
	if (!r && mount(file, HOSTS, NULL, MS_BIND, NULL) < 0)
		r = errno;
	if (umount2(s->folder, MNT_DETACH) < 0 && !r)
		r = errno;
	return r;
}

int service_mount_hosts(const struct service *s)
{
	mode_t mask = umask(0022);
	int r = user_namespace();

	if (!r)
		r = lay_over(s);
	drop_privileges();
	(void) umask(mask);
	return r;
}

/* What is said when that is not possible; errnum 0: it is not to be. */
static void say_hosts(const struct service *s, int errnum)
{
	const char *why = errnum ? strerror(errnum) : "CO_HOSTS says so";
	const char *who = s->asked ? s->asked : "the program";

	if (s->how == SERVICE_HOSTS_CALLS)
		(void) fprintf(
			stderr,
			"cloudos-exec: no private " HOSTS " for %s: name spaces are "
			"forbidden here (%s); cloudosd hands one out instead when the "
			"program opens it, and every open is slower\n",
			who, why);
	else
		(void) fprintf(
			stderr,
			"cloudos-exec: no private " HOSTS " for %s (%s): names such as "
			"blackroad-os-core.railway.internal mean nothing to it; "
			"addresses do (cloudosctl service names), and so would lines "
			"in " HOSTS "\n",
			who, why);
}

void service_probe_hosts(struct service *s)
{
	int status = 0, errnum = 0;
	pid_t pid;

	if (s->how == SERVICE_HOSTS_ANY || s->how == SERVICE_HOSTS_MOUNT) {
		pid = fork();
		if (pid == 0)
			_exit(service_mount_hosts(s));
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
		errnum = pid < 0             ? errno
			 : WIFEXITED(status) ? WEXITSTATUS(status)
					     : EIO;
		if (!errnum) {
			s->how = SERVICE_HOSTS_MOUNT;
			return;
		}
		s->how = s->how == SERVICE_HOSTS_ANY ? SERVICE_HOSTS_CALLS
						     : SERVICE_HOSTS_NONE;
	}
	say_hosts(s, errnum);
}

/* ---- the child, and its end ---- */

void service_enter(const struct service *s)
{
	if (s->asked && !s->no_logs)
		relay_enter(&s->relay);
	/* its name space was made in vain a moment ago, so this does not fail; if it does,
	 * the program has no names, and says so when it looks for one */
	if (s->how == SERVICE_HOSTS_MOUNT)
		(void) service_mount_hosts(s);
	if (s->asked) /* behind the change of name space, which would clear it */
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

void service_over(struct service *s, int status)
{
	struct wire_service_exit_note *note;
	struct relay *r = &s->relay;

	if (!s->asked)
		return;
	if (!s->no_logs)
		relay_end(r);
	if (r->lost)
		(void) fprintf(
			stderr,
			"cloudos-exec: %lu bytes of what %s wrote are not in the "
			"logs: the daemon was not fast enough\n",
			r->lost, s->name);
	note = r->out ? co_msg_start(r->out, WIRE_service_exit_note, 0) : NULL;
	if (note && r->log >= 0) {
		note->status = status;
		(void) co_msg_send(r->out, r->log, NULL, 0); /* gone: nobody asks */
	}
}
