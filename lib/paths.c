/* SPDX-License-Identifier: MIT */
/* The folders of a domain and its socket.  HOST. */
#include "lib/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define SOCKET_NAME "control.sock"
#define HTTP_NAME   "http.sock"
#define GUEST_NAME  "guest.sock"

/* ---- computing ---- */

__attribute__((format(printf, 3, 4))) static int put(struct co_err *err, char *out,
						     const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(out, CO_PATH_SIZE, format, args);
	va_end(args);
	if (n < 0 || n >= CO_PATH_SIZE)
		return co_fail(err, CO_NAME_TOO_LONG,
			       "the path %.60s... is longer than %d bytes", out,
			       CO_PATH_SIZE - 1);
	return 0;
}

/* A daemon changes its working directory, so what it is told must not depend on one. */
static int put_absolute(struct co_err *err, char *out, const char *path)
{
	autofree char *here = NULL;

	if (path[0] == '/')
		return put(err, out, "%s", path);
	here = getcwd(NULL, 0);
	if (!here)
		return co_fail_errno(err, errno, "cannot tell the working directory");
	return put(err, out, "%s/%s", here, path);
}

/* XDG says that relative values are to be ignored. */
static const char *xdg(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A static program has none: it would want the shared libraries of libc all the same. */
#pragma weak getpwuid_r

static int put_home(struct co_err *err, char *out)
{
	const char *home = getenv("HOME");
	struct passwd entry, *found = NULL;
	char space[4096];

	if (home && home[0] == '/')
		return put(err, out, "%s", home);
	if (getpwuid_r &&
	    getpwuid_r(geteuid(), &entry, space, sizeof(space), &found) == 0 && found)
		return put(err, out, "%s", found->pw_dir);
	return put(err, out, "/tmp/cloudos-%u/home", (unsigned) geteuid());
}

static int user_folders(struct co_paths *p, struct co_err *err)
{
	const char *run = xdg("XDG_RUNTIME_DIR"), *state = xdg("XDG_STATE_HOME");
	const char *config = xdg("XDG_CONFIG_HOME");
	char home[CO_PATH_SIZE];
	int rc = put_home(err, home);

	if (rc < 0)
		return rc;
	rc = run && is_folder(run)
		     ? put(err, p->run, "%s/cloudos", run)
		     : put(err, p->run, "/tmp/cloudos-%u", (unsigned) geteuid());
	if (rc < 0)
		return rc;
	rc = state ? put(err, p->state, "%s/cloudos", state)
		   : put(err, p->state, "%s/.local/state/cloudos", home);
	if (rc < 0)
		return rc;
	return config ? put(err, p->config, "%s/cloudos", config)
		      : put(err, p->config, "%s/.config/cloudos", home);
}

static int one_folder(struct co_paths *p, const char *dir, struct co_err *err)
{
	size_t n;
	int rc = put_absolute(err, p->dir, dir);

	if (rc < 0)
		return rc;
	n = strlen(p->dir);
	while (n > 1 && p->dir[n - 1] == '/')
		p->dir[--n] = 0;
	rc = put(err, p->run, "%s/run", p->dir);
	if (rc == 0)
		rc = put(err, p->state, "%s/state", p->dir);
	return rc == 0 ? put(err, p->config, "%s/config", p->dir) : rc;
}

static int system_folders(struct co_paths *p, struct co_err *err)
{
	int rc = put(err, p->run, "/run/cloudos");

	if (rc == 0)
		rc = put(err, p->state, "/var/lib/cloudos");
	return rc == 0 ? put(err, p->config, "/etc/cloudos") : rc;
}

int co_paths_init(struct co_paths *p, bool system, const char *dir, struct co_err *err)
{
	int rc;

	memset(p, 0, sizeof(*p));
	if (!dir && !system)
		dir = getenv("CLOUDOS_DIR");
	if (dir && !dir[0])
		dir = NULL;
	p->system_ = system && !dir;
	if (dir)
		rc = one_folder(p, dir, err);
	else
		rc = system ? system_folders(p, err) : user_folders(p, err);
	if (rc == 0)
		rc = put(err, p->socket, "%s/" SOCKET_NAME, p->run);
	if (rc == 0)
		rc = put(err, p->lock, "%s/lock", p->run);
	return rc == 0 ? put(err, p->log, "%s/cloudosd.log", p->state) : rc;
}

/* ---- creating and trusting ---- */

/* mkdir -p for everything above the last component. */
static int make_parents(const char *path, struct co_err *err)
{
	char above[CO_PATH_SIZE];

	(void) snprintf(above, sizeof(above), "%s", path); /* put() has bounded it */
	for (char *slash = strchr(above + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(above, 0700) < 0 && errno != EEXIST && !is_folder(above))
			return co_fail_errno(err, errno, "cannot create the folder %s",
					     above);
		*slash = '/';
	}
	return 0;
}

/* O_NOFOLLOW: somebody else's link must not choose the folder for us. */
static int open_folder(const char *path, int *out_fd, struct co_err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		*out_fd = fd;
		return 0;
	}
	if (errno == ELOOP || errno == ENOTDIR)
		return co_fail(
			err, CO_NOT_DIR,
			"%s is not a folder (links are not followed); remove it or "
			"choose another with CLOUDOS_DIR",
			path);
	return co_fail_errno(err, errno, "cannot open the folder %s", path);
}

static int check_owner(const char *path, const struct stat *st, struct co_err *err)
{
	if (st->st_uid == geteuid())
		return 0;
	return co_fail(
		err, CO_ACCESS,
		"the folder %s belongs to user %u and not to user %u; it is not used, "
		"choose another with CLOUDOS_DIR",
		path, (unsigned) st->st_uid, (unsigned) geteuid());
}

static int make_folder(const char *path, mode_t forbidden, struct co_err *err)
{
	autoclose int fd = -1;
	struct stat st;
	int rc = make_parents(path, err);

	if (rc < 0)
		return rc;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot create the folder %s", path);
	rc = open_folder(path, &fd, err);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at the folder %s", path);
	rc = check_owner(path, &st, err);
	if (rc < 0)
		return rc;
	if ((st.st_mode & forbidden) && fchmod(fd, st.st_mode & 07777 & ~forbidden) < 0)
		return co_fail_errno(err, errno, "cannot close the folder %s to others",
				     path);
	return 0;
}

/* A folder above ours may be root's, who can do everything anyway. */
static int check_above(const char *path, struct co_err *err)
{
	struct stat st;

	if (!path[0] || stat(path, &st) < 0)
		return 0; /* about to be created, by us */
	if (st.st_uid == 0)
		return 0;
	return check_owner(path, &st, err);
}

int co_paths_make(const struct co_paths *p, struct co_err *err)
{
	int rc = check_above(p->dir, err);

	if (rc == 0)
		rc = make_folder(p->run, p->system_ ? 0022 : 0077, err);
	if (rc == 0)
		rc = make_folder(p->state, p->system_ ? 0022 : 0077, err);
	return rc == 0 ? make_folder(p->config, 0022, err) : rc;
}

/* ---- the socket ---- */

/*
 * The address of the socket `name`; a path that does not fit goes through the descriptor
 * of its folder.  That descriptor has to live until the address has been used.
 */
static int address(const struct co_paths *p, const char *name, int folder,
		   struct sockaddr_un *out, struct co_err *err)
{
	int n;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s", p->run, name);
	if (n > 0 && (size_t) n < sizeof(out->sun_path))
		return 0;
	n = snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s",
		     folder, name);
	if (n < 0 || (size_t) n >= sizeof(out->sun_path))
		return co_fail(err, CO_NAME_TOO_LONG, "no address for the socket %s/%s",
			       p->run, name);
	return 0;
}

static int no_daemon(const struct co_paths *p, struct co_err *err)
{
	return co_fail(
		err, CO_GONE,
		"no daemon is running in %s; start one with: cloudosctl daemon start",
		p->run);
}

static int connect_in(const struct co_paths *p, const char *name, int folder,
		      int *out_fd, struct co_err *err)
{
	int type = strcmp(name, SOCKET_NAME) == 0 ? SOCK_SEQPACKET : SOCK_STREAM;
	autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un to;
	int rc;

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot create a socket");
	rc = address(p, name, folder, &to, err);
	if (rc < 0)
		return rc;
	if (connect(fd, (const struct sockaddr *) &to, sizeof(to)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return no_daemon(p, err);
		return co_fail_errno(err, errno, "cannot connect to %s/%s", p->run,
				     name);
	}
	*out_fd = take_fd(fd);
	return 0;
}

static int connect_to(const struct co_paths *p, const char *name, int *out_fd,
		      struct co_err *err)
{
	autoclose int folder = -1;
	struct stat st;
	int rc;

	if (access(p->run, F_OK) < 0 && errno == ENOENT)
		return no_daemon(p, err);
	rc = open_folder(p->run, &folder, err);
	if (rc < 0)
		return rc;
	if (fstat(folder, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at the folder %s",
				     p->run);
	/* the system's folders are root's to hand out, and so is what only root can have put
	 * there; anybody's else could be a trap */
	rc = p->system_ || (st.st_uid == 0 && !(st.st_mode & 022))
		     ? 0
		     : check_owner(p->run, &st, err);
	return rc < 0 ? rc : connect_in(p, name, folder, out_fd, err);
}

int co_paths_connect(const struct co_paths *p, int *out_fd, struct co_err *err)
{
	return connect_to(p, SOCKET_NAME, out_fd, err);
}

int co_paths_connect_http(const struct co_paths *p, int *out_fd, struct co_err *err)
{
	return connect_to(p, HTTP_NAME, out_fd, err);
}

static int bind_in(const struct co_paths *p, const char *name, int *out_fd,
		   struct co_err *err)
{
	int type = strcmp(name, HTTP_NAME) != 0 ? SOCK_SEQPACKET : SOCK_STREAM;
	mode_t mode = strcmp(name, GUEST_NAME) != 0 ? 0600 : 0666;
	autoclose int folder = -1;
	autoclose int fd = -1;
	struct sockaddr_un at;
	int yes = 1;
	int rc = open_folder(p->run, &folder, err);

	if (rc == 0)
		rc = address(p, name, folder, &at, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot create a socket");
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return co_fail_errno(err, errno, "cannot remove the old socket %s/%s",
				     p->run, name);
	/* The node takes over the mode of the socket: no umask, no moment in between.  And
	 * from the first connection on the kernel says who has sent a message. */
	if ((type == SOCK_SEQPACKET &&
	     setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0) ||
	    fchmod(fd, mode) < 0 ||
	    bind(fd, (const struct sockaddr *) &at, sizeof(at)) < 0 ||
	    (mode == 0666 && fchmodat(folder, name, mode, 0) < 0)) /* umask took some */
		return co_fail_errno(err, errno, "cannot create the socket %s/%s",
				     p->run, name);
	if (listen(fd, 128) < 0)
		return co_fail_errno(err, errno, "cannot listen on %s/%s", p->run,
				     name);
	*out_fd = take_fd(fd);
	return 0;
}

int co_paths_bind(const struct co_paths *p, int *out_fd, struct co_err *err)
{
	return bind_in(p, SOCKET_NAME, out_fd, err);
}

int co_paths_bind_http(const struct co_paths *p, int *out_fd, struct co_err *err)
{
	return bind_in(p, HTTP_NAME, out_fd, err);
}

int co_paths_bind_guest(const struct co_paths *p, int *out_fd, struct co_err *err)
{
	return bind_in(p, GUEST_NAME, out_fd, err);
}

/* ---- sister programs ---- */

static bool found_in(const char *folder, size_t length, const char *name, char *out,
		     size_t n)
{
	int used = snprintf(out, n, "%.*s/%s", (int) length, folder, name);
	struct stat st;

	return used > 0 && (size_t) used < n && access(out, X_OK) == 0 &&
	       stat(out, &st) == 0 && S_ISREG(st.st_mode);
}

/*
 * Beside a program that runs from the build folder: there cloudosd, whose folder has its
 * name, is in that folder and everything else one above.
 */
static bool found_beside(const char *dir, size_t length, const char *name, char *out,
			 size_t n)
{
	char inner[CO_PATH_SIZE + 64];
	size_t up = length;

	if (found_in(dir, length, name, out, n))
		return true;
	(void) snprintf(inner, sizeof(inner), "%.*s/%s", (int) length, dir, name);
	if (found_in(inner, strlen(inner), name, out, n))
		return true;
	while (up > 0 && dir[--up] != '/')
		continue;
	return up > 0 && found_in(dir, up, name, out, n);
}

int co_program_path(const char *name, char *out, size_t n, struct co_err *err)
{
	const char *told = getenv("CLOUDOS_LIBEXECDIR");
	char self[CO_PATH_SIZE], found[CO_PATH_SIZE];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	self[length > 0 ? length : 0] = 0;
	slash = strrchr(self, '/');
	if (!(told && told[0] &&
	      found_in(told, strlen(told), name, found, sizeof(found))) &&
	    !(slash && found_beside(self, (size_t) (slash - self), name, found,
				    sizeof(found))) &&
	    !found_in(CO_LIBEXECDIR, strlen(CO_LIBEXECDIR), name, found,
		      sizeof(found)) &&
	    !found_in(CO_BINDIR, strlen(CO_BINDIR), name, found, sizeof(found)))
		return co_fail(
			err, CO_NOT_FOUND,
			"the program %s is not installed: it is neither beside this "
			"program nor in " CO_LIBEXECDIR " nor in " CO_BINDIR,
			name);
	if (strlen(found) >= n)
		return co_fail(err, CO_NAME_TOO_LONG, "the path %s is too long", found);
	memcpy(out, found, strlen(found) + 1);
	return 0;
}
