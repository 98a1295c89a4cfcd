/* SPDX-License-Identifier: MIT */
/*
 * cloudosctl: reads the command line, runs one handler, turns what became of it into a
 * sentence on stderr and an exit status.  HOST.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ctl.h"

/* Descriptors 0 to 2 have to be something, or a socket would become the output. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void) close(fd); /* only to see that there are no lower ones */
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && no[0]) && term &&
	       strcmp(term, "dumb") != 0;
}

/* Is the exit status a program's? */
static bool runs_program(const struct ctl *ctl)
{
	return ctl->command && (ctl->command->run == cmd_container_run ||
				ctl->command->run == cmd_container_exec);
}

static int exit_status(const struct ctl *ctl, int rc)
{
	static const struct {
		int status, exit;
	} map[] = {
		{ CO_NOT_FOUND, CTL_EXIT_NOT_FOUND }, { CO_ACCESS, CTL_EXIT_REFUSED },
		{ CO_BUSY, CTL_EXIT_REFUSED },        { CO_EXISTS, CTL_EXIT_REFUSED },
		{ CO_CONFLICT, CTL_EXIT_REFUSED },    { CO_VERSION, CTL_EXIT_REFUSED },
		{ CO_NOT_DIR, CTL_EXIT_REFUSED },
	};

	if (rc == 0)
		return ctl->program_exit;
	if (runs_program(ctl))
		return ctl->program_exit ? ctl->program_exit : CTL_EXIT_LAUNCHER;
	if (ctl->quiet)
		return 0;
	if (ctl->usage)
		return CTL_EXIT_USAGE;
	if (ctl->no_daemon)
		return CTL_EXIT_NO_DAEMON;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].status == rc)
			return map[i].exit;
	return CTL_EXIT_FAILED;
}

/* --help anywhere: about as much of the command as was typed. */
static int help(struct ctl *ctl)
{
	char words[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < ctl->nwords && used < sizeof(words); i++)
		used += (size_t) snprintf(words + used, sizeof(words) - used, "%s%s",
					  i ? " " : "", ctl->words[i]);
	(void) ctl_help(ctl->style.out, words); /* parsed words are known ones */
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int rc = ctl_parse(ctl, argc, argv);

	if (rc < 0)
		return rc;
	if (ctl->help)
		return help(ctl);
	rc = co_paths_init(&ctl->paths, ctl->system_, ctl->dir, &ctl->err);
	return rc < 0 ? rc : ctl->command->run(ctl);
}

int main(int argc, char **argv)
{
	static struct ctl ctl;
	int rc, status;

	open_standard();
	(void) signal(SIGPIPE, SIG_IGN); /* writing says EPIPE; cannot fail */
	ctl.style.out = stdout;
	ctl.style.colour = wants_colour();
	rc = run(&ctl, argc, argv);
	status = exit_status(&ctl, rc);
	if (status && rc < 0 && ctl.err.message[0]) {
		(void) fputs(CTL_PROGRAM ": ", stderr); /* nowhere else to complain */
		(void) co_print_escaped(stderr, ctl.err.message,
					strlen(ctl.err.message));
		(void) fputc('\n', stderr);
	}
	ctl.client = co_client_close(ctl.client);
	free(ctl.operands);
	free(ctl.given);
	return status;
}
