/* SPDX-License-Identifier: MIT */
/*
 * The connection to the daemon that messages without it begin with, and the memory that is
 * shared with other processes.  Linked into CloudOS programs.
 *
 * Everything here runs with the lock held.  The daemon is asked once, when it is joined;
 * later requests are sent and their answers read when they come, with the notes.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <ring/segment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "call.h"
#include "direct.h"

enum {
	LOST = INT_MIN, /* where else a status of the daemon is */
	PATIENCE_MS = 5000,
	RETRY_FIRST_NS = 100000000
};

#define RETRY_MOST_NS 10000000000UL

static struct direct *the;
/* in memory that fork copies, so that the child can close them; -1: none */
static int inherited[2] = { -1, -1 };

/* ---- life ---- */

static void in_child(void)
{
	for (int i = 0; i < 2; i++) {
		if (inherited[i] >= 0)
			(void) close(inherited[i]); /* a copy; nothing is written */
		inherited[i] = -1;
	}
}

struct direct *cloudos__direct_lock(void)
{
	struct direct *d = __atomic_load_n(&the, __ATOMIC_ACQUIRE);

	if (!d || !__atomic_load_n(&d->on, __ATOMIC_ACQUIRE))
		return NULL;
	(void) pthread_mutex_lock(&d->lock); /* an ordinary mutex: cannot fail */
	return d;
}

void cloudos__direct_unlock(struct direct *d)
{
	(void) pthread_mutex_unlock(&d->lock); /* it is ours */
}

static struct ring_server *lookup(uint32_t number)
{
	return &__atomic_load_n(&the->links[number], __ATOMIC_ACQUIRE)->ring;
}

/* ---- descriptors that the program may have closed behind our back ---- */

static bool is_ours(const struct file *file)
{
	struct stat st;

	return file->fd >= 0 && fstat(file->fd, &st) == 0 && st.st_dev == file->dev &&
	       st.st_ino == file->ino;
}

static bool keep(struct file *file, int fd, int which)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*file = (struct file){ .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
	inherited[which] = fd;
	return true;
}

static void drop(struct file *file, int which)
{
	if (is_ours(file))
		(void) close(file->fd); /* nothing is written through it */
	file->fd = inherited[which] = -1;
}

/* ---- the wire ---- */

static bool send_wire(struct direct *d, const void *message, const int *fd)
{
	const struct wire_header *header = message;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *) message, header->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (!is_ours(&d->socket))
		return false;
	if (fd) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), fd, sizeof(int));
	}
	do
		n = sendmsg(d->socket.fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

static int take_fd(struct direct *d, uint32_t i)
{
	int fd = i < d->in.nfds ? d->in.fds[i] : -1;

	if (i < d->in.nfds)
		d->in.fds[i] = -1;
	return fd;
}

static void drop_fds(struct direct *d)
{
	for (uint32_t i = 0; i < d->in.nfds; i++) {
		int fd = take_fd(d, i);

		if (fd >= 0)
			(void) close(fd); /* nobody wants it */
	}
	d->in.nfds = 0;
}

/* One message into d->in; 0: there is none; LOST. */
static int receive_wire(struct direct *d)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CO_WIRE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { d->in.bytes, sizeof(d->in.bytes) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	ssize_t n;

	drop_fds(d);
	if (!is_ours(&d->socket))
		return LOST;
	do
		n = recvmsg(d->socket.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : LOST;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		d->in.nfds = (uint32_t) ((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(d->in.fds, CMSG_DATA(c), d->in.nfds * sizeof(int));
	}
	return (size_t) n < sizeof(struct wire_header) || msg.msg_flags & MSG_TRUNC ||
			       d->in.header.size != (size_t) n
		       ? LOST
		       : 1;
}

static void heard(struct direct *d);

/* A request whose answer is waited for: its status, the answer in d->in; or LOST. */
static int ask(struct direct *d, void *request, const int *fd)
{
	struct wire_header *header = request;
	uint32_t type = WIRE_TYPE(header->type & 0xffffffU, WIRE_REPLY);
	uint64_t end = ring_os_now() + PATIENCE_MS * 1000000UL, now;
	uint64_t tag = header->tag = ++d->tag;

	if (!send_wire(d, request, fd))
		return LOST;
	while ((now = ring_os_now()) < end) {
		struct pollfd ready = { .fd = d->socket.fd, .events = POLLIN };
		int r = receive_wire(d);

		if (r == LOST)
			return LOST;
		if (!r) {
			/* what it says is seen by the next look */
			(void) poll(&ready, 1, (int) ((end - now) / 1000000));
			continue;
		}
		if (d->in.header.type == type && d->in.header.tag == tag &&
		    d->in.header.size >= sizeof(struct wire_hello_rep))
			return ((const struct wire_hello_rep *) (const void *)
					d->in.bytes)
				->r.status;
		if (d->in.header.type == type && d->in.header.tag == tag)
			return ((const struct wire_name_register_rep *) (const void *)
					d->in.bytes)
				->r.status;
		heard(d);
	}
	return LOST;
}

#define REQUEST(name, ...)                                                             \
	(struct wire_##name##_req)                                                     \
	{                                                                              \
		.h = { .type = WIRE_##name##_req,                                      \
		       .size = sizeof(struct wire_##name##_req) },                     \
		__VA_ARGS__                                                            \
	}

/* ---- other processes ---- */

static struct other **bucket(struct direct *d, uint32_t pid)
{
	return &d->others[pid % DIRECT_BUCKETS];
}

static void unmap(const void *at, size_t size)
{
	if (at)
		(void) munmap((void *) at, size); /* our own mapping */
}

static void way_close(struct other *other)
{
	unmap(other->own, sizeof(*other->own));
	unmap(other->server, sizeof(*other->server));
	unmap(other->page, sizeof(*other->page));
	other->own = NULL;
	other->server = NULL;
	other->page = NULL;
	memset(&other->ring, 0, sizeof(other->ring));
}

static bool is_idle(const struct other *other)
{
	return (other->state == OTHER_NONE || other->state == OTHER_ENDED) &&
	       !other->uses && !other->asked.count;
}

static void other_free(struct direct *d, struct other *other)
{
	struct other **at = bucket(d, other->pid);

	while (*at != other)
		at = &(*at)->next;
	*at = other->next;
	d->nothers--;
	free(other->asked.at);
	free(other->received.at);
	free(other);
}

static bool make_room(struct direct *d)
{
	if (d->nothers < CO_LIMIT_DIRECT_CONNECTIONS)
		return true;
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next)
			if (is_idle(o)) {
				other_free(d, o);
				return true;
			}
	return false;
}

struct other *cloudos__direct_other(struct direct *d, uint32_t pid, bool make)
{
	struct other *other;

	for (other = *bucket(d, pid); other; other = other->next)
		if (other->pid == pid && other->state != OTHER_ENDED)
			return other;
	if (!make || !make_room(d))
		return NULL;
	other = calloc(1, sizeof(*other));
	if (!other)
		return NULL;
	other->pid = pid;
	other->wait = RETRY_FIRST_NS;
	other->next = *bucket(d, pid);
	*bucket(d, pid) = other;
	d->nothers++;
	return other;
}

bool cloudos__direct_drained(const struct other *other)
{
	uint64_t loose = other->ring.loose;

	if (!other->server)
		return true;
	for (; loose; loose &= loose - 1) {
		uint32_t slot = (uint32_t) __builtin_ctzll(loose);

		if (__atomic_load_n(&other->server->answers[slot].word,
				    __ATOMIC_ACQUIRE) != other->ring.seq[slot])
			return false;
	}
	return true;
}

static void retry_later(struct other *other)
{
	other->state = OTHER_NONE;
	other->retry = ring_os_now() + other->wait;
	other->wait = other->wait * 2 < RETRY_MOST_NS ? other->wait * 2 : RETRY_MOST_NS;
	way_close(other);
}

void cloudos__direct_open(struct direct *d, struct other *other)
{
	struct wire_ipc_open_req req = REQUEST(ipc_open, .pid = (int32_t) other->pid,
					       .flags = CO_IPC_OPEN_MESSAGES);
	int fd;

	if (other->state != OTHER_NONE || d->lost || ring_os_now() < other->retry)
		return;
	other->own = ring_segment_new("cloudos-client", sizeof(*other->own), &fd);
	if (!other->own) {
		retry_later(other);
		return;
	}
	ring_client_format(other->own, d->pid);
	other->tag = req.h.tag = ++d->tag;
	other->state = OTHER_OPENING;
	if (!send_wire(d, &req, &fd))
		retry_later(other);
	(void) close(fd); /* the mapping stays */
}

/* Its process has ended: what was asked is told, once all that it said has been received. */
static void way_ended(struct direct *d, struct other *other)
{
	if (other->state == OTHER_CLOSING)
		d->closing--;
	way_close(other);
	other->state = OTHER_ENDED;
	d->has_ended = true;
}

static void opened(struct direct *d)
{
	const struct wire_ipc_open_rep *rep = (const void *) d->in.bytes;
	struct other *other = NULL;
	int server, page;

	for (uint32_t i = 0; i < DIRECT_BUCKETS && !other; i++)
		for (other = d->others[i]; other; other = other->next)
			if (other->state == OTHER_OPENING && other->tag == rep->h.tag)
				break;
	if (!other)
		return;
	if (d->in.header.size < sizeof(*rep) || rep->r.status) {
		retry_later(other);
		return;
	}
	server = take_fd(d, 0);
	page = take_fd(d, 1);
	other->server = ring_segment_map(server, sizeof(*other->server));
	other->page = ring_segment_map(page, sizeof(*other->page));
	if (server >= 0)
		(void) close(server); /* the mapping stays */
	if (page >= 0)
		(void) close(page);
	other->connection = rep->connection;
	other->cookie = rep->cookie;
	if (!other->server || !other->page || (uint32_t) rep->pid != other->pid ||
	    ring_client_open(&other->ring, other->own, other->server, other->page,
			     rep->doorbell) != RING_OK) {
		struct wire_ipc_close_req req =
			REQUEST(ipc_close, .connection = rep->connection);

		req.h.tag = ++d->tag;
		retry_later(other);
		(void) send_wire(d, &req, NULL); /* a lost daemon forgets it anyway */
		return;
	}
	other->ring.connection = rep->connection;
	__atomic_store_n(&other->own->ready, 1, __ATOMIC_RELEASE);
	other->state = OTHER_OPEN;
	other->wait = RETRY_FIRST_NS;
}

/* Ports that were revoked: closed once all has been received. */
static void close_drained(struct direct *d)
{
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next) {
			struct wire_ipc_close_req req =
				REQUEST(ipc_close, .connection = o->connection);

			if (o->state != OTHER_CLOSING || !cloudos__direct_drained(o))
				continue;
			req.h.tag = ++d->tag;
			(void) send_wire(d, &req,
					 NULL); /* or a lost daemon forgets it */
			d->closing--;
			retry_later(o);
		}
}

/* ---- links ---- */

void cloudos__direct_release(struct direct *d, struct link *link)
{
	unmap(link->own, sizeof(*link->own));
	unmap(link->theirs, sizeof(*link->theirs));
	link->own = NULL;
	link->theirs = NULL;
	link->used = false;
	link->other->uses--;
	d->nlinks--;
}

void cloudos__direct_put(struct direct *d, struct ring_server *server)
{
	if (ring_put(&server->users))
		cloudos__direct_release(d, (struct link *) (void *) server);
}

void cloudos__direct_finish(struct direct *d)
{
	if (!d->has_ended)
		return;
	d->has_ended = false;
	d->may_tell = true;
	for (uint32_t i = 0; i < CO_LIMIT_DIRECT_CONNECTIONS && d->links[i]; i++) {
		struct link *link = d->links[i];

		if (!link->used || !link->ended || link->detached)
			continue;
		link->detached = true;
		link->other->links--;
		if (link->other->link == link)
			link->other->link = NULL;
		if (ring_detach(&link->ring))
			cloudos__direct_release(d, link);
	}
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i], *next; o; o = next) {
			next = o->next;
			if (o->state == OTHER_ENDED && is_idle(o))
				other_free(d, o);
		}
}

static struct link *link_new(struct direct *d, uint32_t *out_number)
{
	for (uint32_t i = 0; i < CO_LIMIT_DIRECT_CONNECTIONS; i++) {
		struct link *link = d->links[i];

		if (link && link->used)
			continue;
		if (!link) {
			link = calloc(1, sizeof(*link));
			if (!link)
				return NULL;
			__atomic_store_n(&d->links[i], link, __ATOMIC_RELEASE);
		}
		memset(link, 0, sizeof(*link));
		link->used = true;
		d->nlinks++;
		*out_number = i;
		return link;
	}
	return NULL;
}

/* The descriptor of our half, or -1. */
static int link_open(struct direct *d, const struct wire_ipc_attach_note *note, int fd)
{
	struct other *other;
	struct link *link;
	uint32_t number;
	int own = -1;

	if (note->pid <= 0 || note->cookie != d->cookie)
		return -1;
	other = cloudos__direct_other(d, (uint32_t) note->pid, true);
	link = other ? link_new(d, &number) : NULL;
	if (!link)
		return -1;
	link->other = other;
	other->uses++;
	link->connection = note->connection;
	link->own = ring_segment_new("cloudos-server", sizeof(*link->own), &own);
	link->theirs = ring_segment_map(fd, sizeof(*link->theirs));
	link->ring.control = d->control;
	link->ring.connection = note->connection;
	if (link->own && link->theirs) {
		ring_server_format(link->own, d->pid);
		if (ring_attach(&d->port, &link->ring, number, link->own,
				link->theirs) == RING_OK) {
			other->links++;
			other->link = link;
			other->retry = 0; /* and now the way back */
			return own;
		}
	}
	cloudos__direct_release(d, link);
	if (own >= 0)
		(void) close(own); /* nobody has it */
	return -1;
}

static void attached(struct direct *d)
{
	struct wire_ipc_attach_note note =
		*(const struct wire_ipc_attach_note *) (const void *) d->in.bytes;
	struct wire_ipc_accept_note accept = { .h = { .type = WIRE_ipc_accept_note,
						      .size = sizeof(accept) },
					       .connection = note.connection };
	int fd = take_fd(d, 0), own = link_open(d, &note, fd);

	if (fd >= 0)
		(void) close(fd); /* the mapping stays */
	if (own < 0) {
		struct wire_ipc_close_req req = REQUEST(
			ipc_close, .connection = note.connection, .why = CO_IPC_FULL);

		req.h.tag = ++d->tag;
		(void) send_wire(d, &req, NULL); /* or a lost daemon forgets it */
		return;
	}
	(void) send_wire(d, &accept, &own); /* seen when reading, if it fails */
	(void) close(own);                  /* the mapping stays */
	cloudos__direct_open(d, cloudos__direct_other(d, (uint32_t) note.pid, true));
}

static void detached(struct direct *d)
{
	const struct wire_ipc_detach_note *note = (const void *) d->in.bytes;
	bool is_over = note->why != CO_IPC_DESTROYED && note->why != CO_IPC_REVOKED;

	for (uint32_t i = 0; i < CO_LIMIT_DIRECT_CONNECTIONS && d->links[i]; i++)
		if (is_over && d->links[i]->used && !d->links[i]->detached &&
		    d->links[i]->connection == note->connection) {
			d->links[i]->ended = true;
			d->has_ended = true;
		}
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next) {
			if ((o->state != OTHER_OPEN && o->state != OTHER_CLOSING) ||
			    o->connection != note->connection)
				continue;
			if (is_over) {
				way_ended(d, o);
			} else if (o->state == OTHER_OPEN) {
				o->state = OTHER_CLOSING;
				d->closing++;
			}
		}
}

/* What the daemon says unasked, or in answer to what was only sent. */
static void heard(struct direct *d)
{
	switch (d->in.header.type) {
	case WIRE_ipc_attach_note:
		if (d->in.header.size >= sizeof(struct wire_ipc_attach_note))
			attached(d);
		break;
	case WIRE_ipc_detach_note:
		if (d->in.header.size >= sizeof(struct wire_ipc_detach_note))
			detached(d);
		break;
	case WIRE_ipc_open_rep:
		if (d->in.header.size >=
		    sizeof(struct wire_header) + sizeof(struct wire_reply))
			opened(d);
		break;
	default:
		break; /* answers to closing; our port is gone: so be it */
	}
	drop_fds(d);
}

/* ---- joining ---- */

/* Where the control socket of the program's domain is likely to be. */
static bool socket_address(struct sockaddr_un *out)
{
	const char *dir = getenv("CLOUDOS_DIR"), *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;

	out->sun_family = AF_UNIX;
	if (dir && dir[0])
		n = snprintf(out->sun_path, sizeof(out->sun_path),
			     "%s/run/control.sock", dir);
	else if (run && run[0] == '/' && stat(run, &st) == 0 && S_ISDIR(st.st_mode))
		n = snprintf(out->sun_path, sizeof(out->sun_path),
			     "%s/cloudos/control.sock", run);
	else
		n = snprintf(out->sun_path, sizeof(out->sun_path),
			     "/tmp/cloudos-%u/control.sock", (unsigned) geteuid());
	return n > 0 && (size_t) n < sizeof(out->sun_path);
}

static bool dial(struct direct *d)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_un address = { 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && socket_address(&address) &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 &&
	    keep(&d->socket, fd, 0))
		return true;
	if (fd >= 0)
		(void) close(fd); /* nothing was sent */
	return false;
}

/* The daemon there is the one that answers our system calls. */
static bool is_the_domain(struct direct *d)
{
	static const char name[] = "libcloudos";
	struct {
		struct wire_hello_req req;
		char name[16];
	} hello = { .req = REQUEST(hello, .version_min = CO_WIRE_VERSION_MIN,
				   .version_max = CO_WIRE_VERSION) };
	const struct wire_hello_rep *rep = (const void *) d->in.bytes;

	memcpy(hello.name, name, sizeof(name));
	hello.req.program.offset = sizeof(hello.req);
	hello.req.program.length = sizeof(name) - 1;
	hello.req.h.size = sizeof(hello.req) + sizeof(name);
	return ask(d, &hello, NULL) == 0 && d->in.header.size >= sizeof(*rep) &&
	       rep->domain == d->domain;
}

static bool join(struct direct *d)
{
	struct wire_ipc_join_req req = REQUEST(ipc_join, .version = CO_WIRE_VERSION,
					       .flags = CO_IPC_JOIN_MESSAGES);
	const void *control;
	int fd;

	if (!is_ours(&d->page_file) || ask(d, &req, &d->page_file.fd) != 0)
		return false;
	fd = take_fd(d, 0);
	control = fd < 0 ? NULL : ring_segment_map(fd, sizeof(*d->control));
	if (fd >= 0)
		(void) close(fd); /* the mapping stays */
	if (!control)
		return false;
	d->control = control; /* an earlier one stays mapped: links look at it */
	d->seen = __atomic_load_n(&d->control->kick, __ATOMIC_ACQUIRE) - 1;
	return true;
}

/* The port; with a cookie the one that an earlier daemon knew. */
static bool announce(struct direct *d)
{
	struct wire_port_create_req req =
		REQUEST(port_create, .cookie = d->cookie, .secret = d->secret,
			.doorbell = 0, .flags = CO_IPC_PORT_MESSAGES);
	const struct wire_port_create_rep *rep = (const void *) d->in.bytes;

	if (ask(d, &req, NULL) != 0 || d->in.header.size < sizeof(*rep))
		return false;
	d->cookie = rep->cookie;
	d->secret = rep->secret;
	return true;
}

/* From now on the daemon tells again when those who are connected end. */
static bool resume_one(struct direct *d, uint64_t connection, uint64_t cookie,
		       uint32_t pid, uint32_t flags)
{
	struct wire_ipc_resume_req req =
		REQUEST(ipc_resume, .connection = connection, .cookie = cookie,
			.pid = (int32_t) pid, .flags = flags);

	return ask(d, &req, NULL) != LOST;
}

static bool resume(struct direct *d)
{
	for (uint32_t i = 0; i < CO_LIMIT_DIRECT_CONNECTIONS && d->links[i]; i++) {
		const struct link *link = d->links[i];

		if (link->used && !link->ended &&
		    !resume_one(d, link->connection, d->cookie, link->other->pid,
				CO_IPC_RESUME_RECEIVER))
			return false;
	}
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next)
			if (o->state == OTHER_OPEN &&
			    !resume_one(d, o->connection, o->cookie, o->pid, 0))
				return false;
	return true;
}

static void lose(struct direct *d)
{
	uint64_t now = ring_os_now();

	drop(&d->socket, 0);
	if (!d->lost)
		d->lost_at = now;
	d->lost = true;
	d->again = now + DIRECT_AGAIN_NS;
	for (uint32_t i = 0; i < DIRECT_BUCKETS; i++)
		for (struct other *o = d->others[i]; o; o = o->next)
			if (o->state == OTHER_OPENING)
				retry_later(o);
}

static void again(struct direct *d)
{
	if (dial(d) && is_the_domain(d) && join(d) && announce(d) && resume(d)) {
		d->lost = false;
		d->looked = 0;
	} else {
		lose(d);
	}
}

void cloudos__direct_look(struct direct *d)
{
	int r;

	d->looked = ring_os_now();
	while (!d->lost && (r = receive_wire(d)) != 0) {
		if (r == LOST)
			lose(d);
		else
			heard(d);
	}
}

void cloudos__direct_settle(struct direct *d)
{
	uint64_t now = ring_os_now();
	uint32_t kick;

	if (d->lost && now >= d->again)
		again(d);
	if (d->lost)
		return;
	kick = __atomic_load_n(&d->control->kick, __ATOMIC_ACQUIRE);
	if (kick != d->seen || now - d->looked >= DIRECT_AGAIN_NS) {
		d->seen = kick;
		cloudos__direct_look(d);
	}
	if (d->closing)
		close_drained(d);
}

/* ---- beginning ---- */

static struct direct *memory(void)
{
	struct direct *d = __atomic_load_n(&the, __ATOMIC_ACQUIRE), *none = NULL;

	if (d)
		return d;
	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (d == MAP_FAILED)
		return NULL;
	if (madvise(d, sizeof(*d), MADV_WIPEONFORK) < 0 ||
	    (!__atomic_load_n(&the, __ATOMIC_ACQUIRE) &&
	     pthread_atfork(NULL, NULL, in_child) != 0) ||
	    !__atomic_compare_exchange_n(&the, &none, d, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		(void) munmap(d, sizeof(*d)); /* ours, and empty */
	return __atomic_load_n(&the, __ATOMIC_ACQUIRE);
}

static bool begin(struct direct *d)
{
	uint64_t random = 0;
	int fd;

	d->pid = (uint32_t) getpid();
	d->socket.fd = d->page_file.fd = -1;
	d->page = ring_segment_new("cloudos-peer", sizeof(*d->page), &fd);
	if (!d->page || !keep(&d->page_file, fd, 1))
		return false;
	ring_peer_format(d->page, d->pid);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t) (uintptr_t) d; /* tells cookies apart, no more */
	return ring_port_open(&d->port, d->page, 0, d->table,
			      CO_LIMIT_DIRECT_CONNECTIONS, lookup, random) == RING_OK &&
	       dial(d) && is_the_domain(d) && join(d) && announce(d);
}

int cloudos_ipc_direct(void)
{
	long domain = CALL(domain);
	struct direct *d;
	int r = CLOUDOS_SUCCESS;

	if (domain < 0)
		return (int) domain;
	d = memory();
	if (!d)
		return cloudos__fail(CLOUDOS_ENOMEM,
				     "ipc_direct: no memory that fork wipes "
				     "(MADV_WIPEONFORK, Linux 4.14)");
	(void) pthread_mutex_lock(&d->lock); /* an ordinary mutex: cannot fail */
	if (!d->on) {
		d->domain = (uint64_t) domain;
		if (begin(d)) {
			__atomic_store_n(&d->on, 1, __ATOMIC_RELEASE);
		} else {
			drop(&d->socket, 0);
			drop(&d->page_file, 1);
			unmap(d->page, sizeof(*d->page));
			d->page = NULL;
			memset(&d->port, 0, sizeof(d->port));
			r = cloudos__fail(CLOUDOS_EACCES,
					  "ipc_direct: the daemon of this domain "
					  "cannot be reached or does not let this "
					  "program in; messages go by system call "
					  "(is CLOUDOS_DIR what cloudos-exec had?)");
		}
	}
	(void) pthread_mutex_unlock(&d->lock); /* it is ours */
	return r;
}
