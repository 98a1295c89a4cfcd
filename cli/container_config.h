/* SPDX-License-Identifier: MIT */
/*
 * What a container is to be, as three readers know it: the options of `container run`, the
 * keys of cloudos.yaml, and the members of the daemon's CONFIG (docs/containers.md).  HOST.
 */
#ifndef CO_CLI_CONTAINER_CONFIG_H
#define CO_CLI_CONTAINER_CONFIG_H

#include "cli/ctl.h"
#include "lib/buf.h"
#include "lib/span.h"

enum config_kind {
	CONFIG_TEXT,
	CONFIG_TEXTS,   /* a list; the option may be given again */
	CONFIG_WORDS,   /* a command: a text that is split, or a list */
	CONFIG_PAIRS,   /* {"NAME":"value"} */
	CONFIG_ENV,     /* the same for a program: ["NAME=value"] */
	CONFIG_SWITCH,  /* true, or false by the option "no-..." */
	CONFIG_NUMBER,  /* from least to most */
	CONFIG_MIB,     /* units.h */
	CONFIG_PERCENT, /* units.h */
	CONFIG_SECONDS, /* units.h */
	CONFIG_PATH,    /* made absolute */
	CONFIG_VOLUMES, /* as TEXTS; a source that is a path is made absolute */
};

struct config_member {
	const char *option; /* NULL: on the command line it is something else */
	const char *no_option;
	const char *key;    /* of cloudos.yaml; NULL: not there; "health.interval" */
	const char *member; /* of CONFIG; "health.interval" is a member's member */
	enum config_kind kind;
	uint64_t least, most;
	bool live; /* `update` can change it while the container runs */
};

extern const struct config_member config_members[];
extern const size_t config_nmembers;

/* The row of that member; NULL. */
const struct config_member *config_find(const char *member);

/* What a value of that kind must be, for a sentence: "a size as in 64m". */
void config_rule(const struct config_member *m, char *out, size_t size);

/*
 * One text as JSON for the member (for lists: as an element).  `folder` is where relative
 * paths begin.  false: it breaks the rule.
 */
bool config_scalar(const struct config_member *m, const char *text, const char *folder,
		   struct co_buf *out);

/* Adds ,"member": and for a member's member what begins and ends the object around it;
 * *open is NULL at first, and in the end a "}" is missing if it is not. */
void config_nest(struct co_buf *out, const char **open, const struct config_member *m);

/*
 * Adds ,"member":value for every option of the command that was given; nothing else.
 * live_only: an option that `update` cannot change is a mistake.
 */
int config_from_options(struct ctl *ctl, struct co_buf *out);

/* The command line that makes such a container, quoted for a shell: "--name web ...". */
int config_as_command(struct co_span config, struct co_buf *out);

#endif
