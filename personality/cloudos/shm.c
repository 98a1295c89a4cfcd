/* SPDX-License-Identifier: MIT */
/*
 * shm_create, shm_open, shm_map, shm_unmap, shm_unlink.  HOST.  Specification: "Shared
 * Memory API".
 *
 * A segment is a real descriptor of the guest's.  Mapping is the guest's own mmap, which
 * its thread performs in place of the private call; under notify nobody can do that for
 * it, and libcloudos calls mmap itself.
 */
#include "cloudosd/service/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

static struct message_call identity(struct co_call *call)
{
	struct store_journal journal = call_journal(call, 0);

	return (struct message_call){ .session = journal.session,
				      .call = journal.call,
				      .slot = journal.slot };
}

/* ---- create, open, unlink ---- */

static int64_t caller(struct co_call *call, struct process_credentials *out)
{
	int r;

	call_blocking_begin(call);
	r = process_credentials(call_tid(call), out);
	call_blocking_end(call);
	return r ? call_fail(call, CO_GONE, "the calling process is gone") : 0;
}

struct creating {
	struct co_call *call;
	struct message_call self;
	char name[SHM_NAME_SIZE];
};

static void created_end(void *arg, bool delivered)
{
	struct creating *creating = arg;

	call_lock(creating->call);
	shm_created(call_services(creating->call)->shm, creating->name, &creating->self,
		    delivered);
	call_unlock(creating->call);
	free(creating);
}

int64_t cloudos_on_shm_create(struct co_call *call,
			      const struct cloudos_shm_create_args *a)
{
	struct shm_spec spec = { .name = a->name, .size = a->size, .mode = a->mode };
	struct creating *creating;
	struct process_credentials who;
	struct co_err err = { 0 };
	int64_t r = caller(call, &who);
	int fd;

	if (r)
		return r;
	creating = calloc(1, sizeof(*creating));
	if (!creating)
		return call_fail(call, CO_NO_MEMORY, "shm_create: out of memory");
	creating->call = call;
	creating->self = identity(call);
	(void) snprintf(creating->name, sizeof(creating->name), "%s",
			a->name); /* bounded */
	r = shm_create(call_services(call)->shm, &spec, &who, &creating->self,
		       call_again(call), &fd, &err);
	if (r) {
		free(creating);
		return call_fail(call, (int) r, "shm_create: %s", err.message);
	}
	call_on_end(call, created_end, creating);
	return call_return_fd(call, fd);
}

int64_t cloudos_on_shm_open(struct co_call *call, const struct cloudos_shm_open_args *a)
{
	int access = a->flags & O_ACCMODE;
	struct process_credentials who;
	struct co_err err = { 0 };
	int64_t r;
	int fd;

	if ((access != O_RDONLY && access != O_RDWR) ||
	    (a->flags & ~(O_ACCMODE | O_CLOEXEC)))
		return call_fail(call, CO_INVALID,
				 "shm_open: flags %#x are not O_RDONLY or O_RDWR; "
				 "shm_create makes new memory",
				 (unsigned) a->flags);
	r = caller(call, &who);
	if (r)
		return r;
	r = shm_open_segment(call_services(call)->shm, a->name, access == O_RDWR, &who,
			     &fd, &err);
	if (r)
		return call_fail(call, (int) r, "shm_open: %s", err.message);
	return call_return_fd(call, fd);
}

int64_t cloudos_on_shm_unlink(struct co_call *call,
			      const struct cloudos_shm_unlink_args *a)
{
	struct message_call self = identity(call);
	struct process_credentials who;
	struct co_err err = { 0 };
	int64_t r = caller(call, &who);

	if (r)
		return r;
	r = shm_unlink_segment(call_services(call)->shm, a->name, &who, &self,
			       call_again(call), &err);
	return r ? call_fail(call, (int) r, "shm_unlink: %s", err.message) : 0;
}

/* ---- map and unmap ---- */

static int64_t cannot(struct co_call *call, int errnum)
{
	return call_fail(call, co_status_from_errno(errnum), "%s: %s",
			 call_op(call)->name, strerror(errnum));
}

static void performed(struct co_call *call, int64_t raw)
{
	call_reply(call, raw >= 0 || raw < -4095 ? raw : cannot(call, (int) -raw));
}

static int64_t only_itself(struct co_call *call)
{
	return call_fail(call, CO_UNSUPPORTED,
			 "%s: under engine notify nobody can change the memory of a "
			 "program but itself; call cloudos_%s of libcloudos, or %s",
			 call_op(call)->name, call_op(call)->name,
			 call_op(call)->number == CLOUDOS_SYS_shm_map ? "mmap"
								      : "munmap");
}

/* A whole segment or its beginning, never what lies behind. */
static int64_t check_segment(struct co_call *call, int guest_fd, size_t size)
{
	struct stat st = { 0 };
	int seals = 0, fd, r;

	call_blocking_begin(call);
	fd = call_guest_fd(call, guest_fd);
	r = fd < 0 ? -1 : fstat(fd, &st);
	if (fd >= 0) {
		seals = fcntl(fd, F_GET_SEALS);
		(void) close(fd); /* was only looked at */
	}
	call_blocking_end(call);
	if (fd < 0)
		return fd;
	if (r < 0 || seals < 0 || !(seals & F_SEAL_SHRINK))
		return call_fail(call, CO_INVALID,
				 "shm_map: descriptor %d is no shared memory",
				 guest_fd);
	if (!size || size > (uint64_t) st.st_size)
		return call_fail(call, CO_INVALID,
				 "shm_map: %zu bytes of shared memory that has %lld",
				 size, (long long) st.st_size);
	return 0;
}

int64_t cloudos_on_shm_map(struct co_call *call, const struct cloudos_shm_map_args *a)
{
	int flags = a->flags ? a->flags : MAP_SHARED;
	uint64_t words[6] = { 0, a->size, (uint32_t) a->prot, (uint32_t) flags,
			      (uint32_t) a->shm_fd };
	int64_t r;

	if (flags != MAP_SHARED && flags != MAP_PRIVATE)
		return call_fail(call, CO_INVALID,
				 "shm_map: flags %#x are not MAP_SHARED or MAP_PRIVATE",
				 (unsigned) flags);
	if (a->prot & ~(PROT_READ | PROT_WRITE))
		return call_fail(call, CO_INVALID,
				 "shm_map: prot %#x is more than PROT_READ and "
				 "PROT_WRITE",
				 (unsigned) a->prot);
	if (call_gives_fds(call))
		return only_itself(call);
	r = check_segment(call, a->shm_fd, a->size);
	if (r)
		return r;
	return call_perform(call, SYS_mmap, words, performed);
}

/* Is all of that shared memory of ours?  Without the core lock. */
static bool is_shared(int32_t pid, uint64_t from, uint64_t to)
{
	char path[64], line[512];
	autofclose FILE *maps = NULL;

	(void) snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && from < to && fgets(line, sizeof(line), maps)) {
		uint64_t begin, end;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) != 2 ||
		    begin > from || end <= from)
			continue;
		if (!strstr(line, "/memfd:cloudos-shm"))
			return false;
		from = end;
	}
	return from >= to;
}

int64_t cloudos_on_shm_unmap(struct co_call *call,
			     const struct cloudos_shm_unmap_args *a)
{
	uint64_t words[6] = { a->addr, a->size };
	bool ours;

	if (call_gives_fds(call))
		return only_itself(call);
	call_blocking_begin(call);
	ours = a->size && a->addr + a->size > a->addr &&
	       is_shared(call_process(call)->pid, a->addr, a->addr + a->size);
	call_blocking_end(call);
	if (!ours)
		return call_fail(call, CO_INVALID,
				 "shm_unmap: not all of the %zu bytes at %#" PRIx64
				 " are shared memory",
				 a->size, a->addr);
	return call_perform(call, SYS_munmap, words, performed);
}
