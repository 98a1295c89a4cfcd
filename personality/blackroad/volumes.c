/* SPDX-License-Identifier: MIT */
/* The endpoints of volumes: what cloudosctl volume is made of.  HOST. */
#include <stdlib.h>

#include "cloudosd/service/volume.h"
#include "lib/cleanup.h"
#include "personality/blackroad/blackroad.h"

/* A request that waits for the service. */
struct waiting {
	struct http_call *call; /* NULL: the client has gone */
	int status;             /* what success is */
};

static void gone(struct http_call *call, void *arg)
{
	struct waiting *w = arg;

	(void) call;
	w->call = NULL;
}

static struct volumes *volumes_of(struct http_call *call)
{
	struct volumes *volumes = http_services(call)->volumes;

	if (!volumes)
		http_fail_status(
			call, CO_UNSUPPORTED,
			"this daemon has no containers: cloudos-ctr was not found "
			"when it started");
	return volumes;
}

static struct waiting *waiting_new(struct http_call *call, int status)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	w->call = call;
	w->status = status;
	http_pend(call, gone, w);
	return w;
}

static void answer(void *arg, const struct container_answer *a)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (w->call && a->status == 0) {
		co_buf_span(&body, a->json);
		http_answer(w->call, w->status, &body);
	} else if (w->call && a->status == CO_BUSY) {
		http_fail(w->call, 409, "BUSY", "%s", a->reason);
	} else if (w->call && a->status == CO_EXISTS) {
		http_fail(w->call, 409, "EXISTS", "%s", a->reason);
	} else if (w->call) {
		http_fail_status(w->call, a->status, a->reason);
	}
	free(w);
}

void blackroad_on_volumes(struct http_call *call,
			  const struct blackroad_volumes_args *with)
{
	const struct volumes *volumes = http_services(call)->volumes;
	struct co_buf body = { 0 };

	(void) with; /* has no members */
	if (volumes)
		volumes_list(volumes, &body);
	else
		co_buf_text(&body, "{\"volumes\":[]}");
	http_answer(call, 200, &body);
}

void blackroad_on_volume_create(struct http_call *call,
				const struct blackroad_volume_create_args *with)
{
	struct volumes *volumes = volumes_of(call);
	struct waiting *w = volumes ? waiting_new(call, 201) : NULL;

	if (w)
		volumes_create(volumes, with->name,
			       &(struct container_asker){ .done = answer, .arg = w });
}

void blackroad_on_volume(struct http_call *call,
			 const struct blackroad_volume_args *with)
{
	struct volumes *volumes = volumes_of(call);
	struct waiting *w = volumes ? waiting_new(call, 200) : NULL;

	if (w)
		volumes_inspect(volumes, with->name,
				&(struct container_asker){ .done = answer, .arg = w });
}

void blackroad_on_volume_remove(struct http_call *call,
				const struct blackroad_volume_remove_args *with)
{
	struct volumes *volumes = volumes_of(call);
	struct waiting *w = volumes ? waiting_new(call, 200) : NULL;

	if (w)
		volumes_remove(volumes, with->name,
			       &(struct container_asker){ .done = answer, .arg = w });
}

void blackroad_on_volumes_prune(struct http_call *call,
				const struct blackroad_volumes_prune_args *with)
{
	struct volumes *volumes;
	struct waiting *w;

	if (with->named.data && !co_span_is(with->named, "true") &&
	    !co_span_is(with->named, "false")) {
		blackroad_invalid(call,
				  "named is true or false: also volumes that have "
				  "a name of their own");
		return;
	}
	volumes = volumes_of(call);
	w = volumes ? waiting_new(call, 200) : NULL;
	if (w)
		volumes_prune(volumes, co_span_is(with->named, "true"),
			      &(struct container_asker){ .done = answer, .arg = w });
}
