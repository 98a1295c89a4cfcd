/* SPDX-License-Identifier: MIT */
/*
 * Where a domain lives: the folders of one daemon and the way to its socket.  HOST.
 * Who calls it: cloudosd, the keeper, the launcher, cloudosctl.
 *
 *	CLOUDOS_DIR=D or --dir D    D/run, D/state, D/config
 *	--system                    /run/cloudos, /var/lib/cloudos, /etc/cloudos
 *	otherwise                   $XDG_RUNTIME_DIR/cloudos, $XDG_STATE_HOME/cloudos,
 *	                            $XDG_CONFIG_HOME/cloudos; without a run-time folder
 *	                            /tmp/cloudos-UID
 */
#ifndef CO_PATHS_H
#define CO_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define CO_PATH_SIZE 4096

struct co_paths {
	char dir[CO_PATH_SIZE];    /* the one folder above all, "" if there is none */
	char run[CO_PATH_SIZE];    /* socket and lock */
	char state[CO_PATH_SIZE];  /* databases and log */
	char config[CO_PATH_SIZE]; /* cloudosd.yaml */
	char socket[CO_PATH_SIZE];
	char lock[CO_PATH_SIZE];
	char log[CO_PATH_SIZE];
	bool system_;
};

/*
 * Computes the paths and creates nothing.  `dir` goes before CLOUDOS_DIR; NULL takes
 * the environment's.  `system` goes before the environment but not before `dir`.
 * 0, CO_INVALID, CO_NAME_TOO_LONG.
 */
int co_paths_init(struct co_paths *paths, bool system, const char *dir,
		  struct co_err *err);

/*
 * Creates what is missing, readable by the owner only, and refuses folders that are
 * links, that belong to somebody else or that others may write to.
 */
int co_paths_make(const struct co_paths *paths, struct co_err *err);

/*
 * Connects to the control socket (SOCK_SEQPACKET, close-on-exec).  0; CO_GONE when no
 * daemon listens there; CO_ACCESS when the folder is not to be trusted.
 */
int co_paths_connect(const struct co_paths *paths, int *out_fd, struct co_err *err);

/* The same to the stream socket where the daemon speaks HTTP (http.sock). */
int co_paths_connect_http(const struct co_paths *paths, int *out_fd,
			  struct co_err *err);

/*
 * Removes a socket that a dead daemon left, binds with mode 0600 and listens
 * (non-blocking, close-on-exec).  The caller holds the lock of the folder.
 */
int co_paths_bind(const struct co_paths *paths, int *out_fd, struct co_err *err);

/* The same for the stream socket where the daemon speaks HTTP (http.sock). */
int co_paths_bind_http(const struct co_paths *paths, int *out_fd, struct co_err *err);

/* And for the control socket of programs in containers (guest.sock), which anybody may connect
 * to who can see it; its folder is for the owner alone. */
int co_paths_bind_guest(const struct co_paths *paths, int *out_fd, struct co_err *err);

/*
 * Finds a sister program: in $CLOUDOS_LIBEXECDIR, beside this program, where libexec
 * programs are installed, where programs are installed.  0 or CO_NOT_FOUND.
 */
int co_program_path(const char *name, char *out, size_t n, struct co_err *err);

#endif
