/* SPDX-License-Identifier: MIT */
/* cloudosctl image ...  HOST. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "cli/container.h"
#include "lib/cleanup.h"

/* ---- what is there ---- */

/* "sha256:0123456789ab..." as people tell them apart. */
static void short_id(struct co_span image, char *out, size_t size)
{
	enum { DIGITS = 12 };
	autofree char *id = container_text(image, "id");
	const char *digits = id ? strchr(id, ':') : NULL;

	(void) snprintf(out, size, "%.*s", DIGITS,
			digits ? digits + 1 : (id ? id : "")); /* shortened */
}

static void put_image(struct co_print *rows, struct co_span image, struct co_span name)
{
	autobuf struct co_buf text = { 0 };
	struct co_span created = { NULL, 0 };
	char id[32], age[32], size[32];

	if (name.data)
		(void) co_json_unescape(name, &text); /* "" if it is no text */
	short_id(image, id, sizeof(id));
	(void) co_json_member(image, "created", &created); /* otherwise it is "-" */
	container_age(created, age, sizeof(age));
	co_print_text(rows, text.data ? text.data : "");
	co_print_text(rows, id);
	co_print_text(rows, age);
	container_size(container_number(image, "size", -1), size, sizeof(size));
	co_print_text(rows, size);
}

/* A row for each name. */
static int print_images(struct ctl *ctl, struct co_span list)
{
	static const char *const columns[] = { "name", "id", "age", "size", NULL };
	struct co_print *rows = co_print_new(&ctl->style, columns);
	struct co_json_walk walk = co_json_walk(list), inner;
	struct co_span none, image, names, name;

	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	while (co_json_next(&walk, &none, &image)) {
		bool any = false;

		if (co_json_member(image, "names", &names))
			for (inner = co_json_walk(names);
			     co_json_next(&inner, &none, &name); any = true)
				put_image(rows, image, name);
		if (!any)
			put_image(rows, image, (struct co_span){ NULL, 0 });
	}
	return ctl_printed(ctl, co_print_end(rows));
}

static int print_ids(struct ctl *ctl, struct co_span list)
{
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, image;
	char id[32];

	while (co_json_next(&walk, &none, &image)) {
		short_id(image, id, sizeof(id));
		(void) fprintf(ctl->style.out, "%s\n", id); /* asked below */
	}
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_image_ls(struct ctl *ctl)
{
	struct co_span list = co_span("[]");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", IMAGES);
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	(void) co_json_member(g.value, "images", &list); /* otherwise it is empty */
	if (ctl_option(ctl, "quiet"))
		return print_ids(ctl, list);
	return ctl->style.format == CO_FORMAT_JSON ? gateway_json(&g, list)
						   : print_images(ctl, list);
}

static int inspect_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", IMAGE);
	gateway_query(&g, "name", name);
	rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_tree(&g, g.value);
}

int cmd_image_inspect(struct ctl *ctl)
{
	return container_each(ctl, inspect_one);
}

/* ---- names ---- */

int cmd_image_tag(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGE "/tag");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	co_buf_text(&g.body, ",\"tag\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[1]));
	co_buf_char(&g.body, '}');
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return ctl_say(ctl, "%s is also %s", ctl->operands[0], ctl->operands[1]);
}

static int remove_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "DELETE", IMAGE);
	gateway_query(&g, "name", name);
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return ctl_say(ctl, "%s", name);
}

int cmd_image_rm(struct ctl *ctl)
{
	return container_each(ctl, remove_one);
}

int cmd_image_prune(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct co_span removed;
	char freed[32];
	int64_t count = 0;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGES "/prune");
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	if (co_json_member(g.value, "removed", &removed))
		for (struct co_json_walk w = co_json_walk(removed);
		     co_json_next(&w, &(struct co_span){ 0 }, &(struct co_span){ 0 });)
			count++;
	container_size(container_number(g.value, "freed", 0), freed, sizeof(freed));
	return ctl_say(ctl, "%" PRId64 " image%s removed, %s freed", count,
		       count == 1 ? "" : "s", freed);
}

/* ---- in and out ---- */

struct import {
	bool bar; /* somebody looks at it */
};

static void draw(struct co_span progress)
{
	enum { WIDTH = 30 };
	autofree char *phase = container_text(progress, "phase");
	int64_t done = container_number(progress, "done", 0);
	int64_t total = container_number(progress, "total", 0);
	int full = total > 0 ? (int) (done * WIDTH / total) : 0;
	char bar[WIDTH + 1];

	full = full > WIDTH ? WIDTH : full < 0 ? 0 : full;
	memset(bar, '.', WIDTH);
	memset(bar, '#', (size_t) full);
	bar[WIDTH] = 0;
	(void) fputs("\r\033[K", stderr); /* a picture: nothing to do if it fails */
	(void) co_print_escaped(stderr, phase ? phase : "", phase ? strlen(phase) : 0);
	if (total > 0)
		(void) fprintf(stderr, " [%s] %d%%", bar, (int) (done * 100 / total));
	else
		(void) fprintf(stderr, " %" PRId64 " KiB", done / 1024);
	(void) fflush(stderr);
}

/* What it is called: by the name that was asked for, or the first of those it has. */
static void called(struct co_span image, const char *asked, struct co_buf *out)
{
	struct co_span names = co_span("[]"), none, name;
	struct co_json_walk walk;
	size_t n = asked ? strlen(asked) : 0;

	(void) co_json_member(image, "names", &names); /* otherwise it has none */
	for (walk = co_json_walk(names); co_json_next(&walk, &none, &name);) {
		autobuf struct co_buf text = { 0 };
		bool is_it;

		if (co_json_unescape(name, &text) < 0 || !text.data)
			continue;
		is_it = n && strncmp(text.data, asked, n) == 0 &&
			(!text.data[n] || text.data[n] == ':');
		if (is_it)
			out->size = 0;
		if (!out->size)
			co_buf_add(out, text.data, text.size);
		if (is_it)
			return;
	}
}

static int imported(struct gateway *g, struct co_span images)
{
	const char *asked = ctl_option(g->ctl, "name");
	struct co_json_walk walk = co_json_walk(images);
	struct co_span none, image;

	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, images);
	while (co_json_next(&walk, &none, &image)) {
		autobuf struct co_buf text = { 0 };
		char id[32];

		short_id(image, id, sizeof(id));
		called(image, asked, &text);
		(void) co_print_escaped(g->ctl->style.out, text.data ? text.data : id,
					text.data ? text.size : strlen(id));
		(void) fputc('\n', g->ctl->style.out); /* asked below */
	}
	return ctl_printed(g->ctl, co_print_flush(g->ctl->style.out));
}

static int on_event(struct gateway *g, struct co_span event, void *arg)
{
	struct import *import = arg;
	struct co_span value;
	int rc;

	if (co_json_member(event, "event", &value) &&
	    co_json_string_is(value, "failed")) {
		autofree char *status = container_text(event, "status");
		autofree char *text = container_text(event, "message");

		rc = status && !strcmp(status, "NOT_FOUND") ? CO_NOT_FOUND
		     : status && !strcmp(status, "ACCESS")  ? CO_ACCESS
		     : status && !strcmp(status, "BUSY")    ? CO_BUSY
							    : CO_INVALID;
		return co_fail(&g->ctl->err, rc, "%s", text ? text : "it failed");
	}
	if (co_json_member(event, "images", &value)) {
		if (import->bar)
			(void) fputs("\r\033[K", stderr); /* as above */
		rc = imported(g, value);
		return rc < 0 ? rc : 1;
	}
	if (import->bar)
		draw(event);
	return 0;
}

/* From the root, where the daemon finds it; "-" is our standard input. */
static char *import_path(const char *file)
{
	char *path = NULL;

	if (strcmp(file, "-") != 0)
		return realpath(file, NULL);
	return asprintf(&path, "/proc/%d/fd/0", (int) getpid()) < 0 ? NULL : path;
}

int cmd_image_import(struct ctl *ctl)
{
	autofree char *path = import_path(ctl->operands[0]);
	struct import import = { 0 };
	const char *name = ctl_option(ctl, "name");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGES "/import");
	if (!path)
		return co_fail_errno(&ctl->err, errno, "cannot import %s",
				     ctl->operands[0]);
	import.bar = isatty(STDERR_FILENO);
	gateway_header(&g, "Accept", "text/event-stream");
	co_buf_text(&g.body, "{\"path\":");
	co_buf_json_text(&g.body, co_span(path));
	if (name) {
		co_buf_text(&g.body, ",\"name\":");
		co_buf_json_text(&g.body, co_span(name));
	}
	co_buf_char(&g.body, '}');
	g.timeout_ms = -1;
	rc = container_daemon(ctl);
	if (rc == 0)
		rc = gateway_stream(&g, on_event, &import);
	if (import.bar && rc < 0)
		(void) fputs("\r\033[K", stderr); /* as above */
	return rc > 0 ? 0 : rc;
}

int cmd_image_create_busybox(struct ctl *ctl)
{
	const char *name = ctl_option(ctl, "name");
	struct co_span images;
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGES "/busybox");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(name ? name : "busybox"));
	co_buf_char(&g.body, '}');
	g.timeout_ms = -1;
	rc = container_daemon(ctl);
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	return co_json_member(g.value, "images", &images) ? imported(&g, images)
							  : gateway_json(&g, g.value);
}

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), k = strlen(with);

	return n >= k && strcmp(text + n - k, with) == 0;
}

/* A path from the root of a file that need not be there. */
static char *absolute(const char *path)
{
	autofree char *copy = strdup(path), *copy2 = strdup(path), *folder = NULL;
	char *out = NULL;

	folder = copy ? realpath(dirname(copy), NULL) : NULL;
	if (!folder || !copy2 || asprintf(&out, "%s/%s", folder, basename(copy2)) < 0)
		return NULL;
	return out;
}

int cmd_image_export(struct ctl *ctl)
{
	const char *file = ctl->operands[1], *format = ctl_option(ctl, "format");
	autofree char *path = absolute(file);
	autogateway struct gateway g;
	struct stat st;
	int rc;

	gateway_init(&g, ctl, "POST", IMAGE "/export");
	if (!path)
		return co_fail_errno(&ctl->err, errno, "cannot write %s", file);
	if (!format)
		format = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "oci"
			 : ends(file, ".oci.tar")                    ? "oci-archive"
								     : "docker";
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	co_buf_text(&g.body, ",\"path\":");
	co_buf_json_text(&g.body, co_span(path));
	co_buf_text(&g.body, ",\"format\":");
	co_buf_json_text(&g.body, co_span(format));
	co_buf_char(&g.body, '}');
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return ctl_say(ctl, "%s is in %s", ctl->operands[0], path);
}
