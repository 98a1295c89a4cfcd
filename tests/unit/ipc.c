/* SPDX-License-Identifier: MIT */
/*
 * Tests of cloudosd/service/ipc.h.  HOST.  Besides single sentences one that does
 * everything at random: each open is answered once, each connection ends once for each
 * side that is still there, nothing is left behind.
 */
#include "cloudosd/service/ipc.h"

#include <check.h>
#include <co/limits.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/fake_host.h"

enum { PEERS = 12, OPENS = 4096 };

/* What the events have told a peer. */
struct told {
	struct ipc_peer *peer; /* NULL: it is gone */
	uint64_t offers[OPENS], connections[OPENS], tags[OPENS];
	unsigned noffers, nconnections, ntags; /* not answered, open, not answered */
};

static struct fake_host fake;
static struct ipc *ipc;
static struct told told[PEERS];
static char events[4096]; /* "offered 1; opened 0; ..." by peer */
static uint64_t last_connection;
static unsigned audits;
static const uint64_t key[2] = { 11, 12 };

static void event(const char *what, const struct ipc_peer *peer, int number)
{
	const struct told *t = peer->ctx;
	size_t n = strlen(events);

	(void) snprintf(events + n, sizeof(events) - n,
			number ? "%s %d %d; " : "%s %d; ", what, (int) (t - told),
			number);
	ck_assert_msg(!t->peer || t->peer == peer, "an event for another peer");
}

static bool drop(uint64_t *list, unsigned *count, uint64_t value)
{
	for (unsigned i = 0; i < *count; i++) {
		if (list[i] != value)
			continue;
		list[i] = list[--*count];
		return true;
	}
	return false;
}

static void offered(void *ctx, struct ipc_connection *c)
{
	struct told *t = c->server->ctx;

	(void) ctx;
	event("offered", c->server, 0);
	ck_assert_int_ge(c->client_fd, 0);
	ck_assert_uint_lt(t->noffers, OPENS);
	t->offers[t->noffers++] = last_connection = c->id;
}

static void opened(void *ctx, struct ipc_connection *c)
{
	struct told *t = c->client->ctx, *server = c->server->ctx;

	(void) ctx;
	event("opened", c->client, 0);
	ck_assert_int_ge(c->server_fd, 0);
	ck_assert_msg(drop(t->tags, &t->ntags, c->tag), "an open is answered twice");
	t->connections[t->nconnections++] = c->id;
	if (server != t)
		server->connections[server->nconnections++] = c->id;
}

static void refused(void *ctx, struct ipc_peer *client, uint64_t tag, int status,
		    const char *reason)
{
	struct told *t = client->ctx;

	(void) ctx;
	event("refused", client, status);
	ck_assert_int_lt(status, 0);
	ck_assert_str_ne(reason, "");
	ck_assert_msg(drop(t->tags, &t->ntags, tag), "an open is answered twice");
}

static void detached(void *ctx, struct ipc_peer *whom, uint64_t connection,
		     enum co_ipc_why why)
{
	struct told *t = whom->ctx;

	(void) ctx;
	event("detached", whom, (int) why);
	if (why != CO_IPC_DESTROYED && why != CO_IPC_REVOKED)
		(void) drop(t->connections, &t->nconnections, connection);
}

static void port_gone(void *ctx, struct ipc_peer *whom, uint64_t cookie,
		      enum co_ipc_why why)
{
	(void) ctx;
	(void) cookie;
	event("gone", whom, (int) why);
}

static void names_changed(void *ctx)
{
	(void) ctx;
}

static void audit(void *ctx, const struct ipc_peer *peer, uint64_t guesses)
{
	(void) ctx;
	(void) peer;
	(void) guesses;
	audits++;
}

static const struct ipc_events all_events = { .offered = offered,
					      .opened = opened,
					      .refused = refused,
					      .detached = detached,
					      .port_gone = port_gone,
					      .names_changed = names_changed,
					      .audit = audit };

static unsigned descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		count++;
	(void) closedir(folder);
	return count;
}

static int segment(void)
{
	int fd = memfd_create("segment", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void begin(const struct ipc_limits *limits)
{
	memset(told, 0, sizeof(told));
	events[0] = 0;
	audits = 0;
	fake_init(&fake);
	fake.random_next = 1000;
	ipc = ipc_new(&fake.host, &all_events, key, limits);
	ck_assert_ptr_nonnull(ipc);
}

static void set_up(void)
{
	begin(NULL);
}

static struct ipc_peer *peer(unsigned i, int32_t pid, uint32_t uid)
{
	struct ipc_peer_spec spec = { pid, uid, 5, &told[i] };
	struct co_err err = { 0 };

	memset(&told[i], 0, sizeof(told[i]));
	ck_assert_int_eq(ipc_peer_new(ipc, &spec, &told[i].peer, &err), 0);
	return told[i].peer;
}

static void leave(unsigned i)
{
	struct ipc_peer *gone = told[i].peer;

	told[i].peer = NULL;
	(void) ipc_peer_free(gone, CO_IPC_DIED);
}

static void tear_down(void)
{
	struct ipc_numbers left;

	for (unsigned i = 0; i < PEERS; i++)
		if (told[i].peer)
			leave(i);
	left = ipc_numbers(ipc);
	ck_assert_uint_eq(left.peers, 0);
	ck_assert_uint_eq(left.ports, 0);
	ck_assert_uint_eq(left.names, 0);
	ck_assert_uint_eq(left.connections, 0);
	ipc = ipc_free(ipc);
	fake_done(&fake);
}

static uint64_t port(struct ipc_peer *owner, uint32_t doorbell)
{
	struct co_err err = { 0 };
	struct ipc_port *made = NULL;

	ck_assert_int_eq(ipc_port_create(owner, 0, 0, doorbell, 0, &made, &err), 0);
	return made->cookie;
}

static int open_it(unsigned i, uint64_t cookie, uint64_t tag, uint32_t limit_ms)
{
	struct ipc_open_spec spec = {
		.cookie = cookie, .tag = tag, .limit_ms = limit_ms, .fd = segment()
	};
	struct co_err err = { 0 };
	struct told *t = &told[i];
	int r;

	t->tags[t->ntags++] = tag; /* it may be answered before ipc_open returns */
	r = ipc_open(t->peer, &spec, &err);
	if (r)
		ck_assert(drop(t->tags, &t->ntags, tag));
	return r;
}

static void happened(const char *wanted)
{
	ck_assert_str_eq(events, wanted);
	events[0] = 0;
}

/* ---- sentences ---- */

START_TEST(an_open_is_offered_and_accepted)
{
	uint64_t cookie = port(peer(0, 10, 1), 3);

	peer(1, 11, 1);
	ck_assert_int_eq(open_it(1, cookie, 77, 0), 0);
	happened("offered 0; ");
	ipc_accept(told[0].peer, last_connection, segment());
	happened("opened 1; ");
	ck_assert_int_eq(ipc_close(told[1].peer, last_connection, 0, NULL), 0);
	happened("detached 0; ");
}
END_TEST

START_TEST(users_do_not_reach_each_others_ports)
{
	struct ipc_peer *owner = peer(0, 10, 1), *other = peer(1, 11, 2);
	uint64_t cookie = port(owner, 3);
	struct co_err err = { 0 };
	struct ipc_port *again;

	ck_assert_int_eq(ipc_name_register(owner, cookie, 0, "vfs", &err), 0);
	ck_assert_int_eq(open_it(1, cookie, 77, 0), CO_ACCESS);
	ck_assert_int_eq(ipc_port_destroy(other, cookie, &err), CO_ACCESS);
	ck_assert_int_eq(ipc_port_receive(other, cookie, 0, 0, &err), CO_ACCESS);
	ck_assert_int_eq(ipc_name_register(other, cookie, 0, "x", &err), CO_ACCESS);
	ck_assert_ptr_null(ipc_name_find(other, "vfs"));
	ck_assert_int_eq(ipc_name_remove(other, "vfs", &err), CO_NOT_FOUND);
	ck_assert_ptr_nonnull(ipc_name_find(owner, "vfs"));
	ck_assert_int_eq(ipc_port_create(other, cookie,
					 ipc_port_secret(ipc_name_find(owner, "vfs")),
					 0, 0, &again, &err),
			 CO_ACCESS);
	happened("");
}
END_TEST

START_TEST(a_port_has_the_same_number_for_the_next_daemon)
{
	uint64_t cookie = port(peer(0, 10, 1), 3);
	struct ipc_port *made = ipc_port_by_cookie(ipc, cookie);
	uint64_t secret = ipc_port_secret(made);
	uint32_t number = made->number;
	struct co_err err = { 0 };

	ck_assert_uint_ne(number, 0);
	ck_assert_uint_lt(number, IPC_PORT_NUMBERS);
	ck_assert_ptr_eq(ipc_port_by_number(ipc, number), made);
	ck_assert_int_eq(ipc_port_destroy(told[0].peer, cookie, &err), 0);
	ck_assert_ptr_null(ipc_port_by_number(ipc, number));
	ck_assert_ptr_null(ipc_port_by_cookie(ipc, cookie));
	tear_down();
	begin(NULL);
	ck_assert_int_eq(
		ipc_port_create(peer(0, 10, 1), cookie, secret, 3, 0, &made, &err), 0);
	ck_assert_uint_eq(made->number, number);
	ck_assert_ptr_eq(ipc_port_by_number(ipc, number), made);
}
END_TEST

START_TEST(who_is_no_peer_sees_names_of_its_user_and_session)
{
	struct ipc_peer *owner = peer(0, 10, 1);
	uint64_t common = port(owner, 3), own = port(owner, 4);
	struct ipc_port *all, *mine;
	struct co_err err = { 0 };

	ck_assert_int_eq(ipc_name_register(owner, common, 0, "x", &err), 0);
	ck_assert_int_eq(ipc_name_register(owner, own, CO_IPC_NAME_SESSION, "x", &err),
			 0);
	all = ipc_port_by_cookie(ipc, common);
	mine = ipc_port_by_cookie(ipc, own);
	ck_assert_ptr_eq(ipc_name_seen(ipc, 5, 1, "x"), mine);
	ck_assert_ptr_eq(ipc_name_seen(ipc, 6, 1, "x"), all);
	ck_assert_ptr_eq(ipc_name_seen(ipc, 0, 1, "x"), all);
	ck_assert_ptr_null(ipc_name_seen(ipc, 6, 2, "x"));
	ck_assert_ptr_null(ipc_name_seen(ipc, 6, 1, "y"));
	ck_assert(ipc_name_is_seen(all, 6, 1));
	ck_assert(!ipc_name_is_seen(all, 6, 2));
	ck_assert(ipc_name_is_seen(mine, 5, 1));
	ck_assert(!ipc_name_is_seen(mine, 6, 1));
}
END_TEST

START_TEST(an_open_has_a_time_limit)
{
	uint64_t cookie = port(peer(0, 10, 1), CO_IPC_NO_DOORBELL);
	struct co_err err = { 0 };

	peer(1, 11, 1);
	ck_assert_int_eq(open_it(1, cookie, 1, 500), 0);
	ck_assert_int_eq(open_it(1, cookie, 2, 0), 0);
	fake_advance(&fake, 499);
	happened("");
	fake_advance(&fake, 1);
	happened("refused 1 -22; ");
	fake_advance(&fake, 100000000);
	happened("");
	/* and one that is offered, whose receiver is told */
	ck_assert_int_eq(ipc_port_receive(told[0].peer, cookie, 0, 0, &err), 0);
	happened("offered 0; ");
	ck_assert_int_eq(open_it(1, cookie, 3, 500), 0);
	fake_advance(&fake, 500);
	happened("offered 0; detached 0; refused 1 -22; ");
	ipc_accept(told[0].peer, last_connection, segment());
	happened("");
}
END_TEST

START_TEST(a_receiver_has_so_many_offers_and_no_more)
{
	struct ipc_limits limits;
	uint64_t cookie, first;

	ipc = ipc_free(ipc);
	fake_done(&fake);
	ipc_limits_default(&limits);
	limits.offered = 2;
	begin(&limits);
	cookie = port(peer(0, 10, 1), 3);
	peer(1, 11, 1);
	for (uint64_t tag = 1; tag <= 4; tag++)
		ck_assert_int_eq(open_it(1, cookie, tag, 0), 0);
	happened("offered 0; offered 0; ");
	first = told[0].offers[0];
	ipc_cancel(told[1].peer, 1); /* does not make room: its answer is to come */
	happened("detached 0; refused 1 -21; ");
	ipc_accept(told[0].peer, first, segment());
	happened("offered 0; ");
	ck_assert_int_eq(ipc_close(told[0].peer, told[0].offers[1], CO_IPC_FULL, NULL),
			 0);
	happened("refused 1 -14; offered 0; ");
}
END_TEST

START_TEST(quotas_are_those_of_who_asks)
{
	struct ipc_limits limits;
	struct co_err err = { 0 };
	uint64_t cookie;
	struct ipc_port *made;

	ipc = ipc_free(ipc);
	fake_done(&fake);
	limits = (struct ipc_limits){ .peers = 5,
				      .process_peers = 2,
				      .ports = 3,
				      .process_ports = 2,
				      .names = 3,
				      .process_names = 2,
				      .connections = 3,
				      .process_connections = 2,
				      .opening = 2,
				      .offered = 64 };
	begin(&limits);
	cookie = port(peer(0, 10, 1), CO_IPC_NO_DOORBELL);
	peer(1, 11, 1);
	peer(2, 12, 1);
	ck_assert_int_eq(open_it(1, cookie, 1, 0), 0);
	ck_assert_int_eq(open_it(1, cookie, 2, 0), 0);
	ck_assert_int_eq(open_it(1, cookie, 3, 0), CO_TABLE_FULL); /* of the process */
	ck_assert_int_eq(open_it(2, cookie, 1, 0), 0);
	ck_assert_int_eq(open_it(2, cookie, 2, 0), CO_TABLE_FULL); /* of the user */
	peer(3, 13, 2);
	ck_assert_int_eq(open_it(3, port(told[3].peer, CO_IPC_NO_DOORBELL), 1, 0), 0);
	ipc_cancel(told[1].peer, 1);
	ck_assert_int_eq(open_it(2, cookie, 2, 0), 0);

	(void) port(told[0].peer, 0);
	ck_assert_int_eq(ipc_port_create(told[0].peer, 0, 0, 0, 0, &made, &err),
			 CO_TABLE_FULL);
	(void) port(told[1].peer, 0);
	ck_assert_int_eq(ipc_port_create(told[1].peer, 0, 0, 0, 0, &made, &err),
			 CO_TABLE_FULL);

	ck_assert_int_eq(ipc_name_register(told[1].peer, cookie, 0, "a", &err), 0);
	ck_assert_int_eq(ipc_name_register(told[1].peer, cookie, 0, "b", &err), 0);
	ck_assert_int_eq(ipc_name_register(told[1].peer, cookie, 0, "c", &err),
			 CO_TABLE_FULL);
	ck_assert_int_eq(ipc_name_register(told[2].peer, cookie, 0, "c", &err), 0);
	ck_assert_int_eq(ipc_name_register(told[2].peer, cookie, 0, "d", &err),
			 CO_TABLE_FULL);
	/* what is charged outlives the peer and ends with the port */
	leave(1);
	ck_assert_int_eq(ipc_name_register(told[2].peer, cookie, 0, "d", &err),
			 CO_TABLE_FULL);
	ck_assert_int_eq(ipc_name_remove(told[2].peer, "a", &err), 0);
	ck_assert_int_eq(ipc_name_register(told[2].peer, cookie, 0, "d", &err), 0);
}
END_TEST

START_TEST(guesses_fill_a_bucket_that_empties)
{
	struct ipc_peer *thief = peer(0, 10, 1), *twin = peer(1, 10, 1);
	struct co_err err = { 0 };

	for (int i = 0; i < CO_LIMIT_IPC_GUESSES; i++)
		ck_assert_int_eq(ipc_port_destroy(thief, 1, &err), CO_NOT_FOUND);
	ck_assert_uint_eq(ipc_penalty_ms(thief), 0);
	ck_assert_int_eq(ipc_port_destroy(twin, 1, &err), CO_NOT_FOUND);
	ck_assert_uint_eq(ipc_penalty_ms(thief), 1000 / CO_LIMIT_IPC_GUESS_RATE);
	ck_assert_uint_eq(ipc_penalty_ms(peer(2, 11, 1)), 0);
	fake_advance(&fake, 1000 / CO_LIMIT_IPC_GUESS_RATE);
	ck_assert_uint_eq(ipc_penalty_ms(thief), 0);
	ck_assert_uint_eq(audits, 2);
}
END_TEST

/* ---- everything at random ---- */

static unsigned chance(unsigned n)
{
	return (unsigned) random() % n;
}

static uint64_t cookies[64];

static void random_step(uint64_t tag)
{
	unsigned i = chance(PEERS), k = chance(64);
	struct co_err err = { 0 };
	struct told *t = &told[i];
	struct ipc_port *made;

	if (!t->peer) {
		peer(i, (int32_t) (10 + chance(6)), 1 + (chance(8) == 0));
		return;
	}
	switch (chance(16)) {
	case 0:
		if (!ipc_port_create(t->peer, 0, 0,
				     chance(3) ? chance(4) : CO_IPC_NO_DOORBELL,
				     chance(2), &made, &err))
			cookies[k] = made->cookie;
		break;
	case 1:
		if (chance(4) == 0)
			(void) ipc_port_destroy(t->peer, cookies[k], &err);
		break;
	case 2:
		(void) ipc_port_receive(t->peer, cookies[k], chance(64), chance(4) == 0,
					&err);
		break;
	case 3: {
		char name[8];

		(void) snprintf(name, sizeof(name), "n%u", chance(20));
		if (chance(3))
			(void) ipc_name_register(t->peer, cookies[k], chance(4), name,
						 &err);
		else
			(void) ipc_name_remove(t->peer, name, &err);
		break;
	}
	case 4:
	case 5:
	case 6:
	case 7:
		if (t->ntags < OPENS - 1 && t->nconnections < OPENS / 4)
			(void) open_it(i, cookies[k], tag, chance(3) ? 0 : chance(50));
		break;
	case 8:
	case 9:
	case 10:
		if (t->noffers) { /* each is answered once */
			uint64_t offer = t->offers[chance(t->noffers)];

			(void) drop(t->offers, &t->noffers, offer);
			if (chance(5))
				ipc_accept(t->peer, offer, segment());
			else
				(void) ipc_close(t->peer, offer, chance(6), &err);
		}
		break;
	case 11:
		if (t->nconnections) {
			uint64_t c = t->connections[chance(t->nconnections)];

			(void) drop(t->connections, &t->nconnections, c);
			ck_assert_msg(ipc_connection_of(t->peer, c) != NULL,
				      "a connection is gone and nobody was told");
			ck_assert_int_eq(ipc_close(t->peer, c, 0, &err), 0);
		}
		break;
	case 12:
		if (t->ntags)
			ipc_cancel(t->peer, t->tags[chance(t->ntags)]);
		break;
	case 13:
		if (chance(20) == 0) /* which takes real time */
			fake_advance(&fake, chance(50));
		break;
	case 14: { /* strangers' numbers */
		uint64_t c = last_connection + chance(3);

		if (!ipc_connection_of(t->peer, c))
			ipc_accept(t->peer, c, segment());
		break;
	}
	default:
		if (chance(6) == 0)
			leave(i);
		break;
	}
	events[0] = 0;
}

START_TEST(everything_at_random_leaves_nothing)
{
	unsigned before = descriptors();

	srandom((unsigned) _i + 1);
	for (uint64_t step = 0; step < 20000; step++)
		random_step(step + 1);
	for (unsigned i = 0; i < PEERS; i++) {
		struct told *t = &told[i];

		for (unsigned k = 0; t->peer && k < t->nconnections; k++)
			ck_assert_ptr_nonnull(
				ipc_connection_of(t->peer, t->connections[k]));
		if (t->peer)
			leave(i);
	}
	ck_assert_uint_eq(descriptors(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipc");
	TCase *tests = tcase_create("ipc");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, an_open_is_offered_and_accepted);
	tcase_add_test(tests, users_do_not_reach_each_others_ports);
	tcase_add_test(tests, a_port_has_the_same_number_for_the_next_daemon);
	tcase_add_test(tests, who_is_no_peer_sees_names_of_its_user_and_session);
	tcase_add_test(tests, an_open_has_a_time_limit);
	tcase_add_test(tests, a_receiver_has_so_many_offers_and_no_more);
	tcase_add_test(tests, quotas_are_those_of_who_asks);
	tcase_add_test(tests, guesses_fill_a_bucket_that_empties);
	tcase_add_loop_test(tests, everything_at_random_leaves_nothing, 0, 8);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
