/* SPDX-License-Identifier: MIT */
/* CONFIG of a container from options, and back.  HOST. */
#include "cli/container_config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "cli/units.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define U32 UINT32_MAX

/* Members of one object stand together. */
/* clang-format off */
const struct config_member config_members[] = {
	{ "name",       NULL,      NULL,          "name",          CONFIG_TEXT,    0, 0, true },
	{ NULL,         NULL,      "image",       "image",         CONFIG_TEXT,    0, 0, false },
	{ NULL,         NULL,      "rootfs",      "rootfs",        CONFIG_TEXT,    0, 0, false },
	{ "entrypoint", NULL,      "entrypoint",  "entrypoint",    CONFIG_WORDS,   0, 0, false },
	{ NULL,         NULL,      "command",     "command",       CONFIG_WORDS,   0, 0, false },
	{ "workdir",    NULL,      "working_dir", "workingDir",    CONFIG_TEXT,    0, 0, false },
	{ "env",        NULL,      "environment", "env",           CONFIG_ENV,     0, 0, false },
	{ "user",       NULL,      "user",        "user",          CONFIG_TEXT,    0, 0, false },
	{ "hostname",   NULL,      "hostname",    "hostname",      CONFIG_TEXT,    0, 0, false },
	{ "memory",     NULL,      "memory",      "memoryLimit",   CONFIG_MIB,     1, U32, true },
	{ "cpus",       NULL,      "cpus",        "cpuLimit",      CONFIG_PERCENT, 1, U32, true },
	{ "pids",       NULL,      "pids",        "pidsLimit",     CONFIG_NUMBER,  1, U32, true },
	{ "privileged", NULL,      "privileged",  "privileged",    CONFIG_SWITCH,  0, 0, false },
	{ "net",        NULL,      "network",     "networkMode",   CONFIG_TEXT,    0, 0, false },
	{ "publish",    NULL,      "ports",       "ports",         CONFIG_TEXTS,   0, 0, true },
	{ "volume",     NULL,      "volumes",     "volumes",       CONFIG_VOLUMES, 0, 0, false },
	{ "tmpfs",      NULL,      "tmpfs",       "tmpfs",         CONFIG_TEXTS,   0, 0, false },
	{ "read-only",  NULL,      "read_only",   "readOnly",      CONFIG_SWITCH,  0, 0, false },
	{ "init",       "no-init", "init",        "init",          CONFIG_SWITCH,  0, 0, false },
	{ "calls",      "no-calls", "calls",      "calls",         CONFIG_SWITCH,  0, 0, false },
	{ "restart",    NULL,      "restart",     "restart",       CONFIG_TEXT,    0, 0, true },
	{ "health-cmd", NULL,      "health.command",      "health.command",     CONFIG_WORDS,   0, 0, true },
	{ "health-interval", NULL, "health.interval",     "health.interval",    CONFIG_SECONDS, 1, 86400, true },
	{ "health-timeout",  NULL, "health.timeout",      "health.timeout",     CONFIG_SECONDS, 1, 86400, true },
	{ "health-retries",  NULL, "health.retries",      "health.retries",     CONFIG_NUMBER,  1, 1000, true },
	{ "health-start-period", NULL, "health.start_period", "health.startPeriod", CONFIG_SECONDS, 0, 86400, true },
	{ "stop-signal", NULL,     "stop_signal", "stopSignal",    CONFIG_TEXT,    0, 0, true },
	{ "stop-timeout", NULL,    "stop_timeout", "stopTimeout",  CONFIG_SECONDS, 0, 86400, true },
	{ "log-size",   NULL,      "log_size",    "logMaxSize",    CONFIG_MIB,     1, 1 << 20, false },
	{ "log-files",  NULL,      "log_files",   "logMaxFiles",   CONFIG_NUMBER,  1, 1000, false },
	{ "label",      NULL,      "labels",      "labels",        CONFIG_PAIRS,   0, 0, true },
	{ "cap-add",    NULL,      "cap_add",     "capAdd",        CONFIG_TEXTS,   0, 0, false },
	{ "cap-drop",   NULL,      "cap_drop",    "capDrop",       CONFIG_TEXTS,   0, 0, false },
	{ "rm",         NULL,      NULL,          "rm",            CONFIG_SWITCH,  0, 0, false },
	{ "tty",        NULL,      "tty",         "tty",           CONFIG_SWITCH,  0, 0, false },
	{ "interactive", NULL,     "stdin",       "stdin",         CONFIG_SWITCH,  0, 0, false },
	{ "runtime",    NULL,      "runtime",     "runtime",       CONFIG_TEXT,    0, 0, false },
	{ "userns",     NULL,      "userns",      "userns",        CONFIG_TEXT,    0, 0, false },
	{ "seccomp",    NULL,      "seccomp",     "seccomp",       CONFIG_TEXT,    0, 0, false },
	{ "allow-unenforced-limits", NULL, "allow_unenforced_limits", "allowUnenforcedLimits", CONFIG_SWITCH, 0, 0, false },
	{ "shm-size",   NULL,      "shm_size",    "shmSize",       CONFIG_MIB,     1, U32, false },
};
/* clang-format on */
const size_t config_nmembers = co_countof(config_members);

const struct config_member *config_find(const char *member)
{
	for (size_t i = 0; i < config_nmembers; i++)
		if (strcmp(config_members[i].member, member) == 0)
			return &config_members[i];
	return NULL;
}

/* ---- values ---- */

void config_rule(const struct config_member *m, char *out, size_t size)
{
	switch (m->kind) {
	case CONFIG_PAIRS:
		(void) snprintf(out, size, "NAME=value"); /* fits */
		break;
	case CONFIG_ENV:
		(void) snprintf(out, size, "NAME=value or the NAME of a variable here");
		break;
	case CONFIG_SWITCH:
		(void) snprintf(out, size, "true or false");
		break;
	case CONFIG_NUMBER:
		(void) snprintf(out, size,
				"a whole number from %" PRIu64 " to %" PRIu64, m->least,
				m->most);
		break;
	case CONFIG_MIB:
		(void) snprintf(out, size, "a size as in 64m or 1.5g");
		break;
	case CONFIG_PERCENT:
		(void) snprintf(out, size, "a number of processors as in 0.5 or 2");
		break;
	case CONFIG_SECONDS:
		(void) snprintf(out, size, "a time as in 30s or 1m30s");
		break;
	case CONFIG_VOLUMES:
		(void) snprintf(out, size,
				"SOURCE:/INSIDE[:ro,idmap], where SOURCE is a path or "
				"a name");
		break;
	case CONFIG_TEXT:
	case CONFIG_TEXTS:
	case CONFIG_WORDS:
		(void) snprintf(out, size, "a text");
		break;
	}
}

static bool number(const struct config_member *m, const char *text, struct co_buf *out)
{
	uint64_t value = 0;
	char *end;
	bool good;

	switch (m->kind) {
	case CONFIG_MIB:
		good = units_mib(text, &value);
		break;
	case CONFIG_PERCENT:
		good = units_percent(text, &value);
		break;
	case CONFIG_SECONDS:
		good = units_seconds(text, &value);
		break;
	default:
		errno = 0;
		value = strtoull(text, &end, 10);
		good = text[0] >= '0' && text[0] <= '9' && !*end && !errno;
	}
	if (!good || value < m->least || value > m->most)
		return false;
	co_buf_u64(out, value);
	return true;
}

/* "SOURCE:/INSIDE[:OPTIONS]" with an absolute source where it is a path. */
static bool volume(const char *text, const char *folder, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };
	size_t source = strcspn(text, ":");
	bool path = memchr(text, '/', source) || text[0] == '.' || text[0] == '~';

	if (!source || text[source] != ':' || text[source + 1] != '/' || text[0] == '~')
		return false;
	if (path && text[0] != '/') {
		co_buf_text(&whole, folder);
		co_buf_char(&whole, '/');
	}
	co_buf_text(&whole, text);
	co_buf_json_text(out, (struct co_span){ whole.data, whole.size });
	return !whole.failed;
}

/* "NAME=value", or "NAME" for what the caller has; a variable that is not set is left out
 * (an empty element, dropped by the caller). */
static bool variable(const char *text, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };
	const char *value;

	if (!text[0] || text[0] == '=')
		return false;
	co_buf_text(&whole, text);
	if (!strchr(text, '=')) {
		value = getenv(text);
		if (!value)
			return true;
		co_buf_char(&whole, '=');
		co_buf_text(&whole, value);
	}
	co_buf_json_text(out, (struct co_span){ whole.data, whole.size });
	return !whole.failed;
}

static bool pair(const char *text, struct co_buf *out)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t) (equals - text) : strlen(text);

	if (!n)
		return false;
	co_buf_json_text(out, (struct co_span){ text, n });
	co_buf_char(out, ':');
	co_buf_json_text(out, co_span(equals ? equals + 1 : ""));
	return true;
}

bool config_scalar(const struct config_member *m, const char *text, const char *folder,
		   struct co_buf *out)
{
	bool yes = strcmp(text, "true") == 0;

	switch (m->kind) {
	case CONFIG_TEXT:
	case CONFIG_TEXTS:
	case CONFIG_WORDS:
		co_buf_json_text(out, co_span(text));
		return true;
	case CONFIG_PAIRS:
		return pair(text, out);
	case CONFIG_ENV:
		return variable(text, out);
	case CONFIG_SWITCH:
		co_buf_text(out, yes ? "true" : "false");
		return yes || strcmp(text, "false") == 0;
	case CONFIG_VOLUMES:
		return volume(text, folder, out);
	default:
		return number(m, text, out);
	}
}

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
static int env_file(struct ctl *ctl, const char *path, struct co_buf *out)
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
		if (!variable(text, out))
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
		rc = env_file(ctl, path, out);
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
	if (!value && m->kind == CONFIG_ENV)
		value = ctl_option(ctl, "env-file");
	return value;
}

/* Begins "object":{ before its first member, ends it behind the last one. */
static void nest(struct co_buf *out, const char **open, const struct config_member *m)
{
	const char *dot = strchr(m->member, '.');
	size_t n = dot ? (size_t) (dot - m->member) : 0;

	if (*open && (!dot || strncmp(*open, m->member, n + 1) != 0)) {
		co_buf_char(out, '}');
		*open = NULL;
	}
	if (dot && !*open)
		co_buf_format(out, ",\"%.*s\":{\"%s\":", (int) n, m->member, dot + 1);
	else
		co_buf_format(out, ",\"%s\":", dot ? dot + 1 : m->member);
	if (dot)
		*open = m->member;
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
		nest(out, &open, m);
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
