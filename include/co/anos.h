/* SPDX-License-Identifier: MIT */
/*
 * What an Anos program's two worlds agree on: results of calls, where things lie, and what
 * the launcher hands to cloudos-loader-anos.  SHARED by guest and host.
 */
#ifndef CO_ANOS_H
#define CO_ANOS_H

#include <stdint.h>

/* The type of a result, in rax; its value is in rdx. */
enum co_anos_result {
	CO_ANOS_OK = 0,
	CO_ANOS_FAILURE = -1,
	CO_ANOS_BAD_NUMBER = -2,
	CO_ANOS_NOT_IMPLEMENTED = -3,
	CO_ANOS_BAD_ARGUMENTS = -4,
	CO_ANOS_BAD_NAME = -5,
	CO_ANOS_INCAPABLE = -254
};

/* What the loader asks of SYSTEM for a program, on a channel that is not captured: the
 * message's tag is the token of the debug call that it makes. */
#define CO_ANOS_DEBUG_CHANNEL "cloudos::debug"
enum { CO_ANOS_LIST_CHANNELS = 27, CO_ANOS_CHANNEL_STATS, CO_ANOS_TRACE_MESSAGES };

#define CO_ANOS_CALLS      30U /* ids 1 to 29 of personality/anos/ops.def */
#define CO_ANOS_PAGE       4096UL
#define CO_ANOS_USER_END   0x800000000000UL /* addresses below are a program's */
#define CO_ANOS_STACK_TOP  0x44000000UL     /* of a program's first thread */
#define CO_ANOS_STACK_SIZE 0x100000UL       /* unless the spawn request says more */

/* What get_framebuffer_phys writes. */
struct co_anos_framebuffer {
	uint64_t physical;
	uint32_t width, height, pitch, bits;
	uint32_t reserved[3], padding;
};

/* Where a guest may map: from there on cloudos and Linux have their own. */
#define CO_ANOS_GUEST_END 0x700000000000UL

/* As a program finds it on its initial stack. */
struct co_anos_capability {
	uint64_t id, token;
};

/*
 * ---- starting cloudos-loader-anos ----
 *
 *	argv[0]  as for cloudos-loader (co/trap.h)
 *	argv[1]  the program's path, for messages; FD of argv[0] is the program if there is one
 *	argv[2]  number of a descriptor: a file with one struct co_anos_start.  The loader
 *	         reads and closes it
 *	argv[3]  the program's argv[0] and so on
 *
 * All tokens are known to it by their hash: hashes[id] is SipHash of the 8 bytes of the
 * token with `key`.  Only those in caps are there as themselves.
 */
#define CO_ANOS_START_MARK 0x7472617453736f6eUL
#define CO_ANOS_CAPS       64U

struct co_anos_start {
	uint64_t mark;
	uint64_t size; /* of this struct */
	uint64_t key[2];
	uint64_t hashes[CO_ANOS_CALLS]; /* by id; 0: no such call */
	uint64_t stack_size;
	uint64_t capc;
	struct co_anos_capability caps[CO_ANOS_CAPS];
	int32_t framebuffer; /* a descriptor that stays open; -1: there is none */
	uint32_t width, height, pitch; /* of it; pitch in bytes, 4 a pixel */
	int32_t log; /* a stream socket for what is printed; -1: there is none */
	uint32_t reserved;
};

/* Where the framebuffer is for map_physical. */
#define CO_ANOS_FRAMEBUFFER 0xfd000000UL

#endif
