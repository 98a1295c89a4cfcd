/* SPDX-License-Identifier: MIT */
/*
 * Programs whose cases are sentences about what Linux does; each holds natively, so each
 * must hold under an engine.  A case runs in a child of its own with a time limit and
 * returns 0, or the line of the first thing that is not so.  GUEST programs of the tests.
 */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <stddef.h>

struct behaviour {
	const char *name;
	int (*holds)(void);
};

#define EXPECT(condition)                                                              \
	do {                                                                           \
		if (!(condition))                                                      \
			return __LINE__;                                               \
	} while (0)

#define BAD_POINTER ((void *) 8)

/* `list` prints the names, WORDS choose cases, nothing runs all; 1 if one does not hold. */
int behaviour_main(int argc, char **argv, const struct behaviour *cases, size_t count);

/* The status of a child that runs it, as waitpid tells it; -1 if there is no child. */
int behaviour_child(int (*run)(void *), void *argument);

/* This program, as it was started. */
extern const char *behaviour_self;

#endif
