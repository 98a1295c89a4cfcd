/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  This process as a peer of the engine for messages: its connection to the daemon,
 * opened when it is first needed, and its segments.  include/co/ipc.h tells who says what.
 *
 * What the daemon says comes at any time; it moves `kick`, on which everybody sleeps beside
 * what he waits for.  Whoever wakes reads, under the lock, which is held for short: an open
 * that waits for its receiver waits for a kick.
 */
#include <co/ipc.h>
#include <personality/anos/guest_guard.h>
#include <personality/anos/guest_ipc.h>
#include <shim/rt/atomic.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

#define SOCKET_NAME "/control.sock"

/* not among the kernel's headers for programs */
enum { AF_UNIX = 1, SOCK_SEQPACKET = 5, SCM_RIGHTS = 1, KICK_MS = 50 };
enum {
	SOCK_CLOEXEC = O_CLOEXEC,
	MSG_NOSIGNAL = 0x4000,
	MSG_DONTWAIT = 0x40,
	MSG_PEEK = 2
};
enum { MSG_CMSG_CLOEXEC = 0x40000000, SECOND_NS = 1000000000 };

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
	int32_t level, type, fds[2];
};

struct ipc_state *ipc;
static int32_t inherited_page; /* likewise, its page of doorbells */
static int32_t inherited;      /* as ipc->fd, plus one, and not empty in a child */

static long kernel(long number, long a, long b, long c, long d)
{
	return shim_syscall(number, a, b, c, d, 0, 0);
}

void ipc_close_fd(int32_t fd)
{
	if (fd >= 0)
		(void) kernel(__NR_close, fd, 0, 0, 0); /* nothing could be done */
}

/* ---- what the ring needs ---- */

static struct __kernel_timespec in_ns(uint64_t ns)
{
	return (struct __kernel_timespec){ (long) (ns / SECOND_NS),
					   (long) (ns % SECOND_NS) };
}

uint64_t ring_os_now(void)
{
	struct __kernel_timespec now = { 0, 0 };

	(void) kernel(__NR_clock_gettime, CLOCK_MONOTONIC, (long) &now, 0, 0);
	return (uint64_t) now.tv_sec * SECOND_NS + (uint64_t) now.tv_nsec;
}

static long wait_two(const uint32_t *word, uint32_t expected, const uint32_t *kick,
		     uint32_t kick_expected, uint64_t timeout_ns)
{
	struct futex_waitv words[2] = {
		{ .val = expected, .uaddr = (uint64_t) word, .flags = FUTEX_32 },
		{ .val = kick_expected, .uaddr = (uint64_t) kick, .flags = FUTEX_32 },
	};
	struct __kernel_timespec until;

	if (timeout_ns)
		until = in_ns(ring_os_now() + timeout_ns);
	return shim_syscall(__NR_futex_waitv, (long) words, 2, 0,
			    timeout_ns ? (long) &until : 0, CLOCK_MONOTONIC, 0);
}

long ring_os_wait(void *context, const uint32_t *word, uint32_t expected,
		  const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns)
{
	struct __kernel_timespec time;
	long r = -ENOSYS;

	(void) context;
	if (kick)
		r = wait_two(word, expected, kick, kick_expected, timeout_ns);
	if (r == -ENOSYS) { /* Linux before 5.16: a kick is seen a little later */
		if (kick && (!timeout_ns || timeout_ns > KICK_MS * 1000000UL))
			timeout_ns = KICK_MS * 1000000UL;
		time = in_ns(timeout_ns);
		r = kernel(__NR_futex, (long) word, FUTEX_WAIT, expected,
			   timeout_ns ? (long) &time : 0);
	}
	/* a thread that was asked to step aside looks again, as if it had been woken */
	return r >= 0 || r == -EINTR ? 0 : r;
}

long ring_os_wake(const uint32_t *word, uint32_t count)
{
	return kernel(__NR_futex, (long) word, FUTEX_WAKE, count, 0);
}

void ring_os_yield(void)
{
	(void) kernel(__NR_sched_yield, 0, 0, 0, 0);
}

/* ---- the state ---- */

static struct ipc_state *state_get(void)
{
	struct ipc_state *found = __atomic_load_n(&ipc, __ATOMIC_ACQUIRE);
	long at;

	if (found)
		return found;
	at = shim_syscall(__NR_mmap, 0, sizeof(*ipc), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0 && at > -4096)
		return NULL;
	(void) kernel(__NR_madvise, at, sizeof(*ipc), MADV_WIPEONFORK, 0);
	if (__atomic_compare_exchange_n(&ipc, &found, (struct ipc_state *) at, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return (struct ipc_state *) at;
	(void) kernel(__NR_munmap, at, sizeof(*ipc), 0, 0); /* another was faster */
	return found;
}

enum { LOCK_FREE, LOCK_HELD, LOCK_WANTED };

void ipc_lock(void)
{
	if (shim_replace(&ipc->lock, LOCK_FREE, LOCK_HELD))
		return;
	while (__atomic_exchange_n(&ipc->lock, LOCK_WANTED, __ATOMIC_ACQUIRE) !=
	       LOCK_FREE)
		(void) kernel(__NR_futex, (long) &ipc->lock, FUTEX_WAIT, LOCK_WANTED,
			      0);
}

void ipc_unlock(void)
{
	if (__atomic_exchange_n(&ipc->lock, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_WANTED)
		(void) ring_os_wake(&ipc->lock, 1); /* one of those who want it */
}

/* ---- segments ---- */

void ipc_segment_free(const void *segment, uint64_t size)
{
	if (segment)
		(void) kernel(__NR_munmap, (long) segment, (long) size, 0, 0);
}

static void *segment_map(int32_t fd, uint64_t size, int prot)
{
	long at = shim_syscall(__NR_mmap, 0, (long) size, prot, MAP_SHARED, fd, 0);

	if (at < 0 && at > -4096)
		return NULL;
	if (kernel(__NR_madvise, at, (long) size, MADV_DONTFORK, 0) == 0)
		return (void *) at;
	ipc_segment_free((void *) at, size);
	return NULL;
}

void *ipc_segment_new(uint64_t size, int32_t *out_fd)
{
	long fd = kernel(__NR_memfd_create, (long) "cloudos-ipc",
			 MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0);
	void *at = NULL;

	if (fd < 0)
		return NULL;
	if (kernel(__NR_ftruncate, fd, (long) size, 0, 0) == 0)
		at = segment_map((int32_t) fd, size, PROT_READ | PROT_WRITE);
	if (at && kernel(__NR_fcntl, fd, F_ADD_SEALS, CO_RING_SEALS, 0) == 0) {
		*out_fd = (int32_t) fd;
		return at;
	}
	ipc_segment_free(at, size);
	ipc_close_fd((int32_t) fd);
	return NULL;
}

/* Seals and size were checked by the daemon. */
const void *ipc_segment_map(int32_t fd, uint64_t size)
{
	const void *at = fd < 0 ? NULL : segment_map(fd, size, PROT_READ);

	ipc_close_fd(fd);
	return at;
}

/* ---- messages of the daemon, under the lock ---- */

long ipc_say(const void *message, uint32_t size, int32_t fd)
{
	struct rights rights = { .length = 16 + sizeof(fd),
				 .level = SOL_SOCKET,
				 .type = SCM_RIGHTS,
				 .fds = { fd, 0 } };
	struct vector iov = { (uint64_t) message, size };
	struct message m = { .iov = (uint64_t) &iov, .iovlen = 1 };
	long r;

	if (fd >= 0) {
		m.control = (uint64_t) &rights;
		m.controllen = sizeof(rights);
	}
	do
		r = kernel(__NR_sendmsg, ipc->fd, (long) &m, MSG_NOSIGNAL, 0);
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

int32_t ipc_take_fd(uint32_t i)
{
	int32_t fd = ipc->fds[i];

	ipc->fds[i] = -1;
	return fd;
}

static void drop_fds(void)
{
	for (uint32_t i = 0; i < 2; i++)
		ipc_close_fd(ipc_take_fd(i));
}

/* 1: a message; 0: none now; or an error. */
static long receive(bool wait)
{
	struct rights rights = { 0 };
	struct vector iov = { (uint64_t) ipc->buffer.bytes, sizeof(ipc->buffer) };
	struct message m = { .iov = (uint64_t) &iov,
			     .iovlen = 1,
			     .control = (uint64_t) &rights,
			     .controllen = sizeof(rights) };
	long n;

	drop_fds();
	do
		n = kernel(__NR_recvmsg, ipc->fd, (long) &m,
			   MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT), 0);
	while (n == -EINTR);
	if (m.controllen >= 16 && rights.type == SCM_RIGHTS) {
		ipc->fds[0] = rights.length >= 20 ? rights.fds[0] : -1;
		ipc->fds[1] = rights.length >= 24 ? rights.fds[1] : -1;
	}
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? n : -EPIPE;
	/* the rest is zeros, so that each message can be read as what it says it is */
	if ((uint64_t) n < sizeof(ipc->buffer.h) || ipc->buffer.h.size != n)
		return -EPROTO;
	if ((uint64_t) n < 128)
		memset(ipc->buffer.bytes + n, 0, 128 - (uint64_t) n);
	return 1;
}

/* Somebody wants to see messages: they are written down in a segment that the daemon reads. */
static void capture(void)
{
	struct wire_ipc_capture_note note = {
		.h = { WIRE_ipc_capture_note, sizeof(note), 0 },
	};
	int32_t fd;

	if (ipc->capture || !(__atomic_load_n(&ipc->control->flags, __ATOMIC_ACQUIRE) &
			      CO_RING_CAPTURE))
		return;
	ipc->capture = ipc_segment_new(sizeof(*ipc->capture), &fd);
	if (!ipc->capture)
		return; /* then nothing is seen */
	ring_capture_format(ipc->capture, (uint32_t) kernel(__NR_getpid, 0, 0, 0, 0));
	(void) ipc_say(&note, sizeof(note), fd);
	ipc_close_fd(fd);
	ipc_captured();
}

uint32_t ipc_catch_up(void)
{
	uint32_t kick = shim_load_acquire(&ipc->control->kick);

	if (kick == shim_load_acquire(&ipc->seen))
		return kick;
	ipc_lock();
	while (receive(false) > 0)
		ipc_received();
	capture();
	shim_store_release(&ipc->seen, kick);
	ipc_unlock();
	return kick;
}

void ipc_wait_for_kick(uint32_t kick)
{
	if (ring_os_wait(NULL, &ipc->control->kick, kick, NULL, 0, IPC_CHECK_NS) < 0)
		ipc_check();
}

long ipc_request_once(void *request, uint32_t size, int32_t fd)
{
	struct wire_header *h = request;
	uint32_t reply = WIRE_TYPE(h->type & 0xffffff, WIRE_REPLY);
	uint64_t tag = ++ipc->tag;
	long r;

	h->size = size;
	h->tag = tag;
	r = ipc_say(request, size, fd);
	if (r)
		return r;
	for (;;) {
		r = receive(true);
		if (r < 0)
			return r;
		if (ipc->buffer.h.type == reply && ipc->buffer.h.tag == tag)
			return ipc->buffer.reply.r.status;
		ipc_received();
	}
}

/* ---- joining ---- */

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

/* A path that does not fit goes through a descriptor of its folder. */
static long connect_to(int32_t fd)
{
	struct address to = { .family = AF_UNIX };
	struct shim_fmt out = shim_fmt_init(to.path, sizeof(to.path));
	long folder = -1, r;

	if (length_of(shim.config.folder) + sizeof(SOCKET_NAME) <= sizeof(to.path)) {
		shim_fmt_text(&out, shim.config.folder);
	} else {
		folder = kernel(__NR_openat, AT_FDCWD, (long) shim.config.folder,
				O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		shim_fmt_text(&out, "/proc/self/fd/");
		shim_fmt_dec(&out, folder);
	}
	shim_fmt_text(&out, SOCKET_NAME);
	do
		r = kernel(__NR_connect, fd, (long) &to, sizeof(to), 0);
	while (r == -EINTR || r == -EAGAIN);
	ipc_close_fd((int32_t) folder);
	return r;
}

/* Another daemon's page in the place of the first: many point there. */
static long control_again(int32_t fd)
{
	long at = fd < 0 ? -EBADF
			 : shim_syscall(__NR_mmap, (long) ipc->control,
					sizeof(*ipc->control), PROT_READ,
					MAP_SHARED | MAP_FIXED, fd, 0);

	ipc_close_fd(fd);
	if (at < 0 && at > -4096)
		return at;
	(void) kernel(__NR_madvise, at, sizeof(*ipc->control), MADV_DONTFORK, 0);
	shim_store_release(&ipc->seen, ipc->control->kick - 1); /* read all */
	return 0;
}

static long say_join(int32_t page)
{
	struct wire_ipc_join_req req = {
		.h.type = WIRE_ipc_join_req,
		.session = shim.config.session,
		.version = CO_WIRE_VERSION,
	};
	long r = ipc_request_once(&req, sizeof(req), page);

	if (r)
		return r < 0 ? r : -EACCES;
	if (ipc->control)
		return control_again(ipc_take_fd(0));
	ipc->control = ipc_segment_map(ipc_take_fd(0), sizeof(*ipc->control));
	return ipc->control ? 0 : -ENOMEM;
}

static uint64_t holds; /* a bit a call */

static void say_holds(void)
{
	struct wire_ipc_holds_note note = {
		.h = { WIRE_ipc_holds_note, sizeof(note), 0 },
		.calls = __atomic_load_n(&holds, __ATOMIC_RELAXED),
	};

	(void) ipc_say(&note, sizeof(note), -1); /* nothing depends on it */
}

void ipc_holds(uint64_t id)
{
	if (__atomic_fetch_or(&holds, 1UL << id, __ATOMIC_RELAXED) & 1UL << id ||
	    !ipc || !shim_load_acquire(&ipc->joined))
		return;
	ipc_lock();
	say_holds();
	ipc_unlock();
}

static long join(void)
{
	int32_t page;
	long r = kernel(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0);

	if (r < 0)
		return r;
	ipc->fd = (int32_t) r;
	ipc->fds[0] = ipc->fds[1] = -1;
	r = connect_to(ipc->fd);
	ipc->page = r ? NULL : ipc_segment_new(sizeof(*ipc->page), &page);
	if (ipc->page) {
		ring_peer_format(ipc->page, (uint32_t) kernel(__NR_getpid, 0, 0, 0, 0));
		ipc->page_fd = page; /* for the next daemon */
		r = say_join(page);
	} else if (!r) {
		r = -ENOMEM;
	}
	if (r) {
		if (ipc->page)
			ipc_close_fd(ipc->page_fd);
		ipc_segment_free(ipc->page, sizeof(*ipc->page));
		ipc_close_fd(ipc->fd);
		return r;
	}
	(void) kernel(__NR_getrandom, (long) &ipc->random, sizeof(ipc->random), 0, 0);
	inherited = ipc->fd + 1;
	inherited_page = ipc->page_fd + 1;
	ipc->joins++;
	say_holds();
	shim_store_release(&ipc->joined, 1);
	return 0;
}

static bool is_lost(long error)
{
	return error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN;
}

/* The daemon is gone, or does not want this connection any more. */
static long join_again(void)
{
	long fd = kernel(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0);
	int32_t before = ipc->fd;
	long r;

	if (fd < 0)
		return fd;
	r = connect_to((int32_t) fd);
	if (!r) {
		ipc->fd = (int32_t) fd;
		r = say_join(ipc->page_fd);
	}
	if (r) { /* the next time */
		ipc->fd = before;
		ipc_close_fd((int32_t) fd);
		return r;
	}
	ipc_close_fd(before);
	inherited = ipc->fd + 1;
	ipc->joins++;
	say_holds();
	ipc->joining = 1;
	ipc_again();
	ipc->joining = 0;
	return 0;
}

long ipc_request(void *request, uint32_t size, int32_t fd)
{
	long r = ipc_request_once(request, size, fd);

	/* not again while the next one is being told all that */
	if (is_lost(r) && !ipc->joining && join_again() == 0)
		r = ipc_request_once(request, size, fd);
	return r;
}

void ipc_check(void)
{
	uint8_t byte;
	long n;

	ipc_lock();
	n = shim_syscall(__NR_recvfrom, ipc->fd, (long) &byte, sizeof(byte),
			 MSG_DONTWAIT | MSG_PEEK, 0, 0);
	if (n == 0 || is_lost(n))
		(void) join_again(); /* or at the next look */
	else if (ipc->unsettled)
		ipc_again_lost();
	ipc_unlock();
}

void anos_ipc_forget(void)
{
	ipc_close_fd(inherited - 1);
	ipc_close_fd(inherited_page - 1);
	inherited = inherited_page = 0;
	holds = 0; /* what the child has it will show */
}

static void tell(long error)
{
	static uint32_t told;

	if (shim_replace(&told, 0, 1))
		shim_say(
			"the program cannot take part in messages: the daemon's socket "
			"refuses it (error %); is cloudosd running?",
			(uint64_t) -error);
}

long ipc_join(void)
{
	long r = 0;

	if (!state_get())
		return -ENOMEM;
	if (shim_load_acquire(&ipc->joined))
		return 0;
	ipc_lock();
	if (!ipc->joined)
		r = join();
	ipc_unlock();
	if (r)
		tell(r);
	return r;
}
