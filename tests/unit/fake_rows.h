/* SPDX-License-Identifier: MIT */
/*
 * store/rows.h in memory, answering through the posts of a fake host.  HOST.  Rows can be
 * refused, fail, or be forgotten, and reads be held back or refused.
 */
#ifndef CO_TESTS_FAKE_ROWS_H
#define CO_TESTS_FAKE_ROWS_H

#include "store/rows.h"
#include "tests/unit/fake_host.h"

struct fake_row;
struct fake_read;

struct store {
	struct fake_host *fake;
	struct fake_row *rows[4096];
	size_t n, forgotten; /* rows[0] has number forgotten + 1 */
	void (*added)(void *arg, const struct store_row *row);
	void *arg;
	int refuse, fail;       /* what adding answers at once; later */
	int refuse_reads;       /* what reading answers at once */
	bool hold_reads;        /* until fake_rows_release */
	size_t reads;           /* taken, ever */
	size_t page;            /* no page has more rows; 0: as asked */
	struct fake_read *held; /* a list */
};

void fake_rows_init(struct store *store, struct fake_host *fake);
void fake_rows_done(struct store *store);
/* A row that was there before. */
void fake_rows_put(struct store *store, const struct store_row *row);
/* Forgets the oldest n. */
void fake_rows_forget(struct store *store, size_t n);
void fake_rows_release(struct store *store);

#endif
