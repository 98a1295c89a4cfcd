/* SPDX-License-Identifier: MIT */
/*
 * cloudos-keeper: the parent of cloudosd.  HOST.
 *
 * Holds what must outlive a daemon: the lock of the folder, the control socket, the table
 * of sessions and owed calls, the listeners of running programs and the channels to their
 * launchers.  Starts the daemon again when it dies.  Ends when the daemon was stopped on
 * request and no program is left.  Does nothing else, so that it has nothing to die of;
 * if it is killed all the same, the daemon turns into a keeper (keeper_become).
 *
 * States: running (a daemon lives), waiting (it died, a new one comes after a pause),
 * stopped (on request, programs are left; SIGUSR1 starts it again).
 */
#include <co/sites.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/keeper/keeper.h"
#include "cloudosd/table.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/paths.h"
#include "lib/wire.h"

enum {
	PAUSE_MIN_MS = 20,
	PAUSE_MAX_MS = 5000,
	STABLE_MS = 10000, /* a daemon that lived so long starts the pauses anew */
	HOPELESS = 5,      /* starts in vain, without programs, before giving up */
	LOCK_WAIT_MS = 5000,
	LOCK_EVERY_MS = 50
};

struct held {
	int link, listener; /* -1: none */
};

struct keeper {
	struct co_paths paths;
	bool system, foreground, ephemeral, autostart;
	int lock, listen, table_fd, signals, channel;
	struct table *table;
	struct co_msg *msg;
	pid_t daemon; /* 0: none */
	bool ready, stop, remove_folder;
	int vain;
	uint64_t started_ms, pause_ms, next_ms;
	int report;       /* where start-up is waited for, -1 when told */
	char reason[512]; /* why the last daemon could not start */
	struct held held[KEEPER_SLOTS];
	unsigned nheld; /* programs; shared memory keeps nobody */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* ---- the lock of the folder ---- */

/* POSIX locks tell who holds them, and the answer cannot be stale. */
static int lock_try(struct keeper *k, pid_t *out_holder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(k->lock, F_SETLK, &lock) == 0)
		return 0;
	*out_holder = 0;
	if (fcntl(k->lock, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		*out_holder = lock.l_pid;
	return CO_BUSY;
}

/* Is there a daemon that lets clients in? */
static bool served(const struct co_paths *paths)
{
	int fd = -1;

	if (co_paths_connect(paths, &fd, NULL))
		return false;
	(void) close(fd);
	return true;
}

/*
 * Takes the lock.  If another keeper has it and its daemon is stopped, wakes that one
 * instead; if it is just ending, waits for it.  1: another one serves the folder.
 */
static int lock_take(struct keeper *k, struct co_err *err)
{
	uint64_t until = now_ms() + LOCK_WAIT_MS;
	pid_t holder = 0;

	k->lock = open(k->paths.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock < 0)
		return co_fail_errno(err, errno, "cannot open %s", k->paths.lock);
	while (lock_try(k, &holder)) {
		autoclose int pidfd = -1;
		struct pollfd p = { .events = POLLIN };

		if (served(&k->paths)) {
			(void) co_fail(err, CO_BUSY,
				       "%s is served already, by process %d",
				       k->paths.run, holder);
			return 1;
		}
		if (now_ms() > until)
			return co_fail(
				err, CO_BUSY,
				"process %d holds %s and does not answer; end it and "
				"try again",
				holder, k->paths.lock);
		if (!holder)
			continue;
		pidfd = (int) syscall(SYS_pidfd_open, holder, 0);
		if (pidfd < 0)
			continue; /* it has ended */
		if (!k->foreground)
			(void) syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0);
		p.fd = pidfd;
		(void) poll(&p, 1, LOCK_EVERY_MS);
	}
	return 0;
}

/* ---- start-up is told to whoever waits for it ---- */

static void report(struct keeper *k, const char *sentence)
{
	if (k->report < 0)
		return;
	(void) !write(k->report, sentence, strlen(sentence)); /* gone: nobody waits */
	(void) close(k->report);
	k->report = -1;
}

/* The waiting half: ends with 0 when the daemon is ready, else says why not. */
static int wait_report(int fd)
{
	char text[1024];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t) got;
	text[n] = 0;
	if (!strcmp(text, "ready"))
		return 0;
	(void) fprintf(stderr, "%s\n",
		       n ? text : "cloudos-keeper ended before the daemon was ready");
	return 1;
}

/* Detaches from whoever started us; returns in the child only. */
static int detach(struct keeper *k, struct co_err *err)
{
	int pipes[2], null;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot detach");
	pid = fork();
	if (pid < 0)
		return co_fail_errno(err, errno, "cannot detach");
	if (pid) {
		(void) close(pipes[1]);
		exit(wait_report(pipes[0]));
	}
	(void) close(pipes[0]);
	k->report = pipes[1];
	(void) setsid(); /* fails only for a leader, which a fresh child is not */
	(void) !chdir("/");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void) dup2(null, 0);
		(void) dup2(null, 1);
		(void) close(null);
	}
	return 0;
}

static int log_open(struct keeper *k, struct co_err *err)
{
	autoclose int fd = -1;

	if (k->foreground)
		return 0;
	fd = open(k->paths.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open the log %s",
				     k->paths.log);
	/* what a runtime says when it dies (sanitizers, the C library) belongs there too */
	(void) dup2(fd, 2);
	return co_log_to(fd, err);
}

/* ---- the daemon ---- */

static int send_slot(struct keeper *k, uint32_t slot)
{
	const struct held *h = &k->held[slot];
	int fds[2] = { h->link, h->listener };
	struct wire_keeper_hold_note *note;

	if (h->link < 0)
		return 0;
	note = co_msg_start(k->msg, WIRE_keeper_hold_note, 0);
	note->slot = slot;
	return co_msg_send(k->msg, k->channel, fds, h->listener >= 0 ? 2 : 1);
}

/* Shared memory first: a session makes calls from the moment that it is continued. */
static int send_held(struct keeper *k)
{
	for (uint32_t i = 0; i < KEEPER_SLOTS; i++)
		if (send_slot(k, (i + CO_LIMIT_SESSIONS) % KEEPER_SLOTS))
			return CO_GONE;
	(void) co_msg_start(k->msg, WIRE_keeper_ready_note, 0);
	return co_msg_send(k->msg, k->channel, NULL, 0);
}

static void daemon_exec(struct keeper *k, int channel)
{
	char program[CO_PATH_SIZE], keeper_pid[16];
	char *argv[] = { (char *) "cloudosd", k->system ? (char *) "--system" : NULL,
			 NULL };
	int from[] = { channel, k->table_fd, k->listen };
	struct co_err err = { 0 };
	struct wire_keeper_failed_note *note;
	sigset_t none;

	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) snprintf(keeper_pid, sizeof(keeper_pid), "%d", getppid());
	(void) setenv("CLOUDOS_KEEPER", keeper_pid, 1);
	if (k->autostart)
		(void) setenv("CLOUDOS_AUTOSTART", "1", 1);
	if (!k->foreground)
		(void) setenv("CLOUDOS_LOG", k->paths.log, 1);
	/* first out of the way of 3 to 5, then into place */
	for (size_t i = 0; i < co_countof(from); i++)
		from[i] = fcntl(from[i], F_DUPFD, 16);
	for (size_t i = 0; i < co_countof(from); i++)
		if (from[i] < 0 || dup2(from[i], KEEPER_FD_FIRST + (int) i) < 0)
			_exit(1);
	(void) syscall(SYS_close_range, KEEPER_FD_FIRST + (unsigned) co_countof(from),
		       ~0U, 0);
	if (co_program_path("cloudosd", program, sizeof(program), &err) == 0) {
		(void) execv(program, argv);
		(void) co_fail_errno(&err, errno, "cannot run %s", program);
	}
	co_log(keeper, ERROR, "%s", err.message);
	note = co_msg_start(k->msg, WIRE_keeper_failed_note, 0);
	co_msg_text(k->msg, &note->reason, err.message);
	/* what a daemon would say about itself, for whoever waits for it */
	(void) co_msg_send(k->msg, KEEPER_FD_FIRST, NULL, 0);
	_exit(1);
}

static int daemon_start(struct keeper *k, struct co_err *err)
{
	int pair[2];

	if (k->listen < 0) {
		int r = co_paths_bind(&k->paths, &k->listen, err);

		if (r)
			return r;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return co_fail_errno(err, errno, "cannot start the daemon");
	k->started_ms = now_ms();
	k->ready = false;
	k->daemon = fork();
	if (k->daemon < 0) {
		k->daemon = 0;
		(void) close(pair[0]);
		(void) close(pair[1]);
		return co_fail_errno(err, errno, "cannot start the daemon");
	}
	if (k->daemon == 0)
		daemon_exec(k, pair[1]);
	(void) close(pair[1]);
	k->channel = pair[0];
	(void) unsetenv(
		"CO_FAULT"); /* faults are the first daemon's: it must be survived */
	/* It reads these before anything else; if it dies meanwhile SIGCHLD tells. */
	(void) send_held(k);
	return 0;
}

static void drop(struct keeper *k, uint32_t slot)
{
	struct held *h = &k->held[slot];

	if (h->link < 0)
		return;
	(void) close(h->link);
	if (h->listener >= 0)
		(void) close(h->listener);
	h->link = h->listener = -1;
	k->nheld -= slot < CO_LIMIT_SESSIONS;
}

static void note_received(struct keeper *k)
{
	const struct wire_keeper_hold_note *note = (const void *) k->msg->bytes;
	const struct wire_keeper_stop_note *stop = (const void *) k->msg->bytes;
	const struct wire_keeper_failed_note *failed = (const void *) k->msg->bytes;

	switch (k->msg->header->type) {
	case WIRE_keeper_ready_note:
		k->ready = true;
		k->vain = 0;
		report(k, "ready");
		break;
	case WIRE_keeper_failed_note:
		(void) snprintf(k->reason, sizeof(k->reason), "%s",
				co_msg_get(k->msg, failed->reason));
		break;
	case WIRE_keeper_stop_note:
		k->stop = true;
		k->remove_folder = stop->remove_folder && k->ephemeral;
		break;
	case WIRE_keeper_hold_note:
	case WIRE_keeper_drop_note:
		if (note->slot >= KEEPER_SLOTS)
			break;
		drop(k, note->slot);
		if (k->msg->header->type == WIRE_keeper_drop_note || !k->msg->nfds)
			break;
		k->held[note->slot].link = co_msg_take_fd(k->msg, 0);
		k->held[note->slot].listener = co_msg_take_fd(k->msg, 1);
		k->nheld += note->slot < CO_LIMIT_SESSIONS;
		break;
	default:
		break;
	}
}

static void channel_read(struct keeper *k)
{
	while (k->channel >= 0) {
		struct pollfd p = { .fd = k->channel, .events = POLLIN };
		struct co_err err = { 0 };
		int r;

		if (poll(&p, 1, 0) <= 0)
			return;
		r = co_msg_receive(k->msg, k->channel, &err);
		if (r == 0) {
			note_received(k);
			continue;
		}
		if (r == CO_INTERRUPTED)
			continue;
		(void) close(k->channel);
		k->channel = -1;
	}
}

static void daemon_ended(struct keeper *k, int status)
{
	uint64_t lived = now_ms() - k->started_ms;

	channel_read(k); /* its last words */
	if (k->channel >= 0)
		(void) close(k->channel);
	k->channel = -1;
	k->daemon = 0;
	if (k->stop)
		return;
	if (WIFSIGNALED(status))
		co_log(keeper, ERROR, "cloudosd was killed by signal %d after %llu ms",
		       WTERMSIG(status), (unsigned long long) lived);
	else
		co_log(keeper, ERROR,
		       "cloudosd ended by itself with status %d after %llu ms",
		       WEXITSTATUS(status), (unsigned long long) lived);
	if (!k->ready)
		k->vain++;
	if (lived >= STABLE_MS || (k->ready && k->pause_ms == 0))
		k->pause_ms = PAUSE_MIN_MS;
	else
		k->pause_ms = k->pause_ms ? k->pause_ms * 2 : PAUSE_MIN_MS;
	if (k->pause_ms > PAUSE_MAX_MS)
		k->pause_ms = PAUSE_MAX_MS;
	if (co_fault("keeper.pausing"))
		k->pause_ms = 0;
	k->next_ms = now_ms() + k->pause_ms;
	k->table->restarts++;
}

/* ---- signals ---- */

static void reap(struct keeper *k)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == k->daemon)
			daemon_ended(k, status);
}

static void signal_read(struct keeper *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap(k);
		break;
	case SIGUSR1:
		k->stop = false; /* start again */
		k->next_ms = 0;
		break;
	case SIGHUP:
		if (k->daemon)
			(void) kill(k->daemon, SIGHUP);
		break;
	default: /* SIGTERM, SIGINT */
		k->stop = true;
		if (k->daemon)
			(void) kill(k->daemon, SIGTERM);
	}
}

/* ---- the loop ---- */

/* While stopped: notices that the last program has ended. */
static void held_check(struct keeper *k)
{
	for (uint32_t i = 0; i < CO_LIMIT_SESSIONS; i++) {
		struct held *h = &k->held[i];
		struct pollfd p = { .fd = h->listener >= 0 ? h->listener : h->link };

		if (h->link >= 0 && poll(&p, 1, 0) == 1 &&
		    (p.revents & (POLLHUP | POLLERR)))
			drop(k, i);
	}
}

static void unlisten(struct keeper *k)
{
	if (k->listen < 0)
		return;
	(void) unlink(k->paths.socket); /* nobody must wait for a daemon that is not */
	(void) close(k->listen);
	k->listen = -1;
}

/* How long to sleep at most. */
static int patience(struct keeper *k)
{
	uint64_t now = now_ms();

	if (k->daemon)
		return -1;
	if (k->stop)
		return 500;
	return k->next_ms > now ? (int) (k->next_ms - now) : 0;
}

static int run(struct keeper *k)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = k->signals, .events = POLLIN },
				       { .fd = k->channel, .events = POLLIN } };
		struct co_err err = { 0 };

		if (!k->daemon && k->stop) {
			unlisten(k);
			held_check(k);
			if (!k->nheld)
				return 0;
		}
		if (!k->daemon && !k->stop && !k->nheld &&
		    k->vain >= (k->report < 0 ? HOPELESS : 1)) {
			co_log(keeper, ERROR, "giving up: the daemon does not start");
			return 1;
		}
		if (!k->daemon && !k->stop && now_ms() >= k->next_ms &&
		    daemon_start(k, &err)) {
			co_log(keeper, ERROR, "%s", err.message);
			k->vain++;
			k->next_ms = now_ms() + PAUSE_MAX_MS;
			continue;
		}
		p[1].fd = k->channel;
		if (poll(p, 2, patience(k)) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents)
			channel_read(k);
		if (p[0].revents)
			signal_read(k);
	}
}

/* Site tables are named by digits and signs (co/sites.h), and half-written ones .new. */
static void sites_remove(const char *dir)
{
	char path[CO_PATH_SIZE + 32];
	const struct dirent *d;
	DIR *folder;
	int fd;

	(void) snprintf(path, sizeof(path), "%s/run/" CO_SITES_FOLDER, dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	folder = fd >= 0 ? fdopendir(fd) : NULL;
	while (folder && (d = readdir(folder)))
		if (strspn(d->d_name, "0123456789abcdef-") == strlen(d->d_name) ||
		    strncmp(d->d_name, ".new", 4) == 0)
			(void) unlinkat(fd, d->d_name, 0); /* then the folder stays */
	if (folder)
		(void) closedir(folder);
	else if (fd >= 0)
		(void) close(fd);
	(void) rmdir(path); /* not there, or not ours */
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *place)
{
	(void) st;
	(void) type;
	(void) place;
	(void) remove(path); /* what stays keeps its folders */
	return 0;
}

/* Files of images and containers, which are ended: nobody else changes anything there. */
static void tree_remove(const char *dir, const char *name)
{
	char path[CO_PATH_SIZE + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void) nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* An ephemeral domain leaves nothing behind: exactly what was made, nothing followed. */
static void folder_remove(struct keeper *k)
{
	static const char *const files[] = {
		"run/control.sock",
		"run/guest.sock",
		"run/lock",
		"run/http.sock",
		"run/http.json",
		"run/http.json.new",
		"state/addresses",
		"state/addresses.new",
		"state/domain",
		"state/http.token",
		"state/state.db",
		"state/state.db-wal",
		"state/state.db-shm",
		"state/state.db-journal",
		"state/telemetry.db",
		"state/telemetry.db-wal",
		"state/telemetry.db-shm",
		"state/telemetry.db-journal",
		"state/secrets",
		"state/secrets.new",
		"state/ballast",
		"state/cloudosd.log",
	};
	static const char *const folders[] = { "run/containers", "run", "state",
					       "config", "" };

	if (!k->paths.dir[0])
		return;
	sites_remove(k->paths.dir);
	tree_remove(k->paths.dir, "state/containers");
	tree_remove(k->paths.dir, "state/removed");
	tree_remove(k->paths.dir, "state/base");
	tree_remove(k->paths.dir, "state/images");
	tree_remove(k->paths.dir, "state/volumes");
	for (size_t i = 0; i < co_countof(files) + co_countof(folders); i++) {
		char path[CO_PATH_SIZE + 32];
		bool file = i < co_countof(files);

		(void) snprintf(path, sizeof(path), "%s/%s", k->paths.dir,
				file ? files[i] : folders[i - co_countof(files)]);
		(void) (file ? unlink(path) : rmdir(path)); /* not there, or not ours */
	}
}

static int prepare(struct keeper *k, struct co_err *err)
{
	sigset_t set;
	int r = co_paths_make(&k->paths, err);

	if (!r && k->lock < 0)
		r = lock_take(k, err);
	if (r)
		return r;
	k->msg = co_msg_new();
	if (!k->msg)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	r = k->table_fd < 0 ? table_create(&k->table, &k->table_fd, err)
			    : table_map(&k->table, k->table_fd, err);
	if (r)
		return r;
	k->table->keeper_pid = getpid();
	k->table->ephemeral = k->ephemeral;
	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGCHLD);
	(void) sigaddset(&set, SIGTERM);
	(void) sigaddset(&set, SIGINT);
	(void) sigaddset(&set, SIGHUP);
	(void) sigaddset(&set, SIGUSR1);
	(void) sigprocmask(SIG_BLOCK, &set, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0)
		return co_fail_errno(err, errno, "cannot wait for signals");
	return 0;
}

/* What a daemon that lost its keeper hands over: "slot:link:listener,..." */
static void adopt(struct keeper *k)
{
	const char *at = getenv("CLOUDOS_ADOPT");
	unsigned slot;
	int link, listener, n;

	k->table_fd = KEEPER_FD_FIRST + 1;
	k->listen = KEEPER_FD_FIRST + 2;
	(void) fcntl(k->table_fd, F_SETFD, FD_CLOEXEC);
	(void) fcntl(k->listen, F_SETFD, FD_CLOEXEC);
	while (at && sscanf(at, "%u:%d:%d,%n", &slot, &link, &listener, &n) == 3) {
		at += n;
		if (slot >= KEEPER_SLOTS || k->held[slot].link >= 0)
			continue;
		(void) fcntl(link, F_SETFD, FD_CLOEXEC);
		if (listener >= 0)
			(void) fcntl(listener, F_SETFD, FD_CLOEXEC);
		k->held[slot] = (struct held){ link, listener };
		k->nheld += slot < CO_LIMIT_SESSIONS;
	}
	(void) unsetenv("CLOUDOS_ADOPT");
}

static int options(struct keeper *k, int argc, char **argv, bool *out_adopt)
{
	static const struct option all[] = { { "system", no_argument, NULL, 's' },
					     { "foreground", no_argument, NULL, 'f' },
					     { "ephemeral", no_argument, NULL, 'e' },
					     { "auto", no_argument, NULL, 'a' },
					     { "adopt", no_argument, NULL, 'A' },
					     { "version", no_argument, NULL, 'v' },
					     { "help", no_argument, NULL, 'h' },
					     { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", all, NULL)) != -1) {
		switch (option) {
		case 's':
			k->system = true;
			break;
		case 'f':
			k->foreground = true;
			break;
		case 'e':
			k->ephemeral = true;
			break;
		case 'a':
			k->autostart = true;
			break;
		case 'A':
			*out_adopt = true;
			break;
		case 'v':
			(void) printf("cloudos-keeper %s\n", PACKAGE_VERSION);
			exit(0);
		case 'h':
			(void) printf(
				"usage: cloudos-keeper [--system] [--foreground]\n"
				"Starts cloudosd and starts it again when it dies.  Used "
				"by cloudosctl daemon start.\n");
			exit(0);
		default:
			return 2;
		}
	}
	return optind == argc ? 0 : 2;
}

/* A descriptor or two for each program, and one for each segment of shared memory. */
static void room_for_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void) setrlimit(RLIMIT_NOFILE, &files); /* up to that anybody may */
}

int main(int argc, char **argv)
{
	static struct keeper k = {
		.lock = -1, .listen = -1, .table_fd = -1, .channel = -1, .report = -1
	};
	struct co_err err = { 0 };
	bool adopted = false;
	int r;

	for (size_t i = 0; i < co_countof(k.held); i++)
		k.held[i] = (struct held){ -1, -1 };
	if (options(&k, argc, argv, &adopted)) {
		(void) fprintf(stderr, "cloudos-keeper: see cloudos-keeper --help\n");
		return 2;
	}
	(void) umask(0077);
	room_for_descriptors();
	if (CO_RELEASE)
		(void) prctl(PR_SET_DUMPABLE, 0); /* it holds everybody's listeners */
	r = co_paths_init(&k.paths, k.system, NULL, &err);
	if (!r)
		r = co_fault_arm_from_environment(&err);
	if (!r && adopted)
		adopt(&k);
	else if (!r && !k.foreground)
		r = detach(&k, &err);
	if (!r)
		r = prepare(&k, &err);
	if (r > 0 && !k.foreground) {
		report(&k, "ready"); /* somebody else's daemon is as good */
		return 0;
	}
	if (!r)
		r = log_open(&k, &err);
	if (r) {
		report(&k, err.message);
		if (k.foreground)
			(void) fprintf(stderr, "cloudos-keeper: %s\n", err.message);
		return 1;
	}
	r = run(&k);
	report(&k, k.reason[0] ? k.reason : "the daemon ended before it was ready");
	unlisten(&k);
	if (k.remove_folder)
		folder_remove(&k);
	return r;
}
