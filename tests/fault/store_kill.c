/* SPDX-License-Identifier: MIT */
/*
 * kill -9 at random instants: nothing acknowledged is lost, no transaction is torn, the
 * database opens.  HOST.  CO_KILLS is the number of rounds (default 30), CO_SEED the seed.
 */
#include "tests/conformance/client.h"

#include "lib/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, INFLIGHT = 16 };

static char folder[256];
static struct answer a;
static int ack_fd;

static uint64_t number_from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static struct store *open_or_die(void)
{
	struct store_options options = { .folder = folder };
	struct co_err err = { 0 };
	struct store *s = NULL;

	if (store_open(&s, &options, &err) < 0) {
		fprintf(stderr, "FAILED: cannot open after a kill: %s\n", err.message);
		exit(1);
	}
	return s;
}

/* ---- the child: commits for ever, acknowledges each commit over the pipe ---- */

static struct store *victim;
static uint64_t next_number;

static void acknowledge(void *arg, const struct store_result *result);

/* Transaction n writes n into both keys of its slot, into "last", and into the journal. */
static void commit_next(void)
{
	uint64_t n = next_number++;
	char left[32], right[32], value[32];
	struct store_op ops[3];
	struct store_journal journal = { .slot = (uint32_t) (n % SLOTS),
					 .session = 1,
					 .call = n,
					 .result = (int64_t) n };
	struct store_txn txn = { .then = ops, .nthen = 3, .journal = &journal };

	snprintf(left, sizeof(left), "a/%03u", (unsigned) (n % SLOTS));
	snprintf(right, sizeof(right), "b/%03u", (unsigned) (n % SLOTS));
	snprintf(value, sizeof(value), "%llu", (unsigned long long) n);
	for (size_t i = 0; i < 3; i++)
		ops[i] = (struct store_op){ .kind = STORE_PUT,
					    .value = value,
					    .size = strlen(value) };
	ops[0].key = left;
	ops[1].key = right;
	ops[2].key = "last";
	if (store_txn(victim, &txn, acknowledge, (void *) (uintptr_t) n) < 0)
		_exit(3);
}

static void acknowledge(void *arg, const struct store_result *result)
{
	uint64_t n = (uint64_t) (uintptr_t) arg;

	if (result->status < 0 || write(ack_fd, &n, sizeof(n)) != sizeof(n))
		_exit(4);
	commit_next();
}

static void be_killed(uint64_t first)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	victim = open_or_die();
	next_number = first;
	for (int i = 0; i < INFLIGHT; i++)
		commit_next();
	for (;;)
		pause();
}

/* ---- the parent ---- */

static bool fail(const char *what, uint64_t got, uint64_t want)
{
	fprintf(stderr, "FAILED: %s: %llu, acknowledged up to %llu\n", what,
		(unsigned long long) got, (unsigned long long) want);
	return false;
}

static uint64_t value_of(struct store *s, const char *key)
{
	return strtoull(client_get(&a, s, key)->items[0].value, NULL, 10);
}

/* All slots hold exactly what the transactions up to `last` put there. */
static bool check(struct store *s, uint64_t acknowledged, uint64_t *out_last)
{
	uint64_t last = value_of(s, "last");

	if (last < acknowledged)
		return fail("a commit is lost: the newest is", last, acknowledged);
	for (uint64_t slot = 0; slot < SLOTS; slot++) {
		uint64_t want = last < slot ? 0 : last - (last - slot) % SLOTS;
		char left[32], right[32];
		int64_t result = 0;

		snprintf(left, sizeof(left), "a/%03u", (unsigned) slot);
		snprintf(right, sizeof(right), "b/%03u", (unsigned) slot);
		if (value_of(s, left) != want || value_of(s, right) != want)
			return fail("a transaction is torn in slot", slot,
				    acknowledged);
		if (want &&
		    (store_journal_find(s, (uint32_t) slot, 1, want, &result) != 1 ||
		     result != (int64_t) want))
			return fail("the journal does not know", want, acknowledged);
	}
	*out_last = last;
	return true;
}

/* Kills a child after it has acknowledged some commits; the last it acknowledged. */
static uint64_t one_kill(uint64_t first)
{
	uint64_t acknowledged = 0, n, wanted = (uint64_t) random() % 200;
	struct timespec a_little = { .tv_nsec = random() % 3000000 };
	int ends[2];
	pid_t pid;

	if (pipe(ends) < 0 || (pid = fork()) < 0) {
		perror("pipe, fork");
		exit(99);
	}
	if (pid == 0) {
		close(ends[0]);
		ack_fd = ends[1];
		be_killed(first);
	}
	close(ends[1]);
	for (uint64_t i = 0; i <= wanted && read(ends[0], &n, sizeof(n)) == sizeof(n);
	     i++)
		acknowledged = n;
	nanosleep(&a_little, NULL); /* the instant is random, nothing is waited for */
	kill(pid, SIGKILL);
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		acknowledged = n;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return acknowledged;
}

int main(void)
{
	uint64_t kills = number_from_env("CO_KILLS", 30);
	uint64_t seed = number_from_env("CO_SEED", (uint64_t) time(NULL));
	uint64_t acknowledged = 0, last = 0, total = 0;
	bool ok = true;

	srandom((unsigned) seed);
	folder_make(folder, sizeof(folder));
	for (uint64_t i = 0; ok && i < kills; i++) {
		uint64_t newest = one_kill(last + 1);
		struct store *s = open_or_die();

		total += newest > last ? newest - last : 0;
		acknowledged = newest > acknowledged ? newest : acknowledged;
		ok = check(s, acknowledged, &last);
		(void) store_close(s); /* NULL */
	}
	folder_remove(folder);
	printf("%s: %llu kills, %llu commits acknowledged, seed %llu\n",
	       ok ? "ok" : "FAILED", (unsigned long long) kills,
	       (unsigned long long) total, (unsigned long long) seed);
	return ok && total ? EXIT_SUCCESS : EXIT_FAILURE;
}
