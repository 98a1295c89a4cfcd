/* SPDX-License-Identifier: MIT */
/*
 * Hooks of the OCI specification, and the state that they are told.  HOST.
 *
 * ctr_create runs prestart, createRuntime and createContainer, ctr_start startContainer.
 * Poststart and poststop are the business of who started and who removes: their failures
 * are told and change nothing.
 */
#ifndef CTR_HOOKS_H
#define CTR_HOOKS_H

#include "cloudosd/ctr/config.h"
#include "lib/buf.h"

/* {"ociVersion":...,"id":...,"status":...,"pid":...,"bundle":...,"annotations":{...}}.
 * pid 0 is left out. */
void ctr_state_json(const struct ctr_config *config, const char *id, const char *status,
		    pid_t pid, struct co_buf *out);

/* One after the other, with that text on standard input; `name` is for sentences.  Stops at
 * the first that fails: the sentence has its path and how it ended. */
int ctr_hooks_run(const struct ctr_hooks *hooks, const char *name,
		  const struct co_buf *state, struct co_err *err);

#endif
