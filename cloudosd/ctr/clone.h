/* SPDX-License-Identifier: MIT */
/* Cloning into name spaces and a cgroup: what create and exec share.  HOST. */
#ifndef CTR_CLONE_H
#define CTR_CLONE_H

#include "cloudosd/ctr/inside.h"

/* clone3 without a shared memory: 0 in the child.  cgroup -1: none; one that may not be
 * used is passed over.  out_pidfd may be NULL.  -1 and errno. */
pid_t ctr_clone(uint64_t flags, int cgroup, int *out_pidfd);

/* Enters the name spaces; those that were entered are closed. */
int ctr_join_all(struct ctr_join *joins, size_t count, struct co_err *err);

const char *ctr_kind_name(int kind);

/* Waits for the process between, which tells the pid of what it cloned. */
int ctr_await_cloned(pid_t between, int link, struct ctr_container *out,
		     struct co_err *err);

/* Takes the master: to the socket, or into out->console. */
int ctr_take_console(int fd, int console_socket, struct ctr_container *out,
		     struct co_err *err);

#endif
