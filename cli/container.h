/* SPDX-License-Identifier: MIT */
/*
 * What the commands `container ...`, `image ...` and `apply` share: requests about one
 * container and what of it they need.  HOST.
 */
#ifndef CO_CLI_CONTAINER_H
#define CO_CLI_CONTAINER_H

#include "cli/gateway.h"

#define CONTAINERS "/v1/sys/containers"
#define CONTAINER  "/v1/sys/container/"
#define IMAGES     "/v1/sys/images"
#define VOLUME     "/v1/sys/volume/"
#define VOLUMES    "/v1/sys/volumes"
#define IMAGE      "/v1/sys/image"

/* Starts a daemon if none is running: for commands that make something. */
int container_daemon(struct ctl *ctl);

/* A command about containers or images, in a domain that has some: it needs a daemon to
 * say anything about them. */
bool container_wants_daemon(const struct ctl *ctl);

/* Prepares METHOD /v1/sys/container/NAME/VERB ("": the container itself). */
void container_request(struct gateway *g, struct ctl *ctl, const char *method,
		       const char *name, const char *verb);

/* GET of one. */
int container_get(struct gateway *g, struct ctl *ctl, const char *name);

/* A member of C as text, "" when it is not there or null (malloc); NULL: no memory. */
char *container_text(struct co_span container, const char *member);

/* A member as whole number, `otherwise` when it is not there. */
int64_t container_number(struct co_span container, const char *member,
			 int64_t otherwise);

/* Runs `one` for each operand; goes on after a failure, which it tells on standard error,
 * and returns the first one. */
int container_each(struct ctl *ctl, int (*one)(struct ctl *ctl, const char *name));

/* Starts a program of ours (cloudos-ctr, cloudos-image) in place of this one; returns only
 * when that failed. */
int container_become(struct ctl *ctl, const char *program, char *const argv[]);

/* The same as a child, words[0] being a path or looked up in PATH; in, out: descriptors of
 * its standard input and output, -1: ours. */
int container_spawn(struct ctl *ctl, const char *const *words, int in, int out,
		    pid_t *out_pid);

/* Waits for it; its exit status, or 128 and the signal. */
int container_reap(pid_t pid);

/* Everything up to the end. */
int container_read(struct ctl *ctl, int fd, struct co_buf *out);
int container_pipe(struct ctl *ctl, int fds[2]);

/* Starts one that exists and says its name. */
int container_start_one(struct ctl *ctl, const char *name);

/*
 * Calls start() and shows what the container prints from then on, until it has ended.
 */
int container_follow(struct ctl *ctl, const char *name,
		     int (*start)(struct ctl *ctl, void *arg), void *arg);

/* Makes the body of a create request from options and operands. */
int container_config_body(struct ctl *ctl, struct co_buf *out);

/* "1.5MiB"; -1: "-". */
void container_size(int64_t n, char *out, size_t size);

/* "5s", "3m", "2h", "4d" since that RFC 3339 time; "-" for none. */
void container_age(struct co_span time, char *out, size_t size);

#endif
