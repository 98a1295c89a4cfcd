/* SPDX-License-Identifier: MIT */
/*
 * Running from a file that a container cannot change.  HOST.
 *
 * A container's first processes are this program for a moment, and /proc/PID/exe leads to
 * its file: a container whose root may write there could replace it (CVE-2019-5736).
 */
#ifndef CTR_SEAL_H
#define CTR_SEAL_H

#include "lib/err.h"

/*
 * Returns when this process runs from such a file: a read-only mount of it that belongs to
 * no mount name space, or a sealed copy in memory where no such mount can be made.
 * Executes itself anew if it must; needed before the first process enters a container.
 * Nothing is done for a user to whom the file is read-only anyway.
 */
int ctr_seal_self(char *const argv[], struct co_err *err);

/*
 * A descriptor (close-on-exec) of cloudos-ctr at path, for a program that starts it often:
 * executed as /proc/self/fd/N it need not execute itself anew.
 */
int ctr_seal_open(const char *path, int *out_fd, struct co_err *err);

#endif
