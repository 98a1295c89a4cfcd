/* SPDX-License-Identifier: MIT */
/*
 * HOST.  A thread that is cancelled ends, wherever it is: before, in, or behind a call.
 * libc finds that out from the address that its signal has interrupted.  Built with glibc
 * and, where it is installed, statically with musl.  Usage: signals_cancel ROUNDS
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ends[2];
static volatile int cleaned, running;
static sem_t semaphore;

static void clean(void *unused)
{
	(void) unused;
	cleaned++;
}

static void in_read(void)
{
	char byte;

	(void) !read(ends[0], &byte, 1);
}

static void in_sleep(void)
{
	struct timespec t = { .tv_sec = 100 };

	(void) nanosleep(&t, NULL);
}

static void in_poll(void)
{
	(void) poll(NULL, 0, -1);
}

static void in_pselect(void)
{
	sigset_t set;

	/* not the signal that cancels: libc's own are not in there */
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	(void) pselect(0, NULL, NULL, NULL, NULL, &set);
}

static void in_semaphore(void)
{
	(void) sem_wait(&semaphore);
}

static void in_open(void)
{
	(void) open("signals.fifo", O_RDONLY);
}

static void short_calls(void)
{
	char byte;
	int fd;

	for (;;) {
		fd = open("/dev/null",
			  O_RDWR); /* may be cancelled; close and others too */
		if (fd >= 0) {
			(void) !read(fd, &byte, 1);
			(void) !write(fd, "x", 1);
			(void) close(fd);
		}
	}
}

static void (*const places[])(void) = { in_read,      in_sleep, in_poll,    in_pselect,
					in_semaphore, in_open,  short_calls };
static const char *const names[] = { "read",     "nanosleep", "poll",       "pselect",
				     "sem_wait", "open",      "short calls" };

static void *thread(void *place)
{
	pthread_cleanup_push(clean, NULL);
	running = 1;
	for (;;)
		places[(long) place]();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *at_any_time(void *unused)
{
	int before;

	(void) unused;
	pthread_cleanup_push(clean, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
	running = 1;
	for (;;)
		(void) getppid();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *not_now(void *unused)
{
	int before;
	sigset_t set, old;

	(void) unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	running = 1;
	for (int i = 0; i < 200; i++) {
		(void) open("/none", O_RDONLY);
		sigfillset(&set);
		(void) pthread_sigmask(SIG_BLOCK, &set, &old);
		(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	return (void *) 77;
}

static void cancel(const char *name, void *(*f)(void *), long place, int rounds,
		   void *expected)
{
	unsigned seed = 1;

	cleaned = 0;
	for (int i = 0; i < rounds; i++) {
		pthread_t t;
		void *result;

		running = 0;
		if (pthread_create(&t, NULL, f, (void *) place))
			exit(1);
		while (!running)
			sched_yield();
		/* at different moments: right away, on the way into the call, in it */
		for (int n = i % 4 ? rand_r(&seed) % (i % 4 * 2000) : 0; n; n--)
			__asm__ volatile("");
		if (i % 8 == 7)
			usleep(1000);
		if (pthread_cancel(t) || pthread_join(t, &result)) {
			printf("wrong: %s\n", name);
			exit(1);
		}
		if (result != expected) {
			printf("wrong: %s: the thread ended with %p\n", name, result);
			exit(1);
		}
	}
	printf("%s: %d\n", name, cleaned);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;

	(void) unlink("signals.fifo");
	if (pipe(ends) || sem_init(&semaphore, 0, 0) || mkfifo("signals.fifo", 0600))
		return 1;
	alarm(300); /* a thread that is not cancelled would be waited for without end */
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		cancel(names[i], thread, (long) i, rounds, PTHREAD_CANCELED);
	cancel("at any time", at_any_time, 0, rounds, PTHREAD_CANCELED);
	cancel("not now", not_now, 0, rounds / 4, (void *) 77);
	(void) unlink("signals.fifo");
	return 0;
}
