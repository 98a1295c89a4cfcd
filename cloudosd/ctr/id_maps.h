/* SPDX-License-Identifier: MIT */
/* The ids of a user name space.  HOST. */
#ifndef CTR_ID_MAPS_H
#define CTR_ID_MAPS_H

#include "cloudosd/ctr/config.h"

/*
 * Writes the maps of the process, which is alone in its new user name space: itself where
 * that is allowed, otherwise by newuidmap and newgidmap.  Without maps our own ids become
 * root inside.
 */
int ctr_id_maps_write(pid_t pid, const struct ctr_id_maps *uids,
		      const struct ctr_id_maps *gids, struct co_err *err);

#endif
