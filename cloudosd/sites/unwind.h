/* SPDX-License-Identifier: MIT */
/* Where functions begin and end, from .eh_frame.  HOST. */
#ifndef CO_SITES_UNWIND_H
#define CO_SITES_UNWIND_H

#include "cloudosd/sites/image.h"

/*
 * The functions that the unwind table of that image describes: sorted, none empty, none
 * overlapping another.  Reading ends at the first entry that makes no sense.  The caller
 * frees *out.  0 or CO_NO_MEMORY.
 */
int sites_unwind(const struct sites_image *image, struct sites_span **out,
		 size_t *out_count, struct co_err *err);

#endif
