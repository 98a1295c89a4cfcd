-- SPDX-License-Identifier: MIT
-- state.db: what must never be lost.  Written by the store's writer thread only.

PRAGMA application_id = 1668248436;

-- The newest state of every key.
CREATE TABLE kv (
	key        BLOB PRIMARY KEY,
	value      BLOB NOT NULL,
	create_rev INTEGER NOT NULL,
	mod_rev    INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	lease      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX kv_lease ON kv (lease) WHERE lease <> 0;

-- Every change since the compacted revision: what the key is after it, for watches that
-- resume, and what it was before it, for lists as of an older revision.  version 0: the
-- key does not exist.
CREATE TABLE event (
	rev         INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	key         BLOB NOT NULL,
	value       BLOB,
	create_rev  INTEGER NOT NULL,
	version     INTEGER NOT NULL,
	lease       INTEGER NOT NULL,
	was_value   BLOB,
	was_create  INTEGER NOT NULL,
	was_mod     INTEGER NOT NULL,
	was_version INTEGER NOT NULL,
	was_lease   INTEGER NOT NULL,
	PRIMARY KEY (rev, seq)
) WITHOUT ROWID;

-- AUTOINCREMENT: the id of a lapsed lease never comes round again.
CREATE TABLE lease (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	ttl_ms INTEGER NOT NULL
);

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta VALUES ('compacted', 0);

-- Answers of guest calls, one row per slot, for exactly-once across a restart.
CREATE TABLE call_journal (
	slot    INTEGER PRIMARY KEY,
	session INTEGER NOT NULL,
	call    INTEGER NOT NULL,
	result  INTEGER NOT NULL
);
