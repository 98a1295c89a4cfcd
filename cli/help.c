/* SPDX-License-Identifier: MIT */
/* Help texts and the manual page, from commands.def.  HOST. */
#include <ctype.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"

/* Failures of writing stay in the stream; cloudosctl.c asks for them at the end. */

size_t ctl_options_count(const struct ctl_option *options)
{
	size_t n = 0;

	while (options[n].name)
		n++;
	return n;
}

static const struct {
	int status;
	const char *meaning;
} exits[] = {
	{ 0, "done" },
	{ CTL_EXIT_FAILED, "failed" },
	{ CTL_EXIT_USAGE, "the command line is wrong" },
	{ CTL_EXIT_NO_DAEMON, "no daemon is running" },
	{ CTL_EXIT_NOT_FOUND, "what was named is not there" },
	{ CTL_EXIT_REFUSED, "refused" },
};

/* ---- for the terminal ---- */

static void put_option(FILE *out, const struct ctl_option *o)
{
	char left[64];

	(void) snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
			o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
			o->value ? " " : "", o->value ? o->value : "");
	(void) fprintf(out, "  %-26s %s\n", left, o->what);
}

static void put_options(FILE *out, const char *heading,
			const struct ctl_option *options)
{
	if (!options->name)
		return;
	(void) fprintf(out, "\n%s:\n", heading);
	for (; options->name; options++)
		put_option(out, options);
}

static void help_command(FILE *out, const struct ctl_command *c)
{
	(void) fprintf(out, "Usage: " CTL_PROGRAM " %s [OPTION]...%s%s\n\n%s.\n",
		       c->words, c->operands[0] ? " " : "", c->operands, c->summary);
	if (c->more[0])
		(void) fprintf(out, "%s\n", c->more);
	put_options(out, "Options", c->options);
	put_options(out, "Options of every command", ctl_common);
}

static void put_summary(FILE *out, const struct ctl_command *c)
{
	char left[64];

	(void) snprintf(left, sizeof(left), "%s%s%s", c->words,
			c->operands[0] ? " " : "", c->operands);
	(void) fprintf(out, "  %-34s %s\n", left, c->summary);
}

static void help_list(FILE *out, const char *words)
{
	size_t length = strlen(words);

	(void) fprintf(out,
		       "Usage: " CTL_PROGRAM " %s%sCOMMAND [OPTION]... [OPERAND]...\n",
		       words, words[0] ? " " : "");
	if (!words[0])
		(void) fprintf(out, "\nLooks into cloudosd and tells it what to do.\n");
	(void) fprintf(out, "\nCommands:\n");
	for (size_t i = 0; i < ctl_ncommands; i++)
		if (strncmp(ctl_commands[i].words, words, length) == 0)
			put_summary(out, &ctl_commands[i]);
	put_options(out, "Options of every command", ctl_common);
	if (words[0])
		return;
	(void) fprintf(out, "\nExit status:\n");
	for (size_t i = 0; i < co_countof(exits); i++)
		(void) fprintf(out, "  %d  %s\n", exits[i].status, exits[i].meaning);
	(void) fprintf(out, "\n`" CTL_PROGRAM " help COMMAND` tells more about one.\n");
}

bool ctl_help(FILE *out, const char *words)
{
	size_t length = strlen(words);
	bool group = length == 0;

	for (size_t i = 0; i < ctl_ncommands; i++) {
		if (strcmp(ctl_commands[i].words, words) == 0) {
			help_command(out, &ctl_commands[i]);
			return true;
		}
		if (strncmp(ctl_commands[i].words, words, length) == 0 &&
		    ctl_commands[i].words[length] == ' ')
			group = true;
	}
	if (group)
		help_list(out, words);
	return group;
}

/* ---- the manual page ---- */

/* Text for roff: a hyphen that is typed, no request by accident. */
static void put_roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		(void) fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			(void) fputs("\\-", out);
		else if (*text == '\\')
			(void) fputs("\\e", out);
		else
			(void) fputc(*text, out);
	}
}

static void man_option(FILE *out, const struct ctl_option *o)
{
	(void) fputs(".TP\n", out);
	if (o->letter)
		(void) fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	(void) fputs("\\fB\\-\\-", out);
	put_roff(out, o->name);
	(void) fputs("\\fR", out);
	if (o->value)
		(void) fprintf(out, " \\fI%s\\fR", o->value);
	(void) fputc('\n', out);
	put_roff(out, o->what);
	(void) fputs(".\n", out);
}

static void man_command(FILE *out, const struct ctl_command *c)
{
	(void) fprintf(out, ".SS \"%s", c->words);
	(void) fprintf(out, "%s%s\"\n", c->operands[0] ? " " : "", c->operands);
	put_roff(out, c->summary);
	(void) fputs(".\n", out);
	if (c->more[0]) {
		put_roff(out, c->more);
		(void) fputc('\n', out);
	}
	for (const struct ctl_option *o = c->options; o->name; o++)
		man_option(out, o);
}

void ctl_man(FILE *out)
{
	(void) fputs(
		".TH CLOUDOSCTL 1 \"\" \"cloudos " PACKAGE_VERSION
		"\" \"User Commands\"\n.SH NAME\n"
		"cloudosctl \\- look into cloudosd and tell it what to do\n"
		".SH SYNOPSIS\n.B cloudosctl\n\\fICOMMAND\\fR [\\fIOPTION\\fR]... "
		"[\\fIOPERAND\\fR]...\n.SH DESCRIPTION\n"
		"Talks to the daemon of one domain: the user's own, the system's, or the "
		"one in a folder.\n.SH OPTIONS\n",
		out);
	for (const struct ctl_option *o = ctl_common; o->name; o++)
		man_option(out, o);
	(void) fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < ctl_ncommands; i++)
		man_command(out, &ctl_commands[i]);
	(void) fputs(".SH \"EXIT STATUS\"\n", out);
	for (size_t i = 0; i < co_countof(exits); i++)
		(void) fprintf(out, ".TP\n.B %d\n%s\n", exits[i].status,
			       exits[i].meaning);
	(void) fputs(
		".SH ENVIRONMENT\n.TP\n.B CLOUDOS_DIR\nthe folder of the domain.\n"
		".TP\n.B XDG_RUNTIME_DIR\\fR, \\fBXDG_STATE_HOME\\fR, "
		"\\fBXDG_CONFIG_HOME\nwhere the user's own domain has its folders.\n"
		".TP\n.B NO_COLOR\nno colours, also on a terminal.\n"
		".SH \"SEE ALSO\"\n.BR cloudos\\-exec (1),\n.BR cloudosd (8),\n"
		".BR cloudosd.yaml (5)\n",
		out);
}
