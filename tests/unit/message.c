/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/message.h.  HOST.  Processes are real, and so are deaths. */
#include "cloudosd/service/message.h"

#include <check.h>
#include <co/status.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/fake_host.h"

static struct fake_host fake;
static struct messages_saved *saved;
static struct messages *m;
static struct process_id a, b;
static uint64_t calls, over; /* calls up to that one are over */
static struct co_err err;

static bool is_over(void *ctx, const struct message_call *call)
{
	(void) ctx;
	return call->call <= over;
}

static struct process_id child_start(void)
{
	struct process_id id = { 0 };
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* tidy if the test dies */
		for (;;)
			(void) pause(); /* only a signal ends it */
	}
	ck_assert_int_eq(process_read(pid, &id, NULL), 0);
	return id;
}

static void child_end(const struct process_id *id)
{
	if (id->pid && waitpid(id->pid, NULL, WNOHANG) == 0) {
		(void) kill(id->pid, SIGKILL);
		(void) waitpid(id->pid, NULL, 0);
	}
}

static void open_messages(void)
{
	m = messages_new(&fake.host, saved, is_over, NULL);
	ck_assert_ptr_nonnull(m);
}

static void set_up(void)
{
	fake_init(&fake);
	saved = mmap(NULL, sizeof(*saved), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(saved, MAP_FAILED);
	calls = over = 0;
	a = child_start();
	b = child_start();
	open_messages();
}

static void tear_down(void)
{
	m = messages_free(m);
	fake_done(&fake);
	child_end(&a);
	child_end(&b);
	(void) munmap(saved, sizeof(*saved));
}

/* Another daemon, after the first was killed. */
static void restart(void)
{
	m = messages_free(m);
	fake_settle(&fake);
	open_messages();
}

static void die(struct process_id *id)
{
	child_end(id);
	fake_settle(&fake);
}

/* ---- a call each ---- */

static struct message_call next_call(void)
{
	calls++;
	return (struct message_call){ .session = 1, .call = calls, .slot = 7 };
}

static struct message_party party_of(const struct process_id *id)
{
	return (struct message_party){
		.process = *id, .session = 1, .uid = 5, .pid = (uint32_t) id->pid
	};
}

static int send_sized(const struct process_id *from, const struct process_id *to,
		      uint32_t kind, uint32_t id, uint32_t size)
{
	autofree char *data = malloc(size + 1);
	struct message_text text = {
		.kind = kind, .id = id, .size = size, .data = data
	};
	struct message_party f = party_of(from), t = party_of(to);
	struct message_call call = next_call();

	memset(data, (int) id, size);
	err = (struct co_err){ 0 };
	return messages_send(m, &f, &t, &text, &call, &err);
}

static int send_to(const struct process_id *from, const struct process_id *to,
		   uint32_t kind, uint32_t id)
{
	return send_sized(from, to, kind, id, 1000);
}

static int reply(const struct process_id *from, const struct process_id *to,
		 uint32_t id)
{
	struct message_text text = {
		.kind = MESSAGE_RESPONSE, .id = id, .size = 3, .data = "so"
	};
	struct message_party f = party_of(from);
	struct message_call call = next_call();

	err = (struct co_err){ 0 };
	return messages_reply(m, &f, to, &text, &call, &err);
}

struct outcome {
	int runs, status;
	struct message_got got;
	char text[1100];
	struct message_call call;
	struct message_wait *wait;
};

static void keep(struct outcome *o)
{
	memcpy(o->text, o->got.bytes, o->got.size < 1100 ? o->got.size : 1100);
	free(o->got.bytes);
}

static void on_done(void *arg, int status, const struct message_got *got,
		    const char *reason)
{
	struct outcome *o = arg;

	ck_assert((status == 0) == (*reason == 0));
	o->runs++;
	o->status = status;
	o->got = *got;
	if (!status)
		keep(o);
}

static int receive_as(const struct process_id *id, const struct message_call *call,
		      bool again, size_t room, struct outcome *o)
{
	struct message_party party = party_of(id);
	struct message_room r = { .data = room, .pid = (uint32_t) id->pid };

	*o = (struct outcome){ .call = *call };
	err = (struct co_err){ 0 };
	o->status = messages_receive(m, &party, &r, call, again, &o->got, &o->wait,
				     on_done, o, &err);
	if (o->status == 0)
		keep(o);
	return o->status;
}

static int receive(const struct process_id *id, struct outcome *o)
{
	struct message_call call = next_call();

	return receive_as(id, &call, false, 1U << 20, o);
}

static void expect(const struct process_id *id, uint32_t kind, uint32_t number)
{
	struct outcome o;

	ck_assert_int_eq(receive(id, &o), 0);
	ck_assert_uint_eq(o.got.kind, kind);
	ck_assert_uint_eq(o.got.id, number);
}

static void expect_none(const struct process_id *id)
{
	struct outcome o;

	ck_assert_int_eq(receive(id, &o), MESSAGES_WAITING);
	(void) messages_cancel(o.wait); /* is NULL */
	ck_assert_int_eq(o.runs, 0);
}

static uint64_t count(void)
{
	uint64_t n, processes;

	messages_numbers(m, &n, &processes);
	return n;
}

/* ---- order and content ---- */

START_TEST(messages_come_oldest_first_and_whole)
{
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 1), 0);
	ck_assert_int_eq(send_to(&b, &b, MESSAGE_NOTIFICATION, 2), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 3, 0), 0);
	ck_assert_int_eq(receive(&b, &o), 0);
	ck_assert_uint_eq(o.got.id, 1);
	ck_assert_uint_eq(o.got.size, 1000);
	ck_assert_uint_eq(o.got.sender_pid, (uint32_t) a.pid);
	ck_assert_uint_eq(o.got.receiver_pid, (uint32_t) b.pid);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(o.text[i], 1);
	expect(&b, MESSAGE_NOTIFICATION, 2);
	expect(&b, MESSAGE_NOTIFICATION, 3);
	expect_none(&b);
	expect_none(&a);
}
END_TEST

START_TEST(who_waits_is_served_in_turn)
{
	struct message_call one = next_call(), two = next_call();
	struct outcome first, second;

	ck_assert_int_eq(receive_as(&b, &one, false, 1000, &first), MESSAGES_WAITING);
	ck_assert_int_eq(receive_as(&b, &two, false, 1000, &second), MESSAGES_WAITING);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(first.runs, 1);
	ck_assert_int_eq(second.runs, 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 2), 0);
	ck_assert_int_eq(second.runs, 1);
	ck_assert_uint_eq(first.got.id, 1);
	ck_assert_uint_eq(second.got.id, 2);
}
END_TEST

START_TEST(what_is_too_big_stays_for_who_has_room)
{
	struct message_call one = next_call(), two = next_call();
	struct outcome small, large;

	ck_assert_int_eq(receive_as(&b, &one, false, 999, &small), MESSAGES_WAITING);
	ck_assert_int_eq(receive_as(&b, &two, false, 1000, &large), MESSAGES_WAITING);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 1), 0);
	ck_assert_int_eq(small.status, CO_TOO_BIG);
	ck_assert_int_eq(small.runs, 1);
	ck_assert_int_eq(large.status, 0);
	ck_assert_int_eq(large.runs, 1);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 2), 0);
	ck_assert_int_eq(receive_as(&b, &one, false, 10, &small), CO_TOO_BIG);
	expect(&b, MESSAGE_NOTIFICATION, 2);
}
END_TEST

START_TEST(what_is_put_back_is_as_old_as_before)
{
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 2), 0);
	ck_assert_int_eq(receive(&b, &o), 0);
	messages_put_back(m, o.got.record, &o.call);
	messages_put_back(m, o.got.record, &o.call); /* once is enough */
	expect(&b, MESSAGE_REQUEST, 1);
	expect(&b, MESSAGE_NOTIFICATION, 2);
	expect_none(&b);
	ck_assert_int_eq(reply(&b, &a, 1), 0);
	ck_assert_int_eq(receive(&a, &o), 0);
	messages_put_back(m, o.got.record, &o.call);
	expect(&a, MESSAGE_RESPONSE, 1);
	expect_none(&a);
}
END_TEST

/* ---- answers ---- */

START_TEST(an_answer_needs_its_request_and_is_one)
{
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND); /* not received yet */
	expect(&b, MESSAGE_REQUEST, 1);
	ck_assert_int_eq(reply(&b, &a, 2), CO_NOT_FOUND);
	ck_assert_int_eq(reply(&a, &a, 1), CO_NOT_FOUND);
	ck_assert_int_eq(reply(&b, &b, 1), CO_NOT_FOUND);
	ck_assert_int_eq(reply(&b, &a, 1), 0);
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND);
	expect(&a, MESSAGE_RESPONSE, 1);
	over = calls;
	expect_none(&a);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_dead_receiver_is_an_error_for_each_request_and_nothing_else)
{
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 2), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 3), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 4), 0);
	expect(&b, MESSAGE_REQUEST, 1);
	expect(&b, MESSAGE_REQUEST, 2);
	ck_assert_int_eq(reply(&b, &a, 2), 0);
	over = calls;
	fake_advance(&fake, 2000);
	die(&b);
	expect(&a, MESSAGE_RESPONSE, 2);
	expect(&a, MESSAGE_ERROR, 3);
	ck_assert_int_eq(receive(&a, &o), 0);
	ck_assert_uint_eq(o.got.kind, MESSAGE_ERROR);
	ck_assert_uint_eq(o.got.id, 1);
	ck_assert_ptr_nonnull(strstr(o.text, "has ended without answering"));
	expect_none(&a);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 5), CO_GONE);
	over = calls;
	fake_advance(&fake, 2000);
	ck_assert_uint_eq(count(), 0);
	ck_assert_uint_eq(fake_timers(&fake), 0);
}
END_TEST

START_TEST(who_waits_for_an_answer_is_woken_by_the_death)
{
	struct message_call call = next_call();
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(receive_as(&a, &call, false, 1000, &o), MESSAGES_WAITING);
	die(&b);
	ck_assert_int_eq(o.runs, 1);
	ck_assert_int_eq(o.status, 0);
	ck_assert_uint_eq(o.got.kind, MESSAGE_ERROR);
}
END_TEST

START_TEST(what_the_dead_have_said_is_still_said)
{
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 2), 0);
	die(&a);
	expect(&b, MESSAGE_REQUEST, 1);
	expect(&b, MESSAGE_NOTIFICATION, 2);
	ck_assert_int_lt(reply(&b, &a, 1), 0);
	over = calls;
	fake_advance(&fake, 2000);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_sender_pays_until_it_is_received)
{
	for (uint32_t i = 0; i < CO_LIMIT_MESSAGES_SENT; i++)
		ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, i, 1), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 1), CO_BUSY);
	ck_assert_int_eq(send_sized(&b, &b, MESSAGE_NOTIFICATION, 1, 1), 0);
	expect(&b, MESSAGE_NOTIFICATION, 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 1), 0);
}
END_TEST

START_TEST(bytes_are_limited_too)
{
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, i, 1 << 20),
				 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 1), CO_BUSY);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 0), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, (1 << 20) + 1),
			 CO_TOO_BIG);
	expect(&b, MESSAGE_NOTIFICATION, 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 1), 0);
}
END_TEST

START_TEST(a_requester_pays_until_it_has_the_answer)
{
	for (uint32_t i = 0; i < CO_LIMIT_MESSAGES_SENT; i++) {
		ck_assert_int_eq(send_sized(&a, &b, MESSAGE_REQUEST, i, 1), 0);
		expect(&b, MESSAGE_REQUEST, i);
		over = calls;
	}
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_REQUEST, 1, 1), CO_BUSY);
	ck_assert_int_eq(reply(&b, &a, 0), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_REQUEST, 1, 1), CO_BUSY);
	expect(&a, MESSAGE_RESPONSE, 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_REQUEST, 1, 1), 0);
	/* the server owes nothing for all of that */
	ck_assert_int_eq(send_sized(&b, &b, MESSAGE_NOTIFICATION, 1, 1), 0);
}
END_TEST

START_TEST(another_users_process_is_not_written_to)
{
	struct message_party f = party_of(&a), t = party_of(&b);
	struct message_text text = { .kind = MESSAGE_NOTIFICATION, .data = "" };
	struct message_call call = next_call();

	t.uid = 6;
	ck_assert_int_eq(messages_send(m, &f, &t, &text, &call, &err), CO_ACCESS);
	expect_none(&b);
}
END_TEST

/* ---- daemons ---- */

static void remember(void *ctx, uint32_t waiting)
{
	*(uint32_t *) ctx = waiting;
}

START_TEST(who_watches_knows_how_many_wait)
{
	uint32_t told = 99;
	struct message_watch watch = { .told = remember, .ctx = &told };
	struct message_call call = next_call();
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 1), 0);
	ck_assert_int_eq(messages_watch(m, &b, &watch, &err), 0);
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 2), 0);
	ck_assert_uint_eq(told, 2);
	expect(&b, MESSAGE_NOTIFICATION, 1);
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(receive_as(&b, &call, false, 1U << 20, &o), 0);
	ck_assert_uint_eq(told, 0);
	messages_put_back(m, o.got.record, &call);
	ck_assert_uint_eq(told, 1);
	expect(&b, MESSAGE_REQUEST, 2);
	messages_unwatch(&watch);
	messages_unwatch(&watch); /* nothing */
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 3), 0);
	ck_assert_uint_eq(told, 0);
}
END_TEST

START_TEST(the_next_daemon_has_what_waits)
{
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_REQUEST, 2, 70000), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 3), 0);
	expect(&b, MESSAGE_REQUEST, 1);
	restart();
	over = calls;
	expect(&b, MESSAGE_REQUEST, 2);
	restart();
	ck_assert_int_eq(reply(&b, &a, 2), 0);
	ck_assert_int_eq(reply(&b, &a, 1), 0);
	restart();
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND);
	expect(&a, MESSAGE_RESPONSE, 2);
	expect(&a, MESSAGE_RESPONSE, 1);
	expect(&b, MESSAGE_NOTIFICATION, 3);
	over = calls;
	fake_advance(&fake, 2000);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_call_that_is_said_again_gets_the_same)
{
	struct message_call call = next_call();
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	call.call = calls;
	ck_assert(messages_have_sent(m, &call));
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_NOTIFICATION, 2), 0);
	ck_assert(!messages_have_sent(m, &call)); /* the slot is another call's now */
	call = next_call();
	ck_assert(!messages_have_sent(m, &call));
	ck_assert_int_eq(receive_as(&b, &call, false, 1000, &o), 0);
	restart();
	ck_assert_int_eq(receive_as(&b, &call, true, 1000, &o), 0);
	ck_assert_uint_eq(o.got.id, 1);
	ck_assert_uint_eq(o.got.size, 1000);
	call.call++;
	ck_assert_int_eq(receive_as(&b, &call, true, 1000, &o), 0);
	ck_assert_uint_eq(o.got.id, 2);
}
END_TEST

START_TEST(who_died_while_no_daemon_ran_is_noticed)
{
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 2), 0);
	expect(&b, MESSAGE_REQUEST, 1);
	child_end(&b);
	restart();
	expect(&a, MESSAGE_ERROR, 2);
	expect(&a, MESSAGE_ERROR, 1);
	expect_none(&a);
	child_end(&a);
	restart();
	over = calls;
	fake_advance(&fake, 2000);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

/* A kill between any two stores leaves a record that counts whole or not at all. */
START_TEST(what_was_half_written_does_not_count)
{
	struct message_record *record;

	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 1, 5000), 0);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 2, 5000), 0);
	record = &saved->records[0];
	atomic_store(&record->state, MESSAGE_FREE); /* before its commit */
	restart();
	expect(&b, MESSAGE_NOTIFICATION, 2);
	ck_assert_int_eq(send_sized(&a, &b, MESSAGE_NOTIFICATION, 3, 5000), 0);
	ck_assert_uint_le(saved->blocks_used, 20); /* the blocks are used again */
	saved->records[0].first = 12345;           /* nonsense */
	restart();
	over = calls;
	expect_none(&b);
}
END_TEST

START_TEST(an_answer_that_counts_has_answered)
{
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	expect(&b, MESSAGE_REQUEST, 1);
	over = calls;
	fake_advance(&fake, 2000);
	ck_assert_int_eq(reply(&b, &a, 1), 0);
	/* as if it had been killed before it could say so */
	atomic_store(&saved->records[0].state, MESSAGE_OPEN);
	atomic_store(&saved->records[0].replied, 0);
	restart();
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND);
	expect(&a, MESSAGE_RESPONSE, 1);
	expect_none(&a);
}
END_TEST

/* ---- the daemon on behalf of somebody ---- */

static struct message_call daemon_call(void)
{
	return (struct message_call){ .call = ++calls, .slot = MESSAGE_DAEMON };
}

static void on_gone(void *arg, int status, const struct message_got *got,
		    const char *reason)
{
	struct outcome *o = arg;

	ck_assert_ptr_null(got);
	ck_assert_str_ne(reason, "");
	o->runs++;
	o->status = status;
}

START_TEST(who_waits_for_another_is_told_that_it_has_ended)
{
	struct message_party party = party_of(&b);
	struct message_room room = { .data = 100 };
	struct message_call call = daemon_call();
	struct outcome o = { 0 };

	ck_assert_int_eq(messages_receive(m, &party, &room, &call, false, &o.got,
					  &o.wait, on_gone, &o, &err),
			 MESSAGES_WAITING);
	die(&a);
	ck_assert_int_eq(o.runs, 0);
	die(&b);
	ck_assert_int_eq(o.runs, 1);
	ck_assert_int_eq(o.status, CO_GONE);
}
END_TEST

START_TEST(what_is_received_tells_who_sent_it_and_to_whom)
{
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(receive(&b, &o), 0);
	ck_assert(process_same(&o.got.from, &a));
	ck_assert_uint_eq(o.got.addressed, (uint32_t) b.pid);
	die(&b);
	ck_assert_int_eq(receive(&a, &o), 0);
	ck_assert_uint_eq(o.got.kind, MESSAGE_ERROR);
	ck_assert(process_same(&o.got.from, &b));
}
END_TEST

START_TEST(what_a_daemon_had_taken_for_another_is_an_error_from_the_next)
{
	struct message_call call = daemon_call();
	struct outcome o;

	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 1), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 2), 0);
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 3), 0);
	ck_assert_int_eq(receive_as(&b, &call, false, 1000, &o), 0);
	expect(&b, MESSAGE_REQUEST, 2); /* by itself */
	over = calls;
	restart();
	messages_orphans(m);
	ck_assert_int_eq(receive(&a, &o), 0);
	ck_assert_uint_eq(o.got.kind, MESSAGE_ERROR);
	ck_assert_uint_eq(o.got.id, 1);
	ck_assert_ptr_nonnull(strstr(o.text, "restarted"));
	expect_none(&a);
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND);
	ck_assert_int_eq(reply(&b, &a, 2), 0);
	expect(&b, MESSAGE_REQUEST, 3);
	messages_orphans(m);
	expect(&a, MESSAGE_RESPONSE, 2);
	expect_none(&a);
}
END_TEST

START_TEST(what_a_daemon_had_asked_for_another_is_forgotten_by_the_next)
{
	struct message_text text = { .kind = MESSAGE_REQUEST, .id = 1, .data = "" };
	struct message_party from = party_of(&a), to = party_of(&b);

	for (text.id = 1; text.id <= 2; text.id++) {
		struct message_call call = daemon_call();

		ck_assert_int_eq(messages_send(m, &from, &to, &text, &call, &err), 0);
	}
	ck_assert_int_eq(send_to(&a, &b, MESSAGE_REQUEST, 3), 0);
	expect(&b, MESSAGE_REQUEST, 1);
	restart();
	messages_orphans(m);
	ck_assert_int_eq(reply(&b, &a, 1), CO_NOT_FOUND);
	expect(&b, MESSAGE_REQUEST, 3);
	expect_none(&b);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	TCase *tests = tcase_create("message");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, messages_come_oldest_first_and_whole);
	tcase_add_test(tests, who_waits_is_served_in_turn);
	tcase_add_test(tests, what_is_too_big_stays_for_who_has_room);
	tcase_add_test(tests, what_is_put_back_is_as_old_as_before);
	tcase_add_test(tests, an_answer_needs_its_request_and_is_one);
	tcase_add_test(tests,
		       a_dead_receiver_is_an_error_for_each_request_and_nothing_else);
	tcase_add_test(tests, who_waits_for_an_answer_is_woken_by_the_death);
	tcase_add_test(tests, what_the_dead_have_said_is_still_said);
	tcase_add_test(tests, a_sender_pays_until_it_is_received);
	tcase_add_test(tests, bytes_are_limited_too);
	tcase_add_test(tests, a_requester_pays_until_it_has_the_answer);
	tcase_add_test(tests, another_users_process_is_not_written_to);
	tcase_add_test(tests, who_watches_knows_how_many_wait);
	tcase_add_test(tests, the_next_daemon_has_what_waits);
	tcase_add_test(tests, a_call_that_is_said_again_gets_the_same);
	tcase_add_test(tests, who_died_while_no_daemon_ran_is_noticed);
	tcase_add_test(tests, what_was_half_written_does_not_count);
	tcase_add_test(tests, an_answer_that_counts_has_answered);
	tcase_add_test(tests, who_waits_for_another_is_told_that_it_has_ended);
	tcase_add_test(tests, what_is_received_tells_who_sent_it_and_to_whom);
	tcase_add_test(tests,
		       what_a_daemon_had_taken_for_another_is_an_error_from_the_next);
	tcase_add_test(tests,
		       what_a_daemon_had_asked_for_another_is_forgotten_by_the_next);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
