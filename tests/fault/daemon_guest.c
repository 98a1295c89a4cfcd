/* SPDX-License-Identifier: MIT */
/*
 * The guest of the daemon's fault tests.  GUEST.
 *
 * Reads one command a line and prints "COMMAND RESULT ..." when its calls have returned,
 * RESULT being the raw value (errno of the kernel as -errno).  Raw system calls: nothing
 * restarts, translates or retries behind the test's back.  Started by tests/fault/daemon_*.
 */
#include <cloudos/cloudos.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	NR_CLOUD_REGISTER = 20200,
	NR_IPC_SEND = 20300,
	NR_IPC_RECEIVE = 20301,
	NR_IPC_REPLY = 20302,
	NR_IPC_REGISTER = 20303,
	NR_SHM_CREATE = 20400,
	NR_SHM_OPEN = 20401,
	NR_SHM_UNLINK = 20404,
	NR_REGISTER = 20500,
	NR_DEREGISTER = 20501,
	NR_DISCOVER = 20502,
	NR_REPORT = 20700,
	NR_LAST = 20701,
	NR_VERSION = 21900
};

static long call(long number, const void *a, const void *b, const void *c)
{
	long result = syscall(number, a, b, c);

	return result == -1 ? -errno : result; /* glibc takes -1 to -4095 for errno */
}

static void fill(service_registration_t *r, const char *name, uint32_t ttl)
{
	memset(r, 0, sizeof(*r));
	(void) snprintf(r->name, sizeof(r->name), "%s", name);
	(void) snprintf(r->version, sizeof(r->version), "1");
	r->ttl = ttl;
}

static long reg(const char *name, uint32_t ttl)
{
	service_registration_t r;

	fill(&r, name, ttl);
	return call(NR_REGISTER, &r, NULL, NULL);
}

static long cloud(const char *name)
{
	static service_config_t c;

	memset(&c, 0, sizeof(c));
	c.size = sizeof(c);
	c.port = 7;
	return call(NR_CLOUD_REGISTER, name, &c, NULL);
}

/* 0, or what the call says; *out_count is how many there are. */
static long discover(const char *name, size_t *out_count)
{
	service_registration_t found[4];

	*out_count = 4;
	return call(NR_DISCOVER, name, found, out_count);
}

static long report(int code, const char *message)
{
	error_info_t e = { .error_code = code, .component = "guest" };

	(void) snprintf(e.message, sizeof(e.message), "%s", message);
	return call(NR_REPORT, &e, NULL, NULL);
}

/* ---- messages ---- */

static union {
	message_t m;
	unsigned char bytes[sizeof(message_t) + 70000];
} message;

/* One with data whose bytes follow from the id. */
static long send_one(long number, uint32_t to, message_type_t type, uint32_t id)
{
	message.m.type = type;
	message.m.id = id;
	message.m.size = id % 7 * 10000 + 1;
	memset(message.bytes + sizeof(message_t), (int) id, message.m.size);
	return call(number, (void *) (uintptr_t) to, &message, NULL);
}

/* The raw result; the id of what came, 0 if its data is not as it was sent. */
static long receive_one(uint32_t *out_id)
{
	uint32_t sender = 0, i = 0;
	long result;

	memset(&message, 0x5a, sizeof(message));
	result = call(NR_IPC_RECEIVE, &sender, &message,
		      (void *) (uintptr_t) sizeof(message));
	*out_id = message.m.id;
	while (result == 0 && i < message.m.size &&
	       message.bytes[sizeof(message_t) + i] == (unsigned char) *out_id)
		i++;
	if (result == 0 &&
	    (i != message.m.id % 7 * 10000 + 1 || sender != message.m.sender_pid))
		*out_id = 0;
	return result;
}

/* All that waits in front of a last one, which this sends itself. */
static void drain(void)
{
	uint32_t id = 0;
	long result = send_one(NR_IPC_SEND, 0, MSG_NOTIFICATION, 99);

	printf("drain");
	while (!result) {
		result = receive_one(&id);
		if (id == 99)
			break;
		printf(" %u", id);
	}
	if (result)
		printf(" failed %ld", result);
	printf("\n");
}

/* ---- shared memory of one page ---- */

static char *shm_map(long fd)
{
	char *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
				(int) fd, 0);

	if (fd >= 0)
		(void) close((int) fd); /* the mapping stays */
	return p == MAP_FAILED ? NULL : p;
}

/* Makes one and writes a 7 into it. */
static void shm_make(const char *name)
{
	long result = call(NR_SHM_CREATE, name, (void *) 4096, (void *) 0600);
	char *p = shm_map(result);

	if (p)
		*p = 7;
	printf("shmcreate %ld\n", result < 0 ? result : p ? 0 : -1);
}

static void shm_read(const char *name)
{
	long result = call(NR_SHM_OPEN, name, (void *) O_RDWR, NULL);
	char *p = shm_map(result);

	printf("shmread %ld %d\n", result < 0 ? result : 0, p ? *p : -1);
}

/* ---- many calls ---- */

static atomic_ulong done_calls, bad_calls;
static atomic_long first_bad;
static atomic_bool over;

static void count(long result, long want)
{
	long none = 0;

	atomic_fetch_add(&done_calls, 1);
	if (result == want)
		return;
	atomic_fetch_add(&bad_calls, 1);
	(void) atomic_compare_exchange_strong(&first_bad, &none, result);
}

static void *loop_thread(void *arg)
{
	const char *prefix = arg;
	char name[64];
	size_t n;

	(void) snprintf(name, sizeof(name), "%s-%d", prefix, (int) gettid());
	while (!atomic_load(&over)) {
		count(reg(name, 0), 0);
		count(discover(name, &n), 0);
		count(n == 1 ? 0 : -100000 - (long) n,
		      0); /* acknowledged, so it is there */
		count(call(NR_DEREGISTER, name, NULL, NULL), 0);
		count(discover(name, &n), 0);
		count(n == 0 ? 0 : -200000 - (long) n, 0);
	}
	count(reg(name, 0), 0); /* stays, to be counted */
	return NULL;
}

static pthread_t loopers[16];
static int nloopers;

static void loop_start(const char *prefix, int threads)
{
	static char kept[32];

	(void) snprintf(kept, sizeof(kept), "%s", prefix);
	for (nloopers = 0; nloopers < threads; nloopers++)
		if (pthread_create(&loopers[nloopers], NULL, loop_thread, kept))
			break;
	printf("loop %d\n", nloopers);
}

/* When there have been more calls than that. */
static void loop_stop(unsigned long least)
{
	while (atomic_load(&done_calls) <= least)
		(void) usleep(1000); /* shorter is as good */
	atomic_store(&over, true);
	for (int i = 0; i < nloopers; i++)
		(void) pthread_join(loopers[i], NULL);
	printf("stop %lu %lu %ld\n", atomic_load(&done_calls), atomic_load(&bad_calls),
	       atomic_load(&first_bad));
}

/* ---- signals ---- */

static void on_alarm(int number)
{
	(void) number;
}

/* Registers or deregisters under a storm of signals; who succeeded is who had an effect. */
static void storm(const char *prefix, int restart, int calls)
{
	struct sigaction action = { .sa_handler = on_alarm,
				    .sa_flags = restart ? SA_RESTART : 0 };
	struct itimerval often = { { 0, 300 }, { 0, 300 } },
			 never = { { 0, 0 }, { 0, 0 } };
	long good = 0, interrupted = 0, bad = 0;
	char name[64];

	(void) sigaction(SIGALRM, &action, NULL);
	(void) setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < calls; i++) {
		long result;

		(void) snprintf(name, sizeof(name), "%s-%d", prefix, i);
		result = reg(name, 0);
		good += result == 0;
		interrupted += result == -EINTR;
		bad += result != 0 && result != -EINTR;
	}
	(void) setitimer(ITIMER_REAL, &never, NULL);
	printf("storm %ld %ld %ld\n", good, interrupted, bad);
}

/* ---- memory ---- */

static service_registration_t shared;
static atomic_bool tearing;

static void *tear_thread(void *arg)
{
	(void) arg;
	while (atomic_load(&tearing)) {
		memset(shared.metadata, 'a', 1000);
		memset(shared.metadata, 'b', 1000);
	}
	return NULL;
}

/* Changes what is being read: metadata of "aaa" and "bbb", sometimes without an end. */
static void tear(const char *name, int calls)
{
	long refused = 0, result, want;
	pthread_t thread;

	fill(&shared, name, 0);
	memset(shared.metadata, 'a', 1000);
	atomic_store(&tearing, true);
	if (pthread_create(&thread, NULL, tear_thread, NULL))
		_exit(99);
	for (int i = 0; i < calls; i++) {
		shared.metadata[1000] = i % 2 ? 0 : 'x';
		memset(shared.metadata + 1001, i % 2 ? 0 : 'x', 23);
		result = call(NR_REGISTER, &shared, NULL, NULL);
		want = i % 2 ? 0 : -2000 - 1; /* CLOUDOS_EINVAL: no end */
		refused += result == -2000 - 1;
		count(result, want);
	}
	atomic_store(&tearing, false);
	(void) pthread_join(thread, NULL);
	printf("tear %ld %lu %ld\n", refused, atomic_load(&bad_calls),
	       atomic_load(&first_bad));
}

static void *stuck_thread(void *page)
{
	(void) call(NR_REGISTER, page, NULL, NULL);
	return NULL;
}

/* Threads whose argument lies in a page that nobody ever fills. */
static void stick(int threads)
{
	int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0) {
		printf("stick skip userfaultfd: %s\n", strerror(errno));
		return;
	}
	for (int i = 0; i < threads; i++) {
		void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct uffdio_register r = { .range = { (uintptr_t) page, 4096 },
					     .mode = UFFDIO_REGISTER_MODE_MISSING };

		if (page == MAP_FAILED || ioctl(fd, UFFDIO_REGISTER, &r) < 0 ||
		    pthread_create(&thread, NULL, stuck_thread, page)) {
			printf("stick skip register: %s\n", strerror(errno));
			return;
		}
	}
	printf("stick %d\n", threads);
}

/* ---- processes ---- */

static void spawn(const char *prefix, int children)
{
	int bad = 0, status;

	for (int i = 0; i < children; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char name[64];
			size_t n;

			(void) snprintf(name, sizeof(name), "%s-%d", prefix, i);
			_exit(!(reg(name, 0) == 0 && discover(name, &n) == 0 &&
				n == 1));
		}
		bad += pid < 0;
	}
	while (wait(&status) > 0)
		bad += status != 0;
	printf("spawn %d\n", bad);
}

static void own_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };
	long result = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		result = -errno;
	printf("filter %ld %ld\n", result, call(SYS_getppid, NULL, NULL, NULL));
}

/* One thread calls for ever while the process ends around it. */
static void *calling_thread(void *arg)
{
	for (;;)
		(void) reg(arg, 0);
	return NULL;
}

static void end_in_a_call(char *name)
{
	pthread_t thread;
	struct timespec pause = { 0, 2000000 };

	for (int i = 0; i < 8; i++)
		(void) pthread_create(&thread, NULL, calling_thread, name);
	(void) nanosleep(&pause, NULL);
	_exit(0);
}

static void close_all(void)
{
	int keep = dup2(1, 1000);

	(void) close_range(0, 999, 0);
	(void) close_range(1001, ~0U, 0);
	(void) dup2(keep, 1);
	printf("closeall %ld\n", reg("closed", 0));
	fflush(stdout);
	_exit(0);
}

/* ---- one command ---- */

static void command(char *line)
{
	char word[32] = "", name[64] = "";
	long number = 0;
	uint32_t id = 0;
	size_t n = 0;

	(void) sscanf(line, "%31s %63s %ld", word, name, &number);
	if (!strcmp(word, "register"))
		printf("register %ld\n", reg(name, (uint32_t) number));
	else if (!strcmp(word, "cloud"))
		printf("cloud %ld\n", cloud(name));
	else if (!strcmp(word, "ipc"))
		printf("ipc %ld\n", call(NR_IPC_REGISTER, name, NULL, NULL));
	else if (!strcmp(word, "send"))
		printf("send %ld\n", send_one(NR_IPC_SEND, 0, MSG_NOTIFICATION,
					      (uint32_t) atoi(name)));
	else if (!strcmp(word, "to"))
		printf("to %ld\n", send_one(NR_IPC_SEND, (uint32_t) atoi(name),
					    MSG_NOTIFICATION, (uint32_t) number));
	else if (!strcmp(word, "request"))
		printf("request %ld\n",
		       send_one(NR_IPC_SEND, 0, MSG_REQUEST, (uint32_t) atoi(name)));
	else if (!strcmp(word, "reply"))
		printf("reply %ld\n",
		       send_one(NR_IPC_REPLY, 0, MSG_RESPONSE, (uint32_t) atoi(name)));
	else if (!strcmp(word, "receive")) {
		long result = receive_one(&id);

		printf("receive %ld %u\n", result, id);
	} else if (!strcmp(word, "drain"))
		drain();
	else if (!strcmp(word, "shmcreate"))
		shm_make(name);
	else if (!strcmp(word, "shmread"))
		shm_read(name);
	else if (!strcmp(word, "shmunlink"))
		printf("shmunlink %ld\n", call(NR_SHM_UNLINK, name, NULL, NULL));
	else if (!strcmp(word, "deregister"))
		printf("deregister %ld\n", call(NR_DEREGISTER, name, NULL, NULL));
	else if (!strcmp(word, "discover")) {
		long result = discover(name, &n);

		printf("discover %ld %zu\n", result, n);
	} else if (!strcmp(word, "report"))
		printf("report %ld\n", report((int) number, name));
	else if (!strcmp(word, "last")) {
		error_info_t e = { 0 };
		long result = call(NR_LAST, &e, NULL, NULL);

		printf("last %ld %d %s\n", result, e.error_code, e.message);
	} else if (!strcmp(word, "version"))
		printf("version %ld\n",
		       call(NR_VERSION, (void *) (uintptr_t) atoi(name), NULL, NULL));
	else if (!strcmp(word, "loop"))
		loop_start(name, (int) number);
	else if (!strcmp(word, "stop"))
		loop_stop((unsigned long) number);
	else if (!strcmp(word, "storm"))
		storm(name, name[0] == 'r', (int) number);
	else if (!strcmp(word, "tear"))
		tear(name, (int) number);
	else if (!strcmp(word, "stick"))
		stick((int) number);
	else if (!strcmp(word, "spawn"))
		spawn(name, (int) number);
	else if (!strcmp(word, "filter"))
		own_filter();
	else if (!strcmp(word, "endcall"))
		end_in_a_call(name);
	else if (!strcmp(word, "closeall"))
		close_all();
	else if (!strcmp(word, "root"))
		printf("root %d\n", chroot(name) || chdir("/") ? -errno : 0);
	else if (!strcmp(word, "user")) {
		uid_t user = (uid_t) atoi(name);

		printf("user %d\n", setresuid(user, user, user) ? -errno : 0);
	} else if (!strcmp(word, "pid"))
		printf("pid %d\n", (int) getpid());
	else
		printf("what %s\n", word);
}

int main(int argc, char **argv)
{
	char line[256];

	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		command(argv[i]);
	while (argc == 1 && fgets(line, sizeof(line), stdin))
		command(line);
	return 0;
}
