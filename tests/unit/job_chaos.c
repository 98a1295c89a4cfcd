/* SPDX-License-Identifier: MIT */
/*
 * Jobs at random: created, cancelled, answered, with a daemon that is killed and a disk that
 * is full whenever it is worst.  HOST.  CO_SEED repeats a run, CO_CHAOS makes it longer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/job_fixture.h"

enum { JOBS = 512 };

/* What has been acknowledged of a job. */
struct promise {
	char id[64], end[24];
	uint32_t attempts;
	bool cancelled;
	unsigned begun_before; /* tasks by the time it was cancelled */
};

static struct promise promises[JOBS];
static unsigned npromises;
static uint64_t seed;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned) (seed >> 33) % n;
}

static void do_create(void)
{
	uint32_t attempts = 1 + draw(3);
	char spec[160];
	const char *id;

	if (npromises == JOBS)
		return;
	(void) snprintf(spec, sizeof(spec), "{\"params\":%u,\"maxAttempts\":%u}",
			npromises, attempts);
	if (draw(8) == 0)
		(void) snprintf(spec, sizeof(spec),
				"{\"schedule\":\"*/%u * * * * *\",\"overlap\":\"%s\","
				"\"misfire\":\"%s\"}",
				1 + draw(20),
				(const char *[]){ "skip", "queue", "allow",
						  "replace" }[draw(4)],
				(const char *[]){ "once", "skip", "all" }[draw(3)]);
	id = world_create(spec);
	if (world_status || !*id)
		return;
	(void) snprintf(promises[npromises].id, sizeof(promises[0].id), "%s", id);
	promises[npromises++].attempts = attempts;
}

static void do_cancel(void)
{
	struct promise *p = &promises[npromises ? draw(npromises) : 0];

	if (!npromises || world_cancel(p->id) != 0)
		return;
	ck_assert_str_eq(world_member("status"), "\"cancelled\"");
	p->cancelled = true;
	p->begun_before = world.ntasks;
}

static void do_answer(void)
{
	unsigned n = world.ntasks ? draw(world.ntasks) : 0;

	if (!world.ntasks || !world.worker || !world.tasks[n].id)
		return;
	if (draw(3))
		world_complete(n, "1");
	else
		world_fail(n, "X");
}

static void do_kill(void)
{
	world.store.mute = draw(2); /* what is committed last nobody hears of */
	for (unsigned n = draw(6); n; n--)
		(void) fake_turn(&world.fake);
	world_kill();
	world_start();
	if (draw(4)) {
		world_attach();
		for (unsigned i = 0; i < world.ntasks; i++)
			if (!world.tasks[i].id && draw(2))
				world.tasks[i].id = handlers_resume(
					world.worker, co_span(world.tasks[i].run),
					co_span(world.tasks[i].token));
	}
}

static void step(void)
{
	switch (draw(9)) {
	case 0:
	case 1:
		do_create();
		break;
	case 2:
		do_cancel();
		break;
	case 3:
	case 4:
		do_answer();
		break;
	case 5:
		if (draw(3) == 0)
			do_kill();
		break;
	case 6:
		if (world.worker && draw(4) == 0)
			world_detach();
		else if (!world.worker)
			world_attach();
		break;
	case 7:
		fake_advance(&world.fake, draw(3000));
		break;
	case 8:
		world.store.fail = draw(6) == 0 ? CO_NO_SPACE : 0;
		break;
	}
}

static unsigned begun(const char *id, unsigned from)
{
	unsigned n = 0;

	for (unsigned i = from; i < world.ntasks; i++)
		n += strcmp(world.tasks[i].run, id) == 0;
	return n;
}

static void check_promise(struct promise *p)
{
	const char *status;

	(void) world_get(p->id);
	ck_assert_msg(world_status == 0, "%s was acknowledged and is lost", p->id);
	status = world_member("status");
	ck_assert_msg(!p->cancelled || strcmp(status, "\"cancelled\"") == 0,
		      "%s was cancelled and is %s", p->id, status);
	ck_assert_msg(!*p->end || strcmp(p->end, status) == 0, "%s was %s and is %s",
		      p->id, p->end, status);
	if (strstr("\"completed\"\"failed\"\"cancelled\"", status))
		(void) snprintf(p->end, sizeof(p->end), "%s", status);
	ck_assert_msg(begun(p->id, 0) <= p->attempts, "%s was begun %u times", p->id,
		      begun(p->id, 0));
	ck_assert_msg(!p->cancelled || !begun(p->id, p->begun_before),
		      "%s was begun after it was cancelled", p->id);
}

/* Runs that handlers were given, one for each of their moments at most. */
static void check_ticks(void)
{
	static char keys[WORLD_TASKS][128];
	static const char *runs[WORLD_TASKS];
	unsigned n = 0;

	for (unsigned i = 0; i < world.ntasks; i++) {
		if (*world_member_of(world.tasks[i].run, "parent") == '\0')
			continue;
		(void) snprintf(keys[n], sizeof(keys[n]), "%.60s %.60s",
				world_member("parent"), world_member("scheduledFor"));
		for (unsigned k = 0; k < n; k++)
			ck_assert_msg(strcmp(keys[k], keys[n]) != 0 ||
					      strcmp(world.tasks[i].run, runs[k]) == 0,
				      "%s has two runs", keys[n]);
		runs[n++] = world.tasks[i].run;
	}
}

static void one_world(uint64_t number)
{
	seed = number;
	npromises = 0;
	memset(promises, 0, sizeof(promises));
	world_begin("2026-11-20T12:00:00Z");
	for (int i = 0; i < 400 && world.ntasks < 90; i++)
		step();
	world.store.fail = 0;
	if (!world.worker)
		world_attach();
	for (unsigned i = 0; i < npromises; i++)
		check_promise(&promises[i]);
	check_ticks();
	/* and everything comes to an end */
	for (unsigned i = 0; i < npromises; i++)
		if (*world_member_of(promises[i].id, "schedule"))
			(void) world_cancel(promises[i].id);
	world.answer_at_once = true;
	for (unsigned i = 0; i < world.ntasks; i++)
		if (world.tasks[i].id)
			world_complete(i, "1");
	fake_advance(&world.fake, 400000);
	for (unsigned i = 0; i < npromises; i++)
		check_promise(&promises[i]);
	/* but for schedules that nobody was told of, since the daemon died */
	ck_assert_msg(jobs_numbers(world.jobs).running == 0, "something never ends");
	world_end();
}

START_TEST(nothing_is_lost_and_nothing_begun_twice_whatever_is_killed_when)
{
	const char *given = getenv("CO_SEED"), *count = getenv("CO_CHAOS");
	uint64_t first = given ? strtoull(given, NULL, 10) : 1;
	uint64_t n = given ? 1 : count ? strtoull(count, NULL, 10) : 150;

	for (uint64_t i = first; i < first + n; i++) {
		(void) fprintf(stderr, "\rCO_SEED=%llu ", (unsigned long long) i);
		one_world(i);
	}
}
END_TEST

void job_chaos_tests(TCase *tc);
void job_chaos_tests(TCase *tc)
{
	tcase_add_test(tc,
		       nothing_is_lost_and_nothing_begun_twice_whatever_is_killed_when);
}
