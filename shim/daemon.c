/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls that cloudosd answers.  Called by the personality's dispatch on a slot.
 *
 * A call travels on a connection to the domain's control socket that has said `join`
 * (include/co/wire.def; cloudosd/member.h is the other end).  There are as many as calls
 * at the same time; each is opened when it is first needed and then kept, close-on-exec and
 * at a high number.  They are the guest's descriptors, and it may do with them what it
 * likes: before each use one is held against the inode of our socket, and opened again if
 * it is closed or something else by now.
 *
 * Who we are may change without a word.  The table of connections lies in a page that is
 * empty in a child after fork (MADV_WIPEONFORK), and has the process's number in it: empty,
 * so we are a new process and what we inherited is closed; another number, so we share the
 * memory of our parent (vfork) and leave its connections alone.
 *
 * A call has a number that no other call of the domain has.  When the connection is lost
 * (the daemon died, the descriptor was closed), the same call is said again with the same
 * number, to whoever serves then; the daemon's journal sees to it that it happens once.
 *
 * Until the answer comes the daemon may ask for copies of the guest's memory, where it may
 * not look itself, for a descriptor, or that the guest performs a Linux call in the place
 * of this one.  A signal is held back from then on (shim_wait).  A call that is answered
 * soon does not notice, as under notify; one that waits is cancelled, and the daemon says
 * what has become of it.  If it does not, nobody waits for it: -EINTR.
 *
 * Nothing the daemon says is followed out of our buffer.
 */
#include <co/status.h>
#include <co/wire.h>
#include <shim/guest.h>
#include <shim/rt/atomic.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

#define SOCKET_NAME "/control.sock"
#define LOCK_NAME   "lock"

enum {
	CONNECTIONS = 64, /* more calls than that at a time open one for themselves */
	HIGH = 1024,      /* descriptors end below: a table of them is copied by fork */
	HIGH_ROOM = 64,
	ATTEMPTS = 200, /* that end before the daemon has said anything */
	PAUSE_MAX_MS = 100,
	SOON_MS = 20,     /* after a signal, until the call is cancelled */
	CANCEL_MS = 2000, /* until that is heard */
	SEND_MS = 100
};

/* not among the kernel's headers for programs */
enum { AF_UNIX = 1, SOCK_SEQPACKET = 5, SCM_RIGHTS = 1 };
enum { SOCK_CLOEXEC = O_CLOEXEC, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000 };

struct address {
	uint16_t family;
	char path[108];
};

struct vector {
	uint64_t base, length;
};

struct message { /* struct msghdr */
	uint64_t name, namelen, iov, iovlen, control, controllen, flags;
};

struct rights {
	uint64_t length;
	int32_t level, type, fd, zero;
};

struct connection {
	uint32_t busy;
	int32_t fd; /* open if there is an inode */
	uint64_t inode;
};

struct process {
	uint64_t last_id;
	uint32_t pid; /* 0: nobody has asked yet */
	struct connection connections[CONNECTIONS];
};

static struct process *process;                  /* wiped in a child after fork */
static struct connection inherited[CONNECTIONS]; /* as in the table, and not wiped */
static uint32_t told;                            /* sentences */

enum told { TOLD_ABSENT = 1, TOLD_REFUSED = 2 };

/* One call on its way; `buffer` is what was received, or is about to be sent. */
struct talk {
	struct shim_call *call;
	struct connection *connection;
	uint64_t id;
	int32_t tid;
	bool joined;    /* the daemon has said that it knows us */
	bool held;      /* a signal waits, all are blocked: nothing may take long now */
	bool cancelled; /* the daemon has been told */
	bool performed; /* the guest has done what the daemon asked for */
	int64_t raw;    /* with that result */
	long answer;
	union {
		struct wire_header h;
		struct wire_join_rep join;
		struct wire_call_result_note result;
		struct wire_call_perform_note perform;
		struct wire_memory_read_req read;
		struct wire_memory_read_rep read_rep;
		struct wire_memory_write_req write;
		struct wire_memory_write_rep write_rep;
		struct wire_descriptor_get_req get;
		struct wire_descriptor_get_rep get_rep;
		unsigned char bytes[CO_WIRE_GUEST_MAX];
	} buffer;
};

/* What a step of a talk comes to, beside negative numbers of the kernel. */
enum step { STEP_GO_ON, STEP_ANSWERED, STEP_LOST };

static long kernel(long number, long a, long b, long c, long d)
{
	return shim_syscall(number, a, b, c, d, 0, 0);
}

static void close_fd(int32_t fd)
{
	(void) kernel(__NR_close, fd, 0, 0, 0); /* nothing could be done about it */
}

static void say_once(enum told what, const char *sentence)
{
	uint32_t before = __atomic_fetch_or(&told, (uint32_t) what, __ATOMIC_ACQ_REL);

	if (!(before & (uint32_t) what))
		shim_say(sentence, 0);
}

static long raw_error(int status)
{
	const struct shim_personality *p =
		shim_personality_find(shim.config.personality);

	return p && p->raw_error ? p->raw_error(status) : -ENOSYS;
}

/* ---- connections ---- */

/* Is the descriptor still the socket that it was? */
static bool is_ours(const struct connection *c)
{
	struct stat st;

	return c->inode && kernel(__NR_fstat, c->fd, (long) &st, 0, 0) == 0 &&
	       S_ISSOCK(st.st_mode) && st.st_ino == c->inode;
}

static struct process *process_new(void)
{
	static struct process plain; /* where the kernel cannot wipe: right, and slow */
	long page = shim_syscall(__NR_mmap, 0, sizeof(*process), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct process *found = NULL, *mine = &plain;

	if (page > 0) {
		if (kernel(__NR_madvise, page, sizeof(*process), MADV_WIPEONFORK, 0) ==
		    0)
			mine = (struct process *) page;
		else
			(void) kernel(__NR_munmap, page, sizeof(*process), 0, 0);
	}
	if (__atomic_compare_exchange_n(&process, &found, mine, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mine;
	if (mine != &plain) /* another thread was faster */
		(void) kernel(__NR_munmap, page, sizeof(*process), 0, 0);
	return found;
}

/* After fork: what was the parent's is of no use here. */
static void close_inherited(void)
{
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		struct connection was = inherited[i];

		if (is_ours(&was))
			close_fd(was.fd);
	}
}

/* A connection for one call; `own` if there is none to be had, or it is not ours to use. */
static struct connection *claim(struct connection *own)
{
	struct process *p = __atomic_load_n(&process, __ATOMIC_ACQUIRE);
	uint32_t pid = (uint32_t) kernel(__NR_getpid, 0, 0, 0, 0);

	*own = (struct connection){ .fd = -1 };
	if (!p)
		p = process_new();
	if (shim_replace(&p->pid, 0, pid))
		close_inherited();
	if (shim_load_acquire(&p->pid) != pid)
		return own;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		if (shim_replace(&p->connections[i].busy, 0, 1))
			return &p->connections[i];
	return own;
}

static void disconnect(struct connection *c)
{
	if (is_ours(c))
		close_fd(c->fd);
	c->inode = 0;
}

static void release(struct connection *c, struct connection *own)
{
	if (c == own)
		disconnect(c);
	else
		shim_store_release(&c->busy, 0);
}

/* Where a program neither looks nor counts. */
static int32_t move_up(int32_t fd)
{
	struct rlimit64 limit = { HIGH, HIGH };
	long from, moved;

	(void) kernel(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, (long) &limit);
	from = limit.rlim_cur < HIGH ? (long) limit.rlim_cur : HIGH;
	from = from > 2 * HIGH_ROOM ? from - HIGH_ROOM : from / 2;
	moved = kernel(__NR_fcntl, fd, F_DUPFD_CLOEXEC, from, 0);
	if (moved < 0)
		return fd;
	close_fd(fd);
	return (int32_t) moved;
}

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static long folder_open(void)
{
	return kernel(__NR_openat, AT_FDCWD, (long) shim.config.folder,
		      O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/* A path that does not fit goes through a descriptor of its folder, *out_folder. */
static long address_of(struct address *out, int32_t *out_folder)
{
	const char *folder = shim.config.folder;
	struct shim_fmt to = shim_fmt_init(out->path, sizeof(out->path));
	long fd;

	out->family = AF_UNIX;
	*out_folder = -1;
	if (length_of(folder) + sizeof(SOCKET_NAME) <= sizeof(out->path)) {
		shim_fmt_text(&to, folder);
	} else {
		fd = folder_open();
		if (fd < 0)
			return fd;
		*out_folder = (int32_t) fd;
		shim_fmt_text(&to, "/proc/self/fd/");
		shim_fmt_dec(&to, fd);
	}
	shim_fmt_text(&to, SOCKET_NAME);
	return 0;
}

long shim_daemon_socket(void)
{
	struct address to = { 0 };
	int32_t folder;
	long fd, r;

	fd = kernel(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | O_NONBLOCK, 0,
		    0);
	if (fd < 0)
		return fd;
	r = address_of(&to, &folder);
	if (r == 0)
		r = kernel(__NR_connect, fd, (long) &to, sizeof(to), 0);
	if (folder >= 0)
		close_fd(folder);
	if (r == 0)
		return fd;
	close_fd((int32_t) fd);
	return r;
}

/* Is there a keeper, which will start the daemon again?  It has the folder's lock. */
static bool is_kept(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	long folder = folder_open(), fd;
	bool kept;

	fd = folder < 0 ? folder
			: kernel(__NR_openat, folder, (long) LOCK_NAME,
				 O_RDONLY | O_CLOEXEC, 0);
	if (folder >= 0)
		close_fd((int32_t) folder);
	if (fd < 0)
		return false;
	kept = kernel(__NR_fcntl, fd, F_GETLK, (long) &lock, 0) == 0 &&
	       lock.l_type != F_UNLCK;
	close_fd((int32_t) fd);
	return kept;
}

/* For what does not wait long by itself: a signal is noted, and it is done all the same. */
static long quick(struct talk *t, long number, long a, long b, long c, long d)
{
	long r = t->held ? -EINTR : shim_wait(number, a, b, c, d, 0, 0, t->call);

	t->held |= r == -EINTR;
	return r == -EINTR ? kernel(number, a, b, c, d) : r;
}

static long connect_to(int32_t fd, struct talk *t)
{
	struct __kernel_old_timeval patience = { 0, SEND_MS * 1000 };
	struct address to = { 0 };
	int32_t folder;
	long r = address_of(&to, &folder);

	(void) shim_syscall(__NR_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO_OLD,
			    (long) &patience, sizeof(patience), 0);
	if (r == 0)
		r = quick(t, __NR_connect, fd, (long) &to, sizeof(to), 0);
	while (r == -EAGAIN && !t->held) /* others wait for the daemon already */
		r = quick(t, __NR_connect, fd, (long) &to, sizeof(to), 0);
	if (folder >= 0)
		close_fd(folder);
	return r;
}

/* Why there is no daemon for us, as the guest hears it. */
static long no_daemon(long error)
{
	switch (error) {
	case -EAGAIN: /* a signal came meanwhile */
		return -EINTR;
	case -ECONNREFUSED: /* as natively; and cloudos-exec says why */
		return -ENOSYS;
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
		say_once(TOLD_ABSENT,
			 "the daemon's socket cannot be reached from here (another "
			 "root folder, or its own was removed); CloudOS calls fail");
		return raw_error(CO_GONE);
	case -EACCES:
	case -EPERM:
		say_once(TOLD_REFUSED,
			 "this user may not speak to the daemon of the "
			 "one who started the program; CloudOS calls fail");
		return raw_error(CO_ACCESS);
	case -EMFILE:
	case -ENFILE:
		return raw_error(CO_NO_FDS);
	case -ENOMEM:
	case -ENOBUFS:
		return raw_error(CO_NO_MEMORY);
	default:
		return raw_error(CO_IO);
	}
}

static long send_bytes(struct talk *t, const void *bytes, size_t size)
{
	return quick(t, __NR_sendto, t->connection->fd, (long) bytes, (long) size,
		     MSG_NOSIGNAL);
}

static long send_join(struct talk *t)
{
	struct wire_join_req req = {
		.h = { .type = WIRE_join_req, .size = sizeof(req), .tag = 1 },
		.session = shim.config.session,
		.personality = shim.config.personality,
		.version = CO_WIRE_VERSION,
	};

	return send_bytes(t, &req, sizeof(req));
}

/* False when a signal has come. */
static bool pause_ms(struct talk *t, long ms)
{
	struct __kernel_timespec time = { 0, ms * 1000000 };

	return !t->held &&
	       shim_wait(__NR_nanosleep, (long) &time, 0, 0, 0, 0, 0, t->call) == 0;
}

/* 0; -EAGAIN: not now, but maybe later; or what the guest gets because there is none. */
static long open_connection(struct talk *t)
{
	struct connection *c = t->connection;
	struct process *p = process;
	struct stat st;
	long fd = kernel(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0);
	long r;

	if (fd < 0)
		return no_daemon(fd);
	fd = move_up((int32_t) fd);
	r = connect_to((int32_t) fd, t);
	if (r == 0)
		r = kernel(__NR_fstat, fd, (long) &st, 0, 0);
	if (r) {
		close_fd((int32_t) fd);
		/* a daemon that was stopped is started again, and calls wait for it */
		return (r == -ENOENT || r == -ECONNREFUSED) && is_kept() ? -EAGAIN
									 : no_daemon(r);
	}
	c->fd = (int32_t) fd;
	c->inode = st.st_ino;
	if (c >= p->connections && c < p->connections + CONNECTIONS)
		inherited[c - p->connections] = *c;
	t->joined = false;
	(void) send_join(t); /* what fails now fails again with the call */
	return 0;
}

/* ---- what the daemon asks for ---- */

static void begin_reply(struct talk *t, uint32_t type, uint32_t size, int status)
{
	uint64_t tag = t->buffer.h.tag;

	memset(t->buffer.bytes, 0, size);
	t->buffer.h = (struct wire_header){ .type = type, .size = size, .tag = tag };
	t->buffer.read_rep.r.status = status; /* every reply begins so */
}

static long reply(struct talk *t)
{
	return send_bytes(t, t->buffer.bytes, t->buffer.h.size);
}

static long memory_read(struct talk *t)
{
	const struct wire_memory_read_req req = t->buffer.read;
	uint32_t fixed = sizeof(t->buffer.read_rep);

	if (req.length > sizeof(t->buffer) - fixed ||
	    shim_read(t->buffer.bytes + fixed, req.address, req.length)) {
		begin_reply(t, WIRE_memory_read_rep, fixed, CO_FAULT);
		return reply(t);
	}
	begin_reply(t, WIRE_memory_read_rep, fixed, 0);
	t->buffer.h.size += req.length;
	t->buffer.read_rep.data = (struct wire_span){ fixed, req.length };
	return reply(t);
}

static long memory_write(struct talk *t, size_t size)
{
	const struct wire_memory_write_req req = t->buffer.write;
	bool inside =
		req.data.offset <= size && req.data.length <= size - req.data.offset;
	int r = inside ? shim_write(req.address, t->buffer.bytes + req.data.offset,
				    req.data.length)
		       : -EFAULT;

	begin_reply(t, WIRE_memory_write_rep, sizeof(t->buffer.write_rep),
		    r ? CO_FAULT : 0);
	t->buffer.write_rep.written = r ? 0 : req.data.length;
	return reply(t);
}

/* Sends or receives `size` bytes of the buffer and a descriptor. */
static long with_rights(const struct talk *t, long number, struct rights *rights,
			uint64_t size, long flags)
{
	struct vector iov = { (uint64_t) t->buffer.bytes, size };
	struct message message = { .iov = (uint64_t) &iov,
				   .iovlen = 1,
				   .control = (uint64_t) rights,
				   .controllen = sizeof(*rights) };

	return kernel(number, t->connection->fd, (long) &message, flags, 0);
}

static long descriptor_get(struct talk *t)
{
	struct rights rights = { .length = 20,
				 .level = SOL_SOCKET,
				 .type = SCM_RIGHTS,
				 .fd = t->buffer.get.fd };
	long r;

	begin_reply(t, WIRE_descriptor_get_rep, sizeof(t->buffer.get_rep), 0);
	r = with_rights(t, __NR_sendmsg, &rights, sizeof(t->buffer.get_rep),
			MSG_NOSIGNAL);
	if (r != -EBADF || !is_ours(t->connection))
		return r;
	begin_reply(t, WIRE_descriptor_get_rep, sizeof(t->buffer.get_rep), CO_INVALID);
	return reply(t);
}

static long send_performed(struct talk *t)
{
	struct wire_call_performed_note note = {
		.h = { .type = WIRE_call_performed_note, .size = sizeof(note) },
		.id = t->id,
		.raw = t->raw,
	};

	return send_bytes(t, &note, sizeof(note));
}

static long send_cancel(struct talk *t)
{
	struct wire_call_cancel_note note = {
		.h = { .type = WIRE_call_cancel_note, .size = sizeof(note) },
		.id = t->id,
	};

	t->held = t->cancelled = true;
	return send_bytes(t, &note, sizeof(note));
}

/* The descriptor that follows, as one of the guest's own. */
static long take_descriptor(struct talk *t)
{
	struct rights rights;
	long r;

	do {
		rights.length = 0;
		r = with_rights(t, __NR_recvmsg, &rights, sizeof(t->buffer),
				MSG_CMSG_CLOEXEC);
	} while (r == -EINTR);
	if (r <= 0)
		return -EPIPE;
	t->raw = rights.length == 20 ? rights.fd : -EMFILE; /* no room for it */
	t->performed = true;
	return send_performed(t);
}

static long perform(struct talk *t)
{
	const struct wire_call_perform_note *note = &t->buffer.perform;

	if (!t->performed && note->number == __NR_recvmsg)
		return take_descriptor(t);
	if (!t->performed) { /* once, however often a new daemon asks */
		t->raw = t->held || t->call->deferred
				 ? shim_syscall(note->number, (long) note->a0,
						(long) note->a1, (long) note->a2,
						(long) note->a3, (long) note->a4,
						(long) note->a5)
				 : shim_wait(note->number, (long) note->a0,
					     (long) note->a1, (long) note->a2,
					     (long) note->a3, (long) note->a4,
					     (long) note->a5, t->call);
		if (t->raw == -EINTR)
			return send_cancel(t);
		t->performed = true;
	}
	return send_performed(t);
}

/* ---- one call ---- */

static long send_call(struct talk *t)
{
	const struct shim_call *call = t->call;
	struct wire_call_note note = {
		.h = { .type = WIRE_call_note, .size = sizeof(note) },
		.id = t->id,
		.tid = t->tid,
		.number = (int32_t) call->number,
		.a0 = call->args[0],
		.a1 = call->args[1],
		.a2 = call->args[2],
		.a3 = call->args[3],
		.a4 = call->args[4],
		.a5 = call->args[5],
	};

	return send_bytes(t, &note, sizeof(note));
}

static enum step sent(long r)
{
	return r < 0 ? STEP_LOST : STEP_GO_ON;
}

static enum step joined(struct talk *t, size_t size)
{
	const struct wire_join_rep *rep = &t->buffer.join;
	char line[300];
	struct shim_fmt out = shim_fmt_init(line, sizeof(line));

	t->joined = true;
	if (rep->r.status >= 0)
		return STEP_GO_ON;
	shim_fmt_text(&out, "CloudOS calls fail: ");
	/* the last byte received is the text's end */
	if (rep->r.reason.offset < size && t->buffer.bytes[size - 1] == '\0')
		shim_fmt_text(&out,
			      (const char *) t->buffer.bytes + rep->r.reason.offset);
	say_once(TOLD_REFUSED, line);
	t->answer = raw_error(rep->r.status);
	return STEP_ANSWERED;
}

static enum step message(struct talk *t, size_t size)
{
	if (size < sizeof(t->buffer.h) || size != t->buffer.h.size)
		return STEP_LOST;
	switch (t->buffer.h.type) {
	case WIRE_join_rep:
		return joined(t, size);
	case WIRE_call_result_note:
		if (t->buffer.result.id != t->id)
			return STEP_GO_ON;
		t->answer = t->buffer.result.result;
		return STEP_ANSWERED;
	case WIRE_call_perform_note:
		return t->buffer.perform.id == t->id ? sent(perform(t)) : STEP_GO_ON;
	case WIRE_memory_read_req:
		return sent(memory_read(t));
	case WIRE_memory_write_req:
		return sent(memory_write(t, size));
	case WIRE_descriptor_get_req:
		return sent(descriptor_get(t));
	default:
		return STEP_GO_ON; /* of a later daemon */
	}
}

/* With a signal held: is there something to receive?  A call that takes longer is
 * cancelled, one that the guest has performed already is not: it has its result. */
static enum step look(struct talk *t)
{
	struct pollfd p = { .fd = t->connection->fd, .events = POLLIN };
	long ms = t->cancelled || t->performed ? CANCEL_MS : SOON_MS;

	if (kernel(__NR_poll, (long) &p, 1, ms, 0) == 1)
		return STEP_ANSWERED;
	if (t->performed)
		return STEP_GO_ON;
	return t->cancelled ? STEP_LOST : sent(send_cancel(t));
}

/* Receives until the call is answered or the connection is lost. */
static enum step listen(struct talk *t)
{
	enum step step = STEP_GO_ON;

	while (step == STEP_GO_ON) {
		long n;

		if (t->held) {
			step = look(t);
			if (step != STEP_ANSWERED)
				continue;
			n = shim_syscall(__NR_recvfrom, t->connection->fd,
					 (long) &t->buffer, sizeof(t->buffer), 0, 0, 0);
		} else {
			n = shim_wait(__NR_recvfrom, t->connection->fd,
				      (long) &t->buffer, sizeof(t->buffer), 0, 0, 0,
				      t->call);
			t->held = n == -EINTR;
		}
		if (n == -EINTR)
			step = STEP_GO_ON;
		else
			step = n <= 0 ? STEP_LOST : message(t, (size_t) n);
	}
	return step;
}

/* Says the call until it is answered, to one daemon after the other. */
static long converse(struct talk *t)
{
	long in_vain = 0;

	for (;;) {
		long r = 0;

		if (is_ours(t->connection))
			t->joined = true; /* it has served before */
		else
			r = open_connection(t);
		if (r == -EAGAIN && pause_ms(t, PAUSE_MAX_MS))
			continue;
		if (r)
			return r == -EAGAIN ? -EINTR : r;
		if (sent(send_call(t)) == STEP_GO_ON && listen(t) == STEP_ANSWERED)
			return t->answer;
		disconnect(t->connection);
		if (t->cancelled)
			return -EINTR;
		in_vain = t->joined ? 0 : in_vain + 1;
		if (in_vain > ATTEMPTS)
			return no_daemon(-ECONNREFUSED);
		if (in_vain &&
		    !pause_ms(t, in_vain < PAUSE_MAX_MS ? in_vain : PAUSE_MAX_MS))
			return -EINTR;
	}
}

/*
 * No other call of the domain has it: it begins at a random number in each process, and
 * where that is shared threads differ.
 */
static uint64_t next_id(int32_t tid)
{
	uint64_t *last = &process->last_id, none = 0, first = 0;

	if (!__atomic_load_n(last, __ATOMIC_ACQUIRE)) {
		/* without random numbers there is still the address of the stack */
		if (kernel(__NR_getrandom, (long) &first, sizeof(first), 0, 0) < 0)
			first = (uint64_t) &first;
		(void) __atomic_compare_exchange_n(last, &none, first | 1, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
	return __atomic_add_fetch(last, 1, __ATOMIC_ACQ_REL) ^ (uint64_t) tid << 40;
}

enum shim_verdict shim_daemon_call(struct shim_call *call)
{
	struct connection own;
	struct talk t;

	t.call = call;
	t.connection = claim(&own);
	t.tid = (int32_t) kernel(__NR_gettid, 0, 0, 0, 0);
	t.id = next_id(t.tid);
	t.joined = t.held = t.cancelled = t.performed = false;
	t.answer = converse(&t);
	release(t.connection, &own);
	return shim_answer(call, t.answer);
}
