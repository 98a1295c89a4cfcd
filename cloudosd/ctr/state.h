/* SPDX-License-Identifier: MIT */
/*
 * What is known of a container from one command to the next: ROOT/ID/state.json.  HOST.
 *
 * ROOT is --root, otherwise /run/cloudos-ctr, or $XDG_RUNTIME_DIR/cloudos-ctr of a user.
 * Beside it lie a copy of config.json as it was at creation, and start.sock until it is
 * started.  The file is replaced as a whole, never changed.
 */
#ifndef CTR_STATE_H
#define CTR_STATE_H

#include "cloudosd/ctr/cgroup.h"
#include "cloudosd/ctr/config.h"

struct ctr_state {
	char *version, *id, *bundle, *rootfs, *owner;
	char *created;      /* RFC 3339 */
	int64_t pid;        /* 0: not yet */
	uint64_t pid_start; /* as /proc/PID/stat has it: a pid may be used again */
	bool started;
	struct co_span cgroup;      /* of ctr_cgroup_save; data NULL: none */
	struct co_span annotations; /* a JSON object; data NULL: none */
	void *heap;                 /* of ctr_state_read */
};

/* No root of the machine: another user, or root of a user name space, as podman starts us for
 * a user. */
bool ctr_rootless(void);

/* --root, or what is used without it. */
int ctr_state_root(const char *option, char *out, size_t size, struct co_err *err);

/* Letters, digits, "_+-.", at most 255 bytes, not "." or "..". */
int ctr_state_check_id(const char *id, struct co_err *err);

/* Makes ROOT/ID; CO_EXISTS when there is one. */
int ctr_state_reserve(const char *root, const char *id, struct co_err *err);

/* Fills it from a configuration; borrows its strings.  created is set to now. */
void ctr_state_fill(struct ctr_state *s, const char *id,
		    const struct ctr_config *config, char created[40]);
int ctr_state_write(const char *root, const struct ctr_state *s, struct co_err *err);
int ctr_state_write_file(const char *root, const char *id, const char *name,
			 struct co_span text, struct co_err *err);

/* CO_NOT_FOUND and a sentence when there is none. */
int ctr_state_read(const char *root, const char *id, struct ctr_state *out,
		   struct co_err *err);
void ctr_state_done(struct ctr_state *s);

/* ROOT/ID and all that we put there. */
int ctr_state_remove(const char *root, const char *id, struct co_err *err);

/* "creating", "created", "running", "paused" or "stopped". */
const char *ctr_state_status(const struct ctr_state *s);
bool ctr_state_alive(const struct ctr_state *s);

/* In clock ticks since boot; 0: there is no such process, or it is a zombie. */
uint64_t ctr_pid_start(pid_t pid);

/* As the OCI specification has it, with rootfs, created and owner. */
void ctr_state_print(const struct ctr_state *s, struct co_buf *out);

#endif
