/* SPDX-License-Identifier: MIT */
/* Which handlers are configured.  HOST. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/configured_inside.h"
#include "lib/cleanup.h"

/* ---- a handler's own copy of its spec ---- */

static void word(struct co_buf *b, const char *text)
{
	co_buf_add(b, text ? text : "", (text ? strlen(text) : 0) + 1);
}

static void words(struct co_buf *b, const char *const *list)
{
	for (; list && *list; list++) {
		co_buf_char(b, ' '); /* there is one more */
		word(b, *list);
	}
	co_buf_char(b, '\0');
}

/* Two specs are the same if these bytes are. */
static void flatten(struct co_buf *b, const struct configured_spec *spec)
{
	word(b, spec->label);
	word(b, spec->service);
	word(b, spec->directory);
	word(b, spec->backend);
	words(b, spec->methods);
	words(b, spec->jobs);
	words(b, spec->argv);
	words(b, spec->environment);
	co_buf_format(b, "%u %u %u %u", spec->concurrency, spec->cpu_s,
		      spec->memory_mib, spec->files);
}

static const char *next_word(const char **at)
{
	const char *text = *at;

	*at += strlen(text) + 1;
	return text;
}

static const char **next_words(const char **at)
{
	const char *scan = *at;
	const char **list;
	size_t n = 0;

	while (*scan == ' ') {
		scan += strlen(scan) + 1;
		n++;
	}
	list = calloc(n + 1, sizeof(const char *));
	for (size_t i = 0; list && i < n; i++)
		list[i] = next_word(at) + 1;
	*at = scan + 1;
	return list;
}

/* The texts where they lie in one->words. */
static bool unflatten(struct configured_one *one, const struct configured_spec *from)
{
	struct configured_spec *spec = &one->spec;
	const char *at = one->words.data;

	*spec = *from; /* the numbers */
	spec->label = next_word(&at);
	spec->service = next_word(&at);
	spec->directory = next_word(&at);
	spec->backend = next_word(&at);
	if (!*spec->directory)
		spec->directory = NULL;
	if (!*spec->backend)
		spec->backend = NULL;
	spec->methods = next_words(&at);
	spec->jobs = next_words(&at);
	spec->argv = next_words(&at);
	spec->environment = next_words(&at);
	return spec->methods && spec->jobs && spec->argv && spec->environment;
}

static void one_free(struct configured_one *one)
{
	free((void *) one->spec.methods);
	free((void *) one->spec.jobs);
	free((void *) one->spec.argv);
	free((void *) one->spec.environment);
	co_buf_done(&one->words);
	free(one);
}

/* ---- calls ---- */

struct configured_call *configured_call_new(struct configured_one *one, uint64_t id)
{
	struct configured_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->one = one;
	call->id = id;
	DL_APPEND(one->calls, call);
	return call;
}

void configured_call_end(struct configured_call *call)
{
	struct configured_one *one = call->one;

	DL_DELETE(one->calls, call);
	free(call);
	if (!one->provider && !one->calls)
		one_free(one);
}

static void retire(struct configured_one *one)
{
	struct handler_provider *p = take(one->provider);
	struct configured_call *call, *next;
	bool command = one->spec.backend == NULL, last = one->calls == NULL;

	DL_DELETE(one->all->list, one);
	handlers_remove(p, 503, "UNAVAILABLE", "the handler is configured no more");
	DL_FOREACH_SAFE (one->calls, call, next) {
		last = next == NULL; /* it may go with its last call */
		if (command)
			configured_command_stop(call);
		else
			configured_http_stop(call);
		if (last)
			return;
	}
	if (last)
		one_free(one);
}

/* ---- what is configured ---- */

static int offer_all(struct configured_one *one, const char *const *names,
		     enum handler_subject subject, struct co_err *err)
{
	int r = 0;

	for (; *names && !r; names++)
		r = handler_offer(one->provider, subject, co_span(*names), err);
	return r ? co_context(err, "handler \"%s\"", one->spec.label) : 0;
}

static int provide(struct configured_one *one, struct co_err *err)
{
	const struct configured_spec *spec = &one->spec;
	struct handler_provider_spec provider = {
		.service = spec->service,
		.label = spec->label,
		.max_calls = spec->concurrency ? spec->concurrency
			     : spec->backend   ? 64
					       : 1,
		.ops = spec->backend ? &configured_http_ops : &configured_command_ops,
		.ctx = one
	};
	int r = handlers_provide(one->all->means.handlers, &provider, &one->provider,
				 err);

	if (r)
		return r;
	DL_APPEND(one->all->list, one);
	one->wanted = true;
	r = offer_all(one, spec->methods, HANDLER_METHOD, err);
	return r ? r : offer_all(one, spec->jobs, HANDLER_JOB, err);
}

static struct configured_one *find(const struct configured *c,
				   const struct co_buf *like)
{
	struct configured_one *one;

	DL_FOREACH (c->list, one)
		if (one->words.size == like->size &&
		    memcmp(one->words.data, like->data, like->size) == 0)
			return one;
	return NULL;
}

static int add(struct configured *c, const struct configured_spec *spec,
	       struct co_buf *flat, struct co_err *err)
{
	struct configured_one *one = calloc(1, sizeof(*one));
	int r;

	if (!one)
		return co_fail(err, CO_NO_MEMORY, "no memory for handler \"%s\"",
			       spec->label);
	one->all = c;
	one->words = *flat;
	*flat = (struct co_buf){ 0 };
	r = unflatten(one, spec) ? provide(one, err)
				 : co_fail(err, CO_NO_MEMORY,
					   "no memory for handler \"%s\"", spec->label);
	if (r && !one->provider)
		one_free(one);
	return r;
}

int configured_set(struct configured *c, const struct configured_spec *specs, size_t n,
		   struct co_err *err)
{
	struct configured_one *one, *next;
	int r = 0;

	DL_FOREACH (c->list, one)
		one->wanted = false;
	for (size_t i = 0; i < n && !r; i++) {
		autobuf struct co_buf flat = { 0 };

		flatten(&flat, &specs[i]);
		if (flat.failed)
			return co_fail(err, CO_NO_MEMORY,
				       "no memory for handler \"%s\"", specs[i].label);
		one = find(c, &flat);
		if (one)
			one->wanted = true;
		else
			r = add(c, &specs[i], &flat, err);
	}
	DL_FOREACH_SAFE (c->list, one, next)
		if (!one->wanted)
			retire(one);
	return r;
}

struct configured *configured_new(const struct configured_means *means)
{
	struct configured *c = calloc(1, sizeof(*c));

	if (c)
		c->means = *means;
	return c;
}

struct configured *configured_free(struct configured *c)
{
	while (c && c->list)
		retire(c->list);
	free(c);
	return NULL;
}
