/* SPDX-License-Identifier: MIT */
/* Asking SYSTEM: what the examples need of its services, in the place of a library. */
#ifndef ANOS_SYSTEM_H
#define ANOS_SYSTEM_H

#include "anos.h"

enum { PAGE = 4096 };
enum { VFS_FIND = 1, VFS_REGISTER = 2, VFS_UNREGISTER = 3 };
enum { PROCESS_SPAWN = 1 };
enum { FILE_SIZE = 1, FILE_LOAD = 2 };

/* A message travels in a page that begins at a page. */
extern uint8_t page[PAGE];
#define PAGE_HERE uint8_t page[PAGE] __attribute__((aligned(PAGE)))

static inline uint64_t length_of(const char *text)
{
	uint64_t n = 0;

	while (text[n])
		n++;
	return n;
}

static inline void copy(void *to, const void *from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		((volatile uint8_t *) to)[i] = ((const uint8_t *) from)[i];
}

/* Puts a text with its end into the page; where that is. */
static inline uint64_t put_text(uint64_t at, const char *text)
{
	copy(page + at, text, length_of(text) + 1);
	return at + length_of(text) + 1;
}

/* The channel of the driver that has a path's prefix; 0: none. */
static inline uint64_t driver_of(const char *path)
{
	uint64_t vfs = find_named_channel("SYSTEM::VFS").value;

	return send_message(vfs, VFS_FIND, put_text(0, path), page).value;
}

/* Says that `channel` serves the paths of a prefix. */
static inline uint64_t serve_prefix(const char *prefix, uint64_t channel)
{
	uint64_t vfs = find_named_channel("SYSTEM::VFS").value;

	copy(page, (const uint8_t[32]){ 0 }, 32);
	copy(page, prefix, length_of(prefix));
	copy(page + 32, &channel, sizeof(channel));
	return send_message(vfs, VFS_REGISTER, 40, page).value;
}

/*
 * Starts a program with these arguments, the first of which is its path, and with the
 * capabilities of these calls.  Its pid, or a negative number.
 */
static inline int64_t spawn(int argc, const char *const *argv, int capc,
			    const uint64_t *calls)
{
	uint64_t process = find_named_channel("SYSTEM::PROCESS").value;
	uint64_t at = 12, stack = 0x100000;

	copy(page, &stack, 8);
	page[8] = (uint8_t) argc;
	page[9] = 0;
	page[10] = (uint8_t) capc;
	page[11] = 0;
	for (int i = 0; i < capc; i++, at += 16) {
		copy(page + at, &calls[i], 8);
		copy(page + at + 8, &tokens[calls[i]], 8);
	}
	for (int i = 0; i < argc; i++)
		at = put_text(at, argv[i]);
	/* SYSTEM counts the header as 16 bytes, although it has 12 */
	return (int64_t) send_message(process, PROCESS_SPAWN, at + 4, page).value;
}

#endif
