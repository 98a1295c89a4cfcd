/* SPDX-License-Identifier: MIT */
/* What the files of --confine share.  HOST. */
#ifndef CO_CLI_CONFINE_INSIDE_H
#define CO_CLI_CONFINE_INSIDE_H

#include "cli/confine.h"

/* Fills in config and writable: what the program sees and may have. */
int confine_describe(struct confine *c, const struct confine_program *p,
		     struct co_err *err);

#endif
