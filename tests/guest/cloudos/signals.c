/* SPDX-License-Identifier: MIT */
/*
 * A private call that blocks, and signals: service_health_check waits for the first result
 * of an http:// check whose server accepts and never answers.
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

/* Is that process in a system call of that number? */
static bool is_in_call(pid_t pid, long number)
{
	char path[64], text[64];
	FILE *file;
	bool found;

	(void) snprintf(path, sizeof(path), "/proc/%d/syscall",
			(int) pid); /* it fits */
	file = fopen(path, "r");
	if (!file)
		return true; /* not allowed to look: take it as it is */
	found = fgets(text, sizeof(text), file) && atol(text) == number;
	(void) fclose(file); /* only read */
	return found;
}

static pid_t start_waiting(const char *name)
{
	uint64_t deadline = now_ms() + 1000;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(child_waits((void *) (uintptr_t) name));
	while (!is_in_call(pid, CLOUDOS_SYS_service_health_check) &&
	       now_ms() < deadline)
		breathe();
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
	check(now_ms() - began < 1000, "at once (%lu ms)",
	      (unsigned long) (now_ms() - began));
}

static void a_waiting_process_can_be_stopped(uint32_t port)
{
	int status = 0;
	pid_t pid;

	register_silent("sig.stop", port);
	pid = start_waiting("sig.stop");
	kill(pid, SIGSTOP);
	check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status),
	      "a waiting process is stopped");
	kill(pid, SIGCONT);
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
	check(now_ms() - began < 1000, "soon (%lu ms)",
	      (unsigned long) (now_ms() - began));
	check(answer, "and nothing was answered");

	register_silent("sig.lib", port);
	set_handler(0);
	set_alarms(150);
	result = cloudos_service_health_check("sig.lib", &answer);
	set_alarms(0);
	check_number(result, CLOUDOS_EBUSY, "libcloudos says that it was interrupted");
}

static void a_blocked_signal_does_not(uint32_t port)
{
	sigset_t set, before;
	bool answer = true;
	long result;

	register_silent("sig.blocked", port);
	set_handler(0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &before);
	set_alarms(100);
	result = RAW(service_health_check, WORD("sig.blocked"), WORD(&answer));
	set_alarms(0);
	check(result == 0 && !answer,
	      "a blocked signal interrupts nothing: the check times out");
	check_number(alarms, 0, "the handler has not run");
	sigprocmask(SIG_SETMASK, &before, NULL);
	check(alarms > 0, "until it is unblocked");
	signal(SIGALRM, SIG_IGN);
	register_silent("sig.ignored", port);
	set_alarms(100);
	result = RAW(service_health_check, WORD("sig.ignored"), WORD(&answer));
	set_alarms(0);
	check(result == 0 && !answer, "nor does one that is ignored");
}

int main(void)
{
	uint32_t port;
	int listener =
		listen_somewhere(&port); /* accepts by its backlog, says nothing */

	an_alarm_interrupts(port);
	a_blocked_signal_does_not(port);
	a_waiting_process_can_be_ended(port, SIGINT, "sig.int");
	a_waiting_process_can_be_ended(port, SIGKILL, "sig.kill");
	a_waiting_process_can_be_stopped(port);
	check(RAW(domain) >= 0, "and the daemon is as it was");
	close(listener);
	return done();
}
