/* SPDX-License-Identifier: MIT */
/*
 * Error codes, and what went wrong last ("Error Handling").
 *
 * Every function of CloudOS that returns an int or a long returns >= 0, or one of these
 * codes; bool functions fail to false, cloudos_shm_map to NULL, cloudos_sys_mmap to
 * MAP_FAILED.  The reason of the last failure, a sentence, is kept per thread.
 */
#ifndef CLOUDOS_ERROR_H
#define CLOUDOS_ERROR_H

#include <cloudos/base.h>

/* Standard Error Codes */
#define CLOUDOS_SUCCESS      0
#define CLOUDOS_EINVAL       -1  /* Invalid argument */
#define CLOUDOS_ENOMEM       -2  /* Out of memory */
#define CLOUDOS_ENOENT       -3  /* No such file or directory */
#define CLOUDOS_EIO          -4  /* I/O error */
#define CLOUDOS_EACCES       -5  /* Permission denied */
#define CLOUDOS_EBUSY        -6  /* Device or resource busy */
#define CLOUDOS_EEXIST       -7  /* File exists */
#define CLOUDOS_ENOTDIR      -8  /* Not a directory */
#define CLOUDOS_EISDIR       -9  /* Is a directory */
#define CLOUDOS_EFBIG        -10 /* File too large */
#define CLOUDOS_ENOSPC       -11 /* No space left on device */
#define CLOUDOS_ESPIPE       -12 /* Illegal seek */
#define CLOUDOS_EMFILE       -13 /* Too many open files */
#define CLOUDOS_ENFILE       -14 /* File table overflow */
#define CLOUDOS_ENOTTY       -15 /* Not a typewriter */
#define CLOUDOS_ETXTBSY      -16 /* Text file busy */
#define CLOUDOS_EFAULT       -17 /* Bad address */
#define CLOUDOS_ELOOP        -18 /* Too many symbolic links encountered */
#define CLOUDOS_ENAMETOOLONG -19 /* File name too long */

/* Error Reporting Interface */
typedef struct error_info {
	int error_code;     /* CLOUDOS_E*; CLOUDOS_SUCCESS: nothing failed */
	char message[256];  /* a sentence */
	char component[64]; /* who says so: "libcloudos", "registry", yours */
	uint64_t timestamp; /* nanoseconds since the epoch */
	uint32_t pid;       /* as the caller's pid name space sees it */
	uint32_t tid;
} error_info_t;

CLOUDOS_OFFSET(error_info_t, error_code, 0);
CLOUDOS_OFFSET(error_info_t, message, 4);
CLOUDOS_OFFSET(error_info_t, component, 260);
CLOUDOS_OFFSET(error_info_t, timestamp, 328);
CLOUDOS_OFFSET(error_info_t, pid, 336);
CLOUDOS_OFFSET(error_info_t, tid, 340);
CLOUDOS_SIZEOF(error_info_t, 344);

CLOUDOS_BEGIN_DECLS

/*
 * Tells the domain about an error of this program: it goes to the daemon's log and to
 * `cloudosctl errors`, and becomes the last failure of the calling thread.  error is
 * borrowed.  error_code must be one of the codes above; message and component must end
 * with a NUL inside their arrays.  pid is 0 or the caller's; tid is always the caller's,
 * whatever is in it; timestamp 0 means now.  Returns 0.
 *   CLOUDOS_EINVAL  no such code, or a text without its NUL
 *   CLOUDOS_EACCES  pid is another process
 *   CLOUDOS_EFAULT  error does not point to readable memory
 * Specification: "Error Reporting Interface".
 */
CLOUDOS_API int cloudos_report_error(const error_info_t *error);

/*
 * Fills *error with the last failure of the calling thread, and keeps it.  When nothing
 * has failed since the thread began or since clear_error, error_code is CLOUDOS_SUCCESS
 * and message is empty.  Failures inside libcloudos (the sys_* functions, a program that
 * does not run under cloudos-exec) are told by libcloudos, the others by the daemon; it
 * is the later of the two that counts.
 *   CLOUDOS_EFAULT  error does not point to writable memory (when libcloudos tells, only
 *                   NULL is noticed)
 * Specification: "Error Reporting Interface".
 */
CLOUDOS_API int cloudos_get_last_error(error_info_t *error);

/* Forgets the last failure of the calling thread.  Specification: the same. */
CLOUDOS_API int cloudos_clear_error(void);

/*
 * The three below need no daemon and cannot fail; the texts are constants.  code is
 * CLOUDOS_*: "CLOUDOS_ENOENT" and "No such file or directory"; "unknown" for any other.
 */
CLOUDOS_API const char *cloudos_error_name(int code);
CLOUDOS_API const char *cloudos_error_text(int code);

/*
 * The code nearest to a Linux errno; total: 0 is CLOUDOS_SUCCESS, and a number that Linux
 * does not use is CLOUDOS_EIO.  This is what the sys_* functions answer with.
 */
CLOUDOS_API int cloudos_error_from_errno(int errnum);

CLOUDOS_END_DECLS

#endif
