/* SPDX-License-Identifier: MIT */
/* cloudosctl container ...: what becomes one request to the daemon.  HOST. */
#include <inttypes.h>
#include <signal.h>

#include "cli/container.h"
#include "cli/container_config.h"
#include "lib/cleanup.h"

/* ---- make ---- */

int cmd_container_create(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct co_span id;
	int rc;

	gateway_init(&g, ctl, "POST", CONTAINERS);
	rc = container_config_body(ctl, &g.body);
	if (rc == 0)
		rc = container_daemon(ctl);
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return co_json_member(g.value, "id", &id) ? gateway_text(&g, id) : 0;
}

/* ---- verbs ---- */

/* Sends the request; says the name, or with -o json what the container is now. */
static int say_done(struct gateway *g, const char *name)
{
	int rc = gateway_call(g);

	if (rc < 0)
		return rc;
	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, g->value);
	(void) co_print_escaped(g->ctl->style.out, name, strlen(name)); /* width */
	(void) fputc('\n', g->ctl->style.out); /* its failure is asked below */
	return ctl_printed(g->ctl, co_print_flush(g->ctl->style.out));
}

static int verb(struct ctl *ctl, const char *name, const char *word)
{
	autogateway struct gateway g;

	container_request(&g, ctl, "POST", name, word);
	return say_done(&g, name);
}

/* stop and restart: with --time; the daemon answers when it is done. */
static int ending(struct ctl *ctl, const char *name, const char *word)
{
	autogateway struct gateway g;
	uint64_t seconds = UINT64_MAX;
	int rc = ctl_option_number(ctl, "time", 0, 86400, &seconds);

	container_request(&g, ctl, "POST", name, word);
	g.timeout_ms = -1;
	if (seconds != UINT64_MAX)
		co_buf_format(&g.body, "{\"timeout\":%" PRIu64 "}", seconds);
	return rc < 0 ? rc : say_done(&g, name);
}

int container_start_one(struct ctl *ctl, const char *name)
{
	return verb(ctl, name, "/start");
}

static int stop_one(struct ctl *ctl, const char *name)
{
	return ending(ctl, name, "/stop");
}

static int restart_one(struct ctl *ctl, const char *name)
{
	return ending(ctl, name, "/restart");
}

static int pause_one(struct ctl *ctl, const char *name)
{
	return verb(ctl, name, "/pause");
}

static int unpause_one(struct ctl *ctl, const char *name)
{
	return verb(ctl, name, "/unpause");
}

int cmd_container_stop(struct ctl *ctl)
{
	return container_each(ctl, stop_one);
}

int cmd_container_restart(struct ctl *ctl)
{
	return container_each(ctl, restart_one);
}

int cmd_container_pause(struct ctl *ctl)
{
	return container_each(ctl, pause_one);
}

int cmd_container_unpause(struct ctl *ctl)
{
	return container_each(ctl, unpause_one);
}

static int kill_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	const char *text = ctl_option(ctl, "signal");
	int number = SIGKILL;
	int rc = text ? ctl_signal(ctl, text, &number) : 0;

	container_request(&g, ctl, "POST", name, "/kill");
	co_buf_format(&g.body, "{\"signal\":%d}", number);
	return rc < 0 ? rc : say_done(&g, name);
}

int cmd_container_kill(struct ctl *ctl)
{
	return container_each(ctl, kill_one);
}

static int wait_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;
	struct co_span code;
	int rc;

	container_request(&g, ctl, "POST", name, "/wait");
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	if (ctl->style.format == CO_FORMAT_JSON ||
	    !co_json_member(g.value, "exitCode", &code))
		return gateway_json(&g, g.value);
	return gateway_text(&g, code);
}

int cmd_container_wait(struct ctl *ctl)
{
	return container_each(ctl, wait_one);
}

/* ---- remove ---- */

static int remove_one(struct ctl *ctl, const char *name)
{
	autogateway struct gateway g;

	container_request(&g, ctl, "DELETE", name, "");
	g.timeout_ms = -1;
	if (ctl_option(ctl, "force"))
		gateway_query(&g, "force", "true");
	if (ctl_option(ctl, "volumes"))
		gateway_query(&g, "volumes", "true");
	return say_done(&g, name);
}

int cmd_container_rm(struct ctl *ctl)
{
	return container_each(ctl, remove_one);
}

/* One name a line, and how many. */
static int print_removed(struct gateway *g, const char *what)
{
	struct co_span removed = co_span("[]"), none, name;
	FILE *out = g->ctl->style.out;
	struct co_json_walk walk;
	unsigned count = 0;

	(void) co_json_member(g->value, "removed", &removed); /* otherwise it is none */
	for (walk = co_json_walk(removed); co_json_next(&walk, &none, &name); count++) {
		autobuf struct co_buf text = { 0 };

		if (co_json_unescape(name, &text) < 0)
			co_buf_span(&text, name); /* a number */
		(void) co_print_escaped(out, text.data ? text.data : "", text.size);
		(void) fputc('\n', out);
	}
	(void) fprintf(out, "%u %s%s removed\n", count, what, count == 1 ? "" : "s");
	return ctl_printed(g->ctl, co_print_flush(out));
}

int cmd_container_prune(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", CONTAINERS "/prune");
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_json(&g, g.value);
	return print_removed(&g, "container");
}

/* ---- change ---- */

static int update_one(struct ctl *ctl, const char *name)
{
	autobuf struct co_buf members = { 0 };
	autogateway struct gateway g;
	int rc = config_from_options(ctl, &members);

	container_request(&g, ctl, "POST", name, "/update");
	if (rc == 0 && !members.size)
		rc = ctl_usage(ctl, "what is to be changed? `" CTL_PROGRAM
				    " help container update` lists what can be");
	if (rc < 0)
		return rc;
	co_buf_char(&g.body, '{');
	co_buf_add(&g.body, members.data + 1, members.size - 1);
	co_buf_char(&g.body, '}');
	return say_done(&g, name);
}

int cmd_container_update(struct ctl *ctl)
{
	return container_each(ctl, update_one);
}

int cmd_container_rename(struct ctl *ctl)
{
	autogateway struct gateway g;

	container_request(&g, ctl, "POST", ctl->operands[0], "/update");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[1]));
	co_buf_char(&g.body, '}');
	return say_done(&g, ctl->operands[1]);
}

/* ---- look ---- */

static int inspect_one(struct ctl *ctl, const char *name)
{
	autobuf struct co_buf line = { 0 };
	autogateway struct gateway g;
	struct co_span config;
	int rc = container_get(&g, ctl, name);

	if (rc < 0 || !ctl_option(ctl, "as-command"))
		return rc < 0 ? rc : gateway_tree(&g, g.value);
	co_buf_text(&line, CTL_PROGRAM " container run -d ");
	if (!co_json_member(g.value, "config", &config) ||
	    config_as_command(config, &line) < 0)
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "the daemon does not tell how \"%.200s\" was made",
			       name);
	(void) fprintf(ctl->style.out, "%s\n", line.data); /* failure: asked below */
	return ctl_printed(ctl, co_print_flush(ctl->style.out));
}

int cmd_container_inspect(struct ctl *ctl)
{
	return container_each(ctl, inspect_one);
}

static bool text_is(struct co_span c, const char *member, const char *wanted, bool part)
{
	autofree char *text = container_text(c, member);

	return text && (part ? strstr(text, wanted) != NULL : !strcmp(text, wanted));
}

/* "NAME" or "NAME=VALUE" */
static bool has_label(struct co_span c, const char *wanted)
{
	const char *equals = strchr(wanted, '=');
	autofree char *name =
		strndup(wanted, equals ? (size_t) (equals - wanted) : strlen(wanted));
	struct co_span value;

	if (!name || !co_json_member(c, "config", &c) ||
	    !co_json_member(c, "labels", &c) || !co_json_member(c, name, &value))
		return false;
	return !equals || co_json_string_is(value, equals + 1);
}

/* 1: it is as the filter says; 0: it is not; or a usage error. */
static int passes(struct ctl *ctl, struct co_span c, const char *filter)
{
	const char *equals = strchr(filter, '=');
	size_t n = equals ? (size_t) (equals - filter) : 0;
	const char *value = equals ? equals + 1 : "";

	if (n == 4 && !memcmp(filter, "name", 4))
		return text_is(c, "name", value, true);
	if (n == 2 && !memcmp(filter, "id", 2))
		return container_number(c, "id", -1) == atoll(value);
	if (n == 5 && !memcmp(filter, "image", 5))
		return text_is(c, "image", value, true);
	if ((n == 5 && !memcmp(filter, "state", 5)) ||
	    (n == 6 && !memcmp(filter, "status", 6)))
		return text_is(c, "state", value, false);
	if (n == 6 && !memcmp(filter, "health", 6))
		return text_is(c, "health", value, false);
	if (n == 5 && !memcmp(filter, "label", 5))
		return has_label(c, value);
	return ctl_usage(
		ctl,
		"--filter takes name=, id=, image=, state=, health= or label=, "
		"not \"%.60s\"",
		filter);
}

/* 1: every filter lets it through. */
static int selected(struct ctl *ctl, struct co_span c)
{
	const char *filter;
	size_t cursor = 0;
	int rc = 1;

	while (rc > 0 && (filter = ctl_option_next(ctl, "filter", &cursor)))
		rc = passes(ctl, c, filter);
	return rc;
}

/* The elements of a list with blanks between; ports and commands are lists of texts. */
static void add_joined(struct co_buf *out, struct co_span list, size_t longest)
{
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, element;

	while (co_json_next(&walk, &none, &element)) {
		if (out->size)
			co_buf_char(out, ' ');
		if (co_json_kind(element) != CO_JSON_STRING ||
		    co_json_unescape(element, out) < 0)
			co_buf_span(out, element);
	}
	if (out->size > longest) {
		out->size = longest - 3;
		co_buf_text(out, "...");
	}
}

static void put_text(struct co_print *rows, struct co_span c, const char *member)
{
	autofree char *text = container_text(c, member);

	co_print_text(rows, text && strcmp(text, "none") != 0 ? text : "");
}

static void put_list(struct co_print *rows, struct co_span c, const char *member,
		     size_t longest)
{
	autobuf struct co_buf text = { 0 };
	struct co_span list = c;

	if (strncmp(member, "network.", 8) == 0) {
		(void) co_json_member(c, "network", &list); /* then it has none */
		member += 8;
	}
	if (co_json_member(list, member, &list))
		add_joined(&text, list, longest);
	co_print_span(rows, (struct co_span){ text.size ? text.data : NULL, text.size },
		      false);
}

/* "running", "exited (3)" */
static void put_state(struct co_print *rows, struct co_span c)
{
	autofree char *state = container_text(c, "state");
	char text[64];

	if (state && (!strcmp(state, "exited") || !strcmp(state, "dead")))
		(void) snprintf(text, sizeof(text), "%s (%" PRId64 ")", state,
				container_number(c, "exitCode", 0));
	else
		(void) snprintf(text, sizeof(text), "%.40s", state ? state : "");
	co_print_text(rows, text);
}

static void put_row(struct co_print *rows, struct co_span c, bool whole)
{
	enum { COMMAND_MAX = 32, PORTS_MAX = 80 };
	struct co_span created = { NULL, 0 };
	char age[32];

	(void) co_json_member(c, "created", &created); /* otherwise it is "-" */
	container_age(created, age, sizeof(age));
	co_print_i64(rows, container_number(c, "id", 0));
	put_text(rows, c, "name");
	put_text(rows, c, "image");
	put_list(rows, c, "command", whole ? SIZE_MAX : COMMAND_MAX);
	put_state(rows, c);
	put_text(rows, c, "health");
	co_print_text(rows, age);
	put_list(rows, c, "network.ports", whole ? SIZE_MAX : PORTS_MAX);
}

static int print_table(struct ctl *ctl, struct co_span list)
{
	static const char *const columns[] = { "id",      "name",  "image",
					       "command", "state", "health",
					       "age",     "ports", NULL };
	struct co_print *rows = co_print_new(&ctl->style, columns);
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, c;
	int rc = 0, printed;

	if (!rows)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	while (rc >= 0 && co_json_next(&walk, &none, &c)) {
		rc = selected(ctl, c);
		if (rc > 0)
			put_row(rows, c, ctl_option(ctl, "no-trunc"));
	}
	printed = co_print_end(rows);
	return rc < 0 ? rc : ctl_printed(ctl, printed);
}

/* The numbers alone, or JSON of what the filters let through. */
static int print_plain(struct ctl *ctl, struct co_span list, bool quiet)
{
	struct co_json_walk walk = co_json_walk(list);
	FILE *out = ctl->style.out;
	const char *between = "";
	struct co_span none, c;
	int rc = 0;

	(void) fputs(quiet ? "" : "[", out); /* failures are asked below */
	while (rc >= 0 && co_json_next(&walk, &none, &c)) {
		rc = selected(ctl, c);
		if (rc <= 0)
			continue;
		if (quiet)
			(void) fprintf(out, "%" PRId64 "\n",
				       container_number(c, "id", 0));
		else
			(void) fprintf(out, "%s%.*s", between, (int) c.size, c.data);
		between = ",\n";
	}
	(void) fputs(quiet ? "" : "]\n", out);
	return rc < 0 ? rc : ctl_printed(ctl, co_print_flush(out));
}

int cmd_container_ps(struct ctl *ctl)
{
	bool quiet = ctl_option(ctl, "quiet");
	struct co_span list = co_span("[]");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", CONTAINERS);
	if (ctl_option(ctl, "all"))
		gateway_query(&g, "all", "true");
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	(void) co_json_member(g.value, "containers", &list); /* otherwise it is empty */
	if (quiet || ctl->style.format == CO_FORMAT_JSON)
		return print_plain(ctl, list, quiet);
	return print_table(ctl, list);
}

int cmd_container_ls(struct ctl *ctl)
{
	return cmd_container_ps(ctl);
}
