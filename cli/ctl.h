/* SPDX-License-Identifier: MIT */
/*
 * cloudosctl inside: the command table, one invocation, what handlers use.  HOST.
 *
 * A handler is `int cmd_NAME(struct ctl *)`: it prints, and returns 0 or a negative
 * status with its sentence in ctl->err.  cloudosctl.c turns that into the exit status.
 */
#ifndef CO_CTL_H
#define CO_CTL_H

#include "cli/client.h"
#include "cli/print.h"

#define CTL_PROGRAM     "cloudosctl"
#define CTL_OPTIONS_MAX 64
#define CTL_WORDS_MAX   3

enum ctl_exit {
	CTL_EXIT_LAUNCHER = 125, /* of commands that run a program */
	CTL_EXIT_NOT_EXECUTABLE = 126,
	CTL_EXIT_NO_PROGRAM = 127,
	CTL_EXIT_FAILED = 1,
	CTL_EXIT_USAGE = 2,
	CTL_EXIT_NO_DAEMON = 3,
	CTL_EXIT_NOT_FOUND = 4,
	CTL_EXIT_REFUSED = 5
};

struct ctl_option {
	char letter;       /* 0 without */
	const char *name;  /* NULL ends a list */
	const char *value; /* what the value is called; NULL for a switch */
	const char *what;
};

struct ctl;

struct ctl_command {
	const char *words, *operands;
	const struct ctl_option *options;
	const char *summary, *more;
	int (*run)(struct ctl *ctl);
};

/* clang-format off */
/* What commands have that ask the gateway, for commands.def. */
#define CTL_SERVICE OPTION(0, "service", "NAME", "whose it is (default: cloudosd)")
/* clang-format on */

/* commands.def as data. */
extern const struct ctl_command ctl_commands[];
extern const size_t ctl_ncommands;
extern const struct ctl_option ctl_common[];

/* An option of the command as it was typed, in that order. */
struct ctl_given {
	const struct ctl_option *option;
	const char *value; /* "" for a switch */
};

struct ctl {
	/* what was asked, filled by ctl_parse */
	const struct ctl_command *command; /* NULL when only --help was */
	const char *words[CTL_WORDS_MAX];  /* of the command as typed */
	size_t nwords;
	const char *
		values[CTL_OPTIONS_MAX]; /* of the command's options; "" for switches */
	struct ctl_given *given;         /* all of them, owned */
	size_t ngiven;
	const char **operands; /* ended by NULL, owned */
	size_t noperands;
	const char *image; /* -o FILE.png of surface shot; NULL */
	const char *dir;
	bool system_, help;

	/* what handlers use */
	struct co_print_style style;
	struct co_paths paths;
	struct co_client *client; /* NULL before ctl_connect */
	struct co_err err;

	/* what becomes of the exit status */
	bool usage; /* the command line was wrong */
	bool no_daemon;
	bool quiet; /* nobody reads any more */
	/* Of commands that run a program: its status, or 126 and 127 when a failure means
	 * that it could not be run; otherwise their failures are 125. */
	int program_exit;
};

/* ---- options.c ---- */

/* 0, or CO_INVALID with ctl->usage and a sentence. */
int ctl_parse(struct ctl *ctl, int argc, char **argv);

/* The value of an option of the command, "" for a given switch, NULL when not given. */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* The values of an option that may be given again and again: *cursor is 0 at first; NULL
 * when that was all. */
const char *ctl_option_next(const struct ctl *ctl, const char *name, size_t *cursor);

/* A whole number in [least, most]; `what` names it in the sentence. */
int ctl_number(struct ctl *ctl, const char *what, const char *text, uint64_t least,
	       uint64_t most, uint64_t *out);

/* As ctl_number for an option; leaves *out alone when it was not given. */
int ctl_option_number(struct ctl *ctl, const char *name, uint64_t least, uint64_t most,
		      uint64_t *out);

/* A signal by name ("TERM", "SIGTERM") or number. */
int ctl_signal(struct ctl *ctl, const char *text, int *out);

/* A mistake of the command line. */
int ctl_usage(struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- help.c ---- */

/* Help about the words, "" for the list of all; false if no command begins so. */
bool ctl_help(FILE *out, const char *words);
void ctl_man(FILE *out);

/* What the terminal shows between the words and the operands: "" or " [OPTION]...". */
size_t ctl_options_count(const struct ctl_option *options);

/* ---- completion.c ---- */
void ctl_completion_bash(FILE *out);
void ctl_completion_zsh(FILE *out);

/* ---- talk.c: what most handlers do ---- */

/* Opens ctl->client. */
int ctl_connect(struct ctl *ctl);

/* Connects and begins a request; NULL when that failed. */
void *ctl_request(struct ctl *ctl, uint32_t type);

/* Sends the request and prints its rows; `shown` as in co_print_new_layout. */
int ctl_list(struct ctl *ctl, uint32_t row_type, const char *shown, size_t *out_rows);

/* Sends the request and calls `row` for each row until the reply or the end of stdout. */
int ctl_stream(struct ctl *ctl, int (*row)(struct ctl *ctl, void *data), void *data);

/* Sends the request and waits for the reply. */
int ctl_call(struct ctl *ctl, const int *fds, uint32_t n);

/* Prints the reply in ctl->client->in. */
int ctl_record(struct ctl *ctl);

/* A sentence as the whole answer: as it is, or {"message": ...}. */
int ctl_say(struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Makes a status of the printer one of the invocation. */
int ctl_printed(struct ctl *ctl, int rc);

/* Fills session number or name from the operand SESSION|NAME. */
void ctl_session(struct ctl *ctl, uint64_t *out_session, struct wire_span *name);

/* ---- cmd_*.c ---- */
#define COMMON(letter, name, value, what)
#define COMMAND(handler, words, operands, options, summary, more)                      \
	int cmd_##handler(struct ctl *ctl);
#include "cli/commands.def"
#undef COMMON
#undef COMMAND

#endif
