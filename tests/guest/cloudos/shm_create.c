/* SPDX-License-Identifier: MIT */
/* shm_create: what it makes, for whom, and what it refuses. */
#include "shm.h"

#include <sys/resource.h>

static void a_segment_is_shared(void)
{
	struct stat st;
	int fd = shm_make("create.shared", 0600);
	char *p;

	check(fd >= 0, "a segment is made");
	check(fcntl(fd, F_GETFD) == FD_CLOEXEC, "its descriptor ends with exec");
	check(fstat(fd, &st) == 0 && st.st_size == (off_t) SHM_SIZE,
	      "it has the size that was asked for");
	p = shm_see(fd, PROT_READ | PROT_WRITE);
	if (!p)
		die("mmap");
	check(p[0] == 0 && p[SHM_SIZE - 1] == 0, "and is empty");
	p[0] = 'a';
	check_number(in_child(child_counts_up, (char[]){ "create.shared" }), 0,
		     "another process opens it by its name");
	check_number(p[SHM_SIZE - 1], 'b', "reads what is there and writes into it");
	check(ftruncate(fd, 1) < 0 && ftruncate(fd, 1 << 20) < 0,
	      "nobody can change its size");
	check_refused(shm_make("create.shared", 0600), CLOUDOS_EEXIST,
		      "a second one of the same name is refused");
	close(fd);
	check_number(in_child(child_counts_up, (char[]){ "create.shared" }), 0,
		     "it is there when nobody has it open");
	check_number(RAW(shm_unlink, WORD("create.shared")), 0, "until it is unlinked");
	fd = shm_make("create.shared", 0600);
	check(fd >= 0 && shm_see(fd, PROT_READ)[0] == 0,
	      "then there can be another one, which is empty");
	close(fd);
	(void) RAW(shm_unlink, WORD("create.shared"));
}

static int child_creates(void *name)
{
	return shm_make(name, 0600) >= 0 ? 0 : 1;
}

static void it_outlives_its_creator(void)
{
	check_number(in_child(child_creates, (char[]){ "create.child" }), 0,
		     "a process makes one and ends");
	check_number(in_child(child_counts_up, (char[]){ "create.child" }), 0,
		     "which others find");
	check_number(RAW(shm_unlink, WORD("create.child")), 0, "and unlink");
}

static void what_is_refused(void)
{
	struct rlimit few, before;
	long r;

	check_refused(RAW(shm_create, WORD(""), 1, 0600), CLOUDOS_EINVAL,
		      "an empty name is refused");
	check_refused(RAW(shm_create, WORD("create.bad"), 0, 0600), CLOUDOS_EINVAL,
		      "no bytes are refused");
	check_refused(RAW(shm_create, WORD("create.bad"), 1, 01600), CLOUDOS_EINVAL,
		      "other mode bits are refused");
	check_refused(RAW(shm_create, WORD("create.bad"), (1UL << 30) + 1, 0600),
		      CLOUDOS_EFBIG, "more than 1 GiB is refused");
	check_refused(RAW(shm_create, WORD("create.bad"), SIZE_MAX, 0600),
		      CLOUDOS_EFBIG, "as is all there could be");
	check_refused(RAW(shm_create, 0, 1, 0600), CLOUDOS_EFAULT,
		      "a name that is NULL is refused");
	check_refused(RAW(shm_create, WORD(unmapped()), 1, 0600), CLOUDOS_EFAULT,
		      "or nowhere");
	check_refused(RAW(shm_create, WORD(unterminated(4000)), 1, 0600),
		      CLOUDOS_ENAMETOOLONG, "or too long");
	if (getrlimit(RLIMIT_NOFILE, &before) < 0)
		die("getrlimit");
	few = before;
	few.rlim_cur = 3;
	(void) RAW(domain); /* whatever it needs for this is open */
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		die("setrlimit");
	r = RAW(shm_create, WORD("create.few"), 1, 0600);
	(void) setrlimit(RLIMIT_NOFILE, &before);
	check_number(r, RAW_CODE(CLOUDOS_EMFILE), "without a free descriptor it fails");
	check_refused(RAW(shm_unlink, WORD("create.few")), CLOUDOS_ENOENT,
		      "and nothing has been made");
}

int main(void)
{
	int fd;

	a_segment_is_shared();
	it_outlives_its_creator();
	what_is_refused();
	fd = cloudos_shm_create("create.lib", 1, 0600);
	check(fd >= 0, "libcloudos makes one, too");
	check_number(cloudos_shm_unlink("create.lib"), 0, "and unlinks it");
	return done();
}
