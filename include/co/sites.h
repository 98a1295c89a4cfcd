/* SPDX-License-Identifier: MIT */
/*
 * Site tables: which system call instructions an ELF file has, and which instruction
 * stands before each.  The daemon computes them (cloudosd/sites), the trap engine inside
 * a guest reads them before it patches.  SHARED by guest and host.
 *
 * A table is the file FOLDER/sites/NAME, FOLDER being what hello answers and NAME what
 * co_sites_name makes of fstat's answer for the very descriptor that is mapped.  That
 * says which file it is in a way that no guest can forge and without reading it: a
 * build-id is written by whoever writes the file.  A table appears by rename, is never
 * changed after that, and is never truncated: map it PROT_READ, MAP_PRIVATE, and hold it
 * against co_sites_check before anything else.
 *
 * Rows are sorted by `offset` in the FILE: a site at address A of a mapping that begins
 * at address M with offset O of the file is at A - M + O.  No program header is needed.
 *
 * To ask for a table that is missing (include/co/wire.def, site_wanted): connect a
 * SOCK_SEQPACKET socket, SOCK_NONBLOCK, to FOLDER/control.sock and send one datagram:
 * the 16 bytes of struct co_sites_wanted and beside it, as SCM_RIGHTS, one descriptor of
 * the ELF file, open for reading.  No hello is needed, nothing is answered, and the socket
 * may be closed at once; on a connection that has said hello the same datagram does the
 * same.  Any failure, EAGAIN too, is to be ignored: the site goes on trapping.  A table
 * without rows says that there is nothing to find, so that nobody asks again.  Files of a
 * file system of user space (FUSE) have no table: it could claim to be any other file.
 */
#ifndef CO_SITES_H
#define CO_SITES_H

#include <stddef.h>
#include <stdint.h>

#define CO_SITES_MARK    0x73657469732d6f63UL /* "co-sites" in the file */
#define CO_SITES_VERSION 1U
#define CO_SITES_FOLDER  "sites"
#define CO_SITES_MAX     262144U /* rows of one table */

#define CO_SITES_WANTED_TYPE 0x0300001eU /* asserted against wire.def in host code */

struct co_sites_wanted { /* = struct wire_site_wanted_note */
	uint32_t type;   /* CO_SITES_WANTED_TYPE */
	uint32_t size;   /* 16 */
	uint64_t tag;    /* 0 */
};

enum co_sites_kind {
	CO_SITES_SYSCALL = 1, /* 0f 05 */
	CO_SITES_INT80 = 2,   /* cd 80 */
	CO_SITES_INT69 = 3,   /* cd 69 */
	CO_SITES_SYSENTER = 4 /* 0f 34, i386; the kernel returns elsewhere */
};

/*
 * A row promises: decoding forward from the beginning of its function lands on the site,
 * and `length` bytes before it begins one whole instruction that does the same at any
 * other address (but see RIP) and goes on behind itself; no direct jump of that function
 * leads into its middle.  What promises less has no row.  `bytes` are to be compared with
 * memory, and the two bytes of the site as well, before anything is written.
 *
 *	NUMBER  the instruction sets eax to `number` and, but for flags, does nothing else
 *	RIP     bytes[field] to bytes[field + 3] are a displacement from rip: a copy needs
 *	        another one
 *	TARGET  a known jump leads to the site itself: harmless, its bytes stay
 *	MEMORY  the instruction reads or writes memory, so it may fault
 *	STACK   it changes rsp (push, pop, add to rsp)
 *	LINEAR  found without unwind table: decoded from a symbol, from a section's or
 *	        from a segment's beginning
 *	KEEP    never to be patched: sigreturn, whose bytes unwinders match
 */
enum co_sites_flag {
	CO_SITES_NUMBER = 1,
	CO_SITES_RIP = 2,
	CO_SITES_TARGET = 4,
	CO_SITES_MEMORY = 8,
	CO_SITES_STACK = 16,
	CO_SITES_LINEAR = 32,
	CO_SITES_KEEP = 64
};

struct co_sites_row {    /* 32 bytes, little-endian */
	uint32_t offset; /* in the file, of the system call instruction's two bytes */
	uint32_t number; /* with NUMBER, else 0 */
	uint8_t length;  /* of the instruction before it, 1 to 15 */
	uint8_t kind, flags;
	uint8_t field; /* with RIP, else 0 */
	uint8_t bytes[16];
	uint32_t reserved;
};

struct co_sites_header { /* 64 bytes; rows follow */
	uint64_t mark;
	uint32_t version, count;
	uint64_t device, inode, size, changed_ns; /* the parts of the file's name */
	uint32_t first, end; /* offsets in the file between which its code lies */
	uint8_t bits;        /* 64 or 32: the class of the ELF file */
	uint8_t reserved[7];
};

/* 4 numbers of at most 16 digits, 3 signs, NUL */
#define CO_SITES_NAME_SIZE 68U

/*
 * The name of a file's table, of st_dev, st_ino, st_size and the change time as seconds *
 * 1000000000 + nanoseconds, all as the kernel's 64-bit fstat says them.  Returns its
 * length.
 */
static inline size_t co_sites_name(char *out, uint64_t device, uint64_t inode,
				   uint64_t size, uint64_t changed_ns)
{
	const uint64_t parts[4] = { device, inode, size, changed_ns };
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned shift = 60;

		if (i)
			out[n++] = '-';
		while (shift && !(parts[i] >> shift))
			shift -= 4;
		for (;; shift -= 4) {
			out[n++] = "0123456789abcdef"[parts[i] >> shift & 15];
			if (!shift)
				break;
		}
	}
	out[n] = 0;
	return n;
}

/* Whether `size` bytes at `header` are a table for the file of that name's parts. */
static inline int co_sites_check(const struct co_sites_header *header, uint64_t size,
				 uint64_t device, uint64_t inode, uint64_t file_size,
				 uint64_t changed_ns)
{
	return size >= sizeof(*header) && header->mark == CO_SITES_MARK &&
	       header->version == CO_SITES_VERSION && header->count <= CO_SITES_MAX &&
	       size == sizeof(*header) + header->count * sizeof(struct co_sites_row) &&
	       header->device == device && header->inode == inode &&
	       header->size == file_size && header->changed_ns == changed_ns;
}

/* The row of the site at that offset, 0 if it has none.  The table has been checked. */
static inline const struct co_sites_row *
co_sites_find(const struct co_sites_header *header, uint64_t offset)
{
	const struct co_sites_row *rows = (const struct co_sites_row *) (header + 1);
	uint32_t low = 0, high = header->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rows[middle].offset == offset)
			return rows[middle].length >= 1 && rows[middle].length <= 15
				       ? &rows[middle]
				       : (const struct co_sites_row *) 0;
		if (rows[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return (const struct co_sites_row *) 0;
}

#endif
