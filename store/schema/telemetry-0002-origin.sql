-- SPDX-License-Identifier: MIT
-- The call that reported an error: the same call, run again by the next daemon, adds no
-- second row.  0: no call, or one whose row may come twice.

ALTER TABLE error ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX error_origin ON error (session, origin) WHERE origin <> 0;
