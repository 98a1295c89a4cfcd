/* SPDX-License-Identifier: MIT */
/*
 * Bridges of containers, between name spaces of their own.  HOST.
 *
 * Each test that makes links runs in a fresh network name space, which is "the host"; its
 * containers are processes in further ones.  What the box does not give is skipped with a
 * line that says so.
 */
#include "cloudosd/ctr/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cloudosd/ctr/netlink.h"
#include "cloudosd/ctr/network_inside.h"
#include "tests/unit/network.h"

static struct ctr_network_probe box;

/* Becomes the host of this test. */
static bool host(const char *test)
{
	struct co_err err = { 0 };

	if (!box.bridge) {
		(void) fprintf(stderr, "skipped: %s: %s\n", test, box.bridge_why);
		return false;
	}
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	/* the lock of other tests' hosts is none of ours */
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	check(ctr_network_loopback(&err), &err);
	return true;
}

/* ---- a container ---- */

static pid_t container(char name)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || ctr_network_loopback(NULL) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(92);
		(void) close(ready[1]);
		serve(name);
	}
	(void) close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	(void) close(ready[0]);
	return pid;
}

/* The same, from where that process is. */
static void ask_from(pid_t pid, const char *address, unsigned port, char *out)
{
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[48];
	pid_t child;
	int fd, status;

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	child = fork();
	if (child == 0) {
		if (setns(fd, CLONE_NEWNET) < 0)
			_exit(1);
		ask(address, port, 5000, shared, 64);
		_exit(0);
	}
	(void) close(fd);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	(void) snprintf(out, 64, "%s", shared);
	(void) munmap(shared, 4096);
}

static void await_serving(const char *address)
{
	char text[64] = "";

	for (int i = 0; i < WAIT_MS / 10 && !text[0]; i++) {
		ask(address, 80, 1000, text, sizeof(text));
		(void) usleep(text[0] ? 0 : 10000);
	}
	ck_assert_str_ne(text, "");
}

static void plan(char *out, size_t n, unsigned last, const char *ports)
{
	(void) snprintf(out, n,
			"{\"mode\":\"bridge\",\"bridge\":\"cloudos0\",\"gateway\":"
			"\"10.201.3.1\",\"prefix\":24,\"address\":\"10.201.3.%u\","
			"\"ports\":[%s]}",
			last, ports);
}

static struct ctr_network *attach(const char *id, const char *json, pid_t pid)
{
	struct ctr_network *n = NULL;
	struct co_err err = { 0 };

	check(ctr_network_create(id, co_span(json), pid, &n, &err), &err);
	return n;
}

static char forward(void)
{
	int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);
	char c = '?';

	ck_assert_int_eq(read(fd, &c, 1), 1);
	(void) close(fd);
	return c;
}

static void set_forward(char c)
{
	int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(write(fd, &c, 1), 1);
	(void) close(fd);
}

static void count_table(const struct nlmsghdr *m, void *arg)
{
	(void) m;
	++*(int *) arg;
}

static int tables(void)
{
	struct netlink n = { 0 };
	char head[4] = { 0 };
	int fd = netlink_open(NETLINK_NETFILTER), count = 0;

	netlink_begin(&n, 10 << 8 | 1, NLM_F_DUMP, head, sizeof(head)); /* GETTABLE */
	netlink_end(&n);
	ck_assert_int_eq(netlink_list(fd, &n, count_table, &count), 0);
	(void) close(fd);
	return count;
}

static int links(void)
{
	struct if_nameindex *all = if_nameindex();
	int n = 0;

	for (size_t i = 0; all[i].if_index; i++)
		n += strcmp(all[i].if_name, "lo") != 0;
	if_freenameindex(all);
	return n;
}

static void nothing_is_left(char was)
{
	ck_assert_int_eq(links(), 0);
	ck_assert_int_eq(tables(), 0);
	ck_assert_int_eq(forward(), was);
	ck_assert_int_lt(access("/run/cloudos-network.lock", F_OK), 0);
}

/* ---- bridge ---- */

START_TEST(containers_reach_each_other_and_nothing_is_left_of_them)
{
	char json[512], text[64];
	struct ctr_network *a, *b;
	pid_t pa, pb;

	if (!host("bridge"))
		return;
	set_forward('0');
	pa = container('a');
	pb = container('b');
	plan(json, sizeof(json), 2, "");
	a = attach("7", json, pa);
	ck_assert_int_eq(forward(), '1');
	plan(json, sizeof(json), 3, "");
	b = attach("8", json, pb);
	await_serving("10.201.3.2");
	ask_from(pb, "10.201.3.2", 80, text);
	ck_assert_str_eq(text, "a10.201.3.3");
	end(pa);
	ctr_network_remove(a);
	ck_assert_int_eq(tables(), 1);
	ck_assert_int_eq(forward(), '1');
	end(pb);
	ctr_network_remove(b);
	nothing_is_left('0');
}
END_TEST

START_TEST(forwarding_that_was_on_stays_on)
{
	char json[512];
	struct ctr_network *a;
	pid_t pa;

	if (!host("forwarding"))
		return;
	set_forward('1');
	pa = container('a');
	plan(json, sizeof(json), 2, "");
	a = attach("7", json, pa);
	end(pa);
	ctr_network_remove(a);
	nothing_is_left('1');
}
END_TEST

/* Another machine: 198.51.100.2, whose way to this host is 198.51.100.1. */
static pid_t outside(struct network_plan *p)
{
	struct co_err err = { 0 };
	char path[48];
	int fd = netlink_open(NETLINK_ROUTE), name_space, own, inside;
	pid_t pid = container('o');

	*p = (struct network_plan){ .prefix = 24, .bridge = "outside", .veth = "out" };
	(void) inet_pton(AF_INET, "198.51.100.1", &p->gateway);
	(void) inet_pton(AF_INET, "198.51.100.2", &p->address);
	p->mac[0] = 2;
	p->mac[5] = 9;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
	name_space = open(path, O_RDONLY | O_CLOEXEC);
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	check(network_bridge_make(fd, p, &err), &err);
	check(network_veth_make(fd, p, name_space, &err), &err);
	ck_assert_int_eq(setns(name_space, CLONE_NEWNET), 0);
	inside = netlink_open(NETLINK_ROUTE);
	ck_assert_int_eq(setns(own, CLONE_NEWNET), 0);
	check(network_inside(inside, p, &err), &err);
	(void) close(name_space);
	(void) close(own);
	(void) close(inside);
	(void) close(fd);
	return pid;
}

START_TEST(a_published_port_is_reached_and_others_are_not)
{
	char json[512], other[512], text[64];
	struct network_plan world;
	struct ctr_network *a, *b;
	struct co_err err = { 0 };
	pid_t po, pa, pb;

	if (!host("publishing"))
		return;
	po = outside(&world);
	pa = container('a');
	plan(json, sizeof(json), 2,
	     "{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80},"
	     "{\"address\":\"198.51.100.1\",\"host\":8081,\"inside\":80},"
	     "{\"address\":\"198.51.100.99\",\"host\":8082,\"inside\":80},"
	     "{\"protocol\":\"udp\",\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}");
	a = attach("7", json, pa);
	await_serving("10.201.3.2");
	ask_from(po, "198.51.100.1", 8080, text);
	ck_assert_str_eq(text, "a198.51.100.2");
	ask_from(po, "198.51.100.1", 8081, text);
	ck_assert_str_eq(text, "a198.51.100.2");
	ask("198.51.100.1", 8080, 5000, text, sizeof(text)); /* from this host itself */
	ck_assert_int_eq(text[0], 'a');
	ask_from(pa, "198.51.100.1", 8080, text); /* from the container to itself */
	ck_assert_int_eq(text[0], 'a');
	ask("127.0.0.1", 8080, 5000, text, sizeof(text));
	ck_assert_str_eq(text, "");
	ask_from(pa, "198.51.100.2", 80, text); /* masqueraded */
	ck_assert_str_eq(text, "o198.51.100.1");
	/* changed while it runs */
	plan(json, sizeof(json), 2,
	     "{\"address\":\"0.0.0.0\",\"host\":9090,\"inside\":80}");
	check(ctr_network_publish(a, co_span(json), &err), &err);
	ask_from(po, "198.51.100.1", 8080, text);
	ck_assert_str_eq(text, "");
	ask_from(po, "198.51.100.1", 9090, text);
	ck_assert_str_eq(text, "a198.51.100.2");
	/* who cleans up knows the first ports only */
	pb = container('b');
	plan(json, sizeof(json), 2,
	     "{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}");
	plan(other, sizeof(other), 3,
	     "{\"address\":\"0.0.0.0\",\"host\":9090,\"inside\":80}");
	check(ctr_network_clean("7", co_span(json), &err), &err);
	b = attach("8", other, pb);
	end(pb);
	ctr_network_remove(b);
	end(pa);
	ctr_network_remove(a);
	end(po);
}
END_TEST

/* It knows the way to the subnet, but nothing was published to it. */
START_TEST(an_unpublished_port_is_not_reached_by_routing_to_the_subnet)
{
	char json[512], text[64];
	struct network_plan world;
	struct ctr_network *a;
	int control;
	pid_t po, pa;

	if (!host("routing"))
		return;
	po = outside(&world);
	pa = container('a');
	plan(json, sizeof(json), 2, "");
	a = attach("7", json, pa);
	await_serving("10.201.3.2");
	ask_from(pa, "198.51.100.2", 80, text);
	ck_assert_str_eq(text, "o198.51.100.1");
	ask_from(po, "10.201.3.2", 80, text); /* by its route to everywhere */
	ck_assert_str_eq(text, "");
	/* and that was the table's doing */
	control = netlink_open(NETLINK_NETFILTER);
	network_table_drop(control, &world, false, true);
	(void) close(control);
	ask_from(po, "10.201.3.2", 80, text);
	ck_assert_str_eq(text, "a198.51.100.2");
	end(pa);
	ctr_network_remove(a);
	end(po);
}
END_TEST

START_TEST(a_port_is_published_once)
{
	static const char port[] =
		"{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}";
	char json[512], text[64];
	struct ctr_network *a, *b = NULL;
	struct co_err err = { 0 };
	struct network_plan world;
	pid_t po, pa, pb;

	if (!host("once"))
		return;
	po = outside(&world);
	pa = container('a');
	pb = container('b');
	plan(json, sizeof(json), 2, port);
	a = attach("7", json, pa);
	plan(json, sizeof(json), 3, port);
	ck_assert_int_eq(ctr_network_create("8", co_span(json), pb, &b, &err),
			 CO_EXISTS);
	/* its failure took nothing of the other's away */
	await_serving("10.201.3.2");
	ask_from(po, "198.51.100.1", 8080, text);
	ck_assert_int_eq(text[0], 'a');
	end(pa);
	ctr_network_remove(a);
	end(pb);
	end(po);
}
END_TEST

START_TEST(what_a_killed_monitor_left_is_cleaned)
{
	char json[512];
	struct co_err err = { 0 };
	pid_t pa, monitor;

	if (!host("cleaning"))
		return;
	set_forward('0');
	pa = container('a');
	plan(json, sizeof(json), 2,
	     "{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}");
	monitor = fork();
	if (monitor == 0) {
		(void) attach("7", json, pa);
		(void) kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(monitor, NULL, 0), monitor);
	ck_assert_int_eq(tables(), 1);
	end(pa);
	check(ctr_network_clean("7", co_span(json), &err), &err);
	nothing_is_left('0');
	check(ctr_network_clean("7", co_span(json), &err), &err);
	nothing_is_left('0');
}
END_TEST

/* It has the port by now: cleaning up after the first one leaves it alone. */
START_TEST(cleaning_takes_no_port_of_another)
{
	static const char port[] =
		"{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}";
	char a[512], b[512], text[64];
	struct ctr_network *n;
	struct co_err err = { 0 };
	struct network_plan world;
	pid_t po, pb;

	if (!host("another's port"))
		return;
	po = outside(&world);
	pb = container('b');
	plan(a, sizeof(a), 2, port);
	plan(b, sizeof(b), 3, port);
	n = attach("8", b, pb);
	check(ctr_network_clean("7", co_span(a), &err), &err);
	await_serving("10.201.3.3");
	ask_from(po, "198.51.100.1", 8080, text);
	ck_assert_int_eq(text[0], 'b');
	end(pb);
	ctr_network_remove(n);
	end(po);
}
END_TEST

START_TEST(a_subnet_in_use_is_refused)
{
	char json[512];
	struct network_plan world;
	struct ctr_network *n = NULL;
	struct co_err err = { 0 };
	pid_t po, pa;

	if (!host("subnet"))
		return;
	po = outside(&world);
	pa = container('a');
	(void) snprintf(json, sizeof(json), "%s",
			"{\"mode\":\"bridge\",\"bridge\":\"cloudos0\",\"gateway\":"
			"\"198.51.0.1\",\"prefix\":16,\"address\":\"198.51.0.2\"}");
	ck_assert_int_eq(ctr_network_create("7", co_span(json), pa, &n, &err),
			 CO_CONFLICT);
	ck_assert_ptr_nonnull(strstr(err.message, "outside"));
	ck_assert_ptr_nonnull(strstr(err.message, "containers.subnet"));
	end(pa);
	end(po);
}
END_TEST

START_TEST(a_link_of_somebody_else_is_not_taken_for_ours)
{
	char json[512];
	struct ctr_network *n = NULL;
	struct netlink m = { 0 };
	struct ifinfo {
		char bytes[16];
	} info = { { 0 } };
	int fd;
	pid_t pa;
	uint32_t index;

	if (!host("foreign link"))
		return;
	pa = container('a');
	plan(json, sizeof(json), 2, "");
	ctr_network_remove(attach("7", json, pa));
	/* lo, which nobody made, by the name of our bridge */
	index = if_nametoindex("lo");
	memcpy(info.bytes + 4, &index, 4);
	fd = netlink_open(NETLINK_ROUTE);
	netlink_begin(&m, 16, NLM_F_ACK, &info, sizeof(info)); /* NEWLINK */
	netlink_text(&m, 3, "cloudos0");                       /* IFNAME */
	netlink_end(&m);
	if (netlink_do(fd, &m) == 0)
		ck_assert_int_eq(ctr_network_create("7", co_span(json), pa, &n, NULL),
				 CO_EXISTS);
	(void) close(fd);
	end(pa);
}
END_TEST

START_TEST(plans_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"mode\":5}",
		"{\"mode\":\"mesh\"}",
		"{\"mode\":\"bridge\"}",
		"{\"mode\":\"bridge\",\"bridge\":\"../x\",\"gateway\":\"10.0.0.1\","
		"\"prefix\":24,\"address\":\"10.0.0.2\"}",
		"{\"mode\":\"bridge\",\"bridge\":\"b\",\"gateway\":\"10.0.0.1\","
		"\"prefix\":24,\"address\":\"10.0.1.2\"}",
		"{\"mode\":\"bridge\",\"bridge\":\"b\",\"gateway\":\"10.0.0.1\","
		"\"prefix\":24,\"address\":\"10.0.0.1\"}",
		"{\"mode\":\"bridge\",\"bridge\":\"b\",\"gateway\":\"10.0.0.1\","
		"\"prefix\":0,\"address\":\"10.0.0.2\"}",
		"{\"mode\":\"private\",\"ports\":{}}",
		"{\"mode\":\"private\",\"ports\":[{\"host\":0,\"inside\":1}]}",
		"{\"mode\":\"private\",\"ports\":[{\"host\":1,\"inside\":65536}]}",
		"{\"mode\":\"private\",\"ports\":[{\"host\":1,\"inside\":1,"
		"\"protocol\":\"sctp\"}]}",
		"{\"mode\":\"private\",\"ports\":[{\"host\":1,\"inside\":1,"
		"\"address\":\"::\"}]}",
	};

	for (size_t i = 0; i < co_countof(bad); i++) {
		struct ctr_network *n = NULL;

		ck_assert_msg(ctr_network_create("7", co_span(bad[i]), getpid(), &n,
						 NULL) == CO_INVALID,
			      "%s", bad[i]);
	}
}
END_TEST

/* ---- how long it takes: printed, not judged ---- */

START_TEST(time_of_a_bridge)
{
	char json[512];
	struct timespec from, to;
	enum { ROUNDS = 20 };
	struct ctr_network *first;
	double ms[2] = { 0 };
	pid_t keep;

	if (!host("time"))
		return;
	keep = container('k');
	plan(json, sizeof(json), 200, "");
	first = attach("1", json, keep);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pid_t pid = container('t');
		struct ctr_network *n;

		plan(json, sizeof(json), 10 + i,
		     "{\"address\":\"0.0.0.0\",\"host\":8080,\"inside\":80}");
		(void) clock_gettime(CLOCK_MONOTONIC, &from);
		n = attach("2", json, pid);
		(void) clock_gettime(CLOCK_MONOTONIC, &to);
		ms[0] += (double) (to.tv_sec - from.tv_sec) * 1e3 +
			 (double) (to.tv_nsec - from.tv_nsec) / 1e6;
		end(pid);
		(void) clock_gettime(CLOCK_MONOTONIC, &from);
		ctr_network_remove(n);
		(void) clock_gettime(CLOCK_MONOTONIC, &to);
		ms[1] += (double) (to.tv_sec - from.tv_sec) * 1e3 +
			 (double) (to.tv_nsec - from.tv_nsec) / 1e6;
	}
	(void) fprintf(stderr,
		       "bridge with a port: made in %.2f ms, removed in %.2f ms\n",
		       ms[0] / ROUNDS, ms[1] / ROUNDS);
	end(keep);
	ctr_network_remove(first);
	ck_assert_int_eq(tables(), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("network");

	ctr_network_look(&box);
	(void) fprintf(stderr, "bridge %d (%s), forward \"%s\"\n", box.bridge,
		       box.bridge_why, box.forward);
	tcase_add_test(tcase, containers_reach_each_other_and_nothing_is_left_of_them);
	tcase_add_test(tcase, forwarding_that_was_on_stays_on);
	tcase_add_test(tcase, a_published_port_is_reached_and_others_are_not);
	tcase_add_test(tcase,
		       an_unpublished_port_is_not_reached_by_routing_to_the_subnet);
	tcase_add_test(tcase, a_port_is_published_once);
	tcase_add_test(tcase, what_a_killed_monitor_left_is_cleaned);
	tcase_add_test(tcase, cleaning_takes_no_port_of_another);
	tcase_add_test(tcase, a_subnet_in_use_is_refused);
	tcase_add_test(tcase, a_link_of_somebody_else_is_not_taken_for_ours);
	tcase_add_test(tcase, plans_that_make_no_sense_are_refused);
	tcase_add_test(tcase, time_of_a_bridge);
	return run_tests(tcase);
}
