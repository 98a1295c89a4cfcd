/* SPDX-License-Identifier: MIT */
/* Site tables, kept for files that come again.  HOST.  Written by the writer thread. */
#include "store/internal.h"

#include <string.h>

const uint8_t *store_sites_secret(const struct store *s)
{
	return s->site_secret;
}

/* ---- asking ---- */

static struct request *sites_request(enum request_kind kind,
				     const struct store_sites *sites)
{
	struct request *r = request_new(kind, NULL, NULL);

	if (!r)
		return NULL;
	r->sites = *sites;
	r->sites.build_id = arena_copy(&r->in, sites->build_id, sites->build_id_size);
	r->sites.rows = NULL;
	r->sites.size = 0;
	if (r->sites.build_id)
		return r;
	request_unref(r);
	return NULL;
}

int store_sites_get(struct store *s, const struct store_sites *key,
		    store_sites_done *done, void *arg)
{
	struct request *r = sites_request(REQUEST_SITES_GET, key);

	if (!r)
		return CO_NO_MEMORY;
	r->sites_done = done;
	r->arg = arg;
	return writer_queue(s, r);
}

int store_sites_put(struct store *s, const struct store_sites *sites)
{
	struct request *r;

	if (sites->size > CO_LIMIT_SITES_BYTES)
		return CO_TOO_BIG;
	r = sites_request(REQUEST_SITES_PUT, sites);
	if (!r)
		return CO_NO_MEMORY;
	r->grows = true;
	r->sites.rows = arena_copy(&r->in, sites->rows, sites->size);
	r->sites.size = sites->size;
	if (!r->sites.rows) {
		request_unref(r);
		return CO_NO_MEMORY;
	}
	return writer_queue(s, r);
}

/* ---- on the writer thread ---- */

int sites_load(struct store *s, struct co_err *err)
{
	sqlite3_stmt *q = NULL;
	int status = 0;

	if (sqlite3_prepare_v2(s->db, "SELECT secret FROM site_secret", -1, &q, NULL) !=
		    SQLITE_OK ||
	    sqlite3_step(q) != SQLITE_ROW)
		status = sql_failed(s->db, s->path, err);
	else if (sqlite3_column_bytes(q, 0) != sizeof(s->site_secret))
		status = co_fail(err, CO_CORRUPT, "%s: its secret is damaged", s->path);
	else
		memcpy(s->site_secret, sqlite3_column_blob(q, 0),
		       sizeof(s->site_secret));
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

static void bind_key(sqlite3_stmt *q, const struct store_sites *sites)
{
	sql_bind_blob(q, 1, sites->build_id, sites->build_id_size);
	sql_bind_blob(q, 2, sites->digest, sizeof(sites->digest));
}

int sites_get(struct store *s, struct request *r)
{
	sqlite3_stmt *q = s->sql[SQL_SITES_GET];
	int got;

	r->sites.rows = NULL; /* it may run again, alone */
	r->sites.size = 0;
	bind_key(q, &r->sites);
	got = sql_step(s, SQL_SITES_GET);
	if (got == 1) {
		r->sites.size = (size_t) sqlite3_column_bytes(q, 0);
		r->sites.rows =
			arena_copy(&r->out, sqlite3_column_blob(q, 0), r->sites.size);
	}
	sql_reset(s, SQL_SITES_GET);
	return got < 0 ? got : 0;
}

int sites_put(struct store *s, struct request *r)
{
	sqlite3_stmt *q = s->sql[SQL_SITES_PUT];
	int status;

	bind_key(q, &r->sites);
	sql_bind(q, 3, r->sites.size);
	sql_bind_blob(q, 4, r->sites.rows, r->sites.size);
	status = sql_run(s, SQL_SITES_PUT);
	if (status < 0)
		return status;
	s->wrote = true;
	sql_bind(s->sql[SQL_SITES_CAP], 1, CO_LIMIT_SITES_TABLES);
	sql_bind(s->sql[SQL_SITES_CAP], 2, CO_LIMIT_SITES_BYTES);
	return sql_run(s, SQL_SITES_CAP);
}
