-- The run log: the whole schema on one page. Applied once, to an empty file, in one transaction.
--
-- Times are milliseconds since 1970 UTC, durations are active seconds (pauses excluded), JSON is UTF-8 text.
-- The journals in the run directories are the truth about what a run measured; this file can be made again from
-- them. Please read it, join it, copy it (`VACUUM INTO`); write to it only through instdisc-lab, and never with a
-- SQLite before 3.51.3, which can lose pages of the write-ahead log.

PRAGMA application_id = 1229734210;  -- 'ILAB'
PRAGMA user_version = 4;             -- a program that knows less refuses the file; src/store/migrations/ has the way here

-- An experiment file as it was last queued.
CREATE TABLE experiment (
  key         INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
  question    TEXT NOT NULL,
  text        TEXT NOT NULL,                                   -- the TOML as written
  factors     TEXT NOT NULL CHECK (json_type(factors) = 'array'),     -- dotted keys that vary, seed apart
  refs        TEXT NOT NULL CHECK (json_type(refs) = 'array'),        -- published values: where, metric, value, source, status
  queued_at   INTEGER NOT NULL,
  planned     INTEGER NOT NULL DEFAULT 0,                      -- runs that its grid asks for; 0: not known
  removed     INTEGER NOT NULL DEFAULT 0                       -- how many of them `rm` has taken away since
) STRICT;

-- One run: one resolved specification, any number of attempts at it.
CREATE TABLE run (
  key         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE CHECK (id <> ''),           -- <experiment>-<8 hex of the fingerprint>[.N]
  fingerprint TEXT NOT NULL,                                   -- sha256 hex of the resolved specification
  spec        TEXT NOT NULL CHECK (json_type(spec) = 'object'),
  state       TEXT NOT NULL CHECK (state IN ('queued', 'starting', 'running', 'stopping', 'paused',
                                             'finished', 'failed', 'cancelled', 'lost')),
  reason      TEXT,                                            -- why it is in this state
  attempt     INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0), -- starts so far
  fresh       INTEGER NOT NULL DEFAULT 0 CHECK (fresh IN (0, 1)),     -- the next start ignores checkpoints
  slot        TEXT,                                            -- slot that works on it, while active
  device      TEXT,                                            -- cpu, cuda:0: where it last ran
  priority    INTEGER NOT NULL DEFAULT 0,                      -- higher goes first
  pinned      INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
  archived    INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
  note        TEXT NOT NULL DEFAULT '',
  queued_at   INTEGER NOT NULL,                                -- first queued, or last put back into the queue
  started_at  INTEGER,                                         -- first became running
  ended_at    INTEGER,                                         -- became finished, failed, cancelled or lost
  -- How far it is, from the journal.
  epoch       REAL NOT NULL DEFAULT 0,
  epochs      INTEGER NOT NULL DEFAULT 0,
  step        INTEGER NOT NULL DEFAULT 0,
  steps       INTEGER NOT NULL DEFAULT 0,
  sec         REAL NOT NULL DEFAULT 0,                         -- active seconds over all attempts
  -- How much of events.jsonl is in here: committed with what it says, hence exactly once.
  journal_bytes INTEGER NOT NULL DEFAULT 0,
  journal_lines INTEGER NOT NULL DEFAULT 0,
  heard_at    INTEGER,                                         -- time of the last event in here
  -- NULL: on this machine; else on a cluster, with what was asked of it for this run beyond lab.toml.
  launch      TEXT CHECK (launch IS NULL OR json_type(launch) = 'object')
) STRICT;

CREATE INDEX run_by_fingerprint ON run (fingerprint);
CREATE INDEX run_waiting ON run (priority DESC, queued_at, key) WHERE state = 'queued';
CREATE INDEX run_at_work ON run (slot) WHERE state IN ('starting', 'running', 'stopping');

-- Which experiments ask for which runs; one run may answer several.
CREATE TABLE run_experiment (
  experiment  INTEGER NOT NULL REFERENCES experiment (key) ON DELETE CASCADE,
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  ordinal     INTEGER NOT NULL,                                -- place in the grid, seeds innermost
  varied      TEXT NOT NULL CHECK (json_type(varied) = 'object'),     -- dotted key -> value
  variant     TEXT,
  PRIMARY KEY (experiment, run)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_experiment_by_run ON run_experiment (run);

CREATE TABLE tag (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  tag         TEXT NOT NULL CHECK (tag <> ''),
  PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;

-- Every start of a trainer.
CREATE TABLE attempt (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  attempt     INTEGER NOT NULL CHECK (attempt >= 1),
  slot        TEXT,
  device      TEXT,
  claimed_at  INTEGER,
  -- The trainer's process: these three together are never reused.
  boot_id     TEXT,
  pid         INTEGER,
  start_ticks INTEGER,                                         -- /proc/<pid>/stat field 22
  -- From its `start` event.
  started_at  INTEGER,
  resumed_step INTEGER,                                        -- 0 = from the beginning
  threads     INTEGER,
  precision   TEXT,
  resume      TEXT,                                            -- exact, or best effort
  -- From its `end` event.
  ended_at    INTEGER,
  end_state   TEXT CHECK (end_state IN ('finished', 'stopped', 'failed')),
  end_step    INTEGER,
  end_reason  TEXT,
  -- On a cluster: the node, its job, and how busy the node was when it last said so.
  host        TEXT,
  job         TEXT,
  figures     TEXT CHECK (figures IS NULL OR json_type(figures) = 'object'),
  PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;

-- What became of each run, and who said so. Only ever appended to; gone only with its run.
CREATE TABLE state_change (
  key         INTEGER PRIMARY KEY,
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  at          INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  from_state  TEXT,                                            -- NULL: it was created
  to_state    TEXT NOT NULL,
  reason      TEXT,
  by          TEXT NOT NULL                                    -- a subcommand, a screen, a worker's slot
) STRICT;

CREATE INDEX state_change_by_run ON state_change (run);
CREATE TRIGGER state_change_is_not_edited BEFORE UPDATE ON state_change
BEGIN SELECT RAISE (ABORT, 'state changes are only appended'); END;
CREATE TRIGGER state_change_is_not_deleted BEFORE DELETE ON state_change
WHEN EXISTS (SELECT 1 FROM run WHERE key = OLD.run)
BEGIN SELECT RAISE (ABORT, 'state changes are only appended'); END;

-- What a person asked of an active run; gone once the run is no longer active.
CREATE TABLE request (
  run         INTEGER PRIMARY KEY REFERENCES run (key) ON DELETE CASCADE,
  request     TEXT NOT NULL CHECK (request IN ('pause', 'cancel')),
  at          INTEGER NOT NULL,
  by          TEXT NOT NULL
) STRICT;

-- Workers that said hello. Whether one lives is for its lock file under slots/ to say.
CREATE TABLE worker (
  slot        TEXT PRIMARY KEY,
  device      TEXT NOT NULL,
  boot_id     TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  since       INTEGER NOT NULL,
  draining    INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1))   -- finishes its run, then leaves
) STRICT, WITHOUT ROWID;

-- Metric names, so that points can be small. What one means is for the first run to say that declares it.
CREATE TABLE metric (
  key         INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
  unit        TEXT NOT NULL DEFAULT '',
  better      TEXT NOT NULL DEFAULT 'neither' CHECK (better IN ('lower', 'higher', 'neither'))
) STRICT;

-- Measurements, clustered by run, metric and step: a curve is one range. SQLite stores a NaN as NULL and -0.0 as 0,
-- hence the flag: 0 a number, 1 NaN, 2 Infinity, 3 -Infinity (value NULL for these three), 4 negative zero.
CREATE TABLE point (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  metric      INTEGER NOT NULL,
  step        INTEGER NOT NULL,
  epoch       REAL NOT NULL,
  sec         REAL NOT NULL,
  value       REAL,
  flag        INTEGER NOT NULL CHECK ((value IS NULL) = (flag BETWEEN 1 AND 3)),
  PRIMARY KEY (run, metric, step)
) STRICT, WITHOUT ROWID;

-- One row for each run and metric that has points, written in the transaction that writes the points.
CREATE TABLE summary (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  metric      INTEGER NOT NULL REFERENCES metric (key),
  n           INTEGER NOT NULL CHECK (n > 0),
  last        REAL,
  last_flag   INTEGER NOT NULL,
  last_step   INTEGER NOT NULL,
  best        REAL,                                            -- best finite value in the metric's direction
  best_step   INTEGER,                                         -- the first step that reached it
  CHECK ((best IS NULL) = (best_step IS NULL)),
  PRIMARY KEY (run, metric)
) STRICT, WITHOUT ROWID;

-- Evaluations with everything that defines them: k, tau, bank, sizes.
CREATE TABLE evaluation (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  metric      TEXT NOT NULL,
  step        INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  value       REAL,
  flag        INTEGER NOT NULL CHECK ((value IS NULL) = (flag BETWEEN 1 AND 3)),
  settings    TEXT NOT NULL CHECK (json_type(settings) = 'object'),
  PRIMARY KEY (run, metric, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  step        INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  file        TEXT NOT NULL,                                   -- relative to the run directory
  hash        TEXT NOT NULL,                                   -- sha256 of the file, hex
  PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE warning (
  key         INTEGER PRIMARY KEY,
  run         INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
  attempt     INTEGER NOT NULL,
  step        INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  code        TEXT NOT NULL,                                   -- loss_at_chance, damaged_checkpoint, garbled_journal, ...
  message     TEXT NOT NULL
) STRICT;

CREATE INDEX warning_by_run ON warning (run);

-- For people, and for whatever SQLite they have (3.37 at least, for STRICT): one older than what a view says refuses the
-- whole file.

CREATE VIEW runs AS
SELECT run.id, run.state, run.reason, run.attempt, run.device,
       round(run.epoch, 2) AS epoch, run.epochs, run.step, run.steps, round(run.sec, 1) AS sec,
       (SELECT group_concat(name, ' ') FROM (SELECT experiment.name FROM run_experiment
          JOIN experiment ON experiment.key = run_experiment.experiment
         WHERE run_experiment.run = run.key ORDER BY experiment.key)) AS experiments,
       (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM tag WHERE tag.run = run.key ORDER BY tag)) AS tags,
       (SELECT last FROM summary JOIN metric ON metric.key = summary.metric
         WHERE summary.run = run.key AND metric.name = 'loss') AS loss,
       (SELECT last FROM summary JOIN metric ON metric.key = summary.metric
         WHERE summary.run = run.key AND metric.name = 'knn_top1') AS knn_top1,
       (SELECT best FROM summary JOIN metric ON metric.key = summary.metric
         WHERE summary.run = run.key AND metric.name = 'knn_top1') AS knn_top1_best,
       datetime(run.queued_at / 1000, 'unixepoch') AS queued_at_utc,
       datetime(run.started_at / 1000, 'unixepoch') AS started_at_utc,
       datetime(run.ended_at / 1000, 'unixepoch') AS ended_at_utc,
       run.note
  FROM run WHERE NOT run.archived ORDER BY run.pinned DESC, run.key;

CREATE VIEW points AS
SELECT run.id AS run, metric.name AS metric, point.step, point.epoch, point.sec, point.value,
       CASE point.flag WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' END AS not_finite,
       metric.unit
  FROM point JOIN run ON run.key = point.run JOIN metric ON metric.key = point.metric;

CREATE VIEW changes AS
SELECT datetime(state_change.at / 1000, 'unixepoch') AS at_utc, run.id AS run, state_change.attempt,
       state_change.from_state, state_change.to_state, state_change.reason, state_change.by
  FROM state_change JOIN run ON run.key = state_change.run ORDER BY state_change.key;
