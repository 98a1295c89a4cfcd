/* SPDX-License-Identifier: MIT */
/* The daemon's side of the channel to its keeper.  HOST. */
#include "cloudosd/keeper_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/keeper/keeper.h"
#include "cloudosd/link.h"
#include "cloudosd/sockets.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/wire.h"

enum { PATIENT_US = 500000, IMPATIENT_US = 1000 };

struct keeper_link {
	struct daemon *daemon;
	int fd;
	struct co_msg *msg;
	struct co_watch *watch;
};

static void patience_set(struct keeper_link *k, long microseconds)
{
	struct timeval patience = { .tv_usec = microseconds };

	/* fails only for what is no socket, and then sending says so */
	(void) setsockopt(k->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* The keeper does nothing but read, so there is always room; one that was stopped from
 * outside is waited for once, half a second, and then done without. */
static void send_note(struct keeper_link *k, const int *fds, uint32_t n)
{
	if (!co_msg_send(k->msg, k->fd, fds, n))
		return;
	patience_set(k, IMPATIENT_US); /* not half a second for every program */
	co_log(keeper, ERROR,
	       "the keeper cannot be told: if this daemon dies now, programs that "
	       "began meanwhile will hang");
}

void keeper_hold(struct keeper_link *k, uint32_t slot, int link_fd, int listener)
{
	struct wire_keeper_hold_note *note =
		co_msg_start(k->msg, WIRE_keeper_hold_note, 0);
	int fds[2] = { link_fd, listener };

	core_assert_locked();
	note->slot = slot;
	send_note(k, fds, listener >= 0 ? 2 : 1);
}

void keeper_drop(struct keeper_link *k, uint32_t slot)
{
	struct wire_keeper_drop_note *note =
		co_msg_start(k->msg, WIRE_keeper_drop_note, 0);

	core_assert_locked();
	note->slot = slot;
	send_note(k, NULL, 0);
}

void keeper_ready(struct keeper_link *k)
{
	(void) co_msg_start(k->msg, WIRE_keeper_ready_note, 0);
	send_note(k, NULL, 0);
}

void keeper_stop(struct keeper_link *k, bool remove_folder)
{
	struct wire_keeper_stop_note *note =
		co_msg_start(k->msg, WIRE_keeper_stop_note, 0);

	note->remove_folder = remove_folder;
	send_note(k, NULL, 0);
}

void keeper_failed(struct keeper_link *k, const char *reason)
{
	struct wire_keeper_failed_note *note =
		co_msg_start(k->msg, WIRE_keeper_failed_note, 0);

	co_msg_text(k->msg, &note->reason, reason);
	send_note(k, NULL, 0);
}

void keeper_exec(bool system, struct co_err *err)
{
	char program[CO_PATH_SIZE];
	char *argv[] = { (char *) "cloudos-keeper", (char *) "--foreground",
			 system ? (char *) "--system" : NULL, NULL };

	if (co_program_path(argv[0], program, sizeof(program), err))
		return;
	(void) execv(program, argv);
	(void) co_fail_errno(err, errno, "cannot run %s", program);
}

static void survive_exec(int fd)
{
	if (fd >= 0)
		(void) fcntl(fd, F_SETFD, 0); /* fails only for what is not open */
}

void keeper_become(struct daemon *d)
{
	size_t space = (size_t) (HASH_COUNT(d->sessions) + CO_LIMIT_SHM_SEGMENTS +
				 CO_LIMIT_HELD_LISTENERS + 1) *
		       40;
	size_t used = 0;
	autofree char *list = malloc(space);
	char program[CO_PATH_SIZE];
	char *argv[6] = { (char *) "cloudos-keeper", (char *) "--adopt" };
	int n = 2;
	struct session *s, *next;
	struct co_err err = { 0 };

	if (!list || co_program_path(argv[0], program, sizeof(program), &err)) {
		co_log(keeper, ERROR, "cannot become a keeper: %s", err.message);
		return;
	}
	list[0] = 0;
	HASH_ITER (hh, d->sessions, s, next) {
		if (!s->link)
			continue; /* it needs nothing that a keeper could hold */
		used += (size_t) snprintf(list + used, space - used, "%u:%d:%d,",
					  s->index, link_fd(s->link), s->listener);
		survive_exec(link_fd(s->link));
		survive_exec(s->listener);
	}
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++) {
		int fd = shm_fd(d->services.shm, i);

		if (fd < 0)
			continue;
		used += (size_t) snprintf(list + used, space - used, "%u:%d:-1,",
					  CO_LIMIT_SESSIONS + i, fd);
		survive_exec(fd);
	}
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++) {
		int fd = sockets_fd(d->sockets, i);

		if (fd < 0)
			continue;
		used += (size_t) snprintf(list + used, space - used, "%u:%d:-1,",
					  CO_LIMIT_SESSIONS + CO_LIMIT_SHM_SEGMENTS + i,
					  fd);
		survive_exec(fd);
	}
	survive_exec(KEEPER_FD_TABLE);
	survive_exec(KEEPER_FD_LISTEN);
	if (d->paths.system_)
		argv[n++] = (char *) "--system";
	if (d->ephemeral)
		argv[n++] = (char *) "--ephemeral";
	if (d->autostarted)
		argv[n++] = (char *) "--auto";
	if (!getenv("CLOUDOS_LOG"))
		argv[n++] = (char *) "--foreground";
	(void) setenv("CLOUDOS_ADOPT", list, 1);
	(void) execv(program, argv);
	co_log(keeper, ERROR, "cannot run %s", program);
}

/* Shared memory comes first, and is whole when the first session is continued. */
static void shm_is_whole(struct keeper_link *k, bool *whole)
{
	if (!*whole)
		shm_restored(k->daemon->services.shm);
	*whole = true;
}

static int take_over(struct keeper_link *k, struct co_msg *msg, struct co_err *err)
{
	bool whole = false;

	for (;;) {
		const struct wire_keeper_hold_note *note = (const void *) msg->bytes;
		struct co_err failed = { 0 };
		uint32_t slot;
		int link_fd, listener;
		int r = co_msg_receive(msg, k->fd, err);

		if (r == CO_INTERRUPTED)
			continue;
		if (r)
			return r == CO_GONE ? co_fail(err, r, "the keeper is gone") : r;
		if (note->h.type == WIRE_keeper_ready_note) {
			core_lock();
			shm_is_whole(k, &whole);
			core_unlock();
			return 0;
		}
		if (note->h.type != WIRE_keeper_hold_note || !msg->nfds)
			return co_fail(err, CO_PROTOCOL,
				       "the keeper sent something else");
		slot = note->slot;
		link_fd = co_msg_take_fd(msg, 0);
		listener = co_msg_take_fd(msg, 1);
		core_lock();
		if (slot >= CO_LIMIT_SESSIONS + CO_LIMIT_SHM_SEGMENTS) {
			sockets_restore(k->daemon->sockets, slot, link_fd);
			core_unlock();
			continue;
		}
		if (slot >= CO_LIMIT_SESSIONS) {
			shm_restore(k->daemon->services.shm, slot - CO_LIMIT_SESSIONS,
				    link_fd);
			core_unlock();
			continue;
		}
		shm_is_whole(k, &whole);
		r = session_restore(k->daemon, slot, link_fd, listener, &failed);
		core_unlock();
		if (r)
			co_log(session, ERROR, "cannot continue a session: %s",
			       failed.message);
	}
}

int keeper_take_over(struct keeper_link *k, struct co_err *err)
{
	/* not k->msg: a session that ends meanwhile is told to the keeper with that */
	struct co_msg *msg = co_msg_new();
	int r = msg ? take_over(k, msg, err)
		    : co_fail(err, CO_NO_MEMORY, "no memory for the keeper's channel");

	(void) co_msg_free(msg);
	return r;
}

static void received(void *arg)
{
	struct keeper_link *k = arg;
	char byte;
	ssize_t n = recv(k->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	/* Nothing is defined in this direction any more once everything is taken over; until
	 * then that thread may have read what we were called for. */
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	k->daemon->host->watch_free(k->watch);
	k->watch = NULL;
	daemon_keeper_gone(k->daemon);
}

int keeper_link_new(struct keeper_link **out, struct daemon *d, int fd,
		    struct co_err *err)
{
	struct keeper_link *k = calloc(1, sizeof(*k));

	if (k)
		k->msg = co_msg_new();
	if (!k || !k->msg) {
		free(k);
		(void) close(fd);
		return co_fail(err, CO_NO_MEMORY, "no memory for the keeper's channel");
	}
	k->daemon = d;
	k->fd = fd;
	patience_set(k, PATIENT_US);
	core_lock();
	k->watch = d->host->watch_new(d->host->ctx, fd, false, received, k);
	core_unlock();
	*out = k;
	return 0;
}

struct keeper_link *keeper_link_free(struct keeper_link *k)
{
	if (!k)
		return NULL;
	k->daemon->host->watch_free(k->watch);
	(void) close(k->fd);
	(void) co_msg_free(k->msg);
	free(k);
	return NULL;
}
