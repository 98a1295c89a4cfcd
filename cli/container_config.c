/* SPDX-License-Identifier: MIT */
/* What a container is to be: the table and its values.  HOST. */
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
	{ NULL,         NULL,      "rootfs",      "rootfs",        CONFIG_PATH,    0, 0, false },
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
	{ "service",    NULL,      "service",     "service",       CONFIG_TEXT,    0, 0, false },
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
	case CONFIG_PATH:
		(void) snprintf(out, size, "a path");
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

/* The path of n bytes from the root: without "." and "..", which are taken as written. */
static void add_absolute(const char *path, size_t n, const char *folder,
			 struct co_buf *out)
{
	struct co_span parts[2] = { co_span(folder), { path, n } };
	size_t from = out->size;

	for (size_t i = n && path[0] == '/'; i < 2; i++) {
		struct co_span rest = parts[i];

		while (rest.size) {
			const char *slash = memchr(rest.data, '/', rest.size);
			size_t k = slash ? (size_t) (slash - rest.data) : rest.size;
			struct co_span name = { rest.data, k };

			k += k < rest.size;
			rest = (struct co_span){ rest.data + k, rest.size - k };
			if (co_span_is(name, "..")) {
				while (out->size > from &&
				       out->data[--out->size] != '/')
					;
			} else if (name.size && !co_span_is(name, ".")) {
				co_buf_char(out, '/');
				co_buf_span(out, name);
			}
		}
	}
	if (out->size == from)
		co_buf_char(out, '/');
}

/* "SOURCE:/INSIDE[:OPTIONS]" with an absolute source where it is a path. */
static bool volume(const char *text, const char *folder, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };
	size_t source = strcspn(text, ":");
	bool is_path = memchr(text, '/', source) || text[0] == '.' || text[0] == '~';

	if (!source || text[source] != ':' || text[source + 1] != '/' || text[0] == '~')
		return false;
	if (is_path)
		add_absolute(text, source, folder, &whole);
	co_buf_text(&whole, is_path ? text + source : text);
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

/* From the root; "." is the folder itself. */
static bool path(const char *text, const char *folder, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };

	if (!*text)
		return false;
	add_absolute(text, strlen(text), folder, &whole);
	co_buf_json_text(out, (struct co_span){ whole.data, whole.size });
	return !whole.failed;
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
	case CONFIG_PATH:
		return path(text, folder, out);
	case CONFIG_VOLUMES:
		return volume(text, folder, out);
	default:
		return number(m, text, out);
	}
}

void config_nest(struct co_buf *out, const char **open, const struct config_member *m)
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
