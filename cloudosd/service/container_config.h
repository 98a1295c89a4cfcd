/* SPDX-License-Identifier: MIT */
/*
 * What a container is to be, as people write it: CONFIG of POST /v1/sys/containers.  HOST.
 *
 * Pure: read, checked and merged, on any thread.  Every string is the configuration's own.
 * What the image says stands behind what is said here; container_spec.h puts both together.
 */
#ifndef CO_SERVICE_CONTAINER_CONFIG_H
#define CO_SERVICE_CONTAINER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

/* A NULL stands behind the last; never NULL itself after reading. */
struct container_texts {
	char **at;
	size_t count;
	bool given;
};

enum container_restart {
	CONTAINER_RESTART_NO,
	CONTAINER_RESTART_ALWAYS,
	CONTAINER_RESTART_ON_FAILURE,
	CONTAINER_RESTART_UNLESS_STOPPED
};

struct container_health_spec {
	struct container_texts command; /* not given: there is no check */
	bool shell;                     /* command[0] is for /bin/sh -c */
	uint32_t interval_ms, timeout_ms, retries, start_ms;
};

struct container_port {
	char ip[46]; /* "127.0.0.1" unless said */
	uint16_t host, inside;
	bool udp;
};

struct container_volume {
	char *source; /* a path, or the name of a volume */
	char *inside;
	bool named, read_only, idmap;
};

struct container_settings {
	char *text;          /* the object as it was given: what is kept and told */
	struct co_span json; /* of it */
	char *name, *image, *rootfs, *working_dir, *user, *hostname, *network, *runtime,
		*seccomp, *service; /* NULL: not said */
	struct container_texts command, entrypoint, env, tmpfs, cap_add, cap_drop;
	uint64_t *
		tmpfs_bytes; /* of each; 0: what the kernel takes, half of the memory */
	struct container_port *ports;
	size_t nports;
	struct container_volume *volumes;
	size_t nvolumes;
	uint64_t memory_mib, cpu_percent, pids, shm_mib; /* 0: none, or the default */
	bool privileged, read_only, init, calls, rm, tty, stdin_, host_users,
		allow_unenforced;
	bool service_unlogged; /* of service: what it writes is not in its log */
	enum container_restart restart;
	uint32_t restart_max; /* of on-failure; 0: as often as it takes */
	struct container_health_spec health;
	bool health_none; /* "health": null: not even the image's */
	int stop_signal;  /* 0: not said */
	uint32_t stop_timeout_s;
	uint32_t log_mib, log_files; /* 0: the daemon's */
	struct co_span labels;       /* object of texts, or {NULL, 0} */
	struct container_block *blocks;
};

/* The longest name; [A-Za-z0-9][A-Za-z0-9_.-]*, not only digits, which are ids. */
#define CONTAINER_NAME 256

/*
 * Reads and checks; CO_INVALID and a sentence that names the member.  `text` need not have
 * been checked.  A configuration without name has none yet.
 */
int container_config_parse(struct co_span text, struct container_settings **out,
			   struct co_err *err);

/* NULL is allowed; returns NULL. */
struct container_settings *container_config_free(struct container_settings *c);

/*
 * `with`'s members in place of those of the same name; null takes one away.  Fills
 * `live_only`: nothing but what takes effect in a container that runs (limits, health,
 * restart, stop, labels, name).
 */
int container_config_merge(const struct container_settings *c, struct co_span with,
			   struct co_buf *out, bool *live_only, struct co_err *err);

bool container_name_is_good(struct co_span name);

/* Absolute, without "." and "..". */
bool container_path_is_good(const char *path);

/* SIGTERM of "TERM", "SIGTERM", "15"; 0: none of ours. */
int container_signal(struct co_span text);

const char *container_restart_name(enum container_restart restart);

/*
 * Splits a line into words as a shell does, with quotes and backslashes, and expands
 * nothing.  CO_INVALID: a quote is not closed.  Words are malloc, in a malloc list.
 */
int container_words(struct co_span line, char ***out, size_t *out_count,
		    struct co_err *err);
void container_words_free(char **words);

#endif
