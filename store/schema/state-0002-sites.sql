-- SPDX-License-Identifier: MIT
-- Site tables of ELF files, so that a file is scanned once: a cache, capped, which may be
-- emptied at any time.  A file is known by its build-id (empty when it has none) and by a
-- digest of all that the scanner has read of it; the key of the digest is secret, since
-- build-ids are written by whoever writes the file.

CREATE TABLE site_secret (
	secret BLOB NOT NULL
);

INSERT INTO site_secret VALUES (randomblob(16));

-- AUTOINCREMENT: the oldest go first.
CREATE TABLE site_table (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	build_id BLOB NOT NULL,
	digest   BLOB NOT NULL,
	size     INTEGER NOT NULL,
	rows     BLOB NOT NULL,
	UNIQUE (build_id, digest)
);
