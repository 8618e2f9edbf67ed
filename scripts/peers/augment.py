"""RandomResizedCrop, ColorJitter, grayscale, flip, to a normalised tensor, for 32 x 32 images, with PIL through
torchvision as lemniscate's cifar.py runs it: images a second of one process. Prints {"name": "augment", ...}.
"""

import json
import statistics
import time

import numpy
import torch
from PIL import Image
from torchvision import transforms

B = 128


def main():
    view = transforms.Compose([
        transforms.RandomResizedCrop(32, scale=(0.2, 1.0)),
        transforms.ColorJitter(0.4, 0.4, 0.4, 0.4),
        transforms.RandomGrayscale(p=0.2),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.491, 0.482, 0.447), (0.202, 0.199, 0.201)),
    ])
    pixels = numpy.random.default_rng(0).integers(0, 256, (B, 32, 32, 3), dtype=numpy.uint8)
    images = [Image.fromarray(image) for image in pixels]
    torch.stack([view(image) for image in images])
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        torch.stack([view(image) for image in images])
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"name": "augment", "value": B / statistics.median(seconds), "unit": "images/s"}))


if __name__ == "__main__":
    main()
