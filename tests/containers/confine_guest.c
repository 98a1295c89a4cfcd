/* SPDX-License-Identifier: MIT */
/*
 * The program that tests/containers/confine.py confines.  GUEST.
 *
 * Each argument is an attempt, "WORD" or "WORD ARGUMENT"; each is answered with a line, "WORD
 * RESULT", RESULT being 0, or what the kernel said, by its name.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *argument;

static long number(void)
{
	return strtol(argument, NULL, 0);
}

/* ---- files ---- */

static long try_open(int flags)
{
	int fd = open(argument, flags, 0644);

	if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY && write(fd, "x", 1) < 0)
		return -1;
	return fd < 0 ? -1 : close(fd);
}

static long try_read(void)
{
	return try_open(O_RDONLY);
}

static long try_write(void)
{
	return try_open(O_WRONLY | O_CREAT);
}

static long try_list(void)
{
	DIR *dir = opendir(argument);
	struct dirent *e;
	long n = 0;

	if (!dir)
		return -1;
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	(void) closedir(dir);
	return n;
}

static long try_hardlink(void)
{
	return link(argument, "/tmp/hardlink");
}

/* By a handle, which asks no folder for permission. */
static long try_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char bytes[128];
	} handle = { .h.handle_bytes = 128 };
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, argument, &handle.h, &mount_id, 0) < 0)
		return -1;
	return open_by_handle_at(AT_FDCWD, &handle.h, O_RDONLY);
}

/* Descriptors that came along. */
static long try_descriptors(void)
{
	long n = 0;

	for (int fd = 3; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- processes ---- */

static long try_processes(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	long n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	if (dir)
		(void) closedir(dir);
	return n;
}

static long try_signal(void)
{
	return kill((pid_t) number(), SIGKILL);
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_SEIZE, (pid_t) number(), NULL, NULL);
}

static long try_readv(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	return process_vm_readv((pid_t) number(), &here, 1, &there, 1, 0);
}

static long try_pidfd(void)
{
	return syscall(SYS_pidfd_open, number(), 0);
}

static long try_getfd(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0);
}

static long try_shm(void)
{
	return shmget((key_t) number(), 0, 0);
}

/* ---- the kernel ---- */

static long try_iouring(void)
{
	char params[256] = { 0 };

	return syscall(SYS_io_uring_setup, 4, params);
}

static long try_keys(void)
{
	return syscall(SYS_keyctl, 0 /* id of the session's */, -3, 0);
}

static long try_addkey(void)
{
	return syscall(SYS_add_key, "user", "name", "x", 1, -3);
}

static long try_userns(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_clonens(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long try_setns(void)
{
	int fd = open("/proc/self/ns/user", O_RDONLY);

	return setns(fd, CLONE_NEWUSER);
}

static long try_mount(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL);
}

static long try_remount(void)
{
	return mount(NULL, argument, NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long try_chroot(void)
{
	return chroot("/tmp");
}

static long try_bpf(void)
{
	union bpf_attr attr = { 0 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static long try_perf(void)
{
	char attr[112] = { 0 };

	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}

static long try_userfault(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC);
}

static long try_tiocsti(void)
{
	/* what is in the other half is none of the kernel's business */
	return syscall(SYS_ioctl, 0, (unsigned long) number() << 32 | TIOCSTI, "x");
}

static long try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long try_i386(void)
{
	long answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory");
	return answer;
}

static long try_x32(void)
{
	return syscall(0x40000000 + SYS_getpid);
}

/* ---- sockets ---- */

static long try_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void) snprintf(to.sun_path, sizeof(to.sun_path), "%s", argument);
	return connect(fd, (struct sockaddr *) &to, sizeof(to));
}

static long try_abstract(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n = strlen(argument);

	memcpy(to.sun_path + 1, argument, n);
	return connect(fd, (struct sockaddr *) &to,
		       (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + n));
}

static long try_tcp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t) number()) };

	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *) &to,
		       sizeof(to));
}

static long try_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long try_audit(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 9);
}

/* ---- what is allowed, in excess ---- */

static long try_memory(void)
{
	size_t n = (size_t) number() << 20;
	volatile char *p = malloc(n);

	for (size_t i = 0; p && i < n; i += 4096)
		p[i] = 1;
	return p ? 0 : -1;
}

/* How many of so many children there can be. */
static long try_children(void)
{
	long made = 0;

	for (long i = 0; i < number(); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void) pause();
			_exit(0);
		}
		made += pid > 0;
	}
	return made;
}

/* Private calls with whatever words, for so many milliseconds. */
static long try_storm(void)
{
	struct timespec begun, now;
	uint64_t r = (uint64_t) getpid() * 0x9e3779b97f4a7c15;
	static uint64_t page[1 << 17]; /* of what is written there, all has room */
	uint64_t words[6];

	(void) clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		for (int i = 0; i < 6; i++) {
			r ^= r << 13;
			r ^= r >> 7;
			r ^= r << 17;
			words[i] = r % 3 == 0   ? r
				   : r % 3 == 1 ? (uint64_t) (uintptr_t) page + r % 4096
						: r % 64;
		}
		for (int i = 0; i < 512; i++)
			page[i] = r * (uint64_t) i;
		r ^= r << 13;
		if (r % 2000 + 20000 != 20301) /* which waits */
			(void) syscall((long) (r % 2000 + 20000), words[0], words[1],
				       words[2], words[3], words[4], words[5]);
		(void) clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begun.tv_sec) * 1000 +
			 (now.tv_nsec - begun.tv_nsec) / 1000000 <
		 number());
	return 0;
}

static long try_pause(void)
{
	printf("up\n");
	return pause();
}

static long try_version(void)
{
	return syscall(21902) > 0 ? 0 : -1; /* the number of its domain */
}

static const struct {
	const char *word;
	long (*attempt)(void);
} attempts[] = {
	{ "read", try_read },
	{ "write", try_write },
	{ "list", try_list },
	{ "hardlink", try_hardlink },
	{ "handle", try_handle },
	{ "descriptors", try_descriptors },
	{ "processes", try_processes },
	{ "signal", try_signal },
	{ "ptrace", try_ptrace },
	{ "readv", try_readv },
	{ "pidfd", try_pidfd },
	{ "getfd", try_getfd },
	{ "shm", try_shm },
	{ "iouring", try_iouring },
	{ "keys", try_keys },
	{ "addkey", try_addkey },
	{ "userns", try_userns },
	{ "clonens", try_clonens },
	{ "setns", try_setns },
	{ "mount", try_mount },
	{ "remount", try_remount },
	{ "chroot", try_chroot },
	{ "bpf", try_bpf },
	{ "perf", try_perf },
	{ "userfault", try_userfault },
	{ "tiocsti", try_tiocsti },
	{ "dumpable", try_dumpable },
	{ "i386", try_i386 },
	{ "x32", try_x32 },
	{ "unix", try_unix },
	{ "abstract", try_abstract },
	{ "tcp", try_tcp },
	{ "packet", try_packet },
	{ "audit", try_audit },
	{ "memory", try_memory },
	{ "children", try_children },
	{ "storm", try_storm },
	{ "pause", try_pause },
	{ "version", try_version },
};

static void attempt(const char *text)
{
	size_t n = strcspn(text, " ");

	argument = text[n] ? text + n + 1 : "";
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		long result;

		if (strncmp(attempts[i].word, text, n) != 0 || attempts[i].word[n])
			continue;
		errno = 0;
		result = attempts[i].attempt();
		if (result < 0)
			printf("%s %s\n", attempts[i].word, strerrorname_np(errno));
		else
			printf("%s %ld\n", attempts[i].word, result);
		return;
	}
	printf("%s ?\n", text);
}

int main(int argc, char **argv)
{
	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		attempt(argv[i]);
	return 0;
}
