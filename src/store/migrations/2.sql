-- From schema 1: how many runs a grid asks for, so that `doctor --check` can tell that none went missing; and an index
-- for the question that every worker asks several times a second. Only adds, so workers of the older program that are
-- still at work go on undisturbed.

ALTER TABLE experiment ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE experiment ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_at_work ON run (slot) WHERE state IN ('starting', 'running', 'stopping');
PRAGMA user_version = 2;
