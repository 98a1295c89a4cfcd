/* SPDX-License-Identifier: MIT */
/*
 * The command line of cloudos-ctr, as the OCI runtimes have it.  HOST.
 *
 * Each command is a function; what it says goes to standard output, a failure to standard
 * error and to --log.  Exit status: 0, 1 when it failed, 2 for wrong usage; run and exec
 * end as the program does.
 */
#ifndef CTR_CLI_H
#define CTR_CLI_H

#include <limits.h>

#include "cloudosd/ctr/calls.h"
#include "cloudosd/ctr/process.h"
#include "cloudosd/ctr/state.h"

struct cli {
	char root[PATH_MAX];
	const char *log;
	bool json_log, debug, systemd;
	bool no_cgroup; /* --cgroup-manager=disabled */
	char **argv;    /* of main */
	struct co_err err;
};

#define COMMAND(name, function, arguments, what)                                       \
	int function(struct cli *cli, int argc, char *argv[]);
#include "cloudosd/ctr/commands.def"
#undef COMMAND

/* Says cli->err; returns 1. */
int cli_failed(struct cli *cli);
/* A remark, which changes nothing. */
void cli_remark(struct cli *cli, const char *sentence);

enum cli_option_kind { CLI_FLAG, CLI_TEXT, CLI_NUMBER, CLI_TEXTS };

enum { CLI_TEXTS_MAX = 256 };
struct cli_texts {
	char *at[CLI_TEXTS_MAX + 1];
	size_t count;
};

struct cli_option {
	const char *name;
	char letter; /* 0: none */
	enum cli_option_kind kind;
	void *to; /* bool, const char *, int64_t, struct cli_texts; NULL: passed over */
};

/*
 * Reads options out of argv[1..]; what is no option is moved behind them and its index
 * returned, with argv[argc] NULL.  With `in_order`, the first that is none ends it.
 * Negative and cli->err: wrong usage.
 */
int cli_options(struct cli *cli, int argc, char *argv[],
		const struct cli_option *options, size_t count, bool in_order);

/* The one operand there has to be. */
int cli_one_id(struct cli *cli, int argc, char *argv[], int at, const char **out);

/* What several commands need. */
struct cli_opened {
	struct ctr_state state;
	struct ctr_cgroup *cgroup; /* NULL: none */
};
int cli_open(struct cli *cli, const char *id, struct cli_opened *out);
void cli_close(struct cli_opened *o);

/* The configuration it was created with. */
int cli_config(struct cli *cli, const struct ctr_state *s, struct ctr_config **out);

int cli_delete_one(struct cli *cli, const char *id, bool force);
int cli_write_pid(struct cli *cli, const char *path, pid_t pid);
int cli_connect(const char *path, struct co_err *err);

/* The ids of --root, one call each. */
int cli_each(struct cli *cli, int (*each)(struct cli *, const char *id, void *arg),
	     void *arg);
/* Those that the regular expression finds. */
int cli_each_match(struct cli *cli, const char *expression,
		   int (*each)(struct cli *, const char *id, void *arg), void *arg);

/* NOTIFY_SOCKET of ours, for the container (cli_notify.c). */
struct cli_notify {
	char folder[PATH_MAX], inside[108], variable[160];
	struct ctr_mount *mounts; /* with one more */
	char **env;
};
int cli_notify_prepare(struct cli *cli, const char *id, struct ctr_config *config,
		       struct cli_notify *n);
void cli_notify_done(struct cli_notify *n);

/* Before it is started: somebody listens until it has ended. */
int cli_notify_listen(struct cli *cli, const char *id, pid_t pid);

int cli_signal(const char *name); /* "TERM", "SIGTERM", "15"; -1 */

/* The calls of CloudOS of a program, where its container has them; NULL: it has none. */
int cli_calls(struct cli *cli, const struct ctr_calls_spec *spec,
	      struct ctr_calls **out);

/* Waits for it in the foreground: signals are forwarded, the terminal's bytes passed on,
 * calls (NULL: none) brought to the daemon.
 * Returns its exit status, 128 + signal when one killed it. */
int cli_attend(struct cli *cli, struct ctr_container *c, struct ctr_calls *calls);

#endif
