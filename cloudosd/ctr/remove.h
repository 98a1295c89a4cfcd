/* SPDX-License-Identifier: MIT */
/* Removing what a container has made.  HOST. */
#ifndef CTR_REMOVE_H
#define CTR_REMOVE_H

#include "lib/err.h"

/* Removes a tree, which may be hostile, and follows nothing in it.  What is not there is no
 * failure. */
int ctr_remove_tree(const char *path, struct co_err *err);

#endif
