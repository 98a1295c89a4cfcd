/* SPDX-License-Identifier: MIT */
/* Peers: their connections, pages and ends.  HOST. */
#include "cloudosd/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/client.h"
#include "cloudosd/core.h"
#include "cloudosd/peer_inside.h"
#include "cloudosd/request.h"
#include "cloudosd/service/process.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { REQUESTS_BATCH = 16 };

_Static_assert(sizeof(struct co_ring_control) == CO_RING_PAGE, "a control page");
_Static_assert(sizeof(struct co_ring_peer) == CO_RING_PAGE, "a page of doorbells");

struct peer_note {
	struct peer_note *prev, *next;
	uint32_t nfds, size;
	int fds[2]; /* owned */
	unsigned char bytes[];
};

static void peer_listen(struct peer *p);

/* ---- to a peer ---- */

static void note_free(struct peer_note *note)
{
	for (uint32_t i = 0; i < note->nfds; i++)
		(void) close(note->fds[i]); /* memory files: nothing can fail */
	free(note);
}

static void wake(const uint32_t *word)
{
	/* the kernel wants no right to write for that; nobody there is no error */
	(void) syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void peer_kick(struct peer *p, uint64_t bells)
{
	if (p->gone)
		return;
	(void) __atomic_add_fetch(&p->control->kick, 1, __ATOMIC_SEQ_CST);
	wake(&p->control->kick);
	for (unsigned i = 0; p->page && i < CO_RING_BELLS; i++)
		if (bells & p->bells & 1ULL << i)
			wake(&p->page->bells[i].word);
}

static void peer_write(void *arg)
{
	struct peer *p = arg;
	const struct co_host *host = p->peers->daemon->host;

	while (p->queue) {
		struct peer_note *note = p->queue;
		const struct co_msg m = { .bytes = note->bytes };
		int r = co_msg_send(&m, p->fd, note->fds, note->nfds);

		if (r == CO_BUSY)
			return;
		if (r) {
			peer_lost(p, NULL);
			return;
		}
		DL_DELETE(p->queue, note);
		p->queued--;
		note_free(note);
	}
	host->watch_free(p->writing);
	p->writing = NULL;
	peer_kick(p, UINT64_MAX);
	peer_listen(p);
}

static int enqueue(struct peer *p, const int *fds, uint32_t n)
{
	const struct co_host *host = p->peers->daemon->host;
	uint32_t size = p->peers->out->header->size;
	struct peer_note *note =
		p->queued < CO_LIMIT_IPC_QUEUE ? malloc(sizeof(*note) + size) : NULL;

	if (!note)
		return CO_TABLE_FULL;
	note->nfds = 0;
	note->size = size;
	memcpy(note->bytes, p->peers->out->bytes, size);
	for (uint32_t i = 0; i < n; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			note_free(note);
			return CO_NO_FDS;
		}
		note->fds[note->nfds++] = fd;
	}
	DL_APPEND(p->queue, note);
	p->queued++;
	if (p->writing)
		return 0;
	/* a descriptor is watched once; and who does not read is not listened to */
	host->watch_free(p->reading);
	p->reading = NULL;
	p->writing = host->watch_new(host->ctx, p->fd, true, peer_write, p);
	return p->writing ? 0 : CO_NO_MEMORY;
}

void peer_send(struct peer *p, const int *fds, uint32_t n)
{
	int r;

	if (p->gone)
		return;
	r = p->queue ? CO_BUSY : co_msg_send(p->peers->out, p->fd, fds, n);
	if (r == CO_BUSY)
		r = enqueue(p, fds, n);
	if (r)
		peer_lost(p, r == CO_TABLE_FULL ? "it does not read" : NULL);
}

void peer_reply(struct peer *p, uint32_t type, uint64_t tag, int status,
		const char *reason)
{
	(void) co_msg_reply(p->peers->out, type, tag, status, reason);
	peer_send(p, NULL, 0);
}

/* ---- from a peer ---- */

static void rested(void *arg)
{
	struct peer *p = arg;

	peer_listen(p);
}

/* Who names many cookies that do not exist is not listened to for a while. */
static bool resting(struct peer *p)
{
	const struct co_host *host = p->peers->daemon->host;
	uint64_t ms = ipc_penalty_ms(p->ipc);

	if (!ms)
		return false;
	host->watch_free(p->reading);
	p->reading = NULL;
	host->timer_start(p->rest, ms);
	return true;
}

static void peer_read(void *arg)
{
	struct peer *p = arg;
	struct co_msg *in = p->peers->in;

	for (int i = 0; i < REQUESTS_BATCH && p->reading && !p->gone; i++) {
		struct co_err err = { 0 };
		int r = co_msg_receive(in, p->fd, &err);

		if (r == CO_BUSY || r == CO_INTERRUPTED)
			return;
		if (!r && in->sender != p->pid)
			r = co_fail(&err, CO_PROTOCOL, "process %d speaks for it",
				    in->sender);
		if (!r)
			r = peer_request(p, &err);
		for (uint32_t k = 0; k < in->nfds; k++) {
			autoclose int unwanted = co_msg_take_fd(in, k);

			(void) unwanted; /* closed, and that is all */
		}
		if (r) {
			peer_lost(p, r == CO_GONE ? NULL : err.message);
			return;
		}
		if (resting(p))
			return;
	}
}

static void peer_listen(struct peer *p)
{
	const struct co_host *host = p->peers->daemon->host;

	if (p->reading || p->writing || p->gone || resting(p))
		return;
	p->reading = host->watch_new(host->ctx, p->fd, false, peer_read, p);
	if (!p->reading)
		peer_lost(p, "no memory for it");
}

/* ---- life ---- */

static void unwatch(struct peer *p)
{
	const struct co_host *host = p->peers->daemon->host;

	host->watch_free(p->reading);
	host->watch_free(p->writing);
	host->watch_free(p->dying);
	p->reading = p->writing = p->dying = NULL;
}

static void peer_free(struct peer *p)
{
	const struct co_host *host = p->peers->daemon->host;
	struct peer_note *note, *next;

	p->gone = true;
	messages_unwatch(&p->messages);
	p->ipc = ipc_peer_free(p->ipc, CO_IPC_DIED);
	unwatch(p);
	host->timer_free(p->rest);
	DL_FOREACH_SAFE (p->queue, note, next)
		note_free(note);
	if (p->control)
		(void) munmap(p->control, CO_RING_PAGE);
	if (p->page)
		(void) munmap((void *) p->page, CO_RING_PAGE);
	if (p->page_fd >= 0)
		(void) close(p->page_fd);
	if (p->capture_fd >= 0)
		(void) close(p->capture_fd);
	if (p->pidfd >= 0)
		(void) close(p->pidfd);
	(void) close(p->fd);
	DL_DELETE(p->peers->all, p);
	free(p);
}

static void bury(void *arg)
{
	struct peer *p = arg;
	struct daemon *d = p->peers->daemon;

	peer_free(p);
	daemon_idle_check(d);
}

void peer_lost(struct peer *p, const char *why)
{
	const struct co_host *host = p->peers->daemon->host;

	core_assert_locked();
	if (p->gone)
		return;
	p->gone = true;
	if (why)
		co_log(ipc, WARN, "the connection of process %d is closed: %s", p->pid,
		       why);
	unwatch(p);
	host->post(host->ctx, bury, p);
}

static void died(void *arg)
{
	struct peer *p = arg;

	peer_lost(p, NULL);
}

int peer_check_segment(int fd, uint64_t size, int seals, uint64_t *out_size,
		       struct co_err *err)
{
	struct stat st;
	int found = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (found < 0)
		return co_fail(err, CO_INVALID,
			       "a segment has to be a memory file (memfd_create)");
	if ((found & seals) != seals)
		return co_fail(err, CO_INVALID,
			       "a segment has to be sealed (has %#x, needs %#x)", found,
			       seals);
	if (fstat(fd, &st) < 0 || (size && (uint64_t) st.st_size != size) ||
	    st.st_size <= 0)
		return co_fail(err, CO_INVALID, "a segment of %llu bytes is not one",
			       (unsigned long long) st.st_size);
	if (out_size)
		*out_size = (uint64_t) st.st_size;
	return 0;
}

static void *map(int fd, int protection)
{
	void *at = mmap(NULL, CO_RING_PAGE, protection, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return NULL;
	(void) madvise(at, CO_RING_PAGE, MADV_DONTFORK); /* cannot fail */
	return at;
}

/* The page that the daemon writes and the peer reads; the descriptor is for the peer. */
static int control_open(struct peer *p, int *out_fd)
{
	autoclose int fd =
		memfd_create("cloudos-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, CO_RING_PAGE) < 0)
		return CO_NO_FDS;
	p->control = map(fd, PROT_READ | PROT_WRITE);
	if (!p->control || fcntl(fd, F_ADD_SEALS, CO_RING_SEALS) < 0)
		return CO_NO_MEMORY;
	p->control->mark = CO_RING_CONTROL_MARK;
	p->control->version = CO_RING_VERSION;
	*out_fd = take_fd(fd);
	return 0;
}

static int page_open(struct peer *p, int fd, struct co_err *err)
{
	int r;

	p->page_fd = fd;
	if (fd < 0)
		return 0;
	r = peer_check_segment(fd, CO_RING_PAGE, CO_RING_SEALS, NULL, err);
	if (r)
		return r;
	p->page = map(fd, PROT_READ);
	return p->page ? 0 : co_fail(err, CO_NO_MEMORY, "cannot map the doorbells");
}

static int watch_death(struct peer *p, struct co_err *err)
{
	const struct co_host *host = p->peers->daemon->host;

	p->pidfd = (int) syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return co_fail(err, errno == ESRCH ? CO_GONE : CO_NO_FDS,
			       errno == ESRCH ? "process %d has ended"
					      : "no descriptor is left to watch "
						"process %d",
			       p->pid);
	p->dying = host->watch_new(host->ctx, p->pidfd, false, died, p);
	p->rest = host->timer_new(host->ctx, rested, p);
	return p->dying && p->rest ? 0
				   : co_fail(err, CO_NO_MEMORY, "no memory for a peer");
}

/* fd and page_fd are taken, also on failure. */
static int peer_new(struct peers *all, const struct ipc_peer_spec *spec, int fd,
		    int page_fd, struct peer **out, int *out_control,
		    struct co_err *err)
{
	struct ipc_peer_spec with_ctx = *spec;
	struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		(void) close(fd);
		if (page_fd >= 0)
			(void) close(page_fd);
		return co_fail(err, CO_NO_MEMORY, "no memory for a peer");
	}
	p->peers = all;
	p->fd = fd;
	p->pid = spec->pid;
	p->pidfd = p->capture_fd = p->page_fd = -1;
	p->nested = process_is_nested(spec->pid);
	DL_APPEND(all->all, p);
	with_ctx.ctx = p;
	r = page_open(p, page_fd, err);
	if (!r)
		r = watch_death(p, err);
	if (!r && control_open(p, out_control))
		r = co_fail(err, CO_NO_MEMORY, "no memory for a control page");
	if (!r)
		r = ipc_peer_new(all->ipc, &with_ctx, &p->ipc, err);
	if (r) {
		peer_free(p);
		return r;
	}
	p->control->peer = p->ipc->id;
	p->control->names = all->names;
	*out = p;
	return 0;
}

static int join_check(struct client *client, const struct wire_ipc_join_req *req,
		      struct ipc_peer_spec *spec, struct co_err *err)
{
	const struct daemon *d = client->daemon;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (control_in(client->control)->sender != client->pid || client->pid <= 0 ||
	    getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return co_fail(err, CO_ACCESS,
			       "the connection is not that of the process that joins");
	if (d->stopping)
		return co_fail(err, CO_GONE, "the daemon is stopping; try again");
	if (req->version < CO_WIRE_VERSION_MIN || req->version > CO_WIRE_VERSION)
		return co_fail(err, CO_VERSION,
			       "this program was started by another version of "
			       "cloudos-exec than the daemon's; start it again");
	if (req->flags & ~CO_IPC_JOIN_MESSAGES)
		return co_fail(err, CO_INVALID,
			       "there is no such way to take part: unknown flags %#x",
			       req->flags & ~CO_IPC_JOIN_MESSAGES);
	if (req->session >= d->table->next_session)
		return co_fail(err, CO_INVALID, "there is no session %llu",
			       (unsigned long long) req->session);
	if (client->contained && !client_may_join(client, req->session))
		return co_fail(err, CO_ACCESS,
			       "session %llu did not begin in this container",
			       (unsigned long long) req->session);
	if (req->flags && process_is_nested(client->pid))
		return co_fail(err, CO_ACCESS,
			       "this program has pids of its own; its messages go by "
			       "system call");
	spec->pid = client->pid;
	spec->uid = peer.uid;
	if (client->contained && process_user(client->pid, &spec->uid))
		return co_fail(err, CO_GONE, "the process that joins is gone");
	spec->session = req->session;
	return 0;
}

/* Messages that the daemon keeps, for one who wants to know of them. */
static void waiting(void *ctx, uint32_t count)
{
	struct peer *p = ctx;
	uint32_t before = p->control->waiting;

	__atomic_store_n(&p->control->waiting, count, __ATOMIC_SEQ_CST);
	if (count > before)
		peer_kick(p, UINT64_MAX);
}

static int watch_messages(struct peer *p, struct co_err *err)
{
	struct process_id id;

	if (process_read(p->pid, &id, err))
		return CO_GONE;
	p->messages.told = waiting;
	p->messages.ctx = p;
	return messages_watch(p->peers->daemon->services.messages, &id, &p->messages,
			      err);
}

void request_ipc_join(struct client *client)
{
	struct co_msg *in = control_in(client->control);
	const struct wire_ipc_join_req *req = (const void *) in->bytes;
	struct peers *all = client->daemon->peers;
	autoclose int page_fd = co_msg_take_fd(in, 0), control = -1;
	struct ipc_peer_spec spec = { 0 };
	struct wire_ipc_join_rep *rep;
	struct co_err err = { 0 };
	uint32_t flags = req->flags;
	uint64_t tag = req->h.tag;
	struct peer *p = NULL;
	int fd, r = join_check(client, req, &spec, &err);

	if (!r) { /* before the connection is taken away, so that the reason can be told */
		fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
		r = fd < 0 ? co_fail(&err, CO_NO_FDS,
				     "the daemon has no descriptor left")
			   : peer_new(all, &spec, fd, take_fd(page_fd), &p, &control,
				      &err);
	}
	if (!r && flags & CO_IPC_JOIN_MESSAGES) {
		r = watch_messages(p, &err);
		if (r)
			peer_free(p);
	}
	if (r) {
		client_reply(client, WIRE_ipc_join_rep, tag, r, err.message);
		return;
	}
	fd = client_take_fd(client);
	if (fd < 0) { /* answers wait in it: it has asked before and does not read */
		peer_lost(p, "it joins before it has read its answers");
		return;
	}
	(void) close(fd); /* the other one goes on */
	rep = co_msg_reply(all->out, WIRE_ipc_join_rep, tag, 0, NULL);
	rep->peer = p->ipc->id;
	peer_send(p, &control, 1);
	peer_listen(p);
	daemon_idle_check(all->daemon);
}

int peer_join(struct peers *all, const struct ipc_peer_spec *spec, int fd, int page_fd,
	      struct peer **out, int *out_control, struct co_err *err)
{
	int r = peer_new(all, spec, fd, page_fd, out, out_control, err);

	if (!r)
		peer_listen(*out);
	return r;
}

/* ---- all of them ---- */

struct ipc *peers_ipc(struct peers *peers)
{
	return peers->ipc;
}

const uint64_t *peers_tokens(const struct peers *peers)
{
	return peers->tokens;
}

/*
 * What must stay the same for the next daemon: the key that ports' secrets are signed with
 * and the tokens of calls, which programs hold.
 */
static int secrets_read(struct peers *all, struct co_err *err)
{
	uint64_t secrets[2 + PEERS_TOKENS];
	char path[CO_PATH_SIZE + 16], fresh[CO_PATH_SIZE + 24];
	const struct co_host *host = all->daemon->host;
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "%s/secrets", all->daemon->paths.state);
	(void) snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || read(fd, secrets, sizeof(secrets)) != sizeof(secrets)) {
		autoclose int out = open(
			fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);

		for (size_t i = 0; i < co_countof(secrets); i++)
			secrets[i] = host->random(host->ctx) | 1;
		if (out < 0 ||
		    write(out, secrets, sizeof(secrets)) != sizeof(secrets) ||
		    fdatasync(out) < 0 || rename(fresh, path) < 0)
			return co_fail_errno(err, errno, "cannot write %s", path);
	}
	memcpy(all->key, secrets, sizeof(all->key));
	memcpy(all->tokens, secrets + 2, sizeof(all->tokens));
	all->tokens[0] = 0;
	return 0;
}

int peers_new(struct peers **out, struct daemon *d, struct co_err *err)
{
	struct peers *all = calloc(1, sizeof(*all));
	struct ipc_events events = peer_events;
	struct rlimit files = { 0 };
	struct ipc_limits limits;
	int r;

	if (!all)
		return co_fail(err, CO_NO_MEMORY, "no memory for peers");
	*out = all;
	all->daemon = d;
	/* what somebody has kept of an earlier daemon's names does not hold here */
	all->names = (uint32_t) d->host->random(d->host->ctx) | 1;
	r = secrets_read(all, err);
	if (r)
		return r;
	(void) getrlimit(RLIMIT_NOFILE, &files); /* fails for no such limit only */
	ipc_limits_default(&limits);
	/* three each, and two for a connection; half of all is for others */
	if (files.rlim_cur / 12 < limits.peers)
		limits.peers = (unsigned) (files.rlim_cur / 12);
	if (files.rlim_cur / 8 < limits.connections)
		limits.connections = (unsigned) (files.rlim_cur / 8);
	/* no process has more than half of them */
	if (limits.connections / 2 < limits.process_connections)
		limits.process_connections = limits.connections / 2;
	events.ctx = all;
	all->in = co_msg_new();
	all->out = co_msg_new();
	all->ipc = ipc_new(d->host, &events, all->key, &limits);
	return all->in && all->out && all->ipc && peers_watch_new(all) == 0
		       ? 0
		       : co_fail(err, CO_NO_MEMORY, "no memory for peers");
}
