/* SPDX-License-Identifier: MIT */
/*
 * cloudos.yaml: containers, guests (programs under cloudos-exec) and services of BlackRoad
 * OS that belong together, as they are to be.  HOST.  docs/containers.md describes it.
 *
 * apply_file.c reads (pure: the fuzz target calls it), apply_order.c sorts by dependencies,
 * apply_plan.c compares with what there is, apply_do.c changes that; cmd_apply.c calls them.
 */
#ifndef CO_CLI_APPLY_H
#define CO_CLI_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/container_config.h"
#include "cli/ctl.h"
#include "lib/buf.h"
#include "lib/yaml_read.h"

#define APPLY_LABEL "cloudos.project" /* of a container: whose it is */

enum { APPLY_NAME = 64 };

enum apply_kind { APPLY_CONTAINER, APPLY_GUEST, APPLY_SERVICE };
const char *apply_kind_name(enum apply_kind kind); /* "container" */

enum apply_condition { APPLY_STARTED, APPLY_HEALTHY, APPLY_COMPLETED };

struct apply_unit;

struct apply_need {
	const struct co_yaml_node *at; /* where it is said */
	const char *name;
	enum apply_condition condition;
	struct apply_unit *unit; /* by apply_order */
};

/* What is to be done. */
enum apply_action {
	APPLY_NOTHING,
	APPLY_CREATE,
	APPLY_START,    /* as described, but it does not run */
	APPLY_UPDATE,   /* while it runs */
	APPLY_RECREATE, /* removed and made again */
	APPLY_REMOVE,   /* of the project, and the file does not have it (any more) */
};

struct apply_unit {
	struct apply_unit *next; /* in the order of the file, then of dependencies */
	const struct co_yaml_node *at; /* its name in the file; NULL: not in it */
	enum apply_kind kind;
	char name[APPLY_NAME];
	struct co_buf
		config; /* a container's CONFIG, or what a guest is to be, as JSON */
	struct apply_need *needs;
	size_t nneeds;
	bool has_health; /* a condition "healthy" means something */
	bool restarts;   /* whenever it ends */

	/* apply_order */
	unsigned mark;

	/* apply_plan */
	enum apply_action action;
	struct co_buf changed; /* members that differ, with blanks between */
	struct co_buf members; /* APPLY_UPDATE: the body of the request */
	int64_t id;            /* of a container that exists; 0 */
};

struct apply_image {
	struct apply_image *next;
	const struct co_yaml_node *at;
	const char *name, *path; /* path NULL: made of this machine's busybox */
	bool missing;            /* apply_plan */
};

/* One of the domain; those with a path are folders of the machine. */
struct apply_volume {
	struct apply_volume *next;
	const struct co_yaml_node *at;
	char name[2 * APPLY_NAME]; /* in the domain: PROJECT_NAME */
	bool missing;              /* apply_plan */
};

struct apply_file {
	struct co_yaml yaml;
	const char *folder; /* where its relative paths begin */
	char project[APPLY_NAME];
	struct apply_unit *units;
	size_t nunits;
	struct apply_image *images;
	const struct co_yaml_node *volumes; /* NULL: none */
	struct apply_volume *named;
	const char *network; /* of containers that say nothing; NULL */
};

/*
 * Reads and checks a text.  `name` is how sentences call it, `folder` absolute.  0, or a
 * status and a sentence with file, line and what would be right.  apply_done either way.
 */
int apply_parse(struct apply_file *out, const char *name, const char *folder,
		const char *text, size_t n, struct co_err *err);
void apply_done(struct apply_file *f);
#define autoapply __attribute__((cleanup(apply_done)))

/* A unit more, in front; NULL: no memory. */
struct apply_unit *apply_add(struct apply_file *f, enum apply_kind kind,
			     const char *name);

/* Sorts f->units so that each stands behind what it needs.  CO_INVALID: a name that is not
 * there, or a circle, which is named. */
int apply_order(struct apply_file *f);

/* Are the two JSON values the same, whatever the order of members? */
bool apply_same(struct co_span a, struct co_span b);

/* What has to be done with each unit and image; adds units that are to be removed. */
int apply_plan(struct apply_file *f, struct ctl *ctl);

/* ---- doing it ---- */

struct apply_how {
	uint64_t timeout_s; /* for a condition to come true */
	bool prune;         /* what the file does not have is removed */
	bool wait;          /* until all are healthy that can be */
};

int apply_do(struct apply_file *f, struct ctl *ctl, const struct apply_how *how);

/* The volumes of the file, with all that is in them; what is not there is passed over. */
int apply_remove_volumes(const struct apply_file *f, struct ctl *ctl);

/* Stops and removes every unit that there is, in turn. */
int apply_remove_all(struct apply_file *f, struct ctl *ctl);

#endif
