/* SPDX-License-Identifier: MIT */
/* report_error, through libcloudos and raw; `cloudosctl errors` is the other process. */
#include "guest.h"

static error_info_t an_error(const char *message)
{
	error_info_t e;

	memset(&e, 0, sizeof(e));
	e.error_code = CLOUDOS_EIO;
	strcpy(e.message, message);
	strcpy(e.component, "guest-test");
	return e;
}

/* Does `cloudosctl errors` show that text? */
static bool is_listed(const char *text)
{
	const char *ctl = getenv("CLOUDOSCTL");
	char command[4096], line[4096];
	bool found = false;
	FILE *pipe_;

	(void) snprintf(command, sizeof(command), "'%s' errors -o json",
			ctl ? ctl : "cloudosctl"); /* a path that is cut is not found */
	pipe_ = popen(command, "r");
	if (!pipe_)
		die("popen");
	while (fgets(line, sizeof(line), pipe_))
		found = found || strstr(line, text);
	return pclose(pipe_) == 0 && found;
}

static bool becomes_listed(const char *text)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (!is_listed(text)) {
		if (now_ms() > deadline)
			return false;
		breathe();
	}
	return true;
}

int main(void)
{
	error_info_t e = an_error("the disk of this test is on fire"), got;

	check_number(cloudos_report_error(&e), 0, "an error is reported");
	check(becomes_listed("the disk of this test is on fire"),
	      "cloudosctl errors shows it");
	check(becomes_listed("guest-test"), "with its component");
	got = last_error();
	check(got.error_code == CLOUDOS_EIO && strcmp(got.message, e.message) == 0 &&
		      strcmp(got.component, "guest-test") == 0,
	      "and it is the last error of the thread");
	check(got.pid == (uint32_t) getpid() &&
		      got.tid == (uint32_t) syscall(SYS_gettid) && got.timestamp > 0,
	      "with the pid, the tid and the time filled in");
	e = an_error("with the own pid");
	e.pid = (uint32_t) getpid();
	check_number(cloudos_report_error(&e), 0, "the own pid is allowed");
	check(becomes_listed("with the own pid"), "and shown");

	e = an_error("in the name of another");
	e.pid = (uint32_t) getppid();
	check_refused(RAW(report_error, WORD(&e)), CLOUDOS_EACCES,
		      "another process's pid is refused");
	check(!is_listed("in the name of another"), "and not shown");
	e = an_error("no such code");
	e.error_code = -20;
	check_refused(RAW(report_error, WORD(&e)), CLOUDOS_EINVAL,
		      "code -20 is refused");
	e.error_code = 5;
	check_refused(RAW(report_error, WORD(&e)), CLOUDOS_EINVAL, "code 5 is refused");
	e = an_error("");
	memset(e.message, 'm', sizeof(e.message));
	check_refused(RAW(report_error, WORD(&e)), CLOUDOS_EINVAL,
		      "a message without its NUL is refused");
	e = an_error("component");
	memset(e.component, 'c', sizeof(e.component));
	check_refused(RAW(report_error, WORD(&e)), CLOUDOS_EINVAL,
		      "a component without its NUL is refused");
	check_refused(RAW(report_error, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(report_error, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a pointer to nothing is refused");
	check_refused(RAW(report_error, WORD(end_of_mapping() - 300)), CLOUDOS_EFAULT,
		      "a struct that goes over the end of its mapping is refused");
	return done();
}
