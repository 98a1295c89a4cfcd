/* SPDX-License-Identifier: MIT */
/*
 * Shared memory: named segments on memfds.  HOST.
 *
 * Owns names, owners, mode bits and one descriptor of each segment.  A segment lives until
 * it is unlinked, and longer where it is open or mapped; its size never changes.  Names are
 * of the domain, compared whole.  Plain C under the core lock.  Who calls it:
 * personalities.  What is saved lies in the keeper's table, the descriptors with the
 * keeper, so that a daemon that is killed loses no segment.
 */
#ifndef CO_SERVICE_SHM_H
#define CO_SERVICE_SHM_H

#include <co/limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/message_saved.h"
#include "cloudosd/service/process.h"
#include "lib/err.h"

#define SHM_NAME_SIZE 256

struct shm_record {
	atomic_uint used; /* written last */
	uint32_t mode, uid, gid;
	uint64_t size, order;
	struct message_call created, removed;
	char name[SHM_NAME_SIZE];
};

struct shm_saved {
	struct message_done
		done[CO_LIMIT_CALLS_PENDING]; /* by which calls it was unlinked */
	struct shm_record records[CO_LIMIT_SHM_SEGMENTS];
};

struct shm;

/* Keeps a copy of a descriptor under that number, or forgets it (fd -1). */
typedef void shm_hold(void *ctx, uint32_t index, int fd);

/* NULL: no memory.  saved is borrowed.  Each of `most` segments is an open descriptor, here
 * and with the keeper; more than CO_LIMIT_SHM_SEGMENTS there are never. */
struct shm *shm_new(struct shm_saved *saved, uint32_t most, shm_hold *hold, void *ctx);
struct shm *shm_free(struct shm *shm);

/* At start-up: the descriptor (taken) that a predecessor had under that number; and, when
 * all have come, what has none is forgotten. */
void shm_restore(struct shm *shm, uint32_t index, int fd);
void shm_restored(struct shm *shm);

/*
 * A new segment; *out_fd is another descriptor of it, for reading and writing.  With
 * `again` the one that this call has made before.  CO_INVALID (size 0), CO_TOO_BIG,
 * CO_EXISTS, CO_TABLE_FULL, CO_NO_SPACE (all segments together), CO_NO_FDS, CO_NO_MEMORY.
 */
struct shm_spec {
	const char *name;
	uint64_t size;
	uint32_t mode;
};
int shm_create(struct shm *shm, const struct shm_spec *spec,
	       const struct process_credentials *who, const struct message_call *call,
	       bool again, int *out_fd, struct co_err *err);

/*
 * The call that created it is over.  Delivered: from now on its mode is true for its creator,
 * too.  If not, nobody has a descriptor of it: it is as if it had never been.
 */
void shm_created(struct shm *shm, const char *name, const struct message_call *call,
		 bool delivered);

/* A descriptor for reading or for both.  CO_NOT_FOUND, CO_ACCESS, CO_NO_FDS. */
int shm_open_segment(struct shm *shm, const char *name, bool writes,
		     const struct process_credentials *who, int *out_fd,
		     struct co_err *err);

/* Its owner's, or root's.  CO_NOT_FOUND, CO_ACCESS. */
int shm_unlink_segment(struct shm *shm, const char *name,
		       const struct process_credentials *who,
		       const struct message_call *call, bool again, struct co_err *err);

/* The descriptor under that number, borrowed; -1. */
int shm_fd(const struct shm *shm, uint32_t index);

/* How many there are, and bytes in them. */
void shm_numbers(const struct shm *shm, uint64_t *out_segments, uint64_t *out_bytes);

#endif
