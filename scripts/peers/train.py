"""PyTorch's side of the training step: instance discrimination by NCE as its users run it.

    train.py fp32 | bf16 | compiled [steps [cpu | cuda]]

Follows the papers' equations (Wu et al. 2018, Eq. 4-8 and the proximal term), not anybody's code: ResNet-18 with a 3x3
stem on 32x32 images, batch 128, a bank of 50,000 x 128, m = 4096 uniform negatives gathered and multiplied by bmm, Z fixed
after the first batch, SGD with momentum; images from PIL through torchvision's transforms in a DataLoader with two workers.

fp32      plain, as lemniscate.pytorch trains
bf16      autocast, channels-last, fused SGD
compiled  the same, network and loss under torch.compile, on CUDA with its graphs (mode reduce-overhead)

On CUDA the loader has 14 workers and pinned memory, and fp32 multiplies in TF32 where torch does by default.

Prints one JSON line: images a second over whole steps.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import models, transforms

IMAGES, DIM, BATCH, M, TAU, LAMBDA, BANK_MOMENTUM = 50_000, 128, 128, 4096, 0.07, 10.0, 0.5
WARM = {"fp32": 2, "bf16": 2, "compiled": 4}
WARM_CUDA = 20


class Noise(torch.utils.data.Dataset):
    """Images of CIFAR-10's size; what is on them does not matter."""

    def __init__(self):
        self.images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
        self.transform = transforms.Compose([
            transforms.RandomResizedCrop(32, scale=(0.2, 1.0)),
            transforms.ColorJitter(0.4, 0.4, 0.4, 0.4),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ])

    def __len__(self):
        return IMAGES

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), index


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = models.resnet18(num_classes=DIM)
        self.net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.net.maxpool = nn.Identity()

    def forward(self, images):
        return F.normalize(self.net(images).float(), dim=1)


def sims(feats, bank, drawn):
    """v_j . f / tau of the own slot and m drawn ones. (B, 1 + m)"""
    rows = bank.index_select(0, drawn.view(-1)).view(len(feats), -1, DIM)
    return torch.bmm(rows, feats.unsqueeze(2)).squeeze(2) / TAU


def loss_of(feats, bank, index, drawn, log_z):
    """Eq. 7 with h as the logistic function of u = v.f/tau - ln Z - ln(m/n), and the proximal term. Scalar."""
    u = sims(feats, bank, drawn) - log_z - float(np.log(M / IMAGES))
    instance = (F.softplus(-u[:, :1]).sum() + F.softplus(u[:, 1:]).sum()) / len(feats)
    proximal = (feats - bank.index_select(0, index)).pow(2).sum(1).mean()
    return instance + LAMBDA * proximal


def main():
    kind = sys.argv[1]
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else {"fp32": 6}.get(kind, 12)
    device = sys.argv[3] if len(sys.argv) > 3 else "cpu"
    cuda = device == "cuda"
    warm = WARM_CUDA if cuda else WARM[kind]
    fast = kind != "fp32"
    net = Net().to(device)
    if fast:
        net = net.to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4, fused=fast or None)
    bank = F.normalize(torch.randn(IMAGES, DIM, device=device), dim=1)
    run, loss_fn = net, loss_of
    if kind == "compiled":
        mode = "reduce-overhead" if cuda else None
        run, loss_fn = torch.compile(net, mode=mode), torch.compile(loss_of)
    loader = torch.utils.data.DataLoader(
        Noise(), batch_size=BATCH, shuffle=True, num_workers=14 if cuda else 2, drop_last=True, pin_memory=cuda)
    log_z, ends = None, []
    for images, index in loader:
        images, index = images.to(device, non_blocking=True), index.to(device, non_blocking=True)
        if fast:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=fast):
            feats = run(images)
        drawn = torch.randint(IMAGES, (BATCH, M + 1), device=device)
        drawn[:, 0] = index
        if log_z is None:
            with torch.no_grad():
                log_z = sims(feats, bank, drawn).exp().mean().mul(IMAGES).log()
        loss = loss_fn(feats, bank, index, drawn, log_z)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        with torch.no_grad():
            rows = BANK_MOMENTUM * bank.index_select(0, index) + (1 - BANK_MOMENTUM) * feats.detach()
            bank.index_copy_(0, index, F.normalize(rows, dim=1))
        loss.item()
        ends.append(time.perf_counter())
        if len(ends) > warm + steps:
            break
    spent = ends[-1] - ends[warm]
    print(json.dumps({"name": f"train_step_{kind}", "value": BATCH * steps / spent, "unit": "images/s"}))


if __name__ == "__main__":
    main()
