/* SPDX-License-Identifier: MIT */
/* Names of methods and jobs, and who offers them.  HOST. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/handler_inside.h"
#include "lib/cleanup.h"

const char *handler_kind_name(enum handler_kind kind)
{
	static const char *const names[] = { "attached", "http", "command", "port",
					     "builtin" };

	return names[kind];
}

static const char *subject_name(enum handler_subject subject)
{
	return subject == HANDLER_METHOD ? "method" : "job";
}

/* ---- names ---- */

/* Room for any key that can be looked for. */
struct key {
	size_t size, name_at;
	char text[2 * (CO_LIMIT_RPC_NAME + 1) + 2];
};

/* False: it is longer than any name. */
static bool key_make(struct key *key, const char *service, enum handler_subject subject,
		     struct co_span name)
{
	size_t n = strlen(service);

	if (n > CO_LIMIT_RPC_NAME || name.size > CO_LIMIT_RPC_NAME)
		return false;
	key->text[0] = subject == HANDLER_METHOD ? 'm' : 'j';
	memcpy(key->text + 1, service, n + 1);
	key->name_at = n + 2;
	if (name.size)
		memcpy(key->text + key->name_at, name.data, name.size);
	key->text[key->name_at + name.size] = '\0';
	key->size = key->name_at + name.size + 1;
	return true;
}

static struct handler_name_entry *name_of(const struct handlers *h, const char *service,
					  enum handler_subject subject,
					  struct co_span name)
{
	struct handler_name_entry *entry = NULL;
	struct key key;

	if (key_make(&key, service, subject, name))
		HASH_FIND(hh, h->names, key.text, key.size, entry);
	return entry;
}

struct handler_name_entry *handler_name_find(const struct handlers *h,
					     const char *service,
					     enum handler_subject subject,
					     struct co_span name)
{
	struct handler_name_entry *entry = name_of(h, service, subject, name);

	return entry ? entry : name_of(h, "", subject, name);
}

static void tell(struct handlers *h, const struct handler_name_entry *entry,
		 bool offered)
{
	struct handlers_watch *watch, *next;

	DL_FOREACH_SAFE (h->watches, watch, next)
		watch->changed(watch->arg, entry->service, entry->subject, entry->text,
			       offered);
}

static struct handler_name_entry *name_new(struct handlers *h, const char *service,
					   enum handler_subject subject,
					   struct co_span name)
{
	struct handler_name_entry *entry;
	struct key key;

	if (!key_make(&key, service, subject, name))
		return NULL;
	entry = calloc(1, sizeof(*entry) + key.size);
	if (!entry)
		return NULL;
	memcpy(entry->key, key.text, key.size);
	entry->key_size = key.size;
	entry->subject = subject;
	entry->service = entry->key + 1;
	entry->text = entry->key + key.name_at;
	HASH_ADD_KEYPTR(hh, h->names, entry->key, entry->key_size, entry);
	h->numbers.names++;
	return entry;
}

/* Nobody offers it any more. */
static void name_end(struct handlers *h, struct handler_name_entry *entry)
{
	struct handler_queue queue = entry->queue;
	struct handler_call *call;
	char reason[CO_LIMIT_RPC_NAME + 96];

	(void) snprintf(reason, sizeof(reason),
			"the last handler of %s \"%s\" has gone; call again when there "
			"is one",
			subject_name(entry->subject), entry->text);
	HASH_DEL(h->names, entry);
	h->numbers.names--;
	/* calls in flight may outlive it, until whoever has them is gone too */
	for (call = h->calls; call; call = call->hh.next)
		if (call->name == entry)
			call->name = NULL;
	DL_FOREACH2(queue.calls, call, q_next)
	call->queue = &queue;
	tell(h, entry, false);
	free(entry);
	handler_queue_fail(&queue, 503, "UNAVAILABLE", reason);
}

/* ---- offers ---- */

static struct handler_offer *offer_find(const struct handler_name_entry *entry,
					const struct handler_provider *p)
{
	struct handler_offer *offer;

	DL_FOREACH (entry->offers, offer)
		if (offer->provider == p)
			return offer;
	return NULL;
}

static int name_check(struct co_span name, struct co_err *err)
{
	static const char reserved[] = "sys.";
	size_t n = sizeof(reserved) - 1;

	if (!name.size || name.size > CO_LIMIT_RPC_NAME)
		return co_fail(
			err, CO_INVALID,
			"the name of a method or job has 1 to %d bytes, and this "
			"one %zu",
			CO_LIMIT_RPC_NAME, name.size);
	for (size_t i = 0; i < name.size; i++)
		if ((unsigned char) name.data[i] < ' ' || name.data[i] == 0x7f)
			return co_fail(err, CO_INVALID,
				       "a name has a control character at byte %zu", i);
	if (name.size >= n && memcmp(name.data, reserved, n) == 0)
		return co_fail(
			err, CO_INVALID,
			"names that begin with \"sys.\" are cloudosd's own; choose "
			"another than \"%.*s\"",
			(int) name.size, name.data);
	return 0;
}

/* Runs that it went on with were there before it offered their name. */
static void adopted_named(struct handler_provider *p, struct handler_name_entry *entry)
{
	struct handler_call *call;

	DL_FOREACH2(p->calls, call, p_next)
	if (!call->name && call->request.subject == entry->subject &&
	    co_span_is(call->request.name, entry->text)) {
		call->name = entry;
		entry->in_flight++;
	}
}

static int offer_add(struct handler_provider *p, enum handler_subject subject,
		     struct co_span name, struct co_err *err)
{
	struct handlers *h = p->h;
	const char *service = p->service ? p->service : "";
	struct handler_name_entry *entry = name_of(h, service, subject, name);
	struct handler_offer *offer;
	bool first = !entry;

	if (entry && offer_find(entry, p))
		return 0;
	if (p->noffers >= CO_LIMIT_RPC_PROVIDER_NAMES ||
	    (first && h->numbers.names >= CO_LIMIT_RPC_NAMES))
		return co_fail(
			err, CO_TABLE_FULL,
			"there is no room for the name \"%.*s\": %u are offered by "
			"this handler and %u in all",
			(int) name.size, name.data, p->noffers, h->numbers.names);
	offer = calloc(1, sizeof(*offer));
	if (offer && first)
		entry = name_new(h, service, subject, name);
	if (!offer || !entry) {
		free(offer);
		return co_fail(err, CO_NO_MEMORY, "no memory for the name \"%.*s\"",
			       (int) name.size, name.data);
	}
	offer->name = entry;
	offer->provider = p;
	DL_PREPEND(entry->offers, offer);
	DL_APPEND2(p->offers, offer, p_prev, p_next);
	p->noffers++;
	adopted_named(p, entry);
	if (first)
		tell(h, entry, true);
	return 0;
}

int handler_offer(struct handler_provider *p, enum handler_subject subject,
		  struct co_span name, struct co_err *err)
{
	int r = p->ops->kind == HANDLER_BUILTIN ? 0 : name_check(name, err);

	if (!r)
		r = offer_add(p, subject, name, err);
	if (!r)
		handler_pump(p); /* calls may wait for others who are busy */
	return r;
}

static void offer_end(struct handler_offer *offer)
{
	struct handler_provider *p = offer->provider;
	struct handler_name_entry *entry = offer->name;

	DL_DELETE(entry->offers, offer);
	DL_DELETE2(p->offers, offer, p_prev, p_next);
	p->noffers--;
	free(offer);
	if (!entry->offers)
		name_end(p->h, entry);
}

void handler_withdraw(struct handler_provider *p, enum handler_subject subject,
		      struct co_span name)
{
	struct handler_name_entry *entry =
		name_of(p->h, p->service ? p->service : "", subject, name);
	struct handler_offer *offer = entry ? offer_find(entry, p) : NULL;

	if (offer)
		offer_end(offer);
}

/* ---- providers ---- */

static uint32_t max_calls_of(uint32_t asked)
{
	return asked && asked < CO_LIMIT_RPC_PROVIDER_CALLS
		       ? asked
		       : CO_LIMIT_RPC_PROVIDER_CALLS;
}

static void provider_free(struct handler_provider *p)
{
	free(p->service);
	free(p->label);
	free(p);
}

int handlers_provide(struct handlers *h, const struct handler_provider_spec *spec,
		     struct handler_provider **out, struct co_err *err)
{
	struct handler_provider *p;

	if (h->numbers.providers >= CO_LIMIT_RPC_PROVIDERS)
		return co_fail(err, CO_TABLE_FULL,
			       "there are %u handlers already, which is the limit",
			       h->numbers.providers);
	if (spec->service && strlen(spec->service) > CO_LIMIT_RPC_NAME)
		return co_fail(err, CO_INVALID, "a service's name has at most %d bytes",
			       CO_LIMIT_RPC_NAME);
	p = calloc(1, sizeof(*p));
	if (!p)
		return co_fail(err, CO_NO_MEMORY, "no memory for a handler");
	p->h = h;
	p->ops = spec->ops;
	p->ctx = spec->ctx;
	p->max_calls = max_calls_of(spec->max_calls);
	p->service = spec->service ? strdup(spec->service) : NULL;
	p->label = strdup(spec->label);
	if (!p->label || (spec->service && !p->service)) {
		provider_free(p);
		return co_fail(err, CO_NO_MEMORY, "no memory for a handler");
	}
	DL_APPEND(h->providers, p);
	h->numbers.providers++;
	*out = p;
	return 0;
}

void handler_release(struct handler_provider *p)
{
	if (--p->held == 0 && p->gone)
		provider_free(p);
}

void handlers_remove(struct handler_provider *p, int status, const char *code,
		     const char *reason)
{
	struct handlers *h = p->h;

	p->gone = true; /* it gets nothing more */
	DL_DELETE(h->providers, p);
	h->numbers.providers--;
	while (p->offers)
		offer_end(p->offers);
	handler_queue_fail(&p->queue, 503, "UNAVAILABLE", reason);
	handler_calls_fail(p, status, code, reason);
	if (!p->held)
		provider_free(p);
}

void handler_set_max_calls(struct handler_provider *p, uint32_t max_calls)
{
	p->max_calls = max_calls_of(max_calls);
	handler_pump(p);
}

void handler_ready(struct handler_provider *p)
{
	p->busy = false;
	handler_pump(p);
}

bool handler_has_room(const struct handler_provider *p)
{
	return !p->gone && !p->busy && p->in_flight < p->max_calls;
}

uint32_t handler_in_flight(const struct handler_provider *p)
{
	return p->in_flight;
}

struct handler_provider *handler_knower(const struct handlers *h, const char *service,
					enum handler_subject subject,
					struct co_span name)
{
	struct handler_provider *p;

	DL_FOREACH (h->providers, p)
		if (p->ops->knows &&
		    (!p->service || strcmp(p->service, service) == 0) &&
		    p->ops->knows(p->ctx, service, subject, name))
			return p;
	return NULL;
}

bool handlers_exists(const struct handlers *h, const char *service,
		     enum handler_subject subject, struct co_span name)
{
	return handler_name_find(h, service, subject, name) ||
	       handler_knower(h, service, subject, name);
}

/* ---- listing and watching ---- */

static int by_name(const void *a, const void *b)
{
	const struct handler_name_entry *const *x = a, *const *y = b;
	int r = strcmp((*x)->text, (*y)->text);

	if (!r)
		r = strcmp((*x)->service, (*y)->service);
	return r ? r : (int) (*x)->subject - (int) (*y)->subject;
}

static void visit_one(const struct handler_name_entry *entry, const char *service,
		      void (*visit)(void *arg, const struct handler_name *name),
		      void *arg)
{
	struct handler_name name = { .service = *entry->service ? entry->service
						: service       ? service
								: "",
				     .name = entry->text,
				     .subject = entry->subject,
				     .kind = entry->offers->provider->ops->kind,
				     .in_flight = entry->in_flight,
				     .queued = entry->queue.count,
				     .calls = entry->calls,
				     .failed = entry->failed };
	const struct handler_offer *offer;

	DL_FOREACH (entry->offers, offer)
		name.providers++;
	visit(arg, &name);
}

/* What one provider knows besides. */
struct known {
	const struct handlers *h;
	const struct handler_provider *p;
	const char *service;
	void (*visit)(void *arg, const struct handler_name *name);
	void *arg;
};

static void visit_known(void *arg, const char *text)
{
	const struct known *k = arg;
	struct handler_name name = { .service = k->service,
				     .name = text,
				     .subject = HANDLER_METHOD,
				     .kind = k->p->ops->kind,
				     .providers = 1 };

	/* who offers a name is asked before who knows it */
	if (!handler_name_find(k->h, k->service, HANDLER_METHOD, co_span(text)))
		k->visit(k->arg, &name);
}

void handlers_list(const struct handlers *h, const char *service,
		   void (*visit)(void *arg, const struct handler_name *name), void *arg)
{
	struct handler_name_entry **sorted, *entry, *next;
	const struct handler_provider *p;
	size_t n = 0;

	sorted = calloc(HASH_COUNT(h->names) + 1U, sizeof(struct handler_name_entry *));
	if (!sorted)
		return; /* an empty list: who asks again gets it */
	HASH_ITER (hh, h->names, entry, next)
		if (!service || !*entry->service ||
		    strcmp(entry->service, service) == 0)
			sorted[n++] = entry;
	qsort(sorted, n, sizeof(struct handler_name_entry *), by_name);
	for (size_t i = 0; i < n; i++)
		visit_one(sorted[i], service, visit, arg);
	free(sorted);
	DL_FOREACH (h->providers, p) {
		struct known known = { h, p, service ? service : "", visit, arg };

		if (p->ops->list &&
		    (!p->service || !service || strcmp(p->service, service) == 0))
			p->ops->list(p->ctx, visit_known, &known);
	}
}

void handlers_watch(struct handlers *h, struct handlers_watch *watch)
{
	DL_APPEND(h->watches, watch);
}

void handlers_unwatch(struct handlers *h, struct handlers_watch *watch)
{
	DL_DELETE(h->watches, watch);
}

struct handlers_numbers handlers_numbers(const struct handlers *h)
{
	return h->numbers;
}

void handlers_on_resume(struct handlers *h, handlers_resume_fn *resume, void *arg)
{
	h->resume = resume;
	h->resume_arg = arg;
}

uint64_t handlers_resume(struct handler_provider *p, struct co_span run,
			 struct co_span token)
{
	struct handlers *h = p->h;
	struct handler_call *call =
		h->resume ? h->resume(h->resume_arg, p, run, token) : NULL;

	return call ? call->task.id : 0;
}

struct handlers *handlers_free(struct handlers *h)
{
	if (!h)
		return NULL;
	h->closing = true;
	while (h->providers)
		handlers_remove(h->providers, 500, "SHUTDOWN", "cloudosd is stopping");
	h->host->timer_free(h->timer);
	free(h);
	return NULL;
}
