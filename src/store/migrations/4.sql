-- From schema 3: the view of runs as an SQLite before 3.44 can read it, which refused the whole file for an ORDER BY inside
-- group_concat; and no more places counted as removed than are empty: a place that another run still filled was counted.
-- Nothing that a worker of the older program reads is another.

DROP VIEW runs;
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
UPDATE experiment SET removed = min(removed, max(0, planned - (SELECT count(DISTINCT ordinal) FROM run_experiment
  WHERE run_experiment.experiment = experiment.key AND ordinal < planned)));
PRAGMA user_version = 4;
