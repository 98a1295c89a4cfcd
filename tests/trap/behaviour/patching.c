/* SPDX-License-Identifier: MIT */
/*
 * trap-behaviour-patching: calls stay right while an engine rewrites the code they are
 * made from.  Fresh copies of a library keep new sites coming; a million calls, eight
 * threads, signals all the time.  GUEST.
 */
#include "behaviour.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, COPIES = 40, TURNS = 20, MILLION = 1000000 };
enum { NR_READ = 0, EXPECT_PARENT = 0, EXPECT_EBADF = 1, EXPECT_JUMPED = 2 };

struct library {
	void *handle;
	const int32_t *sites; /* see sites.S */
	atomic_int done;      /* threads that need it no more */
};

static struct library copies[COPIES];
static atomic_int loaded, ending;
static atomic_long calls, wrong, handled;
static long parent;

typedef long site_function(long number, long zero);

static long call_site(const int32_t *sites, int n)
{
	uintptr_t at = (uintptr_t) sites + (uintptr_t) (intptr_t) sites[1 + 2 * n];
	int expects = sites[2 + 2 * n];
	long result;

	/* number for the shapes that take it from rdi; as a descriptor it is not open */
	result = ((site_function *) at)(SYS_getppid, 0);
	return expects == EXPECT_EBADF ? result == -EBADF : result == parent;
}

static void call_all(const struct library *library)
{
	for (int n = 0; n < library->sites[0]; n++) {
		if (!call_site(library->sites, n))
			atomic_fetch_add(&wrong, 1);
	}
	atomic_fetch_add(&calls, library->sites[0]);
}

/* A new file each time, so that its pages and its sites are new too. */
static int load(struct library *library)
{
	char from[4096], to[] = "/tmp/behaviour-sites.XXXXXX";
	const char *slash = strrchr(behaviour_self, '/');
	struct stat info;
	int in, out, done;

	(void) snprintf(from, sizeof(from), "%.*s/trap-sites.so",
			slash ? (int) (slash - behaviour_self) : 1,
			slash ? behaviour_self : ".");
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = mkostemp(to, O_CLOEXEC);
	done = in >= 0 && out >= 0 && fstat(in, &info) == 0 &&
	       sendfile(out, in, NULL, (size_t) info.st_size) == info.st_size;
	(void) close(in);
	if (close(out) == 0 && done)
		library->handle = dlopen(to, RTLD_NOW | RTLD_LOCAL);
	(void) unlink(to);
	if (library->handle == NULL)
		return -1;
	library->sites = dlsym(library->handle, "sites");
	return library->sites != NULL ? 0 : -1;
}

static void *works(void *unused)
{
	(void) unused;
	for (int i = 0; i < COPIES; i++) {
		while (atomic_load(&loaded) <= i && !atomic_load(&ending))
			(void) sched_yield(); /* always succeeds */
		if (atomic_load(&loaded) <= i)
			break;
		for (int turn = 0; turn < TURNS; turn++)
			call_all(&copies[i]);
		atomic_fetch_add(&copies[i].done, 1);
	}
	while (!atomic_load(&ending)) /* as long as there is fire */
		call_all(&copies[COPIES - 1]);
	return NULL;
}

/* The handler makes calls too, from the newest library. */
static void in_handler(int sig)
{
	int newest = atomic_load(&loaded) - 1;
	int error = errno;

	(void) sig;
	if (newest >= 0 && atomic_load(&copies[newest].done) == 0 &&
	    !call_site(copies[newest].sites,
		       (int) (atomic_load(&handled) % copies[newest].sites[0])))
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&handled, 1);
	errno = error;
}

static pthread_t workers[THREADS];

static void *fires(void *unused)
{
	struct timespec pause = { 0, 50000 };

	for (unsigned n = 0; !atomic_load(&ending); n++) {
		(void) pthread_kill(workers[n % THREADS], SIGUSR1);
		if (n % THREADS == 0)
			(void) nanosleep(&pause,
					 NULL); /* a rate, nothing waits for it */
	}
	return unused;
}

/* forks now and then: the child has one thread and half-patched code */
static int fork_calls(const struct library *library)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		parent = getppid();
		atomic_store(&wrong, 0);
		for (int turn = 0; turn < 5; turn++)
			call_all(library);
		_exit(atomic_load(&wrong) == 0 ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int load_all(int with_forks)
{
	for (int i = 0; i < COPIES; i++) {
		EXPECT(load(&copies[i]) == 0);
		atomic_store(&loaded, i + 1);
		if (with_forks && i % 4 == 0)
			EXPECT(fork_calls(&copies[i]) == 0);
		/* two may be in use; older ones go, and their addresses come again */
		while (i >= 2 && atomic_load(&copies[i - 2].done) < THREADS)
			(void) sched_yield(); /* always succeeds */
		/* a handler may still be in the one before; three back nobody is */
		if (i >= 3)
			EXPECT(dlclose(copies[i - 3].handle) == 0);
	}
	return 0;
}

static int under_fire(int with_signals, int with_forks)
{
	struct sigaction action = { .sa_handler = in_handler, .sa_flags = SA_RESTART };
	pthread_t fire;
	int line;

	parent = getppid();
	EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&workers[i], NULL, works, NULL) == 0);
	if (with_signals)
		EXPECT(pthread_create(&fire, NULL, fires, NULL) == 0);
	line = load_all(with_forks);
	if (line)
		return line;
	while (atomic_load(&copies[COPIES - 1].done) < THREADS)
		(void) sched_yield(); /* always succeeds */
	while (with_signals && atomic_load(&handled) <= 1000)
		(void) sched_yield(); /* always succeeds */
	atomic_store(&ending, 1);
	if (with_signals)
		EXPECT(pthread_join(fire, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		EXPECT(pthread_join(workers[i], NULL) == 0);
	EXPECT(atomic_load(&wrong) == 0);
	EXPECT(atomic_load(&calls) >= MILLION);
	return 0;
}

static int million_calls(void)
{
	return under_fire(0, 0);
}

static int million_calls_under_fire(void)
{
	return under_fire(1, 0);
}

static int million_calls_with_forks(void)
{
	return under_fire(1, 1);
}

static int one_thread_alone(void)
{
	parent = getppid();
	EXPECT(load(&copies[0]) == 0);
	for (int turn = 0; turn < 200; turn++)
		call_all(&copies[0]);
	EXPECT(atomic_load(&wrong) == 0);
	return 0;
}

/* Code that is made at run time may be changed at any time, so it must stay as it is. */
static int written_code_is_left_alone(void)
{
	static const unsigned char code[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	unsigned char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	site_function *function = (site_function *) (uintptr_t) at;

	EXPECT(at != MAP_FAILED);
	memcpy(at, code, sizeof(code));
	for (int i = 0; i < 100; i++)
		EXPECT(function(0, 0) == getppid());
	EXPECT(memcmp(at, code, sizeof(code)) == 0);
	at[1] = 39; /* getpid */
	for (int i = 0; i < 100; i++)
		EXPECT(function(0, 0) == getpid());
	EXPECT(mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(function(0, 0) == getpid());
	return 0;
}

/* A program may write its own text too, patched or not. */
static int changed_text_counts(void)
{
	const int32_t *sites;
	unsigned char *at;
	uintptr_t page;

	parent = getppid();
	EXPECT(load(&copies[0]) == 0);
	sites = copies[0].sites;
	at = (unsigned char *) ((uintptr_t) sites + (uintptr_t) (intptr_t) sites[1]);
	for (int turn = 0; turn < 50; turn++)
		EXPECT(call_site(sites, 0));
	page = (uintptr_t) at & ~4095UL;
	EXPECT(mprotect((void *) page, 8192, PROT_READ | PROT_WRITE) == 0);
	memcpy(at, (unsigned char[]){ 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 }, 8);
	EXPECT(mprotect((void *) page, 8192, PROT_READ | PROT_EXEC) == 0);
	for (int turn = 0; turn < 50; turn++)
		EXPECT(((site_function *) (uintptr_t) at)(0, 0) == getpid());
	return 0;
}

/* An address may be code of one library now and of another later. */
static int addresses_come_again(void)
{
	parent = getppid();
	for (int i = 0; i < 40; i++) {
		EXPECT(load(&copies[0]) == 0);
		for (int turn = 0; turn < 12; turn++)
			call_all(&copies[0]);
		EXPECT(dlclose(copies[0].handle) == 0);
		copies[0].handle = NULL;
	}
	EXPECT(atomic_load(&wrong) == 0);
	return 0;
}

enum { FRESH_SITES = 5000, FRESH_OF_CHILD = 3, STUB_SIZE = 8 };

static atomic_int fresh_done;

static long call_stub(unsigned char *code, int n)
{
	unsigned char *at = code + (size_t) n * STUB_SIZE;

	return ((site_function *) (uintptr_t) at)(0, 0);
}

static void *calls_fresh_sites(void *arg)
{
	for (int n = 0; n < FRESH_SITES; n++)
		if (call_stub(arg, n) != getpid())
			atomic_fetch_add(&wrong, 1);
	atomic_store(&fresh_done, 1);
	return NULL;
}

/* A child may begin while another thread has half of the room for more sites. */
static int sites_are_found_while_it_forks(void)
{
	static const unsigned char getpid_stub[STUB_SIZE] = { 0xb8, 39,	  0,	0,
							      0,    0x0f, 0x05, 0xc3 };
	size_t size = (size_t) (FRESH_SITES + FRESH_OF_CHILD) * STUB_SIZE;
	unsigned char *code = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	int status = 0;

	EXPECT(code != MAP_FAILED);
	for (int n = 0; n < FRESH_SITES + FRESH_OF_CHILD; n++)
		memcpy(code + (size_t) n * STUB_SIZE, getpid_stub, STUB_SIZE);
	EXPECT(pthread_create(&thread, NULL, calls_fresh_sites, code) == 0);
	while (!atomic_load(&fresh_done)) {
		pid_t pid = fork();

		if (pid == 0) {
			for (int n = 0; n < FRESH_OF_CHILD; n++)
				if (call_stub(code, FRESH_SITES + n) != getpid())
					_exit(1);
			_exit(0);
		}
		EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
		EXPECT(status == 0);
	}
	EXPECT(pthread_join(thread, NULL) == 0);
	EXPECT(atomic_load(&wrong) == 0);
	return 0;
}

static const struct behaviour cases[] = {
	{ "sites of every shape answer rightly", one_thread_alone },
	{ "addresses are used again by other code", addresses_come_again },
	{ "code made at run time stays as it is", written_code_is_left_alone },
	{ "a program may change its own text", changed_text_counts },
	{ "a million calls of 8 threads while code is patched", million_calls },
	{ "a million calls under fire of signals", million_calls_under_fire },
	{ "a million calls under fire, with forks", million_calls_with_forks },
	{ "new places of calls are found while it forks",
	  sites_are_found_while_it_forks },
};

int main(int argc, char **argv)
{
	return behaviour_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
