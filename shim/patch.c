/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Making a site jump instead of trap.  Called by sigsys.c for a site that has
 * trapped often enough, with all signals blocked.
 *
 * Only the instruction before the system call is overwritten; the two bytes themselves stay
 * and serve, behind a short predecessor, as the upper part of the jump's displacement.  So
 * a thread between the two, one blocked in the call, a restart by the kernel and a jump
 * straight to the system call all find what was always there, and trap.
 *
 * What the predecessor is says a table that the daemon made for the file (co/sites.h), or
 * one of two patterns that cannot be anything else, seen together with rax.
 */
#include <co/sites.h>
#include <shim/i386.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>
#include <shim/start.h>

enum {
	PAGE = 4096,
	TEXTS_MAX = 256,
	IMAGES_MAX = 128,
	FIRST_TEXTS = 6, /* these are hot */
	FIRST_IMAGES = 6,
	STATUS_SIZE = 1024,
	ASK_EVERY = 32,
	REACH = 0x7ff00000
};

struct text {
	uint64_t start, end, file_offset;
	int image;
};

SHIM_HOT static struct text first_texts[FIRST_TEXTS];
SHIM_HOT static struct shim_image first_images[FIRST_IMAGES];
SHIM_HOT static uint32_t ntexts, nimages;
static struct text more_texts[TEXTS_MAX - FIRST_TEXTS];
static struct shim_image more_images[IMAGES_MAX - FIRST_IMAGES];

static struct text *text_at(uint32_t i)
{
	return i < FIRST_TEXTS ? &first_texts[i] : &more_texts[i - FIRST_TEXTS];
}

static struct shim_image *image_at(uint32_t i)
{
	return i < FIRST_IMAGES ? &first_images[i] : &more_images[i - FIRST_IMAGES];
}

/* ---- what may be patched ---- */

void shim_text_remove(uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < ntexts;) {
		struct text *text = text_at(i);

		if (text->start < end && start < text->end)
			*text = *text_at(--ntexts); /* all of it: rare, and safe */
		else
			i++;
	}
}

void shim_text_add(uint64_t start, uint64_t end, uint64_t file_offset, int image)
{
	shim_text_remove(start, end);
	if (ntexts < TEXTS_MAX) /* beyond that, sites keep trapping */
		*text_at(ntexts++) = (struct text){ start, end, file_offset, image };
}

int shim_image_add(uint64_t start, uint64_t end, const struct shim_file *file)
{
	uint32_t at = nimages;

	for (uint32_t i = 0; i < nimages; i++)
		if (image_at(i)->start < end && start < image_at(i)->end)
			at = i; /* what was there is gone */
	if (at == IMAGES_MAX)
		return -1;
	*image_at(at) =
		(struct shim_image){ .start = start, .end = end, .file = *file };
	nimages += at == nimages;
	return (int) at;
}

int shim_image_open(uint64_t start, uint64_t end, long fd)
{
	struct shim_file file = { 0 };
	struct stat st;

	if (shim_syscall(__NR_fstat, fd, (long) &st, 0, 0, 0, 0) == 0)
		file = shim_file_from(&st);
	return shim_image_add(start, end, &file);
}

int shim_image_of(uint64_t address)
{
	for (uint32_t i = 0; i < nimages; i++)
		if (address >= image_at(i)->start && address < image_at(i)->end)
			return (int) i;
	return -1;
}

void shim_forget_tables(void)
{
	shim_lock();
	for (uint32_t i = 0; i < nimages; i++)
		shim_table_forget(image_at(i));
	shim_unlock();
}

static const struct text *text_of(uint64_t address)
{
	for (uint32_t i = 0; i < ntexts; i++)
		if (address >= text_at(i)->start && address < text_at(i)->end)
			return text_at(i);
	return NULL;
}

/* A debugger steps over code and puts its own bytes there: ours stay away. */
static bool read_traced(void)
{
	static const char key[] = "\nTracerPid:\t";
	char text[STATUS_SIZE];
	long fd = shim_syscall(__NR_open, (long) "/proc/self/status",
			       O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
	long n;

	if (fd < 0)
		return false;
	n = shim_syscall(__NR_read, fd, (long) text, sizeof(text), 0, 0, 0);
	(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	for (long i = 0; i + (long) sizeof(key) < n; i++)
		if (memcmp(text + i, key, sizeof(key) - 1) == 0)
			return text[i + (long) sizeof(key) - 1] != '0';
	return false;
}

static bool traced(void)
{
	/* traps; patches come in bursts, and asking is slow */
	SHIM_HOT static uint64_t until;
	SHIM_HOT static bool answer;

	if (shim_stats->traps >= until) {
		until = shim_stats->traps + ASK_EVERY;
		answer = read_traced();
	}
	return answer;
}

/* ---- the predecessor ---- */

/* Its length if it may be moved, and memory holds its bytes; or 0. */
static uint32_t from_row(const struct text *text, const struct co_sites_row *row,
			 uint64_t address)
{
	if (row->flags & (CO_SITES_KEEP | CO_SITES_RIP) ||
	    row->length > SHIM_TRAMPOLINE - 14 || row->length < 2 ||
	    row->length > address - text->start ||
	    memcmp((const void *) (address - row->length), row->bytes, row->length) !=
		    0)
		return 0;
	return row->length;
}

static const struct co_sites_header *table_of(const struct text *text, uint64_t address)
{
	return text->image < 0
		       ? NULL
		       : shim_table_of(image_at((uint32_t) text->image), address);
}

static uint32_t from_table(const struct text *text, uint64_t address)
{
	const struct co_sites_header *table = table_of(text, address);
	const struct co_sites_row *row =
		table ? co_sites_find(table, address - text->start + text->file_offset)
		      : NULL;

	return row ? from_row(text, row, address) : 0;
}

/* 5 or 2 for the two patterns; 0: it is neither. */
static uint32_t pattern(const uint8_t *site, uint64_t room, uint64_t number)
{
	uint32_t immediate;

	if (room >= 6 && site[-5] == 0xb8) {
		memcpy(&immediate, site - 4, sizeof(immediate));
		/* behind a REX prefix it would be another register */
		if (immediate == (uint32_t) number && (site[-6] & 0xf0) != 0x40)
			return 5;
	}
	if (room >= 3 && site[-2] == 0x31 && site[-1] == 0xc0 &&
	    (uint32_t) number == 0 && (site[-3] & 0xf0) != 0x40)
		return 2;
	return 0;
}

/* Does it leave a number in eax that is known already? */
static bool sets_number(const uint8_t *predecessor, uint32_t length)
{
	return (length == 5 && predecessor[0] == 0xb8) ||
	       (length == 2 && predecessor[0] == 0x31 && predecessor[1] == 0xc0);
}

/* ---- the jump ---- */

/* The bytes from S-k on that are jump: opcode and what is free of the displacement. */
static uint32_t free_bytes(uint32_t length)
{
	return length < 5 ? length : 5;
}

/* Where a jump of so many free bytes at `at` can go to: the first and the last. */
static void reach(uint64_t at, uint32_t bytes, uint64_t *first, uint64_t *last)
{
	uint8_t raw[4];
	int32_t low, high;

	if (bytes == 5) {
		*first = at + 5 > REACH ? at + 5 - REACH : 0;
		*last = at + 5 + REACH;
		return;
	}
	memcpy(raw, (const void *) (at + 1), sizeof(raw));
	memset(raw, 0, bytes - 1);
	memcpy(&low, raw, sizeof(low));
	memset(raw, 0xff, bytes - 1);
	memcpy(&high, raw, sizeof(high));
	*first = at + 5 + (uint64_t) (int64_t) low;
	*last = at + 5 + (uint64_t) (int64_t) high;
}

/* For a free displacement, any pool will do: the one above, or the low ones. */
static uint64_t room_anywhere(uint64_t first, uint64_t last)
{
	uint64_t at = 0;

	if (last >= CO_TRAP_BASE) {
		for (uint32_t i = 0; i < CO_TRAP_WINDOWS && !at; i++) {
			/* behind what short predecessors of this window reach */
			uint64_t pool = CO_TRAP_POOL(i) + 0x40000000UL;

			if (pool >= first && pool + 0xffff <= last)
				for (uint64_t n = 0; n < 64 && !at; n++)
					at = shim_pool_find(pool + n * 0x1000,
							    pool + n * 0x1000 + 0xfff);
		}
		return at;
	}
#define TRY(begin, end)                                                                \
	for (uint64_t page = (begin); !at && page < (end) && page < (begin) + 0x40000; \
	     page += 0x1000)                                                           \
		if (page >= first && page + 0xfff <= last)                             \
			at = shim_pool_find(page, page + 0xfff);
	CO_TRAP_LOW_POOLS(TRY)
#undef TRY
	return at;
}

/* The trampoline of that site, and in *out what makes the site jump there. */
static int make_jump(uint64_t site, uint32_t length, uint64_t target,
		     struct shim_edit *out)
{
	uint8_t trampoline[SHIM_TRAMPOLINE];
	uint32_t bytes = free_bytes(length);
	uint64_t at = site - length, first, last, room;
	int32_t displacement;

	/* over a page's end: a thread could see the one half without the other */
	if ((at & (PAGE - 1)) + bytes > PAGE)
		return SHIM_WHY_REACH;
	reach(at, bytes, &first, &last);
	room = bytes == 5 ? room_anywhere(first, last) : shim_pool_find(first, last);
	if (!room)
		return SHIM_WHY_REACH;
	memset(trampoline, 0xcc, sizeof(trampoline));
	memcpy(trampoline, (const void *) at, length);
	memcpy(trampoline + length, "\xff\x25\0\0\0\0", 6);
	memcpy(trampoline + length + 6, &target, sizeof(target));
	if (shim_pool_put(room, trampoline))
		return SHIM_WHY_MEMORY;
	displacement = (int32_t) (room - (at + 5));
	*out = (struct shim_edit){ .at = at,
				   .size = (uint8_t) bytes,
				   .bytes = { 0xe9 } };
	memcpy(out->bytes + 1, &displacement, sizeof(displacement));
	return SHIM_WHY_NONE;
}

/* A number that is always the same needs to be looked up only now. */
static uint64_t target_of(uint32_t index, uint64_t number, uint32_t length)
{
	const uint8_t *before = (const uint8_t *) shim_sites[index].address - length;

	return sets_number(before, length) && number < 65536 && shim_plain[number]
		       ? shim_site_pass(index)
		       : shim_site_enter(index);
}

static int write_jump(uint64_t site, uint32_t length, uint64_t target)
{
	struct shim_edit edit;
	int why = make_jump(site, length, target, &edit);

	if (shim_pool_done() && why == SHIM_WHY_NONE)
		why = SHIM_WHY_MEMORY;
	if (why != SHIM_WHY_NONE)
		return why;
	return shim_code_edit(edit.at & ~(uint64_t) (PAGE - 1), &edit, 1)
		       ? SHIM_WHY_MEMORY
		       : SHIM_WHY_NONE;
}

/* ---- many at once ---- */

enum { MANY = 8, MOST = 64 };

struct many {
	struct shim_edit edits[MOST];
	struct co_trap_site *sites[MOST];
	uint32_t n;
};

_Static_assert(sizeof(struct many) <= SHIM_SPARE_EDITS, "more edits than room");

/* Only what has room for a whole jump: it needs no page of trampolines of its own. */
static void take(struct many *many, const struct text *text,
		 const struct co_sites_row *row, uint64_t address)
{
	const uint8_t *at = (const uint8_t *) address;
	uint32_t length = from_row(text, row, address);
	struct co_trap_site *site;
	int index;

	if (length < 5 || row->kind != CO_SITES_SYSCALL || many->n == MOST ||
	    at[0] != 0x0f || at[1] != 0x05)
		return;
	index = shim_site_add(address, false);
	site = &shim_sites[index < 0 ? 0 : index];
	if (index < 0 || site->state != CO_SITE_TRAPPING)
		return;
	if (make_jump(address, length, target_of((uint32_t) index, row->number, length),
		      &many->edits[many->n]) != SHIM_WHY_NONE)
		return;
	site->length = (uint8_t) length;
	many->sites[many->n++] = site;
}

/* Rows of the table that lie on that page, from *first on. */
static uint32_t rows_of(const struct co_sites_header *table, uint64_t offset,
			const struct co_sites_row **first)
{
	const struct co_sites_row *rows = (const struct co_sites_row *) (table + 1);
	uint32_t n = 0, i = 0;

	while (i < table->count && rows[i].offset < offset)
		i++;
	*first = rows + i;
	while (i + n < table->count && rows[i + n].offset < offset + PAGE)
		n++;
	return n;
}

static bool patch_page(uint64_t page, const struct text *text)
{
	const struct co_sites_header *table = table_of(text, page);
	uint64_t offset = page - text->start + text->file_offset;
	struct many *many = (struct many *) shim_spare_edits;
	const struct co_sites_row *rows;
	uint32_t n = table && page >= text->start ? rows_of(table, offset, &rows) : 0;

	if (n < MANY)
		return false;
	many->n = 0;
	for (uint32_t i = 0; i < n; i++)
		take(many, text, &rows[i], page + (rows[i].offset - offset));
	if (shim_pool_done() || many->n == 0 ||
	    shim_code_edit(page, many->edits, many->n))
		return true;
	for (uint32_t i = 0; i < many->n; i++)
		many->sites[i]->state = CO_SITE_PATCHED;
	shim_stats->patched += many->n;
	return true;
}

/*
 * What begins a program, its ELF interpreter, makes many calls from one page and each of
 * them seldom: to wait for a site to trap often would mean that nearly all of them trap.
 */
bool shim_patch_page(uint64_t address)
{
	const struct text *text;
	bool done;

	if (shim.config.flags & CO_TRAP_NO_PATCH || traced())
		return false;
	shim_lock();
	text = text_of(address);
	done = text && patch_page(address & ~(uint64_t) (PAGE - 1), text);
	shim_unlock();
	return done;
}

static int patch(const struct co_trap_site *site, uint32_t index, uint64_t number,
		 uint32_t *length)
{
	const struct text *text = text_of(site->address);
	const uint8_t *at = (const uint8_t *) site->address;

	if (!text)
		return SHIM_WHY_NO_TEXT;
	*length = from_table(text, site->address);
	if (*length == 0)
		*length = pattern(at, site->address - text->start, number);
	if (*length == 0)
		return SHIM_WHY_NO_TABLE;
	if (site->kind)
		return shim_i386_jump(site->address, *length,
				      shim_i386_target(index, number,
						       sets_number(at - *length, *length)));
	if (at[0] != 0x0f || at[1] != 0x05)
		return SHIM_WHY_NO_TEXT;
	return write_jump(site->address, *length, target_of(index, number, *length));
}

void shim_patch(struct co_trap_site *site, uint32_t index, uint64_t number)
{
	uint32_t length = 0;
	int why;

	if (shim.config.flags & CO_TRAP_NO_PATCH) {
		site->state = CO_SITE_NEVER;
		site->why = SHIM_WHY_OFF;
		return;
	}
	if (traced()) {
		site->why = SHIM_WHY_TRACED; /* and asked again later */
		return;
	}
	shim_lock();
	why = site->state == CO_SITE_TRAPPING ? patch(site, index, number, &length)
					      : site->why;
	site->why = (uint8_t) why;
	if (why == SHIM_WHY_NONE) {
		site->state = CO_SITE_PATCHED;
		site->length = (uint8_t) length;
		shim_stats->patched++;
	} else if (why != SHIM_WHY_NO_TABLE) { /* which may come later */
		site->state = CO_SITE_NEVER;
		shim_stats->patch_failed++;
	}
	shim_unlock();
}
