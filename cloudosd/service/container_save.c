/* SPDX-License-Identifier: MIT */
/* Containers to the store.  HOST.  Who asked is answered when it is there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"

static void save_free(struct container_save *s)
{
	co_buf_done(&s->data);
	free(s);
}

void container_saves_forget(struct containers *all)
{
	struct container_save *s, *next;

	DL_FOREACH_SAFE (all->saves, s, next) {
		DL_DELETE(all->saves, s);
		s->all = NULL;
	}
}

static void tell(const struct containers *all, const struct container_save *s)
{
	char name[32];

	if (!*s->event || s->data.failed)
		return;
	(void) snprintf(name, sizeof(name), "container:%s", s->event); /* fits */
	all->options.emit(all->options.arg, name,
			  (struct co_span){ s->data.data, s->data.size });
}

/* Memory is ahead of the store: later, then. */
static void later(struct containers *all, struct container *c, const char *reason)
{
	container_log(all, "container %" PRIu32 " (%s) could not be written: %s", c->id,
		      c->name, reason);
	c->rewrite = true;
	all->host->timer_start(all->rewrite, CONTAINER_UNWRITTEN_MS);
}

static void finish(struct containers *all, struct container_save *s, int status,
		   const char *reason)
{
	struct container_op *op = s->op;
	struct container *c = NULL;

	HASH_FIND(by_id, all->by_id, &s->id, sizeof(s->id), c);
	if (status == 0)
		tell(all, s);
	else if (c && !s->erase && !(op && op->verb == CONTAINER_CREATE))
		later(all, c, reason);
	if (status == 0 && c && !container_lives(c) && c->state != CONTAINER_IS_CREATED)
		container_waits_answer(c);
	if (!op || !c)
		return; /* containers go only with their own op, which is the last */
	if (op->saved)
		op->saved(op, status, reason);
	else
		container_op_done(op, status, reason);
}

static void on_committed(void *arg, const struct store_result *result)
{
	struct container_save *s = arg;

	if (s->all) {
		DL_DELETE(s->all->saves, s);
		finish(s->all, s, result->status, result->reason);
	}
	save_free(s);
}

static struct container_save *save_new(struct container *c, struct container_op *op,
				       const char *event, const char *members)
{
	struct container_save *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->all = c->all;
	s->id = c->id;
	s->op = op;
	(void) snprintf(s->event, sizeof(s->event), "%s", event); /* fits */
	if (*event) {
		container_event_begin(&s->data, c);
		co_buf_text(&s->data, members);
		co_buf_char(&s->data, '}');
	}
	return s;
}

static void submit(struct container_save *s, struct container *c,
		   const struct store_op *ops, size_t n)
{
	struct store_txn txn = { .then = ops, .nthen = n };
	struct container_op *op = s ? s->op : NULL;
	struct containers *all = c->all;
	int r = CO_NO_MEMORY;

	if (op && op->has_journal)
		txn.journal = &op->journal;
	if (s) {
		DL_APPEND(all->saves, s);
		r = store_txn(all->store, &txn, on_committed, s);
	}
	if (!r)
		return;
	if (s) {
		DL_DELETE(all->saves, s);
		finish(all, s, r, "the store takes no requests");
		save_free(s);
	} else {
		later(all, c, "no memory");
	}
}

void container_save_with(struct container *c, struct container_op *op,
			 const char *event, const char *members)
{
	struct container_save *s = save_new(c, op, event, members);
	autobuf struct co_buf text = { 0 };
	char key[CONTAINER_KEY], next[24];
	struct store_op ops[2];

	container_encode(&text, c);
	container_key(key, c->id);
	(void) snprintf(next, sizeof(next), "%" PRIu64, c->all->next_id); /* fits */
	if (text.failed) {
		if (s)
			save_free(s);
		later(c->all, c, "no memory");
		if (op)
			container_op_done(op, CO_NO_MEMORY,
					  "no memory for a container");
		return;
	}
	ops[0] = (struct store_op){
		.kind = STORE_PUT, .key = key, .value = text.data, .size = text.size
	};
	ops[1] = (struct store_op){ .kind = STORE_PUT,
				    .key = "/container-next",
				    .value = next,
				    .size = strlen(next) };
	submit(s, c, ops, c->making ? 2 : 1);
	containers_changed(c->all);
}

void container_save(struct container *c, struct container_op *op, const char *event)
{
	container_save_with(c, op, event, "");
}

void container_erase(struct container *c, struct container_op *op, const char *event)
{
	struct container_save *s = save_new(c, op, event, "");
	char key[CONTAINER_KEY];
	struct store_op erase;

	container_key(key, c->id);
	erase = (struct store_op){ .kind = STORE_DELETE, .key = key };
	if (s)
		s->erase = true;
	submit(s, c, &erase, 1);
}
