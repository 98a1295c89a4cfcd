/* SPDX-License-Identifier: MIT */
/*
 * Looking into an archive of unknown kind, and taking its files out of it.  HOST.  Jobs of
 * sandbox.h.
 */
#ifndef IMAGE_SPOOL_H
#define IMAGE_SPOOL_H

#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

struct spool {
	int fd; /* the archive */
	const char *what;
	uint64_t most_bytes;
	int copy; /* spool_plain: where to, or -1 */
};

/*
 * Images, or a root file system?  One line: {"kind":"images"|"rootfs","filter":"gzip"}.
 * It is images if there is an oci-layout, a manifest.json or an index.json at the top and no
 * folder that root file systems have.
 */
int spool_look(const struct spool *s, int root, FILE *out, struct co_err *err);

/* Each file becomes one of the root, named by a number: {"name":NAME,"file":N,"size":BYTES};
 * links are {"name":NAME,"link":TARGET}, the rest is nothing. */
int spool_files(const struct spool *s, int root, FILE *out, struct co_err *err);

/* Decompresses fd into copy (-1: nowhere): {"diff":DIGEST,"stream":BYTES}. */
int spool_plain(const struct spool *s, int root, FILE *out, struct co_err *err);

#endif
