/* SPDX-License-Identifier: MIT */
/* A container as it is kept, and as it is told.  HOST.  Stored records are not trusted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define LAYOUT 1

static const char *const states[] = { "created", "running", "paused",  "restarting",
				      "exited",  "dead",    "removing" };
static const char *const healths[] = { "none", "starting", "healthy", "unhealthy" };

const char *container_state_name(enum container_stage state)
{
	return states[state];
}

void container_key(char out[CONTAINER_KEY], uint32_t id)
{
	(void) snprintf(out, CONTAINER_KEY, "/container/%010" PRIu32, id);
}

static void add_text(struct co_buf *out, const char *name, const char *text)
{
	co_buf_format(out, ",\"%s\":", name);
	co_buf_json_text(out, co_span(text));
}

static void add_bool(struct co_buf *out, const char *name, bool value)
{
	co_buf_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void add_number(struct co_buf *out, const char *name, uint64_t value)
{
	co_buf_format(out, ",\"%s\":%" PRIu64, name, value);
}

void container_encode(struct co_buf *out, const struct container *c)
{
	co_buf_format(out, "{\"layout\":%d,\"id\":%" PRIu32, LAYOUT, c->id);
	add_text(out, "name", c->name);
	add_text(out, "state", states[c->state]);
	add_text(out, "imageId", c->image_id);
	add_text(out, "boot", c->boot);
	add_text(out, "error", c->error);
	add_number(out, "users", c->users);
	add_bool(out, "making", c->making);
	add_bool(out, "wanted", c->wanted);
	if (c->volumes_too)
		add_bool(out, "volumesToo", true);
	add_bool(out, "oomKilled", c->oom_killed);
	co_buf_format(out, ",\"exitCode\":%d,\"signal\":%d", c->exit_code, c->signal);
	add_number(out, "restarts", c->restarts);
	add_number(out, "created", c->created_ns);
	add_number(out, "started", c->started_ns);
	add_number(out, "finished", c->finished_ns);
	if (*c->facts)
		co_buf_format(out, ",\"facts\":{%s}", c->facts);
	co_buf_text(out, ",\"config\":");
	co_buf_span(out, c->config->json);
	co_buf_char(out, '}');
}

/* ---- reading ---- */

static bool read_text(struct co_span object, const char *name, char *out, size_t size)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	if (!co_json_member(object, name, &value) ||
	    co_json_unescape(value, &text) < 0 || text.failed || text.size >= size)
		return false;
	if (text.size)
		memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return true;
}

static uint64_t read_number(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t number;

	return co_json_member(object, name, &value) && co_json_whole(value, &number) &&
			       number >= 0
		       ? (uint64_t) number
		       : 0;
}

static bool read_bool(struct co_span object, const char *name)
{
	struct co_span value;

	return co_json_member(object, name, &value) && co_span_is(value, "true");
}

static bool read_state(struct co_span object, enum container_stage *out)
{
	char word[16];

	if (!read_text(object, "state", word, sizeof(word)))
		return false;
	for (size_t i = 0; i < co_countof(states); i++)
		if (strcmp(word, states[i]) == 0) {
			*out = (enum container_stage) i;
			return true;
		}
	return false;
}

static bool read_members(struct container *c, struct co_span object)
{
	char image[256];
	struct co_span facts;

	if (!read_state(object, &c->state) ||
	    !read_text(object, "imageId", image, sizeof(image)) ||
	    !read_text(object, "boot", c->boot, sizeof(c->boot)) ||
	    !read_text(object, "error", c->error, sizeof(c->error)))
		return false;
	container_image_is(c, strdup(image));
	if (co_json_member(object, "facts", &facts) && facts.size > 2) {
		free(c->facts);
		c->facts = strndup(facts.data + 1, facts.size - 2);
	}
	c->making = read_bool(object, "making");
	c->wanted = read_bool(object, "wanted");
	c->volumes_too = read_bool(object, "volumesToo");
	c->oom_killed = read_bool(object, "oomKilled");
	c->exit_code = (int) read_number(object, "exitCode");
	c->signal = (int) read_number(object, "signal");
	c->restarts = (uint32_t) read_number(object, "restarts");
	c->created_ns = read_number(object, "created");
	c->started_ns = read_number(object, "started");
	c->finished_ns = read_number(object, "finished");
	return c->image_id && c->facts &&
	       container_users_take(c->all, (uint32_t) read_number(object, "users"),
				    &c->users);
}

struct container *container_decode(struct containers *all, struct co_span text)
{
	struct container_settings *config;
	struct co_json_fault fault;
	struct co_span object, json;
	char name[CONTAINER_NAME];
	struct container *c;
	uint64_t id;

	if (co_json_check(text, &object, &fault) < 0 ||
	    read_number(object, "layout") != LAYOUT ||
	    !read_text(object, "name", name, sizeof(name)) || !*name ||
	    !co_json_member(object, "config", &json) ||
	    container_config_parse(json, &config, NULL))
		return NULL;
	id = read_number(object, "id");
	if (!id || id > CO_LIMIT_CONTAINER_ID || container_find(all, co_span(name))) {
		(void) container_config_free(config); /* NULL */
		return NULL;
	}
	c = container_new(all, (uint32_t) id, name, config);
	if (c && !read_members(c, object)) {
		container_free(c);
		c = NULL;
	}
	return c;
}

/* ---- what is told ---- */

static void add_time(struct co_buf *out, const char *name, uint64_t ns)
{
	co_buf_format(out, ",\"%s\":", name);
	if (ns)
		co_buf_json_time(out, ns / 1000000);
	else
		co_buf_text(out, "null");
}

static void add_texts(struct co_buf *out, const struct container_texts *texts,
		      const char **comma)
{
	for (size_t i = 0; i < texts->count; i++) {
		co_buf_text(out, *comma);
		co_buf_json_text(out, co_span(texts->at[i]));
		*comma = ",";
	}
}

/* What it runs: as the image says where nothing else is said. */
static void add_command(struct co_buf *out, const struct container *c)
{
	const struct container_settings *k = c->config;
	const char *comma = "";

	co_buf_text(out, ",\"command\":[");
	add_texts(out, k->entrypoint.given ? &k->entrypoint : &c->defaults.entrypoint,
		  &comma);
	if (k->command.given)
		add_texts(out, &k->command, &comma);
	else if (!k->entrypoint.given)
		add_texts(out, &c->defaults.command, &comma);
	co_buf_char(out, ']');
}

static void add_end(struct co_buf *out, const struct container *c)
{
	if (c->finished_ns && !container_lives(c))
		co_buf_format(out, ",\"exitCode\":%d", c->exit_code);
	else
		co_buf_text(out, ",\"exitCode\":null");
	co_buf_format(out, ",\"signal\":%d", container_lives(c) ? 0 : c->signal);
	add_bool(out, "oomKilled", c->oom_killed);
	add_text(out, "error", c->error);
}

static void add_volume(struct co_buf *out, const char **comma, const char *name,
		       const char *inside, bool anonymous)
{
	co_buf_format(out, "%s{\"name\":", *comma);
	co_buf_json_text(out, co_span(name));
	add_text(out, "inside", inside);
	add_bool(out, "anonymous", anonymous);
	co_buf_char(out, '}');
	*comma = ",";
}

/* Those of the domain; folders of the machine are in config. */
static void add_volumes(struct co_buf *out, const struct container *c)
{
	char name[CONTAINER_NAME];
	const char *comma = "";

	co_buf_text(out, ",\"volumes\":[");
	for (size_t i = 0; i < c->defaults.volumes.count; i++) {
		if (!container_image_volume(&c->defaults, c->config, i))
			continue;
		container_image_volume_name(name, c->id, i);
		add_volume(out, &comma, name, c->defaults.volumes.at[i], true);
	}
	for (size_t i = 0; i < c->config->nvolumes; i++)
		if (c->config->volumes[i].named)
			add_volume(out, &comma, c->config->volumes[i].source,
				   c->config->volumes[i].inside, false);
	co_buf_char(out, ']');
}

void container_json(struct co_buf *out, const struct container *c)
{
	const struct container_runtime *runtime = c->all->options.runtime;

	co_buf_format(out, "{\"id\":%" PRIu32, c->id);
	add_text(out, "name", c->name);
	add_text(out, "image", c->config->image ? c->config->image : "");
	add_text(out, "imageId", c->image_id);
	add_command(out, c);
	add_text(out, "state", states[c->state]);
	add_text(out, "health", healths[c->health]);
	co_buf_format(out, ",\"pid\":%" PRId32, c->pid);
	add_end(out, c);
	add_number(out, "restarts", c->restarts);
	add_time(out, "created", c->created_ns);
	add_time(out, "started", c->started_ns);
	add_time(out, "finished", c->finished_ns);
	co_buf_text(out, ",\"config\":");
	co_buf_span(out, c->config->json);
	add_volumes(out, c);
	if (*c->facts)
		co_buf_format(out, ",%s", c->facts);
	add_text(out, "runtime", c->config->runtime ? c->config->runtime : "builtin");
	runtime->describe(runtime->ctx, c->id, out);
	if (c->session)
		add_number(out, "session", c->session);
	else
		co_buf_text(out, ",\"session\":null");
	co_buf_char(out, '}');
}

void container_event_begin(struct co_buf *out, const struct container *c)
{
	co_buf_format(out, "{\"id\":%" PRIu32, c->id);
	add_text(out, "name", c->name);
	add_text(out, "image", c->config->image ? c->config->image : c->config->rootfs);
}
