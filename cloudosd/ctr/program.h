/* SPDX-License-Identifier: MIT */
/*
 * From a process of ours to the program: what happens inside, up to exec.  HOST.
 *
 * Each runs in the process itself, in this order: limits while there are rights to raise
 * them, the folder, the user with its capabilities, and the execution.
 */
#ifndef CTR_PROGRAM_H
#define CTR_PROGRAM_H

#include "cloudosd/ctr/config.h"
#include "cloudosd/ctr/seccomp.h"

/* From outside, while the process still has our user: raises hard limits that only we can
 * raise, and sets oom_score_adj. */
void ctr_program_raise(pid_t pid, const struct ctr_process_spec *p);

/* rlimits (no higher than the hard limit where that is all we may), scheduler, priority of
 * I/O, personality, oom_score_adj. */
int ctr_program_limits(const struct ctr_process_spec *p, uint64_t personality,
		       struct co_err *err);

/* Enters cwd (made if it is missing and `make`), and makes sure that it is below "/". */
int ctr_program_folder(const struct ctr_process_spec *p, bool make, struct co_err *err);

/* The user's home in the container's /etc/passwd, otherwise "/". */
void ctr_program_home(uint32_t uid, char *out, size_t size);

/* Groups, user, capabilities, no_new_privs, umask.  Without no_new_privs only CAP_SYS_ADMIN
 * allows a filter: if one follows, that capability stays, so that nothing but exec has to get
 * through somebody's filter.  exec takes it away, because the bounding set lacks it; who does
 * not execute anything drops it. */
int ctr_program_user(const struct ctr_process_spec *p, bool filter_follows,
		     struct co_err *err);
int ctr_program_drop(const struct ctr_process_spec *p, struct co_err *err);

/* Labels for the execution (AppArmor, SELinux), while the host's /proc can be seen. */
int ctr_program_labels_open(const struct ctr_process_spec *p, int out_fds[2],
			    struct co_err *err);
int ctr_program_labels(const struct ctr_process_spec *p, const int fds[2],
		       struct co_err *err);

/* All signals as a program expects them. */
void ctr_program_signals(void);

/* Marks everything from `first` on for closing by exec. */
int ctr_program_descriptors(unsigned int first, struct co_err *err);

/* Returns only when it failed. */
int ctr_program_execute(const char *path, const struct ctr_process_spec *p,
			struct co_err *err);

/* Closes all from 3 on that are not in keep (unordered, -1 allowed). */
void ctr_close_others(const int *keep, size_t count);

#endif
