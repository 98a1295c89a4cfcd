/* SPDX-License-Identifier: MIT */
/* What there is, compared with what cloudos.yaml says.  HOST. */
#include <inttypes.h>
#include <string.h>

#include "cli/apply.h"
#include "cli/container.h"
#include "cli/guest.h"
#include "lib/cleanup.h"

/* ---- the same JSON ---- */

static bool same_text(struct co_span a, struct co_span b)
{
	autobuf struct co_buf x = { 0 }, y = { 0 };

	if (co_json_unescape(a, &x) < 0 || co_json_unescape(b, &y) < 0)
		return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
	return x.size == y.size && (!x.size || memcmp(x.data, y.data, x.size) == 0);
}

static size_t count(struct co_span container)
{
	struct co_json_walk walk = co_json_walk(container);
	struct co_span name, value;
	size_t n = 0;

	while (co_json_next(&walk, &name, &value))
		n++;
	return n;
}

static bool same_object(struct co_span a, struct co_span b)
{
	struct co_json_walk walk = co_json_walk(a);
	struct co_span name, value, other;
	bool same = count(a) == count(b);

	while (same && co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf text = { 0 };

		same = co_json_unescape(name, &text) == 0 &&
		       co_json_member(b, text.data ? text.data : "", &other) &&
		       apply_same(value, other);
	}
	return same;
}

static bool same_list(struct co_span a, struct co_span b)
{
	struct co_json_walk one = co_json_walk(a), two = co_json_walk(b);
	struct co_span none, x, y;
	bool same = count(a) == count(b);

	while (same && co_json_next(&one, &none, &x) && co_json_next(&two, &none, &y))
		same = apply_same(x, y);
	return same;
}

/* At most as deep as JSON that was checked. */
bool apply_same(struct co_span a, struct co_span b)
{
	enum co_json_kind kind = co_json_kind(a);
	double x, y;

	if (kind != co_json_kind(b))
		return false;
	switch (kind) {
	case CO_JSON_STRING:
		return same_text(a, b);
	case CO_JSON_OBJECT:
		return same_object(a, b);
	case CO_JSON_ARRAY:
		return same_list(a, b);
	case CO_JSON_NUMBER:
		if (co_json_real(a, &x) && co_json_real(b, &y))
			return !(x < y) && !(y < x);
		return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
	default:
		return a.data[0] == b.data[0];
	}
}

/* ---- one unit ---- */

static struct co_span wanted(const struct apply_unit *u)
{
	return (struct co_span){ u->config.data, u->config.size };
}

/* Whether `update` can change the member of that name. */
static bool is_live(const char *member)
{
	for (size_t i = 0; i < config_nmembers; i++) {
		const char *name = config_members[i].member;
		size_t n = strcspn(name, ".");

		if (strlen(member) == n && memcmp(name, member, n) == 0)
			return config_members[i].live;
	}
	return false;
}

static void differs(struct apply_unit *u, const char *member, struct co_span value,
		    bool *live)
{
	*live = *live && is_live(member);
	co_buf_format(&u->changed, "%s%s", u->changed.size ? " " : "", member);
	co_buf_format(&u->members, "%s\"%s\":", u->members.size ? "," : "{", member);
	if (value.data)
		co_buf_span(&u->members, value);
	else
		co_buf_text(&u->members, "null");
}

/* Fills changed and members; are all changes such that `update` can make them? */
static bool compare(struct apply_unit *u, struct co_span now)
{
	struct co_json_walk walk = co_json_walk(wanted(u));
	struct co_span name, value, other;
	bool live = true;

	while (co_json_next(&walk, &name, &value)) {
		autobuf struct co_buf text = { 0 };

		(void) co_json_unescape(name, &text); /* ours */
		if (!co_json_member(now, text.data, &other) ||
		    !apply_same(value, other))
			differs(u, text.data, value, &live);
	}
	for (walk = co_json_walk(now); co_json_next(&walk, &name, &value);) {
		autobuf struct co_buf text = { 0 };

		if (co_json_unescape(name, &text) < 0 || !text.data ||
		    co_json_kind(value) == CO_JSON_NULL ||
		    co_json_member(wanted(u), text.data, &other))
			continue;
		differs(u, text.data, (struct co_span){ NULL, 0 }, &live);
	}
	if (u->members.size)
		co_buf_char(&u->members, '}');
	return live;
}

static struct apply_unit *find(const struct apply_file *f, const char *name,
			       bool container)
{
	for (struct apply_unit *u = f->units; u; u = u->next)
		if (strcmp(u->name, name) == 0 &&
		    (u->kind == APPLY_CONTAINER) == container)
			return u;
	return NULL;
}

/* ---- containers ---- */

/* It was made from an image that has had its name since then. */
static bool image_changed(struct ctl *ctl, struct co_span c)
{
	autofree char *image = container_text(c, "image");
	autofree char *made_of = container_text(c, "imageId"), *id = NULL;
	autogateway struct gateway g;

	gateway_init(&g, ctl, "GET", IMAGE);
	gateway_query(&g, "name", image);
	if (!image || !*image || !made_of || !*made_of || gateway_call(&g) < 0) {
		ctl->err = (struct co_err){ 0 }; /* it is gone: what there is stays */
		return false;
	}
	id = container_text(g.value, "id");
	return id && *id && strcmp(id, made_of) != 0;
}

/* One that has done its work is left alone. */
static bool is_over(struct co_span c, const struct apply_unit *u)
{
	autofree char *state = container_text(c, "state");

	return state && !strcmp(state, "exited") && !u->restarts &&
	       container_number(c, "exitCode", -1) == 0;
}

static bool is_up(struct co_span c)
{
	autofree char *state = container_text(c, "state");

	return state && (!strcmp(state, "running") || !strcmp(state, "restarting") ||
			 !strcmp(state, "paused"));
}

static void plan_existing(struct ctl *ctl, struct apply_unit *u, struct co_span c)
{
	struct co_span config = co_span("{}");
	bool live;

	(void) co_json_member(c, "config", &config); /* then all is different */
	u->id = container_number(c, "id", 0);
	live = compare(u, config);
	if (image_changed(ctl, c)) {
		co_buf_format(&u->changed, "%simage", u->changed.size ? " " : "");
		live = false;
	}
	if (u->changed.size)
		u->action = live ? APPLY_UPDATE : APPLY_RECREATE;
	else
		u->action = is_up(c) || is_over(c, u) ? APPLY_NOTHING : APPLY_START;
}

static bool is_ours(const struct apply_file *f, struct co_span c)
{
	struct co_span value;

	return co_json_member(c, "config", &value) &&
	       co_json_member(value, "labels", &value) &&
	       co_json_member(value, APPLY_LABEL, &value) &&
	       co_json_string_is(value, f->project);
}

static int taken(const struct apply_file *f, struct ctl *ctl,
		 const struct apply_unit *u)
{
	return co_fail(&ctl->err, CO_EXISTS,
		       "%s:%u: there is a container %s already that is not of project "
		       "%s; remove it or choose another name",
		       f->yaml.name, u->at->line, u->name, f->project);
}

static int plan_container(struct apply_file *f, struct ctl *ctl, struct co_span c)
{
	autofree char *name = container_text(c, "name");
	struct apply_unit *u = name ? find(f, name, true) : NULL;

	if (!name)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	if (u && !is_ours(f, c))
		return taken(f, ctl, u);
	if (u) {
		plan_existing(ctl, u, c);
		return 0;
	}
	if (!is_ours(f, c))
		return 0;
	u = apply_add(f, APPLY_CONTAINER, name);
	if (!u)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	u->action = APPLY_REMOVE;
	u->id = container_number(c, "id", 0);
	return 0;
}

static int plan_containers(struct apply_file *f, struct ctl *ctl)
{
	struct co_span list = co_span("[]"), none, c;
	autogateway struct gateway g;
	struct co_json_walk walk;
	int rc;

	gateway_init(&g, ctl, "GET", CONTAINERS);
	gateway_query(&g, "all", "true");
	rc = gateway_call(&g);
	if (rc == 0)
		(void) co_json_member(g.value, "containers", &list);
	for (walk = co_json_walk(list); rc == 0 && co_json_next(&walk, &none, &c);)
		rc = plan_container(f, ctl, c);
	return rc;
}

/* ---- guests and services ---- */

static void plan_kept(struct apply_unit *u, const char *folder, const char *spec)
{
	struct co_span now = co_span("{}");
	struct co_json_fault fault;
	struct ctr_exit e;

	(void) co_json_check(co_span(spec), &now, &fault); /* then all is different */
	(void) compare(u, now);
	if (u->changed.size)
		u->action = APPLY_RECREATE;
	else if (guest_keeper(folder))
		u->action = APPLY_NOTHING;
	else if (!u->restarts && ctr_exit_load(folder, &e, NULL) == 0 && e.code == 0)
		u->action = APPLY_NOTHING; /* it has done its work */
	else
		u->action = APPLY_START;
}

static int plan_guest(struct ctl *ctl, const char *project, const char *name, void *arg)
{
	struct apply_file *f = arg;
	struct apply_unit *u = find(f, name, false);
	char folder[CO_PATH_SIZE];
	autofree char *spec = NULL;
	int rc = guest_folder(ctl, project, name, folder, sizeof(folder));

	if (rc < 0)
		return rc;
	spec = guest_spec(folder);
	if (u) {
		plan_kept(u, folder, spec ? spec : "{}");
		return 0;
	}
	u = apply_add(f, APPLY_GUEST, name);
	if (!u)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	u->action = APPLY_REMOVE;
	return 0;
}

/* ---- images ---- */

static int plan_image(struct apply_image *image, struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", IMAGE);
	gateway_query(&g, "name", image->name);
	rc = gateway_call(&g);
	image->missing = rc == CO_NOT_FOUND;
	if (rc == CO_NOT_FOUND)
		ctl->err = (struct co_err){ 0 };
	return rc == CO_NOT_FOUND ? 0 : rc;
}

/* ---- volumes ---- */

static bool is_listed(struct co_span list, const char *name)
{
	struct co_json_walk walk = co_json_walk(list);
	struct co_span none, volume, value;

	while (co_json_next(&walk, &none, &volume))
		if (co_json_member(volume, "name", &value) &&
		    co_json_string_is(value, name))
			return true;
	return false;
}

static int plan_volumes(struct apply_file *f, struct ctl *ctl)
{
	struct co_span list = co_span("[]");
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", VOLUMES);
	if (!f->named)
		return 0;
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	(void) co_json_member(g.value, "volumes", &list); /* otherwise none is there */
	for (struct apply_volume *v = f->named; v; v = v->next)
		v->missing = !is_listed(list, v->name);
	return 0;
}

static bool has_containers(const struct apply_file *f)
{
	bool any = f->images != NULL || f->named != NULL;

	for (const struct apply_unit *u = f->units; u; u = u->next)
		any = any || u->kind == APPLY_CONTAINER;
	return any;
}

int apply_plan(struct apply_file *f, struct ctl *ctl)
{
	bool containers = has_containers(f);
	int rc;

	for (struct apply_unit *u = f->units; u; u = u->next)
		u->action = APPLY_CREATE;
	rc = plan_containers(f, ctl);
	if (rc == CO_GONE && ctl->no_daemon && !containers) { /* guests start one */
		ctl->no_daemon = false;
		ctl->err = (struct co_err){ 0 };
		rc = 0;
	}
	for (struct apply_image *i = f->images; i && rc == 0; i = i->next)
		rc = plan_image(i, ctl);
	if (rc == 0)
		rc = plan_volumes(f, ctl);
	return rc < 0 ? rc : guest_each(ctl, f->project, plan_guest, f);
}
