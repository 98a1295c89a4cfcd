/* SPDX-License-Identifier: MIT */
/*
 * Who the caller is: the process for registrations, the thread for errors; across threads,
 * fork, vfork and exec.  Calls itself to see what an exec keeps.
 */
#include "guest.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define ROUNDS  40

static char *own_path;

static void *thread_registers(void *result)
{
	service_registration_t r = a_service("who.thread");

	*(long *) result = RAW(service_register, WORD(&r));
	return NULL;
}

static void threads_are_one_process(void)
{
	service_registration_t found;
	size_t count = 1;
	pthread_t thread;
	long result = -1;

	if (pthread_create(&thread, NULL, thread_registers, &result) != 0 ||
	    pthread_join(thread, NULL) != 0)
		die("no thread");
	check_number(result, 0, "a thread registers");
	check(cloudos_service_discover("who.thread", &found, &count) == 0 &&
		      count == 1 && found.pid == (uint32_t) getpid(),
	      "which outlives the thread, and belongs to the process");
	check_number(RAW(service_deregister, WORD("who.thread")), 0,
		     "another thread deregisters");
}

static int child_is_another(void *arg)
{
	service_registration_t r = a_service("who.fork");

	(void) arg;
	if (RAW(service_deregister, WORD("who.fork")) != RAW_CODE(CLOUDOS_ENOENT))
		return 1;
	if (RAW(service_register, WORD(&r)) != 0 || instances_of("who.fork") != 2)
		return 2;
	return 0;
}

static void a_child_is_another_process(void)
{
	service_registration_t r = a_service("who.fork");

	check_number(RAW(service_register, WORD(&r)), 0, "a process registers");
	check_number(in_child(child_is_another, NULL), 0,
		     "its child has nothing yet, and registers for itself");
	check(becomes("who.fork", 1), "the child's instance ends with the child");
	check_number(RAW(service_deregister, WORD("who.fork")), 0,
		     "the parent's is still there");
}

static int child_executes(void *arg)
{
	service_registration_t r = a_service("who.exec");

	if (RAW(service_register, WORD(&r)) != 0)
		return 1;
	execl(own_path, own_path, (char *) arg, (char *) NULL);
	return 99;
}

/* The program after exec: the same process, so the same registrations. */
static int after_exec(const char *how)
{
	if (strcmp(how, "nothing") == 0)
		return RAW(domain) >= 0 ? 0 : 1;
	if (instances_of("who.exec") != 1)
		return 2;
	return RAW(service_deregister, WORD("who.exec")) == 0 ? 0 : 3;
}

static void exec_keeps_the_process(void)
{
	int status = -1;
	pid_t pid;

	check_number(in_child(child_executes, (char[]){ "again" }), 0,
		     "what was registered before exec can be deregistered after it");
	fflush(stdout);
	pid = vfork();
	if (pid == 0) {
		execl(own_path, own_path, "nothing", (char *) NULL);
		_exit(99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("vfork");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	      "a program started by vfork and exec can call");
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		die("/proc/self/fd");
	while (readdir(dir))
		n++;
	(void) closedir(dir); /* was only read */
	return n;
}

/* Children that share the parent's memory and nothing else call, too. */
static void vfork_children_call(void)
{
	service_registration_t r = a_service("who.vfork");
	int wrong = 0, status = -1, before;

	check_number(RAW(service_register, WORD(&r)), 0, "a process registers");
	before = descriptors();
	for (int i = 0; i < 20; i++) {
		pid_t pid = vfork();

		if (pid == 0)
			_exit(RAW(service_deregister, WORD("who.vfork")) !=
				      RAW_CODE(CLOUDOS_ENOENT) ||
			      RAW(domain) < 0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			die("vfork");
		wrong += status != 0;
	}
	check_number(wrong, 0, "children of vfork call, as processes of their own");
	check_number(RAW(service_deregister, WORD("who.vfork")), 0,
		     "and nothing of the parent's is theirs");
	check_number(descriptors(), before, "nor have they left it a descriptor");
}

static atomic_bool forking;

static void *calls_on(void *arg)
{
	int *wrong = arg;

	while (atomic_load(&forking))
		*wrong += RAW(domain) < 0;
	return NULL;
}

static int child_calls(void *arg)
{
	int before = descriptors();

	(void) arg;
	for (int i = 0; i < 3; i++)
		if (RAW(domain) < 0)
			return 1;
	/* none of ours is opened beside those that were inherited */
	return descriptors() > before ? 2 : 0;
}

/* What a thread was in the middle of is not the child's. */
static void children_of_calling_threads_call(void)
{
	pthread_t threads[4];
	int wrong[4] = { 0 }, bad = 0;

	atomic_store(&forking, true);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, calls_on, &wrong[i]) != 0)
			die("no thread");
	for (int i = 0; i < 50; i++)
		bad += in_child(child_calls, NULL) != 0;
	atomic_store(&forking, false);
	for (int i = 0; i < 4; i++) {
		(void) pthread_join(threads[i], NULL); /* it was created above */
		bad += wrong[i];
	}
	check_number(bad, 0, "children call while threads of their parent do");
}

struct worker {
	pthread_t thread;
	int number;
	int wrong;
};

static void *works(void *arg)
{
	struct worker *w = arg;
	char name[32], missing[32];

	(void) snprintf(name, sizeof(name), "who.busy.%d", w->number); /* they fit */
	(void) snprintf(missing, sizeof(missing), "who.missing.%d", w->number);
	for (int i = 0; i < ROUNDS; i++) {
		service_registration_t r = a_service(name);
		error_info_t info;

		w->wrong += RAW(service_register, WORD(&r)) != 0;
		w->wrong += instances_of(name) != 1;
		w->wrong += RAW(service_deregister, WORD(missing)) !=
			    RAW_CODE(CLOUDOS_ENOENT);
		info = last_error();
		w->wrong += strstr(info.message, missing) == NULL;
		w->wrong += info.tid != (uint32_t) syscall(SYS_gettid);
		w->wrong += RAW(service_deregister, WORD(name)) != 0;
	}
	return NULL;
}

static void many_threads_call_at_once(void)
{
	struct worker workers[THREADS];
	int wrong = 0;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .number = i };
		if (pthread_create(&workers[i].thread, NULL, works, &workers[i]) != 0)
			die("no thread");
	}
	for (int i = 0; i < THREADS; i++) {
		if (pthread_join(workers[i].thread, NULL) != 0)
			die("no thread");
		wrong += workers[i].wrong;
	}
	check_number(
		wrong, 0,
		"eight threads at once get their own answers and their own errors");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return after_exec(argv[1]);
	own_path = argv[0];
	threads_are_one_process();
	a_child_is_another_process();
	exec_keeps_the_process();
	vfork_children_call();
	children_of_calling_threads_call();
	many_threads_call_at_once();
	return done();
}
