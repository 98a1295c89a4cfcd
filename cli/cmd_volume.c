/* SPDX-License-Identifier: MIT */
/* cloudosctl volume ...  HOST. */
#include <string.h>

#include "cli/container.h"
#include "lib/cleanup.h"

static void request(struct gateway *g, struct ctl *ctl, const char *method,
		    const char *name)
{
	gateway_init(g, ctl, method, VOLUME);
	gateway_path(g, name);
}

/* ---- create ---- */

int cmd_volume_create(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc = container_daemon(ctl);

	gateway_init(&g, ctl, "POST", VOLUMES);
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	co_buf_char(&g.body, '}');
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	(void) fprintf(ctl->style.out, "%s\n",
		       ctl->operands[0]); /* its failure is asked below */
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

/* ---- look ---- */

/* The names of the containers that have it; or "-". */
static void put_users(struct co_print *rows, struct co_span volume)
{
	autobuf struct co_buf text = { 0 };
	struct co_span list = co_span("[]"), none, name;
	struct co_json_walk walk;

	(void) co_json_member(volume, "usedBy", &list); /* otherwise nobody */
	for (walk = co_json_walk(list); co_json_next(&walk, &none, &name);) {
		if (text.size)
			co_buf_text(&text, ", ");
		(void) co_json_unescape(name, &text); /* a name */
	}
	co_print_text(rows, text.size && !text.failed ? text.data : "-");
}

static void put_volume(struct co_print *rows, struct co_span volume)
{
	autofree char *name = container_text(volume, "name");
	autofree char *inside = container_text(volume, "inside");
	struct co_span created = { NULL, 0 };
	char age[32];

	(void) co_json_member(volume, "created", &created); /* otherwise it is "-" */
	container_age(created, age, sizeof(age));
	co_print_text(rows, name ? name : "");
	put_users(rows, volume);
	co_print_text(rows, inside && *inside ? inside : "-");
	co_print_text(rows, age);
}

static int print_table(struct ctl *ctl, struct co_span list)
{
	static const char *const columns[] = { "name", "used by", "image's", "age",
					       NULL };
	struct co_print *rows = co_print_new(&ctl->style, columns);
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, volume;

	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	while (co_json_next(&walk, &none, &volume))
		put_volume(rows, volume);
	return ctl_printed(ctl, co_print_end(rows));
}

/* The strings of a list, one on each line. */
static int print_names(struct ctl *ctl, struct co_span list)
{
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, element, name;

	while (co_json_next(&walk, &none, &element)) {
		autobuf struct co_buf text = { 0 };

		if (!co_json_member(element, "name", &name))
			name = element;
		(void) co_json_unescape(name, &text); /* a name */
		(void) fprintf(ctl->style.out, "%s\n",
			       text.size ? text.data : ""); /* asked below */
	}
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_volume_ls(struct ctl *ctl)
{
	struct co_span list = co_span("[]");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", VOLUMES);
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	(void) co_json_member(g.value, "volumes", &list); /* otherwise it is empty */
	if (ctl_option(ctl, "quiet"))
		return print_names(ctl, list);
	return ctl->style.format == CO_FORMAT_JSON ? gateway_json(&g, list)
						   : print_table(ctl, list);
}

static int inspect_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	int rc;

	request(&g, ctl, "GET", name);
	rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_json(&g, g.value);
}

int cmd_volume_inspect(struct ctl *ctl)
{
	return container_each(ctl, inspect_one);
}

/* ---- remove ---- */

static int remove_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	int rc;

	request(&g, ctl, "DELETE", name);
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc == CO_NOT_FOUND && ctl_option(ctl, "force")) {
		ctl->err = (struct co_err){ 0 };
		return 0;
	}
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	(void) fprintf(ctl->style.out, "%s\n", name); /* asked below */
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_volume_rm(struct ctl *ctl)
{
	return container_each(ctl, remove_one);
}

int cmd_volume_prune(struct ctl *ctl)
{
	struct co_span list = co_span("[]");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", VOLUMES "/prune");
	g.timeout_ms = -1;
	if (ctl_option(ctl, "all"))
		co_buf_text(&g.body, "{\"named\":true}");
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	(void) co_json_member(g.value, "removed", &list); /* otherwise none was */
	return print_names(ctl, list);
}
