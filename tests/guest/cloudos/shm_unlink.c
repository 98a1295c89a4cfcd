/* SPDX-License-Identifier: MIT */
/* shm_unlink: the name goes, the memory stays where it is. */
#include "shm.h"

static int child_finds(void *name)
{
	return RAW(shm_open, WORD(name), O_RDONLY) == RAW_CODE(CLOUDOS_ENOENT) ? 0 : 1;
}

static int child_of_another_user(void *name)
{
	if (RAW(domain) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 9;
	return (int) -(RAW(shm_unlink, WORD(name)) + 2000);
}

int main(void)
{
	int fd = shm_make("unlink.it", 0666), again;
	char *p = fd < 0 ? NULL : shm_see(fd, PROT_READ | PROT_WRITE);

	if (!p)
		die("no shared memory");
	p[0] = 'a';
	if (getuid() == 0)
		check_number(in_child(child_of_another_user, (char[]){ "unlink.it" }),
			     -CLOUDOS_EACCES,
			     "another user cannot unlink it, whatever its mode");
	check_number(in_child(child_counts_up, (char[]){ "unlink.it" }), 0,
		     "it is there");
	check_number(RAW(shm_unlink, WORD("unlink.it")), 0, "it is unlinked");
	check_number(in_child(child_finds, (char[]){ "unlink.it" }), 0,
		     "nobody finds it");
	check_refused(RAW(shm_unlink, WORD("unlink.it")), CLOUDOS_ENOENT,
		      "nor can it be unlinked twice");
	check_number(p[SHM_SIZE - 1], 'b', "who has it mapped keeps it");
	again = shm_make("unlink.it", 0600);
	check(again >= 0 && shm_see(again, PROT_READ)[0] == 0,
	      "a new one of the same name is another");
	check_number(cloudos_shm_unlink("unlink.it"), 0, "libcloudos unlinks, too");
	check_number(cloudos_shm_unlink("unlink.it"), CLOUDOS_ENOENT, "once");
	check_refused(RAW(shm_unlink, WORD("")), CLOUDOS_ENOENT,
		      "there is none without a name");
	check_refused(RAW(shm_unlink, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(shm_unlink, WORD(unmapped())), CLOUDOS_EFAULT, "or nowhere");
	return done();
}
