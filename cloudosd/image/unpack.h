/* SPDX-License-Identifier: MIT */
/*
 * A layer out of its archive: a folder that can lie in an overlay.  HOST.  A job of
 * sandbox.h.
 *
 * What becomes of things, docs/images.md has the reasons:
 *	owners, modes, times    kept by root; for others everything is theirs (squashed)
 *	set-user-id bits        kept with the owner, dropped without
 *	devices, sockets        left out and counted
 *	security.capability     kept with the owner; user.* kept; other attributes and ACLs
 *	                        left out and counted
 *	.wh.NAME, .wh..wh..opq  whiteouts and opaque folders of the overlay; in the lowest
 *	                        layer, which has nothing below it, nothing
 *	"..", a hard link to nothing, a name that is no text     the layer is refused
 */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cloudosd/image/digest.h"
#include "lib/err.h"

struct unpack {
	int fd; /* the blob */
	const char *what;
	bool lowest;
	bool keep_owners; /* the caller is root */
	bool strict; /* an archive without an end is refused (nobody knows its digest) */
	bool drop_setuid; /* whoever owns them */
	bool plain;       /* .wh. names mean nothing: a root file system, not a layer */
	uint64_t most_bytes, most_entries;
};

/* Lines: {"opaque":PATH}, {"implied":PATH} (a folder without an entry of its own),
 * {"unpacked":BYTES}, and last {"diff":DIGEST,"stream":BYTES,
 * "bytes":,"entries":,"devices":,"setuid":,"attributes":}. */
int unpack_job(const struct unpack *u, int root, FILE *out, struct co_err *err);

#endif
