"""Packs finished and waiting runs of a lab into assets/demo.tar.gz, which `instdisc-lab --demo` opens.

    python3 scripts/demo.py HOME [RUN_PREFIX…]

Kept of a run: specification, experiment, what people said about it, environment, journal, logs. Left out: checkpoints; of
runs on the built-in images, which the screens can show anywhere, the newest one's memory bank stays.
A folder of images is renamed to its last part, as where it lay on the recording machine says nothing. The archive is the
same for the same runs, whenever and wherever it is made.
"""

import gzip
import hashlib
import io
import json
import pathlib
import struct
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


def bank_alone(run):
    """The newest checkpoint without all but its memory bank: two files by name, or none."""
    on_shapes = json.loads((run / "spec.json").read_text())["data"]["dataset"] == "shapes"
    commits = sorted((run / "checkpoints").glob("step-*.json"), key=lambda path: int(path.stem[5:]))
    if not on_shapes or not commits:
        return {}
    commit = json.loads(commits[-1].read_text())
    data = (commits[-1].parent / commit["file"]).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    bank = json.loads(data[8 : 8 + length]).get("bank")
    if bank is None:
        return {}
    start, end = bank["data_offsets"]
    numbers = data[8 + length + start : 8 + length + end]
    header = json.dumps({"bank": {**bank, "data_offsets": [0, len(numbers)]}}).encode()
    header += b" " * (-len(header) % 8)
    alone = struct.pack("<Q", len(header)) + header + numbers
    commit["hash"] = hashlib.sha256(alone).hexdigest()
    return {f"checkpoints/{commit['file']}": alone, f"checkpoints/{commits[-1].name}": json.dumps(commit).encode()}


def main(home, prefixes):
    runs = sorted(run for run in (pathlib.Path(home) / "runs").iterdir() if run.is_dir() and is_kept(run))
    runs = [run for run in runs if not prefixes or run.name.startswith(tuple(prefixes))]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for run in runs:
            kept = {name: without_paths(name, (run / name).read_bytes()) for name in KEPT if (run / name).exists()}
            for name, data in (kept | bank_alone(run)).items():
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
