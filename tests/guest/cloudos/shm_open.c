/* SPDX-License-Identifier: MIT */
/* shm_open: by name, as the mode lets. */
#include "shm.h"

#include <grp.h>

static long open_as(const char *name, int flags)
{
	long fd = RAW(shm_open, WORD(name), WORD(flags));

	if (fd >= 0)
		close((int) fd);
	return fd < 0 ? fd : 0;
}

struct user {
	uid_t uid;
	gid_t gid, group;
};

/* What that user may do with the segments of user 65534, as digits: 1 read, 2 both. */
static int child_tries(void *arg)
{
	static const char *const names[] = { "open.600", "open.640", "open.644",
					     "open.400" };
	const struct user *user = arg;
	int seen = 0;

	if (RAW(domain) < 0 || setgroups(1, &user->group) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return 255;
	for (int i = 0; i < 4; i++) {
		seen *= 3;
		seen += open_as(names[i], O_RDONLY) == 0;
		seen += open_as(names[i], O_RDWR) == 0;
	}
	return seen;
}

static int child_makes(void *arg)
{
	const struct user *user = arg;

	if (RAW(domain) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return 255;
	return shm_make("open.600", 0600) < 0 || shm_make("open.640", 0640) < 0 ||
	       shm_make("open.644", 0644) < 0 || shm_make("open.400", 0400) < 0;
}

#define DIGITS(a, b, c, d) ((((a) *3 + (b)) * 3 + (c)) * 3 + (d))

static void modes_are_checked(void)
{
	struct user owner = { 65534, 65534, 65534 }, member = { 65533, 65533, 65534 };
	struct user same = { 65533, 65534, 65533 }, other = { 65533, 65533, 65533 };

	check_number(in_child(child_makes, &owner), 0, "a user makes segments");
	check_number(in_child(child_tries, &owner), DIGITS(2, 2, 2, 1),
		     "the owner opens what the user's bits let");
	check_number(in_child(child_tries, &same), DIGITS(0, 1, 1, 0),
		     "the group what the group's bits let");
	check_number(in_child(child_tries, &member), DIGITS(0, 1, 1, 0),
		     "also as a further group");
	check_number(in_child(child_tries, &other), DIGITS(0, 0, 1, 0),
		     "others what the last bits let");
	check_number(open_as("open.400", O_RDWR), 0, "root everything");
	(void) RAW(shm_unlink, WORD("open.600"));
	(void) RAW(shm_unlink, WORD("open.640"));
	(void) RAW(shm_unlink, WORD("open.644"));
	(void) RAW(shm_unlink, WORD("open.400"));
}

static bool is_traced(void)
{
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");
	int tracer = 0;

	while (file && fgets(line, sizeof(line), file))
		(void) sscanf(line, "TracerPid: %d", &tracer); /* no other line */
	if (file)
		(void) fclose(file); /* only read */
	return tracer != 0;
}

static void a_mode_of_ones_own(void)
{
	check(shm_make("open.alone", 0400) >= 0, "a segment that may only be read");
	check_number(open_as("open.alone", O_RDONLY), 0, "is opened for reading");
	if (getuid() != 0)
		check_refused(open_as("open.alone", O_RDWR), CLOUDOS_EACCES,
			      "and not for writing");
	check_number(RAW(shm_unlink, WORD("open.alone")), 0, "it is unlinked");
}

int main(void)
{
	int made = shm_make("open.it", 0600), fd;
	char *p;

	check(made >= 0, "a segment is made");
	fd = (int) RAW(shm_open, WORD("open.it"), O_RDONLY);
	check(fd >= 0 && fd != made, "and opened for reading");
	check(fcntl(fd, F_GETFD) == FD_CLOEXEC, "its descriptor ends with exec");
	p = shm_see(made, PROT_READ | PROT_WRITE);
	if (!p)
		die("mmap");
	p[5] = 'x';
	check(shm_see(fd, PROT_WRITE) == NULL, "cannot be mapped for writing");
	check(shm_see(fd, PROT_READ)[5] == 'x', "and reads what is written elsewhere");
	check_number(in_child(child_counts_up, (char[]){ "open.it" }), 0,
		     "opened for both it can be written");
	check_number(p[SHM_SIZE - 1], 1, "for all");
	check_refused(open_as("open.none", O_RDONLY), CLOUDOS_ENOENT,
		      "one that is not there is not opened");
	check_refused(open_as("open.it", O_WRONLY), CLOUDOS_EINVAL,
		      "nor one for writing only");
	check_refused(open_as("open.it", O_RDWR | O_CREAT), CLOUDOS_EINVAL,
		      "nor with other flags");
	check_refused(open_as("open.i", O_RDONLY), CLOUDOS_ENOENT,
		      "names are compared whole");
	check_refused(RAW(shm_open, 0, O_RDONLY), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(RAW(shm_open, WORD(unmapped()), O_RDONLY), CLOUDOS_EFAULT,
		      "or nowhere");
	a_mode_of_ones_own();
	if (getuid() != 0 || is_traced())
		printf("# not root, or under ptrace: no other users to try\n");
	else
		modes_are_checked();
	fd = cloudos_shm_open("open.it", O_RDWR);
	check(fd >= 0, "libcloudos opens, too");
	check_number(RAW(shm_unlink, WORD("open.it")), 0, "it is unlinked");
	check_number(cloudos_shm_open("open.it", O_RDWR), CLOUDOS_ENOENT,
		     "and cannot be opened any more");
	return done();
}
