/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the loader of Anos programs: a file into memory, and the initial stack.
 * HOST.
 *
 * Input: a byte of flags, a byte of stack size (in pages, from 1), then the file.  STACK:
 * not a file but a byte of capabilities, and then arguments with a NUL behind each.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/anos/guest_load.h"
#include "shim/elf.h"
#include "tests/fuzz/maps.h"
#include "tests/fuzz/target.h"

#define STACK     1
#define PAGE      CO_ANOS_PAGE
#define GUEST_END CO_ANOS_GUEST_END
#define SEGMENTS  64
#define ARGUMENTS 2000

/* ---- a file ---- */

struct range {
	uint64_t from, to, in_file, offset;
};

/* What the file may change, as a reader of the specification would say it. */
static struct {
	struct range ranges[SEGMENTS];
	size_t n;
	bool bad; /* to be refused */
	uint64_t entry;
} model;

static uint64_t texts; /* bytes that were said to be code */

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

static bool in_model(uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < model.n; i++)
		if (from >= model.ranges[i].from && to <= model.ranges[i].to)
			return true;
	return false;
}

void anos_text(uint64_t start, uint64_t end)
{
	if (start > end || (start < end && !in_model(start, end)))
		abort();
	texts += end - start;
}

static void model_add(const Elf64_Phdr *h, uint64_t size, uint64_t stack_size)
{
	unsigned __int128 end = (unsigned __int128) h->p_vaddr + h->p_memsz;
	struct range *r = &model.ranges[model.n];

	if (h->p_type != PT_LOAD || !h->p_memsz)
		return;
	if (model.n == SEGMENTS || h->p_vaddr % PAGE || h->p_offset % PAGE ||
	    h->p_filesz > h->p_memsz || end > GUEST_END ||
	    (h->p_filesz && (unsigned __int128) h->p_offset + h->p_filesz > size)) {
		model.bad = true;
		return;
	}
	*r = (struct range){ h->p_vaddr, page_up((uint64_t) end), h->p_filesz,
			     h->p_offset };
	if (r->from < CO_ANOS_STACK_TOP && r->to > CO_ANOS_STACK_TOP - stack_size)
		model.bad = true;
	for (size_t i = 0; i < model.n; i++)
		if (r->from < model.ranges[i].to && model.ranges[i].from < r->to)
			model.bad = true;
	model.n++;
}

static void model_make(const uint8_t *data, size_t size, uint64_t stack_size)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	model.n = 0;
	model.bad = size < sizeof(h) || memcmp(data,
					       "\x7f"
					       "ELF\x02",
					       5) != 0;
	if (model.bad)
		return;
	memcpy(&h, data, sizeof(h));
	model.entry = h.e_entry;
	for (unsigned i = 0; i < h.e_phnum && !model.bad; i++) {
		unsigned __int128 at = (unsigned __int128) h.e_phoff +
				       (unsigned __int128) i * h.e_phentsize;

		if (at + sizeof(p) > size) {
			model.bad = true;
			return;
		}
		memcpy(&p, data + (uint64_t) at, sizeof(p));
		model_add(&p, size, stack_size);
	}
	if (!model.n || !in_model(model.entry, model.entry + 1))
		model.bad = true;
}

/* Nothing has changed but in the model's ranges. */
static void demand_rest(const struct memory *before, const struct memory *after)
{
	for (size_t i = 0; i < before->n; i++)
		if (!maps_covers(after, before->regions[i].from, before->regions[i].to,
				 &before->regions[i]))
			abort();
	for (size_t i = 0; i < after->n; i++) {
		const struct region *r = &after->regions[i];

		for (uint64_t at = r->from; at < r->to;) {
			uint64_t next = r->to;
			bool mine = false;

			for (size_t k = 0; k < model.n; k++) {
				const struct range *m = &model.ranges[k];

				if (at >= m->from && at < m->to) {
					mine = true;
					next = m->to < next ? m->to : next;
				} else if (m->from > at && m->from < next) {
					next = m->from;
				}
			}
			if (!mine && !maps_covers(before, at, next, r))
				abort();
			at = next;
		}
	}
}

static void demand_loaded(const uint8_t *data, size_t size, const struct memory *after)
{
	uint64_t code = 0;

	for (size_t i = 0; i < model.n; i++) {
		const struct range *r = &model.ranges[i];
		uint64_t middle = page_up(r->from + r->in_file);
		const uint8_t *memory = (const uint8_t *) r->from;

		for (uint64_t at = r->from; at < r->to; at += PAGE) {
			bool there = false;

			for (size_t k = 0; k < after->n && !there; k++)
				there = at >= after->regions[k].from &&
					at < after->regions[k].to &&
					!strcmp(after->regions[k].rights, "rwxp");
			if (!there)
				abort();
			if (at - r->from > 64 * PAGE) /* huge ones: their beginning */
				break;
		}
		if (r->in_file && memcmp(memory, data + r->offset, r->in_file) != 0)
			abort();
		if (middle < r->to && *(const uint8_t *) middle)
			abort();
		code += middle - r->from;
	}
	if (code != texts || size < sizeof(Elf64_Ehdr))
		abort();
}

static void file(const uint8_t *data, size_t size, uint64_t stack_size)
{
	static struct memory before, after;
	autoclose int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint64_t entry = 0;
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t) size)
		return;
	model_make(data, size, stack_size);
	texts = 0;
	maps_read(&before);
	r = anos_load(fd, stack_size, &entry);
	maps_read(&after);
	demand_rest(&before, &after);
	if (r == 0 && (model.bad || entry != model.entry))
		abort();
	if (r != 0 && (!shim_elf_sentence(r) || !*shim_elf_sentence(r)))
		abort();
	/* what is right is loaded, unless Linux has something there or no memory */
	if (r > 0 && !model.bad && !strstr(shim_elf_sentence(r), "already"))
		abort();
	if (r == 0)
		demand_loaded(data, size, &after);
	for (size_t i = 0; i < model.n; i++)
		maps_unmap_new(&before, &after, model.ranges[i].from,
			       model.ranges[i].to);
}

/* ---- the stack ---- */

static void demand_stack(const struct co_anos_start *start, uint64_t at,
			 uint64_t bottom, uint64_t argc, char **argv)
{
	const uint64_t *word = (const uint64_t *) at;
	char **there = (char **) word[3];
	uint64_t last;

	if (at % 16 || at < bottom || at >= CO_ANOS_STACK_TOP)
		abort();
	if (word[0] != start->capc || word[2] != argc || word[3] != at + 32)
		abort();
	last = word[3] + 8 * argc;
	if (start->capc &&
	    (word[1] != last || memcmp((const void *) word[1], start->caps,
				       start->capc * sizeof(start->caps[0])) != 0))
		abort();
	if (!start->capc && word[1])
		abort();
	last += start->capc * sizeof(start->caps[0]);
	for (uint64_t i = 0; i < argc; i++) {
		uint64_t text = (uint64_t) there[i];

		if (text < last || text >= CO_ANOS_STACK_TOP ||
		    strlen(argv[i]) >= CO_ANOS_STACK_TOP - text ||
		    strcmp(there[i], argv[i]) != 0)
			abort();
		last = text + strlen(argv[i]) + 1;
	}
}

static void stack(const uint8_t *data, size_t size, uint64_t stack_size)
{
	static char texts_of[70001], *argv[ARGUMENTS];
	struct co_anos_start start = { .capc = size ? data[0] % (CO_ANOS_CAPS + 1)
						    : 0 };
	uint64_t bottom = CO_ANOS_STACK_TOP - stack_size, argc = 0, needs, at;
	uint8_t *memory = mmap(
		(void *) (bottom - PAGE), stack_size + 2 * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory == MAP_FAILED)
		return;
	if (!size || size > sizeof(texts_of) - 1)
		size = 1;
	memcpy(texts_of, data + 1, size - 1);
	texts_of[size - 1] = 0;
	for (size_t i = 0; i + 1 < size && argc < ARGUMENTS;
	     i += strlen(texts_of + i) + 1)
		argv[argc++] = texts_of + i;
	for (unsigned i = 0; i < CO_ANOS_CAPS; i++)
		start.caps[i] = (struct co_anos_capability){ i, ~(uint64_t) i << 32 };
	/* a page beside the stack on either side; the program needs one, too */
	if (mprotect(memory, PAGE, PROT_NONE) ||
	    mprotect(memory + PAGE + stack_size, PAGE, PROT_NONE))
		abort();
	needs = 8 * (4 + argc + 2 * start.capc) + PAGE;
	for (uint64_t i = 0; i < argc; i++)
		needs += strlen(argv[i]) + 1;
	at = anos_stack_make(&start, bottom, argc, argv);
	if (at)
		demand_stack(&start, at, bottom, argc, argv);
	if (!at && needs + 16 <= stack_size)
		abort(); /* there was room */
	if (at && needs > stack_size)
		abort();
	(void) munmap(memory, stack_size + 2 * PAGE); /* was mapped */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t stack_size;

	if (size < 3)
		return 0;
	stack_size = (data[1] + 1ULL) * PAGE;
	if (data[0] & STACK)
		stack(data + 2, size - 2, stack_size);
	else
		file(data + 2, size - 2, stack_size);
	return 0;
}
