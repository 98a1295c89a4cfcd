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
	/* not remembered: a child after fork or vfork is somebody else.  The thread, because
	 * the process is its first thread, which may have ended */
	long self = shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
	long got;

	if (size == 0)
		return 0;
	got = shim_syscall(number, self, (long) &local, 1, (long) &remote, 1, 0);
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

/* Page numbers + 1 of pages that could be read, and written, by a program of one thread. */
enum { KNOWN = 32 };
SHIM_HOT static uint64_t readable[KNOWN], writable[KNOWN];

void shim_forget_pages(void)
{
	memset(readable, 0, sizeof(readable));
	memset(writable, 0, sizeof(writable));
}

static bool known(const uint64_t *pages, uint64_t at, size_t size)
{
	uint64_t page = at >> 12;

	return !shim.threads && (at & 4095) + size <= 4096 &&
	       pages[page % KNOWN] == page + 1;
}

static void remember(uint64_t *pages, uint64_t at, size_t size)
{
	uint64_t page = at >> 12;

	/* of nothing nothing has been seen */
	if (size != 0 && (at & 4095) + size <= 4096)
		pages[page % KNOWN] = page + 1;
}

/*
 * Asked of the kernel with a call that reads eight bytes and then refuses: a tenth of what a
 * copy by the kernel costs.  Only while nobody else can unmap the page meanwhile.
 */
static bool can_be_read(uint64_t at, size_t size)
{
	return !shim.threads && (at & 4095) + size <= 4096 &&
	       shim_syscall(__NR_rt_sigprocmask, -1, (long) (at & ~7UL), 0, sizeof(at),
			    0, 0) == -EINVAL;
}

int shim_peek(void *to, uint64_t from, size_t size)
{
	if (!known(readable, from, size)) {
		if (!can_be_read(from, size))
			return shim_read(to, from, size);
		remember(readable, from, size);
	}
	memcpy(to, (const void *) from, size);
	return 0;
}

int shim_poke(uint64_t to, const void *from, size_t size)
{
	if (known(writable, to, size)) {
		memcpy((void *) to, from, size);
		return 0;
	}
	if (shim_write(to, from, size))
		return -EFAULT;
	remember(writable, to, size);
	return 0;
}

enum { MOST_TEXTS = 128 }; /* are shorter */

long shim_read_string(char *to, uint64_t from, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* never over the end of a page that the string may end on */
		size_t part = 4096 - ((from + done) & 4095);

		if (part > size - done)
			part = size - done;
		if (done == 0 && part > MOST_TEXTS)
			part = MOST_TEXTS;
		if (shim_peek(to + done, from + done, part))
			return -EFAULT;
		for (size_t i = 0; i < part; i++)
			if (to[done + i] == '\0')
				return (long) (done + i + 1);
		done += part;
	}
	return -ENAMETOOLONG;
}

int shim_read_words(uint64_t to[SHIM_WORDS], uint64_t from, bool *out_ended)
{
	/* a word may lie across the end of a page */
	uint64_t room = (4096 - (from & 4095)) / 8;
	uint64_t n = room == 0 ? 1 : room < SHIM_WORDS ? room : SHIM_WORDS;

	*out_ended = false;
	if (shim_peek(to, from, n * 8))
		return -EFAULT;
	for (uint64_t i = 0; i < n; i++)
		if (to[i] == 0) {
			*out_ended = true;
			return (int) i;
		}
	return (int) n;
}
