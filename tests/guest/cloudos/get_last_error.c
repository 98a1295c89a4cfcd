/* SPDX-License-Identifier: MIT */
/* get_last_error, raw and through libcloudos. */
#include "guest.h"

#include <pthread.h>

static void *other_thread(void *arg)
{
	error_info_t *info = arg;

	*info = last_error();
	(void) RAW(service_deregister,
		   WORD("glasterr.other")); /* fails, for this thread */
	return NULL;
}

static int child_sees(void *arg)
{
	(void) arg;
	return last_error().error_code == CLOUDOS_SUCCESS ? 0 : 1;
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		die("clock_gettime");
	return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static void the_last_failure_is_told(void)
{
	uint64_t before = wall_ns(), after;
	error_info_t info;

	check_number(RAW(service_deregister, WORD("glasterr.name")),
		     RAW_CODE(CLOUDOS_ENOENT), "a call fails");
	after = wall_ns();
	info = last_error();
	check_number(info.error_code, CLOUDOS_ENOENT, "its code is told");
	check(strstr(info.message, "glasterr.name") != NULL,
	      "with a sentence that names the service: %s", info.message);
	check(info.component[0] != '\0', "and who says so: %s", info.component);
	check(info.timestamp >= before && info.timestamp <= after,
	      "and when, in nanoseconds since the epoch");
	check(info.pid == (uint32_t) getpid() &&
		      info.tid == (uint32_t) syscall(SYS_gettid),
	      "and for which process and thread");
	check_number(last_error().error_code, CLOUDOS_ENOENT,
		     "asking does not clear it");
	check_number(RAW(domain) >= 0, 1, "a call succeeds");
	check_number(last_error().error_code, CLOUDOS_ENOENT, "that does not clear it");
	check_number(RAW(service_deregister, WORD("")), RAW_CODE(CLOUDOS_EINVAL),
		     "another call fails");
	check_number(last_error().error_code, CLOUDOS_EINVAL, "it is the last one now");
}

static void the_library_joins_both_records(void)
{
	error_info_t info;

	check_number(cloudos_service_deregister("glasterr.x"), CLOUDOS_ENOENT,
		     "the daemon refuses a call of the library");
	check_number(cloudos_sys_close(-1), CLOUDOS_EINVAL,
		     "Linux refuses the next one");
	check(cloudos_get_last_error(&info) == 0 && info.error_code == CLOUDOS_EINVAL &&
		      strstr(info.message, "EBADF (9)"),
	      "the later one, of Linux, is told");
	check_number(cloudos_service_deregister("glasterr.x"), CLOUDOS_ENOENT,
		     "the daemon refuses again");
	check(cloudos_get_last_error(&info) == 0 && info.error_code == CLOUDOS_ENOENT,
	      "and that is told");
}

int main(void)
{
	error_info_t info = last_error();
	pthread_t thread;

	check(info.error_code == CLOUDOS_SUCCESS && info.message[0] == '\0',
	      "a new program has no last error");
	the_last_failure_is_told();
	if (pthread_create(&thread, NULL, other_thread, &info) != 0 ||
	    pthread_join(thread, NULL) != 0)
		die("no thread");
	check_number(info.error_code, CLOUDOS_SUCCESS, "another thread has none");
	check_number(last_error().error_code, CLOUDOS_EINVAL,
		     "and what fails there is not told here");
	check_number(in_child(child_sees, NULL), 0, "a child begins without one");
	the_library_joins_both_records();

	check_number(RAW(get_last_error, 0), RAW_CODE(CLOUDOS_EFAULT),
		     "NULL is refused");
	check_number(RAW(get_last_error, WORD(unmapped())), RAW_CODE(CLOUDOS_EFAULT),
		     "a pointer to nothing is refused");
	check_number(RAW(get_last_error, WORD(read_only())), RAW_CODE(CLOUDOS_EFAULT),
		     "a struct that cannot be written is refused");
	check_number(RAW(get_last_error, WORD(end_of_mapping() - 8)),
		     RAW_CODE(CLOUDOS_EFAULT),
		     "a struct that goes over the end of its mapping is refused");
	return done();
}
