/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The program's address space: map_virtual, unmap_virtual and regions.
 *
 * Memory of a region that maps itself is there from the beginning for Linux, which gives
 * pages when they are touched.
 */
#include <co/limits.h>
#include <personality/anos/guest.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define PAGE CO_ANOS_PAGE

enum { READ = 1, WRITE = 2, EXECUTE = 4 };
enum { SELF_MAPPING = 1, REGION_PROT = PROT_READ | PROT_WRITE };

struct region {
	uint64_t start, end, flags; /* start == end: none */
};

static struct region regions[CO_LIMIT_ANOS_REGIONS];

/* The address space is changed by one thread at a time.  Taken before shim_lock. */
static uint32_t changing;

void anos_space_lock(void)
{
	while (!shim_replace(&changing, 0, 1))
		(void) shim_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
	anos_patch_pause(true);
}

void anos_space_unlock(void)
{
	anos_patch_pause(false);
	shim_store_release(&changing, 0);
}

static long map(uint64_t start, uint64_t end, int prot, long flags)
{
	return shim_syscall(__NR_mmap, (long) start, (long) (end - start), prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* What is the guest's to map, and is nothing of ours there any more? */
static bool vacate(uint64_t start, uint64_t end)
{
	if (start >= end || end > CO_ANOS_GUEST_END)
		return false;
	shim_forget_pages();
	if (!anos_unpatch(start, end))
		return false;
	anos_text_gone(start, end);
	return true;
}

long anos_map(uint64_t start, uint64_t end, int prot)
{
	long r;

	if (!vacate(start, end))
		return -ENOMEM;
	r = map(start, end, prot, MAP_FIXED);
	return r == (long) start ? 0 : r;
}

/* Is there something on each of its pages?  Advice that says nothing tells. */
static bool is_full(uint64_t start, uint64_t end)
{
	return shim_syscall(__NR_madvise, (long) start, (long) (end - start),
			    MADV_NORMAL, 0, 0, 0) == 0;
}

static long fill_gaps(uint64_t start, uint64_t end, int prot)
{
	long r = map(start, end, prot, MAP_FIXED_NOREPLACE);
	uint64_t middle = start + ((end - start) / 2 & ~(PAGE - 1));

	if (r != -EEXIST || middle == start || is_full(start, end))
		return r == (long) start || r == -EEXIST ? 0 : r;
	r = fill_gaps(start, middle, prot);
	return r ? r : fill_gaps(middle, end, prot);
}

/* What is there stays, code that is patched included; but no trampolines. */
long anos_map_missing(uint64_t start, uint64_t end, int prot)
{
	if (start >= end || end > CO_ANOS_GUEST_END ||
	    (shim_pool_touches(start, end) && !anos_unpatch(start, end)))
		return -ENOMEM;
	return fill_gaps(start, end, prot);
}

static void unmap(uint64_t start, uint64_t end)
{
	if (start < end)
		(void) shim_syscall(__NR_munmap, (long) start, (long) (end - start), 0,
				    0, 0, 0);
}

void anos_unmap_others(const struct anos_range *keep, uint32_t n)
{
	uint64_t at = 0;

	(void) anos_unpatch(0, CO_ANOS_GUEST_END); /* one thread, its own memory */
	anos_patch_anew();
	shim_forget_pages();
	for (uint32_t i = 0; i < n; i++) {
		unmap(at, keep[i].start);
		if (keep[i].end > at)
			at = keep[i].end;
	}
	unmap(at, CO_ANOS_GUEST_END);
}

/* Linux does not write for us where code was patched; the program itself might. */
int anos_write(uint64_t to, const void *from, size_t size)
{
	uint64_t first = to & ~(PAGE - 1), last = (to + size - 1) & ~(PAGE - 1);

	if (shim_poke(to, from, size) == 0)
		return 0;
	if (!anos_patched(first) && !anos_patched(last))
		return -EFAULT;
	return anos_unpatch(first, last + PAGE) ? shim_poke(to, from, size) : -EFAULT;
}

/* ---- regions ---- */

void anos_regions_forget(void)
{
	memset(regions, 0, sizeof(regions));
}

static bool is_used(const struct region *r)
{
	return r->start < r->end;
}

static struct region *unused(void)
{
	for (uint32_t i = 0; i < CO_LIMIT_ANOS_REGIONS; i++)
		if (!is_used(&regions[i]))
			return &regions[i];
	return NULL;
}

/*
 * One that touches it, whatever its flags are, if `overlap`; else one with the same flags
 * that ends or begins there.
 */
static struct region *neighbour(const struct region *new, bool overlap)
{
	for (uint32_t i = 0; i < CO_LIMIT_ANOS_REGIONS; i++) {
		struct region *r = &regions[i];

		if (!is_used(r))
			continue;
		if (overlap ? new->start<r->end &&new->end> r->start
			    : new->flags == r->flags &&
				      (new->end == r->start || new->start == r->end))
			return r;
	}
	return NULL;
}

static void extend(struct region *r, const struct region *new)
{
	if (new->start < r->start)
		r->start = new->start;
	if (new->end > r->end)
		r->end = new->end;
}

/* As Anos: beside one of the same kind it becomes part of that; what lies over another is
 * taken without a word, and here changes one of the same kind only. */
static enum co_anos_result add(const struct region *new)
{
	struct region *r = neighbour(new, false);

	if (!r)
		r = neighbour(new, true);
	if (r && r->flags != new->flags)
		return CO_ANOS_OK;
	if (!r) {
		r = unused();
		if (!r)
			return CO_ANOS_FAILURE;
		*r = *new;
	}
	if (new->flags &
	    SELF_MAPPING &&anos_map_missing(new->start, new->end, REGION_PROT)) {
		if (r->start == new->start && r->end == new->end)
			*r = (struct region){ 0 };
		return CO_ANOS_FAILURE;
	}
	extend(r, new);
	return CO_ANOS_OK;
}

enum shim_verdict anos_create_region(struct shim_call *call)
{
	struct region new = { call->args[0], call->args[1], call->args[2] };
	enum co_anos_result result;

	if (new.start % PAGE || new.end % PAGE || new.end <= new.start ||
	    new.end > CO_ANOS_USER_END)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	anos_space_lock();
	result = add(&new);
	anos_space_unlock();
	return anos_result(call, result, 0);
}

/* ---- pages that were never touched are no more ---- */

enum { ENTRIES = 512 };
#define TOUCHED (1UL << 63 | 1UL << 62) /* in memory, or in swap */

static void drop_untouched_in(long fd, uint64_t start, uint64_t end)
{
	uint64_t entries[ENTRIES];

	while (start < end) {
		uint64_t n = (end - start) / PAGE;
		long got;

		if (n > ENTRIES)
			n = ENTRIES;
		got = shim_syscall(__NR_pread64, fd, (long) entries,
				   (long) (n * sizeof(entries[0])),
				   (long) (start / PAGE * sizeof(entries[0])), 0, 0);
		if (got != (long) (n * sizeof(entries[0])))
			return; /* then they stay, as zeros */
		for (uint64_t i = 0, from = 0; i <= n; i++) {
			if (i < n && !(entries[i] & TOUCHED))
				continue;
			unmap(start + from * PAGE, start + i * PAGE);
			from = i + 1;
		}
		start += n * PAGE;
	}
}

static void drop_untouched(uint64_t start, uint64_t end)
{
	long fd = shim_syscall(__NR_open, (long) "/proc/self/pagemap",
			       O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);

	shim_forget_pages();
	if (fd < 0)
		return;
	drop_untouched_in(fd, start, end);
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
}

/* What was touched stays mapped, as on Anos. */
enum shim_verdict anos_destroy_region(struct shim_call *call)
{
	uint64_t start = call->args[0];

	if (start % PAGE || start >= CO_ANOS_USER_END)
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	anos_space_lock();
	for (uint32_t i = 0; i < CO_LIMIT_ANOS_REGIONS; i++) {
		struct region *r = &regions[i];

		if (!is_used(r) || r->start != start)
			continue;
		if (r->flags & SELF_MAPPING)
			drop_untouched(r->start, r->end);
		*r = (struct region){ 0 };
	}
	anos_space_unlock();
	return anos_result(call, CO_ANOS_OK, 0);
}

/* ---- map_virtual, unmap_virtual ---- */

/* Size and base of a call as Anos rounds them; false: they are no user addresses. */
static bool pages_of(const struct shim_call *call, uint64_t *start, uint64_t *end)
{
	uint64_t size = anos_page_up(call->args[0]);

	*start = anos_page_up(call->args[1]);
	*end = *start + size;
	return call->args[0] <= CO_ANOS_USER_END && anos_is_user(call->args[1]) &&
	       anos_is_user(*start) && anos_is_user(*end);
}

static int protection(uint64_t flags)
{
	/* what is there can be read on this machine */
	return PROT_READ | (flags & WRITE ? PROT_WRITE : 0) |
	       (flags & EXECUTE ? PROT_EXEC : 0);
}

enum shim_verdict anos_map_virtual(struct shim_call *call)
{
	uint64_t start, end;
	long r;

	if (call->args[0] == 0 || !pages_of(call, &start, &end))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	anos_space_lock();
	r = anos_map(start, end, protection(call->args[2]));
	anos_space_unlock();
	return r ? anos_result(call, CO_ANOS_FAILURE, 0)
		 : anos_result(call, CO_ANOS_OK, start);
}

/* In a region that maps itself the next touch finds a page of zeros. */
static void refill(uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < CO_LIMIT_ANOS_REGIONS; i++) {
		const struct region *r = &regions[i];
		uint64_t from = start > r->start ? start : r->start;
		uint64_t to = end < r->end ? end : r->end;

		if (is_used(r) && r->flags & SELF_MAPPING && from < to)
			(void) map(from, to, REGION_PROT,
				   MAP_FIXED); /* else it faults */
	}
}

enum shim_verdict anos_unmap_virtual(struct shim_call *call)
{
	uint64_t start, end;

	if (!pages_of(call, &start, &end))
		return anos_result(call, CO_ANOS_BAD_ARGUMENTS, 0);
	if (end > CO_ANOS_GUEST_END)
		end = CO_ANOS_GUEST_END; /* behind it the guest has nothing */
	anos_space_lock();
	if (vacate(start, end)) {
		unmap(start, end);
		refill(start, end);
	}
	anos_space_unlock();
	return anos_result(call, CO_ANOS_OK, 0);
}
