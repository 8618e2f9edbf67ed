#!/usr/bin/env python3
"""Measures this program and its peers in turn, several rounds, and says how they compare.

    make bench                            everything; 15 to 25 minutes on two cores
    scripts/bench.py log_ingest tui_key   some of it
    scripts/bench.py --rounds 5 …         more rounds

Ours is `cargo bench --bench ours -- NAME`, the peers are scripts/peers/*.py; each prints one JSON line. Within a round the
two follow each other closely, so that whatever else the machine does meets both, and a ratio is taken within its
round. Where the peers are not installed (scripts/peers.sh), ours is measured alone and what was left out is said.

Prints a table and writes target/bench/summary.json: an array of {name, unit, ours, peer, peer_name, ratio, ratio_min,
ratio_max, goal, met}, and `others` with the slower peers. Ratios above 1 mean that ours is better.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "bench"

# Units of which less is better; of all others more is.
LESS_IS_BETTER = {"s", "ms", "us", "ns", "MB", "%"}


@dataclass
class Goal:
    """What a row has to reach: a bound of ours, of the ratio, or of the share of a training step."""

    at_most: float | None = None
    at_least: float | None = None
    ratio: float | None = None
    share: float | None = None

    def __str__(self):
        bounds = [
            ("≤ {:g}", self.at_most), ("≥ {:,g}", self.at_least), ("≥ {:g}×", self.ratio), ("≤ {:.0%} of a step", self.share),
        ]
        return ", ".join(text.format(bound) for text, bound in bounds if bound is not None)

    def met(self, ours, ratio, step):
        """Whether medians `ours` and `ratio` reach it; None where what it asks about was not measured.

        `step` is our training step in images a second, for goals that are a share of it.
        """
        found = []
        if self.at_most is not None:
            found.append(ours <= self.at_most)
        if self.at_least is not None:
            found.append(ours >= self.at_least)
        if self.ratio is not None:
            found.append(None if ratio is None else ratio >= self.ratio)
        if self.share is not None:
            found.append(None if step is None else step / ours <= self.share)
        return None if None in found else all(found)


@dataclass
class Measure:
    name: str
    what: str
    goal: Goal
    # name → arguments of a script under scripts/peers
    peers: dict[str, list[str]] = field(default_factory=dict)
    rounds: int = 3
    # Whether it wants an NVIDIA GPU.
    cuda: bool = False


TRAIN = "training step, ResNet-18, batch 128, m = 4096"
MEASURES = [
    Measure("train_step_fp32", TRAIN, Goal(ratio=3.5), {"PyTorch fp32": ["train.py", "fp32"]}),
    Measure("train_step_best", TRAIN, Goal(ratio=1.0), {
        "PyTorch bf16, compiled": ["train.py", "compiled"],
        "PyTorch bf16, channels-last": ["train.py", "bf16"],
    }),
    Measure("train_step_same", "the same, fp32 on both sides", Goal(ratio=1.0), {"PyTorch fp32": ["train.py", "fp32"]}, rounds=2),
    Measure("train_step_cuda", "the same on a GPU, steps recorded", Goal(at_least=33_700, ratio=1.0), {
        "PyTorch bf16, compiled": ["train.py", "compiled", "200", "cuda"],
        "PyTorch bf16, channels-last": ["train.py", "bf16", "200", "cuda"],
        "PyTorch fp32": ["train.py", "fp32", "200", "cuda"],
    }, cuda=True),
    Measure("train_step_cuda_plain", "the same on a GPU, one operation at a time", Goal(), {}, cuda=True),
    Measure("nce_step", "NCE loss and gradient, m = 4096, n = 50,000", Goal(ratio=5.0), {"PyTorch gather + bmm": ["nce.py"]}, rounds=5),
    Measure("knn_eval", "k-NN search, 10,000 × 50,000, k = 200", Goal(at_most=0.4), {
        "faiss flat": ["search.py", "knn_eval", "faiss"],
        "PyTorch mm + topk": ["search.py", "knn_eval", "torch"],
    }),
    Measure("search_1m", "image search, one query, 1,281,167 × 128", Goal(at_most=10), {
        "faiss 8-bit codes": ["search.py", "search_1m", "faiss"],
        "PyTorch fp32": ["search.py", "search_1m", "torch"],
    }),
    Measure("augment", "augmentation, 32×32", Goal(share=0.05), {"torchvision on PIL": ["augment.py"]}),
    Measure("log_ingest", "journal to SQLite", Goal(at_least=500_000), {
        "TensorBoard": ["trackers.py", "tensorboard", "ingest"],
        "W&B offline": ["trackers.py", "wandb", "ingest"],
    }),
    Measure("log_call", "logging in the loop, a point", Goal(at_most=1000), {
        "TensorBoard": ["trackers.py", "tensorboard", "call"],
        "W&B offline": ["trackers.py", "wandb", "call"],
    }),
    Measure("tui_frame", "frame, 12 charts × 8 runs × 100,000 points, all moved", Goal(at_most=8)),
    Measure("tui_key", "key to frame on the same charts", Goal(at_most=5)),
    Measure("table_key", "the same in the table of 10,000 runs, 1,000 at work", Goal(at_most=5), rounds=1),
    Measure("tui_open", "a lab of 1,000 runs, to table and curves", Goal(at_most=200)),
    Measure("startup", "start to first frame, 1,000 runs", Goal(at_most=100)),
    Measure("runs_json", "runs --format json, 10,000 runs", Goal(at_most=300), rounds=2),
    Measure("tui_idle", "run table at rest, share of a core", Goal(at_most=1), rounds=1),
    Measure("tui_memory", "run table in memory, 1,000 runs", Goal(at_most=60), rounds=1),
]


def ratio_of(ours, peer, unit):
    """How many times better ours is."""
    return peer / ours if unit in LESS_IS_BETTER else ours / peer


def row(measure, unit, ours, peers, step):
    """One entry of the summary from the rounds' values: `ours` a list, `peers` name → list of the same length.

    The peer that ours is held against is the best one, by its median.
    """
    entry = {"name": measure.name, "what": measure.what, "unit": unit, "ours": statistics.median(ours)}
    entry |= dict.fromkeys(["peer", "peer_name", "ratio", "ratio_min", "ratio_max"])
    better = min if unit in LESS_IS_BETTER else max
    if peers:
        best = better(peers, key=lambda name: statistics.median(peers[name]))
        ratios = [ratio_of(mine, theirs, unit) for mine, theirs in zip(ours, peers[best])]
        entry |= {
            "peer": statistics.median(peers[best]), "peer_name": best, "ratio": statistics.median(ratios),
            "ratio_min": min(ratios), "ratio_max": max(ratios),
            "others": {name: statistics.median(values) for name, values in peers.items() if name != best},
        }
    met = measure.goal.met(entry["ours"], entry["ratio"], step)
    return entry | {"goal": str(measure.goal), "met": met}


def figure(value):
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(entries):
    """The summary for people."""
    lines = [("what", "unit", "ours", "peer", "ratio", "min–max", "goal", "met")]
    for entry in entries:
        peer = f"{figure(entry['peer'])} {entry['peer_name']}" if entry["peer_name"] else ""
        spread = f"{entry['ratio_min']:.2f}–{entry['ratio_max']:.2f}" if entry["peer_name"] else ""
        ratio = f"{entry['ratio']:.2f}" if entry["peer_name"] else ""
        met = {True: "yes", False: "NO", None: "?"}[entry["met"]]
        lines.append((entry["what"], entry["unit"], figure(entry["ours"]), peer, ratio, spread, entry["goal"], met))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


class Missing(Exception):
    """A side that cannot be measured, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def measured(command, **options):
    """The JSON line that a command prints last: (value, unit)."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        return float(answer["value"]), answer["unit"]
    except (IndexError, KeyError, ValueError):
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise Missing(last) from None


def built():
    """The bench program."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "bench", "--locked", "--bench", "ours", "--no-run", "--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    found = [m["executable"] for m in messages if m.get("target", {}).get("name") == "ours" and m.get("executable")]
    return found[-1]


def has_gpu():
    """Whether the driver lists one."""
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program, "-L"], capture_output=True).returncode == 0


def peer_python():
    """The Python that has the peers, or None."""
    folder = os.environ.get("INSTDISC_PEERS")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    python = pathlib.Path(folder or cache / "instdisc-lab" / "peers") / "bin" / "python"
    return str(python) if python.exists() else None


def rounds_of(measure, n, program, python, left_out):
    """Values of ours and of each peer, round by round, and the unit."""
    ours, unit = [], ""
    peers = {}
    if measure.peers and python is None:
        left_out.append(f"{measure.name}: {', '.join(measure.peers)} (not installed)")
    elif measure.peers:
        peers = {name: [] for name in measure.peers}
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(OUT / "inductor")}
    for _ in range(n):
        value, unit = measured([program, measure.name])
        ours.append(value)
        for name in list(peers):
            script, *arguments = measure.peers[name]
            try:
                command = [python, f"scripts/peers/{script}", *arguments]
                value, theirs = measured(command, env=environment)
                if theirs != unit:
                    raise Missing(f"it answers in {theirs}, ours in {unit}")
                peers[name].append(value)
            except Missing as why:
                left_out.append(f"{measure.name}: {name} ({why})")
                del peers[name]
    return ours, peers, unit


def main():
    known = {measure.name: measure for measure in MEASURES}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which measures: {' '.join(known)}")
    parser.add_argument("--rounds", type=int, help="rounds of each measure")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in known:
            parser.error(f"NAME: found {name}, allowed: {' '.join(known)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error(f"--rounds: found {arguments.rounds}, allowed: 1 or more")
    chosen = [known[name] for name in arguments.names] or MEASURES
    program, python = built(), peer_python()
    if python is None:
        say("the peers are not installed: ours alone (scripts/peers.sh installs them)")
    OUT.mkdir(parents=True, exist_ok=True)
    entries, left_out, step = [], [], None
    for measure in chosen:
        if measure.cuda and not has_gpu():
            left_out.append(f"{measure.name}: this machine has no NVIDIA GPU that answers")
            continue
        begin = time.monotonic()
        try:
            rounds = arguments.rounds or measure.rounds
            ours, peers, unit = rounds_of(measure, rounds, program, python, left_out)
        except Missing as why:
            left_out.append(f"{measure.name}: ours ({why})")
            continue
        entry = row(measure, unit, ours, peers, step)
        if measure.name == "train_step_best":
            step = entry["ours"]
        entries.append(entry)
        beside = f", {entry['ratio']:.2f}× {entry['peer_name']}" if entry["peer_name"] else ""
        say(f"{measure.name}: {figure(entry['ours'])} {unit}{beside} ({time.monotonic() - begin:.0f} s)")
        (OUT / "summary.json").write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    print(table(entries))
    for line in left_out:
        print(f"left out: {line}")


if __name__ == "__main__":
    main()
