/* SPDX-License-Identifier: MIT */
/* Copies of guest memory.  HOST. */
#include "cloudosd/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "cloudosd/daemon.h"
#include "cloudosd/link.h"
#include "cloudosd/member.h"
#include "lib/cleanup.h"

enum { PAGE = 4096 };

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

/* Whoever may look where the daemon may not; NULL if he is gone. */
static struct link *deputy(struct co_call *call)
{
	struct session *s = call->session;

	return s->engine == CO_ENGINE_TRAP ? member_link(call) : link_ref(s->link);
}

/* One that is gone leaves nobody who may look into the process. */
static int without_deputy(int status)
{
	return status == CO_GONE ? CO_ACCESS : status;
}

int memory_read_process(int32_t pid, struct co_guest_ptr from, void *out, size_t n)
{
	return direct_read(pid, from, out, n);
}

int memory_read(struct co_call *call, struct co_guest_ptr from, void *out, size_t n)
{
	struct link *link;
	int r;

	if (!atomic_load(&call->session->launcher_copies)) {
		r = direct_read(call->tid, from, out, n);
		if (r != CO_ACCESS)
			return r;
	}
	link = deputy(call);
	r = link ? 0 : CO_ACCESS;
	for (size_t done = 0; !r && done < n;) {
		size_t part = link_chunk(link);

		if (part > n - done)
			part = n - done;
		r = link_memory_read(link, call->tid, guest_at(from, done),
				     (char *) out + done, part);
		done += part;
	}
	(void) link_unref(link);
	return without_deputy(r);
}

int memory_read_string(struct co_call *call, struct co_guest_ptr from, char *out,
		       size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = PAGE - guest_at(from, done).addr % PAGE;
		int r;

		if (part > size - done)
			part = size - done;
		r = memory_read(call, guest_at(from, done), out + done, part);
		if (r)
			return r;
		if (memchr(out + done, 0, part))
			return 0;
		done += part;
	}
	return CO_NAME_TOO_LONG;
}

int memory_write(struct co_call *call, struct co_guest_ptr to, const void *data,
		 size_t n)
{
	struct link *link;
	int r;

	if (!atomic_load(&call->session->launcher_copies)) {
		r = direct_write(call->tid, to, data, n);
		if (r != CO_ACCESS)
			return r;
	}
	link = deputy(call);
	r = link ? 0 : CO_ACCESS;
	for (size_t done = 0; !r && done < n;) {
		size_t part = link_chunk(link);

		if (part > n - done)
			part = n - done;
		r = link_memory_write(link, call->tid, guest_at(to, done),
				      (const char *) data + done, part);
		done += part;
	}
	(void) link_unref(link);
	return without_deputy(r);
}
