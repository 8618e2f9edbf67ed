-- From schema 2: runs that a cluster works on, and where there. Only adds. Workers of the older program that are still at
-- work know nothing of clusters and take whatever waits, on their own machine: the run is the same.

ALTER TABLE run ADD COLUMN launch TEXT CHECK (launch IS NULL OR json_type(launch) = 'object');
ALTER TABLE attempt ADD COLUMN host TEXT;
ALTER TABLE attempt ADD COLUMN job TEXT;
ALTER TABLE attempt ADD COLUMN figures TEXT CHECK (figures IS NULL OR json_type(figures) = 'object');
PRAGMA user_version = 3;
