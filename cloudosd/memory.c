/* SPDX-License-Identifier: MIT */
/* Copies of guest memory.  HOST. */
#include "cloudosd/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "cloudosd/daemon.h"
#include "cloudosd/link.h"
#include "lib/cleanup.h"

enum { PAGE = 4096, CHUNK = 32768 };

static int status_of(ssize_t got, size_t n)
{
	if (got == (ssize_t) n)
		return 0;
	if (got < 0 && errno == EPERM)
		return CO_ACCESS;
	if (got < 0 && errno == ESRCH)
		return CO_GONE;
	return CO_FAULT;
}

/* The one place where it becomes a pointer again: the kernel's, for another process. */
static struct iovec remote(struct co_guest_ptr p, size_t n)
{
	return (struct iovec){ (void *) p.addr, n };
}

static int direct_read(int32_t tid, struct co_guest_ptr from, void *out, size_t n)
{
	struct iovec here = { out, n }, there = remote(from, n);

	return status_of(process_vm_readv(tid, &here, 1, &there, 1, 0), n);
}

static int direct_write(int32_t tid, struct co_guest_ptr to, const void *data, size_t n)
{
	struct iovec here = { (void *) data, n }, there = remote(to, n);

	return status_of(process_vm_writev(tid, &here, 1, &there, 1, 0), n);
}

int memory_probe(int32_t pid)
{
	char byte;

	/* address 0 is never readable: EFAULT says we might, EPERM that we may not */
	return direct_read(pid, (struct co_guest_ptr){ 0 }, &byte, 1) == CO_ACCESS
		       ? CO_ACCESS
		       : 0;
}

/* A launcher that is gone leaves nobody who may look into the process. */
static int without_launcher(int status)
{
	return status == CO_GONE ? CO_ACCESS : status;
}

int memory_read(struct session *s, int32_t tid, struct co_guest_ptr from, void *out,
		size_t n)
{
	if (!atomic_load(&s->launcher_copies)) {
		int r = direct_read(tid, from, out, n);

		if (r != CO_ACCESS)
			return r;
	}
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? n - done : CHUNK;
		int r = link_memory_read(s->link, tid, guest_at(from, done),
					 (char *) out + done, part);

		if (r)
			return without_launcher(r);
		done += part;
	}
	return 0;
}

int memory_read_string(struct session *s, int32_t tid, struct co_guest_ptr from,
		       char *out, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = PAGE - guest_at(from, done).addr % PAGE;
		int r;

		if (part > size - done)
			part = size - done;
		r = memory_read(s, tid, guest_at(from, done), out + done, part);
		if (r)
			return r;
		if (memchr(out + done, 0, part))
			return 0;
		done += part;
	}
	return CO_NAME_TOO_LONG;
}

int memory_write(struct session *s, int32_t tid, struct co_guest_ptr to,
		 const void *data, size_t n)
{
	if (!atomic_load(&s->launcher_copies)) {
		int r = direct_write(tid, to, data, n);

		if (r != CO_ACCESS)
			return r;
	}
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? n - done : CHUNK;
		int r = link_memory_write(s->link, tid, guest_at(to, done),
					  (const char *) data + done, part);

		if (r)
			return without_launcher(r);
		done += part;
	}
	return 0;
}
