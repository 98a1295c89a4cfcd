/* SPDX-License-Identifier: MIT */
/* The commands of cloudos-image.  HOST.  main.c reads options and calls them. */
#ifndef IMAGE_COMMANDS_H
#define IMAGE_COMMANDS_H

#include <stdint.h>

#include "cloudosd/image/depot.h"
#include "cloudosd/image/layer.h"

struct options {
	const char *store; /* path from the root */
	const char *name, *platform, *format, *config, *work, *busybox;
	uint32_t id_shift;
	int pid; /* of a container that runs; 0 */
	struct layer_options layers;
	const char *const *kept; /* ids that are in use; NULL behind the last */
};

struct command {
	const char *name, *operands, *what;
	int least, most; /* operands; most -1: any number */
	enum depot_use use;
	int (*run)(struct depot *d, const struct options *o, char **operands, int n,
		   struct co_err *err);
	int quiet; /* standard output is an archive */
};

const struct command *commands(size_t *out_count);

#define COMMAND(id, name, operands, least, most, use, quiet, what)                     \
	int command_##id(struct depot *d, const struct options *o, char **argv,        \
			 int argc, struct co_err *err);
#include "cloudosd/image/commands.def"
#undef COMMAND

#endif
