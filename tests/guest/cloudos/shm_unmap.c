/* SPDX-License-Identifier: MIT */
/* shm_unmap while others have the same memory; its errors are in shm_map.c. */
#include "shm.h"

static int child_unmaps(void *mapping)
{
	/* as any memory after fork, it is the child's own mapping */
	return cloudos_shm_unmap(mapping, SHM_SIZE) == 0 ? 0 : 1;
}

int main(void)
{
	int fd = shm_make("unmap.it", 0600);
	char *p = cloudos_shm_map(fd, SHM_SIZE, PROT_READ | PROT_WRITE, 0);
	char *q = cloudos_shm_map(fd, SHM_SIZE, PROT_READ | PROT_WRITE, 0);
	char *r = cloudos_shm_map(fd, SHM_SIZE, PROT_READ | PROT_WRITE, 0);

	if (!p || !q || !r)
		die("no shared memory");
	p[0] = 'a';
	check_number(in_child(child_unmaps, p), 0, "a child unmaps what it inherited");
	check_number(p[0], 'a', "its parent's mapping stays");
	check_number(cloudos_shm_unmap(p, SHM_SIZE), 0, "one of three is unmapped");
	check(q[0] == 'a' && r[0] == 'a', "the others have what was written");
	check_number(cloudos_shm_unmap(q, 4096), 0, "the first page of another");
	check_number(q[4096], 0, "leaves the rest of it");
	close(fd);
	check_number(r[0], 'a', "and the third does without a descriptor");
	check_number(RAW(shm_unlink, WORD("unmap.it")), 0, "it is unlinked");
	return done();
}
