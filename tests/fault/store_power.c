/* SPDX-License-Identifier: MIT */
/*
 * Power cuts: whatever image of the files a cut leaves, the store opens, holds everything
 * acknowledged before it, and nothing half.  HOST.
 *
 * CO_POWER_IMAGES is the number of images (default 400), CO_SEED the seed.  That the
 * simulator can see a loss at all is checked with a store that does not sync.
 */
#include "tests/conformance/client.h"
#include "tests/fault/power_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 32, COMMITS = 400, INFLIGHT = 4, FILLER = 3000 };

static struct answer a;

/* ---- the workload; commit n writes n to both keys of its slot and to "last" ---- */

static struct {
	struct store *s;
	pthread_mutex_t lock;
	pthread_cond_t some;
	size_t inflight;
	size_t acknowledged_at[COMMITS + 1]; /* position in the log of the VFS */
} work = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

static void acknowledged(void *arg, const struct store_result *result)
{
	if (result->status < 0) {
		fprintf(stderr, "FAILED: commit: %s\n", result->reason);
		exit(1);
	}
	pthread_mutex_lock(&work.lock);
	work.acknowledged_at[(uintptr_t) arg] = power_now();
	work.inflight--;
	pthread_cond_signal(&work.some);
	pthread_mutex_unlock(&work.lock);
}

static void wait_below(size_t limit)
{
	pthread_mutex_lock(&work.lock);
	while (work.inflight >= limit)
		pthread_cond_wait(&work.some, &work.lock);
	pthread_mutex_unlock(&work.lock);
}

static void commit(unsigned n)
{
	static char filler[FILLER];
	char left[16], right[16], value[16];
	struct store_op ops[4];
	struct store_txn txn = { .then = ops, .nthen = 4 };

	memset(filler, (int) n, sizeof(filler));
	snprintf(left, sizeof(left), "a/%02u", n % SLOTS);
	snprintf(right, sizeof(right), "b/%02u", n % SLOTS);
	snprintf(value, sizeof(value), "%u", n);
	for (size_t i = 0; i < 3; i++)
		ops[i] = (struct store_op){ .kind = STORE_PUT,
					    .value = value,
					    .size = strlen(value) };
	ops[0].key = left;
	ops[1].key = right;
	ops[2].key = "last";
	ops[3] = (struct store_op){ .kind = n % 3 ? STORE_PUT : STORE_DELETE,
				    .key = "filler",
				    .value = filler,
				    .size = n * 37 % FILLER };
	wait_below(INFLIGHT);
	pthread_mutex_lock(&work.lock);
	work.inflight++;
	pthread_mutex_unlock(&work.lock);
	if (store_txn(work.s, &txn, acknowledged, (void *) (uintptr_t) n) < 0)
		exit(99);
}

static struct store *open_store(const char *folder, const char *vfs, bool volatile_,
				struct co_err *err)
{
	struct store_options options = { .folder = folder,
					 .vfs = vfs,
					 .volatile_ = volatile_ };
	struct store *s = NULL;

	(void) store_open(&s, &options, err); /* NULL tells */
	return s;
}

static void run_workload(bool volatile_)
{
	struct co_err err = { 0 };
	char folder[256];

	folder_make(folder, sizeof(folder));
	memset(work.acknowledged_at, 0xff, sizeof(work.acknowledged_at));
	work.s = open_store(folder, "co-power", volatile_, &err);
	for (unsigned n = 1; work.s && n <= COMMITS; n++) {
		commit(n);
		if (n % 90 == 0)
			client_compact(&a, work.s, 0);
		if (n % 150 == 0) {
			work.s = store_close(work.s);
			work.s = open_store(folder, "co-power", volatile_, &err);
		}
	}
	if (!work.s) {
		fprintf(stderr, "FAILED: %s\n", err.message);
		exit(1);
	}
	wait_below(1);
	work.s = store_close(work.s);
	folder_remove(folder);
}

/* ---- the verdict over one image ---- */

enum verdict { GOOD, LOST, TORN, BROKEN };

static unsigned newest_acknowledged(size_t at)
{
	unsigned newest = 0;

	for (unsigned n = 1; n <= COMMITS; n++)
		if (work.acknowledged_at[n] <= at)
			newest = n;
	return newest;
}

static unsigned number_at(struct store *s, const char *key)
{
	return (unsigned) strtoul(client_get(&a, s, key)->items[0].value, NULL, 10);
}

static enum verdict judge(struct store *s, unsigned promised)
{
	unsigned last = number_at(s, "last");

	if (a.status < 0)
		return BROKEN;
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		unsigned want = last < slot ? 0 : last - (last - slot) % SLOTS;
		char left[16], right[16];

		snprintf(left, sizeof(left), "a/%02u", slot);
		snprintf(right, sizeof(right), "b/%02u", slot);
		if (number_at(s, left) != want || number_at(s, right) != want)
			return TORN;
	}
	if (last < promised)
		return LOST;
	return client_put(&a, s, "alive", "yes")->status == 0 ? GOOD : BROKEN;
}

static enum verdict one_image(size_t at, enum power_fate fate, bool quiet)
{
	static const char *const words[] = { "", "an acknowledged commit is lost",
					     "a transaction is torn",
					     "the store does not work" };
	struct co_err err = { 0 };
	enum verdict verdict;
	char folder[256];
	struct store *s;

	folder_make(folder, sizeof(folder));
	power_image(folder, at, fate);
	s = open_store(folder, NULL, true, &err);
	verdict = s ? judge(s, newest_acknowledged(at)) : BROKEN;
	if (verdict != GOOD && !quiet)
		fprintf(stderr, "FAILED: cut at step %zu, fate %d: %s%s%s\n", at,
			(int) fate, words[verdict], s ? "" : ": ", err.message);
	(void) store_close(s); /* NULL */
	folder_remove(folder);
	return verdict;
}

static uint64_t number_from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t bad_images(uint64_t images, bool quiet)
{
	size_t steps = power_now();
	uint64_t bad = 0;

	for (uint64_t i = 0; i < images; i++)
		if (one_image((size_t) random() % (steps + 1),
			      (enum power_fate)(random() % POWER_FATES), quiet) != GOOD)
			bad++;
	return bad;
}

int main(void)
{
	uint64_t images = number_from_env("CO_POWER_IMAGES", 400);
	uint64_t seed = number_from_env("CO_SEED", (uint64_t) time(NULL));
	uint64_t bad, seen;

	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		(void) setenv("TMPDIR", "/dev/shm", 1); /* only faster */
	srandom((unsigned) seed);
	power_start();
	run_workload(false);
	bad = bad_images(images, false);
	printf("%llu images of a store that syncs: %llu bad, seed %llu\n",
	       (unsigned long long) images, (unsigned long long) bad,
	       (unsigned long long) seed);
	power_reset();
	run_workload(true);
	seen = bad_images(40, true);
	printf("40 images of a store that does not sync: %llu bad (some must be)\n",
	       (unsigned long long) seen);
	power_reset();
	return bad == 0 && seen > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
