"""Nearest neighbours as PyTorch and faiss-cpu find them, on the amounts of benches/ours/search.rs.

    search.py knn_eval torch|faiss     10,000 queries over 50,000 x 128, the 200 nearest: mm + topk; IndexFlatIP
    search.py search_1m torch|faiss    one query over 1,281,167 x 128, the 10 nearest; faiss with 8-bit codes

Prints {"name": ..., "value": ..., "unit": ...}.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F


def rows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.rand(n, 128, generator=generator) - 0.5)


def median(rounds, work):
    work()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def knn_eval(with_faiss):
    queries, bank = rows(10_000, 1), rows(50_000, 2)
    if with_faiss:
        import faiss

        index = faiss.IndexFlatIP(128)
        index.add(bank.numpy())
        return median(3, lambda: index.search(queries.numpy(), 200))
    return median(3, lambda: (queries @ bank.T).topk(200, dim=1))


def search_1m(with_faiss):
    bank, query = rows(1_281_167, 2), rows(1, 1)
    if with_faiss:
        import faiss

        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexScalarQuantizer(128, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(bank[:100_000].numpy())
        index.add(bank.numpy())
        return median(20, lambda: index.search(query.numpy(), 10))
    return median(20, lambda: (bank @ query[0]).topk(10))


def main():
    measures = {"knn_eval": knn_eval, "search_1m": search_1m}
    name, peer = (sys.argv[1:] + ["", ""])[:2]
    if name not in measures or peer not in ("torch", "faiss"):
        sys.exit(f"search.py: found {name} {peer}, allowed: {', '.join(measures)}, then torch or faiss")
    value, unit = measures[name](peer == "faiss"), "s"
    if name == "search_1m":
        value, unit = 1e3 * value, "ms"
    print(json.dumps({"name": name, "value": value, "unit": unit}))


if __name__ == "__main__":
    main()
