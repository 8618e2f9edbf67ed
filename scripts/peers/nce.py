"""NCE forward and backward in PyTorch as lemniscate.pytorch runs it (NCEAverage and NCECriterion): the rows of the
negatives gathered into (B, m, D), one batched product, the loss, and autograd back to the features.

n = 50,000, m = 4096, D = 128, B = 128 as in benches/ours/nce.rs. Prints {"name": "nce_step", ...}; with --softmax, the
exact softmax over all n rows by one matrix product, as {"name": "nce_softmax", ...}.
"""

import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

N, M, DIM, B, TAU = 50_000, 4096, 128, 128, 0.07


def main():
    generator = torch.Generator().manual_seed(0)
    bank = F.normalize(torch.randn(N, DIM, generator=generator))
    feats = F.normalize(torch.randn(B, DIM, generator=generator)).requires_grad_()
    index = torch.arange(B)
    log_z = math.log(60_000.0)

    def nce():
        draws = torch.randint(0, N, (B, M + 1))
        draws[:, 0] = index
        rows = bank.index_select(0, draws.view(-1)).view(B, M + 1, DIM)
        logits = torch.bmm(rows, feats.unsqueeze(2)).squeeze(2) / TAU - log_z - math.log(M / N)
        loss = (F.softplus(-logits[:, 0]).sum() + F.softplus(logits[:, 1:]).sum()) / B
        loss.backward()
        feats.grad = None

    def softmax():
        F.cross_entropy(feats @ bank.T / TAU, index).backward()
        feats.grad = None

    exact = "--softmax" in sys.argv
    step = softmax if exact else nce
    step()
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    name = "nce_softmax" if exact else "nce_step"
    print(json.dumps({"name": name, "value": statistics.median(seconds), "unit": "s"}))


if __name__ == "__main__":
    main()
