/* SPDX-License-Identifier: MIT */
/* The command line of cloudos-ctr: options, failures, main.  HOST. */
#include "cloudosd/ctr/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "cloudosd/ctr/init.h"
#include "lib/cleanup.h"

/* ---- what is said ---- */

static void write_log(struct cli *cli, const char *level, const char *message)
{
	autobuf struct co_buf line = { 0 };
	char when[40];
	struct timespec now;
	struct tm tm;
	autoclose int fd = open(
		cli->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return;
	(void) clock_gettime(CLOCK_REALTIME, &now); /* never fails */
	(void) gmtime_r(&now.tv_sec, &tm);
	(void) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (cli->json_log) {
		co_buf_text(&line, "{\"msg\":");
		co_buf_json_text(&line, co_span(message));
		co_buf_format(&line, ",\"level\":\"%s\",\"time\":\"%s\"}\n", level,
			      when);
	} else {
		co_buf_format(&line, "%s: %s: %s\n", when, level, message);
	}
	if (!line.failed && write(fd, line.data, line.size) < 0)
		return; /* nowhere left to say it */
}

int cli_failed(struct cli *cli)
{
	if (cli->log)
		write_log(cli, "error", cli->err.message);
	(void) fprintf(stderr, "cloudos-ctr: %s\n", cli->err.message);
	return 1;
}

void cli_remark(struct cli *cli, const char *sentence)
{
	if (cli->log)
		write_log(cli, "warning", sentence);
	else if (cli->debug)
		(void) fprintf(stderr, "cloudos-ctr: %s\n", sentence);
}

/* ---- options ---- */

static const struct cli_option *find(const struct cli_option *options, size_t count,
				     const char *word, size_t length)
{
	for (size_t i = 0; i < count; i++) {
		if (word[0] == '-' && word[1] == '-' &&
		    strlen(options[i].name) == length - 2 &&
		    memcmp(options[i].name, word + 2, length - 2) == 0)
			return &options[i];
		if (word[0] == '-' && length == 2 && word[1] != '-' &&
		    word[1] == options[i].letter)
			return &options[i];
	}
	return NULL;
}

static int store(struct cli *cli, const struct cli_option *o, char *value)
{
	char *end;

	if (!o->to)
		return 0;
	switch (o->kind) {
	case CLI_FLAG:
		*(bool *) o->to = !value || strcmp(value, "false") != 0;
		break;
	case CLI_TEXT:
		*(const char **) o->to = value;
		break;
	case CLI_NUMBER:
		errno = 0;
		*(int64_t *) o->to = strtoll(value, &end, 10);
		if (errno || end == value || *end)
			return co_fail(&cli->err, CO_INVALID,
				       "--%s wants a number, not %s", o->name, value);
		break;
	case CLI_TEXTS: {
		struct cli_texts *texts = o->to;

		if (texts->count == CLI_TEXTS_MAX)
			return co_fail(&cli->err, CO_TOO_BIG, "too many of --%s",
				       o->name);
		texts->at[texts->count++] = value;
		break;
	}
	}
	return 0;
}

/* One option at argv[*i]; leaves *i at its last word. */
static int take_option(struct cli *cli, int argc, char *argv[], int *i,
		       const struct cli_option *options, size_t count)
{
	char *word = argv[*i], *value = NULL;
	size_t length = strcspn(word, "=");
	const struct cli_option *o;

	if (word[1] != '-' && length > 2)
		length = 2; /* -uUSER, -qf */
	o = find(options, count, word, length);
	if (!o)
		return co_fail(&cli->err, CO_INVALID, "there is no option %s", word);
	if (word[length] == '=')
		value = word + length + 1;
	else if (word[length] && o->kind != CLI_FLAG)
		value = word + length;
	else if (word[length]) { /* flags in one word */
		int rc = store(cli, o, NULL);

		word[length - 1] = '-';
		argv[*i] = word + length - 1;
		return rc < 0 ? rc : take_option(cli, argc, argv, i, options, count);
	} else if (o->kind != CLI_FLAG) {
		if (*i + 1 >= argc)
			return co_fail(&cli->err, CO_INVALID, "%s wants a value", word);
		value = argv[++*i];
	}
	return store(cli, o, value);
}

int cli_options(struct cli *cli, int argc, char *argv[],
		const struct cli_option *options, size_t count, bool in_order)
{
	char **operands = calloc((size_t) argc + 1, sizeof(*operands));
	int n = 0, i = 1, rc = 0;

	if (!operands)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	for (; i < argc && rc == 0; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (argv[i][0] == '-' && argv[i][1])
			rc = take_option(cli, argc, argv, &i, options, count);
		else if (in_order)
			break;
		else
			operands[n++] = argv[i];
	}
	for (; i < argc && rc == 0; i++)
		operands[n++] = argv[i];
	for (int k = 0; k < n && rc == 0; k++)
		argv[argc - n + k] = operands[k];
	free(operands);
	return rc < 0 ? rc : argc - n;
}

int cli_one_id(struct cli *cli, int argc, char *argv[], int at, const char **out)
{
	if (at < 0)
		return at;
	if (argc - at != 1)
		return co_fail(&cli->err, CO_INVALID,
			       argc == at ? "%s wants the id of a container"
					  : "%s wants one id only",
			       argv[0]);
	*out = argv[at];
	return ctr_state_check_id(*out, &cli->err);
}

/* ---- main ---- */

static const struct {
	const char *name;
	int (*function)(struct cli *cli, int argc, char *argv[]);
	const char *arguments, *what;
} commands[] = {
#define COMMAND(name, function, arguments, what) { name, function, arguments, what },
#include "cloudosd/ctr/commands.def"
#undef COMMAND
};

static void help(void)
{
	(void) puts(
		"Usage: cloudos-ctr [--root DIR] [--log FILE] [--log-format text|json] "
		"COMMAND ...\n\nCommands:");
	for (size_t i = 0; i < co_countof(commands); i++)
		(void) printf("  %-9s%-32s %s\n", commands[i].name,
			      commands[i].arguments, commands[i].what);
	(void) puts("\nA container is a folder with config.json (OCI runtime "
		    "specification 1.x) and a root file system.");
}

static int global_options(struct cli *cli, int argc, char *argv[], const char **root)
{
	const char *format = NULL, *manager = NULL;
	bool want_help = false, want_version = false;
	const struct cli_option options[] = {
		{ "root", 0, CLI_TEXT, root },
		{ "log", 0, CLI_TEXT, &cli->log },
		{ "log-format", 0, CLI_TEXT, &format },
		{ "log-level", 0, CLI_TEXT, NULL },
		{ "systemd-cgroup", 0, CLI_FLAG, &cli->systemd },
		{ "cgroup-manager", 0, CLI_TEXT, &manager },
		{ "rootless", 0, CLI_TEXT, NULL }, /* seen by trying */
		{ "criu", 0, CLI_TEXT, NULL },
		{ "debug", 0, CLI_FLAG, &cli->debug },
		{ "help", 'h', CLI_FLAG, &want_help },
		{ "version", 'v', CLI_FLAG, &want_version },
	};
	int at = cli_options(cli, argc, argv, options, co_countof(options), true);

	if (at < 0)
		return at;
	cli->json_log = format && strcmp(format, "json") == 0;
	if (manager && strcmp(manager, "systemd") == 0)
		cli->systemd = true;
	if (manager && strcmp(manager, "disabled") == 0)
		cli->no_cgroup = true;
	if (want_help)
		help();
	if (want_version)
		(void) puts("cloudos-ctr version " PACKAGE_VERSION
			    "\nspec: 1.1.0\n+SYSTEMD +SECCOMP");
	return want_help || want_version ? 0 : at;
}

static int usage(struct cli *cli)
{
	(void) cli_failed(cli);
	(void) fputs("See cloudos-ctr --help.\n", stderr);
	return 2;
}

int main(int argc, char *argv[])
{
	struct cli cli = { .argv = argv };
	const char *root = NULL;
	int at;

	if (argc > 0 && strcmp(argv[0], CTR_INIT_NAME) == 0)
		return ctr_init_main(argc, argv);
	(void) prctl(PR_SET_NAME, "cloudos-ctr", 0, 0, 0); /* only a name */
	ctr_init_offer(open("/proc/self/exe", O_PATH | O_CLOEXEC));
	at = global_options(&cli, argc, argv, &root);
	if (at == 0)
		return 0;
	if (at > 0 && ctr_state_root(root, cli.root, sizeof(cli.root), &cli.err) < 0)
		at = -1;
	if (at > 0 && at == argc)
		at = co_fail(&cli.err, CO_INVALID, "which command?");
	if (at < 0)
		return usage(&cli);
	for (size_t i = 0; i < co_countof(commands); i++)
		if (strcmp(argv[at], commands[i].name) == 0)
			return commands[i].function(&cli, argc - at, argv + at);
	(void) co_fail(&cli.err, CO_INVALID, "there is no command %s", argv[at]);
	return usage(&cli);
}
