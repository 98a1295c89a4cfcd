-- SPDX-License-Identifier: MIT
-- telemetry.db: best effort, capped.  Written by the store's telemetry thread only.

PRAGMA application_id = 1668248436;

CREATE TABLE log (
	id        INTEGER PRIMARY KEY,
	at_us     INTEGER NOT NULL,
	session   INTEGER NOT NULL,
	level     TEXT NOT NULL,
	subsystem TEXT NOT NULL,
	message   TEXT NOT NULL
);

CREATE INDEX log_session ON log (session) WHERE session <> 0;

CREATE TABLE error (
	id        INTEGER PRIMARY KEY,
	at_ns     INTEGER NOT NULL,
	session   INTEGER NOT NULL,
	pid       INTEGER NOT NULL,
	tid       INTEGER NOT NULL,
	code      INTEGER NOT NULL,
	reported  INTEGER NOT NULL,
	component TEXT NOT NULL,
	message   TEXT NOT NULL
);
