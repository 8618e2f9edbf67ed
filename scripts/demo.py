"""Packs finished and waiting runs of a lab into assets/demo.tar.gz, which `instdisc-lab --demo` opens.

    python3 scripts/demo.py HOME [RUN_PREFIX…]

Kept of a run: specification, experiment, what people said about it, environment, journal, logs. Left out: checkpoints.
A folder of images is renamed to its last part, as where it lay on the recording machine says nothing. The archive is the
same for the same runs, whenever and wherever it is made.
"""

import gzip
import io
import json
import pathlib
import sys
import tarfile

KEPT = ["spec.json", "experiment.toml", "meta.json", "env.json", "events.jsonl", "stdout.log", "stderr.log"]


def without_paths(name, data):
    if name != "spec.json":
        return data
    spec = json.loads(data)
    root = spec["data"].get("root")
    if root:
        spec["data"]["root"] = pathlib.PurePath(root).name
    return json.dumps(spec, indent=2).encode()


def is_kept(run):
    journal = run / "events.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    ended = lines and json.loads(lines[-1]).get("state") == "finished"
    return (run / "spec.json").exists() and (not lines or ended)


def main(home, prefixes):
    runs = sorted(run for run in (pathlib.Path(home) / "runs").iterdir() if run.is_dir() and is_kept(run))
    runs = [run for run in runs if not prefixes or run.name.startswith(tuple(prefixes))]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for run in runs:
            for name in KEPT:
                if (run / name).exists():
                    data = without_paths(name, (run / name).read_bytes())
                    entry = tarfile.TarInfo(f"runs/{run.name}/{name}")
                    entry.size, entry.mode = len(data), 0o644
                    tar.addfile(entry, io.BytesIO(data))
    path = pathlib.Path(__file__).parent.parent / "assets" / "demo.tar.gz"
    path.write_bytes(gzip.compress(out.getvalue(), 9, mtime=0))
    print(f"{path}: {len(runs)} runs, {path.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
