/* SPDX-License-Identifier: MIT */
/*
 * SYSTEM for the programs of one cloudos-exec: serves what personality/anos/system answers,
 * starts programs, and owns what they share.  HOST.  Who calls it: cloudos-exec.
 *
 *	system_open     before the program's process exists; it inherits what is opened
 *	system_begin    when its session is known and before it begins
 *	system_gone     for each process that has ended
 *	system_end      when the first program has ended
 */
#ifndef CO_CLI_SYSTEM_H
#define CO_CLI_SYSTEM_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "cli/anos.h"
#include "cli/peer.h"
#include "cli/trap.h"
#include "personality/anos/system/devices.h"
#include "personality/anos/system/disk.h"
#include "personality/anos/system/klog.h"
#include "personality/anos/system/root.h"
#include "personality/anos/system/spawn.h"
#include "personality/anos/system/vfs.h"

struct system_options {
	const char *root;       /* folder or image; NULL: the program's folder */
	const char *disk;       /* image; NULL: none */
	uint32_t width, height; /* of the display */
	bool first;             /* when the first program ends, all do */
};

/* Somebody waits for the kernel log. */
struct system_reader {
	uint64_t cookie;
	uint32_t size;
};

struct system {
	struct system_options options;
	const struct trap *trap; /* the engine: loader and flags */
	uint32_t personality;
	uint64_t session;
	char folder[CO_PATH_SIZE]; /* of the domain */
	sigset_t mask;             /* as programs find it */

	struct anos_root root;
	struct anos_disk disk; /* fd -1: none */
	int program, start;    /* of the first program; its loader inherits them */
	int display;           /* memory file; every loader inherits it */
	int log_fds[2];        /* ours, and the one that every loader inherits */

	struct peer *peer;
	struct anos_tokens tokens;
	pthread_mutex_t lock; /* of what follows: ports have a thread each */
	struct anos_vfs vfs;
	struct anos_devices devices;
	struct anos_klog log;
	struct system_reader readers[CO_LIMIT_ANOS_LOG_READERS];
	uint32_t nreaders;

	const struct co_paths *paths;
	bool tracing; /* of system_debug.c's one thread */
};

/* program: "boot:/name", or a file of this machine.  *system is all zeros. */
int system_open(struct system *system, const struct system_options *options,
		const char *program, struct co_err *err);

int system_begin(struct system *system, const struct co_paths *paths, uint64_t session,
		 struct co_err *err);

void system_gone(struct system *system, int32_t pid);

/*
 * Returns when no program of it runs any more.  signals: what signalfd has for us; SIGTERM
 * and SIGHUP end them all.
 */
void system_end(struct system *system, int signals);

/* Into the kernel log. */
void system_log(struct system *system, const char *text, size_t n);

/* ---- system_debug.c ---- */

/* A message that asks for a debug call. */
bool system_debug(void *ctx, struct peer_message *m, uint64_t *value);

/* ---- system_start.c ---- */

/* The loader's third word and what it inherits.  For the child of a fork.  Errno. */
int system_inherit(const struct system *system, char *word, size_t n);

/* Writes what the first program's loader reads. */
int system_first(struct system *system, struct co_err *err);

/* A request of SYSTEM::PROCESS. */
int64_t system_spawn(void *ctx, const struct anos_spawn *spawn, int32_t parent);

#endif
