/* SPDX-License-Identifier: MIT */
/* Shared memory.  HOST. */
#include "cloudosd/service/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

struct shm {
	struct shm_saved *saved;
	shm_hold *hold;
	void *ctx;
	uint64_t order;
	uint32_t most;
	int fds[CO_LIMIT_SHM_SEGMENTS]; /* -1: none */
};

/* ---- records ---- */

static bool is_used(const struct shm *shm, uint32_t i)
{
	return atomic_load(&shm->saved->records[i].used) != 0;
}

static struct shm_record *find(struct shm *shm, const char *name)
{
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		if (is_used(shm, i) && shm->fds[i] >= 0 &&
		    !strcmp(shm->saved->records[i].name, name))
			return &shm->saved->records[i];
	return NULL;
}

static uint32_t index_of(const struct shm *shm, const struct shm_record *record)
{
	return (uint32_t) (record - shm->saved->records);
}

static void removed(struct shm *shm, const struct shm_record *record)
{
	struct message_done *done;

	if (!record->removed.call || record->removed.slot >= CO_LIMIT_CALLS_PENDING)
		return;
	done = &shm->saved->done[record->removed.slot];
	if (done->order <= record->order)
		*done = (struct message_done){ .session = record->removed.session,
					       .call = record->removed.call,
					       .order = record->order };
}

static void forget(struct shm *shm, uint32_t i)
{
	atomic_store(&shm->saved->records[i].used, 0);
	if (shm->fds[i] < 0)
		return;
	(void) close(shm->fds[i]); /* a memfd has nothing to flush */
	shm->fds[i] = -1;
	shm->hold(shm->ctx, i, -1);
}

int shm_fd(const struct shm *shm, uint32_t index)
{
	return index < CO_LIMIT_SHM_SEGMENTS ? shm->fds[index] : -1;
}

void shm_numbers(const struct shm *shm, uint64_t *out_segments, uint64_t *out_bytes)
{
	*out_segments = *out_bytes = 0;
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++) {
		if (!is_used(shm, i))
			continue;
		++*out_segments;
		*out_bytes += shm->saved->records[i].size;
	}
}

/* ---- who may ---- */

static bool may(const struct shm_record *record, const struct process_credentials *who,
		uint32_t wants)
{
	uint32_t bits = record->mode;
	bool member = who->gid == record->gid;

	if (!who->uid)
		return true;
	for (uint32_t i = 0; i < who->ngroups; i++)
		member |= who->groups[i] == record->gid;
	if (who->uid == record->uid)
		bits >>= 6;
	else if (member)
		bits >>= 3;
	return (bits & wants) == wants;
}

static int missing(const char *name, struct co_err *err)
{
	return co_fail(err, CO_NOT_FOUND, "there is no shared memory \"%.80s\"", name);
}

/* ---- descriptors ---- */

/* Another description of the same memory, with rights of its own. */
static int reopen(int fd, bool writes, int *out, struct co_err *err)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*out = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	return *out < 0 ? co_fail_errno(err, errno, "cannot open shared memory") : 0;
}

/*
 * The kernel checks the same mode when somebody opens it by /proc; its creator is let in, who
 * may have to get it that way, until it has it.
 */
static int mode_for_creator(int fd, uint32_t mode, struct co_err *err)
{
	return fchmod(fd, (mode & 0777) | 0600) < 0 ?
		       co_fail_errno(err, errno, "cannot set the mode of memory") :
		       0;
}

static int memory_new(const struct shm_spec *spec,
		      const struct process_credentials *who, int *out,
		      struct co_err *err)
{
	autoclose int fd = memfd_create("cloudos-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make shared memory");
	if (ftruncate(fd, (off_t) spec->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return co_fail_errno(err, errno,
				     "cannot make shared memory of %" PRIu64 " bytes",
				     spec->size);
	/* not root: it is the daemon's own user's anyway, or nobody's business */
	(void) !fchown(fd, who->uid, who->gid);
	if (mode_for_creator(fd, spec->mode, err))
		return err->code;
	*out = take_fd(fd);
	return 0;
}

/* ---- create ---- */

static int check_spec(const struct shm *shm, const struct shm_spec *spec,
		      struct co_err *err)
{
	uint64_t segments, bytes;

	if (!*spec->name)
		return co_fail(err, CO_INVALID, "shared memory needs a name");
	if (!spec->size)
		return co_fail(err, CO_INVALID, "shared memory of 0 bytes is none");
	if (spec->mode & ~0777U)
		return co_fail(err, CO_INVALID,
			       "mode %#o has more than the nine bits of read, write "
			       "and execute",
			       spec->mode);
	if (spec->size > CO_LIMIT_SHM_BYTES)
		return co_fail(err, CO_TOO_BIG,
			       "shared memory has at most %d bytes, not %" PRIu64,
			       CO_LIMIT_SHM_BYTES, spec->size);
	shm_numbers(shm, &segments, &bytes);
	if (bytes + spec->size > (uint64_t) CO_LIMIT_SHM_TOTAL << 20)
		return co_fail(err, CO_NO_SPACE,
			       "the %" PRIu64 " segments of this domain have %" PRIu64
			       " bytes; %" PRIu64 " more would be over the limit of "
			       "%d MiB",
			       segments, bytes, spec->size, CO_LIMIT_SHM_TOTAL);
	return 0;
}

static uint32_t free_index(const struct shm *shm)
{
	uint32_t i = 0;

	while (i < CO_LIMIT_SHM_SEGMENTS && (is_used(shm, i) || shm->fds[i] >= 0))
		i++;
	return i;
}

static void record_fill(struct shm *shm, uint32_t i, const struct shm_spec *spec,
			const struct process_credentials *who,
			const struct message_call *call)
{
	struct shm_record *record = &shm->saved->records[i];

	memset(record, 0, sizeof(*record));
	record->mode = spec->mode;
	record->uid = who->uid;
	record->gid = who->gid;
	record->size = spec->size;
	record->order = ++shm->order;
	record->created = *call;
	(void) snprintf(record->name, sizeof(record->name), "%s", spec->name);
}

int shm_create(struct shm *shm, const struct shm_spec *spec,
	       const struct process_credentials *who, const struct message_call *call,
	       bool again, int *out_fd, struct co_err *err)
{
	const struct shm_record *old = find(shm, spec->name);
	autoclose int fd = -1;
	uint32_t i = free_index(shm);
	int r;

	if (old && again && message_call_same(&old->created, call)) {
		r = mode_for_creator(shm->fds[index_of(shm, old)], old->mode, err);
		return r ? r : reopen(shm->fds[index_of(shm, old)], true, out_fd, err);
	}
	r = check_spec(shm, spec, err);
	if (r)
		return r;
	if (old)
		return co_fail(err, CO_EXISTS,
			       "there is shared memory \"%.80s\" already; open it, or "
			       "unlink it first",
			       spec->name);
	if (i >= shm->most)
		return co_fail(err, CO_TABLE_FULL,
			       "there are %u segments of shared memory, which is the "
			       "limit",
			       shm->most);
	r = memory_new(spec, who, &fd, err);
	if (r)
		return r;
	/* the creator has both rights, whatever the mode says to later ones */
	*out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (*out_fd < 0)
		return co_fail_errno(err, errno, "cannot make shared memory");
	shm->fds[i] = take_fd(fd);
	shm->hold(shm->ctx, i, shm->fds[i]);
	record_fill(shm, i, spec, who, call);
	atomic_store(&shm->saved->records[i].used, 1);
	return 0;
}

void shm_created(struct shm *shm, const char *name, const struct message_call *call,
		 bool delivered)
{
	const struct shm_record *record = find(shm, name);

	if (!record || !message_call_same(&record->created, call))
		return;
	if (delivered) /* fails at nothing: the mode is one, the file is ours */
		(void) fchmod(shm->fds[index_of(shm, record)], record->mode & 0777);
	else
		forget(shm, index_of(shm, record));
}

/* ---- open and unlink ---- */

int shm_open_segment(struct shm *shm, const char *name, bool writes,
		     const struct process_credentials *who, int *out_fd,
		     struct co_err *err)
{
	const struct shm_record *record = find(shm, name);

	if (!record)
		return missing(name, err);
	if (!may(record, who, writes ? 6 : 4))
		return co_fail(err, CO_ACCESS,
			       "shared memory \"%.80s\" of user %u has mode %04o, "
			       "which does not let user %u %s",
			       name, record->uid, record->mode, who->uid,
			       writes ? "read and write" : "read");
	return reopen(shm->fds[index_of(shm, record)], writes, out_fd, err);
}

int shm_unlink_segment(struct shm *shm, const char *name,
		       const struct process_credentials *who,
		       const struct message_call *call, bool again, struct co_err *err)
{
	struct shm_record *record = find(shm, name);
	const struct message_done *done =
		&shm->saved->done[call->slot % CO_LIMIT_CALLS_PENDING];

	if (again && done->order && done->session == call->session &&
	    done->call == call->call)
		return 0;
	if (!record)
		return missing(name, err);
	if (who->uid && who->uid != record->uid)
		return co_fail(err, CO_ACCESS,
			       "shared memory \"%.80s\" belongs to user %u, and user "
			       "%u cannot unlink it",
			       name, record->uid, who->uid);
	record->order = ++shm->order;
	record->removed = *call;
	forget(shm, index_of(shm, record));
	removed(shm, record);
	return 0;
}

/* ---- begin and end ---- */

void shm_restore(struct shm *shm, uint32_t index, int fd)
{
	if (index >= CO_LIMIT_SHM_SEGMENTS || shm->fds[index] >= 0)
		(void) close(fd); /* nobody asked for it */
	else
		shm->fds[index] = fd;
}

/* A record without memory, or memory without a record: something was half done. */
void shm_restored(struct shm *shm)
{
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++) {
		struct shm_record *record = &shm->saved->records[i];

		record->name[SHM_NAME_SIZE - 1] = 0;
		if (record->order > shm->order)
			shm->order = record->order;
		if (!is_used(shm, i))
			removed(shm, record);
		if (!is_used(shm, i) || shm->fds[i] < 0)
			forget(shm, i);
	}
}

struct shm *shm_new(struct shm_saved *saved, uint32_t most, shm_hold *hold, void *ctx)
{
	struct shm *shm = calloc(1, sizeof(*shm));

	if (!shm)
		return NULL;
	shm->saved = saved;
	shm->most = most < CO_LIMIT_SHM_SEGMENTS ? most : CO_LIMIT_SHM_SEGMENTS;
	shm->hold = hold;
	shm->ctx = ctx;
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		shm->fds[i] = -1;
	return shm;
}

struct shm *shm_free(struct shm *shm)
{
	if (!shm)
		return NULL;
	for (uint32_t i = 0; i < CO_LIMIT_SHM_SEGMENTS; i++)
		if (shm->fds[i] >= 0)
			(void) close(shm->fds[i]); /* the keeper has it, too */
	free(shm);
	return NULL;
}
