/* SPDX-License-Identifier: MIT */
/* The files in FOLDER/sites.  HOST.  Called by site.c, one thread at a time. */
#ifndef CO_DAEMON_SITE_FILE_H
#define CO_DAEMON_SITE_FILE_H

#include <co/sites.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "lib/err.h"

struct site_folder {
	int fd; /* -1: none */
	uint64_t tables, bytes;
};

/* Makes the folder if need be, removes what a killed daemon left half-written. */
int site_folder_open(struct site_folder *f, const char *run, struct co_err *err);

/* Is there a table for the file with that fstat? */
bool site_folder_has(const struct site_folder *f, const struct stat *file);

/*
 * Puts a table there: written under another name, then renamed.  `head` has everything
 * but what names the file.  When there are too many the oldest go.
 */
int site_folder_put(struct site_folder *f, const struct stat *file,
		    struct co_sites_header head, const struct co_sites_row *rows,
		    struct co_err *err);

#endif
