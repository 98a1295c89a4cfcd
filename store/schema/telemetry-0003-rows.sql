-- SPDX-License-Identifier: MIT
-- Logs, metrics and events: numbered rows of one form (store/rows.h).  service, source and
-- name are numbers of `word`, or the text itself once there are too many words.  text,
-- value and json are blobs, so that their length can be told without reading them.

CREATE TABLE word (
	id   INTEGER PRIMARY KEY,
	text TEXT NOT NULL UNIQUE
);

CREATE TABLE row_log (
	id      INTEGER PRIMARY KEY,
	at_ms   INTEGER NOT NULL,
	service NOT NULL,
	source,
	name,
	text    BLOB,
	value   BLOB,
	json    BLOB
);

CREATE INDEX row_log_name ON row_log (service, name);

CREATE TABLE row_metric (
	id      INTEGER PRIMARY KEY,
	at_ms   INTEGER NOT NULL,
	service NOT NULL,
	source,
	name,
	text    BLOB,
	value   BLOB,
	json    BLOB
);

CREATE INDEX row_metric_name ON row_metric (service, name);

CREATE TABLE row_event (
	id      INTEGER PRIMARY KEY,
	at_ms   INTEGER NOT NULL,
	service NOT NULL,
	source,
	name,
	text    BLOB,
	value   BLOB,
	json    BLOB
);

CREATE INDEX row_event_name ON row_event (service, name);

-- The bytes in text, value and json of each table, 0 to 2 as above.
CREATE TABLE row_bytes (
	tbl   INTEGER PRIMARY KEY,
	bytes INTEGER NOT NULL
);

INSERT INTO row_bytes VALUES (0, 0), (1, 0), (2, 0);
