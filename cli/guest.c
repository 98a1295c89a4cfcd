/* SPDX-License-Identifier: MIT */
/* Guests of cloudos.yaml as their commands see them: folders with a keeper.  HOST. */
#include "cli/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/yaml_read.h"

int guest_folder(struct ctl *ctl, const char *project, const char *name, char *out,
		 size_t size)
{
	int n = snprintf(out, size, "%s/guests%s%s%s%s", ctl->paths.state,
			 project ? "/" : "", project ? project : "", name ? "/" : "",
			 name ? name : "");

	return n < 0 || (size_t) n >= size
		       ? co_fail(&ctl->err, CO_NAME_TOO_LONG,
				 "the path of guest \"%.60s\" is too long",
				 name ? name : "*")
		       : 0;
}

static void file_in(const char *folder, const char *name, char *out, size_t size)
{
	(void) snprintf(out, size, "%s/%s", folder, name); /* not found if it is cut */
}

pid_t guest_keeper(const char *folder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[CO_PATH_SIZE];
	autoclose int fd = -1;

	file_in(folder, "lock", path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

char *guest_spec(const char *folder)
{
	char path[CO_PATH_SIZE], *text = NULL;
	size_t n;

	file_in(folder, "spec.json", path, sizeof(path));
	return co_yaml_read_text(path, &text, &n, NULL) == 0 ? text : NULL;
}

/* ---- start ---- */

static int make_folders(struct ctl *ctl, const char *folder)
{
	char path[CO_PATH_SIZE];
	int rc = co_paths_make(&ctl->paths, &ctl->err);

	(void) snprintf(path, sizeof(path), "%s", folder); /* was made to fit */
	for (char *p = path + strlen(ctl->paths.state) + 1; rc == 0 && p;) {
		p = strchr(p, '/');
		if (p)
			*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			rc = co_fail_errno(&ctl->err, errno,
					   "cannot make the folder %s", path);
		if (p)
			*p++ = '/';
	}
	return rc;
}

/* In place of what is there, or not at all. */
static int write_in(struct ctl *ctl, const char *folder, const char *name,
		    struct co_span text)
{
	char path[CO_PATH_SIZE], new[CO_PATH_SIZE + 8];
	autoclose int fd = -1;
	FILE *f;
	bool good;

	file_in(folder, name, path, sizeof(path));
	(void) snprintf(new, sizeof(new), "%s.new", path); /* fits */
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f)
		fd = -1;
	good = f && fwrite(text.data, 1, text.size, f) == text.size;
	if (f && fclose(f) != 0)
		good = false;
	if (!good || rename(new, path) < 0)
		return co_fail_errno(&ctl->err, errno, "cannot write %s", path);
	return 0;
}

/* ---- the environment ---- */

enum { ENVIRONMENT_MAX = 131072 };
static const char own[] = "CLOUDOS_";

/* What does not fit is left out, and so is where this domain is: whoever starts the keeper
 * knows that better. */
static int write_environment(struct ctl *ctl, const char *folder)
{
	autobuf struct co_buf all = { 0 };

	for (char **v = environ; *v; v++) {
		size_t n = strlen(*v) + 1;

		if (strncmp(*v, own, strlen(own)) != 0 && strchr(*v, '=') &&
		    all.size + n <= ENVIRONMENT_MAX)
			co_buf_add(&all, *v, n);
	}
	if (all.failed)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	return write_in(ctl, folder, "environ",
			(struct co_span){ all.data ? all.data : "", all.size });
}

void guest_environment(const char *folder)
{
	char path[CO_PATH_SIZE], *text = calloc(1, ENVIRONMENT_MAX + 1), **kept;
	autoclose int fd = -1;
	size_t size = 0, n = 0;
	ssize_t got = -1;

	file_in(folder, "environ", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	while (fd >= 0 && text && size < ENVIRONMENT_MAX &&
	       (got = read(fd, text + size, ENVIRONMENT_MAX - size)) > 0)
		size += (size_t) got;
	for (char **v = environ; *v; v++)
		n++;
	kept = calloc(n + 1, sizeof(*kept));
	if (got < 0 || !kept) {
		free(text);
		free(kept);
		return;
	}
	n = 0;
	for (char **v = environ; *v; v++)
		if (strncmp(*v, own, strlen(own)) == 0)
			kept[n++] = *v;
	(void) clearenv(); /* cannot fail */
	while (n)
		(void) putenv(kept[--n]); /* without memory it lacks one, as below */
	for (char *v = text; v < text + size; v += strlen(v) + 1)
		if (strchr(v, '='))
			(void) putenv(v); /* text stays as long as we do */
	free(kept);
}

/* In the grandchild: becomes the keeper, which reports on descriptor 3. */
static _Noreturn void become_keeper(struct ctl *ctl, const char *folder, int report)
{
	char *const argv[] = { (char *) CTL_PROGRAM,
			       (char *) "guest",
			       (char *) "keep",
			       (char *) folder,
			       ctl->system_ ? (char *) "--system" : NULL,
			       NULL };
	int null = open("/dev/null", O_RDWR);

	(void) setsid(); /* a fresh child cannot lead a group */
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void) dup2(null, fd);
	if (report != 3 && dup2(report, 3) < 0)
		_exit(1);
	(void) fcntl(3, F_SETFD, 0);
	(void) syscall(SYS_close_range, 4U, ~0U, 0);
	if (ctl->dir)
		(void) setenv("CLOUDOS_DIR", ctl->dir, 1);
	if (chdir("/") < 0)
		_exit(1);
	execv("/proc/self/exe", argv);
	_exit(1);
}

/* What the keeper says, up to its end: nothing, or why there is no guest. */
static int await_report(struct ctl *ctl, int fd)
{
	char text[400];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t) n;
	text[used] = 0;
	if (strcmp(text, "started") == 0)
		return 0;
	return co_fail(&ctl->err, CO_IO, "%s",
		       used ? text : "the keeper of the guest ended at once");
}

static int start_keeper(struct ctl *ctl, const char *folder)
{
	int report[2], rc;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return co_fail_errno(&ctl->err, errno, "cannot make a pipe");
	(void) fflush(NULL); /* a child has a copy of what is not written */
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			become_keeper(ctl, folder, report[1]);
		_exit(pid < 0);
	}
	(void) close(report[1]); /* the keeper's */
	if (pid > 0)
		(void) waitpid(pid, NULL, 0); /* it ends at once */
	rc = pid < 0 ? co_fail_errno(&ctl->err, errno, "cannot start a process")
		     : await_report(ctl, report[0]);
	(void) close(report[0]); /* was only read from */
	return rc;
}

int guest_start(struct ctl *ctl, const char *folder, struct co_span spec)
{
	char gone[CO_PATH_SIZE];
	int rc = make_folders(ctl, folder);

	if (rc == 0)
		rc = write_environment(ctl, folder);
	file_in(folder, "exit.json", gone, sizeof(gone));
	(void) unlink(gone); /* of what it was before */
	if (rc == 0)
		rc = write_in(ctl, folder, "spec.json", spec);
	return rc < 0 ? rc : start_keeper(ctl, folder);
}

/* ---- again ---- */

static bool comes_again(const char *folder)
{
	autofree char *text = guest_spec(folder);
	struct co_json_fault fault;
	struct co_span spec, policy;
	struct ctr_exit e;

	return text && co_json_check(co_span(text), &spec, &fault) >= 0 &&
	       co_json_member(spec, "restart", &policy) &&
	       !co_json_string_is(policy, "no") && ctr_exit_load(folder, &e, NULL) != 0;
}

int guest_again(struct ctl *ctl, const char *folder)
{
	int rc;

	if (guest_keeper(folder) || !comes_again(folder))
		return 0;
	rc = start_keeper(ctl, folder);
	if (rc < 0 && guest_keeper(folder)) { /* `apply` was faster */
		ctl->err = (struct co_err){ 0 };
		return 0;
	}
	return rc < 0 ? rc : 1;
}

/* ---- stop ---- */

int guest_stop(struct ctl *ctl, const char *folder)
{
	pid_t pid = guest_keeper(folder);
	autoclose int pidfd = -1;
	struct pollfd p = { .events = POLLIN };

	if (!pid)
		return 0;
	pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
	/* the number may have become somebody else's before it was opened */
	if (pidfd < 0 || guest_keeper(folder) != pid)
		return guest_keeper(folder) ? guest_stop(ctl, folder) : 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0 &&
	    errno != ESRCH)
		return co_fail_errno(&ctl->err, errno, "cannot stop process %d",
				     (int) pid);
	p.fd = pidfd;
	while (poll(&p, 1, -1) < 0)
		; /* a signal: again */
	return 0;
}

int guest_remove(struct ctl *ctl, const char *folder)
{
	autofree struct dirent **list = NULL;
	char path[CO_PATH_SIZE];
	int n = scandir(folder, &list, NULL, NULL), rc = 0;

	if (n < 0)
		return errno == ENOENT ? 0
				       : co_fail_errno(&ctl->err, errno,
						       "cannot read %s", folder);
	for (int i = 0; i < n; i++) {
		file_in(folder, list[i]->d_name, path, sizeof(path));
		if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..") &&
		    unlink(path) < 0 && rc == 0)
			rc = co_fail_errno(&ctl->err, errno, "cannot remove %s", path);
		free(list[i]);
	}
	if (rc == 0 && rmdir(folder) < 0)
		rc = co_fail_errno(&ctl->err, errno, "cannot remove %s", folder);
	(void) snprintf(path, sizeof(path), "%s", folder); /* it was made to fit */
	(void) rmdir(dirname(path)); /* of the project, if that was the last one */
	return rc;
}

/* ---- all of them ---- */

static int each_in(struct ctl *ctl, const char *project,
		   int (*each)(struct ctl *ctl, const char *project, const char *name,
			       void *arg),
		   void *arg)
{
	char folder[CO_PATH_SIZE];
	int rc = guest_folder(ctl, project, NULL, folder, sizeof(folder));
	DIR *dir = rc == 0 ? opendir(folder) : NULL;
	const struct dirent *e;

	while (dir && rc == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			rc = each(ctl, project, e->d_name, arg);
	if (dir)
		(void) closedir(dir); /* was only read from */
	return rc;
}

int guest_each(struct ctl *ctl, const char *project,
	       int (*each)(struct ctl *ctl, const char *project, const char *name,
			   void *arg),
	       void *arg)
{
	char folder[CO_PATH_SIZE];
	const struct dirent *e;
	DIR *dir;
	int rc;

	if (project)
		return each_in(ctl, project, each, arg);
	rc = guest_folder(ctl, NULL, NULL, folder, sizeof(folder));
	dir = rc == 0 ? opendir(folder) : NULL;
	while (dir && rc == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			rc = each_in(ctl, e->d_name, each, arg);
	if (dir)
		(void) closedir(dir); /* was only read from */
	return rc;
}
