/* SPDX-License-Identifier: MIT */
/* GUEST.  Sites, the text they lie in, and their patching. */
#ifndef SHIM_SITE_H
#define SHIM_SITE_H

#include <co/sites.h>
#include <shim/elf.h>
#include <shim/shim.h>

enum shim_why { /* why a site is not patched; the words are beside the list */
#define WHY(name, words) SHIM_WHY_##name,
	CO_TRAP_WHY(WHY)
#undef WHY
};

#define SHIM_SITES 8192U

extern struct co_trap_site shim_sites[];

/* Taken with all signals blocked, for a short time; free again in a forked child. */
void shim_lock(void);
void shim_unlock(void);

/* The index of a site, a new one if need be; -1: there are too many. */
int shim_site_index(uint64_t address, bool int80);
int shim_site_add(uint64_t address, bool int80); /* under the lock */

/*
 * Where is a guest whose rip is in a trampoline or a record?  *restart: an address of the
 * guest from which all of it would happen again, 0 if the call has been made; *after:
 * behind the site.  False if rip is in none.
 */
bool shim_site_of_trampoline(uint64_t rip, uint64_t *restart, uint64_t *after);

/* Text of files, which may be patched. */
void shim_text_add(uint64_t start, uint64_t end, uint64_t file_offset, int image);
void shim_text_remove(uint64_t start, uint64_t end);

/* An ELF file; its number for shim_text_add, -1: no room. */
int shim_image_add(uint64_t start, uint64_t end, const struct shim_file *file);
int shim_image_open(uint64_t start, uint64_t end,
		    long fd);        /* the one of that descriptor */
int shim_image_of(uint64_t address); /* -1: none */

/* An ELF file in memory, and the table of its sites (table.c), under the lock. */
struct shim_image {
	uint64_t start, end;
	struct shim_file file;
	const struct co_sites_header *table; /* NULL: none yet */
	uint32_t asked;                      /* how often it was not there */
};

const struct co_sites_header *shim_table_of(struct shim_image *image, uint64_t address);

void shim_table_forget(struct shim_image *image);

/* Before a fork: its child would pay for tables, and seldom has a use for them. */
void shim_forget_tables(void);

/* Under the lock: the path of what is mapped there, as the kernel has it now; NULL. */
const char *shim_mapped_path(uint64_t address);

/* Has it trapped often enough? */
bool shim_worth_patching(const struct co_trap_site *site);

/* Makes the site jump, if that is possible; all signals blocked, on a slot. */
void shim_patch(struct co_trap_site *site, uint32_t index, uint64_t number);

/* The same for all sites around one that has trapped, if there are many; were there? */
bool shim_patch_page(uint64_t address);

/* pool.c, under the lock: changes a readable and executable page; 0 or negative. */
struct shim_edit {
	uint64_t at;
	uint8_t size, bytes[7];
};
int shim_code_edit(uint64_t page, const struct shim_edit *edits, uint32_t n);

/* Trampolines (pool.c), under the lock: room at first <= address <= last, 0: none. */
uint64_t shim_pool_find(uint64_t first, uint64_t last);
int shim_pool_put(uint64_t at, const uint8_t *code); /* SHIM_TRAMPOLINE bytes */
int shim_pool_done(void); /* what was put may be jumped to: 0 or negative */
bool shim_pool_get(uint64_t rip, uint64_t *start);   /* of the trampoline there */
bool shim_pool_touches(uint64_t start, uint64_t end); /* are there trampolines? */
void shim_pool_drop(uint64_t start, uint64_t end);    /* nobody uses them any more */

#define SHIM_TRAMPOLINE 32U

#endif
