/* SPDX-License-Identifier: MIT */
/*
 * trap-behaviour-process: starting programs, children that share memory, what a process
 * is told about itself, and being traced.  GUEST.
 */
#include "behaviour.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *no_words[] = { NULL };

/* A folder of its own; each case runs in a child, so nobody else sees the change. */
static int in_folder(char *path)
{
	(void) strcpy(path, "/tmp/behaviour.XXXXXX");
	return mkdtemp(path) != NULL && chdir(path) == 0;
}

static int make(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	ssize_t size = (ssize_t) strlen(text);

	return fd >= 0 && write(fd, text, (size_t) size) == size && close(fd) == 0 &&
	       chmod(path, mode) == 0;
}

static int copy_of(const char *from, const char *to)
{
	static char data[1 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t size = read(in, data, sizeof(data));
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	int done = in >= 0 && size > 0 && write(out, data, (size_t) size) == size;

	(void) close(in);
	return close(out) == 0 && done;
}

static int exec_error(const char *path)
{
	errno = 0;
	(void) execv(path, no_words); /* only its errno is wanted */
	return errno;
}

/* ---- errors of exec ---- */

static int try_errors(void)
{
	static char longest[5000];

	memset(longest, 'x', sizeof(longest) - 1);
	EXPECT(exec_error("missing") == ENOENT && exec_error("") == ENOENT);
	EXPECT(make("plain", "#!/bin/sh\n", 0600) && exec_error("plain") == EACCES);
	EXPECT(mkdir("folder", 0700) == 0 && exec_error("folder") == EACCES);
	EXPECT(exec_error("plain/in") == ENOTDIR);
	EXPECT(make("text", "hello\n", 0700) && exec_error("text") == ENOEXEC);
	EXPECT(make("empty", "", 0700) && exec_error("empty") == ENOEXEC);
	EXPECT(make("cut", "\177ELF\2\1\1", 0700) && exec_error("cut") == ENOEXEC);
	EXPECT(make("lost", "#!/nowhere/at/all\n", 0700));
	EXPECT(exec_error("lost") == ENOENT);
	EXPECT(make("folded", "#!/tmp\n", 0700) && exec_error("folded") == EACCES);
	EXPECT(symlink("loop", "loop") == 0 && exec_error("loop") == ELOOP);
	EXPECT(exec_error(longest) == ENAMETOOLONG);
	EXPECT(syscall(SYS_execve, BAD_POINTER, 0L, 0L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_execve, "/bin/true", BAD_POINTER, 0L) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_execve, "/bin/true", 0L, BAD_POINTER) < 0 &&
	       errno == EFAULT);
	return 0;
}

static int exec_tells_its_errors(void)
{
	char path[64], command[100];
	int line;

	EXPECT(in_folder(path));
	line = try_errors();
	(void) snprintf(command, sizeof(command), "rm -rf %s", path);
	EXPECT(system(command) == 0);
	return line;
}

static int busy_text(void)
{
	char path[64];
	int fd;

	EXPECT(in_folder(path) && copy_of("/bin/true", "busy"));
	fd = open("busy", O_WRONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && exec_error("busy") == ETXTBSY);
	EXPECT(close(fd) == 0);
	EXPECT(unlink("busy") == 0 && rmdir(path) == 0);
	return 0;
}

static int too_many_words(void)
{
	static char word[131072 + 4096];
	char *words[] = { (char *) "true", word, NULL };

	memset(word, 'x', sizeof(word) - 1);
	errno = 0;
	(void) execv("/bin/true", words); /* only its errno is wanted */
	EXPECT(errno == E2BIG);
	return 0;
}

static int exec_at(int fd, const char *path, int flags)
{
	errno = 0;
	(void) syscall(SYS_execveat, fd, path, no_words, environ, flags); /* errno */
	return errno;
}

static int execveat_flags(void)
{
	char path[64];
	int folder, file;

	EXPECT(in_folder(path) && copy_of("/bin/true", "true"));
	EXPECT(symlink("true", "link") == 0);
	folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = open("true", O_RDONLY | O_CLOEXEC);
	EXPECT(folder >= 0 && file >= 0);
	EXPECT(exec_at(folder, "true", -1) == EINVAL);
	EXPECT(exec_at(folder, "true", 0x400) == EINVAL);
	EXPECT(exec_at(-1, "true", 0) == EBADF);
	EXPECT(exec_at(file, "true", 0) == ENOTDIR);
	EXPECT(exec_at(folder, "missing", 0) == ENOENT);
	EXPECT(exec_at(folder, "", 0) == ENOENT);
	EXPECT(exec_at(folder, "", AT_EMPTY_PATH) == EACCES);
	EXPECT(exec_at(folder, "link", AT_SYMLINK_NOFOLLOW) == ELOOP);
	EXPECT(exec_at(999, "", AT_EMPTY_PATH) == EBADF);
	EXPECT(exec_at(folder, BAD_POINTER, 0) == EFAULT);
	EXPECT(unlink("link") == 0 && unlink("true") == 0 && rmdir(path) == 0);
	return 0;
}

/* ---- exec that succeeds ---- */

static int run_self(const char *word, const char *more)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", behaviour_self, word, more, (char *) NULL);
		_exit(120);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 121;
	return WEXITSTATUS(status);
}

static int descriptor_of(void *unused)
{
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	(void) unused;
	if (fd < 0)
		return 9;
	(void) syscall(SYS_execveat, fd, "", no_words, environ, AT_EMPTY_PATH);
	return errno;
}

static int closing_descriptors_run(void)
{
	EXPECT(behaviour_child(descriptor_of, NULL) == 0);
	return 0;
}

static int deleted_program(void *unused)
{
	char path[64];

	(void) unused;
	if (!in_folder(path) || !copy_of("/bin/true", "true"))
		return 9;
	int fd = open("true", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink("true") != 0 || rmdir(path) != 0)
		return 8;
	(void) syscall(SYS_execveat, fd, "", no_words, environ, AT_EMPTY_PATH);
	return errno;
}

static int deleted_programs_run(void)
{
	EXPECT(behaviour_child(deleted_program, NULL) == 0);
	return 0;
}

static int script_chain(void *unused)
{
	char path[64], line[400];

	(void) unused;
	if (!in_folder(path))
		return 9;
	(void) snprintf(line, sizeof(line),
			"#!/bin/sh -e\ntest \"$1,$2\" = 'one two,%s/b' && "
			"test \"$3\" = three && rm -rf %s && exit 5\n",
			path, path);
	if (!make("a", line, 0700))
		return 8;
	(void) snprintf(line, sizeof(line), "#! %s/a   one two \n", path);
	if (!make("b", line, 0700))
		return 7;
	(void) snprintf(line, sizeof(line), "%s/b", path);
	execl(line, "zero", "three", (char *) NULL);
	return errno;
}

static int scripts_of_scripts_run(void)
{
	int status = behaviour_child(script_chain, NULL);

	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	return 0;
}

static int after_exec(const char *extra)
{
	char link[4096], comm[17] = "";
	const Elf64_Phdr *headers = (const Elf64_Phdr *) getauxval(AT_PHDR);
	extern const char __ehdr_start[];
	const Elf64_Ehdr *self = (const Elf64_Ehdr *) __ehdr_start;
	ssize_t size = readlink("/proc/self/exe", link, sizeof(link) - 1);
	struct stat a, b;

	EXPECT(size > 0);
	link[size] = 0;
	EXPECT(stat(link, &a) == 0 && stat("/proc/self/exe", &b) == 0);
	EXPECT(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	EXPECT(strcmp(strrchr(link, '/'), strrchr(extra, '/')) == 0);
	EXPECT((uintptr_t) headers == (uintptr_t) self + self->e_phoff);
	EXPECT(getauxval(AT_PHNUM) == self->e_phnum);
	EXPECT(getauxval(AT_ENTRY) ==
	       (getauxval(AT_PHDR) - self->e_phoff) +
		       (self->e_type == ET_DYN ? self->e_entry : 0));
	EXPECT(getauxval(AT_SECURE) == 0 && getauxval(AT_PAGESZ) == 4096);
	EXPECT(getauxval(AT_RANDOM) != 0 && getauxval(AT_SYSINFO_EHDR) != 0);
	EXPECT(prctl(PR_GET_NAME, comm) == 0);
	EXPECT(strcmp(comm, "exe") == 0);
	EXPECT(strcmp((const char *) getauxval(AT_EXECFN), "/proc/self/exe") == 0);
	EXPECT(fcntl(3, F_GETFD) < 0 || fcntl(3, F_GETFD) == 0);
	return 0;
}

static int programs_know_themselves(void)
{
	char path[4096];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

	EXPECT(size > 0);
	path[size] = 0;
	EXPECT(run_self("--after-exec", path) == 0);
	return 0;
}

static int closed_most(void *unused)
{
	(void) unused;
	if (syscall(SYS_close_range, 3L, 65535L, 0L) != 0)
		return 122;
	return run_self("--descriptors", "");
}

static int no_descriptor_is_added(void)
{
	EXPECT(behaviour_child(closed_most, NULL) == 0);
	return 0;
}

static int no_descriptors(void)
{
	for (int fd = 3; fd < 1000; fd++)
		EXPECT(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
	return 0;
}

static int closed_everything(void *unused)
{
	(void) unused;
	EXPECT(syscall(SYS_close_range, 0L, 65535L, 0L) == 0);
	for (int i = 0; i < 20; i++)
		EXPECT(getppid() > 0 && access("/", F_OK) == 0);
	execl("/bin/sh", "sh", "-c", "exit 6", (char *) NULL);
	return 7;
}

static int without_descriptors(void)
{
	int status = behaviour_child(closed_everything, NULL);

	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 6);
	return 0;
}

static int command_line(void)
{
	char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, text, sizeof(text) - 1);

	EXPECT(fd >= 0 && size > 0 && close(fd) == 0);
	text[size] = 0;
	EXPECT(strcmp(text, behaviour_self) == 0);
	return 0;
}

static int execs_from_a_thread_body(void *unused)
{
	(void) unused;
	execl("/bin/sh", "sh", "-c", "exit 4", (char *) NULL);
	return 9;
}

static void *thread_execs(void *unused)
{
	_exit(execs_from_a_thread_body(unused));
}

static int thread_exec_child(void *unused)
{
	pthread_t thread;

	(void) unused;
	if (pthread_create(&thread, NULL, thread_execs, NULL) != 0)
		return 8;
	(void) pause(); /* the exec ends this thread */
	return 7;
}

static int exec_from_a_thread(void)
{
	int status = behaviour_child(thread_exec_child, NULL);

	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	return 0;
}

/* ---- children ---- */

static int vfork_deep(int depth)
{
	int status;
	pid_t pid = vfork(); /* the caller's frame is still there */

	if (pid == 0) {
		if (depth > 0)
			_exit(vfork_deep(depth - 1) == 0 ? 3 : 4);
		execl("/bin/sh", "sh", "-c", "exit 3", (char *) NULL);
		_exit(5);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 3 ? 0 : -1;
}

static int vforks_in_vforks(void)
{
	for (int depth = 0; depth < 40; depth += 13)
		EXPECT(vfork_deep(depth) == 0);
	return 0;
}

static void on_alarm(int sig)
{
	(void) sig;
}

static int vforks_under_a_timer(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	timer_t timer;
	struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };

	EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
	EXPECT(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
	EXPECT(timer_settime(timer, 0, &often, NULL) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(vfork_deep(0) == 0);
	return 0;
}

static volatile int shared;

static int shares(void *argument)
{
	shared = *(int *) argument;
	return getppid() > 0 ? 17 : 1;
}

static int clones_share_memory(void)
{
	static char stack[65536];
	int status, value;

	for (value = 1; value < 50; value++) {
		pid_t pid = clone(shares, stack + sizeof(stack), CLONE_VM | SIGCHLD,
				  &value);

		EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 17);
		EXPECT(shared == value);
	}
	return 0;
}

static int clone3_starts_children(void)
{
	for (int i = 0; i < 30; i++) {
		struct clone_args args = { .exit_signal = SIGCHLD };
		int status, pidfd = -1;
		long pid;

		if (i % 2) {
			args.flags = CLONE_PIDFD;
			args.pidfd = (uint64_t) (uintptr_t) &pidfd;
		}
		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid == 0)
			_exit(getppid() > 0 ? i : 99);
		EXPECT(pid > 0 && waitpid((pid_t) pid, &status, 0) == pid);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == i);
		EXPECT((pidfd >= 0) == i % 2);
		if (pidfd >= 0)
			EXPECT(close(pidfd) == 0);
	}
	EXPECT(syscall(SYS_clone3, BAD_POINTER, sizeof(struct clone_args)) < 0);
	EXPECT(errno == EFAULT);
	return 0;
}

static int clone_clears_handlers(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct clone_args args = { .flags = CLONE_CLEAR_SIGHAND,
				   .exit_signal = SIGCHLD };
	int status;
	long pid;

	EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
	EXPECT(sigaction(SIGSYS, &action, NULL) == 0);
	action.sa_handler = SIG_IGN;
	EXPECT(sigaction(SIGUSR2, &action, NULL) == 0);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (sigaction(SIGUSR1, NULL, &action) < 0 ||
		    action.sa_handler != SIG_DFL ||
		    sigaction(SIGSYS, NULL, &action) < 0 ||
		    action.sa_handler != SIG_DFL ||
		    sigaction(SIGUSR2, NULL, &action) < 0 ||
		    action.sa_handler != SIG_IGN)
			_exit(1);
		_exit(0);
	}
	EXPECT(pid > 0 && waitpid((pid_t) pid, &status, 0) == pid && status == 0);
	EXPECT(sigaction(SIGUSR1, NULL, &action) == 0);
	EXPECT(action.sa_handler == on_alarm);
	return 0;
}

/* ---- what a process is told about itself ---- */

static int new_privileges(void *unused)
{
	(void) unused;
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 && errno == EINVAL);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0 && errno == EINVAL);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0) < 0 && errno == EINVAL);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

static int new_privileges_read_back(void)
{
	return new_privileges(NULL);
}

static int no_seccomp_at_first(void)
{
	EXPECT(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	return 0;
}

static int seccomp_looks_at_its_arguments(void)
{
	EXPECT(syscall(SYS_seccomp, 99L, 0L, 0L) < 0 && errno == EINVAL);
	EXPECT(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0L, BAD_POINTER) < 0 &&
	       errno == EFAULT);
	return 0;
}

static int own_filter_body(void *unused)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	(void) unused;
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
	EXPECT(getpgid(0) < 0 && errno == EDOM && getppid() > 0);
	EXPECT(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2);
	return 0;
}

static int own_filters_work(void)
{
	return own_filter_body(NULL);
}

static int strict_body(void *unused)
{
	(void) unused;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
		return 2;
	(void) syscall(SYS_getppid); /* ends it */
	return 3;
}

static int strict_mode_kills(void)
{
	int status = behaviour_child(strict_body, NULL);

	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return 0;
}

static int barriers_need_registration(void)
{
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0L, 0L) > 0);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0L,
		       0L) < 0 &&
	       errno == EPERM);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0L, 0L) < 0 &&
	       errno == EPERM);
	EXPECT(syscall(SYS_membarrier,
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0L,
		       0L) == 0);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0L,
		       0L) == 0);
	return 0;
}

static int io_uring_is_there(void)
{
	/* natively a bad pointer, or what an administrator has forbidden */
	EXPECT(syscall(SYS_io_uring_setup, 1L, BAD_POINTER) < 0);
	EXPECT(errno == EFAULT || errno == EPERM);
	return 0;
}

static int int80_is_answered(void)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(20L) /* getpid of i386 */
			 : "memory");
	EXPECT(result == getpid());
	return 0;
}

static int odd_numbers_are_refused(void)
{
	/* x32 numbers: refused where the kernel has no x32, which is everywhere */
	EXPECT(syscall(0x40000000 + SYS_getpid) < 0 && errno == ENOSYS);
	EXPECT(syscall(-1L) < 0 && errno == ENOSYS);
	EXPECT(syscall(100000L) < 0 && errno == ENOSYS);
	EXPECT(syscall(0x500000000 + SYS_getpid) == getpid());
	return 0;
}

static int vsyscall_page(void)
{
	time_t (*vtime)(time_t *) = (time_t(*)(time_t *)) 0xffffffffff600400UL;
	time_t before = time(NULL), there = vtime(NULL), after = time(NULL);

	EXPECT(there + 1 >= before && there <= after);
	return 0;
}

/* Memory that a program gets is memory that it can use: the engine's is not given out. */
static int memory_is_whole(void)
{
	for (int i = 0; i < 200; i++) {
		char *here = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		EXPECT(here != MAP_FAILED);
		memset(here, i, 1 << 20);
		if (i % 2)
			EXPECT(munmap(here, 1 << 20) == 0);
	}
	EXPECT(sbrk(1 << 20) != (void *) -1);
	memset((char *) sbrk(0) - (1 << 20), 1, 1 << 20);
	return 0;
}

/* ---- being traced ---- */

static int traced_child(void *unused)
{
	(void) unused;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		return 1;
	(void) raise(SIGUSR1); /* stops */
	(void) syscall(SYS_getppid);
	(void) syscall(SYS_getppid);
	return 5;
}

/* Goes from stop to stop by `request`; counts getppid and other signals than the first. */
static int trace(long request, int *out_calls, int *out_signals)
{
	int status, entered = 0;
	pid_t pid = fork();

	*out_calls = *out_signals = 0;
	if (pid == 0)
		_exit(traced_child(NULL));
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
	EXPECT(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	EXPECT(ptrace((enum __ptrace_request) request, pid, 0, 0) == 0);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		struct user_regs_struct regs;
		long sig = 0;

		EXPECT(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			entered = !entered;
			*out_calls += entered && regs.orig_rax == SYS_getppid;
		} else {
			sig = WSTOPSIG(status);
			++*out_signals;
		}
		EXPECT(ptrace((enum __ptrace_request) request, pid, 0, sig) == 0);
	}
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	return 0;
}

static int tracer_sees_calls_once(void)
{
	int calls, signals;
	int line = trace(PTRACE_SYSCALL, &calls, &signals);

	if (line)
		return line;
	EXPECT(calls == 2);
	return 0;
}

static int tracer_sees_no_other_signal(void)
{
	int calls, signals;
	int line = trace(PTRACE_CONT, &calls, &signals);

	if (line)
		return line;
	EXPECT(signals == 0);
	return 0;
}

static int tracee_of_exec(void *unused)
{
	(void) unused;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		return 1;
	execl("/bin/true", "true", (char *) NULL);
	return 2;
}

static int tracer_sees_exec(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(tracee_of_exec(NULL));
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	EXPECT(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static volatile int looked_at = 4711;

static int tracer_reads_and_writes(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		while (looked_at == 4711)
			(void) getppid();
		_exit(looked_at);
	}
	EXPECT(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	/* as debuggers do: what comes before the stop that was asked for is passed on */
	while (WSTOPSIG(status) != SIGSTOP) {
		EXPECT(ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status)) == 0);
		EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	}
	EXPECT((ptrace(PTRACE_PEEKDATA, pid, &looked_at, 0) & 0xffffffff) == 4711);
	EXPECT(ptrace(PTRACE_POKEDATA, pid, &looked_at, 33) == 0);
	EXPECT(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 33);
	return 0;
}

static const struct behaviour cases[] = {
	{ "exec tells its errors", exec_tells_its_errors },
	{ "exec of a file that is written to is ETXTBSY", busy_text },
	{ "exec with a word too long is E2BIG", too_many_words },
	{ "execveat holds its flags and descriptors", execveat_flags },
	{ "a descriptor that closes on exec can be run", closing_descriptors_run },
	{ "a deleted program can be run by its descriptor", deleted_programs_run },
	{ "a script whose interpreter is a script runs", scripts_of_scripts_run },
	{ "a program knows itself", programs_know_themselves },
	{ "exec adds no descriptor", no_descriptor_is_added },
	{ "a program without descriptors calls and execs", without_descriptors },
	{ "the command line is the program's", command_line },
	{ "a thread that is not the first may exec", exec_from_a_thread },
	{ "vfork children vfork and exec", vforks_in_vforks },
	{ "vfork and exec work while a timer ticks", vforks_under_a_timer },
	{ "clone with a stack of its own shares memory", clones_share_memory },
	{ "clone3 starts children", clone3_starts_children },
	{ "CLONE_CLEAR_SIGHAND clears handlers, SIGSYS too", clone_clears_handlers },
	{ "no_new_privs is 0 until it is set", new_privileges_read_back },
	{ "seccomp is off until it is asked for", no_seccomp_at_first },
	{ "seccomp looks at its arguments", seccomp_looks_at_its_arguments },
	{ "a program may have a filter of its own", own_filters_work },
	{ "strict seccomp kills at the first other call", strict_mode_kills },
	{ "private membarriers need a registration", barriers_need_registration },
	{ "io_uring_setup looks at its arguments", io_uring_is_there },
	{ "int 0x80 in 64-bit code is answered", int80_is_answered },
	{ "numbers of x32 and of nobody are refused", odd_numbers_are_refused },
	{ "the vsyscall page tells the time", vsyscall_page },
	{ "memory that is given out can be used", memory_is_whole },
	{ "a tracer sees each call once", tracer_sees_calls_once },
	{ "a tracer sees no signal that nobody sent", tracer_sees_no_other_signal },
	{ "a tracer sees exec as one stop", tracer_sees_exec },
	{ "a tracer attaches, reads, writes and lets go", tracer_reads_and_writes },
};

int main(int argc, char **argv)
{
	behaviour_self = argv[0];
	if (argc == 3 && strcmp(argv[1], "--after-exec") == 0)
		return after_exec(argv[2]) % 256;
	if (argc == 3 && strcmp(argv[1], "--descriptors") == 0)
		return no_descriptors() % 256;
	return behaviour_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
