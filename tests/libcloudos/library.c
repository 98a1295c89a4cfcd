/* SPDX-License-Identifier: MIT */
/*
 * libcloudos in a program that does not run under cloudos-exec: codes, reasons, the POSIX
 * layer, the operation tables.  HOST, a test; not to be run under cloudos-exec.
 */
#include <cloudos/cloudos.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTSIDE "not running under cloudos-exec; start it with: cloudos-exec PROGRAM"

static error_info_t last_error(void)
{
	error_info_t info;

	memset(&info, 0xff, sizeof(info));
	ck_assert_int_eq(cloudos_get_last_error(&info), CLOUDOS_SUCCESS);
	return info;
}

static void assert_outside(long result)
{
	error_info_t info = last_error();

	ck_assert_int_eq(result, CLOUDOS_EACCES);
	ck_assert_int_eq(info.error_code, CLOUDOS_EACCES);
	ck_assert_msg(strstr(info.message, OUTSIDE), "%s", info.message);
}

START_TEST(every_errno_has_a_code_that_exists)
{
	for (int e = 1; e <= 133; e++) {
		int code = cloudos_error_from_errno(e);

		ck_assert_msg(code <= CLOUDOS_EINVAL && code >= CLOUDOS_ENAMETOOLONG,
			      "errno %d is code %d", e, code);
	}
	ck_assert_int_eq(cloudos_error_from_errno(0), CLOUDOS_SUCCESS);
	ck_assert_int_eq(cloudos_error_from_errno(134), CLOUDOS_EIO);
	ck_assert_int_eq(cloudos_error_from_errno(-1), CLOUDOS_EIO);
	ck_assert_int_eq(cloudos_error_from_errno(1 << 30), CLOUDOS_EIO);
	ck_assert_int_eq(cloudos_error_from_errno(41), CLOUDOS_EIO);
}
END_TEST

START_TEST(an_errno_with_a_code_of_its_name_has_that_code)
{
	static const struct {
		int errnum, code;
	} same[] = {
#define ERROR(name, number, errnum, status, text) { errnum, CLOUDOS_##name },
#include "personality/cloudos/errors.def"
#undef ERROR
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		ck_assert_int_eq(cloudos_error_from_errno(same[i].errnum),
				 same[i].code);
	ck_assert_int_eq(cloudos_error_from_errno(EPERM), CLOUDOS_EACCES);
	ck_assert_int_eq(cloudos_error_from_errno(EINTR), CLOUDOS_EBUSY);
	ck_assert_int_eq(cloudos_error_from_errno(EAGAIN), CLOUDOS_EBUSY);
	ck_assert_int_eq(cloudos_error_from_errno(ECONNREFUSED), CLOUDOS_EIO);
	ck_assert_int_eq(cloudos_error_from_errno(ESRCH), CLOUDOS_ENOENT);
}
END_TEST

START_TEST(codes_have_names_and_texts)
{
	ck_assert_str_eq(cloudos_error_name(CLOUDOS_SUCCESS), "CLOUDOS_SUCCESS");
	ck_assert_str_eq(cloudos_error_name(CLOUDOS_ENAMETOOLONG),
			 "CLOUDOS_ENAMETOOLONG");
	ck_assert_str_eq(cloudos_error_text(CLOUDOS_ENOTTY), "Not a typewriter");
	ck_assert_str_eq(cloudos_error_name(-20), "unknown");
	ck_assert_str_eq(cloudos_error_text(1), "unknown");
	ck_assert_str_eq(cloudos_error_text(-2147483647 - 1), "unknown");
}
END_TEST

START_TEST(a_raw_error_is_told_from_the_kernels)
{
	ck_assert_int_eq(cloudos_raw_error(2001), CLOUDOS_EINVAL);
	ck_assert_int_eq(cloudos_raw_error(2019), CLOUDOS_ENAMETOOLONG);
	ck_assert_int_eq(cloudos_raw_error(2000), 0);
	ck_assert_int_eq(cloudos_raw_error(2020), 0);
	ck_assert_int_eq(cloudos_raw_error(ENOSYS), 0);
	ck_assert_int_eq(cloudos_raw_error(-2003), 0);
}
END_TEST

START_TEST(private_calls_outside_cloudos_exec_say_how_to_start)
{
	service_registration_t registration = { .name = "hello" };
	service_info_t info = { .size = sizeof(info) };
	struct dirent entry;
	size_t count = 0;
	uint32_t pid;
	bool healthy;

	assert_outside(cloudos_service_register(&registration));
	assert_outside(cloudos_service_deregister("hello"));
	assert_outside(cloudos_service_discover("hello", NULL, &count));
	assert_outside(cloudos_service_health_check("hello", &healthy));
	assert_outside(cloudos_sys_cloud_register_service("hello", NULL));
	assert_outside(cloudos_sys_cloud_discover_service("hello", &info));
	assert_outside(cloudos_ipc_register_service("hello"));
	assert_outside(cloudos_ipc_discover_service("hello", &pid));
	assert_outside(cloudos_sys_opendir("/"));
	assert_outside(cloudos_sys_readdir(0, &entry));
	assert_outside(cloudos_interface_version(CLOUDOS_INTERFACE_IPC));
	assert_outside(cloudos_domain());
	assert_outside(CLOUDOS_REQUIRE());
	ck_assert_int_eq(cloudos_require_versions(NULL, 0), CLOUDOS_SUCCESS);
}
END_TEST

START_TEST(functions_that_return_no_code_fail_to_false_and_null)
{
	ck_assert(!cloudos_authz_check_permission(0, 0, 0));
	assert_outside(last_error().error_code);
	ck_assert(!cloudos_authz_has_capability(0, 0));
	ck_assert_ptr_null(cloudos_shm_map(0, 4096, PROT_READ, MAP_SHARED));
	ck_assert_ptr_eq(cloudos_sys_mmap(NULL, 0, PROT_READ, MAP_PRIVATE, -1, 0),
			 MAP_FAILED);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_EINVAL);
}
END_TEST

START_TEST(a_reason_has_its_time_and_its_thread)
{
	struct timespec now;
	error_info_t info;
	uint64_t before;

	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &now), 0);
	before = (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
	ck_assert_int_eq(cloudos_sys_close(-1), CLOUDOS_EINVAL);
	info = last_error();
	ck_assert_str_eq(info.component, "libcloudos");
	ck_assert_uint_ge(info.timestamp, before);
	ck_assert_uint_lt(info.timestamp, before + 10000000000u);
	ck_assert_uint_eq(info.pid, (uint32_t) getpid());
	ck_assert_uint_eq(info.tid, (uint32_t) syscall(SYS_gettid));
	ck_assert_ptr_nonnull(strstr(info.message, "sys_close"));
	ck_assert_ptr_nonnull(strstr(info.message, "EBADF (9)"));
}
END_TEST

START_TEST(clear_error_forgets)
{
	ck_assert_int_eq(cloudos_sys_rmdir("/nonexistent"), CLOUDOS_ENOENT);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_ENOENT);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_ENOENT);
	ck_assert_int_eq(cloudos_clear_error(), CLOUDOS_SUCCESS);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_SUCCESS);
	ck_assert_str_eq(last_error().message, "");
	ck_assert_int_eq(cloudos_get_last_error(NULL), CLOUDOS_EFAULT);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_EFAULT);
}
END_TEST

static void *thread_without_error(void *arg)
{
	*(int *) arg = last_error().error_code;
	(void) cloudos_sys_mkdir("/", 0700); /* fails, in this thread only */
	return NULL;
}

START_TEST(a_reason_belongs_to_its_thread)
{
	pthread_t thread;
	int code = -1;

	ck_assert_int_eq(cloudos_sys_rmdir("/nonexistent"), CLOUDOS_ENOENT);
	ck_assert_int_eq(pthread_create(&thread, NULL, thread_without_error, &code), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(code, CLOUDOS_SUCCESS);
	ck_assert_int_eq(last_error().error_code, CLOUDOS_ENOENT);
}
END_TEST

/* Makes a folder of its own for a test, which removes it. */
static void temporary(char *folder, size_t size)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(folder, size, "%s/libcloudos-XXXXXX", tmp ? tmp : "/tmp");

	ck_assert_int_lt(n, (int) size);
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

START_TEST(files_and_folders_work)
{
	char folder[512];
	char path[520], text[8];
	long fd;

	temporary(folder, sizeof(folder));
	(void) snprintf(path, sizeof(path), "%s/sub", folder); /* it fits */
	ck_assert_int_eq(cloudos_sys_mkdir(path, 0700), 0);
	ck_assert_int_eq(cloudos_sys_mkdir(path, 0700), CLOUDOS_EEXIST);
	ck_assert_int_eq(cloudos_sys_rmdir(folder), CLOUDOS_EEXIST); /* ENOTEMPTY */
	ck_assert_ptr_nonnull(strstr(last_error().message, "ENOTEMPTY (39)"));
	ck_assert_int_eq(cloudos_sys_rmdir(path), 0);
	fd = cloudos_sys_open(path, O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cloudos_sys_write((int) fd, "hello", 5), 5);
	ck_assert_int_eq(cloudos_sys_lseek((int) fd, 1, SEEK_SET), 1);
	ck_assert_int_eq(cloudos_sys_read((int) fd, text, sizeof(text)), 4);
	ck_assert(memcmp(text, "ello", 4) == 0);
	ck_assert_int_eq(cloudos_sys_open(path, O_DIRECTORY, 0), CLOUDOS_ENOTDIR);
	ck_assert_int_eq(cloudos_sys_close((int) fd), 0);
	ck_assert_int_eq(cloudos_sys_open(folder, O_WRONLY, 0), CLOUDOS_EISDIR);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(processes_work)
{
	int status = 0;
	long pid = cloudos_sys_fork();

	if (pid == 0)
		cloudos_sys_exit(cloudos_sys_getppid() == 1 ? 1 : 42);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(cloudos_sys_wait4((pid_t) pid, &status, 0, NULL), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 42);
	ck_assert_int_eq(cloudos_sys_wait4((pid_t) pid, NULL, 0, NULL), CLOUDOS_ENOENT);
	ck_assert_int_eq(cloudos_sys_getpid(), getpid());
	ck_assert_int_eq(cloudos_sys_getppid(), getppid());
	ck_assert_int_eq(cloudos_sys_getuid(), getuid());
	ck_assert_int_eq(cloudos_sys_getgid(), getgid());
	ck_assert_int_eq(cloudos_sys_execve("/nonexistent", NULL, NULL),
			 CLOUDOS_ENOENT);
}
END_TEST

START_TEST(memory_works)
{
	char *page = cloudos_sys_mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long end = cloudos_sys_brk(NULL);

	ck_assert_ptr_ne(page, MAP_FAILED);
	page[0] = 1;
	ck_assert_int_eq(cloudos_sys_mprotect(page, 4096, PROT_READ), 0);
	ck_assert_int_eq(cloudos_sys_munmap(page, 4096), 0);
	ck_assert_int_eq(cloudos_sys_munmap(page + 1, 4096), CLOUDOS_EINVAL);
	ck_assert_int_gt(end, 0);
	ck_assert_int_eq(cloudos_sys_brk((void *) (uintptr_t) (end + 8192)),
			 end + 8192);
	ck_assert_int_eq(cloudos_sys_brk(NULL), end + 8192);
	ck_assert_int_eq(cloudos_sys_brk((void *) (uintptr_t) 1), CLOUDOS_ENOMEM);
	free(malloc(1 << 20));
}
END_TEST

START_TEST(sockets_work)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(sa_family_t);
	struct sockaddr_un bound;
	long server = cloudos_sys_socket(AF_UNIX, SOCK_STREAM, 0);
	long client = cloudos_sys_socket(AF_UNIX, SOCK_STREAM, 0);
	long taken;

	ck_assert_int_ge(server, 0);
	ck_assert_int_ge(client, 0);
	/* An address of one family and nothing else: Linux chooses a free abstract one. */
	ck_assert_int_eq(
		cloudos_sys_bind((int) server, (struct sockaddr *) &name, size), 0);
	ck_assert_int_eq(cloudos_sys_listen((int) server, 1), 0);
	size = sizeof(bound);
	ck_assert_int_eq(getsockname((int) server, (struct sockaddr *) &bound, &size),
			 0);
	ck_assert_int_eq(
		cloudos_sys_connect((int) client, (struct sockaddr *) &bound, size), 0);
	taken = cloudos_sys_accept((int) server, NULL, NULL);
	ck_assert_int_ge(taken, 0);
	ck_assert_int_eq(cloudos_sys_write((int) taken, "x", 1), 1);
	ck_assert_int_eq(cloudos_sys_lseek((int) taken, 0, SEEK_SET), CLOUDOS_ESPIPE);
	(void) close((int) taken);
	(void) close((int) client);
	(void) close((int) server);
	ck_assert_int_eq(cloudos_sys_socket(-1, 0, 0), CLOUDOS_EINVAL);
}
END_TEST

static void on_alarm(int signo)
{
	(void) signo; /* that it arrives is enough */
}

START_TEST(a_signal_makes_a_blocking_read_busy)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value = { 0, 50000 },
				  .it_interval = { 0, 50000 } };
	struct itimerval never = { 0 };
	int ends[2];
	char byte;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
	ck_assert_int_eq(cloudos_sys_read(ends[0], &byte, 1), CLOUDOS_EBUSY);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_ptr_nonnull(strstr(last_error().message, "EINTR (4)"));
	(void) close(ends[0]);
	(void) close(ends[1]);
}
END_TEST

START_TEST(operation_tables_hold_the_functions)
{
	ck_assert(cloudos_vfs_operations()->delete == cloudos_vfs_delete);
	ck_assert(cloudos_file_operations()->seek == cloudos_file_seek);
	ck_assert(cloudos_network_operations()->get_stats == cloudos_network_get_stats);
	ck_assert(cloudos_auth_operations()->authenticate == cloudos_auth_authenticate);
	ck_assert(cloudos_authz_operations()->has_capability ==
		  cloudos_authz_has_capability);
	ck_assert(cloudos_crypto_operations()->hash == cloudos_crypto_hash);
	ck_assert(cloudos_device_operations()->probe == cloudos_device_probe);
	ck_assert(cloudos_device_io_operations()->mmap == cloudos_device_io_mmap);
	ck_assert(cloudos_container_operations()->create == cloudos_container_create);
	ck_assert(cloudos_ai_operations()->inference == cloudos_ai_inference);
	ck_assert(cloudos_cloud_operations()->scale_service ==
		  cloudos_cloud_scale_service);
}
END_TEST

/* Every member of every table: no table is longer than this, none has a hole. */
static void assert_filled(const void *table, size_t size)
{
	static const char zero[sizeof(void *)];

	for (size_t at = 0; at < size; at += sizeof(void *))
		ck_assert(memcmp((const char *) table + at, zero, sizeof(zero)) != 0);
}

START_TEST(operation_tables_have_no_hole)
{
	assert_filled(cloudos_vfs_operations(), sizeof(vfs_operations_t));
	assert_filled(cloudos_file_operations(), sizeof(file_operations_t));
	assert_filled(cloudos_network_operations(), sizeof(network_operations_t));
	assert_filled(cloudos_auth_operations(), sizeof(auth_operations_t));
	assert_filled(cloudos_authz_operations(), sizeof(authz_operations_t));
	assert_filled(cloudos_crypto_operations(), sizeof(crypto_operations_t));
	assert_filled(cloudos_device_operations(), sizeof(device_operations_t));
	assert_filled(cloudos_device_io_operations(), sizeof(device_io_operations_t));
	assert_filled(cloudos_container_operations(), sizeof(container_operations_t));
	assert_filled(cloudos_ai_operations(), sizeof(ai_operations_t));
	assert_filled(cloudos_cloud_operations(), sizeof(cloud_operations_t));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libcloudos");
	TCase *tests = tcase_create("outside cloudos-exec");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, every_errno_has_a_code_that_exists);
	tcase_add_test(tests, an_errno_with_a_code_of_its_name_has_that_code);
	tcase_add_test(tests, codes_have_names_and_texts);
	tcase_add_test(tests, a_raw_error_is_told_from_the_kernels);
	tcase_add_test(tests, private_calls_outside_cloudos_exec_say_how_to_start);
	tcase_add_test(tests, functions_that_return_no_code_fail_to_false_and_null);
	tcase_add_test(tests, a_reason_has_its_time_and_its_thread);
	tcase_add_test(tests, clear_error_forgets);
	tcase_add_test(tests, a_reason_belongs_to_its_thread);
	tcase_add_test(tests, files_and_folders_work);
	tcase_add_test(tests, processes_work);
	tcase_add_test(tests, memory_works);
	tcase_add_test(tests, sockets_work);
	tcase_add_test(tests, a_signal_makes_a_blocking_read_busy);
	tcase_add_test(tests, operation_tables_hold_the_functions);
	tcase_add_test(tests, operation_tables_have_no_hole);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
