/* SPDX-License-Identifier: MIT */
/* The order in which units are begun: each behind what it needs.  HOST. */
#include <co/limits.h>
#include <string.h>

#include "cli/apply.h"
#include "lib/nearest.h"

static int resolve_one(const struct apply_file *f, const struct apply_unit *u,
		       struct apply_need *need)
{
	struct co_nearest near = co_nearest(need->name, strlen(need->name));

	for (struct apply_unit *other = f->units; other; other = other->next) {
		co_nearest_try(&near, other->name, strlen(other->name));
		if (strcmp(other->name, need->name) == 0)
			need->unit = other;
	}
	if (!need->unit)
		return co_yaml_complain(
			&f->yaml, need->at,
			"%s depends on %.60s, which is not in the file%s%.*s%s",
			u->name, need->name, near.word ? "; did you mean \"" : "",
			(int) near.size, near.word ? near.word : "",
			near.word ? "\"?" : "");
	if (need->condition == APPLY_HEALTHY && !need->unit->has_health &&
	    need->unit->kind == APPLY_GUEST)
		return co_yaml_complain(&f->yaml, need->at,
					"%s waits for %s to be healthy, and nothing "
					"tells when it is: say what it provides",
					u->name, need->name);
	if (need->condition == APPLY_COMPLETED && need->unit->restarts)
		return co_yaml_complain(
			&f->yaml, need->at,
			"%s waits for %s to have completed, and that is "
			"restarted whenever it ends",
			u->name, need->name);
	return 0;
}

static int resolve(const struct apply_file *f)
{
	int rc = 0;

	for (struct apply_unit *u = f->units; u && rc == 0; u = u->next)
		for (size_t i = 0; i < u->nneeds && rc == 0; i++)
			rc = resolve_one(f, u, &u->needs[i]);
	return rc;
}

/* apply_unit.mark: not reached, on the way to where we are, done. */
enum { NEW, ON_THE_WAY, DONE };

/* At most CO_LIMIT_APPLY_UNITS deep. */
struct way {
	const struct way *before;
	struct apply_unit *unit;
};

static int circle(const struct apply_file *f, const struct way *way,
		  const struct apply_unit *again, const struct apply_need *need)
{
	char text[300];
	size_t used = 0;

	/* from the last to the first: "a, which needs b, ..." reads the other way round */
	(void) snprintf(text, sizeof(text), "%s", again->name);
	for (; way; way = way->before) {
		char rest[sizeof(text)];

		memcpy(rest, text, sizeof(rest));
		used = (size_t) snprintf(text, sizeof(text), "%s -> %.*s",
					 way->unit->name,
					 (int) (sizeof(text) - APPLY_NAME - 8), rest);
		if (way->unit == again || used >= sizeof(text))
			break;
	}
	return co_yaml_complain(&f->yaml, need->at,
				"dependencies go round in a circle: %s", text);
}

struct sorted {
	struct apply_unit *at[CO_LIMIT_APPLY_UNITS];
	size_t count;
};

static int visit(const struct apply_file *f, const struct way *before,
		 struct apply_unit *u, struct sorted *out)
{
	struct way way = { before, u };
	int rc = 0;

	u->mark = ON_THE_WAY;
	for (size_t i = 0; i < u->nneeds && rc == 0; i++) {
		struct apply_unit *other = u->needs[i].unit;

		if (other->mark == ON_THE_WAY)
			return circle(f, &way, other, &u->needs[i]);
		if (other->mark == NEW)
			rc = visit(f, &way, other, out);
	}
	u->mark = DONE;
	if (rc == 0)
		out->at[out->count++] = u;
	return rc;
}

int apply_order(struct apply_file *f)
{
	struct apply_unit *all[CO_LIMIT_APPLY_UNITS];
	struct sorted sorted = { .count = 0 };
	size_t n = 0;
	int rc = resolve(f);

	if (rc < 0)
		return rc;
	for (struct apply_unit *u = f->units; u; u = u->next)
		all[n++] = u; /* each was put in front: the last of the file is first */
	for (size_t i = n; i > 0 && rc == 0; i--)
		if (all[i - 1]->mark == NEW)
			rc = visit(f, NULL, all[i - 1], &sorted);
	if (rc < 0)
		return rc;
	f->units = NULL;
	for (size_t i = sorted.count; i > 0; i--) {
		sorted.at[i - 1]->next = f->units;
		f->units = sorted.at[i - 1];
	}
	return 0;
}
