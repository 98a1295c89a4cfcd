/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Memory that the guest named.  Called by handlers.
 *
 * The kernel copies, as if between two processes: an address that is not there is -EFAULT
 * and never a fault of ours, whatever another thread unmaps meanwhile.
 */
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

struct vector {
	uint64_t base, length;
};

static int copy(long number, void *ours, uint64_t theirs, size_t size)
{
	struct vector local = { (uint64_t) ours, size }, remote = { theirs, size };
	/* not remembered: a child after fork or vfork is somebody else */
	long pid = shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	long got;

	if (size == 0)
		return 0;
	got = shim_syscall(number, pid, (long) &local, 1, (long) &remote, 1, 0);
	return got == (long) size ? 0 : -EFAULT;
}

int shim_read(void *to, uint64_t from, size_t size)
{
	return copy(__NR_process_vm_readv, to, from, size);
}

int shim_write(uint64_t to, const void *from, size_t size)
{
	return copy(__NR_process_vm_writev, (void *) from, to, size);
}

enum { KNOWN = 64 };
static uint64_t known[KNOWN]; /* page number of readable pages, + 1 */

void shim_forget_pages(void)
{
	memset(known, 0, sizeof(known));
}

int shim_peek(void *to, uint64_t from, size_t size)
{
	uint64_t page = from >> 12;
	uint64_t *entry = &known[page % KNOWN];

	if (shim.threads || (from & 4095) + size > 4096)
		return shim_read(to, from, size);
	if (*entry == page + 1) {
		memcpy(to, (const void *) from, size);
		return 0;
	}
	if (shim_read(to, from, size))
		return -EFAULT;
	*entry = page + 1;
	return 0;
}

long shim_read_string(char *to, uint64_t from, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* never over the end of a page that the string may end on */
		size_t part = 4096 - ((from + done) & 4095);

		if (part > size - done)
			part = size - done;
		if (shim_read(to + done, from + done, part))
			return -EFAULT;
		for (size_t i = 0; i < part; i++)
			if (to[done + i] == '\0')
				return (long) (done + i + 1);
		done += part;
	}
	return -ENAMETOOLONG;
}
