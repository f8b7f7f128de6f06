#!/usr/bin/env python3
"""Images: four shapes on small noisy pictures that this script draws.

    python3 examples/images.py

Trains `cnn-small`, classifies one picture, and writes the evaluation's page with the worst mistakes.
"""
import base64
import io
import math
import random
import struct
import zipfile
import zlib

import queuemaas

SIDE = 32
SHAPES = ["cross", "disc", "square", "triangle"]


def inside(shape, x, y):
    """Whether a point of the shape's own coordinates, about -1 to 1, lies in it."""
    if shape == "disc":
        return x * x + y * y < 1
    if shape == "square":
        return max(abs(x), abs(y)) < 0.88
    if shape == "cross":
        return (abs(x) < 0.33 or abs(y) < 0.33) and max(abs(x), abs(y)) < 1
    return y > -0.6 and y + 1.7 * abs(x) < 1.1


def picture(draw, shape):
    """A PNG: grey, with the shape somewhere, of some size, tilted, light on dark or dark on light, under noise."""
    size, angle = draw.uniform(6, 11), draw.uniform(-0.4, 0.4)
    cx, cy = draw.uniform(11, SIDE - 11), draw.uniform(11, SIDE - 11)
    back, fore = draw.sample([draw.uniform(20, 100), draw.uniform(140, 230)], 2)
    cos, sin = math.cos(angle) / size, math.sin(angle) / size
    rows = bytearray()
    for v in range(SIDE):
        rows.append(0)
        for u in range(SIDE):
            x, y = u - cx, v - cy
            level = fore if inside(shape, x * cos + y * sin, y * cos - x * sin) else back
            rows.append(max(0, min(255, round(level + draw.gauss(0, 12)))))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")


def main():
    draw, archive = random.Random(11), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for split, count in (("train", 300), ("test", 75)):
            for shape in SHAPES:
                for i in range(count):
                    files.writestr(f"{split}/{shape}/{i:04}.png", picture(draw, shape))
    with queuemaas.service() as service:
        service.upload("shapes", archive.getvalue())
        trained = service.run("training", {"model": "shapes", "dataset": "shapes", "preset": "cnn-small", "deploy": "production", "epochs": 10, "batchSize": 32, "learningRate": 0.002, "data": {"augmentation": {"flip": "random", "crop": 3}}}, "training")
        print(f"  validation accuracy {trained['validationAccuracy']:.3f} after {len(trained['history'])} epochs")
        answer = service.run("inference", {"model": "shapes", "image": {"base64": base64.b64encode(picture(draw, "triangle")).decode()}}, "a picture of a triangle")
        print(f"  {answer['labels'][0]}")
        evaluated = service.run("evaluation", {"model": "shapes", "dataset": "shapes", "split": "test"}, "evaluation")
        figures = evaluated["model"]["classification"]
        print(f"  accuracy {figures['accuracy']:.3f}, macro F1 {figures['macroF1']:.3f}, ECE {figures['calibration']['ece']:.3f} on {evaluated['items']} pictures")
        service.report(evaluated, "images")


if __name__ == "__main__":
    main()
