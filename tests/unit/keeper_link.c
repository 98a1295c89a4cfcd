/* SPDX-License-Identifier: MIT */
/* The daemon's end of the channel to its keeper: when is that gone?  HOST. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloudosd/daemon.h"
#include "cloudosd/keeper_link.h"
#include "cloudosd/link.h"
#include "cloudosd/sockets.h"
#include "lib/wire.h"
#include "tests/run.h"

/* ---- what it calls ---- */

struct co_watch {
	void (*ready)(void *arg);
	void *arg;
};

static struct co_watch watch;
static bool watched;
static int times_gone;

static struct co_watch *watch_new(void *ctx, int fd, bool writable,
				  void (*ready)(void *arg), void *arg)
{
	(void) ctx;
	(void) fd;
	ck_assert(!writable && !watched);
	watched = true;
	watch = (struct co_watch){ ready, arg };
	return &watch;
}

static void watch_free(struct co_watch *w)
{
	ck_assert(!w || (w == &watch && watched));
	watched = watched && !w;
}

void daemon_keeper_gone(struct daemon *d)
{
	(void) d;
	times_gone++;
}

/* Nothing is kept in these tests. */
int link_fd(const struct link *l)
{
	(void) l;
	return -1;
}

int session_restore(struct daemon *d, uint32_t index, int fd, int listener,
		    struct co_err *err)
{
	(void) d;
	(void) fd;
	(void) listener;
	return co_fail(err, CO_NOT_FOUND, "%u", index);
}

int shm_fd(const struct shm *shm, uint32_t index)
{
	(void) shm;
	(void) index;
	return -1;
}

void shm_restore(struct shm *shm, uint32_t index, int fd)
{
	(void) shm;
	(void) index;
	(void) close(fd); /* a test's */
}

void shm_restored(struct shm *shm)
{
	(void) shm;
}

int sockets_fd(const struct sockets *s, uint32_t slot)
{
	(void) s;
	(void) slot;
	return -1;
}

void sockets_restore(struct sockets *s, uint32_t slot, int fd)
{
	(void) s;
	(void) slot;
	(void) close(fd); /* a test's */
}

/* ---- tests ---- */

static struct keeper_link *begin(int *out_keeper)
{
	static const struct co_host host = { .watch_new = watch_new,
					     .watch_free = watch_free };
	static struct daemon d;
	struct keeper_link *k;
	struct co_err err;
	int pair[2];

	d.host = &host;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair),
			 0);
	ck_assert_int_eq(keeper_link_new(&k, &d, pair[0], &err), 0);
	ck_assert(watched);
	*out_keeper = pair[1];
	return k;
}

static void keeper_says_ready(int fd)
{
	struct co_msg *msg = co_msg_new();

	(void) co_msg_start(msg, WIRE_keeper_ready_note, 0);
	ck_assert_int_eq(co_msg_send(msg, fd, NULL, 0), 0);
	(void) co_msg_free(msg);
}

START_TEST(a_note_that_was_read_meanwhile_is_not_the_keepers_end)
{
	struct co_err err;
	int keeper;
	struct keeper_link *k = begin(&keeper);

	/* the loop has seen that there is something ... */
	keeper_says_ready(keeper);
	/* ... and before it looks, the thread that takes over has read it */
	ck_assert_int_eq(keeper_take_over(k, &err), 0);
	watch.ready(watch.arg);
	ck_assert_int_eq(times_gone, 0);
	ck_assert(watched);
	/* nor is one that nobody has read */
	keeper_says_ready(keeper);
	watch.ready(watch.arg);
	ck_assert_int_eq(times_gone, 0);
	(void) close(keeper);
	(void) keeper_link_free(k);
}
END_TEST

START_TEST(a_closed_channel_is_the_keepers_end_once)
{
	int keeper;
	struct keeper_link *k = begin(&keeper);

	(void) close(keeper);
	watch.ready(watch.arg);
	ck_assert_int_eq(times_gone, 1);
	ck_assert(!watched);
	(void) keeper_link_free(k);
}
END_TEST

START_TEST(a_keeper_that_died_without_reading_is_gone_too)
{
	int keeper;
	struct keeper_link *k = begin(&keeper);

	keeper_ready(k); /* unread: the kernel tells a reset instead of an end */
	(void) close(keeper);
	watch.ready(watch.arg);
	ck_assert_int_eq(times_gone, 1);
	(void) keeper_link_free(k);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("keeper_link");

	tcase_add_test(tests, a_note_that_was_read_meanwhile_is_not_the_keepers_end);
	tcase_add_test(tests, a_closed_channel_is_the_keepers_end_once);
	tcase_add_test(tests, a_keeper_that_died_without_reading_is_gone_too);
	return run_tests(tests);
}
