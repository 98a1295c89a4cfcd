/* SPDX-License-Identifier: MIT */
/*
 * Completions of bash and zsh, from commands.def.  HOST.
 *
 * Both scripts have the same three parts: which words of the line are the command
 * (options and their values left out), a case over those words, and what to offer.
 */
#include <string.h>

#include "cli/ctl.h"
#include "personality/personality.h"

/* Failures of writing stay in the stream; cloudosctl.c asks for them at the end. */

/* Calls put for every word that may stand behind `before`. */
static void next_words(FILE *out, const char *before)
{
	size_t length = strlen(before);
	const char *last = "";
	size_t last_length = 0;

	for (size_t i = 0; i < ctl_ncommands; i++) {
		const char *rest = ctl_commands[i].words;
		size_t n;

		if (strncmp(rest, before, length) != 0 ||
		    (length && rest[length] != ' '))
			continue;
		rest += length + (length ? 1 : 0);
		n = strcspn(rest, " ");
		if (n == last_length && strncmp(rest, last, n) == 0)
			continue;
		(void) fprintf(out, "%.*s ", (int) n, rest);
		last = rest;
		last_length = n;
	}
}

static void option_words(FILE *out, const struct ctl_option *options)
{
	for (; options->name; options++)
		(void) fprintf(out, "--%s ", options->name);
}

/* A pattern of every option that swallows the next word. */
static void value_pattern(FILE *out)
{
	const char *separator = "";

	for (size_t i = 0; i <= ctl_ncommands; i++) {
		const struct ctl_option *o =
			i ? ctl_commands[i - 1].options : ctl_common;

		for (; o->name; o++) {
			if (!o->value)
				continue;
			(void) fprintf(out, "%s--%s", separator, o->name);
			separator = "|";
			if (o->letter)
				(void) fprintf(out, "|-%c", o->letter);
		}
	}
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What stands where the operand of a command goes. */
static void operand_words(FILE *out, const struct ctl_command *c)
{
	size_t n;
	const struct co_personality *p;

	if (begins(c->words, "service") && strstr(c->operands, "NAME")) {
		(void) fputs(
			"$(cloudosctl service ls 2>/dev/null | awk 'NR>1{print $1}')",
			out);
	} else if (begins(c->words, "container") && strstr(c->operands, "CONTAINER")) {
		(void) fputs("$(cloudosctl container ps -a 2>/dev/null | awk "
			     "'NR>1{print $2}')",
			     out);
	} else if (strstr(c->operands, "IMAGE")) {
		(void) fputs("$(cloudosctl image ls 2>/dev/null | awk "
			     "'NR>1{print $1}')",
			     out);
	} else if (begins(c->operands, "VOLUME")) {
		(void) fputs("$(cloudosctl volume ls -q 2>/dev/null)", out);
	} else if (strcmp(c->operands, "GUEST") == 0) {
		(void) fputs("$(cloudosctl guest ls 2>/dev/null | awk "
			     "'NR>1{print $1}')",
			     out);
	} else if (strstr(c->operands, "SESSION|NAME")) {
		(void) fputs("$(cloudosctl ps 2>/dev/null | awk 'NR>1{print $1}')",
			     out);
	} else if (strcmp(c->operands, "PERSONALITY") == 0) {
		p = co_personalities(&n);
		for (size_t i = 0; i < n; i++)
			(void) fprintf(out, "%s ", p[i].name);
	} else if (strcmp(c->operands, "[COMMAND]...") == 0) {
		next_words(out, "");
	} else if (c->operands[0] >= 'a' && c->operands[0] <= 'z') {
		for (const char *at = c->operands; *at; at++)
			(void) fputc(*at == '|' ? ' ' : *at, out);
	}
}

static void command_case(FILE *out, const struct ctl_command *c)
{
	(void) fprintf(out, "\t'%s'|'%s '*)\n\t\topts=\"", c->words, c->words);
	option_words(out, c->options);
	option_words(out, ctl_common);
	(void) fputs("\"\n", out);
	if (strcmp(c->operands, "FILE") == 0) {
		(void) fputs("\t\tfiles=1\n", out);
	} else if (c->operands[0]) {
		(void) fprintf(out, "\t\t[[ $route == '%s' ]] && offer=\"", c->words);
		operand_words(out, c);
		(void) fputs("\"\n", out);
	}
	(void) fputs("\t\t;;\n", out);
}

/* A case for every word that begins several commands. */
static void group_cases(FILE *out)
{
	const char *last = "";
	size_t length = 0;

	for (size_t i = 0; i < ctl_ncommands; i++) {
		const char *words = ctl_commands[i].words;
		const char *blank = strchr(words, ' ');
		char group[64];

		if (!blank || (length == (size_t) (blank - words) &&
			       strncmp(words, last, length) == 0))
			continue;
		last = words;
		length = (size_t) (blank - words);
		(void) snprintf(group, sizeof(group), "%.*s", (int) length, words);
		(void) fprintf(out, "\t'%s') offer=\"", group);
		next_words(out, group);
		(void) fputs("\" ;;\n", out);
	}
}

static void cases(FILE *out)
{
	(void) fputs("\tlocal route='' offer='' opts='' files='' skip='' w\n"
		     "\tfor w in \"${before[@]}\"; do\n"
		     "\t\tif [[ -n $skip ]]; then skip=''; continue; fi\n"
		     "\t\tcase $w in\n\t\t",
		     out);
	value_pattern(out);
	(void) fputs(") skip=$w ;;\n"
		     "\t\t-*) ;;\n"
		     "\t\t*) route=\"${route:+$route }$w\" ;;\n"
		     "\t\tesac\n"
		     "\tdone\n"
		     "\tcase $route in\n"
		     "\t'') offer=\"",
		     out);
	next_words(out, "");
	(void) fputs("\"\n\t\topts=\"", out);
	option_words(out, ctl_common);
	(void) fputs("\" ;;\n", out);
	group_cases(out);
	for (size_t i = 0; i < ctl_ncommands; i++)
		command_case(out, &ctl_commands[i]);
	(void) fputs("\tesac\n"
		     "\tcase $skip in\n"
		     "\t-o|--output) offer='table json' opts='' files='' ;;\n"
		     "\t--dir) offer='' opts='' files=1 ;;\n"
		     "\t-?*) return 0 ;;\n"
		     "\tesac\n",
		     out);
}

void ctl_completion_bash(FILE *out)
{
	(void) fputs("# bash completion of cloudosctl\n"
		     "_cloudosctl() {\n"
		     "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		     "\tlocal -a before=(\"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n",
		     out);
	cases(out);
	(void) fputs("\tif [[ $cur == -* ]]; then offer=$opts; files=''; fi\n"
		     "\tif [[ -n $files ]]; then\n"
		     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
		     "\telse\n"
		     /* not compgen -W: it would run what a service has for a name */
		     "\t\tlocal -a all\n"
		     "\t\tIFS=$' \\t\\n' read -r -d '' -a all <<<\"$offer\"\n"
		     "\t\tCOMPREPLY=()\n"
		     "\t\tfor w in \"${all[@]}\"; do\n"
		     "\t\t\t[[ $w == \"$cur\"* ]] && COMPREPLY+=(\"$w\")\n"
		     "\t\tdone\n"
		     "\tfi\n"
		     "}\n"
		     "complete -o filenames -F _cloudosctl cloudosctl\n",
		     out);
}

void ctl_completion_zsh(FILE *out)
{
	(void) fputs("#compdef cloudosctl\n"
		     "_cloudosctl() {\n"
		     "\tlocal cur=${words[CURRENT]}\n"
		     "\tlocal -a before=(\"${(@)words[2,CURRENT-1]}\")\n",
		     out);
	cases(out);
	(void) fputs("\tif [[ $cur == -* ]]; then offer=$opts; files=''; fi\n"
		     "\tif [[ -n $files ]]; then _files; return; fi\n"
		     "\tcompadd -- ${=offer}\n"
		     "}\n"
		     "if [[ $funcstack[1] == _cloudosctl ]]; then\n"
		     "\t_cloudosctl \"$@\"\n"
		     "else\n"
		     "\tcompdef _cloudosctl cloudosctl\n"
		     "fi\n",
		     out);
}
