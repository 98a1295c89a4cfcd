/* SPDX-License-Identifier: MIT */
/* What there is made to be what cloudos.yaml says.  HOST. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/apply.h"
#include "cli/container.h"
#include "cli/guest.h"
#include "lib/cleanup.h"

enum { LOOK_MS = 50 };

static int on_container(struct ctl *ctl, const struct apply_unit *u, const char *method,
			const char *verb, const struct co_buf *body)
{
	autogateway struct gateway g;

	container_request(&g, ctl, method, u->name, verb);
	if (body)
		co_buf_add(&g.body, body->data, body->size);
	g.timeout_ms = -1;
	return gateway_call(&g);
}

/* What takes its time, to whoever looks: not to a file or a pipe. */
static void doing(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void doing(const char *format, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	va_start(args, format);
	(void) vfprintf(stderr, format, args); /* nothing depends on it */
	va_end(args);
	(void) fputs(" ...\n", stderr);
}

/* ---- one unit ---- */

static int create_container(struct ctl *ctl, const struct apply_unit *u)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", CONTAINERS);
	co_buf_add(&g.body, u->config.data, u->config.size);
	rc = gateway_call(&g);
	return rc < 0 ? rc : on_container(ctl, u, "POST", "/start", NULL);
}

static int remove_container(struct ctl *ctl, const struct apply_unit *u)
{
	int rc = on_container(ctl, u, "POST", "/stop", NULL);

	if (rc < 0 && rc != CO_NOT_FOUND)
		return rc;
	rc = on_container(ctl, u, "DELETE", "?force=true", NULL);
	if (rc != CO_NOT_FOUND)
		return rc;
	ctl->err = (struct co_err){ 0 };
	return 0;
}

static int do_container(struct ctl *ctl, const struct apply_unit *u)
{
	int rc = 0;

	switch (u->action) {
	case APPLY_NOTHING:
		return 0;
	case APPLY_START:
		return on_container(ctl, u, "POST", "/start", NULL);
	case APPLY_UPDATE:
		rc = on_container(ctl, u, "POST", "/update", &u->members);
		if (rc == 0)
			return on_container(ctl, u, "POST", "/start", NULL);
		if (rc != CO_CONFLICT && rc != CO_BUSY)
			return rc;
		ctl->err = (struct co_err){ 0 }; /* not while it runs, then */
		rc = remove_container(ctl, u);
		return rc < 0 ? rc : create_container(ctl, u);
	case APPLY_RECREATE:
		rc = remove_container(ctl, u);
		return rc < 0 ? rc : create_container(ctl, u);
	case APPLY_CREATE:
		return create_container(ctl, u);
	case APPLY_REMOVE:
		return remove_container(ctl, u);
	}
	return 0;
}

static int do_guest(const struct apply_file *f, struct ctl *ctl,
		    const struct apply_unit *u)
{
	char folder[CO_PATH_SIZE];
	int rc = guest_folder(ctl, f->project, u->name, folder, sizeof(folder));

	if (rc == 0 && u->action != APPLY_CREATE && u->action != APPLY_START)
		rc = guest_stop(ctl, folder);
	if (rc == 0 && u->action == APPLY_REMOVE)
		return guest_remove(ctl, folder);
	if (rc < 0)
		return rc;
	return guest_start(ctl, folder,
			   (struct co_span){ u->config.data, u->config.size });
}

static int do_unit(const struct apply_file *f, struct ctl *ctl,
		   const struct apply_unit *u)
{
	char before[sizeof(ctl->err.message)];
	int rc = 0;

	if (u->action == APPLY_NOTHING)
		return 0;
	if (u->action == APPLY_REMOVE || u->action == APPLY_RECREATE)
		doing("stopping %s", u->name);
	rc = u->kind == APPLY_CONTAINER ? do_container(ctl, u) : do_guest(f, ctl, u);
	if (rc < 0) {
		(void) snprintf(before, sizeof(before), "%s", ctl->err.message);
		if (u->at)
			return co_fail(&ctl->err, rc, "%s:%u: %s: %.400s", f->yaml.name,
				       u->at->line, u->name, before);
		return co_fail(&ctl->err, rc, "%s: %.400s", u->name, before);
	}
	return 0;
}

/* ---- conditions ---- */

/* 1: it holds, 0: not yet; or it never will. */
typedef int condition(const struct apply_file *f, struct ctl *ctl,
		      const struct apply_unit *u);

static int never(struct ctl *ctl, const struct apply_unit *u, const char *what)
{
	return co_fail(&ctl->err, CO_IO,
		       "%s %s; `" CTL_PROGRAM " %s logs %s` may tell why", u->name,
		       what, u->kind == APPLY_CONTAINER ? "container" : "guest",
		       u->name);
}

static bool text_is(struct co_span c, const char *member, const char *text)
{
	autofree char *value = container_text(c, member);

	return value && strcmp(value, text) == 0;
}

static int container_healthy(struct ctl *ctl, const struct apply_unit *u)
{
	autogateway struct gateway g;
	int rc = container_get(&g, ctl, u->name);

	if (rc < 0)
		return rc;
	if (text_is(g.value, "health", "healthy"))
		return 1;
	if (text_is(g.value, "health", "unhealthy"))
		return never(ctl, u, "is not healthy");
	if (text_is(g.value, "state", "exited") || text_is(g.value, "state", "dead"))
		return never(ctl, u, "has ended before it was healthy");
	if (text_is(g.value, "health", "none") && text_is(g.value, "state", "running"))
		return co_fail(&ctl->err, CO_INVALID,
			       "%s cannot become healthy: neither cloudos.yaml nor its "
			       "image has a health check",
			       u->name);
	return 0;
}

struct looked_for {
	struct co_span name; /* a JSON string */
	bool healthy;
};

static int look_at_service(struct ctl *ctl, void *data)
{
	struct looked_for *l = data;
	const struct wire_service_row *row = (const void *) ctl->client->in->bytes;
	const struct co_msg *in = ctl->client->in;

	if (in->header->type == WIRE_service_row &&
	    co_json_string_is(l->name, co_msg_get(in, row->name)) &&
	    strcmp(co_msg_get(in, row->health), "healthy") == 0)
		l->healthy = true;
	return 0;
}

static int provided(struct ctl *ctl, struct co_span name, bool *out)
{
	struct looked_for l = { .name = name };
	struct wire_service_list_req *req = ctl_request(ctl, WIRE_service_list_req);
	int rc;

	if (!req)
		return ctl->err.code;
	rc = ctl_stream(ctl, look_at_service, &l);
	*out = l.healthy;
	return rc;
}

static int guest_over(const struct apply_file *f, struct ctl *ctl,
		      const struct apply_unit *u, struct ctr_exit *out)
{
	char folder[CO_PATH_SIZE];
	int rc = guest_folder(ctl, f->project, u->name, folder, sizeof(folder));

	if (rc < 0)
		return rc;
	return guest_keeper(folder) ? 0 : ctr_exit_load(folder, out, NULL) == 0;
}

static int guest_healthy(const struct apply_file *f, struct ctl *ctl,
			 const struct apply_unit *u)
{
	struct co_span config = { u->config.data, u->config.size }, list, none, name;
	autobuf struct co_buf service = { 0 };
	struct co_json_walk walk;
	struct ctr_exit e;
	bool all = true;
	int rc = guest_over(f, ctl, u, &e);

	if (rc != 0)
		return rc < 0 ? rc : never(ctl, u, "has ended before it was healthy");
	co_buf_text(&service, "[\"blackroad-os-");
	co_buf_text(&service, u->name);
	co_buf_text(&service, "\"]");
	list = (struct co_span){ service.data, service.size };
	if (u->kind == APPLY_GUEST && !co_json_member(config, "provides", &list))
		return 1; /* apply_order has looked */
	for (walk = co_json_walk(list); rc == 0 && co_json_next(&walk, &none, &name);) {
		bool there = false;

		rc = provided(ctl, name, &there);
		all = all && there;
	}
	return rc < 0 ? rc : all;
}

static int healthy(const struct apply_file *f, struct ctl *ctl,
		   const struct apply_unit *u)
{
	return u->kind == APPLY_CONTAINER ? container_healthy(ctl, u)
					  : guest_healthy(f, ctl, u);
}

static int completed(const struct apply_file *f, struct ctl *ctl,
		     const struct apply_unit *u)
{
	struct ctr_exit e = { 0 };
	int64_t code;
	int rc;

	if (u->kind == APPLY_CONTAINER) {
		autogateway struct gateway g;

		rc = container_get(&g, ctl, u->name);
		if (rc < 0)
			return rc;
		if (!text_is(g.value, "state", "exited"))
			return text_is(g.value, "state", "dead")
				       ? never(ctl, u, "is dead")
				       : 0;
		code = container_number(g.value, "exitCode", -1);
	} else {
		rc = guest_over(f, ctl, u, &e);
		if (rc <= 0)
			return rc;
		code = e.code;
	}
	return code == 0 ? 1 : never(ctl, u, "has failed");
}

static int await(const struct apply_file *f, struct ctl *ctl,
		 const struct apply_unit *u, enum apply_condition what,
		 uint64_t timeout_s)
{
	static condition *const conditions[] = { NULL, healthy, completed };
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };
	const uint64_t all = timeout_s * 1000 / LOOK_MS + 1;
	const char *verb = what == APPLY_HEALTHY ? "become healthy" : "complete";
	uint64_t rounds = all;
	int rc = 0;

	if (what == APPLY_STARTED)
		return 0; /* it was, by its turn */
	while (rc == 0 && rounds--) {
		rc = conditions[what](f, ctl, u);
		if (rc == 0 && rounds + 1 == all)
			doing("waiting for %s to %s", u->name, verb);
		if (rc == 0)
			(void) nanosleep(&pause, NULL); /* a signal ends it early */
	}
	if (rc == 0)
		return co_fail(&ctl->err, CO_TIMED_OUT,
			       "%s has not %s within %" PRIu64 " seconds; --timeout "
			       "gives it more",
			       u->name,
			       what == APPLY_HEALTHY ? "become healthy" : "completed",
			       timeout_s);
	return rc < 0 ? rc : 0;
}

/* ---- images ---- */

static int get_image(const struct apply_file *f, struct ctl *ctl,
		     const struct apply_image *image)
{
	autobuf struct co_buf path = { 0 };
	autogateway struct gateway g;
	char why[400];
	int rc;

	doing(image->path ? "importing image %s" : "making image %s", image->name);
	gateway_init(&g, ctl, "POST",
		     image->path ? IMAGES "/import" : IMAGES "/busybox");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(image->name));
	if (image->path) {
		if (image->path[0] != '/')
			co_buf_format(&path, "%s/", f->folder);
		co_buf_text(&path, image->path);
		co_buf_text(&g.body, ",\"path\":");
		co_buf_json_text(&g.body, (struct co_span){ path.data, path.size });
	}
	co_buf_char(&g.body, '}');
	g.timeout_ms = -1;
	rc = gateway_call(&g);
	if (rc == 0)
		return ctl_say(ctl, "image %s imported", image->name);
	(void) snprintf(why, sizeof(why), "%.399s", ctl->err.message);
	return co_fail(&ctl->err, rc, "%s:%u: image %s: %s", f->yaml.name,
		       image->at->line, image->name, why);
}

/* ---- volumes ---- */

static int make_volume(const struct apply_file *f, struct ctl *ctl,
		       const struct apply_volume *v)
{
	autogateway struct gateway g;
	char why[400];
	int rc;

	gateway_init(&g, ctl, "POST", VOLUMES);
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(v->name));
	co_buf_char(&g.body, '}');
	rc = gateway_call(&g);
	if (rc == 0)
		return ctl_say(ctl, "volume %s created", v->name);
	(void) snprintf(why, sizeof(why), "%.399s", ctl->err.message);
	return co_fail(&ctl->err, rc, "%s:%u: volume %s: %s", f->yaml.name, v->at->line,
		       v->name, why);
}

int apply_remove_volumes(const struct apply_file *f, struct ctl *ctl)
{
	int rc = 0;

	for (const struct apply_volume *v = f->named; v && rc == 0; v = v->next) {
		autogateway struct gateway g;

		gateway_init(&g, ctl, "DELETE", VOLUME);
		gateway_path(&g, v->name);
		g.timeout_ms = -1;
		rc = gateway_call(&g);
		if (rc == 0)
			rc = ctl_say(ctl, "volume %s removed", v->name);
		if (rc != CO_NOT_FOUND)
			continue;
		ctl->err = (struct co_err){ 0 };
		rc = 0;
	}
	return rc;
}

/* ---- all ---- */

static const char *const done[] = {
	[APPLY_NOTHING] = "is as described", [APPLY_CREATE] = "created",
	[APPLY_START] = "started",           [APPLY_UPDATE] = "updated",
	[APPLY_RECREATE] = "recreated",      [APPLY_REMOVE] = "removed",
};

static int say(struct ctl *ctl, const struct apply_unit *u)
{
	return ctl_say(ctl, "%s %s %s%s%s", apply_kind_name(u->kind), u->name,
		       done[u->action], u->changed.size ? ": " : "",
		       u->changed.size ? u->changed.data : "");
}

static int turn(const struct apply_file *f, struct ctl *ctl, const struct apply_unit *u,
		const struct apply_how *how)
{
	int rc = 0;

	/* what runs as described has had what it needs */
	for (size_t i = 0; u->action != APPLY_NOTHING && rc == 0 && i < u->nneeds; i++)
		rc = await(f, ctl, u->needs[i].unit, u->needs[i].condition,
			   how->timeout_s);
	if (rc == 0)
		rc = do_unit(f, ctl, u);
	return rc < 0 ? rc : say(ctl, u);
}

int apply_do(struct apply_file *f, struct ctl *ctl, const struct apply_how *how)
{
	int rc = 0;

	for (const struct apply_image *i = f->images; i && rc == 0; i = i->next)
		if (i->missing)
			rc = get_image(f, ctl, i);
	for (const struct apply_volume *v = f->named; v && rc == 0; v = v->next)
		if (v->missing)
			rc = make_volume(f, ctl, v);
	for (const struct apply_unit *u = f->units; u && rc == 0; u = u->next)
		if (u->action == APPLY_REMOVE && how->prune)
			rc = turn(f, ctl, u, how);
	for (const struct apply_unit *u = f->units; u && rc == 0; u = u->next)
		if (u->action != APPLY_REMOVE)
			rc = turn(f, ctl, u, how);
		else if (!how->prune)
			rc = ctl_say(ctl,
				     "%s %s is not in the file (any more); --prune "
				     "removes it",
				     apply_kind_name(u->kind), u->name);
	for (const struct apply_unit *u = f->units; how->wait && u && rc == 0;
	     u = u->next)
		if (u->action != APPLY_REMOVE && u->has_health)
			rc = await(f, ctl, u, APPLY_HEALTHY, how->timeout_s);
	return rc;
}

/* The last one that was begun is the first to end. */
static int remove_behind(struct apply_file *f, struct ctl *ctl, struct apply_unit *u)
{
	enum apply_action was;
	int rc = u->next ? remove_behind(f, ctl, u->next) : 0;

	was = u->action;
	if (rc < 0 || was == APPLY_CREATE) /* it is not there */
		return rc;
	u->action = APPLY_REMOVE;
	u->changed.size = 0;
	rc = do_unit(f, ctl, u);
	return rc < 0 ? rc : say(ctl, u);
}

int apply_remove_all(struct apply_file *f, struct ctl *ctl)
{
	return f->units ? remove_behind(f, ctl, f->units) : 0;
}
