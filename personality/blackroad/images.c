/* SPDX-License-Identifier: MIT */
/* The endpoints of images: what there is, import, export, names, removal.  HOST. */
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/image.h"
#include "lib/json_scan.h"
#include "lib/sse.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/sse.h"

/* A request that is under way: its client waits for one answer, or listens to a stream. */
struct waiting {
	struct http_call *call; /* NULL: it listens, or has gone */
	struct sse *sse;
	struct images_request *request; /* NULL: it is over */
};

/* ---- the client goes ---- */

static void forget(struct waiting *w)
{
	w->call = NULL;
	w->sse = NULL;
	if (w->request)
		images_forget(w->request);
	free(w);
}

static void cancelled(struct http_call *call, void *arg)
{
	(void) call;
	forget(arg);
}

static void closed(void *arg)
{
	forget(arg);
}

static void room(void *arg)
{
	(void) arg; /* progress that found none is out of date */
}

static const struct sse_events events = { room, closed };

/* ---- answers ---- */

static void frame(const struct waiting *w, struct co_span json, bool may_wait)
{
	autobuf struct co_buf out = { 0 };

	co_sse_frame(&out, (struct co_span){ 0 }, json);
	if (out.failed)
		return;
	if (may_wait)
		(void) sse_write(w->sse, (struct co_span){ out.data, out.size });
	else
		(void) sse_try(w->sse, (struct co_span){ out.data, out.size });
}

/* A damaged archive is its sender's, and an image in use is no daemon that is. */
static void failed(struct http_call *call, int status, const char *reason)
{
	if (status == CO_BUSY)
		http_fail(call, 409, "BUSY", "%s", reason);
	else if (status == CO_CORRUPT || status == CO_UNSUPPORTED)
		http_fail(call, 400, "INVALID_REQUEST", "%s", reason);
	else
		http_fail_status(call, status, reason);
}

static void progress(void *arg, struct co_span json)
{
	const struct waiting *w = arg;

	if (w->sse)
		frame(w, json, false);
}

static void stream_end(struct waiting *w, const struct images_answer *a)
{
	autobuf struct co_buf failure = { 0 };

	if (a->status) {
		co_buf_format(&failure,
			      "{\"event\":\"failed\",\"status\":\"%s\",\"message\":",
			      co_status_name(a->status));
		co_buf_json_text(&failure, co_span(a->reason));
		co_buf_char(&failure, '}');
		frame(w, (struct co_span){ failure.data, failure.size }, true);
	} else {
		frame(w, a->json, true);
	}
	w->request = NULL;
	sse_end(w->sse);
	free(w);
}

static void done(void *arg, const struct images_answer *a)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (w->sse) {
		stream_end(w, a);
		return;
	}
	if (a->status) {
		failed(w->call, a->status, a->reason);
	} else {
		co_buf_span(&body, a->json);
		http_answer(w->call, 200, &body);
	}
	free(w);
}

static const struct images_listener listener = { progress, done, NULL };

static struct waiting *waiting_new(struct http_call *call)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		http_fail_status(call, CO_NO_MEMORY, NULL);
	return w;
}

static void begin(struct waiting *w, struct http_call *call, int status,
		  const struct co_err *err)
{
	struct co_span accept;

	if (status) {
		failed(call, status, err->message);
		free(w);
		return;
	}
	if (!http_header(call, "accept", &accept) ||
	    !memmem(accept.data, accept.size, "text/event-stream",
		    strlen("text/event-stream"))) {
		w->call = call;
		http_pend(call, cancelled, w);
		return;
	}
	w->sse = sse_begin(call, &events, w);
	if (!w->sse) { /* answered */
		images_forget(w->request);
		free(w);
	}
}

static struct images_listener listener_of(struct waiting *w)
{
	struct images_listener l = listener;

	l.arg = w;
	return l;
}

static struct images *images_of(const struct http_call *call)
{
	return http_services(call)->images;
}

/* ---- looking ---- */

void blackroad_on_images(struct http_call *call,
			 const struct blackroad_images_args *with)
{
	struct co_buf body = { 0 };
	const struct image *image;
	size_t cursor = 0;

	(void) with;
	co_buf_text(&body, "{\"images\":[");
	while ((image = images_next(images_of(call), &cursor))) {
		if (cursor > 1)
			co_buf_char(&body, ',');
		co_buf_span(&body, image->json);
	}
	co_buf_text(&body, "]}");
	http_answer(call, 200, &body);
}

void blackroad_on_image(struct http_call *call, const struct blackroad_image_args *with)
{
	struct co_err err = { 0 };
	struct co_buf body = { 0 };
	const struct image *image;
	int r = images_find(images_of(call), with->name, &image, &err);

	if (r) {
		http_fail_status(call, r, err.message);
		return;
	}
	co_buf_span(&body, image->json);
	http_answer(call, 200, &body);
}

/* ---- changing ---- */

void blackroad_on_image_import(struct http_call *call,
			       const struct blackroad_image_import_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	if (w)
		begin(w, call,
		      images_import(images_of(call), with->path, with->name, &l,
				    &w->request, &err),
		      &err);
}

void blackroad_on_image_busybox(struct http_call *call,
				const struct blackroad_image_busybox_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	if (w)
		begin(w, call,
		      images_busybox(images_of(call), with->name, &l, &w->request,
				     &err),
		      &err);
}

void blackroad_on_image_tag(struct http_call *call,
			    const struct blackroad_image_tag_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	if (w)
		begin(w, call,
		      images_tag(images_of(call), with->name, with->tag, &l,
				 &w->request, &err),
		      &err);
}

void blackroad_on_image_remove(struct http_call *call,
			       const struct blackroad_image_remove_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	if (w)
		begin(w, call,
		      images_remove(images_of(call), with->name, &l, &w->request, &err),
		      &err);
}

void blackroad_on_images_prune(struct http_call *call,
			       const struct blackroad_images_prune_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	(void) with;
	if (w)
		begin(w, call, images_prune(images_of(call), &l, &w->request, &err),
		      &err);
}

void blackroad_on_image_export(struct http_call *call,
			       const struct blackroad_image_export_args *with)
{
	struct waiting *w = waiting_new(call);
	struct images_listener l = listener_of(w);
	struct co_err err = { 0 };

	if (w)
		begin(w, call,
		      images_export(images_of(call), with->name, with->path,
				    with->format, &l, &w->request, &err),
		      &err);
}

void blackroad_on_image_commit(struct http_call *call,
			       const struct blackroad_image_commit_args *with)
{
	struct images_commit commit = { .image = with->image,
					.upper = with->upper,
					.name = with->name,
					.config = with->config };
	struct images_listener l;
	struct co_err err = { 0 };
	struct waiting *w;
	int64_t shift;

	if (!blackroad_json_number(call, "idShift", with->idShift, 0, 0, UINT32_MAX,
				   &shift))
		return;
	if (commit.config.data && co_json_kind(commit.config) != CO_JSON_OBJECT) {
		blackroad_invalid(call, "config is an object");
		return;
	}
	commit.id_shift = (uint32_t) shift;
	w = waiting_new(call);
	l = listener_of(w);
	if (w)
		begin(w, call,
		      images_commit(images_of(call), &commit, &l, &w->request, &err),
		      &err);
}
