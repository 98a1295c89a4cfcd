/* SPDX-License-Identifier: MIT */
/*
 * Ownership that is visible where a variable is declared.  HOST.
 *
 *	autofree char *name = strdup(s);    freed at the end of the scope
 *	autoclose int fd = open(...);       closed likewise, -1 is nothing
 *	return take(name);                  hands over: name becomes NULL
 */
#ifndef CO_CLEANUP_H
#define CO_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void co_cleanup_free(void *p)
{
	free(*(void **) p);
}

static inline void co_cleanup_close(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		(void) close(*fd); /* nothing can be done about it at the end of a scope */
		errno = saved;
	}
}

static inline void co_cleanup_fclose(FILE **f)
{
	if (*f)
		(void) fclose(*f); /* writers that care call fclose themselves */
}

/* clang-format off */
#define autofree   __attribute__((cleanup(co_cleanup_free)))
#define autoclose  __attribute__((cleanup(co_cleanup_close)))
#define autofclose __attribute__((cleanup(co_cleanup_fclose)))

#define take(p)    ({ __auto_type taken_ = (p); (p) = NULL; taken_; })
#define take_fd(f) ({ int taken_ = (f); (f) = -1; taken_; })

#define container_of(ptr, type, member) \
	((type *) (void *) ((char *) (ptr) - offsetof(type, member)))
#define co_countof(array) (sizeof(array) / sizeof((array)[0]))
/* clang-format on */

#endif
