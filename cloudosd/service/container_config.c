/* SPDX-License-Identifier: MIT */
/* CONFIG read by a table of its members, and merged.  HOST. */
#include "cloudosd/service/container_config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <co/limits.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* ---- memory ---- */

struct container_block {
	struct container_block *next;
	max_align_t data[];
};

struct reading {
	struct container_settings *config;
	const char *member; /* being read */
	struct co_err *err;
};

static void *get(struct reading *r, size_t n)
{
	struct container_block *block = calloc(1, sizeof(*block) + n);

	if (!block) {
		(void) co_fail(r->err, CO_NO_MEMORY, "no memory for a container");
		return NULL;
	}
	block->next = r->config->blocks;
	r->config->blocks = block;
	return block->data;
}

static char *get_text(struct reading *r, const char *data, size_t n)
{
	char *text = get(r, n + 1);

	if (text)
		memcpy(text, data, n);
	return text;
}

struct container_settings *container_config_free(struct container_settings *c)
{
	while (c && c->blocks) {
		struct container_block *next = c->blocks->next;

		free(c->blocks);
		c->blocks = next;
	}
	free(c);
	return NULL;
}

/* ---- values ---- */

static bool bad(struct reading *r, const char *what)
{
	(void) co_fail(r->err, CO_INVALID, "%s %s", r->member, what);
	return false;
}

static char *text_of(struct reading *r, struct co_span value, const char *what)
{
	autobuf struct co_buf text = { 0 };

	if (co_json_unescape(value, &text) < 0) {
		(void) bad(r, what);
		return NULL;
	}
	return get_text(r, text.data ? text.data : "", text.size);
}

static bool read_text(struct reading *r, struct co_span value, void *at)
{
	char *text = text_of(r, value, "is not a string");

	if (text && *text)
		*(char **) at = text;
	return text != NULL;
}

static bool read_bool(struct reading *r, struct co_span value, void *at)
{
	if (co_json_kind(value) != CO_JSON_BOOL)
		return bad(r, "is neither true nor false");
	*(bool *) at = *value.data == 't';
	return true;
}

static size_t count_of(struct co_span list)
{
	struct co_json_walk w = co_json_walk(list);
	struct co_span name, value;
	size_t n = 0;

	while (co_json_next(&w, &name, &value))
		n++;
	return n;
}

static bool new_texts(struct reading *r, size_t n, struct container_texts *out)
{
	if (n > CO_LIMIT_CONTAINER_WORDS)
		return bad(r, "has too many entries");
	out->at = get(r, (n + 1) * sizeof(char *));
	out->count = 0;
	out->given = true;
	return out->at != NULL;
}

static bool read_texts(struct reading *r, struct co_span value, void *at)
{
	struct container_texts *out = at;
	struct co_json_walk w = co_json_walk(value);
	struct co_span name, element;

	if (co_json_kind(value) != CO_JSON_ARRAY)
		return bad(r, "is not a list of strings");
	if (!new_texts(r, count_of(value), out))
		return false;
	while (co_json_next(&w, &name, &element)) {
		out->at[out->count] = text_of(r, element, "is not a list of strings");
		if (!out->at[out->count++])
			return false;
	}
	return true;
}

/* "64m" in bytes; 0: it is no size. */
static uint64_t size_of(const char *text)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t n = 0;

	for (; *text >= '0' && *text <= '9' && n < UINT64_C(1) << 40; text++)
		n = n * 10 + (uint64_t) (*text - '0');
	if (!*text)
		return n < UINT64_C(1) << 50 ? n : 0;
	unit = strchr(units, *text | 0x20);
	if (!unit || text[1] || n >= UINT64_C(1) << 20)
		return 0;
	return n << 10 * (unit - units + 1);
}

/* PATH or PATH:SIZE */
static bool read_tmpfs(struct reading *r, struct co_span value, void *at)
{
	struct container_settings *c = r->config;

	if (!read_texts(r, value, at))
		return false;
	c->tmpfs_bytes = get(r, (c->tmpfs.count + 1) * sizeof(*c->tmpfs_bytes));
	if (!c->tmpfs_bytes)
		return false;
	for (size_t i = 0; i < c->tmpfs.count; i++) {
		char *size = strrchr(c->tmpfs.at[i], ':');

		if (size) {
			*size = '\0';
			c->tmpfs_bytes[i] = size_of(size + 1);
		}
		if (size && !c->tmpfs_bytes[i])
			return bad(r, "has a size that is not one, such as 64m");
		if (!container_path_is_good(c->tmpfs.at[i]) || !c->tmpfs.at[i][1])
			return bad(r, "has an entry that is not an absolute path");
	}
	return true;
}

/* A line, split as a shell would, or a list. */
static bool read_command(struct reading *r, struct co_span value, void *at)
{
	struct container_texts *out = at;
	const char *line;
	char **words;
	size_t n;

	if (co_json_kind(value) != CO_JSON_STRING)
		return read_texts(r, value, at);
	line = text_of(r, value, "is neither a string nor a list of strings");
	if (!line || container_words(co_span(line), &words, &n, r->err))
		return false;
	if (!new_texts(r, n, out)) {
		container_words_free(words);
		return false;
	}
	for (size_t i = 0; i < n && out->at; i++)
		if ((out->at[i] = get_text(r, words[i], strlen(words[i]))))
			out->count++;
	container_words_free(words);
	if (!n)
		out->given = false; /* "" is the image's */
	return out->count == n;
}

/* {"A":"b"} or ["A=b"] */
static bool read_env(struct reading *r, struct co_span value, void *at)
{
	struct container_texts *out = at;
	struct co_json_walk w = co_json_walk(value);
	struct co_span name, element;

	if (co_json_kind(value) == CO_JSON_ARRAY) {
		if (!read_texts(r, value, at))
			return false;
	} else if (co_json_kind(value) != CO_JSON_OBJECT) {
		return bad(r, "is neither an object nor a list of strings");
	} else if (!new_texts(r, count_of(value), out)) {
		return false;
	}
	while (w.object && co_json_next(&w, &name, &element)) {
		autobuf struct co_buf entry = { 0 };

		if (co_json_unescape(name, &entry) < 0)
			return bad(r, "has a name that is not a text");
		co_buf_char(&entry, '=');
		if (co_json_kind(element) == CO_JSON_NUMBER)
			co_buf_span(&entry, element);
		else if (co_json_unescape(element, &entry) < 0)
			return bad(r, "has a value that is not a string");
		if (entry.failed ||
		    !(out->at[out->count] = get_text(r, entry.data, entry.size)))
			return false;
		out->count++;
	}
	for (size_t i = 0; i < out->count; i++)
		if (!strchr(out->at[i], '=') || *out->at[i] == '=')
			return bad(r, "has an entry that is not NAME=value");
	return true;
}

static bool number_of(struct reading *r, struct co_span value, int64_t min, int64_t max,
		      int64_t *out)
{
	if (co_json_whole(value, out) && *out >= min && *out <= max)
		return true;
	(void) co_fail(r->err, CO_INVALID, "%s is not a whole number from %lld to %lld",
		       r->member, (long long) min, (long long) max);
	return false;
}

/* ---- members with a form of their own ---- */

static bool read_restart(struct reading *r, struct co_span value, void *at)
{
	static const char what[] =
		"is not one of no, always, on-failure, on-failure:TIMES and "
		"unless-stopped";
	struct container_settings *c = r->config;
	const char *text = text_of(r, value, what);
	char *end;
	long times;

	(void) at;
	if (!text)
		return false;
	for (int i = 0; i <= CONTAINER_RESTART_UNLESS_STOPPED; i++)
		if (strcmp(text, container_restart_name((enum container_restart) i)) ==
		    0) {
			c->restart = (enum container_restart) i;
			return true;
		}
	if (strncmp(text, "on-failure:", 11) != 0)
		return bad(r, what);
	times = strtol(text + 11, &end, 10);
	if (*end || times < 1 || times > 1000000)
		return bad(r, what);
	c->restart = CONTAINER_RESTART_ON_FAILURE;
	c->restart_max = (uint32_t) times;
	return true;
}

static bool read_signal(struct reading *r, struct co_span value, void *at)
{
	int64_t number;
	const char *text;

	if (co_json_whole(value, &number) && number > 0 && number <= 64) {
		*(int *) at = (int) number;
		return true;
	}
	text = text_of(r, value, "is not the name of a signal, such as SIGTERM");
	if (!text)
		return false;
	*(int *) at = container_signal(co_span(text));
	return *(int *) at || bad(r, "is not the name of a signal, such as SIGTERM");
}

/* Seconds, fractions allowed, as milliseconds. */
static bool read_seconds(struct reading *r, struct co_span value, uint32_t *out)
{
	double s;

	if (!co_json_real(value, &s) || s < 0 || s > 86400)
		return bad(r, "is not a number of seconds, at most 86400");
	*out = (uint32_t) (s * 1000);
	return true;
}

static bool read_health_member(struct reading *r, struct co_span name,
			       struct co_span value)
{
	struct container_health_spec *h = &r->config->health;
	int64_t retries;

	if (co_json_string_is(name, "command")) {
		r->member = "health.command";
		h->shell = co_json_kind(value) == CO_JSON_STRING;
		if (!h->shell)
			return read_texts(r, value, &h->command);
		return new_texts(r, 1, &h->command) &&
		       (h->command.at[h->command.count++] =
				text_of(r, value, "is not a string"));
	}
	if (co_json_string_is(name, "interval")) {
		r->member = "health.interval";
		return read_seconds(r, value, &h->interval_ms);
	}
	if (co_json_string_is(name, "timeout")) {
		r->member = "health.timeout";
		return read_seconds(r, value, &h->timeout_ms);
	}
	if (co_json_string_is(name, "startPeriod")) {
		r->member = "health.startPeriod";
		return read_seconds(r, value, &h->start_ms);
	}
	if (!co_json_string_is(name, "retries"))
		return bad(r,
			   "has a member that is none of command, interval, timeout, "
			   "retries and startPeriod");
	r->member = "health.retries";
	if (!number_of(r, value, 1, 1000, &retries))
		return false;
	h->retries = (uint32_t) retries;
	return true;
}

static bool read_health(struct reading *r, struct co_span value, void *at)
{
	struct co_json_walk w = co_json_walk(value);
	struct container_health_spec *h = at;
	struct co_span name, member;

	if (co_json_kind(value) != CO_JSON_OBJECT)
		return bad(r, "is not an object");
	while (co_json_next(&w, &name, &member))
		if (!read_health_member(r, name, member))
			return false;
	r->member = "health";
	if (!h->command.given)
		return bad(r, "has no command");
	if (!h->command.count || !*h->command.at[0]) {
		r->config->health_none = true; /* not even the image's */
		h->command.count = 0;
		return true;
	}
	if (h->interval_ms < 100 || h->timeout_ms < 100)
		return bad(r, "is asked for more often than every 100 ms");
	return true;
}

/* "NAME[:no-logs]" */
static bool read_service(struct reading *r, struct co_span value, void *at)
{
	static const char what[] =
		"is not the name of a service of services.yaml, or NAME:no-logs";
	struct container_settings *c = r->config;
	char *text = text_of(r, value, what);
	char *option = text ? strchr(text, ':') : NULL;

	(void) at;
	if (!text)
		return false;
	if (option)
		*option++ = '\0';
	if ((option && strcmp(option, "no-logs") != 0) || (option && !*text) ||
	    strlen(text) > 63)
		return bad(r, what);
	c->service = *text ? text : NULL;
	c->service_unlogged = option != NULL;
	return true;
}

/* "[ip:]host:inside[/udp]" */
static bool read_port(struct reading *r, const char *text, struct container_port *out)
{
	static const char what[] = "has an entry that is not [ip:]host:inside[/udp]";
	autofree char *copy = strdup(text);
	char *protocol, *inside, *host, *end;
	unsigned char address[16];
	unsigned long number;

	if (!copy)
		return false;
	protocol = strchr(copy, '/');
	if (protocol)
		*protocol++ = '\0';
	if (protocol && strcmp(protocol, "udp") != 0 && strcmp(protocol, "tcp") != 0)
		return bad(r, what);
	out->udp = protocol && *protocol == 'u';
	inside = strrchr(copy, ':');
	if (!inside)
		return bad(r, what);
	*inside++ = '\0';
	host = strrchr(copy, ':');
	if (host)
		*host++ = '\0';
	(void) snprintf(out->ip, sizeof(out->ip), "%s", host ? copy : "127.0.0.1");
	if (*out->ip == '[' && strchr(out->ip, ']')) {
		memmove(out->ip, out->ip + 1, strlen(out->ip));
		*strchr(out->ip, ']') = '\0';
	}
	if (inet_pton(AF_INET, out->ip, address) != 1 &&
	    inet_pton(AF_INET6, out->ip, address) != 1)
		return bad(r, what);
	number = strtoul(host ? host : copy, &end, 10);
	if (*end || number > 65535 || end == (host ? host : copy))
		return bad(r, what);
	out->host = (uint16_t) number;
	number = strtoul(inside, &end, 10);
	if (*end || number < 1 || number > 65535)
		return bad(r, what);
	out->inside = (uint16_t) number;
	return true;
}

static bool read_ports(struct reading *r, struct co_span value, void *at)
{
	struct container_settings *c = r->config;
	struct container_texts texts = { 0 };

	(void) at;
	if (!read_texts(r, value, &texts))
		return false;
	c->ports = get(r, (texts.count + 1) * sizeof(*c->ports));
	if (!c->ports)
		return false;
	for (size_t i = 0; i < texts.count; i++)
		if (!read_port(r, texts.at[i], &c->ports[c->nports++]))
			return false;
	return true;
}

bool container_path_is_good(const char *path)
{
	const char *part = path;

	if (*path != '/' || strlen(path) >= 4096)
		return false;
	while (*part) {
		size_t n = strcspn(++part, "/");

		if ((n == 1 && part[0] == '.') || (n == 2 && !strncmp(part, "..", 2)) ||
		    (n == 0 && *part == '/'))
			return false;
		part += n;
	}
	return true;
}

static bool read_volume(struct reading *r, char *text, struct container_volume *out)
{
	static const char what[] =
		"has an entry that is not /host|name:/inside[:ro,rw,idmap]";
	char *inside = strchr(text, ':'), *options, *option, *rest;

	if (!inside)
		return bad(r, what);
	*inside++ = '\0';
	options = strchr(inside, ':');
	if (options)
		*options++ = '\0';
	out->source = text;
	out->inside = inside;
	out->named = *text != '/';
	out->idmap = out->named;
	if (out->named ? !container_name_is_good(co_span(text))
		       : !container_path_is_good(text))
		return bad(r, what);
	if (!container_path_is_good(inside) || !inside[1])
		return bad(r, what);
	for (option = options ? strtok_r(options, ",", &rest) : NULL; option;
	     option = strtok_r(NULL, ",", &rest)) {
		if (strcmp(option, "ro") == 0)
			out->read_only = true;
		else if (strcmp(option, "idmap") == 0)
			out->idmap = true;
		else if (strcmp(option, "rw") != 0)
			return bad(r, what);
	}
	return true;
}

static bool read_volumes(struct reading *r, struct co_span value, void *at)
{
	struct container_settings *c = r->config;
	struct container_texts texts = { 0 };

	(void) at;
	if (!read_texts(r, value, &texts))
		return false;
	c->volumes = get(r, (texts.count + 1) * sizeof(*c->volumes));
	if (!c->volumes)
		return false;
	for (size_t i = 0; i < texts.count; i++)
		if (!read_volume(r, texts.at[i], &c->volumes[c->nvolumes++]))
			return false;
	return true;
}

static bool read_labels(struct reading *r, struct co_span value, void *at)
{
	struct co_json_walk w = co_json_walk(value);
	struct co_span name, member;

	if (co_json_kind(value) != CO_JSON_OBJECT)
		return bad(r, "is not an object");
	while (co_json_next(&w, &name, &member))
		if (co_json_kind(member) != CO_JSON_STRING)
			return bad(r, "has a value that is not a string");
	*(struct co_span *) at = value;
	return true;
}

static bool read_users(struct reading *r, struct co_span value, void *at)
{
	const char *text = text_of(r, value, "is neither auto nor host");

	if (!text)
		return false;
	*(bool *) at = strcmp(text, "host") == 0;
	return *(bool *) at || strcmp(text, "auto") == 0 || !*text ||
	       bad(r, "is neither auto nor host");
}

/* ---- the table ---- */

struct member {
	const char *name;
	bool (*read)(struct reading *r, struct co_span value, void *at);
	size_t at;
	int64_t min, max; /* numbers, which have no `read` */
	size_t size;
	bool live;  /* can change while it runs */
	bool fixed; /* never changes */
};

#define AT(member) offsetof(struct container_settings, member)
#define NUMBER(member, max_)                                                           \
	.at = AT(member), .max = (max_),                                               \
	.size = sizeof(((struct container_settings *) NULL)->member)

static const struct member members[] = {
	{ .name = "name", .read = read_text, .at = AT(name), .live = true },
	{ .name = "image", .read = read_text, .at = AT(image), .fixed = true },
	{ .name = "rootfs", .read = read_text, .at = AT(rootfs), .fixed = true },
	{ .name = "command", .read = read_command, .at = AT(command) },
	{ .name = "entrypoint", .read = read_command, .at = AT(entrypoint) },
	{ .name = "workingDir", .read = read_text, .at = AT(working_dir) },
	{ .name = "env", .read = read_env, .at = AT(env) },
	{ .name = "user", .read = read_text, .at = AT(user) },
	{ .name = "hostname", .read = read_text, .at = AT(hostname) },
	{ .name = "memoryLimit", NUMBER(memory_mib, 1LL << 40), .live = true },
	{ .name = "cpuLimit", NUMBER(cpu_percent, 1000000), .live = true },
	{ .name = "pidsLimit", NUMBER(pids, 1LL << 22), .live = true },
	{ .name = "privileged", .read = read_bool, .at = AT(privileged) },
	{ .name = "networkMode", .read = read_text, .at = AT(network) },
	{ .name = "ports", .read = read_ports, .live = true },
	{ .name = "volumes", .read = read_volumes },
	{ .name = "tmpfs", .read = read_tmpfs, .at = AT(tmpfs) },
	{ .name = "readOnly", .read = read_bool, .at = AT(read_only) },
	{ .name = "init", .read = read_bool, .at = AT(init) },
	{ .name = "calls", .read = read_bool, .at = AT(calls) },
	{ .name = "restart", .read = read_restart, .live = true },
	{ .name = "health", .read = read_health, .at = AT(health), .live = true },
	{ .name = "stopSignal",
	  .read = read_signal,
	  .at = AT(stop_signal),
	  .live = true },
	{ .name = "stopTimeout", NUMBER(stop_timeout_s, 86400), .live = true },
	{ .name = "logMaxSize", NUMBER(log_mib, 65536) },
	{ .name = "logMaxFiles", NUMBER(log_files, 1000) },
	{ .name = "labels", .read = read_labels, .at = AT(labels), .live = true },
	{ .name = "capAdd", .read = read_texts, .at = AT(cap_add) },
	{ .name = "capDrop", .read = read_texts, .at = AT(cap_drop) },
	{ .name = "rm", .read = read_bool, .at = AT(rm), .live = true },
	{ .name = "tty", .read = read_bool, .at = AT(tty) },
	{ .name = "stdin", .read = read_bool, .at = AT(stdin_) },
	{ .name = "runtime", .read = read_text, .at = AT(runtime) },
	{ .name = "userns", .read = read_users, .at = AT(host_users), .fixed = true },
	{ .name = "seccomp", .read = read_text, .at = AT(seccomp) },
	{ .name = "service", .read = read_service, .at = AT(service) },
	{ .name = "allowUnenforcedLimits",
	  .read = read_bool,
	  .at = AT(allow_unenforced) },
	{ .name = "shmSize", NUMBER(shm_mib, 1 << 20) },
};

static const struct member *find_member(struct co_span name)
{
	for (size_t i = 0; i < co_countof(members); i++)
		if (co_json_string_is(name, members[i].name))
			return &members[i];
	return NULL;
}

static int no_member(struct co_span name, struct co_err *err)
{
	return co_fail(err, CO_INVALID,
		       "%.*s is no member of a container's configuration",
		       (int) (name.size < 64 ? name.size : 64), name.data);
}

static bool read_number(struct reading *r, const struct member *m, struct co_span value)
{
	char *at = (char *) r->config + m->at;
	uint32_t small;
	int64_t number;

	if (!number_of(r, value, m->min, m->max, &number))
		return false;
	small = (uint32_t) number;
	if (m->size == sizeof(small))
		memcpy(at, &small, sizeof(small));
	else
		memcpy(at, &number, sizeof(number));
	return true;
}

/* ---- what members say together ---- */

static bool modes_are_good(struct reading *r)
{
	const struct container_settings *c = r->config;
	const char *n = c->network;

	r->member = "networkMode";
	if (n && strcmp(n, "none") != 0 && strcmp(n, "host") != 0 &&
	    strcmp(n, "bridge") != 0 && strcmp(n, "private") != 0 &&
	    strncmp(n, "container:", 10) != 0)
		return bad(r, "is none of none, host, bridge, private and "
			      "container:NAME");
	r->member = "runtime";
	if (c->runtime && strcmp(c->runtime, "builtin") != 0 &&
	    strcmp(c->runtime, "crun") != 0 && !container_path_is_good(c->runtime))
		return bad(r,
			   "is none of builtin, crun and the path of an OCI runtime");
	r->member = "service";
	if (c->service && (!c->calls || (c->runtime && strcmp(c->runtime, "builtin"))))
		return bad(r, "needs calls, which the builtin runtime alone has");
	r->member = "seccomp";
	if (c->seccomp && strcmp(c->seccomp, "default") != 0 &&
	    strcmp(c->seccomp, "unconfined") != 0 &&
	    !container_path_is_good(c->seccomp))
		return bad(r, "is none of default, unconfined and the path of a "
			      "profile");
	r->member = "ports";
	if (c->nports && n && strncmp(n, "container:", 10) == 0)
		return bad(r, "cannot be published by a container in the network of "
			      "another: that one publishes them");
	return true;
}

static bool is_good(struct reading *r)
{
	const struct container_settings *c = r->config;

	r->member = "name";
	if (c->name && !container_name_is_good(co_span(c->name)))
		return bad(r, "begins with a letter or digit, goes on with letters, "
			      "digits, _, . and -, is not only digits, and has at most "
			      "255 bytes");
	if (!c->image == !c->rootfs) {
		(void) co_fail(r->err, CO_INVALID,
			       c->image ? "image and rootfs exclude each other"
					: "there is neither an image nor a rootfs");
		return false;
	}
	r->member = "rootfs";
	if (c->rootfs && (!container_path_is_good(c->rootfs) || !c->rootfs[1]))
		return bad(r, "is not an absolute path without . and .. below /");
	r->member = "workingDir";
	if (c->working_dir && *c->working_dir != '/')
		return bad(r, "is not an absolute path");
	r->member = "hostname";
	if (c->hostname &&
	    (!container_name_is_good(co_span(c->hostname)) || strlen(c->hostname) > 64))
		return bad(r, "is not a host name of at most 64 bytes");
	if (c->rm && c->restart != CONTAINER_RESTART_NO) {
		r->member = "rm";
		return bad(r, "and restart exclude each other");
	}
	return modes_are_good(r);
}

static bool read_all(struct reading *r)
{
	struct container_settings *c = r->config;
	struct co_json_walk w = co_json_walk(c->json);
	struct co_span name, value;

	while (co_json_next(&w, &name, &value)) {
		const struct member *m = find_member(name);

		if (!m)
			return no_member(name, r->err) == 0;
		if (co_json_kind(value) == CO_JSON_NULL) {
			c->health_none |= m->read == read_health;
			continue;
		}
		r->member = m->name;
		if (m->read ? !m->read(r, value, (char *) c + m->at)
			    : !read_number(r, m, value))
			return false;
	}
	return is_good(r);
}

int container_config_parse(struct co_span text, struct container_settings **out,
			   struct co_err *err)
{
	struct container_settings *c = calloc(1, sizeof(*c));
	struct co_err why = { 0 };
	struct reading r = { .config = c, .err = &why };
	struct co_json_fault fault;
	bool good;

	if (!c)
		return co_fail(err, CO_NO_MEMORY, "no memory for a container");
	c->init = c->calls = true;
	c->stop_timeout_s = 10;
	c->health.interval_ms = c->health.timeout_ms = 30000;
	c->health.retries = 3;
	good = text.size <= CO_LIMIT_CONTAINER_CONFIG;
	if (!good)
		(void) co_fail(&why, CO_TOO_BIG,
			       "a container's configuration has more than %d bytes",
			       CO_LIMIT_CONTAINER_CONFIG);
	good = good && (c->text = get_text(&r, text.data, text.size));
	if (good && (co_json_check(co_span(c->text), &c->json, &fault) < 0 ||
		     co_json_kind(c->json) != CO_JSON_OBJECT)) {
		(void) co_fail(&why, CO_INVALID,
			       "a container's configuration is not a JSON object");
		good = false;
	}
	if (!good || !read_all(&r)) {
		(void) container_config_free(c); /* NULL */
		return co_fail(err, why.code ? why.code : CO_NO_MEMORY, "%s",
			       why.code ? why.message : "no memory for a container");
	}
	*out = c;
	return 0;
}

int container_config_merge(const struct container_settings *c, struct co_span with,
			   struct co_buf *out, bool *live_only, struct co_err *err)
{
	struct co_json_walk w = co_json_walk(c->json);
	struct co_span name, value;
	const char *comma = "";

	*live_only = true;
	co_buf_char(out, '{');
	while (co_json_next(&w, &name, &value)) {
		const struct member *m = find_member(name);
		struct co_span other;

		if (m && co_json_member(with, m->name, &other))
			continue;
		co_buf_text(out, comma);
		co_buf_span(out, name);
		co_buf_char(out, ':');
		co_buf_span(out, value);
		comma = ",";
	}
	w = co_json_walk(with);
	while (co_json_next(&w, &name, &value)) {
		const struct member *m = find_member(name);

		if (!m)
			return no_member(name, err);
		if (m->fixed)
			return co_fail(err, CO_INVALID,
				       "%s cannot be changed; make another container",
				       m->name);
		*live_only &= m->live;
		if (co_json_kind(value) == CO_JSON_NULL && m->read != read_health)
			continue;
		co_buf_text(out, comma);
		co_buf_span(out, name);
		co_buf_char(out, ':');
		co_buf_span(out, value);
		comma = ",";
	}
	co_buf_char(out, '}');
	return out->failed ? co_fail(err, CO_NO_MEMORY, "no memory for a container")
			   : 0;
}

const char *container_restart_name(enum container_restart restart)
{
	static const char *const names[] = { "no", "always", "on-failure",
					     "unless-stopped" };

	return names[restart];
}
