/* SPDX-License-Identifier: MIT */
/*
 * bench-ipc KIND WHERE SIZE MILLISECONDS: what it costs to ask another process and have its
 * answer, with SIZE bytes there and back.  HOST; bench/ipc.py starts it.  KIND:
 *
 *	ring        ring/, as guests use it: sealed segments, a page copied four times
 *	futex       the least that sleeps: a word each, FUTEX_WAKE and FUTEX_WAIT
 *	shm         the least that does not: a word each, both spin
 *	seqpacket   a Unix socket
 *	dbus        a method call through a dbus-daemon of its own (ipc_dbus.c)
 *	zmq         ZeroMQ, REQ and REP (ipc_zmq.c)
 *
 * The last two end with 77 where the library is not installed.
 *
 * bench-ipc ticks: how many of the processor's clock are a nanosecond.
 * bench-ipc memory: bytes of shared memory of a connection, and of a message in flight.
 * bench-ipc kill PID: kills it, and says at which tick.
 *
 * WHERE: `same` CPU, `two` CPUs, or `free` for the kernel to choose.  SIZE: bytes; each side
 * writes into the first 64 of them before it sends.  4096f: into all of them.
 */
#include "ipc.h"
#include "loop.h"

#include <errno.h>
#include <linux/futex.h>
#include <ring/ring.h>
#include <ring/segment.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, BATCHES_MAX = 1 << 20 };

uint8_t buffer[SIZE_MAX_BYTES] __attribute__((aligned(4096)));
static size_t fresh = 64; /* bytes that change each time */

void touch(size_t size)
{
	static uint32_t number;

	number++;
	for (size_t at = 0; at < size && at < fresh; at += 64)
		memcpy(buffer + at, &number, sizeof(number));
}

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench-ipc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *shared(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static void pin(size_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("sched_setaffinity: are there two CPUs?");
}

/* ---- ring ---- */

static struct {
	struct co_ring_client *own_client;
	int client_fd, server_fd, peer_fd;
	struct ring_client client;
	int ready[2];
	uint64_t posted; /* ticks that it took to send the last message */
} ring;

static struct ring_server ring_servers[1];

static struct ring_server *find_server(uint32_t number)
{
	return number == 0 ? &ring_servers[0] : NULL;
}

static void ring_prepare(void)
{
	ring.own_client =
		ring_segment_new("client", sizeof(*ring.own_client), &ring.client_fd);
	if (!ring.own_client || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ring.ready) != 0)
		die("set-up");
	ring_client_format(ring.own_client, 1);
}

static void send_fds(int fd, const int *fds, size_t bytes)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(bytes),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec data = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(bytes) };

	memcpy(CMSG_DATA(&control.head), fds, bytes);
	if (sendmsg(fd, &message, 0) != 1)
		die("sendmsg");
}

static void receive_fds(int fd, int *fds, size_t bytes)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(fd, &message, 0) != 1 || message.msg_controllen < CMSG_LEN(bytes))
		die("recvmsg");
	memcpy(fds, CMSG_DATA(&control.head), bytes);
}

static void ring_serve(size_t size)
{
	static struct ring_server *table[1];
	static struct ring_port port;
	struct co_ring_peer *peer;
	struct co_ring_server *own;
	const struct co_ring_client *client;
	struct ring_message message;
	struct ring_reply reply;
	bool gone;
	int fds[2];

	peer = ring_segment_new("peer", sizeof(*peer), &fds[1]);
	own = ring_segment_new("server", sizeof(*own), &fds[0]);
	client = ring_segment_map(ring.client_fd, sizeof(*client));
	if (!peer || !own || !client)
		die("set-up");
	ring_peer_format(peer, 2);
	ring_server_format(own, 2);
	if (ring_port_open(&port, peer, 0, table, 1, find_server, 1) != RING_OK ||
	    ring_attach(&port, &ring_servers[0], 0, own, client) != RING_OK)
		die("ring_attach");
	send_fds(ring.ready[1], fds, sizeof(fds));
	for (;;) {
		if (ring_receive(&port, NULL, NULL, 0, 0, &message) != RING_OK)
			continue;
		if (size)
			memcpy(buffer, message.page, size);
		touch(size);
		(void) ring_put(&message.server->users); /* it is never detached */
		if (!ring_answer_begin(message.server, message.cookie, &reply, &gone))
			die("no answer taken");
		reply.flags = message.flags;
		reply.size = (uint32_t) size;
		if (message.flags & CO_RING_WHOLE)
			ring_page_answer(&reply, buffer);
		else if (size)
			memcpy(reply.page, buffer, size);
		reply.value = message.tag + 1;
		(void) ring_answer_end(&reply, &gone);
	}
}

static void ring_start(void)
{
	const struct co_ring_server *server;
	const struct co_ring_peer *peer;
	int fds[2];

	receive_fds(ring.ready[0], fds, sizeof(fds));
	server = ring_segment_map(fds[0], sizeof(*server));
	peer = ring_segment_map(fds[1], sizeof(*peer));
	if (!server || !peer ||
	    ring_client_open(&ring.client, ring.own_client, server, peer, 0) != RING_OK)
		die("ring_client_open");
}

static void ring_call(size_t size)
{
	static uint64_t tag;
	struct ring_answer answer;
	struct ring_call call = { .tag = ++tag,
				  .size = (uint32_t) size,
				  .flags = size == 4096
						   ? CO_RING_PAYLOAD | CO_RING_WHOLE
					   : size ? CO_RING_PAYLOAD
						  : 0 };

	uint64_t start;

	touch(size);
	start = __builtin_ia32_rdtsc();
	if (ring_begin(&ring.client, &call, 0) != RING_OK)
		die("ring_begin");
	if (call.flags & CO_RING_WHOLE)
		ring_page_post(&ring.client, &call, buffer);
	else if (size)
		memcpy(call.page, buffer, size);
	ring_post(&ring.client, &call);
	ring.posted = __builtin_ia32_rdtsc() - start;
	if (ring_wait(&ring.client, &call, NULL, 0, 0, &answer) != RING_OK ||
	    answer.value != tag + 1)
		die("wrong answer");
	if (answer.flags & CO_RING_WHOLE)
		ring_page_back(buffer, &answer);
	else if (size)
		memcpy(buffer, answer.page, size);
	ring_end(&ring.client, &call);
}

/* The middle one of what ring_begin and ring_post take, without the answer or the clock. */
static double ring_post_ticks(size_t size)
{
	static double ticks[1 << 14];
	enum { CALLS = sizeof(ticks) / sizeof(ticks[0]) };
	double clock;

	for (int i = 0; i < CALLS; i++) {
		uint64_t start = __builtin_ia32_rdtsc();

		ticks[i] = (double) (__builtin_ia32_rdtsc() - start);
	}
	clock = loop_median(ticks, CALLS);
	for (int i = 0; i < CALLS; i++) {
		ring_call(size);
		ticks[i] = (double) ring.posted;
	}
	return loop_median(ticks, CALLS) - clock;
}

static int ring_memory(void)
{
	enum { MESSAGES = CO_RING_SLOTS };
	struct co_ring_server *own;
	struct co_ring_peer *peer;
	struct ring_call calls[MESSAGES] = { 0 };
	struct stat client, server, after;
	int server_fd, peer_fd;

	ring_prepare();
	own = ring_segment_new("server", sizeof(*own), &server_fd);
	peer = ring_segment_new("peer", sizeof(*peer), &peer_fd);
	if (!own || !peer)
		die("set-up");
	ring_server_format(own, 2);
	ring_peer_format(peer, 2);
	if (ring_client_open(&ring.client, ring.own_client, own, peer, 0) != RING_OK)
		die("ring_client_open");
	calls[0].tag = 1;
	if (ring_begin(&ring.client, &calls[0], 0) != RING_OK)
		die("ring_begin");
	ring_post(&ring.client, &calls[0]);
	ring_end(&ring.client, &calls[0]);
	memset(own->answers, 0, sizeof(own->answers)); /* as when each was used */
	if (fstat(ring.client_fd, &client) != 0 || fstat(server_fd, &server) != 0)
		die("fstat");
	memset(buffer, 1, sizeof(buffer));
	for (int i = 0; i < MESSAGES; i++) {
		calls[i] = (struct ring_call){ .size = SIZE_MAX_BYTES,
					       .flags = CO_RING_PAYLOAD };
		if (ring_begin(&ring.client, &calls[i], 0) != RING_OK)
			die("ring_begin");
		memcpy(calls[i].page, buffer, sizeof(buffer));
		ring_post(&ring.client, &calls[i]);
	}
	if (fstat(ring.client_fd, &after) != 0)
		die("fstat");
	printf("{\"idle\": %ld, \"message\": %ld}\n",
	       (long) (client.st_blocks + server.st_blocks) * 512,
	       (long) (after.st_blocks - client.st_blocks) * 512 / MESSAGES);
	return 0;
}

/* ---- futex and shm: two words, two pages ---- */

static struct words {
	_Alignas(64) _Atomic uint32_t there;
	_Alignas(64) _Atomic uint32_t back;
	_Alignas(4096) uint8_t page[2][4096];
} * words;

static void words_prepare(void)
{
	words = shared(sizeof(*words));
}

static void nothing(void)
{
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void futex_tell(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	(void) futex(word, FUTEX_WAKE, 1); /* there may be nobody */
}

static void futex_await(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(word)) != value)
		(void) futex(word, FUTEX_WAIT, seen); /* the loop looks */
}

static void spin_tell(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static void spin_await(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		__builtin_ia32_pause();
}

#define WORDS_KIND(name)                                                               \
	static void name##_serve(size_t size)                                          \
	{                                                                              \
		for (uint32_t n = 1;; n++) {                                           \
			name##_await(&words->there, n);                                \
			memcpy(buffer, words->page[0], size);                          \
			touch(size);                                                   \
			memcpy(words->page[1], buffer, size);                          \
			name##_tell(&words->back, n);                                  \
		}                                                                      \
	}                                                                              \
	static void name##_call(size_t size)                                           \
	{                                                                              \
		static uint32_t n;                                                     \
                                                                                       \
		touch(size);                                                           \
		memcpy(words->page[0], buffer, size);                                  \
		name##_tell(&words->there, ++n);                                       \
		name##_await(&words->back, n);                                         \
		memcpy(buffer, words->page[1], size);                                  \
	}

WORDS_KIND(futex)
WORDS_KIND(spin)

/* ---- seqpacket ---- */

static int pair[2];

static void socket_prepare(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		die("socketpair");
}

/* an empty packet looks like the end */
static void packet(int fd, size_t size, bool out)
{
	size_t bytes = size ? size : 1;

	if (out)
		touch(size);
	if ((out ? send(fd, buffer, bytes, 0) : recv(fd, buffer, bytes, 0)) !=
	    (ssize_t) bytes)
		die("socket");
}

static void socket_serve(size_t size)
{
	for (;;) {
		packet(pair[1], size, false);
		packet(pair[1], size, true);
	}
}

static void socket_call(size_t size)
{
	packet(pair[0], size, true);
	packet(pair[0], size, false);
}

/* ---- measuring ---- */

static const struct kind kinds[] = {
	{ "ring", ring_prepare, ring_serve, ring_start, ring_call },
	{ "futex", words_prepare, futex_serve, nothing, futex_call },
	{ "shm", words_prepare, spin_serve, nothing, spin_call },
	{ "seqpacket", socket_prepare, socket_serve, nothing, socket_call },
	{ "dbus", dbus_prepare, dbus_serve, dbus_begin, dbus_call },
	{ "zmq", zmq_prepare, zmq_serve, zmq_begin, zmq_call },
};

static void measure(const struct kind *kind, size_t size, double milliseconds)
{
	static double wall[BATCHES_MAX];
	double end;
	int batches = 0;

	for (int i = 0; i < 1000; i++)
		kind->call(size);
	end = loop_wall_ns() + milliseconds * 1e6;
	while (batches < BATCHES_MAX) {
		double start = loop_wall_ns();
		double stop;

		for (int i = 0; i < BATCH; i++)
			kind->call(size);
		stop = loop_wall_ns();
		wall[batches++] = (stop - start) / BATCH;
		if (stop > end)
			break;
	}
	printf("{\"wall_ns\": %.1f, \"calls\": %d", loop_median(wall, batches),
	       batches * BATCH);
	if (kind->call == ring_call)
		printf(", \"send_ticks\": %.0f", ring_post_ticks(size));
	puts("}");
}

static int run(const struct kind *kind, const char *where, size_t size,
	       double milliseconds)
{
	bool pinned = strcmp(where, "free") != 0;
	pid_t child;

	if (strcmp(where, "same") == 0)
		pin(0); /* whatever it starts, too */
	kind->prepare();
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* else the parent kills */
		if (pinned)
			pin(strcmp(where, "two") == 0);
		kind->serve(size);
	}
	if (pinned)
		pin(0);
	kind->begin();
	measure(kind, size, milliseconds);
	(void) kill(child, SIGKILL); /* it is our child */
	(void) waitpid(child, NULL, 0);
	return 0;
}

/* How many ticks of the processor's clock are a nanosecond: programs of Anos have no other. */
static int ticks(void)
{
	double start = loop_wall_ns();
	uint64_t first = __builtin_ia32_rdtsc();
	double now;

	do
		now = loop_wall_ns();
	while (now - start < 5e7);
	printf("{\"per_ns\": %.6f}\n",
	       (double) (__builtin_ia32_rdtsc() - first) / (now - start));
	return 0;
}

static int kill_at(const char *word)
{
	uint64_t now = __builtin_ia32_rdtsc();

	if (kill((pid_t) atol(word), SIGKILL) != 0)
		die("kill");
	printf("{\"tick\": %lu}\n", now);
	return 0;
}

int main(int argc, char **argv)
{
	long size = argc == 5 ? atol(argv[3]) : -1;
	double milliseconds = argc == 5 ? atof(argv[4]) : 0;

	if (argc == 2 && strcmp(argv[1], "ticks") == 0)
		return ticks();
	if (argc == 2 && strcmp(argv[1], "memory") == 0)
		return ring_memory();
	if (argc == 3 && strcmp(argv[1], "kill") == 0)
		return kill_at(argv[2]);

	if (size > 0 && argv[3][strlen(argv[3]) - 1] == 'f')
		fresh = (size_t) size;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (size >= 0 && size <= SIZE_MAX_BYTES && milliseconds > 0 &&
		    strcmp(argv[1], kinds[i].name) == 0)
			return run(&kinds[i], argv[2], (size_t) size, milliseconds);
	}
	fputs("usage: bench-ipc ring|futex|shm|seqpacket|dbus|zmq same|two|free SIZE "
	      "MILLISECONDS\n       bench-ipc ticks|memory\n       bench-ipc kill PID\n",
	      stderr);
	return 2;
}
