/* SPDX-License-Identifier: MIT */
/* What an image says of the containers made of it.  HOST. */
#include "cloudosd/service/container_image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <co/limits.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

static bool add_text(struct container_texts *out, struct co_span value)
{
	autobuf struct co_buf text = { 0 };

	if (out->count == CO_LIMIT_CONTAINER_WORDS ||
	    co_json_unescape(value, &text) < 0)
		return true; /* passed over */
	out->at[out->count] = strdup(text.data ? text.data : "");
	return out->at[out->count] && ++out->count;
}

static bool new_list(struct container_texts *out)
{
	out->at = calloc(CO_LIMIT_CONTAINER_WORDS + 1, sizeof(char *));
	return out->at != NULL;
}

/* The strings of a list, or the names of an object's members. */
static bool read_list(struct co_span object, const char *name,
		      struct container_texts *out)
{
	struct co_json_walk w;
	struct co_span list, key, value;

	if (!new_list(out))
		return false;
	if (!co_json_member(object, name, &list) ||
	    (co_json_kind(list) != CO_JSON_ARRAY &&
	     co_json_kind(list) != CO_JSON_OBJECT))
		return true;
	w = co_json_walk(list);
	while (co_json_next(&w, &key, &value))
		if (!add_text(out, w.object ? key : value))
			return false;
	out->given = out->count > 0;
	return true;
}

static char *read_text(struct co_span object, const char *name)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;
	size_t size;

	if (!co_json_member(object, name, &value) ||
	    co_json_unescape(value, &text) < 0 || !text.size)
		return NULL;
	return co_buf_take(&text, &size);
}

static uint32_t read_ns(struct co_span object, const char *name, uint32_t absent)
{
	struct co_span value;
	int64_t ns;

	if (!co_json_member(object, name, &value) || !co_json_whole(value, &ns) ||
	    ns <= 0)
		return absent;
	ns /= 1000000;
	return ns < 100 ? 100 : ns > 86400000 ? 86400000 : (uint32_t) ns;
}

/* {"Test":["CMD","a"] or ["CMD-SHELL","a b"] or ["NONE"],"Interval":ns,...} */
static bool read_health(struct co_span config, struct container_health_spec *out)
{
	struct container_texts *test = &out->command;
	struct co_span object, retries;
	int64_t n;

	out->retries = 3;
	if (!co_json_member(config, "Healthcheck", &object))
		return new_list(test);
	if (!read_list(object, "Test", test))
		return false;
	out->interval_ms = read_ns(object, "Interval", 30000);
	out->timeout_ms = read_ns(object, "Timeout", 30000);
	out->start_ms = read_ns(object, "StartPeriod", 0);
	if (co_json_member(object, "Retries", &retries) && co_json_whole(retries, &n) &&
	    n > 0 && n <= 1000)
		out->retries = (uint32_t) n;
	if (test->count >= 2 && strcmp(test->at[0], "NONE") != 0) {
		out->shell = strcmp(test->at[0], "CMD-SHELL") == 0;
		free(test->at[0]);
		memmove(test->at, test->at + 1, test->count-- * sizeof(char *));
	} else {
		while (test->count)
			free(test->at[--test->count]);
	}
	test->given = test->count > 0;
	return true;
}

static void list_done(struct container_texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i]);
	free(list->at);
}

void container_defaults_done(struct container_defaults *d)
{
	list_done(&d->command);
	list_done(&d->entrypoint);
	list_done(&d->env);
	list_done(&d->volumes);
	list_done(&d->health.command);
	free(d->working_dir);
	free(d->user);
	*d = (struct container_defaults){ 0 };
}

/* ---- volumes ---- */

/* "/data" and "/data/". */
static bool same_path(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	while (n > 1 && a[n - 1] == '/')
		n--;
	while (m > 1 && b[m - 1] == '/')
		m--;
	return n == m && memcmp(a, b, n) == 0;
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

bool container_image_volume(const struct container_defaults *d,
			    const struct container_settings *config, size_t i)
{
	const char *path = d->volumes.at[i];

	if (!container_path_is_good(path) || !path[1] || is_below(path, "/proc") ||
	    is_below(path, "/sys") || is_below(path, "/dev"))
		return false;
	for (size_t k = 0; k < config->nvolumes; k++)
		if (same_path(path, config->volumes[k].inside))
			return false;
	for (size_t k = 0; k < config->tmpfs.count; k++)
		if (same_path(path, config->tmpfs.at[k]))
			return false;
	for (size_t k = 0; k < i; k++)
		if (same_path(path, d->volumes.at[k]))
			return false;
	return true;
}

void container_image_volume_name(char out[CONTAINER_NAME], uint32_t container, size_t i)
{
	(void) snprintf(out, CONTAINER_NAME, "anon-%" PRIu32 "-%zu", container,
			i); /* fits */
}

int container_defaults_read(struct co_span config, struct container_defaults *out)
{
	struct co_json_fault fault;
	struct co_span object = { "{}", 2 };
	autofree char *signal = NULL;

	*out = (struct container_defaults){ 0 };
	if (config.size && co_json_check(config, &object, &fault) < 0)
		object = (struct co_span){ "{}", 2 };
	if (!read_list(object, "Cmd", &out->command) ||
	    !read_list(object, "Entrypoint", &out->entrypoint) ||
	    !read_list(object, "Env", &out->env) ||
	    !read_list(object, "Volumes", &out->volumes) ||
	    !read_health(object, &out->health)) {
		container_defaults_done(out);
		return CO_NO_MEMORY;
	}
	out->working_dir = read_text(object, "WorkingDir");
	out->user = read_text(object, "User");
	signal = read_text(object, "StopSignal");
	if (signal)
		out->stop_signal = container_signal(co_span(signal));
	return 0;
}
