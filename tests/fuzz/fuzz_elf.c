/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: an ELF file as the loader reads and maps it, and the loader's first word.
 * HOST.
 *
 * Input: a byte of flags, then the file.  CHANGES: the last bytes of it are written over
 * its program headers after these were judged.  WORD: not a file but the word.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "shim/config.h"
#include "shim/elf.h"
#include "tests/fuzz/maps.h"
#include "tests/fuzz/target.h"

#define CHANGES     1
#define WORD        2
#define CHANGE_SIZE 112 /* two headers */
#define PAGE        4096UL
#define PLACE       0x440000000000UL /* where nobody else maps anything */

/* Nothing that was there is gone or changed, nothing is new outside of [start, end). */
static void demand_memory(const struct memory *before, const struct memory *after,
			  uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct region *r = &before->regions[i];

		if (!maps_covers(after, r->from, r->to, r))
			abort();
	}
	for (size_t i = 0; i < after->n; i++) {
		const struct region *r = &after->regions[i];

		if (r->from < start &&
		    !maps_covers(before, r->from, r->to < start ? r->to : start, r))
			abort();
		if (r->to > end &&
		    !maps_covers(before, r->from > end ? r->from : end, r->to, r))
			abort();
	}
}

/* ---- an ELF file ---- */

static char *canary(uint64_t at)
{
	char *page = mmap((void *) at, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	memset(page, 0x5a, PAGE);
	return page;
}

static void demand_canary(char *page)
{
	for (size_t i = 0; page && i < PAGE; i++)
		if (page[i] != 0x5a)
			abort();
	if (page)
		(void) munmap(page, PAGE); /* was mapped */
}

/* What the loader relies on after a good answer. */
static void demand_facts(const struct shim_elf *elf)
{
	if (elf->ranges_used > SHIM_ELF_RANGES)
		abort();
	if (elf->flags & SHIM_ELF_INTERP && strnlen(elf->interp, 4096) == 4096)
		abort();
	if (elf->fault)
		return;
	if (elf->start >= elf->end && elf->brk > elf->end)
		abort();
	for (uint32_t i = 0; i < elf->ranges_used; i++)
		if (elf->range[i].start < elf->start || elf->range[i].end > elf->end ||
		    elf->range[i].start >= elf->range[i].end)
			abort();
}

static void map(int fd, struct shim_elf *elf, uint64_t end_hint)
{
	static struct memory before, after;
	char *below = canary(PLACE - PAGE), *above = canary(end_hint);
	bool fixed = elf->flags & SHIM_ELF_FIXED;
	uint64_t start = elf->start, end = elf->end;
	int r;

	maps_read(&before);
	r = shim_elf_map(fd, elf, PLACE);
	maps_read(&after);
	if (!fixed) {
		end = elf->bias ? end - start + (r ? elf->bias + start : elf->start)
				: 0;
		start = elf->bias ? (r ? elf->bias + start : elf->start) : 0;
	}
	demand_memory(&before, &after, start, end);
	if (r == 0)
		demand_facts(elf);
	if (r != 0 && (!shim_elf_sentence(r) || !*shim_elf_sentence(r)))
		abort();
	maps_unmap_new(&before, &after, start, end);
	demand_canary(below);
	demand_canary(above);
}

static char interp_name[SHIM_ELF_INTERP_MAX];

static void elf_file(const uint8_t *data, size_t size, bool changes)
{
	autoclose int fd = memfd_create("fuzz", MFD_CLOEXEC);
	static struct shim_elf elf = { .interp = interp_name };
	const uint8_t *change = NULL;
	int r;

	if (changes && size > CHANGE_SIZE) {
		size -= CHANGE_SIZE;
		change = data + size;
	}
	if (fd < 0 || write(fd, data, size) != (ssize_t) size)
		return;
	r = shim_elf_read(fd, &elf);
	if (r > 0)
		abort();
	if (r)
		return;
	demand_facts(&elf);
	if (change && pwrite(fd, change, CHANGE_SIZE, (off_t) (elf.phoff & 0xffff)) < 0)
		return;
	/* what this program itself has put there is in nobody's way elsewhere */
	if (elf.flags & SHIM_ELF_FIXED && elf.start < PLACE + (1UL << 41) &&
	    elf.end > PLACE - PAGE)
		return;
	map(fd, &elf, PLACE + (elf.fault ? PAGE : elf.end - elf.start));
}

/* ---- the loader's word ---- */

static void word(const uint8_t *data, size_t size)
{
	static struct shim_config config, again;
	static char printed[CO_TRAP_CONFIG_MAX];
	autofree char *text = calloc(1, size + 1);
	const char *end;

	if (!text)
		return;
	memcpy(text, data, size);
	if (shim_config_parse(&config, text))
		return;
	end = config.text + strnlen(config.text, sizeof(config.text));
	if (strcmp(config.text, text) != 0 || config.loader < config.text ||
	    config.loader > end ||
	    config.loader_length > (size_t) (end - config.loader) ||
	    config.folder != config.loader + config.loader_length)
		abort();
	(void) shim_config_print(printed, &config, 7, -1);
	/* numbers may have had zeroes in front, and the room is for one that has none */
	if (shim_config_parse(&again, printed) || again.flags != 7 || again.fd != -1 ||
	    again.session != config.session ||
	    again.personality != config.personality ||
	    again.loader_length != config.loader_length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & WORD)
		word(data + 1, size - 1);
	else
		elf_file(data + 1, size - 1, data[0] & CHANGES);
	return 0;
}
