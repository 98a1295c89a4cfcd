/* SPDX-License-Identifier: MIT */
/*
 * A private call that blocks, and signals: service_health_check waits for the first result
 * of an http:// check whose server accepts and never answers, or not before it is time.
 * Checks may take a minute here (run.sh), so that none ends by itself.
 */
#include "guest.h"
#include "net.h"

#include <sys/time.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int signo)
{
	(void) signo;
	alarms++;
}

static void set_handler(int flags)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };

	if (sigaction(SIGALRM, &action, NULL) < 0)
		die("sigaction");
	alarms = 0;
}

/* SIGALRM after so many milliseconds and every so often, so that none is too early. */
static void set_alarms(long ms)
{
	struct itimerval timer = { .it_value = { 0, ms * 1000 },
				   .it_interval = { 0, ms * 1000 } };

	if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
		die("setitimer");
}

/* A service whose first check is on its way for as long as the check may take. */
static void register_silent(const char *name, uint32_t port)
{
	service_registration_t r =
		a_checked_service(name, "http://127.0.0.1:%u/never", port);

	if (cloudos_service_register(&r) != 0)
		die("service_register");
}

static int child_waits(void *name)
{
	bool answer;

	(void) RAW(service_health_check, WORD(name), WORD(&answer));
	return 0;
}

static pid_t start_waiting(const char *name)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(child_waits((void *) (uintptr_t) name));
	wait_until_in_call(pid, CLOUDOS_SYS_service_health_check);
	return pid;
}

static void a_waiting_process_can_be_ended(uint32_t port, int signo, const char *name)
{
	uint64_t began;
	int status = 0;
	pid_t pid;

	register_silent(name, port);
	pid = start_waiting(name);
	began = now_ms();
	kill(pid, signo);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	check(WIFSIGNALED(status) && WTERMSIG(status) == signo,
	      "a waiting process is ended by %s", strsignal(signo));
	check(now_ms() - began < PATIENCE_MS / 2, "not when the check is over (%lu ms)",
	      (unsigned long) (now_ms() - began));
}

/* Ends the listener, and with it the check. */
static void a_waiting_process_can_be_stopped(uint32_t port, int listener)
{
	int status = 0;
	pid_t pid;

	register_silent("sig.stop", port);
	pid = start_waiting("sig.stop");
	kill(pid, SIGSTOP);
	check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status),
	      "a waiting process is stopped");
	kill(pid, SIGCONT);
	close(listener);
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		      WEXITSTATUS(status) == 0,
	      "and goes on, to its end");
}

static void an_alarm_interrupts(uint32_t port)
{
	bool answer = true;
	uint64_t began;
	long result;

	set_handler(0);
	register_silent("sig.raw", port);
	began = now_ms();
	set_alarms(150);
	result = RAW(service_health_check, WORD("sig.raw"), WORD(&answer));
	set_alarms(0);
	check_number(result, -EINTR, "SIGALRM interrupts the raw call with EINTR");
	check(alarms > 0, "its handler has run");
	check(now_ms() - began < PATIENCE_MS / 2, "not when the check is over (%lu ms)",
	      (unsigned long) (now_ms() - began));
	check(answer, "and nothing was answered");

	register_silent("sig.lib", port);
	set_handler(0);
	set_alarms(150);
	result = cloudos_service_health_check("sig.lib", &answer);
	set_alarms(0);
	check_number(result, CLOUDOS_EBUSY, "libcloudos says that it was interrupted");
}

/* A server that answers once, when its caller has waited through some alarms. */
struct late_server {
	int fd;
	pid_t caller;
};

static void *answer_late(void *arg)
{
	const struct late_server *late = arg;
	const struct timespec some_alarms = { 0, 350000000 };
	static const char answer[] =
		"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	char request[2048];
	int fd = accept(late->fd, NULL, NULL);

	if (fd < 0 || read(fd, request, sizeof(request)) <= 0)
		die("no health check comes");
	wait_until_in_call(late->caller, CLOUDOS_SYS_service_health_check);
	(void) nanosleep(&some_alarms, NULL);
	if (write(fd, answer, sizeof(answer) - 1) < 0)
		printf("# the checker did not wait for its answer\n");
	close(fd);
	return NULL;
}

/* The result of a call that alarms do not concern. */
static long called_through_alarms(const char *name, bool *answer)
{
	struct late_server late = { .caller = getpid() };
	pthread_t thread;
	uint32_t port;
	long result;

	late.fd = listen_somewhere(&port);
	if (pthread_create(&thread, NULL, answer_late, &late) != 0)
		die("no thread");
	set_alarms(100);
	register_silent(name, port);
	result = RAW(service_health_check, WORD(name), WORD(answer));
	set_alarms(0);
	pthread_join(thread, NULL);
	close(late.fd);
	return result;
}

static void a_blocked_signal_does_not(void)
{
	sigset_t set, before;
	bool answer = false;
	long result;

	set_handler(0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &before); /* of the server's thread, too */
	result = called_through_alarms("sig.blocked", &answer);
	check(result == 0 && answer,
	      "a blocked signal interrupts nothing: the check ends");
	check_number(alarms, 0, "the handler has not run");
	sigprocmask(SIG_SETMASK, &before, NULL);
	check(alarms > 0, "until it is unblocked");
	signal(SIGALRM, SIG_IGN);
	answer = false;
	result = called_through_alarms("sig.ignored", &answer);
	check(result == 0 && answer, "nor does one that is ignored");
}

int main(void)
{
	uint32_t port;
	int listener =
		listen_somewhere(&port); /* accepts by its backlog, says nothing */

	an_alarm_interrupts(port);
	a_blocked_signal_does_not();
	a_waiting_process_can_be_ended(port, SIGINT, "sig.int");
	a_waiting_process_can_be_ended(port, SIGKILL, "sig.kill");
	a_waiting_process_can_be_stopped(port, listener);
	check(RAW(domain) >= 0, "and the daemon is as it was");
	return done();
}
