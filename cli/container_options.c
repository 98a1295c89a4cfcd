/* SPDX-License-Identifier: MIT */
/* CONFIG of a container from options, and back to a command line.  HOST. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/container_config.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- from options ---- */

static int no_memory(struct ctl *ctl)
{
	return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
}

static int wrong_value(struct ctl *ctl, const struct config_member *m, const char *text)
{
	char rule[120];

	config_rule(m, rule, sizeof(rule));
	return ctl_usage(ctl, "--%s takes %s, not \"%.100s\"", m->option, rule, text);
}

/* The elements of a list or object: those of a file of variables before the others. */
static int elements(struct ctl *ctl, const struct config_member *m, const char *folder,
		    struct co_buf *out)
{
	const char *text;
	size_t cursor = 0, before;
	char opening = m->kind == CONFIG_PAIRS ? '{' : '[';

	while ((text = ctl_option_next(ctl, m->option, &cursor))) {
		if (!*text)
			continue; /* -p "": no ports at all */
		before = out->size;
		if (out->data[before - 1] != opening)
			co_buf_char(out, ',');
		before = out->size;
		if (!config_scalar(m, text, folder, out))
			return wrong_value(ctl, m, text);
		if (out->failed)
			return no_memory(ctl);
		if (out->size == before && out->data[before - 1] == ',')
			out->size--; /* a variable that is not set */
	}
	return 0;
}

/* Lines NAME=value; "#" begins a comment. */
static int env_file(struct ctl *ctl, const struct config_member *m, const char *path,
		    struct co_buf *out)
{
	autofclose FILE *f = fopen(path, "re");
	autofree char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		return co_fail_errno(&ctl->err, errno, "cannot read %s", path);
	while ((n = getline(&line, &room, f)) >= 0) {
		const char *text = line + strspn(line, " \t");
		size_t before;

		line[strcspn(line, "\r\n")] = 0;
		if (!*text || *text == '#')
			continue;
		if (out->data[out->size - 1] != '[')
			co_buf_char(out, ',');
		before = out->size;
		if (!config_scalar(m, text, "", out))
			return ctl_usage(ctl,
					 "%s has \"%.60s\", which is not NAME=value",
					 path, text);
		if (out->size == before && out->data[before - 1] == ',')
			out->size--;
	}
	return ferror(f) ? co_fail_errno(&ctl->err, errno, "cannot read %s", path) : 0;
}

static int add_list(struct ctl *ctl, const struct config_member *m, struct co_buf *out)
{
	autofree char *folder = realpath(".", NULL);
	const char *path;
	size_t cursor = 0;
	int rc = 0;

	if (!folder)
		return co_fail_errno(&ctl->err, errno,
				     "cannot tell the current folder");
	co_buf_char(out, m->kind == CONFIG_PAIRS ? '{' : '[');
	if (out->failed)
		return no_memory(ctl);
	while (m->kind == CONFIG_ENV && rc == 0 &&
	       (path = ctl_option_next(ctl, "env-file", &cursor)))
		rc = env_file(ctl, m, path, out);
	if (rc == 0)
		rc = elements(ctl, m, folder, out);
	co_buf_char(out, m->kind == CONFIG_PAIRS ? '}' : ']');
	return rc;
}

static int add_option(struct ctl *ctl, const struct config_member *m, const char *value,
		      struct co_buf *out)
{
	switch (m->kind) {
	case CONFIG_TEXTS:
	case CONFIG_PAIRS:
	case CONFIG_ENV:
	case CONFIG_VOLUMES:
		return add_list(ctl, m, out);
	case CONFIG_WORDS:
		if (strcmp(m->option, "entrypoint") != 0) {
			co_buf_json_text(out, co_span(value));
			return 0;
		}
		co_buf_char(out, '['); /* one program, not to be split; "" is none */
		if (*value)
			co_buf_json_text(out, co_span(value));
		co_buf_char(out, ']');
		return 0;
	case CONFIG_SWITCH:
		co_buf_text(out, "true");
		return 0;
	default:
		return config_scalar(m, value, "", out) ? 0
							: wrong_value(ctl, m, value);
	}
}

/* What was given for the member, NULL: nothing. */
static const char *given(const struct ctl *ctl, const struct config_member *m)
{
	const char *value = m->option ? ctl_option(ctl, m->option) : NULL;

	if (!value && m->option && strcmp(m->option, "net") == 0)
		value = ctl_option(ctl, "network");
	if (!value && m->option && strcmp(m->option, "pids") == 0)
		value = ctl_option(ctl, "pids-limit");
	if (!value && m->kind == CONFIG_ENV)
		value = ctl_option(ctl, "env-file");
	return value;
}

int config_from_options(struct ctl *ctl, struct co_buf *out)
{
	const char *open = NULL;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < config_nmembers; i++) {
		const struct config_member *m = &config_members[i];
		const char *value = given(ctl, m);
		bool no = m->no_option && ctl_option(ctl, m->no_option);

		if (!value && !no)
			continue;
		if (value && no)
			return ctl_usage(ctl, "--%s and --%s contradict each other",
					 m->option, m->no_option);
		config_nest(out, &open, m);
		if (no)
			co_buf_text(out, "false");
		else
			rc = add_option(ctl, m, value, out);
	}
	if (open)
		co_buf_char(out, '}');
	return rc == 0 && out->failed ? no_memory(ctl) : rc;
}

/* ---- back ---- */

static void quoted(struct co_buf *out, struct co_span text)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._/:=,@%+";
	bool bare = text.size > 0;

	for (size_t i = 0; bare && i < text.size; i++)
		bare = text.data[i] && strchr(plain, text.data[i]);
	if (bare) {
		co_buf_span(out, text);
		return;
	}
	co_buf_char(out, '\'');
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\'')
			co_buf_text(out, "'\\''");
		else
			co_buf_char(out, text.data[i]);
	co_buf_char(out, '\'');
}

/* A JSON value as the text that a person would type. */
static void typed(const struct config_member *m, struct co_span value,
		  struct co_buf *out)
{
	int64_t n;

	if (co_json_kind(value) == CO_JSON_STRING)
		(void) co_json_unescape(value,
					out); /* what has a NUL cannot be typed */
	else if (m->kind == CONFIG_MIB)
		co_buf_format(out, "%.*sm", (int) value.size, value.data);
	else if (m->kind == CONFIG_PERCENT && co_json_whole(value, &n))
		co_buf_format(out, "%" PRId64 ".%02" PRId64, n / 100, n % 100);
	else
		co_buf_span(out, value);
}

static void put_option(struct co_buf *out, const struct config_member *m,
		       struct co_span name, struct co_span value)
{
	autobuf struct co_buf text = { 0 };

	if (name.data) {
		(void) co_json_unescape(name, &text);
		co_buf_char(&text, '=');
	}
	typed(m, value, &text);
	co_buf_format(out, "--%s ", m->option);
	quoted(out, (struct co_span){ text.data, text.size });
	co_buf_char(out, ' ');
}

/* A list of words as one text that a shell splits into them again. */
static void put_joined(struct co_buf *out, const struct config_member *m,
		       struct co_span value)
{
	autobuf struct co_buf all = { 0 };
	struct co_json_walk walk = co_json_walk(value);
	struct co_span none, word;

	while (co_json_next(&walk, &none, &word)) {
		autobuf struct co_buf text = { 0 };

		(void) co_json_unescape(word, &text);
		if (all.size)
			co_buf_char(&all, ' ');
		quoted(&all, (struct co_span){ text.data, text.size });
	}
	co_buf_format(out, "--%s ", m->option);
	quoted(out, (struct co_span){ all.data, all.size });
	co_buf_char(out, ' ');
}

static void put_member(struct co_buf *out, const struct config_member *m,
		       struct co_span value)
{
	enum co_json_kind kind = co_json_kind(value);
	struct co_json_walk walk = co_json_walk(value);
	struct co_span name, element;

	if (kind == CO_JSON_NULL)
		return;
	if (kind == CO_JSON_BOOL) {
		if (value.data[0] == 't')
			co_buf_format(out, "--%s ", m->option);
		else if (m->no_option)
			co_buf_format(out, "--%s ", m->no_option);
	} else if (m->kind == CONFIG_WORDS && kind == CO_JSON_ARRAY) {
		put_joined(out, m, value);
	} else if (kind == CO_JSON_ARRAY || kind == CO_JSON_OBJECT) {
		while (co_json_next(&walk, &name, &element))
			put_option(out, m, name, element);
	} else {
		put_option(out, m, (struct co_span){ NULL, 0 }, value);
	}
}

static bool find(struct co_span config, const char *path, struct co_span *out)
{
	char name[32];
	size_t n = strcspn(path, ".");

	(void) snprintf(name, sizeof(name), "%.*s", (int) n, path); /* ours */
	if (!co_json_member(config, name, out))
		return false;
	return path[n] ? find(*out, path + n + 1, out) : true;
}

static void put_operands(struct co_buf *out, struct co_span config)
{
	struct co_span value, none, word;
	struct co_json_walk walk;

	if (co_json_member(config, "rootfs", &value) &&
	    co_json_kind(value) == CO_JSON_STRING && value.size > 2)
		co_buf_text(out, "--rootfs ");
	else
		(void) co_json_member(config, "image", &value);
	if (value.data) {
		autobuf struct co_buf text = { 0 };

		typed(config_find("image"), value, &text);
		quoted(out, (struct co_span){ text.data, text.size });
	}
	if (!co_json_member(config, "command", &value))
		return;
	if (co_json_kind(value) == CO_JSON_STRING && value.size > 2) {
		co_buf_char(out, ' '); /* it is split as a shell would */
		(void) co_json_unescape(value, out);
	}
	for (walk = co_json_walk(value); co_json_next(&walk, &none, &word);) {
		autobuf struct co_buf text = { 0 };

		co_buf_char(out, ' ');
		(void) co_json_unescape(word, &text);
		quoted(out, (struct co_span){ text.data, text.size });
	}
}

int config_as_command(struct co_span config, struct co_buf *out)
{
	struct co_span value;

	for (size_t i = 0; i < config_nmembers; i++)
		if (config_members[i].option &&
		    find(config, config_members[i].member, &value))
			put_member(out, &config_members[i], value);
	put_operands(out, config);
	return out->failed ? CO_NO_MEMORY : 0;
}
