/* SPDX-License-Identifier: MIT */
/*
 * opendir and readdir, which Linux lacks as calls.  HOST.  Specification: "File System
 * Operations".
 *
 * The directory is opened as the guest would: from its working directory, inside its
 * root, in its mount name space; /proc/TID/cwd and /proc/TID/root lead there.  The guest
 * gets a real descriptor, so that everything else it does with it is Linux's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int proc_open(int32_t tid, const char *name)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/*
 * /proc/self, wherever a path or a link leads there, is the caller's and not ours: opens
 * it again by the caller's number.  Takes fd.
 */
static int proc_self(int fd, int32_t pid)
{
	char link[64], path[64], real[4096];
	int own, n = 0, other;
	ssize_t length;

	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, real, sizeof(real) - 1);
	real[length > 0 ? length : 0] = 0;
	if (sscanf(real, "/proc/%d%n", &own, &n) != 1 || own != getpid() ||
	    strlen(real) > 48)
		return fd;
	(void) snprintf(path, sizeof(path), "/proc/%d%s", pid, real + n);
	other = open(path, DIR_FLAGS);
	(void) close(fd);
	return other;
}

/* ---- with whose rights ---- */

enum { GROUPS_MAX = 1024 };

struct rights {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t ngroups;
};

/* What the kernel judges the thread's file accesses by; false: it is gone. */
static bool rights_of(int32_t tid, struct rights *out)
{
	char path[64], line[16384];
	autofclose FILE *status = NULL;
	bool uid = false, gid = false;

	(void) snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = fopen(path, "re");
	*out = (struct rights){ 0 };
	while (status && fgets(line, sizeof(line), status)) {
		char *at = line + 7, *end;

		uid |= sscanf(line, "Uid: %*u %*u %*u %u", &out->uid) == 1;
		gid |= sscanf(line, "Gid: %*u %*u %*u %u", &out->gid) == 1;
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		while (out->ngroups < GROUPS_MAX) {
			gid_t group = (gid_t) strtoul(at, &end, 10);

			if (end == at)
				break;
			out->groups[out->ngroups++] = group;
			at = end;
		}
	}
	return uid && gid;
}

/* For this thread alone: the functions of libc are for all of them. */
static bool take_rights(const struct rights *r)
{
	if (syscall(SYS_setgroups, r->ngroups, r->groups) < 0)
		return false;
	(void) syscall(SYS_setfsgid, r->gid); /* they tell what was before, not */
	(void) syscall(SYS_setfsuid, r->uid); /* whether it worked */
	return (gid_t) syscall(SYS_setfsgid, -1) == r->gid &&
	       (uid_t) syscall(SYS_setfsuid, -1) == r->uid;
}

/* -1 and errno. */
static int open_as(int32_t tid, const char *name, const struct rights *as)
{
	autoclose int root = proc_open(tid, "root");
	autoclose int start = proc_open(tid, name[0] == '/' ? "root" : "cwd");
	autoclose int own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = DIR_FLAGS };

	if (root < 0 || start < 0 || own < 0)
		return -1;
	if (as && !take_rights(as)) {
		errno = EACCES;
		return -1;
	}
	if (same_file(root, own))
		return openat(start, name, DIR_FLAGS);
	/* Another root: absolute names and links stay inside it; a relative name may not
	 * leave the working directory, because the way up is not known to us. */
	how.resolve = RESOLVE_NO_MAGICLINKS |
		      (name[0] == '/' ? RESOLVE_IN_ROOT : RESOLVE_BENEATH);
	return (int) syscall(SYS_openat2, start, name, &how, sizeof(how));
}

/*
 * A program of another user, as in a container, opens what that user may.  Capabilities
 * that it has in a user name space of its own do not count.
 */
static int open_for(int32_t tid, const char *name)
{
	struct rights own = { .uid = geteuid(), .gid = getegid() }, theirs;
	int fd = -1, errnum, n;

	if (!rights_of(tid, &theirs)) {
		errno = ESRCH;
		return -1;
	}
	if (theirs.uid == own.uid)
		return open_as(tid, name, NULL);
	n = getgroups(GROUPS_MAX, own.groups);
	own.ngroups = n > 0 ? (size_t) n : 0;
	fd = open_as(tid, name, &theirs);
	errnum = errno;
	(void) syscall(SYS_setfsuid, own.uid); /* always allowed: it is ours */
	(void) syscall(SYS_setfsgid, own.gid);
	(void) syscall(SYS_setgroups, own.ngroups, own.groups);
	errno = errnum;
	return fd;
}

static int64_t cannot_open(struct co_call *call, int errnum)
{
	const struct cloudos_sys_opendir_args *a = call_arguments(call);

	return call_fail(call, co_status_from_errno(errnum),
			 "cannot open directory \"%s\": %s", a->name, strerror(errnum));
}

/* The guest's thread has opened it itself. */
static void opened(struct co_call *call, int64_t raw)
{
	call_reply(call, raw >= 0 ? raw : cannot_open(call, (int) -raw));
}

int64_t cloudos_on_sys_opendir(struct co_call *call,
			       const struct cloudos_sys_opendir_args *a)
{
	int32_t pid;
	int fd, errnum, gone;

	if (!call_gives_fds(call)) {
		uint64_t words[6] = { (uint64_t) AT_FDCWD, call_words(call)[0],
				      DIR_FLAGS };

		return call_perform(call, SYS_openat, words, opened);
	}
	pid = call_process(call)->pid;
	call_blocking_begin(call);
	fd = open_for(call_tid(call), a->name);
	if (fd >= 0)
		fd = proc_self(fd, pid);
	errnum = errno;
	gone = call_still_there(call);
	call_blocking_end(call);
	if (fd < 0)
		return cannot_open(call, errnum);
	if (gone) { /* that was perhaps another process of the same number */
		(void) close(fd);
		return gone;
	}
	return call_return_fd(call, fd);
}

/* What is put back if the entry cannot be delivered. */
struct position {
	int fd;
	off_t before;
};

static void position_end(void *arg, bool delivered)
{
	struct position *p = arg;

	if (!delivered)
		(void) lseek(p->fd, p->before,
			     SEEK_SET); /* it was there a moment ago */
	(void) close(p->fd);
	free(p);
}

/*
 * One entry: the kernel gives several, and the position is put back behind the first.
 * 1: out is filled; 0: the end; -1 and errno.
 */
static int read_one(struct position *p, struct dirent *out)
{
	_Alignas(struct dirent) char entries[sizeof(struct dirent)];
	const struct dirent *first = (const void *) entries;
	long n;

	p->before = lseek(p->fd, 0, SEEK_CUR);
	n = p->before < 0 ? -1
			  : syscall(SYS_getdents64, p->fd, entries, sizeof(entries));
	if (n <= 0)
		return (int) n;
	if (first->d_reclen < n && lseek(p->fd, first->d_off, SEEK_SET) < 0)
		return -1;
	memcpy(out, first, first->d_reclen);
	return 1;
}

int64_t cloudos_on_sys_readdir(struct co_call *call,
			       const struct cloudos_sys_readdir_args *a)
{
	struct position *p = malloc(sizeof(*p));
	int n = 0, errnum;

	if (!p)
		return call_fail(call, CO_NO_MEMORY, "sys_readdir: out of memory");
	call_blocking_begin(call);
	p->fd = call_guest_fd(call, a->fd);
	if (p->fd >= 0)
		n = read_one(p, a->dirp);
	errnum = errno;
	call_blocking_end(call);
	if (p->fd < 0) {
		n = p->fd;
		free(p);
		return n;
	}
	call_on_end(call, position_end, p);
	if (n < 0)
		return call_fail(call, co_status_from_errno(errnum),
				 "cannot read the directory of descriptor %d: %s",
				 a->fd, strerror(errnum));
	return n;
}
