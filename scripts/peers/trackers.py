"""The other trackers' side of logging: 8 metrics a step to the disk.

    trackers.py tensorboard | wandb  ingest | call

ingest  points a second from the first call until everything is on the disk
call    nanoseconds a point that the calls hold up the training loop

Prints one JSON line.
"""

import json
import os
import sys
import tempfile
import time

NAMES = ["images_per_second", "loss", "loss/instance", "loss/proximal", "lr", "z", "grad_norm", "knn_top1"]
STEPS = {"tensorboard": 10_000, "wandb": 3_000}


def value(step, which):
    return 9.7 / (1.0 + step * 1e-4 * (which + 1))


def tensorboard(folder):
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder)

    def log(step):
        for which, name in enumerate(NAMES):
            writer.add_scalar(name, value(step, which), step)

    return log, writer.close


def wandb(folder):
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=folder)
    import wandb as peer

    run = peer.init(project="bench", dir=folder, settings=peer.Settings(console="off"))
    return (lambda step: run.log({name: value(step, i) for i, name in enumerate(NAMES)}, step=step)), run.finish


def main():
    which, what = sys.argv[1:3]
    steps = STEPS[which]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log, close = {"tensorboard": tensorboard, "wandb": wandb}[which](folder)
        begin = time.perf_counter()
        for step in range(steps):
            log(step)
        called = time.perf_counter() - begin
        close()
        written = time.perf_counter() - begin
    points = steps * len(NAMES)
    found = (called * 1e9 / points, "ns") if what == "call" else (points / written, "points/s")
    print(json.dumps({"name": f"log_{what}", "value": found[0], "unit": found[1]}))


if __name__ == "__main__":
    main()
