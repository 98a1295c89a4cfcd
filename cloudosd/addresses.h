/* SPDX-License-Identifier: MIT */
/*
 * The block of loopback addresses of this domain, and which name has which of them, kept in
 * the state folder.  HOST; cloudosd calls it.
 *
 *	state/addresses:    block 19
 *	                    1 blackroad-os-operator
 *	                    2 blackroad-os-core
 */
#ifndef CO_ADDRESSES_H
#define CO_ADDRESSES_H

#include "cloudosd/service/names.h"
#include "lib/paths.h"

/*
 * Reads what was recorded and finds a block: the recorded one, or the next that no other
 * domain of this machine has.  Who has a block keeps 127.77.D.254:8787 bound in
 * *out_claim.  0 also when there is none to be had: then *out_claim is -1, there are no
 * addresses, and err says why.
 */
int addresses_open(struct names *names, const struct co_paths *paths, uint64_t domain,
		   int *out_claim, struct co_err *err);

/* Records the block and the places as they are now. */
int addresses_save(const struct names *names, const struct co_paths *paths,
		   struct co_err *err);

#endif
