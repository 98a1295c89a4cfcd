/* SPDX-License-Identifier: MIT */
/* The command line of cloudosctl, read by the table of commands.def.  HOST. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "lib/cleanup.h"
#include "lib/nearest.h"

int ctl_usage(struct ctl *ctl, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format,
			 args); /* a shortened one will do */
	va_end(args);
	ctl->usage = true;
	return co_fail(&ctl->err, CO_INVALID, "%s", text);
}

/* ---- values ---- */

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	const struct ctl_option *options = ctl->command->options;

	for (size_t i = 0; options[i].name; i++)
		if (strcmp(options[i].name, name) == 0)
			return ctl->values[i];
	return NULL;
}

const char *ctl_option_next(const struct ctl *ctl, const char *name, size_t *cursor)
{
	while (*cursor < ctl->ngiven) {
		const struct ctl_given *given = &ctl->given[(*cursor)++];

		if (strcmp(given->option->name, name) == 0)
			return given->value;
	}
	return NULL;
}

int ctl_number(struct ctl *ctl, const char *what, const char *text, uint64_t least,
	       uint64_t most, uint64_t *out)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < least ||
	    value > most)
		return ctl_usage(ctl,
				 "%s is a whole number from %" PRIu64 " to %" PRIu64
				 ", not \"%.100s\"",
				 what, least, most, text);
	*out = value;
	return 0;
}

int ctl_option_number(struct ctl *ctl, const char *name, uint64_t least, uint64_t most,
		      uint64_t *out)
{
	const char *text = ctl_option(ctl, name);
	char what[64];

	if (!text)
		return 0;
	(void) snprintf(what, sizeof(what), "the value of --%s", name);
	return ctl_number(ctl, what, text, least, most, out);
}

/* ---- words of the command ---- */

/* The words so far with blanks between. */
static void joined(const struct ctl *ctl, char *out, size_t n)
{
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < ctl->nwords && used < n; i++)
		used += (size_t) snprintf(out + used, n - used, "%s%s", i ? " " : "",
					  ctl->words[i]);
}

static int unknown_word(struct ctl *ctl, const char *before, const char *word)
{
	struct co_nearest n = co_nearest(word, strlen(word));
	size_t length = strlen(before);

	for (size_t i = 0; i < ctl_ncommands; i++) {
		const char *rest = ctl_commands[i].words;

		if (strncmp(rest, before, length) != 0 ||
		    (length && rest[length] != ' '))
			continue;
		rest += length + (length ? 1 : 0);
		co_nearest_try(&n, rest, strcspn(rest, " "));
	}
	if (n.word)
		return ctl_usage(
			ctl,
			"there is no command \"%s%s%.60s\"; did you mean \"%.*s\"?",
			before, length ? " " : "", word, (int) n.size, n.word);
	return ctl_usage(ctl,
			 "there is no command \"%s%s%.60s\"; `" CTL_PROGRAM
			 " help` lists them",
			 before, length ? " " : "", word);
}

/* Takes one more word of the command; sets ctl->command when that completes one. */
static int take_word(struct ctl *ctl, const char *word)
{
	char before[128], all[192];
	size_t length;

	joined(ctl, before, sizeof(before));
	if (strchr(word, ' ') || strlen(word) >= 60)
		return unknown_word(ctl, before, word);
	length = (size_t) snprintf(all, sizeof(all), "%s%s%s", before,
				   before[0] ? " " : "", word);
	for (size_t i = 0; i < ctl_ncommands; i++) {
		const char *words = ctl_commands[i].words;

		if (strncmp(words, all, length) != 0)
			continue;
		if (words[length] == 0)
			ctl->command = &ctl_commands[i];
		if (words[length] == 0 || words[length] == ' ') {
			ctl->words[ctl->nwords++] = word;
			return 0;
		}
	}
	return unknown_word(ctl, before, word);
}

/* ---- options ---- */

struct arguments {
	char **at;           /* the next argument; ends with NULL */
	const char *letters; /* rest of a group of letters, NULL or not empty */
};

static const struct ctl_option *find_option(const struct ctl_option *options,
					    char letter, const char *name,
					    size_t length)
{
	for (; options->name; options++)
		if (name ? strncmp(options->name, name, length) == 0 &&
				    options->name[length] == 0
			 : options->letter == letter)
			return options;
	return NULL;
}

static int set_common(struct ctl *ctl, const struct ctl_option *option,
		      const char *value)
{
	if (strcmp(option->name, "help") == 0) {
		ctl->help = true;
	} else if (strcmp(option->name, "system") == 0) {
		ctl->system_ = true;
	} else if (strcmp(option->name, "dir") == 0) {
		if (!value[0])
			return ctl_usage(ctl, "--dir needs the name of a folder");
		ctl->dir = value;
	} else if (strcmp(value, "table") == 0) {
		ctl->style.format = CO_FORMAT_TABLE;
	} else if (strcmp(value, "json") == 0) {
		ctl->style.format = CO_FORMAT_JSON;
	} else if (strcmp(value, "markdown") == 0) {
		ctl->style.format = CO_FORMAT_MARKDOWN;
	} else if (strlen(value) > 4 && !strcmp(value + strlen(value) - 4, ".png")) {
		ctl->image = value;
	} else {
		return ctl_usage(ctl, "--output takes table or json, not \"%.60s\"",
				 value);
	}
	return 0;
}

static int unknown_option(struct ctl *ctl, const char *typed, size_t length)
{
	struct co_nearest n = co_nearest(typed, length);

	for (const struct ctl_option *o = ctl_common; o->name && length > 1; o++)
		co_nearest_try(&n, o->name, strlen(o->name));
	for (const struct ctl_option *o = ctl->command ? ctl->command->options : NULL;
	     o && o->name && length > 1; o++)
		co_nearest_try(&n, o->name, strlen(o->name));
	return ctl_usage(ctl, "there is no option %s%.*s here%s%.*s%s",
			 length > 1 ? "--" : "-", length > 39 ? 39 : (int) length,
			 typed, n.word ? ", did you mean --" : "", (int) n.size,
			 n.word ? n.word : "", n.word ? "?" : "");
}

/* One option, found by letter or by name; its value is attached, the next, or none. */
static int take_option(struct ctl *ctl, struct arguments *a, const char *name,
		       size_t length, const char *attached)
{
	const struct ctl_option *mine = ctl->command ? ctl->command->options : NULL;
	const struct ctl_option *option;
	const char *key = length > 1 ? name : NULL;
	const char *value = "";

	option = mine ? find_option(mine, name[0], key, length) : NULL;
	if (!option)
		option = find_option(ctl_common, name[0], key, length);
	if (!option)
		return unknown_option(ctl, name, length);
	if (option->value) {
		value = attached ? attached : *a->at;
		if (!value)
			return ctl_usage(ctl, "--%s needs a value: %s", option->name,
					 option->value);
		if (!attached)
			a->at++;
		a->letters = NULL;
	} else if (attached && key) {
		return ctl_usage(ctl, "--%s takes no value", option->name);
	}
	if (mine && option >= mine && option < mine + CTL_OPTIONS_MAX &&
	    find_option(mine, 0, option->name, strlen(option->name)) == option) {
		ctl->values[option - mine] = value;
		ctl->given[ctl->ngiven++] =
			(struct ctl_given){ .option = option, .value = value };
		return 0;
	}
	return set_common(ctl, option, value);
}

static int take_long(struct ctl *ctl, struct arguments *a, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t) (equals - text) : strlen(text);

	if (length < 2)
		return unknown_option(ctl, text, length);
	return take_option(ctl, a, text, length, equals ? equals + 1 : NULL);
}

/* -f, -fn 5, -n5 */
static int take_letters(struct ctl *ctl, struct arguments *a, const char *text)
{
	int rc = 0;

	for (a->letters = text; rc == 0 && a->letters && a->letters[0];) {
		const char *letter = a->letters++;

		rc = take_option(ctl, a, letter, 1, letter[1] ? letter + 1 : NULL);
	}
	a->letters = NULL;
	return rc;
}

/* ---- operands ---- */

/* "NAME", "[NAME]", "A|B": how many are needed and how many are taken. */
static void operand_bounds(const char *operands, size_t *least, size_t *most)
{
	*least = *most = 0;
	for (const char *at = operands; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		*least += at[0] != '[';
		*most = n > 3 && memcmp(at + n - 3, "...", 3) == 0 ? SIZE_MAX
								   : *most + 1;
		at += n;
	}
}

static int check_operands(struct ctl *ctl)
{
	const struct ctl_command *c = ctl->command;
	size_t least, most;

	operand_bounds(c->operands, &least, &most);
	if (ctl->noperands < least)
		return ctl_usage(ctl, "`" CTL_PROGRAM " %s` needs %s", c->words,
				 c->operands);
	if (ctl->noperands > most)
		return ctl_usage(ctl,
				 "`" CTL_PROGRAM " %s` does not take \"%.60s\"%s%s",
				 c->words, ctl->operands[most], most ? " behind " : "",
				 most ? c->operands : "");
	if (ctl->style.format == CO_FORMAT_MARKDOWN && c->run != cmd_personality_show)
		return ctl_usage(ctl, "-o markdown is only for `personality show`");
	if (ctl->image && c->run != cmd_surface_shot)
		return ctl_usage(ctl, "-o FILE.png is only for `surface shot`");
	return 0;
}

static int finish(struct ctl *ctl)
{
	char words[128];

	if (ctl->help)
		return 0;
	if (ctl->command)
		return check_operands(ctl);
	joined(ctl, words, sizeof(words));
	if (words[0])
		return ctl_usage(ctl,
				 "\"%s\" is a group of commands; see `" CTL_PROGRAM
				 " help %s`",
				 words, words);
	return ctl_usage(ctl, "which command? `" CTL_PROGRAM " help` lists them");
}

/* Each word has as many options as letters at most. */
static int make_room(struct ctl *ctl, int argc, char **argv)
{
	size_t options = 0;

	for (int i = 0; i < argc; i++)
		options += strlen(argv[i]);
	ctl->operands = calloc((size_t) argc + 1, sizeof(*ctl->operands));
	ctl->given = calloc(options + 1, sizeof(*ctl->given));
	if (!ctl->operands || !ctl->given)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	return 0;
}

/* What is behind the first operand belongs to a program and is left as it is. */
static bool takes_program(const struct ctl_command *c)
{
	return strstr(c->operands, "[ARGUMENT]...") != NULL;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { .at = argv + (argc > 0) };
	bool options_end = false;
	int rc = make_room(ctl, argc, argv);

	while (rc == 0 && *a.at) {
		const char *text = *a.at++;

		if (!options_end && strcmp(text, "--") == 0)
			options_end = true;
		else if (!options_end && text[0] == '-' && text[1] == '-')
			rc = take_long(ctl, &a, text + 2);
		else if (!options_end && text[0] == '-' && text[1])
			rc = take_letters(ctl, &a, text + 1);
		else if (ctl->command)
			ctl->operands[ctl->noperands++] = text;
		else
			rc = take_word(ctl, text);
		if (ctl->noperands && takes_program(ctl->command))
			options_end = true;
	}
	return rc == 0 ? finish(ctl) : rc;
}
