/* SPDX-License-Identifier: MIT */
/* SYSTEM for the programs of one cloudos-exec: its ports.  HOST. */
#include "cli/system.h"

#include <co/ipc.h>
#include <co/limits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/anos/system/boot.h"
#include "personality/anos/system/spawn.h"
#include "personality/anos/system/surface.h"

enum { LOG_APPEND = 1, LOG_READ = 2, END_EVERY_MS = 10, END_ATTEMPTS = 500 };

/* ---- ports ---- */

static struct anos_message message_of(const struct peer_message *m)
{
	return (struct anos_message){
		.tag = m->tag, .size = m->size, .page = m->page, .sender = m->pid
	};
}

static bool serve_vfs(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct system *system = ctx;
	struct anos_message message = message_of(m);

	pthread_mutex_lock(&system->lock);
	*value = anos_vfs_answer(&system->vfs, &message);
	pthread_mutex_unlock(&system->lock);
	return true;
}

static bool serve_devices(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct system *system = ctx;
	struct anos_message message = message_of(m);

	pthread_mutex_lock(&system->lock);
	*value = anos_devices_answer(&system->devices, &message);
	pthread_mutex_unlock(&system->lock);
	return true;
}

/* Reading files may take long; the port's thread waits alone. */
static bool serve_boot(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct anos_message message = message_of(m);

	*value = anos_boot_answer(&((struct system *) ctx)->root, &message);
	return true;
}

static bool serve_disk(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct anos_message message = message_of(m);

	*value = anos_disk_answer(&((struct system *) ctx)->disk, &message);
	return true;
}

static bool serve_process(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct anos_message message = message_of(m);

	*value = anos_spawn_answer(system_spawn, ctx, &message);
	return true;
}

/* ---- the kernel log ---- */

/* Whoever waits gets what there is, in turn; those who are gone are passed over. */
static void log_hand_out(struct system *system)
{
	uint8_t page[PEER_PAGE];

	while (system->nreaders) {
		struct system_reader reader = system->readers[0];
		size_t n = anos_klog_take(&system->log, page, reader.size);

		if (!n)
			return;
		memset(page + n, 0, sizeof(page) - n);
		if (!peer_reply(system->peer, reader.cookie, n, page, (uint32_t) n))
			anos_klog_put_back(&system->log, n);
		system->nreaders--;
		memmove(system->readers, system->readers + 1,
			system->nreaders * sizeof(reader));
	}
}

void system_log(struct system *system, const char *text, size_t n)
{
	pthread_mutex_lock(&system->lock);
	anos_klog_append(&system->log, text, n);
	log_hand_out(system);
	pthread_mutex_unlock(&system->lock);
}

/* What programs print. */
static void *log_listen(void *arg)
{
	struct system *system = arg;
	char text[PEER_PAGE];

	for (;;) {
		ssize_t n = read(system->log_fds[0], text, sizeof(text));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL; /* we have the other end open: it does not end */
		system_log(system, text, (size_t) n);
	}
}

/* True: answered. */
static bool log_read(struct system *system, const struct peer_message *m,
		     uint64_t *value)
{
	uint32_t size = m->size < PEER_PAGE ? (uint32_t) m->size : PEER_PAGE;

	*value = 0;
	if (!m->page || !size || system->nreaders == CO_LIMIT_ANOS_LOG_READERS)
		return true;
	system->readers[system->nreaders++] =
		(struct system_reader){ .cookie = m->cookie, .size = size };
	log_hand_out(system);
	return false;
}

static bool serve_log(void *ctx, struct peer_message *m, uint64_t *value)
{
	struct system *system = ctx;
	bool answered = true;

	*value = 0;
	pthread_mutex_lock(&system->lock);
	if (m->tag == LOG_APPEND && m->page) {
		anos_klog_append(&system->log, m->page,
				 m->size < PEER_PAGE ? m->size : PEER_PAGE);
		log_hand_out(system);
		*value = 1;
	} else if (m->tag == LOG_READ) {
		answered = log_read(system, m, value);
	}
	pthread_mutex_unlock(&system->lock);
	return answered;
}

/* ---- life ---- */

/* The folder of a program of this machine, which is the root when none was given. */
static int folder_of(const char *program, char *out, size_t n, struct co_err *err)
{
	autofree char *path = realpath(program, NULL);
	char *slash;

	if (!path)
		return co_fail_errno(err, errno, "cannot find %s", program);
	slash = strrchr(path, '/');
	*(slash == path ? slash + 1 : slash) = 0;
	(void) snprintf(out, n, "%s", path); /* realpath gives PATH_MAX at most */
	return 0;
}

static int program_open(struct system *system, const char *program, struct co_err *err)
{
	const char *name =
		strncmp(program, "boot:", 5) ? NULL : anos_boot_name(program);

	if (!strncmp(program, "boot:", 5))
		return anos_root_descriptor(&system->root, name ? name : "",
					    &system->program, err);
	system->program = open(program, O_RDONLY | O_CLOEXEC);
	return system->program < 0 ? co_fail_errno(err, errno, "cannot run %s", program)
				   : 0;
}

int system_open(struct system *system, const struct system_options *options,
		const char *program, struct co_err *err)
{
	char folder[CO_PATH_SIZE];
	const char *root = options->root;
	int rc = 0;

	*system = (struct system){ .options = *options,
				   .root.fd = -1,
				   .disk.fd = -1,
				   .program = -1,
				   .start = -1,
				   .display = -1,
				   .log_fds = { -1, -1 },
				   .lock = PTHREAD_MUTEX_INITIALIZER };
	if (!root && !strncmp(program, "boot:", 5))
		return co_fail(err, CO_INVALID,
			       "cannot run %s: where is boot:?  Say --root=FOLDER or "
			       "--root=IMAGE",
			       program);
	if (!root) {
		rc = folder_of(program, folder, sizeof(folder), err);
		root = folder;
	}
	if (!rc)
		rc = anos_root_open(&system->root, root, err);
	if (!rc && options->disk)
		rc = anos_disk_open(&system->disk, options->disk, err);
	if (!rc)
		rc = program_open(system, program, err);
	if (!rc)
		rc = anos_surface_new(options->width, options->height, &system->display,
				      err);
	if (rc)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, system->log_fds) < 0)
		return co_fail_errno(err, errno, "cannot make a socket");
	system->start = memfd_create("anos start", MFD_CLOEXEC);
	return system->start < 0
		       ? co_fail_errno(err, errno, "cannot make a memory file")
		       : 0;
}

/* A disk as its driver in Anos would have registered it. */
static void disk_register(struct system *system, uint64_t channel)
{
	struct anos_device device = {
		.type = ANOS_DEVICE_STORAGE,
		.hardware = ANOS_STORAGE_AHCI,
		.capabilities =
			ANOS_CAN_READ | (system->disk.writable ? ANOS_CAN_WRITE : 0U),
		.name = "disk image",
		.driver = "cloudos-exec",
		.channel = channel,
	};

	(void) anos_devices_add(&system->devices, &device, 0); /* it is the first one */
}

static int ports_open(struct system *system, struct co_err *err)
{
	uint64_t boot, disk, ignored;
	int rc = peer_port(system->peer, NULL, 0, serve_boot, system, &boot, err);

	if (!rc)
		(void) anos_vfs_register(&system->vfs, "boot:", boot,
					 0); /* the first */
	if (!rc)
		rc = peer_port(system->peer, "SYSTEM::VFS", CO_IPC_NAME_SESSION,
			       serve_vfs, system, &ignored, err);
	if (!rc)
		rc = peer_port(system->peer, "SYSTEM::PROCESS", CO_IPC_NAME_SESSION,
			       serve_process, system, &ignored, err);
	if (!rc)
		rc = peer_port(system->peer, "cloudos::kernel",
			       CO_IPC_NAME_SESSION | PEER_UNSEEN, serve_log, system,
			       &ignored, err);
	if (!rc)
		rc = peer_port(system->peer, CO_ANOS_DEBUG_CHANNEL,
			       CO_IPC_NAME_SESSION | PEER_UNSEEN, system_debug, system,
			       &ignored, err);
	if (!rc && system->disk.fd >= 0) {
		rc = peer_port(system->peer, NULL, 0, serve_disk, system, &disk, err);
		if (!rc)
			disk_register(system, disk);
	}
	if (!rc)
		rc = peer_port(system->peer, "DEVMAN",
			       CO_IPC_NAME_SESSION | CO_IPC_NAME_WEAK, serve_devices,
			       system, &ignored, err);
	return rc;
}

static int log_start(struct system *system, struct co_err *err)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, log_listen, system);

	if (rc)
		return co_fail_errno(err, rc, "cannot start a thread");
	(void) pthread_detach(thread); /* it ends with the process */
	return 0;
}

int system_begin(struct system *system, const struct co_paths *paths, uint64_t session,
		 struct co_err *err)
{
	int rc = peer_open(paths, session, &system->peer, err);

	system->session = session;
	system->paths = paths;
	if (!rc) {
		memcpy(system->tokens.token, peer_tokens(system->peer),
		       sizeof(system->tokens.token));
		rc = ports_open(system, err);
	}
	if (!rc)
		rc = peer_start(system->peer, err);
	if (!rc)
		rc = log_start(system, err);
	if (!rc)
		rc = system_first(system, err);
	return rc;
}

void system_gone(struct system *system, int32_t pid)
{
	pthread_mutex_lock(&system->lock);
	(void) anos_vfs_forget(&system->vfs, pid); /* mostly nothing */
	(void) anos_devices_forget(&system->devices, pid);
	pthread_mutex_unlock(&system->lock);
}

/* ---- the end ---- */

/* Is it a child of ours?  Its name, in parentheses, may contain anything. */
static bool is_child(const char *pid)
{
	char path[300], line[512];
	autoclose int fd = -1;
	const char *behind;
	ssize_t n;
	int parent;

	(void) snprintf(path, sizeof(path), "/proc/%.200s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (n <= 0)
		return false;
	line[n] = 0;
	behind = strrchr(line, ')');
	return behind && sscanf(behind + 1, " %*c %d", &parent) == 1 &&
	       parent == getpid();
}

static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	while (proc && (entry = readdir(proc)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    is_child(entry->d_name))
			(void) kill((pid_t) strtol(entry->d_name, NULL, 10), SIGKILL);
	if (proc)
		(void) closedir(proc);
}

/* True: nobody is left to wait for. */
static bool reap_all(struct system *system)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid > 0)
			system_gone(system, pid);
		else if (pid == 0 || errno != EINTR)
			return pid < 0;
	}
}

/* Has somebody asked us to end? */
static bool told_to_end(int signals)
{
	struct signalfd_siginfo info;
	bool end = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		end = end || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP;
	return end;
}

void system_end(struct system *system, int signals)
{
	struct pollfd p = { .fd = signals, .events = POLLIN };
	bool off = system->options.first;

	/* off: as a machine that is switched off; what children leave behind comes to us
	 * and goes, too */
	for (int i = 0; i < END_ATTEMPTS && !reap_all(system); i += off) {
		if (off)
			kill_children();
		(void) poll(&p, 1, off ? END_EVERY_MS : -1); /* looks again anyway */
		off = told_to_end(signals) || off;
	}
}
