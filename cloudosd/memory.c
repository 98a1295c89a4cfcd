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

static int direct_read(int32_t tid, uint64_t address, void *out, size_t n)
{
	struct iovec local = { out, n };
	struct iovec remote = { (void *) address, n };

	return status_of(process_vm_readv(tid, &local, 1, &remote, 1, 0), n);
}

static int direct_write(int32_t tid, uint64_t address, const void *data, size_t n)
{
	struct iovec local = { (void *) data, n };
	struct iovec remote = { (void *) address, n };

	return status_of(process_vm_writev(tid, &local, 1, &remote, 1, 0), n);
}

int memory_probe(int32_t pid)
{
	char byte;

	/* address 0 is never readable: EFAULT says we might, EPERM that we may not */
	return direct_read(pid, 0, &byte, 1) == CO_ACCESS ? CO_ACCESS : 0;
}

int memory_read(struct session *s, int32_t tid, uint64_t address, void *out, size_t n)
{
	if (!atomic_load(&s->launcher_copies)) {
		int r = direct_read(tid, address, out, n);

		if (r != CO_ACCESS)
			return r;
	}
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? n - done : CHUNK;
		int r = link_memory_read(s->link, tid, address + done,
					 (char *) out + done, part);

		if (r)
			return r;
		done += part;
	}
	return 0;
}

int memory_read_string(struct session *s, int32_t tid, uint64_t address, char *out,
		       size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = PAGE - (address + done) % PAGE;
		int r;

		if (part > size - done)
			part = size - done;
		r = memory_read(s, tid, address + done, out + done, part);
		if (r)
			return r;
		if (memchr(out + done, 0, part))
			return 0;
		done += part;
	}
	return CO_NAME_TOO_LONG;
}

int memory_write(struct session *s, int32_t tid, uint64_t address, const void *data,
		 size_t n)
{
	if (!atomic_load(&s->launcher_copies)) {
		int r = direct_write(tid, address, data, n);

		if (r != CO_ACCESS)
			return r;
	}
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CHUNK ? n - done : CHUNK;
		int r = link_memory_write(s->link, tid, address + done,
					  (const char *) data + done, part);

		if (r)
			return r;
		done += part;
	}
	return 0;
}
