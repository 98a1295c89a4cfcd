/* SPDX-License-Identifier: MIT */
/*
 * Guest memory, by bounded copies and never by pointer.  HOST.  Notify threads only:
 * copying can block for as long as the guest likes (FUSE, userfaultfd), which notify.c
 * bounds per session.
 *
 * The daemon copies itself where the kernel lets it; where Yama or a non-dumpable guest
 * forbids it, the launcher, an ancestor of the guest, copies on its behalf; under trap the
 * guest itself does.
 */
#ifndef CO_MEMORY_H
#define CO_MEMORY_H

#include <co/guest.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/call.h"

/* That many bytes further on. */
static inline struct co_guest_ptr guest_at(struct co_guest_ptr p, uint64_t offset)
{
	return (struct co_guest_ptr){ p.addr + offset };
}

/* Exactly n bytes.  0; CO_FAULT; CO_ACCESS when nobody may read that process. */
int memory_read(struct co_call *call, struct co_guest_ptr from, void *out, size_t n);

/*
 * A string of at most size - 1 bytes, terminated in out.  Reads no byte twice and
 * nothing behind the page of the NUL.  CO_NAME_TOO_LONG when there is no NUL in time.
 */
int memory_read_string(struct co_call *call, struct co_guest_ptr from, char *out,
		       size_t size);

/* Exactly n bytes or CO_FAULT; then some may have been written. */
int memory_write(struct co_call *call, struct co_guest_ptr to, const void *data,
		 size_t n);

/* Of a process that makes no call now, by the daemon itself.  Also CO_GONE. */
int memory_read_process(int32_t pid, struct co_guest_ptr from, void *out, size_t n);

/* Can this daemon itself read that guest?  Asked once, when a session begins. */
int memory_probe(int32_t pid);

#endif
