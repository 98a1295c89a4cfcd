/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Changing code: pages of trampolines, and text of the guest.  Called by patch.c,
 * under the lock.
 *
 * No page is ever writable and executable at once.  While this memory belongs to one
 * thread, a page is made writable, written, and made executable again.  With more threads
 * one of them might run there meanwhile; then a copy is written, made executable and moved
 * over the page, which other threads see at once or not yet, but never half.
 */
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

enum { PAGE = 4096, PAGES_MAX = 512, UNITS = PAGE / SHIM_TRAMPOLINE };
enum { FIRST_PAGES = 4 }; /* these are hot */

struct page {
	uint64_t address;
	uint64_t used[UNITS / 64];
	bool mapped;
};

SHIM_HOT static struct page first_pages[FIRST_PAGES];
static struct page more_pages[PAGES_MAX - FIRST_PAGES];
SHIM_HOT static uint32_t npages;

static struct page *nth_page(uint32_t i)
{
	return i < FIRST_PAGES ? &first_pages[i] : &more_pages[i - FIRST_PAGES];
}

static long map(uint64_t at, int prot, int flags)
{
	return shim_syscall(__NR_mmap, (long) at, PAGE, prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static long protect(uint64_t at, int prot)
{
	return shim_syscall(__NR_mprotect, (long) at, PAGE, prot, 0, 0, 0);
}

static bool failed(long result)
{
	return result < 0 && result > -4096;
}

/* Where to write what is to stand on that page, which is readable and executable. */
static int open_page(uint64_t page, uint64_t *work)
{
	long copy;

	if (!shim.threads) {
		*work = page;
		return protect(page, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
	}
	copy = map(0, PROT_READ | PROT_WRITE, 0);
	if (failed(copy))
		return -ENOMEM;
	memcpy((void *) copy, (const void *) page, PAGE);
	*work = (uint64_t) copy;
	return 0;
}

static int close_page(uint64_t page, uint64_t work)
{
	if (protect(work, PROT_READ | PROT_EXEC) == 0 &&
	    (work == page || shim_syscall(__NR_mremap, (long) work, PAGE, PAGE,
					  MREMAP_MAYMOVE | MREMAP_FIXED, (long) page,
					  0) == (long) page))
		return 0;
	if (work == page)
		shim_die("a page of code at % could not be made executable again; the "
			 "system is out of memory",
			 page);
	(void) shim_syscall(__NR_munmap, (long) work, PAGE, 0, 0, 0, 0);
	return -ENOMEM;
}

int shim_code_edit(uint64_t page, const struct shim_edit *edits, uint32_t n)
{
	uint64_t work;

	if (open_page(page, &work))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		memcpy((void *) (work + (edits[i].at & (PAGE - 1))), edits[i].bytes,
		       edits[i].size);
	return close_page(page, work);
}

static struct page *page_at(uint64_t address)
{
	for (uint32_t i = 0; i < npages; i++)
		if (nth_page(i)->address == address)
			return nth_page(i);
	return NULL;
}

static uint64_t free_in(const struct page *p, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < UNITS; i++) {
		uint64_t at = p->address + i * SHIM_TRAMPOLINE;

		if (!(p->used[i / 64] >> (i % 64) & 1) && at >= first && at <= last)
			return at;
	}
	return 0;
}

static bool in_pool(uint64_t at)
{
	if ((at >> 32 & CO_TRAP_HIGH_MASK) == CO_TRAP_HIGH_VALUE)
		return true;
#define IN(first, end)                                                                 \
	if (at >= (first) && at < (end))                                               \
		return true;
	CO_TRAP_LOW_POOLS(IN)
#undef IN
	return false;
}

static uint64_t new_page(uint64_t first, uint64_t last)
{
	/* pages that several windows reach come first: those at round addresses */
	uint64_t round = (last & ~0xffffUL) >= first ? last & ~0xffffUL
						     : last & ~(uint64_t) (PAGE - 1);
	uint64_t at;

	if (npages == PAGES_MAX || !in_pool(round) || page_at(round))
		return 0;
	if (map(round, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE) != (long) round)
		return 0;
	*nth_page(npages) = (struct page){ .address = round };
	at = free_in(nth_page(npages), first, last);
	npages++;
	return at;
}

uint64_t shim_pool_find(uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < npages; i++) {
		const struct page *p = nth_page(i);
		uint64_t at = p->address + PAGE > first && p->address <= last
				      ? free_in(p, first, last)
				      : 0;

		if (at)
			return at;
	}
	return new_page(first, last);
}

/* The page of trampolines that is being written. */
SHIM_HOT static struct {
	struct page *page; /* NULL: none */
	uint64_t work;
} writing;

int shim_pool_done(void)
{
	struct page *p = writing.page;

	writing.page = NULL;
	if (!p)
		return 0;
	if (p->mapped)
		return close_page(p->address, writing.work);
	if (protect(p->address, PROT_READ | PROT_EXEC))
		return -ENOMEM;
	p->mapped = true;
	return 0;
}

int shim_pool_put(uint64_t at, const uint8_t *code)
{
	struct page *p = page_at(at & ~(uint64_t) (PAGE - 1));
	uint32_t unit = (uint32_t) (at - p->address) / SHIM_TRAMPOLINE;

	if (writing.page != p) {
		if (shim_pool_done())
			return -ENOMEM;
		writing.work = p->address;
		if (p->mapped && open_page(p->address, &writing.work))
			return -ENOMEM;
		writing.page = p;
	}
	memcpy((void *) (writing.work + (at - p->address)), code, SHIM_TRAMPOLINE);
	p->used[unit / 64] |= 1UL << (unit % 64);
	return 0;
}

bool shim_pool_get(uint64_t rip, uint64_t *start)
{
	const struct page *p = page_at(rip & ~(uint64_t) (PAGE - 1));

	if (!p || !p->mapped)
		return false;
	*start = rip & ~(uint64_t) (SHIM_TRAMPOLINE - 1);
	return true;
}

bool shim_pool_touches(uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < npages; i++)
		if (nth_page(i)->address < end && nth_page(i)->address + PAGE > start)
			return true;
	return false;
}
