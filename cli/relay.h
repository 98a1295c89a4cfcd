/* SPDX-License-Identifier: MIT */
/*
 * What a service writes goes to where cloudos-exec was told to write, unchanged, and to the
 * daemon for the logs.  HOST.  Who calls it: cli/launch.c.
 *
 * Standard output and standard error become pipes, or pseudo terminals where they were
 * terminals.  A reader that does not read holds up the program as it would natively; the
 * daemon does not: what it does not take in a tenth of a second is not logged.
 */
#ifndef CO_RELAY_H
#define CO_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/wire.h"

enum { RELAY_STREAMS = 2, RELAY_BUFFER = 65536, RELAY_LINE = 16384 };

struct relay_stream {
	int from;   /* what the program writes; -1 at its end */
	int inside; /* its end, for the child */
	int to;     /* 1 or 2; -1 when nobody reads */
	bool terminal;
	char buffer[RELAY_BUFFER]; /* read, not written yet */
	size_t begin, end;
	char line[RELAY_LINE]; /* read, not sent yet */
	size_t nline;
	bool escape; /* inside a sequence for the terminal, which is not logged */
};

struct relay {
	struct relay_stream streams[RELAY_STREAMS];
	int log; /* where notes for the daemon go; -1: nowhere */
	struct co_msg *out;
	unsigned patience;  /* so often the daemon is waited for */
	unsigned long lost; /* bytes that are not logged */
};

/* log is borrowed. */
int relay_open(struct relay *r, int log, struct co_err *err);

/* What the child is to have there instead of its own; -1: nothing. */
void relay_ends(const struct relay *r, int stdio[3]);

/* In the child: its standard output and error. */
void relay_enter(const struct relay *r);

/* In the launcher, once the child is there. */
void relay_begin(struct relay *r);

/* What to wait for; at most two each. */
size_t relay_wants(const struct relay *r, struct pollfd *out);

/* Does what can be done without waiting. */
void relay_run(struct relay *r);

/* A line that has not ended for a while is sent, too. */
bool relay_unsent(const struct relay *r);
void relay_flush(struct relay *r);

/* The size of the terminal has changed. */
void relay_resize(const struct relay *r);

/*
 * The program has ended.  Its children may go on writing: then a process stays behind for
 * them, and ends with the last of them.
 */
void relay_end(struct relay *r);

/* Descriptors that are in use, at most five. */
size_t relay_descriptors(const struct relay *r, int *out);

#endif
