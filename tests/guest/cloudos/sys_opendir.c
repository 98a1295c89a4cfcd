/* SPDX-License-Identifier: MIT */
/* sys_opendir, raw and through libcloudos. */
#include "guest.h"

#include "folder.h"

#include <sys/resource.h>

/* Is that descriptor of this process the folder of that name? */
static bool is_folder(long fd, const char *name)
{
	struct stat by_fd, by_name;

	return fd >= 0 && fstat((int) fd, &by_fd) == 0 && stat(name, &by_name) == 0 &&
	       by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev;
}

static int child_opens_here(void *arg)
{
	long fd;

	if (chdir(arg) < 0)
		return 1;
	fd = RAW(sys_opendir, WORD("."));
	return is_folder(fd, arg) ? 0 : 2;
}

static void it_is_a_descriptor_here(void)
{
	long fd = RAW(sys_opendir, WORD(folder));
	long relative = RAW(sys_opendir, WORD("sub"));
	long linked = RAW(sys_opendir, WORD("link"));
	int flags = fcntl((int) fd, F_GETFD);
	char own[64];

	check(is_folder(fd, folder), "an absolute name is opened, in this process");
	check(is_folder(relative, "sub"), "a relative name is opened");
	check(is_folder(linked, "sub"), "a symbolic link is followed");
	check(flags >= 0 && (flags & FD_CLOEXEC), "the descriptor is closed on exec");
	check(write((int) fd, "x", 1) < 0, "it cannot be written");
	check_number(cloudos_sys_close((int) fd), 0, "it is closed");
	check(fcntl((int) fd, F_GETFD) < 0, "and then it is gone");
	(void) close((int) relative);
	(void) close((int) linked);
	check_number(in_child(child_opens_here, (char[]){ "/" }), 0,
		     "a name is relative to the working folder of the caller");
	fd = cloudos_sys_opendir("/proc/self");
	(void) snprintf(own, sizeof(own), "/proc/%d", (int) getpid()); /* it fits */
	check(is_folder(fd, own), "/proc/self is the caller's");
	(void) close((int) fd);
}

static void refusals_are_those_of_open(void)
{
	char loop[] = "loop", too_long[300], *path = malloc(5000);

	check_refused(RAW(sys_opendir, WORD("nothing")), CLOUDOS_ENOENT,
		      "a folder that does not exist is refused");
	check_refused(RAW(sys_opendir, WORD("")), CLOUDOS_ENOENT,
		      "an empty name is refused");
	check_refused(RAW(sys_opendir, WORD("file")), CLOUDOS_ENOTDIR,
		      "a file is refused");
	check_refused(RAW(sys_opendir, WORD("file/sub")), CLOUDOS_ENOTDIR,
		      "what is under a file is refused");
	if (symlink(loop, loop) < 0)
		die("symlink");
	check_refused(RAW(sys_opendir, WORD(loop)), CLOUDOS_ELOOP,
		      "a link to itself is refused");
	(void) unlink(loop);
	memset(too_long, 'n', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	check_refused(RAW(sys_opendir, WORD(too_long)), CLOUDOS_ENAMETOOLONG,
		      "a name of 299 bytes is refused");
	if (!path)
		die("malloc");
	memset(path, '/', 4999);
	path[4999] = '\0';
	check_refused(RAW(sys_opendir, WORD(path)), CLOUDOS_ENAMETOOLONG,
		      "a path of 4999 bytes is refused");
	free(path);
	if (geteuid() != 0) {
		if (chmod("sub", 0) < 0)
			die("chmod");
		check_refused(RAW(sys_opendir, WORD("sub")), CLOUDOS_EACCES,
			      "a folder that may not be read is refused");
		(void) chmod("sub", 0700);
	}
	check_refused(RAW(sys_opendir, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(sys_opendir, WORD(unmapped())), CLOUDOS_EFAULT,
		      "a name that is nowhere is refused");
	check_refused(RAW(sys_opendir, WORD(unterminated(3))), CLOUDOS_EFAULT,
		      "a name that ends with its mapping is refused");
}

static void the_callers_limit_counts(void)
{
	struct rlimit before, none;
	int lowest = dup(0);

	if (lowest < 0 || close(lowest) < 0 || getrlimit(RLIMIT_NOFILE, &before) < 0)
		die("descriptors");
	none = before;
	none.rlim_cur = (rlim_t) lowest;
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		die("setrlimit");
	check_refused(RAW(sys_opendir, WORD("/")), CLOUDOS_EMFILE,
		      "a process that may not open more is refused");
	if (setrlimit(RLIMIT_NOFILE, &before) < 0)
		die("setrlimit");
}

int main(void)
{
	folder_enter();
	if (mkdir("sub", 0700) < 0 || symlink("sub", "link") < 0)
		die("the folder");
	make_file("file");
	it_is_a_descriptor_here();
	refusals_are_those_of_open();
	the_callers_limit_counts();
	(void) unlink("file");
	(void) unlink("link");
	(void) rmdir("sub");
	folder_leave();
	return done();
}
