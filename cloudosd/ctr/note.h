/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of a start tell each other, and the outcome.  HOST.
 *
 * Over a SOCK_SEQPACKET pair between whoever makes a container and its first process, and
 * over the one (or the accepted connection) on which that process waits to be let go.
 */
#ifndef CTR_NOTE_H
#define CTR_NOTE_H

#include <stdint.h>

#include "cloudosd/ctr/rootfs.h"
#include "lib/err.h"

enum ctr_word_said {
	CTR_SAID_CLONED = 1, /* number: the pid, from whoever joined name spaces */
	CTR_SAID_GO,         /* number: the pid outside; descriptors of the files */
	CTR_SAID_BUILT,      /* files stand, the old root is there: hooks, please */
	CTR_SAID_HOOKED,
	CTR_SAID_CONSOLE,  /* one descriptor: the terminal's master */
	CTR_SAID_LISTENER, /* one descriptor: of a filter that notifies */
	CTR_SAID_RECEIVED,
	CTR_SAID_REMARK, /* text: a sentence about what could not be had */
	CTR_SAID_READY,  /* parked */
	CTR_SAID_START,
	CTR_SAID_EXECUTING,
	CTR_SAID_FAILED, /* code and text */
};

struct ctr_note {
	int32_t what, code;
	int64_t number;
	char text[512];
};

/* fds: sent along; NULL: none.  CO_GONE: nobody reads. */
int ctr_note_send(int link, const struct ctr_note *n, const int *fds, size_t count);
int ctr_say(int link, int what, int64_t number);
int ctr_say_with(int link, int what, int fd);
void ctr_say_failed(int link, const struct co_err *err);

/*
 * The next note.  fds, if it is not NULL, has room for *count of them and gets what came
 * along; others are closed.  CO_GONE: the other side is gone.  A note that says FAILED is
 * returned as its code with its text in err.
 */
int ctr_note_receive(int link, struct ctr_note *out, int *fds, size_t *count,
		     struct co_err *err);

/* The next note, which has to be that one. */
int ctr_await(int link, int what, struct ctr_note *out, struct co_err *err);

#endif
