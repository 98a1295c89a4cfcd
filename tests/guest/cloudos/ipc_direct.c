/* SPDX-License-Identifier: MIT */
/*
 * Messages through libcloudos by both ways: the same checks by system call, and again with
 * cloudos_ipc_direct in every process.
 */
#include "guest.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/time.h>

#define ROOM ((size_t) 1 << 20)

static bool direct;

static struct {
	uint32_t sender;
	union {
		message_t m;
		unsigned char bytes[sizeof(message_t) + (1 << 20)];
	} u;
} got;

/* A check that says by which way. */
static void check_way(bool good, const char *sentence)
{
	check(good, "%s: %s", direct ? "direct" : "by system call", sentence);
}

static void check_same(long result, long wanted, const char *sentence)
{
	check_way(result == wanted, sentence);
	if (result != wanted)
		printf("# got %ld, wanted %ld\n", result, wanted);
}

static message_t *a_message(message_type_t type, uint32_t id, const void *data,
			    size_t size)
{
	message_t *m = calloc(1, sizeof(*m) + size);

	if (!m)
		die("calloc");
	m->sender_pid = 1; /* a lie */
	m->receiver_pid = 2;
	m->type = type;
	m->id = id;
	m->size = (uint32_t) size;
	if (size)
		memcpy(m->data, data, size);
	return m;
}

static int send_bytes(pid_t to, message_type_t type, uint32_t id, const void *data,
		      size_t size)
{
	message_t *m = a_message(type, id, data, size);
	int r = cloudos_ipc_send((uint32_t) to, m);

	free(m);
	return r;
}

static int send_text(pid_t to, message_type_t type, uint32_t id, const char *text)
{
	return send_bytes(to, type, id, text, strlen(text) + 1);
}

static int reply_text(pid_t to, message_type_t type, uint32_t id, const char *text)
{
	message_t *m = a_message(type, id, text, strlen(text) + 1);
	int r = cloudos_ipc_reply((uint32_t) to, m);

	free(m);
	return r;
}

static int receive_up_to(size_t size)
{
	memset(&got, 0x5a, sizeof(got.sender) + sizeof(message_t));
	return cloudos_ipc_receive(&got.sender, &got.u.m, size);
}

static int receive(void)
{
	return receive_up_to(sizeof(got.u));
}

static const char *got_text(void)
{
	return (const char *) got.u.m.data;
}

static bool is_got(pid_t from, message_type_t type, uint32_t id, const char *text)
{
	const message_t *m = &got.u.m;
	bool good = got.sender == (uint32_t) from && m->sender_pid == (uint32_t) from &&
		    m->receiver_pid == (uint32_t) getpid() && m->type == type &&
		    m->id == id && m->size == strlen(text) + 1 &&
		    memcmp(m->data, text, m->size) == 0;

	if (!good)
		printf("# got sender %u/%u receiver %u type %d id %u size %u; wanted "
		       "sender %d type %d id %u \"%s\"\n",
		       got.sender, m->sender_pid, m->receiver_pid, (int) m->type, m->id,
		       m->size, (int) from, (int) type, id, text);
	return good;
}

static void begin(void)
{
	if (direct && cloudos_ipc_direct() != CLOUDOS_SUCCESS) {
		error_info_t info = { 0 };

		(void) cloudos_get_last_error(&info); /* then it says nothing */
		printf("# %s\n", info.message);
		die("cloudos_ipc_direct");
	}
}

/* ---- a server ---- */

enum {
	ECHO = 1,  /* answers */
	KEEP = 2,  /* does not */
	DIE = 3,   /* ends */
	FAIL = 4,  /* answers with an error */
	PAUSE = 5, /* sends this back as a notification, stops, goes on when continued */
	COUNT = 6,  /* sends numbered notifications, as many as the text says */
	REPORT = 7, /* answers how many notifications it has had since the last one */
	TWICE = 8   /* answers, and once more: refused; tells what it was told */
};

/* Sizes that fit into a page, into several, and into no ring at all. */
static size_t nth_size(uint32_t n)
{
	static const uint32_t sizes[] = { 0, 1, 4096, 5000, 65536, 8, 70000, 64, 16 };

	return sizes[n % (sizeof(sizes) / sizeof(sizes[0]))];
}

static int count_to(pid_t to, uint32_t last)
{
	unsigned char *data = malloc(ROOM);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int r = 0;

	if (!data)
		die("malloc");
	memset(data, 0x33, ROOM);
	for (uint32_t i = 1; i <= last && !r; i++)
		do {
			r = send_bytes(to, MSG_NOTIFICATION, i, data, nth_size(i));
			if (r == CLOUDOS_EBUSY)
				breathe();
		} while (r == CLOUDOS_EBUSY && now_ms() < deadline);
	free(data);
	return r;
}

static _Noreturn void serve(void)
{
	uint32_t notifications = 0;
	char text[64];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(10);
	begin();
	for (;;) {
		uint32_t from, id;

		if (receive() != 0)
			_exit(1);
		from = got.sender;
		id = got.u.m.id;
		if (got.u.m.type == MSG_NOTIFICATION && id != PAUSE && id != COUNT) {
			notifications++;
			continue;
		}
		(void) snprintf(text, sizeof(text), "re: %.50s", got_text());
		switch (id) {
		case KEEP:
			break;
		case DIE:
			_exit(3);
		case FAIL:
			if (reply_text((pid_t) from, MSG_ERROR, id, text))
				_exit(2);
			break;
		case PAUSE:
			if (send_text((pid_t) from, MSG_NOTIFICATION, PAUSE, "paused"))
				_exit(4);
			raise(SIGSTOP);
			break;
		case COUNT:
			if (count_to((pid_t) from, (uint32_t) atoi(got_text())))
				_exit(5);
			break;
		case REPORT:
			(void) snprintf(text, sizeof(text), "%u", notifications);
			notifications = 0;
			if (reply_text((pid_t) from, MSG_RESPONSE, id, text))
				_exit(6);
			break;
		case TWICE:
			if (reply_text((pid_t) from, MSG_RESPONSE, id, text))
				_exit(7);
			(void) snprintf(
				text, sizeof(text), "%d",
				reply_text((pid_t) from, MSG_RESPONSE, id, text));
			if (send_text((pid_t) from, MSG_NOTIFICATION, id, text))
				_exit(8);
			break;
		default:
			if (reply_text((pid_t) from, MSG_RESPONSE, id, text))
				_exit(9);
		}
	}
}

/* How many halves of others, and of ours, are mapped: two once both ways are open. */
static int servers_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	if (!maps)
		die("/proc/self/maps");
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "cloudos-server") != NULL;
	(void) fclose(maps); /* only read */
	return n;
}

/* Those of earlier servers go when it is seen that nothing more is in them. */
static void wait_until_none_is_mapped(void)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (servers_mapped() > 0 && now_ms() < deadline)
		if (send_text(getpid(), MSG_NOTIFICATION, 1, "look") || receive())
			die("a message to oneself");
	check_way(servers_mapped() == 0, "what was shared with the dead is unmapped");
}

/* A server that has been spoken to; directly, if that is the way. */
/* `living`: beside others. */
static pid_t start_one(bool living)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	bool open = !direct;
	int before;
	pid_t pid;

	if (direct && !living)
		wait_until_none_is_mapped();
	before = servers_mapped();
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		serve();
	do {
		if (send_text(pid, MSG_REQUEST, ECHO, "are you there?") ||
		    receive() != 0 ||
		    !is_got(pid, MSG_RESPONSE, ECHO, "re: are you there?"))
			die("a server does not answer");
		open = open || servers_mapped() == before + 2;
	} while (!open && now_ms() < deadline);
	if (!open)
		check_way(false, "two processes share memory");
	return pid;
}

static pid_t start_server(void)
{
	return start_one(false);
}

static void end_server(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
}

/* ---- checks ---- */

static void a_request_is_answered(void)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	pid_t server = start_server();
	char busy[16];
	int r;

	check_same(send_text(server, MSG_REQUEST, ECHO, "ping"), 0, "a request");
	check_way(receive() == 0 && is_got(server, MSG_RESPONSE, ECHO, "re: ping"),
		  "is answered by whom it was sent to, whatever the message says");
	check_same(send_text(server, MSG_REQUEST, FAIL, "bad"), 0,
		   "a request that fails");
	check_way(receive() == 0 && is_got(server, MSG_ERROR, FAIL, "re: bad"),
		  "is answered with an error");
	check_same(send_text(server, MSG_REQUEST, TWICE, "x"), 0, "a request");
	check_way(receive() == 0 && is_got(server, MSG_RESPONSE, TWICE, "re: x"),
		  "is answered");
	(void) snprintf(busy, sizeof(busy), "%d", CLOUDOS_ENOENT);
	check_way(receive() == 0 && is_got(server, MSG_NOTIFICATION, TWICE, busy),
		  "and cannot be answered twice");
	check_same(reply_text(server, MSG_RESPONSE, 99, "?"), CLOUDOS_ENOENT,
		   "what was not asked cannot be answered");
	check_same(send_text(server, MSG_RESPONSE, 1, "?"), CLOUDOS_EINVAL,
		   "an answer is not sent");
	check_same(reply_text(server, MSG_REQUEST, 1, "?"), CLOUDOS_EINVAL,
		   "a request is no answer");
	end_server(server);
	/* who shares memory with it hears of its end from the daemon, and that soon */
	do
		r = send_text(server, MSG_NOTIFICATION, 1, "late");
	while (direct && (r == 0 || r == CLOUDOS_EBUSY) && now_ms() < deadline);
	check_same(r, CLOUDOS_ENOENT, "a process that has ended is not there");
}

static void one_senders_order_is_kept(void)
{
	pid_t server = start_server();
	int wrong = 0;

	check_same(send_text(server, MSG_NOTIFICATION, COUNT, "500"), 0,
		   "a process sends 500 messages of 0 bytes to 70000");
	for (uint32_t i = 1; i <= 500; i++)
		wrong += receive() != 0 || got.u.m.id != i ||
			 got.sender != (uint32_t) server ||
			 got.u.m.size != nth_size(i) ||
			 (got.u.m.size && got.u.m.data[got.u.m.size - 1] != 0x33);
	check_same(wrong, 0, "all arrive in their order");
	end_server(server);
}

/*
 * A server that has stopped, to which nothing more can be sent, and what it was sent.  All
 * goes by the table until the server, too, has heard that the way is open: then it is
 * another's turn.
 */
static pid_t start_and_fill(int *out_sent)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	for (;;) {
		pid_t server = start_server();
		int status;
		long r;

		check_same(send_text(server, MSG_NOTIFICATION, PAUSE, ""), 0, "a pause");
		check_way(receive() == 0 &&
				  is_got(server, MSG_NOTIFICATION, PAUSE, "paused"),
			  "is agreed upon");
		if (waitpid(server, &status, WUNTRACED) != server || !WIFSTOPPED(status))
			die("waitpid");
		*out_sent = 0;
		while ((r = send_text(server, MSG_NOTIFICATION, 1000, "")) == 0 &&
		       *out_sent < 5000)
			++*out_sent;
		check_same(r, CLOUDOS_EBUSY,
			   "messages that nobody receives have an end");
		if (!direct || *out_sent == 64 || now_ms() > deadline)
			return server;
		end_server(server);
	}
}

static void queues_have_an_end(void)
{
	char text[16];
	long r;
	int sent;
	pid_t server = start_and_fill(&sent);

	check_same(sent, direct ? 64 : 1024, "which is at the limit of that way");
	kill(server, SIGCONT);
	do {
		r = send_text(server, MSG_REQUEST, REPORT, "how many?");
		if (r == CLOUDOS_EBUSY)
			breathe();
	} while (r == CLOUDOS_EBUSY);
	(void) snprintf(text, sizeof(text), "%d", sent);
	check_way(r == 0 && receive() == 0 &&
			  is_got(server, MSG_RESPONSE, REPORT, text),
		  "and all of them have arrived before what was sent next");
	end_server(server);
}

static void a_server_that_ends(void)
{
	pid_t server = start_server();
	bool kept = false, died = false;
	char want[96];
	int status;

	(void) snprintf(want, sizeof(want),
			"process %d has ended without answering request %d", server,
			KEEP);
	check_same(send_text(server, MSG_REQUEST, KEEP, "keep"), 0, "a request");
	check_same(send_text(server, MSG_REQUEST, ECHO, "x"), 0, "and another");
	check_way(receive() == 0 && is_got(server, MSG_RESPONSE, ECHO, "re: x"),
		  "of which the second is answered");
	check_same(send_text(server, MSG_REQUEST, DIE, "die"), 0,
		   "and one that its server dies of");
	/* each is told by whoever carried the request: nobody says which comes first */
	for (int i = 0; i < 2 && receive() == 0; i++) {
		kept |= is_got(server, MSG_ERROR, KEEP, want);
		died |= got.u.m.type == MSG_ERROR && got.u.m.id == DIE;
	}
	check_way(kept, "the requester is told of the first");
	check_way(died, "and of the last");
	if (waitpid(server, &status, 0) != server)
		die("waitpid");
	check_same(send_text(getpid(), MSG_NOTIFICATION, 7, "end"), 0, "and then");
	check_way(receive() == 0 && is_got(getpid(), MSG_NOTIFICATION, 7, "end"),
		  "of nothing more");
}

static void what_the_dead_have_said(void)
{
	pid_t server = start_server();
	int status, wrong = 0;

	check_same(send_text(server, MSG_NOTIFICATION, COUNT, "5"), 0,
		   "a process sends five messages");
	check_same(send_text(server, MSG_NOTIFICATION, PAUSE, ""), 0, "one more");
	if (waitpid(server, &status, WUNTRACED) != server || !WIFSTOPPED(status))
		die("waitpid");
	end_server(server);
	for (uint32_t i = 1; i <= 5; i++)
		wrong += receive() != 0 || got.u.m.id != i ||
			 got.sender != (uint32_t) server;
	check_same(wrong, 0, "what it has said is received after its death");
	check_way(receive() == 0 && is_got(server, MSG_NOTIFICATION, PAUSE, "paused"),
		  "to the last");
}

static void a_message_that_is_too_big_stays(void)
{
	pid_t server = start_server();

	check_same(send_text(server, MSG_REQUEST, ECHO, "0123456789"), 0, "a request");
	check_same(receive_up_to(sizeof(message_t) + 14), CLOUDOS_EFBIG,
		   "whose answer has no room is refused");
	check_way(receive_up_to(sizeof(message_t) + 15) == 0 &&
			  is_got(server, MSG_RESPONSE, ECHO, "re: 0123456789"),
		  "and received when there is room");
	check_same(receive_up_to(sizeof(message_t) - 1), CLOUDOS_EINVAL,
		   "room for less than a header is refused");
	end_server(server);
}

static int child_sends(void *to)
{
	return send_text(*(pid_t *) to, MSG_NOTIFICATION, 5, "by system call") == 0 ? 0
										    : 1;
}

/* Waits until the parent sleeps, and then sends by system call. */
static int child_sends_later(void *to)
{
	pid_t pid = *(pid_t *) to;
	char state = 0;
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (state != 'S' && state != 't' && now_ms() < deadline) {
		char path[64], text[512] = "";
		const char *end;
		FILE *file;

		(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
		file = fopen(path, "r");
		if (!file || !fgets(text, sizeof(text), file))
			return 9;
		(void) fclose(file); /* only read */
		end = strrchr(text, ')');
		state = end ? end[2] : 0;
	}
	return child_sends(to);
}

static void one_sleep_covers_both(void)
{
	pid_t self = getpid(), server = start_server(), child;
	int status;

	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		_exit(child_sends_later(&self));
	check_way(receive() == 0 &&
			  is_got(child, MSG_NOTIFICATION, 5, "by system call"),
		  "what a process sends that has not begun wakes who has");
	if (waitpid(child, &status, 0) != child || status)
		die("waitpid");
	/* first the table, then the ring */
	check_same(send_text(server, MSG_REQUEST, ECHO, "and then"), 0, "a request");
	check_way(receive() == 0 && is_got(server, MSG_RESPONSE, ECHO, "re: and then"),
		  "is answered as before");
	end_server(server);
}

static void nothing(int signo)
{
	(void) signo;
}

static void a_signal_ends_the_wait(void)
{
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	pid_t server = start_server();

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &often, NULL))
		die("setitimer");
	check_same(receive(), CLOUDOS_EBUSY, "a signal ends the wait for a message");
	if (setitimer(ITIMER_REAL, &never, NULL))
		die("setitimer");
	end_server(server);
}

static int child_is_on_its_own(void *to)
{
	if (send_text(getpid(), MSG_NOTIFICATION, 1, "child") || receive() ||
	    !is_got(getpid(), MSG_NOTIFICATION, 1, "child"))
		return 1;
	begin();
	return child_sends(to);
}

static void fork_begins_without(void)
{
	pid_t self = getpid();

	check_same(send_text(self, MSG_NOTIFICATION, 9, "parent"), 0, "one to itself");
	check_same(in_child(child_is_on_its_own, &self), 0,
		   "a child has none of its parent's messages");
	check_way(receive() == 0 && is_got(self, MSG_NOTIFICATION, 9, "parent"),
		  "which still has them");
	check_way(receive() == 0 && got.u.m.id == 5,
		  "and gets what the child has sent");
}

enum { SENDERS = 3, RECEIVERS = 3, EACH = 150, STOP = 0xffff };

static pid_t senders[SENDERS];
static int received, wrong_ones; /* atomic */

/* Each sender's messages come to each thread in their order. */
static void *receive_until_stopped(void *arg)
{
	message_t *m = malloc(sizeof(*m) + ROOM);
	uint32_t last[SENDERS] = { 0 };

	(void) arg;
	for (;;) {
		uint32_t from = 0;
		int who = 0;

		if (!m || cloudos_ipc_receive(&from, m, sizeof(*m) + ROOM) ||
		    m->id == STOP)
			break;
		while (who < SENDERS && senders[who] != (pid_t) from)
			who++;
		if (who < SENDERS && m->id > last[who] && m->size == nth_size(m->id))
			last[who] = m->id;
		else
			__atomic_add_fetch(&wrong_ones, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
	}
	free(m);
	return NULL;
}

static void threads_share_what_comes(void)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	pthread_t threads[RECEIVERS];
	char text[16];

	received = wrong_ones = 0;
	for (int i = 0; i < SENDERS; i++)
		senders[i] = start_one(i > 0);
	(void) snprintf(text, sizeof(text), "%d", EACH);
	for (int i = 0; i < RECEIVERS; i++)
		if (pthread_create(&threads[i], NULL, receive_until_stopped, NULL))
			die("pthread_create");
	for (int i = 0; i < SENDERS; i++)
		if (send_text(senders[i], MSG_NOTIFICATION, COUNT, text))
			die("a sender");
	while (__atomic_load_n(&received, __ATOMIC_SEQ_CST) < SENDERS * EACH &&
	       now_ms() < deadline)
		breathe();
	for (int i = 0; i < RECEIVERS; i++)
		if (send_text(getpid(), MSG_NOTIFICATION, STOP, ""))
			die("a message to oneself");
	for (int i = 0; i < RECEIVERS; i++)
		(void) pthread_join(threads[i], NULL); /* it is there */
	check_same(received, SENDERS * EACH,
		   "three threads receive what three processes send");
	check_same(wrong_ones, 0, "each of them in the order of each sender");
	for (int i = 0; i < SENDERS; i++)
		end_server(senders[i]);
}

static pid_t daemon_pid(void)
{
	char command[512], line[256];
	long pid = -1;
	FILE *out;

	(void) snprintf(command, sizeof(command), "%s daemon status -o json",
			getenv("CLOUDOSCTL"));
	out = popen(command, "r");
	if (!out)
		die("popen");
	while (fgets(line, sizeof(line), out)) {
		const char *at = strstr(line, "\"pid\"");

		if (at && pid < 0)
			pid = strtol(at + 6 + strspn(at + 6, ": "), NULL, 10);
	}
	(void) pclose(out); /* what it has not said is missed */
	return (pid_t) pid;
}

static void the_daemon_may_die(void)
{
	pid_t server = start_server(), self = getpid(), daemon = daemon_pid();
	uint64_t deadline = now_ms() + PATIENCE_MS;
	bool kept = false, answered = false;
	char want[96];

	if (daemon <= 0) {
		check_way(false, "cloudosctl tells the daemon's pid");
		return;
	}
	check_same(send_text(self, MSG_NOTIFICATION, 1, "before"), 0, "what was sent");
	if (kill(daemon, SIGKILL))
		die("kill");
	check_same(send_text(server, MSG_REQUEST, ECHO, "meanwhile"), 0,
		   "or is sent while there is no daemon");
	for (int i = 0; i < 2; i++) { /* of different senders: in any order */
		if (receive() != 0)
			break;
		if (got.sender == (uint32_t) self)
			kept = is_got(self, MSG_NOTIFICATION, 1, "before");
		else
			answered = is_got(server, MSG_RESPONSE, ECHO, "re: meanwhile");
	}
	check_way(kept, "is received");
	check_way(answered, "and answered");
	while (daemon_pid() == daemon && now_ms() < deadline)
		breathe();
	check_same(in_child(child_sends, &self), 0, "by the next one");
	check_way(receive() == 0 && got.u.m.id == 5, "messages come as before");
	(void) snprintf(want, sizeof(want),
			"process %d has ended without answering request %d", server,
			DIE);
	check_same(send_text(server, MSG_REQUEST, DIE, ""), 0, "and it tells");
	check_way(receive() == 0 && is_got(server, MSG_ERROR, DIE, want),
		  "of ends of those that it never saw begin");
	(void) waitpid(server, NULL, 0); /* it has ended */
}

int main(void)
{
	void (*const checks[])(void) = {
		a_request_is_answered,   one_senders_order_is_kept,
		queues_have_an_end,      a_server_that_ends,
		what_the_dead_have_said, a_message_that_is_too_big_stays,
		one_sleep_covers_both,   a_signal_ends_the_wait,
		fork_begins_without,     threads_share_what_comes,
		the_daemon_may_die,
	};

	for (int way = 0; way < 2; way++) {
		direct = way;
		begin();
		for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
			checks[i]();
	}
	return done();
}
