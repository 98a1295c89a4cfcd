-- SPDX-License-Identifier: MIT
-- When a key is gone by itself, in milliseconds since the epoch; 0: never.  Only brief
-- keys have it, of which no history is kept.

ALTER TABLE kv ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;

CREATE INDEX kv_expires ON kv (expires) WHERE expires <> 0;
